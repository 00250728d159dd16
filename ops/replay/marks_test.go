package replay

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

var someMarks = map[string]string{markReplay: "r1", markSource: "s1", markHop: "1"}

const someMarksText = `{"kxops-hop":"1","kxops-replay-id":"r1","kxops-source-id":"s1"}`

func TestAMarkIsTheFirstFieldAndTheRestIsAsItWas(t *testing.T) {
	for _, x := range []struct{ body, want, fails string }{
		{`{}`, `{"kxops":` + someMarksText + `}`, ""},
		{` { "a" : 1.50,  "b":"\u00e9" }` + "\n", ` {"kxops":` + someMarksText + `, "a" : 1.50,  "b":"\u00e9" }` + "\n", ""},
		{`{"kxops":{"kxops-replay-id":"r0","kxops-hop":"4"}}`, `{"kxops":` + someMarksText + `}`, ""},
		{`{"kxops":{"kxops-replay-id":"r0"} , "a":[1,2]}`, `{"kxops":` + someMarksText + `, "a":[1,2]}`, ""},
		{`{"a":{"x":1},"kxops":{"kxops-replay-id":"r0"},"b":2}`, `{"kxops":` + someMarksText + `,"a":{"x":1},"b":2}`, ""},
		{`{"a":1,"kxops":{"kxops-replay-id":"r0"}}`, `{"kxops":` + someMarksText + `,"a":1}`, ""},
		{`{"a":1,"kxops":"mine"}`, "", "a field \"kxops\" already"},
		{`[1]`, "", "JSON but no object"},
		{`{"a":1} {"b":2}`, "", "no JSON"},
		{`plain`, "", "no JSON"},
		{``, "", "no JSON"},
	} {
		was := strings.Clone(x.body)
		in := []byte(x.body)
		got, err := inject(in, DefaultMarkField, someMarks)
		if string(got) != x.want || (err != nil) != (x.fails != "") || err != nil && !strings.Contains(err.Error(), x.fails) {
			t.Errorf("%s:\n got %s %v\nwant %s %s", x.body, got, err, x.want, x.fails)
		}
		if string(in) != was {
			t.Errorf("%s: the record itself became %s", was, in)
		}
		if err == nil && hopsIn(got) != 1 {
			t.Errorf("%s is not known as a replay", got)
		}
	}
}

