package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// shop is a world with a table of events by day, and workgroups to ask in.
type shop struct {
	*world
	athena *athena.Client
	bodies map[string][]string // what was stored, by customer: the test's own ledger
}

const hara = "o'hara" // a customer with a quote in the name

func newShop(t *testing.T) *shop {
	t.Helper()
	w := newWorld(t)
	s := &shop{world: w, athena: athena.NewFromConfig(w.sb.Config()), bodies: map[string][]string{}}
	w.bucket("events")
	w.bucket("results")
	for _, g := range []struct {
		name   string
		config athenatypes.WorkGroupConfiguration
	}{
		{"shop", athenatypes.WorkGroupConfiguration{EnforceWorkGroupConfiguration: aws.Bool(true), BytesScannedCutoffPerQuery: aws.Int64(1e9), ResultConfiguration: &athenatypes.ResultConfiguration{OutputLocation: aws.String("s3://results/shop/")}}},
		{"small", athenatypes.WorkGroupConfiguration{BytesScannedCutoffPerQuery: aws.Int64(10 << 20), ResultConfiguration: &athenatypes.ResultConfiguration{OutputLocation: aws.String("s3://results/")}}},
	} {
		_, err := s.athena.CreateWorkGroup(t.Context(), &athena.CreateWorkGroupInput{Name: &g.name, Configuration: &g.config})
		w.must(err)
	}
	s.table("orders", "customer string, n int, at string, body string", "events/orders")
	// No customer's events are in every object, and none is alone in one.
	for day, customers := range map[string][]string{"2026-11-15": {"4712", "4711"}, "2026-11-16": {"4712", "4713", hara}, "2026-11-17": {"4711", "4713"}} {
		for object := range 2 {
			var lines strings.Builder
			for i := range 30 {
				customer := customers[i%len(customers)]
				if object == 1 && customer == "4712" {
					customer = "4711"
				}
				body := fmt.Sprintf(`{ "customer":%q,  "n":%d, "at":"%sT%02d:00:00Z", "body":"{\"of\":%d}" }`, customer, i, day, object, i)
				s.bodies[day+" "+customer] = append(s.bodies[day+" "+customer], body)
				lines.WriteString(body + "\n")
			}
			s.store(fmt.Sprintf("orders/dt=%s/part-%d.gz", day, object), packed(t, "gzip", []byte(lines.String())))
		}
	}
	return s
}

// table makes a table by the partitions that its prefix has.
func (s *shop) table(name, columns, prefix string) {
	s.Helper()
	for _, sql := range []string{"CREATE DATABASE IF NOT EXISTS shop", fmt.Sprintf(`CREATE EXTERNAL TABLE shop.%s (%s) PARTITIONED BY (dt string) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat' OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.IgnoreKeyTextOutputFormat' LOCATION 's3://%s/'
TBLPROPERTIES ('projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy-MM-dd', 'projection.dt.range' = '2026-11-01,NOW', 'storage.location.template' = 's3://%s/dt=${dt}/')`, name, columns, prefix, prefix)} {
		out, err := s.athena.StartQueryExecution(s.Context(), &athena.StartQueryExecutionInput{QueryString: &sql, WorkGroup: aws.String("shop")})
		s.must(err)
		s.sb.Advance(5 * time.Second)
		if x := s.execution(*out.QueryExecutionId); x.Status.State != athenatypes.QueryExecutionStateSucceeded {
			s.Fatalf("%s: %s", sql, aws.ToString(x.Status.StateChangeReason))
		}
	}
}

func (s *shop) execution(id string) *athenatypes.QueryExecution {
	s.Helper()
	out, err := s.athena.GetQueryExecution(s.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: &id})
	s.must(err)
	return out.QueryExecution
}

func (s *shop) store(key string, body []byte) {
	s.Helper()
	_, err := s.s3.PutObject(s.Context(), &s3.PutObjectInput{Bucket: aws.String("events"), Key: &key, Body: bytes.NewReader(body)})
	s.must(err)
}

