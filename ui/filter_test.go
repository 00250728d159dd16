package ui

import (
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	columns := []string{"state", "kind", "name", "number"}
	row := map[string]string{"state": "PAGE", "kind": "dlq queue", "name": "orders-failed", "number": "118 msgs"}
	for line, want := range map[string]bool{
		"": true, "orders": true, "ORDERS": true, "refunds": false,
		"!orders": false, "!refunds": true,
		"state:page": true, "state:ok": false, "!state:ok": true, "st:page": true,
		"n:orders":             false, // name or number: an unclear beginning is plain text
		"kind:dlq orders":      true,  // and
		"kind:dlq refunds":     false, // and
		`"118 msgs"`:           true,
		`"118  msgs"`:          false,
		"arn:aws:sqs":          false, // an ARN is no column
		"!":                    true,
		"state:":               true,
		"!!orders":             true, // a word that begins with "!"
		"kind:dlq !state:page": false,
	} {
		got := parseFilter(line, columns).match(func(c string) string { return row[c] }, func() string {
			return row["state"] + " " + row["kind"] + " " + row["name"] + " " + row["number"]
		})
		if got != want {
			t.Errorf("filter %q: %v, want %v", line, got, want)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"", "a b", "!state:ok", `"x y`, ":", "!:", "kind:", "\x1b[31m:x", strings.Repeat("a:", 600)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fl := parseFilter(s, []string{"state", "name"})
		for _, term := range fl.terms {
			if term.text == "" || term.col != "" && term.col != "state" && term.col != "name" {
				t.Errorf("%q: term %+v", s, term)
			}
		}
		match := func(row string) bool {
			return fl.match(func(string) string { return row }, func() string { return row })
		}
		match(s)
		if fl.empty() && !match("anything") {
			t.Errorf("the empty filter %q hides rows", s)
		}
	})
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{"", ":", "queue orders", "  :region  eu-central-1 ", "sort\tloss", "quit now"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, arg := parseCommand(s)
		if strings.ContainsRune(name, ' ') || arg != strings.TrimSpace(arg) {
			t.Errorf("%q: name %q, argument %q", s, name, arg)
		}
		if again, _ := parseCommand(name + " " + arg); again != name && !strings.HasPrefix(name, ":") {
			t.Errorf("%q: %q becomes %q", s, name, again)
		}
	})
}

func TestFuzzy(t *testing.T) {
	names := []string{"pipelines", "pause", "spend", "queue", "quit"}
	for query, want := range map[string]string{"pause": "pause", "pip": "pipelines", "qu": "queue", "end": "spend", "qt": "quit", "": "pipelines"} {
		if got := fuzzy(query, names); len(got) == 0 || got[0] != want {
			t.Errorf("fuzzy(%q) = %v, want %s first", query, got, want)
		}
	}
	if got := fuzzy("zzz", names); len(got) != 0 {
		t.Errorf("fuzzy(zzz) = %v", got)
	}
}
