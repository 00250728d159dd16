package replay

import (
	"cmp"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/time/rate"

	"kxops/ops"
	"kxops/ops/payload"
)

const (
	// pollsASecond is how often one shard is read: all its pollers share 5 reads and
	// 2 MiB a second, and the consumers need theirs.
	pollsASecond = 2
	// arrivalSlack is how far arrival times of a shard are out of order. Source: the
	// project's facts on replays, section 2: never stop at the first record past the end.
	arrivalSlack = time.Minute
	shardTries   = 8 // of a read that fails, from its last place
)

// streamSource reads what a stream still holds, by polling.
type streamSource struct {
	desk  *Desk
	tries bool // ends at the tip of a shard instead of waiting for late records
}

// taste is the source for trying a selection: it does not wait.
func (s streamSource) taste() source {
	s.tries = true
	return s
}

// windowEnd is the arrival before which records are meant. A window without an end
// ends with the plan.
func windowEnd(plan ops.ReplayPlan) time.Time {
	if u := plan.Select.Until; !u.IsZero() && u.Before(plan.Created) {
		return u
	}
	return plan.Created
}

func (s streamSource) find(ctx context.Context, plan *ops.ReplayPlan) error {
	name, arn := streamOf(plan.From.ARN)
	out, err := s.desk.kinesis.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name, StreamARN: arn})
	if err != nil {
		return err
	}
	d := out.StreamDescriptionSummary
	plan.From.ARN = ops.ARN(aws.ToString(d.StreamARN))
	plan.Seen["source created"] = aws.ToTime(d.StreamCreationTimestamp).UTC().Format(time.RFC3339)
	s.retained(plan, time.Duration(aws.ToInt32(d.RetentionPeriodHours))*time.Hour)
	if u := plan.Select.Until; u.After(plan.Created) {
		plan.Warnings = append(plan.Warnings, "the window ends in the future; it is cut at "+plan.Created.Format("15:04:05 MST")+", when the plan was made")
	}
	shards, err := s.shards(ctx, *plan)
	if err != nil {
		return err
	}
	if len(shards) > 0 {
		if !s.desk.preflightSource(ctx, plan, aws.ToString(shards[0].ShardId)) {
			return nil
		}
	}
	var begins time.Time
	if plan.Select.Shard != "" {
		if shards, begins, err = s.ranged(ctx, plan, shards); err != nil || len(plan.Blockers) > 0 {
			return err
		}
	}
	all := len(shards)
	auto, aggregated := d.RecordDistributionStrategy == types.RecordDistributionStrategyAuto, false
	if len(plan.Select.Keys) > 0 && !auto {
		if aggregated, err = s.aggregated(ctx, *plan, shards); err != nil {
			return err
		}
	}
	if aggregated {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "shards", Value: "producers put several records into one, and such an aggregate may hold a key of any shard: all shards are read"})
	} else if len(plan.Select.Keys) > 0 && !auto {
		shards = holding(shards, plan.Select.Keys)
		plan.Facts = append(plan.Facts, ops.Fact{Name: "shards", Value: fmt.Sprintf("%d of %d can hold the keys by their hash; records that were put with an explicit hash key may be elsewhere: --filter instead of --key finds them", len(shards), all)})
	} else if auto {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "shards", Value: "the stream spreads records itself: all shards are read, and a key has no order"})
	}
	freeze(plan, shards)
	for i := range plan.Parts { // of a range there is one
		plan.Parts[i].Begins = begins
	}
	if len(plan.Parts) == 0 {
		plan.Blockers = append(plan.Blockers, "no shard of "+plan.From.ARN.Name()+" holds anything of the window")
	}
	if plan.FanOut != "" {
		return s.desk.planFanOut(ctx, plan)
	}
	plan.Warnings = append(plan.Warnings, fmt.Sprintf("reading takes from the 2 MiB/s that the pollers of a shard share, and raises GetRecords.IteratorAgeMilliseconds of %s, which its alarms watch: an age up to that of the oldest record read is this replay", plan.From.ARN.Name()))
	return nil
}

