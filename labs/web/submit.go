package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fieldPrefix keeps a lab's field names apart from the page's own: token, type, count.
const fieldPrefix = "field."

// answer is what the page's script hears after a POST.
type answer struct {
	Outcome string            `json:"outcome"` // accepted, refused, unknown, started, done, wrong
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"` // one sentence for each wrong field, by the name of its input
}

// asked is a form as it was filled in and judged.
type asked struct {
	form   *Form
	fields map[string]string // what goes to the lab
	wrong  map[string]string // one sentence an input, by its name
	lost   string            // a sentence that belongs to no field
}

func (a asked) fine() bool { return len(a.wrong) == 0 && a.lost == "" }

func (s *Server) submitOne(w http.ResponseWriter, r *http.Request) {
	ask := s.judge(r.PostForm)
	if !ask.fine() {
		s.sendBack(w, r, ask, http.StatusUnprocessableEntity)
		return
	}
	e := s.submit(s.life, ask.form.Type, ask.fields)
	if wantsJSON(r) {
		writeJSON(w, http.StatusOK, answer{Outcome: e.outcome(), Message: e.sentence()})
		return
	}
	http.Redirect(w, r, "/?type="+url.QueryEscape(ask.form.Type)+"&done="+strconv.Itoa(e.n), http.StatusSeeOther)
}

// submit sends one event and books what became of it, whatever that is. It does
// not hang on the request: a closed tab must not make an event unknown.
func (s *Server) submit(ctx context.Context, kind string, fields map[string]string) event {
	ctx, cancel := context.WithTimeout(ctx, submitDeadline)
	defer cancel()
	sent, err := s.lab.Submit(ctx, kind, maps.Clone(fields))
	e := event{kind: kind, sent: sent, at: s.now()}
	if err != nil {
		e.unsure = plain(err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.add(e)
}

// judge checks everything a browser could have sent.
func (s *Server) judge(posted url.Values) asked {
	a := asked{fields: map[string]string{}, wrong: map[string]string{}}
	kind := posted.Get("type")
	i := slices.IndexFunc(s.forms, func(f Form) bool { return f.Type == kind })
	if i < 0 {
		a.lost = fmt.Sprintf("there is no event type %q in this lab", plain(kind))
		return a
	}
	a.form = &s.forms[i]
	known := map[string]bool{}
	for _, f := range a.form.Fields {
		known[fieldPrefix+f.Name] = true
		value := posted.Get(fieldPrefix + f.Name)
		if wrong := f.judge(value); wrong != "" {
			a.wrong[fieldPrefix+f.Name] = wrong
		} else if value = f.tidy(value); value != "" {
			a.fields[f.Name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(posted)) {
		if strings.HasPrefix(name, fieldPrefix) && !known[name] {
			a.lost = fmt.Sprintf("there is no field %q in this form", plain(strings.TrimPrefix(name, fieldPrefix)))
			break
		}
	}
	return a
}

// tidy drops the blanks around a number and a value that is nothing but blanks.
func (f Field) tidy(value string) string {
	if trimmed := strings.TrimSpace(value); f.Number || len(f.Choices) > 0 || trimmed == "" {
		return trimmed
	}
	return value
}

// judge says in one sentence what is wrong with a value, or "".
func (f Field) judge(value string) string {
	value = f.tidy(value)
	switch {
	case value == "" && f.Required:
		return f.Label + " is required: fill it in."
	case value == "":
		return ""
	case !utf8.ValidString(value):
		return f.Label + " is not valid text (UTF-8)."
	case len(f.Choices) > 0 && !slices.Contains(f.Choices, value):
		return fmt.Sprintf("%s must be one of: %s.", f.Label, strings.Join(f.Choices, ", "))
	case f.Number:
		return f.judgeNumber(value)
	}
	return ""
}

// decimal is what people call a number: ParseFloat would take NaN, hex and 1_000 too.
var decimal = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$`)

func (f Field) judgeNumber(value string) string {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !decimal.MatchString(value) {
		return f.Label + " must be a number, such as 12 or 3.5."
	}
	if bounds := f.bounds(); bounds != "" && (n < f.Min || n > f.Max) {
		return f.Label + " must be " + bounds + "."
	}
	return ""
}

// bounds says a number's range in words, "" without one.
func (f Field) bounds() string {
	if !f.Number || f.Min == 0 && f.Max == 0 {
		return ""
	}
	return fmt.Sprintf("from %v to %v", f.Min, f.Max)
}

// sendBack shows what is wrong and keeps what was typed.
func (s *Server) sendBack(w http.ResponseWriter, r *http.Request, ask asked, status int) {
	message := ask.lost
	if message == "" {
		message = "Nothing was sent: " + wrongFields(len(ask.wrong)) + " to be corrected."
	}
	if wantsJSON(r) {
		writeJSON(w, status, answer{Outcome: "wrong", Message: message, Fields: ask.wrong})
		return
	}
	s.draw(w, status, pageState{kind: r.PostForm.Get("type"), posted: r.PostForm, wrong: ask.wrong, message: message, outcome: "wrong"})
}

func wrongFields(n int) string {
	if n == 1 {
		return "one field has"
	}
	return strconv.Itoa(n) + " fields have"
}

// maxText bounds a text of the lab's on the page, in characters.
const maxText = 300

// plain makes one bounded line of a text from outside: no control characters,
// and none that turn the reading direction around.
func plain(text string) string {
	runes := []rune(strings.ToValidUTF8(text, "\uFFFD"))
	if len(runes) > maxText {
		runes = append(runes[:maxText-1], '…')
	}
	for i, r := range runes {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			runes[i] = ' '
		}
	}
	return strings.TrimSpace(string(runes))
}
