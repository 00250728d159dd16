package ui

import (
	"testing"

	tea "charm.land/bubbletea/v2"
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
