package ui

import (
	"context"
	"errors"
	"fmt"
	"image/color"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"kxops/alarms"
	"kxops/ops"
)

func open(t *testing.T, f *fakeAccount) *console {
	t.Helper()
	return openConsole(t, sampleOptions(f), 120, 40)
}

// refresh lets the account answer with another snapshot.
func (c *console) refresh(f *fakeAccount, s ops.Snapshot) {
	c.t.Helper()
	f.set(s)
	c.press("r")
}

func TestDrillDownAndBack(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	c.press("enter")
	c.sees("overview > stream clicks", "the reader clicks-enricher stopped", "Disabled", "retention       1d")
	c.press("G")
	c.sees("https://eu-west-1.console.aws.amazon.com/kinesis", "aws kinesis describe-stream-summary --stream-name clicks")
	c.press("tab", "enter")
	c.sees("function clicks-enricher")
	c.press("esc", "esc")
	c.seesNot("stream clicks")
	c.press("esc")
	c.sees("this is the first screen; q quits")
}

func TestRegisteredConsumerLeadsToItsStream(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	c.press("P", "/")
	c.typed("live-board")
	c.press("enter")
	c.sees("efo live-board  consumes", "ACTIVE, behind 2s")
	c.press("enter")
	c.sees("pipelines > stream clicks", "2 consumers", "live-board")
}

func TestRawJSON(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	c.press("v")
	c.sees(`"name": "clicks",`, `    "a",`)
	c.press("esc", "/")
	c.typed("payments")
	c.press("enter", "v")
	c.sees("could not be read: kinesis: describe stream: connection reset")
}

func TestFilterWhileTyping(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	c.press("/")
	c.typed("kind:dlq")
	c.sees("orders-failed", "enricher-parked", "2 (7 in all)")
	c.seesNot("payments")
	c.press("enter")
	c.sees("/kind:dlq")
	c.press("/")
	c.typed(" nothing-like-this")
	c.sees("nothing matches the filter")
	c.press("esc") // the line is left, the filter before it comes back
	c.sees("/kind:dlq", "orders-failed")
	c.press("esc")
	c.sees("payments")
	c.press("f")
	c.sees("clicks-to-s3")
	c.seesNot("payments", "refunds")
}

func TestRefreshKeepsCursorMarksFilterAndSort(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	c.press(":")
	c.typed("sort name")
	c.press("enter", "/")
	c.typed("!payments")
	c.press("enter", "g", "space", "j")
	before := c.app.top().Selected()
	s := manyQueues(50)
	c.refresh(f, s)
	if got := c.app.top().Selected(); got != before {
		t.Errorf("the cursor went from %s to %s", before, got)
	}
	c.sees("1 marked", "/!payments", "RESOURCE↓", "56 (57 in all)")
}

func TestRefreshUnderADetail(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	c.press("enter")
	s := sampleSnapshot()
	s.Streams.Items[0].Consumers[0].State = "Enabled"
	c.refresh(f, s)
	c.sees("stream clicks", "event source mapping Enabled")
	s.Streams.Items = s.Streams.Items[1:]
	c.refresh(f, s)
	c.sees("stream clicks", "is not there any more")
}

func TestExpiredCredentialsKeepTheLastPicture(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	expired := &ops.Problem{Fault: ops.FaultExpired, What: "the session of profile shop-ops has expired", Hint: "run: aws sso login --profile shop-ops"}
	var s ops.Snapshot // nothing could be read any more
	s.Identity = sampleSnapshot().Identity
	s.At, s.MetricsProblem = sampleNow, expired
	s.Streams.Problem, s.Deliveries.Problem, s.Queues.Problem, s.Topics.Problem = expired, expired, expired, expired
	s.Functions.Problem, s.Buckets.Problem, s.Alarms.Problem = expired, expired, expired
	c.refresh(f, s)
	c.sees("clicks", "9h59m behind", "orders-failed", "! 8 sections: the session of profile shop-ops has expired → run: aws sso login --profile shop-ops")
	c.refresh(f, sampleSnapshot())
	c.seesNot("expired")
}

