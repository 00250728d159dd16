package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ui/text"
)

const here = "arn:aws:sqs:eu-west-1:123456789012:"

// samplePlan has every action and every kind of trouble.
func samplePlan() alarms.Plan {
	loss := alarms.Spec{
		Name: "kxops/dlq.loss/orders-dlq", Rule: "dlq.loss", Resource: here + "orders-dlq", Tier: alarms.Essential, Severity: alarms.Page,
		Query: alarms.Query{Namespace: "AWS/SQS", Metric: "ApproximateAgeOfOldestMessage"}, Stat: "Maximum", Period: 60, M: 5, N: 5,
		Comparison: alarms.Above, Threshold: 777600, Unit: "s", Missing: alarms.MissingIsGood,
		Formula: "DLQ 14d - source 4d - window 24h", Why: "a message dies with its first clock", Source: "ours",
	}
	lag := alarms.Spec{
		Name: "kxops/kds.loss/clicks", Rule: "kds.loss", Resource: "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", Severity: alarms.Page,
		Comparison: alarms.Above, Threshold: 302400000, Unit: "ms", Formula: "0.5 × retention 7d", Note: "config line 12: sampled",
	}
	age := loss
	age.Name, age.Rule, age.Resource, age.Formula, age.Threshold = "kxops/sqs.age/orders", "sqs.age", here+"orders", "max(600, 30 × 3)", 600
	return alarms.Plan{
		Schema: alarms.PlanSchema, ID: "01AB", Account: "123456789012", Alias: "shop", Region: "eu-west-1", By: "me", Catalogue: 1, Tier: alarms.Essential,
		Page: "arn:aws:sns:eu-west-1:123456789012:oncall",
		Items: []alarms.Item{
			{Action: alarms.Create, Name: loss.Name, Pipeline: "orders", Spec: &loss},
			{Action: alarms.Keep, Name: age.Name, Pipeline: "orders", Spec: &age},
			{Action: alarms.Covered, Name: "kxops/sqs.loss/orders", Pipeline: "orders", Spec: &age, By: []string{"theirs"}},
			{Action: alarms.Update, Name: lag.Name, Pipeline: "clickstream", Spec: &lag, Changes: []alarms.Change{{Field: "threshold", Old: "43200000", New: "302400000", Because: "retention 24h -> 7d"}}},
			{Action: alarms.Delete, Name: "kxops/kds.lag/gone", Pipeline: "clickstream", Why: "the stream is gone"},
			{Action: alarms.Orphan, Name: "kxops/kds.loss/gone", Pipeline: "clickstream", Why: "the stream is gone"},
		},
		Skipped: []alarms.Skipped{
			{Rule: "kds.loss", Resource: "arn:aws:kinesis:eu-west-1:123456789012:stream/secret", Why: "its retention could not be read: denied", Unknown: true},
			{Rule: "sqs.age", Resource: here + "refunds", Why: "config line 20: nobody is on call", Off: true},
			{Rule: "kds.loss", Resource: here + "orders", Why: "no consumer polls"},
		},
		Findings: []alarms.Finding{{Rule: "sqs.no_dlq", Severity: alarms.Ticket, Resource: here + "invoices", Sentence: "no dead-letter queue"}},
		Warnings: []string{"oncall has no confirmed subscription"},
		USDMonth: 0.5, Seconds: 1.4, Hash: "f00",
	}
}

func printed(width int, write func(*printer)) string {
	p := printer{width: width}
	write(&p)
	return p.b.String()
}

