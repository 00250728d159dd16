package dlq

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"strings"
	"sync"
	"time"

	"kxops/ops"
)

// causes is what the letters of one pile share: one *ops.Cause for each cause, and
// one string for each word that comes again and again (origins, event types, group
// ids). It is safe for concurrent use. The table never decides what a cause is: a
// letter has the same cause in every table, whatever else was read before.
type causes struct {
	mu    sync.Mutex
	words map[string]string
	known map[evidence]*ops.Cause
	// frames are lines of stack traces that were read before; no name: not a frame.
	frames map[string]frame
}

func newCauses() *causes {
	return &causes{words: map[string]string{}, known: map[evidence]*ops.Cause{}, frames: map[string]frame{}}
}

// maxWords bounds the table of shared strings: group ids can be as many as messages.
const maxWords = 200_000

// word returns one copy of s for all letters. It never keeps the body alive that s was cut from.
func (c *causes) word(s string) string {
	if s == "" {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w, ok := c.words[s]; ok {
		return w
	}
	s = strings.Clone(s)
	if len(c.words) < maxWords {
		c.words[s] = s
	}
	return s
}

// read makes the letter of a message: what lists, groups and filters need, without the body.
func read(m ops.Message, layers []ops.Layer, q ops.Queue, known *causes) ops.Letter {
	l := ops.Letter{
		ID:       strings.Clone(m.ID),
		Sent:     m.Sent(),
		Seen:     m.At,
		Receives: m.Receives(),
		Group:    known.word(m.Group()),
		Source:   ops.ARN(known.word(string(m.Source()))),
		Bytes:    m.Size(),
		Sum:      m.Sum(),
		Expires:  expiry(m, q),
		Looks:    1,
	}
	l.Print = fingerprint(m, l.Sum)
	for _, layer := range layers {
		if layer.Failure != nil && l.Failed.IsZero() {
			l.Failed = layer.Failure.At
		}
		if layer.Harmless != "" && l.Harmless == "" {
			l.Harmless = known.word(layer.Harmless)
		}
		l.Pointer = l.Pointer || layer.Pointer != nil
		l.Lossy = l.Lossy || layer.Truncated
		l.Encoded = l.Encoded || encoded(m.Body, layer)
	}
	l.Event, l.Origin = known.word(eventOf(layers)), known.word(originOf(layers))
	l.Cause = causeOf(m, layers, known)
	return l
}

// encoded reports whether a layer's inside has to be decoded to be read: a search for
// text can then not rely on the body as it came.
func encoded(body string, layer ops.Layer) bool {
	if layer.Body != nil && !strings.Contains(body, string(layer.Body)) {
		return true
	}
	for _, part := range layer.Parts {
		if !strings.Contains(body, string(part)) {
			return true
		}
	}
	return false
}

// eventOf is the type of the innermost event: a topic's "Notification" says less
// than the "ObjectCreated:Put" that it carries.
func eventOf(layers []ops.Layer) string {
	for i := len(layers) - 1; i >= 0; i-- {
		if layers[i].Event != "" {
			return layers[i].Event
		}
	}
	return ""
}

// originOf is the function that failed, else the innermost producer that is named.
func originOf(layers []ops.Layer) string {
	for _, layer := range layers {
		if layer.Failure != nil && layer.Failure.Function != "" {
			return string(layer.Failure.Function)
		}
	}
	for i := len(layers) - 1; i >= 0; i-- {
		if layers[i].Origin != "" {
			return layers[i].Origin
		}
	}
	return ""
}

// expiry is when SQS deletes the message, by the retention that the queue has now.
//
// Standard queue: a dead letter keeps the time of its first enqueue, so it is
// SentTimestamp + retention of this queue (SQS Developer Guide,
// setting-up-dead-letter-queue-retention). FIFO: the clock starts again on the move,
// and no attribute promises to say when that was. The message was in some queue
// before it was in this one, so SentTimestamp + retention is the earliest moment it
// can go: a worst case, never late. It is zero when either is unknown.
func expiry(m ops.Message, q ops.Queue) time.Time {
	sent := m.Sent()
	if sent.IsZero() || q.Retention <= 0 {
		return time.Time{}
	}
	return sent.Add(q.Retention)
}

// fingerprint is equal for exact duplicates: same body (whose MD5 is sum), same user
// attributes with the same types. The request id that Lambda's dead-letter queue adds
// is left out: it names the attempt, not the event, and two failures of one event are
// duplicates.
func fingerprint(m ops.Message, sum string) string {
	if len(m.Attributes) == 0 {
		return sum
	}
	h := md5.New()
	part(h, sum)
	for _, name := range m.AttributeNames() {
		if name == "RequestID" && byLambda(m) {
			continue
		}
		a := m.Attributes[name]
		part(h, name)
		part(h, a.Type)
		part(h, a.Text)
		part(h, string(a.Bytes))
	}
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil))
}

func byLambda(m ops.Message) bool {
	_, code := m.Attributes["ErrorCode"]
	_, text := m.Attributes["ErrorMessage"]
	return code && text
}

// part adds one string with its length, so that "ab"+"c" is not "a"+"bc".
func part(h hash.Hash, s string) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
	h.Write(n[:])
	h.Write([]byte(s))
}
