package web

import (
	"html"
	"net/url"
	"strconv"
	"strings"
)

// This file writes the page. html/template would do it too, but the linker keeps
// every exported method of every type once a template can call one by its name:
// the binary of kxops grows from 39 to 62 MB (BENCHMARKS.md).

// markup is HTML being written. What is not a tag's name or an attribute's name is
// escaped, so nothing that a lab or a person said can become markup.
type markup struct{ strings.Builder }

// open writes a start tag; attributes are name, value … A name that ends in "?" is
// a switch: it is there when its value is not "".
func (m *markup) open(tag string, attributes ...string) {
	m.WriteString("<" + tag)
	for i := 0; i+1 < len(attributes); i += 2 {
		name, value := attributes[i], attributes[i+1]
		if on, isSwitch := strings.CutSuffix(name, "?"); isSwitch {
			if value != "" {
				m.WriteString(" " + on)
			}
			continue
		}
		m.WriteString(" " + name + `="` + html.EscapeString(value) + `"`)
	}
	m.WriteString(">")
}

func (m *markup) close(tag string) { m.WriteString("</" + tag + ">") }

func (m *markup) text(s string) { m.WriteString(html.EscapeString(s)) }

// line is an element with nothing but a text in it.
func (m *markup) line(tag, text string, attributes ...string) {
	m.open(tag, attributes...)
	m.text(text)
	m.close(tag)
}

// cross marks a bad end by a sign beside the words, for eyes only.
func (m *markup) cross() { m.line("span", "× ", "aria-hidden", "true") }

// on is the value of a switch.
func on(yes bool) string {
	if yes {
		return "on"
	}
	return ""
}

// either picks a text.
func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

// pageView is all that the page shows.
type pageView struct {
	title, token, message, outcome string
	forms                          []drawnForm
	steps                          []Step
	list                           list
}

func (v pageView) html() string {
	m := &markup{}
	m.WriteString("<!doctype html>\n")
	m.open("html", "lang", "en")
	m.open("head")
	m.open("meta", "charset", "utf-8")
	m.open("meta", "name", "viewport", "content", "width=device-width, initial-scale=1")
	m.line("title", v.title)
	m.open("link", "rel", "stylesheet", "href", "/page.css")
	m.line("script", "", "src", "/page.js", "defer?", "on")
	m.close("head")
	m.open("body")
	m.line("a", "Skip to the events", "class", "skip", "href", "#events")
	m.open("header")
	m.line("h1", v.title)
	m.line("p", "Send events and see what happens to each of them. Times are UTC.")
	m.close("header")
	m.open("main")
	v.capture(m)
	v.events(m)
	m.close("main")
	m.close("body")
	m.close("html")
	return m.String()
}

// capture is the left side: the forms, what came of the last one, and the burst.
func (v pageView) capture(m *markup) {
	m.open("div", "class", "capture")
	m.line("h2", "Send an event", "id", "send")
	m.open("nav", "aria-label", "Event type")
	m.open("ul", "class", "types")
	for _, f := range v.forms {
		m.open("li")
		attributes := []string{"href", "/?type=" + url.QueryEscape(f.Type), "data-form", strconv.Itoa(f.Index)}
		if f.Chosen {
			attributes = append(attributes, "aria-current", "page")
		}
		m.line("a", f.Title, attributes...)
		m.close("li")
	}
	m.close("ul")
	m.close("nav")
	for _, f := range v.forms {
		v.form(m, f)
	}
	if len(v.forms) == 0 {
		m.line("p", "This lab has no event types.")
	}
	m.line("p", v.message, "id", "result", "role", "status", "aria-live", "polite", "class", strings.TrimSpace("result "+v.outcome))
	v.burst(m)
	m.close("div")
}

func (v pageView) hidden(m *markup, name, value string) {
	m.open("input", "type", "hidden", "name", name, "value", value)
}

func (v pageView) form(m *markup, f drawnForm) {
	m.open("form", "method", "post", "action", "/submit", "id", "form-"+strconv.Itoa(f.Index), "aria-label", f.Title, "novalidate?", "on", "hidden?", on(!f.Chosen))
	v.hidden(m, "token", v.token)
	v.hidden(m, "type", f.Type)
	if f.Help != "" {
		m.line("p", f.Help, "class", "help")
	}
	for _, in := range f.Inputs {
		in.draw(m)
	}
	m.open("p")
	m.line("button", "Submit one", "class", "main", "name", "act", "value", "one")
	m.close("p")
	m.open("fieldset")
	m.line("legend", "Many of the same")
	m.open("div", "class", "field")
	id := "count-" + strconv.Itoa(f.Index)
	m.open("label", "for", id)
	m.text("How many ")
	m.line("span", "(1 to "+strconv.Itoa(f.MaxBurst)+")", "class", "must")
	m.close("label")
	attributes := []string{"id", id, "name", "count", "value", f.Count, "inputmode", "numeric", "autocomplete", "off", "aria-describedby", id + "-wrong"}
	if f.CountWrong != "" {
		attributes = append(attributes, "aria-invalid", "true")
	}
	m.open("input", attributes...)
	m.line("p", f.CountWrong, "class", "wrong", "id", id+"-wrong", "data-wrong", "count")
	m.close("div")
	m.line("button", "Submit a burst", "formaction", "/burst", "name", "act", "value", "burst")
	m.close("fieldset")
	m.close("form")
}

