package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ops/journal"
)

const (
	// writers is how many writes are under way: at three a second, answers that take up
	// to a second and a third do not slow us down.
	writers = 4
	// tries is how often one alarm is written while AWS throttles, beyond the SDK's own
	// repetitions.
	tries = 8
	// slowest is the longest pause between writes under throttling.
	slowest = 20 * time.Second
	// fresh is how many alarms are looked at once more before they are written: what
	// the quota lets through in ten seconds.
	fresh = 30
	// lookEvery is the time between looks for the first evaluation.
	lookEvery = 10 * time.Second
)

// haste divides the pauses; tests raise it.
var haste time.Duration = 1

func refused(format string, args ...any) error {
	return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf(format, args...), Hint: "plan again"}
}

// run is one application of a plan.
type run struct {
	d    *Desk
	plan alarms.Plan
	say  func(alarms.Progress)
	to   routes

	existing Existing
	started  time.Time

	mu     sync.Mutex
	result alarms.Result
	done   int
	total  int
	pause  time.Duration // between writes, while AWS throttles
	stop   context.CancelCauseFunc
	quiet  []alarms.Item // created with their actions off
	// sleeping counts those of quiet that an interruption left so.
	sleeping int
}

// Apply does what a plan says. It refuses a plan that was edited, that is of another
// account, region or catalogue, or whose alarms somebody has changed since: before
// its first write. What an earlier run of the same plan has done already is passed
// over, so an interrupted plan is applied again as it is. The context's end stops
// it between two writes; the result says what is left.
//
// say may be nil; it is called by one goroutine at a time. The error is an
// *ops.Problem where nothing was done, or where something stopped it that would
// have failed every alarm: expired credentials, a denial, no network. Alarms that
// failed for themselves are in the result.
func (d *Desk) Apply(ctx context.Context, p alarms.Plan, say func(alarms.Progress)) (alarms.Result, error) {
	r := &run{d: d, plan: p, say: say, to: routes{p.Page, p.Ticket}, started: d.o.Now(), result: alarms.Result{ID: p.ID}}
	if err := d.accepts(p); err != nil {
		return r.result, err
	}
	release, err := d.o.Journal.Lock(fmt.Sprintf("alarms of %s %s", p.Account, p.Region))
	if err != nil {
		return r.result, &ops.Problem{Fault: ops.FaultRefused, What: "another kxops works on these alarms", Hint: "wait for it to end", Err: err}
	}
	err = r.all(ctx)
	return r.result, errors.Join(err, release())
}

// accepts reports why a plan cannot be applied here.
func (d *Desk) accepts(p alarms.Plan) error {
	if err := p.Check(); err != nil {
		return &ops.Problem{Fault: ops.FaultRefused, What: err.Error(), Hint: "plan again", Err: err}
	}
	switch {
	case d.o.Journal == nil:
		return refused("nothing is applied without a journal")
	case p.Account != d.o.Identity.Account || p.Region != d.o.Identity.Region:
		return refused("the plan is of %s %s, this is %s %s", p.Account, p.Region, d.o.Identity.Account, d.o.Identity.Region)
	case len(p.Blockers) > 0:
		return refused("the plan cannot be applied: %s", strings.Join(p.Blockers, "; "))
	}
	return nil
}

// all checks, then writes. The journal has both ends of it.
func (r *run) all(ctx context.Context) error {
	todo, err := r.check(ctx)
	if err != nil {
		return err
	}
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	if len(todo) == 0 && len(r.quiet) == 0 {
		return nil
	}
	if err := r.record(journal.Started, ""); err != nil {
		return err
	}
	r.total = len(todo)
	var deletes, puts []alarms.Item
	for _, it := range todo {
		if it.Action == alarms.Delete {
			deletes = append(deletes, it)
		} else {
			puts = append(puts, it)
		}
	}
	r.puts(ctx, puts)
	r.deletes(ctx, deletes)
	if len(r.quiet) > 0 {
		r.wake(ctx)
	}
	var stopped *ops.Problem
	if cause := context.Cause(ctx); cause != nil && !errors.As(cause, &stopped) {
		stopped = nil // a person's wish
	}
	if err := r.finish(stopped); err != nil || stopped == nil {
		return err
	}
	return stopped
}

