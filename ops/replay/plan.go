package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kxops/ops"
	"kxops/ops/journal"
)

const (
	planLife     = 15 * time.Minute
	defaultLanes = 16
	// inMemory is what lies between reading and sending, at most, in bytes.
	inMemory = 128 << 20
	// samplesOf is how many matching and how many rejected records a plan shows.
	samplesOf = 20
	// sampleRecords bounds the reading for a plan; the run reads the rest.
	sampleRecords = 20_000
	sampleTime    = 20 * time.Second

	canaryRecords = 100
	canarySeconds = 20
	canaryMost    = 180 // seconds: CloudWatch is one or two minutes behind
	growthAllowed = 10  // messages that a dead-letter queue may grow by before it halts

	// Above these one machine is the wrong tool, and the plan says so (facts: replay, 7).
	largeTime    = 30 * time.Minute
	largeBytes   = 50 << 30
	largeRecords = 20_000_000
)

// Plan works out what a replay would do, by reading only: it freezes what is read,
// asks the target who it is, and tries the selection on some records. samples are for
// a person to look at; they are not in the plan.
func (d *Desk) Plan(ctx context.Context, ask ops.ReplayAsk) (plan ops.ReplayPlan, samples []ops.ReplaySample, err error) {
	if isManaged(ask.From) {
		plan, err = d.planManaged(ctx, ask)
		return plan, nil, err
	}
	if len(ask.Rules) > 0 {
		return plan, nil, refused("--rule is for --from events-archive:NAME: a bus hands what is put on it to all of its rules")
	}
	if ask, err = d.fromQuery(ctx, ask); err != nil {
		return plan, nil, err
	}
	plan, err = d.draft(ask)
	if err != nil {
		return plan, nil, err
	}
	src, err := d.sourceOf(plan.From.Kind)
	if err != nil {
		return plan, nil, err
	}
	dst, err := d.targetOf(plan)
	if err != nil {
		return plan, nil, err
	}
	if q, ok := src.(athenaSource); ok {
		q.agree = ask.Agree
		src = q
	}
	if err := dst.find(ctx, &plan); err != nil {
		return plan, nil, d.explain("ask about "+cmp.Or(ask.To, "the target"), err)
	}
	factsOfMarks(&plan)
	if err := src.find(ctx, &plan); err != nil {
		var no *declined
		if errors.As(err, &no) {
			return plan, nil, no.err
		}
		return plan, nil, d.explain("ask about "+cmp.Or(ask.From, "the source"), err)
	}
	if dst, err = d.targetOf(plan); err != nil { // with the address that find has put in
		return plan, nil, err
	}
	d.preflightTarget(ctx, &plan)
	d.settings(&plan, ask, dst.limits())
	d.planHeadroom(ctx, &plan)
	if plan.To.Kind == ops.KindBus {
		ask.Links = append(slices.Clone(ask.Links), d.behindBus(ctx, &plan, nil)...)
	}
	if err := d.guardsOf(ctx, &plan, ask); err != nil {
		return plan, nil, err
	}
	radius(&plan, ask.Links)
	if len(plan.Blockers) == 0 {
		if samples, err = d.sample(ctx, &plan, src, dst); err != nil {
			return plan, nil, err
		}
	}
	d.judge(&plan, ask)
	return plan, samples, plan.Seal()
}

