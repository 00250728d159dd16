package ui

import (
	"context"
	"errors"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// App is the console: the only Bubble Tea model. It routes messages and keeps
// what outlives a screen; what a screen shows is the screen's own business.
type App struct {
	opts    Options
	ctx     context.Context // of everything the console has under way
	end     context.CancelFunc
	choices Choices
	poll    *poller
	keys    *keymap
	theme   *theme
	pic     *picture

	width, height int
	stack         []screen // the first is the overview, the last is shown
	prompt        *prompt  // the `:` or `/` line, nil when closed
	menu          *menu    // a short list to pick from, nil when closed
	dialog        dialog   // a question before the screen, nil when closed
	work          *work    // what is done with dead letters
	alarms        *alarmWork
	replays       *replayWork
	note          note
	switching     string    // where a switch under way leads, "" for none
	touched       time.Time // the last key
	pressed       time.Time // the last key or paste, by the wall clock
}

// clockTickedMsg redraws the ages.
type clockTickedMsg struct{}

const (
	clockPaceBusy = time.Second
	clockPaceIdle = 5 * time.Second // nobody has touched a key for a while
	clockPaceBlur = 10 * time.Second
	idleAfter     = 20 * time.Second
)

// New returns the console, ready for tea.NewProgram. Run does both.
func New(o Options) *App { return newApp(context.Background(), o) }

func newApp(ctx context.Context, o Options) *App {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, end := context.WithCancel(ctx)
	a := &App{opts: o, ctx: ctx, end: end, work: newWork(), alarms: newAlarmWork(), replays: newReplayWork(), width: 80, height: 24, theme: themeNamed(o.Config.Theme, true)}
	keys, err := newKeymap(actions(), o.Config.Keys)
	a.keys = keys
	if err != nil {
		a.warn("keys: " + err.Error())
	}
	a.poll = newPoller(ctx, o)
	a.touched = a.now()
	a.choices = o.Backend.Choices()
	a.stack = []screen{openOverview(a, "")}
	a.show(a.lastKnown())
	return a
}

// lastKnown is the picture to paint before the first answer: what an earlier run
// left, marked as recalled, or an empty one.
func (a *App) lastKnown() *picture {
	s, ok := a.opts.Backend.LastKnown()
	if ok {
		s.Recalled = true
	}
	return newPicture(s, a.opts.Judge, a.now())
}

func (a *App) now() time.Time { return a.opts.Now() }

// Init asks for the terminal's background (never waits for it) and looks.
func (a *App) Init() tea.Cmd {
	return tea.Batch(tea.RequestBackgroundColor, a.look(false), a.clockCmd())
}

func (a *App) clockCmd() tea.Cmd { return after(a.ctx, a.clockPace(), clockTickedMsg{}) }

// clockPace is how often the ages are redrawn: by the second while somebody works.
func (a *App) clockPace() time.Duration {
	switch {
	case a.poll.blur:
		return clockPaceBlur
	case a.now().Sub(a.touched) > idleAfter && !a.counting():
		return clockPaceIdle
	}
	return clockPaceBusy
}

// look starts a look at the account, unless one is under way.
func (a *App) look(manual bool) tea.Cmd {
	return a.poll.start(Ask{Focus: a.top().Visible(), Manual: manual}, a.pic.snap)
}

// refresh looks now; what else the screen shows is read again after it.
func (a *App) refresh() tea.Cmd {
	a.alarms.again = true
	return a.look(true)
}

// Update does what a message says, and then what the screen wants to show for it.
func (a *App) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := a.update(msg)
	if s, ok := a.top().(wanter); ok {
		if want := s.Want(a); want != nil {
			return a, tea.Batch(cmd, want)
		}
	}
	return a, cmd
}

func (a *App) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		a.width, a.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		a.touched = a.now()
		return a.press(msg)
	case tea.PasteMsg:
		a.pressed = a.work.clock()
		a.paste(msg.Content)
	case tea.BackgroundColorMsg:
		a.theme = themeNamed(a.opts.Config.Theme, msg.IsDark())
	case tea.FocusMsg:
		return a.focus()
	case tea.BlurMsg:
		a.poll.blur = true
	case clockTickedMsg:
		a.note.expire(a.now())
		return a.clockCmd()
	case tickedMsg:
		if msg.epoch == a.poll.epoch && msg.look == a.poll.look && !a.poll.paused {
			return a.look(false)
		}
	case partialLoadedMsg:
		if a.poll.current(msg.epoch, msg.look) {
			a.show(msg.picture)
			return a.poll.partialCmd(msg.before, msg.box)
		}
	case snapshotLoadedMsg:
		if a.poll.current(msg.epoch, msg.look) {
			a.show(msg.picture)
			return tea.Batch(a.poll.finish(msg.picture.snap), a.openDesk(), a.openAlarmDesk(), a.reread())
		}
	case switchedMsg:
		return a.switched(msg)
	case rawLoadedMsg:
		a.rawLoaded(msg)
	default:
		return a.updateWork(msg)
	}
	return nil
}

