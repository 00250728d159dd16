package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// actions is THE list of what keys can do. A test walks it: every entry has a
// key, a title and a sentence, and no two entries share a key.
func actions() []Action {
	return slices.Concat(lookActions(), letterActions(), alarmActions(), replayActions())
}

// lookActions only look.
func lookActions() []Action {
	return []Action{
		move("up", "up", "Moves up one line.", lineUp, "up", "k"),
		move("down", "down", "Moves down one line.", lineDown, "down", "j"),
		move("page-up", "page up", "Moves up one screen.", pageUp, "pgup", "ctrl+b", "["),
		move("page-down", "page down", "Moves down one screen.", pageDown, "pgdown", "ctrl+f", "]"),
		move("first", "first", "Moves to the first line.", toTop, "home", "g"),
		move("last", "last", "Moves to the last line.", toEnd, "end", "G"),
		move("next", "next", "Chooses the next resource that can be opened, the next pane of a triage, the next layer of a message.", nextLink, "tab"),
		move("previous", "previous", "Chooses the one before.", prevLink, "shift+tab"),
		{
			ID: "open", Keys: []string{"enter"}, Title: "open",
			Help:    "Opens the resource under the cursor.",
			Enabled: selectedOpens,
			Run:     func(a *App, _ string) tea.Cmd { return a.openSelected() },
		},
		{
			ID: "right", Keys: []string{"right", "l"}, Title: "right",
			Help:    "Goes to the pane on the right of a triage; moves the window of a replay; elsewhere it opens.",
			Enabled: opensRight,
			Run:     func(a *App, _ string) tea.Cmd { return a.sideways(1, (*App).openSelected) },
		},
		{
			ID: "left", Keys: []string{"left", "h"}, Title: "left",
			Help:    "Goes to the pane on the left of a triage; moves the window of a replay; elsewhere it goes back.",
			Enabled: backLeft,
			Run:     func(a *App, _ string) tea.Cmd { return a.sideways(-1, (*App).back) },
		},
		{
			ID: "back", Keys: []string{"esc", "backspace"}, Title: "back",
			Help:    "Goes back one step: removes the marks, then the filter, then goes to the pane on the left (triage), then leaves the screen. Never quits.",
			Enabled: somethingToUndo,
			Run:     func(a *App, _ string) tea.Cmd { return a.back() },
		},
		{
			ID: "palette", Keys: []string{":"}, Title: "command",
			Help: "Opens the command line: a screen, a resource, a region, a sort …; tab completes.",
			Run:  func(a *App, _ string) tea.Cmd { a.prompt = newPalette(a, ""); return nil },
		},
		{
			ID: "filter", Keys: []string{"/"}, Title: "filter",
			Help:    "Shows only rows that match: word, !word for the opposite, column:word; spaces mean and. In a message it searches.",
			Enabled: onListOrMessage,
			Run:     func(a *App, _ string) tea.Cmd { a.prompt = a.filterPrompt(); return nil },
		},
		{
			ID: "faults", Keys: []string{"f"}, Title: "faults",
			Help:    "Shows only what is not well; again shows everything.",
			Enabled: onStates,
			Run:     func(a *App, _ string) tea.Cmd { toggleFaults(a.top().(lister)); return nil },
		},
		{
			ID: "mark", Keys: []string{"space", "m"}, Title: "mark",
			Help:    "Marks or unmarks the row; copy takes all marked rows.",
			Enabled: onRow,
			Run: func(a *App, _ string) tea.Cmd {
				t := a.top().(lister).Table()
				t.Mark()
				t.Move(1)
				return nil
			},
		},
		{
			ID: "sort", Keys: []string{">", "."}, Title: "sort",
			Help:    "Sorts by the next column.",
			Enabled: onSortable,
			Run:     func(a *App, _ string) tea.Cmd { a.sortNext(1); return nil },
		},
		{
			ID: "sort-back", Keys: []string{"<", ","}, Title: "sort back",
			Help:    "Sorts by the previous column.",
			Enabled: onSortable,
			Run:     func(a *App, _ string) tea.Cmd { a.sortNext(-1); return nil },
		},
		{
			ID: "sort-column", Keys: []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, Title: "sort by n",
			Help:    "Sorts by the n-th column; the same key again turns the order around.",
			Enabled: onSortable,
			Run:     func(a *App, key string) tea.Cmd { a.sortColumn(key); return nil },
		},
		{
			ID: "refresh", Keys: []string{"r"}, Title: "refresh",
			Help:    "Looks now.",
			Enabled: func(a *App) (bool, string) { return !a.poll.busy, "a look is already under way" },
			Run:     func(a *App, _ string) tea.Cmd { return a.refresh() },
		},
		{
			ID: "pause", Keys: []string{"p"}, Title: "pause",
			Help: "Stops the refresh, or goes on with it.",
			Run:  func(a *App, _ string) tea.Cmd { return a.togglePause() },
		},
		{
			ID: "copy", Keys: []string{"y"}, Title: "copy",
			Help:    "Copies a name, ARN, console address or aws-cli line to the clipboard, over ssh too.",
			Enabled: hasSelection,
			Run:     func(a *App, _ string) tea.Cmd { a.menu = a.copies(); return nil },
		},
		{
			ID: "raw", Keys: []string{"v"}, Title: "raw",
			Help:    "Shows what AWS says about the resource, as JSON; in a message its bytes as they came, and back.",
			Enabled: hasOneSelection,
			Run:     func(a *App, _ string) tea.Cmd { return a.raw() },
		},
		jump("overview", "overview", "Everything that can lose data, what loses first on top.", "o"),
		jump("pipelines", "map", "The linked map: what feeds what.", "P"),
		jump("alarms", "alarms", "The CloudWatch alarms that exist.", "a"),
		jump("journal", "journal", "What was done with kxops here.", "J"),
		jump("info", "info", "Identity, sections, problems, access level.", "i"),
		jump("spend", "spend", "What looking has cost.", "$"),
		jump("help", "help", "All keys and commands.", "?"),
		{
			ID: "region", Keys: []string{"R"}, Title: "region",
			Help: "Switches to another region.",
			Run:  func(a *App, _ string) tea.Cmd { return a.askFor("region ") },
		},
		{
			ID: "profile", Keys: []string{"A"}, Title: "profile",
			Help: "Switches to another profile (account).",
			Run:  func(a *App, _ string) tea.Cmd { return a.askFor("profile ") },
		},
		{
			ID: "theme", Keys: []string{"T"}, Title: "theme",
			Help: "Changes between the dark and the light theme.",
			Run:  func(a *App, _ string) tea.Cmd { a.toggleTheme(); return nil },
		},
		{
			ID: "repaint", Keys: []string{"ctrl+l"}, Title: "repaint",
			Help: "Draws the whole screen again.",
			Run:  func(*App, string) tea.Cmd { return tea.ClearScreen },
		},
		{
			ID: "suspend", Keys: []string{"ctrl+z"}, Title: "suspend",
			Help: "Puts kxops in the background; fg brings it back.",
			Run:  func(*App, string) tea.Cmd { return tea.Suspend },
		},
		{
			ID: "quit", Keys: []string{"q", "ctrl+c"}, Title: "quit",
			Help: "Leaves kxops.",
			Run:  func(a *App, _ string) tea.Cmd { return a.leave() },
		},
	}
}

