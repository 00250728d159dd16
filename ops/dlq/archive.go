package dlq

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"kxops/ops"
)

// MessageSchema is the version of a file of messages: a header line, then a line
// for each message.
const MessageSchema = "kxops/message/v1"

// maxFileLine bounds a line, in bytes: a message of 1 MiB whose every byte is
// escaped as six, and its attributes.
const maxFileLine = 16 << 20

// maxUnpackedFile bounds what a compressed file may unpack to, in bytes.
const maxUnpackedFile = 64 << 30

// fileHeader is the first line of a file of messages.
type fileHeader struct {
	Schema  string    `json:"schema"`
	Account string    `json:"account,omitempty"`
	Region  string    `json:"region,omitempty"`
	Queue   ops.ARN   `json:"queue,omitempty"`
	At      time.Time `json:"at"`
	Count   int       `json:"count,omitempty"`     // messages that follow; 0: as many as there are
	Op      string    `json:"operation,omitempty"` // the operation that writes it: only its resume goes on with the file
}

// fileAttribute is an attribute in a file. Text that is no UTF-8 has no form in
// JSON; it is kept as bytes.
type fileAttribute struct {
	Type      string `json:"type"`
	Text      string `json:"text,omitempty"`
	TextBytes []byte `json:"text_base64,omitempty"`
	Bytes     []byte `json:"bytes,omitempty"`
}

// fileLine is a message in a file.
type fileLine struct {
	Schema     string                   `json:"schema,omitempty"` // header only: tells the two apart
	ID         string                   `json:"message_id,omitempty"`
	Queue      ops.ARN                  `json:"queue,omitempty"`
	Body       *string                  `json:"body,omitempty"`
	BodyBytes  []byte                   `json:"body_base64,omitempty"`
	Attributes map[string]fileAttribute `json:"attributes,omitempty"`
	System     map[string]string        `json:"system,omitempty"`
	At         time.Time                `json:"at,omitzero"`
	Sum        string                   `json:"sha256,omitempty"` // of the line without it
}

func lineOf(m ops.Message) fileLine {
	l := fileLine{ID: m.ID, Queue: m.Queue, System: m.System, At: m.At.UTC()}
	if utf8.ValidString(m.Body) {
		l.Body = &m.Body
	} else {
		l.BodyBytes = []byte(m.Body)
	}
	if len(m.Attributes) > 0 {
		l.Attributes = make(map[string]fileAttribute, len(m.Attributes))
	}
	for name, a := range m.Attributes {
		f := fileAttribute{Type: a.Type, Bytes: a.Bytes}
		if utf8.ValidString(a.Text) {
			f.Text = a.Text
		} else {
			f.TextBytes = []byte(a.Text)
		}
		l.Attributes[name] = f
	}
	return l
}

// sum is the SHA-256 of the line without its own sum.
func (l fileLine) sum() (string, error) {
	l.Sum = ""
	text, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// encodeMessage makes a message's line, with its end.
func encodeMessage(m ops.Message) ([]byte, error) {
	l := lineOf(m)
	sum, err := l.sum()
	if err != nil {
		return nil, fmt.Errorf("write message %s: %w", m.ID, err)
	}
	l.Sum = sum
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("write message %s: %w", m.ID, err)
	}
	return append(text, '\n'), nil
}

// message checks a line and makes the message of it.
func (l fileLine) message() (ops.Message, error) {
	m := ops.Message{ID: l.ID, Queue: l.Queue, System: l.System, At: l.At}
	switch {
	case l.Body != nil && l.BodyBytes != nil:
		return m, errors.New(`it has both "body" and "body_base64"`)
	case l.Body != nil:
		m.Body = *l.Body
	case l.BodyBytes != nil:
		m.Body = string(l.BodyBytes)
	default:
		return m, errors.New(`it has no "body"`)
	}
	if l.Sum != "" {
		sum, err := l.sum()
		if err != nil {
			return m, err
		}
		if sum != l.Sum {
			return m, errors.New(`it was changed after it was written: its content has another sha256 (take "sha256" out of the line if that was meant)`)
		}
	}
	if len(l.Attributes) > 0 {
		m.Attributes = make(map[string]ops.Attribute, len(l.Attributes))
	}
	for name, f := range l.Attributes {
		if f.Type == "" {
			return m, fmt.Errorf("attribute %q has no type", name)
		}
		a := ops.Attribute{Type: f.Type, Text: f.Text, Bytes: f.Bytes}
		if f.TextBytes != nil {
			a.Text = string(f.TextBytes)
		}
		m.Attributes[name] = a
	}
	return m, nil
}

