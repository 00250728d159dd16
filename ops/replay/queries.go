package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"

	"kxops/ops"
)

const (
	// queriesOfGroup is how many of a workgroup's last queries are listed: one page, and
	// what one BatchGetQueryExecution takes. Source: API reference.
	queriesOfGroup = 50
	// groupsAsked is how many workgroups are asked: an account has few, and each costs two
	// calls of which Athena takes 5 a second.
	groupsAsked = 20
)

// queryID is the id of a query of Athena.
var queryID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Queries lists the last queries of the account's workgroups, newest first: what a replay
// can begin with. With an error it lists those that could be read.
func (d *Desk) Queries(ctx context.Context) ([]ops.PastQuery, error) {
	var out []ops.PastQuery
	var failed []error
	groups, err := d.workgroups(ctx)
	if err != nil {
		return nil, d.explain("list the workgroups of Athena", err)
	}
	if len(groups) > groupsAsked {
		failed = append(failed, fmt.Errorf("only %d of more than that many workgroups are shown: %s", groupsAsked, strings.Join(groups[:groupsAsked], ", ")))
		groups = groups[:groupsAsked]
	}
	for _, g := range groups {
		of, err := d.queriesOf(ctx, g)
		if err != nil {
			failed = append(failed, d.explain("list the queries of the workgroup "+g, err))
			if ctx.Err() != nil {
				break
			}
		}
		out = append(out, of...)
	}
	slices.SortStableFunc(out, func(a, b ops.PastQuery) int { return b.At.Compare(a.At) })
	return out, errors.Join(failed...)
}

// workgroups are the names, and at most some too many.
func (d *Desk) workgroups(ctx context.Context) ([]string, error) {
	var names []string
	pages := athena.NewListWorkGroupsPaginator(d.athena, &athena.ListWorkGroupsInput{})
	for pages.HasMorePages() && len(names) <= groupsAsked {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.WorkGroups {
			names = append(names, aws.ToString(g.Name))
		}
	}
	return names, nil
}

func (d *Desk) queriesOf(ctx context.Context, group string) ([]ops.PastQuery, error) {
	list, err := d.athena.ListQueryExecutions(ctx, &athena.ListQueryExecutionsInput{WorkGroup: &group, MaxResults: aws.Int32(queriesOfGroup)})
	if err != nil || len(list.QueryExecutionIds) == 0 {
		return nil, err
	}
	got, err := d.athena.BatchGetQueryExecution(ctx, &athena.BatchGetQueryExecutionInput{QueryExecutionIds: list.QueryExecutionIds})
	if err != nil {
		return nil, err
	}
	var out []ops.PastQuery
	for _, x := range got.QueryExecutions {
		out = append(out, pastQuery(x))
	}
	if n := len(got.UnprocessedQueryExecutionIds); n > 0 {
		u := got.UnprocessedQueryExecutionIds[0]
		return out, fmt.Errorf("%d of them: %s: %s", n, aws.ToString(u.ErrorCode), aws.ToString(u.ErrorMessage))
	}
	return out, nil
}

func pastQuery(x athenatypes.QueryExecution) ops.PastQuery {
	q := ops.PastQuery{ID: aws.ToString(x.QueryExecutionId), SQL: aws.ToString(x.Query), Question: ops.ReplayQuestion{Workgroup: aws.ToString(x.WorkGroup)}}
	if st := x.Status; st != nil {
		q.State, q.At = string(st.State), aws.ToTime(st.SubmissionDateTime).UTC()
	}
	if st := x.Statistics; st != nil {
		q.Scanned = aws.ToInt64(st.DataScannedInBytes)
	}
	database := ""
	if c := x.QueryExecutionContext; c != nil {
		database = aws.ToString(c.Database)
		if catalog := aws.ToString(c.Catalog); catalog != "" && !strings.EqualFold(catalog, athenaCatalog) {
			q.Why = "it asks the catalog " + catalog + ", and a replay reads tables of " + athenaCatalog
			return q
		}
	}
	table, where, err := selectOf(q.SQL, database)
	if err != nil {
		q.Why = err.Error()
		return q
	}
	q.From = string(ops.KindAthena) + ":" + table
	q.Question.Where, q.Question.Params = where, paramsOf(x.ExecutionParameters)
	if marks, err := condition(where); where != "" && (err != nil || marks != len(q.Question.Params)) {
		q.From, q.Why = "", "its values stand outside of its condition"
	}
	return q
}

// fromQuery makes of a query that somebody ran the question of a plan. What the person
// says beside it counts.
func (d *Desk) fromQuery(ctx context.Context, ask ops.ReplayAsk) (ops.ReplayAsk, error) {
	id, ok := strings.CutPrefix(ask.From, string(ops.KindAthena)+":")
	if !ok || !queryID.MatchString(id) {
		return ask, nil
	}
	out, err := d.athena.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: &id})
	if err != nil {
		return ask, d.explain("ask for the query "+id, err)
	}
	if out.QueryExecution == nil {
		return ask, fmt.Errorf("athena does not say what the query %s was", id)
	}
	q := pastQuery(*out.QueryExecution)
	if q.Why != "" {
		return ask, refused("the query %s cannot be replayed: %s. --from athena:DATABASE.TABLE with --where can say the same", id, q.Why)
	}
	ask.From = q.From
	if ask.Question.Where == "" {
		ask.Question.Where, ask.Question.Params = q.Question.Where, q.Question.Params
	}
	ask.Question.Workgroup = cmp.Or(ask.Question.Workgroup, q.Question.Workgroup)
	return ask, nil
}
