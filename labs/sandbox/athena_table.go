package sandbox

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	slash "path"
	"slices"
	"strings"
	"time"
)

// This file finds the objects of a table and puts their rows into SQLite.

const (
	mostUnpacked  = 200 << 20 // bytes of text that one query may unpack
	mostTableRows = 1_000_000
	longestLine   = 100 << 20 // Trino's hive.text.max-line-length
)

// tableScan is one table in one place of a query.
type tableScan struct {
	alias     string // the table's name in SQLite
	table     *glueTable
	columns   []scanColumn
	conjuncts []sqlValue       // what WHERE says about the partitions alone
	pinned    map[int][]string // SQL of the constants that WHERE allows for a column
}

type scanColumn struct {
	name      string
	type_     *athenaType
	partition bool
	used      bool
}

// The hidden columns that every table has.
const (
	pathColumn     = "$path"
	sizeColumn     = "$file_size"
	modifiedColumn = "$file_modified_time"
)

func (c scanColumn) hidden() bool { return strings.HasPrefix(c.name, "$") }
func (c scanColumn) isData() bool { return !c.partition && !c.hidden() }

func newTableScan(t *glueTable, alias string) (*tableScan, error) {
	s := &tableScan{alias: alias, table: t, pinned: map[int][]string{}}
	if t.StorageDescriptor == nil {
		return nil, &queryError{"HIVE_INVALID_METADATA", fmt.Sprintf("Table %s.%s has no storage descriptor", t.database, t.Name)}
	}
	add := func(columns []Column, partition bool) error {
		for _, c := range columns {
			of, err := hiveType(c.Type)
			if err != nil {
				return &queryError{"HIVE_INVALID_METADATA", fmt.Sprintf("the sandbox's Athena cannot read the type of column %s: %v", c.Name, err)}
			}
			s.columns = append(s.columns, scanColumn{name: strings.ToLower(c.Name), type_: of, partition: partition})
		}
		return nil
	}
	if err := add(t.StorageDescriptor.Columns, false); err != nil {
		return nil, err
	}
	if err := add(t.PartitionKeys, true); err != nil {
		return nil, err
	}
	s.columns = append(s.columns, scanColumn{name: pathColumn, type_: varcharType}, scanColumn{name: sizeColumn, type_: bigintType},
		scanColumn{name: modifiedColumn, type_: zonedType})
	return s, nil
}

// check refuses a table whose rows would not be what Athena reads.
func (s *tableScan) check() error {
	t := s.table
	if f := t.StorageDescriptor.InputFormat; f != "" && f != "org.apache.hadoop.mapred.TextInputFormat" {
		return &queryError{"NOT_SUPPORTED", "the sandbox's Athena does not read the input format " + f}
	}
	for name, value := range t.Parameters {
		switch strings.ToLower(name) {
		case "skip.header.line.count", "skip.footer.line.count":
			if value != "0" {
				return &queryError{"NOT_SUPPORTED", "the sandbox's Athena does not support the table property " + name}
			}
		case "table_type", "spark.sql.sources.provider":
			return &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena does not read tables with %s=%s", name, value)}
		}
	}
	return nil
}

// tablePart is one place with rows, and the values that its rows have.
type tablePart struct {
	bucket, prefix string
	values         map[int]any // by column
}

// found is an object of a table.
type found struct {
	*object
	bucket string
	values map[int]any
}

// objects lists what a scan has to read.
func (s *tableScan) objects(r *Region, db *sql.DB, ctx context.Context, now time.Time) ([]found, error) {
	places, err := s.places(ctx, db, now)
	if err != nil {
		return nil, err
	}
	var out []found
	seen := map[string]bool{}
	for _, p := range places {
		b, ok := r.s3().buckets[p.bucket]
		if !ok {
			return nil, &queryError{"HIVE_METASTORE_ERROR", fmt.Sprintf("the bucket of s3://%s/%s does not exist", p.bucket, p.prefix)}
		}
		if seen[p.bucket+"/"+p.prefix] {
			return nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("two partitions are in one place, s3://%s/%s: the template does not name every column", p.bucket, p.prefix)}
		}
		seen[p.bucket+"/"+p.prefix] = true
		for _, o := range b.under(p.prefix, now) {
			out = append(out, found{o, b.name, p.values})
		}
	}
	return out, nil
}

