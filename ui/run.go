package ui

import (
	"context"
	"errors"
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// Run shows the console until the person quits, the context ends or a signal
// comes. The terminal is restored in each case, and after a panic in anything
// the console runs: all its work runs in commands, which Bubble Tea guards.
// Whatever was under way is cancelled before Run returns: operations finish what
// they have in hand, messages that are held are given back, all within a bound.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithFPS(60)}
	if o.Input != nil {
		options = append(options, tea.WithInput(o.Input))
	}
	if o.Output != nil {
		options = append(options, tea.WithOutput(o.Output))
	}
	a := newApp(ctx, o)
	_, err := tea.NewProgram(a, options...).Run()
	err = errors.Join(ended(ctx, err), a.replays.close(), a.alarms.close(), a.work.close())
	if left := a.work.leftOver(); o.Left != nil && len(left) > 0 {
		o.Left(left)
	}
	return err
}

// ended says whether the end of the program was a failure.
func ended(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, tea.ErrInterrupted):
		return nil
	case errors.Is(err, tea.ErrProgramPanic):
		return fmt.Errorf("console: %w", err)
	case errors.Is(err, tea.ErrProgramKilled) && context.Cause(ctx) != nil:
		return nil
	}
	return fmt.Errorf("console: %w", err)
}
