package ui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// at opens a screen by its command.
func atAlarms(t *testing.T, d *alarmsOfValues, line string, w, h int) *console {
	t.Helper()
	c := openConsole(t, alarmOptions(d), w, h)
	c.press(":")
	c.typed(line)
	c.press("enter")
	return c
}

// alarmScenes are the screens about alarms as a person comes by them.
var alarmScenes = map[string]func(t *testing.T, w, h int) *console{
	"list":     func(t *testing.T, w, h int) *console { return atAlarms(t, sampleAlarms(), "alarms", w, h) },
	"coverage": func(t *testing.T, w, h int) *console { return atAlarms(t, sampleAlarms(), "coverage", w, h) },
	"coverage-streams": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "coverage", w, h)
		c.press("tab", "right")
		return c
	},
	"cell": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "coverage", w, h)
		c.press("enter")
		return c
	},
	"plan": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("down")
		return c
	},
	"plan-item": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("down", "down", "down", "enter")
		return c
	},
	"plan-options": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("=")
		return c
	},
	"apply-question": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("Y")
		return c
	},
	"apply-result": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("Y", "U", "y")
		return c
	},
	"doctor": func(t *testing.T, w, h int) *console { return atAlarms(t, sampleAlarms(), "doctor", w, h) },
	"backtest-question": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("down", "down", "down", "x")
		return c
	},
	"backtest": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "plan", w, h)
		c.press("down", "down", "down", "x", "enter")
		return c
	},
	"drill-question": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "alarms", w, h)
		c.press("!")
		return c
	},
	"drill-failed": func(t *testing.T, w, h int) *console {
		d := sampleAlarms()
		d.drillOf.Actions[0] = alarms.DrillAction{ARN: "arn:aws:sns:eu-west-1:123456789012:oncall", Failed: true, What: "CloudWatch Alarms is not authorized to perform: SNS:Publish"}
		c := atAlarms(t, d, "alarms", w, h)
		c.press("!", "U", "y")
		return c
	},
	"mute-menu": func(t *testing.T, w, h int) *console {
		c := atAlarms(t, sampleAlarms(), "alarms", w, h)
		c.press("U", "S")
		return c
	},
}

func TestAlarmScenesHaveGoldens(t *testing.T) {
	for name, play := range alarmScenes {
		for _, size := range newSizes {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size.w, size.h), func(t *testing.T) {
				golden(t, fmt.Sprintf("alarms-%s-%dx%d", name, size.w, size.h), play(t, size.w, size.h).text())
			})
		}
	}
}

func TestCoverageSaysWhoWatchesWhat(t *testing.T) {
	c := atAlarms(t, sampleAlarms(), "coverage", 120, 36)
	c.sees("ALL 5", "streams 2", "dlqs 1", "8 alarms missing", "kds clicks", "▲M", "□F!", "●O", "kds.loss", "missing")
	c.sees("> 12h, 15 of 15 × 1m") // what is under the cursor
	c.press("right")
	c.sees("someone else's", "clicks-lag · ALARM")
	c.press("tab")
	c.sees("STREAMS 2", "loss stal lag  writ", "thro", "2 alarms missing")
	c.seesNot("orders-failed")
	c.press("enter")
	c.sees("> kds.loss clicks", "▲M missing", "0.5 × retention 24h", "retention is 24h", "records are trimmed", "kxops status clicks", "AWS: recommended alarms")
	c.press("esc", "down", "enter")
	c.sees("does not apply", "nobody reads the stream by polling", "the rule")
	c.press("esc", "/")
	c.typed("cells:off")
	c.press("enter")
	c.sees("1 of 1 (2 in all)", "payments")
}

