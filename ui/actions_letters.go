package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// letterActions are what can be done with dead letters. What changes something
// only makes a plan: the plan's dialog is where it is confirmed.
func letterActions() []Action {
	return []Action{
		jump("dlq", "dlqs", "All dead-letter queues: depth, first loss, what is done with them.", "D"),
		jump("operations", "operations", "What runs, what was interrupted, what became of it.", "O"),
		{
			ID: "triage", Keys: []string{"t"}, Title: "triage",
			Help:    "Opens the letters of the dead-letter queue under the cursor: why they are there, which to send back.",
			Enabled: onDeadQueue,
			Run:     func(a *App, _ string) tea.Cmd { return a.triageOf(a.top().Selected()) },
		},
		{
			ID: "look", Keys: []string{"L"}, Title: "look",
			Help:    "Looks at the queue (again); says first what that costs.",
			Enabled: canLook,
			Run: func(a *App, _ string) tea.Cmd {
				a.ask(newPeekDialog(a.triage()))
				return nil
			},
		},
		{
			ID: "release", Keys: []string{"u"}, Title: "release",
			Help:    "Gives back now what is held: others can receive it at once.",
			Enabled: holdsSomething,
			Run: func(a *App, _ string) tea.Cmd {
				s := a.triage()
				return release(s.desk, s.arn, false)
			},
		},
		{
			ID: "mark-all", Keys: []string{"s"}, Title: "mark all",
			Help:    "Marks every letter of the group, or takes their marks away.",
			Enabled: onLetters,
			Run: func(a *App, _ string) tea.Cmd {
				n := a.triage().shown.MarkShown()
				a.say(plural(n, "letter") + fmt.Sprintf(": marks changed, %d marked", a.triage().shown.Marked()))
				return nil
			},
		},
		{
			ID: "fold", Keys: []string{"z"}, Title: "fold",
			Help:    "Folds or unfolds the part of the message under the cursor.",
			Enabled: inMessage,
			Run: func(a *App, _ string) tea.Cmd {
				r, _ := a.reading()
				r.fold()
				return nil
			},
		},
		{
			ID: "fold-all", Keys: []string{"Z"}, Title: "fold all",
			Help:    "Folds everything below the first level of the message, or unfolds it.",
			Enabled: inMessage,
			Run: func(a *App, _ string) tea.Cmd {
				r, _ := a.reading()
				r.foldAll()
				return nil
			},
		},
		{
			ID: "unlock", Keys: []string{"U"}, Title: "unlock",
			Help:    "Allows changes for ten minutes; a protected account wants its name typed. Again: read-only at once.",
			Enabled: (*App).deskReady,
			Run:     func(a *App, _ string) tea.Cmd { return a.unlock() },
		},
		{
			ID: "redrive", Keys: []string{"d"}, Title: "redrive",
			Help:    "Plans sending the marked letters or groups on, or those under the cursor, and shows the plan.",
			Enabled: canPlan,
			Run: func(a *App, _ string) tea.Cmd {
				s := a.triage()
				which, words := s.chosen()
				return a.planFor(s.desk, ops.Ask{Verb: ops.Redrive, Queue: s.arn, Select: which, Pace: usualPace}, words, s.breakdown(which)...)
			},
		},
		{
			ID: "archive", Keys: []string{"X"}, Title: "archive",
			Help:    "Plans copying the marked letters or groups, or those under the cursor, to a file and then deleting them here.",
			Enabled: canPlan,
			Run:     func(a *App, _ string) tea.Cmd { return a.askArchive() },
		},
		{
			ID: "move", Keys: []string{"M"}, Title: "move all",
			Help:    "Plans a move task of SQS: everything goes, nothing can be chosen or watched one by one.",
			Enabled: canPlanQueue,
			Run: func(a *App, _ string) tea.Cmd {
				q := a.queueOf()
				return a.planFor(a.work.desk, ops.Ask{Verb: ops.Move, Queue: q.ARN, Native: true, Select: ops.Selection{All: true}, Pace: ops.Pace{Rate: usualPace.Rate}}, "everything that is in the queue")
			},
		},
		{
			ID: "keep", Keys: []string{"K"}, Title: "keep 14d",
			Help:    "Plans raising the retention of the queue to 14 days, the most there is: more time before the first loss.",
			Enabled: canPlanQueue,
			Run: func(a *App, _ string) tea.Cmd {
				q := a.queueOf()
				if q.Retention >= ops.MaxRetention {
					a.say(q.ARN.Name() + " keeps messages for " + ops.Span(q.Retention.Seconds()) + " already, the most there is")
					return nil
				}
				return a.planFor(a.work.desk, ops.Ask{Verb: ops.Retention, Queue: q.ARN, Keep: ops.MaxRetention}, "")
			},
		},
		{
			ID: "hold", Keys: []string{"w"}, Title: "hold/go on",
			Help:    "Pauses the operation or replay before its next batch, or goes on with it.",
			Enabled: canHold,
			Run:     func(a *App, _ string) tea.Cmd { return a.holdKey() },
		},
		{
			ID: "cancel", Keys: []string{"c"}, Title: "cancel",
			Help:    "Cancels the operation: it finishes what is in hand and gives the rest back.",
			Enabled: canCancel,
			Run: func(a *App, _ string) tea.Cmd {
				if s, ok := a.top().(interface{ askCancel(*App) tea.Cmd }); ok {
					return s.askCancel(a)
				}
				return a.cancelRun()
			},
		},
		{
			ID: "tasks", Keys: []string{"N"}, Title: "move tasks",
			Help:    "Shows SQS's own move tasks of the queue: both counters, the reason of a failure.",
			Enabled: onDeskQueue,
			Run:     func(a *App, _ string) tea.Cmd { return a.open(newTasks(a.work.desk, a.queueOf())) },
		},
		{
			ID: "edit", Keys: []string{"e"}, Title: "edit",
			Help:    "Opens the letter in $EDITOR, then plans sending the corrected one and archiving the original.",
			Enabled: canEdit,
			Run: func(a *App, _ string) tea.Cmd {
				s := a.triage()
				return s.editText(a, s.reader.msg, nil)
			},
		},
		{
			ID: "fetch", Keys: []string{"F"}, Title: "fetch data",
			Help:    "Reads the data that the letter only points to: a range of a stream, an object.",
			Enabled: hasPointer,
			Run:     func(a *App, _ string) tea.Cmd { return a.triage().fetch(a) },
		},
		{
			ID: "poison", Keys: []string{"B"}, Title: "poison record",
			Help:    "Finds the record of a stream that makes the function fail, by running it on halves of the range.",
			Enabled: hasStreamPointer,
			Run:     func(a *App, _ string) tea.Cmd { return a.triage().askPoison(a) },
		},
		{
			ID: "hit", Keys: []string{"n"}, Title: "next hit",
			Help:    "Goes to the next place that the search of the message found, in the next layer if this one has none.",
			Enabled: searching,
			Run:     func(a *App, _ string) tea.Cmd { return a.hit(1) },
		},
		{
			ID: "hit-back", Keys: []string{"b"}, Title: "last hit",
			Help:    "Goes to the place before.",
			Enabled: searching,
			Run:     func(a *App, _ string) tea.Cmd { return a.hit(-1) },
		},
	}
}