// of is the question for one customer's events of two days, and the ledger's answer.
func (s *shop) of(customer string) (ask ops.ReplayAsk, want []string) {
	for _, day := range []string{"2026-11-16", "2026-11-17"} {
		want = append(want, s.bodies[day+" "+customer]...)
	}
	return ops.ReplayAsk{From: "athena:shop.orders", To: "queue:again", Canary: -1, Select: ops.ReplaySelect{Filter: fmt.Sprintf(".customer == %q", customer)},
		Question: ops.ReplayQuestion{Workgroup: "shop", Where: "customer = ? and dt between ? and ?", Params: []ops.ReplayParam{{Value: customer}, {Value: "2026-11-16"}, {Value: "2026-11-17"}}}}, want
}

// A customer's events, chosen by a query: the objects that have them are read again,
// byte for byte, and nobody else's events are sent.
func TestAthenaChoosesObjects(t *testing.T) {
	s := newShop(t)
	url := s.queue("again")
	s.ticking()
	for _, customer := range []string{"4712", hara} {
		ask, want := s.of(customer)
		spent := s.sb.Bill().USD
		var told ops.ReplayQuery
		ask.Agree = func(q ops.ReplayQuery) error { told = q; return nil }
		plan := s.plan(ask)
		q := plan.Query
		objects := map[string]int{"4712": 1, hara: 2}[customer]
		if len(plan.Parts) != objects || q.Rows != int64(len(want)) || q.Scanned == 0 || math.Abs(q.USD-ops.QueryPrice(q.Scanned)) > 1e-12 {
			t.Errorf("%s: %d objects, want %d; %+v", customer, len(plan.Parts), objects, q)
		}
		if billed := s.sb.Bill().USD - spent; billed < q.USD || billed > q.USD+0.0001 { // and some calls
			t.Errorf("the plan says $%g, the sandbox bills $%g", q.USD, billed)
		}
		if told.SQL != q.SQL || told.Limit != 1e9 || told.ID != "" {
			t.Errorf("asked about %+v", told)
		}
		if x := s.execution(q.ID); strings.Contains(aws.ToString(x.Query), customer) || x.ExecutionParameters[0] != "'"+strings.ReplaceAll(customer, "'", "''")+"'" || aws.ToString(x.WorkGroup) != "shop" {
			t.Errorf("Athena was asked %q with %q", aws.ToString(x.Query), x.ExecutionParameters)
		}
		if len(plan.Warnings) > 1 { // of the missing key only
			t.Errorf("warnings %q", plan.Warnings)
		}
		if r := started(t, s.desk, plan).Wait(); r.State != ops.Finished || r.Counts.Sent != int64(len(want)) {
			t.Fatalf("%+v %v", r, r.Problem)
		}
		bodies, _ := s.drain(url)
		if diff := cmp.Diff(sorted(want), sorted(bodies)); diff != "" {
			t.Error(diff)
		}
		s.proven(plan.ID)
	}

	// What the filter means and the query does not is said.
	ask, _ := s.of("4712")
	ask.Select.Filter = `.customer == "4712" and .n < 10`
	if plan := s.plan(ask); !strings.Contains(strings.Join(plan.Warnings, "\n"), "the query counts 10 rows in these objects, and of the records in them 4 are meant") {
		t.Errorf("warnings %q", plan.Warnings)
	}
	// Everything in the objects, when that is what is wanted; and a person looks twice.
	ask.Select.Filter, ask.Question.Whole = "", true
	plan := s.plan(ask)
	if n, _ := plan.Estimate.Matched.Value(); n != 30 || plan.Risk != ops.HighRisk {
		t.Errorf("%v records, risk %v", n, plan.Risk)
	}
	// An object that changes after the query is not read.
	s.store(plan.Parts[0].ID, packed(t, "gzip", []byte("{}\n")))
	if r := started(t, s.desk, plan).Wait(); r.State != ops.Broken || r.Counts.Sent != 0 || !strings.Contains(r.Problem.What, "has changed since the plan") {
		t.Errorf("%+v %v", r, r.Problem)
	}
}

