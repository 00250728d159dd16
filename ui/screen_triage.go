package ui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
	"kxops/ui/table"
	"kxops/ui/text"
)

// triage is where the letters of one dead-letter queue are understood: groups by
// cause, the letters of a group, one letter decoded. What it looked at is leased;
// leaving the screen gives it back.
type triage struct {
	arn   ops.ARN
	pic   *picture
	queue *ops.Queue // nil while the picture does not have it
	desk  Desk
	work  *work // what runs
	asked bool  // the peek dialog was shown
	left  bool  // the screen was closed

	looking *looking // nil while no look is under way
	gen     int      // of looks
	pile    Pile
	problem *ops.Problem
	memory  bool // answered from memory
	sorted
	all []ops.Letter
	at  map[string]int32 // id -> row of all

	filter   string
	wrong    string // what is wrong with the filter
	sortedBy string // the filter that sorted was made for
	sorting  context.CancelFunc

	focus  pane
	groups *table.Table
	shown  *table.Table
	group  string // group whose letters are shown
	reader reader
	l      light
}

// pane is one of the three parts of the screen.
type pane int

const (
	paneGroups pane = iota
	paneLetters
	paneMessage
)

// allGroups is the row of the groups that means every letter.
const allGroups = "*"

// sorted is a pile under a filter: computed away from the drawing loop.
type sorted struct {
	causes []ops.CauseGroup
	rowsOf map[string][]int32 // group key -> rows
	title  map[string]string  // cause key -> what sets its group apart
	whole  map[string]string  // cause key -> the title of its group
	loss   time.Time          // the first of all
}

// looking is a look under way.
type looking struct {
	cancel context.CancelFunc
	done   chan struct{}
	want   int

	mu       sync.Mutex
	progress ops.LookProgress
}

func (k *looking) put(p ops.LookProgress) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.progress = p
}

func (k *looking) get() ops.LookProgress {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.progress
}

var groupColumns = []table.Column{
	{ID: "count", Title: "N", Width: 6, Right: true},
	{ID: "loss", Title: "LOSS IN", Width: 7, Right: true},
	{ID: "cause", Title: "CAUSE", Width: 30, Min: 8, Comfort: 28, Grow: true},
	{ID: "last", Title: "LAST", Width: 6, Priority: 5, Right: true},
}

var letterColumns = []table.Column{
	{ID: "age", Title: "AGE", Width: 6, Right: true},
	{ID: "loss", Title: "LOSS IN", Width: 7, Right: true},
	{ID: "received", Title: "RCV", Width: 3, Priority: 3, Right: true},
	{ID: "what", Title: "WHAT", Width: 24, Min: 8, Comfort: 22, Grow: true},
	{ID: "note", Title: "NOTE", Width: 4, Priority: 2},
	{ID: "id", Title: "MESSAGE ID", Width: 36, Min: 8, Priority: 8},
	{ID: "size", Title: "SIZE", Width: 7, Priority: 5, Right: true},
	{ID: "source", Title: "SOURCE", Width: 14, Priority: 6},
	{ID: "group", Title: "GROUP", Width: 12, Priority: 7},
}

func openTriage(a *App, target ops.ARN) screen {
	return &triage{
		arn: target, work: a.work, focus: paneGroups, group: allGroups,
		groups: table.New(groupColumns, "count"), shown: table.New(letterColumns, "age"),
	}
}

func (s *triage) Title() string { return "triage " + s.arn.Name() }

func (s *triage) Load(p *picture) {
	s.pic = p
	if q := p.queues[s.arn]; q != nil {
		s.queue = q
	}
}

// Start asks before the first look; what a desk still has from an earlier visit is
// offered by that dialog too.
func (s *triage) Start(a *App) tea.Cmd {
	s.deskOpened(a)
	return a.openDesk()
}

func (s *triage) deskOpened(a *App) {
	if s.desk == nil && a.work.desk != nil {
		s.desk = a.work.desk
	}
	if s.desk != nil && s.queue != nil && !s.asked && a.dialog == nil {
		s.asked = true
		a.ask(newPeekDialog(s))
	}
}