// general are the faults that every further write would meet too.
var general = []ops.Fault{ops.FaultRefused, ops.FaultExpired, ops.FaultNoCreds, ops.FaultUnreachable, ops.FaultRegion, ops.FaultClock, ops.FaultUnsupported}

func (r *run) record(o journal.Outcome, what string) error {
	if what == "" {
		what = fmt.Sprintf("alarms: %d to create, %d to change, %d to delete", r.plan.Count(alarms.Create), r.plan.Count(alarms.Update, alarms.Adopt), r.plan.Count(alarms.Delete))
	}
	_, err := r.d.o.Journal.Append(journal.Entry{ID: r.plan.ID, Account: r.plan.Account, Region: r.plan.Region, Kind: journal.KindOperation, What: what, Reason: r.plan.Reason, Outcome: o})
	return err
}

func (r *run) finish(stopped *ops.Problem) error {
	x := &r.result
	untried := r.total - r.done
	x.Left = untried + r.sleeping
	slices.SortFunc(x.Failed, func(a, b alarms.Failure) int { return strings.Compare(a.Name, b.Name) })
	what := fmt.Sprintf("alarms: %d created, %d changed, %d deleted", x.Created, x.Updated, x.Deleted)
	outcome := journal.Done
	if len(x.Failed) > 0 {
		outcome, what = journal.Partial, fmt.Sprintf("%s, %d failed", what, len(x.Failed))
	}
	if x.Left > 0 {
		outcome, what = journal.Partial, fmt.Sprintf("%s, %d left: interrupted", what, untried)
		if r.sleeping > 0 {
			what += fmt.Sprintf(", %d with their actions off", r.sleeping)
		}
	}
	if stopped != nil {
		outcome, what = journal.Failed, what+": "+stopped.What
	}
	if outcome != journal.Done {
		x.Next = append(x.Next, "apply again: what is done stays done")
	}
	if len(x.Ringing) > 0 {
		x.Next = append(x.Next, fmt.Sprintf("look at the %d alarms that are in ALARM already: nobody was told", len(x.Ringing)))
	}
	return r.record(outcome, what)
}

// check reads the alarms again and compares them with what the plan saw. It
// returns the items that are still to do.
func (r *run) check(ctx context.Context) ([]alarms.Item, error) {
	existing, err := r.d.Existing(ctx)
	if err != nil {
		return nil, err
	}
	r.existing = existing
	var todo []alarms.Item
	var stale []string
	for _, it := range r.plan.Items {
		switch it.Action {
		case alarms.Create, alarms.Update, alarms.Adopt, alarms.Delete:
		default:
			continue
		}
		there := existing.Named(it.Name)
		switch {
		case r.isDone(it, there):
		case there == nil && it.Seen == "":
			todo = append(todo, it)
		case there == nil:
			stale = append(stale, it.Name+" is gone")
		case it.Seen == "":
			switch {
			case !r.unfinished(it, there):
				stale = append(stale, it.Name+" exists now")
			case there.quiet():
				r.quiet = append(r.quiet, it)
			default: // created, not tagged
				todo = append(todo, it)
			}
		default:
			sum, err := seen(there)
			if err != nil {
				return nil, err
			}
			switch {
			case sum != it.Seen && r.unfinished(it, there): // written, not tagged or not switched on
				todo = append(todo, it)
			case sum != it.Seen:
				stale = append(stale, it.Name+" was changed")
			case it.Action == alarms.Delete && !there.Ours():
				stale = append(stale, it.Name+" is not ours")
			default:
				todo = append(todo, it)
			}
		}
	}
	if len(stale) > 0 {
		more := ""
		if len(stale) > 3 {
			more = fmt.Sprintf(" and %d more", len(stale)-3)
		}
		return nil, refused("since the plan was made, %s%s", strings.Join(stale[:min(3, len(stale))], ", "), more)
	}
	return todo, nil
}