// triage is the triage screen that is shown, or that the shown message came from;
// nil when there is none.
func (a *App) triage() *triage {
	switch s := a.top().(type) {
	case *triage:
		return s
	case *message:
		return s.s
	}
	return nil
}

// reading is the reader that has the keys.
func (a *App) reading() (*reader, bool) {
	switch s := a.top().(type) {
	case *triage:
		return &s.reader, s.focus == paneMessage && len(s.reader.tabs) > 0
	case *message:
		return &s.s.reader, len(s.s.reader.tabs) > 0
	}
	return nil, false
}

func inMessage(a *App) (bool, string) {
	_, ok := a.reading()
	return ok, "only in a message"
}

func searching(a *App) (bool, string) {
	r, ok := a.reading()
	switch {
	case !ok:
		return false, "only in a message"
	case r.needle == "":
		return false, "nothing is searched for; " + a.keyOf("filter") + " does"
	}
	return true, ""
}

func onDeadQueue(a *App) (bool, string) {
	q := a.pic.queues[a.top().Selected()]
	switch {
	case a.triage() != nil:
		return false, "this is it"
	case q == nil:
		return false, "only on a queue"
	case !q.IsDeadLetter():
		return false, "the queue takes no dead letters: looking would hide live messages from their consumer"
	}
	return true, ""
}

// deskReady says whether dead letters can be worked on.
func (a *App) deskReady() (bool, string) {
	if a.work.desk == nil {
		return false, a.work.why
	}
	return true, ""
}

func canLook(a *App) (bool, string) {
	s := a.triage()
	if s == nil {
		return false, "only in a triage"
	}
	if ok, why := a.deskReady(); !ok {
		return false, why
	}
	switch {
	case s.desk == nil || s.queue == nil:
		return false, "the queue was not read yet"
	case s.looking != nil:
		return false, "a look is under way"
	case !s.desk.Access().Peek:
		return false, "looking leases messages, and this session has access " + s.desk.Access().Level + "; " + a.keyOf("unlock") + " unlocks, or --access peek"
	}
	return true, ""
}

func holdsSomething(a *App) (bool, string) {
	s := a.triage()
	if s == nil {
		return false, "only in a triage"
	}
	if n, _ := s.held(); n == 0 {
		return false, "nothing is held"
	}
	return true, ""
}

// noLetters is said before a look, and taken back when it brings some.
const noLetters = "there are no letters"

func onLetters(a *App) (bool, string) {
	s := a.triage()
	switch {
	case s == nil:
		return false, "only in a triage"
	case len(s.all) == 0:
		return false, noLetters
	}
	return true, ""
}

