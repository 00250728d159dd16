package payload

import (
	"strconv"

	"kxops/ops"
)

var ruleDeadLetter = layer{
	name:       "EventBridge dead letter",
	says:       "EventBridge could not give an event to a rule's target; rule, target and error are in the attributes.",
	attributes: true,
	open:       openRuleDeadLetter,
}

func openRuleDeadLetter(in *input) (ops.Layer, bool) {
	rule := in.attribute("RULE_ARN")
	if rule == "" {
		return ops.Layer{}, false
	}
	var f facts
	failure := in.undelivered(&f)
	f.add("Rule", rule)
	return ops.Layer{Facts: f, Failure: failure, Origin: rule}, true
}

var scheduleDeadLetter = layer{
	name:       "Scheduler dead letter",
	says:       "EventBridge Scheduler could not call a schedule's target; the body is the target's input, and may be cut.",
	attributes: true,
	open:       openScheduleDeadLetter,
}

func openScheduleDeadLetter(in *input) (ops.Layer, bool) {
	schedule := in.attribute("SCHEDULE_ARN")
	if schedule == "" {
		return ops.Layer{}, false
	}
	var f facts
	l := ops.Layer{Failure: in.undelivered(&f), Origin: schedule}
	if l.Truncated = in.attribute("IS_PAYLOAD_TRUNCATED") == "true"; l.Truncated {
		f.add("Cut", "Scheduler cut the payload: it must not be sent again")
	}
	l.Failure.RequestID = in.attribute("EXECUTION_ID")
	f.add("Schedule", schedule)
	f.add("Was due at", in.attribute("SCHEDULED_TIME"))
	f.add("Execution", l.Failure.RequestID)
	l.Facts = f
	return l, true
}

// undelivered reads the attributes that rules and schedules have in common.
func (in *input) undelivered(f *facts) *ops.Failure {
	target := ops.ARN(in.attribute("TARGET_ARN"))
	failure := &ops.Failure{
		Type:      in.attribute("ERROR_CODE"),
		Message:   in.attribute("ERROR_MESSAGE"),
		Condition: in.attribute("EXHAUSTED_RETRY_CONDITION"),
	}
	if target.Service() == "lambda" {
		failure.Function = target
	}
	if n, err := strconv.Atoi(in.attribute("RETRY_ATTEMPTS")); err == nil && n >= 0 {
		failure.Attempts = n + 1 // the first try is no retry
	}
	f.add("Error", failure.Message)
	f.add("Error type", failure.Type)
	f.add("Target", string(target))
	f.add("Gave up because", failure.Condition)
	f.add("Retries", in.attribute("RETRY_ATTEMPTS"))
	return failure
}

func (in *input) attribute(name string) string { return in.message.Attributes[name].Text }

var eventBridgeEvent = layer{
	name: "EventBridge event",
	says: "An event as EventBridge hands it to targets; what happened is in its detail.",
	open: openEventBridge,
}

func openEventBridge(in *input) (ops.Layer, bool) {
	kind, source, detail := in.text("detail-type"), in.text("source"), in.raw("detail")
	if kind == "" || source == "" || detail == nil || !in.valid {
		return ops.Layer{}, false
	}
	f := make(facts, 0, 8)
	f.add("Event", kind)
	f.add("Source", source)
	f.add("At", in.text("time"))
	if source == "aws.s3" { // keys are written plain here
		f.add("Bucket", Text(detail, "bucket", "name"))
		f.add("Key", Text(detail, "object", "key"))
	}
	EachElement(in.raw("resources"), func(i int, value []byte) bool {
		f.add("Resource", str(value))
		return i < 4
	})
	f.add("Region", in.text("region"))
	f.add("Event id", in.text("id"))
	return ops.Layer{Facts: f, Body: detail, Event: kind, Origin: source}, true
}
