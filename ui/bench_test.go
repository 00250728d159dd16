package ui

import (
	"fmt"
	"slices"
	"testing"

	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// BenchmarkView draws the overview of 10,000 queues at 200x60.
// Budget: 0.5 ms and 1,500 allocations.
func BenchmarkView(b *testing.B) {
	a := benchApp(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		a.View()
	}
}

// BenchmarkKey moves the cursor and draws, as a held key does.
func BenchmarkKey(b *testing.B) {
	a := benchApp(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		a.Update(keyPress("j"))
		a.View()
	}
}

// BenchmarkFilter filters 10,000 rows anew, as each typed letter does.
func BenchmarkFilter(b *testing.B) {
	a := benchApp(b, 10_000)
	l := a.top().(lister)
	b.ReportAllocs()
	for b.Loop() {
		l.SetFilter("team-042")
	}
}

// BenchmarkLoad takes over a new picture of 10,000 rows in the drawing loop.
func BenchmarkLoad(b *testing.B) {
	a := benchApp(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		a.show(a.pic)
	}
}

func benchApp(b *testing.B, queues int) *App {
	b.Helper()
	f := &fakeAccount{snapshot: manyQueues(queues)}
	a := New(sampleOptions(f))
	b.Cleanup(a.end)
	a.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	a.show(newPicture(f.snapshot, sampleJudge, sampleNow))
	a.View()
	return a
}

// BenchmarkTriageView draws the triage of 100,000 letters at 200x60.
func BenchmarkTriageView(b *testing.B) {
	a := benchTriage(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		a.View()
	}
}

// BenchmarkTriageKey goes through 100,000 letters and draws.
func BenchmarkTriageKey(b *testing.B) {
	a := benchTriage(b, 100_000)
	a.Update(keyPress("tab"))
	b.ReportAllocs()
	for b.Loop() {
		a.Update(keyPress("j"))
		a.View()
	}
}

// BenchmarkTriageGroup changes from a group of 100,000 letters to a small one and back.
func BenchmarkTriageGroup(b *testing.B) {
	a := benchTriage(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		a.Update(keyPress("j"))
		a.Update(keyPress("k"))
	}
}

func benchTriage(b *testing.B, letters int) *App {
	b.Helper()
	d := sampleDesk()
	first := d.letters
	for i := len(first); i < letters; i++ {
		x := first[i%len(first)]
		x.ID = fmt.Sprintf("%08x-%04x", i*2654435761, i%9973)
		d.letters = append(d.letters, x)
	}
	slices.SortStableFunc(d.letters, func(a, b ops.Letter) int { return a.Sent.Compare(b.Sent) }) // as a pile has them
	a := New(deskOptions(d))
	b.Cleanup(a.end)
	b.Cleanup(a.work.end)
	a.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	a.show(newPicture(sampleSnapshot(), sampleJudge, sampleNow))
	a.work.desk = d
	s := openTriage(a, arn("sqs", "orders-failed")).(*triage)
	a.open(s)
	a.dialog = nil
	msg := lookedMsg{screen: s, pile: &pileOfValues{d, d.letters}}
	msg.read()
	a.Update(msg)
	if x, ok := s.letter(); ok {
		a.Update(s.reader.openCmd(s.pile, x)())
	}
	a.View()
	return a
}
