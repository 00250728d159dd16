package ui

import (
	"strings"

	"kxops/ops"
	"kxops/ui/text"
)

func writeAPI(w *writer, a *ops.API) {
	w.head(plural(len(a.Stages), "stage"))
	for _, s := range a.Stages {
		w.field(s.Name, strings.Join([]string{
			reading(s.Measures.Last(ops.APIFailed), ops.Ratio) + " failed",
			reading(s.Measures.Last(ops.APIRejected), ops.Ratio) + " turned away",
			reading(s.Measures.Last(ops.APIRequests), ops.Count) + " requests a minute",
		}, ", "), text.Style{})
	}
	w.head("configuration")
	w.field("name", a.Name, text.Style{})
	w.field("protocol", a.Protocol, text.Style{})
	if a.Unnamed > 0 {
		w.field("feeds also", plural(a.Unnamed, "target")+" that a stage variable or the request decides", w.l.dim)
	}
	if a.ARN.ByMetrics() {
		w.para("A REST API is known by its metrics only. What it calls is not known, so its alarms are asked for; REST APIs of one name share their metrics.", w.l.dim)
		return
	}
	if !a.FeedsPipeline() {
		w.para("No integration leads to a function, a stream or a queue: it is not followed.", w.l.dim)
	}
}
