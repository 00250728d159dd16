package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

func init() { drillPause, drillPatience = 5*time.Millisecond, 2*time.Second }

// messages empties a queue that listens to a topic and returns the alarm messages.
func (p *place) messages(t testing.TB, url string) []string {
	t.Helper()
	c := sqs.NewFromConfig(p.Config())
	var out []string
	for range 20 {
		got, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
		must(t, err)
		if len(got.Messages) == 0 {
			return out
		}
		for _, m := range got.Messages {
			var envelope struct{ Message string }
			must(t, json.Unmarshal([]byte(aws.ToString(m.Body)), &envelope))
			out = append(out, envelope.Message)
		}
	}
	return out
}

func (p *place) outcomes(t testing.TB, d *Desk) []journal.Outcome {
	t.Helper()
	list, err := d.o.Journal.Entries(0)
	must(t, err)
	var out []journal.Outcome
	for _, e := range list {
		out = append(out, e.Outcome)
	}
	return out
}

// TestDrillReachesTheListener is the whole path: the message is in the queue, it
// says that it is a drill and whose, and the alarm is as it was.
func TestDrillReachesTheListener(t *testing.T) {
	p := at(t, "")
	topic := p.topic(t, "pager")
	url, _ := p.listener(t, topic, "inbox")
	p.put(t, errorsAlarm("checkout", topic))
	p.judged(t)
	var said []string
	got, err := p.desk.Drill(t.Context(), "checkout", func(s string) { said = append(said, s) })
	must(t, err)
	if !got.Reset || len(got.Actions) != 1 || !got.Actions[0].Delivered || got.Actions[0].Failed || got.Actions[0].ARN != topic {
		t.Fatalf("%+v", got)
	}
	m := p.messages(t, url)
	if len(m) != 1 || !strings.Contains(m[0], "DRILL") || !strings.Contains(m[0], "assumed-role/oncall/test") || !strings.Contains(m[0], "nothing is wrong") {
		t.Fatalf("%q", m)
	}
	if len(said) < 2 || !strings.Contains(said[0], "pager gets a message for ALARM and tells 1 sqs") {
		t.Fatalf("%q", said)
	}
	if a := p.alarm(t, "checkout"); a.StateValue != types.StateValueOk {
		t.Fatalf("%s: %s", a.StateValue, aws.ToString(a.StateReason))
	}
	if o := p.outcomes(t, p.desk); !slices.Equal(o, []journal.Outcome{journal.Started, journal.Done}) {
		t.Fatal(o)
	}
	// A second one is told from the first.
	if got, err = p.desk.Drill(t.Context(), "checkout", nil); err != nil || !got.Actions[0].Delivered || len(p.messages(t, url)) != 1 {
		t.Fatalf("%+v %v", got, err)
	}
}

// TestDrillTellsItsResultFromOlderOnes: what worked the last time has failed now.
func TestDrillTellsItsResultFromOlderOnes(t *testing.T) {
	p := at(t, "")
	topic := p.heard(t, "pager")
	p.put(t, errorsAlarm("checkout", topic))
	p.judged(t)
	_, err := p.desk.Drill(t.Context(), "checkout", nil)
	must(t, err)
	p.setTopic(t, topic, "KmsMasterKeyId", "alias/aws/sns")
	got, err := p.desk.Drill(t.Context(), "checkout", nil)
	must(t, err)
	if got.Actions[0].Delivered || !got.Actions[0].Failed {
		t.Fatalf("%+v", got)
	}
}

