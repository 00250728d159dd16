package ops

import (
	"math"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// line is an hour of one-minute points that ends at noon-1m with value last and
// changes by slope per second.
func line(m Metric, last, slope float64) Measure {
	s := Series{Start: noon.Add(-time.Hour), Step: time.Minute, Points: make([]float64, 60)}
	for i := range s.Points {
		s.Points[i] = last - slope*60*float64(59-i)
	}
	return Measure{Metric: m, Last: s.Last(), Hour: s}
}

// saw climbs from low to high every six minutes.
func saw(m Metric, low, high float64) Measure {
	x := line(m, 0, 0)
	for i := range x.Hour.Points {
		x.Hour.Points[i] = low + (high-low)*float64(i%6)/5
	}
	x.Last = x.Hour.Last()
	return x
}

// wild ends on one point that has nothing to do with the rest.
func wild(x Measure, v float64) Measure {
	x.Hour.Points[len(x.Hour.Points)-1] = v
	x.Last = x.Hour.Last()
	return x
}

// quiet removes the last points of a measure.
func quiet(x Measure, minutes int) Measure {
	for i := len(x.Hour.Points) - minutes; i < len(x.Hour.Points); i++ {
		x.Hour.Points[i] = math.NaN()
	}
	x.Last = x.Hour.Last()
	return x
}

func TestStreamLoss(t *testing.T) {
	stream := func(ms ...Measure) Stream { return Stream{Name: "clicks", Retention: 24 * time.Hour, Measures: ms} }
	for _, c := range []struct {
		name   string
		stream Stream
		in     float64 // seconds, -1: unknown
		motion Motion
		who    string
	}{
		{"stopped: the age grows a second a second", stream(line(IteratorAge, 9*3600, 1)), 15 * 3600, MotionStopped, ""},
		{"half speed: twice the time", stream(line(IteratorAge, 12*3600, 0.5)), 24 * 3600, MotionBehind, ""},
		{"catching up loses nothing", stream(line(IteratorAge, 3600, -0.5)), -1, MotionCatching, ""},
		{"under a minute behind is healthy, whatever the slope", stream(line(IteratorAge, 50, 0.5)), -1, MotionSteady, ""},
		{"one wild point at the retention is no loss", stream(wild(line(IteratorAge, 3, 0), 86400)), -1, MotionSteady, ""},
		{"a sawtooth goes nowhere", stream(saw(IteratorAge, 60, 600)), -1, MotionSteady, ""},
		{"the readers went silent 20 minutes ago", stream(quiet(line(IteratorAge, 30, 0), 20), line(Incoming, 5, 0)), 86400 - 30 - 20*60, MotionStopped, ""},
		{"nothing comes in: no reader is no loss", stream(quiet(line(IteratorAge, 30, 0), 20), line(Incoming, 0, 0)), -1, MotionSteady, ""},
		{"past retention: losing now", stream(line(IteratorAge, 24*3600+5, 1)), 0, MotionStopped, ""},
		{"never read", stream(), -1, MotionUnknown, ""},
		{"the consumer that is as far behind as the stream is named", func() Stream {
			s := stream(line(IteratorAge, 36000, 1))
			s.Consumers = []Consumer{{Name: "fast", Lag: line(FnIteratorAge, 2, 0)}, {Name: "slow", Lag: line(FnIteratorAge, 35990, 1)}}
			return s
		}(), (24*3600 - 35990), MotionStopped, "slow"},
		{"a mapping that gives records up sooner loses sooner", func() Stream {
			s := stream(line(IteratorAge, 3600, 1))
			s.Consumers = []Consumer{{Name: "impatient", MaxRecordAge: 2 * time.Hour, Lag: line(FnIteratorAge, 3600, 1)}}
			return s
		}(), 3600, MotionStopped, "impatient"},
	} {
		got := StreamLoss(c.stream, noon)
		if in := got.In.Or(-1); math.Abs(in-c.in) > 1 {
			t.Errorf("%s: loss in %v, want %v", c.name, in, c.in)
		}
		if got.Motion != c.motion || got.Consumer != c.who {
			t.Errorf("%s: %s by %q, want %s by %q", c.name, got.Motion, got.Consumer, c.motion, c.who)
		}
	}
}

func TestDeadLetterLossCountsFromTheFirstEnqueue(t *testing.T) {
	day := 24 * time.Hour
	queue := func(fifo bool, from ...DeadLetterSource) Queue {
		return Queue{Name: "orders-dlq", FIFO: fifo, Retention: 14 * day, DeadLetterOf: from,
			Measures: Measures{line(Visible, 118, 0), line(OldestAge, 3*86400, 1)}}
	}
	byPolicy := DeadLetterSource{Via: ViaRedrivePolicy, Retention: 4 * day}
	for _, c := range []struct {
		name  string
		queue Queue
		days  float64
		worst bool
	}{
		// alarms facts 0.2: the age metric counts from the move on a standard queue.
		{"standard: the source's retention is subtracted", queue(false, byPolicy), 14 - 4 - 3, true},
		{"FIFO: the move resets the clock", queue(true, byPolicy), 14 - 3, false},
		{"a function's dead letters are sent anew", queue(false, DeadLetterSource{Via: ViaFunctionDLQ}), 14 - 3, false},
		{"the slowest of several sources counts", queue(false, byPolicy, DeadLetterSource{Via: ViaRedrivePolicy, Retention: 10 * day}), 14 - 10 - 3, true},
	} {
		got := QueueLoss(c.queue, noon)
		if d := got.In.Or(-1) / 86400; math.Abs(d-c.days) > 0.001 || got.WorstCase != c.worst {
			t.Errorf("%s: %.3f days worst=%v, want %.3f worst=%v", c.name, d, got.WorstCase, c.days, c.worst)
		}
	}
	short := queue(false, DeadLetterSource{Via: ViaRedrivePolicy, Retention: 20 * day})
	if in := QueueLoss(short, noon).In.Or(-1); in != 0 {
		t.Errorf("retention at most the source's: %v s, want 0: messages can arrive expired", in)
	}
}

func TestAnEmptyQueueLosesNothing(t *testing.T) {
	q := Queue{Retention: time.Hour, Measures: Measures{line(Visible, 0, 0)}}
	if got := QueueLoss(q, noon); got.Motion != MotionSteady {
		t.Errorf("got %+v", got)
	} else if _, ok := got.In.Value(); ok {
		t.Error("an empty queue has a time to loss")
	}
}

// since leaves only the last n points of a measure.
func since(m Measure, n int) Measure {
	points := slices.Clone(m.Hour.Points)
	for i := range len(points) - n {
		points[i] = math.NaN()
	}
	m.Hour.Points = points
	return m
}

func TestBlockedDelivery(t *testing.T) {
	silent := Measure{Metric: Delivered, Last: Missing(NoData)}
	for _, c := range []struct {
		name        string
		d           Delivery
		blocked, ok bool
	}{
		{"in, nothing out", Delivery{BufferInterval: 5 * time.Minute, Measures: Measures{line(Incoming, 100, 0), silent}}, true, true},
		{"in and out", Delivery{BufferInterval: 5 * time.Minute, Measures: Measures{line(Incoming, 100, 0), line(Delivered, 100, 0)}}, false, true},
		{"nothing in", Delivery{Measures: Measures{line(Incoming, 0, 0), silent}}, false, true},
		{"from a stream", Delivery{Source: "arn:aws:kinesis:r:a:stream/x", Measures: Measures{line(SourceRead, 5, 0), silent}}, true, true},
		{"has just begun", Delivery{BufferInterval: 5 * time.Minute, Measures: Measures{since(line(Incoming, 100, 0), 9), silent}}, false, true},
		{"began long enough ago", Delivery{BufferInterval: 5 * time.Minute, Measures: Measures{since(line(Incoming, 100, 0), 14), silent}}, true, true},
		{"unknown", Delivery{}, false, false},
		{"what came out was not read", Delivery{Measures: Measures{line(Incoming, 100, 0)}}, false, false},
		{"what came out is denied", Delivery{Measures: Measures{line(Incoming, 100, 0), {Metric: Delivered, Last: Missing(Denied)}}}, false, false},
	} {
		if blocked, ok := c.d.Blocked(noon); blocked != c.blocked || ok != c.ok {
			t.Errorf("%s: blocked %v known %v", c.name, blocked, ok)
		}
	}
}

func TestSlopeIgnoresOneWildPoint(t *testing.T) {
	m := line(IteratorAge, 100, 0)
	m.Hour.Points[50] = 86400 * 1000 // the known 24 h jump on sparse shards
	if s, ok := m.Hour.Slope(15).Value(); !ok || s != 0 {
		t.Errorf("slope %v known %v, want 0", s, ok)
	}
	gaps := Series{Step: time.Minute, Points: []float64{math.NaN(), 1, math.NaN(), 2}}
	if _, ok := gaps.Slope(15).Value(); ok {
		t.Error("two points make a slope")
	}
}

func TestSettledDropsTheLastTwoMinutes(t *testing.T) {
	s := line(IteratorAge, 0, 0).Hour // last point covers 11:59-12:00
	if n := len(s.Settled(noon).Points); n != 58 {
		t.Errorf("%d points kept, want 58", n)
	}
}

func TestUnknownIsNeverZero(t *testing.T) {
	var r Reading
	if _, ok := r.Value(); ok || r.Why() != NotRead {
		t.Errorf("the zero reading is known: %+v", r)
	}
	if b, err := r.MarshalJSON(); err != nil || string(b) != "null" {
		t.Errorf("json %s %v", b, err)
	}
	if b, err := Know(0, noon).MarshalJSON(); err != nil || string(b) != "0" {
		t.Errorf("json %s %v", b, err)
	}
	if r := Know(math.NaN(), noon); r.Why() != NoData {
		t.Errorf("NaN is a value: %+v", r)
	}
}

func TestSpan(t *testing.T) {
	for s, want := range map[float64]string{0: "0s", 59: "59s", 62: "1m02s", 900: "15m", 3600: "1h", 33120: "9h12m", 86400: "1d", 702000: "8d3h", -120: "-2m"} {
		if got := Span(s); got != want {
			t.Errorf("Span(%v) = %s, want %s", s, got, want)
		}
	}
}
