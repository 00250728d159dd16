package functions

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// bankEvent is an event of lab 4: something happened to an account.
type bankEvent struct {
	ID      string    `json:"id"`
	Type    string    `json:"type"`
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	To      string    `json:"to,omitempty"` // of a transfer
	Cents   int64     `json:"amount_cents"`
}

// BankTypes are the events of lab 4.
var BankTypes = []string{"deposit", "verified-deposit", "withdrawal", "incoming-payment", "outgoing-payment", "transfer"}

// unverifiedMost is the largest deposit that needs no verification, cents: a larger
// one is rejected, then as at every later replay.
const unverifiedMost = 10_000_00

func (e bankEvent) check() error {
	switch {
	case !slices.Contains(BankTypes, e.Type):
		return fmt.Errorf("the type %q is none of %s", e.Type, strings.Join(BankTypes, ", "))
	case e.Account == "":
		return errors.New("the event has no account")
	case e.Cents <= 0:
		return errors.New("amount_cents must be more than 0")
	case e.Type == "transfer" && (e.To == "" || e.To == e.Account):
		return errors.New("a transfer needs another account in to")
	}
	return nil
}

// newBank is the function behind the front door of lab 4.
func newBank(p Place) (Handler, error) {
	stream, err := p.setting("STREAM_NAME")
	if err != nil {
		return nil, err
	}
	client := kinesis.NewFromConfig(p.Config)
	return func(ctx context.Context, event []byte) ([]byte, error) {
		_, body, err := readRequest(event)
		if err != nil {
			return nil, err
		}
		var in struct {
			bankEvent
			Cents json.Number `json:"amount_cents"` // a form sends it as a text
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return sorry(fmt.Errorf("the body is no JSON object with type, account and amount_cents: %w", err))
		}
		e := in.bankEvent
		if e.Cents, err = strconv.ParseInt(in.Cents.String(), 10, 64); err != nil {
			return sorry(errors.New("amount_cents must be a whole number of cents"))
		}
		if err := e.check(); err != nil {
			return sorry(err)
		}
		if err := complete(&e.ID, &e.At, p); err != nil {
			return nil, err
		}
		text, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		put, err := client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: &e.Account, Data: append(text, '\n')})
		if err != nil {
			return nil, fmt.Errorf("put event %s into %s: %w", e.ID, stream, err)
		}
		return respond(202, map[string]string{"id": e.ID, "shard": *put.ShardId, "sequence": *put.SequenceNumber})
	}, nil
}

// projection is the consumer of lab 4: it keeps each account's balance.
type projection struct {
	table  string
	broken bool // the bad release: see effects
	rows   *dynamodb.Client
	place  Place
}

// newProjection makes the consumer. It takes records of the stream, and events that
// a replay sends to its queue.
func newProjection(p Place) (Handler, error) {
	table, err := p.setting("TABLE_NAME")
	if err != nil {
		return nil, err
	}
	c := &projection{table, p.Environment["RULES"] == "broken", dynamodb.NewFromConfig(p.Config), p}
	return c.batch, nil
}

// batch applies a batch in order. What fails ends a batch of the stream, so that
// nothing overtakes it; in a batch of the queue each message stands for itself.
func (c *projection) batch(ctx context.Context, event []byte) ([]byte, error) {
	var in struct {
		Records []struct {
			Source    string `json:"eventSource"`
			MessageID string `json:"messageId"`
			Body      string `json:"body"`
			Kinesis   struct {
				Data     string `json:"data"`
				Sequence string `json:"sequenceNumber"`
			} `json:"kinesis"`
		} `json:"Records"`
	}
	if err := json.Unmarshal(event, &in); err != nil {
		return nil, fmt.Errorf("the event is none of Kinesis or SQS: %w", err)
	}
	out := failures{Items: []failedItem{}}
	for _, r := range in.Records {
		stream := r.Source == "aws:kinesis"
		text, id := []byte(r.Body), r.MessageID
		if stream {
			var err error
			if text, err = base64.StdEncoding.DecodeString(r.Kinesis.Data); err != nil {
				return nil, fmt.Errorf("the data of record %s is not base64: %w", r.Kinesis.Sequence, err)
			}
			id = r.Kinesis.Sequence
		}
		if err := c.apply(ctx, text); err != nil {
			c.place.Log(err.Error())
			out.Items = append(out.Items, failedItem{id})
			if stream {
				break
			}
		}
	}
	return json.Marshal(out)
}

// apply changes the balances by one event, once: the event's id is noted in the
// same transaction. What the rules reject is noted too, and changes nothing.
func (c *projection) apply(ctx context.Context, text []byte) error {
	var e bankEvent
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("a record is no event: %w", err)
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("event %s: %w", e.ID, err)
	}
	state, changes := "applied", c.effects(e)
	if e.Type == "deposit" && e.Cents > unverifiedMost {
		state, changes = "rejected", nil
	}
	attribute := func(s string) dynamo.AttributeValue { return &dynamo.AttributeValueMemberS{Value: s} }
	items := []dynamo.TransactWriteItem{{Put: &dynamo.Put{TableName: &c.table,
		Item: map[string]dynamo.AttributeValue{"id": attribute("event#" + e.ID), "state": attribute(state), "at": attribute(e.At.UTC().Format(time.RFC3339Nano)),
			"processed": attribute(c.place.Now().UTC().Format(time.RFC3339Nano))},
		ConditionExpression: aws.String("attribute_not_exists(id)")}}}
	for _, x := range changes {
		items = append(items, dynamo.TransactWriteItem{Update: &dynamo.Update{TableName: &c.table,
			Key: map[string]dynamo.AttributeValue{"id": attribute("account#" + x.account)}, UpdateExpression: aws.String("ADD cents :c"),
			ExpressionAttributeValues: map[string]dynamo.AttributeValue{":c": &dynamo.AttributeValueMemberN{Value: strconv.FormatInt(x.cents, 10)}}}})
	}
	_, err := c.rows.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	var cancelled *dynamo.TransactionCanceledException
	if errors.As(err, &cancelled) && len(cancelled.CancellationReasons) > 0 && aws.ToString(cancelled.CancellationReasons[0].Code) == "ConditionalCheckFailed" {
		return nil // applied before
	}
	if err != nil {
		return fmt.Errorf("apply event %s: %w", e.ID, err)
	}
	return nil
}

// effect is what an event does to one account.
type effect struct {
	account string
	cents   int64
}

// effects are the rules. The bad release forgot the sign of a withdrawal.
func (c *projection) effects(e bankEvent) []effect {
	switch e.Type {
	case "withdrawal":
		if c.broken {
			return []effect{{e.Account, e.Cents}}
		}
		return []effect{{e.Account, -e.Cents}}
	case "outgoing-payment":
		return []effect{{e.Account, -e.Cents}}
	case "transfer":
		return []effect{{e.Account, -e.Cents}, {e.To, e.Cents}}
	}
	return []effect{{e.Account, e.Cents}}
}