// TestDrillSaysThatNobodyListens: SNS takes the message, and that is not enough.
func TestDrillSaysThatNobodyListens(t *testing.T) {
	p := at(t, "")
	p.put(t, errorsAlarm("checkout", p.page))
	p.judged(t)
	got, err := p.desk.Drill(t.Context(), "checkout", nil)
	must(t, err)
	if !got.Actions[0].Delivered || !strings.Contains(got.Note, "nobody listens to oncall") || len(got.Deserted) != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestDrillSaysWhatFailed(t *testing.T) {
	p := at(t, "")
	good, sealed := p.heard(t, "good"), p.heard(t, "sealed")
	p.put(t, errorsAlarm("checkout", good, sealed))
	p.judged(t)
	p.setTopic(t, sealed, "KmsMasterKeyId", "alias/aws/sns")
	got, err := p.desk.Drill(t.Context(), "checkout", nil)
	must(t, err)
	if !got.Reset || len(got.Actions) != 2 || !got.Actions[0].Delivered || !got.Actions[1].Failed || got.Actions[1].Delivered || !strings.Contains(got.Actions[1].What, "alias/aws/sns") {
		t.Fatalf("%+v", got)
	}
}

func TestDrillIsRefusedWhereItWouldActOrSendNothing(t *testing.T) {
	function := ops.ARN("arn:aws:lambda:" + region + ":" + sandbox.Account + ":function:restart")
	for _, c := range []struct {
		name string
		set  func(t *testing.T, p *place, topic ops.ARN)
		says string
	}{
		{"no action", func(t *testing.T, p *place, _ ops.ARN) { p.put(t, errorsAlarm("checkout")) }, "no action for ALARM"},
		{"a function", func(t *testing.T, p *place, topic ops.ARN) { p.put(t, errorsAlarm("checkout", topic, function)) }, string(function)},
		{"a function when it is over", func(t *testing.T, p *place, topic ops.ARN) {
			in := errorsAlarm("checkout", topic)
			in.OKActions = []string{string(function)}
			p.put(t, in)
		}, string(function)},
		{"a function two composites above", func(t *testing.T, p *place, topic ops.ARN) {
			p.put(t, errorsAlarm("checkout", topic))
			for _, in := range []*cloudwatch.PutCompositeAlarmInput{
				{AlarmName: aws.String("middle"), AlarmRule: aws.String("ALARM(checkout)")},
				{AlarmName: aws.String("top"), AlarmRule: aws.String("ALARM(middle)"), AlarmActions: []string{string(function)}},
			} {
				_, err := p.cw.PutCompositeAlarm(t.Context(), in)
				must(t, err)
			}
		}, "top has the action " + string(function)},
		{"actions off", func(t *testing.T, p *place, topic ops.ARN) {
			in := errorsAlarm("checkout", topic)
			in.ActionsEnabled = aws.Bool(false)
			p.put(t, in)
		}, "switched off"},
		{"in ALARM", func(t *testing.T, p *place, topic ops.ARN) {
			in := errorsAlarm("checkout", topic)
			in.Threshold = aws.Float64(0)
			p.put(t, in)
		}, "in ALARM already"},
		{"muted", func(t *testing.T, p *place, topic ops.ARN) {
			p.put(t, errorsAlarm("checkout", topic))
			_, err := p.desk.Mute(t.Context(), []string{"checkout"}, time.Hour, "resharding")
			must(t, err)
		}, "is muted by kxops-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := at(t, "")
			topic := p.topic(t, "pager")
			url, _ := p.listener(t, topic, "inbox")
			c.set(t, p, topic)
			p.judged(t)
			before := p.alarm(t, "checkout")
			p.messages(t, url)
			_, err := p.desk.Drill(t.Context(), "checkout", nil)
			isRefused(t, err, c.says)
			if a := p.alarm(t, "checkout"); a.StateValue != before.StateValue || len(p.messages(t, url)) > 0 {
				t.Fatalf("it was drilled: %s", a.StateValue)
			}
		})
	}
	for _, action := range []ops.ARN{"arn:aws:automate:eu-west-1:ec2:reboot", "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:x", "arn:aws:ssm:eu-west-1:123456789012:opsitem:3", "nonsense"} {
		a := patient{name: "checkout", actionsOn: true, state: types.StateValueOk, onAlarm: []ops.ARN{"arn:aws:sns:eu-west-1:123456789012:oncall", action}}
		isRefused(t, mayDrill(a, nil, nil), string(action))
		a.onAlarm, a.onUnknown = a.onAlarm[:1], []ops.ARN{action}
		isRefused(t, mayDrill(a, nil, nil), string(action))
	}
	t.Run("no such alarm", func(t *testing.T) {
		_, err := at(t, "").desk.Drill(t.Context(), "checkout", nil)
		if x := ops.AsProblem(err); x == nil || x.Fault != ops.FaultNotFound {
			t.Fatal(err)
		}
	})
}

