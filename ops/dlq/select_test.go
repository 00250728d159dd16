package dlq

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// heapOf is a pile made by hand, looked at at night.
func heapOf(t testing.TB, messages ...ops.Message) *Pile {
	t.Helper()
	p := newPile(nil, testQueue)
	for i := range messages {
		m := &messages[i]
		m.Queue, m.At = testQueue.ARN, night
		if !p.add(*m) {
			t.Fatalf("message %s was there already", m.ID)
		}
	}
	p.end(night, "")
	return p
}

func aged(id, body string, age time.Duration) ops.Message {
	return ops.Message{ID: id, Body: body, System: map[string]string{ops.SentAttribute: strconv.FormatInt(night.Add(-age).UnixMilli(), 10), ops.ReceivesAttribute: "3"}}
}

func packed(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func sample(t testing.TB) *Pile {
	order := aged("order-1", `{"orderId":9007199254740993,"total":"12,50","note":"Straße"}`, time.Hour)
	order.System[ops.SourceAttribute] = "arn:aws:sqs:eu-west-1:000000000000:orders"
	order.Attributes = map[string]ops.Attribute{"tenant": {Type: "String", Text: "acme=1"}, "key": {Type: "Binary", Bytes: []byte("raw")}}
	twin := order
	twin.ID, twin.System = "order-2", aged("", "", 30*time.Minute).System
	return heapOf(t,
		order, twin,
		aged("gz", packed(`{"hidden":"NEEDLE in gzip"}`), 2*time.Hour),
		aged("s3test", `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-20T10:00:00.000Z","Bucket":"b","RequestId":"R","HostId":"H"}`, 26*time.Hour),
		aged("text", "plain words, no JSON", 3*time.Minute),
		ops.Message{ID: "timeless", Body: `{"total":7}`},
	)
}

func idsOf(letters []ops.Letter) []string {
	out := []string{}
	for _, l := range letters {
		out = append(out, l.ID)
	}
	slices.Sort(out)
	return out
}

func TestSelect(t *testing.T) {
	p := sample(t)
	for _, c := range []struct {
		say  string
		s    ops.Selection
		want []string
	}{
		{"all", ops.Selection{All: true}, []string{"gz", "order-1", "order-2", "s3test", "text", "timeless"}},
		{"ids", ops.Selection{IDs: []string{"gz", "text"}}, []string{"gz", "text"}},
		{"ids with all is still ids", ops.Selection{All: true, IDs: []string{"gz"}}, []string{"gz"}},
		{"text in any case", ops.Selection{Contains: "sTRASSE"}, []string{}},
		{"text with letters beyond ASCII", ops.Selection{Contains: "STRAßE"}, []string{"order-1", "order-2"}},
		{"text inside gzip", ops.Selection{Contains: "needle IN"}, []string{"gz"}},
		{"text in an attribute", ops.Selection{Contains: "ACME"}, []string{"order-1", "order-2"}},
		{"attribute", ops.Selection{Attribute: "tenant"}, []string{"order-1", "order-2"}},
		{"attribute with an equals sign in its value", ops.Selection{Attribute: "tenant=acme=1"}, []string{"order-1", "order-2"}},
		{"attribute with another value", ops.Selection{Attribute: "tenant=ACME=1"}, []string{}},
		{"binary attribute", ops.Selection{Attribute: "key=raw"}, []string{"order-1", "order-2"}},
		{"SQS's own attribute", ops.Selection{Attribute: "DeadLetterQueueSourceArn"}, []string{"order-1"}},
		{"older", ops.Selection{OlderThan: 90 * time.Minute}, []string{"gz", "s3test"}},
		{"newer", ops.Selection{NewerThan: 10 * time.Minute}, []string{"text"}},
		{"between", ops.Selection{OlderThan: 10 * time.Minute, NewerThan: 90 * time.Minute}, []string{"order-1", "order-2"}},
		{"source by name", ops.Selection{Source: "orders"}, []string{"order-1"}},
		{"source by ARN", ops.Selection{Source: "arn:aws:sqs:eu-west-1:000000000000:orders"}, []string{"order-1"}},
		{"jq", ops.Selection{Filter: `.total == 7`}, []string{"timeless"}},
		{"jq inside gzip", ops.Selection{Filter: `.hidden | test("gzip")`}, []string{"gz"}},
		{"jq keeps whole numbers whole", ops.Selection{Filter: `.orderId == 9007199254740993`}, []string{"order-1", "order-2"}},
		{"jq does not round", ops.Selection{Filter: `.orderId == 9007199254740992`}, []string{}},
		{"jq null is no", ops.Selection{Filter: `.nothing`}, []string{}},
		{"jq empty is no", ops.Selection{Filter: `empty`}, []string{}},
		{"jq: one yes of several answers", ops.Selection{Filter: `false, null, .total`}, []string{"order-1", "order-2", "timeless"}},
		{"jq on attributes", ops.Selection{Filter: `$attributes.tenant == "acme=1" and $message_id == "order-2"`}, []string{"order-2"}},
		{"jq on the time", ops.Selection{Filter: `$sent != null and $sent < "2026-11-22T01:30"`}, []string{"gz", "s3test"}},
		{"everything must hold", ops.Selection{Filter: `.total`, Source: "orders", OlderThan: time.Minute, Contains: "straße"}, []string{"order-1"}},
	} {
		letters, err := p.Select(c.s)
		if err != nil {
			t.Errorf("%s: %v", c.say, err)
			continue
		}
		if d := cmp.Diff(c.want, idsOf(letters)); d != "" {
			t.Errorf("%s:\n%s", c.say, d)
		}
	}
}

func TestSelectSaysWhatIsWrong(t *testing.T) {
	p := sample(t)
	key := p.Letters()[0].Cause.Key
	for _, c := range []struct {
		s    ops.Selection
		want []string
	}{
		{ops.Selection{}, []string{"nothing is selected"}},
		{ops.Selection{Filter: `.total ==`}, []string{"at character 10", "\n  .total ==\n           ^"}},
		{ops.Selection{Filter: `.a | }`}, []string{"at character 6", "\n  .a | }\n       ^"}},
		{ops.Selection{Filter: `.a | totl(1)`}, []string{"totl", "\n       ^"}},
		{ops.Selection{Filter: `.a == $nobody`}, []string{"$nobody", "\n        ^"}},
		{ops.Selection{Filter: `."ü" == }`}, []string{"at character 9", "\n          ^"}},
		{ops.Selection{Filter: `.total.cents`}, []string{"fails on", "a ? behind it"}},
		{ops.Selection{Cause: key + "x"}, []string{"no group", key}},
		{ops.Selection{IDs: []string{"order-3"}}, []string{"order-3 is not among the 6", "order-1"}},
		{ops.Selection{IDs: []string{"x1", "text", "x2"}}, []string{"2 of the 3", "x1, x2"}},
		{ops.Selection{Source: "order"}, []string{"none of the 6", "sources: orders"}},
	} {
		letters, err := p.Select(c.s)
		if err == nil {
			t.Errorf("%+v: selects %v and does not complain", c.s, idsOf(letters))
			continue
		}
		problem := ops.AsProblem(err)
		for _, want := range c.want {
			if !strings.Contains(problem.Error(), want) {
				t.Errorf("%+v:\n%s\nwant in it: %q", c.s, problem.Error(), want)
			}
		}
	}
}

func TestSiftCountsWhatAFilterCannotDecide(t *testing.T) {
	found, err := sample(t).Sift(ops.Selection{Filter: `.total | ascii_downcase`})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{idsOf(found.Letters), found.Failed, found.NotJSON, found.Why != ""}
	if d := cmp.Diff([]any{[]string{"order-1", "order-2"}, 3, 1, true}, got); d != "" {
		t.Errorf("selected, failed, not JSON:\n%s", d)
	}
}

// A filter that never ends is stopped, on each message.
func TestAFilterThatLoopsIsStopped(t *testing.T) {
	p := heapOf(t, aged("1", `{}`, time.Hour), aged("2", `{}`, time.Hour))
	for _, filter := range []string{`def f: f; f`, `repeat(false)`, `[range(1e12)] | length`} {
		began := time.Now()
		found, _ := p.Sift(ops.Selection{Filter: filter})
		if len(found.Letters) != 0 {
			t.Errorf("%s selects something", filter)
		}
		if d := time.Since(began); d > 20*jqTime {
			t.Errorf("%s took %s for two messages", filter, d)
		}
	}
}

func TestFilterLine(t *testing.T) {
	p := sample(t)
	key := ""
	for _, l := range p.Letters() {
		if l.ID == "gz" {
			key = l.Cause.Key
		}
	}
	all := []string{"gz", "order-1", "order-2", "s3test", "text", "timeless"}
	without := func(ids ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(id string) bool { return slices.Contains(ids, id) })
	}
	for line, want := range map[string][]string{
		"":                                    all,
		"  ":                                  all,
		"needle":                              {"gz"},
		`"no json"`:                           {"text"},
		`no json`:                             {"order-1", "order-2", "text"},
		`"json no"`:                           {},
		"!needle":                             without("gz"),
		"age>1h":                              {"gz", "s3test"},
		"age>1d":                              {"s3test"},
		"age<10m":                             {"text"},
		"age<1.5h !needle":                    {"order-1", "order-2", "text"},
		"receives>2":                          without("timeless"),
		"attr:tenant":                         {"order-1", "order-2"},
		"attr:tenant=acme=1 source:orders":    {"order-1"},
		"group:" + key:                        {"gz"},
		"!group:" + key:                       without("gz"),
		"event:testevent":                     {"s3test"},
		"id:order-":                           {"order-1", "order-2"},
		"is:harmless":                         {"s3test"},
		"is:duplicate":                        {"order-2"},
		"is:pointer":                          {},
		"is:stated":                           {},
		`jq:.total == 7`:                      {"timeless"},
		`age>1m jq:.total | type == "string"`: {"order-1", "order-2"},
		`!jq:.total`:                          {"gz", "s3test", "text"},
		"12,50":                               {"order-1", "order-2"},
		"https://x":                           {},
	} {
		match, err := p.Matcher(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		got := idsOf(slices.DeleteFunc(slices.Clone(p.Letters()), func(l ops.Letter) bool { return !match(l) }))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q:\n%s", line, d)
		}
	}
	for line, want := range map[string]string{"age>soon": "not an age", "age>-1h": "not an age", "is:nice": "is:nice", "jq:.a ==": "character", "group:x": "no group", "!": "without a term", "receives>many": "number"} {
		if _, err := p.Matcher(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", line, err, want)
		}
	}
}

