package watch

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/alarms"
	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// TestMain shortens the pauses: the sandbox's clock is stepped.
func TestMain(m *testing.M) {
	haste = 100_000
	os.Exit(m.Run())
}

// hasty repeats as the product does, without its pauses.
func hasty() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 5, time.Millisecond, ratelimit.None
	})
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const region = sandbox.HomeRegion

// place is an account in the sandbox with a desk on it.
type place struct {
	*sandbox.Sandbox
	desk *Desk
	cw   *cloudwatch.Client // without the gate: somebody else's hands
	sns  *sns.Client
	page ops.ARN
}

func at(t testing.TB, scenario string) *place {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Start: noon, Scenario: scenario})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	p := &place{Sandbox: sb, cw: cloudwatch.NewFromConfig(sb.Config()), sns: sns.NewFromConfig(sb.Config())}
	p.desk = p.deskAt(t, cloud.Change, nil)
	p.page = p.topic(t, "oncall")
	return p
}

// deskAt opens a desk through the gate.
func (p *place) deskAt(t testing.TB, level cloud.Level, change func(*aws.Config)) *Desk {
	t.Helper()
	cfg := p.Config()
	cfg.Retryer = hasty
	if change != nil {
		change(&cfg)
	}
	c, err := cloud.Open(context.Background(), cloud.Options{Config: &cfg, Access: level, NoQuotas: true})
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Config: c.Config(), Identity: identity(), Journal: j, Now: p.Now})
}

func identity() ops.Identity {
	return ops.Identity{Account: sandbox.Account, Region: region, Who: "arn:aws:sts::" + sandbox.Account + ":assumed-role/oncall/test"}
}

func (p *place) topic(t testing.TB, name string) ops.ARN {
	t.Helper()
	out, err := p.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name})
	must(t, err)
	return ops.ARN(aws.ToString(out.TopicArn))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// look is a whole survey of the resources given.
func (p *place) look(queues ...ops.Queue) ops.Snapshot {
	s := ops.Snapshot{Identity: identity(), Started: p.Now(), At: p.Now(), MetricsAt: p.Now()}
	s.Streams.At, s.Deliveries.At, s.Queues.At, s.Topics.At, s.Functions.At, s.Buckets.At, s.Alarms.At, s.APIs.At = p.Now(), p.Now(), p.Now(), p.Now(), p.Now(), p.Now(), p.Now(), p.Now()
	s.Queues.Items = queues
	return s
}

func queue(name string) ops.Queue {
	return ops.Queue{ARN: ops.ARN("arn:aws:sqs:" + region + ":" + sandbox.Account + ":" + name), Name: name, Retention: 24 * time.Hour}
}

// spec is sqs.loss on a queue.
func spec(q ops.Queue) alarms.Spec {
	return alarms.Spec{
		Name: "kxops/sqs.loss/" + q.Name, Rule: "sqs.loss", Resource: q.ARN, Tier: alarms.Essential, Severity: alarms.Page,
		Query: alarms.Query{Namespace: "AWS/SQS", Metric: "ApproximateAgeOfOldestMessage", Dimensions: map[string]string{"QueueName": q.Name}},
		Stat:  "Maximum", Period: 60, M: 5, N: 5, Comparison: alarms.Above, Threshold: q.Retention.Seconds() / 2, Unit: "s", Missing: alarms.MissingIsGood,
		Formula: fmt.Sprintf("0.5 x retention %s", q.Retention), Inputs: map[string]string{"retention": q.Retention.String()}, Why: "messages expire unread", Source: "ours",
	}
}

func (p *place) ask() alarms.Ask {
	return alarms.Ask{Settings: alarms.Settings{Tier: alarms.Essential, Page: p.page}, Loud: true}
}

func wants(specs ...alarms.Spec) catalogue { return catalogue{wanted: alarms.Wanted{Specs: specs}} }

func (p *place) plan(t testing.TB, s ops.Snapshot, ask alarms.Ask, c catalogue) alarms.Plan {
	t.Helper()
	plan, err := p.desk.plan(t.Context(), s, ask, c)
	must(t, err)
	return plan
}

func (p *place) apply(t testing.TB, plan alarms.Plan) alarms.Result {
	t.Helper()
	r, err := p.desk.Apply(t.Context(), plan, nil)
	must(t, err)
	return r
}

