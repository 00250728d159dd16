package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"kxops/ops"
)

// EventBridge: buses, rules with event patterns, and their targets: queues, topics,
// functions and delivery streams; archives are in eventbridge_archive.go. Schedules, input
// transformers and dead-letter queues of targets are refused.

const (
	maxPutEvents     = 10        // entries of one request
	maxPutEventBytes = 1_000_000 // of one request; it must be less (API, PutEvents)
	// What is not delivered is tried again for 24 hours and up to 185 times
	// (EventBridge User Guide, eb-rule-retry-policy).
	maxEventTries = 185
	eventRetry    = time.Minute
)

type eventBridgeService struct {
	r        *Region
	buses    map[string]*eventBus
	archives map[string]*eventArchive
	replays  map[string]*eventReplay // all that ever ran: a name is not used again
}

type eventBus struct {
	name    string
	arn     ops.ARN
	created time.Time
	rules   map[string]*eventRule
}

type eventRule struct {
	arn     ops.ARN
	pattern filterPolicy
	text    string // of the pattern
	off     bool
	targets map[string]ops.ARN
}

func newEventBridge(r *Region) {
	s := &eventBridgeService{r: r, buses: map[string]*eventBus{}, archives: map[string]*eventArchive{}, replays: map[string]*eventReplay{}}
	s.add("default")
	s.handleArchives()
	handle(r, "events", "CreateEventBus", s.createEventBus)
	handle(r, "events", "DescribeEventBus", s.describeEventBus)
	handle(r, "events", "DeleteEventBus", s.deleteEventBus)
	handle(r, "events", "PutRule", s.putRule)
	handle(r, "events", "PutTargets", s.putTargets)
	handle(r, "events", "PutEvents", s.putEvents)
}

func (s *eventBridgeService) add(name string) *eventBus {
	b := &eventBus{name: name, arn: s.r.arn("events", "event-bus/"+name), created: s.r.now(), rules: map[string]*eventRule{}}
	s.buses[name] = b
	return b
}

// find takes a name or an ARN; nothing is the default bus.
func (s *eventBridgeService) find(name *string) (*eventBus, error) {
	id := deref(name)
	if id == "" {
		id = "default"
	}
	b, ok := s.buses[ops.ARN(id).Name()]
	if !ok || strings.HasPrefix(id, "arn:") && ops.ARN(id) != b.arn {
		return nil, &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf("Event bus %s does not exist.", ops.ARN(id).Name()))}
	}
	return b, nil
}

func eventsInvalidf(format string, args ...any) error {
	return fail("ValidationException", format, args...)
}

