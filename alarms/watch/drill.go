package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
)

// drillPatience is how long a drill waits for the results of all actions;
// drillPause is between two looks at the history. Tests shorten both.
var (
	drillPatience = time.Minute
	drillPause    = 2 * time.Second
)

// Drill puts an alarm into ALARM on purpose, waits until CloudWatch says what
// became of each action, and sets the state back to what it was. It is only for
// alarms whose actions are all SNS topics, in every state and in every composite
// alarm above: any other action would act. It is refused where nothing would be
// sent: actions off, muted, or in ALARM already.
//
// say is told beforehand what will happen. Delivered means that SNS took the
// message; whether a person read it, that person must say. The error of an action
// that failed is in the drill, not returned.
func (d *Desk) Drill(ctx context.Context, alarm string, say func(string)) (alarms.Drill, error) {
	if say == nil {
		say = func(string) {}
	}
	out := alarms.Drill{Alarm: alarm}
	if d.o.Journal == nil {
		return out, declined("nothing is changed without a journal", "")
	}
	a, above, err := d.drillable(ctx, alarm)
	if err != nil {
		return out, err
	}
	deserted := d.announce(ctx, a, above, say)
	before, err := d.actionRows(ctx, alarm)
	if err != nil {
		return out, fmt.Errorf("without the history a drill proves nothing: %w", err)
	}
	e, err := d.begin("drill the alarm "+alarm, "")
	if err != nil {
		return out, err
	}
	began := time.Now()
	err = d.drill(ctx, a, e.ID, before, &out, say)
	out.Took = time.Since(began).Seconds()
	if out.Deserted = deserted; len(deserted) > 0 {
		out.Note = strings.TrimPrefix(out.Note+"; nobody listens to "+strings.Join(deserted, ", ")+": SNS takes the message, and no person gets it", "; ")
	}
	return out, errors.Join(err, d.end(e, err != nil && len(out.Actions) > 0, err))
}

// DrillPreview says what a drill of an alarm would do and who would hear it, or why it
// would be refused. It only reads.
func (d *Desk) DrillPreview(ctx context.Context, alarm string) ([]string, error) {
	a, above, err := d.drillable(ctx, alarm)
	if err != nil {
		return nil, err
	}
	out := []string{fmt.Sprintf("%s goes to ALARM for a moment, and back to %s", a.name, a.state)}
	d.announce(ctx, a, above, func(line string) { out = append(out, line) })
	return out, nil
}

// drillable finds an alarm that may be drilled, and the composite alarms above it.
func (d *Desk) drillable(ctx context.Context, alarm string) (a patient, above []patient, err error) {
	seen, err := d.allAlarms(ctx)
	if err != nil {
		return a, nil, err
	}
	i := slices.IndexFunc(seen, func(a patient) bool { return a.name == alarm })
	if i < 0 {
		return a, nil, &ops.Problem{Fault: ops.FaultNotFound, What: "there is no alarm named " + alarm, Hint: "the name must be exact; `aws cloudwatch describe-alarms` lists them"}
	}
	a = seen[i]
	above = compositesAbove(a.name, seen)
	mutes, err := d.Mutes(ctx)
	if err != nil {
		return a, nil, fmt.Errorf("whether %s is muted is not known: %w", alarm, err)
	}
	return a, above, mayDrill(a, above, mutes)
}

// mayDrill says why nothing would come of a drill, or more than messages.
func mayDrill(a patient, above []patient, mutes []alarms.Mute) error {
	if len(a.onAlarm) == 0 {
		return declined(a.name+" has no action for ALARM: nothing would be sent", "`kxops alarms doctor` lists such alarms")
	}
	for _, x := range append([]patient{a}, above...) {
		for _, action := range slices.Concat(x.onAlarm, x.onOK, x.onUnknown) {
			if action.Service() != "sns" {
				return declined(fmt.Sprintf("%s has the action %s, which would act and not only tell", x.name, action),
					"a drill is only for alarms whose actions are all SNS topics")
			}
		}
	}
	switch {
	case !a.actionsOn:
		return declined("the actions of "+a.name+" are switched off: nothing would be sent",
			"aws cloudwatch enable-alarm-actions --alarm-names "+shellWord(a.name)+" switches them on")
	case a.state == types.StateValueAlarm:
		return declined(a.name+" is in ALARM already: its actions have run, and run again only after it was OK", "look at what it says")
	}
	for _, m := range mutes {
		if m.State == "active" && slices.Contains(m.Alarms, a.name) {
			return declined(fmt.Sprintf("%s is muted by %s%s: nothing would be sent", a.name, m.Name, untilWord(m.Until)), "unmute it, or drill when the mute is over")
		}
	}
	if a.suppressed != "" {
		return declined(fmt.Sprintf("the actions of %s are suppressed (%s): nothing would be sent", a.name, a.suppressed), "")
	}
	return nil
}

