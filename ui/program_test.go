package ui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/vt"
	"go.uber.org/goleak"

	"kxops/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// terminal is a virtual terminal that the console runs in: what it shows is what
// a person would see, cell by cell. It also keeps the raw bytes.
type terminal struct {
	mu   sync.Mutex
	emu  *vt.Emulator
	sent bytes.Buffer
}

func newTerminal(w, h int) *terminal { return &terminal{emu: vt.NewEmulator(w, h)} }

func (e *terminal) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent.Write(p)
	// Without a terminal for input Bubble Tea leaves the carriage return to the
	// line discipline, which is not there.
	if _, err := e.emu.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (e *terminal) screen() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	lines := strings.Split(e.emu.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func (e *terminal) raw() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent.String()
}

func (e *terminal) resize(w, h int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.emu.Resize(w, h)
}

// colorAt returns the foreground of the first cell of the first place that shows word.
func (e *terminal) colorAt(word string) (fg color.Color, bold bool, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for y, line := range strings.Split(e.emu.String(), "\n") {
		if at := strings.Index(line, word); at >= 0 {
			x := len([]rune(line[:at]))
			cell := e.emu.CellAt(x, y)
			return cell.Style.Fg, cell.Style.Attrs&1 != 0, true
		}
	}
	return nil, false, false
}

// session is a console running in a virtual terminal.
type session struct {
	t    *testing.T
	term *terminal
	p    *tea.Program
	done chan error
	end  context.CancelFunc
}

func start(t *testing.T, o Options, w, h int, profile colorprofile.Profile) *session {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{t: t, term: newTerminal(w, h), done: make(chan error, 1), end: cancel}
	drained := make(chan struct{})
	go func() { // the emulator answers queries; unread answers would block it
		defer close(drained)
		_, _ = io.Copy(io.Discard, s.term.emu)
	}()
	s.p = tea.NewProgram(newApp(ctx, o), tea.WithInput(nil), tea.WithOutput(s.term), tea.WithWindowSize(w, h),
		tea.WithColorProfile(profile), tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithoutSignals())
	go func() {
		_, err := s.p.Run()
		cancel()
		s.done <- err
	}()
	t.Cleanup(func() {
		s.p.Quit()
		s.p.Wait()
		cancel()
		if c, ok := s.term.emu.InputPipe().(io.Closer); ok {
			_ = c.Close() // only ends the reader above
		}
		<-drained
	})
	return s
}

const patience = 10 * time.Second

func (s *session) waitFor(what string, ok func(screen string) bool) string {
	s.t.Helper()
	var have string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if have = s.term.screen(); ok(have) {
			return have
		}
	}
	s.t.Fatalf("the terminal never showed %s:\n%s", what, have)
	return ""
}

func (s *session) sees(words ...string) string {
	s.t.Helper()
	return s.waitFor(fmt.Sprintf("%q", words), func(have string) bool {
		for _, w := range words {
			if !strings.Contains(have, w) {
				return false
			}
		}
		return true
	})
}

func (s *session) press(keys ...string) {
	for _, k := range keys {
		s.p.Send(keyPress(k))
	}
}

func (s *session) typed(text string) {
	for _, r := range text {
		s.press(string(r))
	}
}

// marker types a word into the command line and waits for it: everything sent
// before it has been drawn then.
func (s *session) marker(word string) string {
	s.t.Helper()
	s.press(":")
	s.typed(word)
	return s.waitFor(word, func(have string) bool { return strings.HasSuffix(have, "\n:"+word) })
}

func TestInATerminal(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot()}
	s := start(t, sampleOptions(f), 120, 36, colorprofile.TrueColor)
	s.sees("kxops", "clicks", "orders-failed", "enter open")
	s.press("enter")
	s.sees("overview > stream clicks", "the last hour")
	s.press("esc")
	s.sees("1 of 7")
	s.press("/")
	s.typed("dlq")
	s.sees("2 (7 in all)")
	s.press("enter", ":")
	s.typed("region eu-c")
	s.sees("region eu-central-1")
	s.press("tab", "enter")
	s.sees("now on shop 123456789012 eu-central-1")
	s.press("q")
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	if raw := s.term.raw(); strings.Count(raw, "\x1b[?1049h") != 1 || strings.Count(raw, "\x1b[?1049l") != 1 {
		t.Error("the alternate screen must be entered once and left once")
	}
}

