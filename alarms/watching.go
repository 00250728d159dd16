package alarms

import (
	"time"

	"kxops/ops"
)

// Tier is the set of alarms that a rule belongs to. A larger set has the smaller ones.
type Tier string

const (
	Essential   Tier = "E" // data is being lost, or will be
	Recommended Tier = "R" // earlier and more exact
	Full        Tier = "F" // capacity and hygiene
	OptIn       Tier = "O" // needs a baseline or a taste: only where an override asks for it
)

// Within reports whether a rule of this tier is in the set that was asked for.
func (t Tier) Within(set Tier) bool {
	rank := map[Tier]int{Essential: 1, Recommended: 2, Full: 3, OptIn: 4}
	return rank[t] > 0 && rank[t] <= rank[set] && (t != OptIn || set == OptIn)
}

// Catalogue is the version of the rules: a saved plan of another one is refused.
const Catalogue = 1

// Comparison is CloudWatch's word for how a datapoint is compared with the threshold.
type Comparison string

const (
	Above   Comparison = "GreaterThanThreshold"
	AtLeast Comparison = "GreaterThanOrEqualToThreshold"
	Below   Comparison = "LessThanThreshold"
	AtMost  Comparison = "LessThanOrEqualToThreshold"
)

// What CloudWatch does with a missing datapoint (TreatMissingData).
const (
	MissingIsGood    = "notBreaching"
	MissingIsBad     = "breaching"
	MissingIsIgnored = "ignore"
	MissingIsMissing = "missing"
)

// Watch is how CloudWatch watches for what a rule is about. The functions draw up
// one alarm for each resource that the rule applies to, or say why there is none;
// those that are nil are for other kinds. A rule that is a mere finding has none.
type Watch struct {
	Tier       Tier
	Stat       string // Maximum, Sum, Average, Minimum, SampleCount, p90 …; of a math alarm each query has its own
	Period     int    // s
	M, N       int    // datapoints to alarm, of evaluation periods; N 0: the draft says
	Comparison Comparison
	Missing    string   // what a missing datapoint counts as
	OK         bool     // tell also when it is over
	Metric     string   // the metric or the math, for the catalogue's table
	Formula    string   // the threshold in words: "0.5 × retention"
	When       string   // what it applies to, in words; "" for always
	Runbook    []string // three steps that name kxops commands
	Source     string   // AWS page, peer, ours
	Unproven   string   // what nobody has tried on AWS yet, "" when all is documented

	Stream   func(ops.Stream, Facts) []Draft
	Delivery func(ops.Delivery, Facts) []Draft
	Queue    func(ops.Queue, Facts) []Draft // queues that receive no dead letters
	Dead     func(ops.Queue, Facts) []Draft // dead-letter queues
	Function func(ops.Function, Facts) []Draft
	Topic    func(ops.Topic, Facts) []Draft
	API      func(ops.API, Facts) []Draft
	Bucket   func(ops.Bucket, Facts) []Draft
	Region   func(Facts) []Draft // one for the account and region
}

// Facts is what a draft may know beside its resource.
type Facts struct {
	Snapshot ops.Snapshot
	Now      time.Time
	// Window is how much time a person should have before the first loss; 0: a day,
	// or a quarter of the retention where that is less.
	Window time.Duration
	// Baselines is what is usual at queues, where that was measured.
	Baselines map[ops.ARN]Baseline

	look // the lookups that the checks use too
}

// Draft is an alarm on one resource as its rule computes it, or why there is none.
type Draft struct {
	Part     string // tells alarms of one rule on one resource apart, such as a consumer's name
	Query    Query  // the metric; zero for a math alarm
	Math     []Query
	Level    float64 // the threshold, before an override's factor
	Unit     string  // of the threshold: ms, s, messages, bytes, records, percent, share
	Formula  string  // with the values: "0.5 × retention 24h"
	Inputs   map[string]string
	M, N     int    // 0: the rule's
	Tier     Tier   // "": the rule's
	Missing  string // "": the rule's
	NoSample bool   // a percentile of few samples keeps the state (EvaluateLowSampleCountPercentile=ignore)

	Skip    string // why the rule does not apply to the resource; then there is no alarm
	Unknown string // which setting could not be read: then there is no alarm, and the plan says so
}