// isDone reports whether an earlier run has done an item.
func (r *run) isDone(it alarms.Item, there *Alarm) bool {
	if it.Action == alarms.Delete {
		return there == nil
	}
	return there != nil && there.Managed() && len(changes(there, *it.Spec, r.to)) == 0
}

// unfinished reports whether the alarm is as the plan wants it but for the tags
// and the switch, which are written after it.
func (r *run) unfinished(it alarms.Item, there *Alarm) bool {
	if it.Spec == nil || !there.marked {
		return false
	}
	as := *there
	as.Tags = tagsFor(*it.Spec)
	return len(changes(&as, *it.Spec, r.to)) == 0
}

// puts creates and changes alarms, several at a time.
func (r *run) puts(ctx context.Context, items []alarms.Item) {
	next := make(chan alarms.Item)
	var wg sync.WaitGroup
	for range min(writers, len(items)) {
		wg.Go(func() {
			for it := range next {
				r.put(ctx, it)
			}
		})
	}
	defer wg.Wait()
	defer close(next)
	for group := range slices.Chunk(items, fresh) {
		group, err := r.unchanged(ctx, group)
		if err != nil {
			r.cannot(group, err, ctx.Err())
			continue
		}
		for _, it := range group {
			if r.rest(ctx) != nil {
				return
			}
			next <- it
		}
	}
}

// unchanged looks at alarms once more just before they are written or deleted: a plan
// of a thousand takes minutes. What somebody changed meanwhile is left alone.
func (r *run) unchanged(ctx context.Context, items []alarms.Item) ([]alarms.Item, error) {
	now, err := r.d.describe(ctx, namesOf(items))
	if err != nil {
		return items, err
	}
	var same []alarms.Item
	for _, it := range items {
		is, exists := now[it.Name]
		was := r.existing.Named(it.Name)
		if exists != (was != nil) || exists && !sameConfiguration(is, was.MetricAlarm) {
			r.wrote(it, refused("%s was changed while the plan was applied", it.Name), nil)
			continue
		}
		same = append(same, it)
	}
	return same, nil
}

// cannot books items that could not even be tried.
func (r *run) cannot(items []alarms.Item, err, ended error) {
	for _, it := range items {
		r.wrote(it, err, ended)
	}
}

// put writes one alarm, its tags included. What the context's end prevented counts
// as left.
func (r *run) put(ctx context.Context, it alarms.Item) {
	there := r.existing.Named(it.Name)
	if there != nil && there.quiet() && r.unfinished(it, there) { // nothing but the switch is missing
		r.mu.Lock()
		r.quiet = append(r.quiet, it)
		r.mu.Unlock()
		r.wrote(it, nil, nil)
		return
	}
	in := wanted(*it.Spec, r.to, there)
	tags := tagsFor(*it.Spec)
	if there == nil {
		if r.plan.Quiet {
			in.ActionsEnabled = aws.Bool(false)
			tags[tagQuiet] = quietWaits
		}
		in.Tags = tagList(tags)
	}
	err := r.patiently(ctx, func(ctx context.Context) error {
		_, err := r.d.metrics.PutMetricAlarm(ctx, in)
		return err
	})
	if err == nil && there != nil {
		if there.quiet() { // an earlier run died before it switched the actions on
			r.mu.Lock()
			r.quiet = append(r.quiet, it)
			r.mu.Unlock()
		}
		err = r.tag(ctx, string(there.ARN()), there.Tags, tags)
	}
	r.wrote(it, err, ctx.Err())
}

// concernsAll reports whether every further write would fail the same way. A denial
// may be about one alarm, such as an adopted one, if others were written.
func (r *run) concernsAll(f ops.Fault) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	written := r.result.Created + r.result.Updated + r.result.Deleted
	return slices.Contains(general, f) || f == ops.FaultDenied && written == 0
}

