package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"kxops/ops"
)

func newReplayQueries(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "queries", Short: "What was asked in Athena lately, by all workgroups: a replay can begin with it",
		Long: `Lists the last 50 queries of each workgroup, newest first. A SELECT of one table can be
replayed: "kxops replay plan --from athena:ID" asks for its condition again, with its
values, and --filter says the same of one record. The others say why not.`,
		Example: `  kxops replay queries
  kxops replay plan --from athena:0f8fad5b-d9cb-469f-a165-70867728950e --filter '.customer == "4712"' --to null:`,
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := s.atTapes(c.Context())
			if err != nil {
				return err
			}
			if err := t.mayRead(); err != nil {
				return err
			}
			queries, bad := t.desk.Queries(c.Context())
			if bad != nil && len(queries) == 0 {
				return bad
			}
			if err := t.printQueries(queries); err != nil {
				return err
			}
			return bad
		},
	}
}

func (t *tapes) printQueries(queries []ops.PastQuery) error {
	if t.json() {
		return t.printJSON(struct {
			Schema  string          `json:"schema"`
			Queries []ops.PastQuery `json:"queries"`
		}{"kxops/queries/v1", append([]ops.PastQuery{}, queries...)})
	}
	p := t.paper()
	if len(queries) == 0 {
		p.line("nothing was asked in Athena lately: it keeps 45 days")
		return t.printText(p.b.String())
	}
	var rows [][]string
	for _, x := range queries {
		replays := strings.TrimPrefix(x.From, string(ops.KindAthena)+":")
		if x.From == "" {
			replays = "no: " + x.Why
		}
		rows = append(rows, []string{x.ID, x.At.UTC().Format("2006-01-02 15:04"), strings.ToLower(x.State), sizeText(float64(x.Scanned)), x.Question.Workgroup, named(replays), named(oneLine(x.SQL))})
	}
	p.aligned([]string{"ID", "ASKED (UTC)", "STATE", "SCANNED", "WORKGROUP", "REPLAYS", "QUERY"}, rows)
	return t.printText(p.b.String())
}
