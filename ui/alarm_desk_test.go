package ui

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/alarms"
	"kxops/ops"
)

// alarmsOfValues is an alarm desk over values.
type alarmsOfValues struct {
	mu       sync.Mutex
	cover    alarms.Coverage
	wanted   alarms.Wanted
	plan     alarms.Plan
	planErr  error
	asks     []alarms.Ask
	applied  []alarms.Plan
	hold     chan struct{} // Apply and Drill wait for it, when set
	begun    chan struct{} // closed when one of them has begun, when set
	say      func(alarms.Progress)
	result   alarms.Result
	applyErr error
	checkup  alarms.Checkup
	checks   int
	back     alarms.Backtest
	trials   [][]alarms.Spec
	mutes    []alarms.Mute
	err      error // of every reading
	drillOf  alarms.Drill
	drills   []string
	setBack  bool // a drill was cut off and set its alarm back
}

func (d *alarmsOfValues) Ask(context.Context, ops.Snapshot) (alarms.Ask, error) {
	return alarms.Ask{Settings: alarms.Settings{Tier: alarms.Essential, Page: arn("sns", "oncall")}}, d.err
}

func (d *alarmsOfValues) Wanted(ops.Snapshot, alarms.Ask) alarms.Wanted { return d.wanted }

func (d *alarmsOfValues) Coverage(context.Context, ops.Snapshot, alarms.Ask) (alarms.Coverage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cover, d.err
}

func (d *alarmsOfValues) Plan(_ context.Context, _ ops.Snapshot, ask alarms.Ask) (alarms.Plan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asks = append(d.asks, ask)
	p := d.plan
	p.Tier, p.Page, p.Ticket = ask.Settings.Tier, ask.Settings.Page, ask.Settings.Ticket
	if len(d.applied) > 0 { // what was applied is as it should be
		p.Items = nil
		for _, x := range d.plan.Items {
			if x.Action != alarms.Delete {
				if x.Action != alarms.Orphan {
					x.Action, x.Changes = alarms.Keep, nil
				}
				p.Items = append(p.Items, x)
			}
		}
		p.USDMonth, p.Seconds = 0, 0
	}
	return p, d.planErr
}

func (d *alarmsOfValues) Apply(ctx context.Context, p alarms.Plan, say func(alarms.Progress)) (alarms.Result, error) {
	d.mu.Lock()
	d.applied, d.say = append(d.applied, p), say
	hold := d.hold
	if d.begun != nil {
		close(d.begun)
		d.begun = nil
	}
	d.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return alarms.Result{ID: p.ID, Left: 3}, ctx.Err()
		}
	}
	return d.result, d.applyErr
}

func (d *alarmsOfValues) Doctor(context.Context, ops.Snapshot) (alarms.Checkup, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checks++
	return d.checkup, d.err
}

func (d *alarmsOfValues) TrialCost(specs []alarms.Spec, over time.Duration) (float64, int) {
	return 0.0001 * float64(len(specs)), int(over/(24*time.Hour)) * len(specs)
}

func (d *alarmsOfValues) Backtest(_ context.Context, specs []alarms.Spec, over time.Duration, say func(int, int)) (alarms.Backtest, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trials = append(d.trials, specs)
	say(len(specs), len(specs))
	b := d.back
	b.From, b.Until = sampleNow.Add(-over), sampleNow
	return b, d.err
}

func (d *alarmsOfValues) Mute(_ context.Context, names []string, long time.Duration, reason string) ([]alarms.Mute, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := alarms.Mute{Name: fmt.Sprintf("kxops-mute-%d", len(d.mutes)+1), Alarms: names, From: sampleNow, Until: sampleNow.Add(long), Ours: true, Reason: reason, State: "active"}
	d.mutes = append(d.mutes, m)
	return []alarms.Mute{m}, nil
}

func (d *alarmsOfValues) Mutes(context.Context) ([]alarms.Mute, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.mutes), d.err
}

func (d *alarmsOfValues) Unmute(_ context.Context, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mutes = slices.DeleteFunc(d.mutes, func(m alarms.Mute) bool { return m.Name == name })
	return nil
}

func (d *alarmsOfValues) DrillPreview(_ context.Context, alarm string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	return []string{alarm + " goes to ALARM for a moment, and back to OK", "oncall gets a message for ALARM and tells 2 email"}, nil
}

func (d *alarmsOfValues) Drill(ctx context.Context, alarm string, _ func(string)) (alarms.Drill, error) {
	d.mu.Lock()
	d.drills = append(d.drills, alarm)
	hold, x := d.hold, d.drillOf
	if d.begun != nil {
		close(d.begun)
		d.begun = nil
	}
	d.mu.Unlock()
	x.Alarm = alarm
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			d.mu.Lock()
			defer d.mu.Unlock()
			d.setBack = true
			return alarms.Drill{Alarm: alarm, Reset: true}, ctx.Err()
		}
	}
	return x, nil
}

