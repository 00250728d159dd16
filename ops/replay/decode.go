package replay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxRecord is the longest record that is read from an object, in bytes: more than any
	// target takes, so that a target's limit is what is reported.
	maxRecord = 16 << 20
	// A page of an object holds so much, in records and bytes.
	pageRecords = 2000
	pageBytes   = 1 << 20
	// packings is how often something may be packed inside itself: producers that gzip, and
	// a delivery stream that gzips again.
	packings = 3
)

// Modes of an object, decided at its first byte.
const (
	modeJSON   = "json"   // values, with or without something between them
	modeLines  = "lines"  // anything else
	modeErrors = "errors" // what Firehose could not deliver: the record is inside
)

// object is something stored that holds records one after the other.
type object struct {
	source, part string // for the ids of records
	place        place

	raw    *counted
	in     *bufio.Reader
	end    func()
	offset int64 // unpacked, of the next byte
	page   paging
}

// place is where reading of an object goes on: the unpacked offset, the number of the
// next record, and the mode.
type place struct {
	offset, index int64
	mode          string
}

func (p place) String() string { return fmt.Sprintf("%d:%d:%s", p.offset, p.index, p.mode) }

func parsePlace(s string) (place, error) {
	if s == "" {
		return place{}, nil
	}
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return place{}, fmt.Errorf("%q is no place in an object", s)
	}
	offset, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return place{}, fmt.Errorf("%q is no place in an object", s)
	}
	index, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return place{}, fmt.Errorf("%q is no place in an object", s)
	}
	return place{offset, index, parts[2]}, nil
}

