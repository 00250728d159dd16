package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ui/text"
)

const (
	// bodyBelow parts the attributes from the body in the editor's file.
	bodyBelow = "-------- the body is everything below this line --------"

	// editsMost bounds how often a file that cannot be read is opened again.
	editsMost = 5

	// diffCells bounds the table of the line diff; beyond it the changed part is
	// shown as one block.
	diffCells = 4 << 20
)

// editFlags are what `kxops dlq edit` takes.
type editFlags struct {
	look   lookFlags
	id     string
	to     string
	change changeFlags
}

func newDlqEdit(s *session) *cobra.Command {
	var f editFlags
	c := &cobra.Command{
		Use:   "edit QUEUE",
		Short: "Correct one message in your editor, send it on, delete the original",
		Long: `Opens the message in $VISUAL or $EDITOR, without either in vi (notepad on Windows), which
needs a terminal: its attributes on top, its body below. What was
changed is shown, then the plan; the original is archived before it is deleted, and
the record keeps which message became which. The file for the editor can be read by
you alone and is removed afterwards; one that cannot be read back is kept, and named.

Exit codes: as "kxops dlq redrive"; 0 also when nothing was changed.`,
		Example: `  kxops --access change dlq edit orders-dlq --message-id 5f0c…
  EDITOR='sed -i s/"EURO"/"EUR"/' kxops --access change dlq edit orders-dlq --message-id 5f0c… --dry-run`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if f.id == "" {
				return wrongUsage("--message-id ID is missing: one message is edited at a time")
			}
			if err := firstError(checkMessageID(f.id), f.look.check(), s.hasEditor()); err != nil {
				return err
			}
			return s.dlqEdit(c.Context(), args[0], f)
		},
	}
	c.Flags().StringVar(&f.id, "message-id", "", "the message")
	c.Flags().StringVar(&f.to, "to", "origin", "where it goes: origin, or a queue, topic, function, or file:PATH")
	f.change.register(c, false)
	f.look.register(c, wholeQueue, "look at so many messages at most to find it")
	return c
}

func (s *session) dlqEdit(ctx context.Context, queue string, f editFlags) (err error) {
	b, err := s.atQueue(ctx, queue)
	if err != nil {
		return err
	}
	defer b.leave(&err)
	if err := firstError(b.mayApply(f.change), b.mayLook()); err != nil {
		return err
	}
	original, err := b.oneMessage(ctx, f.look, f.id)
	if err != nil {
		return err
	}
	edited, err := b.edit(ctx, original)
	if err != nil {
		return err
	}
	if same(original, edited) {
		b.say("nothing was changed, so nothing is sent")
		return nil
	}
	if !s.json() {
		p := s.paper()
		p.changed(original, edited)
		if err := s.printText(p.b.String()); err != nil {
			return err
		}
	}
	ask := ops.Ask{
		Verb: ops.Edit, Queue: b.queue.ARN, Select: ops.Selection{IDs: []string{f.id}}, To: f.to, Edited: &edited, Reason: s.reason,
	}
	plan, err := b.desk.Plan(ctx, ask, b.desk.Pile(b.queue.ARN))
	if err != nil {
		return err
	}
	return b.carryOut(ctx, plan, f.change)
}

func same(a, b ops.Message) bool {
	return a.Body == b.Body && bytes.Equal(editable(a), editable(b))
}

// edit opens the message in the person's editor, again when what comes back
// cannot be read, so that no work is lost to a typing error.
func (b *bench) edit(ctx context.Context, original ops.Message) (_ ops.Message, err error) {
	f, err := os.CreateTemp("", "kxops-*.txt") // 0600
	if err != nil {
		return original, fmt.Errorf("make the file for the editor: %w", err)
	}
	path := f.Name()
	defer func() { err = unsent(err, path, editable(original)) }()
	_, err = f.Write(editable(original))
	if err = errors.Join(err, f.Close()); err != nil {
		return original, fmt.Errorf("write the file for the editor: %w", err)
	}
	for range editsMost {
		if err := b.runEditor(ctx, path); err != nil {
			return original, err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return original, fmt.Errorf("read the editor's file: %w", err)
		}
		edited, err := readEdited(original, content)
		if err == nil {
			return edited, nil
		}
		if _, ok := isTerminal(b.In); !ok || b.yes {
			return original, err
		}
		b.say("kxops: " + err.Error())
		if err := b.sure(ctx, "open the editor again? y/N ", "y", "yes"); err != nil {
			return original, err
		}
	}
	return original, fmt.Errorf("the message could not be read after %d edits", editsMost)
}