func TestALookThatBroughtNothingDoesNotMakeThePictureYounger(t *testing.T) {
	now := sampleNow
	f := &fakeAccount{snapshot: sampleSnapshot()}
	o := sampleOptions(f)
	o.Now = func() time.Time { return now }
	c := openConsole(t, o, 120, 40)
	now = sampleNow.Add(10 * time.Minute)
	s := sampleSnapshot() // as it was, and every section says why it is not newer
	gone := &ops.Problem{Fault: ops.FaultUnreachable, What: "nothing answers"}
	s.Started, s.At, s.MetricsProblem = now.Add(-time.Second), now, gone
	s.Streams.Problem, s.Deliveries.Problem, s.Queues.Problem, s.Topics.Problem = gone, gone, gone, gone
	s.Functions.Problem, s.Buckets.Problem, s.Alarms.Problem = gone, gone, gone
	c.refresh(f, s)
	c.sees("STALE 10m")
	s.Recalled = true
	c.refresh(f, s)
	c.sees("LAST KNOWN 10m")
}

func TestPictureIsAsOldAsItsMetrics(t *testing.T) {
	now := sampleNow.Add(10 * time.Minute)
	s := confirm(sampleSnapshot(), now)
	s.Started, s.At = now, now
	if old, _ := newPicture(s, sampleJudge, now).age(now); old != 0 {
		t.Errorf("a look just answered is %v old", old)
	}
	s.MetricsAt, s.MetricsProblem = sampleNow, &ops.Problem{Fault: ops.FaultService, What: "failed"}
	if old, known := newPicture(s, sampleJudge, now).age(now); !known || old != 10*time.Minute {
		t.Errorf("the lists are new, the metrics 10m old: age %v %v", old, known)
	}
}

func TestOneCauseIsOneSentenceWithItsNextStep(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	s := sampleSnapshot()
	no := func(call string) *ops.Problem {
		return &ops.Problem{Fault: ops.FaultUnreachable, What: "nothing answers at http://127.0.0.1:4566, tried for " + call + ": connection refused",
			Hint: "check that it runs, and --endpoint-url or AWS_ENDPOINT_URL"}
	}
	s.Streams.Problem, s.Deliveries.Problem, s.Queues.Problem = no("Kinesis ListStreams"), no("Firehose ListDeliveryStreams"), no("SQS ListQueues")
	f.set(s)
	for _, size := range [][2]int{{120, 36}, {80, 24}} {
		c := openConsole(t, sampleOptions(f), size[0], size[1])
		c.sees("! streams, deliveries, queues: nothing answers", "AWS_ENDPOINT_URL")
		if n := strings.Count(c.text(), "nothing answers"); n != 1 {
			t.Errorf("%v: the cause is told %d times", size, n)
		}
	}
}

func TestANoteLeavesWithItsScreen(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	c.press("esc")
	c.sees("this is the first screen")
	c.press("a")
	c.seesNot("this is the first screen")
	c.press("enter", "esc", "esc", "esc")
	c.press("enter", "enter")
	c.sees("this is it")
	c.press("esc")
	c.seesNot("this is it")
}

func TestOneDeniedSectionLeavesTheRest(t *testing.T) {
	s := sampleSnapshot()
	s.Queues = ops.Section[ops.Queue]{Problem: &ops.Problem{Fault: ops.FaultDenied, What: "sqs:ListQueues is denied to jo", Hint: "kxops policy look"}}
	c := open(t, &fakeAccount{snapshot: s})
	c.sees("clicks", "! queues: sqs:ListQueues is denied to jo → kxops policy look")
	c.press("i")
	c.sees("queues          denied")
}

