package dlq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
	"kxops/ops/payload"
)

const (
	preflightWait = 90 * time.Second
	mostObjects   = 50 // extended-client objects that are looked for
	mostRanges    = 20 // stream ranges that are resolved
	soonLost      = time.Hour
)

// preflight looks, by reading only, at what would make a plan fail or hurt, and
// writes it into the plan: Seen (what apply compares), Blockers, Warnings, Facts
// and Changes. messages yields what the manifest means; nil for plans about a whole
// queue. What may not be read becomes a warning that names it. The error is for
// a context that ended.
func (d *Desk) preflight(ctx context.Context, plan *ops.Plan, messages func(yield func(ops.Message) bool)) error {
	limited, cancel := context.WithTimeout(ctx, preflightWait)
	defer cancel()
	f := &flight{d: d, plan: plan, now: d.o.Now(), targets: make([]cargo, len(plan.To))}
	if plan.Seen == nil {
		plan.Seen = map[ops.ARN]map[string]string{}
	}
	f.findPutBack(limited)
	f.weigh(messages)
	f.weighKin()
	f.checkFrom(limited)
	for i := range plan.To {
		f.checkTarget(limited, i)
	}
	f.checkCargo()
	f.checkOrder()
	f.checkObjects(limited)
	f.checkRanges(limited)
	f.changes()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("check the plan: %w", err)
	}
	if limited.Err() != nil {
		f.warn("not everything could be checked in %s: see what is missing above", span(preflightWait))
	}
	return nil
}

// flight is one preflight.
type flight struct {
	d       *Desk
	plan    *ops.Plan
	now     time.Time
	from    map[string]string // the queue's settings; nil: not known
	targets []cargo           // by index of plan.To

	total                                        int
	oldest                                       time.Time // sent
	truncated, crowded, unsendable, traced, tied int
	withAttributes                               int
	objects                                      []ops.Pointer
	ranges                                       []ops.Pointer
	seenRange                                    map[string]bool
	sequences                                    map[string]string // FIFO: sequence number by message id
	putBack                                      map[string]bool   // ids that a restore or import of this machine gave
}

// cargo is what goes to one target.
type cargo struct {
	count    int
	sizes    []int // bytes
	grouped  int   // with a MessageGroupId
	failures failures
	tried    time.Time // when the newest was sent whose tries a queue's policy counted
	triedKin bool      // … which is not of the plan
}

func (f *flight) block(format string, a ...any) { add(&f.plan.Blockers, fmt.Sprintf(format, a...)) }
func (f *flight) warn(format string, a ...any)  { add(&f.plan.Warnings, fmt.Sprintf(format, a...)) }

// danger is a warning that a person has to type a name for.
func (f *flight) danger(format string, a ...any) {
	f.warn(format, a...)
	f.plan.Risk = ops.HighRisk
	if f.plan.Confirm == "" {
		f.plan.Confirm = f.plan.From.Name()
	}
}

func (f *flight) fact(name, format string, a ...any) {
	f.plan.Facts = append(f.plan.Facts, ops.Fact{Name: name, Value: fmt.Sprintf(format, a...)})
}

// unknown says what could not be checked, and why.
func (f *flight) unknown(what string, err error) {
	f.warn("%s could not be checked: %s", what, f.d.o.Explain(err).What)
}

func add(to *[]string, s string) {
	if !slices.Contains(*to, s) {
		*to = append(*to, s)
	}
}

// weigh reads the messages once.
func (f *flight) weigh(messages func(yield func(ops.Message) bool)) {
	if messages == nil {
		return
	}
	target := make(map[string]int, len(f.plan.Manifest))
	for _, e := range f.plan.Manifest {
		target[e.ID] = e.Target
	}
	f.seenRange, f.sequences = map[string]bool{}, map[string]string{}
	for m := range messages {
		f.total++
		if i := target[m.ID]; i < len(f.targets) {
			f.targets[i].load(m, f.putBack[m.ID])
		}
		f.weighOne(m)
	}
}

