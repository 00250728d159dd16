package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// memoryLab is a lab in memory: it takes events and tells where they are as the
// test decides.
type memoryLab struct {
	mu       sync.Mutex
	last     int
	taken    map[string]map[string]string // id -> fields
	traced   [][]string                   // the ids of every Trace
	inAir    int
	mostAir  int
	refusal  string
	failure  error
	blind    error                                 // Trace's error
	where    func(id string) []Seen                // what Trace knows
	gate     chan struct{}                         // Submit waits for it, when set
	entered  chan struct{}                         // hears every Submit that stands at the gate
	slowEyes chan struct{}                         // Trace waits for it, when set
	deadline func(what string, left time.Duration) // hears each call's deadline
}

func newLab() *memoryLab {
	return &memoryLab{taken: map[string]map[string]string{}, entered: make(chan struct{}, maxBurst)}
}

func (l *memoryLab) Title() string { return "Lab <b>9</b>" }

func (l *memoryLab) Forms() []Form {
	return []Form{
		{Type: "order", Title: "Order", Help: "An order of a shop.", Fields: []Field{
			{Name: "customer", Label: "Customer", Value: "c-17", Required: true},
			{Name: "amount", Label: "Amount in euro", Number: true, Value: "12.5", Required: true, Min: 0.01, Max: 1000},
			{Name: "channel", Label: "Channel", Choices: []string{"web", "shop"}, Value: "shop"},
			{Name: "note", Label: "Note"},
		}},
		{Type: "click", Title: "Click", Fields: []Field{{Name: "page", Label: "Page", Value: "/home", Required: true}}},
	}
}

func (l *memoryLab) Steps() []Step {
	return []Step{{Name: "accepted"}, {Name: "in stream"}, {Name: "archived"}, {Name: "processed"}, {Name: "dead-lettered", Bad: true, Last: true}}
}

func (l *memoryLab) hear(ctx context.Context, what string) {
	if at, ok := ctx.Deadline(); ok && l.deadline != nil {
		l.deadline(what, time.Until(at))
	}
}

func (l *memoryLab) Submit(ctx context.Context, _ string, fields map[string]string) (Sent, error) {
	l.mu.Lock()
	l.hear(ctx, "submit")
	l.inAir++
	l.mostAir = max(l.mostAir, l.inAir)
	gate := l.gate
	l.mu.Unlock()
	defer func() { l.mu.Lock(); l.inAir--; l.mu.Unlock() }()
	if gate != nil {
		l.entered <- struct{}{}
		select {
		case <-gate:
		case <-ctx.Done():
			return Sent{}, ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		return Sent{}, l.failure
	}
	if l.refusal != "" {
		return Sent{Status: 400, Why: l.refusal}, nil
	}
	l.last++
	id := fmt.Sprintf("event-%04d", l.last)
	l.taken[id] = fields
	return Sent{ID: id, Status: 202}, nil
}

func (l *memoryLab) Trace(ctx context.Context, ids []string) (map[string][]Seen, error) {
	l.mu.Lock()
	l.hear(ctx, "trace")
	l.traced = append(l.traced, slices.Clone(ids))
	eyes, where, blind := l.slowEyes, l.where, l.blind
	l.mu.Unlock()
	if eyes != nil {
		select {
		case <-eyes:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	seen := map[string][]Seen{}
	for _, id := range ids {
		if where != nil {
			seen[id] = where(id)
		}
	}
	return seen, blind
}

func (l *memoryLab) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *memoryLab) looks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.traced)
}

// rig is a page over a lab with a clock that the test turns.
type rig struct {
	t   *testing.T
	lab *memoryLab
	s   *Server
	mu  sync.Mutex
	at  time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, lab: newLab(), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r.s = New(r.lab)
	r.s.now = func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.at }
	t.Cleanup(r.s.Close)
	return r
}

func (r *rig) pass(d time.Duration) { r.mu.Lock(); r.at = r.at.Add(d); r.mu.Unlock() }

