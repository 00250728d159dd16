package ops

import (
	"fmt"
	"time"
)

// The numbers below come from alarms facts 6.1 and the AWS pages they cite.
const (
	// directPutKeep is how long Firehose keeps Direct PUT data while it retries.
	directPutKeep = 24 * time.Hour
	// minDeadLetterLife is the floor of the worst-case life of a message in a
	// standard dead-letter queue (rule dlq.loss: the formula never falls below 1 h).
	minDeadLetterLife = time.Hour
	slopePoints       = 15
)

// Motion says where a lag or a depth is going.
type Motion string

const (
	MotionUnknown  Motion = "?"
	MotionSteady   Motion = "steady"
	MotionStopped  Motion = "stopped"  // the reader does not move: lag grows one second a second
	MotionBehind   Motion = "behind"   // the reader is slower than the writer
	MotionCatching Motion = "catching" // the lag shrinks
	MotionGrowing  Motion = "growing"  // a depth grows
	MotionDraining Motion = "draining" // a depth shrinks
)

// Loss is how long it takes until data is lost, with the arithmetic.
type Loss struct {
	// In is the seconds until the first loss if nothing changes; 0 or less means
	// data is being lost now. Unknown when nothing is at risk or it cannot be told.
	In Reading
	// WorstCase marks an estimate that assumes the worst (printed as "*").
	WorstCase bool
	// Used is the share of the retention already used, 0 to 1.
	Used Reading
	// Slope is the change of the lag in seconds per second (streams, queues) or
	// of the depth in messages per second (dead-letter queues).
	Slope  Reading
	Motion Motion
	// Recovery is the seconds until a shrinking lag or depth reaches zero.
	Recovery Reading
	// Consumer names the reader that is furthest behind, where it can be told.
	Consumer string
	// Why is the arithmetic in one line.
	Why string
}

// StreamLoss returns when records of the stream will be trimmed unread. The
// slowest reader decides: the stream's own iterator age is the worst of all
// polling consumers and names none, so per-consumer lags are used where they are
// at least as bad.
func StreamLoss(s Stream, now time.Time) Loss {
	worst := s.Measures.Get(IteratorAge)
	consumer := ""
	limit := s.Retention
	for _, c := range s.Consumers {
		lag, ok := c.Lag.Last.Value()
		if !ok {
			continue
		}
		keep := s.Retention
		if c.MaxRecordAge > 0 && c.MaxRecordAge < keep {
			keep = c.MaxRecordAge
		}
		have, known := worst.Last.Value()
		// 5 % slack: two metrics of one reader never agree to the second.
		if !known || keep.Seconds()-lag < limit.Seconds()-have || lag >= have*0.95 && consumer == "" {
			worst, consumer, limit = c.Lag, c.Name, keep
		}
	}
	if since, ok := s.unreadSince(); ok {
		age := worst.Last.Or(0) + since.Seconds()
		at := worst.Last.At.Add(since)
		return Loss{
			In: Know(max(limit.Seconds()-age, 0), at), Used: Know(age/limit.Seconds(), at), Slope: Know(1, at),
			Motion: MotionStopped, Recovery: Missing(NoData),
			Why: fmt.Sprintf("retention %s − age %s when the readers went silent − %s since", Span(limit.Seconds()), Span(worst.Last.Or(0)), Span(since.Seconds())),
		}
	}
	return lagLoss(worst, limit, minuteBehind, consumer, "retention", now)
}

// silentAfter is how long a stream with traffic may go without a reading consumer:
// the readers that AWS runs poll every second, so minutes without one are no gap.
const silentAfter = 10 * time.Minute

// unreadSince returns for how long records have come in while nobody read: the
// iterator age of a stream vanishes with its last reader.
func (s Stream) unreadSince() (time.Duration, bool) {
	age, in := s.Measures.Last(IteratorAge), s.Measures.Get(Incoming)
	_, read := age.Value()
	if _, arriving := in.Last.Value(); !read || !arriving || s.Retention <= 0 {
		return 0, false
	}
	since := in.Last.At.Sub(age.At)
	sum, _ := sumSince(in.Hour, age.At.Add(time.Minute))
	return since, since >= silentAfter && sum > 0
}

// Unread reports whether records come in and the consumers that should poll for
// them do not. ok is false when the metrics cannot tell.
func (s Stream) Unread() (unread, ok bool) {
	polled := false
	for _, c := range s.Consumers {
		polled = polled || c.Polls() && c.State != "Disabled"
	}
	in := s.Measures.Get(Incoming)
	if _, known := in.Last.Value(); !polled || !known {
		return false, false
	}
	if s.Measures.Last(IteratorAge).Why() == NoData { // not once in the hour
		sum, _ := sumSince(in.Hour, in.Last.At.Add(-silentAfter))
		return sum > 0, true
	}
	_, unread = s.unreadSince()
	return unread, true
}