func TestEmptyAccountLoadingAndDeniedAreThreeThings(t *testing.T) {
	empty := confirm(ops.Snapshot{Identity: sampleSnapshot().Identity, At: sampleNow, MetricsAt: sampleNow}, sampleNow)
	open(t, &fakeAccount{snapshot: empty}).sees("no streams, deliveries or queues in this region", "0 page")

	loading := New(sampleOptions(&fakeAccount{}))
	t.Cleanup(loading.end)
	(&console{t: t, app: loading}).sees("reading the account…", "nothing read yet", "data ?")

	denied := &ops.Problem{Fault: ops.FaultDenied, What: "everything is denied"}
	s := ops.Snapshot{At: sampleNow, MetricsProblem: denied}
	s.Streams.Problem, s.Deliveries.Problem, s.Queues.Problem = denied, denied, denied
	open(t, &fakeAccount{snapshot: s}).sees("denied: this identity may not list resources here", "everything is denied")
}

func TestUnknownIsNeverZero(t *testing.T) {
	s := sampleSnapshot()
	s.Queues.Items[3].Measures = ops.Measures{{Metric: ops.Visible}} // not read
	c := open(t, &fakeAccount{snapshot: s})
	c.press("/")
	c.typed("refunds")
	c.sees("? msgs")
	c.seesNot("0 msgs")
}

func TestLastKnownPictureIsPaintedAtOnceAndMarked(t *testing.T) {
	old := sampleSnapshot()
	old.At = sampleNow.Add(-3 * time.Hour)
	f := &fakeAccount{snapshot: sampleSnapshot(), recalled: &old}
	a := New(sampleOptions(f))
	t.Cleanup(a.end)
	c := &console{t: t, app: a}
	c.sees("LAST KNOWN 3h", "orders-failed", "clicks")
	c.run(a.look(false))
	c.seesNot("LAST KNOWN")
	c.sees("data 20s")
}

func TestPartialPicturesGrow(t *testing.T) {
	first := sampleSnapshot()
	first.At = time.Time{}
	first.Queues = ops.Section[ops.Queue]{}
	f := &fakeAccount{snapshot: sampleSnapshot(), partials: []ops.Snapshot{first}}
	a := New(sampleOptions(f))
	t.Cleanup(a.end)
	c := &console{t: t, app: a}
	box := newMailbox()
	a.poll.busy, a.poll.look = true, 1
	box.put(first)
	msg := a.poll.partialCmd(a.pic.snap, box)()
	_, again := a.Update(msg)
	c.sees("clicks", "reading…")
	c.seesNot("orders-failed")
	box.close()
	if again == nil || again() != nil {
		t.Error("the console must wait for the next part, and stop when the look ends")
	}
}

func TestLateAnswersAreDropped(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	late := snapshotLoadedMsg{epoch: c.app.poll.epoch, look: c.app.poll.look, picture: newPicture(ops.Snapshot{}, sampleJudge, sampleNow), last: true}
	c.app.Update(late) // the look has ended: this is an echo
	c.sees("clicks")
	c.app.poll.begin()
	c.app.poll.busy, c.app.poll.look = true, late.look
	c.app.Update(late) // right look, old epoch
	c.sees("clicks")
}

func TestSwitchRegion(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	c.press("enter", "R")
	c.typed("centr")
	c.sees("region eu-central-1")
	c.press("tab", "enter")
	c.sees("eu-central-1", "now on shop 123456789012 eu-central-1")
	c.seesNot("stream clicks")
	if got := strings.Join(f.switches, " "); got != "/eu-central-1" {
		t.Errorf("switches: %s", got)
	}
	c.press("A")
	c.typed("lab")
	c.press("enter")
	c.sees("profile lab")
}

func TestFailedSwitchStaysAndSaysWhy(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot(), failTo: "mars-1"}
	c := open(t, f)
	c.press(":")
	c.typed("region mars-1")
	c.press("enter")
	c.sees("eu-west-1", "clicks", "mars-1 could not be opened: the region mars-1 does not exist; choose one of the list")
}

func TestNoOldRowsUnderANewName(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	id := sampleSnapshot().Identity
	id.Region = "eu-central-1"
	c.app.switchTo("", "eu-central-1")
	c.app.Update(switchedMsg{c.app.poll.epoch, id, nil}) // the look that follows has not answered
	c.sees("eu-central-1", "reading the account…")
	c.seesNot("clicks")
}

