package replay

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/journal"
)

// archived is a bus with an archive of it, a rule for everything and one for orders of
// big customers; one event a minute for ten minutes. It returns the queue of the first
// rule, emptied.
func (w *world) archived() (events *eventbridge.Client, url string, since time.Time) {
	w.Helper()
	events = eventbridge.NewFromConfig(w.sb.Config())
	url = w.bus("shop", `{"source":["shop"]}`)
	_, err := events.CreateArchive(w.Context(), &eventbridge.CreateArchiveInput{ArchiveName: aws.String("kept"), RetentionDays: aws.Int32(2),
		EventSourceArn: aws.String("arn:aws:events:" + sandbox.HomeRegion + ":" + sandbox.Account + ":event-bus/shop")})
	w.must(err)
	_, err = events.PutRule(w.Context(), &eventbridge.PutRuleInput{Name: aws.String("big"), EventBusName: aws.String("shop"), EventPattern: aws.String(`{"detail":{"n":[3,4]}}`)})
	w.must(err)
	since = w.sb.Now()
	for n := range 10 {
		detail := fmt.Sprintf(`{"n":%d}`, n)
		_, err := events.PutEvents(w.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{EventBusName: aws.String("shop"), Source: aws.String("shop"), DetailType: aws.String("order"), Detail: &detail}}})
		w.must(err)
		w.sb.Advance(time.Minute)
	}
	w.sb.Advance(20 * time.Minute)
	if got, _ := w.drain(url); len(got) != 10 {
		w.Fatalf("%d events in the queue before anything was replayed", len(got))
	}
	return events, url, since
}

// numbers are those of events in a queue, which all have to carry the replay's name.
func (w *world) numbers(url, replay string) []int {
	w.Helper()
	bodies, _ := w.drain(url)
	var out []int
	for _, b := range bodies {
		var e struct {
			Replay string         `json:"replay-name"`
			Detail map[string]int `json:"detail"`
		}
		w.must(json.Unmarshal([]byte(b), &e))
		if e.Replay != replay {
			w.Errorf("%s is not of the replay %s", b, replay)
		}
		out = append(out, e.Detail["n"])
	}
	slices.Sort(out)
	return out
}

// ended asks until the replay is over; the clock runs.
func (w *world) ended(id string) ops.ManagedState {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		x, err := w.desk.Managed(w.Context(), id)
		w.must(err)
		if x.State.Over() {
			return x
		}
		if time.Now().After(deadline) {
			w.Fatalf("it does not end: %+v", x)
		}
		w.sb.Advance(time.Second)
	}
}

// EventBridge replays the window to the bus, and nothing beside it: the queue of the rule
// counts. What became of it is in the record and in the journal.
func TestAnArchiveOfEventsIsReplayed(t *testing.T) {
	w := newWorld(t)
	_, url, since := w.archived()
	ask := ops.ReplayAsk{From: "events-archive:kept", Select: ops.ReplaySelect{Since: since.Add(2 * time.Minute), Until: since.Add(6 * time.Minute)}, Links: []ops.Link{}}
	plan := w.plan(ask)
	if plan.To.ARN.Name() != "shop" || plan.To.Kind != ops.KindBus || plan.Managed == nil {
		t.Fatalf("%+v", plan)
	}
	facts := fmt.Sprint(plan.Facts)
	for _, says := range []string{"all to queue shop-queue", "big to nothing", "10 events", "for 2 days", "fills shop-queue", plan.Managed.Name} {
		if !strings.Contains(facts, says) {
			t.Errorf("the plan does not say %q: %s", says, facts)
		}
	}
	x, err := w.desk.StartManaged(t.Context(), plan)
	w.must(err)
	if x.State != ops.Running || x.Says != "STARTING" {
		t.Errorf("%+v", x)
	}
	if _, known := x.Share.Value(); known {
		t.Error("how far it is was known before anything was replayed")
	}
	if _, err := w.desk.StartManaged(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "was applied before") {
		t.Errorf("the same plan twice: %v", err)
	}
	past, err := w.desk.Show(plan.ID)
	w.must(err)
	if past.Progress.State != ops.Running {
		t.Errorf("%+v", past.Progress)
	}
	if x = w.ended(plan.ID); x.State != ops.Finished || x.Share.Or(0) != 1 || !x.Last.Equal(since.Add(5*time.Minute)) {
		t.Errorf("%+v", x)
	}
	if got := w.numbers(url, plan.Managed.Name); !slices.Equal(got, []int{2, 3, 4, 5}) {
		t.Errorf("replayed %v", got)
	}
	if past, err = w.desk.Show(plan.ID); err != nil || past.Progress.State != ops.Finished {
		t.Errorf("%+v %v", past.Progress, err)
	}
	outcomes := map[journal.Outcome]int{}
	entries, err := w.desk.o.Journal.Entries(0)
	w.must(err)
	for _, e := range entries {
		if e.ID == plan.ID {
			outcomes[e.Outcome]++
		}
	}
	if outcomes[journal.Started] != 1 || outcomes[journal.Done] != 1 {
		t.Errorf("in the journal: %v", outcomes)
	}
	proof, err := w.desk.Verify(t.Context(), plan.ID)
	w.must(err)
	if !proof.Holds() || len(proof.NotChecked) != 1 {
		t.Errorf("%+v", proof)
	}
	// Only one rule: that of everything gets nothing.
	ask.Rules = []string{"big"}
	plan = w.plan(ask)
	_, err = w.desk.StartManaged(t.Context(), plan)
	w.must(err)
	w.ended(plan.ID)
	if got := w.numbers(url, plan.Managed.Name); len(got) != 0 {
		t.Errorf("the other rule got %v", got)
	}
}

