package dlq

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
	"kxops/ops/journal"
)

const (
	standardWorkers = 24
	orderedWorkers  = 8
	functionWorkers = 4
	// maxReturns is the share of messages that may fail again before a canary halts.
	maxReturns    = 0.05
	shortestWait  = 30 * time.Second
	longestWait   = 15 * time.Minute
	manyMessages  = 100                   // from here on the name has to be typed
	roundTrip     = 30 * time.Millisecond // of one call, for the estimate
	callsABatch   = 3                     // receive, send, delete
	originTarget  = "origin"
	queuePrefix   = "queue:"
	topicPrefix   = "topic:"
	functionStart = "function:"
	filePrefix    = "file:"
)

// planner works out what a verb would do.
type planner func(d *Desk, ctx context.Context, ask ops.Ask, q ops.Queue, pile *Pile) (ops.Plan, error)

func plannerOf(v ops.Verb) (planner, bool) {
	p, ok := map[ops.Verb]planner{
		ops.Redrive:   (*Desk).planRedrive,
		ops.Restore:   (*Desk).planTransfer,
		ops.Import:    (*Desk).planTransfer,
		ops.Archive:   (*Desk).planArchive,
		ops.Move:      (*Desk).planMove,
		ops.Edit:      (*Desk).planEdit,
		ops.Retention: (*Desk).planRetention,
	}[v]
	return p, ok
}

// Plan works out what would be done, by reading only. Redrive, archive and edit
// plan about the letters of the pile; the other verbs need none. A plan with
// Blockers can be shown and not applied.
func (d *Desk) Plan(ctx context.Context, ask ops.Ask, pile *Pile) (ops.Plan, error) {
	work, ok := plannerOf(ask.Verb)
	if !ok {
		return ops.Plan{}, &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("this kxops cannot %q", ask.Verb)}
	}
	q, err := d.Queue(ctx, string(ask.Queue))
	if err != nil {
		return ops.Plan{}, err
	}
	plan, err := work(d, ctx, ask, q, pile)
	if err != nil {
		return ops.Plan{}, err
	}
	return plan, plan.Seal()
}

// newPlan is a plan with everything that every verb says.
func (d *Desk) newPlan(ask ops.Ask, q ops.Queue) (ops.Plan, error) {
	if d.o.Journal == nil {
		return ops.Plan{}, &ops.Problem{Fault: ops.FaultRefused, What: "nothing is planned without a journal"}
	}
	id, err := d.o.Journal.NewID()
	if err != nil {
		return ops.Plan{}, err
	}
	here := d.o.Identity
	return ops.Plan{
		Schema: ops.PlanSchema, ID: id, Verb: ask.Verb, Account: here.Account, Alias: here.Alias, Region: here.Region,
		By: cmp.Or(here.Who, journal.Actor()), Reason: ask.Reason, Created: d.o.Now().UTC().Truncate(time.Second),
		From: q.ARN, FromURL: q.URL, FIFO: q.FIFO, Select: ask.Select, Pace: ask.Pace, Reorder: ask.Reorder, Again: ask.Again, Invoke: ask.Invoke,
		Seen: map[ops.ARN]map[string]string{},
	}, nil
}

// chosen fills the manifest with the letters that the selection means.
func (d *Desk) chosen(plan *ops.Plan, pile *Pile) error {
	if pile == nil {
		return &ops.Problem{Fault: ops.FaultRefused, What: "nobody has looked at " + plan.From.Name() + " yet", Hint: "look first: a plan is about messages that were seen"}
	}
	letters, err := pile.Select(plan.Select)
	if err != nil {
		return err
	}
	for _, l := range letters {
		plan.Manifest = append(plan.Manifest, ops.Entry{ID: l.ID, Sum: l.Sum, Sent: l.Sent, Group: l.Group, Source: l.Source})
	}
	if missed := pile.Missed(); missed != "" {
		plan.Warnings = append(plan.Warnings, "the look did not see everything: "+missed)
	}
	if len(plan.Manifest) == 0 {
		plan.Blockers = append(plan.Blockers, "nothing is selected")
	}
	if plan.Verb == ops.Redrive || plan.Verb == ops.Archive {
		plan.Facts = append(plan.Facts, byCause(letters, pile.Letters())...)
	}
	return nil
}