// Whatever an object looks like, marking it twice is as marking it once, and what was in
// it means the same.
func TestMarksOfAnyObject(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	space := func() string { return strings.Repeat(" \n\t"[rnd.IntN(3):][:1], rnd.IntN(3)) }
	for range 2000 {
		var fields []string
		for i := range rnd.IntN(5) {
			values := []string{`1`, `"a,b}"`, `{"x":[1,{}]}`, `null`, `"\"kxops\":"`, `[]`}
			fields = append(fields, fmt.Sprintf(`%s"f%d"%s:%s%s%s`, space(), i, space(), space(), values[rnd.IntN(len(values))], space()))
		}
		body := space() + "{" + strings.Join(fields, ",") + space() + "}" + space()
		once, err := inject([]byte(body), "m", someMarks)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		twice, err := inject(once, "m", map[string]string{markReplay: "r2", markSource: "s1", markHop: "2"})
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		var was, is map[string]any
		if err := json.Unmarshal([]byte(body), &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(twice, &is); err != nil {
			t.Fatalf("%q: %v", twice, err)
		}
		delete(is, "m")
		if diff := cmp.Diff(was, is); diff != "" || strings.Count(string(twice), `"m":`) != 1 || hopsIn(twice) != 2 {
			t.Fatalf("%q became %q: %s", body, twice, diff)
		}
	}
}

func TestHowOftenABodyWasReplayed(t *testing.T) {
	for body, want := range map[string]int{
		`{"kxops":{"kxops-replay-id":"r","kxops-hop":"3"}}`:     3,
		`{"a":1,"other":{"kxops-hop":2,"kxops-replay-id":"r"}}`: 1, // our marks are texts: how often is not known
		`{"kxops":{"kxops-replay-id":"r"}}`:                     1,
		`{"Message":"x","MessageAttributes":{"kxops-replay-id":{"Type":"String","Value":"r"},"kxops-hop":{"Type":"Number","Value":"2"}}}`: 2,
		`{"text":"what does kxops-replay-id mean?"}`: 0,
		`{"kxops-replay-id":"r"}`:                    0, // no object of marks
		`kxops-replay-id`:                            0,
		`{}`:                                         0,
	} {
		if got := hopsIn([]byte(body)); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
}

func TestWaysOfMarking(t *testing.T) {
	for _, x := range []struct {
		in, want ops.ReplayMap
		fails    string
	}{
		{ops.ReplayMap{}, ops.ReplayMap{Mark: MarkAttributes}, ""},
		{ops.ReplayMap{Mark: MarkBody}, ops.ReplayMap{Mark: MarkBody, MarkField: DefaultMarkField}, ""},
		{ops.ReplayMap{Mark: MarkBody, MarkField: "meta"}, ops.ReplayMap{Mark: MarkBody, MarkField: "meta"}, ""},
		{ops.ReplayMap{Mark: MarkNone, MarkField: "meta"}, ops.ReplayMap{}, "only for marks in the body"},
		{ops.ReplayMap{MarkField: "meta"}, ops.ReplayMap{}, "only for marks in the body"},
		{ops.ReplayMap{Mark: "headers"}, ops.ReplayMap{}, "no way of marking"},
	} {
		got := x.in
		err := markable(&got)
		if (err != nil) != (x.fails != "") || err != nil && !strings.Contains(err.Error(), x.fails) {
			t.Errorf("%+v: %v", x.in, err)
		}
		if err == nil && !cmp.Equal(got, x.want) {
			t.Errorf("%+v became %+v", x.in, got)
		}
	}
}

// A stream has no attributes: the mark in the body is what a consumer sees, what a second
// replay knows an event by, and what a query leaves out.
func TestReplaysOfAStreamAreKnownByTheirBodies(t *testing.T) {
	w := newWorld(t)
	originals := w.events(40)
	w.stream("again", 1)
	first := w.replayed(ops.ReplayAsk{From: "stream:orders", To: "stream:again", Map: ops.ReplayMap{Mark: MarkBody}}, ops.Finished)
	marked := 0
	for key, bodies := range w.shelved("again") {
		for _, b := range bodies {
			if !strings.HasPrefix(b, `{"kxops":{"kxops-hop":"1","kxops-original-time":"`) || !strings.Contains(b, `"kxops-replay-id":"`+first.ID+`"`) {
				t.Errorf("%s: %s", key, b)
			}
			marked++
		}
	}
	if marked != len(originals) {
		t.Fatalf("%d of %d arrived", marked, len(originals))
	}
	w.sb.Advance(10 * time.Minute)

	url := w.queue("third")
	plan := planOf(t, w.desk, ops.ReplayAsk{From: "stream:again", To: "queue:third"})
	if !strings.Contains(strings.Join(plan.Warnings, "\n"), "40 of 40 records that were tried were replayed before") {
		t.Errorf("%q", plan.Warnings)
	}
	if len(plan.Blockers) != 1 || !strings.Contains(plan.Blockers[0], "nothing is selected") {
		t.Errorf("%q", plan.Blockers)
	}
	w.put("again", "c0", 41) // a new event among them
	w.sb.Advance(10 * time.Minute)
	if r := w.replayed(ops.ReplayAsk{From: "stream:again", To: "queue:third"}, ops.Finished); r.Counts.Sent != 1 || r.Counts.Rejected != 40 {
		t.Errorf("%+v", r.Counts)
	}
	w.drain(url)
	w.replayed(ops.ReplayAsk{From: "stream:again", To: "queue:third", Again: true}, ops.Finished)
	bodies, marks := w.drain(url)
	hops := map[string]int{}
	for _, m := range marks {
		hops[m[markHop]]++
	}
	if len(bodies) != len(originals)+1 || hops["2"] != len(originals) {
		t.Errorf("%d messages, hops %v", len(bodies), hops)
	}
}

// What the plan says of Athena is true: with the column, IS NULL leaves the replays out.
func TestTheQueryThatLeavesReplaysOut(t *testing.T) {
	s := newShop(t)
	var lines strings.Builder
	for i := range 6 {
		body := []byte(fmt.Sprintf(`{"customer":"c","n":%d}`, i))
		if i%3 == 0 {
			var err error
			body, err = inject(body, DefaultMarkField, marksOf("r1", Record{ID: fmt.Sprint(i)}))
			s.must(err)
		}
		lines.Write(append(body, '\n'))
	}
	s.store("marked/dt=2026-11-17/part", []byte(lines.String()))
	s.table("marked", "customer string, n int, "+DefaultMarkField+" string", "events/marked")
	url := s.queue("again")
	s.ticking()
	plan := s.plan(ops.ReplayAsk{From: "athena:shop.marked", To: "queue:again", Canary: -1, Again: true,
		Question: ops.ReplayQuestion{Workgroup: "shop", Mode: "rows", Where: DefaultMarkField + " IS NULL"}})
	if r := started(t, s.desk, plan).Wait(); r.State != ops.Finished {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	bodies, _ := s.drain(url)
	var got []int
	for _, b := range bodies {
		var x struct{ N int }
		s.must(json.Unmarshal([]byte(b), &x))
		got = append(got, x.N)
	}
	if len(got) != 4 {
		t.Errorf("%v: the query let a replay through, or kept an event back", got)
	}
	for _, n := range got {
		if n%3 == 0 {
			t.Errorf("event %d is a replay", n)
		}
	}
}
