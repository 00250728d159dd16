package web

import (
	"crypto/sha256"
	_ "embed" // the page's style and script
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

//go:embed page.css
var pageCSS []byte

//go:embed page.js
var pageJS []byte

// list is the live part of the page, for the page as it is loaded and for its script alike.
type list struct {
	Version string  `json:"version"`
	Problem string  `json:"problem"` // "not known: why", "" when all is known
	Total   int     `json:"total"`
	Summary []count `json:"summary"`
	Rows    []row   `json:"rows"`
	Burst   *flight `json:"burst"`
}

type count struct {
	Step string `json:"step"`
	Text string `json:"text"`
	Bad  bool   `json:"bad"`
	N    int    `json:"n"`
}

type row struct {
	N       int    `json:"n"`
	ID      string `json:"id"`
	Type    string `json:"type"`
	When    string `json:"when"`
	Outcome string `json:"outcome"`
	Problem string `json:"problem"` // in place of the cells when there is no id
	Cells   []cell `json:"cells"`
}

type cell struct {
	Step  string `json:"step"`
	State string `json:"state"` // seen, bad, waiting, no, missing, unknown
	Text  string `json:"text"`
	Note  string `json:"note"`
}

type flight struct {
	N       int    `json:"n"` // counts the bursts from 1
	Running bool   `json:"running"`
	Count   int    `json:"count"`
	Done    int    `json:"done"`
	Text    string `json:"text"`
}

func (s *Server) showEvents(w http.ResponseWriter, r *http.Request) {
	s.glance()
	l := s.list()
	if r.URL.Query().Get("version") == l.Version {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeJSON(w, http.StatusOK, l)
}

// list draws the last events, newest first.
func (s *Server) list() list {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	l := list{Total: len(s.book.events), Rows: []row{}, Burst: s.burst.view()}
	if s.look.problem != "" {
		l.Problem = "not known: " + s.look.problem
	}
	for i := len(s.book.events) - 1; i >= 0 && len(l.Rows) < shown; i-- {
		l.Rows = append(l.Rows, s.row(s.book.events[i], now))
	}
	l.Summary = s.summary(now)
	l.Version = l.digest()
	return l
}

// digest names the content, so that a tab which has it already is told nothing.
func (l list) digest() string {
	b, err := json.Marshal(l)
	if err != nil {
		panic("the list is plain values: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func (s *Server) row(e event, now time.Time) row {
	r := row{N: e.n, ID: plain(e.sent.ID), Type: plain(e.kind), When: clock(e.at), Outcome: e.outcome(), Cells: []cell{}}
	if e.outcome() != "accepted" {
		r.Problem = e.sentence()
		return r
	}
	for _, step := range s.steps {
		r.Cells = append(r.Cells, s.cell(e, step, now))
	}
	return r
}

// cell never says that nothing happened where nobody knows.
func (s *Server) cell(e event, step Step, now time.Time) cell {
	c := cell{Step: plain(step.Name)}
	m, here := e.marks[step.Name]
	settled := e.settled(s.steps, now)
	switch {
	case here:
		c.State, c.Text, c.Note = "seen", clock(m.at), m.note
		if step.Bad {
			c.State = "bad"
		}
		if m.times > 1 {
			c.Text += fmt.Sprintf(", %d times", m.times)
		}
	case !e.traced, s.look.problem != "" && (e.again || !settled):
		c.State, c.Text = "unknown", "?"
	case step.Bad:
		c.State, c.Text = "no", "no"
	case settled:
		c.State, c.Text = "missing", "not seen"
	default:
		c.State, c.Text = "waiting", "waiting"
	}
	return c
}

// summary counts the remembered events at each station; a count that a look
// could still raise, but could not be asked for, is "at least".
func (s *Server) summary(now time.Time) []count {
	counts := make([]count, 0, len(s.steps)+1)
	for _, step := range s.steps {
		c := count{Step: plain(step.Name), Bad: step.Bad}
		unknown := false
		for _, e := range s.book.events {
			if _, here := e.marks[step.Name]; here {
				c.N++
			} else if e.outcome() == "accepted" && s.cell(e, step, now).State == "unknown" {
				unknown = true
			}
		}
		c.Text = strconv.Itoa(c.N)
		if unknown {
			c.Text = "at least " + c.Text
		}
		counts = append(counts, c)
	}
	refused := count{Step: "refused by the API", Bad: true}
	unsure := count{Step: "not known whether taken", Bad: true}
	for _, e := range s.book.events {
		switch e.outcome() {
		case "refused":
			refused.N++
		case "unknown":
			unsure.N++
		}
	}
	for _, c := range []count{refused, unsure} {
		if c.N > 0 {
			c.Text = strconv.Itoa(c.N)
			counts = append(counts, c)
		}
	}
	return counts
}

func (b *burst) view() *flight {
	if b == nil {
		return nil
	}
	done := b.accepted + b.refused + b.unsure
	f := &flight{N: b.n, Running: b.running, Count: b.count, Done: done}
	f.Text = fmt.Sprintf("%d of %d sent: %d accepted, %d refused, %d not known.", done, b.count, b.accepted, b.refused, b.unsure)
	switch {
	case b.running && b.stopped != "":
		f.Text = "Burst stopping. " + f.Text
	case b.running:
		f.Text = "Burst running. " + f.Text
	case b.stopped != "":
		f.Text = "Burst stopped, " + b.stopped + ". " + f.Text
	default:
		f.Text = "Burst over. " + f.Text
	}
	return f
}

// clock shows times in UTC, as AWS's own logs do.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

// pageState is what one request adds to the page.
type pageState struct {
	kind             string
	posted           url.Values        // what was typed, kept
	wrong            map[string]string // one sentence an input, by its name
	message, outcome string
}

func (s *Server) showPage(w http.ResponseWriter, r *http.Request) {
	s.glance()
	p := pageState{kind: r.URL.Query().Get("type")}
	if n, err := strconv.Atoi(r.URL.Query().Get("done")); err == nil {
		s.mu.Lock()
		e, found := s.book.find(n)
		s.mu.Unlock()
		if found {
			p.message, p.outcome = e.sentence(), e.outcome()
		}
	}
	s.draw(w, http.StatusOK, p)
}

type drawnForm struct {
	Form
	Index      int
	Chosen     bool
	Inputs     []input
	Count      string
	CountWrong string
	MaxBurst   int
}

type input struct {
	Field
	ID, Value, Wrong, Bounds string
}

func (s *Server) draw(w http.ResponseWriter, status int, p pageState) {
	v := pageView{title: s.lab.Title(), token: s.token, message: p.message, outcome: p.outcome, forms: s.drawForms(p), steps: s.steps, list: s.list()}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, v.html()) // the reader went away: nobody is left to tell
}

func (s *Server) drawForms(p pageState) []drawnForm {
	chosen := 0
	for i, f := range s.forms {
		if f.Type == p.kind {
			chosen = i
		}
	}
	forms := make([]drawnForm, len(s.forms))
	for i, f := range s.forms {
		d := drawnForm{Form: f, Index: i, Chosen: i == chosen, Count: "20", MaxBurst: maxBurst}
		mine := p.posted != nil && f.Type == p.kind
		if mine && p.posted.Has("count") {
			d.Count, d.CountWrong = p.posted.Get("count"), p.wrong["count"]
		}
		for j, field := range f.Fields {
			in := input{Field: field, ID: fmt.Sprintf("f%d-%d", i, j), Value: field.Value, Bounds: field.bounds()}
			if mine {
				in.Value, in.Wrong = p.posted.Get(fieldPrefix+field.Name), p.wrong[fieldPrefix+field.Name]
			}
			d.Inputs = append(d.Inputs, in)
		}
		forms[i] = d
	}
	return forms
}

func embedded(content []byte, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content) // the reader went away: nobody is left to tell
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "the answer cannot be written: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // the reader went away: nobody is left to tell
}
