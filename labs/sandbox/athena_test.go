package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

// queryLab is a sandbox with a bucket of events and Athena over it.
type queryLab struct {
	t      *testing.T
	sb     *Sandbox
	athena *athena.Client
	s3     *s3.Client
}

var labStart = time.Date(2026, 11, 23, 10, 30, 0, 0, time.UTC)

func newQueryLab(t *testing.T) *queryLab {
	t.Helper()
	sb, err := New(Options{Start: labStart, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	l := &queryLab{t, sb, athena.NewFromConfig(sb.Config()), s3.NewFromConfig(sb.Config())}
	for _, name := range []string{"events", "results"} {
		_, err := l.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name),
			CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: HomeRegion}})
		if err != nil {
			t.Fatal(err)
		}
	}
	l.sb.do(func() {
		if err := sb.Region("").catalog.addDatabase(DatabaseInput{Name: "lab"}); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *queryLab) put(key, body string) {
	l.t.Helper()
	_, err := l.s3.PutObject(l.t.Context(), &s3.PutObjectInput{Bucket: aws.String("events"), Key: aws.String(key), Body: strings.NewReader(body)})
	if err != nil {
		l.t.Fatal(err)
	}
}

// table adds a table with columns "name type, name type".
func (l *queryLab) table(name, serde, columns string, change ...func(*TableInput)) {
	l.t.Helper()
	in := TableInput{Name: name, TableType: "EXTERNAL_TABLE", StorageDescriptor: &StorageDescriptor{Columns: columnsOf(columns), Location: "s3://events/" + name + "/",
		InputFormat: "org.apache.hadoop.mapred.TextInputFormat", SerdeInfo: &SerDeInfo{SerializationLibrary: serde, Parameters: map[string]string{}}}, Parameters: map[string]string{}}
	for _, f := range change {
		f(&in)
	}
	l.sb.do(func() {
		if err := l.sb.Region("").catalog.databases["lab"].addTable(l.sb.now(), in); err != nil {
			l.t.Error(err)
		}
	})
}

func columnsOf(list string) []Column {
	var out []Column
	for _, c := range strings.Split(list, "; ") {
		name, kind, _ := strings.Cut(c, " ")
		out = append(out, Column{Name: name, Type: kind})
	}
	return out
}

// start starts a query and lets its time pass.
func (l *queryLab) start(sql string, change ...func(*athena.StartQueryExecutionInput)) *types.QueryExecution {
	l.t.Helper()
	in := &athena.StartQueryExecutionInput{QueryString: aws.String(sql), QueryExecutionContext: &types.QueryExecutionContext{Database: aws.String("lab")},
		ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String("s3://results/athena/")}}
	for _, f := range change {
		f(in)
	}
	out, err := l.athena.StartQueryExecution(l.t.Context(), in)
	if err != nil {
		l.t.Fatalf("%s: %v", sql, err)
	}
	l.sb.Advance(5 * time.Second)
	got, err := l.athena.GetQueryExecution(l.t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: out.QueryExecutionId})
	if err != nil {
		l.t.Fatal(err)
	}
	return got.QueryExecution
}

func bound(parameters ...string) func(*athena.StartQueryExecutionInput) {
	return func(in *athena.StartQueryExecutionInput) { in.ExecutionParameters = parameters }
}

// rows runs a query and gives its rows as text, NULL as ∅.
func (l *queryLab) rows(sql string, change ...func(*athena.StartQueryExecutionInput)) []string {
	l.t.Helper()
	q := l.start(sql, change...)
	if q.Status.State != types.QueryExecutionStateSucceeded {
		return []string{string(q.Status.State) + ": " + deref(q.Status.StateChangeReason)}
	}
	out, err := l.athena.GetQueryResults(l.t.Context(), &athena.GetQueryResultsInput{QueryExecutionId: q.QueryExecutionId})
	if err != nil {
		l.t.Fatal(err)
	}
	var rows []string
	for i, r := range out.ResultSet.Rows {
		if i == 0 && q.StatementType == types.StatementTypeDml {
			continue // the header
		}
		var cells []string
		for _, d := range r.Data {
			if d.VarCharValue == nil {
				cells = append(cells, "∅")
			} else {
				cells = append(cells, *d.VarCharValue)
			}
		}
		rows = append(rows, strings.Join(cells, "|"))
	}
	return rows
}

const orders = `{"id":"o1","customer":"c1","total":10.5,"items":2,"paid":true,"at":"2026-11-23T08:00:00Z","note":"it's"}
{"id":"o2","customer":"c2","total":20,"items":1,"paid":false,"at":"2026-11-23T09:15:30.250Z"}
{"id":"o3","customer":"c1","total":0.25,"items":7,"paid":true,"at":"2026-11-22T23:59:59Z","note":null}
{"id":"o4","customer":null,"total":100000000,"items":null,"paid":null,"at":null,"note":"a \"b\", c"}
`

func (l *queryLab) orders() {
	l.put("orders/a.json", orders)
	l.table("orders", openXSerDe, "id string; customer string; total double; items int; paid boolean; at string; note string")
}

func TestQueryOfEvents(t *testing.T) {
	l := newQueryLab(t)
	l.orders()
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{`SELECT id, total FROM orders ORDER BY id`, []string{"o1|10.5", "o2|20.0", "o3|0.25", "o4|1.0E8"}},
		{`SELECT count(*) FROM orders`, []string{"4"}},
		{`SELECT customer, sum(total) t FROM lab.orders GROUP BY customer ORDER BY t DESC`, []string{"∅|1.0E8", "c2|20.0", "c1|10.75"}},
	} {
		if diff := cmp.Diff(c.want, l.rows(c.sql)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.sql, diff)
		}
	}
}

// A bound value is a value, whatever is in it.
func TestBoundParameters(t *testing.T) {
	l := newQueryLab(t)
	l.orders()
	const sql = `SELECT id FROM orders WHERE note = ? AND items >= ? ORDER BY id`
	for _, c := range []struct {
		values []string
		want   []string
	}{
		{[]string{`'it''s'`, "2"}, []string{"o1"}},
		{[]string{`'it''s'' OR 1=1 --'`, "0"}, nil},
		{[]string{`'x' OR 1=1`, "0"}, []string{`FAILED: INVALID_PARAMETER_USAGE: execution parameter 1 is not a literal (a string needs single quotes, with quotes inside doubled): 'x' OR 1=1`}},
		{[]string{`'x'`}, []string{"FAILED: INVALID_PARAMETER_USAGE: Incorrect number of parameters: expected 2 but found 1"}},
	} {
		if diff := cmp.Diff(c.want, l.rows(sql, bound(c.values...))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.values, diff)
		}
	}
}
