package ui

import (
	"fmt"
	"strings"

	"kxops/ops"
	"kxops/ui/text"
)

func writeDelivery(w *writer, d *ops.Delivery) {
	w.head("configuration")
	w.field("status", d.Status, stateLook(w.l, d.Status))
	if d.Failure != "" {
		w.field("failure", d.Failure, w.l.page)
	}
	if d.Source != "" {
		w.link("source", d.Source, "")
	} else {
		w.field("source", "Direct PUT (kept 24 h while it retries)", text.Style{})
	}
	w.field("destination", d.Destination, text.Style{})
	w.link("target", d.Target, "")
	w.field("buffer", fmt.Sprintf("%s or %s", ops.Span(d.BufferInterval.Seconds()), bytesText(float64(d.BufferBytes))), text.Style{})
	w.field("compression", orNone(d.Compression), text.Style{})
	w.field("prefix", orNone(d.Prefix), text.Style{})
	w.field("error prefix", orNone(d.ErrorPrefix), text.Style{})
	w.field("processors", orNone(strings.Join(d.Processors, ", ")), text.Style{})
	w.link("transform", d.Transform, "")
	w.field("conversion", onOff(d.Conversion), text.Style{})
	w.field("partitioning", onOff(d.Partitioning), text.Style{})
	backup := orNone(d.BackupMode)
	if d.Backup != "" {
		backup += " to " + d.Backup.Name()
	}
	w.field("backup", backup, text.Style{})
	logs := w.l.ticket
	if d.LogErrors {
		logs = text.Style{}
	}
	w.field("error logging", onOff(d.LogErrors), logs)
	w.field("role", orNone(string(d.Role)), w.l.dim)
	w.field("encryption", orNone(d.Encryption), text.Style{})
	writeCreated(w, d.Created)
}
