package ui

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/body"
	"kxops/ui/text"
)

// editedMsg brings what the person's editor left.
type editedMsg struct {
	screen *triage
	before ops.Message
	text   []byte
	after  ops.Message
	err    error
}

// editText opens a message in the person's editor; text is what an earlier try left.
// The file can be read by this user alone and is removed afterwards.
func (s *triage) editText(a *App, m ops.Message, draft []byte) tea.Cmd {
	if draft == nil {
		var err error
		if draft, err = s.desk.Draft(m); err != nil {
			a.warn("edit: " + ops.AsProblem(err).Error())
			return nil
		}
	}
	f, err := os.CreateTemp("", "kxops-*.txt") // 0600
	if err != nil {
		a.warn("edit: make the file for the editor: " + err.Error())
		return nil
	}
	path := f.Name()
	_, err = f.Write(draft)
	if err = errors.Join(err, f.Close()); err != nil {
		a.warn("edit: write the file for the editor: " + errors.Join(err, os.Remove(path)).Error())
		return nil
	}
	words := strings.Fields(editorOf())
	return tea.ExecProcess(exec.Command(words[0], append(words[1:], path)...), func(err error) tea.Msg {
		return s.editRead(m, path, err)
	})
}

// editorOf is the person's editor.
func editorOf() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if e := strings.TrimSpace(os.Getenv(name)); e != "" {
			return e
		}
	}
	if runtime.GOOS == "windows" {
		return "notepad"
	}
	return "vi"
}

func (s *triage) editRead(m ops.Message, path string, failed error) tea.Msg {
	left, err := os.ReadFile(path)
	err = errors.Join(err, os.Remove(path))
	msg := editedMsg{screen: s, before: m, text: left}
	switch {
	case failed != nil:
		msg.err, msg.text = fmt.Errorf("the editor: %w", failed), nil
	case err != nil:
		msg.err, msg.text = err, nil
	default:
		msg.after, msg.err = s.desk.Edited(m, left)
	}
	return msg
}

// edited plans sending the corrected message, with what was changed.
func (a *App) edited(msg editedMsg) tea.Cmd {
	s := msg.screen
	switch {
	case msg.err != nil && msg.text == nil:
		a.warn("edit: " + ops.AsProblem(msg.err).Error())
		return nil
	case msg.err != nil:
		a.ask(newSureDialog("this cannot be sent", "open the editor again", func(w *writer) {
			w.para(ops.AsProblem(msg.err).Error(), w.l.ticket)
		}, func(a *App) tea.Cmd { return s.editText(a, msg.before, msg.text) }))
		return nil
	}
	changes := changed(msg.before, msg.after)
	if len(changes) == 0 {
		a.say("nothing was changed, so nothing is planned")
		return nil
	}
	after := msg.after
	cmd := a.planFor(s.desk, ops.Ask{Verb: ops.Edit, Queue: s.arn, Select: ops.Selection{IDs: []string{msg.before.ID}}, Edited: &after}, "one, corrected")
	a.dialog.(*planDialog).changes = changes
	return cmd
}

// aroundChange is how many unchanged lines stand about a change.
const aroundChange = 2

// changed compares two messages: attributes, then the body laid out.
func changed(before, after ops.Message) []body.Change {
	out := body.Diff(attributeLines(before), attributeLines(after), 0)
	return append(out, body.Diff(body.New([]byte(before.Body)).Lines(), body.New([]byte(after.Body)).Lines(), aroundChange)...)
}

func attributeLines(m ops.Message) []string {
	var out []string
	for _, n := range m.AttributeNames() {
		x := m.Attributes[n]
		out = append(out, fmt.Sprintf("%s (%s): %s%x", n, x.Type, x.Text, x.Bytes))
	}
	return out
}

// writeChanges shows a comparison.
func writeChanges(w *writer, changes []body.Change) {
	if len(changes) == 0 {
		return
	}
	w.head("what was changed")
	for _, c := range changes {
		look := map[byte]text.Style{'-': w.l.page, '+': w.l.good}[c.Sign]
		w.line(span{string(c.Sign) + " " + text.Clean(text.Bound(c.Text, w.width)), look})
	}
}

// canEdit: one letter at a time.
func canEdit(a *App) (bool, string) {
	if ok, why := onLetters(a); !ok {
		return false, why
	}
	s := a.triage()
	x, ok := s.letter()
	switch {
	case !ok || s.reader.letter.ID != x.ID || s.reader.gone:
		return false, "no letter is open"
	case s.focus == paneGroups && a.top() == s:
		return false, "choose a letter first"
	case !body.Text([]byte(s.reader.msg.Body)):
		return false, "its body is binary"
	}
	return true, ""
}
