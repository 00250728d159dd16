package watch

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/alarms"
	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// weeks is a place that remembers fifteen days, as CloudWatch does.
func weeks(t *testing.T) *place {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Start: noon, History: 15 * 24 * time.Hour})
	must(t, err)
	t.Cleanup(sb.Close)
	p := &place{Sandbox: sb, cw: cloudwatch.NewFromConfig(sb.Config())}
	p.desk = p.deskAt(t, cloud.Change, nil)
	return p
}

// waiting sends messages that nobody takes.
func (p *place) waiting(t *testing.T, name string, n int) {
	t.Helper()
	c := sqs.NewFromConfig(p.Config())
	out, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"MessageRetentionPeriod": "1209600"}})
	must(t, err)
	for range n {
		_, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: out.QueueUrl, MessageBody: aws.String("x")})
		must(t, err)
	}
}

func backlogs(p *place, names ...string) (ops.Snapshot, alarms.Ask) {
	var queues []ops.Queue
	for _, n := range names {
		queues = append(queues, queue(n))
	}
	ask := alarms.Ask{Rules: []string{"sqs.backlog"}}
	ask.Settings.Tier = alarms.OptIn
	return p.look(queues...), ask
}

func TestABacklogIsMeasuredOnceAndKept(t *testing.T) {
	p := weeks(t)
	p.waiting(t, "orders", 7)
	p.Advance(13*24*time.Hour + 20*time.Hour) // the messages are still there
	s, ask := backlogs(p, "orders")
	door := p.desk
	before := p.Bill().Metrics
	plan, err := door.Plan(t.Context(), s, ask)
	must(t, err)
	if got := p.Bill().Metrics - before; got != 1 {
		t.Errorf("%d metrics were asked for, want 1", got)
	}
	if len(plan.Items) != 1 || plan.Items[0].Action != alarms.Create {
		t.Fatalf("%+v, skipped %+v", plan.Items, plan.Skipped)
	}
	spec := plan.Items[0].Spec
	if spec.Threshold != 11 || !strings.Contains(spec.Formula, "1.5 × 7") || !strings.Contains(spec.Formula, spec.Inputs[alarms.InputMeasured]) {
		t.Errorf("threshold %v, formula %q, want ceil(1.5 × 7)", spec.Threshold, spec.Formula)
	}
	p.apply(t, plan)

	// Later more wait, the alarm keeps what was usual, and nothing is read again.
	p.waiting(t, "orders", 30)
	p.Advance(24 * time.Hour)
	s, ask = backlogs(p, "orders")
	before = p.Bill().Metrics
	again, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	count(t, again, map[alarms.Action]int{alarms.Keep: 1})
	if got := p.Bill().Metrics - before; got != 0 {
		t.Errorf("%d metrics were asked for again", got)
	}
	// A smaller set keeps it too.
	ask.Settings.Tier = alarms.Essential
	small, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	count(t, small, map[alarms.Action]int{alarms.Keep: 1})
	e, err := p.desk.Existing(t.Context())
	must(t, err)
	if len(e.Metric) != 1 || aws.ToFloat64(e.Metric[0].Threshold) != 11 || e.Metric[0].StateValue != "ALARM" {
		t.Errorf("%+v", e.Metric)
	}
}

func TestABacklogWithoutHistoryIsSaid(t *testing.T) {
	p := weeks(t)
	p.waiting(t, "young", 1)
	p.Advance(3 * 24 * time.Hour)
	s, ask := backlogs(p, "young", "never")
	plan, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	for name, why := range map[string]string{"young": "2d23h of two weeks", "never": "no history"} {
		i := slices.IndexFunc(plan.Skipped, func(x alarms.Skipped) bool { return x.Resource.Name() == name })
		if i < 0 || plan.Skipped[i].Unknown || !strings.Contains(plan.Skipped[i].Why, why) {
			t.Errorf("%s: %+v", name, plan.Skipped)
		}
	}
	if len(plan.Items) != 0 || len(plan.Partial) != 0 {
		t.Errorf("%+v", plan)
	}
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "cloudwatch", Operation: "GetMetricData"})
	plan, err = p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	if len(plan.Items) != 0 || len(plan.Skipped) != 2 || !plan.Skipped[0].Unknown || !strings.Contains(plan.Skipped[0].Why, "could not be read") {
		t.Errorf("denied: %+v", plan.Skipped)
	}
}

func TestWhatIsUsual(t *testing.T) {
	line := newTimeline(noon.Add(-baselineOver), noon, 60)
	for i := range line.points {
		line.points[i] = float64(i % 1000) // 0 to 999
	}
	if b := usual(line, noon); b.Usual != 998 || b.Measured != "2026-11-20" {
		t.Errorf("%+v", b)
	}
	for i := range line.points {
		if i%100 != 0 {
			line.points[i] = math.NaN()
		}
	}
	if b := usual(line, noon); b.Measured != "" || !strings.Contains(b.Short, "awake for") {
		t.Errorf("%d points in two weeks: %+v", len(line.points)/100, b)
	}
	line.unknown = "CloudWatch says Forbidden"
	if b := usual(line, noon); b.Unread == "" || b.Measured != "" {
		t.Errorf("%+v", b)
	}
}