// draft is the plan as far as the question says it.
func (d *Desk) draft(ask ops.ReplayAsk) (ops.ReplayPlan, error) {
	if d.o.Journal == nil {
		return ops.ReplayPlan{}, refused("nothing is replayed without a journal")
	}
	id, err := d.o.Journal.NewID()
	if err != nil {
		return ops.ReplayPlan{}, err
	}
	now := d.o.Now().UTC()
	plan := ops.ReplayPlan{
		Schema: ops.ReplaySchema, ID: id, Account: d.o.Identity.Account, Alias: d.o.Identity.Alias, Region: d.o.Identity.Region,
		By: journal.Actor(), Reason: ask.Reason, Created: now, Expires: now.Add(planLife), Outside: d.o.Outside,
		Select: ask.Select, Map: ask.Map, Again: ask.Again, Seen: map[string]string{},
		Estimate: ops.ReplayEstimate{Bytes: ops.Missing(ops.NoData), Records: ops.Missing(ops.NoData), Matched: ops.Missing(ops.NoData), Seconds: ops.Missing(ops.NoData)},
	}
	if plan.From, err = endOf("from", ask.From); err != nil {
		return plan, err
	}
	if plan.To, err = endOf("to", ask.To); err != nil {
		return plan, err
	}
	if plan.From.Kind == ops.KindAthena {
		if plan.Query, err = questionOf(plan, ask.Question); err != nil {
			return plan, err
		}
	}
	if plan.To.Async = ask.Async; ask.Async && plan.To.Kind != ops.KindFunction {
		return plan, refused("only a function can be called without waiting for its answer, and %s is none", plan.To.Name())
	}
	if s := plan.Select; !s.Since.IsZero() && !s.Until.IsZero() && !s.Since.Before(s.Until) {
		return plan, refused("the window is empty: since %s is not before until %s", s.Since.Format(time.RFC3339), s.Until.Format(time.RFC3339))
	}
	if ask.FanOut {
		if plan.From.Kind != ops.KindStream {
			return plan, refused("only a stream has registered consumers, and %s is none", plan.From.Name())
		}
		plan.FanOut = fanOutName(plan.ID)
	}
	if err := checkRange(plan); err != nil {
		return plan, err
	}
	if err := markable(&plan.Map); err != nil {
		return plan, err
	}
	if err := checkAttributes(plan); err != nil {
		return plan, err
	}
	switch m := plan.Map; {
	case (m.EventSource == "") != (m.DetailType == ""):
		return plan, refused("an event has both a source and a detail-type: --event-source and --detail-type go together")
	case m.EventSource != "" && plan.To.Kind != ops.KindBus:
		return plan, refused("only an event on a bus has a source and a detail-type, and %s is no bus", plan.To.Name())
	case strings.HasPrefix(m.EventSource, "aws."):
		return plan, refused("EventBridge takes no events from %q: sources that begin with aws. are those of AWS", m.EventSource)
	case len(m.DetailType) > 128:
		return plan, refused("a detail-type has at most 128 characters")
	}
	if _, err := newChooser(plan.Select, nil); err != nil {
		return plan, err
	}
	_, err = newMapper(plan)
	return plan, err
}

// endOf reads KIND:WHAT.
func endOf(side, text string) (ops.ReplayEnd, error) {
	kind, what, ok := strings.Cut(text, ":")
	end := ops.ReplayEnd{Kind: ops.Kind(kind)}
	if strings.HasPrefix(text, "arn:") {
		end.ARN = ops.ARN(text)
		end.Kind, ok, what = end.ARN.Kind(), true, text
	}
	switch {
	case text == "":
		return end, refused("--%s is missing", side)
	case text == "null" || end.Kind == ops.KindNull:
		end.Kind = ops.KindNull
		return end, nil
	case !ok || what == "":
		return end, refused("%q does not say what it is: --%s takes KIND:NAME, such as stream:orders", text, side)
	}
	switch end.Kind {
	case ops.KindFile:
		path, err := filepath.Abs(what)
		if err != nil {
			return end, fmt.Errorf("the path %q: %w", what, err)
		}
		end.Path = path
	case ops.KindArchive:
		end.Bucket, end.Prefix, _ = strings.Cut(strings.TrimPrefix(what, "s3://"), "/")
		end.Bucket = end.Bucket[strings.LastIndexByte(end.Bucket, ':')+1:]
	case ops.KindAthena:
		end.Table = what
	default:
		// A name stands as an ARN until the service has been asked for the real one.
		if end.ARN == "" {
			end.ARN = ops.ARN(what)
		}
	}
	return end, nil
}

