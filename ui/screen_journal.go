package ui

import (
	"kxops/ops"
	"kxops/ui/text"
)

// openJournal opens the record of what was done with kxops. It is read again
// when the screen opens, not at every poll.
func openJournal(a *App, _ ops.ARN) screen {
	var entries []JournalEntry
	var err error
	if a.opts.Journal != nil {
		entries, err = a.opts.Journal()
	}
	return newPage("journal", func(w *writer, _ *picture) { writeJournal(w, entries, err) })
}

func writeJournal(w *writer, entries []JournalEntry, err error) {
	switch {
	case err != nil:
		w.para("the journal could not be read: "+err.Error(), w.l.ticket)
		return
	case len(entries) == 0:
		w.para("Nothing was changed with kxops here. Every operation that changes something is written down before it is done, and its outcome after.", w.l.dim)
		return
	}
	for _, e := range entries {
		w.line(span{pad(e.At.UTC().Format("2006-01-02 15:04:05Z"), 21), w.l.dim},
			span{pad(text.Cut(text.Clean(text.Bound(e.What, 28)), 28), 28), w.l.strong},
			span{text.Clean(text.Bound(e.Resource, 60)), w.l.accent})
		w.field("  outcome", e.Outcome, text.Style{})
		w.field("  by", e.Who, w.l.dim)
		w.field("  id", e.ID, w.l.dim)
	}
}