func untilWord(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + t.UTC().Format("2006-01-02 15:04") + " UTC"
}

// announce says what will happen, as far as it can be known.
// deserted are the topics that nobody listens to: SNS takes their messages all the same.
func (d *Desk) announce(ctx context.Context, a patient, above []patient, say func(string)) (deserted []string) {
	for _, topic := range a.onAlarm {
		subs, err := d.subscribers(ctx, topic)
		if err != nil {
			say(fmt.Sprintf("%s gets a message; its subscribers could not be listed: %s", topic.Name(), d.o.Explain(err).What))
			continue
		}
		say(fmt.Sprintf("%s gets a message for ALARM and tells %s", topic.Name(), subs.words()))
		if len(subs.confirmed) == 0 {
			deserted = append(deserted, topic.Name())
		}
	}
	if back := a.actionsFor(a.state); len(back) > 0 {
		say(fmt.Sprintf("when it is set back to %s, its %d actions for that run too", a.state, len(back)))
	}
	for _, c := range above {
		say("the composite alarm " + c.name + " looks at it, and may go to ALARM with its own actions")
	}
	return deserted
}

// drill does it. From the first write on the state is set back, whatever happens,
// also when ctx ends: an answer that was lost may have changed the state.
func (d *Desk) drill(ctx context.Context, a patient, id string, before map[string]bool, out *alarms.Drill, say func(string)) (err error) {
	reason := clip(fmt.Sprintf("DRILL %s with kxops by %s: this is a test of the alarm's actions, nothing is wrong. It was %s.", id, d.who(), a.state), 1023)
	defer func() {
		note, resetErr := d.reset(ctx, a, reason)
		out.Reset, out.Note = resetErr == nil, note
		if resetErr != nil {
			err = errors.Join(err, fmt.Errorf("%s was not set back to %s: %w", a.name, a.state, resetErr))
		}
	}()
	if err := d.setState(ctx, a.name, types.StateValueAlarm, reason); err != nil {
		return fmt.Errorf("set %s to ALARM: %w", a.name, d.explained(err))
	}
	say(a.name + " is in ALARM; waiting for what becomes of its actions")
	return d.await(ctx, a, before, out)
}

// await looks at the history until each action has a result.
func (d *Desk) await(ctx context.Context, a patient, before map[string]bool, out *alarms.Drill) error {
	ctx, cancel := context.WithTimeout(ctx, drillPatience)
	defer cancel()
	tick := time.NewTicker(drillPause)
	defer tick.Stop()
	results := map[ops.ARN]actionRow{}
	muted := false
	var trouble error // the last look's
	for {
		rows, err := d.history(ctx, &cloudwatch.DescribeAlarmHistoryInput{AlarmName: &a.name}, 1)
		trouble = err
		for _, r := range rows.rows { // newest first: the oldest new one is the drill's
			if !before[r.key()] {
				muted = muted || r.state == "Muted"
				results[r.target] = r
			}
		}
		out.Actions = drillActions(a.onAlarm, results)
		if !slices.ContainsFunc(out.Actions, func(x alarms.DrillAction) bool { return !x.Delivered && !x.Failed }) {
			return nil
		}
		if muted {
			return declined("a mute began meanwhile: CloudWatch held the actions back", "drill again when it is over")
		}
		select {
		case <-ctx.Done():
			if trouble != nil && context.Cause(ctx) != context.Canceled {
				return fmt.Errorf("what became of the actions is not known: %w", d.explained(trouble))
			}
			return &ops.Problem{Fault: ops.FaultTimeout, What: "CloudWatch did not say in time what became of every action",
				Hint: "aws cloudwatch describe-alarm-history --history-item-type Action --alarm-name " + shellWord(a.name), Err: ctx.Err()}
		case <-tick.C:
		}
	}
}

func drillActions(targets []ops.ARN, results map[ops.ARN]actionRow) []alarms.DrillAction {
	var out []alarms.DrillAction
	for _, t := range targets {
		r, ok := results[t]
		x := alarms.DrillAction{ARN: t, What: "no result yet"}
		if ok {
			x.Delivered, x.Failed, x.What = r.state == "Succeeded", r.state == "Failed", r.words()
		}
		out = append(out, x)
	}
	return out
}

