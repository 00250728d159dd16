package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"kxops/ops"
	"kxops/ops/journal"
)

// tape is a source with so many parts of so many pages; every record says where it is.
type tape struct {
	parts, pages, records int
	keys                  int
	seed                  uint64
}

const (
	kindTape  ops.Kind = "tape"
	kindShelf ops.Kind = "shelf"
)

func (s *tape) find(_ context.Context, plan *ops.ReplayPlan) error {
	for p := range s.parts {
		part := ops.ReplayPart{ID: "part-" + strconv.Itoa(p)}
		if p%3 == 2 { // a child of the two before it
			part.After = []int{p - 1, p - 2}
		}
		plan.Parts = append(plan.Parts, part)
	}
	return nil
}

func (s *tape) read(ctx context.Context, _ ops.ReplayPlan, part int, after string, give func(Page) error) error {
	from := 0
	if after != "" {
		from, _ = strconv.Atoi(after)
	}
	for at := from; at < s.pages; at++ {
		pg := Page{Place: strconv.Itoa(at + 1), Bytes: 100, Early: at % 2}
		if at%5 != 4 { // else an empty page
			for i := range s.records {
				n := at*s.records + i
				id := fmt.Sprintf("%d/%d", part, n)
				key := ""
				if s.keys > 0 {
					key = fmt.Sprintf("k%d-%d", part, n%s.keys)
				}
				pg.Records = append(pg.Records, Record{ID: recordID("tape", strconv.Itoa(part), strconv.Itoa(n), 0), Key: key, At: time.Unix(int64(n), 0),
					Data: fmt.Appendf(nil, `{"id":%q,"part":%d,"n":%d,"even":%t}`, id, part, n, n%2 == 0)})
			}
		}
		if err := give(pg); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// shelf is a target that fails in every way and keeps its own ledger.
type shelf struct {
	mu     sync.Mutex
	random *rand.Rand
	wrong  float64 // how often something goes wrong
	after  func()  // after each request
	got    []string
	keys   []string
	refuse map[string]bool
}

func (s *shelf) find(context.Context, *ops.ReplayPlan) error { return nil }
func (s *shelf) limits() Limits                              { return Limits{Records: 7, Bytes: 2000, Record: 500} }
func (s *shelf) size(p Parcel) int                           { return len(p.Body) }
func (s *shelf) close() error                                { return nil }

func (s *shelf) send(_ context.Context, parcels []Parcel) []Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.after != nil {
		defer s.after()
	}
	keys := map[string]bool{}
	out := make([]Answer, len(parcels))
	lost := s.random.Float64() < s.wrong/4
	for i, p := range parcels {
		if p.Key != "" && keys[p.Key] {
			panic("two of one key in a request")
		}
		keys[p.Key] = true
		switch roll := s.random.Float64(); {
		case s.refuse[p.ID]:
			out[i] = Answer{Fate: Refused, Code: "No"}
			continue
		case roll < s.wrong/2:
			out[i] = Answer{Fate: Busy}
			continue
		case roll < s.wrong*3/4: // no answer, and not there
			out[i] = Answer{Fate: Unsure}
			continue
		}
		s.got, s.keys = append(s.got, string(p.Body)), append(s.keys, p.Key)
		out[i] = Answer{At: strconv.Itoa(len(s.got))}
		if lost { // there, and no answer
			out[i] = Answer{Fate: Unsure}
		}
	}
	return out
}

func testDesk(t testing.TB) *Desk {
	t.Helper()
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Config: aws.Config{Region: "eu-west-1"}, Identity: ops.Identity{Account: "123456789012", Region: "eu-west-1"}, Journal: j})
}

// on puts a source and a target into the lists for one test.
func on(t testing.TB, s source, to target) {
	t.Helper()
	sources[kindTape] = func(*Desk) source { return s }
	targets[kindShelf] = func(*Desk, ops.ReplayPlan) (target, error) { return to, nil }
	t.Cleanup(func() { delete(sources, kindTape); delete(targets, kindShelf) })
}

