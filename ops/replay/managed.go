package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"kxops/ops"
	"kxops/ops/journal"
)

// A managed replay is one that AWS carries out: of an archive of EventBridge, to the bus
// that it was made of. kxops plans it, starts it once, watches it and can end it. AWS is
// its state; the record here holds the plan and what became of it.

const (
	// managedMost is how many replays of archives an account may run at a time. Source:
	// EventBridge quotas, "concurrent replays".
	managedMost = 10
	// archivingTime is how long an event may take to be in its archive. Source: EventBridge
	// User Guide, eb-replay-archived-event: wait ten minutes.
	archivingTime = 10 * time.Minute
)

// isManaged reports a source that AWS replays by itself.
func isManaged(from string) bool {
	return strings.HasPrefix(from, string(ops.KindEventArchive)+":") || strings.HasPrefix(from, "arn:") && strings.Contains(from, ":archive/")
}

// managedTakes refuses what AWS cannot do in a replay of its own.
func managedTakes(ask ops.ReplayAsk) error {
	s, m := ask.Select, ask.Map
	switch {
	case s.Filter != "" || s.Contains != "" || len(s.Keys) > 0 || s.Except != "" || s.Shard != "":
		return refused("EventBridge replays the whole window of an archive: --rule names the rules that get it, and their patterns choose")
	case m.Key != "" || m.Body != "" || m.KeepShard || m.EventSource != "" || len(m.Attributes) > 0 || m.Mark == MarkBody:
		return refused("EventBridge replays events as they were, with the field replay-name: there is nothing to map")
	case ask.Rate > 0 || ask.Speed > 0 || ask.Headroom > 0 || ask.Lanes > 0 || ask.Canary > 0:
		return refused("EventBridge decides how fast it replays: rate, pace, headroom, lanes and canary are for replays that kxops carries out")
	case s.Since.IsZero():
		return refused("--since is missing: EventBridge replays a window of time")
	}
	return nil
}

// planManaged works out what EventBridge would replay.
func (d *Desk) planManaged(ctx context.Context, ask ops.ReplayAsk) (ops.ReplayPlan, error) {
	if err := managedTakes(ask); err != nil {
		return ops.ReplayPlan{}, err
	}
	to := ask.To
	ask.To, ask.Map = "bus:?", ops.ReplayMap{Mark: MarkNone} // until the archive says which
	plan, err := d.draft(ask)
	if err != nil {
		return plan, err
	}
	plan.Managed = &ops.ReplayManaged{Name: "kxops-" + plan.ID}
	if plan.Select.Until.IsZero() {
		plan.Select.Until = plan.Created
	}
	if err := d.findArchive(ctx, &plan); err != nil {
		return plan, d.explain("ask about the archive "+plan.From.ARN.Name(), err)
	}
	if want, err := endOf("to", to); to != "" && (err != nil || want.Kind != ops.KindBus || want.ARN.Name() != plan.To.ARN.Name()) {
		return plan, refused("EventBridge replays an archive to the bus that it was made of, %s, and to no other: leave out --to", plan.To.ARN.Name())
	}
	if err := d.managedRules(ctx, &plan, ask.Rules); err != nil {
		return plan, err
	}
	d.managedWindow(&plan)
	if n, err := d.managedRunning(ctx); err != nil {
		return plan, d.explain("list the replays that run", err)
	} else if n >= managedMost {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("%d replays of archives run, and an account may run %d at a time", n, managedMost))
	}
	links := append(slices.Clone(ask.Links), d.behindBus(ctx, &plan, plan.Managed.Rules)...)
	radius(&plan, links)
	if err := d.guardsSeen(ctx, &plan, links); err != nil {
		return plan, err
	}
	plan.Facts = append(plan.Facts,
		ops.Fact{Name: "carried out", Value: "by EventBridge: minute by minute of the events' time, in no order within a minute, as fast as it likes; it gives no receipts, and cannot be paused"},
		ops.Fact{Name: "marks", Value: `each event carries "replay-name":"` + plan.Managed.Name + `"; a rule leaves replays out by {"replay-name":[{"exists":false}]}; no archive keeps it again`},
		ops.Fact{Name: "cost", Value: fmt.Sprintf("$%.2f for a million events (list price of %s), by their number in the window, which the archive does not tell", 1e6*ops.PricePerBusEvent, ops.PricesOf)})
	plan.CannotUndo = append(plan.CannotUndo, "what the rules have got cannot be taken back; consumers that are not idempotent do their work again")
	if ask.Protect {
		plan.Risk, plan.Confirm = ops.HighRisk, plan.To.Name()
	}
	return plan, plan.Seal()
}

