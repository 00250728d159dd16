package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/dlq"
	"kxops/ui/text"
)

// maxPlanBytes bounds a plan file: 100,000 messages take about 20 MB.
const maxPlanBytes = 128 << 20

// changeFlags say what becomes of a plan.
type changeFlags struct {
	planOut  string
	planIn   string
	detailed bool
	despite  bool
}

func (f *changeFlags) register(c *cobra.Command, files bool) {
	if files {
		c.Flags().StringVar(&f.planOut, "plan-out", "", "write the plan into this new file and stop: somebody else can apply it with --plan")
		c.Flags().StringVar(&f.planIn, "plan", "", "apply exactly this plan, if nothing changed since")
	}
	c.Flags().BoolVar(&f.despite, "despite-unfinished", false, "begin although an interrupted operation on this queue is not finished: what it was sending may go twice")
	c.Flags().BoolVar(&f.detailed, "detailed-exitcode", false, "with --dry-run or --plan-out: exit with 10 when there is something to do")
}

// check finds flags that a plan file contradicts, among others: a plan says all
// of it already.
func (f *changeFlags) check(c *cobra.Command, s *session, planned ...string) error {
	if f.planIn == "" && c.Flags().Changed("plan") || f.planOut == "" && c.Flags().Changed("plan-out") {
		return wrongUsage("--plan and --plan-out need the name of a file")
	}
	if f.planIn == "" {
		return nil
	}
	var others []string
	for _, n := range append(slices.Concat(selectionNames, planned), "limit", "plan-out") {
		if c.Flags().Changed(n) {
			others = append(others, "--"+n)
		}
	}
	if s.reason != "" {
		others = append(others, "--reason")
	}
	if len(others) > 0 {
		return wrongUsage("--plan applies a plan as it stands; leave out " + strings.Join(others, ", "))
	}
	return nil
}

// needsPlan reports whether the plan has to be worked out, and not only read.
func (f *changeFlags) needsPlan() bool { return f.planIn == "" }

// savedPlan reads the plan of --plan and makes sure that it is about this queue
// and verb; whether it is still true is checked when it is applied.
func (f *changeFlags) savedPlan(queue string, verbs ...ops.Verb) (ops.Plan, error) {
	plan, err := readPlan(f.planIn)
	if err != nil {
		return plan, err
	}
	if !slices.Contains(verbs, plan.Verb) {
		return plan, wrongUsage(fmt.Sprintf("%s is a plan to %s; use `kxops dlq %s`", f.planIn, plan.Verb, commandOf(plan.Verb)))
	}
	if queue != plan.From.Name() && queue != string(plan.From) && queue != plan.FromURL {
		return plan, wrongUsage(fmt.Sprintf("%s is a plan for %s, not for %s", f.planIn, plan.From.Name(), queue))
	}
	return plan, nil
}

// commandOf is the command line's word for a verb: a move task is a redrive.
func commandOf(v ops.Verb) string {
	if v == ops.Move {
		return "redrive --native"
	}
	return string(v)
}

func readPlan(path string) (ops.Plan, error) {
	var plan ops.Plan
	if err := readPlanFile(path, &plan); err != nil {
		return plan, err
	}
	if err := plan.Check(); err != nil {
		return plan, refused(fmt.Sprintf("%s: %v", path, err), "make a new one with --plan-out")
	}
	return plan, nil
}

// readPlanFile reads a saved plan of any kind into what plan points to.
func readPlanFile(path string, plan any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxPlanBytes+1))
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	if len(content) > maxPlanBytes {
		return fmt.Errorf("%s is no plan: it has more than %d bytes", path, maxPlanBytes)
	}
	if err := json.Unmarshal(content, plan); err != nil {
		return fmt.Errorf("%s is no plan: %w", path, err)
	}
	return nil
}

// writePlan writes a new file that only its owner can read; it never overwrites.
func writePlan(path string, plan any) (err error) {
	content, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the plan: %w", neverOverwritten(path, err))
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = fmt.Errorf("write the plan: %w", errors.Join(err, os.Remove(path)))
		}
	}()
	if _, err := f.Write(append(content, '\n')); err != nil {
		return err
	}
	return f.Sync()
}