// count fails unless a plan has so many items of each action.
func count(t testing.TB, p alarms.Plan, want map[alarms.Action]int) {
	t.Helper()
	got := map[alarms.Action]int{}
	for _, it := range p.Items {
		got[it.Action]++
	}
	for _, a := range []alarms.Action{alarms.Create, alarms.Update, alarms.Adopt, alarms.Delete, alarms.Keep, alarms.Covered, alarms.Orphan} {
		if got[a] != want[a] {
			t.Errorf("%d to %s, want %d", got[a], a, want[a])
		}
	}
	if t.Failed() {
		for _, it := range p.Items {
			t.Logf("%s %s %+v %s", it.Action, it.Name, it.Changes, it.Why)
		}
		t.FailNow()
	}
}

func (p *place) alarm(t testing.TB, name string) types.MetricAlarm {
	t.Helper()
	out, err := p.cw.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
	must(t, err)
	if len(out.MetricAlarms) != 1 {
		t.Fatalf("%d alarms named %s", len(out.MetricAlarms), name)
	}
	return out.MetricAlarms[0]
}

func (p *place) put(t testing.TB, in *cloudwatch.PutMetricAlarmInput) {
	t.Helper()
	_, err := p.cw.PutMetricAlarm(t.Context(), in)
	must(t, err)
}

func isRefused(t testing.TB, err error, says string) {
	t.Helper()
	if p := ops.AsProblem(err); p == nil || p.Fault != ops.FaultRefused || !strings.Contains(p.What, says) {
		t.Fatalf("the error is %v, want a refusal that says %q", err, says)
	}
}

// oddSpecs are one of each form that an alarm can have.
func oddSpecs() []alarms.Spec {
	q := queue("orders")
	plain := spec(q)
	math := plain
	math.Name, math.Rule, math.Part = "kxops/sqs.stuck/orders", "sqs.stuck", "x"
	math.Query, math.Stat = alarms.Query{}, "Maximum"
	math.Math = []alarms.Query{
		{ID: "m1", Namespace: "AWS/SQS", Metric: "ApproximateAgeOfOldestMessage", Dimensions: map[string]string{"QueueName": "orders"}, Stat: "Maximum", Period: 60},
		{ID: "slope", Expression: "IF(m1 > 600, RATE(m1), 0)", Returns: true},
	}
	math.Threshold, math.Comparison = 0.9, alarms.AtLeast
	percent := plain
	percent.Name, percent.Rule, percent.Stat, percent.LowSamples, percent.OK = "kxops/apigw.latency/orders", "apigw.latency", "p90", "ignore", true
	global := plain
	global.Name, global.Rule, global.Resource, global.Missing = "kxops/lambda.account", "lambda.account", "", alarms.MissingIsBad
	global.Query = alarms.Query{Namespace: "AWS/Lambda", Metric: "ClaimedAccountConcurrency"}
	long := plain
	long.Name = "kxops/sqs.loss/" + strings.Repeat("n", 255-len("kxops/sqs.loss/"))
	long.Query.Dimensions = map[string]string{"QueueName": strings.Repeat("n", 80), "Other": "x"}
	long.Why, long.Runbook = strings.Repeat("weil die Nachrichten äußerst alt sind ", 40), []string{strings.Repeat("sieh nach ", 40)}
	long.Inputs = map[string]string{"retention of the source": "7d 100% = a;b:c\n", "none": ""}
	small := plain
	small.Name, small.Threshold, small.Comparison, small.M, small.N, small.Period = "kxops/fh.delivery_errors/orders", 0.1, alarms.Below, 1, 3, 300
	return []alarms.Spec{plain, math, percent, global, long, small}
}

func TestAppliedThenNothingToDo(t *testing.T) {
	p := at(t, "")
	c := wants(oddSpecs()...)
	s := p.look(queue("orders"))
	plan := p.plan(t, s, p.ask(), c)
	count(t, plan, map[alarms.Action]int{alarms.Create: 6})
	if plan.USDMonth < 0.59 || plan.USDMonth > 0.61 || plan.Seconds != 2 {
		t.Errorf("%v USD, %v s", plan.USDMonth, plan.Seconds)
	}
	if r := p.apply(t, plan); r.Created != 6 || r.Left != 0 || len(r.Failed) != 0 {
		t.Fatalf("%+v", r)
	}
	count(t, p.plan(t, s, p.ask(), c), map[alarms.Action]int{alarms.Keep: 6})
	p.Advance(10 * time.Minute) // states move, and are no drift
	count(t, p.plan(t, s, p.ask(), c), map[alarms.Action]int{alarms.Keep: 6})
	if r := p.apply(t, plan); r.Created+r.Updated+r.Left != 0 { // the same plan once more
		t.Errorf("%+v", r)
	}
	entries, err := p.desk.o.Journal.Entries(0)
	must(t, err)
	if len(entries) != 2 || entries[0].Outcome != journal.Started || entries[1].Outcome != journal.Done || entries[0].ID != plan.ID || entries[1].ID != plan.ID {
		t.Errorf("the journal has %+v", entries)
	}
}