// Selected is the queue: what copy and raw act on.
func (s *triage) Selected() ops.ARN  { return s.arn }
func (s *triage) Visible() []ops.ARN { return []ops.ARN{s.arn} }

// Table is the table that has the focus.
func (s *triage) Table() *table.Table {
	if s.focus == paneGroups {
		return s.groups
	}
	return s.shown
}

func (s *triage) Filter() string         { return s.filter }
func (s *triage) SetFilter(words string) { s.filter = words }

// Move moves in the pane that has the focus; tab goes from pane to pane.
func (s *triage) Move(m motion) {
	switch {
	case m == nextLink:
		s.focus = (s.focus + 1) % 3
	case m == prevLink:
		s.focus = (s.focus + 2) % 3
	case s.focus == paneMessage:
		s.reader.Move(m)
	default:
		moveTable(s.Table(), m)
		s.follow()
	}
}

// follow shows the letters of the group under the cursor.
func (s *triage) follow() {
	if s.focus == paneGroups {
		if key := s.groups.Cursor(); key != "" && key != s.group {
			s.group = key
			s.shown.Load(letterRows{s})
			s.shown.First()
		}
	}
}

// Side goes to the pane beside; it reports whether there is one.
func (s *triage) Side(step int) bool {
	to := s.focus + pane(step)
	if s.pile == nil || to < paneGroups || to > paneMessage {
		return false
	}
	s.focus = to
	return true
}

// Back goes one pane to the left before it leaves the screen.
func (s *triage) Back() bool {
	if s.focus > paneGroups {
		s.focus--
		return true
	}
	return false
}

// Open goes one pane to the right; from the letters it opens one on a screen.
func (s *triage) Open(a *App) tea.Cmd {
	switch {
	case s.pile == nil:
		if ok, why := canLook(a); !ok {
			a.warn("look: " + why)
			return nil
		}
		a.ask(newPeekDialog(s)) // never a look without its price
		return nil
	case s.focus == paneGroups:
		s.focus = paneLetters
		return nil
	}
	return a.open(newMessage(s))
}

// Leave gives back what is held.
func (s *triage) Leave() tea.Cmd {
	s.left = true
	if s.looking != nil {
		s.looking.cancel()
	}
	if s.sorting != nil {
		s.sorting()
	}
	if s.desk == nil || s.pile == nil {
		return nil
	}
	return release(s.desk, s.arn, true)
}

// defaultLook is how many messages a look reads unless a person says otherwise.
const defaultLook = 1000

// lookMost bounds a look: 100,000 messages take a few minutes.
const lookMost = 15 * time.Minute

// progressPace is how often progress is drawn: five times a second.
const progressPace = 200 * time.Millisecond

// lookedMsg brings what a look found, sorted by cause.
type lookedMsg struct {
	screen *triage
	gen    int
	pile   Pile
	all    []ops.Letter
	at     map[string]int32
	memory bool
	again  bool // nothing was received: the pile was read again
	sorted
	err error
}

// lookMovedMsg says that a look got on.
type lookMovedMsg struct {
	screen *triage
	gen    int
}

// look receives messages and holds them.
func (s *triage) look(a *App, limit int) tea.Cmd {
	switch {
	case s.desk == nil:
		a.warn("look: " + a.work.why)
		return nil
	case s.queue == nil:
		a.warn("look: the queue was not read yet")
		return nil
	case s.looking != nil:
		a.warn("look: one is under way")
		return nil
	}
	memory := s.desk.Cost(*s.queue, limit).FromMemory
	s.gen++
	ctx, cancel := context.WithTimeout(a.work.ctx, lookMost)
	k := &looking{cancel: cancel, done: make(chan struct{}), want: limit}
	s.looking, s.problem = k, nil
	desk, queue, gen := s.desk, *s.queue, s.gen
	return tea.Batch(func() tea.Msg {
		defer cancel()
		defer close(k.done)
		pile, err := desk.Look(ctx, queue, limit, k.put)
		msg := lookedMsg{screen: s, gen: gen, pile: pile, err: err, memory: memory}
		msg.read()
		return msg
	}, s.progressCmd(k, gen))
}