func (f *flight) weighOne(m ops.Message) {
	if sent := m.Sent(); !sent.IsZero() && (f.oldest.IsZero() || sent.Before(f.oldest)) {
		f.oldest = sent
	}
	if len(m.Attributes) > ops.MaxAttributes {
		f.crowded++
	}
	if len(m.Attributes) > 0 {
		f.withAttributes++
	}
	if !sendable(m.Body) {
		f.unsendable++
	}
	if m.System[ops.TraceAttribute] != "" {
		f.traced++
	}
	if m.Source() != "" {
		f.tied++
	}
	if f.plan.FIFO {
		f.sequences[m.ID] = m.System[ops.SequenceAttribute]
	}
	layers := payload.Peel(m)
	if slices.ContainsFunc(layers, func(l ops.Layer) bool { return l.Truncated }) {
		f.truncated++
	}
	for _, l := range layers {
		if l.Pointer == nil {
			continue
		}
		switch p := *l.Pointer; p.Kind {
		case ops.S3Object:
			f.objects = append(f.objects, p)
		default:
			if key := string(p.Stream) + p.Shard + p.From + "-" + p.To; !f.seenRange[key] {
				f.seenRange[key] = true
				f.ranges = append(f.ranges, p)
			}
		}
		break
	}
}

// load adds a message.
func (c *cargo) load(m ops.Message, putBack bool) {
	c.count++
	c.sizes = append(c.sizes, m.Size())
	if m.Group() != "" {
		c.grouped++
	}
	c.failed(m.Sent(), statedFailure(m), m.Source() != "", putBack, false)
}

// failed takes one letter as evidence of when things failed. When it failed is what
// it says itself; one that a redrive policy moved failed some time after its sending
// (checkReturn estimates when); one that a restore put back failed at a time that
// nothing tells; any other was sent here by who gave up, so its sending is the failure.
func (c *cargo) failed(sent, stated time.Time, moved, putBack, kin bool) {
	f := &c.failures
	switch {
	case !stated.IsZero():
	case putBack:
		f.unknown++
		return
	case !moved:
		stated = sent
	case sent.After(c.tried):
		c.tried, c.triedKin = sent, kin
	}
	if moved && sent.After(f.sent) {
		f.sent = sent
	}
	if stated.After(f.last) {
		f.last, f.kin = stated, kin
	}
}

// statedFailure is when the message says that it failed; zero when it does not.
func statedFailure(m ops.Message) time.Time {
	if failure := payload.Summary(payload.Peel(m)).Failure; failure != nil {
		return failure.At
	}
	return time.Time{}
}

// gated are the verbs that ask whether a fix is out.
func (f *flight) gated() bool {
	switch f.plan.Verb {
	case ops.Redrive, ops.Edit, ops.Move:
		return true
	}
	return false
}

// findPutBack finds the messages that a restore or an import sent into this queue:
// their sending time is that of the restore.
func (f *flight) findPutBack(ctx context.Context) {
	if !f.gated() {
		return
	}
	f.putBack = map[string]bool{}
	notice, err := f.d.fills(ctx, f.plan.From, func(_ string, r *record) {
		for id := range r.byNew {
			f.putBack[id] = true
		}
	})
	switch {
	case err != nil:
		f.unknown("which messages a restore put here", err)
	case notice != "":
		f.fact("Restored", "which messages a restore put here is not known for certain: %s", notice)
	}
}

// weighKin adds what the rest of the pile tells about when the same causes failed: an
// old letter that is chosen alone says little while newer ones of its cause come in.
// A plan about the whole queue has no messages of its own: all of the pile tells.
func (f *flight) weighKin() {
	pile := f.d.Pile(f.plan.From)
	if pile == nil || len(f.plan.To) == 0 || !f.gated() {
		return
	}
	chosen := make(map[string]bool, len(f.plan.Manifest))
	for _, e := range f.plan.Manifest {
		chosen[e.ID] = true
	}
	letters, causes := pile.Letters(), map[string]bool{}
	for i := range letters {
		if c := letters[i].Cause; c != nil && (len(chosen) == 0 || chosen[letters[i].ID]) {
			causes[c.Key] = true
		}
	}
	for i := range letters {
		l := &letters[i]
		if l.Cause == nil || !causes[l.Cause.Key] || chosen[l.ID] {
			continue
		}
		if at := f.targetOf(l); at >= 0 {
			unknown := f.targets[at].failures.unknown
			f.targets[at].failed(l.Sent, l.Failed, l.Source != "", f.putBack[l.ID], len(chosen) > 0)
			if len(chosen) > 0 { // which are not of the plan need no excuse
				f.targets[at].failures.unknown = unknown
			}
		}
	}
}