func planOf(t testing.TB, d *Desk, ask ops.ReplayAsk) ops.ReplayPlan {
	t.Helper()
	plan, _, err := d.Plan(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func started(t testing.TB, d *Desk, plan ops.ReplayPlan) *Operation {
	t.Helper()
	o, err := d.Start(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Whatever goes wrong, and however often it is paused: every record that is meant is at
// the target, none that is not, those of one key in their order, and none twice but
// those that are counted so.
func TestEveryMeantRecordArrivesInOrder(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			src := &tape{parts: 4, pages: 12, records: 20, keys: 1 + random.IntN(9), seed: seed}
			to := &shelf{random: random, wrong: 0.05 * float64(seed%4), refuse: map[string]bool{}}
			for range 5 {
				to.refuse[recordID("tape", strconv.Itoa(random.IntN(4)), strconv.Itoa(2*random.IntN(100)), 0)] = true
			}
			on(t, src, to)
			d := testDesk(t)
			plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y", Select: ops.ReplaySelect{Filter: ".even == true"}, Lanes: 1 + random.IntN(5)})
			pauses := 0
			o := started(t, d, plan)
			to.mu.Lock()
			requests, pauseAt := 0, 3+random.IntN(20)
			to.after = func() { // under the shelf's lock
				if requests++; requests%pauseAt == 0 && pauses < 4 {
					pauses++
					go o.Pause()
				}
			}
			to.mu.Unlock()
			r := o.Wait()
			for tries := 0; r.State == ops.Paused && tries < 10; tries++ {
				next, err := d.Resume(t.Context(), plan.ID)
				if err != nil {
					t.Fatal(err)
				}
				to.mu.Lock()
				o = next
				to.mu.Unlock()
				r = next.Wait()
			}
			if r.Problem != nil || r.State != ops.Finished && r.State != ops.Incomplete {
				t.Fatalf("%+v %v", r, r.Problem)
			}
			checkShelf(t, src, to, r)
			proof, err := d.Verify(t.Context(), plan.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range proof.Checks {
				if !c.Holds {
					t.Errorf("%s: %s", c.What, c.Says)
				}
			}
		})
	}
}

// checkShelf compares the shelf's own ledger with the tape.
func checkShelf(t *testing.T, src *tape, to *shelf, r ops.ReplayResult) {
	t.Helper()
	want, refused := map[string]string{}, 0
	read := 0
	_ = src.find(t.Context(), &ops.ReplayPlan{})
	for p := range src.parts {
		err := src.read(t.Context(), ops.ReplayPlan{}, p, "", func(pg Page) error {
			read += len(pg.Records) + pg.Early
			for _, rec := range pg.Records {
				if n, _ := strconv.Atoi(string(rec.At.Format("05"))); n%2 == 0 {
					if to.refuse[rec.ID] {
						refused++
						continue
					}
					want[string(rec.Data)] = rec.Key
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	last := map[string]int{}
	for i, body := range to.got {
		key, meant := want[body]
		if !meant || key != to.keys[i] {
			t.Fatalf("%s with key %s was not meant", body, to.keys[i])
		}
		var part, n int
		if _, err := fmt.Sscanf(body[len(`{"id":"`):], `%d/%d`, &part, &n); err != nil {
			t.Fatal(err)
		}
		if seen[body]++; seen[body] == 1 && n < last[key] {
			t.Errorf("%s is behind %d of its key", body, last[key])
		}
		last[key] = max(last[key], n)
	}
	if len(seen) != len(want) {
		t.Errorf("%d at the target, %d were meant", len(seen), len(want))
	}
	if more := len(to.got) - len(seen); int64(more) > r.Bound {
		t.Errorf("%d are there more than once, and it says at most %d", more, r.Bound)
	}
	c := r.Counts
	if c.Read != int64(read) || c.Sent != int64(len(want)) || c.Parked != int64(refused) || c.Held() != 0 || c.Read != c.Rejected+c.Matched {
		t.Errorf("%d records, %d meant, %d refused, and it says %+v", read, len(want), refused, c)
	}
}

// A plan that was edited, is too old or belongs elsewhere is refused, and one that was
// applied is not applied again.
func TestWhatIsNotThePlanIsRefused(t *testing.T) {
	on(t, &tape{parts: 1, pages: 1, records: 3}, &shelf{random: rand.New(rand.NewPCG(1, 1))})
	d := testDesk(t)
	plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "shelf:y"})
	for name, change := range map[string]func(*ops.ReplayPlan){
		"edited":  func(p *ops.ReplayPlan) { p.Select.Contains = "x" },
		"account": func(p *ops.ReplayPlan) { p.Account = "999999999999"; _ = p.Seal() },
		"expired": func(p *ops.ReplayPlan) { p.Expires = p.Created.Add(-time.Second); _ = p.Seal() },
	} {
		other := plan
		change(&other)
		if _, err := d.Start(t.Context(), other); ops.AsProblem(err) == nil || ops.AsProblem(err).Fault != ops.FaultRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := started(t, d, plan).Wait(); r.State != ops.Finished || r.Counts.Sent != 3 {
		t.Errorf("%+v", r)
	}
	if _, err := d.Start(t.Context(), plan); ops.AsProblem(err) == nil {
		t.Error("the same plan twice")
	}
}

// A file that is written is read again by a replay, record for record.
func TestAFileIsATargetAndASource(t *testing.T) {
	src := &tape{parts: 3, pages: 6, records: 50, keys: 3}
	on(t, src, &shelf{random: rand.New(rand.NewPCG(1, 1))})
	d := testDesk(t)
	path := filepath.Join(t.TempDir(), "events.jsonl")
	plan := planOf(t, d, ops.ReplayAsk{From: "tape:x", To: "file:" + path})
	if r := started(t, d, plan).Wait(); r.State != ops.Finished || r.Counts.Sent != 750 {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	proof, err := d.Verify(t.Context(), plan.ID)
	if err != nil || !proof.Holds() || len(proof.Checks) < 7 {
		t.Errorf("%+v %v", proof, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text[:len(text)-400], 0o600); err != nil { // somebody cut it
		t.Fatal(err)
	}
	if proof, err = d.Verify(t.Context(), plan.ID); err != nil || proof.Holds() {
		t.Errorf("a file that was cut: %+v %v", proof, err)
	}
}
