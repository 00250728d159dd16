package sandbox

import (
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

// Archives of event buses and their replays: to the archive's own bus, to all rules or to
// some, minute by minute of the events' time. What was replayed is not archived again.

const (
	maxEventReplays = 10 // that run at a time (EventBridge quotas, concurrent replays)
	// How long a replay takes to begin, and each minute of events after that. Both are the
	// sandbox's own: AWS promises nothing.
	eventReplayStart = 30 * time.Second
	eventReplayStep  = time.Second
	archiveManager   = "prod.vhs.events.aws.internal" // owns the rule that feeds an archive
)

type eventArchive struct {
	name    string
	arn     ops.ARN
	bus     *eventBus
	text    *string // its pattern as it was given, nil: everything
	pattern filterPolicy
	days    int32 // 0: for ever
	created time.Time
	events  []archivedEvent
	gone    bool
}

type archivedEvent struct {
	at     time.Time // that the event carries
	body   []byte
	values map[string]any
}

type eventReplay struct {
	name         string
	arn          ops.ARN
	archive      *eventArchive
	description  *string
	rules        []string // ARNs; none: all rules
	from, to     time.Time
	began, ended time.Time
	last         time.Time // event time of what was replayed last
	state        types.ReplayState
	why          string
}

func (s *eventBridgeService) handleArchives() {
	handle(s.r, "events", "CreateArchive", s.createArchive)
	handle(s.r, "events", "DescribeArchive", s.describeArchive)
	handle(s.r, "events", "ListArchives", s.listArchives)
	handle(s.r, "events", "DeleteArchive", s.deleteArchive)
	handle(s.r, "events", "StartReplay", s.startReplay)
	handle(s.r, "events", "DescribeReplay", s.describeReplay)
	handle(s.r, "events", "ListReplays", s.listReplays)
	handle(s.r, "events", "CancelReplay", s.cancelReplay)
	handle(s.r, "events", "ListRules", s.listRules)
	handle(s.r, "events", "DeleteRule", s.deleteRule)
	handle(s.r, "events", "RemoveTargets", s.removeTargets)
	handle(s.r, "events", "ListTargetsByRule", s.listTargets)
}

func (s *eventBridgeService) findArchive(name string) (*eventArchive, error) {
	if a := s.archives[name]; a != nil {
		return a, nil
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("Archive " + name + " does not exist.")}
}

var archiveName = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,48}$`)

func (s *eventBridgeService) createArchive(_ context.Context, in *eventbridge.CreateArchiveInput) (*eventbridge.CreateArchiveOutput, error) {
	name := deref(in.ArchiveName)
	b, err := s.find(in.EventSourceArn)
	switch {
	case in.KmsKeyIdentifier != nil:
		return nil, unsupported("KmsKeyIdentifier")
	case !archiveName.MatchString(name):
		return nil, eventsInvalidf("1 validation error detected: Value '%s' at 'archiveName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", name)
	case s.archives[name] != nil:
		return nil, &types.ResourceAlreadyExistsException{Message: aws.String("Archive " + name + " already exists.")}
	case err != nil:
		return nil, err
	}
	a := &eventArchive{name: name, arn: s.r.arn("events", "archive/"+name), bus: b, text: in.EventPattern, created: s.r.now()}
	if in.RetentionDays != nil {
		a.days = *in.RetentionDays
	}
	if in.EventPattern != nil {
		if a.pattern, err = readEventPattern(*in.EventPattern); err != nil {
			return nil, &types.InvalidEventPatternException{Message: aws.String("Event pattern is not valid. Reason: " + err.Error())}
		}
	}
	s.archives[name] = a
	return &eventbridge.CreateArchiveOutput{ArchiveArn: aws.String(string(a.arn)), CreationTime: &a.created, State: types.ArchiveStateEnabled}, nil
}

// archive keeps an event in each archive of the bus that wants it.
func (s *eventBridgeService) archive(b *eventBus, at time.Time, body []byte, values map[string]any) {
	for _, name := range sortedNames(s.archives) {
		if a := s.archives[name]; a.bus == b && (a.pattern == nil || a.pattern.matches(values)) {
			a.events = append(a.events, archivedEvent{at, body, values})
		}
	}
}

// kept drops what is past the retention.
func (a *eventArchive) kept(now time.Time) []archivedEvent {
	if a.days > 0 {
		horizon := now.AddDate(0, 0, -int(a.days))
		a.events = slices.DeleteFunc(a.events, func(e archivedEvent) bool { return e.at.Before(horizon) })
	}
	return a.events
}

func (a *eventArchive) size(now time.Time) (n int64) {
	for _, e := range a.kept(now) {
		n += int64(len(e.body))
	}
	return n
}

func (s *eventBridgeService) describeArchive(_ context.Context, in *eventbridge.DescribeArchiveInput) (*eventbridge.DescribeArchiveOutput, error) {
	a, err := s.findArchive(deref(in.ArchiveName))
	if err != nil {
		return nil, err
	}
	now := s.r.now()
	return &eventbridge.DescribeArchiveOutput{ArchiveArn: aws.String(string(a.arn)), ArchiveName: &a.name, CreationTime: &a.created, EventSourceArn: aws.String(string(a.bus.arn)),
		EventPattern: a.text, RetentionDays: &a.days, State: types.ArchiveStateEnabled, EventCount: int64(len(a.kept(now))), SizeBytes: a.size(now)}, nil
}

func (s *eventBridgeService) listArchives(_ context.Context, in *eventbridge.ListArchivesInput) (*eventbridge.ListArchivesOutput, error) {
	names := sortedNames(s.archives)
	names = slices.DeleteFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, deref(in.NamePrefix)) || in.EventSourceArn != nil && *in.EventSourceArn != string(s.archives[n].bus.arn)
	})
	names, next, err := eventsPage(names, in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListArchivesOutput{Archives: []types.Archive{}, NextToken: next}
	for _, n := range names {
		a, now := s.archives[n], s.r.now()
		out.Archives = append(out.Archives, types.Archive{ArchiveName: &a.name, CreationTime: &a.created, EventSourceArn: aws.String(string(a.bus.arn)), RetentionDays: &a.days,
			State: types.ArchiveStateEnabled, EventCount: int64(len(a.kept(now))), SizeBytes: a.size(now)})
	}
	return out, nil
}

// eventsPage cuts a page of a list.
func eventsPage(list []string, token *string, asked *int32) ([]string, *string, error) {
	n := 100
	if asked != nil {
		n = int(*asked)
	}
	if n < 1 || n > 100 {
		return nil, nil, eventsInvalidf("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must be between 1 and 100", n)
	}
	after := ""
	if token != nil {
		if err := openToken(*token, &after); err != nil {
			return nil, nil, eventsInvalidf("Token is invalid.")
		}
	}
	at, _ := slices.BinarySearch(list, after)
	for at < len(list) && list[at] <= after {
		at++
	}
	list = list[at:]
	if len(list) <= n {
		return list, nil, nil
	}
	return list[:n], sealToken(list[n-1]), nil
}

func (s *eventBridgeService) deleteArchive(_ context.Context, in *eventbridge.DeleteArchiveInput) (*eventbridge.DeleteArchiveOutput, error) {
	a, err := s.findArchive(deref(in.ArchiveName))
	if err != nil {
		return nil, err
	}
	a.gone = true
	delete(s.archives, a.name)
	return &eventbridge.DeleteArchiveOutput{}, nil
}

func (s *eventBridgeService) startReplay(_ context.Context, in *eventbridge.StartReplayInput) (*eventbridge.StartReplayOutput, error) {
	name := deref(in.ReplayName)
	if !busName.MatchString(name) || len(name) > 64 {
		return nil, eventsInvalidf("1 validation error detected: Value '%s' at 'replayName' failed to satisfy constraint", name)
	}
	if in.Destination == nil || in.EventStartTime == nil || in.EventEndTime == nil {
		return nil, eventsInvalidf("1 validation error detected: Value null failed to satisfy constraint: Member must not be null")
	}
	a, err := s.findArchive(ops.ARN(deref(in.EventSourceArn)).Name())
	if err != nil {
		return nil, err
	}
	running := 0
	for _, r := range s.replays {
		if r.runs() {
			running++
		}
	}
	switch {
	case s.replays[name] != nil: // for 90 days; the sandbox forgets none
		return nil, &types.ResourceAlreadyExistsException{Message: aws.String("Replay " + name + " already exists.")}
	case deref(in.Destination.Arn) != string(a.bus.arn):
		return nil, eventsInvalidf("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
	case !in.EventStartTime.Before(*in.EventEndTime):
		return nil, eventsInvalidf("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
	case running >= maxEventReplays:
		return nil, &types.LimitExceededException{Message: aws.String("The requested resource exceeds the maximum number allowed.")}
	}
	for _, rule := range in.Destination.FilterArns {
		if !slices.ContainsFunc(sortedNames(a.bus.rules), func(n string) bool { return string(a.bus.rules[n].arn) == rule }) {
			return nil, &types.ResourceNotFoundException{Message: aws.String("Rule " + rule + " does not exist.")}
		}
	}
	r := &eventReplay{name: name, arn: s.r.arn("events", "replay/"+name), archive: a, description: in.Description, rules: in.Destination.FilterArns,
		from: *in.EventStartTime, to: *in.EventEndTime, began: s.r.now(), state: types.ReplayStateStarting}
	s.replays[name] = r
	s.r.after(s.r.setup(eventReplayStart), func() {
		if r.state == types.ReplayStateStarting {
			r.state = types.ReplayStateRunning
			s.replayMinute(r, r.from.Truncate(time.Minute))
		}
	})
	return &eventbridge.StartReplayOutput{ReplayArn: aws.String(string(r.arn)), ReplayStartTime: &r.began, State: r.state}, nil
}

func (r *eventReplay) runs() bool {
	return r.state == types.ReplayStateStarting || r.state == types.ReplayStateRunning || r.state == types.ReplayStateCancelling
}

func (r *eventReplay) end(now time.Time, state types.ReplayState, why string) {
	r.state, r.ended, r.why = state, now, why
}

// replayMinute replays the first minute from there on that has events, and then the next.
// In a minute they come in the archive's order, which is none.
func (s *eventBridgeService) replayMinute(r *eventReplay, from time.Time) {
	switch {
	case r.state == types.ReplayStateCancelling:
		r.end(s.r.now(), types.ReplayStateCancelled, "Replay cancelled by user")
		return
	case r.archive.gone:
		r.end(s.r.now(), types.ReplayStateFailed, "Archive was deleted")
		return
	}
	var minute time.Time
	for _, e := range r.archive.kept(s.r.now()) {
		if m := e.at.Truncate(time.Minute); r.holds(e) && !m.Before(from) && (minute.IsZero() || m.Before(minute)) {
			minute = m
		}
	}
	if minute.IsZero() {
		r.end(s.r.now(), types.ReplayStateCompleted, "")
		return
	}
	for _, e := range slices.Clone(r.archive.events) {
		if !r.holds(e) || !e.at.Truncate(time.Minute).Equal(minute) {
			continue
		}
		s.replayed(r, e)
		if e.at.After(r.last) {
			r.last = e.at
		}
	}
	s.r.after(s.r.setup(eventReplayStep), func() { s.replayMinute(r, minute.Add(time.Minute)) })
}

func (r *eventReplay) holds(e archivedEvent) bool { return !e.at.Before(r.from) && e.at.Before(r.to) }

// replayed hands an event to the rules again, with the replay's name in it.
func (s *eventBridgeService) replayed(r *eventReplay, e archivedEvent) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(e.body, &fields) != nil {
		return // it was made of JSON
	}
	name, _ := json.Marshal(r.name)
	fields["replay-name"] = name
	body, _ := json.Marshal(fields)
	values := map[string]any{"replay-name": r.name}
	for k, v := range e.values {
		values[k] = v
	}
	s.route(r.archive.bus, body, values, r.rules)
}

func (s *eventBridgeService) findReplay(name *string) (*eventReplay, error) {
	if r := s.replays[deref(name)]; r != nil {
		return r, nil
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf("Replay %s does not exist.", deref(name)))}
}

func (s *eventBridgeService) describeReplay(_ context.Context, in *eventbridge.DescribeReplayInput) (*eventbridge.DescribeReplayOutput, error) {
	r, err := s.findReplay(in.ReplayName)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.DescribeReplayOutput{ReplayName: &r.name, ReplayArn: aws.String(string(r.arn)), Description: r.description, EventSourceArn: aws.String(string(r.archive.arn)),
		Destination: &types.ReplayDestination{Arn: aws.String(string(r.archive.bus.arn)), FilterArns: r.rules}, EventStartTime: &r.from, EventEndTime: &r.to, ReplayStartTime: &r.began, State: r.state}
	if r.why != "" {
		out.StateReason = &r.why
	}
	if !r.last.IsZero() {
		out.EventLastReplayedTime = &r.last
	}
	if !r.ended.IsZero() {
		out.ReplayEndTime = &r.ended
	}
	return out, nil
}

func (s *eventBridgeService) listReplays(_ context.Context, in *eventbridge.ListReplaysInput) (*eventbridge.ListReplaysOutput, error) {
	names := slices.DeleteFunc(sortedNames(s.replays), func(n string) bool {
		r := s.replays[n]
		return !strings.HasPrefix(n, deref(in.NamePrefix)) || in.EventSourceArn != nil && *in.EventSourceArn != string(r.archive.arn) || in.State != "" && in.State != r.state
	})
	names, next, err := eventsPage(names, in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListReplaysOutput{Replays: []types.Replay{}, NextToken: next}
	for _, n := range names {
		r := s.replays[n]
		out.Replays = append(out.Replays, types.Replay{ReplayName: &r.name, EventSourceArn: aws.String(string(r.archive.arn)), EventStartTime: &r.from, EventEndTime: &r.to, ReplayStartTime: &r.began, State: r.state})
	}
	return out, nil
}

func (s *eventBridgeService) cancelReplay(_ context.Context, in *eventbridge.CancelReplayInput) (*eventbridge.CancelReplayOutput, error) {
	r, err := s.findReplay(in.ReplayName)
	if err != nil {
		return nil, err
	}
	switch r.state {
	case types.ReplayStateStarting: // no minute of it is planned
		r.end(s.r.now(), types.ReplayStateCancelled, "Replay cancelled by user")
	case types.ReplayStateRunning:
		r.state = types.ReplayStateCancelling
	default:
		return nil, &types.IllegalStatusException{Message: aws.String(fmt.Sprintf("Replay %s is not in a valid state for this operation.", r.name))}
	}
	return &eventbridge.CancelReplayOutput{ReplayArn: aws.String(string(r.arn)), State: r.state}, nil
}

// listRules lists the rules of a bus, with those that feed archives.
func (s *eventBridgeService) listRules(_ context.Context, in *eventbridge.ListRulesInput) (*eventbridge.ListRulesOutput, error) {
	b, err := s.find(in.EventBusName)
	if err != nil {
		return nil, err
	}
	feeds := map[string]*eventArchive{}
	names := sortedNames(b.rules)
	for _, n := range sortedNames(s.archives) {
		if a := s.archives[n]; a.bus == b {
			feeds["Events-Archive-"+n] = a
			names = append(names, "Events-Archive-"+n)
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, deref(in.NamePrefix)) })
	names, next, err := eventsPage(names, in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListRulesOutput{Rules: []types.Rule{}, NextToken: next}
	for _, n := range names {
		rule := types.Rule{Name: aws.String(n), EventBusName: &b.name, State: types.RuleStateEnabled}
		if a := feeds[n]; a != nil {
			rule.Arn, rule.EventPattern, rule.ManagedBy = aws.String(string(s.ruleARN(b, n))), a.text, aws.String(archiveManager)
		} else {
			x := b.rules[n]
			rule.Arn, rule.EventPattern = aws.String(string(x.arn)), aws.String(x.text)
			if x.off {
				rule.State = types.RuleStateDisabled
			}
		}
		out.Rules = append(out.Rules, rule)
	}
	return out, nil
}

func (s *eventBridgeService) listTargets(_ context.Context, in *eventbridge.ListTargetsByRuleInput) (*eventbridge.ListTargetsByRuleOutput, error) {
	b, err := s.find(in.EventBusName)
	if err != nil {
		return nil, err
	}
	rule := b.rules[deref(in.Rule)]
	if rule == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf("Rule %s does not exist on EventBus %s.", deref(in.Rule), b.name))}
	}
	ids, next, err := eventsPage(sortedNames(rule.targets), in.NextToken, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListTargetsByRuleOutput{Targets: []types.Target{}, NextToken: next}
	for _, id := range ids {
		out.Targets = append(out.Targets, types.Target{Id: aws.String(id), Arn: aws.String(string(rule.targets[id]))})
	}
	return out, nil
}

// deleteRule deletes a rule without targets; one that is not there is no error.
func (s *eventBridgeService) deleteRule(_ context.Context, in *eventbridge.DeleteRuleInput) (*eventbridge.DeleteRuleOutput, error) {
	b, err := s.find(in.EventBusName)
	if err != nil {
		return nil, err
	}
	if rule := b.rules[deref(in.Name)]; rule != nil && len(rule.targets) > 0 {
		return nil, eventsInvalidf("Rule can't be deleted since it has targets.")
	}
	delete(b.rules, deref(in.Name))
	return &eventbridge.DeleteRuleOutput{}, nil
}

func (s *eventBridgeService) removeTargets(_ context.Context, in *eventbridge.RemoveTargetsInput) (*eventbridge.RemoveTargetsOutput, error) {
	b, err := s.find(in.EventBusName)
	if err != nil {
		return nil, err
	}
	rule := b.rules[deref(in.Rule)]
	if rule == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf("Rule %s does not exist on EventBus %s.", deref(in.Rule), b.name))}
	}
	for _, id := range in.Ids {
		delete(rule.targets, id)
	}
	return &eventbridge.RemoveTargetsOutput{FailedEntries: []types.RemoveTargetsResultEntry{}}, nil
}