func TestAPlanIsShownAskedForAndApplied(t *testing.T) {
	d := sampleAlarms()
	d.hold = make(chan struct{})
	c := atAlarms(t, d, "plan", 120, 36)
	c.sees("+2  ~1  -0  =1  1 orphan", "+$0.20 a month, about 1s to apply", "tells oncall", "kds.loss clicks", "> 12h", "0.5 × retention 24h",
		"sqs.age orders", "visibility 10s -> 30s", "the queue gone is not there any more")
	c.press("Y")
	c.sees("apply these changes to the alarms?", "shop 123456789012, region eu-west-1", "the topic oncall has no confirmed subscription", "kds.loss clicks", "9f2c", "locked: U unlocks")
	c.press("enter")
	c.sees("enter applies nothing")
	c.press("y")
	c.sees("this session is read-only; U unlocks changes")
	c.press("U")
	c.sees("CHANGE", "changes are allowed")

	c.fast("y") // typed ahead
	c.sees("it came too fast")
	if len(d.applied) != 0 {
		t.Fatal("it was applied without a word")
	}
	c.wall = c.wall.Add(time.Second)
	end := c.begin(d, "y")
	c.sees("applying", "0 of 3 alarms", "It goes on when this screen is left; Y comes back")
	d.progress(alarms.Progress{Done: 1, Total: 3, Name: "kxops/kds.loss/clicks", Note: "throttled: slower", ETA: ops.Know(2, sampleNow)})
	c.sees("1 of 3 alarms", "throttled: slower", "about 2s", "alarms 33%")
	c.press("o")
	c.sees("LAG/DEPTH", "alarms 33%") // it goes on, and the header says so
	c.press("q")
	c.sees("quit while something runs?", "being applied, 1 of 3 written")
	c.press("esc", "Y")
	c.sees("throttled: slower")
	c.press("o")
	close(d.hold)
	end()
	c.sees("alarms: 2 created, 1 changed; Y shows the result")
	c.press("Y")
	c.sees("APPLIED", "2 created, 1 changed", "ring already", "kxops/dlq.loss/orders-failed", "kxops alarms drill")
	c.press("+")
	c.sees("=4", "no change of cost")
	c.press("Y")
	c.sees("apply: there is nothing to change")
}

func TestDeletingWantsTheNameOfTheAccount(t *testing.T) {
	d := sampleAlarms()
	d.plan.Items = append(d.plan.Items, alarms.Item{Action: alarms.Delete, Name: "kxops/sqs.age/old", Why: "the queue old is gone"})
	c := atAlarms(t, d, "plan", 120, 36)
	c.press("U", "Y")
	c.sees("risk            high, it deletes 1 alarm: shop has to be typed", "y type the name")
	c.press("y")
	c.typed("shap")
	c.press("enter")
	c.sees(`nothing was done: "shap" is not shop`)
	if len(d.applied) != 0 {
		t.Fatal("it was applied with a wrong name")
	}
	c.press("y")
	c.typed("shop")
	c.press("enter")
	c.sees("APPLIED")
}

func TestABlockedPlanOffersNoYes(t *testing.T) {
	d := sampleAlarms()
	d.plan.Blockers = []string{"the topic oncall is in another region"}
	c := atAlarms(t, d, "plan", 120, 36)
	c.sees("BLOCKED the topic oncall is in another region")
	c.press("U", "Y")
	c.sees("BLOCKED")
	c.seesNot("y apply")
	c.press("y")
	c.sees("this plan is blocked: the topic oncall is in another region")
	if len(d.applied) != 0 {
		t.Error("a blocked plan was applied")
	}
}

func TestWhatIsPlannedCanBeChosen(t *testing.T) {
	d := sampleAlarms()
	c := atAlarms(t, d, "plan", 120, 36)
	c.press("=", "2")
	c.sees("tier R")
	c.press("=", "5")
	c.typed("lake-ev")
	c.press("tab", "enter")
	c.sees("pages tell oncall, tickets lake-events")
	c.press("=", "5")
	c.typed("nowhere")
	c.press("enter")
	c.sees(`there is no topic "nowhere" here`)
	c.press("=", "7")
	last := d.asks[len(d.asks)-1]
	if last.Settings.Tier != alarms.Recommended || !last.Prune || last.Settings.Ticket != arn("sns", "lake-events") {
		t.Errorf("asked for %+v", last)
	}
}

func TestFailuresOfApplyAreTold(t *testing.T) {
	d := sampleAlarms()
	d.result = alarms.Result{Created: 1, Failed: []alarms.Failure{{Name: "kxops/sqs.age/orders", Why: "somebody else changed it after it was planned", Hint: "plan again"}}, Left: 1}
	d.applyErr = errors.New("cloudwatch: put metric alarm: the session expired")
	c := atAlarms(t, d, "plan", 80, 24)
	c.press("U", "Y", "y")
	c.sees("FAILED IN PART", "1 created, 1 failed, 1 left", "the session expired", "somebody else changed it", "→ plan again")
}

