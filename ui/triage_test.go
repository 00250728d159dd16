package ui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kxops/ops"
)

// atTriage is a console in the triage of orders-failed, asked about the first look.
func atTriage(t *testing.T, d *deskOfValues, width, height int) *console {
	t.Helper()
	c := openConsole(t, deskOptions(d), width, height)
	c.press(":")
	c.typed("triage orders-failed")
	c.press("enter")
	return c
}

// looked is a console that has looked.
func looked(t *testing.T, d *deskOfValues, width, height int) *console {
	t.Helper()
	c := atTriage(t, d, width, height)
	c.press("enter")
	return c
}

var newSizes = []struct{ w, h int }{{120, 36}, {80, 24}, {60, 16}}

// scenes are the screens of a triage as a person comes by them.
var scenes = map[string]func(t *testing.T, w, h int) *console{
	"peek": func(t *testing.T, w, h int) *console { return atTriage(t, sampleDesk(), w, h) },
	"groups": func(t *testing.T, w, h int) *console {
		c := looked(t, sampleDesk(), w, h)
		c.press("down", "down")
		return c
	},
	"letters": func(t *testing.T, w, h int) *console {
		c := looked(t, sampleDesk(), w, h)
		c.press("down", "down", "tab", "space")
		return c
	},
	"body": func(t *testing.T, w, h int) *console {
		c := looked(t, sampleDesk(), w, h)
		c.press("tab", "tab")
		return c
	},
	"message": func(t *testing.T, w, h int) *console {
		c := looked(t, sampleDesk(), w, h)
		c.press("down", "down", "tab", "enter")
		return c
	},
	"plan": func(t *testing.T, w, h int) *console {
		c := looked(t, sampleDesk(), w, h)
		c.press("down", "d")
		return c
	},
	"progress": func(t *testing.T, w, h int) *console {
		c := looked(t, sampleDesk(), w, h)
		c.press("down", "d", "U", "y")
		return c
	},
	"result": func(t *testing.T, w, h int) *console {
		d := sampleDesk()
		c := looked(t, d, w, h)
		c.press("down", "d", "U", "y")
		p := d.op.Progress()
		p.State, p.Stage, p.Sent, p.Deleted, p.Rejected, p.Unknown, p.Returned = ops.Incomplete, "all at 50/s", 28, 28, 2, 1, 1
		d.op.end(ops.Result{Progress: p, Rejections: []ops.Refusal{{ID: "r-1", Code: "InvalidMessageContents", Why: "a character that SQS does not take"}, {ID: "r-2", Code: "InvalidMessageContents", Why: "a character that SQS does not take"}},
			UnknownIDs: []string{"u-1"}, ReturnedIDs: []string{"b-1"}, Next: []string{"look at the message that came back: kxops dlq groups orders-failed"}})
		c.sample()
		return c
	},
}

// sample brings one look at what runs.
func (c *console) sample() {
	c.t.Helper()
	c.app.Update(sampleRuns(c.app.work.active()))
	c.app.work.sampling = false
}

func TestScenesHaveGoldens(t *testing.T) {
	for name, play := range scenes {
		for _, size := range newSizes {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size.w, size.h), func(t *testing.T) {
				golden(t, fmt.Sprintf("scene-%s-%dx%d", name, size.w, size.h), play(t, size.w, size.h).text())
			})
		}
	}
}

func TestTheFirstLookIsAskedAndTold(t *testing.T) {
	d := sampleDesk()
	c := atTriage(t, d, 120, 36)
	c.sees("look at orders-failed?", "at most 42 messages", "receive count rises by one", "it may clear while you look", "enter look")
	if d.looks != 0 {
		t.Fatal("it looked before it asked")
	}
	c.press("n")
	c.sees("nothing was looked at yet; L looks")
	c.press("L", "m")
	c.typed("20")
	c.press("enter")
	c.sees("at most 20 messages")
	c.press("enter")
	c.sees("held 20, back in 4:32", "20 of ~118 read", "first loss in 6h")
	if d.looks != 1 || d.held != 20 {
		t.Errorf("%d looks, %d held", d.looks, d.held)
	}
}

func TestWithoutADeskTheReasonIsSaid(t *testing.T) {
	c := openConsole(t, sampleOptions(&fakeAccount{snapshot: sampleSnapshot()}), 120, 36)
	c.press(":")
	c.typed("triage orders-failed")
	c.press("enter", "L")
	c.sees("look: dead letters cannot be worked on here")

	o := deskOptions(sampleDesk())
	o.Backend = accountWithDesk{fakeAccount: &fakeAccount{snapshot: sampleSnapshot()}, err: errors.New("the journal cannot be opened: disk full")}
	c = openConsole(t, o, 120, 36)
	c.press(":")
	c.typed("triage orders-failed")
	c.press("enter", "L")
	c.sees("look: the journal cannot be opened: disk full")
}

