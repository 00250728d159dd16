package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"kxops/ops"
)

const (
	athenaCatalog = "AwsDataCatalog"
	// queryPatience is Athena's own default for a query. Source: user guide, "Service
	// Quotas", DML query timeout.
	queryPatience = 30 * time.Minute
	startPatience = 30 * time.Second // to start a query, and to stop one
	pollFirst     = 200 * time.Millisecond
	pollMost      = 3 * time.Second
	// headsAtOnce is how many objects are asked about at a time.
	headsAtOnce = 16
)

// athenaSource reads what a query of Athena selects. The query runs once, for the plan:
// what it chose is frozen, as objects.
type athenaSource struct {
	desk  *Desk
	agree func(ops.ReplayQuery) error // nil: nobody is asked
}

// declined is the error of who was asked before the query: it goes back as it is.
type declined struct{ err error }

func (d *declined) Error() string { return d.err.Error() }

func (s athenaSource) find(ctx context.Context, plan *ops.ReplayPlan) error {
	if len(plan.Blockers) > 0 { // a query costs, and this plan cannot be applied
		plan.Facts = append(plan.Facts, ops.Fact{Name: "query", Value: "not run, because of what stands against the plan"})
		return nil
	}
	own, err := s.prepare(ctx, plan)
	if err != nil {
		return err
	}
	if s.agree != nil {
		if err := s.agree(*plan.Query); err != nil {
			return &declined{err}
		}
	}
	if err := s.run(ctx, plan, own); err != nil {
		return s.leftBehind(plan.Query, err)
	}
	if rowsOf(*plan) {
		return s.leftBehind(plan.Query, s.unloaded(ctx, plan))
	}
	return s.selected(ctx, plan)
}

// leftBehind says with an error where UNLOAD may have written to: there is no plan that
// would say so.
func (s athenaSource) leftBehind(q *ops.ReplayQuery, err error) error {
	if err == nil || q.Unloaded == "" || q.ID == "" {
		return err
	}
	p := *ops.AsProblem(s.desk.explain("take the rows", err))
	p.Hint = strings.TrimPrefix(p.Hint+"; what UNLOAD has written lies in "+q.Unloaded, "; ")
	return &p
}

// prepare asks the workgroup what it allows, and words the query. It returns the place
// for results that has to be asked for, nil where the workgroup has its own.
func (s athenaSource) prepare(ctx context.Context, plan *ops.ReplayPlan) (*athenatypes.ResultConfiguration, error) {
	q := plan.Query
	out, err := s.desk.athena.GetWorkGroup(ctx, &athena.GetWorkGroupInput{WorkGroup: &q.Workgroup})
	var invalid *athenatypes.InvalidRequestException
	if errors.As(err, &invalid) && strings.Contains(invalid.ErrorMessage(), "not found") {
		return nil, &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("there is no workgroup %s in %s", q.Workgroup, plan.Region), Hint: "`aws athena list-work-groups` lists them; --workgroup names one", Err: err}
	}
	if err != nil {
		return nil, err
	}
	if out.WorkGroup.State == athenatypes.WorkGroupStateDisabled {
		return nil, refused("the workgroup %s is disabled: name another with --workgroup", q.Workgroup)
	}
	c := athenatypes.WorkGroupConfiguration{}
	if out.WorkGroup.Configuration != nil {
		c = *out.WorkGroup.Configuration
	}
	q.Limit = aws.ToInt64(c.BytesScannedCutoffPerQuery)
	own, err := resultsIn(q, c)
	if err != nil {
		return nil, err
	}
	if q.Mode == ops.QueryRows {
		q.Unloaded = strings.TrimSuffix(q.Results, "/") + "/kxops-replay-" + plan.ID + "/"
	}
	if q.SQL = sqlOf(*plan); len(q.SQL) > queryMost {
		return nil, refused("the query has %d bytes, and Athena takes %d", len(q.SQL), queryMost)
	}
	return own, nil
}

