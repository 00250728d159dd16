package sandbox

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Statements that are no query: SHOW, DESCRIBE, CREATE and DROP, and UNLOAD.

// unload is UNLOAD (query) TO 's3://…' WITH (…).
type unload struct {
	query    *sqlQuery
	location string
	gzip     bool
}

func (p *sqlParser) unload() (*unload, error) {
	if err := p.needWord("UNLOAD"); err != nil {
		return nil, err
	}
	u := &unload{gzip: true}
	var err error
	if u.query, err = p.inParentheses(); err != nil {
		return nil, err
	}
	if err := p.needWord("TO"); err != nil {
		return nil, err
	}
	at := p.peek().at
	if u.location, err = p.literal(); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(u.location, "/") {
		u.location += "/"
	}
	if _, _, err := s3Location(u.location); err != nil {
		return nil, at.fail("INVALID_LOCATION", "%q is no location in S3", u.location)
	}
	options, err := p.options()
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(options["format"], "json") {
		return nil, at.refuse("UNLOAD in a format other than JSON (WITH (format = 'JSON'))")
	}
	for name, value := range options {
		switch {
		case name == "format":
		case name == "compression" && strings.EqualFold(value, "none"):
			u.gzip = false
		case name == "compression" && strings.EqualFold(value, "gzip"):
		default:
			return nil, at.refuse(fmt.Sprintf("the option %s = '%s' of UNLOAD", name, value))
		}
	}
	return u, nil
}

// literal takes a string.
func (p *sqlParser) literal() (string, error) {
	t := p.peek()
	if t.kind != sqlTextToken {
		return "", p.mismatch("<string>")
	}
	p.i++
	return t.text, nil
}

// options reads WITH (name = 'value', …).
func (p *sqlParser) options() (map[string]string, error) {
	if !p.word("WITH") {
		return map[string]string{}, nil
	}
	return p.settings(p.name)
}

// settings reads (name = 'value', …); read reads a name.
func (p *sqlParser) settings(read func() (string, error)) (map[string]string, error) {
	out := map[string]string{}
	if err := p.needSign("("); err != nil {
		return nil, err
	}
	for {
		name, err := read()
		if err != nil {
			return nil, err
		}
		if err := p.needSign("="); err != nil {
			return nil, err
		}
		if out[name], err = p.literal(); err != nil {
			return nil, err
		}
		if !p.sign(",") {
			return out, p.needSign(")")
		}
	}
}

// storeUnload writes a result as one JSON object a line, and the manifest that names
// the object. Athena writes several objects in parallel; a reader must take any number.
func (a *athenaService) storeUnload(q *query, p *plan, result *queryResult) error {
	bucket, prefix, err := s3Location(p.unload.location)
	if err != nil {
		return err
	}
	b, ok := a.r.s3().buckets[bucket]
	if !ok {
		return &queryError{"HIVE_METASTORE_ERROR", fmt.Sprintf("the bucket %s does not exist", bucket)}
	}
	empty := true
	b.walk(prefix, "", "", func(key string, _ bool) bool {
		empty = b.current(key).deleted
		return empty
	})
	if !empty {
		return &queryError{"HIVE_PATH_ALREADY_EXISTS", "Target directory for table already exists: " + p.unload.location}
	}
	var lines bytes.Buffer
	for _, row := range result.rows {
		lines.WriteByte('{')
		first := true
		for i, v := range row {
			if v == nil {
				continue // a NULL is left out
			}
			if !first {
				lines.WriteByte(',')
			}
			first = false
			lines.Write(appendString(nil, p.columns[i].name))
			lines.WriteByte(':')
			lines.WriteString(*v)
		}
		lines.WriteString("}\n")
	}
	key := prefix + q.started.Format("20060102_150405") + "_00000_" + q.id
	body := lines.Bytes()
	if p.unload.gzip {
		key += ".gz"
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(body); err != nil {
			return fmt.Errorf("sandbox: packing: %w", err)
		}
		if err := z.Close(); err != nil {
			return fmt.Errorf("sandbox: packing: %w", err)
		}
		body = packed.Bytes()
	}
	manifest := ""
	if len(result.rows) > 0 {
		if err := a.r.putObject(bucket, key, body); err != nil {
			return err
		}
		manifest = "s3://" + bucket + "/" + key + "\n"
	}
	q.manifest = q.location + "-manifest.csv"
	result.rows, result.columns = nil, nil // they are in S3
	bucket, key, err = s3Location(q.manifest)
	if err != nil {
		return err
	}
	return a.r.putObject(bucket, key, []byte(manifest))
}

