package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kxops/labs"
	"kxops/ops"
	"kxops/ui/text"
)

func newLabQuery(s *session) *cobra.Command {
	var f labFlags
	c := &cobra.Command{
		Use:   "query LAB SQL",
		Short: "Ask the event store of lab 2 or lab 4 in Athena's SQL",
		Long: `Runs one query in the lab's Athena workgroup, waits for it and prints the rows. Athena
bills the bytes that a query scans; a condition on dt, the day, keeps them few. The
workgroup stops a query that would scan more than it allows.`,
		Example: `  kxops lab query lab2 "SELECT type, count(*) AS n FROM events GROUP BY type"`,
		Args:    takes(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			g, err := s.mustGround(c.Context(), f)
			if err != nil {
				return err
			}
			return g.query(c.Context(), l, args[1])
		},
	}
	f.register(c)
	return c
}

func (g *ground) query(ctx context.Context, l *labs.Lab, sql string) error {
	a, err := l.In(g.place).Query(ctx, sql)
	if err != nil {
		return g.explain(err)
	}
	if g.json() {
		return g.printJSON(map[string]any{"schema": "kxops/lab-query/v1", "query": a.Query, "columns": a.Columns, "rows": a.Rows, "more": a.More, "scanned_bytes": a.Scanned})
	}
	if err := g.printText(aligned(a.Columns, a.Rows)); err != nil {
		return err
	}
	more := ""
	if a.More {
		more = " or more"
	}
	fmt.Fprintf(g.Err, "%d rows%s; %d bytes scanned, about $%.4f; query %s\n", len(a.Rows), more, a.Scanned, ops.QueryPrice(a.Scanned), text.Clean(a.Query))
	return nil
}

// aligned writes rows as columns that stand under each other.
func aligned(columns []string, rows [][]string) string {
	wide := make([]int, len(columns))
	clean := make([][]string, 0, len(rows)+1)
	for _, row := range append([][]string{columns}, rows...) {
		out := make([]string, len(columns))
		for i := range columns {
			if i < len(row) {
				out[i] = text.Clean(row[i])
			}
			wide[i] = max(wide[i], text.Width(out[i]))
		}
		clean = append(clean, out)
	}
	var b strings.Builder
	for _, row := range clean {
		line := ""
		for i, cell := range row {
			line += cell + strings.Repeat(" ", wide[i]-text.Width(cell)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}