func TestAPlanThatCannotBeMadeSaysWhyInASentence(t *testing.T) {
	d := sampleAlarms()
	d.planErr = &ops.Problem{Fault: ops.FaultDenied, What: "cloudwatch:DescribeAlarms is denied to jo", Hint: "kxops policy look"}
	c := atAlarms(t, d, "plan", 80, 24)
	c.sees("could not be read: cloudwatch:DescribeAlarms is denied to jo → kxops", "policy look")
	d.planErr = nil
	c.press("r")
	c.sees("kds.loss clicks")
}

func TestAnAnswerFromAnotherAccountIsDropped(t *testing.T) {
	d := sampleAlarms()
	c := openConsole(t, alarmOptions(d), 120, 36)
	c.app.jump("plan")
	late := c.app.planAlarms()
	c.run(c.app.switchTo("shop-prod", ""))
	d.plan.Items = nil
	c.run(late)
	c.app.jump("plan")
	if !c.app.alarms.plan.at.IsZero() {
		t.Error("the plan of the other account was taken")
	}
	c.seesNot("kds.loss clicks")
}

func TestTheDoctorsFixIsCopied(t *testing.T) {
	c := atAlarms(t, sampleAlarms(), "doctor", 120, 36)
	c.sees("9 of 12 alarms should reach somebody", "no subscriber", "fix  aws sns subscribe", "orders-age has no action")
	c.press("enter")
	c.sees("the fix", "--protocol email", "2 alarms", "clicks-lag")
	c.press("y", "1")
	c.sees("the fix sent to the clipboard: aws sns subscribe --topic-arn")
	c.press("esc", "down", "y")
	c.sees("copy", "kxops alarms apply --adopt")
}

func TestABacktestSaysItsCostFirst(t *testing.T) {
	d := sampleAlarms()
	c := atAlarms(t, d, "coverage", 120, 36)
	c.press("down", "down", "down", "right", "x")
	c.sees("try sqs.age orders on the past?", "the last 7d", "about 7 calls, $0.0001")
	if len(d.trials) != 0 {
		t.Fatal("it was tried before it was asked for")
	}
	c.press("4")
	c.sees("the last 14d", "about 14 calls")
	c.press("enter")
	c.sees("backtest sqs.age orders", "would have rung twice", "longest         11m, 15m in all", "10,000 of 10,080 periods", "times 1.4 the threshold")
	if strings.Count(c.text(), "█") != 2 {
		t.Errorf("the strip does not show both times:\n%s", c.text())
	}
}

func TestAcknowledgingIsMutingWithAnEnd(t *testing.T) {
	d := sampleAlarms()
	c := atAlarms(t, d, "alarms", 120, 36)
	c.press("S")
	c.sees("mute clicks-lag", "for 30 minutes", "until tomorrow 9:00", "ends Mon 09:00 UTC")
	c.press("2")
	c.typed("deploy")
	c.press("enter")
	c.sees("mute clicks-lag for 2h?", "nobody is told", "ends by itself  Sun 22 Nov 16:30 UTC, in 2h", "deploy", "locked: U unlocks")
	c.press("y")
	c.sees("this session is read-only")
	if len(d.mutes) != 0 {
		t.Fatal("it was muted without the right to change")
	}
	c.press("U", "y")
	c.sees("1 alarm muted for 2h", "muted 2h", "muted 2h · deploy")
	c.press("esc") // the overview's badge
	c.sees("muted 2h clic")
	c.press("a", "S", "5")
	c.sees("unmute clicks-lag?", "kxops-mute-1")
	c.press("y")
	c.sees("unmuted: actions run again")
	c.seesNot("muted 2h")
	if len(d.mutes) != 0 {
		t.Errorf("still muted: %v", d.mutes)
	}
}

func TestWithoutAnAlarmDeskTheReasonIsSaid(t *testing.T) {
	c := openConsole(t, deskOptions(sampleDesk()), 80, 24)
	for _, key := range []string{"C", "+", "H"} {
		c.press(key)
		c.sees("alarms cannot be worked on here")
	}
}

