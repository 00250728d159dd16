package ops

import "time"

// PlanSchema is the version of a saved plan.
const PlanSchema = "kxops/plan/v1"

// Verb is what a plan does.
type Verb string

const (
	Redrive   Verb = "redrive"   // send selected messages on, then delete them here
	Move      Verb = "move"      // SQS's own move task: everything
	Archive   Verb = "archive"   // copy to a file, then delete
	Restore   Verb = "restore"   // put an archive back
	Import    Verb = "import"    // send a file of messages
	Edit      Verb = "edit"      // send a corrected message, then delete the original
	Retention Verb = "retention" // change how long a queue keeps messages
)

// Risk says how a plan has to be confirmed.
type Risk int

const (
	LowRisk  Risk = iota // y
	HighRisk             // the name has to be typed
)

// Target is one place that messages go to.
type Target struct {
	ARN   ARN    `json:"arn,omitempty"`
	URL   string `json:"url,omitempty"`
	Kind  Kind   `json:"kind"` // queue, topic, function; "file"
	Path  string `json:"path,omitempty"`
	Count int    `json:"count"`
}

// KindFile is the kind of a target that is a file.
const KindFile Kind = "file"

// Name is what a person calls the target.
func (t Target) Name() string {
	if t.Kind == KindFile {
		return t.Path
	}
	return t.ARN.Name()
}

// Entry is one message of a manifest: enough to recognise it, nothing of its content.
type Entry struct {
	ID     string    `json:"id"`
	Sum    string    `json:"md5"`
	Sent   time.Time `json:"sent"`
	Group  string    `json:"group,omitempty"`
	Source ARN       `json:"source,omitempty"`
	Target int       `json:"to,omitempty"` // index into the plan's targets
}

// Step is one thing a plan does, with the aws-cli line that would do the same.
type Step struct {
	Text    string `json:"text"`
	Command string `json:"command,omitempty"`
}

// Pace says how fast and how carefully messages go.
type Pace struct {
	Rate       float64 `json:"rate"`              // messages a second, 0: as fast as it goes
	Workers    int     `json:"workers"`           // batches in the air
	Canary     bool    `json:"canary"`            // 1, 10, 100, then the rest
	CanaryWait float64 `json:"canary_wait_s"`     // how long to watch for returns after each stage
	MaxReturns float64 `json:"max_returns"`       // share of returned messages over which it halts, 0 to 1
	Careful    bool    `json:"careful"`           // one worker, one message a batch: at most one can become unknown
	Lease      float64 `json:"lease_s,omitempty"` // of what is held meanwhile, 0: two minutes
	Watch      float64 `json:"watch_s"`           // how long to watch for returns at the end
}

