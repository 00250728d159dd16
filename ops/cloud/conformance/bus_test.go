package conformance

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

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

// rule makes a rule with a target that is nowhere.
func (x *run) rule(bus, name string, state types.RuleState) {
	_, err := x.set.events.PutRule(x.ctx, &eventbridge.PutRuleInput{EventBusName: &bus, Name: &name, EventPattern: aws.String(`{"source":["kxops.test"]}`), State: state})
	x.must("PutRule", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{EventBusName: &bus, Name: &name})
		return err
	})
	target := types.Target{Id: aws.String("t"), Arn: aws.String("arn:aws:sqs:eu-west-1:123456789012:kxops-target")}
	_, err = x.set.events.PutTargets(x.ctx, &eventbridge.PutTargetsInput{EventBusName: &bus, Rule: &name, Targets: []types.Target{target}})
	x.must("PutTargets", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{EventBusName: &bus, Rule: &name, Ids: []string{"t"}})
		return err
	})
}

func (x *run) eventArchive(bus string) (name, arn string) {
	name = x.name("archive")
	out, err := x.set.events.CreateArchive(x.ctx, &eventbridge.CreateArchiveInput{ArchiveName: &name, EventSourceArn: &bus, RetentionDays: aws.Int32(2)})
	x.must("CreateArchive", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.events.DeleteArchive(ctx, &eventbridge.DeleteArchiveInput{ArchiveName: &name})
		return err
	})
	return name, aws.ToString(out.ArchiveArn)
}