// showJSON is a value as UNLOAD writes it.
func (t *athenaType) showJSON(v any) (string, bool, error) {
	s, ok, err := t.show(v)
	switch {
	case !ok || err != nil:
		return s, ok, err
	case t.isNumber() || t.kind == "boolean":
		return s, true, nil
	case t.composite():
		return "", false, &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena does not UNLOAD %s", t)}
	}
	return string(appendString(nil, s)), true, nil
}

// utility understands a statement that is no query.
func (a *athenaService) utility(q *query, p *sqlParser) (func() (*queryResult, error), error) {
	var run func() (*queryResult, error)
	var err error
	at := p.peek().at
	switch {
	case p.word("SHOW", "TABLES"):
		run, err = a.showTables(q, p)
	case p.word("SHOW", "DATABASES"), p.word("SHOW", "SCHEMAS"):
		run, err = a.showDatabases, nil
	case p.word("SHOW", "COLUMNS"):
		if !p.word("IN") {
			err = p.needWord("FROM")
		}
		if err == nil {
			run, err = a.onTable(q, p, showColumns)
		}
	case p.word("SHOW", "PARTITIONS"):
		run, err = a.onTable(q, p, showPartitions)
	case p.word("DESCRIBE"), p.word("DESC"):
		if p.isWord(0, "EXTENDED") || p.isWord(0, "FORMATTED") {
			return nil, at.refuse("DESCRIBE " + p.peek().text)
		}
		run, err = a.onTable(q, p, describe)
	case p.word("CREATE", "DATABASE"), p.word("CREATE", "SCHEMA"):
		run, err = a.createDatabaseBySQL(p)
	case p.word("DROP", "DATABASE"), p.word("DROP", "SCHEMA"):
		run, err = a.dropDatabaseBySQL(p)
	case p.word("CREATE", "EXTERNAL", "TABLE"):
		run, err = a.createTableBySQL(q, p)
	case p.word("DROP", "TABLE"):
		run, err = a.dropTableBySQL(q, p)
	default:
		words := p.peek().text
		if p.i+1 < len(p.tokens)-1 {
			words += " " + p.tokens[p.i+1].text
		}
		return nil, at.refuse("statements that begin with " + words)
	}
	if err == nil {
		err = p.end()
	}
	return run, err
}

// said is a result of lines in columns.
func said(name string, rows ...[]string) *queryResult {
	r := &queryResult{columns: []outColumn{{name, varcharType}}}
	for _, row := range rows {
		var cells []*string
		for _, c := range row {
			cells = append(cells, &c)
		}
		r.rows = append(r.rows, cells)
	}
	return r
}

func (a *athenaService) showDatabases() (*queryResult, error) {
	var rows [][]string
	for _, n := range sortedNames(a.r.catalog.databases) {
		rows = append(rows, []string{n})
	}
	return said("database_name", rows...), nil
}

// showTables is SHOW TABLES [IN database] ['pattern'], where * stands for anything.
func (a *athenaService) showTables(q *query, p *sqlParser) (func() (*queryResult, error), error) {
	database := q.database
	var err error
	if p.word("IN") || p.word("FROM") {
		if database, err = p.name(); err != nil {
			return nil, err
		}
	}
	like := "*"
	if p.peek().kind == sqlTextToken {
		if like, err = p.literal(); err != nil {
			return nil, err
		}
	}
	want, err := regexp.Compile("(?i)^(?:" + strings.ReplaceAll(like, "*", ".*") + ")$")
	if err != nil {
		return nil, p.peek().at.fail("SYNTAX_ERROR", "the pattern %q: %v", like, err)
	}
	return func() (*queryResult, error) {
		d, ok := a.r.catalog.databases[database]
		if !ok {
			return nil, &queryError{"SCHEMA_NOT_FOUND", fmt.Sprintf("Schema '%s' does not exist", database)}
		}
		var rows [][]string
		for _, n := range sortedNames(d.tables) {
			if want.MatchString(n) {
				rows = append(rows, []string{n})
			}
		}
		return said("tab_name", rows...), nil
	}, nil
}