const (
	mostCauses = 6   // that a plan names
	titleRunes = 120 // of a cause in a plan
)

// byCause says how many of the chosen letters have which cause, the most frequent
// first, under the titles that the groups of the whole pile have.
func byCause(chosen, all []ops.Letter) []ops.Fact {
	type part struct {
		title           string
		count, harmless int
		why             string
	}
	titles := map[string]int{} // by cause key: index into parts
	var parts []part
	for _, g := range Groups(all) {
		for _, key := range g.Keys {
			titles[key] = len(parts)
		}
		parts = append(parts, part{title: g.Cause.Title})
	}
	for i := range chosen {
		l := &chosen[i]
		if l.Cause == nil {
			continue
		}
		n, ok := titles[l.Cause.Key]
		if !ok {
			continue
		}
		parts[n].count++
		if l.Harmless != "" {
			parts[n].harmless++
			parts[n].why = l.Harmless
		}
	}
	parts = slices.DeleteFunc(parts, func(p part) bool { return p.count == 0 })
	slices.SortStableFunc(parts, func(a, b part) int { return b.count - a.count })
	var facts []ops.Fact
	for _, p := range parts[:min(len(parts), mostCauses)] {
		value := fmt.Sprintf("%d: %s", p.count, cutRunes(p.title, titleRunes))
		switch {
		case p.harmless == p.count:
			value += " (harmless: " + p.why + ")"
		case p.harmless > 0:
			value += fmt.Sprintf(" (%d of them harmless: %s)", p.harmless, p.why)
		}
		facts = append(facts, ops.Fact{Name: "Cause", Value: value})
	}
	if more := len(parts) - mostCauses; more > 0 {
		left := 0
		for _, p := range parts[mostCauses:] {
			left += p.count
		}
		facts = append(facts, ops.Fact{Name: "Cause", Value: fmt.Sprintf("%d: %d more causes", left, more)})
	}
	return facts
}

func cutRunes(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// planRedrive plans to send letters on and to delete them here.
func (d *Desk) planRedrive(ctx context.Context, ask ops.Ask, q ops.Queue, pile *Pile) (ops.Plan, error) {
	plan, err := d.newPlan(ask, q)
	if err != nil {
		return plan, err
	}
	if err := d.chosen(&plan, pile); err != nil {
		return plan, err
	}
	if err := d.aim(ctx, &plan, ask.To, q, pile); err != nil {
		return plan, err
	}
	return plan, d.complete(ctx, &plan, pile)
}

// complete checks the plan and fills in what is the same for all that send.
func (d *Desk) complete(ctx context.Context, plan *ops.Plan, pile *Pile) error {
	messages := func(yield func(ops.Message) bool) {
		for _, e := range plan.Manifest {
			if m, ok := pile.Message(e.ID); ok && !yield(m) {
				return
			}
		}
	}
	if err := d.preflight(ctx, plan, messages); err != nil {
		return err
	}
	for _, t := range plan.To {
		if t.Kind == ops.KindFile {
			checkNewFile(plan, t.Path)
		}
	}
	d.setPace(plan)
	d.estimate(plan, messages)
	d.steps(plan)
	if plan.Messages() > manyMessages || plan.Alias != "" && plan.Risk == ops.HighRisk {
		plan.Risk = ops.HighRisk
	}
	if plan.Risk == ops.HighRisk && plan.Confirm == "" {
		plan.Confirm = plan.From.Name()
	}
	return nil
}

// aim decides where each message goes.
func (d *Desk) aim(ctx context.Context, plan *ops.Plan, to string, q ops.Queue, pile *Pile) error {
	if to != "" && to != originTarget {
		t, err := d.target(ctx, to)
		if err != nil {
			return err
		}
		t.Count = len(plan.Manifest)
		plan.To = []ops.Target{t}
		return nil
	}
	return d.aimHome(ctx, plan, q, pile)
}

// aimHome sends each message back to where it failed.
func (d *Desk) aimHome(ctx context.Context, plan *ops.Plan, q ops.Queue, pile *Pile) error {
	var producers []Producer
	for _, e := range plan.Manifest {
		if e.Source == "" { // the configuration may tell
			found, err := d.Producers(ctx, q)
			if err != nil {
				plan.Warnings = append(plan.Warnings, "not all that sends dead letters here could be read: "+d.o.Explain(err).What)
			}
			producers = found
			break
		}
	}
	index := map[ops.ARN]int{}
	homeless, reason := 0, ""
	for i := range plan.Manifest {
		m, ok := pile.Message(plan.Manifest[i].ID)
		if !ok {
			continue
		}
		to, why := home(m, producers)
		if to == "" {
			homeless, reason = homeless+1, why
			continue
		}
		n, known := index[to]
		if !known {
			t, err := d.target(ctx, string(to))
			if err != nil {
				plan.Blockers = append(plan.Blockers, fmt.Sprintf("%s, where some messages came from, cannot be used: %s", to.Name(), d.o.Explain(err).What))
				continue
			}
			n = len(plan.To)
			index[to] = n
			plan.To = append(plan.To, t)
		}
		plan.Manifest[i].Target = n
		plan.To[n].Count++
	}
	if homeless > 0 {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("%d of %d messages do not tell where they came from (%s): choose with --to, or leave them out", homeless, len(plan.Manifest), reason))
	}
	return nil
}

