package cli

import (
	"math"
	"strings"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// statusReport is `kxops status -o json` and one line of `kxops watch`: a
// contract with scripts. Unknown is null, times are UTC, durations seconds.
type statusReport struct {
	Schema    string           `json:"schema"` // kxops/status/v1
	At        time.Time        `json:"at"`     // when the look ended
	TookS     float64          `json:"took_s"`
	Account   accountReport    `json:"account"`
	Worst     string           `json:"worst"` // state of the first resource, "ok" without any
	Counts    map[string]int   `json:"counts"`
	Partial   bool             `json:"partial"` // some section could not be read whole
	Resources []resourceReport `json:"resources"`
	Links     []linkReport     `json:"links"` // how data gets from one to the next
	Sections  []sectionReport  `json:"sections"`
	Spend     spendReport      `json:"spend"`
}

// linkReport is one arrow of the map; its ends need not be among the resources.
type linkReport struct {
	From ops.ARN      `json:"from"`
	To   ops.ARN      `json:"to"`
	Kind ops.LinkKind `json:"kind"` // consumes, delivers, transforms, notifies, subscribes, triggers, dead-letter, on-success
}

type accountReport struct {
	ID      string `json:"id"`
	Alias   string `json:"alias,omitempty"`
	Region  string `json:"region"`
	Profile string `json:"profile,omitempty"`
	Who     string `json:"who"`
}

type resourceReport struct {
	ARN        ops.ARN         `json:"arn"`
	Name       string          `json:"name"`
	Kind       ops.Kind        `json:"kind"`
	DeadLetter bool            `json:"dead_letter,omitempty"`
	State      string          `json:"state"` // page, ticket, ok, asleep, denied, unknown
	Headline   string          `json:"headline"`
	Limit      string          `json:"limit,omitempty"`
	UsedRatio  *float64        `json:"limit_used_ratio"`
	LossInS    *float64        `json:"loss_in_s"`
	WorstCase  bool            `json:"worst_case"` // loss_in_s assumes the worst
	Motion     ops.Motion      `json:"motion"`
	Consumer   string          `json:"consumer,omitempty"` // who is furthest behind
	Why        string          `json:"why,omitempty"`      // the arithmetic of loss_in_s
	Readings   []readingReport `json:"readings"`
	Findings   []findingReport `json:"findings"`
	Alarms     []alarmReport   `json:"alarms"`
}

type readingReport struct {
	Name    ops.Metric  `json:"name"`
	Value   *float64    `json:"value"`
	Unit    ops.Unit    `json:"unit"`
	At      *time.Time  `json:"at"`
	Unknown ops.Unknown `json:"unknown,omitempty"` // why value is null
}

type findingReport struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	Sentence string `json:"sentence"`
	Next     string `json:"next"`
}

type alarmReport struct {
	Name  string     `json:"name"`
	State string     `json:"state"`
	Since *time.Time `json:"since"`
}

type sectionReport struct {
	Name    string         `json:"name"`
	Count   int            `json:"count"`
	Known   int            `json:"known"`
	At      *time.Time     `json:"at"` // null: never read
	Partial bool           `json:"partial"`
	Problem *problemReport `json:"problem"`
}

type problemReport struct {
	Fault ops.Fault `json:"fault"`
	What  string    `json:"what"`
	Hint  string    `json:"hint,omitempty"`
}

type spendReport struct {
	USD        float64 `json:"total_usd"`
	PerHourUSD float64 `json:"per_hour_usd"`
	Calls      int     `json:"calls"`
	Metrics    int     `json:"metrics"`
}