// TestDrillSetsTheStateBackWhateverHappens: the person gives up, or the answer of
// the write is lost.
func TestDrillSetsTheStateBackWhateverHappens(t *testing.T) {
	t.Run("cancelled", func(t *testing.T) {
		p := at(t, "")
		p.put(t, errorsAlarm("checkout", p.heard(t, "pager")))
		p.judged(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		got, err := p.desk.Drill(ctx, "checkout", func(s string) {
			if strings.Contains(s, "is in ALARM") {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || !got.Reset {
			t.Fatalf("%+v %v", got, err)
		}
		if a := p.alarm(t, "checkout"); a.StateValue != types.StateValueOk {
			t.Fatal(a.StateValue)
		}
	})
	t.Run("lost answer", func(t *testing.T) {
		p := at(t, "")
		p.put(t, errorsAlarm("checkout", p.heard(t, "pager")))
		p.judged(t)
		d := p.deskAt(t, cloud.Change, func(c *aws.Config) { c.RetryMaxAttempts = 1 })
		struck := false
		d.o.Explain = func(err error) *ops.Problem { // the first thing done with the lost answer: from here on all is well
			struck = true
			p.SetFaults()
			return &ops.Problem{Fault: ops.FaultOther, What: err.Error(), Err: err}
		}
		p.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "cloudwatch", Operation: "SetAlarmState"})
		got, err := d.Drill(t.Context(), "checkout", nil)
		if err == nil || !struck || !got.Reset {
			t.Fatalf("%+v %v", got, err)
		}
		if a := p.alarm(t, "checkout"); a.StateValue != types.StateValueOk {
			t.Fatal(a.StateValue)
		}
	})
	t.Run("CloudWatch was faster", func(t *testing.T) {
		p := at(t, "")
		p.put(t, errorsAlarm("checkout", p.heard(t, "pager")))
		p.judged(t)
		got, err := p.desk.Drill(t.Context(), "checkout", func(s string) {
			if strings.Contains(s, "is in ALARM") {
				p.judged(t)
			}
		})
		must(t, err)
		if !got.Reset || !strings.Contains(got.Note, "CloudWatch has judged the alarm since: it is OK") || !got.Actions[0].Delivered {
			t.Fatalf("%+v", got)
		}
	})
}

func TestDrillNeedsTheRightToChange(t *testing.T) {
	p := at(t, "")
	p.put(t, errorsAlarm("checkout", p.heard(t, "pager")))
	p.judged(t)
	d := p.deskAt(t, cloud.Look, nil)
	_, err := d.Drill(t.Context(), "checkout", nil)
	if x := ops.AsProblem(err); x == nil || x.Fault != ops.FaultRefused {
		t.Fatal(err)
	}
	if o := p.outcomes(t, d); !slices.Equal(o, []journal.Outcome{journal.Started, journal.Failed}) {
		t.Fatal(o)
	}
}

func TestHistoryRows(t *testing.T) {
	row := func(summary, data string) actionRow {
		r := rowOf(types.AlarmHistoryItem{HistorySummary: &summary, HistoryData: &data})
		r.summary, r.data = "", ""
		return r
	}
	const topic = "arn:aws:sns:eu-west-1:123456789012:oncall"
	for _, c := range []struct {
		summary, data string
		want          actionRow
	}{
		{"Successfully executed action " + topic, `{"actionState":"Succeeded","notificationResource":"` + topic + `"}`, actionRow{state: "Succeeded", target: topic}},
		{"Successfully executed action " + topic, `another form`, actionRow{state: "Succeeded", target: topic}},
		{"Failed to execute action " + topic + `. Received error: "no key"`, `{}`, actionRow{state: "Failed", target: topic, failure: "no key"}},
		{"Failed to execute action " + topic + `. Received error: "no key"`, `{"actionState":"Failed","notificationResource":"` + topic + `","error":"KMS"}`, actionRow{state: "Failed", target: topic, failure: "KMS"}},
		{"Actions were muted", `{"actionState":"Muted","alarmMuteRule":"x"}`, actionRow{state: "Muted"}},
		{"", "", actionRow{}},
	} {
		if got := row(c.summary, c.data); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.summary, got, c.want)
		}
	}
}