// reset sets the state back, unless CloudWatch has judged the alarm since: its own
// word is better than the state of before.
func (d *Desk) reset(ctx context.Context, a patient, reason string) (note string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callPatience)
	defer cancel()
	out, err := d.metrics.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{a.name}, AlarmTypes: everyAlarmType})
	if err == nil {
		now := patientsOf(out.MetricAlarms, out.CompositeAlarms)
		if len(now) == 0 {
			return "the alarm was deleted meanwhile", nil
		}
		if now[0].reason != reason {
			return fmt.Sprintf("CloudWatch has judged the alarm since: it is %s", now[0].state), nil
		}
	} // else it is set back without a look: the state of before is the best that is known
	back := clip("DRILL is over; the state of before is back. "+a.reason, 1023)
	if err := d.setState(ctx, a.name, a.state, back); err != nil {
		return "it is in ALARM until CloudWatch judges it again", d.explained(err)
	}
	return "", nil
}

func (d *Desk) setState(ctx context.Context, name string, to types.StateValue, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	_, err := d.metrics.SetAlarmState(ctx, &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: to, StateReason: &reason})
	return err
}

func (d *Desk) actionRows(ctx context.Context, alarm string) (map[string]bool, error) {
	found, err := d.history(ctx, &cloudwatch.DescribeAlarmHistoryInput{AlarmName: &alarm}, 1)
	if err != nil {
		return nil, d.explained(err)
	}
	keys := map[string]bool{}
	for _, r := range found.rows {
		keys[r.key()] = true
	}
	return keys, nil
}

// actionRow is one Action item of the history.
type actionRow struct {
	alarm   string
	at      time.Time
	target  ops.ARN // what was to be told; "" of a mute
	state   string  // Succeeded, Failed, Muted, or "" where CloudWatch's words are not known
	failure string
	summary string
	data    string
}

func (r actionRow) key() string { return r.at.Format(time.RFC3339Nano) + r.summary + r.data }

func (r actionRow) words() string {
	if r.failure != "" {
		return r.failure
	}
	return r.summary
}

// historyRead is what was found, newest first, and whether that is all.
type historyRead struct {
	rows []actionRow
	all  bool
	back time.Time // of the oldest row read
}

// history reads Action items, newest first, at most so many pages of 100.
func (d *Desk) history(ctx context.Context, in *cloudwatch.DescribeAlarmHistoryInput, pages int) (historyRead, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	in.HistoryItemType, in.AlarmTypes = types.HistoryItemTypeAction, everyAlarmType
	in.ScanBy, in.MaxRecords = types.ScanByTimestampDescending, aws.Int32(100)
	var out historyRead
	list := cloudwatch.NewDescribeAlarmHistoryPaginator(d.metrics, in)
	for n := 0; list.HasMorePages() && n < pages; n++ {
		page, err := list.NextPage(ctx)
		if err != nil {
			return out, err
		}
		for _, item := range page.AlarmHistoryItems {
			r := rowOf(item)
			out.rows, out.back = append(out.rows, r), r.at
		}
	}
	out.all = !list.HasMorePages()
	return out, nil
}

// CloudWatch's sentences, for rows whose data has another form than today's.
var (
	wentWell  = regexp.MustCompile(`^Successfully executed action (\S+)`)
	wentWrong = regexp.MustCompile(`(?s)^Failed to execute action (\S+?)\.? Received error: (.*)$`)
)

func rowOf(item types.AlarmHistoryItem) actionRow {
	r := actionRow{alarm: aws.ToString(item.AlarmName), at: aws.ToTime(item.Timestamp), summary: aws.ToString(item.HistorySummary), data: aws.ToString(item.HistoryData)}
	var data struct {
		State  string `json:"actionState"`
		Target string `json:"notificationResource"`
		Error  string `json:"error"`
	}
	if json.Unmarshal([]byte(r.data), &data) == nil {
		r.state, r.target, r.failure = data.State, ops.ARN(data.Target), data.Error
	}
	if m := wentWell.FindStringSubmatch(r.summary); m != nil && (r.state == "" || r.target == "") {
		r.state, r.target = "Succeeded", ops.ARN(m[1])
	}
	if m := wentWrong.FindStringSubmatch(r.summary); m != nil {
		r.state, r.target = "Failed", ops.ARN(m[1])
		if r.failure == "" {
			r.failure = strings.Trim(m[2], `" `)
		}
	}
	return r
}
