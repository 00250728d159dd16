package ops

import (
	"fmt"
	"strings"
	"time"
)

// ReplaySchema is the version of a saved replay plan.
const ReplaySchema = "kxops/replay-plan/v1"

// Places that a replay reads from or writes to and that are no resource of their own.
const (
	KindArchive Kind = "archive" // objects in a bucket
	KindAthena  Kind = "athena"  // what a query of Athena selects
	KindNull    Kind = "null"    // a rehearsal: nothing is sent
	// KindEventArchive is an archive of EventBridge, which AWS itself replays.
	KindEventArchive Kind = "events-archive"
)

// ReplayEnd is where a replay reads from, or where it sends to.
type ReplayEnd struct {
	Kind   Kind   `json:"kind"` // stream, archive, delivery, athena, queue, topic, bus, function, file, null
	ARN    ARN    `json:"arn,omitempty"`
	URL    string `json:"url,omitempty"`    // queue
	Bucket string `json:"bucket,omitempty"` // archive, delivery, athena
	Prefix string `json:"prefix,omitempty"` // archive, delivery: as it was asked for or described
	Table  string `json:"table,omitempty"`  // athena: DATABASE.TABLE
	Path   string `json:"path,omitempty"`   // file
	Shards int    `json:"shards,omitempty"` // stream that is sent to: how many took records when the plan was made
	Async  bool   `json:"async,omitempty"`  // function: what it does with an event is not awaited
}

// Name is what a person calls it.
func (e ReplayEnd) Name() string {
	switch e.Kind {
	case KindFile:
		return e.Path
	case KindArchive:
		return e.Bucket + "/" + e.Prefix
	case KindAthena:
		return e.Table
	case KindNull:
		return "nowhere (rehearsal)"
	}
	return e.ARN.Name()
}

// ID is what a lock is taken on: one running replay for each target.
func (e ReplayEnd) ID() string {
	if e.ARN != "" {
		return "replay to " + string(e.ARN)
	}
	return "replay to " + string(e.Kind) + " " + e.Path
}

// ReplayPart is what is read in one go and in order: a shard between bounds, an
// object, a file. Parts are frozen when the plan is made.
type ReplayPart struct {
	ID string `json:"id"` // shard id, object key, path
	// After are the parts that have to be read whole before this one: the parents of a shard.
	After []int `json:"after,omitempty"`

	Range string `json:"hash_range_from,omitempty"` // shard: where its range of hash keys begins, decimal
	// Begins is when the first record of a range of sequence numbers arrived; zero: not known.
	Begins time.Time `json:"begins,omitzero"`

	ETag   string    `json:"etag,omitempty"`          // object
	Bytes  int64     `json:"bytes,omitempty"`         // object, file; as stored
	Class  string    `json:"storage_class,omitempty"` // object
	Stored time.Time `json:"last_modified,omitzero"`  // object, file
}

// ReplaySelect says which records are meant. All of it must hold.
type ReplaySelect struct {
	Since    time.Time `json:"since,omitzero"`          // arrival not before
	Until    time.Time `json:"until,omitzero"`          // arrival before
	Keys     []string  `json:"keys,omitempty"`          // partition keys, any of them; for sources that know them
	Shard    string    `json:"shard,omitempty"`         // of a stream, only this one
	First    string    `json:"from_sequence,omitempty"` // … from this sequence number on, decimal
	Last     string    `json:"to_sequence,omitempty"`   // … to this one, which is meant too
	Contains string    `json:"contains,omitempty"`      // the bytes occur in the body
	Filter   string    `json:"filter,omitempty"`        // jq over the body; true selects
	Except   string    `json:"except_replay,omitempty"` // not what this earlier replay sent, by its receipts
}