// counted counts what is read of the stored bytes, and remembers whether reading them
// failed: damage inside is something else than a connection that broke.
type counted struct {
	from io.Reader
	n    int64
	err  error
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// paging collects records into a page of its own memory.
type paging struct {
	data    []byte
	records []Record
	ends    []int
	broken  []Broken
	read    int64 // stored bytes, when the last page was given
}

// readObject reads the records of something stored, from behind a place. Damage inside
// it becomes Broken pieces, and what can be read goes on; an error is that of reading.
func readObject(stored io.Reader, source, part, after string, give func(Page) error) error {
	at, err := parsePlace(after)
	if err != nil {
		return err
	}
	o := &object{source: source, part: part, place: at, raw: &counted{from: stored}}
	if err := o.open(); err != nil {
		return o.damaged(err, give)
	}
	defer o.end()
	if _, err := io.CopyN(io.Discard, o.in, at.offset); err != nil {
		return o.damaged(fmt.Errorf("it is shorter than it was: %w", err), give)
	}
	o.offset = at.offset
	if err := o.values(give); err != nil {
		var own *stop
		if errors.As(err, &own) {
			return own.err
		}
		return o.damaged(err, give)
	}
	var own *stop
	if err := o.flush(o.offset, give); errors.As(err, &own) {
		return own.err
	}
	return nil
}

// stop is an error that is not the object's: give's.
type stop struct{ err error }

func (s *stop) Error() string { return s.err.Error() }

// damaged ends an object that cannot be read any further.
func (o *object) damaged(err error, give func(Page) error) error {
	if o.raw.err != nil {
		return o.raw.err
	}
	o.broken(o.offset, err.Error())
	var own *stop
	if err := o.flush(o.offset, give); errors.As(err, &own) {
		return own.err
	}
	return nil
}

func (o *object) broken(offset int64, why string) {
	o.page.broken = append(o.page.broken, Broken{Part: o.part, Offset: offset, Why: why})
}

// open unpacks.
func (o *object) open() error {
	o.in = bufio.NewReaderSize(o.raw, 256<<10)
	o.end = func() {}
	for range packings {
		head, err := o.in.Peek(10)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		switch {
		case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
			z, err := gzip.NewReader(o.in)
			if err != nil {
				return err
			}
			o.in = bufio.NewReaderSize(z, 256<<10)
		case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
			z, err := zstd.NewReader(o.in, zstd.WithDecoderConcurrency(1))
			if err != nil {
				return err
			}
			o.end = z.Close
			o.in = bufio.NewReaderSize(z, 256<<10)
		case bytes.HasPrefix(head, []byte("\xff\x06\x00\x00sNaPpY")), bytes.HasPrefix(head, []byte("\xff\x06\x00\x00S2sTwO")):
			o.in = bufio.NewReaderSize(s2.NewReader(o.in), 256<<10)
		case bytes.HasPrefix(head, []byte("PK\x03\x04")):
			if o.in, err = unzip(o.in); err != nil {
				return err
			}
		case bytes.HasPrefix(head, []byte("PAR1")):
			return errors.New("it is a Parquet file, and kxops does not read those: query it with Athena")
		default:
			return nil
		}
	}
	return nil
}

// unzip reads the first file of a ZIP as it comes: Firehose's archives have one.
func unzip(in *bufio.Reader) (*bufio.Reader, error) {
	var head [30]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	method := binary.LittleEndian.Uint16(head[8:])
	size := int64(binary.LittleEndian.Uint32(head[18:]))
	skip := int(binary.LittleEndian.Uint16(head[26:])) + int(binary.LittleEndian.Uint16(head[28:]))
	if _, err := in.Discard(skip); err != nil {
		return nil, err
	}
	switch method {
	case 8:
		return bufio.NewReaderSize(flate.NewReader(in), 256<<10), nil
	case 0:
		return bufio.NewReaderSize(io.LimitReader(in, size), 256<<10), nil
	}
	return nil, fmt.Errorf("it is a ZIP packed by method %d, and kxops reads deflate", method)
}

// values takes the object apart.
func (o *object) values(give func(Page) error) error {
	for {
		chunk, err := o.chunk()
		if len(chunk) > 0 {
			if err := o.lineOf(chunk, give); err != nil {
				return err
			}
			if err := o.flushFull(o.offset, give); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// chunk reads to the end of a line, of the buffer or of the object. Without a delimiter
// an object of Firehose is one line of up to 128 MiB. What is returned is valid until
// the next call.
func (o *object) chunk() ([]byte, error) {
	chunk, err := o.in.ReadSlice('\n')
	o.offset += int64(len(chunk))
	if errors.Is(err, bufio.ErrBufferFull) {
		return chunk, nil
	}
	return chunk, err
}

// wholeLine reads the rest of a line that is longer than a chunk. What is too long for
// a record is left out and named.
func (o *object) wholeLine(begun []byte) ([]byte, error) {
	begin := o.offset - int64(len(begun))
	line, long := bytes.Clone(begun), false
	for len(line) == 0 || line[len(line)-1] != '\n' {
		more, err := o.chunk()
		if line = append(line, more...); len(line) > maxRecord {
			long, line = true, line[len(line)-1:]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if long {
		o.broken(begin, fmt.Sprintf("a line of more than %d bytes", maxRecord))
		return nil, nil
	}
	return line, nil
}

// lineOf takes a line, or a piece of it, apart: usually it is one record.
func (o *object) lineOf(line []byte, give func(Page) error) error {
	text := bytes.TrimSpace(line)
	if len(text) == 0 {
		return nil
	}
	if o.place.mode == "" {
		o.place.mode = modeOf(text)
	}
	if o.place.mode == modeLines {
		line, err := o.wholeLine(line)
		if text = bytes.TrimSpace(line); err == nil && len(text) > 0 {
			o.add(text, o.offset-int64(len(line)))
		}
		return err
	}
	if text[0] == '{' && text[len(text)-1] == '}' && bytes.Count(text, []byte("{")) == bytes.Count(text, []byte("}")) && !bytes.Contains(text, []byte("}{")) && !bytes.Contains(text, []byte("} {")) {
		o.add(text, o.offset-int64(len(line)))
		return nil
	}
	return o.scan(line, give)
}

// modeOf decides by the first line what an object holds.
func modeOf(text []byte) string {
	if text[0] != '{' && text[0] != '[' {
		return modeLines
	}
	var e undelivered
	if json.Unmarshal(text, &e) == nil && e.Raw != nil && e.Code != "" {
		return modeErrors
	}
	return modeJSON
}

// undelivered is a record that Firehose could not deliver or transform. The names of its
// fields differ by kind of failure in their case, which encoding/json does not mind.
type undelivered struct {
	Raw     *[]byte `json:"rawData"`
	Code    string  `json:"errorCode"`
	Arrived int64   `json:"arrivalTimestamp"` // Unix, ms
}

// scan takes values apart that stand in a line without anything between them, or over
// several lines. It knows strings and depth, and no more of JSON.
func (o *object) scan(line []byte, give func(Page) error) error {
	begin := o.offset - int64(len(line)) // of value in the object
	value := bytes.Clone(line)
	at, from, depth := 0, -1, 0
	quoted, escaped := false, false
	for {
		for ; at < len(value); at++ {
			c := value[at]
			switch {
			case escaped:
				escaped = false
			case quoted:
				escaped, quoted = c == '\\', c != '"'
			case depth == 0 && (c == '{' || c == '['):
				from, depth = at, 1
			case depth == 0:
				if c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',' {
					continue
				}
				// Something that is no value: the rest of the line with it.
				o.broken(begin+int64(at), fmt.Sprintf("%q begins no record", c))
				if next := bytes.IndexByte(value[at:], '\n'); next >= 0 {
					at += next
				} else {
					at = len(value)
				}
			case c == '"':
				quoted = true
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				if depth--; depth == 0 {
					o.add(value[from:at+1], begin+int64(from))
					from = -1
				}
			}
		}
		if depth == 0 {
			return nil
		}
		if len(value)-from > maxRecord {
			o.broken(begin+int64(from), fmt.Sprintf("a record of more than %d bytes, or one that is never closed", maxRecord))
			return nil
		}
		// It goes on in the next piece.
		value, begin, at, from = append([]byte(nil), value[from:]...), begin+int64(from), at-from, 0
		if err := o.flushFull(begin, give); err != nil {
			return err
		}
		more, err := o.chunk()
		value = append(value, more...)
		if len(more) == 0 || err != nil && !errors.Is(err, io.EOF) {
			o.broken(begin, "it ends in the middle of a record")
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// add is one record.
func (o *object) add(text []byte, offset int64) {
	if len(text) > maxRecord {
		o.broken(offset, fmt.Sprintf("a record of %d bytes; at most %d are read", len(text), maxRecord))
		return
	}
	index := o.place.index
	o.place.index++
	r, ours := unwrap(text)
	switch {
	case ours:
	case o.place.mode == modeErrors:
		var e undelivered
		if err := json.Unmarshal(text, &e); err != nil || e.Raw == nil {
			o.broken(offset, "it is no record of a failed delivery")
			return
		}
		r = Record{Data: *e.Raw}
		if e.Arrived > 0 {
			r.At = time.UnixMilli(e.Arrived).UTC()
		}
	default:
		r = Record{Data: text}
	}
	if r.ID == "" {
		r.ID = recordID(o.source, o.part, strconv.FormatInt(index, 10), 0)
	}
	o.page.data = append(o.page.data, r.Data...)
	o.page.ends = append(o.page.ends, len(o.page.data))
	r.Data = nil
	o.page.records = append(o.page.records, r)
}

// flushFull gives a page when it is full.
func (o *object) flushFull(offset int64, give func(Page) error) error {
	if len(o.page.records) < pageRecords && len(o.page.data) < pageBytes {
		return nil
	}
	return o.flush(offset, give)
}

// flush gives a page that ends at an offset between two records. The error is a stop.
func (o *object) flush(offset int64, give func(Page) error) error {
	p := &o.page
	o.place.offset = offset
	from := 0
	for i, to := range p.ends {
		p.records[i].Data = p.data[from:to:to]
		from = to
	}
	out := Page{Records: p.records, Place: o.place.String(), Bytes: o.raw.n - p.read, Broken: p.broken}
	o.page = paging{read: o.raw.n}
	if err := give(out); err != nil {
		return &stop{err}
	}
	return nil
}
