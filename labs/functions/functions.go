// Package functions has the code of the labs' Lambda functions. The same code
// runs in two places: in process in the sandbox, and on AWS, where the kxops
// binary itself is the custom runtime (runtime.go).
//
// Read functions.go first, then one file for each function.
package functions

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Handler answers one invocation: the event and the answer are JSON.
type Handler func(ctx context.Context, event []byte) ([]byte, error)

// Place is where a function runs: what it may use, and nothing else.
type Place struct {
	Config      aws.Config        // for SDK clients, with the function's role
	Environment map[string]string // the function's variables
	Now         func() time.Time
	// Wait lets time pass, as one waits for somebody's answer; its error is that the
	// invocation's time is over.
	Wait func(context.Context, time.Duration) error
	// Log takes one line for the function's log: what went wrong, never a body.
	Log func(line string)
}

// setting is a variable that the function cannot do without.
func (p Place) setting(name string) (string, error) {
	if v := p.Environment[name]; v != "" {
		return v, nil
	}
	return "", fmt.Errorf("the function has no variable %s: the template sets it", name)
}

// slow waits as long as the variable SLOW says: a release that waits for an answer
// which does not come (kxops lab fault LAB slow).
func (p Place) slow(ctx context.Context) error {
	text := p.Environment["SLOW"]
	if text == "" {
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("the variable SLOW: %w", err)
	}
	return p.Wait(ctx, d)
}

// makers is THE list of functions, by the Handler setting of their template.
var makers = map[string]func(Place) (Handler, error){
	"ingest":     newIngest,
	"transform":  newTransform,
	"process":    newProcess,
	"employee":   newEmployee,
	"access":     newAccess,
	"bank":       newBank,
	"projection": newProjection,
}

// Names lists the functions.
func Names() []string {
	var out []string
	for name := range makers {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

// New makes the function with a name, as a new execution environment does. A
// function that cannot start fails each invocation with the reason, as on AWS;
// ok is false for a name that no lab has.
func New(name string, p Place) (h Handler, ok bool) {
	start, ok := makers[name]
	if !ok {
		return nil, false
	}
	h, err := start(p)
	if err != nil {
		return func(context.Context, []byte) ([]byte, error) { return nil, err }, true
	}
	return h, true
}
