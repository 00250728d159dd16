package ui

import (
	"strings"

	"kxops/ops"
	"kxops/ui/text"
)

func writeTopic(w *writer, t *ops.Topic) {
	w.head(plural(len(t.Subscriptions), "subscription"))
	for _, s := range t.Subscriptions {
		w.field(s.Protocol, s.Endpoint, text.Style{})
		if s.ARN == "PendingConfirmation" {
			w.field("  state", "waits for confirmation", w.l.ticket)
		}
		w.field("  filter", orNone(s.Filter), w.l.dim)
		w.field("  redrives to", orNone(s.RedriveTo.Name()), w.l.dim)
	}
	w.head("configuration")
	w.field("FIFO", onOff(t.FIFO), text.Style{})
	w.field("encryption", orNone(t.Encryption), text.Style{})
}

func writeBucket(w *writer, b *ops.Bucket) {
	w.head(plural(len(b.Notifications), "notification"))
	for _, n := range b.Notifications {
		w.link(shortKind(n.Target.Kind(), false), n.Target, "  "+strings.Join(n.Events, ", "))
		if n.Prefix+n.Suffix != "" {
			w.field("  for", n.Prefix+"*"+n.Suffix, w.l.dim)
		}
	}
	if len(b.Filters) > 0 {
		w.field("request metrics", strings.Join(b.Filters, ", "), text.Style{})
	}
	for _, r := range b.Replicas {
		w.field("replicates to", r.To.Name()+" by rule "+r.Rule, text.Style{})
	}
}