// minuteBehind is a healthy reader of a stream breathing.
const minuteBehind = time.Minute

// lagLoss is the loss of a reader that is age behind and may be keep behind; under
// healthy it is not behind at all.
func lagLoss(m Measure, keep, healthy time.Duration, consumer, keepWord string, now time.Time) Loss {
	loss := Loss{Consumer: consumer, Motion: MotionUnknown}
	age, ok := m.Last.Value()
	if !ok || keep <= 0 {
		loss.In, loss.Used, loss.Slope, loss.Recovery = Missing(m.Last.Why()), Missing(m.Last.Why()), Missing(m.Last.Why()), Missing(m.Last.Why())
		return loss
	}
	settled := m.Hour.Settled(now)
	if usual, known := median(settled.Points[max(0, len(settled.Points)-5):]); known && age >= keep.Seconds() && usual < keep.Seconds()/2 {
		age = usual // one wild point at the retention is no loss: see Slope
	}
	loss.Used = Know(age/keep.Seconds(), m.Last.At)
	loss.Slope = settled.Slope(slopePoints)
	s, known := loss.Slope.Value()
	left := keep.Seconds() - age
	switch {
	case left <= 0:
		loss.In, loss.Motion = Know(0, m.Last.At), MotionStopped
		loss.Why = fmt.Sprintf("age %s has reached the %s of %s: the oldest data is being lost now", Span(age), keepWord, Span(keep.Seconds()))
		return loss
	case age < healthy.Seconds():
		loss.Motion = MotionSteady
	case !known:
		loss.Motion = MotionUnknown
		return loss
	case s > -0.02 && s < 0.02 || !settled.moves(s):
		loss.Motion = MotionSteady
	case s >= 0.9:
		loss.Motion = MotionStopped
	case s > 0:
		loss.Motion = MotionBehind
	default:
		loss.Motion = MotionCatching
		loss.Recovery = Know(age/-s, m.Last.At)
	}
	if loss.Motion == MotionStopped || loss.Motion == MotionBehind {
		loss.In = Know(left/s, m.Last.At)
		loss.Why = fmt.Sprintf("(%s %s − age %s) ÷ %.2f s of age per second", keepWord, Span(keep.Seconds()), Span(age), s)
	} else {
		loss.In = Missing(NoData)
	}
	return loss
}

// DeliveryLoss returns when data in a delivery stream will be lost: a Kinesis
// source keeps it until the stream trims, Direct PUT keeps it for 24 h. keep is
// the retention of the source stream, 0 when it is not known.
func DeliveryLoss(d Delivery, keep time.Duration, now time.Time) Loss {
	if d.Source != "" {
		return lagLoss(d.Measures.Get(SourceBehind), keep, d.StaleAfter(), "", "source retention", now)
	}
	if blocked, ok := d.Blocked(now); ok && blocked {
		// A blocked delivery publishes no freshness at all: count from the last
		// minute in which a record came out, or from the start of what we see.
		m := d.Measures.Get(Incoming)
		age := now.Sub(lastAbove(d.Measures.Get(Delivered).Hour, m.Hour.Start)).Seconds()
		return Loss{
			In:     Know(max(directPutKeep.Seconds()-age, 0), m.Last.At),
			Used:   Know(age/directPutKeep.Seconds(), m.Last.At),
			Slope:  Know(1, m.Last.At),
			Motion: MotionStopped,
			Why:    fmt.Sprintf("24 h kept for Direct PUT − nothing delivered for at least %s", Span(age)),
		}
	}
	return lagLoss(d.Measures.Get(Freshness), directPutKeep, d.StaleAfter(), "", "24 h kept for Direct PUT", now)
}

// StaleAfter is the freshness beyond which a delivery is late: twice its buffer
// interval, at least five minutes more than it (rule fh.stale).
func (d Delivery) StaleAfter() time.Duration {
	return max(2*d.BufferInterval, d.BufferInterval+5*time.Minute)
}

// lastAbove returns the time of the newest point above zero, else the fallback.
func lastAbove(s Series, fallback time.Time) time.Time {
	for i := len(s.Points) - 1; i >= 0; i-- {
		if s.Points[i] > 0 { // false for NaN
			return s.At(i)
		}
	}
	return fallback
}

// Blocked reports whether data goes into the delivery stream and none came out
// for longer than it buffers: the state in which Firehose publishes no freshness
// at all. ok is false when the metrics cannot tell.
func (d Delivery) Blocked(now time.Time) (blocked, ok bool) {
	in := d.in()
	if _, known := in.Last.Value(); !known {
		return false, false
	}
	window := max(2*d.BufferInterval+5*time.Minute, 15*time.Minute)
	from := now.Add(-2*time.Minute - window)
	sumIn, seen := sumSince(in.Hour.Settled(now), from)
	if !seen {
		return false, false
	}
	if first := firstAbove(in.Hour, from); now.Add(-2*time.Minute).Sub(first) < d.BufferInterval+5*time.Minute {
		return false, true // what has just begun to go in need not have come out
	}
	out := d.Measures.Get(Delivered)
	switch out.Last.Why() {
	case NotRead, Denied, Unsupported: // not knowing what came out is not nothing
		return false, false
	}
	sumOut, _ := sumSince(out.Hour.Settled(now), from)
	return sumIn > 0 && sumOut == 0, true
}