func (r *rig) ask(q *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.s.ServeHTTP(w, q)
	return w
}

func (r *rig) get(path string) *httptest.ResponseRecorder {
	return r.ask(httptest.NewRequest("GET", "http://localhost:8080"+path, nil))
}

func (r *rig) form(path string, form url.Values) *http.Request {
	q := httptest.NewRequest("POST", "http://localhost:8080"+path, strings.NewReader(form.Encode()))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return q
}

// order is a form that is right in everything, changed by pairs.
func (r *rig) order(pairs ...string) url.Values {
	v := url.Values{"token": {r.s.token}, "type": {"order"}, "count": {"3"}, "field.customer": {"c-1"}, "field.amount": {"5"}, "field.channel": {"web"}, "field.note": {""}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func (r *rig) post(path string, form url.Values) (int, answer) {
	r.t.Helper()
	q := r.form(path, form)
	q.Header.Set("Accept", "application/json")
	w := r.ask(q)
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		r.t.Fatalf("POST %s: %d %q: %v", path, w.Code, w.Body, err)
	}
	return w.Code, a
}

func (r *rig) events() list {
	r.t.Helper()
	w := r.get("/events")
	var l list
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil {
		r.t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return l
}

// look lets a second pass, asks, and returns the list after the answer.
func (r *rig) look() list {
	r.t.Helper()
	r.pass(2 * time.Second)
	r.events()
	r.s.work.Wait()
	return r.s.list()
}

func states(cells []cell) string {
	var words []string
	for _, c := range cells {
		words = append(words, c.State)
	}
	return strings.Join(words, " ")
}

func TestOneEvent(t *testing.T) {
	r := newRig(t)
	code, a := r.post("/submit", r.order("field.amount", " 7.25 "))
	if code != 200 || a.Outcome != "accepted" || !strings.Contains(a.Message, "event-0001") {
		t.Fatalf("%d %+v", code, a)
	}
	if diff := cmp.Diff(map[string]string{"customer": "c-1", "amount": "7.25", "channel": "web"}, r.lab.taken["event-0001"]); diff != "" {
		t.Error("an empty optional field is left out, a number is trimmed:", diff)
	}
	if got := states(r.s.list().Rows[0].Cells); got != "seen unknown unknown unknown unknown" {
		t.Errorf("before any look nothing but the API's answer is known: %s", got)
	}
	at := time.Date(2026, 3, 1, 12, 0, 7, 0, time.UTC)
	r.lab.set(func() {
		r.lab.where = func(string) []Seen {
			return []Seen{{Step: "in stream", At: at, Note: "shard 3"}, {Step: "in stream", At: at.Add(time.Second)}}
		}
	})
	row := r.look().Rows[0]
	if got := states(row.Cells); got != "seen seen waiting waiting no" {
		t.Errorf("cells: %s", got)
	}
	if got := row.Cells[1]; got.Text != "12:00:07, 2 times" || got.Note != "shard 3" {
		t.Errorf("the first sighting and how many: %+v", got)
	}
}

func TestRefusedAndUnknown(t *testing.T) {
	r := newRig(t)
	r.lab.set(func() { r.lab.refusal = "schema: <i>amount</i>\x1b[31m" })
	if _, a := r.post("/submit", r.order()); a.Outcome != "refused" || a.Message != "Refused (HTTP 400): schema: <i>amount</i> [31m" {
		t.Errorf("%+v", a)
	}
	r.lab.set(func() { r.lab.failure = errors.New("connection reset") })
	if _, a := r.post("/submit", r.order()); a.Outcome != "unknown" || a.Message != "Not known whether it was taken: connection reset" {
		t.Errorf("%+v", a)
	}
	l := r.look()
	if len(l.Rows) != 2 || l.Rows[0].Problem == "" || l.Rows[1].Problem == "" || r.lab.looks() != 0 {
		t.Errorf("both are listed, neither is asked about: %+v", l.Rows)
	}
	if body := r.get("/").Body.String(); strings.Contains(body, "<i>") || strings.Contains(body, "<b>9") || !strings.Contains(body, "schema: &lt;i&gt;") {
		t.Error("the lab's text must be text")
	}
}

func TestWrongInput(t *testing.T) {
	for _, c := range []struct {
		name, path, key, value, field, sentence string
	}{
		{"unknown type", "/submit", "type", "refund", "", `there is no event type "refund" in this lab`},
		{"missing", "/submit", "field.customer", "  ", "field.customer", "Customer is required: fill it in."},
		{"not a number", "/submit", "field.amount", "NaN", "field.amount", "Amount in euro must be a number, such as 12 or 3.5."},
		{"hex", "/submit", "field.amount", "0x10", "field.amount", "Amount in euro must be a number, such as 12 or 3.5."},
		{"too low", "/submit", "field.amount", "0", "field.amount", "Amount in euro must be from 0.01 to 1000."},
		{"too high", "/submit", "field.amount", "1000.01", "field.amount", "Amount in euro must be from 0.01 to 1000."},
		{"no choice of ours", "/submit", "field.channel", "phone", "field.channel", "Channel must be one of: web, shop."},
		{"bytes", "/submit", "field.note", "\xff", "field.note", "Note is not valid text (UTF-8)."},
		{"unknown field", "/submit", "field.admin", "1", "", `there is no field "admin" in this form`},
		{"count 0", "/burst", "count", "0", "count", "How many must be a whole number from 1 to 500."},
		{"count 501", "/burst", "count", "501", "count", "How many must be a whole number from 1 to 500."},
		{"count text", "/burst", "count", "many", "count", "How many must be a whole number from 1 to 500."},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			code, a := r.post(c.path, r.order(c.key, c.value))
			said := a.Fields[c.field]
			if c.field == "" {
				said = a.Message
			}
			if code != 422 || said != c.sentence || (c.field != "" && len(a.Fields) != 1) {
				t.Errorf("%d %+v", code, a)
			}
			w := r.ask(r.form(c.path, r.order("field.note", "keep <me>", c.key, c.value)))
			body := w.Body.String()
			if w.Code != 422 || !strings.Contains(body, regexp.MustCompile(`[&"<>].*`).ReplaceAllString(c.sentence, "")) {
				t.Errorf("without a script: %d, and the sentence %q", w.Code, c.sentence)
			}
			if c.key != "type" && c.key != "field.note" && !strings.Contains(body, `value="keep &lt;me&gt;"`) {
				t.Error("what was typed is kept")
			}
			r.s.work.Wait()
			if len(r.lab.taken) != 0 {
				t.Errorf("something was sent: %v", r.lab.taken)
			}
		})
	}
}