func TestCopyMenu(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	c.press("y")
	c.sees("copy clicks", "1 name", "console address", "aws kinesis describe-stream-summary")
	c.press("j")
	_, cmd := c.app.Update(keyPress("enter"))
	if got := fmt.Sprint(cmd()); got != string(arn("kinesis", "clicks")) {
		t.Errorf("copied %q", got)
	}
	c.sees("ARN sent to the clipboard: arn:aws:kinesis")
	c.press("space", "space", "y")
	c.sees("copy 2 marked")
	_, cmd = c.app.Update(keyPress("1"))
	if got := fmt.Sprint(cmd()); !strings.Contains(got, "\n") || !strings.Contains(got, "clicks") {
		t.Errorf("copied %q", got)
	}
}

func TestPaletteCompletesAndExplains(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	c.press(":")
	c.typed("queue par")
	c.sees("queue enricher-parked")
	c.press("down", "enter")
	c.sees("queue enricher-parked", "dead letters come from")
	c.press(":")
	c.typed("bogus")
	c.press("enter")
	c.sees("there is no command or resource bogus")
	c.press(":")
	c.typed("queue nope")
	c.press("enter")
	c.sees("there is no queue nope")
	c.press(":")
	c.typed("orders")
	c.press("enter") // a bare name opens the resource
	c.sees("queue orders", "order-worker")
	c.press(":")
	c.typed("queues")
	c.press("enter")
	c.sees("/kind:queue", "4 (7 in all)")
	c.press("esc", ":")
	c.typed("sort")
	c.press("enter")
	c.sees("sort: by which column? state, ")
	c.press("/")
	c.typed("colour:red")
	c.sees("there is no column colour; columns: state, ")
}

func TestAMissingPlaceIsAskedFor(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	for _, word := range []string{"region", "profile"} {
		c.press(":")
		c.typed(word)
		c.press("enter")
		c.sees(":"+word, "switch to a "+word)
		c.press("esc")
	}
	if len(f.switches) != 0 {
		t.Errorf("switched to %q, nobody named a place", f.switches)
	}
	c.app.choices.Profiles = nil
	c.press("A")
	c.sees("there is no other profile to switch to")
}

func TestQuitAsVimTaughtIt(t *testing.T) {
	for _, word := range []string{"q", "q!", "quit", "exit"} {
		a := open(t, &fakeAccount{snapshot: sampleSnapshot()}).app
		cmd := a.command(word)
		if cmd == nil {
			t.Fatalf(":%s does nothing", word)
		}
		if _, ok := cmd().(tea.QuitMsg); !ok {
			t.Errorf(":%s does not leave", word)
		}
	}
}

func TestAlarmLimitsAreRead(t *testing.T) {
	for metric, want := range map[string]string{
		"GetRecords.IteratorAgeMilliseconds": "6h", "IteratorAge": "6h", "NumberOfMessagesSent": "21600000",
	} {
		if have := alarmLimit(metric, 21600000); have != want {
			t.Errorf("%s: %s, want %s", metric, have, want)
		}
	}
	for _, c := range []struct {
		metric string
		v      float64
		want   string
	}{{"DeliveryToS3.DataFreshness", 900, "15m"}, {"ApproximateAgeOfOldestMessage", 1800, "30m"}, {"Errors", 0.5, "0.5"}, {"Errors", 0, "0"}, {"Errors", 100, "100"}} {
		if have := alarmLimit(c.metric, c.v); have != c.want {
			t.Errorf("%s: %s, want %s", c.metric, have, c.want)
		}
	}
}

func TestPause(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	c.press("p")
	c.sees("paused")
	n := len(f.looks())
	c.app.Update(tickedMsg{c.app.poll.epoch, c.app.poll.look})
	if len(f.looks()) != n {
		t.Error("a paused console looked by itself")
	}
	c.press("r")
	if asks := f.looks(); len(asks) != n+1 || !asks[n].Manual || !asks[n].Paused {
		t.Errorf("r looks while paused: %+v", asks)
	}
}