// targetOf is where a letter that is not in the plan would go, -1 for elsewhere.
func (f *flight) targetOf(l *ops.Letter) int {
	if len(f.plan.To) == 1 {
		return 0
	}
	return slices.IndexFunc(f.plan.To, func(t ops.Target) bool { return t.ARN != "" && t.ARN == l.Source })
}

// sendable reports whether SQS takes the text: tab, line feed, carriage return and
// U+0020 to U+D7FF, U+E000 to U+FFFD, U+10000 to U+10FFFF (SQS API, SendMessage).
func sendable(body string) bool {
	if body == "" || !utf8.ValidString(body) {
		return false
	}
	return !strings.ContainsFunc(body, func(r rune) bool {
		return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	})
}

// settings reads what a queue is, without what changes by itself: what a plan
// was made for, and what apply compares.
func (d *Desk) settings(ctx context.Context, url string) (map[string]string, error) {
	out, err := d.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	if err != nil {
		return nil, fmt.Errorf("read queue %s: %w", queueName(url), err)
	}
	return out.Attributes, nil
}

// lasting leaves out of a queue's attributes what changes by itself.
func lasting(attributes map[string]string) map[string]string {
	kept := maps.Clone(attributes)
	maps.DeleteFunc(kept, func(name, _ string) bool {
		return strings.HasPrefix(name, "Approximate") || name == string(sqstypes.QueueAttributeNameLastModifiedTimestamp)
	})
	return kept
}

// seen is what a plan remembers of a resource and apply compares: a queue's
// settings, a topic's subscribers, a function's state. A function's code is not in
// it, for new code is what one waits for.
func (d *Desk) seen(ctx context.Context, t ops.Target) (map[string]string, error) {
	switch t.Kind {
	case ops.KindQueue:
		attributes, err := d.settings(ctx, t.URL)
		return lasting(attributes), err
	case ops.KindTopic:
		out, err := d.sns.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(string(t.ARN))})
		if err != nil {
			return nil, fmt.Errorf("read topic %s: %w", t.ARN.Name(), err)
		}
		kept := map[string]string{}
		for _, name := range []string{"SubscriptionsConfirmed", "FifoTopic", "KmsMasterKeyId"} {
			if v, ok := out.Attributes[name]; ok {
				kept[name] = v
			}
		}
		return kept, nil
	case ops.KindFunction:
		out, err := d.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(string(t.ARN))})
		if err != nil {
			return nil, fmt.Errorf("read function %s: %w", t.ARN.Name(), err)
		}
		return map[string]string{"State": string(out.State)}, nil
	}
	return nil, nil
}