// badFile is the problem of a file that is not what it should be. Nothing of what
// the line says goes into the sentence: it may be a body.
func badFile(path string, line int, what string) *ops.Problem {
	return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("%s, line %d: %s", path, line, what), Hint: "nothing was sent"}
}

// jsonTrouble is what is wrong with a JSON text, without a word of its content.
func jsonTrouble(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("no JSON: wrong at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("%q is a %s", kind.Field, kind.Value)
	}
	return "no JSON object"
}

// readMessages reads a file of messages and hands out each with the number of its
// line (of its place, for what "aws sqs receive-message" printed). The error is an
// *ops.Problem that names the line for a file that is malformed or foreign, and
// what visit returned otherwise. sum is the SHA-256 of the file as it is on the disk.
func readMessages(path string, visit func(line int, m ops.Message) error) (h fileHeader, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return h, "", &ops.Problem{Fault: ops.FaultNotFound, What: "the file cannot be read: " + err.Error(), Err: err}
	}
	defer f.Close()
	hash := sha256.New()
	raw := io.TeeReader(f, hash)
	from, done, err := unpacking(path, raw)
	if err != nil {
		return h, "", badFile(path, 1, err.Error())
	}
	defer done()
	in := &fileReader{path: path, lines: bufio.NewReaderSize(io.LimitReader(from, maxUnpackedFile), 64<<10)}
	if err := in.read(visit); err != nil {
		return in.header, "", err
	}
	if _, err := io.Copy(io.Discard, raw); err != nil { // what follows the compressed part belongs to the sum
		return in.header, "", fmt.Errorf("read %s: %w", path, err)
	}
	return in.header, hex.EncodeToString(hash.Sum(nil)), nil
}

// unpacking reads through the compression that the file's name says.
func unpacking(path string, from io.Reader) (io.Reader, func(), error) {
	switch {
	case strings.HasSuffix(path, ".gz"):
		z, err := gzip.NewReader(from)
		if err != nil {
			return nil, nil, errors.New("no gzip, as its name says")
		}
		return z, func() {}, nil
	case strings.HasSuffix(path, ".zst"):
		z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, errors.New("no zstd, as its name says")
		}
		return z, z.Close, nil
	}
	return from, func() {}, nil
}

type fileReader struct {
	path   string
	lines  *bufio.Reader
	header fileHeader
	headed bool
	n      int // lines read
	count  int // messages read
}

func (r *fileReader) read(visit func(int, ops.Message) error) error {
	for {
		text, err := r.line()
		if err != nil && !errors.Is(err, io.EOF) {
			return badFile(r.path, r.n, "cannot be read: "+err.Error())
		}
		last := err != nil
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 {
			if r.n == 1 && printedByAWS(trimmed, last) {
				return r.printed(trimmed, visit)
			}
			if err := r.one(trimmed, last, visit); err != nil {
				return err
			}
		}
		if last {
			break
		}
	}
	if r.count == 0 {
		return badFile(r.path, max(1, r.n), "it has no messages")
	}
	if r.header.Count > 0 && r.header.Count != r.count {
		return badFile(r.path, r.n, fmt.Sprintf("the file was cut off: its header says %d messages, it has %d", r.header.Count, r.count))
	}
	return nil
}

