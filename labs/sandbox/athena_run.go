package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
)

// What a query does: it waits, it is planned, it runs, and all of its work is done
// in one go under the sandbox's lock when its time is over. So the work is bounded.

const (
	mostResult     = 64 << 20 // bytes of the result
	longestRunning = 20 * time.Second
)

// queryResult is what a query answers.
type queryResult struct {
	columns []outColumn
	rows    [][]*string // nil is NULL
	header  bool        // a header row comes first: queries, not SHOW and DESCRIBE
}

// plan is a query that has been understood.
type plan struct {
	compiler *compiler
	sql      string
	columns  []outColumn
	unload   *unload
	utility  func() (*queryResult, error) // statements that are no query
}

// statementOf says what kind of statement this is, by its first words.
func statementOf(sql string) (types.StatementType, string) {
	tokens, err := scan(sql)
	if err != nil || len(tokens) == 0 {
		return types.StatementTypeDml, "SELECT"
	}
	first, second := strings.ToUpper(tokens[0].text), ""
	if len(tokens) > 1 {
		second = strings.ToUpper(tokens[1].text)
	}
	switch first {
	case "SHOW", "DESCRIBE", "DESC":
		return types.StatementTypeUtility, strings.TrimSuffix(first+"_"+second, "_")
	case "CREATE", "DROP", "ALTER", "MSCK":
		if second == "EXTERNAL" {
			second = "TABLE"
		}
		return types.StatementTypeDdl, first + "_" + second
	case "EXPLAIN":
		return types.StatementTypeUtility, "EXPLAIN"
	case "UNLOAD":
		return types.StatementTypeDml, "UNLOAD"
	}
	return types.StatementTypeDml, "SELECT"
}

// begin starts a queued query.
func (a *athenaService) begin(q *query) {
	if q.over() {
		return
	}
	q.state, q.started = types.QueryExecutionStateRunning, a.r.now()
	p, bytes, err := a.plan(q)
	if err != nil {
		a.r.after(athenaPlanningTime, func() { a.fail(q, err) })
		return
	}
	if q.cutoff > 0 && bytes > q.cutoff { // it stops when it has read so much
		a.r.after(athenaEngineTime+readingTime(q.cutoff), func() {
			if !q.over() {
				q.scanned = q.cutoff
				a.finish(q, types.QueryExecutionStateCancelled, "Bytes scanned limit was exceeded")
			}
		})
		return
	}
	a.r.after(athenaPlanningTime+athenaEngineTime+readingTime(bytes), func() { a.complete(q, p) })
}

func readingTime(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / athenaReadRate * float64(time.Second))
}

// plan understands the statement and finds how much it will read.
func (a *athenaService) plan(q *query) (*plan, int64, error) {
	p, err := a.understand(q)
	if err != nil || p.utility != nil {
		return p, 0, err
	}
	e, err := openEngine()
	if err != nil {
		return nil, 0, err
	}
	defer e.close()
	var bytes int64
	for _, s := range p.compiler.scans {
		objects, err := s.objects(a.r, e.db, e.ctx, p.compiler.now)
		if err != nil {
			return nil, 0, err
		}
		for _, o := range objects {
			bytes += int64(len(o.body))
		}
	}
	return p, bytes, nil
}