// Query is one metric, or one expression over others (MetricDataQuery).
type Query struct {
	ID         string            `json:"id,omitempty"`
	Namespace  string            `json:"namespace,omitempty"`
	Metric     string            `json:"metric,omitempty"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Stat       string            `json:"stat,omitempty"`
	Period     int               `json:"period_s,omitempty"`
	Expression string            `json:"expression,omitempty"`
	Returns    bool              `json:"returns,omitempty"` // the query whose values are compared
}

// Spec is one CloudWatch alarm as it should be: everything that decides, and why.
type Spec struct {
	Name     string   `json:"name"` // kxops/<rule>/<resource>[/<part>], at most 255 characters, unique
	Rule     string   `json:"rule"`
	Resource ops.ARN  `json:"resource,omitempty"` // "" for one of the region
	Part     string   `json:"part,omitempty"`
	Tier     Tier     `json:"tier"`
	Severity Severity `json:"severity"`

	Query      Query      `json:"query"`
	Math       []Query    `json:"math,omitempty"`
	Stat       string     `json:"stat,omitempty"`
	Period     int        `json:"period_s"`
	M          int        `json:"datapoints_to_alarm"`
	N          int        `json:"evaluation_periods"`
	Comparison Comparison `json:"comparison"`
	Threshold  float64    `json:"threshold"`
	Unit       string     `json:"unit,omitempty"`
	Missing    string     `json:"missing"`
	LowSamples string     `json:"low_samples,omitempty"` // "ignore" or ""
	OK         bool       `json:"ok_actions,omitempty"`

	Formula string            `json:"formula"`
	Inputs  map[string]string `json:"inputs,omitempty"` // setting -> value, as the threshold was computed from them
	Why     string            `json:"why"`
	Runbook []string          `json:"runbook,omitempty"`
	Source  string            `json:"source"`
	Note    string            `json:"note,omitempty"` // an override with its reason, or what is unproven
}

// Metrics is how many alarm metrics AWS bills for it: one, or one for each metric
// of a math alarm.
func (s Spec) Metrics() int {
	n := 0
	for _, q := range s.Math {
		if q.Metric != "" {
			n++
		}
	}
	return max(1, n)
}

// Override is a person's word about a rule, in the configuration or as a tag
// (kxops:alarms) of a resource.
type Override struct {
	Rule      string   // a rule id or a pattern such as "kds.*"; "" for all
	Resource  string   // a name or a pattern; "" for all
	Off       bool     // no alarm
	Tier      Tier     // as if the rule were of this tier; with E it is always there
	Set       Tier     // for a resource: the set of alarms that it gets
	Factor    float64  // times the threshold, 0: 1
	Threshold *float64 // instead of the computed one
	Severity  string   // page, ticket, info; "" the rule's
	Reason    string   // shown in the plan; never empty
	From      string   // where it was said: "config line 12", "tag of the queue"
}

// Settings are what a person decides about the alarms of an account.
type Settings struct {
	Tier      Tier          // the set; "": essential
	Window    time.Duration // the response window, 0: see Facts.Window
	Page      ops.ARN       // topic of alarms that page; "" for none
	Ticket    ops.ARN       // topic of alarms that can wait; "": Page's
	Overrides []Override
	Tags      map[ops.ARN]map[string]string // of resources, as far as read
	Baselines map[ops.ARN]Baseline          // of queues, as far as measured
}

// Baseline is what is usual at a resource, as its history says: p99.9 of two weeks of
// minutes. Exactly one of Measured, Short and Unread is set.
type Baseline struct {
	Usual    float64 // messages
	Measured string  // the day, 2026-11-23
	Short    string  // why there is too little history
	Unread   string  // why it could not be read
}

// The inputs by which an alarm carries its baseline.
const (
	InputUsual    = "usual"
	InputMeasured = "measured"
)

// Skipped is an alarm that a rule does not want or could not draw up.
type Skipped struct {
	Rule     string  `json:"rule"`
	Resource ops.ARN `json:"resource,omitempty"`
	Why      string  `json:"why"`
	Unknown  bool    `json:"unknown,omitempty"` // a setting could not be read
	Off      bool    `json:"off,omitempty"`     // an override or a tag says so
}

// Wanted is every alarm that should exist in an account and region.
type Wanted struct {
	Specs   []Spec // by resource and rule, in the catalogue's order
	Skipped []Skipped
}
