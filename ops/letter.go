package ops

import (
	"encoding/json"
	"math"
	"time"
)

// Fact is one named thing, in words ready to be shown (but not yet cleaned: it
// may hold text from outside).
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Layer is one wrapping of a message body: an SNS envelope, gzip, an S3 event.
type Layer struct {
	Kind  string // the decoder's name, such as "SNS envelope"
	Facts []Fact // what it tells, in the order worth reading
	// Body is what is inside, byte for byte as it was there; the next layer is
	// peeled from it. nil for the innermost layer.
	Body  []byte
	Parts [][]byte // where a layer carries several things (KPL aggregate, log events): each of them

	Failure   *Failure // where this layer says why it is here
	Event     string   // type of event: "ObjectCreated:Put", "OrderPlaced", "" when it does not say
	Origin    string   // who produced or failed: an ARN, or what there is
	Pointer   *Pointer // where the data is elsewhere
	Harmless  string   // why this can be put aside, "" when it cannot
	Truncated bool     // the payload was cut by the producer and must not be replayed
}

// Failure is a reason as a producer recorded it.
type Failure struct {
	Type      string    // "UnsupportedImage", "502"
	Message   string    // as it was written
	Stack     []string  // innermost frame first, as far as known
	Function  ARN       // the function that failed, "" when it does not say
	RequestID string    // of the failed invocation
	Condition string    // RetriesExhausted, EventAgeExceeded …
	Attempts  int       // 0: unknown
	At        time.Time // zero: unknown
}

// PointerKind says where the data of a pointer is.
type PointerKind string

const (
	KinesisRange  PointerKind = "kinesis"  // a range of a shard; gone when the stream trims
	DynamoDBRange PointerKind = "dynamodb" // a range of a table stream; gone after 24 h
	S3Object      PointerKind = "s3"       // an extended-client payload or an S3 destination's object
)

// Pointer says where data is that the message itself does not hold.
type Pointer struct {
	Kind     PointerKind
	Stream   ARN
	Shard    string
	From, To string    // sequence numbers, both inclusive
	First    time.Time // approximate arrival of the first record; zero: unknown
	Last     time.Time
	Records  int
	Bucket   string
	Key      string
	Function ARN // the consumer that failed
}

// Cause is why messages are here, as a key that is equal for the same cause.
type Cause struct {
	Key   string // short, stable, can be typed: "UnsupportedImage-3f2a"
	Title string // one line: type and normalised message, or origin, event and shape
	// Stated is true when the messages themselves say the reason; false when the
	// group is made from origin, event type and body shape.
	Stated bool
	Type   string // error type
	Text   string // normalised message: ids, numbers, times masked
	Frame  string // first stack frame
	Origin string
	Event  string
	Shape  string // of the body: sorted field paths, hashed
	// Fields are the paths of a JSON body with the kinds of their values, sorted:
	// "items[].sku string". Only where the messages do not say why; to compare groups.
	Fields []string
	// Family is equal for causes that differ only in message text or body shape.
	Family string
}

// Letter is a message that was looked at, without its body: what a list shows.
// A pile of 100,000 has to fit into memory, so equal strings are shared.
type Letter struct {
	ID       string
	Sent     time.Time // zero: unknown
	Seen     time.Time // when we received it
	Receives int
	Group    string
	Source   ARN    // the queue of the redrive policy, "" when it came another way
	Bytes    int    // body and attributes
	Sum      string // MD5 of the body
	Print    string // hash of body and user attributes: equal for exact duplicates
	Cause    *Cause
	Failed   time.Time // when it failed, as far as it says; zero: unknown
	Event    string
	Origin   string
	Harmless string
	Pointer  bool
	Lossy    bool      // a truncated payload: not to be replayed
	Encoded  bool      // something inside does not stand in the body as it is: gzip, base64, JSON in a string
	Expires  time.Time // zero: unknown; of a stream pointer, when its stream trims the first record if that is earlier
	Trims    bool      // Expires is the stream's time: the queue keeps the message longer
	Looks    int       // how often this run received it
}

// CauseGroup is all letters of a pile with one cause.
type CauseGroup struct {
	Cause      Cause
	Keys       []string // the cause keys of its letters: one, or several where shapes were folded into one group
	Count      int
	Distinct   int // payloads that differ
	Bytes      int64
	FirstSent  time.Time
	LastSent   time.Time
	FirstLoss  time.Time // when the first of them expires; zero: unknown
	LastFailed time.Time // newest failure time known; zero: unknown
	Sources    []ARN
	Sample     string // id of the newest
	Harmless   int
	Pointers   int
}

// Selection says which letters of a pile are meant. Everything given must hold.
// The zero selection selects nothing: All must be said.
type Selection struct {
	All       bool          `json:"all,omitempty"`
	IDs       []string      `json:"message_ids,omitempty"`
	Cause     string        `json:"group,omitempty"`  // a cause key
	Filter    string        `json:"filter,omitempty"` // jq over the innermost body
	Contains  string        `json:"contains,omitempty"`
	Attribute string        `json:"attribute,omitempty"` // name or name=value
	OlderThan time.Duration `json:"-"`                   // in JSON older_than_s, seconds
	NewerThan time.Duration `json:"-"`                   // in JSON newer_than_s, seconds
	Source    ARN           `json:"source,omitempty"`
}

// savedSelection is a Selection in JSON: ages are in seconds there, as everywhere.
type savedSelection struct {
	plainSelection
	Older float64 `json:"older_than_s,omitempty"`
	Newer float64 `json:"newer_than_s,omitempty"`
}

type plainSelection Selection

// MarshalJSON writes the ages in seconds.
func (s Selection) MarshalJSON() ([]byte, error) {
	return json.Marshal(savedSelection{plainSelection(s), s.OlderThan.Seconds(), s.NewerThan.Seconds()})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Selection) UnmarshalJSON(text []byte) error {
	var saved savedSelection
	if err := json.Unmarshal(text, &saved); err != nil {
		return err
	}
	seconds := func(n float64) time.Duration { return time.Duration(math.Round(n * float64(time.Second))) }
	*s = Selection(saved.plainSelection)
	s.OlderThan, s.NewerThan = seconds(saved.Older), seconds(saved.Newer)
	return nil
}

// Empty reports whether nothing was said.
func (s Selection) Empty() bool {
	return !s.All && len(s.IDs) == 0 && s.Cause == "" && s.Filter == "" && s.Contains == "" && s.Attribute == "" &&
		s.OlderThan == 0 && s.NewerThan == 0 && s.Source == ""
}

// PeekCost is what a look would do, said before it is done.
type PeekCost struct {
	Messages int           // at most this many are leased
	Lease    time.Duration // nobody else sees them for that long, unless released before
	Calls    int           // about
	USD      float64
	Warnings []string // receive count, alarms, second redrive policy, FIFO group lock: each one sentence
	// FromMemory is set when this run has looked twice already: the third look is
	// answered from memory, for it would send the messages to the back of the queue.
	FromMemory bool
}

// LookProgress is how far a look got.
type LookProgress struct {
	Read, Want, Held int
	Calls            int
	Depth            Reading   // what the queue said it holds
	Until            time.Time // when the leases end
	Done             bool
	Note             string // "stopped: three long polls found nothing", "throttled, slower" …
}