func TestStateHasItsColour(t *testing.T) {
	s := start(t, sampleOptions(&fakeAccount{snapshot: sampleSnapshot()}), 120, 36, colorprofile.TrueColor)
	s.sees("PAGE", "TICKET", "asleep")
	page, bold, _ := s.term.colorAt("PAGE")
	ticket, _, _ := s.term.colorAt("TICKET")
	if page == nil || ticket == nil || page == ticket || !bold {
		t.Errorf("PAGE is %v (bold %v), TICKET is %v", page, bold, ticket)
	}
	if r, g, _, _ := page.RGBA(); r <= g {
		t.Errorf("PAGE is not red: %v", page)
	}
}

// Without colour every word is still there, and nothing sets a colour.
func TestNoColour(t *testing.T) {
	for name, profile := range map[string]colorprofile.Profile{"nocolor": colorprofile.ASCII, "16colors": colorprofile.ANSI} {
		t.Run(name, func(t *testing.T) {
			o := sampleOptions(&fakeAccount{snapshot: sampleSnapshot()})
			o.Config.Protected = []Protection{{Match: "shop"}}
			s := start(t, o, 80, 24, profile)
			screen := s.sees("PROD", "PAGE", "TICKET", "asleep", "> PAGE", "enter open", "data 20s")
			golden(t, "overview-80x24-"+name, screen)
			raw := s.term.raw()
			if strings.Contains(raw, "38;2;") || strings.Contains(raw, "48;2;") || strings.Contains(raw, "38;5;") {
				t.Error("the terminal got more colours than it can show")
			}
			if profile == colorprofile.ASCII {
				for _, sgr := range []string{"\x1b[31m", "\x1b[91m", ";31m", ";91m"} {
					if strings.Contains(raw, sgr) {
						t.Errorf("a colour was set: %q", sgr)
					}
				}
			}
		})
	}
}

// What is on the screen after any input is what a full repaint draws.
func TestRepaintChangesNothing(t *testing.T) {
	f := &fakeAccount{snapshot: manyQueues(200)}
	s := start(t, sampleOptions(f), 100, 30, colorprofile.TrueColor)
	s.sees("1 of 207")
	r := rand.New(rand.NewPCG(1, 2))
	keys := []string{"j", "k", "pgdown", "pgup", "G", "g", "enter", "esc", "space", ">", "<", "3", "o", "P", "a", "i", "$", "?", "tab", "f", "y", "esc"}
	for round := range 8 {
		for range 25 {
			s.press(keys[r.IntN(len(keys))])
		}
		s.press("esc", "esc")
		before := s.marker(fmt.Sprintf("zz%d", round))
		s.p.Send(tea.ClearScreen())
		s.press("esc")
		s.marker("repainted")
		s.press("esc")
		after := s.marker(fmt.Sprintf("zz%d", round))
		s.press("esc")
		if before != after {
			t.Fatalf("round %d: a repaint changed the screen from\n%s\nto\n%s", round, before, after)
		}
	}
}

func TestResize(t *testing.T) {
	s := start(t, sampleOptions(&fakeAccount{snapshot: manyQueues(50)}), 120, 36, colorprofile.TrueColor)
	s.sees("1 of 57")
	r := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		w, h := 40+r.IntN(160), 8+r.IntN(60)
		s.term.resize(w, h)
		s.p.Send(tea.WindowSizeMsg{Width: w, Height: h})
	}
	s.term.resize(80, 24)
	s.p.Send(tea.WindowSizeMsg{Width: 80, Height: 24})
	screen := s.marker("zz")
	if n := len(strings.Split(screen, "\n")); n != 24 {
		t.Errorf("%d lines at 80x24", n)
	}
	s.term.resize(50, 10)
	s.p.Send(tea.WindowSizeMsg{Width: 50, Height: 10})
	s.sees("kxops needs 60x16, this is 50x10")
}

