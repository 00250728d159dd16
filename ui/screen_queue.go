package ui

import (
	"fmt"

	"kxops/ops"
	"kxops/ui/text"
)

func writeQueue(w *writer, q *ops.Queue) {
	if q.IsDeadLetter() {
		w.head("dead letters come from")
		for _, d := range q.DeadLetterOf {
			note := "  " + string(d.Via)
			if d.Retention > 0 {
				note += ", retention there " + ops.Span(d.Retention.Seconds())
			}
			w.link("", d.Source, note)
		}
	}
	if len(q.Consumers) > 0 || !q.IsDeadLetter() {
		w.head(plural(len(q.Consumers), "consumer"))
		writeConsumers(w, q.Consumers, "no event source mapping reads it (other readers cannot be seen)")
	}
	w.head("configuration")
	kind := "standard"
	if q.FIFO {
		kind = "FIFO"
	}
	w.field("type", kind, text.Style{})
	w.field("depth", reading(q.Depth(), ops.Count)+" (visible + in flight + delayed)", text.Style{})
	w.field("retention", ops.Span(q.Retention.Seconds()), text.Style{})
	w.field("visibility", ops.Span(q.Visibility.Seconds()), text.Style{})
	if q.Delay > 0 {
		w.field("delay", ops.Span(q.Delay.Seconds()), text.Style{})
	}
	if q.RedriveTo != "" {
		w.link("redrives to", q.RedriveTo, fmt.Sprintf("  after %d receives", q.MaxReceive))
	} else if !q.IsDeadLetter() {
		w.field("redrives to", "nothing: a message that cannot be handled is retried until it expires", w.l.ticket)
	}
	w.field("encryption", orNone(q.Encryption), text.Style{})
	writeCreated(w, q.Created)
}