// findArchive asks who the archive is, and whose.
func (d *Desk) findArchive(ctx context.Context, plan *ops.ReplayPlan) error {
	name := plan.From.ARN.Name()
	out, err := d.events.DescribeArchive(ctx, &eventbridge.DescribeArchiveInput{ArchiveName: &name})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		p := &ops.Problem{Fault: ops.FaultNotFound, What: "there is no archive of events " + name + " in " + plan.Region, Hint: "aws events list-archives lists them", Err: err}
		if near := ops.Nearest(name, d.archiveNames(ctx), 3); len(near) > 0 {
			p.Hint = "there is " + strings.Join(near, ", ")
		}
		return p
	}
	if err != nil {
		return err
	}
	plan.From.ARN, plan.To.ARN = ops.ARN(aws.ToString(out.ArchiveArn)), ops.ARN(aws.ToString(out.EventSourceArn))
	plan.Seen["archive"] = string(plan.From.ARN)
	plan.Seen["archive created"] = aws.ToTime(out.CreationTime).UTC().Format(time.RFC3339)
	plan.Seen["archive of"] = string(plan.To.ARN)
	if out.State != types.ArchiveStateEnabled {
		plan.Blockers = append(plan.Blockers, strings.TrimSpace(fmt.Sprintf("the archive is %s %s", out.State, aws.ToString(out.StateReason))))
	}
	kept := "for ever"
	if days := aws.ToInt32(out.RetentionDays); days > 0 {
		kept = fmt.Sprintf("for %d days", days)
		if horizon := plan.Created.AddDate(0, 0, -int(days)); plan.Select.Since.Before(horizon) {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("of the window, what is older than %s is gone: the archive keeps %d days", horizon.Format("2006-01-02 15:04 MST"), days))
		}
	}
	pattern := "every event of the bus"
	if p := aws.ToString(out.EventPattern); p != "" {
		pattern = "what matches " + p
	}
	if created := aws.ToTime(out.CreationTime).UTC(); plan.Select.Since.Before(created) {
		plan.Warnings = append(plan.Warnings, "the archive was made at "+created.Format("2006-01-02 15:04 MST")+": it has nothing older")
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "archive", Value: fmt.Sprintf("%s, %s: %d events, %d bytes in all as it says, some time behind; how many are in the window is ?", pattern, kept, out.EventCount, out.SizeBytes)})
	return nil
}

func (d *Desk) archiveNames(ctx context.Context) (names []string) {
	in := &eventbridge.ListArchivesInput{}
	for {
		page, err := d.events.ListArchives(ctx, in)
		if err != nil {
			return nil // it is only for a hint
		}
		for _, a := range page.Archives {
			names = append(names, aws.ToString(a.ArchiveName))
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return names
		}
	}
}

// managedRules turns names into the rules that get the events.
func (d *Desk) managedRules(ctx context.Context, plan *ops.ReplayPlan, names []string) error {
	if len(names) == 0 {
		return nil
	}
	on, off, err := d.rulesOf(ctx, plan.To.ARN)
	if err != nil {
		return d.explain("list the rules of the bus", err)
	}
	var known []string
	for _, r := range on {
		known = append(known, r.name)
	}
	for _, n := range names {
		i := slices.IndexFunc(on, func(r busRule) bool { return r.name == n || string(r.arn) == n })
		switch {
		case slices.Contains(off, n):
			plan.Blockers = append(plan.Blockers, "the rule "+n+" is off: it would get nothing")
		case i < 0:
			p := refused("the bus %s has no rule %s", plan.To.ARN.Name(), n)
			p.Hint = "there is " + strings.Join(ops.Nearest(n, known, 3), ", ")
			return p
		default:
			plan.Managed.Rules = append(plan.Managed.Rules, on[i].arn)
		}
	}
	return nil
}

// managedWindow says what is odd about the window.
func (d *Desk) managedWindow(plan *ops.ReplayPlan) {
	s := &plan.Select
	if late := plan.Created.Add(-archivingTime); s.Until.After(late) {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("events since %s may not be in the archive yet: EventBridge takes up to %s", late.Format("15:04:05 MST"), ops.Span(archivingTime.Seconds())))
	}
	if s.Until.After(plan.Created) {
		plan.Warnings = append(plan.Warnings, "the window ends in the future: it is cut at "+plan.Created.Format("15:04:05 MST")+", when the plan was made")
		s.Until = plan.Created
	}
}

