package ui

import (
	"fmt"
	"strings"
	"time"

	"kxops/ops"
	"kxops/ui/text"
)

func writeFunction(w *writer, f *ops.Function) {
	w.head("configuration")
	w.field("state", f.State, stateLook(w.l, f.State))
	w.field("runtime", orNone(f.Runtime), text.Style{})
	if !f.Modified.IsZero() {
		w.field("changed", fmt.Sprintf("%s (%s ago)", f.Modified.UTC().Format(time.RFC3339), age(f.Modified, w.l.now)), text.Style{})
	}
	w.field("timeout", ops.Span(f.Timeout.Seconds()), text.Style{})
	w.field("memory", fmt.Sprintf("%d MB", f.MemoryMB), text.Style{})
	concurrency := "unreserved"
	if n, ok := f.Concurrency.Value(); ok {
		concurrency = count(n)
	}
	w.field("concurrency", concurrency, text.Style{})
	w.link("dead letters", f.DeadLetter, "")
	w.link("on failure", f.OnFailure, "")
	w.link("on success", f.OnSuccess, "")
	retries := "2 (the service's default)"
	if f.MaxRetries >= 0 {
		retries = fmt.Sprint(f.MaxRetries)
	}
	w.field("async retries", retries, text.Style{})
	if f.MaxEventAge > 0 {
		w.field("async age", "events are dropped after "+ops.Span(f.MaxEventAge.Seconds()), text.Style{})
	}
	w.field("environment", orNone(strings.Join(f.Environments, ", ")), w.l.dim)
}