// settings chooses the order and the pace.
func (d *Desk) settings(plan *ops.ReplayPlan, ask ops.ReplayAsk, lim Limits) {
	p := &plan.Pace
	p.Speed, p.MaxGap, p.Headroom = ask.Speed, ask.MaxGap, ask.Headroom
	p.Order, p.Lanes, p.Rate, p.Memory = cmp.Or(ask.Order, OrderKey), ask.Lanes, ask.Rate, inMemory
	if !slices.Contains([]string{OrderNone, OrderKey, OrderShard}, p.Order) {
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("%q is no order: none, key or shard", p.Order))
	}
	if p.Lanes <= 0 {
		p.Lanes = defaultLanes
	}
	p.Lanes = min(p.Lanes, ops.MostLanes)
	if lim.Ordered { // a file: one writer
		p.Lanes = 1
	}
	p.Readers = min(8, max(1, len(plan.Parts)))
	if plan.From.Kind == ops.KindStream { // a shard gives 2 MiB a second and no more: they are read together
		p.Readers = min(64, max(1, len(plan.Parts)))
	}
	if stored(plan.From.Kind) && p.Order != OrderNone { // one object after the other, else a key's events overtake each other
		p.Readers = 1
		kept := "the order of the objects' names and of the records in them: Firehose and its retries do not promise that this is the order of the events"
		if rowsOf(*plan) {
			kept = "the order of the objects that UNLOAD wrote, and of the rows in them: UNLOAD promises none"
		}
		plan.Facts = append(plan.Facts, ops.Fact{Name: "order kept", Value: kept})
	}
	if plan.Map.KeepShard && plan.To.Kind != ops.KindStream {
		plan.Blockers = append(plan.Blockers, "only a stream has shards to keep")
	}
}

// guardsOf watches the dead-letter queues behind the target, the functions that it sets
// going, and how far its consumers are behind.
func (d *Desk) guardsOf(ctx context.Context, plan *ops.ReplayPlan, ask ops.ReplayAsk) error {
	for _, l := range reach(plan.To.ARN, ask.Links) {
		if l.Kind != ops.LinkDeadLetter || slices.ContainsFunc(plan.Guards, func(g ops.ReplayGuard) bool { return g.ARN == l.To }) {
			continue
		}
		was, err := d.depthOf(ctx, l.To)
		if err != nil {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("its dead-letter queue %s cannot be watched: %s", l.To.Name(), ops.AsProblem(d.explain("ask for its depth", err)).What))
			continue
		}
		plan.Guards = append(plan.Guards, ops.ReplayGuard{ARN: l.To, What: ops.GuardDepth, Was: ops.Know(was, d.o.Now()), Most: was + float64(cmp.Or(ask.Grow, growthAllowed))})
	}
	d.metricGuards(ctx, plan, ask)
	if len(plan.Guards) > 0 && ask.Canary == 0 {
		plan.Pace.Canary = canaryRecords
	} else {
		plan.Pace.Canary = max(0, ask.Canary)
	}
	plan.Pace.CanaryWait, plan.Pace.CanaryMost = 0, 0
	if plan.Pace.Canary > 0 {
		plan.Pace.CanaryWait = canarySeconds
		if len(byMetric(plan.Guards)) > 0 {
			plan.Pace.CanaryMost = canaryMost
		}
	}
	return nil
}

// reach are the arrows behind a resource, near ones first.
func reach(from ops.ARN, links []ops.Link) []ops.Link {
	var out []ops.Link
	seen := map[ops.ARN]bool{from: true}
	for front := []ops.ARN{from}; len(front) > 0; {
		var next []ops.ARN
		for _, at := range front {
			for _, l := range links {
				if l.From != at {
					continue
				}
				out = append(out, l)
				if !seen[l.To] {
					seen[l.To] = true
					next = append(next, l.To)
				}
			}
		}
		front = next
	}
	return out
}