// First paint must not wait for AWS.
func TestPaintsBeforeTheFirstAnswer(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot(), hold: make(chan struct{})}
	s := start(t, sampleOptions(f), 80, 24, colorprofile.TrueColor)
	s.sees("reading the account…", ": command")
	s.press("?")
	s.sees("Moves up one line.")
	close(f.hold)
	s.press("esc")
	s.sees("orders-failed")
}

func TestPartsArriveWhileReading(t *testing.T) {
	part := sampleSnapshot()
	part.At, part.Queues.Items = time.Time{}, nil
	f := &fakeAccount{snapshot: sampleSnapshot(), partials: []ops.Snapshot{part}, hold: make(chan struct{})}
	s := start(t, sampleOptions(f), 80, 24, colorprofile.TrueColor)
	s.sees("clicks", "reading…")
	close(f.hold)
	s.sees("orders-failed")
}

func TestQuitWhileReading(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot(), hold: make(chan struct{})} // only the context ends this look
	s := start(t, sampleOptions(f), 80, 24, colorprofile.TrueColor)
	s.sees("reading the account…")
	s.press("q")
	select {
	case err := <-s.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("q waits for AWS")
	}
}

func TestPanicRestoresTheTerminal(t *testing.T) {
	f := &fakeAccount{snapshot: sampleSnapshot(), panics: true}
	s := start(t, sampleOptions(f), 80, 24, colorprofile.TrueColor)
	err := <-s.done
	if !errors.Is(err, tea.ErrProgramPanic) {
		t.Fatalf("Run returned %v", err)
	}
	if raw := s.term.raw(); strings.LastIndex(raw, "\x1b[?1049l") < strings.LastIndex(raw, "\x1b[?1049h") {
		t.Error("the alternate screen was not left")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := sampleOptions(&fakeAccount{snapshot: sampleSnapshot()})
	var out bytes.Buffer
	o.Output, o.Input = &out, strings.NewReader("")
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Run outlives its context")
	}
}

func TestHostileTextInATerminal(t *testing.T) {
	snap := sampleSnapshot()
	evil := "x\x1b]52;c;ZXZpbA==\x07\x1b]0;owned\x07\x1bPq\x1b\\\u009b31m"
	for i := range snap.Queues.Items {
		snap.Queues.Items[i].Name += evil
	}
	snap.Streams.Items[0].Name = evil + "clicks"
	snap.MetricsProblem = nil
	s := start(t, sampleOptions(&fakeAccount{snapshot: snap}), 120, 36, colorprofile.TrueColor)
	s.sees("orders-failed")
	s.press("enter")
	s.sees("the last hour")
	for _, bad := range []string{"]52;", "]0;", "\x1bP", "\u009b"} {
		if strings.Contains(s.term.raw(), bad) {
			t.Errorf("%q was sent to the terminal", bad)
		}
	}
}

// However the console ends, what it holds is given back before Run returns.
func TestRunGivesBackWhatIsHeld(t *testing.T) {
	ends := map[string]func(cancel func(), keys io.Writer) error{
		"the context": func(cancel func(), _ io.Writer) error { cancel(); return nil },
		"the key":     func(_ func(), keys io.Writer) error { _, err := io.WriteString(keys, "q"); return err },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			d := sampleDesk()
			o := deskOptions(d)
			in, keys := io.Pipe()
			defer keys.Close()
			o.Input, o.Output = in, io.Discard
			done := make(chan error, 1)
			go func() { done <- Run(ctx, o) }()
			of := func(n *int) int {
				d.mu.Lock()
				defer d.mu.Unlock()
				return *n
			}
			limit := time.Now().Add(patience)
			wait := func(n *int) bool {
				time.Sleep(5 * time.Millisecond)
				if time.Now().After(limit) {
					t.Fatal("it never looked")
				}
				return of(n) == 0
			}
			types := func(s string) {
				t.Helper()
				if _, err := io.WriteString(keys, s); err != nil {
					t.Fatal(err)
				}
			}
			for wait(&d.opened) {
			}
			types(":triage orders-failed\r")
			for wait(&d.held) {
				types("\r") // the first that comes after the question answers it
			}
			if err := end(cancel, keys); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Fatal("Run does not end")
			}
			if of(&d.held) != 0 || !slices.Contains(d.releases, "all") {
				t.Errorf("%d are still held", of(&d.held))
			}
		})
	}
}
