package alarms

import (
	"encoding/json"
	"testing"
)

// A severity is a word in every document, and only a known word is read back.
func TestSeverityInDocuments(t *testing.T) {
	for _, s := range []Severity{Info, Ticket, Page} {
		content, err := json.Marshal(s)
		var back Severity
		if err != nil || string(content) != `"`+s.String()+`"` || json.Unmarshal(content, &back) != nil || back != s {
			t.Errorf("%v is written as %s (%v) and read as %v", s, content, err, back)
		}
	}
	var s Severity
	for _, word := range []string{`"loud"`, `7`} {
		if err := json.Unmarshal([]byte(word), &s); err == nil {
			t.Errorf("%s is read as %v", word, s)
		}
	}
}