// sampleAlarms is an alarm desk with something of everything.
func sampleAlarms() *alarmsOfValues {
	clicks, orders, failed := arn("kinesis", "clicks"), arn("sqs", "orders"), arn("sqs", "orders-failed")
	loss := alarms.Spec{Name: "kxops/kds.loss/clicks", Rule: "kds.loss", Resource: clicks, Tier: alarms.Essential, Severity: alarms.Page,
		Query: alarms.Query{Namespace: "AWS/Kinesis", Metric: "GetRecords.IteratorAgeMilliseconds"}, Stat: "Maximum", Period: 60, M: 15, N: 15,
		Comparison: alarms.Above, Threshold: 43200000, Unit: "ms", Missing: alarms.MissingIsBad, Formula: "0.5 × retention 24h", Inputs: map[string]string{"retention": "24h"},
		Why: "records are trimmed at the end of the retention, read or not", Runbook: []string{"kxops status clicks", "raise the retention first: it buys time", "find the consumer that stopped"}, Source: "AWS: recommended alarms"}
	age := alarms.Spec{Name: "kxops/sqs.age/orders", Rule: "sqs.age", Resource: orders, Tier: alarms.Essential, Severity: alarms.Ticket,
		Query: alarms.Query{Namespace: "AWS/SQS", Metric: "ApproximateAgeOfOldestMessage"}, Stat: "Maximum", Period: 60, M: 15, N: 15,
		Comparison: alarms.AtLeast, Threshold: 600, Unit: "s", Missing: alarms.MissingIsGood, Formula: "max(10m, visibility 30s × 3)", Why: "a message waits much longer than one attempt takes", Source: "ours"}
	dead := alarms.Spec{Name: "kxops/dlq.loss/orders-failed", Rule: "dlq.loss", Resource: failed, Tier: alarms.Essential, Severity: alarms.Page,
		Query: alarms.Query{Namespace: "AWS/SQS", Metric: "ApproximateAgeOfOldestMessage"}, Stat: "Maximum", Period: 300, M: 1, N: 1,
		Comparison: alarms.Above, Threshold: 777600, Unit: "s", Missing: alarms.MissingIsGood, Formula: "retention 14d − source 4d − window 1d", Why: "expiry counts from the first send", Source: "ours"}
	rules := []string{"kds.loss", "kds.stall", "kds.lag", "kds.write_throttle", "fh.stale", "fh.blocked", "sqs.loss", "sqs.age", "sqs.stuck", "dlq.loss", "dlq.nonempty", "lambda.throttles", "sns.failed"}
	row := func(r ops.ARN, pipeline string, cells map[string]alarms.CoverCell) alarms.CoverRow {
		out := alarms.CoverRow{Resource: r, Pipeline: pipeline}
		for _, rule := range rules {
			x, ok := cells[rule]
			if !ok {
				x = alarms.CoverCell{Cover: alarms.CoverNone, Why: "the rule is about another kind of resource"}
			}
			if x.Cover == alarms.CoverMissing {
				out.Missing++
			}
			out.Cells = append(out.Cells, x)
		}
		return out
	}
	missing := alarms.CoverCell{Cover: alarms.CoverMissing}
	d := &alarmsOfValues{
		wanted: alarms.Wanted{Specs: []alarms.Spec{loss, age, dead}},
		cover: alarms.Coverage{Rules: rules, Rows: []alarms.CoverRow{
			row(clicks, "clicks", map[string]alarms.CoverCell{"kds.loss": missing, "kds.stall": {Cover: alarms.CoverForeign, Alarms: []string{"clicks-lag"}, State: "ALARM"}, "kds.lag": missing, "kds.write_throttle": {Cover: alarms.CoverOurs, Alarms: []string{"kxops/kds.write_throttle/clicks"}, State: "OK"}}),
			row(arn("kinesis", "payments"), "payments", map[string]alarms.CoverCell{"kds.loss": {Cover: alarms.CoverNone, Why: "nobody reads the stream by polling"}, "kds.stall": {Cover: alarms.CoverOff, Why: "tag of the stream: a test"}, "kds.write_throttle": {Cover: alarms.CoverUnknown, Why: "the mode could not be read"}}),
			row(arn("firehose", "clicks-to-s3"), "clicks", map[string]alarms.CoverCell{"fh.stale": missing, "fh.blocked": missing}),
			row(orders, "orders", map[string]alarms.CoverCell{"sqs.loss": missing, "sqs.age": {Cover: alarms.CoverMuted, Alarms: []string{"orders-age"}, State: "OK"}, "sqs.stuck": missing}),
			row(failed, "orders", map[string]alarms.CoverCell{"dlq.loss": missing, "dlq.nonempty": missing}),
		}},
		checkup: alarms.Checkup{Checked: 12, Healthy: 9, Ailments: []alarms.Ailment{
			{Kind: "no_subscriber", What: "the topic oncall has no confirmed subscription: two alarms tell nobody", Fix: "aws sns subscribe --topic-arn arn:aws:sns:eu-west-1:123456789012:oncall --protocol email --notification-endpoint you@example.com", Severity: alarms.Page, Alarms: []string{"clicks-lag", "kxops/kds.write_throttle/clicks"}},
			{Kind: "no_action", What: "orders-age has no action: it rings and tells nobody", Fix: "kxops alarms apply --adopt", Severity: alarms.Ticket, Alarm: "orders-age"},
		}},
		back: alarms.Backtest{Calls: 7, USD: 0.0001, Trials: []alarms.Trial{{Name: age.Name, Rule: "sqs.age", Resource: orders, Fired: 2, Longest: 660, Total: 900, First: sampleNow.Add(-100 * time.Hour), Last: sampleNow.Add(-20 * time.Hour), Points: 10000, Periods: 10080, Factor: 1.4, Threshold: 600,
			Spells: []alarms.Spell{{From: sampleNow.Add(-100 * time.Hour), Until: sampleNow.Add(-100*time.Hour + 11*time.Minute)}, {From: sampleNow.Add(-20 * time.Hour), Until: sampleNow.Add(-20*time.Hour + 4*time.Minute)}}}}},
		result:  alarms.Result{ID: "20261122-143000-a1b2", Created: 2, Updated: 1, Ringing: []string{"kxops/dlq.loss/orders-failed"}, Next: []string{"kxops alarms drill kxops/kds.loss/clicks proves that it reaches somebody"}},
		drillOf: alarms.Drill{Reset: true, Took: 4, Actions: []alarms.DrillAction{{ARN: "arn:aws:sns:eu-west-1:123456789012:oncall", Delivered: true, What: "Successfully executed action arn:aws:sns:eu-west-1:123456789012:oncall"}}},
		plan: alarms.Plan{Schema: alarms.PlanSchema, ID: "20261122-143000-a1b2", Account: "123456789012", Alias: "shop", Region: "eu-west-1", By: "jo", Created: sampleNow, Catalogue: alarms.Catalogue,
			USDMonth: 0.2, Seconds: 1.2, Hash: "9f2c", Warnings: []string{"the topic oncall has no confirmed subscription"},
			Items: []alarms.Item{
				{Action: alarms.Create, Name: loss.Name, Pipeline: "clicks", Spec: &loss, Actions: []string{"arn:aws:sns:eu-west-1:123456789012:oncall"}},
				{Action: alarms.Keep, Name: "kxops/kds.write_throttle/clicks", Pipeline: "clicks"},
				{Action: alarms.Update, Name: age.Name, Pipeline: "orders", Spec: &age, Changes: []alarms.Change{{Field: "threshold", Old: "5m", New: "10m", Because: "visibility 10s -> 30s"}}},
				{Action: alarms.Create, Name: dead.Name, Pipeline: "orders", Spec: &dead},
				{Action: alarms.Orphan, Name: "kxops/sqs.age/gone", Pipeline: "", Why: "the queue gone is not there any more"},
			}},
	}
	return d
}