// The rows themselves, as UNLOAD writes them: the same events, not the same bytes.
func TestAthenaWritesRows(t *testing.T) {
	s := newShop(t)
	url := s.queue("again")
	s.ticking()
	ask, want := s.of("4713")
	ask.Question.Mode, ask.Select.Filter = ops.QueryRows, ".n > 5"
	ask.Map.Body = "del(.dt)"
	plan := s.plan(ask)
	if !strings.HasPrefix(plan.Query.Unloaded, "s3://results/shop/kxops-replay-"+plan.ID) || len(plan.Parts) == 0 {
		t.Errorf("%+v %+v", plan.Query, plan.Parts)
	}
	if facts := fmt.Sprint(plan.Facts); !strings.Contains(facts, "not byte exact") || !strings.Contains(facts, "aws s3 rm --recursive "+plan.Query.Unloaded) {
		t.Errorf("facts %s", facts)
	}
	if r := started(t, s.desk, plan).Wait(); r.State != ops.Finished {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	got, _ := s.drain(url)
	var meant []string
	for _, body := range want {
		var row struct{ N int }
		if err := json.Unmarshal([]byte(body), &row); err != nil {
			t.Fatal(err)
		}
		if row.N > 5 {
			meant = append(meant, body)
		}
	}
	if diff := cmp.Diff(values(t, meant), values(t, got)); diff != "" {
		t.Error(diff)
	}
	s.proven(plan.ID)

	// One column of them.
	ask.Map.Body, ask.Select.Filter, ask.Question.Body = "", ".of > 20", "Body"
	plan = s.plan(ask)
	if r := started(t, s.desk, plan).Wait(); r.State != ops.Finished || r.Counts.Broken != 0 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	got, _ = s.drain(url)
	meant = nil
	for _, body := range want {
		var row struct{ Body string }
		if err := json.Unmarshal([]byte(body), &row); err != nil {
			t.Fatal(err)
		}
		if row.Body > `{"of":20}` && len(row.Body) == len(`{"of":20}`) {
			meant = append(meant, row.Body)
		}
	}
	if diff := cmp.Diff(sorted(meant), sorted(got)); diff != "" || len(meant) == 0 {
		t.Error(diff)
	}
}

// values are events as what they say, in an order of their own.
func values(t *testing.T, bodies []string) []string {
	t.Helper()
	var out []string
	for _, b := range bodies {
		var v any
		if err := json.Unmarshal([]byte(b), &v); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return sorted(out)
}

// A value is a value, whatever is in it.
func TestAValueNeverBecomesSQL(t *testing.T) {
	s := newShop(t)
	s.ticking()
	for _, value := range []string{"x' OR '1' = '1", "x'' OR ''1'' = ''1", "4712'; DROP TABLE shop.orders; --", `" OR 1=1`, "4712') OR (1 = 1", "?", `\' OR 1=1 --`, ""} {
		ask, _ := s.of("4712")
		ask.To, ask.Question.Params[0].Value = "null:", value
		plan := planOf(t, s.desk, ask)
		if len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "the query found no row") {
			t.Errorf("%q: %q, %d parts", value, plan.Blockers, len(plan.Parts))
		}
		if got := s.execution(plan.Query.ID).ExecutionParameters[0]; got != "'"+strings.ReplaceAll(value, "'", "''")+"'" {
			t.Errorf("%q went as %s", value, got)
		}
	}
	ask, want := s.of("4713") // and the table is still there
	ask.To, ask.Question.Where = "null:", "customer = ? and dt between ? and ? and n >= ?"
	ask.Question.Params = append(ask.Question.Params, ops.ReplayParam{Value: "0", Number: true})
	if plan := s.plan(ask); plan.Query.Rows != int64(len(want)) {
		t.Errorf("%d rows, want %d", plan.Query.Rows, len(want))
	}
}

// What cannot be asked is refused before a query is started; what Athena does not
// answer is one sentence.
func TestQuestionsWithoutAnAnswer(t *testing.T) {
	s := newShop(t)
	s.queue("again")
	s.ticking()
	s.store("orders/dt=2026-11-10/large", bytes.Repeat([]byte(`{"customer":"9"}`+"\n"), 700_000)) // 11.9 MB
	number := func(v string) []ops.ReplayParam { return []ops.ReplayParam{{Value: v, Number: true}} }
	for _, c := range []struct {
		change  func(*ops.ReplayAsk)
		want    string
		started bool
	}{
		{func(a *ops.ReplayAsk) { a.Select.Filter = "" }, "the query chooses objects, not the records in them", false},
		{func(a *ops.ReplayAsk) { a.From = "athena:orders" }, `"orders" names no table`, false},
		{func(a *ops.ReplayAsk) { a.From = "athena:a.b.c" }, `"a.b.c" names no table`, false},
		{func(a *ops.ReplayAsk) { a.From = `athena:a."b` }, `names no table`, false},
		{func(a *ops.ReplayAsk) { a.Select.Since = s.sb.Now() }, "--where chooses time and key", false},
		{func(a *ops.ReplayAsk) { a.Question.Params = a.Question.Params[:2] }, "--where has 3 ?, and 2 values are given", false},
		{func(a *ops.ReplayAsk) { a.Question.Where, a.Question.Params = "n = ?", number("1 or 1=1") }, "value 1: \"1 or 1=1\" is no number", false},
		{func(a *ops.ReplayAsk) { a.Question.Params[0].Value = strings.Repeat("'", 600) }, "Athena takes 1024", false},
		{func(a *ops.ReplayAsk) { a.Question.Mode, a.Question.Whole = ops.QueryRows, true }, "--whole-objects is for --mode raw", false},
		{func(a *ops.ReplayAsk) { a.Question.Body = "body" }, "--body-column is for --mode rows", false},
		{func(a *ops.ReplayAsk) { a.Question.Mode = "both" }, "raw or rows", false},
		{func(a *ops.ReplayAsk) { a.Question.Results = "results" }, "is no place for results", false},
		{func(a *ops.ReplayAsk) { a.Question.Workgroup = "nope" }, "there is no workgroup nope", false},
		{func(a *ops.ReplayAsk) { a.Question.Workgroup = "" }, "the workgroup primary has no place for results", false},
		{func(a *ops.ReplayAsk) { a.Question.Results = "s3://results/else/" }, "allows no other place", false},
		{func(a *ops.ReplayAsk) { a.From = "athena:shop.nope" }, "TABLE_NOT_FOUND", true},
		{func(a *ops.ReplayAsk) { a.Question.Where, a.Question.Params = "color = ?", number("1") }, "COLUMN_NOT_FOUND", true},
		{func(a *ops.ReplayAsk) { a.Question.Where, a.Question.Params = "customer = ?", number("4712") }, "TYPE_MISMATCH", true},
		{func(a *ops.ReplayAsk) { a.Question.Where, a.Question.Params = "customer = = '1'", nil }, "SYNTAX_ERROR", true},
		{func(a *ops.ReplayAsk) {
			a.Question.Workgroup, a.Question.Where, a.Question.Params = "small", "customer = '9'", nil
		}, "the workgroup small stopped the query", true},
	} {
		ask, _ := s.of("4712")
		c.change(&ask)
		begun := false
		ask.Agree = func(ops.ReplayQuery) error { begun = true; return nil }
		_, _, err := s.desk.Plan(t.Context(), ask)
		if err == nil || !strings.Contains(err.Error(), c.want) || begun != c.started {
			t.Errorf("%q: %v (started %v)", c.want, err, begun)
		}
	}

	ask, _ := s.of("4712")
	stopped := errors.New("no")
	ask.Agree = func(ops.ReplayQuery) error { return stopped }
	before := s.started()
	if _, _, err := s.desk.Plan(t.Context(), ask); err != stopped || s.started() != before {
		t.Errorf("%v, and %d queries", err, s.started()-before)
	}
	ask.Agree, ask.Question.Workgroup, ask.Question.Results = nil, "", "s3://results/mine" // primary takes the place that it is told
	if plan := s.plan(ask); !strings.HasPrefix(plan.Query.Result, "s3://results/mine/") {
		t.Errorf("result in %s", plan.Query.Result)
	}
	s.sb.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "athena", Operation: "StartQueryExecution"})
	ask, _ = s.of("4712")
	if _, _, err := s.desk.Plan(t.Context(), ask); ops.AsProblem(err).Fault != ops.FaultDenied || !strings.Contains(err.Error(), "athena:StartQueryExecution") {
		t.Errorf("denied: %v", err)
	}
	// The only answer with the query's id is lost: asked again, Athena starts no second one.
	s.sb.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "athena", Operation: "StartQueryExecution", Percent: 60})
	before = s.started()
	plan, _, err := s.desk.Plan(t.Context(), ask)
	s.sb.SetFaults()
	if n := s.started() - before; n != 1 || err == nil && plan.Query.ID == "" {
		t.Errorf("%d queries were started (%v)", n, err)
	}
}