// drift says what has changed since the plan was made, one sentence each: the
// queues, topics and functions that it remembers. No sentence: nothing has.
func (d *Desk) drift(ctx context.Context, plan ops.Plan) ([]string, error) {
	places := append([]ops.Target{{ARN: plan.From, URL: plan.FromURL, Kind: ops.KindQueue}}, plan.To...)
	var changed []string
	for _, t := range places {
		then, remembered := plan.Seen[t.ARN]
		if !remembered {
			continue
		}
		now, err := d.seen(ctx, t)
		if missing(err) {
			add(&changed, t.Name()+" does not exist any more")
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(then)) {
			if now[name] != then[name] {
				add(&changed, fmt.Sprintf("%s: %s was %q and is %q", t.Name(), name, then[name], now[name]))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if _, known := then[name]; !known {
				add(&changed, fmt.Sprintf("%s: %s was not set and is %q", t.Name(), name, now[name]))
			}
		}
	}
	return changed, nil
}

// seconds reads one of a queue's settings.
func seconds(settings map[string]string, name sqstypes.QueueAttributeName) time.Duration {
	n, err := strconv.ParseInt(settings[string(name)], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

func (f *flight) checkFrom(ctx context.Context) {
	p := f.plan
	if p.From == "" || p.FromURL == "" {
		return
	}
	attributes, err := f.d.settings(ctx, p.FromURL)
	switch {
	case missing(err):
		f.block("queue %s does not exist any more", p.From.Name())
		return
	case err != nil:
		f.unknown("queue "+p.From.Name(), err)
		return
	}
	f.from = attributes
	p.Seen[p.From] = lasting(attributes)
	if to, most := redrivePolicy(attributes["RedrivePolicy"]); to != "" {
		f.warn("%s has a redrive policy of its own: a message that was received more than %d times, looks included, moves on to %s", p.From.Name(), most, to.Name())
	}
	f.checkOthers(attributes)
	f.checkTasks(ctx)
	f.checkExpiry(seconds(attributes, sqstypes.QueueAttributeNameMessageRetentionPeriod))
}

// checkOthers looks for somebody else who holds messages of the queue.
func (f *flight) checkOthers(attributes map[string]string) {
	n, err := strconv.Atoi(attributes["ApproximateNumberOfMessagesNotVisible"])
	if err != nil {
		return
	}
	held, or := 0, ""
	if pile := f.d.Pile(f.plan.From); pile != nil {
		if held, _ = pile.Held(); held < pile.Len() { // the counts lag by about a minute
			or = ", or SQS still counts what this session gave back"
		}
	}
	if others := n - held; others > 0 {
		f.warn("about %s of %s in flight and not held by this session: somebody else is reading it%s", count(others, "message"), areAtQueue(f.plan.From, others), or)
	}
}

func areAtQueue(q ops.ARN, n int) string { return q.Name() + " " + isAre(n) }

func (f *flight) checkTasks(ctx context.Context) {
	out, err := f.d.sqs.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(string(f.plan.From)), MaxResults: aws.Int32(10)})
	if err != nil {
		f.unknown("whether SQS itself is moving messages out of "+f.plan.From.Name(), err)
		return
	}
	for _, t := range out.Results {
		if s := aws.ToString(t.Status); s == "RUNNING" || s == "CANCELLING" {
			f.block("SQS itself is moving messages out of %s (%s, %d moved): wait for it or cancel it first", f.plan.From.Name(), strings.ToLower(s), t.ApproximateNumberOfMessagesMoved)
		}
	}
}

// checkExpiry says when the first of the messages is lost. On a standard queue a dead
// letter's time counts from its first sending; on FIFO from the move, which no
// attribute says: the first sending is then the earliest it can be.
func (f *flight) checkExpiry(keeps time.Duration) {
	if f.oldest.IsZero() || keeps == 0 {
		return
	}
	left := f.oldest.Add(keeps).Sub(f.now)
	switch {
	case left <= 0 && !f.plan.FIFO:
		f.warn("the oldest of these messages are past their retention (%s): they may be gone already", span(keeps))
	case left < soonLost:
		f.warn("first loss in %s: the oldest of these messages expires then; raise the retention first, or archive", span(max(left, 0)))
	}
	f.fact("First loss in", "%s", span(max(left, 0)))
}

func missing(err error) bool {
	var (
		queue    *sqstypes.QueueDoesNotExist
		function *lambdatypes.ResourceNotFoundException
		topic    *snstypes.NotFoundException
	)
	return errors.As(err, &queue) || errors.As(err, &function) || errors.As(err, &topic)
}

func (f *flight) checkTarget(ctx context.Context, i int) {
	t, c := f.plan.To[i], &f.targets[i]
	if c.count == 0 {
		c.count = t.Count
	}
	switch t.Kind {
	case ops.KindQueue:
		f.checkQueue(ctx, t, c)
	case ops.KindTopic:
		f.checkTopic(ctx, t, c)
	case ops.KindFunction:
		f.checkFunction(ctx, t)
	default:
		return
	}
	if t.Kind != ops.KindTopic {
		f.checkConsumers(ctx, t, c)
	}
}

func (f *flight) checkQueue(ctx context.Context, t ops.Target, c *cargo) {
	name := t.Name()
	if t.ARN == f.plan.From && f.plan.Verb == ops.Redrive {
		f.block("%s is the queue that the messages are in: they would go in a circle", name)
	}
	attributes, err := f.d.settings(ctx, t.URL)
	switch {
	case t.URL == "", missing(err):
		f.block("queue %s, where %s would go, does not exist", name, count(c.count, "message"))
		return
	case err != nil:
		f.unknown("type, size limit and key of "+name, err)
		return
	}
	f.plan.Seen[t.ARN] = lasting(attributes)
	f.checkType(t, c, attributes["FifoQueue"] == "true")
	if most, err := strconv.Atoi(attributes["MaximumMessageSize"]); err == nil {
		f.checkSizes(name, c, most)
	}
	if delay := seconds(attributes, sqstypes.QueueAttributeNameDelaySeconds); delay > 0 {
		f.fact("Delay", "nobody sees a message in %s for the first %s", name, span(delay))
	}
	f.checkKey(name, attributes)
	f.checkRetention(name, attributes)
	f.checkReturn(name, c, attributes)
	f.checkNotDeadLetter(ctx, t)
}

func (f *flight) checkType(t ops.Target, c *cargo, fifo bool) {
	switch from := f.plan.FIFO; {
	case from && !fifo && f.plan.Reorder:
		f.danger("%s is a standard queue: order and protection against duplicates are lost, as accepted", t.Name())
	case from && !fifo:
		f.block("%s is a standard queue and %s is FIFO: the order would be lost; accept reordering if you mean it", t.Name(), f.plan.From.Name())
	case !from && fifo && c.grouped < c.count:
		f.block("%s is a FIFO queue, and %d of %s no message group: SQS refuses them", t.Name(), c.count-c.grouped, have(c.count))
	}
}

func have(n int) string {
	if n == 1 {
		return "1 message has"
	}
	return fmt.Sprintf("%d messages have", n)
}

func (f *flight) checkSizes(name string, c *cargo, most int) {
	over, largest := 0, 0
	for _, n := range c.sizes {
		largest = max(largest, n)
		if n > most {
			over++
		}
	}
	switch {
	case over == 0:
	case over == len(c.sizes):
		f.block("%s takes %d bytes, and all %s larger (the largest has %d)", name, most, are(over), largest)
	default:
		f.warn("%s takes %d bytes: %s larger (the largest has %d), will be refused and stay here", name, most, are(over), largest)
	}
}

func are(n int) string { return count(n, "message") + " " + isAre(n) }

// checkKey compares keys. kxops has no KMS client: whether a key is enabled, and
// may be used, shows at the first send, which is refused and loses nothing.
func (f *flight) checkKey(name string, to map[string]string) {
	key := to["KmsMasterKeyId"]
	if key == "" || f.from != nil && key == f.from["KmsMasterKeyId"] {
		return
	}
	f.warn("%s is encrypted with %s: sending needs kms:GenerateDataKey and kms:Decrypt on it; whether it is enabled and allowed is not known before the first send", name, key)
}

func (f *flight) checkRetention(name string, to map[string]string) {
	keeps := seconds(to, sqstypes.QueueAttributeNameMessageRetentionPeriod)
	if keeps == 0 {
		return
	}
	f.fact("Kept", "%s keeps messages for %s, counted from the new send", name, span(keeps))
	if keeps < soonLost {
		f.warn("%s keeps messages for %s only: what is not consumed by then is lost", name, span(keeps))
	}
}

// checkReturn says what becomes of a message that fails again.
func (f *flight) checkReturn(name string, c *cargo, to map[string]string) {
	back, most := redrivePolicy(to["RedrivePolicy"])
	again := time.Duration(most) * seconds(to, sqstypes.QueueAttributeNameVisibilityTimeout)
	switch {
	case f.plan.Verb == ops.Restore || f.plan.Verb == ops.Import:
	case back == "":
		f.warn("%s has no redrive policy: a message that fails again is tried until it expires, and no return can be seen", name)
	case back != f.plan.From:
		f.warn("what fails again in %s goes to %s, not back to %s: no return can be seen here", name, back.Name(), f.plan.From.Name())
	default:
		f.fact("Back after", "a message that fails again is back after about %s (%d receives of %s)", span(again), most,
			span(seconds(to, sqstypes.QueueAttributeNameVisibilityTimeout)))
		f.checkPatience(name, again)
		c.estimate(again-seconds(to, sqstypes.QueueAttributeNameVisibilityTimeout), f.now)
	}
}

// checkPatience compares how long a person wants a canary to watch with how long a
// failing message takes to come back. A canary that looks away too early passes
// everything.
func (f *flight) checkPatience(name string, again time.Duration) {
	pace := f.plan.Pace
	if !pace.Canary {
		return
	}
	wait := longestWait // the most that setPace waits by itself
	if pace.CanaryWait > 0 {
		wait = time.Duration(pace.CanaryWait * float64(time.Second))
	}
	if wait < again {
		f.warn("the canary watches for %s, and what fails again in %s is back only after about %s: it can pass although everything fails", span(wait), name, span(again))
	}
}

// estimate takes the start of the last try as the failure of the newest message
// that a policy moved: a consumer that fails faster fails earlier.
func (c *cargo) estimate(lastTry time.Duration, now time.Time) {
	if c.tried.IsZero() {
		return
	}
	at := c.tried.Add(lastTry)
	if at.After(now) {
		at = now
	}
	if at.After(c.failures.last) {
		c.failures.last, c.failures.kin, c.failures.estimated = at, c.triedKin, true
	}
}

func (f *flight) checkNotDeadLetter(ctx context.Context, t ops.Target) {
	if f.plan.Verb == ops.Restore || f.plan.Verb == ops.Import {
		return // putting dead letters back where they were
	}
	sources, err := f.d.sourcesOf(ctx, ops.Queue{ARN: t.ARN, URL: t.URL, Name: t.Name()})
	if err != nil {
		f.unknown("whether "+t.Name()+" is a dead-letter queue", err)
		return
	}
	if len(sources) > 0 && t.ARN != f.plan.From {
		f.danger("%s is itself a dead-letter queue (of %s): nobody consumes it", t.Name(), queueName(sources[0]))
	}
}

const mostTopicBytes = 256 << 10 // of one message and of one batch (SNS API, Publish)

func (f *flight) checkTopic(ctx context.Context, t ops.Target, c *cargo) {
	seen, err := f.d.seen(ctx, t)
	switch {
	case missing(err):
		f.block("topic %s does not exist", t.Name())
		return
	case err != nil:
		f.unknown("topic "+t.Name(), err)
		return
	}
	f.plan.Seen[t.ARN] = seen
	f.danger("every subscriber of %s gets each message again, not only the one that failed (%s confirmed)", t.Name(), seen["SubscriptionsConfirmed"])
	f.checkType(t, c, seen["FifoTopic"] == "true")
	f.checkSizes(t.Name(), c, mostTopicBytes)
}

func (f *flight) checkFunction(ctx context.Context, t ops.Target) {
	seen, err := f.d.seen(ctx, t)
	switch {
	case missing(err):
		f.block("function %s does not exist", t.Name())
		return
	case err != nil:
		f.unknown("function "+t.Name(), err)
		return
	}
	f.plan.Seen[t.ARN] = seen
	if s := seen["State"]; s == string(lambdatypes.StateFailed) {
		f.block("function %s is in state Failed: it cannot be invoked", t.Name())
	}
	out, err := f.d.lambda.GetFunctionConcurrency(ctx, &lambda.GetFunctionConcurrencyInput{FunctionName: aws.String(string(t.ARN.Unqualified()))})
	switch {
	case err != nil:
		f.unknown("the reserved concurrency of "+t.Name(), err)
	case out.ReservedConcurrentExecutions != nil && *out.ReservedConcurrentExecutions == 0:
		f.block("function %s has a reserved concurrency of 0: it is switched off", t.Name())
	}
}

// checkConsumers is the "is the fix out?" gate.
func (f *flight) checkConsumers(ctx context.Context, t ops.Target, c *cargo) {
	if !f.gated() {
		return
	}
	found, err := f.d.consumersOf(ctx, t)
	if err != nil {
		f.unknown("who consumes "+t.Name(), err)
	}
	if err == nil && len(found) == 0 {
		f.fact("Consumer", "no function reads %s; what polls it by itself, such as a program on a server, cannot be seen from here", t.Name())
	}
	for _, x := range found {
		if x.mapping != "" && x.state != "Enabled" && x.state != "Updating" {
			f.danger("%s does not read %s now: its event source mapping is %s", x.name(), t.Name(), x.state)
		}
		sentence, good := c.failures.verdict(x, f.now)
		switch {
		case sentence == "":
		case !c.failures.known():
			f.warn("%s", sentence)
		case good:
			f.fact("Fix", "%s", sentence)
		default:
			f.danger("%s", sentence)
		}
	}
}

// checkCargo is about the messages themselves.
func (f *flight) checkCargo() {
	sends := f.plan.Verb != ops.Archive && f.plan.Verb != ops.Retention
	if !sends {
		return
	}
	if f.truncated > 0 {
		f.block("%s of a payload that the producer cut: it must not be sent again, leave %s out", madeOf(f.truncated), itThem(f.truncated))
	}
	if f.crowded > 0 {
		f.block("%s more than %d attributes: SQS refuses %s", have(f.crowded), ops.MaxAttributes, itThem(f.crowded))
	}
	if f.unsendable > 0 {
		f.block("%s an empty body or characters that SQS refuses", have(f.unsendable))
	}
}

func madeOf(n int) string {
	if n == 1 {
		return "1 message is what is left"
	}
	return fmt.Sprintf("%d messages are what is left", n)
}

func itThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// checkOrder holds a FIFO selection to its rule: the first k messages of a group,
// or the whole group. Anything else breaks the group's order.
func (f *flight) checkOrder() {
	if !f.plan.FIFO || f.plan.Verb == ops.Restore || f.plan.Verb == ops.Import || len(f.plan.Manifest) == 0 {
		return
	}
	pile := f.d.Pile(f.plan.From)
	if pile == nil {
		return
	}
	chosen := make(map[string]bool, len(f.plan.Manifest))
	groups := map[string][]string{} // ids in order
	for _, e := range f.plan.Manifest {
		chosen[e.ID] = true
		groups[e.Group] = nil
	}
	for _, l := range pile.Letters() {
		if _, ok := groups[l.Group]; ok {
			groups[l.Group] = append(groups[l.Group], l.ID)
			if _, ok := f.sequences[l.ID]; !ok {
				m, _ := pile.Message(l.ID)
				f.sequences[l.ID] = m.System[ops.SequenceAttribute]
			}
		}
	}
	full := 0
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		ids := groups[group]
		slices.SortStableFunc(ids, func(a, b string) int { return compareSequences(f.sequences[a], f.sequences[b]) })
		if len(ids) >= ops.MaxBatchEntries {
			full++
		}
		if skipped := skippedBefore(ids, chosen); skipped > 0 {
			f.reorders(group, skipped)
		}
	}
	if full > 0 {
		f.fact("Groups", "SQS shows only the first %d messages of a group at a time: %s may hold more, which come to light when these are gone", ops.MaxBatchEntries, count(full, "group"))
	}
}

