package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// staffEvent is an event of lab 3: employees and their access cards.
type staffEvent struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	At       time.Time `json:"at"`
	Employee string    `json:"employee"`
	Card     string    `json:"card,omitempty"`
}

// StaffTypes are the events of lab 3.
var StaffTypes = []string{"employee-hired", "card-issued", "card-blocked", "employee-left"}

func (e staffEvent) check() error {
	switch {
	case !slices.Contains(StaffTypes, e.Type):
		return fmt.Errorf("the type %q is none of %s", e.Type, strings.Join(StaffTypes, ", "))
	case e.Employee == "":
		return errors.New("the event has no employee")
	case strings.HasPrefix(e.Type, "card-") && e.Card == "":
		return fmt.Errorf("a %s event has no card", e.Type)
	}
	return nil
}

// newEmployee is the function behind the front door of lab 3. It stores the event
// first, then tells the topic: what is stored can be replayed, what was only told
// cannot. The employee is the message group, so one person's events keep their
// order, and the event's id removes duplicates for five minutes.
func newEmployee(p Place) (Handler, error) {
	bucket, err := p.setting("STORE_BUCKET")
	if err != nil {
		return nil, err
	}
	topic, err := p.setting("TOPIC_ARN")
	if err != nil {
		return nil, err
	}
	store, topics := s3.NewFromConfig(p.Config, func(o *s3.Options) { o.UsePathStyle = p.Config.BaseEndpoint != nil }), sns.NewFromConfig(p.Config)
	return func(ctx context.Context, event []byte) ([]byte, error) {
		_, body, err := readRequest(event)
		if err != nil {
			return nil, err
		}
		var e staffEvent
		if err := json.Unmarshal(body, &e); err != nil {
			return sorry(fmt.Errorf("the body is no JSON object with type and employee: %w", err))
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
		key := fmt.Sprintf("events/dt=%s/%s.json", e.At.UTC().Format("2006-01-02"), e.ID)
		if _, err := store.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(append(text, '\n')), ContentType: aws.String("application/json")}); err != nil {
			return nil, fmt.Errorf("store event %s: %w", e.ID, err)
		}
		if _, err := topics.Publish(ctx, &sns.PublishInput{TopicArn: &topic, Message: aws.String(string(text)), MessageGroupId: &e.Employee, MessageDeduplicationId: &e.ID}); err != nil {
			return nil, fmt.Errorf("tell of event %s (it is stored): %w", e.ID, err)
		}
		return respond(202, map[string]string{"id": e.ID, "object": key})
	}, nil
}

// access is the consumer of lab 3: it keeps who may open doors.
type access struct {
	table string
	rows  *dynamodb.Client
	place Place
}

// newAccess makes the consumer. Each event changes its rows and notes its id in one
// transaction: an event that comes twice changes nothing the second time.
func newAccess(p Place) (Handler, error) {
	table, err := p.setting("TABLE_NAME")
	if err != nil {
		return nil, err
	}
	a := &access{table, dynamodb.NewFromConfig(p.Config), p}
	return a.batch, nil
}

// batch takes a FIFO batch. After the first failure of a group the rest of that
// group must fail too, or they would overtake it (Lambda developer guide, partial
// batch responses for FIFO queues); as a batch may hold several groups, the groups
// are told apart.
func (a *access) batch(ctx context.Context, event []byte) ([]byte, error) {
	var in queueBatch
	if err := json.Unmarshal(event, &in); err != nil {
		return nil, fmt.Errorf("the event is none of SQS: %w", err)
	}
	out, stopped := failures{Items: []failedItem{}}, map[string]bool{}
	for _, r := range in.Records {
		group := r.Attributes["MessageGroupId"]
		if !stopped[group] {
			err := a.message(ctx, []byte(r.Body))
			if err == nil {
				continue
			}
			a.place.Log(fmt.Sprintf("message %s of group %s: %v", r.MessageID, group, err))
			stopped[group] = true
		}
		out.Items = append(out.Items, failedItem{r.MessageID})
	}
	return json.Marshal(out)
}

func (a *access) message(ctx context.Context, body []byte) error {
	var e staffEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return fmt.Errorf("the message is no event: %w", err)
	}
	if err := e.check(); err != nil {
		return err
	}
	text := func(s string) dynamo.AttributeValue { return &dynamo.AttributeValueMemberS{Value: s} }
	at := text(e.At.UTC().Format(time.RFC3339Nano))
	person, card := "employee#"+e.Employee, "card#"+e.Card
	// put writes a row; change needs a row in a state.
	put := func(key, state string) dynamo.TransactWriteItem {
		return dynamo.TransactWriteItem{Put: &dynamo.Put{TableName: &a.table,
			Item: map[string]dynamo.AttributeValue{"id": text(key), "state": text(state), "employee": text(e.Employee), "at": at}}}
	}
	needs := func(key, state string) dynamo.TransactWriteItem {
		return dynamo.TransactWriteItem{ConditionCheck: &dynamo.ConditionCheck{TableName: &a.table, Key: map[string]dynamo.AttributeValue{"id": text(key)},
			ConditionExpression: aws.String("#s = :s"), ExpressionAttributeNames: map[string]string{"#s": "state"},
			ExpressionAttributeValues: map[string]dynamo.AttributeValue{":s": text(state)}}}
	}
	noted := dynamo.TransactWriteItem{Put: &dynamo.Put{TableName: &a.table, Item: map[string]dynamo.AttributeValue{"id": text("event#" + e.ID), "state": text("applied"), "at": at},
		ConditionExpression: aws.String("attribute_not_exists(id)")}}
	items := []dynamo.TransactWriteItem{noted}
	switch e.Type {
	case "employee-hired":
		items = append(items, put(person, "employed"))
	case "employee-left":
		items = append(items, put(person, "left"))
	case "card-issued": // to somebody who is employed, or to nobody
		items = append(items, needs(person, "employed"), put(card, "open"))
	case "card-blocked":
		items = append(items, put(card, "blocked"))
	}
	_, err := a.rows.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	var cancelled *dynamo.TransactionCanceledException
	if errors.As(err, &cancelled) && len(cancelled.CancellationReasons) > 0 {
		if aws.ToString(cancelled.CancellationReasons[0].Code) == "ConditionalCheckFailed" {
			return nil // applied before
		}
		if e.Type == "card-issued" {
			return fmt.Errorf("event %s: the card %s is for %s, who is not employed", e.ID, e.Card, e.Employee)
		}
	}
	if err != nil {
		return fmt.Errorf("apply event %s: %w", e.ID, err)
	}
	return nil
}
