package ui

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the goldens again")

// console is an App without a terminal: keys go in, commands run at once, the
// screen comes out. Ticks are left alone.
type console struct {
	t    *testing.T
	app  *App
	wall time.Time // moves on a second with every key, so that each is taken
}

func openConsole(t *testing.T, o Options, width, height int) *console {
	t.Helper()
	c := &console{t: t, app: New(o)}
	c.app.work.clock = func() time.Time { return c.wall }
	c.wall = sampleNow
	if b, ok := o.Backend.(accountWithDesk); ok && b.desk != nil {
		b.desk.clock = func() time.Time { return c.wall }
	}
	if b, ok := o.Backend.(accountWithAlarms); ok {
		b.desk.clock = func() time.Time { return c.wall }
	}
	t.Cleanup(c.app.end)
	t.Cleanup(c.app.work.end)
	c.app.Update(tea.WindowSizeMsg{Width: width, Height: height})
	c.run(c.app.look(false))
	return c
}

// run runs a command and feeds what it brings back, until nothing is left.
func (c *console) run(cmd tea.Cmd) {
	c.t.Helper()
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, cmd := range msg {
			c.run(cmd)
		}
	case tickedMsg, clockTickedMsg:
	case snapshotLoadedMsg: // its answer is the wait for the next look, and the desk
		again := c.app.alarms.again
		c.app.alarms.again = false
		c.app.Update(msg)
		c.app.alarms.again = again
		c.app.work.busy, c.app.alarms.busy = false, false
		c.run(c.app.openDesk())
		c.run(c.app.openAlarmDesk())
		c.run(c.app.reread())
	case runsSampledMsg: // the next sample comes when the test asks for it
		c.app.Update(msg)
		c.app.work.sampling = false
	default:
		_, next := c.app.Update(msg)
		c.run(next)
	}
}

// press types keys: single characters, or names such as "enter" in <>.
func (c *console) press(keys ...string) {
	c.t.Helper()
	for _, k := range keys {
		c.wall = c.wall.Add(time.Second)
		_, cmd := c.app.Update(keyPress(k))
		if k == "p" && c.app.prompt == nil && c.app.poll.paused {
			continue
		}
		c.run(cmd)
	}
}

func (c *console) typed(s string) {
	c.t.Helper()
	for _, r := range s {
		c.press(string(r))
	}
}

func keyPress(k string) tea.KeyPressMsg {
	named := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "backspace": tea.KeyBackspace}
	if k == "space" || k == " " {
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	if code, ok := named[k]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if rest, ok := strings.CutPrefix(k, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(rest[0]), Mod: tea.ModCtrl}
	}
	r := []rune(k)[0]
	return tea.KeyPressMsg{Code: r, Text: k}
}

// text is what a person reads, without colours and trailing spaces.
func (c *console) text() string {
	lines := strings.Split(ansi.Strip(c.app.draw()), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func (c *console) sees(words ...string) {
	c.t.Helper()
	have := c.text()
	for _, w := range words {
		if !strings.Contains(have, w) {
			c.t.Errorf("the screen does not show %q:\n%s", w, have)
		}
	}
}

func (c *console) seesNot(words ...string) {
	c.t.Helper()
	have := c.text()
	for _, w := range words {
		if strings.Contains(have, w) {
			c.t.Errorf("the screen shows %q:\n%s", w, have)
		}
	}
}

func golden(t *testing.T, name, have string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(have+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test ./ui -update writes it", err)
	}
	if diff := cmp.Diff(strings.TrimRight(string(want), "\n"), strings.TrimRight(have, "\n")); diff != "" {
		t.Errorf("%s changed (go test ./ui -update accepts it):\n%s", name, diff)
	}
}