func TestAskNamesWhatIsOnScreen(t *testing.T) {
	f := &fakeAccount{snapshot: manyQueues(500)}
	c := openConsole(t, sampleOptions(f), 80, 24)
	c.text()
	c.press("r")
	asks := f.looks()
	if n := len(asks[len(asks)-1].Focus); n == 0 || n > 24 {
		t.Errorf("%d resources are hot, the screen shows about 19", n)
	}
	c.press("enter", "r")
	asks = f.looks()
	if focus := asks[len(asks)-1].Focus; len(focus) != 1 || focus[0] != arn("kinesis", "clicks") {
		t.Errorf("on a page only its resource is hot: %v", focus)
	}
}

func TestPace(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	p := c.app.poll
	if got := p.delay(0); got != defaultPace {
		t.Errorf("default pace %v", got)
	}
	if got := p.delay(10 * time.Second); got != 10*time.Second {
		t.Errorf("the backend's pace became %v", got)
	}
	c.app.Update(tea.BlurMsg{})
	if got := p.delay(10 * time.Second); got != 40*time.Second {
		t.Errorf("unwatched pace %v", got)
	}
	p.blur = false
	p.pace = 30 * time.Second
	if got := p.delay(10 * time.Second); got != 30*time.Second {
		t.Errorf("configured pace %v", got)
	}
	s := sampleSnapshot()
	s.MetricsProblem = &ops.Problem{Fault: ops.FaultThrottled, What: "slow down"}
	p.busy = true
	p.finish(s)
	if got := p.delay(30 * time.Second); got != time.Minute {
		t.Errorf("after a throttled look the pace is %v", got)
	}
	for range 20 {
		p.busy = true
		p.finish(s)
	}
	if got := p.delay(30 * time.Second); got > maxPace {
		t.Errorf("the longest wait is %v", got)
	}
}

func TestFocusLooksAtOnceWhenOld(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	c.app.Update(tea.BlurMsg{})
	if _, cmd := c.app.Update(tea.FocusMsg{}); cmd != nil {
		t.Error("a fresh picture needs no new look")
	}
	old := sampleSnapshot()
	old.At = sampleNow.Add(-10 * time.Minute)
	c.refresh(f, old)
	c.sees("STALE 10m")
	c.app.Update(tea.BlurMsg{})
	if _, cmd := c.app.Update(tea.FocusMsg{}); cmd == nil {
		t.Error("an old picture must be looked at again")
	}
}

func TestProductionAndDemoShow(t *testing.T) {
	o := sampleOptions(&fakeAccount{snapshot: sampleSnapshot()})
	o.Config.Protected = []Protection{{Match: "shop", Word: "LIVE", Color: "#ff00ff"}}
	o.Demo = "incident"
	c := openConsole(t, o, 80, 24)
	c.sees("LIVE", "DEMO", "shop 123456789012", "eu-west-1")
	if !strings.Contains(c.app.draw(), "38;2;255;0;255") {
		t.Error("the configured colour is not on the screen")
	}
	small := openConsole(t, o, 60, 16)
	small.sees("LIVE", "DEMO", "shop 123456789012", "eu-west-1")
}

func TestTooSmall(t *testing.T) {
	c := openConsole(t, sampleOptions(&fakeAccount{snapshot: sampleSnapshot()}), 59, 16)
	if got := strings.TrimSpace(c.text()); got != "kxops needs 60x16, this is 59x16" {
		t.Errorf("got %q", got)
	}
	for w := range 30 {
		for h := range 8 {
			c.app.Update(tea.WindowSizeMsg{Width: w, Height: h})
			c.app.draw()
		}
	}
}