// ReplayMap says what is sent for a selected record.
type ReplayMap struct {
	Key       string `json:"key,omitempty"`        // jq over the body: the key to send with; "" is the original
	Body      string `json:"body,omitempty"`       // jq over the body: what to send; "" is byte for byte
	KeepShard bool   `json:"keep_shard,omitempty"` // stream to stream: the range of the source shard decides, not the key
	Mark      string `json:"mark"`                 // attributes, body, none
	MarkField string `json:"mark_field,omitempty"` // with body: the field that has the marks
	// To a queue or a topic: attributes of the message that are made of the record.
	Attributes []ReplayAttribute `json:"attributes,omitempty"`
	// To a bus: what a record that is no EventBridge event becomes the detail of.
	EventSource string `json:"event_source,omitempty"`
	DetailType  string `json:"detail_type,omitempty"`
}

// ReplayAttribute is an attribute of a message.
type ReplayAttribute struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"` // jq over the body; "": the one of that name in SNS' envelope
}

// ParseAttribute reads NAME, or NAME=JQ.
func ParseAttribute(s string) ReplayAttribute {
	name, value, _ := strings.Cut(s, "=")
	return ReplayAttribute{strings.TrimSpace(name), strings.TrimSpace(value)}
}

// ReplayPace says how fast and in which order records go.
type ReplayPace struct {
	Order   string  `json:"order"`        // none, key, shard
	Lanes   int     `json:"lanes"`        // requests in the air; a key has one lane
	Readers int     `json:"readers"`      // parts read at once
	Rate    float64 `json:"rate"`         // records a second, at most; 0: what the target takes
	Memory  int64   `json:"memory_bytes"` // of records between reading and sending
	// Speed spaces records as they arrived, so many times as fast; 0: they go as fast as
	// they may. MaxGap is the longest wait between two of them, in seconds; 0: as it was.
	Speed  float64 `json:"speed,omitempty"`
	MaxGap float64 `json:"max_gap_s,omitempty"`
	// Last is the arrival that a paced replay ends with, at most; zero: not known.
	Last time.Time `json:"last_arrival,omitzero"`
	// Headroom is the share of what producers leave free at the target stream that is used,
	// 0 to 1; 0: nobody looks.
	Headroom   float64 `json:"headroom,omitempty"`
	Canary     int     `json:"canary"`        // so many records first, then the guards are asked; 0: no canary
	CanaryWait float64 `json:"canary_wait_s"` // how long the guards watch
	// CanaryMost is how long the canary waits for guards whose numbers are not there yet:
	// metrics are a minute or two behind. 0: for none.
	CanaryMost float64 `json:"canary_most_s,omitempty"`
}

// What a guard of a replay looks at.
const (
	GuardDepth  = "depth"  // messages in a dead-letter queue
	GuardErrors = "errors" // share of a function's calls that fail, 0 to 1
	GuardLag    = "lag"    // seconds that the consumers of a queue or a stream are behind, or a function is
)

// ReplayGuard halts a replay when a number gets worse than it was when the plan was made.
type ReplayGuard struct {
	ARN  ARN     `json:"arn"`
	What string  `json:"what"` // depth, errors, lag
	Was  Reading `json:"was"`  // null: not known
	Most float64 `json:"most"` // halts above
}

// String says when it halts.
func (g ReplayGuard) String() string {
	name, unknown := g.ARN.Name(), string(g.Was.Why())
	was := func(known string) string {
		if unknown != "" {
			return "unknown"
		}
		return known
	}
	switch v := g.Was.Or(0); g.What {
	case GuardErrors:
		return fmt.Sprintf("halts when more than %.3g %% of the calls of %s fail (now %s)", 100*g.Most, name, was(fmt.Sprintf("%.3g %%", 100*v)))
	case GuardLag:
		return fmt.Sprintf("halts when %s is more than %s behind (now %s)", name, Span(g.Most), was(Span(v)))
	default:
		return fmt.Sprintf("halts when %s has more than %.0f messages (now %s)", name, g.Most, was(fmt.Sprintf("%.0f", v)))
	}
}

// ReplaySample is one record that was read for the plan, for a person to look at.
// It is shown and never saved: plans hold no bodies.
type ReplaySample struct {
	Part  string
	Key   string
	At    time.Time
	Data  []byte
	Taken bool
	Newer int // records of its key that came after the window, as far as that was read
}