func TestMuteHoldsActionsBackAndEndsByItself(t *testing.T) {
	p := at(t, "")
	topic := p.topic(t, "pager")
	url, _ := p.listener(t, topic, "inbox")
	p.put(t, errorsAlarm("checkout", topic))
	p.judged(t)
	p.Advance(20 * time.Second) // in the middle of a minute
	made, err := p.desk.Mute(t.Context(), []string{"checkout", "checkout"}, 9*time.Minute+time.Second, "resharding\nat noon")
	must(t, err)
	if len(made) != 1 || !made[0].Ours || made[0].Until.Sub(made[0].From) != 10*time.Minute || !made[0].From.After(p.Now()) || made[0].From.Sub(p.Now()) > time.Minute {
		t.Fatalf("%+v", made)
	}
	p.Advance(time.Minute)
	list, err := p.desk.Mutes(t.Context())
	must(t, err)
	want := made[0]
	want.State, want.Reason = "active", "resharding at noon"
	if len(list) != 1 || list[0].Name != want.Name || list[0].State != "active" || list[0].Reason != want.Reason || !list[0].Until.Equal(want.Until) || !list[0].Ours || !slices.Equal(list[0].Alarms, []string{"checkout"}) {
		t.Fatalf("%+v", list)
	}
	got := p.doctor(t, p.look())
	if len(got.Ailments) != 1 || got.Ailments[0].Kind != "muted" || got.Healthy != 1 || !strings.Contains(got.Ailments[0].Fix, "alarms mute rm "+want.Name) {
		t.Fatal(shown(got))
	}
	p.setState(t, "checkout", types.StateValueAlarm)
	if m := p.messages(t, url); len(m) != 0 {
		t.Fatalf("muted, and %q", m)
	}
	p.Advance(11 * time.Minute)
	if list, err = p.desk.Mutes(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("%+v %v", list, err)
	}
	if o := p.outcomes(t, p.desk); !slices.Equal(o, []journal.Outcome{journal.Started, journal.Done}) {
		t.Fatal(o)
	}
}

func TestMuteIsSplit(t *testing.T) {
	p := at(t, "")
	var names []string
	for i := range 230 {
		in := errorsAlarm("a" + strings.Repeat("x", i))
		names = append(names, *in.AlarmName)
		p.put(t, in)
	}
	made, err := p.desk.Mute(t.Context(), names, 15*24*time.Hour, "")
	must(t, err)
	total := 0
	for _, m := range made {
		total += len(m.Alarms)
	}
	if len(made) != 3 || total != 230 || len(made[0].Alarms) != 100 {
		t.Fatalf("%d rules, %d alarms", len(made), total)
	}
	list, err := p.desk.Mutes(t.Context())
	must(t, err)
	if len(list) != 3 {
		t.Fatalf("%d", len(list))
	}
	// One that cannot be made does not undo those before it.
	calls := 0
	d := p.deskAt(t, cloud.Change, nil)
	d.o.Explain = func(err error) *ops.Problem { calls++; return ops.AsProblem(err) }
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "cloudwatch", Operation: "PutAlarmMuteRule"})
	if made, err = d.Mute(t.Context(), names, time.Hour, ""); err == nil || len(made) != 0 || calls != 1 {
		t.Fatalf("%+v %v", made, err)
	}
	if o := p.outcomes(t, d); !slices.Equal(o, []journal.Outcome{journal.Started, journal.Failed}) {
		t.Fatal(o)
	}
}