func TestChangedSettingIsNamed(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	p.apply(t, p.plan(t, p.look(q), p.ask(), wants(spec(q))))
	q.Retention = 7 * 24 * time.Hour
	plan := p.plan(t, p.look(q), p.ask(), wants(spec(q)))
	count(t, plan, map[alarms.Action]int{alarms.Update: 1})
	c := plan.Items[0].Changes
	if len(c) != 1 || c[0] != (alarms.Change{Field: "threshold", Old: "43200 s", New: "302400 s", Because: "retention 24h0m0s -> 168h0m0s"}) {
		t.Errorf("%+v", c)
	}
	if r := p.apply(t, plan); r.Updated != 1 {
		t.Errorf("%+v", r)
	}
	count(t, p.plan(t, p.look(q), p.ask(), wants(spec(q))), map[alarms.Action]int{alarms.Keep: 1})
}

// TestForeignFieldsSurvive: what others set on our alarm stays, and what is ours
// is set right again.
func TestForeignFieldsSurvive(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	p.apply(t, p.plan(t, p.look(q), p.ask(), wants(spec(q))))
	other := p.topic(t, "other-team")
	in := copied(p.alarm(t, spec(q).Name))
	in.ActionsEnabled, in.AlarmActions, in.InsufficientDataActions = aws.Bool(false), []string{string(other), string(p.page)}, []string{string(other)}
	p.put(t, in)
	count(t, p.plan(t, p.look(q), p.ask(), wants(spec(q))), map[alarms.Action]int{alarms.Keep: 1})
	in.Threshold, in.AlarmActions, in.Unit = aws.Float64(1), []string{string(other)}, types.StandardUnitSeconds
	p.put(t, in)
	plan := p.plan(t, p.look(q), p.ask(), wants(spec(q)))
	count(t, plan, map[alarms.Action]int{alarms.Update: 1})
	if !strings.Contains(plan.Items[0].Changes[0].Because, "somebody") {
		t.Errorf("%+v", plan.Items[0].Changes)
	}
	p.apply(t, plan)
	a := p.alarm(t, spec(q).Name)
	if aws.ToBool(a.ActionsEnabled) || !sameSet(a.AlarmActions, []string{string(other), string(p.page)}) || !sameSet(a.InsufficientDataActions, []string{string(other)}) ||
		*a.Threshold != 43200 || a.Unit != "" {
		t.Errorf("%+v", a)
	}
}

// TestAnotherTopicReplacesOurs: the old one was ours, so it goes.
func TestAnotherTopicReplacesOurs(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	s := spec(q)
	s.OK = true
	p.apply(t, p.plan(t, p.look(q), p.ask(), wants(s)))
	ask := p.ask()
	ask.Settings.Page = p.topic(t, "new")
	plan := p.plan(t, p.look(q), ask, wants(s))
	count(t, plan, map[alarms.Action]int{alarms.Update: 1})
	p.apply(t, plan)
	a := p.alarm(t, s.Name)
	if want := []string{string(ask.Settings.Page)}; !sameSet(a.AlarmActions, want) || !sameSet(a.OKActions, want) {
		t.Errorf("%v %v", a.AlarmActions, a.OKActions)
	}
}