// retained compares the window with what the stream still has.
func (s streamSource) retained(plan *ops.ReplayPlan, retention time.Duration) {
	horizon := plan.Created.Add(-retention)
	const gone = "; it is gone: raising the retention does not bring it back, an archive may have it"
	switch since := plan.Select.Since; {
	case plan.Select.First != "" && since.IsZero(): // ranged says what of it is gone
	case windowEnd(*plan).Before(horizon):
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("the window lies before %s, and %s keeps %s%s", horizon.Format("2006-01-02 15:04 MST"), plan.From.ARN.Name(), ops.Span(retention.Seconds()), gone))
	case since.IsZero():
		plan.Facts = append(plan.Facts, ops.Fact{Name: "reaches back", Value: "to " + horizon.Format("2006-01-02 15:04 MST") + ", all that the stream keeps"})
	case since.Before(horizon):
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("of the window, %s to %s (%s) is past the retention of %s%s", since.Format("2006-01-02 15:04 MST"), horizon.Format("2006-01-02 15:04 MST"), ops.Span(horizon.Sub(since).Seconds()), plan.From.ARN.Name(), gone))
	}
}

// stillThere refuses to resume where the stream has trimmed records that were not read
// yet: they would be left out in silence.
func (d *Desk) stillThere(ctx context.Context, s *state) error {
	out, err := d.kinesis.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamARN: aws.String(string(s.plan.From.ARN))})
	if err != nil {
		return d.explain("ask about the source again", err)
	}
	retention := time.Duration(aws.ToInt32(out.StreamDescriptionSummary.RetentionPeriodHours)) * time.Hour
	horizon, planned := d.o.Now().Add(-retention), s.plan.Created.Add(-retention)
	for i, p := range s.places {
		if p.Over {
			continue
		}
		from := s.plan.Select.Since // what the plan could not have is named in the plan
		if from.Before(planned) {
			from = planned
		}
		if created := aws.ToTime(out.StreamDescriptionSummary.StreamCreationTimestamp); from.Before(created) {
			from = created // there was nothing to trim before
		}
		if begins := s.plan.Parts[i].Begins; begins.After(from) {
			from = begins
		}
		if p.At.After(from) {
			from = p.At
		}
		if lost := horizon.Sub(from); lost > 0 && from.Before(windowEnd(s.plan)) {
			return &ops.Problem{Fault: ops.FaultRefused,
				What: fmt.Sprintf("of %s, %s to %s (%s) was not read yet and may be trimmed: it is past the retention of %s", s.plan.Parts[i].ID,
					from.UTC().Format("2006-01-02 15:04 MST"), horizon.UTC().Format("2006-01-02 15:04 MST"), ops.Span(lost.Seconds()), s.plan.From.ARN.Name()),
				Hint: "plan what is left anew, with --except " + s.plan.ID}
		}
	}
	return nil
}

// aggregated reports whether producers put several records into one, as the shards' first
// records of the window tell: then a key's records may lie in any shard.
func (s streamSource) aggregated(ctx context.Context, plan ops.ReplayPlan, shards []types.Shard) (bool, error) {
	for _, sh := range shards {
		w := shardWalk{desk: s.desk, arn: plan.From.ARN, shard: aws.ToString(sh.ShardId), since: plan.Select.Since}
		iterator, err := w.iterator(ctx)
		if err != nil {
			return false, err
		}
		out, err := s.desk.kinesis.GetRecords(ctx, &kinesis.GetRecordsInput{StreamARN: aws.String(string(w.arn)), ShardIterator: iterator, Limit: aws.Int32(firstRecords)})
		if err != nil {
			return false, err
		}
		for _, r := range out.Records {
			if _, err := payload.UserRecords(r.Data); !errors.Is(err, payload.ErrNotAggregate) {
				return true, nil
			}
		}
	}
	return false, nil
}

// firstRecords is how many records of a shard are looked at, for aggregates and for the first of a range.
const firstRecords = 50