// resultsIn decides where Athena writes to: where the workgroup says, else where the
// person does.
func resultsIn(q *ops.ReplayQuery, c athenatypes.WorkGroupConfiguration) (*athenatypes.ResultConfiguration, error) {
	location := ""
	if c.ResultConfiguration != nil {
		location = aws.ToString(c.ResultConfiguration.OutputLocation)
	}
	managed := c.ManagedQueryResultsConfiguration != nil && c.ManagedQueryResultsConfiguration.Enabled
	switch asked := q.Results; {
	case asked != "" && asked != location && location != "" && aws.ToBool(c.EnforceWorkGroupConfiguration):
		return nil, refused("the workgroup %s writes its results to %s and allows no other place: leave out --results", q.Workgroup, location)
	case asked != "" && managed: // of UNLOAD only: the result itself stays with Athena
		return nil, nil
	case asked != "":
		return &athenatypes.ResultConfiguration{OutputLocation: &asked}, nil
	case location != "":
		q.Results = location
		return nil, nil
	case managed && q.Mode == ops.QueryRaw:
		return nil, nil
	}
	return nil, refused("the workgroup %s has no place for results: name one with --results s3://BUCKET/PREFIX, or a workgroup that has one with --workgroup", q.Workgroup)
}

// run starts the query and waits for its end. However this ends, no query of ours goes
// on without somebody who waits for it.
func (s athenaSource) run(ctx context.Context, plan *ops.ReplayPlan, results *athenatypes.ResultConfiguration) error {
	q := plan.Query
	in := &athena.StartQueryExecutionInput{QueryString: &q.SQL, WorkGroup: &q.Workgroup, ClientRequestToken: aws.String(tokenOf(plan.ID)), ResultConfiguration: results,
		QueryExecutionContext: &athenatypes.QueryExecutionContext{Catalog: aws.String(athenaCatalog), Database: aws.String(tableOf(plan.From)[0])}}
	for _, p := range q.Params {
		text, err := literalOf(p)
		if err != nil {
			return err
		}
		in.ExecutionParameters = append(in.ExecutionParameters, text)
	}
	// Its answer has the id without which the query cannot be stopped: an interrupt waits for it.
	starting, cancel := context.WithTimeout(context.WithoutCancel(ctx), startPatience)
	out, err := s.desk.athena.StartQueryExecution(starting, in)
	cancel()
	if err != nil {
		return s.desk.explain("start the query", err)
	}
	q.ID = aws.ToString(out.QueryExecutionId)
	waiting, cancel := context.WithTimeout(ctx, queryPatience)
	defer cancel()
	x, err := s.over(waiting, q.ID)
	if err != nil {
		return s.stop(ctx, q, err)
	}
	note(q, x)
	return outcome(plan, x.Status)
}

// tokenOf is the same for each try of one plan: Athena starts one query for it.
func tokenOf(plan string) string {
	sum := sha256.Sum256([]byte("kxops replay " + plan))
	return hex.EncodeToString(sum[:])
}

// over waits until the query has ended, in whatever way.
func (s athenaSource) over(ctx context.Context, id string) (*athenatypes.QueryExecution, error) {
	for wait := pollFirst; ; wait = min(wait*3/2, pollMost) {
		x, err := s.ask(ctx, id)
		if err != nil {
			return nil, err
		}
		switch x.Status.State {
		case athenatypes.QueryExecutionStateQueued, athenatypes.QueryExecutionStateRunning:
		default:
			return x, nil
		}
		if !pauseFor(ctx, ctx.Done(), wait) {
			return nil, ctx.Err()
		}
	}
}

func (s athenaSource) ask(ctx context.Context, id string) (*athenatypes.QueryExecution, error) {
	out, err := s.desk.athena.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: &id})
	if err != nil {
		return nil, err
	}
	if out.QueryExecution == nil || out.QueryExecution.Status == nil {
		return nil, fmt.Errorf("athena does not say what became of the query %s", id)
	}
	return out.QueryExecution, nil
}