func TestStaleAndEditedPlansAreRefused(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	p.apply(t, p.plan(t, p.look(q), p.ask(), wants(spec(q))))
	other := queue("refunds")
	changed := spec(q)
	changed.Threshold = 100
	plan := p.plan(t, p.look(q, other), p.ask(), wants(changed, spec(other)))

	edited := plan
	edited.Items = append([]alarms.Item(nil), plan.Items...)
	edited.Items[0].Name = "kxops/else"
	_, err := p.desk.Apply(t.Context(), edited, nil)
	isRefused(t, err, "changed after it was made")

	elsewhere := plan
	elsewhere.Account = "210987654321"
	must(t, elsewhere.Seal())
	_, err = p.desk.Apply(t.Context(), elsewhere, nil)
	isRefused(t, err, "210987654321")

	older := plan
	older.Catalogue--
	must(t, older.Seal())
	_, err = p.desk.Apply(t.Context(), older, nil)
	isRefused(t, err, "catalogue")

	in := copied(p.alarm(t, spec(q).Name))
	in.Threshold = aws.Float64(7)
	p.put(t, in)
	_, err = p.desk.Apply(t.Context(), plan, nil)
	isRefused(t, err, "was changed")
	if e, err := p.desk.Existing(t.Context()); err != nil || len(e.Metric) != 1 || *e.Metric[0].Threshold != 7 {
		t.Errorf("it wrote before it refused: %d alarms, %v", len(e.Metric), err)
	}
}

func TestSomebodyElsesAlarmIsCredited(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	theirs := wanted(spec(q), routes{}, nil)
	theirs.AlarmName, theirs.AlarmDescription, theirs.Threshold = aws.String("orders-old"), nil, aws.Float64(300)
	p.put(t, theirs)
	c := wants(spec(q))
	plan := p.plan(t, p.look(q), p.ask(), c)
	count(t, plan, map[alarms.Action]int{alarms.Covered: 1})
	if it := plan.Items[0]; len(it.By) != 1 || it.By[0] != "orders-old" || !strings.Contains(it.Why, "> 300") || !strings.Contains(it.Why, "no action") {
		t.Errorf("%+v", it)
	}
	ask := p.ask()
	ask.Duplicate = true
	count(t, p.plan(t, p.look(q), ask, c), map[alarms.Action]int{alarms.Create: 1})

	ask = p.ask()
	ask.Adopt = true
	plan = p.plan(t, p.look(q), ask, c)
	count(t, plan, map[alarms.Action]int{alarms.Adopt: 1})
	p.apply(t, plan)
	if a := p.alarm(t, "orders-old"); *a.Threshold != 43200 || !sameSet(a.AlarmActions, []string{string(p.page)}) {
		t.Errorf("%+v", a)
	}
	count(t, p.plan(t, p.look(q), p.ask(), c), map[alarms.Action]int{alarms.Keep: 1})
	rm := p.ask()
	rm.Remove, rm.Settings.Tier = true, ""
	if plan := p.plan(t, p.look(q), rm, c); plan.Writes() != 0 || len(plan.Warnings) == 0 {
		t.Errorf("rm of an adopted alarm: %+v", plan)
	}
	// The other direction is another question.
	low := spec(q)
	low.Comparison, low.Name = alarms.Below, "kxops/sqs.silent/orders"
	if plan := p.plan(t, p.look(q), p.ask(), wants(low)); plan.Count(alarms.Create) != 1 {
		t.Errorf("%+v", plan.Items)
	}
}

func TestPruneOnlyWhatIsGone(t *testing.T) {
	p := at(t, "")
	client := sqs.NewFromConfig(p.Config())
	_, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("hidden")})
	must(t, err)
	p.listener(t, p.page, "pager")
	kept, gone, hidden := queue("kept"), queue("gone"), queue("hidden")
	p.apply(t, p.plan(t, p.look(kept, gone, hidden), p.ask(), wants(spec(kept), spec(gone), spec(hidden))))
	c := wants(spec(kept))
	count(t, p.plan(t, p.look(kept), p.ask(), c), map[alarms.Action]int{alarms.Keep: 1, alarms.Orphan: 2})

	prune := p.ask()
	prune.Prune = true
	partial := p.look(kept)
	partial.Queues.Partial = true
	plan := p.plan(t, partial, prune, c)
	count(t, plan, map[alarms.Action]int{alarms.Keep: 3})
	if len(plan.Partial) != 1 || len(plan.Warnings) != 1 {
		t.Errorf("partial %q, warnings %q", plan.Partial, plan.Warnings)
	}

	plan = p.plan(t, p.look(kept), prune, c)
	count(t, plan, map[alarms.Action]int{alarms.Keep: 1, alarms.Delete: 2})
	r := p.apply(t, plan)
	if r.Deleted != 1 || len(r.Failed) != 1 || r.Failed[0].Name != spec(hidden).Name || !strings.Contains(r.Failed[0].Why, "exists") {
		t.Errorf("%+v", r)
	}
	// A denial is no proof either.
	_, err = client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: aws.String("http://sandbox.localhost/" + sandbox.Account + "/hidden")})
	must(t, err)
	plan = p.plan(t, p.look(kept), prune, c)
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sqs"})
	if r := p.apply(t, plan); r.Deleted != 0 || len(r.Failed) != 1 {
		t.Errorf("%+v", r)
	}
	p.SetFaults()
	if r := p.apply(t, p.plan(t, p.look(kept), prune, c)); r.Deleted != 1 {
		t.Errorf("%+v", r)
	}
}