// started is how many queries Athena knows.
func (s *shop) started() int {
	s.Helper()
	n := 0
	for _, g := range []string{"shop", "primary"} {
		pages := athena.NewListQueryExecutionsPaginator(s.athena, &athena.ListQueryExecutionsInput{WorkGroup: &g})
		for pages.HasMorePages() {
			page, err := pages.NextPage(s.Context())
			s.must(err)
			n += len(page.QueryExecutionIds)
		}
	}
	return n
}

// Nobody waits for the query any more: it is stopped, whatever the reason.
func TestAnInterruptStopsTheQuery(t *testing.T) {
	s := newShop(t) // its clock stands still: no query ends by itself
	s.queue("again")
	ask, _ := s.of("4712")
	ctx, interrupt := context.WithCancel(t.Context())
	for _, c := range []struct {
		ctx     context.Context
		rows    bool
		happens func()
		want    string
	}{
		{ctx, true, interrupt, "interrupted: the query"},
		{t.Context(), false, func() {
			s.sb.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "athena", Operation: "GetQueryExecution"})
		}, "lacks athena:GetQueryExecution; the query"},
	} {
		if ask.Question.Mode = ops.QueryRaw; c.rows {
			ask.Question.Mode = ops.QueryRows
		}
		ask.Agree = func(ops.ReplayQuery) error { c.happens(); return nil }
		_, _, err := s.desk.Plan(c.ctx, ask)
		s.sb.SetFaults()
		if err == nil || !strings.Contains(err.Error(), "was stopped") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.want, err)
		}
		out, listErr := s.athena.ListQueryExecutions(t.Context(), &athena.ListQueryExecutionsInput{WorkGroup: aws.String("shop"), MaxResults: aws.Int32(1)})
		s.must(listErr)
		if c.rows != strings.Contains(err.Error(), "what UNLOAD has written lies in s3://results/shop/kxops-replay-") {
			t.Errorf("rows %v: %v", c.rows, err)
		}
		if x := s.execution(out.QueryExecutionIds[0]); x.Status.State != athenatypes.QueryExecutionStateCancelled {
			t.Errorf("the query is %s", x.Status.State)
		}
	}
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		where, why string
		marks      int
	}{
		{"customer = ? and dt between ? and ?", "", 3},
		{`"a?b" = 'what?' or (x = ? and y in (?, ?))`, "", 3},
		{"note = 'it''s; -- /* fine (' and n - 1 > ? / 2", "", 1},
		{"", "--where is missing", 0},
		{" where a = 1", "leave out the word WHERE", 0},
		{"SELECT 1", "no statement", 0},
		{"a = 1; DROP TABLE x", "there is a ; in it", 0},
		{"a = 1) OR (1 = 1", "closed that was not opened", 0},
		{"(a = 1", "is not closed", 0},
		{"a = 'x", "a quote (') is not closed", 0},
		{`"a = 1`, `a quote (") is not closed`, 0},
		{"a = 1 -- )", "no comments", 0},
		{"a = /* ) */ 1", "no comments", 0},
	} {
		marks, err := condition(c.where)
		if c.why == "" && (err != nil || marks != c.marks) || c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%q: %d marks, %v", c.where, marks, err)
		}
	}
}

// A plan names each of its objects, and they lie in one bucket.
func TestObjectsThatAPlanTakes(t *testing.T) {
	for _, c := range []struct {
		buckets   map[string][]string
		name, why string
	}{
		{map[string][]string{}, "", "the query found no row"},
		{map[string][]string{"a": {"k"}}, "a", ""},
		{map[string][]string{"a": make([]string, objectsMost)}, "a", ""},
		{map[string][]string{"a": make([]string, objectsMost+1)}, "", "more than 200000 objects"},
		{map[string][]string{"b": {"k"}, "a": {"k"}}, "", "the rows lie in 2 buckets (a, b)"},
	} {
		name, why := oneBucket(c.buckets)
		if name != c.name || (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%q %q, want %q %q", name, why, c.name, c.why)
		}
	}
}
