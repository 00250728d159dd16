package alarms

import (
	"slices"
	"time"

	"kxops/ops"
)

// PlanSchema is the version of a saved plan.
const PlanSchema = "kxops/alarms-plan/v1"

// What is done with one alarm.
type Action string

const (
	Create  Action = "create"
	Update  Action = "update"
	Adopt   Action = "adopt"   // somebody else's becomes ours
	Delete  Action = "delete"  // ours, asked for by rm or --prune
	Keep    Action = "keep"    // ours, as it should be
	Covered Action = "covered" // somebody else's alarm does it
	Orphan  Action = "orphan"  // ours, of a resource or rule that is gone; not deleted without --prune
)

// Ask is what a person wants done with alarms.
type Ask struct {
	Settings  Settings
	Pipeline  string   // only the resources that are connected with this one
	Rules     []string // only these rules (ids or patterns)
	Resources []string // only these resources (names or patterns)
	Remove    bool     // rm: delete ours, of the tier or all with Tier ""
	Prune     bool     // delete orphans
	Adopt     bool     // take over somebody else's equivalents
	Duplicate bool     // make ours beside them
	Loud      bool     // create with actions on even where many are new
	Reason    string
}

// Item is one alarm of a plan.
type Item struct {
	Action   Action   `json:"action"`
	Name     string   `json:"name"`
	Pipeline string   `json:"pipeline,omitempty"` // the group in which it is shown
	Spec     *Spec    `json:"spec,omitempty"`     // nil for a delete and an orphan
	Changes  []Change `json:"changes,omitempty"`  // of an update or an adoption
	By       []string `json:"covered_by,omitempty"`
	Why      string   `json:"why,omitempty"`  // of an orphan or a delete
	Seen     string   `json:"seen,omitempty"` // sha256 of the alarm as it was read, "" where there was none
	Actions  []string `json:"actions,omitempty"`
	// Gone is the resource of a delete that the survey did not find: it is deleted
	// only if AWS itself says that the resource does not exist.
	Gone ops.ARN `json:"gone,omitempty"`
}

// Change is one field of an alarm that will be different.
type Change struct {
	Field   string `json:"field"`
	Old     string `json:"old"`
	New     string `json:"new"`
	Because string `json:"because,omitempty"` // which setting changed: "retention 24h -> 7d"
}

// Plan is what would be done with the alarms of an account, worked out by reading only.
type Plan struct {
	Schema    string    `json:"schema"`
	ID        string    `json:"id"` // the operation's id in the journal
	Account   string    `json:"account"`
	Alias     string    `json:"alias,omitempty"`
	Region    string    `json:"region"`
	By        string    `json:"by"`
	Reason    string    `json:"reason,omitempty"`
	Created   time.Time `json:"created"`
	Catalogue int       `json:"catalogue"`
	Tier      Tier      `json:"tier"`
	Page      ops.ARN   `json:"page_topic,omitempty"`
	Ticket    ops.ARN   `json:"ticket_topic,omitempty"`
	Quiet     bool      `json:"quiet_rollout,omitempty"` // created with actions off, switched on after one evaluation

	Items    []Item    `json:"items"`
	Skipped  []Skipped `json:"skipped,omitempty"`
	Findings []Finding `json:"findings,omitempty"` // what is wrong and no alarm can help
	Warnings []string  `json:"warnings,omitempty"`
	Blockers []string  `json:"blockers,omitempty"`
	Partial  []string  `json:"partial,omitempty"` // what could not be read: nothing is deleted then

	USDMonth float64 `json:"usd_month"` // by how much the bill grows; the ten free alarm metrics are not deducted
	Seconds  float64 `json:"eta_s"`     // at CloudWatch's quota of writes

	Hash string `json:"sha256"` // of everything above
}

// Progress is one look at a plan that is being applied.
type Progress struct {
	ID      string
	Done    int
	Total   int
	Name    string      // the alarm that was written last
	ETA     ops.Reading // s
	Note    string      // "throttled: slower", "waiting for the first evaluation"
	Started time.Time
}

// Result is what became of a plan.
type Result struct {
	ID      string    `json:"id"`
	Created int       `json:"created"`
	Updated int       `json:"updated"`
	Deleted int       `json:"deleted"`
	Failed  []Failure `json:"failed,omitempty"`
	Left    int       `json:"left"` // interrupted: not tried, or created and its actions not switched on
	// Ringing are the alarms that are in ALARM already, after a quiet rollout: their
	// actions did not run.
	Ringing []string `json:"in_alarm,omitempty"`
	Next    []string `json:"next,omitempty"`
}