func TestWithoutScript(t *testing.T) {
	r := newRig(t)
	body := r.get("/?type=click").Body.String()
	if !strings.Contains(body, `id="form-0" aria-label="Order" novalidate hidden`) || strings.Contains(body, `aria-label="Click" novalidate hidden`) {
		t.Error("the link of a type shows its form")
	}
	for _, want := range []string{`<label for="f0-0">Customer <span class="must">(required)`, `<option selected>shop</option>`, `value="12.5"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	w := r.ask(r.form("/submit", r.order()))
	to := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || to != "/?type=order&done=1" {
		t.Fatalf("%d to %q", w.Code, to)
	}
	if body := r.get(to).Body.String(); !strings.Contains(body, `class="result accepted">Accepted: order, id event-0001</p>`) {
		t.Error("the page after the redirect says what became of it")
	}
}

func TestStrangers(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name   string
		change func(q *http.Request)
		want   int
	}{
		{"fine", func(*http.Request) {}, 303},
		{"127.0.0.1", func(q *http.Request) { q.Host = "127.0.0.1:9" }, 303},
		{"[::1]", func(q *http.Request) { q.Host = "[::1]:9" }, 303},
		{"rebinding", func(q *http.Request) { q.Host = "evil.example:8080" }, 403},
		{"localhost as a part", func(q *http.Request) { q.Host = "localhost.evil.example" }, 403},
		{"a private address", func(q *http.Request) { q.Host = "192.168.0.1" }, 403},
		{"no host", func(q *http.Request) { q.Host = "" }, 403},
		{"same origin", func(q *http.Request) { q.Header.Set("Origin", "http://localhost:8080") }, 303},
		{"other port", func(q *http.Request) { q.Header.Set("Origin", "http://localhost:3000") }, 403},
		{"other site", func(q *http.Request) { q.Header.Set("Origin", "https://evil.example") }, 403},
		{"null", func(q *http.Request) { q.Header.Set("Origin", "null") }, 403},
		{"two origins", func(q *http.Request) { q.Header["Origin"] = []string{"http://localhost:8080", "http://evil.example"} }, 403},
		{"not a form", func(q *http.Request) { q.Header.Set("Content-Type", "text/plain") }, 415},
		{"GET", func(q *http.Request) { q.Method = "GET" }, 405},
		{"no token", func(q *http.Request) { q.Body = io.NopCloser(strings.NewReader("type=order")) }, 403},
		{"wrong token", func(q *http.Request) { q.Body = io.NopCloser(strings.NewReader("type=order&token=guess")) }, 403},
		{"token in the address", func(q *http.Request) {
			q.URL.RawQuery = "token=" + r.s.token
			q.Body = io.NopCloser(strings.NewReader("type=order"))
		}, 403},
		{"large", func(q *http.Request) {
			q.Body = io.NopCloser(strings.NewReader(r.order("field.note", strings.Repeat("x", 64<<10)).Encode()))
		}, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(r.lab.taken)
			q := r.form("/submit", r.order())
			c.change(q)
			w := r.ask(q)
			if sent := len(r.lab.taken) - before; w.Code != c.want || (sent == 1) != (c.want == 303) {
				t.Errorf("%d, %d sent; want %d: %s", w.Code, sent, c.want, w.Body)
			}
			h := w.Header()
			csp := h.Get("Content-Security-Policy")
			if h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("protective headers: %v", h)
			}
		})
	}
}

func TestOtherPostsAreGuardedToo(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/burst", "/burst/stop", "/again"} {
		if code, a := r.post(path, r.order("token", "guess")); code != 403 || a.Message == "" {
			t.Errorf("%s without the token: %d %+v", path, code, a)
		}
	}
}

// TestNothingInline holds the page to its own Content-Security-Policy.
func TestNothingInline(t *testing.T) {
	body := newRig(t).get("/").Body.String()
	if bad := regexp.MustCompile(`(?i)<style|<script>|\son[a-z]+=|\sstyle=|https?://`).FindString(body); bad != "" {
		t.Errorf("the page has %q", bad)
	}
}

