package labs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"kxops/labs/web"
)

// This file has what belongs to lab 4: its traffic, its bad release, and the proof
// that the projection is what the archived events say.

// bankEvents are the events of lab 4. A bad one is a large deposit that nobody
// verified: the rules reject it.
func bankEvents(r *rand.Rand, n int, bad bool) (id, kind string, body any) {
	account := func() string { return fmt.Sprintf("a-%02d", r.IntN(40)) }
	event := map[string]any{"account": account(), "amount_cents": 100 + r.IntN(100_00)}
	switch p := r.IntN(10); {
	case bad:
		kind, event["amount_cents"] = "deposit", 50_000_00
	case p < 3:
		kind = "deposit"
	case p < 4:
		kind, event["amount_cents"] = "verified-deposit", 20_000_00
	case p < 6:
		kind = "withdrawal"
	case p < 7:
		kind = "incoming-payment"
	case p < 8:
		kind = "outgoing-payment"
	default:
		kind = "transfer"
		to := account()
		for to == event["account"] {
			to = account()
		}
		event["to"] = to
	}
	event["type"] = kind
	return fmt.Sprintf("%06d", n), kind, event
}

// bankForms are the forms of lab 4.
var bankForms = func() []web.Form {
	amount := web.Field{Name: "amount_cents", Label: "Amount in cents", Value: "12500", Required: true, Number: true, Min: 1, Max: 1e12}
	account := web.Field{Name: "account", Label: "Account", Value: "a-01", Required: true}
	var out []web.Form
	for _, k := range [][2]string{{"deposit", "Deposit"}, {"verified-deposit", "Verified deposit"}, {"withdrawal", "Withdrawal"},
		{"incoming-payment", "Incoming payment"}, {"outgoing-payment", "Outgoing payment"}} {
		out = append(out, web.Form{Type: k[0], Title: k[1], Fields: []web.Field{account, amount}})
	}
	out[0].Help = "More than 10,000.00 needs a verified deposit: a larger one is rejected."
	return append(out, web.Form{Type: "transfer", Title: "Transfer", Fields: []web.Field{account, {Name: "to", Label: "To account", Value: "a-02", Required: true}, amount}})
}()

// bankFaults are the ways to break lab 4.
var bankFaults = []Fault{{
	Name: "bad-release", About: "a release of the projection that forgot the sign of withdrawals",
	set: func(ctx context.Context, s *Stack, x *fixture) error {
		return s.setVariable(ctx, x.physical["Projection"], "RULES", "broken")
	},
	clear: func(ctx context.Context, s *Stack, x *fixture) error {
		return s.setVariable(ctx, x.physical["Projection"], "RULES", "")
	},
	stands: func(ctx context.Context, s *Stack, x *fixture) (bool, error) {
		v, err := s.variable(ctx, x.physical["Projection"], "RULES")
		return v == "broken", err
	},
}, {
	Name: "archived", About: "a lifecycle rule moved every object of the event store to S3 Glacier Flexible Retrieval",
	set: func(ctx context.Context, s *Stack, x *fixture) error { return s.freeze(ctx, x.out["StoreBucket"]) },
}}