// shards are those that hold something from the window's beginning on.
func (s streamSource) shards(ctx context.Context, plan ops.ReplayPlan) ([]types.Shard, error) {
	in := &kinesis.ListShardsInput{StreamARN: aws.String(string(plan.From.ARN))}
	if since := plan.Select.Since; !since.IsZero() {
		in.ShardFilter = &types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: &since}
	}
	var out []types.Shard
	for {
		page, err := s.desk.kinesis.ListShards(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Shards...)
		if page.NextToken == nil {
			return out, nil
		}
		in = &kinesis.ListShardsInput{NextToken: page.NextToken}
	}
}

// holding are the shards whose range of hash keys has one of the keys.
func holding(shards []types.Shard, keys []string) []types.Shard {
	var out []types.Shard
	for _, sh := range shards {
		from, ok1 := new(big.Int).SetString(aws.ToString(sh.HashKeyRange.StartingHashKey), 10)
		to, ok2 := new(big.Int).SetString(aws.ToString(sh.HashKeyRange.EndingHashKey), 10)
		if !ok1 || !ok2 || slices.ContainsFunc(keys, func(k string) bool {
			sum := md5.Sum([]byte(k))
			h := new(big.Int).SetBytes(sum[:])
			return h.Cmp(from) >= 0 && h.Cmp(to) <= 0
		}) {
			out = append(out, sh)
		}
	}
	return out
}

// freeze makes parts of shards, each after its parents.
func freeze(plan *ops.ReplayPlan, shards []types.Shard) {
	slices.SortFunc(shards, func(a, b types.Shard) int { return strings.Compare(aws.ToString(a.ShardId), aws.ToString(b.ShardId)) })
	at := map[string]int{}
	for i, sh := range shards {
		at[aws.ToString(sh.ShardId)] = i
	}
	for _, sh := range shards {
		p := ops.ReplayPart{ID: aws.ToString(sh.ShardId), Range: aws.ToString(sh.HashKeyRange.StartingHashKey)}
		for _, parent := range []*string{sh.ParentShardId, sh.AdjacentParentShardId} {
			if i, ok := at[aws.ToString(parent)]; ok && parent != nil {
				p.After = append(p.After, i)
			}
		}
		plan.Parts = append(plan.Parts, p)
	}
}

// read polls one shard. Its place is the last sequence number.
func (s streamSource) read(ctx context.Context, plan ops.ReplayPlan, part int, after string, give func(Page) error) error {
	w := shardWalk{desk: s.desk, arn: plan.From.ARN, shard: plan.Parts[part].ID, since: plan.Select.Since, end: windowEnd(plan), first: plan.Select.First, last: plan.Select.Last, after: after, tip: s.tries}
	taken := func(records []types.Record, place string) error {
		p := Page{Place: place}
		for _, r := range records {
			p.Bytes += int64(len(r.Data) + len(aws.ToString(r.PartitionKey)))
			open(&p, plan, part, r)
		}
		return give(within(ops.ReplaySelect{Since: plan.Select.Since, Until: w.end, Keys: plan.Select.Keys}, p))
	}
	if plan.FanOut != "" && !s.tries { // a plan is tried before there is a consumer
		return w.pushed(ctx, plan, taken)
	}
	return w.run(ctx, taken)
}

// open takes a record of the stream apart: a producer library may have put many into one.
func open(p *Page, plan ops.ReplayPlan, part int, r types.Record) {
	seq, shard, at := aws.ToString(r.SequenceNumber), plan.Parts[part].ID, aws.ToTime(r.ApproximateArrivalTimestamp).UTC()
	users, err := payload.UserRecords(r.Data)
	switch {
	case errors.Is(err, payload.ErrNotAggregate):
		p.Records = append(p.Records, Record{ID: recordID(string(plan.From.ARN), shard, seq, 0), Key: aws.ToString(r.PartitionKey), At: at, Data: r.Data})
	case err != nil:
		p.Broken = append(p.Broken, Broken{Part: shard + "/" + seq, Why: err.Error()})
	default:
		for i, u := range users {
			p.Records = append(p.Records, Record{ID: recordID(string(plan.From.ARN), shard, seq, i), Key: u.Key, At: at, Data: u.Data})
		}
	}
}

