package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
	"kxops/ops/dlq"
)

func TestSpanFlag(t *testing.T) {
	good := map[string]time.Duration{"90s": 90 * time.Second, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "0d5m": 5 * time.Minute}
	for in, want := range good {
		var f spanFlag
		if err := f.Set(in); err != nil || time.Duration(f) != want {
			t.Errorf("%s is %v, %v; want %v", in, time.Duration(f), err, want)
		}
	}
	for _, in := range []string{"", "0", "0s", "-1h", "d", "2d-1h", "1w", "two", "1.5d", "2d2d"} {
		var f spanFlag
		if err := f.Set(in); err == nil {
			t.Errorf("%q was read as %v, want an error", in, time.Duration(f))
		}
	}
}

func TestShareFlag(t *testing.T) {
	var f shareFlag
	if err := f.Set("2.5%"); err != nil || float64(f) != 0.025 {
		t.Errorf("2.5%% is %v, %v", float64(f), err)
	}
	for _, in := range []string{"", "0.05", "5", "0%", "101%", "NaN%", "-1%"} {
		if err := f.Set(in); err == nil {
			t.Errorf("%q was read as %v, want an error", in, float64(f))
		}
	}
}

func TestSourceARN(t *testing.T) {
	const dlqARN, want = ops.ARN("arn:aws:sqs:eu-west-1:123456789012:orders-dlq"), ops.ARN("arn:aws:sqs:eu-west-1:123456789012:orders")
	for _, in := range []string{"orders", string(want), "https://sqs.eu-west-1.amazonaws.com/123456789012/orders"} {
		if got := sourceARN(dlqARN, in); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
	if got := sourceARN(dlqARN, ""); got != "" {
		t.Errorf("no source is %s", got)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1204: "-1,204"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func aPlan(t *testing.T) ops.Plan {
	t.Helper()
	p := ops.Plan{
		Schema: ops.PlanSchema, ID: "20261123-020000-abcdef", Verb: ops.Redrive, Account: "123456789012", Alias: "prod", Region: "eu-west-1", By: "jo@host",
		Reason: "ticket 7", From: "arn:aws:sqs:eu-west-1:123456789012:orders-dlq",
		To:       []ops.Target{{ARN: "arn:aws:sqs:eu-west-1:123456789012:orders", Kind: ops.KindQueue, Count: 2}},
		Select:   ops.Selection{Cause: "Timeout-4c1e"},
		Manifest: []ops.Entry{{ID: "one"}, {ID: "two"}},
		Pace:     ops.Pace{Rate: 50, Canary: true, CanaryWait: 30, MaxReturns: 0.05},
		Facts:    []ops.Fact{{Name: "consumer", Value: "orders-worker, enabled"}},
		Steps:    []ops.Step{{Text: "receive", Command: "aws sqs receive-message --queue-url 'q'"}, {Text: "send"}},
		Warnings: []string{"nothing changed in the consumer\x1b[31m"}, Changes: []ops.Fact{{Name: "MessageId", Value: "a new one"}},
		CannotUndo: []string{"a sent message cannot be called back"}, Blockers: []string{"a move task is running"},
		ETA: 0.3, Calls: 5, USD: 0.00002, Risk: ops.HighRisk, Confirm: "orders-dlq",
	}
	if err := p.Seal(); err != nil {
		t.Fatal(err)
	}
	return p
}

// The whole plan is shown: nothing that a person should know before saying yes is
// left out, and nothing from outside reaches the terminal as an escape sequence.
func TestPlanText(t *testing.T) {
	plan := aPlan(t)
	var p printer
	p.plan(plan)
	want := `plan 20261123-020000-abcdef: redrive
what stands against it
  - a move task is running
  account   123456789012 prod · eu-west-1 · by jo@host
  queue     orders-dlq (standard)
  to        queue orders: 2 messages
  messages  2: cause Timeout-4c1e
  pace      50 messages a second; canary of 1, 10, 100 first, 30s each, halts above 5 % returned
  takes     about 1s of sending, and up to 30s of watching for returns, about 5 calls, under $0.0001
  because   ticket 7
  consumer  orders-worker, enabled
steps
  1. receive
     aws sqs receive-message --queue-url 'q'
  2. send
warnings
  - nothing changed in the consumer
what changes in the messages
  MessageId: a new one
what cannot be undone
  - a sent message cannot be called back
sha256 ` + plan.Hash + "\n"
	if d := cmp.Diff(want, p.b.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// A plan file is the owner's alone, never overwrites, comes back as it was, and
// is refused when a single word in it was changed.
func TestPlanFile(t *testing.T) {
	plan := aPlan(t)
	path := filepath.Join(t.TempDir(), "a.plan")
	if err := writePlan(path, plan); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := writePlan(path, plan); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a second plan in the same file: %v", err)
	}
	f := changeFlags{planIn: path}
	got, err := f.savedPlan("orders-dlq", ops.Redrive)
	if d := cmp.Diff(plan, got); err != nil || d != "" {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
	if _, err := f.savedPlan("stock-dlq", ops.Redrive); err == nil || !strings.Contains(err.Error(), "is a plan for orders-dlq") {
		t.Errorf("applied to another queue: %v", err)
	}
	if _, err := f.savedPlan("orders-dlq", ops.Archive); err == nil || !strings.Contains(err.Error(), "is a plan to redrive") {
		t.Errorf("applied by another command: %v", err)
	}

	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoiled := range map[string]string{
		"changed":    strings.Replace(string(content), `"two"`, `"six"`, 1),
		"cut":        string(content[:len(content)/2]),
		"foreign":    `{"schema":"terraform/plan"}`,
		"no json":    "hello",
		"two in one": string(content) + string(content),
	} {
		path := filepath.Join(t.TempDir(), "b.plan")
		if err := os.WriteFile(path, []byte(spoiled), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPlan(path); err == nil {
			t.Errorf("a plan that is %s was read", name)
		}
	}
}

func TestResultCodes(t *testing.T) {
	cases := []struct {
		name   string
		result ops.Result
		want   int
	}{
		{"done", ops.Result{Progress: ops.Progress{State: ops.Finished}}, exitDone},
		{"done, one rejected", ops.Result{Progress: ops.Progress{State: ops.Finished, Rejected: 1}}, exitPartial},
		{"done, one unknown", ops.Result{Progress: ops.Progress{State: ops.Finished, Unknown: 1}}, exitPartial},
		{"done, one missing", ops.Result{Progress: ops.Progress{State: ops.Finished, Missing: 1}}, exitPartial},
		{"done, one returned", ops.Result{Progress: ops.Progress{State: ops.Finished, Returned: 1}}, exitPartial},
		{"done, one not deleted", ops.Result{Progress: ops.Progress{State: ops.Finished, Pending: 1}}, exitPartial},
		{"partial", ops.Result{Progress: ops.Progress{State: ops.Incomplete}}, exitPartial},
		{"cancelled", ops.Result{Progress: ops.Progress{State: ops.Cancelled}}, exitPartial},
		{"halted", ops.Result{Progress: ops.Progress{State: ops.Halted, Returned: 3}}, exitHalted},
		{"broken", ops.Result{Progress: ops.Progress{State: ops.Broken}}, exitError},
		{"refused", ops.Result{Progress: ops.Progress{State: ops.Broken}, Problem: &ops.Problem{Fault: ops.FaultRefused, What: "no"}}, exitRefused},
	}
	for _, c := range cases {
		s := &session{Streams: Streams{Err: &bytes.Buffer{}}}
		if got := s.tell(resultCode(c.result)); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestResultText(t *testing.T) {
	r := newResultReport(ops.Result{
		Progress: ops.Progress{
			ID: "op-1", Verb: ops.Redrive, From: "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", State: ops.Incomplete,
			Total: 1204, Sent: 1200, Deleted: 1200, Rejected: 1, Unknown: 2, Missing: 1, Calls: 370, USD: 0.0002,
		},
		Rejections: []ops.Refusal{{ID: "r1", Code: "InvalidMessageContents", Why: "too long"}},
		UnknownIDs: []string{"u2", "u1"}, MissingIDs: []string{"m1"}, Next: []string{"look at u1 and u2"},
	}, 12*time.Second)
	var p printer
	p.result(r)
	want := `redrive op-1: done in part, took 12.0s, 370 calls, $0.0002
  sent      1,200 of 1,204
  deleted   1,200  from orders-dlq
  rejected  1  still where they were
  unknown   2  no answer came: they are still where they were, and may also have arrived
  missing   1  in the plan and not found: expired, or taken by somebody else
rejected
  r1  InvalidMessageContents too long
unknown
  u1
  u2
missing
  m1
next
  - look at u1 and u2
`
	if d := cmp.Diff(want, p.b.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// What an operation did not begin with, because it stopped before, is not called
// missing: it was not looked for.
func TestWhatWasNotBegunWith(t *testing.T) {
	for _, state := range []ops.RunState{ops.Halted, ops.Cancelled, ops.Broken} {
		r := newResultReport(ops.Result{
			Progress:   ops.Progress{ID: "op-1", Verb: ops.Redrive, From: "arn:aws:sqs:eu-west-1:123456789012:orders-dlq", State: state, Total: 2, Missing: 2},
			MissingIDs: []string{"m2", "m1"},
		}, time.Second)
		if r.Missing != 0 || len(r.MissingIDs) != 0 || r.Untouched != 2 || !cmp.Equal(r.LeftIDs, []string{"m1", "m2"}) {
			t.Errorf("%s: %d missing %v, %d untouched %v", state, r.Missing, r.MissingIDs, r.Untouched, r.LeftIDs)
		}
		var p printer
		p.result(r)
		if got := p.b.String(); !strings.Contains(got, "  left      2  not begun with: still in orders-dlq\nnot begun with\n  m1\n  m2\n") {
			t.Errorf("%s:\n%s", state, got)
		}
	}
}

// The time a plan takes has in it how long it watches: after each stage of the
// canary that is one of its own, and at the end.
func TestWatchTime(t *testing.T) {
	for n, want := range map[int]float64{1: 5, 2: 35, 11: 35, 12: 65, 111: 65, 112: 95} {
		plan := ops.Plan{Manifest: make([]ops.Entry, n), Pace: ops.Pace{Canary: true, CanaryWait: 30, Watch: 5}}
		if got := watchTime(plan); got != want {
			t.Errorf("%d messages are watched for %v s, want %v", n, got, want)
		}
	}
	if got := watchTime(ops.Plan{Manifest: make([]ops.Entry, 200), Pace: ops.Pace{CanaryWait: 30}}); got != 0 {
		t.Errorf("without a canary %v s", got)
	}
}

// A plan about no message has no steps to take.
func TestIdlePlanHasNoSteps(t *testing.T) {
	var p printer
	p.plan(ops.Plan{Verb: ops.Redrive, Steps: []ops.Step{{Text: "lease 0 messages"}}})
	if got := p.b.String(); strings.Contains(got, "steps") {
		t.Error(got)
	}
}

// The editor's file holds the whole message and gives it back byte for byte; an
// editor's own last line break is no change.
func TestEditRoundTrip(t *testing.T) {
	m := ops.Message{
		Body: "{\"a\": \"ä\"}\n  two\r\nthree",
		Attributes: map[string]ops.Attribute{
			"tenant": {Type: "String", Text: "t \"3\"\nx"}, "n": {Type: "Number.float", Text: "1.5"}, "blob": {Type: "Binary", Bytes: []byte{0, 1, 255}},
		},
	}
	for _, ending := range []string{"", "\n"} {
		got, err := readEdited(m, append(editable(m), ending...))
		if d := cmp.Diff(m, got); err != nil || d != "" {
			t.Errorf("%v (-want +got)\n%s", err, d)
		}
	}
	for name, content := range map[string]string{
		"no line":         "tenant String \"t3\"\n{}",
		"no type":         "tenant \"t3\"\n" + bodyBelow + "\n{}",
		"bad quotes":      "tenant String t3\n" + bodyBelow + "\n{}",
		"bad base64":      "blob Binary base64 \"?\"\n" + bodyBelow + "\n{}",
		"attribute twice": "a String \"1\"\na String \"2\"\n" + bodyBelow + "\n{}",
	} {
		if got, err := readEdited(m, []byte(content)); err == nil {
			t.Errorf("%s: read as %+v, want an error", name, got)
		}
	}
}

func TestLineDiff(t *testing.T) {
	before := strings.Split("a b c d e f g h", " ")
	after := strings.Split("a b c X e f g h I", " ")
	var got []string
	for _, l := range lineDiff(before, after) {
		got = append(got, string(l.mark)+l.text)
	}
	want := []string{" b", " c", "-d", "+X", " e", " f", " g", " h", "+I"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if d := lineDiff(before, before); len(d) != 0 {
		t.Errorf("nothing changed, and the diff is %v", d)
	}
}

func TestQueuesByFirstLoss(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	queue := func(name string, measures ...ops.Measure) ops.Queue {
		return ops.Queue{
			ARN: ops.ARN("arn:aws:sqs:eu-west-1:1:" + name), Name: name, FIFO: true, Retention: 14 * 24 * time.Hour, Measures: measures,
			DeadLetterOf: []ops.DeadLetterSource{{Via: ops.ViaRedrivePolicy, Source: "arn:aws:sqs:eu-west-1:1:src"}},
		}
	}
	reading := func(m ops.Metric, v float64) ops.Measure { return ops.Measure{Metric: m, Last: ops.Know(v, now)} }
	s := ops.Snapshot{Queues: ops.Section[ops.Queue]{Items: []ops.Queue{
		queue("empty", reading(ops.Visible, 0), reading(ops.OldestAge, 99)),
		queue("unknown"),
		queue("no-age", reading(ops.Visible, 5)),
		queue("late", reading(ops.Visible, 5), reading(ops.OldestAge, 3600)),
		queue("soon", reading(ops.Visible, 5), reading(ops.OldestAge, 13*24*3600)),
		{Name: "no-dlq"},
	}}}
	var got []string
	for _, q := range newQueuesReport(s, now).Queues {
		got = append(got, q.Name+" "+q.lossWord()+" "+q.countWord(q.Depth)+" "+q.oldestWord())
	}
	want := []string{"soon 1d 5 13d", "late 13d23h 5 1h", "no-age ? 5 ?", "unknown ? ? ?", "empty - 0 -"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestProgressText(t *testing.T) {
	got := progressText(ops.Progress{Verb: ops.Redrive, State: ops.Running, Stage: "canary 10 of 1,204", Total: 1204, Sent: 11, Returned: 2, Rate: 49.6, Note: "throttled"})
	if want := "canary 10 of 1,204 · sent 11 of 1,204 · 2 returned · 50/s · throttled"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	got = progressText(ops.Progress{Verb: ops.Redrive, State: ops.Watching, Stage: "canary: 1 of 27", Total: 27, Sent: 1, Until: time.Date(2026, 11, 23, 3, 19, 49, 0, time.UTC)})
	if want := "canary: 1 of 27 · sent 1 of 27 · watching for returns until 03:19:49 UTC"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	got = progressText(ops.Progress{Verb: ops.Move, State: ops.Running, Note: "SQS says 3 moved; its counter lags"})
	if want := "running · moved ? as far as SQS tells · ? left in the queue"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What the first look costs is said; the third says that it costs nothing.
func TestCostLines(t *testing.T) {
	q := ops.Queue{Name: "orders-dlq"}
	got := costLines(q, ops.PeekCost{Messages: 1000, Lease: 30 * time.Second, Calls: 200, USD: 0.00008, Warnings: []string{"raises the receive count"}})
	want := []string{"looking at orders-dlq: up to 1,000 messages, about 200 calls, under $0.0001", "  raises the receive count"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := costLines(q, ops.PeekCost{FromMemory: true}); len(got) != 1 || !strings.Contains(got[0], "twice already") {
		t.Errorf("a look from memory says %q", got)
	}
}

func TestTasksText(t *testing.T) {
	var p printer
	p.tasks(newTasksReport(ops.Queue{ARN: "arn:aws:sqs:eu-west-1:1:orders-dlq"}, []dlq.Task{
		{Status: "RUNNING", Moved: 3, Total: 10, Rate: 5, Started: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)},
		{Status: "FAILED", To: "arn:aws:sqs:eu-west-1:1:other", Failure: "the target is gone"},
	}))
	want := `orders-dlq · 2 move tasks · the queue says it holds ?

STATUS   STARTED               MOVED    RATE         TO      FAILURE
RUNNING  2026-11-23 02:00:00Z  3 of 10  5/s          origin
FAILED   ?                     0 of 0   SQS decides  other   the target is gone
`
	if d := cmp.Diff(want, p.b.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// A message that fails again comes back unseen where nobody watched: the result
// says when, and how to look. An archive's says the way back.
func TestAfterwards(t *testing.T) {
	plan := ops.Plan{
		Verb: ops.Redrive, From: "arn:aws:sqs:eu-west-1:1:orders-dlq",
		Facts: []ops.Fact{{Name: "Back after", Value: "a message that fails again is back after about 2m (3 receives of 40s)"}},
	}
	sent := ops.Result{Progress: ops.Progress{State: ops.Finished, Sent: 1}}
	want := []string{"nothing watched for returns: a message that fails again is back after about 2m; look again: kxops dlq groups orders-dlq"}
	if d := cmp.Diff(want, afterwards(plan, sent)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := afterwards(plan, ops.Result{}); got != nil {
		t.Errorf("nothing was sent: %q", got)
	}
	plan.Pace.Watch = 60
	if got := afterwards(plan, sent); got != nil {
		t.Errorf("it was watched: %q", got)
	}
	plan.Verb, plan.File = ops.Archive, "/tmp/my file.jsonl"
	want = []string{"the messages are in /tmp/my file.jsonl; kxops --access change dlq restore orders-dlq --in '/tmp/my file.jsonl' puts them back"}
	if d := cmp.Diff(want, afterwards(plan, sent)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// The file of a restore and its messages are said once.
func TestPlanSaysFileOnce(t *testing.T) {
	var p printer
	p.plan(ops.Plan{Verb: ops.Restore, File: "/tmp/a.jsonl", Manifest: make([]ops.Entry, 2), Facts: []ops.Fact{{Name: "File", Value: "/tmp/a.jsonl"}, {Name: "Messages", Value: "2, 30 bytes"}}})
	p.plan(ops.Plan{Verb: ops.Archive, File: "/tmp/b.jsonl", Manifest: make([]ops.Entry, 2), To: []ops.Target{{Kind: ops.KindFile, Path: "/tmp/b.jsonl", Count: 2}}})
	for what, want := range map[string]int{"/tmp/a.jsonl": 1, "/tmp/b.jsonl": 1, "\n  messages": 2} {
		if got := strings.Count(p.b.String(), what); got != want {
			t.Errorf("%q is there %d times, want %d, in\n%s", what, got, want, p.b.String())
		}
	}
}

// Into a file a line comes when something changed, every ten seconds at most, and
// every thirty where nothing does.
func TestProgressIntoAFile(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	bar := (&session{Streams: Streams{Err: &out}}).progressLine()
	bar.now = func() time.Time { return now }
	bar.last = now
	for range 70 {
		now = now.Add(time.Second)
		line := "watching"
		if out.Len() == 0 {
			line = "sending"
		}
		bar.show(line)
	}
	if got, want := out.String(), "sending\nwatching\nwatching\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The letters of a group have the title that sets it apart; the pile's own stay.
func TestTitled(t *testing.T) {
	shape := func(id, key, field string) ops.Letter {
		return ops.Letter{ID: id, Cause: &ops.Cause{Key: key, Title: "JSON from orders", Family: "JSON", Fields: []string{field + " string"}}}
	}
	letters := []ops.Letter{shape("a", "JSON-1", "total"), shape("b", "JSON-2", "amount"), {ID: "c"}}
	got := titled(letters, letters)
	if a, b := got[0].Cause.Title, got[1].Cause.Title; a == b || !strings.HasPrefix(a, "JSON from orders: ") {
		t.Errorf("the titles are %q and %q", a, b)
	}
	if letters[0].Cause.Title != "JSON from orders" || got[2].Cause != nil {
		t.Errorf("the pile's own letter is %+v, one without a cause %+v", letters[0].Cause, got[2].Cause)
	}
}

func TestFlagTrouble(t *testing.T) {
	for in, want := range map[string]string{
		`invalid argument "x" for "--limit" flag: strconv.ParseInt: parsing "x": invalid syntax`:                        `invalid argument "x" for "--limit" flag: must be a whole number`,
		`invalid argument "99999999999999999999" for "--limit" flag: strconv.ParseInt: parsing "9": value out of range`: `invalid argument "99999999999999999999" for "--limit" flag: the number is too large`,
		`invalid argument "x" for "--rate" flag: strconv.ParseFloat: parsing "x": invalid syntax`:                       `invalid argument "x" for "--rate" flag: must be a number`,
		`invalid argument "x" for "--yes" flag: strconv.ParseBool: parsing "x": invalid syntax`:                         `invalid argument "x" for "--yes" flag: must be true or false`,
		`unknown flag: --nope`: `unknown flag: --nope`,
	} {
		if got := flagTrouble(in); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
