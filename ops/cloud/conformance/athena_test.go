package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// questions is a table of three events in two objects, and a workgroup to ask in.
type questions struct {
	*run
	table, group, bucket string
}

func (x *run) questions() questions {
	q := questions{run: x, group: x.name("group"), bucket: x.bucket()}
	q.table = strings.ReplaceAll(q.group, "-", "_")
	_, err := x.set.athena.CreateWorkGroup(x.ctx, &athena.CreateWorkGroupInput{Name: &q.group, Configuration: &types.WorkGroupConfiguration{
		EnforceWorkGroupConfiguration: aws.Bool(true), BytesScannedCutoffPerQuery: aws.Int64(1e9),
		ResultConfiguration: &types.ResultConfiguration{OutputLocation: aws.String("s3://" + q.bucket + "/results/")}}})
	x.must("CreateWorkGroup", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.athena.DeleteWorkGroup(ctx, &athena.DeleteWorkGroupInput{WorkGroup: &q.group, RecursiveDeleteOption: aws.Bool(true)})
		return err
	})
	for key, body := range map[string]string{"a": `{"id":"1","customer":"c1"}` + "\n" + `{"id":"2","customer":"c2"}`, "b": `{"id":"3","customer":"c1"}`} {
		key = "events/" + key
		_, err := x.set.s3.PutObject(x.ctx, &s3.PutObjectInput{Bucket: &q.bucket, Key: &key, Body: strings.NewReader(body)})
		x.must("PutObject", err)
		x.after(func(ctx context.Context) error {
			_, err := x.set.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &q.bucket, Key: &key})
			return err
		})
	}
	for _, sql := range []string{"CREATE DATABASE " + q.table, fmt.Sprintf(`CREATE EXTERNAL TABLE %s.events (id string, customer string) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://%s/events/'`, q.table, q.bucket)} {
		out, err := x.set.athena.StartQueryExecution(x.ctx, &athena.StartQueryExecutionInput{QueryString: &sql, WorkGroup: &q.group})
		x.must("StartQueryExecution of DDL", err)
		q.over(aws.ToString(out.QueryExecutionId), types.QueryExecutionStateSucceeded)
	}
	x.after(func(ctx context.Context) error {
		sql := "DROP DATABASE " + q.table + " CASCADE"
		_, err := x.set.athena.StartQueryExecution(ctx, &athena.StartQueryExecutionInput{QueryString: &sql, WorkGroup: &q.group})
		return err
	})
	return q
}

// start asks which objects hold a customer's events, as kxops does.
func (q questions) start(customer string, change ...func(*athena.StartQueryExecutionInput)) string {
	in := &athena.StartQueryExecutionInput{WorkGroup: &q.group, ExecutionParameters: []string{customer},
		QueryString:           aws.String(fmt.Sprintf(`SELECT "$path", count(*) FROM "%s"."events" WHERE (customer = ?) GROUP BY "$path" ORDER BY 1 LIMIT 200001`, q.table)),
		QueryExecutionContext: &types.QueryExecutionContext{Catalog: aws.String("AwsDataCatalog"), Database: &q.table}}
	for _, f := range change {
		f(in)
	}
	out, err := q.athena.StartQueryExecution(q.ctx, in)
	q.must("StartQueryExecution", err)
	return aws.ToString(out.QueryExecutionId)
}

// over waits for the end of a query, which must be this.
func (q questions) over(id string, want types.QueryExecutionState) *types.QueryExecution {
	var got *types.QueryExecution
	q.until("the end of the query", func() (bool, error) {
		out, err := q.athena.GetQueryExecution(q.ctx, &athena.GetQueryExecutionInput{QueryExecutionId: &id})
		if err != nil {
			return false, err
		}
		got = out.QueryExecution
		return got.Status.State != types.QueryExecutionStateQueued && got.Status.State != types.QueryExecutionStateRunning, nil
	})
	if got.Status.State != want {
		q.fatalf("the query is %s (%s), want %s", got.Status.State, aws.ToString(got.Status.StateChangeReason), want)
	}
	return got
}

