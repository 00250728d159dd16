package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"kxops/labs"
	"kxops/labs/sandbox"
	"kxops/ui/text"
)

// upFlags are what `kxops lab up` takes.
type upFlags struct {
	labFlags
	set       []string
	bootstrap string
	listen    string
	pause     bool
}

func newLabUp(s *session) *cobra.Command {
	var f upFlags
	c := &cobra.Command{
		Use:   "up LAB",
		Short: "Deploy a lab, or bring it up to date",
		Long: `Deploys a lab's template. On the sandbox: the one that runs, or one that this command
starts and keeps running until ctrl+c. On AWS: computes a change set, shows each resource,
asks, and then shows CloudFormation's events until the stack is complete. Running it
again updates the stack; nothing to change is said.`,
		Example: `  kxops lab up lab2
  kxops lab up lab2 --set Shards=4 --set Encryption=none
  kxops --access change --profile sandbox-account lab up lab2 --on aws --bootstrap bootstrap`,
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			return s.labUp(c.Context(), l, f)
		},
	}
	f.register(c)
	c.Flags().StringArrayVar(&f.set, "set", nil, "a parameter of the template: NAME=VALUE, may be repeated")
	c.Flags().StringVar(&f.bootstrap, "bootstrap", "", "on aws: kxops built for linux/arm64, which runs the functions; default: this program if it is that")
	c.Flags().BoolVar(&f.pause, "pause", false, "lab1: wait for enter before each call")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:4566", "where a sandbox that this command starts listens; port 0 takes a free one")
	return c
}

// settings are the template's parameters: the lab's own for the place, then the
// person's.
func (f upFlags) settings(l *labs.Lab, onSandbox bool) (map[string]string, error) {
	out := map[string]string{}
	if onSandbox {
		maps.Copy(out, l.Settings)
	}
	for _, p := range f.set {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, wrongUsage(fmt.Sprintf("--set %q: write NAME=VALUE", p))
		}
		out[name] = value
	}
	return out, nil
}

func (s *session) labUp(ctx context.Context, l *labs.Lab, f upFlags) error {
	if _, err := f.settings(l, true); err != nil {
		return err
	}
	switch {
	case l.ByHand && len(f.set) > 0:
		return wrongUsage("--set is for templates; " + l.ID + " has none")
	case !l.ByHand && f.pause:
		return wrongUsage("--pause is for lab1, which is built call by call")
	}
	g, ok, err := s.onGround(ctx, f.labFlags)
	if err != nil {
		return err
	}
	if ok {
		return g.raiseLab(ctx, l, f)
	}
	return s.withSandbox(ctx, f.listen, func(ctx context.Context, at openSandbox) error {
		g, err := s.onLoopback(ctx, at)
		if err != nil {
			return err
		}
		if err := g.raiseLab(ctx, l, f); err != nil || s.dryRun {
			return errors.Join(err, errEnough)
		}
		fmt.Fprintf(s.Err, "the sandbox runs in this terminal; ctrl+c ends it, and the lab with it\nin another terminal: eval \"$(kxops lab env)\"; kxops\n")
		return nil
	})
}

// errEnough ends a sandbox that was started for one thing only.
var errEnough = errors.New("that was all")

// withSandbox starts a sandbox, does something on it and keeps it running until
// the context ends.
func (s *session) withSandbox(ctx context.Context, listen string, then func(context.Context, openSandbox) error) (err error) {
	if err := checkListen(listen, false); err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return cannotListen(listen, err)
	}
	defer l.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	sb, err := sandbox.New(sandbox.Options{Seed: defaultSeed, Live: true, Brisk: true, Failed: fail, Code: labCode(s.Err)})
	if err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	defer sb.Close()
	leave, err := recordSandbox(sb, l)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serve(ctx, sb, l) }()
	err = then(ctx, openSandbox{"http://" + l.Addr().String(), sb.Token(), 0})
	if err != nil {
		fail(nil)
	}
	<-ctx.Done()
	if errors.Is(err, errEnough) {
		err = unjoined(err)
	}
	return errors.Join(err, <-served, leave(), broken(ctx))
}

// unjoined is an error without errEnough beside it.
func unjoined(err error) error {
	var out []error
	if j, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // made just above, not wrapped
		for _, e := range j.Unwrap() {
			if !errors.Is(e, errEnough) {
				out = append(out, e)
			}
		}
	}
	return errors.Join(out...)
}