// target reads a destination: queue:, topic:, function:, file: and a name, or a
// queue's name, URL or ARN, or any of their ARNs.
func (d *Desk) target(ctx context.Context, to string) (ops.Target, error) {
	here := d.o.Identity
	arn := func(service, rest string) ops.ARN {
		return ops.ARN(fmt.Sprintf("arn:%s:%s:%s:%s:%s", partition(here.Region), service, here.Region, here.Account, rest))
	}
	kind, name := "", to
	for _, prefix := range []string{queuePrefix, topicPrefix, functionStart, filePrefix} {
		if rest, ok := strings.CutPrefix(to, prefix); ok {
			kind, name = prefix, rest
		}
	}
	if name == "" {
		return ops.Target{}, &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("%q names no destination", to),
			Hint: "origin, queue:NAME, topic:NAME, function:NAME or file:PATH"}
	}
	if given := ops.ARN(name); given.Service() != "" {
		switch given.Kind() {
		case ops.KindTopic:
			return ops.Target{ARN: given, Kind: ops.KindTopic}, nil
		case ops.KindFunction:
			return ops.Target{ARN: given, Kind: ops.KindFunction}, nil
		case ops.KindQueue:
		default:
			return ops.Target{}, &ops.Problem{Fault: ops.FaultUnsupported, What: fmt.Sprintf("messages cannot be sent to %s", name), Hint: "a queue, a topic, a function or a file"}
		}
	}
	switch kind {
	case topicPrefix:
		return ops.Target{ARN: arn("sns", name), Kind: ops.KindTopic}, nil
	case functionStart:
		return ops.Target{ARN: arn("lambda", "function:"+name), Kind: ops.KindFunction}, nil
	case filePrefix:
		path, err := filepath.Abs(name)
		return ops.Target{Kind: ops.KindFile, Path: path}, err
	}
	return d.queueTarget(ctx, name)
}

func (d *Desk) queueTarget(ctx context.Context, name string) (ops.Target, error) {
	name, err := d.nameOf(name)
	if err != nil {
		return ops.Target{}, err
	}
	out, err := d.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		if p := d.o.Explain(err); p.Fault == ops.FaultNotFound {
			return ops.Target{}, d.notFound(ctx, name, err)
		}
		return ops.Target{}, d.explain("find queue "+name, err)
	}
	here := d.o.Identity
	return ops.Target{Kind: ops.KindQueue, URL: aws.ToString(out.QueueUrl),
		ARN: ops.ARN(fmt.Sprintf("arn:%s:sqs:%s:%s:%s", partition(here.Region), here.Region, here.Account, name))}, nil
}