// line reads one line; a too long one is an error, not memory.
func (r *fileReader) line() ([]byte, error) {
	var line []byte
	r.n++
	for {
		part, err := r.lines.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxFileLine {
			return nil, fmt.Errorf("longer than %d bytes, so it is no message", maxFileLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func (r *fileReader) one(text []byte, last bool, visit func(int, ops.Message) error) error {
	var head struct {
		Schema *string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		what := jsonTrouble(err)
		if last && text[0] == '{' {
			what = "the line is cut off: it has no end (" + what + ")"
		}
		return badFile(r.path, r.n, what)
	}
	if head.Schema != nil {
		return r.head(text, *head.Schema)
	}
	var l fileLine
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // a field that we would drop in silence is a foreign file
	if err := d.Decode(&l); err != nil {
		what := jsonTrouble(err)
		if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			what = fmt.Sprintf("%.60s is no field of a message", field)
		}
		return badFile(r.path, r.n, what)
	}
	m, err := l.message()
	if err != nil {
		return badFile(r.path, r.n, err.Error())
	}
	r.count++
	return visit(r.n, m)
}

func (r *fileReader) head(text []byte, schema string) error {
	switch {
	case schema != MessageSchema:
		return badFile(r.path, r.n, fmt.Sprintf("schema %.60q is not %q", schema, MessageSchema))
	case r.headed || r.count > 0:
		return badFile(r.path, r.n, "a second header: two files in one")
	}
	r.headed = true
	if err := json.Unmarshal(text, &r.header); err != nil {
		return badFile(r.path, r.n, jsonTrouble(err))
	}
	return nil
}

// printedByAWS reports whether the file begins as "aws sqs receive-message" prints.
func printedByAWS(first []byte, last bool) bool {
	inside, ok := bytes.CutPrefix(first, []byte("{"))
	return ok && (len(inside) == 0 && !last || bytes.HasPrefix(bytes.TrimSpace(inside), []byte(`"Messages"`)))
}

// printed reads what "aws sqs receive-message" printed: one object on many lines.
func (r *fileReader) printed(first []byte, visit func(int, ops.Message) error) error {
	var doc struct {
		Messages []struct {
			MessageId         string
			Body              *string
			Attributes        map[string]string
			MessageAttributes map[string]struct {
				DataType    string
				StringValue string
				BinaryValue []byte
			}
		}
	}
	d := json.NewDecoder(io.MultiReader(bytes.NewReader(first), r.lines))
	if err := d.Decode(&doc); err != nil {
		return badFile(r.path, 1, "neither lines of messages nor what aws sqs receive-message prints: "+jsonTrouble(err))
	}
	if rest, err := io.ReadAll(io.LimitReader(io.MultiReader(d.Buffered(), r.lines), 1<<10)); err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return badFile(r.path, 1, "something follows the object that aws sqs receive-message prints")
	}
	if len(doc.Messages) == 0 {
		return badFile(r.path, 1, "it has no messages")
	}
	for i, x := range doc.Messages {
		if x.Body == nil {
			return badFile(r.path, 1, fmt.Sprintf("message %d has no Body", i+1))
		}
		m := ops.Message{ID: x.MessageId, Body: *x.Body, System: x.Attributes}
		for name, a := range x.MessageAttributes {
			if m.Attributes == nil {
				m.Attributes = map[string]ops.Attribute{}
			}
			m.Attributes[name] = ops.Attribute{Type: a.DataType, Text: a.StringValue, Bytes: a.BinaryValue}
		}
		if err := visit(i+1, m); err != nil {
			return err
		}
	}
	return nil
}

// Export copies the selected messages of a pile into a new file, whole. Nothing is
// deleted or sent. The file is the owner's alone and durable when Export returns;
// its name says how it is compressed (.gz, .zst, otherwise not). An existing file
// is never overwritten. It returns how many messages are in it.
func (d *Desk) Export(ctx context.Context, pile *Pile, s ops.Selection, path string) (n int, err error) {
	letters, err := pile.Select(s)
	if err != nil {
		return 0, err
	}
	if len(letters) == 0 {
		return 0, &ops.Problem{Fault: ops.FaultNotFound, What: "export: nothing is selected"}
	}
	header := fileHeader{Schema: MessageSchema, Account: d.o.Identity.Account, Region: d.o.Config.Region, Queue: pile.Queue().ARN, At: d.o.Now().UTC(), Count: len(letters)}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, &ops.Problem{Fault: ops.FaultRefused, What: "export: " + err.Error(), Hint: "choose a file that does not exist", Err: err}
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil { // half a file must not pass for the whole
			n, err = 0, errors.Join(fmt.Errorf("export: %w", err), os.Remove(path))
		}
	}()
	out, finish, err := packing(path, f)
	if err != nil {
		return 0, err
	}
	head, err := json.Marshal(header)
	if err != nil {
		return 0, err
	}
	if _, err := out.Write(append(head, '\n')); err != nil {
		return 0, err
	}
	for _, l := range letters {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		m, ok := pile.Message(l.ID)
		if !ok {
			return 0, fmt.Errorf("message %s is not in memory any more: look again", l.ID)
		}
		text, err := encodeMessage(m)
		if err != nil {
			return 0, err
		}
		if _, err := out.Write(text); err != nil {
			return 0, err
		}
		n++
	}
	if err := finish(); err != nil {
		return 0, err
	}
	return n, f.Sync()
}

// packing writes through the compression that the file's name says.
func packing(path string, to io.Writer) (io.Writer, func() error, error) {
	switch {
	case strings.HasSuffix(path, ".gz"):
		z := gzip.NewWriter(to)
		return z, z.Close, nil
	case strings.HasSuffix(path, ".zst"):
		z, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	b := bufio.NewWriterSize(to, 256<<10)
	return b, b.Flush, nil
}
