package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"kxops/ui/text"
)

const (
	redrawEvery = 200 * time.Millisecond // on a terminal
	tellEvery   = 10 * time.Second       // into a file or a pipe
)

// progressLine is how far something got, on stderr: one line that is written
// again and again on a terminal, a line every ten seconds elsewhere. It is safe
// for concurrent use.
type progressLine struct {
	mu    sync.Mutex
	s     *session
	width int  // of the terminal, 0: there is none
	open  bool // a line stands on the terminal without its end
	last  time.Time
	now   func() time.Time
}

func (s *session) progressLine() *progressLine {
	width, _ := isTerminal(s.Err)
	p := &progressLine{s: s, width: width, now: time.Now}
	if width == 0 {
		p.last = p.now() // what is over in ten seconds says nothing on the way
	}
	return p
}

// show tells how far it is, if it is time to tell.
func (p *progressLine) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := tellEvery
	if p.width > 0 {
		every = redrawEvery
	}
	if now := p.now(); now.Sub(p.last) < every {
		return
	} else {
		p.last = now
	}
	line = oneLine(line)
	if p.width == 0 {
		fmt.Fprintln(p.s.Err, line)
		return
	}
	line = text.Cut(line, p.width-1)
	fmt.Fprintf(p.s.Err, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-1-text.Width(line))))
	p.open = true
}

// tell says something that must not be missed, whatever the time.
func (p *progressLine) tell(line string) {
	p.end()
	p.s.say(line)
}

// end takes the line off the terminal: what follows starts at the left.
func (p *progressLine) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open {
		fmt.Fprintf(p.s.Err, "\r%s\r", strings.Repeat(" ", p.width-1))
		p.open = false
	}
}
