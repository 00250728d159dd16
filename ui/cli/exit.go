package cli

import (
	"errors"
	"fmt"
	"strings"

	"kxops/ops"
	"kxops/ui/text"
)

// The exit codes: a contract with scripts.
const (
	exitDone     = 0
	exitError    = 1
	exitUsage    = 2
	exitPartial  = 3  // some section could not be read; the rest stands
	exitRefused  = 4  // by the gate or by a person
	exitHalted   = 5  // by its own guard: canary, budget, unhealthy target
	exitFindings = 10 // asked for with --fail-on: there are findings
)

// exitWith is an error that knows its exit code. An empty sentence ends the
// command with the code and says nothing: the data already told.
type exitWith struct {
	code  int
	what  string
	lines []string // shown as they stand, between the sentence and the hint
	hint  string
	err   error
}

func (e *exitWith) Error() string { return e.what }
func (e *exitWith) Unwrap() error { return e.err }

func wrongUsage(what string) error { return &exitWith{code: exitUsage, what: what} }

// tell prints an error as one sentence and one hint, and returns the exit code.
func (s *session) tell(err error) int {
	if err == nil {
		return exitDone
	}
	code, what, hint := judge(err)
	if what != "" {
		fmt.Fprintf(s.Err, "kxops: %s\n", what)
	}
	var e *exitWith
	if errors.As(err, &e) {
		for _, line := range e.lines {
			fmt.Fprintf(s.Err, "  %s\n", text.Clean(line))
		}
	}
	if hint != "" {
		fmt.Fprintf(s.Err, "  %s\n", hint)
	}
	return code
}

func judge(err error) (code int, what, hint string) {
	var e *exitWith
	if errors.As(err, &e) {
		return e.code, oneLine(e.what), oneLine(e.hint)
	}
	p := ops.AsProblem(err)
	code = exitError
	if p.Fault == ops.FaultRefused {
		code = exitRefused
	}
	return code, oneLine(p.What), oneLine(p.Hint)
}

// oneLine keeps a sentence a sentence: errors may quote what others wrote.
func oneLine(s string) string {
	return strings.Join(strings.Fields(text.Clean(s)), " ")
}
