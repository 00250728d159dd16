package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// minInterval: a faster look would only read the same minute again.
const minInterval = time.Second

func newWatch(s *session) *cobra.Command {
	var interval time.Duration
	var count int
	c := &cobra.Command{
		Use:   "watch",
		Short: "Status again and again, one JSON object a line",
		Long: `Prints what "kxops status -o json" prints, one object a line, until it is stopped.
Between two looks it waits as long as the pace, the budget and throttling ask for,
or --interval. Each line tells its own problems in "sections".`,
		Example: `  kxops watch | jq -c '{at, worst, first: .resources[0].name}'`,
		Args:    takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("interval") && interval < minInterval {
				return wrongUsage(fmt.Sprintf("--interval must be at least %s", minInterval))
			}
			if c.Flags().Changed("output") && !s.json() {
				return wrongUsage("watch writes JSON lines only; `kxops status` prints text")
			}
			return s.watch(c.Context(), interval, count)
		},
	}
	f := c.Flags()
	f.DurationVar(&interval, "interval", 0, "time between two looks; default: as the pace and the budget ask for")
	f.IntVar(&count, "count", 0, "stop after so many lines; default: never")
	return c
}

func (s *session) watch(ctx context.Context, interval time.Duration, count int) error {
	a, err := s.reach(ctx)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(s.Out)
	lines.SetEscapeHTML(false)
	for n := 1; ; n++ {
		snapshot, verdicts, err := look(ctx, a)
		if ctx.Err() != nil {
			return nil // stopping it is the normal end
		}
		if err != nil && n == 1 {
			return err
		}
		if err := lines.Encode(newStatusReport(snapshot, verdicts)); err != nil {
			return fmt.Errorf("write a line: %w", err)
		}
		if n == count {
			return nil
		}
		pause := interval
		if pause == 0 {
			pause = max(snapshot.Next, minInterval)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
