package ui

import (
	"fmt"

	"kxops/ops"
	"kxops/ui/text"
)

func writeStream(w *writer, s *ops.Stream) {
	w.head(plural(len(s.Consumers), "consumer"))
	writeConsumers(w, s.Consumers, "nobody reads this stream")
	w.head("configuration")
	w.field("status", s.Status, text.Style{})
	mode := s.Mode
	if s.Distribution != "" {
		mode += ", distribution " + s.Distribution
	}
	w.field("mode", mode, text.Style{})
	w.field("open shards", fmt.Sprint(s.OpenShards), text.Style{})
	if s.Channels > 0 {
		w.field("channels", fmt.Sprint(s.Channels), text.Style{})
	}
	w.field("retention", ops.Span(s.Retention.Seconds()), text.Style{})
	w.field("encryption", orNone(s.Encryption), text.Style{})
	writeCreated(w, s.Created)
}

// writeConsumers lists the readers of a stream or queue, each with its lag.
func writeConsumers(w *writer, all []ops.Consumer, none string) {
	if len(all) == 0 {
		w.para(none, w.l.ticket)
		return
	}
	for _, c := range all {
		lag := ""
		if c.Lag.Metric != "" || c.Lag.Last.Why() == "" {
			lag = "  behind " + reading(c.Lag.Last, ops.Seconds)
		}
		w.lines = append(w.lines, docLine{target: c.ARN, spans: []span{
			{pad(c.Name, 28), w.l.accent}, {pad(string(c.Kind), 21), w.l.dim}, {c.State, stateLook(w.l, c.State)}, {lag, text.Style{}},
		}})
		if c.LastResult != "" && c.LastResult != "OK" {
			w.field("  last result", c.LastResult, w.l.ticket)
		}
		if c.BatchSize > 0 {
			w.field("  batch", fmt.Sprint(c.BatchSize), w.l.dim)
		}
		if c.MaxRecordAge > 0 {
			w.field("  drops after", ops.Span(c.MaxRecordAge.Seconds()), text.Style{})
		}
		if c.OnFailure != "" {
			w.field("  failures to", c.OnFailure.Name(), w.l.dim)
		}
	}
}

// stateLook colours a state that AWS names; everything but the healthy ones is odd.
func stateLook(l light, state string) text.Style {
	switch state {
	case "Enabled", "ACTIVE", "Active", "":
		return l.good
	}
	return l.ticket
}
