package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kxops/ops"
)

// athenaFlags say what Athena is asked for `kxops replay plan --from athena:…`.
type athenaFlags struct {
	where     string
	params    []ops.ReplayParam
	mode      choiceFlag
	whole     bool
	column    string
	workgroup string
	results   string
}

// athenaOnly are the flags that mean nothing for another source.
var athenaOnly = []string{"where", "param", "number", "mode", "whole-objects", "body-column", "workgroup", "results"}

func newAthenaFlags() athenaFlags {
	return athenaFlags{mode: choiceFlag{value: ops.QueryRaw, allowed: []string{ops.QueryRaw, ops.QueryRows}}}
}

func (f *athenaFlags) register(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.where, "where", "", "athena: the condition, with a ? for each value: 'account = ? and dt = ?'")
	fs.Var(&paramFlag{to: &f.params}, "param", "athena: a text for the next ? of --where; bound, never part of the SQL")
	fs.Var(&paramFlag{to: &f.params, number: true}, "number", "athena: a number for the next ? of --where")
	fs.Var(&f.mode, "mode", "athena: raw reads the objects that the rows lie in, byte for byte, and --filter chooses the records; rows takes the rows as UNLOAD writes them anew")
	fs.BoolVar(&f.whole, "whole-objects", false, "athena, raw: all records of these objects are meant, no --filter is needed")
	fs.StringVar(&f.column, "body-column", "", "athena, rows: the column that is the event; default: the whole row")
	fs.StringVar(&f.workgroup, "workgroup", "", "athena: the workgroup, whose limit and place for results count; default: primary")
	fs.StringVar(&f.results, "results", "", "athena: s3://BUCKET/PREFIX for what Athena writes; default: the workgroup's")
	completeWith(c, "mode", f.mode.allowed)
}

func (f *athenaFlags) check(c *cobra.Command, from string) error {
	if kindOf(from) == string(ops.KindAthena) {
		return nil
	}
	for _, name := range athenaOnly {
		if c.Flags().Changed(name) {
			return wrongUsage(fmt.Sprintf("--%s is for --from athena:DATABASE.TABLE", name))
		}
	}
	return nil
}

func (f *athenaFlags) question() ops.ReplayQuestion {
	return ops.ReplayQuestion{Workgroup: f.workgroup, Where: f.where, Params: f.params, Mode: f.mode.value, Whole: f.whole, Body: f.column, Results: f.results}
}

// errShownOnly ends a dry run in front of the query.
var errShownOnly = errors.New("only shown")

// toQuery says what a query is and costs at most, and asks where that may be much. The
// dry run ends here: a query costs.
func (t *tapes) toQuery(ctx context.Context) func(ops.ReplayQuery) error {
	return func(q ops.ReplayQuery) error {
		most, limited := q.MostUSD()
		limit := "no limit of bytes"
		if limited {
			limit = fmt.Sprintf("stopped above %s, at most %s", sizeText(float64(q.Limit)), dollars(most))
		}
		t.say(fmt.Sprintf("asking Athena in workgroup %s (%s; $%.2f a TB scanned, 10 MB at least)", q.Workgroup, limit, ops.PricePerTBScanned))
		t.say("  " + q.SQL + paramsText(q.Params))
		switch {
		case t.dryRun:
			return errShownOnly
		case limited && most <= doubtUSD:
			return nil
		case limited:
			return t.sure(ctx, fmt.Sprintf("spend up to %s? y/N ", dollars(most)), "y", "yes")
		}
		return t.sure(ctx, "the workgroup does not limit what the query scans. Start it? y/N ", "y", "yes")
	}
}

func paramsText(params []ops.ReplayParam) string {
	if len(params) == 0 {
		return ""
	}
	var parts []string
	for _, p := range params {
		if p.Number {
			parts = append(parts, p.Value)
		} else {
			parts = append(parts, fmt.Sprintf("%q", p.Value))
		}
	}
	return " with " + strings.Join(parts, ", ")
}

// queryText is one query, as a plan shows it.
func queryText(q *ops.ReplayQuery) (sql, told string) {
	if q == nil || q.ID == "" {
		return "", ""
	}
	told = fmt.Sprintf("workgroup %s, query %s, %s scanned, %s", q.Workgroup, q.ID, sizeText(float64(q.Scanned)), dollars(q.USD))
	if q.Mode == ops.QueryRaw {
		told += ", " + countOf(int(q.Rows), "row")
	}
	if q.Result != "" && q.Mode == ops.QueryRaw { // UNLOAD's rows lie where a fact says
		told += ", its result stays in " + q.Result
	}
	return q.SQL + paramsText(q.Params), told
}

// paramFlag adds a value to a list that two flags share, for their order.
type paramFlag struct {
	to     *[]ops.ReplayParam
	number bool
}

func (f *paramFlag) String() string { return "" }

func (f *paramFlag) Type() string {
	if f.number {
		return "NUMBER"
	}
	return "TEXT"
}

func (f *paramFlag) Set(s string) error {
	*f.to = append(*f.to, ops.ReplayParam{Value: s, Number: f.number})
	return nil
}