var athenaCases = []oneCase{
	{name: "says the limit and the place for results", service: "Athena", operation: "GetWorkGroup", run: func(x *run) {
		q := x.questions()
		out, err := x.athena.GetWorkGroup(x.ctx, &athena.GetWorkGroupInput{WorkGroup: &q.group})
		x.must("GetWorkGroup", err)
		c := out.WorkGroup.Configuration
		equal(x, "limit", aws.ToInt64(c.BytesScannedCutoffPerQuery), int64(1e9))
		equal(x, "place", aws.ToString(c.ResultConfiguration.OutputLocation), "s3://"+q.bucket+"/results/")
		equal(x, "enforced", aws.ToBool(c.EnforceWorkGroupConfiguration), true)
		equal(x, "state", out.WorkGroup.State, types.WorkGroupStateEnabled)
	}},
	{name: "a missing workgroup is not found", service: "Athena", operation: "GetWorkGroup", run: func(x *run) {
		_, err := x.athena.GetWorkGroup(x.ctx, &athena.GetWorkGroupInput{WorkGroup: aws.String(x.name("none"))})
		var invalid *types.InvalidRequestException
		if !errors.As(err, &invalid) || !strings.Contains(invalid.ErrorMessage(), "not found") {
			x.errorf("err = %v", err)
		}
	}},
	{name: "starts one query for one token", service: "Athena", operation: "StartQueryExecution", run: func(x *run) {
		q := x.questions()
		same := aws.String(x.name("a-token-of-thirty-two-characters"))
		held := func(in *athena.StartQueryExecutionInput) { in.ClientRequestToken = same }
		first := q.start("'c1'", held)
		equal(x, "the second query", q.start("'c1'", held), first)
		if q.start("'c1'") == first {
			x.errorf("another token gave the same query")
		}
	}},
	{name: "a parameter is a literal, whatever is in it", service: "Athena", operation: "StartQueryExecution", run: func(x *run) {
		q := x.questions()
		id := q.start("'c1'' OR ''1'' = ''1'")
		q.over(id, types.QueryExecutionStateSucceeded)
		out, err := x.athena.GetQueryResults(x.ctx, &athena.GetQueryResultsInput{QueryExecutionId: &id})
		x.must("GetQueryResults", err)
		equal(x, "rows with the header", len(out.ResultSet.Rows), 1)
	}},
	{name: "says what was scanned and where the result is", service: "Athena", operation: "GetQueryExecution", run: func(x *run) {
		q := x.questions()
		got := q.over(q.start("'c1'"), types.QueryExecutionStateSucceeded)
		if n := aws.ToInt64(got.Statistics.DataScannedInBytes); n < 50 {
			x.errorf("%d bytes scanned", n)
		}
		if at := aws.ToString(got.ResultConfiguration.OutputLocation); !strings.HasPrefix(at, "s3://"+q.bucket+"/results/") {
			x.errorf("the result is in %s", at)
		}
	}},
	{name: "a query of a missing table fails with its reason", service: "Athena", operation: "GetQueryExecution", run: func(x *run) {
		q := x.questions()
		id := q.start("'c1'", func(in *athena.StartQueryExecutionInput) {
			in.QueryString = aws.String(fmt.Sprintf(`SELECT 1 FROM "%s"."none" WHERE 'c1' = ?`, q.table))
		})
		if why := aws.ToString(q.over(id, types.QueryExecutionStateFailed).Status.StateChangeReason); !strings.Contains(why, "TABLE_NOT_FOUND") {
			x.errorf("the reason is %q", why)
		}
	}},
	{name: "names the objects that rows lie in, under a header", service: "Athena", operation: "GetQueryResults", run: func(x *run) {
		q := x.questions()
		id := q.start("'c1'")
		q.over(id, types.QueryExecutionStateSucceeded)
		pages := athena.NewGetQueryResultsPaginator(x.athena, &athena.GetQueryResultsInput{QueryExecutionId: &id, MaxResults: aws.Int32(2)})
		var got []string
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("GetQueryResults", err)
			for _, r := range page.ResultSet.Rows {
				got = append(got, aws.ToString(r.Data[0].VarCharValue)+" "+aws.ToString(r.Data[1].VarCharValue))
			}
		}
		equal(x, "rows", strings.Join(got, ", "), fmt.Sprintf("$path _col1, s3://%s/events/a 1, s3://%s/events/b 1", q.bucket, q.bucket))
	}},
	{name: "stops a query, also one that is over", service: "Athena", operation: "StopQueryExecution", run: func(x *run) {
		q := x.questions()
		over := q.start("'c1'")
		q.over(over, types.QueryExecutionStateSucceeded)
		running := q.start("'c2'")
		for _, id := range []string{running, over} {
			_, err := x.athena.StopQueryExecution(x.ctx, &athena.StopQueryExecutionInput{QueryExecutionId: &id})
			x.must("StopQueryExecution", err)
		}
		q.over(running, types.QueryExecutionStateCancelled)
		q.over(over, types.QueryExecutionStateSucceeded)
	}},
	{name: "lists the workgroups", service: "Athena", operation: "ListWorkGroups", run: func(x *run) {
		q := x.questions()
		pages := athena.NewListWorkGroupsPaginator(x.athena, &athena.ListWorkGroupsInput{})
		found := 0
		for pages.HasMorePages() {
			page, err := pages.NextPage(x.ctx)
			x.must("ListWorkGroups", err)
			for _, g := range page.WorkGroups {
				if aws.ToString(g.Name) == q.group {
					found++
				}
			}
		}
		equal(x, "times that the workgroup is listed", found, 1)
	}},
	{name: "lists the queries of a workgroup alone", service: "Athena", operation: "ListQueryExecutions", run: func(x *run) {
		q := x.questions()
		id := q.start("'c1'")
		q.over(id, types.QueryExecutionStateSucceeded)
		out, err := x.athena.ListQueryExecutions(x.ctx, &athena.ListQueryExecutionsInput{WorkGroup: &q.group, MaxResults: aws.Int32(50)})
		x.must("ListQueryExecutions", err)
		equal(x, "queries, two of them made the table", len(out.QueryExecutionIds), 3)
		if !slices.Contains(out.QueryExecutionIds, id) {
			x.errorf("%s is not among %q", id, out.QueryExecutionIds)
		}
	}},
	{name: "tells of several queries what was asked", service: "Athena", operation: "BatchGetQueryExecution", run: func(x *run) {
		q := x.questions()
		id := q.start("'c1'")
		q.over(id, types.QueryExecutionStateSucceeded)
		none := "00000000-0000-4000-8000-000000000000"
		out, err := x.athena.BatchGetQueryExecution(x.ctx, &athena.BatchGetQueryExecutionInput{QueryExecutionIds: []string{id, none}})
		x.must("BatchGetQueryExecution", err)
		if len(out.QueryExecutions) != 1 || len(out.UnprocessedQueryExecutionIds) != 1 {
			x.fatalf("%d queries and %d that are none", len(out.QueryExecutions), len(out.UnprocessedQueryExecutionIds))
		}
		got := out.QueryExecutions[0]
		equal(x, "id", aws.ToString(got.QueryExecutionId), id)
		equal(x, "workgroup", aws.ToString(got.WorkGroup), q.group)
		equal(x, "parameters", strings.Join(got.ExecutionParameters, ","), "'c1'")
		equal(x, "database", aws.ToString(got.QueryExecutionContext.Database), q.table)
		if !strings.Contains(aws.ToString(got.Query), "WHERE (customer = ?)") {
			x.errorf("the query is %q", aws.ToString(got.Query))
		}
	}},
}