// in is what goes in: by PUT or out of the stream.
func (d Delivery) in() Measure {
	if d.Source != "" {
		return d.Measures.Get(SourceRead)
	}
	return d.Measures.Get(Incoming)
}

// TakesIn reports whether records go in.
func (d Delivery) TakesIn() bool {
	n, known := d.in().Last.Value()
	return known && n > 0
}

// firstAbove is when the first point over zero since a time begins, the zero time
// without one.
func firstAbove(s Series, from time.Time) time.Time {
	for i, v := range s.Points {
		if v > 0 && !s.At(i).Before(from) {
			return s.At(i)
		}
	}
	return time.Time{}
}

func sumSince(s Series, from time.Time) (sum float64, seen bool) {
	for i, v := range s.Points {
		if v == v && !s.At(i).Before(from) { // v == v: not NaN
			sum += v
			seen = true
		}
	}
	return sum, seen
}

// QueueLoss returns when messages of a queue will expire.
//
// An ordinary queue: retention − age of the oldest message, but only when nobody
// takes the oldest message or a quarter of the retention is gone; a queue that is
// being worked on loses nothing. A FIFO dead-letter
// queue likewise, because the move resets the clock. In a standard dead-letter
// queue a message keeps its first enqueue time while the age metric counts from
// the move, so up to the source's whole retention must be subtracted: a worst
// case, marked as such.
func QueueLoss(q Queue, now time.Time) Loss {
	age := q.Measures.Get(OldestAge)
	loss := Loss{Motion: MotionUnknown, In: Missing(age.Last.Why()), Used: Missing(age.Last.Why())}
	depth := q.Measures.Get(Visible)
	n, haveDepth := q.Depth().Value()
	if haveDepth && n == 0 {
		loss.Motion = MotionSteady
		return loss
	}
	loss.Slope = depth.Hour.Settled(now).Slope(slopePoints)
	if s, ok := loss.Slope.Value(); ok {
		switch {
		case s > 1.0/3600:
			loss.Motion = MotionGrowing
		case s < -1.0/3600:
			loss.Motion = MotionDraining
			if haveDepth {
				loss.Recovery = Know(n/-s, depth.Last.At)
			}
		default:
			loss.Motion = MotionSteady
		}
	}
	a, ok := age.Last.Value()
	if !ok || q.Retention <= 0 {
		return loss
	}
	if !q.IsDeadLetter() {
		stuck := age.Hour.Settled(now).Slope(slopePoints).Or(0) >= 0.5 && a > 600
		if !stuck && a < q.Retention.Seconds()/4 {
			loss.Used = Know(a/q.Retention.Seconds(), age.Last.At)
			loss.In = Missing(NoData)
			return loss
		}
	}
	keep, spent := q.Retention, time.Duration(0)
	if !q.FIFO {
		for _, d := range q.DeadLetterOf {
			if d.Via == ViaRedrivePolicy {
				spent = max(spent, d.Retention)
			}
		}
	}
	why := fmt.Sprintf("retention %s − oldest %s", Span(keep.Seconds()), Span(a))
	if spent > 0 {
		loss.WorstCase = true
		why += fmt.Sprintf(" − up to %s already spent in the source queue", Span(spent.Seconds()))
		keep = max(keep-spent, minDeadLetterLife)
	}
	left := keep.Seconds() - a
	loss.Used = Know(min(a/keep.Seconds(), 1), age.Last.At)
	loss.In = Know(max(left, 0), age.Last.At)
	loss.Why = why
	return loss
}

// Span prints a duration in seconds the way people say it: two units at most.
func Span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	day := 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%s%ds", sign, d/time.Second)
	case d < time.Hour:
		if s := d % time.Minute / time.Second; s > 0 && d < 10*time.Minute {
			return fmt.Sprintf("%s%dm%02ds", sign, d/time.Minute, s)
		}
		return fmt.Sprintf("%s%dm", sign, d/time.Minute)
	case d < day:
		if m := d % time.Hour / time.Minute; m > 0 {
			return fmt.Sprintf("%s%dh%02dm", sign, d/time.Hour, m)
		}
		return fmt.Sprintf("%s%dh", sign, d/time.Hour)
	}
	if h := d % day / time.Hour; h > 0 {
		return fmt.Sprintf("%s%dd%dh", sign, d/day, h)
	}
	return fmt.Sprintf("%s%dd", sign, d/day)
}