// neverOverwritten explains why an existing file is no place for something new.
func neverOverwritten(path string, err error) error {
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return &ops.Problem{Fault: ops.FaultOther, What: path + " exists already", Hint: "nothing is overwritten; give another name", Err: err}
}

// refused ends a command because a person or the gate said no.
func refused(what, hint string) error { return &exitWith{code: exitRefused, what: what, hint: hint} }

// carryOut shows a plan whole, asks, applies it and tells what became of it.
func (b *bench) carryOut(ctx context.Context, plan ops.Plan, f changeFlags) error {
	only, blocked := b.planOnly(f), len(plan.Blockers) > 0 && !idle(plan)
	if err := b.printPlan(plan, !only); err != nil {
		return err
	}
	if f.planOut != "" && !b.dryRun && !blocked {
		if err := writePlan(f.planOut, plan); err != nil {
			return err
		}
		b.say(fmt.Sprintf("the plan is in %s; `kxops --access change dlq %s %s --plan %s` applies it", f.planOut, commandOf(plan.Verb), plan.From.Name(), f.planOut))
	}
	switch {
	case blocked && f.planOut != "" && !b.dryRun:
		return refused("no plan was written, for it could not be applied: "+strings.Join(plan.Blockers, "; "), "")
	case blocked:
		return refused("not applied: "+strings.Join(plan.Blockers, "; "), "")
	case only && f.detailed && !idle(plan):
		return &exitWith{code: exitFindings}
	case only:
		return nil
	case idle(plan):
		b.say("nothing to do: " + strings.Join(append(plan.Blockers, "no message is selected")[:1], ""))
		return nil
	}
	if err := b.mayChange(); err != nil {
		return err
	}
	if err := b.nothingUnfinished(plan, f.despite); err != nil {
		return err
	}
	if err := b.confirm(ctx, plan); err != nil {
		return err
	}
	op, err := b.desk.Start(context.WithoutCancel(ctx), plan)
	if err != nil {
		return err
	}
	return b.finish(ctx, op, plan.ID)
}

// nothingUnfinished refuses to send messages of a queue while an interrupted
// operation may have sent some of them already: resuming knows which, a new plan
// does not.
func (b *bench) nothingUnfinished(plan ops.Plan, despite bool) error {
	u, found, err := b.desk.Interrupted(plan)
	if err != nil || !found {
		return err
	}
	what := interrupted(u, plan)
	if despite {
		b.say("warning: " + what)
		return nil
	}
	return refused("not applied: "+what, "finish it first: kxops --access change dlq resume "+u.ID+"; or add --despite-unfinished")
}

// interrupted says what an interrupted operation means for a new plan.
func interrupted(u dlq.Unfinished, plan ops.Plan) string {
	return fmt.Sprintf("operation %s on %s is not finished: %s it was sending may have arrived", u.ID, plan.From.Name(), countOf(u.Open+u.Sent-u.Deleted, "message"))
}

// idle reports whether a plan has nothing to do.
func idle(p ops.Plan) bool {
	switch p.Verb {
	case ops.Redrive, ops.Archive, ops.Edit:
		return p.Messages() == 0
	}
	return false
}

// confirm asks a person: y for low risk, the name for high risk.
func (b *bench) confirm(ctx context.Context, plan ops.Plan) error {
	if plan.Risk != ops.HighRisk {
		return b.sure(ctx, "apply this? y/N ", "y", "yes")
	}
	word := plan.Confirm
	if word == "" {
		word = plan.From.Name()
	}
	return b.sure(ctx, "type "+text.Clean(word)+" to apply this: ", word)
}

// sure asks for one of the words that mean yes. The default is no, and where there
// is nobody to ask, too.
func (s *session) sure(ctx context.Context, question string, yes ...string) error {
	if s.yes {
		return nil
	}
	if err := s.somebodyToAsk(); err != nil {
		return err
	}
	answer, err := s.ask(ctx, question)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(yes, func(y string) bool { return strings.EqualFold(y, answer) }) {
		return refused("not applied", "")
	}
	return nil
}

// somebodyToAsk refuses what has to be asked about where nobody can answer.
func (s *session) somebodyToAsk() error {
	if _, ok := isTerminal(s.In); !ok && !s.yes {
		return refused("not applied: stdin is no terminal, so there is nobody to ask", "add --yes, or use --dry-run to see what would be done")
	}
	return nil
}