// read lists the letters of the pile and sorts them by cause.
func (msg *lookedMsg) read() {
	if msg.pile == nil {
		return
	}
	msg.all = msg.pile.Letters()
	msg.at = make(map[string]int32, len(msg.all))
	for i := range msg.all {
		msg.at[msg.all[i].ID] = int32(i)
	}
	msg.sorted, _ = sortPile(context.Background(), msg.pile, msg.all, nil) // without a filter it cannot fail
}

// reread shows what is left of the pile after an operation took letters out of it.
func (s *triage) reread() tea.Cmd {
	if s.pile == nil || s.looking != nil {
		return nil
	}
	msg := lookedMsg{screen: s, gen: s.gen, pile: s.pile, memory: s.memory, again: true}
	return func() tea.Msg {
		msg.read()
		return msg
	}
}

// progressCmd brings one message when it is time to draw the progress again.
func (s *triage) progressCmd(k *looking, gen int) tea.Cmd {
	return func() tea.Msg {
		t := time.NewTimer(progressPace)
		defer t.Stop()
		select {
		case <-t.C:
			return lookMovedMsg{s, gen}
		case <-k.done:
			return nil
		}
	}
}

func (s *triage) lookMoved(msg lookMovedMsg) tea.Cmd {
	if s.looking == nil || msg.gen != s.gen {
		return nil
	}
	return s.progressCmd(s.looking, s.gen)
}

// looked shows what a look found. Where the screen was left meanwhile, it is given back.
func (a *App) looked(msg lookedMsg) tea.Cmd {
	s := msg.screen
	if s.left {
		if msg.again {
			return nil
		}
		return release(s.desk, s.arn, true)
	}
	if msg.gen != s.gen {
		return nil
	}
	s.looking = nil
	if a.note.text != "" && strings.HasSuffix(a.note.text, noLetters) { // it is not so any more
		a.note = note{}
	}
	if msg.err != nil && !errors.Is(msg.err, context.Canceled) {
		s.problem = ops.AsProblem(msg.err)
		a.warn("look: " + s.problem.Error())
	}
	if msg.pile == nil {
		return nil
	}
	s.pile, s.all, s.at, s.memory = msg.pile, msg.all, msg.at, msg.memory
	s.reader.pile, s.reader.tabs = msg.pile, nil
	s.setSorted(msg.sorted, "")
	if missed := msg.pile.Missed(); missed != "" && !msg.again {
		a.warn("the look did not see everything: " + missed)
	}
	return nil
}

// sortPile sorts the letters that pass by their cause. It can be stopped.
func sortPile(ctx context.Context, pile Pile, all []ops.Letter, pass func(ops.Letter) bool) (sorted, error) {
	out := sorted{rowsOf: map[string][]int32{}, title: map[string]string{}, whole: map[string]string{}}
	kept := all
	if pass != nil {
		kept = nil
	}
	for i := range all {
		if i%256 == 0 && ctx.Err() != nil {
			return out, ctx.Err()
		}
		x := &all[i]
		if pass != nil {
			if !pass(*x) {
				continue
			}
			kept = append(kept, *x)
		}
		key := causeKey(x)
		out.rowsOf[key] = append(out.rowsOf[key], int32(i))
		out.rowsOf[allGroups] = append(out.rowsOf[allGroups], int32(i))
		if !x.Expires.IsZero() && (out.loss.IsZero() || x.Expires.Before(out.loss)) {
			out.loss = x.Expires
		}
	}
	out.causes = pile.Groups(kept)
	for _, g := range out.causes {
		title := g.Cause.Title
		if _, apart, ok := strings.Cut(title, ": "); ok && !g.Cause.Stated {
			title = apart // a narrow column has no room for where it came from, which its neighbours share
		}
		out.title[g.Cause.Key], out.whole[g.Cause.Key] = title, g.Cause.Title
		for _, key := range g.Keys {
			out.title[key], out.whole[key] = title, g.Cause.Title
		}
		if len(g.Keys) < 2 {
			continue
		}
		var rows []int32 // several shapes were folded into one group; the letters keep their own keys
		for _, key := range g.Keys {
			rows = append(rows, out.rowsOf[key]...)
		}
		slices.Sort(rows)
		out.rowsOf[g.Cause.Key] = rows
	}
	return out, nil
}

