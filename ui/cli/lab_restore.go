package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kxops/ui/text"
)

func newLabRestore(s *session) *cobra.Command {
	var f labFlags
	var at timeFlag
	c := &cobra.Command{
		Use:   "restore LAB",
		Short: "Lab 4: a new table of the accounts as they were at a time",
		Long: `Restores the table of the accounts to a point in time, as a new table beside the old
one, and prints its name. The projection goes on with the old one until
"kxops lab up lab4 --set AccountsTable=NAME".`,
		Example: "  kxops lab restore lab4 --at 10m\n  kxops lab restore lab4 --at 2026-11-23T12:00:00Z",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			switch {
			case !l.Accounts:
				return wrongUsage(l.ID + " has no table to restore")
			case at == "":
				return wrongUsage("--at is missing: the time to restore to, such as 10m (so long ago) or 2026-11-23T12:00:00Z")
			}
			g, err := s.mustGround(c.Context(), f)
			if err != nil {
				return err
			}
			when, err := at.when(time.Now())
			if err != nil {
				return err
			}
			if !g.place.Sandbox {
				if err := g.mayRaise(); err != nil {
					return err
				}
				if err := g.sure(c.Context(), fmt.Sprintf("make a new table on %s? y/N ", text.Clean(g.where())), "y", "yes"); err != nil {
					return err
				}
			}
			name, err := l.In(g.place).Restore(c.Context(), when)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Err, "the projection goes on with it after kxops lab up %s --set AccountsTable=%s\n", l.ID, name)
			if s.json() {
				return s.printJSON(map[string]any{"schema": "kxops/lab-restore/v1", "table": name})
			}
			return s.printText(name + "\n")
		},
	}
	f.register(c)
	c.Flags().Var(&at, "at", "the time to restore to")
	return c
}