// TestMuteKeepsWhatItMade: the second rule fails, the first stands and is told.
func TestMuteKeepsWhatItMade(t *testing.T) {
	p := at(t, "")
	var names []string
	for i := range 101 {
		in := errorsAlarm(fmt.Sprintf("a%03d", i))
		names = append(names, *in.AlarmName)
		p.put(t, in)
	}
	puts := 0
	d := p.deskAt(t, cloud.Change, func(c *aws.Config) {
		c.APIOptions = append(c.APIOptions, func(s *middleware.Stack) error {
			return s.Initialize.Add(middleware.InitializeMiddlewareFunc("SecondPutFails", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if _, ok := in.Parameters.(*cloudwatch.PutAlarmMuteRuleInput); ok {
					if puts++; puts == 2 {
						return middleware.InitializeOutput{}, middleware.Metadata{}, errors.New("lightning")
					}
				}
				return next.HandleInitialize(ctx, in)
			}), middleware.Before)
		})
	})
	made, err := d.Mute(t.Context(), names, time.Hour, "")
	if err == nil || !strings.Contains(err.Error(), "lightning") || len(made) != 1 || len(made[0].Alarms) != 100 {
		t.Fatalf("%d rules, %v", len(made), err)
	}
	if o := p.outcomes(t, d); !slices.Equal(o, []journal.Outcome{journal.Started, journal.Partial}) {
		t.Fatal(o)
	}
	if list, err := p.desk.Mutes(t.Context()); err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
}

func TestMuteRefuses(t *testing.T) {
	p := at(t, "")
	p.put(t, errorsAlarm("checkout"))
	_, err := p.desk.Mute(t.Context(), nil, time.Hour, "")
	isRefused(t, err, "no alarm to mute")
	_, err = p.desk.Mute(t.Context(), []string{"checkout"}, 0, "")
	isRefused(t, err, "from a minute to 15 days")
	_, err = p.desk.Mute(t.Context(), []string{"checkout"}, 15*24*time.Hour+time.Second, "")
	isRefused(t, err, "from a minute to 15 days")
	_, err = p.desk.Mute(t.Context(), []string{"checkout", "none"}, time.Hour, "")
	if x := ops.AsProblem(err); x == nil || x.Fault != ops.FaultNotFound || !strings.Contains(x.What, "named none") {
		t.Fatal(err)
	}
	if list, err := p.desk.Mutes(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("%+v %v", list, err)
	}
}

func TestUnmuteLeavesOthersAlone(t *testing.T) {
	p := at(t, "")
	p.put(t, errorsAlarm("checkout"))
	for _, name := range []string{"nightly", "kxops-like"} {
		_, err := p.cw.PutAlarmMuteRule(t.Context(), &cloudwatch.PutAlarmMuteRuleInput{Name: &name, Description: aws.String("backup"), MuteTargets: &types.MuteTargets{AlarmNames: []string{"checkout"}},
			Rule: &types.Rule{Schedule: &types.Schedule{Expression: aws.String("cron(0 * * * *)"), Duration: aws.String("PT30M")}}})
		must(t, err)
		isRefused(t, p.desk.Unmute(t.Context(), name), "was not made by kxops")
	}
	made, err := p.desk.Mute(t.Context(), []string{"checkout"}, time.Hour, "")
	must(t, err)
	must(t, p.desk.Unmute(t.Context(), made[0].Name))
	list, err := p.desk.Mutes(t.Context())
	must(t, err)
	if len(list) != 2 || list[0].Ours || !list[0].Until.IsZero() || list[0].Reason != "backup" {
		t.Fatalf("%+v", list)
	}
	if err := p.desk.Unmute(t.Context(), made[0].Name); err == nil {
		t.Fatal("deleted twice")
	}
}

func TestSpans(t *testing.T) {
	for text, d := range map[string]time.Duration{
		"PT1M": time.Minute, "PT1H30M": 90 * time.Minute, "P15D": 15 * 24 * time.Hour, "P2DT12H": 60 * time.Hour, "P1DT1H1M": 25*time.Hour + time.Minute,
	} {
		if got, ok := spanOf(text); !ok || got != d {
			t.Errorf("%s is read as %s", text, got)
		}
		if got := isoDuration(d); got != text {
			t.Errorf("%s is written %s", d, got)
		}
	}
	for _, bad := range []string{"", "P", "PT", "1H", "PT1S", "P1H", "PT-1M", "P1DT"} {
		if d, ok := spanOf(bad); ok {
			t.Errorf("%q is read as %s", bad, d)
		}
	}
}