// ReplayNewer is what came after the window for the keys that are replayed: an old event
// behind a newer one of its key may overwrite what that did.
type ReplayNewer struct {
	Known   int              `json:"keys_known"` // keys that are meant, as far as they are known
	Keys    int              `json:"keys"`       // of these, those with newer records
	Records int64            `json:"records"`    // newer ones of these keys
	Read    int64            `json:"records_read"`
	Asked   []ReplayNewerKey `json:"asked,omitempty"`   // of the keys that were asked for by name
	Partial []string         `json:"partial,omitempty"` // why there may be more; none: all was read
}

// ReplayNewerKey is one key with its newer records.
type ReplayNewerKey struct {
	Key     string    `json:"key"`
	Records int       `json:"records"`
	Newest  time.Time `json:"newest"`
}

// Ways of reading what a query selects.
const (
	QueryRaw  = "raw"  // the objects that its rows lie in, byte for byte
	QueryRows = "rows" // its rows, written anew by UNLOAD
)

// ReplayQuestion is what a person asks Athena.
type ReplayQuestion struct {
	Workgroup string        `json:"workgroup"`               // "": primary
	Where     string        `json:"where"`                   // a condition of Athena's SQL; values stand as ?
	Params    []ReplayParam `json:"parameters,omitempty"`    // one for each ?, in their order
	Mode      string        `json:"mode"`                    // raw, rows; "": raw
	Whole     bool          `json:"whole_objects,omitempty"` // raw: everything in the objects is meant
	Body      string        `json:"body_column,omitempty"`   // rows: the column that is the event; "": the row
	Results   string        `json:"results,omitempty"`       // s3://BUCKET/PREFIX for what Athena writes; "": the workgroup's
}

// ReplayParam is a value that is bound to a query.
type ReplayParam struct {
	Value  string `json:"value"`
	Number bool   `json:"number,omitempty"` // else a text
}

// PastQuery is a query that somebody ran in Athena.
type PastQuery struct {
	ID      string    `json:"id"`
	SQL     string    `json:"sql"`
	State   string    `json:"state"` // Athena's word: SUCCEEDED, FAILED, …
	At      time.Time `json:"submitted"`
	Scanned int64     `json:"scanned_bytes"`
	// From and Question are what a replay asks to select the same; "": it cannot, for Why.
	From     string         `json:"from,omitempty"`
	Question ReplayQuestion `json:"question"`
	Why      string         `json:"why_not,omitempty"`
}

// ReplayQuery is a question with what Athena made of it.
type ReplayQuery struct {
	ReplayQuestion
	SQL      string  `json:"sql"`
	Limit    int64   `json:"scan_limit_bytes,omitempty"` // the workgroup stops a query that scans more; 0: it does not
	ID       string  `json:"query_id,omitempty"`
	Scanned  int64   `json:"scanned_bytes"`
	USD      float64 `json:"usd"` // list price of what was scanned
	Seconds  float64 `json:"took_s"`
	Rows     int64   `json:"rows,omitempty"`        // raw: that the query meant
	Result   string  `json:"result,omitempty"`      // s3:// of Athena's own result, which stays
	Unloaded string  `json:"unloaded_to,omitempty"` // rows: s3:// of the folder that stays
}

// MostUSD is what the query can cost at most, in USD. It reports false where the
// workgroup has no limit.
func (q ReplayQuery) MostUSD() (float64, bool) { return QueryPrice(q.Limit), q.Limit > 0 }

