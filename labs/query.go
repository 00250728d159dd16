package labs

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	ath "github.com/aws/aws-sdk-go-v2/service/athena/types"
)

// rowsMost is how many rows of an answer are read: a lab's questions are counts.
const rowsMost = 1000

// Answer is what a question to the event store brought.
type Answer struct {
	Query   string // the execution's id
	Columns []string
	Rows    [][]string // NULL is ""
	More    bool       // there are more rows than were read
	Scanned int64      // bytes, which is what Athena bills
}

// Query asks the lab's event store in Athena's SQL and waits for the answer. Its error
// is the query's own reason where it failed.
func (s *Stack) Query(ctx context.Context, sql string) (Answer, error) {
	out, err := s.Outputs(ctx)
	if err != nil {
		return Answer{}, err
	}
	if out["Workgroup"] == "" {
		return Answer{}, fmt.Errorf("the lab %s has no Athena table", s.Lab.ID)
	}
	client := athena.NewFromConfig(s.place.Config)
	started, err := once(ctx, func(ctx context.Context) (*athena.StartQueryExecutionOutput, error) {
		return client.StartQueryExecution(ctx, &athena.StartQueryExecutionInput{QueryString: &sql, WorkGroup: aws.String(out["Workgroup"]),
			QueryExecutionContext: &ath.QueryExecutionContext{Database: aws.String(out["DatabaseName"])}})
	})
	if err != nil {
		return Answer{}, fmt.Errorf("ask Athena: %w", err)
	}
	a := Answer{Query: aws.ToString(started.QueryExecutionId)}
	if a.Scanned, err = s.queryEnds(ctx, client, started.QueryExecutionId); err != nil {
		return a, err
	}
	return a, s.readAnswer(ctx, client, &a)
}

// queryEnds waits for a query; one that nobody waits for any longer is stopped.
func (s *Stack) queryEnds(ctx context.Context, client *athena.Client, id *string) (scanned int64, err error) {
	for {
		got, err := once(ctx, func(ctx context.Context) (*athena.GetQueryExecutionOutput, error) {
			return client.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: id})
		})
		if err != nil {
			return 0, fmt.Errorf("wait for Athena: %w", err)
		}
		status := got.QueryExecution.Status
		switch status.State {
		case ath.QueryExecutionStateSucceeded:
			if st := got.QueryExecution.Statistics; st != nil {
				scanned = aws.ToInt64(st.DataScannedInBytes)
			}
			return scanned, nil
		case ath.QueryExecutionStateFailed, ath.QueryExecutionStateCancelled:
			return 0, fmt.Errorf("the query %s: %s", status.State, aws.ToString(status.StateChangeReason))
		}
		if err := pause(ctx, s.place.Poll); err != nil {
			_, stopErr := once(context.WithoutCancel(ctx), func(ctx context.Context) (*athena.StopQueryExecutionOutput, error) {
				return client.StopQueryExecution(ctx, &athena.StopQueryExecutionInput{QueryExecutionId: id})
			})
			return 0, errors.Join(err, stopErr)
		}
	}
}

func (s *Stack) readAnswer(ctx context.Context, client *athena.Client, a *Answer) error {
	in := &athena.GetQueryResultsInput{QueryExecutionId: &a.Query}
	for first := true; ; first = false {
		page, err := once(ctx, func(ctx context.Context) (*athena.GetQueryResultsOutput, error) {
			return client.GetQueryResults(ctx, in)
		})
		if err != nil {
			return fmt.Errorf("read the answer of Athena: %w", err)
		}
		rows := page.ResultSet.Rows
		if first {
			for _, c := range page.ResultSet.ResultSetMetadata.ColumnInfo {
				a.Columns = append(a.Columns, aws.ToString(c.Name))
			}
			if len(rows) > 0 { // the first row of a SELECT repeats the names
				rows = rows[1:]
			}
		}
		for _, r := range rows {
			if len(a.Rows) == rowsMost {
				a.More = true
				return nil
			}
			row := make([]string, len(r.Data))
			for i, d := range r.Data {
				row[i] = aws.ToString(d.VarCharValue)
			}
			a.Rows = append(a.Rows, row)
		}
		if aws.ToString(page.NextToken) == "" {
			return nil
		}
		in.NextToken = page.NextToken
	}
}