// A lost answer is asked about: the replay is started once, and never twice.
func TestAManagedReplayIsStartedOnce(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"answer lost":    {Kind: sandbox.ResetAfter, Service: "events", Operation: "StartReplay", Percent: 100},
		"request lost":   {Kind: sandbox.ResetBefore, Service: "events", Operation: "StartReplay", Percent: 100},
		"not allowed":    {Kind: sandbox.DeniedAction, Service: "events", Operation: "StartReplay"},
		"nobody answers": {Kind: sandbox.ResetAfter, Service: "events", Percent: 100},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			events, url, since := w.archived()
			plan := w.plan(ops.ReplayAsk{From: "events-archive:kept", Select: ops.ReplaySelect{Since: since, Until: since.Add(time.Hour / 6)}, Links: []ops.Link{}})
			if name == "nobody answers" {
				fault.Operation = "DescribeReplay"
				w.sb.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "events", Operation: "StartReplay", Percent: 100}, fault)
			} else {
				w.sb.SetFaults(fault)
			}
			_, err := w.desk.StartManaged(t.Context(), plan)
			w.sb.SetFaults()
			list, lerr := events.ListReplays(t.Context(), &eventbridge.ListReplaysInput{})
			w.must(lerr)
			began := len(list.Replays)
			switch name {
			case "answer lost":
				if err != nil || began != 1 {
					t.Errorf("%v, %d replays", err, began)
				}
			case "request lost", "not allowed":
				if err == nil || began != 0 {
					t.Errorf("%v, %d replays", err, began)
				}
				if past, err := w.desk.Show(plan.ID); err != nil || past.Progress.State != ops.Broken {
					t.Errorf("%+v %v", past.Progress, err)
				}
				return
			case "nobody answers":
				if err == nil || !strings.Contains(ops.AsProblem(err).Hint, "whether it began is unknown") {
					t.Errorf("%v", err)
				}
				if began != 1 {
					t.Fatalf("%d replays", began)
				}
			}
			w.ended(plan.ID)
			if got := w.numbers(url, plan.Managed.Name); len(got) != 10 {
				t.Errorf("replayed %v", got)
			}
		})
	}
}