// All duplicates put aside leave one of each, the oldest.
func TestDuplicatesLeaveTheOldest(t *testing.T) {
	p := heapOf(t, aged("young", `{"a":1}`, time.Minute), aged("old", `{"a":1}`, time.Hour), aged("other", `{"a":2}`, time.Hour), aged("middle", `{"a":1}`, 2*time.Minute))
	match, err := p.Matcher("is:duplicate")
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(slices.DeleteFunc(slices.Clone(p.Letters()), func(l ops.Letter) bool { return !match(l) })); !slices.Equal(got, []string{"middle", "young"}) {
		t.Errorf("duplicates %v", got)
	}
	g := Groups(p.Letters())
	if len(g) != 1 || g[0].Count != 4 || g[0].Distinct != 2 || g[0].Sample != "young" || !g[0].FirstSent.Equal(night.Add(-time.Hour)) {
		t.Errorf("groups %+v", g)
	}
}

// A group that was folded from several shapes can be selected by its key, and each
// letter's own key still works.
func TestAFoldedGroupCanBeSelected(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var messages []ops.Message
	for i := range 200 {
		body := fmt.Sprintf(`{"id":%d`, i)
		for _, f := range []string{"coupon", "gift", "note", "phone", "source"} {
			if rng.IntN(2) == 0 {
				body += fmt.Sprintf(`,%q:"x"`, f)
			}
		}
		total := `1.5`
		if i%4 == 0 {
			total = `"1,5"`
		}
		messages = append(messages, aged(strconv.Itoa(i), body+`,"total":`+total+`}`, time.Duration(i)*time.Minute))
	}
	p := heapOf(t, messages...)
	groups := Groups(p.Letters())
	if len(groups) != 2 || groups[0].Count != 150 || groups[1].Count != 50 {
		t.Fatalf("%d groups: %+v", len(groups), groups)
	}
	if !strings.Contains(groups[1].Cause.Title, "total is a string (others: number)") {
		t.Errorf("title %q", groups[1].Cause.Title)
	}
	for _, g := range groups {
		letters, err := p.Select(ops.Selection{Cause: g.Cause.Key})
		if err != nil || len(letters) != g.Count {
			t.Errorf("%s: %d letters, %v; want %d", g.Cause.Key, len(letters), err, g.Count)
		}
		if _, err := p.Select(ops.Selection{Cause: g.Keys[0]}); err != nil {
			t.Error(err)
		}
	}
}