// partition is the ARN partition of a region.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// setPace fills in what the person left open.
func (d *Desk) setPace(plan *ops.Plan) {
	p := &plan.Pace
	if p.Workers <= 0 {
		p.Workers = standardWorkers
		for _, t := range plan.To {
			switch {
			case t.Kind == ops.KindFunction:
				p.Workers = min(p.Workers, functionWorkers)
			case plan.FIFO:
				p.Workers = min(p.Workers, orderedWorkers)
			case t.Kind == ops.KindFile:
				p.Workers = 1
			}
		}
	}
	if p.Careful {
		p.Workers = 1
	}
	if !p.Canary {
		return
	}
	if p.MaxReturns <= 0 {
		p.MaxReturns = maxReturns
	}
	if p.CanaryWait <= 0 {
		p.CanaryWait = d.returnTime(*plan).Seconds()
	}
	if p.Watch <= 0 {
		p.Watch = p.CanaryWait
	}
}

// returnTime is how long a message takes to come back when it fails again: all its
// receives, and something for the poller. A function that is called and answers
// tells at once.
func (d *Desk) returnTime(plan ops.Plan) time.Duration {
	longest := time.Duration(0)
	for _, t := range plan.To {
		if t.Kind != ops.KindQueue {
			continue
		}
		_, most := redrivePolicy(plan.Seen[t.ARN]["RedrivePolicy"])
		visibility, err := time.ParseDuration(cmp.Or(plan.Seen[t.ARN]["VisibilityTimeout"], "0") + "s")
		if err != nil {
			visibility = 0
		}
		longest = max(longest, time.Duration(most)*visibility+shortestWait)
	}
	return min(longest, longestWait)
}

// estimate says how long it takes and what it costs.
func (d *Desk) estimate(plan *ops.Plan, messages func(func(ops.Message) bool)) {
	n, bytes := len(plan.Manifest), 0
	for m := range messages {
		bytes += m.Size()
	}
	batches := receives(n)
	if plan.Pace.Careful {
		batches = n
	}
	plan.Calls = callsABatch*batches + emptiesToStop
	plan.USD = float64(plan.Calls+2*(bytes/ops.QueueChunk)) * ops.PricePerQueueCall
	seconds := float64(batches*callsABatch) * roundTrip.Seconds() / float64(max(1, plan.Pace.Workers))
	if plan.Pace.Rate > 0 {
		seconds = max(seconds, float64(n)/plan.Pace.Rate)
	}
	plan.ETA = math.Ceil(seconds)
}

// steps says what is done, with the aws-cli lines that would do the same.
func (d *Desk) steps(plan *ops.Plan) {
	region := " --region " + plan.Region
	add := func(text, command string) { plan.Steps = append(plan.Steps, ops.Step{Text: text, Command: command}) }
	add(fmt.Sprintf("lease %d messages of %s", len(plan.Manifest), plan.From.Name()),
		"aws sqs receive-message --queue-url "+plan.FromURL+" --max-number-of-messages 10 --attribute-names All --message-attribute-names All"+region)
	for _, t := range plan.To {
		text := fmt.Sprintf("send %d of them to %s, and record each answer", t.Count, t.Name())
		switch t.Kind {
		case ops.KindQueue:
			add(text, "aws sqs send-message-batch --queue-url "+t.URL+" --entries …"+region)
		case ops.KindTopic:
			add(text, "aws sns publish-batch --topic-arn "+string(t.ARN)+" --publish-batch-request-entries …"+region)
		case ops.KindFunction:
			add(text, "aws lambda invoke --function-name "+string(t.ARN)+" --payload …"+region)
		case ops.KindFile:
			add(fmt.Sprintf("write %d of them to %s", t.Count, t.Path), "")
		}
	}
	add("delete from "+plan.From.Name()+" what is recorded as sent, and nothing else", "aws sqs delete-message-batch --queue-url "+plan.FromURL+" --entries …"+region)
	if len(plan.To) > 0 {
		plan.CannotUndo = append(plan.CannotUndo, "what a consumer has processed stays processed; a message that was sent cannot be called back")
	}
}