func causeKey(x *ops.Letter) string {
	if x.Cause == nil {
		return ""
	}
	return x.Cause.Key
}

func (s *triage) setSorted(x sorted, filter string) {
	s.sorted, s.sortedBy = x, filter
	if len(s.rowsOf[s.group]) == 0 {
		s.group = allGroups
	}
	s.groups.Load(groupRows{s})
	s.groups.Seek(s.group)
	s.shown.Load(letterRows{s})
}

// pileSortedMsg brings a pile under a filter.
type pileSortedMsg struct {
	screen *triage
	gen    int
	filter string
	sorted
	err error
}

// Want brings the screen to what it should show: the filter that was typed, the
// letter under the cursor. One of each is under way at a time.
func (s *triage) Want(a *App) tea.Cmd {
	if s.pile == nil {
		return nil
	}
	s.follow()
	var cmds []tea.Cmd
	if s.filter != s.sortedBy && s.sorting == nil {
		cmds = append(cmds, s.sortCmd(a))
	}
	if x, ok := s.letter(); ok && !s.reader.busy && (s.reader.letter.ID != x.ID || s.reader.tabs == nil && !s.reader.gone) {
		cmds = append(cmds, s.reader.openCmd(s.pile, x))
	}
	return tea.Batch(cmds...)
}

// sortMost bounds a filter: jq over 100,000 bodies takes seconds.
const sortMost = 2 * time.Minute

func (s *triage) sortCmd(a *App) tea.Cmd {
	filter, pile, all, gen := s.filter, s.pile, s.all, s.gen
	ctx, cancel := context.WithTimeout(a.work.ctx, sortMost)
	s.sorting = cancel
	return func() tea.Msg {
		defer cancel()
		msg := pileSortedMsg{screen: s, gen: gen, filter: filter}
		var pass func(ops.Letter) bool
		if filter != "" {
			if pass, msg.err = pile.Match(filter); msg.err != nil {
				return msg
			}
		}
		msg.sorted, msg.err = sortPile(ctx, pile, all, pass)
		return msg
	}
}

func (s *triage) pileSorted(msg pileSortedMsg) {
	s.sorting = nil
	if msg.gen != s.gen {
		return
	}
	s.wrong = ""
	if msg.err != nil { // what was shown stays; the person goes on typing
		s.sortedBy = msg.filter
		s.wrong = ops.AsProblem(msg.err).Error()
		return
	}
	s.setSorted(msg.sorted, msg.filter)
}

// letter is the letter under the cursor.
func (s *triage) letter() (ops.Letter, bool) {
	i, ok := s.at[s.shown.Cursor()]
	if !ok {
		return ops.Letter{}, false
	}
	return s.all[i], true
}

func (s *triage) letterOpened(msg letterOpenedMsg) {
	if i, ok := s.at[msg.id]; ok {
		s.reader.letter.ID = msg.id
		s.reader.opened(msg, s.all[i])
		s.reader.cause = s.groupTitle(&s.all[i])
		return
	}
	s.reader.busy = false
}

// chosen is what the person means: the marked letters, the marked groups, else
// what is under the cursor.
func (s *triage) chosen() (ops.Selection, string) {
	if ids := s.shown.Marks(); len(ids) > 0 {
		return ops.Selection{IDs: ids}, plural(len(ids), "marked message")
	}
	keys := s.groups.Marks()
	if len(keys) == 0 && s.focus == paneGroups {
		keys = []string{s.groups.Cursor()}
	}
	switch {
	case len(keys) == 0:
		if x, ok := s.letter(); ok {
			return ops.Selection{IDs: []string{x.ID}}, "the one under the cursor"
		}
		return ops.Selection{}, ""
	case s.sortedBy == "" && slices.Contains(keys, allGroups):
		return ops.Selection{All: true}, "all that the look read"
	case s.sortedBy == "" && len(keys) == 1 && keys[0] != "":
		return ops.Selection{Cause: keys[0]}, "group " + keys[0]
	}
	var ids []string
	seen := map[int32]bool{}
	for _, k := range keys {
		for _, row := range s.rowsOf[k] {
			if !seen[row] {
				seen[row] = true
				ids = append(ids, s.all[row].ID)
			}
		}
	}
	words := plural(len(ids), "message") + " of " + plural(len(keys), "group")
	if s.sortedBy != "" {
		words += " that pass the filter"
	}
	return ops.Selection{IDs: ids}, words
}