// updateWork does what a message about dead letters says.
func (a *App) updateWork(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case deskOpenedMsg:
		a.deskOpened(msg)
	case lookedMsg:
		return a.looked(msg)
	case lookMovedMsg:
		return msg.screen.lookMoved(msg)
	case pileSortedMsg:
		msg.screen.pileSorted(msg)
	case letterOpenedMsg:
		a.letterOpened(msg)
	case releasedMsg:
		a.released(msg)
	case startedMsg:
		return a.started(msg)
	case editedMsg:
		return a.edited(msg)
	case pointedMsg:
		a.pointed(msg)
	case tasksReadMsg:
		return a.tasksRead(msg)
	case tasksAgainMsg:
		if !msg.screen.left {
			return msg.screen.readCmd(a)
		}
	case taskCancelledMsg:
		return a.taskCancelled(msg)
	case plannedMsg:
		msg.dialog.planned(a, msg)
	case unlockedMsg:
		a.unlocked(msg)
	case relistedMsg:
		a.work.relisted(msg)
	case runsSampledMsg:
		return a.runsSampled(msg)
	case alarmTold:
		return a.alarmsTold(msg)
	case alarmsMovedMsg:
		return a.alarmsMoved(msg)
	case drilledMsg:
		return a.drilled(msg)
	case alarmsAppliedMsg:
		return a.alarmsApplied(msg)
	case replayStartedMsg:
		return a.replayStarted(msg)
	case replayMovedMsg:
		return a.replayMoved(msg)
	}
	return nil
}

func (a *App) letterOpened(msg letterOpenedMsg) {
	for _, s := range a.stack {
		if s, ok := s.(*triage); ok && &s.reader == msg.reader {
			s.letterOpened(msg)
		}
	}
}

// show hands a picture to every open screen, so that going back is instant.
func (a *App) show(p *picture) {
	a.pic = p
	for _, s := range a.stack {
		s.Load(p)
	}
}

// focus looks at once when the terminal comes to the front with an old picture.
func (a *App) focus() tea.Cmd {
	a.poll.blur = false
	age, known := a.pic.age(a.now())
	if a.poll.paused || known && age < a.poll.delay(a.pic.snap.Next) {
		return nil
	}
	return a.look(false)
}

// press routes a key: an open menu first, then an open line, then the actions.
func (a *App) press(msg tea.KeyPressMsg) tea.Cmd {
	now := a.work.clock()
	quiet := now.Sub(a.pressed)
	a.pressed = now
	if msg.String() == "ctrl+c" { // always, whatever is open and however keys are mapped
		return a.leave()
	}
	switch {
	case a.menu != nil:
		return a.pressMenu(msg.String())
	case a.prompt != nil:
		return a.pressPrompt(msg)
	case a.dialog != nil:
		return a.pressDialog(msg.String(), quiet)
	}
	x, ok := a.keys.key(msg.String())
	if !ok {
		return nil
	}
	return a.do(x, msg.String())
}

// do runs an action, or says why it cannot be run.
func (a *App) do(x Action, key string) tea.Cmd {
	if ok, reason := x.enabled(a); !ok {
		a.warn(x.Title + ": " + reason)
		return nil
	}
	return x.Run(a, key)
}

// leave quits, and asks first while an operation runs.
func (a *App) leave() tea.Cmd {
	if _, asked := a.dialog.(*quitDialog); len(a.work.active()) == 0 && a.alarms.over() && a.replays.now.over() || asked {
		return a.quit()
	}
	a.menu, a.prompt = nil, nil
	a.ask(newQuitDialog(a))
	return nil
}

// counting reports whether something on the screen counts down by the second.
func (a *App) counting() bool {
	for _, s := range a.stack {
		if s, ok := s.(*triage); ok && (s.looking != nil || s.pile != nil) {
			return true
		}
	}
	return len(a.work.active()) > 0 || !a.alarms.over() || !a.replays.now.over() || !a.work.access().Until.IsZero()
}