// compareSequences orders sequence numbers as the integers they are.
func compareSequences(a, b string) int {
	switch {
	case before(a, b):
		return -1
	case before(b, a):
		return 1
	}
	return 0
}

// skippedBefore counts the messages that are not chosen and come before one that is.
func skippedBefore(ids []string, chosen map[string]bool) int {
	skipped, waiting := 0, 0
	for _, id := range ids {
		if !chosen[id] {
			waiting++
			continue
		}
		skipped += waiting
		waiting = 0
	}
	return skipped
}

func (f *flight) reorders(group string, skipped int) {
	if f.plan.Reorder {
		f.danger("%s of group %q would be overtaken, as accepted", count(skipped, "earlier message"), group)
		return
	}
	f.block("%s of group %q would be overtaken: take the first messages of the group or the whole group, or accept reordering", count(skipped, "earlier message"), group)
}

// checkObjects looks whether what extended-client messages point at is still there.
func (f *flight) checkObjects(ctx context.Context) {
	n := len(f.objects)
	if n == 0 {
		return
	}
	checked, gone := min(n, mostObjects), 0
	for i := range checked {
		r, err := f.d.Resolve(ctx, f.objects[i*n/checked]) // spread over all
		if err != nil {
			f.unknown("whether the objects that "+count(n, "message")+" point at exist", err)
			return
		}
		if r.Gone {
			gone++
		}
	}
	of := ""
	if checked < n {
		of = fmt.Sprintf(" (%d of %d were looked for)", checked, n)
	}
	if gone > 0 {
		f.warn("%d of %d objects in S3 that these messages point at are gone: the consumer cannot read them%s", gone, checked, of)
		return
	}
	f.fact("Objects", "all %d objects in S3 that these messages point at are there%s", checked, of)
}

