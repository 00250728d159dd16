package conformance

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func (x *run) bus() (name, arn string) {
	name = x.name("bus")
	out, err := x.set.events.CreateEventBus(x.ctx, &eventbridge.CreateEventBusInput{Name: &name})
	x.must("CreateEventBus", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.events.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: &name})
		return err
	})
	return name, aws.ToString(out.EventBusArn)
}

var busCases = []oneCase{
	{name: "says which bus it is", service: "EventBridge", operation: "DescribeEventBus", run: func(x *run) {
		name, arn := x.bus()
		for _, by := range []string{name, arn} {
			out, err := x.events.DescribeEventBus(x.ctx, &eventbridge.DescribeEventBusInput{Name: &by})
			x.must("DescribeEventBus", err)
			equal(x, "ARN", aws.ToString(out.Arn), arn)
			equal(x, "name", aws.ToString(out.Name), name)
		}
	}},
	{name: "a missing bus is ResourceNotFoundException", service: "EventBridge", operation: "DescribeEventBus", run: func(x *run) {
		_, err := x.events.DescribeEventBus(x.ctx, &eventbridge.DescribeEventBusInput{Name: aws.String(x.name("none"))})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "answers for each event, in order", service: "EventBridge", operation: "PutEvents", run: func(x *run) {
		_, arn := x.bus()
		entry := func(detail string) types.PutEventsRequestEntry {
			return types.PutEventsRequestEntry{EventBusName: &arn, Source: aws.String("kxops.test"), DetailType: aws.String("order"), Detail: &detail}
		}
		out, err := x.events.PutEvents(x.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry(`{"n":1}`), entry(`{"n":`), entry(`{"n":3}`)}})
		x.must("PutEvents", err)
		equal(x, "failed", out.FailedEntryCount, 1)
		if len(out.Entries) != 3 {
			x.fatalf("%d answers", len(out.Entries))
		}
		equal(x, "code of the second", aws.ToString(out.Entries[1].ErrorCode), "MalformedDetail")
		if aws.ToString(out.Entries[0].EventId) == "" || aws.ToString(out.Entries[2].EventId) == "" {
			x.errorf("no event ids: %+v", strings.Join([]string{aws.ToString(out.Entries[0].ErrorCode), aws.ToString(out.Entries[2].ErrorCode)}, " "))
		}
	}},
}