// shardWalk reads a shard from a place to the end of a window.
type shardWalk struct {
	desk  *Desk
	arn   ops.ARN
	shard string
	since time.Time
	end   time.Time
	first string // sequence number, "": from since
	last  string // sequence number, "": to end
	after string // sequence number, of what was read already
	tip   bool   // ends where nothing more is there, without waiting for late records
}

func (w *shardWalk) run(ctx context.Context, give func([]types.Record, string) error) error {
	pace := rate.NewLimiter(rate.Limit(cmp.Or(w.desk.polls, pollsASecond)), 1)
	var iterator *string
	for tries := 1; ; tries++ {
		if err := pace.Wait(ctx); err != nil {
			return err
		}
		if iterator == nil {
			var err error
			if iterator, err = w.iterator(ctx); err != nil {
				if tries < shardTries && passingStream(w.desk.o.Explain(err).Fault) && pauseFor(ctx, ctx.Done(), backoff(tries)) {
					continue
				}
				return err
			}
		}
		in := &kinesis.GetRecordsInput{StreamARN: aws.String(string(w.arn)), ShardIterator: iterator}
		if w.desk.page > 0 {
			in.Limit = &w.desk.page
		}
		out, err := w.desk.kinesis.GetRecords(ctx, in)
		var expired *types.ExpiredIteratorException
		switch {
		case errors.As(err, &expired) && tries < shardTries:
			iterator = nil
			continue
		case err != nil:
			if tries < shardTries && passingStream(w.desk.o.Explain(err).Fault) && pauseFor(ctx, ctx.Done(), backoff(tries)) {
				continue
			}
			return err
		}
		tries = 0
		records, over := w.inRange(out.Records)
		if n := len(records); n > 0 {
			w.after = aws.ToString(records[n-1].SequenceNumber)
			if err := give(records, w.after); err != nil {
				return err
			}
		}
		if iterator = out.NextShardIterator; iterator == nil || over || w.past(out.Records, aws.ToInt64(out.MillisBehindLatest)) {
			return nil
		}
	}
}

// past reports whether everything of the window has been read. An empty page says
// nothing by itself, and a record just past the end neither: arrival times are not in
// order. At the tip records of the window may still come for a while.
func (w *shardWalk) past(page []types.Record, behind int64) bool {
	late := w.end.Add(cmp.Or(w.desk.slack, arrivalSlack))
	if n := len(page); n > 0 { // by the stream's own clock: ours may be wrong
		return aws.ToTime(page[n-1].ApproximateArrivalTimestamp).After(late)
	}
	return behind == 0 && (w.tip || w.desk.o.Now().After(late))
}

func (w *shardWalk) iterator(ctx context.Context) (*string, error) {
	in := &kinesis.GetShardIteratorInput{StreamARN: aws.String(string(w.arn)), ShardId: &w.shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	switch {
	case w.after != "":
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &w.after
	case w.first != "":
		return w.fromFirst(ctx, in)
	case !w.since.IsZero():
		in.ShardIteratorType, in.Timestamp = types.ShardIteratorTypeAtTimestamp, &w.since
	}
	out, err := w.desk.kinesis.GetShardIterator(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// passingStream reports faults that another try can mend.
func passingStream(f ops.Fault) bool { return f != ops.FaultOther && passing(f) }

// holds reads the stream back from when the replay began.
func (t *streamTarget) holds(ctx context.Context, plan ops.ReplayPlan, visit func(string, uint64) error) error {
	since := plan.Created.Add(-arrivalSlack)
	back := ops.ReplayPlan{From: plan.To, Created: t.desk.o.Now(), Select: ops.ReplaySelect{Since: since}}
	shards, err := streamSource{desk: t.desk}.shards(ctx, back)
	if err != nil {
		return err
	}
	freeze(&back, shards) // parents first: a key's records are in the order of its shards
	for _, part := range back.Parts {
		w := shardWalk{desk: t.desk, arn: plan.To.ARN, shard: part.ID, since: since, end: back.Created, tip: true}
		err := w.run(ctx, func(records []types.Record, _ string) error {
			for _, r := range records {
				if err := visit(part.ID+"/"+aws.ToString(r.SequenceNumber), bodySum(r.Data)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