// accountWithAlarms is an account where dead letters and alarms can be worked on.
type accountWithAlarms struct {
	accountWithDesk
	alarms *alarmsOfValues
}

func (a accountWithAlarms) AlarmDesk(context.Context) (AlarmDesk, error) { return a.alarms, nil }

func alarmOptions(d *alarmsOfValues) Options {
	o := deskOptions(sampleDesk())
	o.Backend = accountWithAlarms{o.Backend.(accountWithDesk), d}
	return o
}

// progress says how far the plan is that is being applied.
func (d *alarmsOfValues) progress(p alarms.Progress) {
	d.mu.Lock()
	say := d.say
	d.mu.Unlock()
	say(p)
}

// begin presses a key whose work goes on; what it brings is told when end is called.
func (c *console) begin(d *alarmsOfValues, key string) (end func()) {
	c.t.Helper()
	begun := make(chan struct{})
	d.mu.Lock()
	d.begun = begun
	d.mu.Unlock()
	c.wall = c.wall.Add(time.Second)
	_, cmd := c.app.Update(keyPress(key))
	msgs := make(chan tea.Msg, 16)
	aside(cmd, msgs)
	<-begun
	return func() {
		for {
			if msg, ok := (<-msgs).(alarmsAppliedMsg); ok {
				_, cmd := c.app.Update(msg)
				c.run(cmd)
				return
			}
		}
	}
}

// aside runs a command, and those of a batch, each by itself.
func aside(cmd tea.Cmd, msgs chan<- tea.Msg) {
	if cmd == nil {
		return
	}
	go func() {
		msg := cmd()
		batch, ok := msg.(tea.BatchMsg)
		if !ok {
			msgs <- msg
			return
		}
		for _, cmd := range batch {
			aside(cmd, msgs)
		}
	}()
}