func TestOneLookASecond(t *testing.T) {
	r := newRig(t)
	r.lab.set(func() { r.lab.slowEyes = make(chan struct{}) })
	r.post("/submit", r.order())
	r.pass(2 * time.Second)
	for range 5 {
		r.events()
	}
	r.pass(5 * time.Second)
	r.events()
	close(r.lab.slowEyes)
	r.s.work.Wait()
	if got := r.lab.looks(); got != 1 {
		t.Errorf("%d looks while one is under way", got)
	}
	r.look()
	r.pass(999 * time.Millisecond)
	r.events()
	r.s.work.Wait()
	if got := r.lab.looks(); got != 2 {
		t.Errorf("%d looks, the last two within a second", got)
	}
	if w := r.get("/events?version=" + r.s.list().Version); w.Code != http.StatusNoContent {
		t.Errorf("the same again: %d", w.Code)
	}
}

func TestWhoIsNotAskedAbout(t *testing.T) {
	r := newRig(t)
	all := []Seen{{Step: "in stream"}, {Step: "archived"}, {Step: "processed"}}
	where := map[string][]Seen{"event-0001": all, "event-0002": {{Step: "dead-lettered", Note: "poison"}}, "event-0003": {{Step: "in stream"}}}
	r.lab.set(func() { r.lab.where = func(id string) []Seen { return where[id] } })
	for range 3 {
		r.post("/submit", r.order())
	}
	l := r.look()
	if got := states(l.Rows[1].Cells); got != "seen missing missing missing bad" {
		t.Errorf("a dead letter: %s", got)
	}
	r.look()
	if diff := cmp.Diff([][]string{{"event-0001", "event-0002", "event-0003"}, {"event-0003"}}, r.lab.traced); diff != "" {
		t.Fatal(diff)
	}
	r.pass(15 * time.Minute)
	if got := states(r.look().Rows[0].Cells); got != "seen seen missing missing no" || r.lab.looks() != 2 {
		t.Errorf("too old: %s after %d looks", got, r.lab.looks())
	}
	r.lab.set(func() { where["event-0002"] = append(where["event-0002"], all...) })
	r.pass(2 * time.Second)
	r.post("/again", r.order())
	r.s.work.Wait()
	if got := states(r.s.list().Rows[1].Cells); got != "seen seen seen seen bad" {
		t.Errorf("looked at again after a redrive: %s", got)
	}
	r.look()
	if got := r.lab.looks(); got != 3 {
		t.Errorf("again is once: %d looks", got)
	}
}

