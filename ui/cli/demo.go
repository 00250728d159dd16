package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"kxops/labs/sandbox"
	"kxops/ops/cloud"
	"kxops/ops/survey"
	"kxops/ui/config"
)

// demoAlias is the display name of the account that is none.
const demoAlias = "sandbox"

func newDemo(s *session) *cobra.Command {
	var scenario scenarioFlag
	var seed uint64
	var at string
	c := &cobra.Command{
		Use:   "demo",
		Short: "The console on an AWS that runs inside the program; no account is needed",
		Long: `Opens the console on the embedded sandbox: an AWS account with three hours of
history and running traffic. Nothing leaves the machine, nothing stays on disk (the
record of what is done with dead letters lies in a temporary directory), no
credentials are read.`,
		Example: "  kxops demo\n  kxops demo --scenario scale",
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			start, err := startOf(at)
			if err != nil {
				return err
			}
			ctx, fail := context.WithCancelCause(c.Context())
			defer fail(nil)
			if err := s.demo(ctx, raise(string(scenario), seed, start, fail), string(scenario)); err != nil {
				return err
			}
			return broken(ctx) // the console has given the terminal back
		},
	}
	f := c.Flags()
	f.SortFlags = false
	scenario.register(c)
	f.Uint64Var(&seed, "seed", defaultSeed, "makes a run repeatable")
	f.StringVar(&at, "at", "", "the time it is in the demo when it opens, such as 2026-11-22T14:03:00Z; default: now")
	return c
}

func startOf(at string) (time.Time, error) {
	if at == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return t, wrongUsage(fmt.Sprintf("--at %q is no time; write it as 2026-11-22T14:03:00Z", at))
	}
	return t, nil
}

// stage is a sandbox whose past is being played while the console already shows.
type stage struct {
	start time.Time
	ready chan struct{} // closed when sb or err is set
	sb    *sandbox.Sandbox
	err   error
}

// raise starts to play a past. failed is told if the world breaks, then or later:
// a panic in a goroutine of our own would leave the terminal as the console had it.
func raise(scenario string, seed uint64, start time.Time, failed func(error)) *stage {
	st := &stage{start: start, ready: make(chan struct{})}
	go func() {
		defer close(st.ready)
		defer func() {
			if p := recover(); p != nil {
				st.err = fmt.Errorf("play the past of the demo: a panic: %v\n%s", p, debug.Stack())
				failed(st.err)
			}
		}()
		st.sb, st.err = startSandbox(scenario, seed, false, start, io.Discard, failed)
	}()
	return st
}

// sandbox waits until the sandbox is ready.
func (st *stage) sandbox(ctx context.Context) (*sandbox.Sandbox, error) {
	select {
	case <-st.ready:
		return st.sb, st.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// now is the sandbox's time, and before it is ready the time that it will be.
func (st *stage) now() time.Time {
	select {
	case <-st.ready:
		if st.sb != nil {
			return st.sb.Now()
		}
	default:
	}
	if st.start.IsZero() {
		return time.Now()
	}
	return st.start
}

// close stops the sandbox. One that is still being made ends with the program:
// nobody should wait for the past when they want to leave.
func (st *stage) close() {
	select {
	case <-st.ready:
		if st.sb != nil {
			st.sb.Close()
		}
	default:
	}
}

// demo shows the console on a sandbox, or its status where there is no terminal.
func (s *session) demo(ctx context.Context, st *stage, scenario string) error {
	defer st.close()
	records, err := os.MkdirTemp("", "kxops-demo-") // what is done in a demo is no part of a person's journal
	if err != nil {
		return err
	}
	defer os.RemoveAll(records)
	open := func(ctx context.Context, _, region string) (*account, error) {
		sb, err := st.sandbox(ctx)
		if err != nil {
			return nil, err
		}
		a, err := s.openDemo(ctx, sb, region)
		if err != nil {
			return nil, err
		}
		a.records = records
		return a, nil
	}
	if why := s.noConsole(); why != "" {
		a, err := open(ctx, "", s.region)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "%s: this is the status of the demo\n", why)
		return s.statusOf(ctx, a)
	}
	return s.show(ctx, &backend{open: open, region: s.region, fixed: true, clock: st.now, records: records}, scenario)
}

// openDemo opens a region of the sandbox. Its calls take the whole way through
// SDK, gate and wire protocol, but no socket.
func (s *session) openDemo(ctx context.Context, sb *sandbox.Sandbox, region string) (*account, error) {
	cfg := sb.Config()
	level := cloud.Peek
	if s.access.set {
		level = s.access.level
	}
	door, err := cloud.Open(ctx, cloud.Options{Region: region, Access: level, Alias: demoAlias, NoQuotas: true, Config: &cfg, Meter: s.meter})
	if err != nil {
		return nil, err
	}
	return &account{
		cloud:  door,
		survey: survey.New(door, survey.Options{NoCache: true, Budget: float64(s.budget), Now: sb.Now}),
		set:    config.Profile{Alias: demoAlias},
		asked:  s.access.set,
		clock:  sb.Now,
	}, nil
}