func TestLeavingReleases(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	c.press("enter", "enter") // letters, message
	c.sees("> message")
	if len(d.releases) != 0 {
		t.Fatal("reading a message released the rest")
	}
	c.press("a") // another screen on top: still held, and said so
	c.sees("held 42 for 4:32")
	c.press("esc", "esc", "esc", "esc")
	c.seesNot("triage")
	if !slices.Equal(d.releases, []string{"orders-failed"}) || d.held != 0 {
		t.Errorf("released %v, %d held", d.releases, d.held)
	}
}

func TestQuittingReleases(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	if err := c.app.work.close(); err != nil {
		t.Fatal(err)
	}
	if d.held != 0 || !slices.Contains(d.releases, "all") {
		t.Errorf("released %v, %d held", d.releases, d.held)
	}
}

func TestALookThatEndsAfterTheScreenWasLeftIsReleased(t *testing.T) {
	d := sampleDesk()
	c := atTriage(t, d, 120, 36)
	d.hold = make(chan struct{})
	_, cmd := c.app.Update(keyPress("enter"))
	s := c.app.top().(*triage)
	c.press("esc")
	c.seesNot("triage")
	d.hold = nil
	pile, err := d.Look(t.Context(), ops.Queue{}, 10, func(ops.LookProgress) {})
	if err != nil || cmd == nil {
		t.Fatal(err)
	}
	c.run(c.app.looked(lookedMsg{screen: s, gen: s.gen, pile: pile}))
	if d.held != 0 {
		t.Errorf("%d held", d.held)
	}
}

func TestReleaseByKey(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	c.press("u")
	c.sees("released: the messages of orders-failed can be received by others again", "nothing held")
	c.press("u")
	c.sees("release: nothing is held")
}

func TestTheThirdLookIsFromMemory(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	c.press("L", "enter", "L")
	c.sees("answered from memory")
	c.press("enter")
	c.sees("from memory, looked 28s ago")
}

func TestGroupsLeadToLettersAndMessage(t *testing.T) {
	c := looked(t, sampleDesk(), 120, 36)
	c.sees("4 groups", "42 letters", "all letters")
	c.press("down", "down") // the second group
	c.sees("7 letters", "UnsupportedImage-3f2a", "SNS envelope > Lambda destination", "failed", "unknown image format heic")
	c.press("enter", "enter")
	c.sees("> message", "requestContext")
	c.press("shift+tab")
	c.press("tab") // and back
	c.press("v")
	c.sees("as it came")
	c.press("v", "/")
	c.typed("errorType")
	c.press("enter")
	c.sees("hit 1 of 1 in Lambda destination")
}

func TestLeftAndRightGoFromPaneToPane(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	at := func(want pane) {
		t.Helper()
		s, ok := c.app.top().(*triage)
		if !ok || s.focus != want {
			t.Fatalf("not at pane %d:\n%s", want, c.text())
		}
	}
	c.press("right")
	at(paneLetters)
	c.press("right")
	at(paneMessage)
	c.press("right")
	at(paneMessage)
	c.press("left")
	at(paneLetters)
	c.press("left", "left", "left")
	at(paneGroups)
	c.sees("this is the first pane; esc leaves")
	if d.held == 0 {
		t.Error("left gave the messages back")
	}
	c.press("esc")
	c.seesNot("triage orders-failed")
}

func TestAMessageSaysWhyItIsHereAndHowMuchOfItIsBelow(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 80, 24)
	c.press("down", "enter", "enter")
	c.sees("cause       orders · OrderPlaced · body", "line 1 of ", "more below", "/ search")
	c.press("G")
	c.seesNot("more below")
	if got := systemValue(ops.FirstAttribute, "1795305671247"); got != "2026-11-22 00:01:11Z  (1795305671247)" {
		t.Error(got)
	}
	dead := ops.Layer{Kind: "Lambda dead letter"}
	if got := factValue(&dead, ops.Fact{Name: "Error code", Value: "200"}); got != "function error (HTTP 200)" {
		t.Error(got)
	}
	if got := factValue(&dead, ops.Fact{Name: "Error code", Value: "429"}); got != "429" {
		t.Error(got)
	}
}

