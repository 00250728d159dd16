//go:build !windows

package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"kxops/ui/shot/terminal"
)

// atLetters comes to the letters of a queue of the demo, by keys alone.
func atLetters(t *testing.T, queue string) *journey {
	t.Helper()
	j := start(t, terminal.Options{}, nil, "demo", "--at", "2026-11-22T03:14:00Z")
	j.sees("DEMO", "incident", "PAGE", queue)
	j.types("D")
	j.sees("overview > dlq", "SOURCES", queue)
	j.types("/" + queue + "\r")
	j.sees("1 of 1")
	j.types("\r")
	j.sees("look at "+queue+"?", "SQS cannot be looked at without receiving", "the receive count")
	j.types("\r")
	j.sees("back in", "all letters")
	return j
}

// arms waits until the keyboard was quiet for long enough to confirm something: that
// is what is tested here, no waiting for something to happen.
func (j *journey) arms() { time.Sleep(400 * time.Millisecond) }

// The incident: why are they here, send a group on, a canary first, leave the
// screen while it runs, come back, stop it, see what became of it.
func TestJourneyRedrive(t *testing.T) {
	t.Parallel()
	j := atLetters(t, "orders-dlq")
	j.types("j")
	j.sees("total is a string (others: number)", "by origin and shape")
	j.types(" k") // marks the group; the cursor goes on, and back
	j.sees("1 marked")
	j.types("\r\r") // letters, message
	j.sees("> message", `"total": "`)
	j.types("h")
	j.seesNoMore("> message")
	j.types("h") // to the groups
	j.types("d")
	j.sees("redrive orders-dlq", "queue orders", "a canary first", "has to be typed", "aws sqs send-message-batch", "locked: U unlocks")
	j.arms()
	j.types("y")
	j.sees("this session is read-only; U unlocks changes")
	j.types("U")
	j.sees("CHANGE 9:5", "type the name")
	j.arms()
	j.types("y")
	j.sees("type orders-dlq to apply:")
	j.types("orders-dlq\r")
	j.sees("redrive of orders-dlq", "canary: 1 of", "The demo's operations end with it")
	j.types("o")
	j.sees("LAG/DEPTH", "redrive 4%") // it goes on, and the header says so
	j.types("q")
	j.sees("quit while something runs?", "This is the demo")
	j.types("\x1b")
	j.seesNoMore("quit while")
	j.types("O")
	j.sees("operations", "watching")
	j.types("\r")
	j.sees("canary: 1 of")
	j.types("c")
	j.sees("cancel redrive of orders-dlq?")
	j.arms()
	j.types("y")
	j.sees("CANCELLED", "pass rate", "were not touched and are still in orders-dlq")
	j.types("q")
	j.ends(0)
	if left, err := filepath.Glob(filepath.Join(j.home, "kxops", "*")); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v in the person's own journal, %v", left, err)
	}
}

// A whole redrive to its end: into a file, where nothing has to be watched.
func TestJourneyRedriveToTheEnd(t *testing.T) {
	t.Parallel()
	j := atLetters(t, "thumbnails-dlq")
	j.sees("failed", "cannot decode") // the reason, decoded
	j.types("j")
	j.sees("unknown image format heic")
	out := filepath.Join(j.home, "heic.jsonl")
	j.types("d")
	j.sees("redrive thumbnails-dlq")
	j.types("t")
	j.sees("to:", "each message to the queue it came from")
	j.types("\x15file:" + out + "\r")
	j.sees("file " + j.home)
	j.types("U")
	j.sees("CHANGE 9:5")
	j.arms()
	j.types("y")
	j.sees("DONE", "pass rate       100.0%", "recorded as sent")
	lines, err := os.ReadFile(out)
	if err != nil || bytes.Count(lines, []byte("\n")) < 30 {
		t.Errorf("the file has %d lines, %v", bytes.Count(lines, []byte("\n")), err)
	}
	j.types("\x1b")
	j.sees("1 group", "nothing held") // what went away is not in the triage any more
	j.types("q")
	j.ends(0)
}

// Killed by a signal while it holds messages, the console still gives them back and
// leaves the terminal as it found it.
func TestJourneySignalWhileHolding(t *testing.T) {
	t.Parallel()
	j := atLetters(t, "invoices-dlq")
	j.signal(syscall.SIGTERM)
	j.ends(0)
}