func (d *Desk) managedRunning(ctx context.Context) (n int, err error) {
	for _, state := range []types.ReplayState{types.ReplayStateStarting, types.ReplayStateRunning, types.ReplayStateCancelling} {
		in := &eventbridge.ListReplaysInput{State: state}
		for {
			page, err := d.events.ListReplays(ctx, in)
			if err != nil {
				return 0, err
			}
			n += len(page.Replays)
			if in.NextToken = page.NextToken; in.NextToken == nil {
				break
			}
		}
	}
	return n, nil
}

// guardsSeen names the dead-letter queues behind the rules with their depth: nothing of
// kxops runs that could halt the replay when they grow.
func (d *Desk) guardsSeen(ctx context.Context, plan *ops.ReplayPlan, links []ops.Link) error {
	var words []string
	for _, l := range reach(plan.To.ARN, links) {
		if l.Kind != ops.LinkDeadLetter {
			continue
		}
		word := l.To.Name() + " ?"
		if n, err := d.depthOf(ctx, l.To); err == nil {
			word = fmt.Sprintf("%s %.0f", l.To.Name(), n)
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if words != nil {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "watch", Value: "messages in the dead-letter queues behind it, now: " + strings.Join(words, ", ") + ". Nothing halts a managed replay by itself"})
	}
	return nil
}

// StartManaged starts a managed replay, exactly once: its name is that of its plan, and
// where an answer is lost AWS is asked whether it has it.
func (d *Desk) StartManaged(ctx context.Context, plan ops.ReplayPlan) (ops.ManagedState, error) {
	none := ops.ManagedState{}
	if plan.Managed == nil {
		return none, refused("the plan %s is none that AWS carries out", plan.ID)
	}
	if err := d.acceptable(plan); err != nil {
		return none, err
	}
	now := plan
	now.Seen, now.Blockers = map[string]string{}, nil
	if err := d.findArchive(ctx, &now); err != nil {
		return none, d.explain("ask about the archive again", err)
	}
	if changed := drift(plan.Seen, now.Seen); len(changed) > 0 {
		return none, refused("the archive is not what it was: %s", strings.Join(changed, "; "))
	}
	if err := os.MkdirAll(replayDirectory(d.o.Journal.Directory(), plan.ID), 0o700); err != nil { // it has no receipts; a replay is listed by its directory
		return none, err
	}
	log, err := d.o.Journal.Begin(plan.ID)
	if errors.Is(err, fs.ErrExist) {
		log, err = d.beginAgain(plan.ID)
	}
	if errors.Is(err, fs.ErrExist) {
		return none, &ops.Problem{Fault: ops.FaultRefused, What: "plan " + plan.ID + " was applied before", Hint: "kxops replay show " + plan.ID + " says what became of it", Err: err}
	}
	if err != nil {
		return none, err
	}
	if err = d.enter(plan, journal.Started, ops.ReplayProgress{}); err == nil {
		err = begin(log, plan, d.o.Now().UTC())
	}
	if err = errors.Join(err, log.Close()); err != nil {
		return none, err
	}
	return d.startOnce(ctx, plan)
}

// startOnce asks EventBridge to begin. A refusal of a replay that is there is none.
func (d *Desk) startOnce(ctx context.Context, plan ops.ReplayPlan) (ops.ManagedState, error) {
	in := &eventbridge.StartReplayInput{ReplayName: &plan.Managed.Name, EventSourceArn: aws.String(string(plan.From.ARN)), EventStartTime: &plan.Select.Since, EventEndTime: &plan.Select.Until,
		Description: aws.String("kxops replay " + plan.ID), Destination: &types.ReplayDestination{Arn: aws.String(string(plan.To.ARN))}}
	for _, r := range plan.Managed.Rules {
		in.Destination.FilterArns = append(in.Destination.FilterArns, string(r))
	}
	_, failed := d.putBus.StartReplay(ctx, in)
	state, err := d.Managed(ctx, plan.ID)
	if err == nil || failed == nil {
		return state, err
	}
	p := *ops.AsProblem(d.explain("start the replay", failed))
	if ops.AsProblem(err).Fault == ops.FaultNotFound { // sure: nothing was begun
		return state, errors.Join(&p, d.endManaged(plan, ops.ManagedState{State: ops.Broken, Why: p.What}))
	}
	p.Hint = "whether it began is unknown: kxops replay show " + plan.ID + " asks again"
	return state, &p
}