// freeze moves the objects of the event store to Glacier, each by a copy onto itself.
func (s *Stack) freeze(ctx context.Context, bucket string) error {
	pages := s3.NewListObjectsV2Paginator(s.store, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String("events/")})
	for pages.HasMorePages() {
		page, err := once(ctx, func(ctx context.Context) (*s3.ListObjectsV2Output, error) { return pages.NextPage(ctx) })
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			if o.StorageClass == s3types.ObjectStorageClassGlacier {
				continue
			}
			from := bucket + "/" + (&url.URL{Path: aws.ToString(o.Key)}).EscapedPath()
			if _, err := once(ctx, func(ctx context.Context) (*s3.CopyObjectOutput, error) {
				return s.store.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: o.Key, CopySource: &from, StorageClass: s3types.StorageClassGlacier})
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Wrong is an account whose balance is not what its events say.
type Wrong struct {
	Account    string
	Want, Have int64 // cents
}

// Balances compares the projection with what the events in the store say. It
// computes that by itself: the rules here are written anew, not the function's.
func (s *Stack) Balances(ctx context.Context) (accounts int, wrong []Wrong, err error) {
	out, err := s.Outputs(ctx)
	if err != nil {
		return 0, nil, err
	}
	want, err := s.expected(ctx, out["StoreBucket"])
	if err != nil {
		return 0, nil, fmt.Errorf("read the event store: %w", err)
	}
	have, err := s.projected(ctx, out["ProcessedTable"])
	if err != nil {
		return 0, nil, fmt.Errorf("read the accounts: %w", err)
	}
	all := maps.Clone(want)
	maps.Copy(all, have)
	for _, a := range slices.Sorted(maps.Keys(all)) {
		if want[a] != have[a] {
			wrong = append(wrong, Wrong{a, want[a], have[a]})
		}
	}
	return len(all), wrong, nil
}

// expected folds the events of the store, each once, into balances.
func (s *Stack) expected(ctx context.Context, bucket string) (map[string]int64, error) {
	want, seen := map[string]int64{}, map[string]bool{}
	sign := map[string]int64{"deposit": 1, "verified-deposit": 1, "incoming-payment": 1, "withdrawal": -1, "outgoing-payment": -1, "transfer": -1}
	return want, s.eachObject(ctx, bucket, "events/", func(_ string, d *json.Decoder) error {
		for {
			var e struct {
				ID, Type, Account, To string
				Cents                 int64 `json:"amount_cents"`
			}
			err := d.Decode(&e)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if seen[e.ID] || e.Type == "deposit" && e.Cents > 1_000_000 { // rejected: not verified
				continue
			}
			seen[e.ID] = true
			want[e.Account] += sign[e.Type] * e.Cents
			if e.Type == "transfer" {
				want[e.To] += e.Cents
			}
		}
	})
}

// projected reads the balances out of the table.
func (s *Stack) projected(ctx context.Context, table string) (map[string]int64, error) {
	have := map[string]int64{}
	client := dynamodb.NewFromConfig(s.place.Config)
	in := &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true), FilterExpression: aws.String("begins_with(id, :a)"),
		ExpressionAttributeValues: map[string]dynamo.AttributeValue{":a": &dynamo.AttributeValueMemberS{Value: "account#"}}}
	for {
		page, err := once(ctx, func(ctx context.Context) (*dynamodb.ScanOutput, error) { return client.Scan(ctx, in) })
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			id, isText := item["id"].(*dynamo.AttributeValueMemberS)
			cents, isNumber := item["cents"].(*dynamo.AttributeValueMemberN)
			if !isText || !isNumber {
				return nil, errors.New("a row without a balance")
			}
			n, err := strconv.ParseInt(cents.Value, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("the balance of %s is %q", id.Value, cents.Value)
			}
			have[strings.TrimPrefix(id.Value, "account#")] = n
		}
		if len(page.LastEvaluatedKey) == 0 {
			return have, nil
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

// Restore makes a new table of the accounts as they were at a time (DynamoDB
// point-in-time recovery; on AWS the last five minutes cannot be chosen), waits
// until it is there and returns its name. The old table stays as it is.
func (s *Stack) Restore(ctx context.Context, at time.Time) (string, error) {
	out, err := s.Outputs(ctx)
	if err != nil {
		return "", err
	}
	source := out["ProcessedTable"]
	target := fmt.Sprintf("%s-accounts-%s", s.Name, time.Now().UTC().Format("20060102-150405"))
	client := dynamodb.NewFromConfig(s.place.Config)
	if _, err := once(ctx, func(ctx context.Context) (*dynamodb.RestoreTableToPointInTimeOutput, error) {
		return client.RestoreTableToPointInTime(ctx, &dynamodb.RestoreTableToPointInTimeInput{SourceTableName: &source, TargetTableName: &target, RestoreDateTime: &at})
	}); err != nil {
		return "", fmt.Errorf("restore %s as of %s: %w", source, at.UTC().Format(time.RFC3339), err)
	}
	ctx, cancel := context.WithTimeout(ctx, restoreMost)
	defer cancel()
	for {
		got, err := once(ctx, func(ctx context.Context) (*dynamodb.DescribeTableOutput, error) {
			return client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &target})
		})
		if err != nil {
			return target, fmt.Errorf("look at the restored table %s: %w", target, err)
		}
		if got.Table.TableStatus == dynamo.TableStatusActive {
			return target, nil
		}
		if err := s.pause(ctx); err != nil {
			return target, fmt.Errorf("the table %s is still %s: %w", target, got.Table.TableStatus, err)
		}
	}
}

// restoreMost bounds the wait for a restored table: most take under an hour
// (DynamoDB developer guide, point-in-time recovery).
const restoreMost = time.Hour