// tableName reads [database.]table.
func (p *sqlParser) tableName(q *query) (database, name string, err error) {
	names, err := p.path()
	switch {
	case err != nil:
		return "", "", err
	case len(names) == 1:
		return q.database, names[0], nil
	case len(names) == 2:
		return names[0], names[1], nil
	}
	return "", "", p.mismatch("a table name")
}

// onTable runs f on the table that is named next.
func (a *athenaService) onTable(q *query, p *sqlParser, f func(*glueTable) *queryResult) (func() (*queryResult, error), error) {
	database, name, err := p.tableName(q)
	return func() (*queryResult, error) {
		_, t, err := a.r.catalog.table("", database, name)
		if err != nil {
			return nil, &queryError{"TABLE_NOT_FOUND", fmt.Sprintf("Table 'awsdatacatalog.%s.%s' does not exist", database, name)}
		}
		return f(t), nil
	}, err
}

func showColumns(t *glueTable) *queryResult {
	var rows [][]string
	for _, c := range append(slices.Clone(t.StorageDescriptor.Columns), t.PartitionKeys...) {
		rows = append(rows, []string{fmt.Sprintf("%-20s", strings.ToLower(c.Name))})
	}
	return said("field", rows...)
}

// showPartitions is empty: projected partitions are not in the catalog, and the
// sandbox's catalog has no others.
func showPartitions(*glueTable) *queryResult { return said("partition") }

// describe writes a line for each column, padded as Hive does.
func describe(t *glueTable) *queryResult {
	var rows [][]string
	line := func(c Column) {
		rows = append(rows, []string{fmt.Sprintf("%-20s\t%-20s\t%-20s", strings.ToLower(c.Name), c.Type, c.Comment)})
	}
	for _, c := range append(slices.Clone(t.StorageDescriptor.Columns), t.PartitionKeys...) {
		line(c)
	}
	if len(t.PartitionKeys) > 0 {
		rows = append(rows, []string{"\t \t "}, []string{"# Partition Information\t \t "}, []string{fmt.Sprintf("%-20s\t%-20s\t%-20s", "# col_name", "data_type", "comment")}, []string{"\t \t "})
		for _, c := range t.PartitionKeys {
			line(c)
		}
	}
	return said("col_name", rows...)
}

func (p *sqlParser) ifNotExists() bool { return p.word("IF", "NOT", "EXISTS") }

// done makes a change of the catalog a statement without rows.
func done(change func() error) func() (*queryResult, error) {
	return func() (*queryResult, error) {
		if err := change(); err != nil {
			_, message, _ := asAPIError(err)
			return nil, &queryError{"FAILED", "Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. " + message}
		}
		return &queryResult{}, nil
	}
}

func (a *athenaService) createDatabaseBySQL(p *sqlParser) (func() (*queryResult, error), error) {
	lenient := p.ifNotExists()
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	in := DatabaseInput{Name: name}
	if p.word("COMMENT") {
		if in.Description, err = p.literal(); err != nil {
			return nil, err
		}
	}
	if p.word("LOCATION") {
		if in.LocationUri, err = p.literal(); err != nil {
			return nil, err
		}
	}
	return done(func() error {
		if _, ok := a.r.catalog.databases[name]; ok && lenient {
			return nil
		}
		return a.r.catalog.addDatabase(in)
	}), nil
}

func (a *athenaService) dropDatabaseBySQL(p *sqlParser) (func() (*queryResult, error), error) {
	lenient := p.word("IF", "EXISTS")
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	cascade := p.word("CASCADE")
	p.word("RESTRICT")
	return done(func() error {
		d, ok := a.r.catalog.databases[name]
		switch {
		case !ok && lenient:
			return nil
		case !ok:
			return glueMissing("Database does not exist: %s", name)
		case len(d.tables) > 0 && !cascade:
			return fail("InvalidOperationException", "Database %s is not empty. One or more tables exist.", name)
		}
		delete(a.r.catalog.databases, name)
		return nil
	}), nil
}

func (a *athenaService) dropTableBySQL(q *query, p *sqlParser) (func() (*queryResult, error), error) {
	lenient := p.word("IF", "EXISTS")
	database, name, err := p.tableName(q)
	return done(func() error {
		d, t, err := a.r.catalog.table("", database, name)
		if err != nil {
			if lenient {
				return nil
			}
			return err
		}
		delete(d.tables, t.Name)
		return nil
	}), err
}

