package functions

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// newIngest is the function behind the front door of lab 2: it checks an event,
// gives it an id and a time where it has none, and puts it into the stream with
// the customer as partition key, so that a customer's events keep their order.
func newIngest(p Place) (Handler, error) {
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
		e, err := accept(body, p)
		if err != nil {
			return sorry(err)
		}
		text, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		put, err := client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &stream, PartitionKey: &e.Customer, Data: text})
		if err != nil {
			// The sender must know that this event is nowhere: it can send it again.
			return nil, fmt.Errorf("put event %s into %s: %w", e.ID, stream, err)
		}
		return respond(202, map[string]string{"id": e.ID, "shard": *put.ShardId, "sequence": *put.SequenceNumber})
	}, nil
}

// accept checks what came through the door.
func accept(body []byte, p Place) (Event, error) {
	var e Event
	if err := json.Unmarshal(body, &e); err != nil {
		return e, fmt.Errorf("the body is no JSON object with type, customer and detail: %w", err)
	}
	if !slices.Contains(Types, e.Type) {
		return e, fmt.Errorf("the type %q is none of %s", e.Type, strings.Join(Types, ", "))
	}
	if e.Customer == "" {
		return e, fmt.Errorf("the event has no customer")
	}
	return e, complete(&e.ID, &e.At, p)
}