// stop ends a query that nobody waits for any more, and says what it was for.
func (s athenaSource) stop(ctx context.Context, q *ops.ReplayQuery, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startPatience)
	defer cancel()
	p := &ops.Problem{Fault: ops.FaultOther, What: "interrupted: the query " + q.ID + " was stopped", Hint: "what it had scanned is billed", Err: why}
	switch {
	case errors.Is(why, context.Canceled):
	case errors.Is(why, context.DeadlineExceeded):
		p.Fault, p.What = ops.FaultTimeout, fmt.Sprintf("Athena had no answer after %s: the query %s was stopped", ops.Span(queryPatience.Seconds()), q.ID)
	default:
		e := s.desk.o.Explain(why)
		p.Fault, p.What = e.Fault, "ask what became of the query: "+e.What+"; the query "+q.ID+" was stopped"
	}
	if _, err := s.desk.athena.StopQueryExecution(ctx, &athena.StopQueryExecutionInput{QueryExecutionId: &q.ID}); err != nil {
		p.What = strings.Replace(p.What, "was stopped", "could not be stopped and goes on", 1)
		p.Hint = "aws athena stop-query-execution --query-execution-id " + q.ID
		p.Err = errors.Join(why, err)
		return p
	}
	if x, err := s.ask(ctx, q.ID); err == nil {
		note(q, x)
		p.Hint = fmt.Sprintf("it had scanned %d bytes, which are billed", q.Scanned)
	}
	return p
}

// note keeps what the query was.
func note(q *ops.ReplayQuery, x *athenatypes.QueryExecution) {
	if st := x.Statistics; st != nil {
		q.Scanned = aws.ToInt64(st.DataScannedInBytes)
		q.Seconds = float64(aws.ToInt64(st.TotalExecutionTimeInMillis)) / 1000
	}
	if x.Status.State != athenatypes.QueryExecutionStateFailed {
		q.USD = ops.QueryPrice(q.Scanned)
	}
	if x.ResultConfiguration != nil {
		q.Result = aws.ToString(x.ResultConfiguration.OutputLocation)
	}
}

// outcome is nil for a query that succeeded, else one sentence with Athena's own words.
func outcome(plan *ops.ReplayPlan, st *athenatypes.QueryExecutionStatus) error {
	q, reason := plan.Query, strings.TrimRight(strings.TrimSpace(aws.ToString(st.StateChangeReason)), ".")
	if reason == "" {
		reason = "Athena gives no reason"
	}
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(reason, w) })
	}
	p := &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("the query %s failed: %s", q.ID, reason)}
	switch {
	case st.State == athenatypes.QueryExecutionStateSucceeded:
		return nil
	case says("Bytes scanned limit"):
		p.Fault = ops.FaultRefused
		p.What = fmt.Sprintf("the workgroup %s stopped the query %s at its limit of %d bytes: %s", q.Workgroup, q.ID, q.Limit, reason)
		p.Hint = fmt.Sprintf("name partitions in --where (dt = ?), or another --workgroup; $%.4f is billed", q.USD)
	case st.State == athenatypes.QueryExecutionStateCancelled:
		p.What = fmt.Sprintf("the query %s was cancelled: %s", q.ID, reason)
	case says("TABLE_NOT_FOUND", "SCHEMA_NOT_FOUND", "does not exist", "EntityNotFound"):
		p.Fault = ops.FaultNotFound
		p.Hint = "--from athena:DATABASE.TABLE names the table; it is not in " + plan.From.Table + " of this region's catalog"
	case says("COLUMN_NOT_FOUND"):
		p.Hint = "--where names columns of " + plan.From.Table + " and its partitions"
	case says("TYPE_MISMATCH"):
		p.Hint = "a value for a column of numbers is given with --number, all others with --param"
	case says("Access Denied", "AccessDenied", "not authorized"):
		p.Fault = ops.FaultDenied
		p.Hint = "Athena works with your rights: read the table's objects and catalog, and write to the place of the results"
	}
	return p
}

