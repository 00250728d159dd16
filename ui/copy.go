package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/text"
)

// maxCopy bounds what is sent to the clipboard: terminals cut OSC 52 near 100 kB.
const maxCopy = 64 << 10

// copies offers what a screen has to copy: its own, else names of resources.
func (a *App) copies() *menu {
	if s, ok := a.top().(copier); ok {
		return s.Copies()
	}
	return a.copyMenu()
}

// copyMenu offers what can be copied of the marked resources, or of the selected one.
func (a *App) copyMenu() *menu {
	chosen := []ops.ARN{a.top().Selected()}
	if l, ok := a.top().(lister); ok && len(l.Table().Marks()) > 0 {
		chosen = arns(l.Table().Marks())
	}
	m := &menu{title: "copy " + text.Cut(text.Clean(text.Bound(chosen[0].Name(), 40)), 40)}
	if len(chosen) > 1 {
		m.title = fmt.Sprintf("copy %d marked", len(chosen))
	}
	profile := a.pic.snap.Identity.Profile
	m.add("name", each(chosen, ops.ARN.Name))
	m.add("ARN", each(chosen, func(r ops.ARN) string { return string(r) }))
	m.add("console address", each(chosen, ConsoleURL))
	if len(chosen) == 1 {
		for _, line := range CLILines(chosen[0], profile) {
			m.add("aws-cli", line)
		}
	}
	return m
}

func (m *menu) add(title, value string) {
	value = cleanLines(value)
	if value == "" {
		return
	}
	m.items = append(m.items, menuItem{title: title, value: value, run: func(a *App) tea.Cmd { return a.copy(title, value) }})
}

func each(all []ops.ARN, f func(ops.ARN) string) string {
	var lines []string
	for _, r := range all {
		if s := f(r); s != "" {
			lines = append(lines, text.Clean(text.Bound(s, 2048)))
		}
	}
	return strings.Join(lines, "\n")
}

// copy sends text to the clipboard of the terminal the person sits at. The
// terminal does not answer, so the console can only say that it was sent.
func (a *App) copy(what, value string) tea.Cmd {
	if len(value) > maxCopy {
		a.warn(fmt.Sprintf("copy: %d kB is more than terminals take", len(value)>>10))
		return nil
	}
	a.say(what + " sent to the clipboard: " + value)
	return tea.SetClipboard(value)
}

// cleanLines cleans each line, so that nothing hidden is pasted into a shell.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = text.Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}