// planOnly reports whether the command ends with the plan.
func (s *session) planOnly(f changeFlags) bool { return s.dryRun || f.planOut != "" }

// mayApply refuses before anything is leased what would be refused at its end: a
// change in a session that may not change, and one that nobody can say yes to.
// What ends with the plan needs neither.
func (b *bench) mayApply(f changeFlags) error {
	if b.planOnly(f) {
		return nil
	}
	return firstError(b.mayChange(), b.somebodyToAsk())
}

// mayLook refuses to receive messages where the session may only see numbers.
func (b *bench) mayLook() error {
	if have := b.account.cloud.Access(); have < cloud.Peek {
		return refused(fmt.Sprintf("looking at messages needs access level peek, and this session has access level %s", have), "add --access peek if you mean it")
	}
	return nil
}

// mayChange refuses a change that the session's access level does not allow.
func (b *bench) mayChange() error { return mayChange(b.account) }

func mayChange(a *account) error {
	if have := a.cloud.Access(); have < cloud.Change {
		return refused(fmt.Sprintf("not applied: this changes something, and this session has access level %s", have), "add --access change if you mean it; --dry-run shows the plan")
	}
	return nil
}

// ask puts a question on stderr and reads one line. The read cannot be taken
// back, so a signal leaves it to the end of the process.
func (s *session) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(s.Err, question)
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(s.In).ReadString('\n')
		got <- answer{strings.TrimSpace(line), err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.Err)
		return "", refused("not applied: interrupted", "")
	case a := <-got:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return "", fmt.Errorf("read the answer: %w", a.err)
		}
		return a.line, nil
	}
}

// printPlan writes the plan for people or as a document. As one of two documents
// (the result follows) each is one line.
func (b *bench) printPlan(plan ops.Plan, line bool) error {
	switch {
	case b.json() && line:
		return b.printLine(plan)
	case b.json():
		return b.printJSON(plan)
	}
	p := b.paper()
	p.plan(plan)
	return b.printText(p.b.String())
}

