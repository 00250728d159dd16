package labs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// This file breaks lab 3.

// latePeople is how many people get a card before they are hired.
const latePeople = 10

var staffFaults = []Fault{
	{
		Name: "hired-late", About: "the personnel system sends cards for ten people whom it has not hired yet",
		set: func(ctx context.Context, s *Stack, x *fixture) error {
			// Who was hired by an earlier run has left first, or the cards would be theirs.
			if err := s.late(ctx, x, "employee-left"); err != nil {
				return err
			}
			return s.late(ctx, x, "card-issued")
		},
		clear: func(ctx context.Context, s *Stack, x *fixture) error { return s.late(ctx, x, "employee-hired") },
	},
	{
		Name: "person-lost", About: "somebody deleted a person from the table, with the notes of what was applied",
		set: func(ctx context.Context, s *Stack, x *fixture) error {
			return s.forgetPerson(ctx, x.out["ProcessedTable"], x.out["StoreBucket"])
		},
	},
}

// late sends one event for each of the late people.
func (s *Stack) late(ctx context.Context, x *fixture, kind string) error {
	late := *s
	lab := *s.Lab
	lab.next = func(_ *rand.Rand, n int, _ bool) (string, string, any) {
		person := fmt.Sprintf("late-%d", n)
		return fmt.Sprintf("%s-%d", kind, n), kind, map[string]any{"type": kind, "employee": person, "card": "card-" + person}
	}
	late.Lab = &lab
	return late.Send(ctx, Traffic{Count: latePeople}, x.tell)
}

// forgetPerson deletes the rows of one employee, and the notes of the events that made
// them, which the event store knows.
func (s *Stack) forgetPerson(ctx context.Context, table, bucket string) error {
	client := dynamodb.NewFromConfig(s.place.Config)
	victim, err := s.somebody(ctx, client, table)
	if err != nil {
		return err
	}
	doomed := []string{"employee#" + victim}
	err = s.eachObject(ctx, bucket, "events/", func(_ string, d *json.Decoder) error {
		for {
			var e struct{ ID, Employee, Card string }
			if err := d.Decode(&e); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if e.Employee == victim {
				doomed = append(doomed, "event#"+e.ID, "card#"+e.Card)
			}
		}
	})
	if err != nil {
		return err
	}
	for _, id := range doomed {
		if _, err := once(ctx, func(ctx context.Context) (*dynamodb.DeleteItemOutput, error) {
			return client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: map[string]dynamo.AttributeValue{"id": &dynamo.AttributeValueMemberS{Value: id}}})
		}); err != nil {
			return err
		}
	}
	return nil
}

// somebody is an employee in the table.
func (s *Stack) somebody(ctx context.Context, client *dynamodb.Client, table string) (string, error) {
	in := &dynamodb.ScanInput{TableName: &table, ProjectionExpression: aws.String("id")}
	for {
		page, err := once(ctx, func(ctx context.Context) (*dynamodb.ScanOutput, error) { return client.Scan(ctx, in) })
		if err != nil {
			return "", err
		}
		for _, item := range page.Items {
			if id, ok := item["id"].(*dynamo.AttributeValueMemberS); ok && strings.HasPrefix(id.Value, "employee#e-") {
				return strings.TrimPrefix(id.Value, "employee#"), nil
			}
		}
		if len(page.LastEvaluatedKey) == 0 {
			return "", errors.New("the table has no employee: send some traffic first")
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
}
