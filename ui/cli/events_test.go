package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/rogpeppe/go-internal/testscript"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// startEvents is the script command "events": a bus shop with an archive kept, a rule all
// that hands its events to the queue reprocess, and five events.
func startEvents(ts *testscript.TestScript, neg bool, args []string) {
	cfg := (*ts.Value(sandboxKey{}).(**sandbox.Sandbox)).Config()
	events, queues, ctx := eventbridge.NewFromConfig(cfg), sqs.NewFromConfig(cfg), context.Background()
	bus := aws.String("shop")
	made, err := events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: bus})
	ts.Check(err)
	_, err = events.CreateArchive(ctx, &eventbridge.CreateArchiveInput{ArchiveName: aws.String("kept"), EventSourceArn: made.EventBusArn})
	ts.Check(err)
	_, err = queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("reprocess"), Attributes: map[string]string{
		"Policy": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`}})
	ts.Check(err)
	rule := aws.String("all")
	_, err = events.PutRule(ctx, &eventbridge.PutRuleInput{Name: rule, EventBusName: bus, EventPattern: aws.String(`{"source":["shop"]}`)})
	ts.Check(err)
	_, err = events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: rule, EventBusName: bus, Targets: []types.Target{
		{Id: aws.String("1"), Arn: aws.String("arn:aws:sqs:" + sandbox.HomeRegion + ":" + sandbox.Account + ":reprocess")}}})
	ts.Check(err)
	for n := range 5 {
		detail := fmt.Sprintf(`{"n":%d}`, n)
		_, err := events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{EventBusName: bus, Source: bus, DetailType: aws.String("order"), Detail: &detail}}})
		ts.Check(err)
	}
}

// planID is the script command "planid FILE": the id of a saved plan, as $ID.
func planID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: planid FILE")
	}
	var plan ops.ReplayPlan
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &plan))
	ts.Setenv("ID", plan.ID)
}