// radius says what a replay sets going behind its target, and refuses one that feeds
// its own source.
func radius(plan *ops.ReplayPlan, links []ops.Link) {
	if plan.To.ARN == "" {
		return
	}
	var functions, stores, queues, topics []string
	for _, l := range reach(plan.To.ARN, links) {
		switch l.To.Kind() {
		case ops.KindFunction:
			functions = append(functions, l.To.Name())
		case ops.KindBucket:
			stores = append(stores, l.To.Name())
			if plan.From.Bucket == l.To.Name() {
				plan.Warnings = append(plan.Warnings, fmt.Sprintf("what is sent to %s is archived again into %s, from where it is read: the archive will hold these events twice", plan.To.Name(), l.To.Name()))
			}
		case ops.KindQueue:
			if l.Kind != ops.LinkDeadLetter {
				queues = append(queues, l.To.Name())
			}
		case ops.KindTopic:
			topics = append(topics, l.To.Name())
		}
		if l.To == plan.From.ARN {
			plan.Blockers = append(plan.Blockers, fmt.Sprintf("what is sent to %s comes back to %s: the replay would feed itself", plan.To.Name(), plan.From.Name()))
		}
	}
	if plan.To.ARN == plan.From.ARN {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s is both source and target: every consumer of it gets these events again", plan.To.Name()))
	}
	var parts []string
	for _, x := range []struct {
		verb  string
		names []string
	}{{"runs", functions}, {"is archived in", stores}, {"fills", queues}, {"goes through", topics}} {
		if len(x.names) > 0 {
			slices.Sort(x.names)
			parts = append(parts, x.verb+" "+strings.Join(slices.Compact(x.names), ", "))
		}
	}
	if len(parts) > 0 {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "sets going", Value: strings.Join(parts, "; ")})
	} else if links != nil {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "sets going", Value: "nothing that kxops sees behind " + plan.To.Name()})
	}
}

var errSampled = errors.New("enough was read")