// selected makes the objects that the rows lie in the parts of the plan.
func (s athenaSource) selected(ctx context.Context, plan *ops.ReplayPlan) error {
	q := plan.Query
	buckets, err := s.objects(ctx, q)
	if err != nil {
		return err
	}
	bucket, why := oneBucket(buckets)
	if why != "" {
		plan.Blockers = append(plan.Blockers, why)
		return nil
	}
	plan.From.Bucket = bucket
	found, gone, err := s.heads(ctx, bucket, buckets[bucket])
	if err != nil {
		return err
	}
	f := &finding{plan: plan, layout: layout{zone: time.UTC}}
	for _, o := range found {
		f.add(o)
	}
	f.say()
	if gone > 0 {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("%d of the %d objects that the query found are gone meanwhile", gone, len(buckets[bucket])))
	}
	chooses := "the filter chooses the records in them"
	if q.Whole && plan.Select.Filter == "" && plan.Select.Contains == "" {
		chooses = "all of their records are meant, also those that the query did not mean"
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "read", Value: fmt.Sprintf("the objects that hold what the query means (rows: %d), byte for byte; %s", q.Rows, chooses)})
	return nil
}

// oneBucket is the bucket that all objects lie in, or what stands against reading them.
func oneBucket(buckets map[string][]string) (name, why string) {
	names := make([]string, 0, len(buckets))
	n := 0
	for b, keys := range buckets {
		names, n = append(names, b), n+len(keys)
	}
	slices.Sort(names)
	switch {
	case n == 0:
		return "", "nothing is selected: the query found no row"
	case n > objectsMost:
		return "", fmt.Sprintf("more than %d objects have rows that the query means: narrow --where", objectsMost)
	case len(names) > 1:
		return "", fmt.Sprintf("the rows lie in %d buckets (%s), and a plan reads one: narrow --where to one of them, such as with \"$path\" like ?", len(names), strings.Join(names[:min(3, len(names))], ", "))
	}
	return names[0], ""
}

// objects are the keys that the query answered, by bucket, and at most one too many.
func (s athenaSource) objects(ctx context.Context, q *ops.ReplayQuery) (map[string][]string, error) {
	out, n := map[string][]string{}, 0
	pages := athena.NewGetQueryResultsPaginator(s.desk.athena, &athena.GetQueryResultsInput{QueryExecutionId: &q.ID})
	for first := true; pages.HasMorePages() && n <= objectsMost; first = false {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.desk.explain("read the query's answer", err)
		}
		rows := page.ResultSet.Rows
		if first && len(rows) > 0 { // the names of the columns
			rows = rows[1:]
		}
		for _, r := range rows {
			if len(r.Data) != 2 {
				return nil, fmt.Errorf("athena answered a row of %d values, and two were asked for", len(r.Data))
			}
			at, ok := strings.CutPrefix(aws.ToString(r.Data[0].VarCharValue), "s3://")
			bucket, key, slash := strings.Cut(at, "/")
			count, err := strconv.ParseInt(aws.ToString(r.Data[1].VarCharValue), 10, 64)
			if !ok || !slash || err != nil {
				return nil, refused("rows of this table lie in %q, which is no object of S3", aws.ToString(r.Data[0].VarCharValue))
			}
			out[bucket] = append(out[bucket], key)
			q.Rows += count
			n++
		}
	}
	return out, nil
}

