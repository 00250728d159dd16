package replay

import (
	"strings"
	"testing"

	"github.com/itchyny/gojq"

	"kxops/ops"
)

// A needle that is wrong loses records without a word, so what is derived has to be sure.
func TestTheNeedleOfAnExpression(t *testing.T) {
	for expr, want := range map[string]string{
		`.customer == "cust-4712"`:       "cust-4712",
		`"cust-4712" == .order.customer`: "cust-4712",
		`.a == "x" and .b == "longer"`:   "longer",
		`(.a == "x") and .n > 3`:         "x",
		`.a == "x" or .b == "y"`:         "",
		`(.a == "x") | not`:              "",
		`.a != "x"`:                      "",
		`(.a | ascii_downcase) == "x"`:   "",
		`.a == "a/b"`:                    "",
		`.a == "é"`:                      "",
		`"\(.a)x" == .b`:                 "",
		`"x" == "x"`:                     "",
		`(.a // "x") == "x"`:             "",
		`def f: .a; f == "x"`:            "",
		`.items[0] == "x"`:               "",
	} {
		q, err := gojq.Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := needle(q); got != want {
			t.Errorf("%s: needle %q, want %q", expr, got, want)
		}
	}
}

func TestTheCascadeTakesWhatTheExpressionTakes(t *testing.T) {
	c, err := newChooser(ops.ReplaySelect{Filter: `.customer == "cust-4712"`, Contains: "paid"}, map[string]bool{"sent": true})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		id, body string
		want     bool
		fails    string
	}{
		{"1", `{"customer":"cust-4712","state":"paid"}`, true, ""},
		{"2", `{"customer":"cust-\u0034712","state":"paid"}`, true, ""}, // escaped: the needle must not judge
		{"3", `{"customer":"cust-4711","note":"cust-4712","state":"paid"}`, false, ""},
		{"4", `{"customer":"cust-4712","state":"open"}`, false, ""},
		{"sent", `{"customer":"cust-4712","state":"paid"}`, false, ""},
		{"6", `cust-4712 paid`, false, "needs JSON"},
	} {
		got, err := c.takes(Record{ID: x.id, Data: []byte(x.body)})
		if got != x.want {
			t.Errorf("%s: taken %v, want %v", x.body, got, x.want)
		}
		if (err != nil) != (x.fails != "") || err != nil && !strings.Contains(err.Error(), x.fails) {
			t.Errorf("%s: error %v, want %q", x.body, err, x.fails)
		}
	}
	if _, err := newChooser(ops.ReplaySelect{Filter: ".a =="}, nil); err == nil {
		t.Error("a broken expression was accepted")
	}
}

func BenchmarkNeedle(b *testing.B) {
	c, err := newChooser(ops.ReplaySelect{Filter: `.customer == "cust-4712"`}, nil)
	if err != nil {
		b.Fatal(err)
	}
	r := Record{Data: []byte(`{"customer":"cust-1","pad":"` + strings.Repeat("x", 1000) + `"}`)}
	for b.Loop() {
		if taken, err := c.takes(r); taken || err != nil {
			b.Fatal(taken, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