func TestANarrowListOfGroupsSaysWhatSetsThemApart(t *testing.T) {
	d := sampleDesk()
	for _, x := range d.letters {
		if x.Cause.Event == "OrderPlaced" {
			x.Cause.Title = "JSON from orders: total is a string (others: number)"
		}
	}
	c := looked(t, d, 80, 24)
	c.sees("total is a string")
	c = looked(t, d, 120, 36)
	c.sees("total is a string")
}

func TestANoteThatThereAreNoLettersGoesWhenTheyCome(t *testing.T) {
	c := atTriage(t, sampleDesk(), 120, 36)
	c.press("n", "d")
	c.sees("redrive: there are no letters")
	_, cmd := c.app.Update(lookedMsg{screen: c.app.triage(), pile: &pileOfValues{c.app.work.desk.(*deskOfValues), nil}})
	c.run(cmd)
	c.seesNot("there are no letters")
}

func TestHelpBeginsWithTheScreenItWasCalledFrom(t *testing.T) {
	c := looked(t, sampleDesk(), 120, 36)
	c.press("?")
	have := c.text()
	here, all := strings.Index(have, "keys of triage orders-failed"), strings.Index(have, "Moves up one line.")
	if here < 0 || all >= 0 && all < here || !strings.Contains(have, "Plans sending the marked letters") {
		t.Errorf("the keys of the screen do not come first:\n%s", have)
	}
}

func TestFilterOfLetters(t *testing.T) {
	c := looked(t, sampleDesk(), 120, 36)
	c.press("/")
	c.typed("A-100003")
	c.press("enter")
	c.sees("1 group", "1 letter ", "/A-100003")
	c.press("/")
	for range 8 {
		c.press("backspace")
	}
	c.typed("jq:.total(")
	c.sees("filter: jq: unexpected end at position 9", "42 letters") // what was shown stays
	c.press("esc", "esc")
	c.sees("42 letters")
}

func TestWhatIsChosen(t *testing.T) {
	d := sampleDesk()
	c := looked(t, d, 120, 36)
	chosen := func(keys ...string) ops.Selection {
		t.Helper()
		c.press(keys...)
		s, _ := c.app.triage().chosen()
		return s
	}
	if s := chosen(); !s.All {
		t.Errorf("on all letters: %+v", s)
	}
	if s := chosen("down"); s.Cause != "orders-OrderPlaced-77d0" {
		t.Errorf("on a group: %+v", s)
	}
	if s := chosen("space", "space"); len(s.IDs) != 38 { // the cursor goes on after a mark
		t.Errorf("two marked groups: %d letters", len(s.IDs))
	}
	c.press("esc") // removes the marks
	if s := chosen("tab"); len(s.IDs) != 1 {
		t.Errorf("on a letter: %+v", s)
	}
	if s := chosen("s"); len(s.IDs) == 1 {
		t.Errorf("all of a group marked: %+v", s)
	}
	c.press("esc", "esc", "/")
	c.typed("A-10000")
	c.press("enter", "g")
	if s := chosen(); s.All || len(s.IDs) != 10 {
		t.Errorf("under a filter: all %v, %d ids", s.All, len(s.IDs))
	}
}

func TestAFailedLookIsTold(t *testing.T) {
	d := sampleDesk()
	d.lookErr = &ops.Problem{Fault: ops.FaultNotFound, What: "the queue orders-failed does not exist any more", Hint: "it was deleted"}
	c := looked(t, d, 120, 36)
	c.sees("the look failed: the queue orders-failed does not exist any more → it was deleted")
}

func TestHostileBodiesReachNoTerminal(t *testing.T) {
	d := sampleDesk()
	evil := "x\x1b]52;c;ZXZpbA==\x07\x1b[2J\u009b31m\u202e"
	for id, m := range d.messages {
		m.Body = `{"a":"` + evil + `"}` + evil
		m.Attributes["tenant"] = ops.Attribute{Type: evil, Text: evil}
		d.messages[id] = m
	}
	for i := range d.letters {
		cause := *d.letters[i].Cause
		cause.Title, cause.Frame = evil+cause.Title, evil
		d.letters[i].Cause, d.letters[i].Event, d.letters[i].Group = &cause, evil, evil
	}
	c := looked(t, d, 120, 36)
	for _, keys := range [][]string{{"down", "down"}, {"tab"}, {"tab"}, {"enter"}, {"v"}, {"tab"}, {"tab"}} {
		c.press(keys...)
		raw := c.app.draw()
		for _, bad := range []string{"\x1b]52;", "\x1b[2J", "\u009b", "\u202e", "\x07"} {
			if strings.Contains(raw, bad) {
				t.Fatalf("after %v: %q reaches the terminal", keys, bad)
			}
		}
	}
}