func newStatusReport(s ops.Snapshot, verdicts []alarms.Verdict) statusReport {
	r := statusReport{
		Schema: "kxops/status/v1",
		At:     s.At.UTC(),
		TookS:  rounded(s.At.Sub(s.Started).Seconds()),
		Account: accountReport{
			s.Identity.Account, s.Identity.Alias, s.Identity.Region, s.Identity.Profile, s.Identity.Who,
		},
		Worst:     "ok",
		Counts:    map[string]int{},
		Partial:   s.Partial(),
		Resources: make([]resourceReport, 0, len(verdicts)),
		Links:     make([]linkReport, 0, len(s.Links)),
		Spend:     spendReport{s.Spend.USD, s.Spend.PerHour, s.Spend.Calls, s.Spend.Metrics},
	}
	measures := measuresOf(s)
	for i, v := range verdicts {
		if i == 0 {
			r.Worst = stateWord(v.State)
		}
		r.Counts[stateWord(v.State)]++
		r.Resources = append(r.Resources, newResourceReport(v, measures[v.ARN]))
	}
	for _, l := range s.Links {
		r.Links = append(r.Links, linkReport{l.From, l.To, l.Kind})
	}
	for _, x := range s.Sections() {
		r.Sections = append(r.Sections, sectionReport{x.Name, x.Count, x.Known, when(x.At), x.Partial, newProblemReport(x.Problem)})
	}
	return r
}

func newResourceReport(v alarms.Verdict, measures ops.Measures) resourceReport {
	r := resourceReport{
		ARN: v.ARN, Name: v.Name, Kind: v.Kind, DeadLetter: v.DeadLetter, State: stateWord(v.State),
		Headline: v.Headline, Limit: v.Limit, UsedRatio: number(v.Share),
		LossInS: number(v.Loss.In), WorstCase: v.Loss.WorstCase, Motion: v.Loss.Motion,
		Consumer: v.Loss.Consumer, Why: v.Loss.Why,
		Readings: make([]readingReport, 0, len(measures)),
		Findings: make([]findingReport, 0, len(v.Findings)),
		Alarms:   make([]alarmReport, 0, len(v.Alarms)),
	}
	for _, m := range measures {
		r.Readings = append(r.Readings, readingReport{m.Metric, number(m.Last), m.Metric.Unit(), when(m.Last.At), m.Last.Why()})
	}
	for _, f := range v.Findings {
		r.Findings = append(r.Findings, findingReport{f.Rule, f.Severity.String(), f.Sentence, f.Next})
	}
	for _, a := range v.Alarms {
		r.Alarms = append(r.Alarms, alarmReport{a.Name, a.State, when(a.Since)})
	}
	return r
}

func newProblemReport(p *ops.Problem) *problemReport {
	if p == nil {
		return nil
	}
	return &problemReport{p.Fault, oneLine(p.What), oneLine(p.Hint)}
}

// measuresOf finds the readings of every resource that can have a verdict.
func measuresOf(s ops.Snapshot) map[ops.ARN]ops.Measures {
	m := map[ops.ARN]ops.Measures{}
	for _, x := range s.Streams.Items {
		m[x.ARN] = x.Measures
	}
	for _, x := range s.Deliveries.Items {
		m[x.ARN] = x.Measures
	}
	for _, x := range s.Queues.Items {
		m[x.ARN] = x.Measures
	}
	for _, x := range s.Topics.Items {
		m[x.ARN] = x.Measures
	}
	for _, x := range s.Functions.Items {
		m[x.ARN] = x.Measures
	}
	for _, x := range s.APIs.Items {
		m[x.ARN] = x.Worst().Measures
	}
	return m
}

// stateWord is a state as scripts know it.
func stateWord(s alarms.State) string {
	if s == alarms.StateUnknown {
		return "unknown"
	}
	return strings.ToLower(string(s))
}

// number is a reading as JSON has it: null when unknown, to the millesimal.
func number(r ops.Reading) *float64 {
	v, ok := r.Value()
	if !ok {
		return nil
	}
	v = rounded(v)
	return &v
}

func rounded(v float64) float64 { return math.Round(v*1000) / 1000 }

// when is a time as JSON has it: null when there is none.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