// unsent removes the editor's file, unless the edit failed and a person's work is
// in it: that is kept, and the error says where.
func unsent(err error, path string, before []byte) error {
	if err == nil {
		return os.Remove(path)
	}
	code, what, hint := judge(err)
	told := &exitWith{code: code, what: what + "; nothing was sent", hint: hint, err: err}
	if now, e := os.ReadFile(path); e == nil && !bytes.Equal(now, before) {
		told.lines = []string{"your text is kept in " + path}
	} else if e := os.Remove(path); e != nil {
		told.err = errors.Join(err, e)
	}
	return told
}

// runEditor runs $VISUAL, $EDITOR or the system's own. It is given the terminal;
// where stdout goes into a file, the terminal is stderr.
func (b *bench) runEditor(ctx context.Context, path string) error {
	words := strings.Fields(editor())
	c := exec.CommandContext(ctx, words[0], append(words[1:], path)...)
	c.Stdin, c.Stdout, c.Stderr = b.In, b.Out, b.Err
	if _, ok := isTerminal(b.Out); !ok {
		c.Stdout = b.Err
	}
	if err := c.Run(); err != nil {
		return fmt.Errorf("the editor %s: %w", words[0], err)
	}
	return nil
}

// hasEditor refuses to open the system's own editor where there is no terminal for
// it: it would wait for keys that nobody can press.
func (s *session) hasEditor() error {
	if chosenEditor() != "" {
		return nil
	}
	_, in := isTerminal(s.In)
	_, out := isTerminal(s.Out)
	_, talk := isTerminal(s.Err)
	if in && (out || talk) {
		return nil
	}
	return refused("no terminal and no $EDITOR: there is nothing to edit the message with", "set EDITOR to a command that edits the file it is given")
}

// chosenEditor is what the person has set, "" for nothing.
func chosenEditor() string {
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if e := strings.TrimSpace(os.Getenv(name)); e != "" {
			return e
		}
	}
	return ""
}

func editor() string {
	if e := chosenEditor(); e != "" {
		return e
	}
	if runtime.GOOS == "windows" {
		return "notepad"
	}
	return "vi"
}

// editable is a message as the editor shows it: an attribute a line, then the
// body, byte for byte.
func editable(m ops.Message) []byte {
	var b bytes.Buffer
	for _, name := range m.AttributeNames() {
		a := m.Attributes[name]
		value, coding := a.Text, ""
		if a.Bytes != nil {
			value, coding = base64.StdEncoding.EncodeToString(a.Bytes), "base64 "
		}
		quoted, err := json.Marshal(value)
		if err != nil {
			panic(err) // a string always has a JSON form
		}
		fmt.Fprintf(&b, "%s %s %s%s\n", name, a.Type, coding, quoted)
	}
	b.WriteString(bodyBelow + "\n")
	b.WriteString(m.Body)
	return b.Bytes()
}

// readEdited reads what the editor left. Editors end a file with a line break of
// their own: one is taken off where the original had none.
func readEdited(original ops.Message, content []byte) (ops.Message, error) {
	head, body, ok := strings.Cut(string(content), bodyBelow+"\n")
	if !ok {
		head, body, ok = strings.Cut(string(content), bodyBelow+"\r\n")
	}
	if !ok {
		return original, errors.New("the line that parts attributes and body is gone from the edited file")
	}
	if !strings.HasSuffix(original.Body, "\n") {
		body = strings.TrimSuffix(strings.TrimSuffix(body, "\n"), "\r")
	}
	edited := original
	edited.Body, edited.Attributes = body, nil
	for i, line := range strings.Split(head, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, a, err := readAttribute(line)
		if err != nil {
			return original, fmt.Errorf("line %d of the edited file: %w", i+1, err)
		}
		if edited.Attributes == nil {
			edited.Attributes = map[string]ops.Attribute{}
		}
		if _, twice := edited.Attributes[name]; twice {
			return original, fmt.Errorf("line %d of the edited file: attribute %q is there twice", i+1, name)
		}
		edited.Attributes[name] = a
	}
	return edited, nil
}