// Managed asks AWS what a managed replay has come to, and writes its end down.
func (d *Desk) Managed(ctx context.Context, id string) (ops.ManagedState, error) {
	s, err := d.stateOf(id)
	if err != nil {
		return ops.ManagedState{}, err
	}
	plan := s.plan
	if plan.Managed == nil {
		return ops.ManagedState{}, refused("the replay %s is none that AWS carries out", id)
	}
	if err := d.ours("replay "+id, plan); err != nil {
		return ops.ManagedState{}, err
	}
	x := ops.ManagedState{ID: id, Name: plan.Managed.Name, State: ops.Running, Since: plan.Select.Since, Until: plan.Select.Until, ETA: ops.Missing(ops.NoData), Share: ops.Missing(ops.NoData)}
	out, err := d.events.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &plan.Managed.Name})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		if s.end != nil {
			x.State, x.Why = s.end.State, s.end.Note
			return x, nil
		}
		return x, &ops.Problem{Fault: ops.FaultNotFound, What: "EventBridge knows no replay " + plan.Managed.Name, Hint: "it keeps them for 90 days; one that never began can be planned again", Err: err}
	}
	if err != nil {
		return x, d.explain("ask about the replay "+plan.Managed.Name, err)
	}
	x.Says, x.Why = string(out.State), aws.ToString(out.StateReason)
	x.Last, x.Began, x.Ended = utc(out.EventLastReplayedTime), utc(out.ReplayStartTime), utc(out.ReplayEndTime)
	switch out.State {
	case types.ReplayStateCompleted:
		x.State = ops.Finished
	case types.ReplayStateCancelled:
		x.State = ops.Cancelled
	case types.ReplayStateFailed:
		x.State = ops.Broken
	}
	d.progressOf(&x)
	if x.State.Over() && s.end == nil {
		return x, d.endManaged(plan, x)
	}
	return x, nil
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// progressOf is how much of the window is behind it, by the time of the events: minutes
// without events are passed over, so the rest may take less.
func (d *Desk) progressOf(x *ops.ManagedState) {
	window := x.Until.Sub(x.Since).Seconds()
	switch {
	case x.State == ops.Finished:
		x.Share = ops.Know(1, d.o.Now())
	case !x.Last.IsZero() && window > 0:
		share := min(max(x.Last.Sub(x.Since).Seconds()/window, 0), 1)
		x.Share = ops.Know(share, d.o.Now())
		if took := d.o.Now().Sub(x.Began).Seconds(); share > 0 && took > 0 && !x.Began.IsZero() && !x.State.Over() {
			x.ETA = ops.Know(took*(1-share)/share, d.o.Now())
		}
	}
}

// endManaged writes down what became of it, once.
func (d *Desk) endManaged(plan ops.ReplayPlan, x ops.ManagedState) error {
	log, lines, err := d.o.Journal.Reopen(plan.ID)
	if err != nil {
		return err
	}
	s, err := readState(lines)
	if err != nil || s.end != nil {
		return errors.Join(err, log.Close())
	}
	end := ops.ReplayProgress{ID: plan.ID, State: x.State, Started: x.Began, At: x.Last, Note: x.Why, ETA: ops.Missing(ops.NoData), Rate: ops.Missing(ops.NoData)}
	err = log.Append(line{Word: lineEnd, At: d.o.Now().UTC(), End: &end})
	return errors.Join(err, d.enter(plan, outcomeOf(x.State), end), log.Close())
}

// CancelManaged ends a managed replay for good.
func (d *Desk) CancelManaged(ctx context.Context, id string) (ops.ManagedState, error) {
	x, err := d.Managed(ctx, id)
	if err != nil {
		return x, err
	}
	if x.State.Over() {
		return x, refused("replay %s is over (%s): there is nothing to cancel", id, x.State)
	}
	_, err = d.putBus.CancelReplay(ctx, &eventbridge.CancelReplayInput{ReplayName: &x.Name})
	if err != nil {
		if again, e := d.Managed(ctx, id); e == nil && again.State.Over() { // it was over before it heard
			return again, nil
		}
		return x, d.explain("cancel the replay "+x.Name, err)
	}
	return d.Managed(ctx, id)
}

// verifyManaged says what can be known of a managed replay, which is little.
func (d *Desk) verifyManaged(ctx context.Context, id string) (ops.ReplayProof, error) {
	x, err := d.Managed(ctx, id)
	if err != nil {
		return ops.ReplayProof{}, err
	}
	proof := ops.ReplayProof{Schema: ops.ProofSchema, ID: id, State: x.State}
	says := "EventBridge says " + x.Says
	if x.Why != "" {
		says += ": " + x.Why
	}
	proof.Check("it was carried out to its end", x.State == ops.Finished, says)
	proof.NotChecked = append(proof.NotChecked, `how many events were sent, to whom and in which order: EventBridge gives no counts and no receipts. At the targets, events of this replay have "replay-name":"`+x.Name+`"`)
	return proof, nil
}