func move(id, title, help string, m motion, keys ...string) Action {
	return Action{ID: id, Keys: keys, Title: title, Help: help,
		Run: func(a *App, _ string) tea.Cmd { a.top().Move(m); return nil }}
}

// jump is the action that opens the screen with the same id.
func jump(id, title, help string, keys ...string) Action {
	return Action{ID: id, Keys: keys, Title: title, Help: help,
		Enabled: func(a *App) (bool, string) { return a.top().Title() != id, "this is it" },
		Run:     func(a *App, _ string) tea.Cmd { return a.jump(id) }}
}

func onList(a *App) (bool, string) {
	_, ok := a.top().(lister)
	return ok, "only in a list"
}

func onListOrMessage(a *App) (bool, string) {
	if _, ok := a.reading(); ok {
		return true, ""
	}
	return onList(a)
}

func onRow(a *App) (bool, string) {
	l, ok := a.top().(lister)
	switch {
	case !ok:
		return false, "only in a list"
	case l.Table().Row() < 0:
		return false, "the list is empty"
	}
	return true, ""
}

func onSortable(a *App) (bool, string) {
	l, ok := a.top().(lister)
	switch {
	case !ok:
		return false, "only in a list"
	case l.Table().Fixed():
		return false, "the map is ordered by flow"
	}
	return true, ""
}