// checkRanges looks whether the records of stream pointers are still there.
func (f *flight) checkRanges(ctx context.Context) {
	n := len(f.ranges)
	if n == 0 {
		return
	}
	toFunction := slices.ContainsFunc(f.plan.To, func(t ops.Target) bool { return t.Kind == ops.KindFunction })
	if toFunction && slices.ContainsFunc(f.ranges, func(p ops.Pointer) bool { return p.Kind == ops.DynamoDBRange }) {
		f.block("pointers into a DynamoDB stream cannot be sent to a function: kxops cannot read DynamoDB Streams")
	}
	gone, checked := 0, 0
	var first time.Time
	for _, p := range f.ranges[:min(n, mostRanges)] {
		r, err := f.d.Resolve(ctx, p)
		if err != nil {
			f.unknown("whether the records that "+count(n, "pointer")+" mean are still in their stream", err)
			return
		}
		checked++
		if r.Gone {
			gone++
		} else if !r.TrimsAt.IsZero() && (first.IsZero() || r.TrimsAt.Before(first)) {
			first = r.TrimsAt
		}
	}
	if gone > 0 {
		f.warn("the records of %d of %s were trimmed: there is nothing left to send", gone, count(checked, "stream pointer"))
	}
	if !first.IsZero() {
		f.fact("First trim in", "%s, of %s; save the records before", span(max(first.Sub(f.now), 0)), count(checked-gone, "stream pointer"))
	}
}