// It can be ended, and what EventBridge ends by itself is no success.
func TestAManagedReplayEnds(t *testing.T) {
	w := newWorld(t)
	events, url, since := w.archived()
	ask := ops.ReplayAsk{From: "events-archive:kept", Select: ops.ReplaySelect{Since: since, Until: since.Add(10 * time.Minute)}, Links: []ops.Link{}}
	plan := w.plan(ask)
	_, err := w.desk.StartManaged(t.Context(), plan)
	w.must(err)
	for {
		x, err := w.desk.Managed(t.Context(), plan.ID)
		w.must(err)
		if share, known := x.Share.Value(); known && share > 0.2 {
			if left, ok := x.ETA.Value(); !ok || left <= 0 {
				t.Errorf("%+v", x)
			}
			break
		}
		w.sb.Advance(time.Second)
	}
	if err := w.desk.Tell(plan.ID, false); err == nil || !strings.Contains(err.Error(), "cannot pause") {
		t.Errorf("paused: %v", err)
	}
	if _, err := w.desk.Resume(t.Context(), plan.ID); err == nil {
		t.Error("resumed here")
	}
	_, err = w.desk.CancelManaged(t.Context(), plan.ID)
	w.must(err)
	if x := w.ended(plan.ID); x.State != ops.Cancelled {
		t.Errorf("%+v", x)
	}
	if n := len(w.numbers(url, plan.Managed.Name)); n == 0 || n == 10 {
		t.Errorf("%d events before the end", n)
	}
	if _, err := w.desk.CancelManaged(t.Context(), plan.ID); err == nil || !strings.Contains(err.Error(), "is over") {
		t.Errorf("cancelled twice: %v", err)
	}

	plan = w.plan(ask)
	_, err = w.desk.StartManaged(t.Context(), plan)
	w.must(err)
	_, err = events.DeleteArchive(t.Context(), &eventbridge.DeleteArchiveInput{ArchiveName: aws.String("kept")})
	w.must(err)
	if x := w.ended(plan.ID); x.State != ops.Broken || !strings.Contains(x.Why, "deleted") {
		t.Errorf("%+v", x)
	}
	if proof, err := w.desk.Verify(t.Context(), plan.ID); err != nil || proof.Holds() {
		t.Errorf("%+v %v", proof, err)
	}
}

// What EventBridge cannot do is refused, each in one sentence; what is odd is said.
func TestWhatAManagedReplayCannot(t *testing.T) {
	w := newWorld(t)
	events, _, since := w.archived()
	window := ops.ReplaySelect{Since: since, Until: since.Add(time.Minute)}
	for says, ask := range map[string]ops.ReplayAsk{
		"--rule names the rules":             {Select: ops.ReplaySelect{Since: since, Filter: ".x"}},
		"there is nothing to map":            {Select: window, Map: ops.ReplayMap{Key: ".x"}},
		"decides how fast":                   {Select: window, Rate: 5},
		"--since is missing":                 {},
		"leave out --to":                     {Select: window, To: "queue:shop-queue"},
		"has no rule bgi":                    {Select: window, Rules: []string{"bgi"}},
		"the window is empty":                {Select: ops.ReplaySelect{Since: since, Until: since}},
		"there is no archive of events kpet": {From: "events-archive:kpet", Select: window},
	} {
		if ask.From == "" {
			ask.From = "events-archive:kept"
		}
		_, _, err := w.desk.Plan(t.Context(), ask)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if _, _, err := w.desk.Plan(t.Context(), ops.ReplayAsk{From: "events-archive:kpet", Select: window}); err == nil || !strings.Contains(ops.AsProblem(err).Hint, "kept") {
		t.Errorf("%v", err)
	}
	late := planOf(t, w.desk, ops.ReplayAsk{From: "events-archive:kept", Select: ops.ReplaySelect{Since: since.AddDate(0, 0, -3), Until: w.sb.Now().Add(time.Hour)}})
	says := strings.Join(late.Warnings, "\n")
	for _, want := range []string{"is gone: the archive keeps 2 days", "may not be in the archive yet", "ends in the future", "it has nothing older"} {
		if !strings.Contains(says, want) {
			t.Errorf("the plan does not say %q: %s", want, says)
		}
	}
	// Ten run already.
	bus := string(late.To.ARN)
	for n := range managedMost {
		_, err := events.StartReplay(t.Context(), &eventbridge.StartReplayInput{ReplayName: aws.String(fmt.Sprint("other-", n)), EventSourceArn: aws.String(string(late.From.ARN)),
			EventStartTime: &since, EventEndTime: aws.Time(since.Add(time.Hour)), Destination: &types.ReplayDestination{Arn: &bus}})
		w.must(err)
	}
	if plan := planOf(t, w.desk, ops.ReplayAsk{From: "events-archive:kept", Select: window}); len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "10 replays of archives run") {
		t.Errorf("%q", plan.Blockers)
	}
}
