package ops

import "time"

// Section is one kind of resource as last read. Items stay when a later read
// fails: At says how old they are, Problem why they are not newer.
type Section[T any] struct {
	Items   []T
	At      time.Time // when the items were last confirmed by AWS; zero: never
	Partial bool      // more exist than Items holds (still being read, or some could not be)
	Known   int       // how many exist as far as we know, at least len(Items)
	Problem *Problem  // why the last read failed, nil when it did not
}

// Snapshot is one look at one account and region. It is a value: built once,
// then only read, replaced whole by the next.
type Snapshot struct {
	Identity Identity
	Started  time.Time // when this look began
	At       time.Time // when it ended; zero while it still goes on (a partial snapshot)
	Recalled bool      // painted from the cache of an earlier run, nothing confirmed yet

	Streams    Section[Stream]
	Deliveries Section[Delivery]
	Queues     Section[Queue]
	Topics     Section[Topic]
	Functions  Section[Function]
	Buckets    Section[Bucket]
	APIs       Section[API]
	Alarms     Section[Alarm]

	// Concurrency is how many functions may run at once in this account and region.
	Concurrency Reading

	MetricsAt      time.Time // when metrics were last read; zero: never
	MetricsProblem *Problem
	Links          []Link
	Spend          Spend
	Next           time.Duration // when the next look is due by the pace and the budget
}

// Identity says whose account a snapshot shows.
type Identity struct {
	Account string
	Alias   string // display name from the config, "" for none
	Region  string
	Profile string
	Who     string // caller ARN
}

// SectionState is a section without its items: what a reader needs to judge it.
type SectionState struct {
	Name    string
	Count   int
	Known   int
	At      time.Time
	Partial bool
	Problem *Problem
}

func state[T any](name string, s Section[T]) SectionState {
	return SectionState{name, len(s.Items), max(s.Known, len(s.Items)), s.At, s.Partial, s.Problem}
}

// Sections lists the state of every section in a fixed order.
func (s Snapshot) Sections() []SectionState {
	return []SectionState{
		state("streams", s.Streams),
		state("deliveries", s.Deliveries),
		state("queues", s.Queues),
		state("topics", s.Topics),
		state("functions", s.Functions),
		state("buckets", s.Buckets),
		state("apis", s.APIs),
		state("alarms", s.Alarms),
		{Name: "metrics", At: s.MetricsAt, Problem: s.MetricsProblem},
	}
}

// Partial reports whether any section could not be read whole.
func (s Snapshot) Partial() bool {
	for _, x := range s.Sections() {
		if x.Partial || x.Problem != nil {
			return true
		}
	}
	return false
}

// Spend is what looking has cost, counted as AWS bills at list price: the free
// monthly requests are not deducted, because other tools may have used them.
type Spend struct {
	USD     float64       // since the program started
	PerHour float64       // the pace of the last polls, projected
	Calls   int           // API calls sent
	Metrics int           // metrics requested (the unit GetMetricData bills)
	For     time.Duration // how long this has been going on
}