func (x *run) startReplay(name, archive, bus string) error {
	until := time.Now().UTC().Truncate(time.Second)
	_, err := x.events.StartReplay(x.ctx, &eventbridge.StartReplayInput{ReplayName: &name, EventSourceArn: &archive, EventStartTime: aws.Time(until.Add(-time.Hour)), EventEndTime: &until,
		Destination: &types.ReplayDestination{Arn: &bus}})
	return err
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
	{name: "lists the rules with their patterns and states", service: "EventBridge", operation: "ListRules", run: func(x *run) {
		name, _ := x.bus()
		x.rule(name, "one", types.RuleStateEnabled)
		x.rule(name, "two", types.RuleStateDisabled)
		out, err := x.events.ListRules(x.ctx, &eventbridge.ListRulesInput{EventBusName: &name})
		x.must("ListRules", err)
		var got []string
		for _, r := range out.Rules {
			got = append(got, aws.ToString(r.Name)+" "+string(r.State)+" "+strings.ReplaceAll(aws.ToString(r.EventPattern), " ", ""))
		}
		slices.Sort(got)
		equal(x, "rules", strings.Join(got, ", "), `one ENABLED {"source":["kxops.test"]}, two DISABLED {"source":["kxops.test"]}`)
	}},
	{name: "lists the targets of a rule", service: "EventBridge", operation: "ListTargetsByRule", run: func(x *run) {
		name, _ := x.bus()
		x.rule(name, "one", types.RuleStateEnabled)
		out, err := x.events.ListTargetsByRule(x.ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: &name, Rule: aws.String("one")})
		x.must("ListTargetsByRule", err)
		if len(out.Targets) != 1 || aws.ToString(out.Targets[0].Id) != "t" || !strings.HasSuffix(aws.ToString(out.Targets[0].Arn), ":kxops-target") {
			x.errorf("%+v", out.Targets)
		}
	}},
	{name: "says whose an archive is and how long it keeps events", service: "EventBridge", operation: "DescribeArchive", run: func(x *run) {
		_, bus := x.bus()
		name, arn := x.eventArchive(bus)
		out, err := x.events.DescribeArchive(x.ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &name})
		x.must("DescribeArchive", err)
		equal(x, "ARN", aws.ToString(out.ArchiveArn), arn)
		equal(x, "bus", aws.ToString(out.EventSourceArn), bus)
		equal(x, "days", aws.ToInt32(out.RetentionDays), 2)
		equal(x, "state", out.State, types.ArchiveStateEnabled)
	}},
	{name: "a missing archive is ResourceNotFoundException", service: "EventBridge", operation: "DescribeArchive", run: func(x *run) {
		_, err := x.events.DescribeArchive(x.ctx, &eventbridge.DescribeArchiveInput{ArchiveName: aws.String("kxops-none")})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "lists archives", service: "EventBridge", operation: "ListArchives", run: func(x *run) {
		_, bus := x.bus()
		name, _ := x.eventArchive(bus)
		out, err := x.events.ListArchives(x.ctx, &eventbridge.ListArchivesInput{NamePrefix: &name})
		x.must("ListArchives", err)
		if len(out.Archives) != 1 || aws.ToString(out.Archives[0].ArchiveName) != name {
			x.errorf("%+v", out.Archives)
		}
	}},
	{name: "starts a replay of a name once", service: "EventBridge", operation: "StartReplay", run: func(x *run) {
		_, bus := x.bus()
		_, archive := x.eventArchive(bus)
		name := x.name("replay")
		start := func() error { return x.startReplay(name, archive, bus) }
		x.must("StartReplay", start())
		var there *types.ResourceAlreadyExistsException
		if err := start(); !errors.As(err, &there) {
			x.errorf("the second time: %v", err)
		}
	}},
	{name: "a replay goes to the archive's own bus only", service: "EventBridge", operation: "StartReplay", run: func(x *run) {
		_, bus := x.bus()
		_, archive := x.eventArchive(bus)
		if err := x.startReplay(x.name("replay"), archive, strings.Replace(bus, "event-bus/", "event-bus/other-", 1)); err == nil {
			x.errorf("it was started to another bus")
		}
	}},
	{name: "a replay says its window and ends", service: "EventBridge", operation: "DescribeReplay", run: func(x *run) {
		_, bus := x.bus()
		_, archive := x.eventArchive(bus)
		name := x.name("replay")
		x.must("StartReplay", x.startReplay(name, archive, bus))
		var got *eventbridge.DescribeReplayOutput
		x.until("the end of the replay", func() (bool, error) {
			var err error
			got, err = x.events.DescribeReplay(x.ctx, &eventbridge.DescribeReplayInput{ReplayName: &name})
			return err == nil && got.State == types.ReplayStateCompleted, err
		})
		equal(x, "archive", aws.ToString(got.EventSourceArn), archive)
		equal(x, "window", aws.ToTime(got.EventEndTime).Sub(aws.ToTime(got.EventStartTime)), time.Hour)
	}},
	{name: "a missing replay is ResourceNotFoundException", service: "EventBridge", operation: "DescribeReplay", run: func(x *run) {
		_, err := x.events.DescribeReplay(x.ctx, &eventbridge.DescribeReplayInput{ReplayName: aws.String(x.name("none"))})
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "lists replays by state", service: "EventBridge", operation: "ListReplays", run: func(x *run) {
		_, bus := x.bus()
		_, archive := x.eventArchive(bus)
		name := x.name("replay")
		x.must("StartReplay", x.startReplay(name, archive, bus))
		x.until("the end of the replay", func() (bool, error) {
			out, err := x.events.ListReplays(x.ctx, &eventbridge.ListReplaysInput{State: types.ReplayStateCompleted})
			if err != nil {
				return false, err
			}
			return slices.ContainsFunc(out.Replays, func(r types.Replay) bool { return aws.ToString(r.ReplayName) == name }), nil
		})
	}},
	{name: "a replay that is over cannot be cancelled", service: "EventBridge", operation: "CancelReplay", run: func(x *run) {
		_, bus := x.bus()
		_, archive := x.eventArchive(bus)
		name := x.name("replay")
		x.must("StartReplay", x.startReplay(name, archive, bus))
		x.until("the end of the replay", func() (bool, error) {
			out, err := x.events.DescribeReplay(x.ctx, &eventbridge.DescribeReplayInput{ReplayName: &name})
			return err == nil && out.State == types.ReplayStateCompleted, err
		})
		_, err := x.events.CancelReplay(x.ctx, &eventbridge.CancelReplayInput{ReplayName: &name})
		var status *types.IllegalStatusException
		if !errors.As(err, &status) {
			x.errorf("err = %v", err)
		}
	}},
}