// raiseLab plans, shows, asks where it costs money, and applies.
func (g *ground) raiseLab(ctx context.Context, l *labs.Lab, f upFlags) error {
	if l.ByHand {
		return g.raiseByHand(ctx, l, f)
	}
	settings, err := f.settings(l, g.place.Sandbox)
	if err != nil {
		return err
	}
	if !g.place.Sandbox {
		if err := g.mayRaise(); err != nil {
			return err
		}
	}
	code, err := g.code(f.bootstrap)
	if err != nil {
		return err
	}
	stack := l.In(g.place)
	plan, err := stack.Plan(ctx, code, settings)
	if errors.Is(err, labs.ErrNoChange) {
		fmt.Fprintf(g.Err, "no changes: %s is up to date on %s\n", stack.Name, g.where())
		out, err := stack.Outputs(ctx)
		if err != nil {
			return err
		}
		return g.printOutputs(l, out)
	}
	if err != nil {
		return g.explain(err)
	}
	g.printLabPlan(plan)
	if g.dryRun {
		return plan.Discard(ctx)
	}
	if !g.place.Sandbox {
		if err := g.sure(ctx, "deploy this to "+text.Clean(g.where())+"? it costs money until kxops lab down "+l.ID+"; type "+l.ID+" to go on: ", l.ID); err != nil {
			return errors.Join(err, plan.Discard(ctx))
		}
	}
	out, err := plan.Apply(ctx, g.printEvent)
	if err != nil {
		return err
	}
	return g.printOutputs(l, out)
}

// mayRaise refuses what would be refused at the end.
func (g *ground) mayRaise() error {
	if g.dryRun {
		return mayChange(g.account) // the plan itself uploads the code and makes a change set
	}
	if g.account.guarded(g.place.Account) {
		return refused(fmt.Sprintf("the account %s is protected by the configuration: labs are for accounts in which nothing runs", g.place.Account), "")
	}
	return firstError(mayChange(g.account), g.somebodyToAsk())
}

func (g *ground) printLabPlan(p *labs.Plan) {
	verb := "update"
	if p.First {
		verb = "create"
	}
	fmt.Fprintf(g.Err, "%s the stack %s on %s: %d changes\n", verb, p.Stack.Name, text.Clean(g.where()), len(p.Changes))
	if g.place.Sandbox && p.First {
		return // nothing can be lost, and each resource shows as it is made
	}
	for _, c := range p.Changes {
		line := fmt.Sprintf("  %-7s %-38s %s", strings.ToLower(c.Action), c.Kind, c.ID)
		if c.Replaces {
			line += "  (replaced: what is in it is lost)"
		}
		fmt.Fprintln(g.Err, text.Clean(line))
	}
}

func (g *ground) printOutputs(l *labs.Lab, out labs.Outputs) error {
	if g.json() {
		return g.printJSON(map[string]any{"schema": "kxops/lab/v1", "lab": l.ID, "outputs": out})
	}
	for _, k := range sortedKeys(out) {
		if err := g.printText(text.Clean(fmt.Sprintf("%-20s %s", k, out[k])) + "\n"); err != nil {
			return err
		}
	}
	return nil
}

func newLabDown(s *session) *cobra.Command {
	var f labFlags
	c := &cobra.Command{
		Use:   "down LAB",
		Short: "Delete a lab with everything in it",
		Long: `Shows what is in the lab's buckets, asks, empties them, deletes the stack and the
bucket with the functions' code. What could not be deleted is named; running it again
goes on from there.`,
		Example: "  kxops lab down lab2\n  kxops --access change lab down lab2 --on aws",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			return s.labDown(c.Context(), l, f)
		},
	}
	f.register(c)
	return c
}

func (s *session) labDown(ctx context.Context, l *labs.Lab, f labFlags) error {
	g, err := s.mustGround(ctx, f)
	if err != nil {
		return err
	}
	if !g.place.Sandbox {
		if err := g.mayRaise(); err != nil {
			return err
		}
	}
	if l.ByHand {
		return s.downByHand(ctx, g, l)
	}
	stack := l.In(g.place)
	there, err := stack.Deployed(ctx)
	if err != nil {
		return g.explain(err)
	}
	if !there {
		fmt.Fprintf(g.Err, "no changes: %s is not deployed on %s\n", stack.Name, text.Clean(g.where()))
		return nil
	}
	buckets, err := stack.Buckets(ctx)
	if err != nil {
		return g.explain(err)
	}
	fmt.Fprintf(g.Err, "delete the stack %s on %s, with\n", stack.Name, text.Clean(g.where()))
	for _, b := range buckets {
		more := ""
		if b.More {
			more = " or more"
		}
		fmt.Fprintln(g.Err, text.Clean(fmt.Sprintf("  the bucket %s and its %d objects%s, %d bytes%s", b.Bucket, b.Objects, more, b.Bytes, more)))
	}
	if g.dryRun {
		return nil
	}
	if !g.place.Sandbox {
		if err := g.sure(ctx, "this cannot be undone; type "+l.ID+" to go on: ", l.ID); err != nil {
			return err
		}
	}
	if err := stack.Down(ctx, buckets, g.printEvent); err != nil {
		return err
	}
	fmt.Fprintf(g.Err, "%s is gone\n", stack.Name)
	return nil
}