var busName = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,256}$`)

func (s *eventBridgeService) createEventBus(_ context.Context, in *eventbridge.CreateEventBusInput) (*eventbridge.CreateEventBusOutput, error) {
	name := deref(in.Name)
	switch {
	case in.DeadLetterConfig != nil:
		return nil, unsupported("DeadLetterConfig")
	case in.EventSourceName != nil:
		return nil, unsupported("EventSourceName")
	case in.KmsKeyIdentifier != nil:
		return nil, unsupported("KmsKeyIdentifier")
	case in.LogConfig != nil:
		return nil, unsupported("LogConfig")
	case len(in.Tags) > 0:
		return nil, unsupported("Tags")
	case !busName.MatchString(name):
		return nil, eventsInvalidf("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint", name)
	case s.buses[name] != nil:
		return nil, &types.ResourceAlreadyExistsException{Message: aws.String("Event bus " + name + " already exists.")}
	}
	return &eventbridge.CreateEventBusOutput{EventBusArn: aws.String(string(s.add(name).arn))}, nil
}

func (s *eventBridgeService) describeEventBus(_ context.Context, in *eventbridge.DescribeEventBusInput) (*eventbridge.DescribeEventBusOutput, error) {
	b, err := s.find(in.Name)
	if err != nil {
		return nil, err
	}
	return &eventbridge.DescribeEventBusOutput{Name: &b.name, Arn: aws.String(string(b.arn)), CreationTime: &b.created, LastModifiedTime: &b.created}, nil
}

func (s *eventBridgeService) deleteEventBus(_ context.Context, in *eventbridge.DeleteEventBusInput) (*eventbridge.DeleteEventBusOutput, error) {
	name := ops.ARN(deref(in.Name)).Name()
	switch b := s.buses[name]; {
	case name == "default":
		return nil, eventsInvalidf("Cannot delete event bus default.")
	case b != nil && len(b.rules) > 0:
		return nil, eventsInvalidf("Event bus %s can't be deleted since it has rules.", name)
	}
	delete(s.buses, name) // one that is not there is no error
	return &eventbridge.DeleteEventBusOutput{}, nil
}

func (s *eventBridgeService) putRule(_ context.Context, in *eventbridge.PutRuleInput) (*eventbridge.PutRuleOutput, error) {
	b, err := s.find(in.EventBusName)
	if err != nil {
		return nil, err
	}
	switch {
	case in.ScheduleExpression != nil:
		return nil, unsupported("ScheduleExpression")
	case in.RoleArn != nil:
		return nil, unsupported("RoleArn")
	case len(in.Tags) > 0:
		return nil, unsupported("Tags")
	case !busName.MatchString(deref(in.Name)) || len(*in.Name) > 64:
		return nil, eventsInvalidf("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint", deref(in.Name))
	case in.EventPattern == nil:
		return nil, eventsInvalidf("Parameter(s) EventPattern or ScheduleExpression must be specified.")
	}
	pattern, err := readEventPattern(*in.EventPattern)
	if err != nil {
		return nil, &types.InvalidEventPatternException{Message: aws.String("Event pattern is not valid. Reason: " + err.Error())}
	}
	rule := &eventRule{arn: s.ruleARN(b, *in.Name), targets: map[string]ops.ARN{}}
	if old := b.rules[*in.Name]; old != nil {
		rule = old
	}
	rule.pattern, rule.text, rule.off = pattern, *in.EventPattern, in.State == types.RuleStateDisabled
	b.rules[*in.Name] = rule
	return &eventbridge.PutRuleOutput{RuleArn: aws.String(string(rule.arn))}, nil
}

// ruleARN names the bus, except for the default one.
func (s *eventBridgeService) ruleARN(b *eventBus, name string) ops.ARN {
	if b.name != "default" {
		name = b.name + "/" + name
	}
	return s.r.arn("events", "rule/"+name)
}

// readEventPattern reads what filter policies of SNS have too: values, prefix, suffix,
// equals-ignore-case, exists, numeric, anything-but. The rest ($or, wildcard, cidr) is refused.
func readEventPattern(text string) (filterPolicy, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var tree map[string]any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	keys := -len(text) // a pattern may have more keys than a filter policy: never that many
	return readFilterKeys(tree, true, &keys)
}

func (s *eventBridgeService) putTargets(_ context.Context, in *eventbridge.PutTargetsInput) (*eventbridge.PutTargetsOutput, error) {
	b, err := s.find(in.EventBusName)
	if err != nil {
		return nil, err
	}
	rule := b.rules[deref(in.Rule)]
	if rule == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf("Rule %s does not exist on EventBus %s.", deref(in.Rule), b.name))}
	}
	for _, t := range in.Targets {
		plain := types.Target{Arn: t.Arn, Id: t.Id}
		if fmt.Sprintf("%+v", t) != fmt.Sprintf("%+v", plain) {
			return nil, unsupported("of a target other than Id and Arn")
		}
		switch service := ops.ARN(deref(t.Arn)).Service(); service {
		case "sqs", "sns", "lambda", "firehose":
		default:
			return nil, fail("NotImplemented", "the sandbox has no targets of %s for rules", service)
		}
		if deref(t.Id) == "" {
			return nil, eventsInvalidf("1 validation error detected: Value null at 'targets.1.member.id' failed to satisfy constraint: Member must not be null")
		}
	}
	for _, t := range in.Targets {
		rule.targets[*t.Id] = ops.ARN(*t.Arn)
	}
	return &eventbridge.PutTargetsOutput{FailedEntries: []types.PutTargetsResultEntry{}}, nil
}

// eventSize is what PutEvents counts of an entry (User Guide, eb-putevents).
func eventSize(e types.PutEventsRequestEntry) int {
	n := len(deref(e.Source)) + len(deref(e.DetailType)) + len(deref(e.Detail))
	if e.Time != nil {
		n += 14
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

func (s *eventBridgeService) putEvents(_ context.Context, in *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
	size := 0
	for _, e := range in.Entries {
		size += eventSize(e)
	}
	switch {
	case in.EndpointId != nil:
		return nil, unsupported("EndpointId")
	case len(in.Entries) == 0 || len(in.Entries) > maxPutEvents:
		return nil, eventsInvalidf("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d", maxPutEvents)
	case size >= maxPutEventBytes:
		return nil, eventsInvalidf("Total size of the entries in the request is over the limit.")
	}
	partial := s.r.strikes(PartialBatch, "events", "PutEvents")
	out := &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(in.Entries))}
	for i, e := range in.Entries {
		code, why := "", ""
		strike := -1
		if partial {
			strike = s.r.rng.IntN(6)
		}
		switch {
		case strike == 0:
			code, why = "ThrottlingException", "Rate exceeded"
		case strike == 1: // nobody knows whether it is there: here it is not
			code, why = "InternalFailure", "Internal failure"
		default:
			if strike == 2 { // … and here it is
				code, why = "InternalFailure", "Internal failure"
			}
			id, refusal, err := s.put(e)
			switch {
			case err != nil:
				code, why = refusal, err.Error()
			case code == "":
				out.Entries[i].EventId = &id
			}
		}
		if code != "" {
			out.Entries[i].ErrorCode, out.Entries[i].ErrorMessage = &code, &why
			out.FailedEntryCount++
		}
	}
	return out, nil
}

// put takes one event and hands it to the targets of the rules that match. An event for
// a bus that is not there is accepted and dropped, as AWS does.
func (s *eventBridgeService) put(e types.PutEventsRequestEntry) (id, code string, err error) {
	var detail map[string]any
	switch {
	case deref(e.Source) == "" || deref(e.DetailType) == "" || e.Detail == nil:
		return "", "InvalidArgument", fmt.Errorf("Parameter Source, DetailType or Detail is not valid. Reason: it is a required argument.")
	case strings.HasPrefix(*e.Source, "aws."):
		return "", "NotAuthorizedForSourceException", fmt.Errorf("Not authorized for the source.")
	case len(*e.DetailType) > 128:
		return "", "InvalidArgument", fmt.Errorf("Parameter DetailType is not valid. Reason: it is longer than 128 characters.")
	case json.Unmarshal([]byte(*e.Detail), &detail) != nil || detail == nil:
		return "", "MalformedDetail", fmt.Errorf("Detail is malformed.")
	}
	id = s.r.id()
	b, err := s.find(e.EventBusName)
	if err != nil {
		return id, "", nil
	}
	at, resources := s.r.now(), e.Resources
	if e.Time != nil {
		at = *e.Time
	}
	if resources == nil {
		resources = []string{}
	}
	body, err := json.Marshal(struct {
		Version    string          `json:"version"`
		ID         string          `json:"id"`
		DetailType string          `json:"detail-type"`
		Source     string          `json:"source"`
		Account    string          `json:"account"`
		Time       string          `json:"time"`
		Region     string          `json:"region"`
		Resources  []string        `json:"resources"`
		Detail     json.RawMessage `json:"detail"`
	}{"0", id, *e.DetailType, *e.Source, Account, at.UTC().Format(time.RFC3339), s.r.Name, resources, json.RawMessage(*e.Detail)})
	if err != nil {
		return "", "MalformedDetail", err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var values map[string]any
	if err := d.Decode(&values); err != nil {
		return "", "MalformedDetail", err
	}
	s.archive(b, at, body, values)
	s.route(b, body, values, nil)
	return id, "", nil
}

// route hands an event to the targets of the rules that match it; only is those of them
// that may, by their ARNs, nil: all.
func (s *eventBridgeService) route(b *eventBus, body []byte, values map[string]any, only []string) {
	for _, name := range sortedNames(b.rules) {
		rule := b.rules[name]
		if rule.off || !rule.pattern.matches(values) || len(only) > 0 && !slices.Contains(only, string(rule.arn)) {
			continue
		}
		for _, target := range sortedNames(rule.targets) {
			s.attempt(rule.targets[target], delivery{Body: body, From: rule.arn}, 1)
		}
	}
}

// attempt hands an event to a target; what is refused is tried again, and dropped in the
// end: targets have no dead-letter queues here.
func (s *eventBridgeService) attempt(target ops.ARN, d delivery, try int) {
	if s.r.deliver(target, d) != nil && try < maxEventTries {
		s.r.after(eventRetry, func() { s.attempt(target, d, try+1) })
	}
}