// Every screen at every size draws exactly the lines and never more cells than
// there are, whatever the account holds.
func TestEverySizeFits(t *testing.T) {
	s := sampleSnapshot()
	s.Streams.Items[0].Name = strings.Repeat("very-long-name-", 40)
	s.Queues.Items[0].Name = strings.Repeat("キュー", 60)
	s.Queues.Problem = &ops.Problem{Fault: ops.FaultThrottled, What: strings.Repeat("slow ", 200)}
	c := open(t, &fakeAccount{snapshot: s})
	for _, line := range visits {
		c.press(":")
		c.typed(line)
		c.press("enter")
		for _, size := range []struct{ w, h int }{{60, 16}, {61, 17}, {79, 23}, {80, 24}, {100, 30}, {133, 50}, {200, 60}, {300, 100}} {
			c.app.Update(tea.WindowSizeMsg{Width: size.w, Height: size.h})
			for _, k := range []string{"", ":", "esc", "y", "esc"} {
				if k != "" {
					c.press(k)
				}
				fits(t, line, c.app.draw(), size.w, size.h)
			}
		}
	}
}

func fits(t *testing.T, what, screen string, w, h int) {
	t.Helper()
	lines := strings.Split(screen, "\n")
	if len(lines) != h {
		t.Errorf("%s at %dx%d draws %d lines", what, w, h, len(lines))
	}
	for i, l := range lines {
		if n := ansi.StringWidth(l); n > w {
			t.Errorf("%s at %dx%d: line %d has %d cells: %q", what, w, h, i, n, ansi.Strip(l))
		}
		if !strings.HasSuffix(l, "\x1b[m") {
			t.Errorf("%s at %dx%d: line %d does not end with a reset", what, w, h, i)
		}
	}
}

func TestTenThousandQueues(t *testing.T) {
	c := openConsole(t, sampleOptions(&fakeAccount{snapshot: manyQueues(10_000)}), 120, 40)
	c.sees("1 of 10007")
	c.press("G")
	c.sees("10007 of 10007")
	c.press("/")
	c.typed("queue-09999")
	c.sees("team-008-queue-09999")
}

// A hostile account: what others wrote never reaches the terminal as an escape,
// on no screen, in no menu, in no message.
func TestHostileText(t *testing.T) {
	evil := "x\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1bPq\x1b\\\u009b31m\u009d0;t\x07\u202e\r\n"
	s := sampleSnapshot()
	s.Identity.Alias, s.Identity.Profile, s.Identity.Who = evil, evil, evil
	q := &s.Queues.Items[1]
	q.Name, q.Encryption = evil+strings.Repeat("A", 10<<20), evil
	s.Streams.Items[0].Name, s.Streams.Items[0].Status = evil, evil
	s.Streams.Items[0].Consumers[0].Name, s.Streams.Items[0].Consumers[0].LastResult = evil, evil
	s.Functions.Items[0].Environments = []string{evil}
	s.Deliveries.Items[0].Failure, s.Deliveries.Items[0].Prefix = evil, evil
	s.Topics.Items[0].Subscriptions[0].Endpoint = evil
	s.Alarms.Items[0].Name, s.Alarms.Items[0].MetricName = evil, evil
	s.MetricsProblem = &ops.Problem{What: evil, Hint: evil, Err: errors.New(evil)}
	hostileARN := arn("sqs", "evil"+evil)
	s.Queues.Items = append(s.Queues.Items, ops.Queue{ARN: hostileARN, Name: evil})
	o := sampleOptions(&fakeAccount{snapshot: s})
	o.Journal = func() ([]JournalEntry, error) {
		return []JournalEntry{{ID: evil, What: evil, Resource: evil, Outcome: evil}}, nil
	}
	o.Info = func() string { return evil }
	o.Demo = evil
	o.Config.Protected = []Protection{{Match: evil, Word: evil}}
	judged := o.Judge
	o.Judge = func(s ops.Snapshot, now time.Time) []alarms.Verdict {
		vs := judged(s, now)
		for i := range vs {
			vs[i].Headline, vs[i].Limit = evil, evil
			vs[i].Findings = append(vs[i].Findings, alarms.Finding{Rule: evil, Sentence: evil, Next: evil})
		}
		return vs
	}
	c := openConsole(t, o, 120, 40)
	check := func(where string) {
		t.Helper()
		for _, bad := range []string{"]52;", "]0;", "\x1bP", "\x1b[2J", "\u009b", "\u009d", "\u202e", "\x07", "\r"} {
			if strings.Contains(c.app.draw(), bad) {
				t.Errorf("%s: %q reaches the terminal", where, bad)
			}
		}
	}
	for _, line := range visits {
		c.press(":")
		c.typed(line)
		c.press("enter")
		check(line)
		c.press("y")
		check(line + ", copy")
		c.press("esc", "/")
		c.app.Update(tea.PasteMsg{Content: evil})
		check(line + ", filter")
		c.press("esc")
	}
	c.app.open(newRaw(hostileARN))
	c.app.rawLoaded(rawLoadedMsg{hostileARN, []byte(evil), nil})
	check("raw")
	if clip := fmt.Sprint(c.app.copyMenu().items); strings.ContainsAny(clip, "\x1b\u009b\r") {
		t.Errorf("the clipboard gets %q", clip)
	}
}