func TestABlindLookIsNotNothing(t *testing.T) {
	r := newRig(t)
	r.post("/submit", r.order())
	r.look()
	r.lab.set(func() {
		r.lab.blind = errors.New("dynamodb: denied")
		r.lab.where = func(string) []Seen { return []Seen{{Step: "in stream"}} }
	})
	l := r.look()
	if l.Problem != "not known: dynamodb: denied" {
		t.Errorf("problem: %q", l.Problem)
	}
	if got := states(l.Rows[0].Cells); got != "seen seen unknown unknown unknown" {
		t.Errorf("what came beside the error is shown, the rest is unknown: %s", got)
	}
	var said []string
	for _, c := range l.Summary {
		said = append(said, c.Step+" "+c.Text)
	}
	if diff := cmp.Diff([]string{"accepted 1", "in stream 1", "archived at least 0", "processed at least 0", "dead-lettered at least 0"}, said); diff != "" {
		t.Error(diff)
	}
	r.lab.set(func() { r.lab.blind = nil })
	if l := r.look(); l.Problem != "" || states(l.Rows[0].Cells) != "seen seen waiting waiting no" {
		t.Errorf("a look that sees again: %q %+v", l.Problem, l.Rows[0])
	}
}

func TestNeverSeenIsNotMissing(t *testing.T) {
	r := newRig(t)
	r.lab.set(func() { r.lab.blind = errors.New("denied") })
	r.post("/submit", r.order())
	r.look()
	r.pass(askedFor)
	if got := states(r.look().Rows[0].Cells); got != "seen unknown unknown unknown unknown" {
		t.Errorf("too old, and no look ever saw: %s", got)
	}
}

func TestDeadlines(t *testing.T) {
	r := newRig(t)
	left := map[string]time.Duration{}
	r.lab.deadline = func(what string, d time.Duration) { left[what] = d.Round(time.Second) }
	r.post("/submit", r.order())
	r.look()
	if diff := cmp.Diff(map[string]time.Duration{"submit": 30 * time.Second, "trace": 10 * time.Second}, left); diff != "" {
		t.Error(diff)
	}
}