// Plan is a change that was worked out by reading only, whole enough to be shown,
// saved, reviewed by a second person and applied as it stands.
type Plan struct {
	Schema  string    `json:"schema"`
	ID      string    `json:"id"` // the operation's id; the journal and the lineage use it
	Verb    Verb      `json:"verb"`
	Account string    `json:"account"`
	Alias   string    `json:"alias,omitempty"`
	Region  string    `json:"region"`
	By      string    `json:"by"`
	Reason  string    `json:"reason,omitempty"`
	Created time.Time `json:"created"`

	From    ARN       `json:"from"`
	FromURL string    `json:"from_url,omitempty"`
	FIFO    bool      `json:"fifo,omitempty"`
	To      []Target  `json:"to,omitempty"`
	Select  Selection `json:"select"`

	Manifest []Entry `json:"manifest,omitempty"`
	Pace     Pace    `json:"pace"`
	Reorder  bool    `json:"accept_reordering,omitempty"`
	Again    bool    `json:"again,omitempty"`  // restore, import: accept that messages are sent that an earlier one sent already
	Invoke   string  `json:"invoke,omitempty"` // function targets: "sync" (default) or "async"
	File     string  `json:"file,omitempty"`   // archive, restore, import, edit: the file
	FileSum  string  `json:"file_sha256,omitempty"`
	Value    string  `json:"value,omitempty"` // retention: the new value in seconds

	// Seen is what the queues said when the plan was made, by ARN and attribute
	// name: apply refuses when it differs.
	Seen map[ARN]map[string]string `json:"seen,omitempty"`

	Facts      []Fact   `json:"facts,omitempty"`
	Steps      []Step   `json:"steps,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
	Changes    []Fact   `json:"changes,omitempty"` // what cannot be kept of the messages: field, and what becomes of it
	CannotUndo []string `json:"cannot_undo,omitempty"`
	Blockers   []string `json:"blockers,omitempty"` // why it cannot be applied as it is
	ETA        float64  `json:"eta_s"`              // seconds, without canary waits; 0: unknown
	Calls      int      `json:"calls"`
	USD        float64  `json:"usd"`
	Risk       Risk     `json:"risk"`
	Confirm    string   `json:"confirm"` // what has to be typed when the risk is high

	Hash string `json:"sha256"` // of everything above
}

// Messages is how many messages the plan is about.
func (p Plan) Messages() int { return len(p.Manifest) }

// Seal sets the hash.
func (p *Plan) Seal() (err error) {
	p.Hash, err = Sum(p.unsealed())
	return err
}

// Check reports whether the plan is one of ours and still what was sealed.
func (p Plan) Check() error {
	return CheckSeal(Seal{Schema: p.Schema, Hash: p.Hash}, PlanSchema, p.unsealed())
}

func (p Plan) unsealed() Plan {
	p.Hash = ""
	return p
}

// RunState is where an operation is.
type RunState string

const (
	Running    RunState = "running"
	Watching   RunState = "watching" // looking for messages that come back
	Paused     RunState = "paused"
	Finishing  RunState = "finishing" // cancelled or halted: completing what is in hand
	Finished   RunState = "done"
	Incomplete RunState = "partial" // done, but some messages were not
	Cancelled  RunState = "cancelled"
	Halted     RunState = "halted" // by its own guard
	Broken     RunState = "failed" // an error stopped it; resume continues
)

// Over reports whether nothing more will happen.
func (s RunState) Over() bool {
	switch s {
	case Finished, Incomplete, Cancelled, Halted, Broken:
		return true
	}
	return false
}

// Progress is one look at an operation. Counts are of messages.
type Progress struct {
	ID       string
	Verb     Verb
	From     ARN
	State    RunState
	Stage    string // "canary 10 of 1,204", "all at 50/s"
	Total    int
	Sent     int // recorded as sent
	Deleted  int // recorded as deleted here
	Pending  int // sent, delete not yet confirmed
	Rejected int
	Unknown  int     // no answer: they stay here and are named in the result
	Returned int     // sent, failed again and back in this queue
	Missing  int     // in the manifest, not found: expired, or taken by somebody else
	Moved    Reading // native task: what SQS says it moved
	Depth    Reading // the queue's own count, for comparison
	Rate     float64 // messages a second, last seconds
	ETA      Reading // seconds
	Started  time.Time
	Until    time.Time // end of a canary wait or of the watch; zero: none
	Calls    int
	USD      float64
	Note     string // what it waits for, or why it stopped
}

// Result is what became of an operation.
type Result struct {
	Progress
	Rejections  []Refusal `json:"rejections,omitempty"`
	UnknownIDs  []string  `json:"unknown_ids,omitempty"`
	ReturnedIDs []string  `json:"returned_ids,omitempty"` // message ids as they were in this queue
	MissingIDs  []string  `json:"missing_ids,omitempty"`
	PendingIDs  []string  `json:"pending_ids,omitempty"`
	Next        []string  `json:"next,omitempty"` // what to do now, one sentence each
	Problem     *Problem  `json:"-"`
}

// Refusal is a message that a target did not take; it is still where it was.
type Refusal struct {
	ID     string `json:"id"`
	Code   string `json:"code"`
	Why    string `json:"why"`
	Sender bool   `json:"sender_fault"` // trying again will not help
}

// Ask is what a person wants done with letters; a desk makes a plan of it.
type Ask struct {
	Verb    Verb
	Queue   ARN
	Select  Selection
	To      string // "" or "origin", queue:NAME, topic:NAME, function:NAME, file:PATH, or a queue's name, URL or ARN
	Native  bool
	Pace    Pace
	Reorder bool // FIFO: accept that order is broken
	Again   bool `json:"again,omitempty"` // restore, import: accept that they are there twice
	Invoke  string
	File    string
	Reason  string
	Edited  *Message      // edit: what to send instead of the one selected
	Keep    time.Duration // retention: the new value
}