func (s *session) printLine(v any) error {
	e := json.NewEncoder(s.Out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// planTitle says in a person's words what a plan does.
func planTitle(p ops.Plan) string {
	switch p.Verb {
	case ops.Move:
		return "redrive with SQS's own move task"
	case ops.Archive:
		return "archive, then delete"
	case ops.Restore:
		return "restore an archive"
	case ops.Edit:
		return "edit one message"
	case ops.Retention:
		return "change the retention"
	}
	return string(p.Verb)
}

func (p *printer) plan(x ops.Plan) {
	p.line(p.paint("1", "plan "+x.ID+": "+planTitle(x)))
	p.sentences("what stands against it", "1;31", x.Blockers)
	width := len("messages ")
	for _, f := range x.Facts {
		width = max(width, text.Width(text.Clean(f.Name)))
	}
	field := func(name, value string) {
		if value != "" {
			p.folded("  "+name+strings.Repeat(" ", max(0, width-text.Width(name)))+" ", oneLine(value))
		}
	}
	account := orUnknown(x.Account)
	if x.Alias != "" {
		account += " " + x.Alias
	}
	field("account", account+" · "+orUnknown(x.Region)+" · by "+orUnknown(x.By))
	kind := "standard"
	if x.FIFO {
		kind = "FIFO"
	}
	field("queue", x.From.Name()+" ("+kind+")")
	said := map[string]bool{} // as a fact, or already
	for _, f := range x.Facts {
		said[strings.ToLower(f.Name)] = true
	}
	for _, t := range x.To {
		field("to", targetText(t))
		said["file"] = said["file"] || t.Kind == ops.KindFile && t.Path == x.File
	}
	if n := x.Messages(); n > 0 && !said["messages"] {
		field("messages", thousands(n)+selectionText(x.Select))
	}
	if !said["file"] {
		field("file", x.File)
	}
	field("pace", paceText(x))
	field("takes", costText(x))
	field("because", x.Reason)
	for _, f := range x.Facts {
		field(strings.ToLower(text.Clean(f.Name)), f.Value)
	}
	steps := len(x.Steps)
	if idle(x) {
		steps = 0
	}
	p.list("steps", steps, func(i int) {
		p.folded(fmt.Sprintf("  %d. ", i+1), oneLine(x.Steps[i].Text))
		if cmd := x.Steps[i].Command; cmd != "" {
			p.b.WriteString("     " + text.Clean(cmd) + "\n") // never folded: it is to be copied
		}
	})
	p.sentences("warnings", "33", x.Warnings)
	p.list("what changes in the messages", len(x.Changes), func(i int) {
		p.folded("  "+text.Clean(x.Changes[i].Name)+": ", oneLine(x.Changes[i].Value))
	})
	p.sentences("what cannot be undone", "", x.CannotUndo)
	p.line("sha256 " + x.Hash)
}

// list writes a heading and its items; nothing where there are none.
func (p *printer) list(head string, n int, item func(int)) {
	if n == 0 {
		return
	}
	p.line(p.paint("2", head))
	for i := range n {
		item(i)
	}
}

func (p *printer) sentences(head, color string, sentences []string) {
	p.list(p.paint(color, head), len(sentences), func(i int) { p.folded("  - ", oneLine(sentences[i])) })
}

func targetText(t ops.Target) string {
	s := string(t.Kind) + " " + t.Name()
	if t.Kind == ops.KindFile {
		s = "file " + t.Path
	}
	if t.Count > 0 {
		s += ": " + countOf(t.Count, "message")
	}
	return s
}

// selectionText says what was asked for, "" when it is a bare list.
func selectionText(s ops.Selection) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if s.All {
		add("all that were seen")
	}
	if n := len(s.IDs); n > 0 {
		add("%s by id", countOf(n, "message"))
	}
	if s.Cause != "" {
		add("cause %s", s.Cause)
	}
	if s.Filter != "" {
		add("filter %s", s.Filter)
	}
	if s.Contains != "" {
		add("containing %q", s.Contains)
	}
	if s.Attribute != "" {
		add("attribute %s", s.Attribute)
	}
	if s.OlderThan > 0 {
		add("older than %s", ops.Span(s.OlderThan.Seconds()))
	}
	if s.NewerThan > 0 {
		add("newer than %s", ops.Span(s.NewerThan.Seconds()))
	}
	if s.Source != "" {
		add("from %s", s.Source.Name())
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

func paceText(x ops.Plan) string {
	switch x.Verb {
	case ops.Retention:
		return ""
	case ops.Move:
		if x.Pace.Rate == 0 {
			return "as SQS decides"
		}
	}
	parts := []string{"as fast as it goes"}
	if x.Pace.Rate > 0 {
		parts = []string{fmt.Sprintf("%g messages a second", x.Pace.Rate)}
	}
	if x.Pace.Canary {
		parts = append(parts, fmt.Sprintf("canary of 1, 10, 100 first, %s each, halts above %g %% returned", ops.Span(x.Pace.CanaryWait), 100*x.Pace.MaxReturns))
	}
	if x.Pace.Careful {
		parts = append(parts, "careful: one at a time")
	}
	if x.Pace.Watch > 0 {
		parts = append(parts, "watched for "+ops.Span(x.Pace.Watch)+" at the end")
	}
	return strings.Join(parts, "; ")
}

func costText(x ops.Plan) string {
	took := "time unknown"
	if x.ETA > 0 {
		took = "about " + ops.Span(max(x.ETA, 1))
	}
	if watched := watchTime(x); watched > 0 {
		took += " of sending, and up to " + ops.Span(watched) + " of watching for returns"
	}
	return fmt.Sprintf("%s, about %s, %s", took, countOf(x.Calls, "call"), dollars(x.USD))
}

// canaryStages are how many messages have to be there for each stage of a canary
// to be one of its own: it sends 1, 10 and 100, each watched, if more follow.
var canaryStages = []int{1, 11, 111}

// watchTime is how long a plan watches for messages that come back, in seconds:
// after each stage of its canary that applies, and at the end.
func watchTime(x ops.Plan) float64 {
	total := x.Pace.Watch
	for _, n := range canaryStages {
		if x.Pace.Canary && x.Messages() > n {
			total += x.Pace.CanaryWait
		}
	}
	return total
}