func onStates(a *App) (bool, string) {
	l, ok := a.top().(lister)
	if ok {
		for _, c := range l.Table().Columns() {
			if c.ID == "state" {
				return true, ""
			}
		}
	}
	return false, "only in a list of resources"
}

func hasSelection(a *App) (bool, string) {
	if s, ok := a.top().(copier); ok {
		return s.Copies() != nil, "there is nothing to copy"
	}
	if l, ok := a.top().(lister); ok && l.Table().Marked() > 0 {
		return true, ""
	}
	return hasOneSelection(a)
}

func hasOneSelection(a *App) (bool, string) {
	return a.top().Selected() != "", "nothing is selected"
}

func (a *App) openSelected() tea.Cmd {
	if s, ok := a.top().(opener); ok {
		return s.Open(a)
	}
	return a.openResource(a.top().Selected())
}

func selectedOpens(a *App) (bool, string) {
	if _, ok := a.top().(opener); ok {
		return true, ""
	}
	to := a.top().Selected()
	switch {
	case to == "":
		return false, "nothing is selected"
	case detailOf(to.Kind()) == nil:
		return false, "there is no page for this kind of resource"
	}
	if d, ok := a.top().(*detail); ok && d.arn == a.pic.page(to) {
		return false, "this is it; tab chooses a linked resource"
	}
	return true, ""
}

// sider is a screen of several panes beside each other.
type sider interface {
	Side(step int) (moved bool)
}

// sideways goes to the pane beside; a screen of one pane does what it does instead.
func (a *App) sideways(step int, instead func(*App) tea.Cmd) tea.Cmd {
	s, ok := a.top().(sider)
	if !ok {
		return instead(a)
	}
	if !s.Side(step) && step < 0 {
		a.say("this is the first pane; " + a.keyOf("back") + " leaves")
	}
	return nil
}

func opensRight(a *App) (bool, string) {
	if _, ok := a.top().(sider); ok {
		return true, ""
	}
	return selectedOpens(a)
}

func backLeft(a *App) (bool, string) {
	if _, ok := a.top().(sider); ok {
		return true, ""
	}
	return somethingToUndo(a)
}

func somethingToUndo(a *App) (bool, string) {
	if len(a.stack) > 1 {
		return true, ""
	}
	if l, ok := a.top().(lister); ok && (l.Filter() != "" || l.Table().Marked() > 0) {
		return true, ""
	}
	return false, "this is the first screen; q quits"
}

const faultsFilter = "!state:ok !state:asleep"

func toggleFaults(l lister) {
	if l.Filter() == faultsFilter {
		l.SetFilter("")
		return
	}
	l.SetFilter(faultsFilter)
}

func (a *App) sortNext(n int) {
	t := a.top().(lister).Table()
	t.SortNext(n)
	a.saySort(t.Sorted())
}

func (a *App) sortColumn(key string) {
	t := a.top().(lister).Table()
	n := int(key[0] - '1')
	if key == "" || n < 0 || n >= len(t.Columns()) {
		a.warn("there is no such column")
		return
	}
	t.SortBy(t.Columns()[n].ID)
	a.saySort(t.Sorted())
}

func (a *App) saySort(id string, reverse bool) {
	if reverse {
		id += ", turned around"
	}
	a.say("sorted by " + id)
}

func (a *App) togglePause() tea.Cmd {
	a.poll.paused = !a.poll.paused
	if a.poll.paused {
		a.say("paused: nothing is asked of AWS until p or r")
		return nil
	}
	return a.look(false)
}

func (a *App) toggleTheme() {
	next := "light"
	if a.theme.name == "light" {
		next = "dark"
	}
	a.opts.Config.Theme = next
	a.theme = themeNamed(next, true)
}

// openResource opens the page of a resource.
func (a *App) openResource(to ops.ARN) tea.Cmd {
	to = a.pic.page(to)
	spec := detailOf(to.Kind())
	if spec == nil {
		return nil
	}
	return a.open(spec.open(a, to))
}

// jump opens a screen by id; one that is already open is returned to.
func (a *App) jump(id string) tea.Cmd {
	for i, s := range a.stack {
		if s.Title() == id {
			return a.cutTo(i)
		}
	}
	for i := range screens {
		if screens[i].id == id {
			return a.open(screens[i].open(a, ""))
		}
	}
	return nil
}