func (in input) draw(m *markup) {
	m.open("div", "class", "field")
	m.open("label", "for", in.ID)
	m.text(in.Label + " ")
	m.line("span", either(in.Required, "(required)", "(optional)"), "class", either(in.Required, "must", "may"))
	m.close("label")
	about := in.ID + "-wrong"
	if in.Bounds != "" {
		about = in.ID + "-bounds " + about
	}
	attributes := []string{"id", in.ID, "name", fieldPrefix + in.Name, "aria-describedby", about, "required?", on(in.Required)}
	if in.Wrong != "" {
		attributes = append(attributes, "aria-invalid", "true")
	}
	if len(in.Choices) > 0 {
		m.open("select", attributes...)
		if !in.Required {
			m.line("option", "none", "value", "")
		}
		for _, c := range in.Choices {
			m.line("option", c, "selected?", on(c == in.Value))
		}
		m.close("select")
	} else {
		attributes = append(attributes, "value", in.Value, "autocomplete", "off")
		if in.Number {
			attributes = append(attributes, "inputmode", "decimal")
		}
		m.open("input", attributes...)
	}
	if in.Bounds != "" {
		m.line("p", in.Bounds, "class", "bounds", "id", in.ID+"-bounds")
	}
	m.line("p", in.Wrong, "class", "wrong", "id", in.ID+"-wrong", "data-wrong", fieldPrefix+in.Name)
	m.close("div")
}

func (v pageView) burst(m *markup) {
	b := v.list.Burst
	if b == nil {
		b = &flight{Count: 1, Running: true}
	}
	m.open("form", "method", "post", "action", "/burst/stop", "id", "burst", "hidden?", on(v.list.Burst == nil))
	v.hidden(m, "token", v.token)
	m.line("p", b.Text, "id", "burst-text")
	m.line("progress", "", "id", "burst-bar", "aria-labelledby", "burst-text", "max", strconv.Itoa(b.Count), "value", strconv.Itoa(b.Done))
	m.line("button", "Stop the burst", "id", "burst-stop", "hidden?", on(!b.Running))
	m.close("form")
}

// events is the right side: how many are where, and each one.
func (v pageView) events(m *markup) {
	m.open("section", "class", "list", "id", "events", "aria-labelledby", "events-title", "tabindex", "-1")
	m.line("h2", "What happened", "id", "events-title")
	m.open("dl", "class", "summary", "id", "summary", "aria-label", "Events at each station")
	for _, c := range v.list.Summary {
		if c.Bad {
			m.open("div", "class", "bad")
		} else {
			m.open("div")
		}
		m.open("dt")
		if c.Bad {
			m.cross()
		}
		m.text(c.Step)
		m.close("dt")
		m.line("dd", c.Text)
		m.close("div")
	}
	m.close("dl")
	m.line("p", v.list.Problem, "class", "problem", "id", "problem", "role", "status", "aria-live", "polite")
	m.line("p", "", "id", "heard", "class", "unseen", "role", "status", "aria-live", "polite")
	m.open("form", "method", "post", "action", "/again", "id", "again")
	v.hidden(m, "token", v.token)
	m.line("span", strconv.Itoa(len(v.list.Rows))+" of the last "+strconv.Itoa(v.list.Total)+" events, newest first.", "class", "help", "id", "listed")
	m.text(" ")
	m.line("button", "Look again at all")
	m.open("noscript")
	m.line("a", "Load the list again", "href", "/")
	m.close("noscript")
	m.close("form")
	m.open("table", "role", "table", "aria-labelledby", "events-title")
	m.open("thead", "role", "rowgroup")
	m.open("tr", "role", "row")
	for _, name := range []string{"Event", "Type", "Sent"} {
		m.line("th", name, "role", "columnheader", "scope", "col")
	}
	for _, s := range v.steps {
		m.open("th", "role", "columnheader", "scope", "col", "class", either(s.Bad, "bad", ""))
		if s.Bad {
			m.cross()
		}
		m.text(s.Name)
		m.close("th")
	}
	m.close("tr")
	m.close("thead")
	m.open("tbody", "role", "rowgroup", "id", "rows")
	for _, r := range v.list.Rows {
		r.draw(m, len(v.steps))
	}
	m.close("tbody")
	m.close("table")
	m.line("p", "No event has been sent yet.", "id", "empty", "class", "help", "hidden?", on(len(v.list.Rows) > 0))
	m.close("section")
}

func (r row) draw(m *markup, columns int) {
	m.open("tr", "role", "row")
	m.open("th", "role", "rowheader", "scope", "row", "data-label", "Event")
	if r.ID != "" {
		m.line("code", r.ID, "title", r.ID)
	} else {
		m.text("no id")
	}
	m.close("th")
	m.line("td", r.Type, "role", "cell", "data-label", "Type")
	m.line("td", r.When, "role", "cell", "data-label", "Sent")
	if r.Problem != "" {
		m.open("td", "role", "cell", "class", "bad wide", "data-label", "Result", "colspan", strconv.Itoa(columns))
		m.cross()
		m.text(r.Problem)
		m.close("td")
	} else {
		for _, c := range r.Cells {
			m.open("td", "role", "cell", "class", c.State, "data-label", c.Step)
			if c.State == "bad" {
				m.cross()
				m.text("bad end ")
			}
			m.text(c.Text)
			if c.Note != "" {
				m.line("small", c.Note)
			}
			m.close("td")
		}
	}
	m.close("tr")
}