// sample tries the selection on the first records, and estimates from them.
func (d *Desk) sample(ctx context.Context, plan *ops.ReplayPlan, src source, dst target) ([]ops.ReplaySample, error) {
	except, err := d.sentBy(plan.Select.Except)
	if err != nil {
		return nil, err
	}
	choose, err := newChooser(plan.Select, except)
	if err != nil {
		return nil, err
	}
	mapping, err := newMapper(*plan)
	if err != nil {
		return nil, err
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	if w, ok := src.(taster); ok {
		src = w.taste()
	}
	t := &tasting{plan: plan, choose: choose, mapping: mapping, target: dst, keys: map[string]bool{}}
	for i, part := range plan.Parts {
		err := src.read(ctx, *plan, i, "", func(p Page) error { return t.page(i, p) })
		if errors.Is(err, errSampled) || ctx.Err() != nil {
			break
		}
		if err != nil {
			return nil, d.explain("read "+part.ID, err)
		}
		t.whole++
	}
	t.estimate()
	newer := d.newer(whole, plan, src, t.keys, t.whole == len(plan.Parts))
	for i, s := range t.samples {
		if s.Taken {
			t.samples[i].Newer = newer[s.Key]
		}
	}
	return t.samples, nil
}

// taster is a source that can be tried without waiting for what may still come.
type taster interface{ taste() source }

// tasting is what a sample found.
type tasting struct {
	plan    *ops.ReplayPlan
	choose  *chooser
	mapping *mapper
	target  target

	samples               []ops.ReplaySample
	whole                 int // parts read to their end
	read, taken, rejected int64
	bytes, out            int64
	odd                   int64 // cannot be judged, mapped or sent
	oddWhy                string
	broken                int64
	keyless               int64
	first, last           time.Time // arrivals of what is meant
	timeless              bool      // of some it is not known
	keys                  map[string]bool
	marked                int64 // carry the mark of a replay
}

func (t *tasting) page(part int, p Page) error {
	t.bytes += p.Bytes
	t.read += int64(len(p.Records) + p.Early)
	t.broken += int64(len(p.Broken))
	for _, r := range p.Records {
		t.record(part, r)
	}
	if t.read >= sampleRecords {
		return errSampled
	}
	return nil
}

func (t *tasting) record(part int, r Record) {
	takes, err := t.choose.takes(r)
	if r.Hop = hops(r); r.Hop > 0 {
		t.marked++
		takes = takes && t.plan.Again
	}
	if takes && err == nil {
		var p Parcel
		if p, err = t.mapping.parcel(r, t.plan.Parts[part]); err == nil {
			err = fits(t.target, p)
			if most := t.target.limits().Record; err == nil && most > 0 && t.target.size(p) > most {
				err = fmt.Errorf("it is larger than %s takes (%d bytes)", t.plan.To.Name(), most)
			}
			t.out += int64(len(p.Body))
			if p.Key == "" {
				t.keyless++
			}
		}
	}
	if err != nil {
		t.odd++
		t.oddWhy = cmp.Or(t.oddWhy, err.Error())
		return
	}
	n := &t.rejected
	if takes {
		n = &t.taken
		t.keys[r.Key] = true
		switch {
		case r.At.IsZero():
			t.timeless = true
		case t.first.IsZero() || r.At.Before(t.first):
			t.first = r.At
		}
		if r.At.After(t.last) {
			t.last = r.At
		}
	}
	if *n++; *n <= samplesOf {
		t.samples = append(t.samples, ops.ReplaySample{Part: t.plan.Parts[part].ID, Key: r.Key, At: r.At, Data: slices.Clone(r.Data), Taken: takes})
	}
}

// estimate works out the whole from the sample.
func (t *tasting) estimate() {
	plan, e := t.plan, &t.plan.Estimate
	e.Sampled, e.Park = int(t.read), int(t.odd)
	at := plan.Created
	total, known := e.Bytes.Value()
	switch all := t.whole == len(plan.Parts); {
	case all:
		e.Records, e.Matched = ops.Know(float64(t.read), at), ops.Know(float64(t.taken), at)
		e.Bytes = ops.Know(float64(t.bytes), at)
	case known && t.bytes > 0:
		e.Records = ops.Know(float64(t.read)*total/float64(t.bytes), at)
		e.Matched = ops.Know(float64(t.taken)*total/float64(t.bytes), at)
	}
	if n, ok := e.Matched.Value(); ok && t.taken > 0 {
		e.USD = costOf(*plan, ops.ReplayCounts{Sent: int64(n), Out: int64(float64(t.out) / float64(t.taken) * n)})
		if plan.Pace.Rate > 0 {
			e.Seconds = ops.Know(n/plan.Pace.Rate, at)
		}
	}
	if bytes, known := e.Bytes.Value(); plan.Outside && plan.From.Kind != ops.KindFile {
		usd, words := transfer(*plan, int64(bytes)), "?"
		if known { // also where nothing is meant: reading is enough
			e.USD += usd
			words = usdText(usd)
		}
		plan.Facts = append(plan.Facts, ops.Fact{Name: "transfer", Value: fmt.Sprintf("what is read leaves AWS for this computer: %s ($%.2f a GB; the 100 GB of a month that are free are not deducted). Run in %s it is free", words, ops.PricePerGBOut, plan.Region)})
	}
	pacing(plan, t.first, t.last, t.whole == len(plan.Parts), t.timeless)
	say := func(format string, a ...any) { plan.Warnings = append(plan.Warnings, fmt.Sprintf(format, a...)) }
	if t.odd > 0 {
		say("%d of %d records that were tried would be parked, not sent: %s", t.odd, t.read, t.oddWhy)
	}
	if t.broken > 0 {
		say("%d pieces of what was tried are no records: they will be named and left out", t.broken)
	}
	switch {
	case t.marked > 0 && plan.Again:
		say("%d of %d records that were tried were replayed before, by their mark, and are sent again", t.marked, t.read)
	case t.marked > 0:
		say("%d of %d records that were tried were replayed before, by their mark: these are left out, unless --allow-rereplay", t.marked, t.read)
	}
	if t.keyless > 0 && plan.Pace.Order == OrderKey && plan.To.Kind != ops.KindFile && plan.To.Kind != ops.KindNull {
		say("records of this source have no key, so no order is kept: --map-key names one, such as --map-key .customer_id")
	}
}

// stored reports sources that are objects in a bucket.
func stored(k ops.Kind) bool {
	return k == ops.KindArchive || k == ops.KindDelivery || k == ops.KindAthena
}

// judge says how a plan has to be confirmed, and what stands against it.
func (d *Desk) judge(plan *ops.ReplayPlan, ask ops.ReplayAsk) {
	e := plan.Estimate
	sameAsQuery(plan)
	if n, ok := e.Matched.Value(); ok && n == 0 && len(plan.Blockers) == 0 {
		if all, known := e.Records.Value(); known && int(all) == e.Sampled {
			why := "none is meant"
			if e.Park > 0 {
				why = fmt.Sprintf("%d of them would be parked, no other is meant", e.Park)
			}
			plan.Blockers = append(plan.Blockers, fmt.Sprintf("nothing is selected: %d records were read, and %s", e.Sampled, why))
		} else {
			plan.Warnings = append(plan.Warnings, fmt.Sprintf("none of the %d records that were tried is meant", e.Sampled))
		}
	}
	secs, _ := e.Seconds.Value()
	bytes, _ := e.Bytes.Value()
	records, _ := e.Records.Value()
	if secs > largeTime.Seconds() || bytes > largeBytes || records > largeRecords {
		plan.Warnings = append(plan.Warnings, "this is large for one machine: it can be paused and resumed, and takes as long as it takes")
	}
	switch plan.To.Kind {
	case ops.KindNull, ops.KindFile:
	default:
		plan.CannotUndo = append(plan.CannotUndo, fmt.Sprintf("what is sent to %s cannot be taken back; consumers that are not idempotent do their work again", plan.To.Name()))
		if ask.Protect {
			plan.Risk = ops.HighRisk
		}
		if !plan.Select.Since.IsZero() || plan.Select.Filter != "" || plan.Select.Contains != "" || len(plan.Select.Keys) > 0 || plan.Select.Shard != "" || plan.From.Kind == ops.KindFile || plan.Query != nil && !plan.Query.Whole {
			break
		}
		plan.Risk = ops.HighRisk
		what := "no window, key or filter: everything is replayed"
		if plan.Query != nil {
			what = "--whole-objects: everything in the objects is replayed, also what the query does not mean"
		}
		plan.Warnings = append(plan.Warnings, what)
	}
	if plan.Risk == ops.HighRisk {
		plan.Confirm = plan.To.Name()
	}
}

// transfer is the list price of what leaves AWS while so many bytes are read, in USD.
func transfer(plan ops.ReplayPlan, bytes int64) float64 {
	if !plan.Outside || plan.From.Kind == ops.KindFile {
		return 0
	}
	return float64(bytes) / (1 << 30) * ops.PricePerGBOut
}

func usdText(usd float64) string {
	if usd < 0.01 {
		return "under $0.01"
	}
	return fmt.Sprintf("$%.2f", usd)
}

// costOf is the list price of what was read and sent, in USD.
func costOf(plan ops.ReplayPlan, c ops.ReplayCounts) float64 {
	usd := transfer(plan, c.Bytes)
	if plan.FanOut != "" { // an hour at least of each shard
		usd += float64(len(plan.Parts))*ops.PricePerFanOutHour + float64(c.Bytes)/(1<<30)*ops.PricePerGBFanOut
	}
	switch plan.From.Kind {
	case ops.KindArchive, ops.KindDelivery, ops.KindAthena:
		usd += float64(len(plan.Parts)) * ops.PricePerBucketGet
	}
	if c.Sent == 0 {
		return usd
	}
	each := int(c.Out / c.Sent)
	switch plan.To.Kind {
	case ops.KindQueue: // ten in a request, each 64 KiB of it billed
		usd += float64(c.Sent) / 10 * float64(ops.QueueRequests(10*each)) * ops.PricePerQueueCall
	case ops.KindTopic:
		usd += float64(c.Sent) / 10 * float64(ops.QueueRequests(10*each)) * ops.PricePerTopicCall
	case ops.KindBus: // 64 KiB of each event are billed as one
		usd += float64(c.Sent) * float64(ops.QueueRequests(each)) * ops.PricePerBusEvent
	case ops.KindFunction:
		usd += float64(c.Sent) * ops.PricePerInvocation
	case ops.KindDelivery:
		units := (each + ops.DeliveryUnit - 1) / ops.DeliveryUnit
		usd += float64(c.Sent) * float64(units*ops.DeliveryUnit) / (1 << 30) * ops.PricePerGBDelivered
	case ops.KindStream: // 25 KiB units of provisioned PUT payload
		usd += float64(c.Sent) * float64((each+putUnit-1)/putUnit) * pricePutUnit
	}
	return usd
}

// Provisioned streams bill PUT payload units of 25 KiB. Source: Kinesis pricing,
// us-east-1; the project's facts on prices.
const (
	putUnit      = 25 << 10
	pricePutUnit = 0.014 / 1e6
)

// unchanged refuses a plan when what it saw has changed.
func (d *Desk) unchanged(ctx context.Context, plan ops.ReplayPlan) error {
	now := plan
	now.Seen, now.Facts, now.Warnings, now.Blockers = map[string]string{}, nil, nil, nil
	now.Parts = nil
	dst, err := d.targetOf(plan)
	if err != nil {
		return err
	}
	if err := dst.find(ctx, &now); err != nil {
		return d.explain("check that nothing has changed since the plan was made", err)
	}
	switch plan.From.Kind {
	case ops.KindArchive, ops.KindDelivery, ops.KindAthena: // each object is read under its ETag
	default:
		src, err := d.sourceOf(plan.From.Kind)
		if err != nil {
			return err
		}
		if err := src.find(ctx, &now); err != nil {
			return d.explain("check that nothing has changed since the plan was made", err)
		}
	}
	d.preflightTarget(ctx, &now)
	changed := drift(plan.Seen, now.Seen)
	changed = append(changed, now.Blockers...)
	if len(changed) == 0 {
		return nil
	}
	p := refused("the world has changed since the plan was made: %s", strings.Join(changed, "; "))
	p.Hint = "make a new plan"
	return p
}

// drift names what was seen and is different now. What is not looked at again does
// not count.
func drift(was, now map[string]string) []string {
	var out []string
	for name, value := range now {
		if before, ok := was[name]; ok && before != value {
			out = append(out, fmt.Sprintf("%s was %s and is %s", name, before, value))
		}
	}
	slices.Sort(out)
	return out
}

// sameTarget refuses to resume into something else.
func (d *Desk) sameTarget(ctx context.Context, plan ops.ReplayPlan) error {
	if plan.To.Kind == ops.KindFile { // it is there already: it is ours
		return nil
	}
	now := plan
	now.Seen, now.Blockers = map[string]string{}, nil
	dst, err := d.targetOf(plan)
	if err != nil {
		return err
	}
	if err := dst.find(ctx, &now); err != nil {
		return d.explain("ask about the target again", err)
	}
	if changed := drift(plan.Seen, now.Seen); len(changed) > 0 {
		return refused("the target is not what it was: %s", strings.Join(changed, "; "))
	}
	return nil
}

// sameSource refuses to go on with a source that does not have what is still to be read:
// a file that was changed, a stream that has trimmed it meanwhile. Objects of an archive
// are each read under their ETag.
func (d *Desk) sameSource(ctx context.Context, s *state) error {
	switch s.plan.From.Kind {
	case ops.KindFile:
		now := s.plan
		now.Seen, now.Blockers, now.Warnings, now.Parts = map[string]string{}, nil, nil, nil
		src, err := d.sourceOf(now.From.Kind)
		if err != nil {
			return err
		}
		if err := src.find(ctx, &now); err != nil {
			return d.explain("ask about the source again", err)
		}
		if changed := drift(s.plan.Seen, now.Seen); len(changed) > 0 {
			return refused("the source is not what it was: %s", strings.Join(changed, "; "))
		}
	case ops.KindStream:
		return d.stillThere(ctx, s)
	}
	return nil
}