// ReplayAsk is what a person wants replayed; a desk makes a plan of it.
type ReplayAsk struct {
	From     string // stream:NAME, archive:BUCKET/PREFIX, delivery:NAME, athena:DATABASE.TABLE, file:PATH
	To       string // stream:NAME, queue:NAME, topic:NAME, bus:NAME, function:NAME, delivery:NAME, file:PATH, null:
	Select   ReplaySelect
	Map      ReplayMap
	Order    string // "": the plan's choice
	Lanes    int    // 0: the plan's choice
	Rate     float64
	Headroom float64 // share of what is free at the target stream, 0 to 1; 0: nobody looks
	Speed    float64 // spaced as they arrived, so many times as fast; 0: not spaced
	MaxGap   float64 // … and no wait longer than this, in seconds; 0: as it was
	Canary   int     // so many first; 0: the plan's choice, negative: none
	Grow     int     // so many messages may its dead-letter queue grow by, 0: the plan's choice
	Async    bool    // a function's answer is not awaited
	FanOut   bool    // a stream is read by a registered consumer of its own
	Errors   float64 // so much more of a function's calls may fail (0.05: 5 %), 0: the plan's choice
	Lag      float64 // so much further may consumers fall behind, in seconds, 0: the plan's choice
	Again    bool
	Rules    []string // from an archive of events: names of the rules that get them; none: all
	Reason   string
	Links    []Link // what is known of what is behind the target, for its blast radius
	Protect  bool   // the account is protected: its name has to be typed

	Question ReplayQuestion // from athena
	// Agree is asked before a query is started, which costs; its error ends the planning.
	// nil: nobody is asked.
	Agree func(ReplayQuery) error
}

// Replay is how a replay selects what the pointer points at.
func (p Pointer) Replay() (from string, sel ReplaySelect) {
	if p.Kind == S3Object {
		return string(KindArchive) + ":" + p.Bucket + "/" + p.Key, sel
	}
	return string(KindStream) + ":" + p.Stream.Name(), ReplaySelect{Shard: p.Shard, First: p.From, Last: p.To}
}

// ReplayEstimate is what the plan expects. Unknown numbers are missing.
type ReplayEstimate struct {
	Bytes   Reading `json:"bytes"`   // to read, as stored
	Records Reading `json:"records"` // to read
	Matched Reading `json:"matched"` // to send
	Seconds Reading `json:"seconds"`
	USD     float64 `json:"usd"`
	Sampled int     `json:"sampled"` // records that the numbers rest on
	Park    int     `json:"park"`    // of these, how many cannot be judged, mapped or sent
}