func TestAHugeMatrixIsScrolled(t *testing.T) {
	d := sampleAlarms()
	for i := range 30 {
		rule := fmt.Sprintf("sqs.extra%02d", i)
		d.cover.Rules = append(d.cover.Rules, rule)
		for j := range d.cover.Rows {
			x := alarms.CoverCell{Cover: alarms.CoverNone, Why: "not here"}
			if d.cover.Rows[j].Resource.Name() == "orders" {
				x = alarms.CoverCell{Cover: alarms.CoverMissing}
			}
			d.cover.Rows[j].Cells = append(d.cover.Rows[j].Cells, x)
		}
	}
	c := atAlarms(t, d, "coverage", 80, 24)
	c.press("tab", "tab", "tab")
	c.sees("QUEUES 1", "›", "sqs.loss")
	for range 40 {
		c.press("right")
	}
	c.sees("sqs.extra29", "‹")
	c.seesNot("›")
}

func TestNamesOfAlarmsAreCopied(t *testing.T) {
	c := atAlarms(t, sampleAlarms(), "alarms", 120, 36)
	c.press("space", "space", "y", "1")
	c.sees("name sent to the clipboard: clicks-lag", "orders-age")
	c.press("esc", "y", "2")
	c.sees("ARN sent to the clipboard: arn:aws:cloudwatch:eu-west-1:123456789012:alarm:")
	c.press("+", "down", "y")
	c.sees("1 name", "kxops/kds.loss/clicks", "2 threshold", "> 12h (0.5 × retention 24h)")
}

func TestOthersMuteRulesAreShownAndLeftAlone(t *testing.T) {
	d := sampleAlarms()
	d.mutes = []alarms.Mute{
		{Name: "weekend", Alarms: []string{"clicks-lag"}, State: "active"}, // recurring: its end is not known
		{Name: "soon", Alarms: []string{"orders-age"}, From: sampleNow.Add(30 * time.Second), Until: sampleNow.Add(time.Hour), State: "scheduled", Ours: true},
		{Name: "tomorrow", Alarms: []string{"kxops/kds.write_throttle/clicks"}, From: sampleNow.Add(20 * time.Hour), Until: sampleNow.Add(22 * time.Hour), State: "scheduled"},
	}
	c := atAlarms(t, d, "alarms", 120, 36)
	c.sees("muted 1h") // CloudWatch begins on a whole minute
	c.press("S")
	c.seesNot("unmute")
	c.press("esc", "down", "S")
	c.sees("5 unmute", "soon")
	c.press("esc", "C")
	c.sees("▪Z!") // all its alarms are muted
	c.press("right", "right", "right")
	c.sees("ours", "kxops/kds.write_throttle/clicks")
	c.seesNot("muted 22h")
}

// A drill says first who would hear it, needs the right to change, and tells what came of it.
func TestADrillIsAskedForAndTold(t *testing.T) {
	d := sampleAlarms()
	c := atAlarms(t, d, "alarms", 120, 36)
	c.press("!")
	c.sees("drill clicks-lag?", "oncall gets a message for ALARM and tells 2 email")
	c.press("y")
	if len(d.drills) != 0 {
		t.Fatalf("rang %v without the right to change", d.drills)
	}
	c.press("U", "y")
	c.sees("proven: every action was done", "clicks-lag", "The state was put back")
	if len(d.drills) != 1 || d.drills[0] != "clicks-lag" {
		t.Errorf("rang %v", d.drills)
	}

	d.drillOf.Deserted = []string{"oncall"}
	c.press("esc", "!", "y")
	c.sees("every action was done, and nobody listens", "follows each alarm to the person")
	c.seesNot("proven")

	d.err = errors.New("clicks-lag is in ALARM already")
	c.press("esc", "!")
	c.sees("no drill", "is in ALARM already")
	c.seesNot("drill clicks-lag?")

	d.err = nil
	c.press("m", "down", "m", "!")
	c.sees("a drill rings one alarm, and these are 2 alarms")
}

// A drill that runs is one at a time, is named when the console is left, and sets the
// state back before it is.
func TestADrillIsEndedBeforeTheConsole(t *testing.T) {
	d := sampleAlarms()
	d.hold = make(chan struct{})
	c := atAlarms(t, d, "alarms", 120, 36)
	c.press("!", "U")
	c.begin(d, "y")
	c.press("!")
	c.sees("the drill of clicks-lag is not over")
	c.press("q")
	c.sees("clicks-lag is being rung", "quitting sets it back at once")
	if err := c.app.alarms.close(); err != nil {
		t.Fatal(err)
	}
	if !d.setBack {
		t.Error("the console was left and the alarm was not set back")
	}
}