// under lists the objects below a prefix as Athena sees them: hidden ones (_x, .x)
// and archived ones are left out, silently.
func (b *bucket) under(prefix string, now time.Time) []*object {
	var out []*object
	b.walk(prefix, "", "", func(key string, _ bool) bool {
		o := b.current(key)
		base := slash.Base(key)
		if !o.deleted && len(o.body) > 0 && o.readable(now) && !strings.HasPrefix(base, "_") && !strings.HasPrefix(base, ".") && !strings.HasSuffix(key, "/") {
			out = append(out, o)
		}
		return true
	})
	return out
}

// folder splits a table's location; a location is a folder, with or without its slash.
func folder(location string) (bucket, prefix string, err error) {
	bucket, prefix, err = s3Location(location)
	if err != nil {
		return "", "", &queryError{"HIVE_INVALID_METADATA", fmt.Sprintf("%q is no location in S3", location)}
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return bucket, prefix, nil
}

// places lists the partitions that a query may need. A table with partition keys
// and no projection has the partitions of its catalog, of which there are none
// here: such a table reads nothing, as on Athena before MSCK REPAIR TABLE.
func (s *tableScan) places(ctx context.Context, db *sql.DB, now time.Time) ([]tablePart, error) {
	if len(s.table.PartitionKeys) == 0 {
		bucket, prefix, err := folder(s.table.StorageDescriptor.Location)
		return []tablePart{{bucket: bucket, prefix: prefix}}, err
	}
	if !strings.EqualFold(s.table.Parameters["projection.enabled"], "true") {
		return nil, nil
	}
	return s.project(ctx, db, now)
}

// loader fills SQLite with the rows of a query's tables.
type loader struct {
	db       *sql.DB
	unpacked int64
	rows     int
}

// load creates the table of a scan with the columns that the query uses.
func (l *loader) load(ctx context.Context, s *tableScan, objects []found) error {
	reader, err := newRowReader(s.table, s.columns)
	if err != nil {
		return err
	}
	names := []string{"k"}
	for i, c := range s.columns {
		if c.used {
			names = append(names, fmt.Sprintf("k%d", i))
		}
	}
	if _, err := l.db.ExecContext(ctx, "CREATE TABLE "+s.alias+" ("+strings.Join(names, ", ")+")"); err != nil {
		return fmt.Errorf("sandbox: making a table: %w", err)
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("sandbox: filling a table: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	in := &inserter{tx: tx, into: "INSERT INTO " + s.alias + " VALUES ", row: "(NULL" + strings.Repeat(", ?", len(names)-1) + ")",
		batch: max(1, min(rowsAtOnce, mostValues/len(names)))}
	defer in.close()
	for _, o := range objects {
		if err := l.object(ctx, s, reader, o, in); err != nil {
			return err
		}
	}
	if err := in.flush(ctx); err != nil {
		return err
	}
	return tx.Commit()
}

// rowsAtOnce is how many rows one INSERT carries: each statement has a price.
// mostValues bounds the values of one; SQLite takes 32766.
const (
	rowsAtOnce = 64
	mostValues = 30_000
)

// inserter gathers rows.
type inserter struct {
	tx        *sql.Tx
	into, row string
	values    []any
	rows      int
	batch     int
	full      *sql.Stmt // for a whole batch
}

func (in *inserter) sql(rows int) string {
	return in.into + in.row + strings.Repeat(", "+in.row, rows-1)
}

func (in *inserter) end(ctx context.Context) error {
	if in.rows++; in.rows < in.batch {
		return nil
	}
	if in.full == nil {
		var err error
		if in.full, err = in.tx.PrepareContext(ctx, in.sql(in.batch)); err != nil {
			return fmt.Errorf("sandbox: filling a table: %w", err)
		}
	}
	_, err := in.full.ExecContext(ctx, in.values...)
	in.values, in.rows = in.values[:0], 0
	if err != nil {
		return fmt.Errorf("sandbox: filling a table: %w", err)
	}
	return nil
}

func (in *inserter) flush(ctx context.Context) error {
	if in.rows == 0 {
		return nil
	}
	_, err := in.tx.ExecContext(ctx, in.sql(in.rows), in.values...)
	in.values, in.rows = in.values[:0], 0
	if err != nil {
		return fmt.Errorf("sandbox: filling a table: %w", err)
	}
	return nil
}

func (in *inserter) close() {
	if in.full != nil {
		_ = in.full.Close() // its transaction is over
	}
}

// object reads one object's lines.
func (l *loader) object(ctx context.Context, s *tableScan, reader *rowReader, o found, in *inserter) error {
	src, err := unpacked(o)
	if err != nil {
		return err
	}
	address := "s3://" + o.bucket + "/" + o.key
	counted := &countingReader{src: src, left: mostUnpacked - l.unpacked}
	defer func() { l.unpacked = mostUnpacked - counted.left }()
	lines := bufio.NewScanner(counted)
	lines.Buffer(make([]byte, 0, 64<<10), longestLine)
	values := make([]any, len(s.columns))
	for lines.Scan() {
		if err := reader.row(lines.Bytes(), values); err != nil {
			var q *queryError
			if errors.As(err, &q) {
				return &queryError{q.code, q.message + " (in " + address + ")"}
			}
			return err
		}
		for i, c := range s.columns {
			switch {
			case !c.used:
				continue
			case c.name == pathColumn:
				values[i] = address
			case c.name == sizeColumn:
				values[i] = int64(len(o.body))
			case c.name == modifiedColumn:
				values[i] = o.modified.UnixMilli()
			case c.partition:
				values[i] = o.values[i]
			}
			in.values = append(in.values, values[i])
		}
		if l.rows++; l.rows > mostTableRows {
			return &queryError{"EXCEEDED_LOCAL_MEMORY_LIMIT", fmt.Sprintf("the sandbox's Athena reads at most %d rows in a query: narrow the partitions", mostTableRows)}
		}
		if err := in.end(ctx); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, errTooMuch):
		return &queryError{"EXCEEDED_LOCAL_MEMORY_LIMIT", fmt.Sprintf("the sandbox's Athena unpacks at most %d MB in a query: narrow the partitions", mostUnpacked>>20)}
	case errors.Is(err, bufio.ErrTooLong):
		return &queryError{"HIVE_CURSOR_ERROR", fmt.Sprintf("Failed to read file at %s: a line is longer than %d MB", address, longestLine>>20)}
	case err != nil:
		return &queryError{"HIVE_CURSOR_ERROR", fmt.Sprintf("Failed to read file at %s: %v", address, err)}
	}
	return nil
}

// unpacked opens an object by what its name says about compression, as Athena does.
func unpacked(o found) (io.Reader, error) {
	src := bytes.NewReader(o.body)
	switch extension := strings.ToLower(slash.Ext(o.key)); {
	case extension == ".gz":
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, &queryError{"HIVE_CURSOR_ERROR", fmt.Sprintf("Failed to read file at s3://%s/%s: incorrect header check", o.bucket, o.key)}
		}
		return z, nil
	case extension == ".bz2":
		return bzip2.NewReader(src), nil
	case slices.Contains([]string{".snappy", ".lz4", ".zst", ".zstd", ".lzo", ".deflate", ".parquet", ".orc", ".avro"}, extension):
		return nil, &queryError{"NOT_SUPPORTED", fmt.Sprintf("the sandbox's Athena does not read %s (s3://%s/%s)", extension, o.bucket, o.key)}
	}
	return src, nil
}

var errTooMuch = errors.New("too much to unpack")

// countingReader ends in an error when more comes than may.
type countingReader struct {
	src  io.Reader
	left int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, errTooMuch
	}
	return n, err
}
