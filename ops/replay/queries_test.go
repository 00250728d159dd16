package replay

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
)

func TestASelectIsTakenApart(t *testing.T) {
	for sql, want := range map[string]string{
		`SELECT * FROM shop.orders WHERE customer = '4712'`:                                              "shop.orders | customer = '4712'",
		`select "$path", count(*) from "shop"."orders" where (customer = ?) group by "$path" order by 1`: "shop.orders | (customer = ?)",
		"SELECT a\nFROM orders\nWHERE dt IN (SELECT max(dt) FROM orders) AND x = 'from here'\nLIMIT 10;": "here.orders | dt IN (SELECT max(dt) FROM orders) AND x = 'from here'",
		`SELECT * FROM AwsDataCatalog.shop.orders LIMIT 5`:                                               "shop.orders | ",
		`SELECT "from", "where" FROM orders`:                                                             "here.orders | ",
		`SELECT * FROM orders WHERE name = 'it''s' AND "order" = 1 HAVING 1 = 1`:                         `here.orders | name = 'it''s' AND "order" = 1`,
		`SELECT * FROM orders o WHERE o.a = 1`:                                                           "! another name (o)",
		`SELECT * FROM orders AS o WHERE o.a = 1`:                                                        "! another name (as)",
		`SELECT * FROM a, b WHERE a.x = b.x`:                                                             "! more than one table",
		`SELECT * FROM a JOIN b ON a.x = b.x WHERE 1 = 1`:                                                "! more than one table (JOIN)",
		`SELECT * FROM a WHERE x = 1 UNION SELECT * FROM b`:                                              "! more than one table (UNION)",
		`WITH x AS (SELECT 1) SELECT * FROM x`:                                                           "! no SELECT",
		`SELECT * FROM (SELECT * FROM a) WHERE x = 1`:                                                    "! no table of this account",
		`CREATE TABLE x (a string)`:                                                                      "! no SELECT",
		`SELECT 1`:                                                                                       "! reads no table",
		`SELECT * FROM a WHERE x = 1 -- only today`:                                                      "! has comments",
		`SELECT * FROM a WHERE x = 'open`:                                                                "! quote",
		`SELECT * FROM mysql.x.y WHERE a = 1`:                                                            "! no table of this account",
		`SELECT * FROM a WHERE x = 1; DROP TABLE a`:                                                      "! there is a ; in it",
		``: "! no SELECT",
	} {
		table, where, err := selectOf(sql, "here")
		got := table + " | " + where
		if err != nil {
			got = "! " + err.Error()
		}
		if why, bad := strings.CutPrefix(want, "! "); bad && (err == nil || !strings.Contains(got, why)) || !bad && got != want {
			t.Errorf("%s\n gave %s\n want %s", sql, got, want)
		}
	}
}

func FuzzSelectOf(f *testing.F) {
	f.Add(`SELECT * FROM "a"."b" WHERE x = 'y' LIMIT 1`)
	f.Add(`select "`)
	f.Fuzz(func(t *testing.T, sql string) {
		table, where, err := selectOf(sql, "d")
		if err != nil {
			return
		}
		if len(tableOf(ops.ReplayEnd{Table: table})) != 2 {
			t.Errorf("%q is no table", table)
		}
		if _, err := condition(where); where != "" && err != nil {
			t.Errorf("%q is no condition: %v", where, err)
		}
	})
}

// ran runs a query as somebody else would, and waits for its end.
func (s *shop) ran(group, sql string, params ...string) string {
	s.Helper()
	out, err := s.athena.StartQueryExecution(s.Context(), &athena.StartQueryExecutionInput{QueryString: &sql, WorkGroup: &group, ExecutionParameters: params,
		QueryExecutionContext: &athenatypes.QueryExecutionContext{Database: aws.String("shop")}})
	s.must(err)
	s.sb.Advance(5 * time.Second)
	return *out.QueryExecutionId
}

// What somebody found in Athena is replayed by the id of the query: the same rows are
// chosen again.
func TestAQueryOfAthenaIsReplayed(t *testing.T) {
	s := newShop(t)
	url := s.queue("again")
	id := s.ran("shop", `SELECT n, at FROM orders WHERE customer = ? AND dt >= ? ORDER BY n LIMIT 5`, "'4712'", "'2026-11-16'")
	join := s.ran("small", `SELECT * FROM orders a JOIN orders b ON a.n = b.n`)
	inSelect := s.ran("small", `SELECT ?, n FROM orders WHERE customer = ?`, "1", "'4712'")
	s.ticking()

	got, err := s.desk.Queries(t.Context())
	s.must(err)
	by := map[string]ops.PastQuery{}
	for i, q := range got {
		by[q.ID] = q
		if i > 0 && q.At.After(got[i-1].At) {
			t.Errorf("the newest is not first")
		}
	}
	want := ops.ReplayQuestion{Workgroup: "shop", Where: "customer = ? AND dt >= ?", Params: []ops.ReplayParam{{Value: "4712"}, {Value: "2026-11-16"}}}
	if q := by[id]; q.From != "athena:shop.orders" || q.State != "SUCCEEDED" || !cmp.Equal(q.Question, want) {
		t.Errorf("%+v", q)
	}
	if q := by[join]; q.From != "" || !strings.Contains(q.Why, "more than one table") {
		t.Errorf("%+v", q)
	}
	if q := by[inSelect]; q.From != "" || !strings.Contains(q.Why, "values stand outside") {
		t.Errorf("%+v", q)
	}

	plan := s.plan(ops.ReplayAsk{From: "athena:" + id, To: "queue:again", Canary: -1, Select: ops.ReplaySelect{Filter: `.customer == "4712"`}})
	if plan.From.Table != "shop.orders" || plan.Query.Workgroup != "shop" || plan.Query.ID == id {
		t.Errorf("%+v", plan.Query)
	}
	if r := started(t, s.desk, plan).Wait(); r.State != ops.Finished {
		t.Fatalf("%+v", r)
	}
	bodies, _ := s.drain(url)
	if diff := cmp.Diff(sorted(s.bodies["2026-11-16 4712"]), sorted(bodies)); diff != "" {
		t.Error(diff)
	}
	for id, says := range map[string]string{join: "more than one table", "0f8fad5b-d9cb-469f-a165-70867728950e": "ask for the query"} {
		if _, _, err := s.desk.Plan(t.Context(), ops.ReplayAsk{From: "athena:" + id, To: "null:"}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A workgroup that may not be read hides no other, and none goes unsaid.
func TestAWorkgroupThatIsDenied(t *testing.T) {
	s := newShop(t)
	for range 10 {
		s.ran("shop", `SELECT * FROM orders`)
		s.ran("small", `SELECT * FROM orders`)
	}
	whole, err := s.desk.Queries(t.Context())
	s.must(err)
	s.sb.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "athena", Operation: "ListQueryExecutions", Percent: 50})
	partial := false
	for range 40 {
		got, err := s.desk.Queries(t.Context())
		if (len(got) < len(whole)) && err == nil {
			t.Fatalf("%d of %d queries, and no word of it", len(got), len(whole))
		}
		partial = partial || len(got) > 0 && err != nil && strings.Contains(err.Error(), "workgroup")
	}
	if !partial {
		t.Error("one that is denied hid all")
	}
}