// createTableBySQL reads CREATE EXTERNAL TABLE as Athena's documentation writes it.
func (a *athenaService) createTableBySQL(q *query, p *sqlParser) (func() (*queryResult, error), error) {
	lenient := p.ifNotExists()
	database, name, err := p.tableName(q)
	if err != nil {
		return nil, err
	}
	in := TableInput{Name: name, TableType: "EXTERNAL_TABLE", Parameters: map[string]string{"EXTERNAL": "TRUE"},
		StorageDescriptor: &StorageDescriptor{InputFormat: "org.apache.hadoop.mapred.TextInputFormat", OutputFormat: "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"}}
	if in.StorageDescriptor.Columns, err = p.columnList(); err != nil {
		return nil, err
	}
	for p.peek().kind != sqlEnd && !p.isSign(0, ";") {
		if err := p.tableClause(&in); err != nil {
			return nil, err
		}
	}
	if in.StorageDescriptor.SerdeInfo == nil {
		return nil, p.peek().at.refuse("a table without ROW FORMAT SERDE")
	}
	if in.StorageDescriptor.Location == "" {
		return nil, p.mismatch("'LOCATION'")
	}
	return done(func() error {
		d, err := a.r.catalog.database("", database)
		if err != nil {
			return err
		}
		if _, ok := d.tables[name]; ok && lenient {
			return nil
		}
		if err := (&tableInput{TableInput: &in}).check(); err != nil {
			return err
		}
		return d.addTable(a.r.now(), in)
	}), nil
}

// tableClause reads one of the clauses behind the columns.
func (p *sqlParser) tableClause(in *TableInput) error {
	s := in.StorageDescriptor
	var err error
	switch {
	case p.word("COMMENT"):
		in.Description, err = p.literal()
	case p.word("PARTITIONED", "BY"):
		in.PartitionKeys, err = p.columnList()
	case p.word("ROW", "FORMAT", "SERDE"):
		s.SerdeInfo = &SerDeInfo{Parameters: map[string]string{}}
		s.SerdeInfo.SerializationLibrary, err = p.literal()
	case p.word("WITH", "SERDEPROPERTIES") && s.SerdeInfo != nil:
		s.SerdeInfo.Parameters, err = p.settings(p.literal)
	case p.word("STORED", "AS", "INPUTFORMAT"):
		if s.InputFormat, err = p.literal(); err == nil {
			if err = p.needWord("OUTPUTFORMAT"); err == nil {
				s.OutputFormat, err = p.literal()
			}
		}
	case p.word("STORED", "AS", "TEXTFILE"):
	case p.word("LOCATION"):
		s.Location, err = p.literal()
	case p.word("TBLPROPERTIES"):
		var more map[string]string
		more, err = p.settings(p.literal)
		for k, v := range more {
			in.Parameters[k] = v
		}
	default:
		return p.peek().at.refuse("CREATE EXTERNAL TABLE … " + p.peek().text)
	}
	return err
}

// columnList reads (name type [COMMENT 'text'], …); a type ends at the comma or the
// parenthesis that is not inside its own brackets.
func (p *sqlParser) columnList() ([]Column, error) {
	if err := p.needSign("("); err != nil {
		return nil, err
	}
	var out []Column
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		at, from, depth := p.peek().at, p.peek().start, 0
		for {
			t := p.peek()
			if t.kind == sqlEnd || t.kind == sqlTextToken {
				return nil, p.mismatch("a type")
			}
			if depth == 0 && (p.isSign(0, ",") || p.isSign(0, ")") || p.isWord(0, "COMMENT")) {
				break
			}
			switch t.text {
			case "<", "(":
				depth++
			case ">", ")":
				depth--
			}
			p.i++
		}
		c := Column{Name: name, Type: strings.ToLower(strings.Join(strings.Fields(p.sql[from:p.peek().start]), ""))}
		if _, err := hiveType(c.Type); err != nil {
			return nil, at.refuse("the column type " + c.Type)
		}
		if p.word("COMMENT") {
			if c.Comment, err = p.literal(); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
		if !p.sign(",") {
			return out, p.needSign(")")
		}
	}
}
