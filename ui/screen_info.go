package ui

import (
	"cmp"
	"fmt"

	"kxops/ops"
	"kxops/ui/text"
)

// openInfo opens what is known about the account and how well it could be read.
func openInfo(a *App, _ ops.ARN) screen {
	about, policy := "", ""
	if a.opts.Info != nil {
		about = a.opts.Info()
	}
	if a.opts.Policy != nil {
		policy = a.opts.Policy()
	}
	return newPage("info", func(w *writer, p *picture) {
		writeIdentity(w, p.snap.Identity)
		writeSections(w, p)
		if about != "" {
			w.head("here")
			w.verbatim(about, text.Style{})
		}
		if policy != "" {
			w.head("least IAM policy of this access level")
			w.verbatim(policy, w.l.dim)
		}
	})
}

func writeIdentity(w *writer, id ops.Identity) {
	w.head("identity")
	or := func(s string) string {
		if s == "" {
			return "?"
		}
		return s
	}
	w.field("account", or(accountName(id)), w.l.strong)
	w.field("region", or(id.Region), w.l.strong)
	w.field("profile", cmp.Or(text.Clean(id.Profile), "none: the SDK's standard chain"), text.Style{})
	w.field("caller", or(id.Who), text.Style{})
}

func writeSections(w *writer, p *picture) {
	w.head("what could be read")
	for _, s := range p.snap.Sections() {
		word, look := "not read yet", w.l.dim
		switch {
		case s.Problem != nil:
			word, look = string(s.Problem.Fault), w.l.ticket
		case s.Partial:
			word, look = "partly", w.l.ticket
		case !s.At.IsZero():
			word, look = "read", w.l.good
		}
		n := fmt.Sprintf("%d of %d", s.Count, s.Known)
		if s.Name == "metrics" || s.At.IsZero() && s.Count == 0 {
			n = ""
		}
		w.line(span{pad(s.Name, labelWidth), w.l.dim}, span{pad(word, 14), look},
			span{pad(n, 14), text.Style{}}, span{age(s.At, w.l.now) + " old", w.l.dim})
		if s.Problem != nil {
			w.field("", problemText(s.Problem), w.l.ticket)
		}
	}
}
