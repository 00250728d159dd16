package ops

import "time"

// Arrivals is how much arrived at a source of old events, in steps of one length.
type Arrivals struct {
	What  string    // what is counted: ArrivedRecords or ArrivedBytes
	Begin time.Time // of the first step
	Step  time.Duration
	Steps []Reading // oldest first; the last one may not be over
	Note  string    // what a person has to know of the numbers, "" nothing
}

// What is counted.
const (
	ArrivedRecords = "records"
	ArrivedBytes   = "bytes"
)

// End is the end of the last step.
func (a Arrivals) End() time.Time { return a.Begin.Add(time.Duration(len(a.Steps)) * a.Step) }

// Within is how much arrived in a window; of a step that lies half inside, half. Where
// whole is false some steps of it are unknown: there is at least so much.
func (a Arrivals) Within(since, until time.Time) (sum Reading, whole bool) {
	total, known := 0.0, false
	whole = !since.Before(a.Begin) && !until.After(a.End())
	for i, r := range a.Steps {
		from := a.Begin.Add(time.Duration(i) * a.Step)
		to := from.Add(a.Step)
		inside := minTime(to, until).Sub(maxTime(from, since))
		if inside <= 0 {
			continue
		}
		v, ok := r.Value()
		if !ok {
			whole = false
			continue
		}
		known = true
		total += v * float64(inside) / float64(a.Step)
	}
	if !known {
		return Missing(NoData), false
	}
	return Know(total, a.End()), whole
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