// tag writes the tags that an alarm lacks: PutMetricAlarm ignores tags of one that
// exists.
func (r *run) tag(ctx context.Context, arn string, there, want map[string]string) error {
	missing := map[string]string{}
	for k, v := range want {
		if there[k] != v {
			missing[k] = v
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return r.patiently(ctx, func(ctx context.Context) error {
		_, err := r.d.metrics.TagResource(ctx, &cloudwatch.TagResourceInput{ResourceARN: &arn, Tags: tagList(missing)})
		return err
	})
}

// patiently calls until it works, fails for another reason than throttling, or was
// tried often enough. Throttling makes all writes slower, success faster again.
func (r *run) patiently(ctx context.Context, call func(context.Context) error) error {
	for n := 1; ; n++ {
		_, err := bounded(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
		if err == nil {
			r.mu.Lock()
			r.pause /= 2
			r.mu.Unlock()
			return nil
		}
		problem := r.d.o.Explain(err)
		if ctx.Err() == nil && r.concernsAll(problem.Fault) {
			r.stop(problem)
		}
		if problem.Fault != ops.FaultThrottled || n == tries {
			return problem
		}
		r.mu.Lock()
		r.pause = min(slowest, max(time.Second, 2*r.pause))
		r.mu.Unlock()
		r.tell("", "AWS throttles: slower")
		if err := r.rest(ctx); err != nil {
			return err
		}
	}
}

// rest waits for as long as AWS wants; the error is that of the context.
func (r *run) rest(ctx context.Context) error {
	r.mu.Lock()
	pause := r.pause
	r.mu.Unlock()
	return wait(ctx, pause)
}

func wait(ctx context.Context, d time.Duration) error {
	if d /= haste; d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wrote books an item. One that the context's end cut off is not done: the next
// run finds out what became of it.
func (r *run) wrote(it alarms.Item, err, ended error) {
	r.mu.Lock()
	if err != nil && ended != nil {
		r.mu.Unlock()
		return
	}
	r.done++
	switch {
	case err != nil:
		p := ops.AsProblem(err)
		r.result.Failed = append(r.result.Failed, alarms.Failure{Name: it.Name, Why: p.What, Hint: p.Hint})
	case it.Action == alarms.Create:
		r.result.Created++
		if r.plan.Quiet && r.existing.Named(it.Name) == nil {
			r.quiet = append(r.quiet, it)
		}
	case it.Action == alarms.Delete:
		r.result.Deleted++
	default:
		r.result.Updated++
	}
	r.mu.Unlock()
	r.tell(it.Name, "")
}

// tell says how far it is.
func (r *run) tell(name, note string) {
	if r.say == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := alarms.Progress{ID: r.plan.ID, Done: r.done, Total: r.total, Name: name, Note: note, Started: r.started}
	p.ETA = ops.Know(float64(r.total-r.done)/writesPerSecond, r.d.o.Now())
	if r.pause > 0 {
		p.ETA = ops.Know(float64(r.total-r.done)*max(1/writesPerSecond, r.pause.Seconds()), r.d.o.Now())
	}
	r.say(p)
}

// deletes deletes alarms of ours. Those whose resource the survey did not find go
// only if AWS itself says that it does not exist.
func (r *run) deletes(ctx context.Context, items []alarms.Item) {
	var sure []alarms.Item
	asked := map[ops.ARN]error{}
	for _, it := range items {
		if ctx.Err() != nil {
			return
		}
		if it.Gone != "" {
			err, known := asked[it.Gone]
			if !known {
				err = r.d.isGone(ctx, it.Gone)
				asked[it.Gone] = err
			}
			if err != nil {
				r.wrote(it, err, ctx.Err())
				continue
			}
		}
		sure = append(sure, it)
	}
	for group := range slices.Chunk(sure, batch) {
		if r.rest(ctx) != nil {
			return
		}
		same, err := r.unchanged(ctx, group) // the writing before it may have taken minutes
		if err != nil {
			r.cannot(group, err, ctx.Err())
			continue
		}
		if len(same) == 0 {
			continue
		}
		group, names := same, namesOf(same)
		err = r.patiently(ctx, func(ctx context.Context) error {
			_, err := r.d.metrics.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: names})
			return err
		})
		for _, it := range group {
			r.wrote(it, err, ctx.Err())
		}
	}
}

func namesOf(items []alarms.Item) []string {
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.Name
	}
	return names
}

// wake waits until the alarms that were created quietly have been evaluated once,
// then switches their actions on: their first OK tells nobody, and those that ring
// already are named instead.
func (r *run) wake(ctx context.Context) {
	states, err := r.evaluated(ctx)
	if err != nil {
		r.asleep(r.quiet, err, ctx.Err())
		return
	}
	for group := range slices.Chunk(r.quiet, batch) {
		if r.rest(ctx) != nil {
			r.asleep(group, ctx.Err(), ctx.Err())
			continue
		}
		names := namesOf(group)
		err := r.patiently(ctx, func(ctx context.Context) error {
			_, err := r.d.metrics.EnableAlarmActions(ctx, &cloudwatch.EnableAlarmActionsInput{AlarmNames: names})
			return err
		})
		if err != nil {
			r.asleep(group, err, ctx.Err())
			continue
		}
		for _, name := range names {
			if states[name].StateValue == types.StateValueAlarm {
				r.result.Ringing = append(r.result.Ringing, name)
			}
			arn := aws.ToString(states[name].AlarmArn)
			if err := r.tag(ctx, arn, nil, map[string]string{tagQuiet: quietOver}); err != nil {
				r.asleep([]alarms.Item{{Name: name}}, err, ctx.Err())
			}
		}
	}
}

// asleep books alarms whose actions are still off.
func (r *run) asleep(items []alarms.Item, err, ended error) {
	if ended != nil {
		r.result.Next = append(r.result.Next, fmt.Sprintf("%d new alarms still have their actions off: apply again to switch them on", len(items)))
		r.sleeping += len(items)
		return
	}
	p := ops.AsProblem(err)
	for _, it := range items {
		r.result.Failed = append(r.result.Failed, alarms.Failure{Name: it.Name, Why: "its actions are still off: " + p.What, Hint: "apply again"})
	}
}

// evaluated waits for the first evaluation of the quiet alarms: a state, or two
// periods without one. It returns them as they are then.
func (r *run) evaluated(ctx context.Context) (map[string]types.MetricAlarm, error) {
	patience := time.Duration(0)
	for _, it := range r.quiet {
		patience = max(patience, 2*period(*it.Spec))
	}
	begun, began := r.d.o.Now(), time.Now()
	for {
		states, err := r.d.describe(ctx, namesOf(r.quiet))
		if err != nil {
			return nil, err
		}
		waiting := 0
		for _, it := range r.quiet {
			if a := states[it.Name]; a.StateValue == types.StateValueInsufficientData {
				waiting++
			}
		}
		// Both clocks: the account's may be one that somebody steps.
		if waiting == 0 || r.d.o.Now().Sub(begun) >= patience || time.Since(began) >= patience/haste {
			return states, nil
		}
		r.tell("", fmt.Sprintf("%d of %d wait for their first evaluation", waiting, len(r.quiet)))
		if err := wait(ctx, lookEvery); err != nil {
			return nil, err
		}
	}
}

func period(s alarms.Spec) time.Duration {
	longest := max(60, s.Period)
	for _, q := range s.Math {
		longest = max(longest, q.Period)
	}
	return time.Duration(longest) * time.Second
}

// describe reads alarms by name; those that do not exist are not in the answer.
func (d *Desk) describe(ctx context.Context, names []string) (map[string]types.MetricAlarm, error) {
	found := make(map[string]types.MetricAlarm, len(names))
	for group := range slices.Chunk(names, batch) {
		out, err := bounded(ctx, func(ctx context.Context) (*cloudwatch.DescribeAlarmsOutput, error) {
			return d.metrics.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: group, MaxRecords: aws.Int32(batch)})
		})
		if err != nil {
			return nil, fmt.Errorf("read the alarms: %w", d.o.Explain(err))
		}
		for _, a := range out.MetricAlarms {
			found[aws.ToString(a.AlarmName)] = a
		}
	}
	return found, nil
}