func TestASCIIOnly(t *testing.T) {
	o := sampleOptions(&fakeAccount{snapshot: sampleSnapshot()})
	o.Config.ASCII = true
	c := openConsole(t, o, 120, 40)
	for _, line := range visits {
		c.press(":")
		c.typed(line)
		c.press("enter")
		for _, r := range c.text() {
			if r > 0x7e {
				t.Errorf("%s shows %q", line, r)
				break
			}
		}
	}
}

func TestQuitCancelsWhatIsUnderWay(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	c := open(t, f)
	ctx := c.app.poll.ctx
	_, cmd := c.app.Update(keyPress("q"))
	if cmd == nil {
		t.Fatal("q does nothing")
	}
	if _, ok := cmd().(tea.QuitMsg); !ok || !errors.Is(ctx.Err(), context.Canceled) {
		t.Error("q must cancel the look and quit")
	}
}

func TestLongNotesAreFolded(t *testing.T) {
	c := openConsole(t, sampleOptions(&fakeAccount{snapshot: sampleSnapshot(), failTo: "mars-1"}), 60, 16)
	c.press(":")
	c.typed("region mars-1")
	c.press("enter")
	c.sees("stayed here, mars-1 could not be opened", "choose one of the list")
	fits(t, "a folded note", c.app.draw(), 60, 16)
}

// A theme changes colours, never words.
func TestThemes(t *testing.T) {
	c := open(t, &fakeAccount{snapshot: sampleSnapshot()})
	dark, words := c.app.draw(), c.text()
	c.press("T")
	if c.app.draw() == dark {
		t.Error("T changes nothing")
	}
	if c.text() != words {
		t.Error("the light theme says something else")
	}
	c.app.opts.Config.Theme = ""
	c.app.Update(tea.BackgroundColorMsg{Color: color.Black})
	if c.app.draw() != dark {
		t.Error("on a black background the theme is dark")
	}
	c.app.Update(tea.BackgroundColorMsg{Color: color.White})
	if c.app.theme.name != "light" {
		t.Error("on a white background the theme is light")
	}
}

// Drawing 10,000 rows costs what the visible ones cost.
func TestViewAllocations(t *testing.T) {
	c := openConsole(t, sampleOptions(&fakeAccount{snapshot: manyQueues(10_000)}), 200, 60)
	if n := testing.AllocsPerRun(5, func() { c.app.View() }); n > 1500 {
		t.Errorf("%v allocations for one screen, budget 1,500", n)
	}
}

func TestJournalShowsWhatWasDone(t *testing.T) {
	o := sampleOptions(&fakeAccount{snapshot: sampleSnapshot()})
	o.Journal = func() ([]JournalEntry, error) {
		return []JournalEntry{{ID: "op-7", At: sampleNow, Who: "jo", What: "redrive", Resource: "orders-failed", Outcome: "118 moved"}}, nil
	}
	c := openConsole(t, o, 80, 24)
	c.press("J")
	c.sees("2026-11-22 14:30:00Z", "redrive", "orders-failed", "118 moved", "op-7", "jo")
	o.Journal = func() ([]JournalEntry, error) { return nil, errors.New("permission denied") }
	c = openConsole(t, o, 80, 24)
	c.press("J")
	c.sees("the journal could not be read: permission denied")
}