func TestRemoveLeavesNothingOfOurs(t *testing.T) {
	p := at(t, "")
	var specs []alarms.Spec
	var queues []ops.Queue
	for i := range 130 { // over one batch
		q := queue(fmt.Sprintf("q%03d", i))
		queues, specs = append(queues, q), append(specs, spec(q))
	}
	p.apply(t, p.plan(t, p.look(queues...), p.ask(), wants(specs...)))
	theirs := wanted(spec(queue("theirs")), routes{}, nil) // our name and mark, without our tag
	p.put(t, theirs)
	rm := alarms.Ask{Remove: true}
	plan := p.plan(t, ops.Snapshot{Identity: identity()}, rm, catalogue{})
	count(t, plan, map[alarms.Action]int{alarms.Delete: 130})
	if r := p.apply(t, plan); r.Deleted != 130 || len(r.Failed) != 0 {
		t.Fatalf("%+v", r)
	}
	e, err := p.desk.Existing(t.Context())
	must(t, err)
	if len(e.Metric) != 1 || e.Metric[0].Name() != *theirs.AlarmName {
		t.Errorf("%d alarms left", len(e.Metric))
	}
}

func TestThrottlingIsOutlasted(t *testing.T) {
	p := at(t, "")
	var specs []alarms.Spec
	for i := range 40 {
		specs = append(specs, spec(queue(fmt.Sprintf("q%d", i))))
	}
	p.desk = p.deskAt(t, cloud.Change, func(cfg *aws.Config) { cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } })
	plan := p.plan(t, p.look(), p.ask(), wants(specs...))
	p.SetFaults(sandbox.Fault{Kind: sandbox.Throttle, Service: "cloudwatch", Operation: "PutMetricAlarm", Percent: 20})
	var slower bool
	r, err := p.desk.Apply(t.Context(), plan, func(x alarms.Progress) { slower = slower || strings.Contains(x.Note, "slower") })
	must(t, err)
	if r.Created != 40 || !slower {
		t.Errorf("%+v, slower %v", r, slower)
	}
	// Nothing but throttling: the alarm fails, and says why.
	p.SetFaults(sandbox.Fault{Kind: sandbox.Throttle, Service: "cloudwatch", Operation: "PutMetricAlarm"})
	plan = p.plan(t, p.look(), p.ask(), wants(spec(queue("late"))))
	if r := p.apply(t, plan); len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Why, "throttles") {
		t.Errorf("%+v", r)
	}
}

func TestInterruptedThenFinished(t *testing.T) {
	p := at(t, "")
	var specs []alarms.Spec
	var queues []ops.Queue
	for i := range 40 {
		q := queue(fmt.Sprintf("q%02d", i))
		queues, specs = append(queues, q), append(specs, spec(q))
	}
	plan := p.plan(t, p.look(queues...), p.ask(), wants(specs...))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := p.desk.Apply(ctx, plan, func(x alarms.Progress) {
		if x.Done == 10 {
			cancel()
		}
	})
	must(t, err)
	if r.Created < 10 || r.Left == 0 || r.Created+r.Left != 40 || len(r.Failed) != 0 {
		t.Fatalf("%+v", r)
	}
	entries, err := p.desk.o.Journal.Entries(0)
	must(t, err)
	if last := entries[len(entries)-1]; last.Outcome != journal.Partial || !strings.Contains(last.What, "interrupted") {
		t.Errorf("the journal ends with %+v", last)
	}
	again := p.apply(t, plan)
	// A write whose answer was cut off may have been done: the second run finds it.
	if n := again.Created + r.Created; n > 40 || n < 40-writers || again.Left != 0 {
		t.Errorf("%+v", again)
	}
	count(t, p.plan(t, p.look(queues...), p.ask(), wants(specs...)), map[alarms.Action]int{alarms.Keep: 40})
}