// filterPrompt filters a list, or searches a message.
func (a *App) filterPrompt() *prompt {
	if r, ok := a.reading(); ok {
		p := &prompt{sign: "search: ", chosen: -1, runes: []rune(r.needle), at: len([]rune(r.needle))}
		p.accept = func(a *App, line string) tea.Cmd {
			r.search(line)
			if line != "" {
				return a.hit(1)
			}
			return nil
		}
		return p
	}
	return newFilterPrompt(a.top().(lister))
}

func (a *App) hit(step int) tea.Cmd {
	r, _ := a.reading()
	if !r.next(step) {
		a.warn("not found in any layer: " + r.needle)
		return nil
	}
	at, all := r.doc().Hits()
	a.say(fmt.Sprintf("hit %d of %d in %s", at, all, r.tabs[r.at].title))
	return nil
}

// raw shows the bytes of a message, or what AWS says about a resource.
func (a *App) raw() tea.Cmd {
	if r, ok := a.reading(); ok {
		r.raw = !r.raw
		r.cursor, r.top = 0, 0
		return nil
	}
	return a.open(newRaw(a.top().Selected()))
}

func (r *reader) fold() {
	d, head := r.doc(), r.above
	if r.cursor >= head {
		r.cursor = head + d.Toggle(r.cursor-head)
	}
}

func (r *reader) foldAll() {
	r.doc().FoldAll(1)
	r.cursor, r.top = min(r.cursor, r.above), 0
}

// Hints of the screens about dead letters.
func (s *triage) Hints() []string {
	if s.focus == paneMessage {
		return []string{"open", "fetch", "poison", "redrive", "raw", "fold", "filter", "hit", "edit", "back", "help"}
	}
	return []string{"open", "redrive", "look", "release", "mark", "mark-all", "filter", "archive", "edit", "keep", "unlock", "back", "help"}
}

func (m *message) Hints() []string {
	return []string{"next", "raw", "fetch", "poison", "filter", "hit", "fold", "fold-all", "redrive", "edit", "back", "help"}
}

func (s *dead) Hints() []string {
	return []string{"open", "operations", "tasks", "keep", "filter", "help"}
}

// queueOf is the dead-letter queue that an action is about.
func (a *App) queueOf() *ops.Queue {
	if s := a.triage(); s != nil {
		return s.queue
	}
	if q := a.pic.queues[a.top().Selected()]; q != nil && q.IsDeadLetter() {
		return q
	}
	return nil
}

// canChange says whether changes are allowed now.
func canChange(a *App) (bool, string) {
	if ok, why := a.deskReady(); !ok {
		return false, why
	}
	return a.work.access().Change, "this session is read-only; " + a.keyOf("unlock") + " unlocks changes for ten minutes"
}

func canCancel(a *App) (bool, string) {
	switch s := a.top().(type) {
	case *tasks:
		return s.running() != nil, "no move task is running"
	case *applied:
		return !s.x.over(), "it is over"
	case *replaying:
		return !s.r.over(), "it is over"
	}
	return onRun(a)
}

// canPlan: planning only reads, so it needs no unlock.
func canPlan(a *App) (bool, string) {
	if ok, why := onLetters(a); !ok {
		return false, why
	}
	if ok, why := a.atRest(a.triage().arn); !ok {
		return false, why
	}
	if which, _ := a.triage().chosen(); which.Empty() {
		return false, "nothing is chosen"
	}
	return true, ""
}

func canPlanQueue(a *App) (bool, string) {
	if ok, why := onDeskQueue(a); !ok {
		return false, why
	}
	return a.atRest(a.queueOf().ARN)
}

func onDeskQueue(a *App) (bool, string) {
	if ok, why := a.deskReady(); !ok {
		return false, why
	}
	return a.queueOf() != nil, "only on a dead-letter queue"
}

// atRest: while an operation changes a queue a second one would plan with letters
// that are on their way.
func (a *App) atRest(queue ops.ARN) (bool, string) {
	if r := a.work.runOn(queue); r != nil {
		return false, "operation " + r.progress.ID + " is running on " + queue.Name() + "; " + a.keyOf("operations") + " shows it"
	}
	return true, ""
}

// askArchive asks for the file before it plans.
func (a *App) askArchive() tea.Cmd {
	s := a.triage()
	which, words := s.chosen()
	p := &prompt{sign: "archive " + words + " into: ", chosen: -1}
	p.accept = func(a *App, line string) tea.Cmd {
		if line = strings.TrimSpace(line); line == "" {
			a.warn("archive: a file is wanted")
			return nil
		}
		return a.planFor(s.desk, ops.Ask{Verb: ops.Archive, Queue: s.arn, Select: which, File: line}, words, s.breakdown(which)...)
	}
	p.set(s.arn.Name() + "-" + a.now().UTC().Format("20060102-150405") + ".jsonl")
	a.prompt = p
	return nil
}
