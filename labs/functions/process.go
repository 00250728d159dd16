package functions

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// mostObject bounds what the function unpacks of one object.
const mostObject = 64 << 20

// process is the consumer of lab 2: it is told of each new object of the event
// store, reads its events and notes each in a table.
type process struct {
	table, dead string
	objects     *s3.Client
	tables      *dynamodb.Client
	queues      *sqs.Client
	place       Place
}

// newProcess makes the consumer. It is idempotent: an event that was noted already
// is not noted again, so a message may come twice, and an archive may be replayed.
// An event that cannot be processed is sent to the dead-letter queue by itself:
// one bad event must not hold up the thousand good ones of its object.
func newProcess(p Place) (Handler, error) {
	table, err := p.setting("TABLE_NAME")
	if err != nil {
		return nil, err
	}
	dead, err := p.setting("DEAD_LETTER_URL")
	if err != nil {
		return nil, err
	}
	c := &process{table, dead, s3.NewFromConfig(p.Config), dynamodb.NewFromConfig(p.Config), sqs.NewFromConfig(p.Config), p}
	return c.batch, nil
}

// queueBatch is a batch of an SQS event source mapping.
type queueBatch struct {
	Records []struct {
		MessageID  string            `json:"messageId"`
		Body       string            `json:"body"`
		Attributes map[string]string `json:"attributes"`
	} `json:"Records"`
}

// failures is a partial batch response.
type failures struct {
	Items []failedItem `json:"batchItemFailures"`
}

type failedItem struct {
	ID string `json:"itemIdentifier"`
}

func (c *process) batch(ctx context.Context, event []byte) ([]byte, error) {
	var in queueBatch
	if err := json.Unmarshal(event, &in); err != nil {
		return nil, fmt.Errorf("the event is none of SQS: %w", err)
	}
	if err := c.place.slow(ctx); err != nil {
		return nil, fmt.Errorf("wait for the price service: %w", err)
	}
	out := failures{Items: []failedItem{}}
	for _, r := range in.Records {
		if err := c.message(ctx, r.MessageID, []byte(r.Body)); err != nil {
			c.place.Log(fmt.Sprintf("message %s: %v", r.MessageID, err))
			out.Items = append(out.Items, failedItem{r.MessageID})
		}
	}
	return json.Marshal(out)
}

// message takes one message: a notification of S3 by way of SNS, an S3 event
// itself, or an event that was sent or redriven by hand.
func (c *process) message(ctx context.Context, id string, body []byte) error {
	var envelope struct {
		Message *string `json:"Message"`
		Type    string  `json:"Type"`
	}
	if err := json.Unmarshal(body, &envelope); err == nil && envelope.Type == "Notification" && envelope.Message != nil {
		body = []byte(*envelope.Message)
	}
	var notice struct {
		Event   string `json:"Event"` // s3:TestEvent
		Records []struct {
			S3 struct {
				Bucket struct{ Name string }
				Object struct{ Key string }
			}
		}
	}
	if err := json.Unmarshal(body, &notice); err != nil {
		return fmt.Errorf("the message is no JSON: %w", err)
	}
	if notice.Event == "s3:TestEvent" {
		return nil
	}
	if len(notice.Records) == 0 {
		return c.event(ctx, body, "")
	}
	for _, r := range notice.Records {
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			return fmt.Errorf("the key %q: %w", r.S3.Object.Key, err)
		}
		if err := c.object(ctx, id, r.S3.Bucket.Name, key); err != nil {
			return err
		}
	}
	return nil
}

func (c *process) object(ctx context.Context, id, bucket, key string) error {
	got, err := c.objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	defer got.Body.Close()
	body := io.Reader(got.Body)
	if strings.HasSuffix(key, ".gz") {
		z, err := gzip.NewReader(got.Body)
		if err != nil {
			return fmt.Errorf("%s is not gzip: %w", key, err)
		}
		body = z
	}
	lines := bufio.NewScanner(io.LimitReader(body, mostObject))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := c.event(ctx, line, id); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

// event notes one event. A bad one out of an object goes to the dead-letter queue
// by itself, with the id of the message that told of the object; one that came as a
// message of its own (from is "") is left to its queue.
func (c *process) event(ctx context.Context, text []byte, from string) error {
	e, err := readEvent(text)
	if err == nil {
		err = e.check()
	}
	if err != nil && from != "" {
		c.place.Log(fmt.Sprintf("event %s goes to the dead-letter queue: %v", e.ID, err))
		return c.park(ctx, text, from, e, err)
	}
	if err != nil {
		return err
	}
	_, err = c.tables.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &c.table,
		Item: map[string]dynamo.AttributeValue{
			"id":        &dynamo.AttributeValueMemberS{Value: e.ID},
			"customer":  &dynamo.AttributeValueMemberS{Value: e.Customer},
			"type":      &dynamo.AttributeValueMemberS{Value: e.Type},
			"at":        &dynamo.AttributeValueMemberS{Value: e.At.UTC().Format("2006-01-02T15:04:05.000Z")},
			"processed": &dynamo.AttributeValueMemberS{Value: c.place.Now().UTC().Format("2006-01-02T15:04:05.000Z")},
		},
		ConditionExpression:      aws.String("attribute_not_exists(#id)"),
		ExpressionAttributeNames: map[string]string{"#id": "id"},
	})
	var noted *dynamo.ConditionalCheckFailedException
	if errors.As(err, &noted) {
		return nil // processed before: that is what idempotent means
	}
	if err != nil {
		return fmt.Errorf("note event %s: %w", e.ID, err)
	}
	return nil
}

// park sends an event that cannot be processed to the dead-letter queue, whole and
// with the reason.
func (c *process) park(ctx context.Context, text []byte, from string, e Event, why error) error {
	attribute := func(s string) sqstypes.MessageAttributeValue {
		return sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
	}
	in := &sqs.SendMessageInput{QueueUrl: &c.dead, MessageBody: aws.String(string(text)), MessageAttributes: map[string]sqstypes.MessageAttributeValue{
		// As Lambda itself writes them, so that every tool finds the reason (Lambda
		// developer guide, retaining records of asynchronous invocations).
		"RequestID":    attribute(from),
		"ErrorCode":    {DataType: aws.String("Number"), StringValue: aws.String("200")},
		"ErrorMessage": attribute(why.Error()),
	}}
	if e.ID != "" {
		in.MessageAttributes["EventId"] = attribute(e.ID)
	}
	if _, err := c.queues.SendMessage(ctx, in); err != nil {
		return fmt.Errorf("dead-letter event %s: %w", e.ID, err)
	}
	if e.ID == "" {
		return nil
	}
	// The page shows this. It is no part of the event's own row, so that the event
	// can be processed when it has been mended.
	_, err := c.tables.PutItem(ctx, &dynamodb.PutItemInput{TableName: &c.table, Item: map[string]dynamo.AttributeValue{
		"id":  &dynamo.AttributeValueMemberS{Value: "dead#" + e.ID},
		"why": &dynamo.AttributeValueMemberS{Value: why.Error()},
		"at":  &dynamo.AttributeValueMemberS{Value: c.place.Now().UTC().Format(time.RFC3339Nano)},
	}})
	if err != nil {
		return fmt.Errorf("note the dead letter of event %s: %w", e.ID, err)
	}
	return nil
}
