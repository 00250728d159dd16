package ui

import (
	"context"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/body"
	"kxops/ui/text"
)

// pointerLook is what is known about the data that the open letter points to.
type pointerLook struct {
	pointer ops.Pointer
	id      string // of the letter
	busy    string // what is being done
	known   bool
	data    PointerData
	problem *ops.Problem
	poison  *Record

	mu   sync.Mutex
	said string // what the search for the poison record does
}

func (p *pointerLook) say(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = s
}

func (p *pointerLook) word() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said
}

// pointerOf is the pointer of the open letter, nil when it has its data itself.
func (r *reader) pointerOf() *ops.Pointer {
	for i := range r.tabs {
		if x := r.tabs[i].layer; x != nil && x.Pointer != nil {
			return x.Pointer
		}
	}
	return nil
}

// pointedMsg brings what was found where a letter points to.
type pointedMsg struct {
	look   *pointerLook
	data   PointerData
	tabs   []tab
	poison *Record
	err    error
}

const (
	resolveMost = 20 * time.Second
	fetchMost   = 4 * time.Minute
	poisonMost  = 15 * time.Minute
)

// resolve asks whether the data is still there and for how long.
func (s *triage) resolve(a *App) tea.Cmd {
	r := &s.reader
	p := r.pointerOf()
	if p == nil || r.pointer != nil || s.desk == nil {
		return nil
	}
	k := &pointerLook{pointer: *p, id: r.letter.ID, busy: "asking how long the data stays…"}
	r.pointer = k
	desk, ctx := s.desk, a.work.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, resolveMost)
		defer done()
		data, err := desk.Resolve(ctx, k.pointer)
		return pointedMsg{look: k, data: data, err: err}
	}
}

// fetch reads the data; each record gets a tab.
func (s *triage) fetch(a *App) tea.Cmd {
	r := &s.reader
	k := r.pointer
	if k == nil {
		k = &pointerLook{pointer: *r.pointerOf(), id: r.letter.ID}
		r.pointer = k
	}
	k.busy, k.problem = "reading the data…", nil
	desk, ctx := s.desk, a.work.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, fetchMost)
		defer done()
		data, err := desk.Fetch(ctx, k.pointer)
		return pointedMsg{look: k, data: data, tabs: recordTabs(data.Records), err: err}
	}
}

func recordTabs(records []Record) []tab {
	var tabs []tab
	for _, x := range records[:min(len(records), maxParts)] {
		tabs = append(tabs, recordTab("record "+tail(x.Sequence), x))
	}
	return tabs
}

func recordTab(title string, x Record) tab {
	layer := &ops.Layer{Kind: "record"}
	for _, f := range []ops.Fact{{Name: "sequence", Value: x.Sequence}, {Name: "key", Value: x.Key}} {
		if f.Value != "" {
			layer.Facts = append(layer.Facts, f)
		}
	}
	if !x.At.IsZero() {
		layer.Facts = append(layer.Facts, ops.Fact{Name: "arrived", Value: x.At.UTC().Format("2006-01-02 15:04:05Z")})
	}
	return tab{title: title, layer: layer, bytes: x.Data, doc: body.New(x.Data)}
}

// tail is the end of a sequence number: the beginnings are alike.
func tail(s string) string {
	if len(s) > 6 {
		return "…" + s[len(s)-6:]
	}
	return s
}

// askPoison says what the search does before it does it: it is an act.
func (s *triage) askPoison(a *App) tea.Cmd {
	if ok, why := canChange(a); !ok {
		a.warn("poison: " + why)
		return nil
	}
	p := *s.reader.pointerOf()
	a.ask(newSureDialog("find the poison record?", "run the function", func(w *writer) {
		w.para("The function is invoked with halves of the range until one record is left that fails. It runs again on records that it may have handled already.", w.l.strong)
		w.blank()
		w.field("function", p.Function.Name(), text.Style{})
		w.field("records", count(float64(p.Records)), text.Style{})
	}, s.poison))
	return nil
}