// heads asks about each object, in their order, and counts those that are gone.
func (s athenaSource) heads(ctx context.Context, bucket string, keys []string) (found []types.Object, gone int, err error) {
	all := make([]*types.Object, len(keys))
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(headsAtOnce)
	for i, key := range keys {
		calls.Go(func() error {
			out, err := s.desk.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
			if err == nil {
				all[i] = objectOf(key, out)
				return nil
			}
			p := s.desk.o.Explain(err)
			if p.Fault == ops.FaultNotFound {
				return nil
			}
			return s.desk.explain("ask about s3://"+bucket+"/"+key, err)
		})
	}
	if err := calls.Wait(); err != nil {
		return nil, 0, err
	}
	for _, o := range all {
		if o == nil {
			gone++
			continue
		}
		found = append(found, *o)
	}
	return found, gone, nil
}

// objectOf is a head in the shape of a listing.
func objectOf(key string, h *s3.HeadObjectOutput) *types.Object {
	o := &types.Object{Key: &key, ETag: h.ETag, Size: h.ContentLength, LastModified: h.LastModified, StorageClass: types.ObjectStorageClass(h.StorageClass)}
	if restore := aws.ToString(h.Restore); restore != "" {
		o.RestoreStatus = &types.RestoreStatus{IsRestoreInProgress: aws.Bool(strings.Contains(restore, `ongoing-request="true"`))}
		if _, until, ok := strings.Cut(restore, `expiry-date="`); ok {
			until, _, _ = strings.Cut(until, `"`)
			if t, err := time.Parse(time.RFC1123, until); err == nil {
				o.RestoreStatus.RestoreExpiryDate = &t
			}
		}
	}
	return o
}

// unloaded makes what UNLOAD wrote the parts of the plan.
func (s athenaSource) unloaded(ctx context.Context, plan *ops.ReplayPlan) error {
	q := plan.Query
	plan.From.Bucket, plan.From.Prefix, _ = strings.Cut(strings.TrimPrefix(q.Unloaded, "s3://"), "/")
	f := &finding{plan: plan, layout: layout{prefix: plan.From.Prefix, zone: time.UTC}}
	if err := (archiveSource{s.desk}).list(ctx, plan.From.Prefix, f); err != nil {
		return err
	}
	if len(plan.Parts) == 0 && !f.full {
		plan.Blockers = append(plan.Blockers, "nothing is selected: the query found no row")
		return nil
	}
	f.say()
	what := "the rows that the query selects, their columns and partitions written anew as JSON"
	if q.Body != "" {
		what = "the column " + q.Body + " of the rows that the query selects"
	}
	plan.Facts = append(plan.Facts,
		ops.Fact{Name: "read", Value: what + ": reconstructed, not byte exact"},
		ops.Fact{Name: "left behind", Value: "what UNLOAD wrote stays in your bucket: aws s3 rm --recursive " + q.Unloaded + " removes it when the replay is over"})
	return nil
}

// read reads a frozen object, of the table or of UNLOAD.
func (s athenaSource) read(ctx context.Context, plan ops.ReplayPlan, part int, after string, give func(Page) error) error {
	if column := plan.Query.Body; column != "" {
		whole := give
		give = func(p Page) error { return whole(columnOf(p, column)) }
	}
	return archiveSource{s.desk}.read(ctx, plan, part, after, give)
}

// columnOf leaves of each row the column that is the event: a text as it stands,
// anything else as JSON. A row without it is no record.
func columnOf(p Page, column string) Page {
	kept := p.Records[:0]
	for _, r := range p.Records {
		var row map[string]json.RawMessage
		err := json.Unmarshal(r.Data, &row)
		value := row[strings.ToLower(column)] // as Athena writes the names of columns
		switch {
		case err != nil:
			p.Broken = append(p.Broken, Broken{Part: r.ID, Why: "it is no row: " + err.Error()})
			continue
		case len(value) == 0 || bytes.Equal(value, []byte("null")):
			p.Broken = append(p.Broken, Broken{Part: r.ID, Why: "the row has nothing in the column " + column})
			continue
		}
		var text string
		if json.Unmarshal(value, &text) == nil {
			value = []byte(text)
		}
		r.Data = value
		kept = append(kept, r)
	}
	p.Records = kept
	return p
}