func TestBurst(t *testing.T) {
	r := newRig(t)
	if code, a := r.post("/burst", r.order("count", "500")); code != 200 || a.Outcome != "started" {
		t.Fatalf("%d %+v", code, a)
	}
	r.s.work.Wait()
	l := r.s.list()
	if l.Burst.Text != "Burst over. 500 of 500 sent: 500 accepted, 0 refused, 0 not known." || l.Burst.Running {
		t.Errorf("%+v", l.Burst)
	}
	if len(r.lab.taken) != 500 || len(l.Rows) != 200 || l.Total != 500 || l.Summary[0].Text != "500" {
		t.Errorf("%d sent, %d listed of %d, summary %+v", len(r.lab.taken), len(l.Rows), l.Total, l.Summary[0])
	}
	if l.Rows[0].N != 500 || l.Rows[199].N != 301 {
		t.Errorf("newest first: %d .. %d", l.Rows[0].N, l.Rows[199].N)
	}
}

func TestBurstIsBoundedAndStops(t *testing.T) {
	r := newRig(t)
	r.lab.gate = make(chan struct{})
	r.post("/burst", r.order("count", "100"))
	for range burstLanes {
		<-r.lab.entered
	}
	for range 20 {
		r.lab.gate <- struct{}{}
		<-r.lab.entered
	}
	if code, a := r.post("/burst", r.order()); code != 409 || a.Message != "a burst is running: stop it or wait for its end" {
		t.Errorf("a second burst: %d %+v", code, a)
	}
	r.post("/burst/stop", r.order())
	close(r.lab.gate)
	r.s.work.Wait()
	b := r.s.list().Burst
	if r.lab.mostAir != 8 {
		t.Errorf("%d in the air at once", r.lab.mostAir)
	}
	if sent := len(r.lab.taken); sent < 20 || sent > 28 || b.Running || b.Done != sent || !strings.HasPrefix(b.Text, "Burst stopped, you stopped it.") {
		t.Errorf("%d sent, %+v", sent, b)
	}
}

func TestBurstGivesUp(t *testing.T) {
	r := newRig(t)
	r.lab.failure = errors.New("no route to host")
	r.post("/burst", r.order("count", "500"))
	r.s.work.Wait()
	if b := r.s.list().Burst; b.Done < 5 || b.Done > 12 || !strings.Contains(b.Text, "5 in a row were not answered: no route to host") {
		t.Errorf("%+v", b)
	}
}

func TestServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lab := newLab()
	lab.gate = make(chan struct{}) // never opened: the burst hangs until the end
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- Serve(ctx, l, lab) }()
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	base := "http://" + l.Addr().String()
	body := fetch(t, client, base+"/", nil)
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(body)
	if token == nil {
		t.Fatalf("no token in %s", body)
	}
	form := url.Values{"token": {token[1]}, "type": {"click"}, "field.page": {"/"}, "count": {"50"}}
	if page := fetch(t, client, base+"/burst", form); !strings.Contains(page, "Burst running.") {
		t.Errorf("the page after a burst began: %s", page)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// A browser holds connections open that it has not used yet. They must not make
// the end of the page late, let alone a failure.
func TestServeEndsBesideAnUnusedConnection(t *testing.T) {
	defer goleak.VerifyNone(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- Serve(ctx, l, newLab()) }()
	unused, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer unused.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	fetch(t, client, "http://"+l.Addr().String()+"/", nil) // it came later, so the other one is accepted too
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	if n, err := unused.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the unused connection stays open: %d bytes, %v", n, err)
	}
}

func fetch(t *testing.T, client *http.Client, address string, form url.Values) string {
	t.Helper()
	send := func() (*http.Response, error) { return client.Get(address) }
	if form != nil {
		send = func() (*http.Response, error) { return client.PostForm(address, form) }
	}
	answer, err := send()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%s: %d, %v", address, answer.StatusCode, err)
	}
	return string(b)
}

func TestServeOnlyOnLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	err = Serve(t.Context(), l, newLab())
	if err == nil || !strings.Contains(err.Error(), "is not a loopback address") {
		t.Errorf("err = %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener stays open: %v", err)
	}
}

func (l *memoryLab) sent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.taken)
}

func (l *memoryLab) fieldsOf(id string) map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken[id]
}
