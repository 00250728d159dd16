package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

func zipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (l *queryLab) object(bucket, key string) string {
	l.t.Helper()
	out, err := l.s3.GetObject(l.t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		l.t.Fatal(err)
	}
	body, err := io.ReadAll(out.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(body)
}

func property(name, value string) func(*TableInput) {
	return func(in *TableInput) { in.Parameters[name] = value }
}

func serdeProperty(name, value string) func(*TableInput) {
	return func(in *TableInput) { in.StorageDescriptor.SerdeInfo.Parameters[name] = value }
}

// The rules are in lib/trino-hive-formats/…/openxjson/README.md and line/json of Trino.
func TestSerDes(t *testing.T) {
	const columns = "id string; n int; x double; b boolean; ts timestamp; d date; m decimal(6,2)"
	const all = "SELECT id, n, x, b, ts, d, m FROM rows"
	for name, c := range map[string]struct {
		serde  string
		body   string
		change []func(*TableInput)
		want   []string
	}{
		"openx": {openXSerDe, `{"ID":"a","n":"7","x":"1.5","b":"TRUE","ts":"2026-11-23T10:00:00.5Z","d":"2026-11-23","m":12.345}` + "\n", nil,
			[]string{"a|7|1.5|true|2026-11-23 10:00:00.500|2026-11-23|12.35"}},
		"openx: what cannot be parsed is NULL":                             {openXSerDe, `{"id":7,"n":"x","x":"y","b":1,"ts":"yesterday","d":"-","m":"z"}` + "\n", nil, []string{"7|∅|∅|false|∅|∅|∅"}},
		"openx: an object as a string is its JSON":                         {openXSerDe, `{"id": {"z": 1, "a": [true]}, "n": 1.9}`, nil, []string{`{"z":1,"a":[true]}|1|∅|∅|∅|∅|∅`}},
		"openx: an object as a number fails":                               {openXSerDe, `{"n":{}}`, nil, []string{"FAILED: HIVE_BAD_DATA: Error parsing field 'n': a JSON object or array can not be coerced to INTEGER (in s3://events/rows/a.json)"}},
		"openx: seconds and milliseconds":                                  {openXSerDe, `{"ts":1795425330.25}` + "\n" + `{"ts":1795425330250}`, nil, []string{"∅|∅|∅|∅|2026-11-23 09:15:30.250|∅|∅", "∅|∅|∅|∅|2026-11-23 09:15:30.250|∅|∅"}},
		"openx: a blank line is a row of NULLs":                            {openXSerDe, "{\"id\":\"a\"}\n\n{\"id\":\"b\"}\n", nil, []string{"a|∅|∅|∅|∅|∅|∅", "∅|∅|∅|∅|∅|∅|∅", "b|∅|∅|∅|∅|∅|∅"}},
		"openx: malformed":                                                 {openXSerDe, `{"id":"a"` + "\n", nil, []string{"FAILED: HIVE_CURSOR_ERROR: Row is not a valid JSON Object - JSONException: unexpected EOF (in s3://events/rows/a.json)"}},
		"openx: malformed is ignored":                                      {openXSerDe, "{\"id\":\"a\"\n{\"id\":\"b\"}", []func(*TableInput){serdeProperty("ignore.malformed.json", "true")}, []string{"∅|∅|∅|∅|∅|∅|∅", "b|∅|∅|∅|∅|∅|∅"}},
		"openx: without a newline only the first record of a line is seen": {openXSerDe, `{"id":"a"}{"id":"b"}{"id":"c"}`, nil, []string{"a|∅|∅|∅|∅|∅|∅"}},
		"openx: mapping":                                                   {openXSerDe, `{"orderId":"a","id":"no"}`, []func(*TableInput){serdeProperty("mapping.id", "orderId")}, []string{"a|∅|∅|∅|∅|∅|∅"}},
		"openx: case matters":                                              {openXSerDe, `{"ID":"a","n":1}`, []func(*TableInput){serdeProperty("case.insensitive", "false")}, []string{"∅|1|∅|∅|∅|∅|∅"}},
		"openx: unknown property":                                          {openXSerDe, `{}`, []func(*TableInput){serdeProperty("timestamp.formats", "yyyy")}, []string{"FAILED: NOT_SUPPORTED: the sandbox's Athena does not know the SerDe property timestamp.formats"}},
		"hive":                                                             {hiveSerDe, `{"Id":"a","n":7,"x":1.5,"b":true,"ts":"2026-11-23 10:00:00.5","d":"2026-11-23","m":"1.5"}` + "\n", nil, []string{"a|7|1.5|true|2026-11-23 10:00:00.500|2026-11-23|1.50"}},
		"hive: first record only":                                          {hiveSerDe, `{"id":"a"}{"id":"b"}`, nil, []string{"a|∅|∅|∅|∅|∅|∅"}},
		"hive: a number in quotes":                                         {hiveSerDe, `{"n":"7"}`, nil, []string{`FAILED: HIVE_BAD_DATA: Error parsing field 'n': "7" can not be coerced to INTEGER (in s3://events/rows/a.json)`}},
		"hive: ISO times fail":                                             {hiveSerDe, `{"ts":"2026-11-23T10:00:00Z"}`, nil, []string{`FAILED: HIVE_BAD_DATA: Error parsing field 'ts': "2026-11-23T10:00:00Z" can not be coerced to TIMESTAMP(3) (in s3://events/rows/a.json)`}},
		"hive: malformed":                                                  {hiveSerDe, "x\n", nil, []string{"FAILED: HIVE_CURSOR_ERROR: Row is not a valid JSON Object - JSONException: invalid character 'x' looking for beginning of value (in s3://events/rows/a.json)"}},
		"no reader for this format":                                        {"org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe", "", nil, []string{"FAILED: NOT_SUPPORTED: the sandbox's Athena reads JSON (org.openx.data.jsonserde.JsonSerDe, org.apache.hive.hcatalog.data.JsonSerDe), not org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newQueryLab(t)
			l.put("rows/a.json", c.body)
			l.table("rows", c.serde, columns, c.change...)
			if diff := cmp.Diff(c.want, l.rows(all)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// What is scanned is what lies in S3: compressed, without hidden objects, and billed
// by ten megabytes at least.
func TestScannedBytes(t *testing.T) {
	l := newQueryLab(t)
	packed := zipped(t, strings.Repeat(`{"id":"a"}`+"\n", 5000))
	l.put("rows/2026/11/a.json.gz", packed)
	l.put("rows/b", `{"id":"b"}`)
	l.put("rows/_SUCCESS", "not json")
	l.put("rows/.hidden", "not json")
	l.put("rows2/c", "another table")
	l.table("rows", openXSerDe, "id string")
	before := l.sb.Bill().USD
	q := l.start(`SELECT id, count(*) FROM rows GROUP BY id ORDER BY id`)
	if got, want := *q.Statistics.DataScannedInBytes, int64(len(packed)+10); got != want {
		t.Errorf("scanned %d bytes, want %d", got, want)
	}
	if got, want := l.sb.Bill().USD-before, 10.0/(1<<20)*ops.PricePerTBScanned; math.Abs(got-want) > 1e-12 {
		t.Errorf("billed $%g, want $%g", got, want)
	}
	if *q.Statistics.EngineExecutionTimeInMillis < 500 || *q.Statistics.QueryQueueTimeInMillis < 100 || *q.Statistics.TotalExecutionTimeInMillis > 2000 {
		t.Errorf("times: %+v", q.Statistics)
	}
	key := strings.TrimPrefix(*q.ResultConfiguration.OutputLocation, "s3://results/")
	if got, want := l.object("results", key), "\"id\",\"_col1\"\n\"a\",\"5000\"\n\"b\",\"1\"\n"; got != want {
		t.Errorf("result %q, want %q", got, want)
	}
	if got := l.rows(`SELECT "$path" FROM rows WHERE id = 'b'`); len(got) != 1 || got[0] != "s3://events/rows/b" {
		t.Errorf("$path: %q", got)
	}
	l.orders()
	q = l.start(`SELECT id, note, items AS "n,""x" FROM orders WHERE id >= 'o3' ORDER BY id`)
	if got, want := l.object("results", "athena/"+*q.QueryExecutionId+".csv"), "\"id\",\"note\",\"n,\"\"x\"\n\"o3\",,\"7\"\n\"o4\",\"a \"\"b\"\", c\",\n"; got != want {
		t.Errorf("result %q, want %q", got, want)
	}
	l.put("broken/a.gz", "not gzip")
	l.table("broken", openXSerDe, "id string")
	if got := l.rows(`SELECT * FROM broken`); !strings.HasPrefix(got[0], "FAILED: HIVE_CURSOR_ERROR: Failed to read file at s3://events/broken/a.gz") {
		t.Errorf("broken gzip: %q", got)
	}
}

// archive puts an event into each hour of three days, each one byte longer than the
// one before it.
func (l *queryLab) archive() (sizes map[string]int64) {
	sizes = map[string]int64{}
	from := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	for h := range 64 { // also beyond what is now in the lab
		at := from.Add(time.Duration(h) * time.Hour).Format("2006/01/02/15")
		body := fmt.Sprintf(`{"id":"%0*d"}`, h+1, h)
		l.put("archive/"+at+"/part.json", body)
		sizes[at] = int64(len(body))
	}
	l.table("archive", openXSerDe, "id string", func(in *TableInput) { in.PartitionKeys = columnsOf("dt string") },
		property("projection.enabled", "true"), property("projection.dt.type", "date"), property("projection.dt.format", "yyyy/MM/dd/HH"),
		property("projection.dt.range", "2026/11/21/00,NOW"), property("projection.dt.interval", "1"), property("projection.dt.interval.unit", "HOURS"),
		property("storage.location.template", "s3://events/archive/${dt}/"))
	return sizes
}

// Projection lists only the prefixes that WHERE allows, and NOW is the sandbox's.
func TestProjectionPrunes(t *testing.T) {
	l := newQueryLab(t)
	sizes := l.archive()
	sum := func(from, to string) (n, bytes int64) {
		for at, size := range sizes {
			if at >= from && at <= to {
				n, bytes = n+1, bytes+size
			}
		}
		return n, bytes
	}
	const now = "2026/11/23/10" // later objects are there already, but not in the range
	for where, span := range map[string][2]string{
		`true`:                 {"", now},
		`dt = '2026/11/22/05'`: {"2026/11/22/05", "2026/11/22/05"},
		`dt BETWEEN '2026/11/22/05' AND '2026/11/22/07'`:                  {"2026/11/22/05", "2026/11/22/07"},
		`dt >= '2026/11/23' AND id <> 'x'`:                                {"2026/11/23", now},
		`dt IN ('2026/11/22/05')`:                                         {"2026/11/22/05", "2026/11/22/05"},
		`substr(dt, 1, 10) = '2026/11/22'`:                                {"2026/11/22", "2026/11/22/99"},
		`dt LIKE '2026/11/22/%' AND dt < '2026/11/22/03'`:                 {"2026/11/22", "2026/11/22/02"},
		`dt = date_format(now() - INTERVAL '2' HOUR, '%Y/%m/%d/%H')`:      {"2026/11/23/08", "2026/11/23/08"},
		`(dt = '2026/11/22/05' OR dt = '2026/11/22/06') AND id LIKE '0%'`: {"2026/11/22/05", "2026/11/22/06"},
		`dt = '2020/01/01/00'`:                                            {"2020/01/01/00", "2020/01/01/00"},
	} {
		n, bytes := sum(span[0], span[1])
		q := l.start(`SELECT count(*) FROM archive WHERE ` + where)
		if got := *q.Statistics.DataScannedInBytes; got != bytes {
			t.Errorf("%s: scanned %d bytes, want %d", where, got, bytes)
		}
		if got := l.rows(`SELECT count(*) FROM archive WHERE ` + where); got[0] != fmt.Sprint(n) {
			t.Errorf("%s: %q rows, want %d", where, got, n)
		}
	}
	if got, want := l.rows(`SELECT dt, "$path" FROM archive WHERE dt = ?`, bound(`'2026/11/22/05'`)), []string{"2026/11/22/05|s3://events/archive/2026/11/22/05/part.json"}; !cmp.Equal(got, want) {
		t.Errorf("a bound partition: %q", got)
	}
	// A condition that is not about partitions alone must not prune.
	if got := l.rows(`SELECT count(*) FROM archive WHERE dt = '2026/11/22/05' OR id = '00'`); got[0] != "1" {
		t.Errorf("OR with a data column: %q", got)
	}
	if got := l.rows(`SELECT count(*) FROM archive WHERE dt = '2026/11/22/05' OR cast(id AS bigint) = 0`); got[0] != "2" {
		t.Errorf("OR with a data column: %q", got)
	}
	// The outer side of a join keeps its rows.
	if got := l.rows(`SELECT a.dt, b.dt FROM archive a LEFT JOIN archive b ON a.dt = b.dt AND b.dt = '2026/11/22/00' WHERE a.dt BETWEEN '2026/11/22/00' AND '2026/11/22/01' ORDER BY 1`); !cmp.Equal(got, []string{"2026/11/22/00|2026/11/22/00", "2026/11/22/01|∅"}) {
		t.Errorf("left join: %q", got)
	}
}

func TestProjectionKinds(t *testing.T) {
	l := newQueryLab(t)
	for _, place := range []string{"kind=order/shard=007/tenant=t1", "kind=order/shard=008/tenant=t1", "kind=refund/shard=007/tenant=t'2"} {
		l.put("parts/"+place+"/a.json", `{"id":"`+place[5:8]+`"}`)
	}
	l.table("parts", openXSerDe, "id string", func(in *TableInput) { in.PartitionKeys = columnsOf("kind string; shard int; tenant string") },
		property("projection.enabled", "true"), property("projection.kind.type", "enum"), property("projection.kind.values", "order, refund"),
		property("projection.shard.type", "integer"), property("projection.shard.range", "0,20"), property("projection.shard.digits", "3"),
		property("projection.tenant.type", "injected"))
	l.table("months", openXSerDe, "id string", func(in *TableInput) { in.PartitionKeys = columnsOf("m string") },
		property("projection.enabled", "true"), property("projection.m.type", "date"), property("projection.m.format", "yyyy-MM"), property("projection.m.range", "NOW-2MONTHS,NOW"))
	l.put("months/m=2026-09/a", `{"id":"sep"}`)
	l.put("months/m=2026-08/a", `{"id":"aug"}`)
	l.table("minutes", openXSerDe, "id string", func(in *TableInput) { in.PartitionKeys = columnsOf("m string") },
		property("projection.enabled", "true"), property("projection.m.type", "date"), property("projection.m.format", "yyyy-MM-dd-HH-mm"), property("projection.m.range", "2026-11-01-00-00,NOW"),
		property("projection.m.interval", "1"), property("projection.m.interval.unit", "MINUTES"))
	l.put("minutes/m=2026-11-02-03-04/a", `{"id":"m"}`)
	l.table("catalogued", openXSerDe, "id string", func(in *TableInput) { in.PartitionKeys = columnsOf("m string") })
	l.put("catalogued/m=1/a", `{"id":"m"}`)
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{`SELECT kind, shard, tenant FROM parts WHERE tenant = 't1' ORDER BY shard`, []string{"order|7|t1", "order|8|t1"}},
		{`SELECT kind, shard FROM parts WHERE tenant IN ('t1', 't''2') AND shard = 7 ORDER BY kind`, []string{"order|7", "refund|7"}},
		{`SELECT count(*) FROM parts`, []string{"FAILED: CONSTRAINT_VIOLATION: For the injected projected partition column tenant, the WHERE clause must contain only static equality conditions, and at least one such condition must be present."}},
		{`SELECT m, id FROM months`, []string{"2026-09|sep"}},
		{`SELECT id FROM minutes WHERE m LIKE '2026-11-02%'`, []string{"m"}},
		{`SELECT id FROM minutes`, []string{"FAILED: NOT_SUPPORTED: this query would list more than 10000 partitions of lab.minutes, which is the most that the sandbox's Athena lists: name the partitions in WHERE"}},
		{`SELECT count(*) FROM catalogued`, []string{"0"}},
	} {
		if diff := cmp.Diff(c.want, l.rows(c.sql)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.sql, diff)
		}
	}
}

func (l *queryLab) group(name string, cutoff int64) {
	l.t.Helper()
	c := &types.WorkGroupConfiguration{ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String("s3://results/" + name)}}
	if cutoff > 0 {
		c.BytesScannedCutoffPerQuery = aws.Int64(cutoff)
	}
	if _, err := l.athena.CreateWorkGroup(l.t.Context(), &athena.CreateWorkGroupInput{Name: aws.String(name), Configuration: c}); err != nil {
		l.t.Fatal(err)
	}
}

func inGroup(name string) func(*athena.StartQueryExecutionInput) {
	return func(in *athena.StartQueryExecutionInput) { in.WorkGroup = aws.String(name) }
}

func TestCutoff(t *testing.T) {
	l := newQueryLab(t)
	l.put("rows/a", strings.Repeat(`{"id":"`+strings.Repeat("a", 1000)+`"}`+"\n", 6<<10))
	l.put("rows/b", strings.Repeat(`{"id":"`+strings.Repeat("b", 1000)+`"}`+"\n", 6<<10))
	l.table("rows", openXSerDe, "id string")
	l.group("careful", 10<<20)
	q := l.start(`SELECT count(*) FROM rows`, inGroup("careful"))
	if q.Status.State != types.QueryExecutionStateCancelled || deref(q.Status.StateChangeReason) != "Bytes scanned limit was exceeded" || *q.Statistics.DataScannedInBytes != 10<<20 {
		t.Errorf("%s: %s, scanned %d", q.Status.State, deref(q.Status.StateChangeReason), *q.Statistics.DataScannedInBytes)
	}
	_, err := l.athena.UpdateWorkGroup(t.Context(), &athena.UpdateWorkGroupInput{WorkGroup: aws.String("careful"),
		ConfigurationUpdates: &types.WorkGroupConfigurationUpdates{BytesScannedCutoffPerQuery: aws.Int64(100 << 20)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.rows(`SELECT count(*) FROM rows`, inGroup("careful")); got[0] != "12288" {
		t.Errorf("below the cutoff: %q", got)
	}
}

func TestWorkGroups(t *testing.T) {
	l := newQueryLab(t)
	l.orders()
	l.group("oncall", 0)
	if q := l.start(`SELECT 1`, inGroup("oncall")); !strings.HasPrefix(*q.ResultConfiguration.OutputLocation, "s3://results/oncall/"+*q.QueryExecutionId) {
		t.Errorf("a workgroup that enforces its location wrote to %s", *q.ResultConfiguration.OutputLocation)
	}
	got, err := l.athena.GetWorkGroup(t.Context(), &athena.GetWorkGroupInput{WorkGroup: aws.String("oncall")})
	if err != nil || !*got.WorkGroup.Configuration.EnforceWorkGroupConfiguration || got.WorkGroup.State != types.WorkGroupStateEnabled {
		t.Errorf("workgroup %+v, %v", got, err)
	}
	list, err := l.athena.ListWorkGroups(t.Context(), &athena.ListWorkGroupsInput{})
	if err != nil || len(list.WorkGroups) != 2 || *list.WorkGroups[0].Name != "oncall" || *list.WorkGroups[1].Name != "primary" {
		t.Errorf("workgroups %+v, %v", list, err)
	}
	ids, err := l.athena.ListQueryExecutions(t.Context(), &athena.ListQueryExecutionsInput{WorkGroup: aws.String("oncall")})
	if err != nil || len(ids.QueryExecutionIds) != 1 {
		t.Errorf("queries of the workgroup: %+v, %v", ids, err)
	}
	batch, err := l.athena.BatchGetQueryExecution(t.Context(), &athena.BatchGetQueryExecutionInput{QueryExecutionIds: append(ids.QueryExecutionIds, "nobody")})
	if err != nil || len(batch.QueryExecutions) != 1 || len(batch.UnprocessedQueryExecutionIds) != 1 {
		t.Errorf("batch: %+v, %v", batch, err)
	}
	for name, call := range map[string]func() error{
		"not empty": func() error {
			_, err := l.athena.DeleteWorkGroup(t.Context(), &athena.DeleteWorkGroupInput{WorkGroup: aws.String("oncall")})
			return err
		},
		"there already": func() error {
			_, err := l.athena.CreateWorkGroup(t.Context(), &athena.CreateWorkGroupInput{Name: aws.String("oncall")})
			return err
		},
		"no location": func() error {
			_, err := l.athena.StartQueryExecution(t.Context(), &athena.StartQueryExecutionInput{QueryString: aws.String("SELECT 1")})
			return err
		},
		"small cutoff": func() error {
			_, err := l.athena.CreateWorkGroup(t.Context(), &athena.CreateWorkGroupInput{Name: aws.String("x"), Configuration: &types.WorkGroupConfiguration{BytesScannedCutoffPerQuery: aws.Int64(1)}})
			return err
		},
	} {
		var invalid *types.InvalidRequestException
		if err := call(); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := l.athena.DeleteWorkGroup(t.Context(), &athena.DeleteWorkGroupInput{WorkGroup: aws.String("oncall"), RecursiveDeleteOption: aws.Bool(true)}); err != nil {
		t.Error(err)
	}
	_, err = l.athena.CreateWorkGroup(t.Context(), &athena.CreateWorkGroupInput{Name: aws.String("x"), Configuration: &types.WorkGroupConfiguration{RequesterPaysEnabled: aws.Bool(true)}})
	if err == nil || !strings.Contains(err.Error(), "the sandbox does not support the parameter Configuration.RequesterPaysEnabled") {
		t.Errorf("an unknown setting: %v", err)
	}
}

// A query has a life: it waits, runs, and can be stopped; the same token is the same
// query.
func TestLifeOfAQuery(t *testing.T) {
	l := newQueryLab(t)
	l.orders()
	in := &athena.StartQueryExecutionInput{QueryString: aws.String("SELECT count(*) FROM lab.orders"), ClientRequestToken: aws.String(strings.Repeat("k", 32)),
		ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String("s3://results/")}}
	first, err := l.athena.StartQueryExecution(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	state := func() types.QueryExecutionState {
		out, err := l.athena.GetQueryExecution(t.Context(), &athena.GetQueryExecutionInput{QueryExecutionId: first.QueryExecutionId})
		if err != nil {
			t.Fatal(err)
		}
		return out.QueryExecution.Status.State
	}
	var seen []types.QueryExecutionState
	for range 20 {
		if s := state(); len(seen) == 0 || seen[len(seen)-1] != s {
			seen = append(seen, s)
		}
		if _, err := l.athena.GetQueryResults(t.Context(), &athena.GetQueryResultsInput{QueryExecutionId: first.QueryExecutionId}); (err == nil) != (seen[len(seen)-1] == types.QueryExecutionStateSucceeded) {
			t.Errorf("results while %s: %v", seen[len(seen)-1], err)
		}
		l.sb.Advance(100 * time.Millisecond)
	}
	if diff := cmp.Diff([]types.QueryExecutionState{"QUEUED", "RUNNING", "SUCCEEDED"}, seen); diff != "" {
		t.Error(diff)
	}
	again, err := l.athena.StartQueryExecution(t.Context(), in)
	if err != nil || *again.QueryExecutionId != *first.QueryExecutionId {
		t.Errorf("the same token: %+v, %v", again, err)
	}
	in.QueryString = aws.String("SELECT 2")
	var invalid *types.InvalidRequestException
	if _, err := l.athena.StartQueryExecution(t.Context(), in); !errors.As(err, &invalid) {
		t.Errorf("the same token for another query: %v", err)
	}
	in.ClientRequestToken = nil
	first, err = l.athena.StartQueryExecution(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.athena.StopQueryExecution(t.Context(), &athena.StopQueryExecutionInput{QueryExecutionId: first.QueryExecutionId}); err != nil {
		t.Fatal(err)
	}
	l.sb.Advance(5 * time.Second)
	if got := state(); got != types.QueryExecutionStateCancelled {
		t.Errorf("stopped: %s", got)
	}
	name := ops.CallPrice("athena", "StartQueryExecution", 0)
	if name != 0 {
		t.Errorf("a call of Athena costs %g", name)
	}
	at := l.sb.Now().Add(-time.Minute)
	l.sb.Advance(time.Minute)
	series := l.sb.Region("").metrics.find("AWS/Athena", "ProcessedBytes", "WorkGroup", "primary", "QueryState", "SUCCEEDED", "QueryType", "DML")
	if series != nil {
		t.Errorf("the primary workgroup publishes no metrics, but there is one since %s", at)
	}
	l.group("measured", 0)
	l.start(`SELECT count(*) FROM orders`, inGroup("measured"))
	series = l.sb.Region("").metrics.find("AWS/Athena", "ProcessedBytes", "WorkGroup", "measured", "QueryState", "SUCCEEDED", "QueryType", "DML")
	if series == nil || series.points[len(series.points)-1].sum != float64(len(orders)) {
		t.Errorf("ProcessedBytes: %+v", series)
	}
}

// Pages have a thousand rows, of which the first of the first page is the header.
func TestPagesOfResults(t *testing.T) {
	l := newQueryLab(t)
	var b strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&b, "{\"n\":%d}\n", i)
	}
	l.put("rows/a", b.String())
	l.table("rows", openXSerDe, "n int")
	q := l.start(`SELECT n FROM rows ORDER BY n`)
	pages := athena.NewGetQueryResultsPaginator(l.athena, &athena.GetQueryResultsInput{QueryExecutionId: q.QueryExecutionId})
	var sizes, values []int
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.ResultSet.Rows))
		for i, r := range page.ResultSet.Rows {
			if len(sizes) == 1 && i == 0 {
				if got := *r.Data[0].VarCharValue; got != "n" {
					t.Errorf("header %q", got)
				}
				continue
			}
			var n int
			if _, err := fmt.Sscan(*r.Data[0].VarCharValue, &n); err != nil {
				t.Fatal(err)
			}
			values = append(values, n)
		}
	}
	if !cmp.Equal(sizes, []int{1000, 1000, 501}) || len(values) != 2500 || values[0] != 0 || values[2499] != 2499 {
		t.Errorf("pages of %v, %d values", sizes, len(values))
	}
	if _, err := l.athena.GetQueryResults(t.Context(), &athena.GetQueryResultsInput{QueryExecutionId: q.QueryExecutionId, MaxResults: aws.Int32(1001)}); err == nil {
		t.Error("a page of 1001 rows was given")
	}
}

func TestUnload(t *testing.T) {
	l := newQueryLab(t)
	l.orders()
	q := l.start(`UNLOAD (SELECT id, total, paid, note, "$path" p FROM orders WHERE customer = ? ORDER BY id) TO 's3://results/out/' WITH (format = 'JSON', compression = 'gzip')`, bound(`'c1'`))
	if q.Status.State != types.QueryExecutionStateSucceeded {
		t.Fatal(deref(q.Status.StateChangeReason))
	}
	manifest := l.object("results", strings.TrimPrefix(*q.Statistics.DataManifestLocation, "s3://results/"))
	z, err := gzip.NewReader(strings.NewReader(l.object("results", strings.TrimSpace(strings.TrimPrefix(manifest, "s3://results/")))))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"o1","total":10.5,"paid":true,"note":"it's","p":"s3://events/orders/a.json"}
{"id":"o3","total":0.25,"paid":true,"p":"s3://events/orders/a.json"}
`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Error(diff)
	}
	if got := l.rows(`UNLOAD (SELECT 1 x) TO 's3://results/out/' WITH (format = 'JSON')`); !strings.HasPrefix(got[0], "FAILED: HIVE_PATH_ALREADY_EXISTS") {
		t.Errorf("a full folder: %q", got)
	}
	if got := l.rows(`UNLOAD (SELECT 1 x) TO 's3://results/out2/' WITH (format = 'PARQUET')`); !strings.HasPrefix(got[0], "FAILED: NOT_SUPPORTED") {
		t.Errorf("another format: %q", got)
	}
}

// The DDL that Athena's documentation shows for events of Firehose.
func TestDDL(t *testing.T) {
	l := newQueryLab(t)
	for _, sql := range []string{
		`CREATE DATABASE IF NOT EXISTS pipeline COMMENT 'events'`,
		`CREATE EXTERNAL TABLE IF NOT EXISTS pipeline.events (
  id string COMMENT 'of the event',
  ` + "`order`" + ` struct<id:string,total:decimal(8,2),lines:array<struct<sku:string,n:int>>>,
  ts timestamp
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat' OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.IgnoreKeyTextOutputFormat'
LOCATION 's3://events/pipeline/'
TBLPROPERTIES (
  'projection.enabled' = 'true', 'projection.dt.type' = 'date', 'projection.dt.format' = 'yyyy/MM/dd',
  'projection.dt.range' = '2026/11/01,NOW', 'storage.location.template' = 's3://events/pipeline/${dt}'
)`,
	} {
		if q := l.start(sql); q.Status.State != types.QueryExecutionStateSucceeded || q.StatementType != types.StatementTypeDdl {
			t.Fatalf("%s: %s", sql, deref(q.Status.StateChangeReason))
		}
	}
	l.put("pipeline/2026/11/23/a", `{"id":"e1","order":{"id":"o1","total":12.5,"lines":[{"sku":"a","n":2},{"sku":"b","n":1}]},"ts":"2026-11-23T10:00:00Z"}`)
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{`SELECT e."order".id, e."order".total, sku, n, dt FROM pipeline.events e CROSS JOIN UNNEST("order".lines) AS t(sku, n) WHERE dt = '2026/11/23' ORDER BY sku`, []string{"o1|12.50|a|2|2026/11/23", "o1|12.50|b|1|2026/11/23"}},
		{`SELECT "order".lines[1].sku, count(*) FROM pipeline.events GROUP BY 1`, []string{"a|1"}},
		{`SHOW DATABASES`, []string{"lab", "pipeline"}},
		{`SHOW TABLES IN pipeline 'ev*'`, []string{"events"}},
		{`SHOW COLUMNS IN pipeline.events`, []string{"id                  ", "order               ", "ts                  ", "dt                  "}},
		{`DROP TABLE pipeline.events`, nil},
		{`DROP TABLE IF EXISTS pipeline.events`, nil},
		{`SHOW TABLES IN pipeline`, nil},
		{`DROP DATABASE pipeline`, nil},
		{`SHOW DATABASES`, []string{"lab"}},
		{`ALTER TABLE x ADD PARTITION (a = '1')`, []string{"FAILED: NOT_SUPPORTED: line 1:1: the sandbox's Athena does not support statements that begin with ALTER TABLE"}},
	} {
		if diff := cmp.Diff(c.want, l.rows(c.sql)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.sql, diff)
		}
	}
}

// The quick reader of objects sees what encoding/json sees.
func TestMembers(t *testing.T) {
	for _, object := range []string{
		`{}`, `{"a":1}`, ` { "a" : 1 , "b" : [1, {"c":"}"}] ,"d":"x\\"," e ":null}`, `{"a\"b":"\",\\","":{"":[]}}`, "{\t\"a\"\r:\ttrue\r,\"b\":-1.5e3\r}", `{"a":"[{\"x\":1}]","ü":"\u00fc"}`,
	} {
		line := bytes.TrimSpace([]byte(object))
		end, err := firstValue(append(line, `{"next":1}`...))
		if err != nil || end != len(line) {
			t.Errorf("%s ends at %d (%v), want %d", object, end, err, len(line))
			continue
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		got := map[string]json.RawMessage{}
		if err := members(line, func(key string, raw []byte) { got[key] = bytes.TrimSpace(raw) }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", object, diff)
		}
	}
}

// The catalog is spoken to without the SDK's module: the wire is what counts.
func TestGlue(t *testing.T) {
	sb, err := New(Options{Start: labStart})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	glue := func(operation, body string) string {
		t.Helper()
		req := httptest.NewRequest("POST", "http://"+inProcessHost+"/", strings.NewReader(body))
		req.Header.Set("X-Amz-Target", "AWSGlue."+operation)
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		w := httptest.NewRecorder()
		sb.ServeHTTP(w, req)
		return strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body.String()))
	}
	const table = `{"DatabaseName":"Lab","TableInput":{"Name":"Events","TableType":"EXTERNAL_TABLE","Parameters":{"projection.enabled":"true"},"PartitionKeys":[{"Name":"dt","Type":"string"}],
		"StorageDescriptor":{"Columns":[{"Name":"id","Type":"string"}],"Location":"s3://b/e/","SerdeInfo":{"SerializationLibrary":"x.Y","Parameters":{"a":"b"}}}}}`
	const shown = `{"Name":"events","DatabaseName":"lab","CreateTime":1795429800,"UpdateTime":1795429800,"Retention":0,"StorageDescriptor":{"Columns":[{"Name":"id","Type":"string"}],` +
		`"Location":"s3://b/e/","Compressed":false,"NumberOfBuckets":0,"SerdeInfo":{"SerializationLibrary":"x.Y","Parameters":{"a":"b"}},"StoredAsSubDirectories":false},` +
		`"PartitionKeys":[{"Name":"dt","Type":"string"}],"TableType":"EXTERNAL_TABLE","Parameters":{"projection.enabled":"true"},"CatalogId":"123456789012","VersionId":"%d"}`
	for _, c := range []struct{ operation, body, want string }{
		{"CreateDatabase", `{"DatabaseInput":{"Name":"Lab"}}`, `200 {}`},
		{"CreateDatabase", `{"DatabaseInput":{"Name":"lab"}}`, `400 {"__type":"AlreadyExistsException","message":"Database already exists."}`},
		{"GetDatabase", `{"Name":"LAB"}`, `200 {"Database":{"Name":"lab","CreateTime":1795429800,"CatalogId":"123456789012"}}`},
		{"GetDatabases", `{}`, `200 {"DatabaseList":[{"Name":"lab","CreateTime":1795429800,"CatalogId":"123456789012"}]}`},
		{"CreateTable", table, `200 {}`},
		{"CreateTable", table, `400 {"__type":"AlreadyExistsException","message":"Table already exists."}`},
		{"GetTable", `{"DatabaseName":"lab","Name":"events"}`, `200 {"Table":` + fmt.Sprintf(shown, 0) + `}`},
		{"UpdateTable", table, `200 {}`},
		{"GetTables", `{"DatabaseName":"lab","Expression":"ev.*"}`, `200 {"TableList":[` + fmt.Sprintf(shown, 1) + `]}`},
		{"GetTables", `{"DatabaseName":"lab","Expression":"x.*"}`, `200 {"TableList":[]}`},
		{"GetTable", `{"DatabaseName":"lab","Name":"events","TransactionId":"1"}`, `400 {"__type":"NotImplemented","message":"the sandbox does not support the parameter TransactionId"}`},
		{"DeleteTable", `{"DatabaseName":"lab","Name":"Events"}`, `200 {}`},
		{"GetTable", `{"DatabaseName":"lab","Name":"events"}`, `400 {"__type":"EntityNotFoundException","message":"Entity Not Found: Table events not found."}`},
		{"DeleteDatabase", `{"Name":"lab"}`, `200 {}`},
		{"GetDatabase", `{"Name":"lab"}`, `400 {"__type":"EntityNotFoundException","message":"Database lab not found."}`},
		{"BatchCreatePartition", `{}`, `400 {"__type":"UnknownOperationException","message":"the sandbox does not offer BatchCreatePartition of \"glue\""}`},
	} {
		if diff := cmp.Diff(c.want, glue(c.operation, c.body)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.operation, c.body, diff)
		}
	}
}
