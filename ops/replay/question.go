package replay

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"kxops/ops"
)

// A question is what a person asks Athena: a table, a condition and values. What is
// given as a value never becomes SQL: it goes along as a literal, in quotes.

const (
	defaultWorkgroup = "primary"
	// paramMost is the longest parameter of an execution, in bytes with its quotes, and
	// queryMost the longest query. Sources: API reference, StartQueryExecution
	// (ExecutionParameters, QueryString).
	paramMost = 1024
	queryMost = 262_144
)

var (
	// catalogWord is a name that Athena takes for a database or a table. Source: user
	// guide, "Name databases, tables, and columns".
	catalogWord = regexp.MustCompile(`^[\pL\pN_.-]{1,255}$`)
	numberWord  = regexp.MustCompile(`^-?\d{1,38}(\.\d{1,38})?$`)
	resultsURL  = regexp.MustCompile(`^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$`)
)

// questionOf checks what can be checked of a question before anything is sent.
func questionOf(plan ops.ReplayPlan, q ops.ReplayQuestion) (*ops.ReplayQuery, error) {
	if q.Workgroup == "" {
		q.Workgroup = defaultWorkgroup
	}
	if q.Mode == "" {
		q.Mode = ops.QueryRaw
	}
	sel, raw := plan.Select, q.Mode == ops.QueryRaw
	switch {
	case len(tableOf(plan.From)) == 0:
		return nil, refused("%q names no table: --from athena:DATABASE.TABLE", plan.From.Table)
	case !raw && q.Mode != ops.QueryRows:
		return nil, refused("%q is no way of reading what a query selects: raw or rows", q.Mode)
	case !sel.Since.IsZero() || !sel.Until.IsZero() || len(sel.Keys) > 0:
		return nil, refused("of a table --where chooses time and key: say there what --since, --until and --key would")
	case raw && sel.Filter == "" && sel.Contains == "" && !q.Whole:
		return nil, refused("the query chooses objects, not the records in them: say the same of one record with --filter, such as --filter '.customer == \"4712\"', " +
			"or take the rows with --mode rows, or everything in the objects with --whole-objects")
	case !raw && q.Whole:
		return nil, refused("--whole-objects is for --mode raw: rows are not whole objects")
	case raw && q.Body != "":
		return nil, refused("--body-column is for --mode rows: raw objects have no columns")
	case q.Results != "" && !resultsURL.MatchString(q.Results):
		return nil, refused("%q is no place for results: --results s3://BUCKET/PREFIX", q.Results)
	}
	marks, err := condition(q.Where)
	if err != nil {
		return nil, err
	}
	if marks != len(q.Params) {
		return nil, refused("--where has %d ?, and %d values are given: one --param or --number for each ?, in their order", marks, len(q.Params))
	}
	for i, p := range q.Params {
		if _, err := literalOf(p); err != nil {
			return nil, refused("value %d: %s", i+1, err)
		}
	}
	return &ops.ReplayQuery{ReplayQuestion: q}, nil
}

// tableOf is a database and a table, or nothing.
func tableOf(e ops.ReplayEnd) []string {
	names := strings.Split(e.Table, ".")
	if len(names) != 2 || slices.ContainsFunc(names, func(n string) bool { return !catalogWord.MatchString(n) }) {
		return nil
	}
	return names
}

// statements are words that no condition begins with.
var statements = []string{"alter", "create", "delete", "drop", "execute", "explain", "insert", "merge", "msck", "optimize", "prepare", "select", "show", "unload", "update", "vacuum", "with"}

// condition checks that the text can stand in the parentheses behind WHERE, and counts
// its question marks. Athena checks the rest, and bills nothing for a query that it
// does not understand; what matters here is that the text cannot leave the parentheses.
func condition(text string) (marks int, err error) {
	first, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), " ")
	switch {
	case strings.TrimSpace(text) == "":
		return 0, refused("--where is missing: a condition such as --where 'customer = ? and dt = ?' --param 4712 --param 2026-11-17")
	case first == "where":
		return 0, refused("--where takes the condition alone: leave out the word WHERE")
	case slices.Contains(statements, first):
		return 0, refused("--where takes a condition and no statement: only what stands behind WHERE")
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\'', '"':
			end := strings.IndexByte(text[i+1:], c) // a doubled quote ends one text and begins the next: the same to us
			if end < 0 {
				return 0, refused("--where is no condition: a quote (%c) is not closed", c)
			}
			i += end + 1
		case ';':
			return 0, refused("--where takes a condition and no statements: there is a ; in it")
		case '-', '/':
			if next := text[i+1:]; c == '-' && strings.HasPrefix(next, "-") || c == '/' && strings.HasPrefix(next, "*") {
				return 0, refused("--where takes no comments")
			}
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return 0, refused("--where is no condition: a parenthesis is closed that was not opened")
			}
		case '?':
			marks++
		case 0:
			return 0, refused("--where is no condition: there is a zero byte in it")
		}
	}
	if depth > 0 {
		return 0, refused("--where is no condition: a parenthesis is not closed")
	}
	return marks, nil
}

// literalOf is a value as Athena's SQL writes it.
func literalOf(p ops.ReplayParam) (string, error) {
	text := quoted(p.Value, '\'')
	if p.Number {
		if text = p.Value; !numberWord.MatchString(text) {
			return "", fmt.Errorf("%q is no number such as 4712 or -0.5", text)
		}
	}
	if len(text) > paramMost {
		return "", fmt.Errorf("it has %d bytes, and Athena takes %d, with its quotes", len(text), paramMost)
	}
	if strings.IndexByte(text, 0) >= 0 {
		return "", fmt.Errorf("there is a zero byte in it")
	}
	return text, nil
}

// quoted puts a text into quotes: ' for a text, " for a name.
func quoted(text string, q byte) string {
	mark := string(q)
	return mark + strings.ReplaceAll(text, mark, mark+mark) + mark
}

// sqlOf is what Athena is asked.
func sqlOf(plan ops.ReplayPlan) string {
	q, names := plan.Query, tableOf(plan.From)
	from := "FROM " + quoted(names[0], '"') + "." + quoted(names[1], '"') + " WHERE (" + strings.TrimSpace(q.Where) + ")"
	if q.Mode == ops.QueryRaw {
		return fmt.Sprintf(`SELECT "$path", count(*) %s GROUP BY "$path" ORDER BY 1 LIMIT %d`, from, objectsMost+1)
	}
	columns := "*"
	if q.Body != "" {
		columns = quoted(q.Body, '"')
	}
	return fmt.Sprintf(`UNLOAD (SELECT %s %s) TO %s WITH (format = 'JSON', compression = 'GZIP')`, columns, from, quoted(q.Unloaded, '\''))
}

// rowsOf reports whether the records of a plan are rows that UNLOAD wrote.
func rowsOf(plan ops.ReplayPlan) bool {
	return plan.Query != nil && plan.Query.Mode == ops.QueryRows
}

// sameAsQuery says where query and filter do not mean the same records, which shows
// when all objects were tried.
func sameAsQuery(plan *ops.ReplayPlan) {
	q := plan.Query
	if q == nil || q.Mode != ops.QueryRaw || q.Whole || len(plan.Parts) == 0 {
		return
	}
	all, read := plan.Estimate.Records.Value()
	meant, tried := plan.Estimate.Matched.Value()
	if read && tried && int(all) == plan.Estimate.Sampled && int64(meant) != q.Rows {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("the query counts %d rows in these objects, and of the records in them %.0f are meant: --where and --filter do not say the same, or the table does not see every record", q.Rows, meant))
	}
}