// Failure is an alarm that could not be written or deleted.
type Failure struct {
	Name string `json:"name"`
	Why  string `json:"why"`
	Hint string `json:"hint,omitempty"`
}

// Cover says who watches a resource for what a rule is about.
type Cover string

const (
	CoverOurs    Cover = "ours"
	CoverForeign Cover = "foreign"
	CoverMissing Cover = "missing"
	CoverNone    Cover = "n/a"
	CoverUnknown Cover = "?"
	CoverOff     Cover = "off"
	CoverMuted   Cover = "muted"
)

// Coverage is resource × rule.
type Coverage struct {
	Rules   []string // ids, in the catalogue's order
	Rows    []CoverRow
	Partial []string
}

// CoverRow is one resource.
type CoverRow struct {
	Resource ops.ARN
	Pipeline string
	Cells    []CoverCell // one for each rule
	Missing  int
}

// CoverCell is one rule on one resource.
type CoverCell struct {
	Cover  Cover
	Alarms []string // the alarms that do it
	State  string   // the worst of their states
	Why    string   // why it does not apply, or what could not be read
}

// Severities of what the doctor finds.
type Ailment struct {
	Alarm    string   `json:"alarm,omitempty"`
	Kind     string   `json:"kind"` // a word for scripts: no_action, actions_off, topic_gone, topic_policy, topic_key, no_subscriber, unconfirmed, action_failed, no_metric, no_data, evaluation_error, rule_off …
	What     string   `json:"what"`
	Fix      string   `json:"fix"` // a command, or a sentence where there is none
	Severity Severity `json:"severity"`
	Unknown  bool     `json:"unknown,omitempty"` // could not be checked
	Alarms   []string `json:"alarms,omitempty"`  // all that suffer from the same cause
}

// Checkup is the doctor's report.
type Checkup struct {
	Checked  int       `json:"checked"` // alarms
	Healthy  int       `json:"healthy"` // whose actions should reach somebody
	Ailments []Ailment `json:"ailments,omitempty"`
	Partial  []string  `json:"partial,omitempty"`
}

// Drill is one proof that an alarm reaches its actions.
type Drill struct {
	Alarm   string        `json:"alarm"`
	Actions []DrillAction `json:"actions"`
	Reset   bool          `json:"reset"` // the state is back
	Took    float64       `json:"took_s"`
	Note    string        `json:"note,omitempty"`
	// Deserted are the topics of it that nobody listens to: SNS takes their messages all the same.
	Deserted []string `json:"deserted,omitempty"`
}

// Proven reports whether every action was done and the state is back.
func (d Drill) Proven() bool {
	return d.Reset && len(d.Actions) > 0 && !slices.ContainsFunc(d.Actions, func(a DrillAction) bool { return !a.Delivered })
}

// DrillAction is what became of one action.
type DrillAction struct {
	ARN       ops.ARN `json:"arn"`
	Delivered bool    `json:"delivered"`
	Failed    bool    `json:"failed"`
	What      string  `json:"what"` // CloudWatch's own words
}

// Mute keeps actions of alarms from running for a while.
type Mute struct {
	Name   string    `json:"name"`
	Alarms []string  `json:"alarms"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Ours   bool      `json:"ours"`
	Reason string    `json:"reason,omitempty"`
	State  string    `json:"state"` // active, scheduled, expired
}

// Trial is one alarm tried on the past.
type Trial struct {
	Name      string    `json:"name"`
	Rule      string    `json:"rule"`
	Resource  ops.ARN   `json:"resource,omitempty"`
	Fired     int       `json:"fired"`     // how many times it would have gone to ALARM
	Longest   float64   `json:"longest_s"` // the longest time in ALARM
	Total     float64   `json:"total_s"`
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	Ringing   bool      `json:"in_alarm"`         // at the end
	Points    int       `json:"points"`           // real datapoints
	Periods   int       `json:"periods"`          // that could have had one
	Factor    float64   `json:"factor,omitempty"` // times the threshold that gives at most one alarm a week; 0 where none is needed or none helps
	Unknown   string    `json:"unknown,omitempty"`
	Threshold float64   `json:"threshold"`

	// Spells are the times in ALARM, oldest first; at most MaxSpells, the newest ones.
	// A picture is drawn from them.
	Spells []Spell `json:"spells,omitempty"`
}

// MaxSpells bounds the spells of one trial.
const MaxSpells = 200

// Spell is one time in ALARM.
type Spell struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"` // the end of the history where it is not over
}

// Backtest is a set of alarms tried on the past.
type Backtest struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Trials []Trial   `json:"trials"`
	USD    float64   `json:"usd"`
	Calls  int       `json:"calls"`
}
