package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kxops/labs"
	"kxops/ui/text"
)

// raiseByHand builds a lab call by call and shows each request. With a pause it
// waits for the person before each.
func (g *ground) raiseByHand(ctx context.Context, l *labs.Lab, f upFlags) error {
	if !g.place.Sandbox {
		if err := g.mayRaise(); err != nil {
			return err
		}
	}
	code, err := g.code(f.bootstrap)
	if err != nil {
		return err
	}
	hand := labs.ByHand(g.place)
	steps := hand.Steps(code)
	if !g.place.Sandbox && !g.dryRun {
		fmt.Fprintf(g.Err, "%d calls on %s\n", len(steps), text.Clean(g.where()))
		if err := g.sure(ctx, "build it? it costs money until kxops lab down "+l.ID+"; type "+l.ID+" to go on: ", l.ID); err != nil {
			return err
		}
	}
	for i, step := range steps {
		if err := g.tellStep(i+1, len(steps), step); err != nil {
			return err
		}
		if g.dryRun {
			continue
		}
		if f.pause {
			if _, err := g.ask(ctx, "  enter makes the call: "); err != nil {
				return err
			}
		}
		switch err := step.Do(ctx); {
		case err == nil:
			fmt.Fprintln(g.Err, "  made")
		case labs.There(err):
			fmt.Fprintln(g.Err, "  is there already")
		default:
			return errors.Join(err, refused(fmt.Sprintf("%d of %d calls were made", i, len(steps)), "kxops lab up "+l.ID+" goes on from there, kxops lab down "+l.ID+" takes it back"))
		}
		fmt.Fprintf(g.Err, "\n  %s\n", labs.Drawing(steps, i+1))
	}
	if g.dryRun {
		return nil
	}
	out, err := l.In(g.place).Outputs(ctx)
	if err != nil {
		return err
	}
	return g.printOutputs(l, out)
}

// tellStep shows a call before it is made: what, why, the request, and the line
// that does the same by the AWS CLI.
func (g *ground) tellStep(n, of int, step labs.Step) error {
	request, err := step.JSON()
	if err != nil {
		return err
	}
	line, err := step.CLI()
	if err != nil {
		return err
	}
	fmt.Fprintf(g.Err, "\n%d of %d  %s\n  %s\n", n, of, step.Title, step.Why)
	for _, r := range strings.Split(request, "\n") {
		fmt.Fprintf(g.Err, "    %s\n", text.Clean(r))
	}
	fmt.Fprintf(g.Err, "  %s\n", text.Clean(line))
	return nil
}

func (s *session) downByHand(ctx context.Context, g *ground, l *labs.Lab) error {
	fmt.Fprintf(g.Err, "delete the lab %s on %s, with every event in its bucket\n", l.ID, text.Clean(g.where()))
	if g.dryRun {
		return nil
	}
	if !g.place.Sandbox {
		if err := g.sure(ctx, "this cannot be undone; type "+l.ID+" to go on: ", l.ID); err != nil {
			return err
		}
	}
	if err := labs.ByHand(g.place).Down(ctx, func(what string) { fmt.Fprintln(g.Err, "  "+text.Clean(what)) }); err != nil {
		return err
	}
	fmt.Fprintf(g.Err, "%s is gone\n", l.ID)
	return nil
}
