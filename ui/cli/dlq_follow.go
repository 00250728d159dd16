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
	tellEvery   = 10 * time.Second       // into a file or a pipe, where the text has changed
	repeatEvery = 30 * time.Second       // … and where it has not
)

// progressLine is how far something got, on stderr: one line that is written
// again and again on a terminal; elsewhere a line every ten seconds, every thirty
// where nothing changes. It is safe
// for concurrent use.
type progressLine struct {
	mu    sync.Mutex
	s     *session
	width int  // of the terminal, 0: there is none
	open  bool // a line stands on the terminal without its end
	last  time.Time
	told  string // the last line, where there is no terminal
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
	line = oneLine(line)
	every := tellEvery
	if p.width > 0 {
		every = redrawEvery
	} else if line == p.told {
		every = repeatEvery
	}
	if now := p.now(); now.Sub(p.last) < every {
		return
	} else {
		p.last = now
	}
	if p.width == 0 {
		p.told = line
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