func (a *App) quit() tea.Cmd {
	a.end()
	return tea.Quit
}

// top is the screen that is shown.
func (a *App) top() screen { return a.stack[len(a.stack)-1] }

// maxStack bounds how far back `back` can go.
const maxStack = 32

// open puts a screen on top.
func (a *App) open(s screen) tea.Cmd {
	a.note = note{} // what was said about another screen misleads on this one
	s.Load(a.pic)
	var left tea.Cmd
	if len(a.stack) == maxStack {
		left = leave(a.stack[1])
		a.stack = append(a.stack[:1], a.stack[2:]...)
	}
	a.stack = append(a.stack, s)
	if s, ok := s.(starter); ok {
		return tea.Batch(left, s.Start(a))
	}
	return left
}

// cutTo goes back to the n-th screen of the stack.
func (a *App) cutTo(n int) tea.Cmd {
	a.note = note{}
	var cmds []tea.Cmd
	for _, s := range a.stack[n+1:] {
		cmds = append(cmds, leave(s))
	}
	a.stack = a.stack[:n+1]
	return tea.Batch(cmds...)
}

// leave tells a screen that it was closed.
func leave(s screen) tea.Cmd {
	if s, ok := s.(leaver); ok {
		return s.Leave()
	}
	return nil
}

// back undoes one step: first the marks and the filter, then the screen. It never quits.
func (a *App) back() tea.Cmd {
	if l, ok := a.top().(lister); ok {
		if l.Table().Marked() > 0 {
			l.Table().Unmark()
			return nil
		}
		if l.Filter() != "" {
			l.SetFilter("")
			return nil
		}
	}
	if s, ok := a.top().(backer); ok && s.Back() {
		return nil
	}
	if len(a.stack) > 1 {
		return a.cutTo(len(a.stack) - 2)
	}
	return nil
}

// switchedMsg is the answer to a switch of profile or region.
type switchedMsg struct {
	epoch    int
	identity ops.Identity
	err      error
}

const switchMost = 20 * time.Second

// switchTo turns the console to another profile or region ("" keeps it).
func (a *App) switchTo(profile, region string) tea.Cmd {
	a.poll.begin()
	a.switching = profile + region
	epoch, ctx, backend := a.poll.epoch, a.poll.ctx, a.opts.Backend
	return func() tea.Msg {
		ctx, done := context.WithTimeout(ctx, switchMost)
		defer done()
		id, err := backend.Switch(ctx, profile, region)
		return switchedMsg{epoch, id, err}
	}
}

// switched empties the screen before anything new is shown: nobody may read old
// rows under a new name.
func (a *App) switched(msg switchedMsg) tea.Cmd {
	if msg.epoch != a.poll.epoch {
		return nil
	}
	to := a.switching
	a.switching = ""
	if msg.err != nil {
		p := ops.AsProblem(msg.err)
		if !errors.Is(msg.err, context.Canceled) {
			a.warn(fmt.Sprintf("stayed here, %s could not be opened: %s", to, p.Error()))
		}
		return a.look(false)
	}
	left := a.cutTo(0)
	a.dialog = nil
	a.work.forget()
	a.alarms.forget()
	a.replays.forget()
	if l, ok := a.top().(lister); ok {
		l.Table().Unmark()
	}
	p := a.lastKnown()
	p.snap.Identity = msg.identity
	a.show(p)
	a.say("now on " + place(msg.identity))
	return tea.Batch(left, a.look(true))
}

// View draws the screen.
func (a *App) View() tea.View {
	v := tea.NewView(a.draw())
	v.AltScreen = true
	v.ReportFocus = true
	return v
}

const minWidth, minHeight = 60, 16

func (a *App) draw() string {
	c := text.NewCanvas(a.width, a.height)
	c.ASCII = a.opts.Config.ASCII
	if a.width < minWidth || a.height < minHeight {
		c.Text(fmt.Sprintf("kxops needs %dx%d, this is %dx%d", minWidth, minHeight, a.width, a.height), text.Style{})
		c.End()
		return c.String()
	}
	l := light{theme: a.theme, now: a.now(), ascii: c.ASCII, keys: a.keys, muted: a.alarms.muted, demo: a.opts.Demo != ""}
	a.drawHeader(c, l)
	below := a.below()
	if a.dialog != nil {
		a.drawDialog(c, a.height-c.Line()-below, l)
	} else {
		a.top().Draw(c, a.height-c.Line()-below, l)
	}
	c.Until(a.height - below)
	a.drawBelow(c, l)
	return c.String()
}