func (a *athenaService) understand(q *query) (*plan, error) {
	parser, err := newSQLParser(q.sql)
	if err != nil {
		return nil, err
	}
	p := &plan{}
	if q.statement != types.StatementTypeDml {
		if len(q.parameters) > 0 {
			return nil, &queryError{"INVALID_PARAMETER_USAGE", "parameters are for queries only"}
		}
		p.utility, err = a.utility(q, parser)
		return p, err
	}
	if q.sub == "UNLOAD" {
		if p.unload, err = parser.unload(); err != nil {
			return nil, err
		}
	}
	tree := &sqlQuery{}
	if p.unload != nil {
		tree = p.unload.query
	} else if tree, err = parser.query(); err != nil {
		return nil, err
	}
	if err := parser.end(); err != nil {
		return nil, err
	}
	if parser.params != len(q.parameters) {
		return nil, &queryError{"INVALID_PARAMETER_USAGE", fmt.Sprintf("Incorrect number of parameters: expected %d but found %d", parser.params, len(q.parameters))}
	}
	p.compiler = &compiler{a: a, database: q.database, now: a.r.now()}
	if p.compiler.params, err = parseParameters(q.parameters); err != nil {
		return nil, err
	}
	if p.sql, p.columns, err = p.compiler.statement(tree); err != nil {
		return nil, err
	}
	for _, s := range p.compiler.scans {
		if err := s.check(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// engine is a SQLite in memory, for one query.
type engine struct {
	db     *sql.DB
	ctx    context.Context
	cancel context.CancelFunc
}

func openEngine() (*engine, error) {
	registerFunctions()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, fmt.Errorf("sandbox: the SQL engine: %w", err)
	}
	db.SetMaxOpenConns(1) // each connection would be a memory of its own
	ctx, cancel := context.WithTimeout(context.Background(), longestRunning)
	e := &engine{db, ctx, cancel}
	// "x" is a column or an error, never the text x; and nothing goes to a file.
	for _, pragma := range []string{"PRAGMA temp_store = memory", "PRAGMA journal_mode = off", "PRAGMA synchronous = off", "PRAGMA cache_size = -65536"} {
		if _, err := db.ExecContext(ctx, pragma); err != nil {
			e.close()
			return nil, fmt.Errorf("sandbox: the SQL engine: %w", err)
		}
	}
	return e, nil
}

func (e *engine) close() {
	e.cancel()
	_ = e.db.Close() // it is memory: nothing can be lost
}

// complete does the work of a query whose time is over.
func (a *athenaService) complete(q *query, p *plan) {
	if q.over() {
		return
	}
	result, err := a.execute(q, p)
	if err == nil {
		err = a.store(q, p, result)
	}
	if err != nil {
		a.fail(q, err)
		return
	}
	q.result = result
	a.finish(q, types.QueryExecutionStateSucceeded, "")
}

func (a *athenaService) execute(q *query, p *plan) (*queryResult, error) {
	if p.utility != nil {
		return p.utility()
	}
	e, err := openEngine()
	if err != nil {
		return nil, err
	}
	defer e.close()
	load := &loader{db: e.db}
	for _, s := range p.compiler.scans {
		objects, err := s.objects(a.r, e.db, e.ctx, p.compiler.now)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			q.scanned += int64(len(o.body))
		}
		if err := load.load(e.ctx, s, objects); err != nil {
			return nil, engineError(err)
		}
	}
	return p.answer(e)
}

// answer runs the SQL and writes its values as Athena does.
func (p *plan) answer(e *engine) (*queryResult, error) {
	rows, err := e.db.QueryContext(e.ctx, p.sql)
	if err != nil {
		return nil, engineError(err)
	}
	defer rows.Close()
	out := &queryResult{columns: p.columns, header: true}
	values, into := make([]any, len(p.columns)), make([]any, len(p.columns))
	for i := range values {
		into[i] = &values[i]
	}
	size := 0
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, engineError(err)
		}
		row := make([]*string, len(values))
		for i, v := range values {
			var s string
			var ok bool
			if p.unload != nil {
				s, ok, err = p.columns[i].type_.showJSON(v)
			} else {
				s, ok, err = p.columns[i].type_.show(v)
			}
			if err != nil {
				return nil, err
			}
			if ok {
				row[i] = &s
				size += len(s)
			}
			size += 16
		}
		if size > mostResult {
			return nil, &queryError{"EXCEEDED_LOCAL_MEMORY_LIMIT", fmt.Sprintf("the sandbox's Athena keeps results of at most %d MB: add a LIMIT", mostResult>>20)}
		}
		out.rows = append(out.rows, row)
	}
	if err := rows.Err(); err != nil {
		return nil, engineError(err)
	}
	return out, nil
}

// engineError is an error of SQLite: one of ours that came through it, or a limit.
func engineError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "interrupt") {
		return &queryError{"EXCEEDED_TIME_LIMIT", fmt.Sprintf("the sandbox's Athena works at most %s on a query", longestRunning)}
	}
	if strings.Contains(err.Error(), "integer overflow") {
		return &queryError{"NUMERIC_VALUE_OUT_OF_RANGE", "bigint addition overflow"}
	}
	var q *queryError
	if found := unmarked(err); errors.As(found, &q) {
		return q
	}
	return &queryError{"GENERIC_INTERNAL_ERROR", "the sandbox's SQL engine: " + err.Error()}
}

// store writes the result where the query said.
func (a *athenaService) store(q *query, p *plan, result *queryResult) error {
	if p.unload != nil {
		return a.storeUnload(q, p, result)
	}
	bucket, key, err := s3Location(q.location)
	if err != nil {
		return err
	}
	body := result.csv()
	if !result.header {
		body = result.text()
	}
	return a.r.putObject(bucket, key, body)
}