// ReplayPlan is a selection of old events, frozen: whole enough to be shown, saved,
// reviewed by a second person and applied as it stands.
type ReplayPlan struct {
	Schema  string    `json:"schema"`
	ID      string    `json:"id"`
	Account string    `json:"account"`
	Alias   string    `json:"alias,omitempty"`
	Region  string    `json:"region"`
	By      string    `json:"by"`
	Reason  string    `json:"reason,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"` // not begun after
	// Outside: it was planned on a computer that is not in AWS, and what is read leaves it.
	Outside bool `json:"outside_aws,omitempty"`
	// FanOut is the name of the consumer that it reads a stream by; "": it polls.
	FanOut string `json:"fan_out,omitempty"`
	// Managed is set where AWS carries it out.
	Managed *ReplayManaged `json:"managed,omitempty"`

	From   ReplayEnd     `json:"from"`
	Query  *ReplayQuery  `json:"query,omitempty"` // from athena: what chose the parts
	Parts  []ReplayPart  `json:"parts"`
	Select ReplaySelect  `json:"select"`
	To     ReplayEnd     `json:"to"`
	Map    ReplayMap     `json:"map"`
	Pace   ReplayPace    `json:"pace"`
	Guards []ReplayGuard `json:"guards,omitempty"`
	Again  bool          `json:"allow_rereplay,omitempty"` // also records that carry a replay's mark

	// Seen is what source and target said when the plan was made: apply refuses when
	// it differs.
	Seen map[string]string `json:"seen,omitempty"`

	Facts      []Fact   `json:"facts,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
	CannotUndo []string `json:"cannot_undo,omitempty"`
	Blockers   []string `json:"blockers,omitempty"`
	// Archived is what has to be brought back before it can be read, when the plan was
	// made. Such a plan waits: see Waits.
	Archived []ReplayCold   `json:"archived,omitempty"`
	Newer    *ReplayNewer   `json:"newer,omitempty"` // from a stream, where the window is over
	Estimate ReplayEstimate `json:"estimate"`
	Risk     Risk           `json:"risk"`
	Confirm  string         `json:"confirm,omitempty"`

	Hash string `json:"sha256"` // of everything above
}

// ReplayManaged is how AWS knows a replay that it carries out.
type ReplayManaged struct {
	Name  string `json:"name"`
	Rules []ARN  `json:"rules,omitempty"` // of the bus, that get the events; none: all
}

// ManagedState is what AWS says of a replay that it carries out. How many events it has
// sent AWS does not say.
type ManagedState struct {
	ID    string    `json:"id"`
	Name  string    `json:"name"`
	State RunState  `json:"state"`
	Says  string    `json:"aws_state,omitempty"` // in AWS' own word
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Last  time.Time `json:"last_replayed,omitzero"` // time of the event that was replayed last
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	Share Reading   `json:"share"` // of the window, 0 to 1
	ETA   Reading   `json:"eta_s"`
}

// ReplayCold is objects of one storage class that has to be restored.
type ReplayCold struct {
	Class   string `json:"storage_class"`
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

// Waits reports a plan that only archived objects stand against: it is saved, its
// objects are asked back, and it is applied when they are there.
func (p ReplayPlan) Waits() bool { return len(p.Archived) > 0 && len(p.Blockers) == 1 }

// ReplayThaw is where the objects of a plan stand now, as S3 says.
type ReplayThaw struct {
	Objects int          `json:"objects"` // of the plan
	Cold    []ReplayCold `json:"cold"`    // archived, and nobody has asked for them
	Coming  []ReplayCold `json:"coming"`  // asked for and on their way
	Back    []ReplayCold `json:"back"`    // archived, with a copy to read
	// Until is when the first of the copies ends; zero: there is none.
	Until time.Time `json:"until,omitzero"`
	// Asked, Tier and Days are how they were asked for from this machine; zero: they were not.
	Asked time.Time `json:"asked,omitzero"`
	Tier  ThawTier  `json:"tier,omitempty"`
	Days  int       `json:"days,omitempty"`
	// Changed are objects that are gone or not what they were when the plan was made.
	Changed []string `json:"changed"`
}

// Ready reports that everything can be read.
func (t ReplayThaw) Ready() bool { return len(t.Cold)+len(t.Coming)+len(t.Changed) == 0 }

// Expected is when the last of what is on its way should be there, by what is typical
// of the tier; zero: not known here.
func (t ReplayThaw) Expected() time.Time {
	var at time.Time
	for _, c := range t.Coming {
		if _, most, ok := ColdOffered(ColdKey{c.Class, t.Tier}); ok && !t.Asked.IsZero() && t.Asked.Add(most).After(at) {
			at = t.Asked.Add(most)
		}
	}
	return at
}

// ReplayThawed is what asking for archived objects has come to.
type ReplayThawed struct {
	Asked   int        `json:"asked"`   // S3 has taken the request
	Already int        `json:"already"` // others had asked
	USD     float64    `json:"usd"`     // of what was asked, with the copies for so many days
	Now     ReplayThaw `json:"now"`
}

// ColdSum is how many objects and bytes there are in all classes.
func ColdSum(of []ReplayCold) (objects int, bytes int64) {
	for _, c := range of {
		objects, bytes = objects+c.Objects, bytes+c.Bytes
	}
	return objects, bytes
}

// Seal sets the hash.
func (p *ReplayPlan) Seal() error {
	sum, err := Sum(p.unsealed())
	p.Hash = sum
	return err
}

// Check reports whether the plan is one of ours and still what was sealed.
func (p ReplayPlan) Check() error {
	return CheckSeal(Seal{p.Schema, p.Hash}, ReplaySchema, p.unsealed())
}

func (p ReplayPlan) unsealed() ReplayPlan {
	p.Hash = ""
	return p
}

// ReplayCounts add up: Read = Rejected + Matched, Matched = Sent + Parked + Held.
type ReplayCounts struct {
	Read     int64 `json:"read"`
	Rejected int64 `json:"rejected"` // by the selection
	Matched  int64 `json:"matched"`
	Sent     int64 `json:"sent"`       // the target has them, with a receipt
	Parked   int64 `json:"parked"`     // the target or the mapping did not take them, or the body cannot be read: see the parked file
	Skipped  int64 `json:"skipped"`    // sent already before a resume, by their receipts: not counted as read
	Repeated int64 `json:"repeated"`   // answers that were lost, each after a send: what was sent again
	Broken   int64 `json:"broken"`     // pieces of the source that are no records: see the parked file
	Bytes    int64 `json:"bytes_read"` // of the source, as stored
	Out      int64 `json:"bytes_sent"`
	Calls    int64 `json:"calls"` // requests that send; not those that read
}

// Add adds other counts.
func (c *ReplayCounts) Add(o ReplayCounts) {
	c.Read += o.Read
	c.Rejected += o.Rejected
	c.Matched += o.Matched
	c.Sent += o.Sent
	c.Parked += o.Parked
	c.Skipped += o.Skipped
	c.Repeated += o.Repeated
	c.Broken += o.Broken
	c.Bytes += o.Bytes
	c.Out += o.Out
	c.Calls += o.Calls
}

// Held is how many were meant and neither sent nor parked.
func (c ReplayCounts) Held() int64 { return c.Matched - c.Sent - c.Parked }

// ReplayProgress is where a replay is.
type ReplayProgress struct {
	ID     string       `json:"id"`
	State  RunState     `json:"state"`
	Counts ReplayCounts `json:"counts"`
	Parts  int          `json:"parts"`                // in all
	Over   int          `json:"parts_done"`           // read and sent whole
	Rate   Reading      `json:"rate"`                 // records sent a second, lately
	Limit  float64      `json:"rate_limit,omitempty"` // that a person has set while it ran, in records a second; 0: as planned
	ETA    Reading      `json:"eta_s"`
	USD    float64      `json:"usd"`
	// The same as a range, by how much the speed of the last minutes varied; and what all of it will have cost.
	Soonest  Reading `json:"eta_soonest_s"`
	Latest   Reading `json:"eta_latest_s"`
	Forecast Reading `json:"forecast_usd"`

	At      time.Time    `json:"position,omitzero"` // arrival of what was sent last
	Started time.Time    `json:"started"`
	Note    string       `json:"note,omitempty"` // why it halted
	Lanes   []ReplayLane `json:"-"`
}

// ReplayLane is one lane: records of the same key are in the same lane.
type ReplayLane struct {
	Waiting  int // records in hand
	Sent     int64
	Allowed  float64 // records a second that the lane allows itself; 0: not held back
	Throttle int64   // answers that asked to slow down
}

// ReplayResult is the end of a replay.
type ReplayResult struct {
	ReplayProgress
	Receipts string   `json:"receipts,omitempty"` // the directory with receipts and parked records
	Sum      string   `json:"sum,omitempty"`      // order-independent hash over what was sent
	Bound    int64    `json:"duplicate_bound"`    // so many records may be at the target twice, at most
	Problem  *Problem `json:"problem,omitempty"`
	Next     []string `json:"next,omitempty"`
}

// ProofSchema is the version of a proof.
const ProofSchema = "kxops/replay-proof/v1"

// ReplayProof is what checking a replay afterwards has shown.
type ReplayProof struct {
	Schema     string        `json:"schema"`
	ID         string        `json:"id"`
	State      RunState      `json:"state"`
	Counts     ReplayCounts  `json:"counts"`
	Sum        string        `json:"sum"` // order-independent hash over the bodies that were sent
	Checks     []ReplayCheck `json:"checks"`
	NotChecked []string      `json:"not_checked,omitempty"` // and why
	Twice      int           `json:"twice"`                 // records that may be at the target more than once
	Receipts   string        `json:"receipts"`
}

// ReplayCheck is one thing that was checked.
type ReplayCheck struct {
	What  string `json:"what"`
	Holds bool   `json:"holds"`
	Says  string `json:"says"` // the numbers
}

// Check adds one.
func (p *ReplayProof) Check(what string, holds bool, says string) {
	p.Checks = append(p.Checks, ReplayCheck{What: what, Holds: holds, Says: says})
}

// Holds reports whether everything that was checked is as it should be.
func (p ReplayProof) Holds() bool {
	for _, c := range p.Checks {
		if !c.Holds {
			return false
		}
	}
	return true
}
