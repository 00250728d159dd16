// Package terminal runs a program under a terminal that exists only in memory:
// what it writes becomes cells that can be read, what is typed reaches it as
// keys. The screenshot tool and the journey tests of the real binary use it.
package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// Cell is one cell of the screen.
type Cell = uv.Cell

// Terminal is a program and the screen that it writes to. It is safe for
// concurrent use.
type Terminal struct {
	cmd    *exec.Cmd
	pty    *os.File
	silent bool
	done   chan struct{} // closed when the program has ended and all was read
	err    error         // of the program, once done is closed

	mu      sync.Mutex
	screen  *vt.Emulator
	raw     []byte
	changed chan struct{} // closed and replaced with every write
}

// Options shape a terminal.
type Options struct {
	Cols, Rows int
	// Silent never answers queries, as serial lines and many scripts do.
	Silent bool
}

// Start runs the program under a new terminal. It fails where there are no
// pseudo terminals (Windows).
func Start(cmd *exec.Cmd, o Options) (*Terminal, error) {
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: uint16(o.Rows), Cols: uint16(o.Cols)})
	if err != nil {
		return nil, fmt.Errorf("start %s under a terminal: %w", cmd.Path, err)
	}
	t := &Terminal{
		cmd: cmd, pty: f, silent: o.Silent, done: make(chan struct{}), changed: make(chan struct{}),
		screen: vt.NewEmulator(o.Cols, o.Rows),
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		t.answer()
	}()
	go t.show(answered)
	return t, nil
}

// show carries what the program writes to the screen until it ends.
func (t *Terminal) show(answered <-chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := t.pty.Read(buf)
		if n > 0 {
			t.mu.Lock()
			t.raw = append(t.raw, buf[:n]...)
			_, _ = t.screen.Write(buf[:n]) // an emulator in memory does not fail
			close(t.changed)
			t.changed = make(chan struct{})
			t.mu.Unlock()
		}
		if err != nil { // EIO: the last one who had the terminal open is gone
			break
		}
	}
	t.err = t.cmd.Wait()
	// Closing the pipe, not the emulator: its Close races with its Read.
	if c, ok := t.screen.InputPipe().(io.Closer); ok {
		c.Close()
	}
	<-answered
	t.pty.Close()
	close(t.done)
}

// answer sends the emulator's replies to the program's queries. They must be
// taken from the emulator even when they are not sent, or it stops.
func (t *Terminal) answer() {
	buf := make([]byte, 4<<10)
	for {
		n, err := t.screen.Read(buf)
		if n > 0 && !t.silent {
			if _, err := t.pty.Write(buf[:n]); err != nil {
				_, _ = io.Copy(io.Discard, t.screen)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Type sends keys as a keyboard would.
func (t *Terminal) Type(keys string) error {
	_, err := t.pty.WriteString(keys)
	return err
}

// Resize changes the size of the terminal, as a person who drags a window does.
func (t *Terminal) Resize(cols, rows int) error {
	t.mu.Lock()
	t.screen.Resize(cols, rows)
	t.mu.Unlock()
	return pty.Setsize(t.pty, &pty.Winsize{Rows: uint16(rows), Cols: uint16(cols)})
}

// Text returns the screen as lines of text without trailing spaces.
func (t *Terminal) Text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text()
}

func (t *Terminal) text() string {
	lines := strings.Split(t.screen.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Cells returns a copy of the screen, by row and column.
func (t *Terminal) Cells() [][]Cell {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := make([][]Cell, t.screen.Height())
	for y := range rows {
		rows[y] = make([]Cell, t.screen.Width())
		for x := range rows[y] {
			if c := t.screen.CellAt(x, y); c != nil {
				rows[y][x] = *c
			}
		}
	}
	return rows
}

// Raw returns every byte that the program has written.
func (t *Terminal) Raw() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.raw...)
}

// Written returns how many bytes the program has written.
func (t *Terminal) Written() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.raw)
}

// AltScreen reports whether the alternate screen is on.
func (t *Terminal) AltScreen() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.screen.IsAltScreen()
}

// Wait returns as soon as the screen is as wanted. The error, when the context
// ends or the program does, shows the screen.
func (t *Terminal) Wait(ctx context.Context, wanted func(screen string) bool) error {
	for {
		t.mu.Lock()
		screen, changed := t.text(), t.changed
		t.mu.Unlock()
		if wanted(screen) {
			return nil
		}
		select {
		case <-changed:
		case <-t.done:
			if wanted(t.Text()) {
				return nil
			}
			return fmt.Errorf("the program ended (%v); the screen was:\n%s", t.err, t.Text())
		case <-ctx.Done():
			return fmt.Errorf("%w; the screen was:\n%s", ctx.Err(), screen)
		}
	}
}

// See waits until the screen shows all of the words.
func (t *Terminal) See(patience time.Duration, words ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	missing := ""
	err := t.Wait(ctx, func(screen string) bool {
		for _, w := range words {
			if !strings.Contains(screen, w) {
				missing = w
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("waited %s for %q: %w", patience, missing, err)
	}
	return nil
}

// Process returns the program, to send it signals.
func (t *Terminal) Process() *os.Process { return t.cmd.Process }

// End waits until the program has ended and returns its error, as exec.Cmd.Wait does.
func (t *Terminal) End(patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-t.done:
		return t.err
	case <-timer.C:
		return fmt.Errorf("the program did not end within %s; the screen was:\n%s", patience, t.Text())
	}
}

// Kill ends the program the hard way and waits for it.
func (t *Terminal) Kill() error {
	if err := t.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-t.done
	return nil
}
