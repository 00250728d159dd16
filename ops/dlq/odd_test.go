package dlq

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kxops/ops"
)

// One odd message is described against the many, never the many against it; and it
// changes neither the keys nor the titles of the others.
func TestOneOddMessageIsNoMeasure(t *testing.T) {
	var messages []ops.Message
	put := func(n int, body string) {
		for range n {
			messages = append(messages, aged(fmt.Sprint("m", len(messages)), body, time.Duration(len(messages))*time.Minute))
		}
	}
	put(40, `{"order":1,"total":9.5,"zip":"1000"}`)
	keysAndTitles := func() map[string]string {
		out := map[string]string{}
		for _, g := range Groups(heapOf(t, messages...).Letters()) {
			if g.Count > 1 {
				out[g.Cause.Key] = g.Cause.Title
			}
		}
		return out
	}
	check := func(what, odd string) {
		t.Helper()
		before := messages
		was := keysAndTitles()
		put(1, odd)
		is := keysAndTitles()
		if len(is) != len(was) {
			t.Errorf("%s: %d groups, were %d", what, len(is), len(was))
		}
		for key, title := range was {
			if strings.Contains(is[key], "only here") || is[key] == "" || len(was) > 1 && is[key] != title {
				t.Errorf("%s: %s was %q and is %q", what, key, title, is[key])
			}
		}
		messages = before
	}
	check("one group", `{"order":1,"total":9.5}`)
	put(20, `{"order":1,"total":"9.5","zip":"1000"}`)
	put(20, `{"order":1,"total":9.5}`)
	check("three groups", `{"order":1,"coupon":"x","note":"y"}`)
	check("three groups, a field of the odd one", `{"order":1,"total":9.5,"zip":"1000","gift":true}`)
	put(1, `{"order":1,"total":9.5,"coupon":"x","zip":"1000"}`)
	for _, g := range Groups(heapOf(t, messages...).Letters()) {
		if g.Count == 1 && !strings.Contains(g.Cause.Title, "coupon is only here") {
			t.Errorf("the odd one: %q", g.Cause.Title)
		}
	}
}