func (s *triage) poison(a *App) tea.Cmd {
	r := &s.reader
	k := r.pointer
	if k == nil {
		k = &pointerLook{pointer: *r.pointerOf(), id: r.letter.ID}
		r.pointer = k
	}
	k.busy, k.problem = "looking for the poison record…", nil
	desk, ctx := s.desk, a.work.ctx
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, poisonMost)
		defer done()
		x, err := desk.Poison(ctx, k.pointer, k.say)
		if err != nil {
			return pointedMsg{look: k, data: k.data, err: err}
		}
		return pointedMsg{look: k, data: k.data, tabs: []tab{recordTab("poison record", x)}, poison: &x}
	}
}

func (a *App) pointed(msg pointedMsg) {
	for _, s := range a.stack {
		t, ok := s.(*triage)
		if !ok || t.reader.pointer != msg.look || t.reader.letter.ID != msg.look.id {
			continue
		}
		k, r := msg.look, &t.reader
		k.busy, k.problem = "", ops.AsProblem(msg.err)
		if msg.err == nil {
			k.known, k.data = true, msg.data
		}
		if msg.poison != nil {
			k.poison = msg.poison
		}
		if len(msg.tabs) > 0 {
			at := len(r.tabs)
			r.tabs = append(r.tabs, msg.tabs...)
			r.at, r.cursor, r.top, r.above = at, 0, 0, 0
			r.search(r.needle)
			words := plural(len(msg.data.Records), "record") + " read"
			switch {
			case msg.poison != nil:
				words = "record " + msg.poison.Sequence + " fails by itself"
			case !msg.data.Complete:
				words += ", not all of the range: " + msg.data.Why
			}
			a.say(words)
		}
	}
}

// writePointer tells where the data is and how long it stays there.
func writePointer(w *writer, x *ops.Pointer, k *pointerLook) {
	if x == nil {
		return
	}
	switch x.Kind {
	case ops.S3Object:
		w.fact("data is in", "s3://"+x.Bucket+"/"+x.Key, w.l.cool)
	default:
		w.fact("data is in", x.Stream.Name()+" "+x.Shard+", "+plural(x.Records, "record"), w.l.cool)
		w.fact("range", x.From+" to "+x.To, w.l.dim)
	}
	switch {
	case k == nil:
		w.fact("", w.l.keyOf("fetch")+" reads it, "+w.l.keyOf("replay")+" replays it", w.l.dim)
		return
	case k.busy != "":
		w.fact("", k.busy+" "+k.word(), w.l.accent)
	case k.problem != nil:
		w.fact("not read", k.problem.Error(), w.l.ticket)
	}
	if !k.known {
		return
	}
	d := &k.data
	switch {
	case d.Gone:
		w.fact("gone", "the data is not there any more. "+d.Why, w.l.page)
	case d.Why != "":
		w.fact("not read", d.Why, w.l.ticket)
	}
	if !d.Gone && !d.TrimsAt.IsZero() {
		w.fact("trimmed in", until(d.TrimsAt, w.l.now)+"; "+w.l.keyOf("fetch")+" reads it, "+w.l.keyOf("poison")+" finds the record that fails, "+w.l.keyOf("replay")+" replays it", lossStyle(w.l, d.TrimsAt))
	}
	if len(d.Records) > 0 {
		words := plural(len(d.Records), "record") + " read"
		if !d.Complete {
			words += ", not all of the range"
		}
		w.fact("", words, w.l.good)
	}
	if k.poison != nil {
		w.fact("poison", "record "+k.poison.Sequence+" fails by itself", w.l.page)
	}
}

func hasPointer(a *App) (bool, string) {
	s := a.triage()
	switch {
	case s == nil:
		return false, "only on a letter"
	case s.reader.pointerOf() == nil:
		return false, "the letter holds its data itself"
	case s.reader.pointer != nil && s.reader.pointer.busy != "":
		return false, "it is being read"
	}
	return true, ""
}

func hasStreamPointer(a *App) (bool, string) {
	if ok, why := hasPointer(a); !ok {
		return false, why
	}
	return a.triage().reader.pointerOf().Kind != ops.S3Object, "only where the data is in a stream"
}