// changes lists what cannot be kept of the messages.
func (f *flight) changes() {
	queue := slices.ContainsFunc(f.plan.To, func(t ops.Target) bool { return t.Kind == ops.KindQueue })
	switch f.plan.Verb {
	case ops.Redrive, ops.Restore, ops.Import, ops.Edit:
	default:
		return
	}
	keep := func(name, becomes string) {
		f.plan.Changes = append(f.plan.Changes, ops.Fact{Name: name, Value: becomes})
	}
	if queue {
		keep("MessageId", "new; the journal keeps old and new")
		keep(ops.SentAttribute, "now: age and retention start again")
		keep(ops.ReceivesAttribute, "starts again at 1")
		keep(ops.SenderAttribute, "becomes you")
		switch {
		case f.tied == 0:
		case copies(f.plan.Verb):
			keep(ops.SourceAttribute, fmt.Sprintf("gone from %s: a redrive home does not find the way, it needs --to", count(f.tied, "message")))
		default:
			keep(ops.SourceAttribute, "gone until it fails again")
		}
		if f.plan.FIFO {
			keep(ops.SequenceAttribute, "new, in the same order within a group")
			keep(ops.DedupAttribute, "message id and operation id, so that a resumed operation cannot double it")
		}
	}
	for _, t := range f.plan.To {
		switch {
		case t.Kind == ops.KindFunction && f.withAttributes > 0:
			keep("Attributes", "not passed to "+t.Name()+": a function gets the event only")
		case t.Kind == ops.KindTopic && f.traced > 0:
			keep(ops.TraceAttribute, "not passed on by "+t.Name())
		}
	}
}
