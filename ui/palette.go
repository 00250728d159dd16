package ui

import (
	"cmp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// command is one word of the `:` line.
type command struct {
	name    string
	aliases []string
	arg     string // what the argument is, "" for none
	help    string
	values  func(*App) []string // what the argument may be; nil: anything
	run     func(a *App, arg string) tea.Cmd
}

// maxOffers bounds the candidates shown.
const maxOffers = 6

// commands lists what the palette knows: screens, kinds of resources, places,
// list commands and every action.
func commands() []command {
	var all []command
	for i := range screens {
		all = append(all, screens[i].command())
	}
	all = append(all,
		command{name: "region", arg: "REGION", help: "switch to a region",
			values: func(a *App) []string { return a.choices.Regions },
			run: func(a *App, arg string) tea.Cmd {
				if arg == "" {
					return a.askFor("region ")
				}
				return a.switchTo("", arg)
			}},
		command{name: "profile", aliases: []string{"account", "ctx"}, arg: "PROFILE", help: "switch to a profile",
			values: func(a *App) []string { return a.choices.Profiles },
			run: func(a *App, arg string) tea.Cmd {
				if arg == "" {
					return a.askFor("profile ")
				}
				return a.switchTo(arg, "")
			}},
		command{name: "sort", arg: "COLUMN", help: "sort by a column; again turns it around", values: columnIDs,
			run: func(a *App, arg string) tea.Cmd { return a.sortBy(arg) }},
		command{name: "filter", arg: "WORDS", help: "show only matching rows: word, !word, column:word",
			run: func(a *App, arg string) tea.Cmd { return a.filterBy(arg) }},
		command{name: "theme", arg: "dark|light", help: "change the theme",
			values: func(*App) []string { return []string{"dark", "light"} },
			run:    func(a *App, arg string) tea.Cmd { return a.setTheme(arg) }},
	)
	known := map[string]bool{}
	for _, c := range all {
		known[c.name] = true
	}
	for _, x := range actions() {
		if !known[x.ID] {
			all = append(all, command{name: x.ID, aliases: spoken[x.ID], help: strings.TrimSuffix(x.Help, "."),
				run: func(a *App, _ string) tea.Cmd { return a.do(x, "") }})
		}
	}
	return all
}

// spoken are the words that other programs have taught for an action.
var spoken = map[string][]string{"quit": {"q", "q!", "quit!", "exit"}}

// askFor opens the command line again where the argument is missing: its
// candidates are the answer.
func (a *App) askFor(line string) tea.Cmd {
	if line == "profile " && len(a.choices.Profiles) == 0 {
		a.warn("profile: there is no other profile to switch to")
		return nil
	}
	a.prompt = newPalette(a, line)
	return nil
}

func columnIDs(a *App) []string {
	var ids []string
	if l, ok := a.top().(lister); ok && !l.Table().Fixed() {
		for _, c := range l.Table().Columns() {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// parseCommand splits a command line into its word and its argument.
func parseCommand(line string) (name, arg string) {
	line = strings.TrimSpace(line)
	line = strings.TrimSpace(strings.TrimPrefix(line, ":"))
	name, arg, _ = strings.Cut(line, " ")
	return strings.ToLower(name), strings.TrimSpace(arg)
}

func commandNamed(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name || slices.Contains(c.aliases, name) {
			return c, true
		}
	}
	return command{}, false
}

func newPalette(a *App, line string) *prompt {
	p := &prompt{sign: ":", chosen: -1}
	p.complete = func(line string) []offer { return offers(a, line) }
	p.accept = func(a *App, line string) tea.Cmd { return a.command(line) }
	p.set(line)
	return p
}

// offers completes a command line.
func offers(a *App, line string) []offer {
	name, arg := parseCommand(line)
	if !strings.Contains(strings.TrimLeft(line, " :"), " ") {
		return commandOffers(a, name)
	}
	c, ok := commandNamed(name)
	if !ok || c.values == nil {
		return nil
	}
	var out []offer
	for _, v := range fuzzy(arg, c.values(a)) {
		out = append(out, offer{c.name + " " + v, c.help})
	}
	return out
}

func commandOffers(a *App, name string) []offer {
	byName := map[string]command{}
	var names []string
	for _, c := range commands() {
		byName[c.name] = c
		names = append(names, c.name)
	}
	var out []offer
	for _, n := range fuzzy(name, names) {
		c := byName[n]
		line, help := c.name, c.help
		if c.arg != "" {
			line += " "
			help = c.arg + "  " + help
		}
		if x, ok := a.keys.id(c.name); ok {
			if can, why := x.enabled(a); !can {
				help += " (not now: " + why + ")"
			}
		}
		out = append(out, offer{line, help})
	}
	return out
}

// command runs a command line.
func (a *App) command(line string) tea.Cmd {
	name, arg := parseCommand(line)
	if name == "" {
		return nil
	}
	c, ok := commandNamed(name)
	if !ok {
		return a.unknownCommand(line, name)
	}
	return c.run(a, arg)
}

// unknownCommand takes the line as the name of a resource before it gives up.
func (a *App) unknownCommand(line, name string) tea.Cmd {
	if to := a.resourceNamed(strings.TrimSpace(line), ""); to != "" && detailOf(to.Kind()) != nil {
		return a.openResource(to)
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	why := "there is no command or resource " + strings.TrimSpace(line)
	if near := fuzzy(name, names); len(near) > 0 {
		why += "; nearest: " + strings.Join(near[:min(3, len(near))], ", ")
	} else {
		why += "; ? lists the commands"
	}
	a.warn(why)
	return nil
}

// resourceNamed finds a resource by name or ARN; kind "" means any.
func (a *App) resourceNamed(name string, kind ops.Kind) ops.ARN {
	for _, r := range a.pic.resources() {
		if (kind == "" || r.Kind() == kind) && (string(r) == name || r.Name() == name || a.pic.called(r) == name) {
			return r
		}
	}
	return ""
}

func (a *App) namesOf(kind ops.Kind) []string {
	var names []string
	for _, r := range a.pic.resources() {
		if r.Kind() == kind {
			names = append(names, a.pic.called(r))
		}
	}
	return names
}

func (a *App) sortBy(column string) tea.Cmd {
	l, ok := a.top().(lister)
	if !ok || l.Table().Fixed() {
		a.warn("sort: this screen is not a list that can be sorted")
		return nil
	}
	if column == "" {
		a.warn("sort: by which column? " + strings.Join(columnIDs(a), ", "))
		return nil
	}
	if !l.Table().SortBy(column) {
		a.warn("sort: no column " + column + "; columns: " + strings.Join(columnIDs(a), ", "))
		return nil
	}
	a.saySort(l.Table().Sorted())
	return nil
}

func (a *App) filterBy(words string) tea.Cmd {
	l, ok := a.top().(lister)
	if !ok {
		a.warn("filter: this screen is not a list")
		return nil
	}
	l.SetFilter(words)
	return nil
}

func (a *App) setTheme(name string) tea.Cmd {
	if name != "dark" && name != "light" {
		a.warn("theme: dark or light")
		return nil
	}
	a.opts.Config.Theme = name
	a.theme = themeNamed(name, true)
	return nil
}

// fuzzy returns the names that hold all letters of query in order, best first:
// an equal name, then a beginning, then a part, then scattered letters.
func fuzzy(query string, names []string) []string {
	query = strings.ToLower(query)
	type hit struct {
		name string
		rank int
	}
	var hits []hit
	for _, n := range names {
		if rank, ok := fuzzyRank(query, strings.ToLower(n)); ok {
			hits = append(hits, hit{n, rank})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.rank, b.rank) })
	var out []string
	for _, h := range hits[:min(len(hits), maxOffers)] {
		out = append(out, h.name)
	}
	return out
}

func fuzzyRank(query, name string) (int, bool) {
	switch at := strings.Index(name, query); {
	case query == name:
		return 0, true
	case at == 0:
		return 1, true
	case at > 0:
		return 1 + min(at, 50), true
	}
	rest, spread := name, 0
	for _, r := range query {
		i := strings.IndexRune(rest, r)
		if i < 0 {
			return 0, false
		}
		spread += i
		rest = rest[i+len(string(r)):]
	}
	return 100 + spread, true
}