// csv writes a result as Athena does: every value in quotes, NULL as nothing.
func (r *queryResult) csv() []byte {
	var b strings.Builder
	for _, row := range r.page() {
		for i, v := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			if v != nil {
				b.WriteString(`"` + strings.ReplaceAll(*v, `"`, `""`) + `"`)
			}
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// text writes the result of a statement that is no query.
func (r *queryResult) text() []byte {
	var b strings.Builder
	for _, row := range r.rows {
		for i, v := range row {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(deref(v))
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// page is all rows as GetQueryResults counts them: with the header, where there is one.
func (r *queryResult) page() [][]*string {
	if !r.header {
		return r.rows
	}
	header := make([]*string, len(r.columns))
	for i := range r.columns {
		header[i] = &r.columns[i].name
	}
	return append([][]*string{header}, r.rows...)
}

// precisions are what Athena's driver reports for each type.
var precisions = map[string]int32{"boolean": 0, "tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "real": 17, "double": 17, "varchar": 2147483647, "timestamp": 3, "timestamp with time zone": 3}

func (r *queryResult) info() []types.ColumnInfo {
	out := make([]types.ColumnInfo, len(r.columns))
	for i, c := range r.columns {
		kind := c.type_.kind
		if kind == "real" {
			kind = "float"
		}
		out[i] = types.ColumnInfo{CatalogName: aws.String("hive"), SchemaName: aws.String(""), TableName: aws.String(""), Name: aws.String(c.name), Label: aws.String(c.name),
			Type: aws.String(kind), Precision: precisions[c.type_.kind], Nullable: types.ColumnNullableUnknown, CaseSensitive: c.type_.isText()}
		if c.type_.kind == "decimal" || c.type_.isText() && c.type_.precision > 0 {
			out[i].Precision, out[i].Scale = int32(c.type_.precision), int32(c.type_.scale)
		}
	}
	return out
}

// fail ends a query with its error, in Athena's words.
func (a *athenaService) fail(q *query, err error) {
	if q.over() {
		return
	}
	reason := err.Error()
	var known *queryError
	category, retryable := int32(2), false
	if !errors.As(err, &known) {
		category = 1
	}
	q.failure = &types.AthenaError{ErrorCategory: aws.Int32(category), ErrorType: aws.Int32(errorTypes[deref(known).code]), Retryable: retryable, ErrorMessage: aws.String(reason)}
	if q.failure.ErrorType == nil || *q.failure.ErrorType == 0 {
		q.failure.ErrorType = aws.Int32(1000 + boolInt32(category == 2)*5) // a query error of no kind that the sandbox knows
	}
	a.finish(q, types.QueryExecutionStateFailed, reason)
}

func boolInt32(b bool) int32 { return int32(boolInt(b)) }

// errorTypes are Athena's numbers for some errors (user guide, "Athena error catalog").
var errorTypes = map[string]int32{"SYNTAX_ERROR": 1006, "TABLE_NOT_FOUND": 1006, "COLUMN_NOT_FOUND": 1006, "TYPE_MISMATCH": 1006, "HIVE_BAD_DATA": 1100, "HIVE_CURSOR_ERROR": 1100}

// finish ends a query in whatever way, once.
func (a *athenaService) finish(q *query, state types.QueryExecutionState, reason string) {
	q.state, q.reason, q.completed = state, reason, a.r.now()
	if q.billed && state != types.QueryExecutionStateFailed && q.statement == types.StatementTypeDml {
		a.r.sb.bill.scanned(q.scanned)
	}
	if !q.metrics {
		return
	}
	s := q.statistics(q.completed)
	for name, value := range map[string]struct {
		unit string
		v    *int64
	}{
		"ProcessedBytes": {"Bytes", s.DataScannedInBytes}, "TotalExecutionTime": {"Milliseconds", s.TotalExecutionTimeInMillis},
		"EngineExecutionTime": {"Milliseconds", s.EngineExecutionTimeInMillis}, "QueryQueueTime": {"Milliseconds", s.QueryQueueTimeInMillis},
		"QueryPlanningTime": {"Milliseconds", s.QueryPlanningTimeInMillis}, "ServiceProcessingTime": {"Milliseconds", s.ServiceProcessingTimeInMillis},
	} {
		if value.v != nil {
			a.r.metrics.series("AWS/Athena", name, value.unit, "QueryState", string(state), "QueryType", string(q.statement), "WorkGroup", q.group).add(q.completed, float64(*value.v))
		}
	}
}