// maxBreakdown bounds the lines that say which groups a plan is about.
const maxBreakdown = 5

// breakdown says what is chosen by group, the largest first.
func (s *triage) breakdown(which ops.Selection) []string {
	rows := s.rowsOf[allGroups]
	switch {
	case which.Cause != "":
		rows = s.rowsOf[which.Cause]
	case len(which.IDs) > 0:
		rows = nil
		for _, id := range which.IDs {
			if row, ok := s.at[id]; ok {
				rows = append(rows, row)
			}
		}
	}
	parts := map[string]share{}
	for _, row := range rows {
		x := &s.all[row]
		p := parts[s.groupTitle(x)]
		p.n++
		if x.Harmless != "" {
			p.harmless++
		}
		parts[s.groupTitle(x)] = p
	}
	titles := slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
		return cmp.Or(parts[b].n-parts[a].n, compareStrings(a, b))
	})
	var out []string
	rest := share{}
	for i, title := range titles {
		p := parts[title]
		if len(titles) > maxBreakdown && i >= maxBreakdown-1 {
			rest.n += p.n
			rest.harmless += p.harmless
			continue
		}
		out = append(out, p.words(title))
	}
	if rest.n > 0 {
		out = append(out, rest.words(fmt.Sprintf("in %d more groups", len(titles)-maxBreakdown+1)))
	}
	return out
}

// share is how many of what is chosen are in a group.
type share struct{ n, harmless int }

func (p share) words(where string) string {
	line := count(float64(p.n)) + " " + where
	switch {
	case p.harmless == p.n:
		line += " (harmless)"
	case p.harmless > 0:
		line += fmt.Sprintf(" (%s harmless)", count(float64(p.harmless)))
	}
	return line
}

// groupTitle is the title of the group that a letter is in: its own cause may be
// one of several shapes that were folded into one.
func (s *triage) groupTitle(x *ops.Letter) string {
	if x.Cause == nil {
		return "no cause known"
	}
	return cmp.Or(s.whole[x.Cause.Key], x.Cause.Title)
}

// running is the operation on this queue, nil when there is none.
func (s *triage) running() *run { return s.work.runOn(s.arn) }

// runOn is the operation that changes a queue now, nil when there is none.
func (w *work) runOn(queue ops.ARN) *run {
	for _, r := range w.active() {
		if r.progress.From == queue {
			return r
		}
	}
	return nil
}

// held is how many messages are leased and when they come back by themselves.
func (s *triage) held() (int, time.Time) {
	if s.pile == nil || s.left {
		return 0, time.Time{}
	}
	return s.pile.Held()
}

func moveTable(t *table.Table, m motion) {
	l := list{table: t}
	l.Move(m)
}

// groupRows is the groups as the source of their table. Row 0 is every letter.
type groupRows struct{ *triage }

func (g groupRows) Len() int { return len(g.causes) + 1 }
func (g groupRows) ID(row int) string {
	if row == 0 {
		return allGroups
	}
	return g.causes[row-1].Cause.Key
}
func (g groupRows) Match(int) bool { return true }

func (g groupRows) loss(row int) time.Time {
	if row == 0 {
		return g.sorted.loss
	}
	return g.causes[row-1].FirstLoss
}

func (g groupRows) count(row int) int {
	if row == 0 {
		return len(g.rowsOf[allGroups])
	}
	return g.causes[row-1].Count
}

func (g groupRows) title(row int) string {
	if row == 0 {
		return "all letters"
	}
	return g.causes[row-1].Cause.Title
}

// titleIn leaves out where a group came from where the column has no room for both:
// what sets it apart from its neighbours stands after that.
func (g groupRows) titleIn(row, width int) string {
	title := g.title(row)
	if row == 0 || text.Width(title) <= width {
		return title
	}
	return cmp.Or(g.sorted.title[g.causes[row-1].Cause.Key], title)
}