// readAttribute reads `NAME TYPE "value"`, or `NAME TYPE base64 "value"`.
func readAttribute(line string) (name string, a ops.Attribute, err error) {
	name, rest, _ := strings.Cut(line, " ")
	a.Type, rest, _ = strings.Cut(strings.TrimSpace(rest), " ")
	quoted, binary := strings.CutPrefix(strings.TrimSpace(rest), "base64 ")
	var value string
	if err := json.Unmarshal([]byte(strings.TrimSpace(quoted)), &value); err != nil || name == "" || a.Type == "" {
		return "", a, errors.New(`an attribute is NAME TYPE "value", or NAME TYPE base64 "value"`)
	}
	if !binary {
		a.Text = value
		return name, a, nil
	}
	if a.Bytes, err = base64.StdEncoding.DecodeString(value); err != nil {
		return "", a, fmt.Errorf("attribute %q is no base64: %w", name, err)
	}
	return name, a, nil
}

// changed shows what the edit changes, line by line.
func (p *printer) changed(original, edited ops.Message) {
	p.line(p.paint("1", "message "+named(original.ID)))
	for _, l := range lineDiff(shownForDiff(original, edited)) {
		p.line("  " + p.paint(l.color(), text.Clean(string(l.mark)+" "+l.text)))
	}
	p.b.WriteByte('\n')
}

// shownForDiff prepares both messages for a diff by lines: JSON on one line says
// nothing that way, so it is indented for the eye (and only for the eye).
func shownForDiff(original, edited ops.Message) (before, after []string) {
	var a, b bytes.Buffer
	if json.Indent(&a, []byte(original.Body), "", "  ") == nil && json.Indent(&b, []byte(edited.Body), "", "  ") == nil && a.String() != b.String() {
		original.Body, edited.Body = a.String(), b.String()
	}
	return strings.Split(string(editable(original)), "\n"), strings.Split(string(editable(edited)), "\n")
}

// diffLine is one line of a diff: taken out, put in, or there for orientation.
type diffLine struct {
	mark rune // '-', '+' or ' '
	text string
}

func (l diffLine) color() string {
	switch l.mark {
	case '-':
		return "31"
	case '+':
		return "32"
	}
	return ""
}

// diffContext is how many equal lines are shown around a change.
const diffContext = 2

// lineDiff returns the changed lines with some equal ones around.
func lineDiff(before, after []string) []diffLine {
	head := 0
	for head < min(len(before), len(after)) && before[head] == after[head] {
		head++
	}
	tail := 0
	for tail < min(len(before), len(after))-head && before[len(before)-1-tail] == after[len(after)-1-tail] {
		tail++
	}
	var all []diffLine
	add := func(mark rune, lines ...string) {
		for _, l := range lines {
			all = append(all, diffLine{mark, l})
		}
	}
	add(' ', before[:head]...)
	a, b := before[head:len(before)-tail], after[head:len(after)-tail]
	if len(a)*len(b) > diffCells {
		add('-', a...)
		add('+', b...)
	} else {
		all = append(all, longestCommon(a, b)...)
	}
	add(' ', before[len(before)-tail:]...)
	return aroundChanges(all)
}

// longestCommon is the classic table of the longest common subsequence.
func longestCommon(a, b []string) []diffLine {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var out []diffLine
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, diffLine{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			out = append(out, diffLine{'-', a[i]})
			i++
		default:
			out = append(out, diffLine{'+', b[j]})
			j++
		}
	}
	return out
}

// aroundChanges keeps the changes and diffContext lines before and after each.
func aroundChanges(all []diffLine) []diffLine {
	var out []diffLine
	for i, l := range all {
		near := all[max(0, i-diffContext):min(len(all), i+diffContext+1)]
		if slices.ContainsFunc(near, func(n diffLine) bool { return n.mark != ' ' }) {
			out = append(out, l)
		}
	}
	return out
}