func TestAlarmPlanText(t *testing.T) {
	x := alarmPlan{plan: samplePlan(), over: "7d", trials: map[string]alarms.Trial{
		"kxops/dlq.loss/orders-dlq": {Name: "kxops/dlq.loss/orders-dlq", Fired: 2, Longest: 660},
	}}
	got := printed(0, func(p *printer) { p.alarmPlan(x) })
	want := `plan 01AB: +1 ~1 -1 · 1 as they should be · 1 covered by alarms of others · 1 without their resource or rule (--prune deletes them) · 1 unknown · +$0.50/month · about 2s to write
  123456789012 shop eu-west-1 · set E · catalogue 1 · by me
  page and ticket -> oncall
warnings
  - oncall has no confirmed subscription
orders  +1 ~0 =2
  + dlq.loss  orders-dlq  > 777,600 s = 9d (DLQ 14d - source 4d - window 24h) · 7d backtest: 2 alarms, longest 11m
clickstream  +0 ~1 -1
  ~ kds.loss  clicks      threshold 43,200,000 -> 302,400,000 ms = 3d12h (retention 24h -> 7d) · config line 12: sampled
  - kds.lag   gone        the stream is gone
  o kds.loss  gone        the stream is gone
unknown: a setting could not be read, so there is no alarm
  - kds.loss secret: its retention could not be read: denied
switched off
  - sqs.age refunds: config line 20: nobody is on call
1 rule where they do not apply; -v says why
findings: no alarm helps, a person does
  ! invoices: no dead-letter queue [sqs.no_dlq]
totals  dlq +1 ~0 · kds +0 ~1 -1 · sqs +0 ~0 =2
+1 ~1 -1 · 1 as they should be · 1 covered by alarms of others · 1 without their resource or rule (--prune deletes them) · 1 unknown · +$0.50/month · about 2s to write
sha256 f00
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// No line is wider than the terminal, and nothing is lost by that.
func TestAlarmPlanNarrow(t *testing.T) {
	for _, width := range []int{60, 80, 100} {
		got := printed(width, func(p *printer) { p.alarmPlan(alarmPlan{plan: samplePlan(), verbose: true}) })
		for line := range strings.Lines(got) {
			if w := text.Width(strings.TrimSuffix(line, "\n")); w > width {
				t.Errorf("%d cells on a terminal of %d: %q", w, width, line)
			}
		}
		flat := strings.Join(strings.Fields(got), " ")
		for _, part := range []string{"DLQ 14d - source 4d - window 24h", "302,400,000 ms = 3d12h", "retention 24h -> 7d", "covered by theirs", "kxops/sqs.age/orders"} {
			if !strings.Contains(flat, part) {
				t.Errorf("at %d cells %q is missing in\n%s", width, part, got)
			}
		}
	}
}

func TestAlarmPlanWithoutChanges(t *testing.T) {
	plan := samplePlan()
	plan.Items, plan.Skipped, plan.Page = plan.Items[1:3], nil, ""
	got := printed(0, func(p *printer) { p.alarmPlan(alarmPlan{plan: plan}) })
	for _, want := range []string{
		"plan 01AB: no changes · 1 as they should be · 1 covered by alarms of others\n", "NOBODY WILL HEAR THESE ALARMS", "\nno changes · 1 as",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "sqs.age") {
		t.Errorf("what stays as it is has a line\n%s", got)
	}
}

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{43_200_000, "ms", "43,200,000 ms = 12h"}, {600, "s", "600 s = 10m"}, {30, "s", "30 s"}, {900, "ms", "900 ms"},
		{0, "messages", "0 messages"}, {0.05, "share", "0.05 share"}, {1234.5, "", "1,234.5"}, {-0.5, "", "-0.5"}, {1e20, "", "1e+20"},
	} {
		if got := quantity(c.v, c.unit); got != c.want {
			t.Errorf("quantity(%v, %q) = %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestTried(t *testing.T) {
	for want, trial := range map[string]alarms.Trial{
		"0 alarms":              {},
		"? (denied)":            {Unknown: "denied"},
		"in ALARM all the time": {Ringing: true},
		"1 alarm, longest 11m":  {Fired: 1, Longest: 660},
		"3 alarms, longest 2h, in ALARM at the end, factor 1.5 gives one a week at most": {Fired: 3, Longest: 7200, Ringing: true, Factor: 1.5},
	} {
		if got := tried(trial); got != want {
			t.Errorf("%+v: %q, want %q", trial, got, want)
		}
	}
}

func sampleCoverage() alarms.Coverage {
	return alarms.Coverage{
		Rules: []string{"kds.loss", "kds.lag", "dlq.loss"},
		Rows: []alarms.CoverRow{
			{Resource: "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", Missing: 1, Cells: []alarms.CoverCell{
				{Cover: alarms.CoverOurs, Alarms: []string{"kxops/kds.loss/clicks"}, State: "ALARM"}, {Cover: alarms.CoverMissing}, {Cover: alarms.CoverNone}}},
			{Resource: here + "orders-dlq", Cells: []alarms.CoverCell{
				{Cover: alarms.CoverNone}, {Cover: alarms.CoverNone}, {Cover: alarms.CoverForeign, Alarms: []string{"theirs"}, State: "OK"}}},
			{Resource: here + "calm", Cells: []alarms.CoverCell{{Cover: alarms.CoverNone}, {Cover: alarms.CoverNone}, {Cover: alarms.CoverNone}}},
		},
	}
}

func TestCoverageText(t *testing.T) {
	r := newCoverageReport(sampleCoverage(), ops.Identity{Account: "123456789012", Region: "eu-west-1"}, alarms.Essential)
	want := `123456789012 eu-west-1 · set E · 3 resources · 1 missing · 1 ours · 1 of others

KDS     loss     lag
clicks  x ALARM  -

DLQ         loss
orders-dlq  f

x ours · f of others · - missing · m muted · o switched off · ? unknown · . does not apply
` + "`kxops alarms plan` says what would be created, with each threshold\n"
	if d := cmp.Diff(want, printed(0, func(p *printer) { p.coverage(r, false) })); d != "" {
		t.Errorf("the matrix (-want +got)\n%s", d)
	}
	narrow := printed(18, func(p *printer) { p.coverage(r, true) })
	flat := strings.Join(strings.Fields(narrow), " ")
	if !strings.Contains(flat, "clicks: 1 missing · 1 ours · in ALARM kds.loss · missing kds.lag") || strings.Contains(flat, "orders-dlq") {
		t.Errorf("the lines:\n%s", narrow)
	}
	if len(r.Resources[0].Rules) != 2 || r.partial() {
		t.Errorf("the report %+v", r)
	}
}

func TestAlarmResultText(t *testing.T) {
	got := printed(80, func(p *printer) {
		p.alarmResult(alarms.Result{ID: "01AB", Created: 3, Left: 2, Failed: []alarms.Failure{{Name: "kxops/x", Why: "denied", Hint: "kxops policy change"}},
			Ringing: []string{"kxops/y"}, Next: []string{"kxops alarms doctor"}})
	})
	want := `alarms 01AB: done in part, 3 created, 0 changed, 0 deleted
  2 alarms not tried: it was interrupted; the same command goes on
failed
  kxops/x: denied
    kxops policy change
in ALARM already; their actions did not run
  kxops/y
next
  - kxops alarms doctor
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// A name by itself is a topic of this region and account; a full one must be.
func TestTopicARN(t *testing.T) {
	s := ops.Snapshot{Identity: ops.Identity{Account: "123456789012", Region: "cn-north-1", Who: "arn:aws-cn:sts::123456789012:assumed-role/x/y"}}
	if got, err := topicARN("page", "oncall", s); err != nil || got != "arn:aws-cn:sns:cn-north-1:123456789012:oncall" {
		t.Errorf("by name it is %q, %v", got, err)
	}
	if _, err := topicARN("page", "arn:aws-cn:sns:cn-northwest-1:123456789012:oncall", s); err == nil || !strings.Contains(err.Error(), "cn-northwest-1") {
		t.Errorf("of another region: %v", err)
	}
}

// What an item is about can be read from its name, also where it is of no resource.
func TestAnItemTellsItsRuleAndResource(t *testing.T) {
	for name, want := range map[string][2]string{
		"kxops/sqs.age/orders":             {"sqs.age", "orders"},
		"kxops/kds.efo_loss/clicks/reader": {"kds.efo_loss", "clicks/reader"},
		"kxops/lambda.account":             {"lambda.account", "the region"},
		"theirs":                           {"?", "theirs"},
	} {
		rule, resource := aboutItem(alarms.Item{Name: name})
		if rule != want[0] || resource != want[1] {
			t.Errorf("%s: %s, %s", name, rule, resource)
		}
	}
}