func (g groupRows) Compare(a, b, col int) int {
	if a == 0 || b == 0 { // all letters stay on top
		return a - b
	}
	x, y, by := &g.causes[a-1], &g.causes[b-1], 0
	switch col {
	case 0:
		by = y.Count - x.Count
	case 1:
		by = earlier(x.FirstLoss, y.FirstLoss)
	case 2:
		by = compareStrings(x.Cause.Title, y.Cause.Title)
	case 3:
		by = y.LastSent.Compare(x.LastSent)
	}
	if by == 0 {
		by = a - b
	}
	return by
}

func (g groupRows) Draw(c *text.Canvas, row, col, width int) {
	l := g.l
	switch col {
	case 0:
		c.Right(count(float64(g.count(row))), width, l.strong)
	case 1:
		c.Right(until(g.loss(row), l.now), width, lossStyle(l, g.loss(row)))
	case 2:
		look := text.Style{}
		if row > 0 && g.causes[row-1].Harmless == g.causes[row-1].Count {
			look = l.good
		}
		c.Cell(g.titleIn(row, width), width, look)
	case 3:
		if row > 0 {
			c.Right(age(g.causes[row-1].LastSent, l.now), width, l.dim)
		}
	}
}

// letterRows is the letters of the group as the source of their table.
type letterRows struct{ *triage }

func (t letterRows) rows() []int32                { return t.rowsOf[t.group] }
func (t letterRows) Len() int                     { return len(t.rows()) }
func (t letterRows) letterAt(row int) *ops.Letter { return &t.all[t.rows()[row]] }
func (t letterRows) ID(row int) string            { return t.letterAt(row).ID }
func (t letterRows) Match(int) bool               { return true }

func (t letterRows) Compare(i, j, col int) int {
	a, b, by := t.letterAt(i), t.letterAt(j), 0
	switch col {
	case 0:
		by = earlier(a.Sent, b.Sent)
	case 1:
		by = earlier(a.Expires, b.Expires)
	case 2:
		by = b.Receives - a.Receives
	case 3:
		by = compareStrings(t.what(a), t.what(b))
	case 4:
		by = compareStrings(noteOf(b), noteOf(a))
	case 5:
		by = compareStrings(a.ID, b.ID)
	case 6:
		by = b.Bytes - a.Bytes
	case 7:
		by = compareStrings(string(a.Source), string(b.Source))
	case 8:
		by = compareStrings(a.Group, b.Group)
	}
	if by == 0 {
		by = i - j
	}
	return by
}

// what is the word for a letter that tells it from its neighbours: within a group
// the cause is the same.
func (s *triage) what(x *ops.Letter) string {
	if s.group == allGroups && x.Cause != nil {
		return cmp.Or(s.title[x.Cause.Key], x.Cause.Title)
	}
	return x.ID
}

// noteOf is a word of warning about a letter.
func noteOf(x *ops.Letter) string {
	switch {
	case x.Lossy:
		return "cut"
	case x.Harmless != "":
		return "ok"
	case x.Pointer:
		return "ptr"
	}
	return ""
}

func (t letterRows) Draw(c *text.Canvas, row, col, width int) {
	l, x := t.l, t.letterAt(row)
	switch col {
	case 0:
		c.Right(age(x.Sent, l.now), width, l.dim)
	case 1:
		c.Right(until(x.Expires, l.now), width, lossStyle(l, x.Expires))
	case 2:
		c.Right(count(float64(x.Receives)), width, l.dim)
	case 3:
		c.Cell(t.what(x), width, text.Style{})
	case 4:
		look := l.dim
		if x.Lossy {
			look = l.page
		}
		c.Cell(noteOf(x), width, look)
	case 5:
		c.Cell(x.ID, width, l.dim)
	case 6:
		c.Right(bytesText(float64(x.Bytes)), width, l.dim)
	case 7:
		c.Cell(x.Source.Name(), width, l.dim)
	case 8:
		c.Cell(x.Group, width, l.dim)
	}
}

// earlier orders times, unknown ones last.
func earlier(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