// What the person sees in the demo's two filling queues.
func TestTheDemosDeadLettersAreExplained(t *testing.T) {
	sb, err := sandbox.New(sandbox.Options{Start: night, Scenario: "incident"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	b := &bench{Sandbox: sb, t: t, sqs: sqs.NewFromConfig(sb.Config())}
	b.reopen(cloud.Peek)
	b.ticking()
	for queue, want := range map[string][]string{
		"orders-dlq":        {"shipTo.zip is missing", "total is a string (others: number)", "price-changes", "ObjectCreated:Put from shop-uploads", "s3:TestEvent"},
		"thumbnails-dlq":    {"cannot decode photos/<id>.heic: unknown image format heic", "cannot decode photos/<id>.jpg: unexpected EOF after <n> bytes"},
		"invoices-dlq":      {"from invoices"},
		"payments-failures": {"RetryAttemptsExhausted · fraud-score"},
	} {
		pile, _ := b.look(queue, Look{Lease: time.Hour})
		groups := Groups(pile.Letters())
		var titles []string
		for _, g := range groups {
			titles = append(titles, fmt.Sprintf("%4d %4d %-28s %s", g.Count, g.Distinct, g.Cause.Key, g.Cause.Title))
		}
		t.Logf("%s\n%s", queue, strings.Join(titles, "\n"))
		if len(groups) != len(want) {
			t.Errorf("%s: %d groups, want %d", queue, len(groups), len(want))
		}
		for _, w := range want {
			if !slices.ContainsFunc(titles, func(s string) bool { return strings.Contains(s, w) }) {
				t.Errorf("%s: no group says %q", queue, w)
			}
		}
	}
}

// Bodies that lack the text a filter asks for are not tried. That must never leave one
// out that holds.
func TestTheShortCutOfAFilterLeavesNothingOut(t *testing.T) {
	p := heapOf(t,
		aged("plain", `{"a":"x/é","b":1}`, time.Hour),
		aged("escaped", `{"a":"x\/\u00e9","b":1}`, time.Hour),
		aged("packed", packed(`{"a":"x/é","b":1}`), time.Hour),
		aged("json in json", `"{\"a\":\"x/é\",\"b\":1}"`, time.Hour),
		aged("other", `{"a":"y","b":1}`, time.Hour),
		aged("number", `{"a":7}`, time.Hour))
	all := []string{"escaped", "json in json", "packed", "plain"}
	for filter, want := range map[string][]string{
		`.a == "x/é"`:                                all,
		`"x/é" == .a`:                                all,
		`.b == 1 and .a == "x/é"`:                    all,
		`select(.a == "x/é") | .b`:                   all,
		`(.. == "x/é")`:                              all,
		`.a == "x/é" or .b == 1`:                     {"escaped", "json in json", "other", "packed", "plain"},
		`.a != "x/é"`:                                {"number", "other"},
		`(.a == "x/é") | not`:                        {"number", "other"},
		`("x" + "/é") == .a`:                         all,
		`$message_id == "other"`:                     {"other"},
		`"x" as $x | .a | tostring | startswith($x)`: all,
		`(.a | tostring | ascii_upcase) == "Y"`:      {"other"},
	} {
		letters, err := p.Select(ops.Selection{Filter: filter})
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if d := cmp.Diff(want, idsOf(letters)); d != "" {
			t.Errorf("%s:\n%s", filter, d)
		}
	}
	q, err := compile(`select(.b == 1 and .a == "x/é")`)
	if err != nil || q.needle != "x/é" {
		t.Errorf("needle %q, %v", q.needle, err)
	}
}
