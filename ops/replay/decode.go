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
	zip    *bufio.Reader // of the archive that the object is, nil: none
	offset int64         // unpacked, of the next byte
	page   paging

	json  jsonState
	carry []byte // of a record that goes on in the next piece
	begin int64  // where that record begins
	skip  bool   // the rest of the line belongs to nothing
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
		head, err := o.in.Peek(16)
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
			o.zip = o.in
			if o.in, err = unzip(o.in); err != nil {
				return err
			}
		case isHadoopSnappy(head):
			o.in = bufio.NewReaderSize(&hadoopSnappy{in: o.in}, 256<<10)
		case bytes.HasPrefix(head, []byte("PAR1")):
			return errors.New("it is a Parquet file, and kxops does not read those: --from athena:DATABASE.TABLE --mode rows replays its rows")
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
		if size == 0 {
			return nil, errors.New("it is a ZIP that does not say how long its file is")
		}
		return bufio.NewReaderSize(io.LimitReader(in, size), 256<<10), nil
	}
	return nil, fmt.Errorf("it is a ZIP packed by method %d, and kxops reads deflate", method)
}

// values takes the object apart.
func (o *object) values(give func(Page) error) error {
	for {
		chunk, err := o.chunk()
		if len(chunk) > 0 {
			if err := o.feed(chunk, o.offset-int64(len(chunk)), give); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			o.atEnd()
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

// feed takes a piece of the object apart. base is its offset.
func (o *object) feed(chunk []byte, base int64, give func(Page) error) error {
	if o.place.mode == "" {
		text := bytes.TrimSpace(chunk)
		if len(text) == 0 {
			return nil
		}
		o.place.mode = modeOf(text)
	}
	if o.place.mode == modeLines {
		return o.feedLine(chunk, base, give)
	}
	return o.feedJSON(chunk, base, give)
}

// modeOf decides by the first bytes what an object holds. A line of a log may begin with
// a bracket too.
func modeOf(text []byte) string {
	switch {
	case text[0] == '{':
		return modeJSON
	case text[0] == '[' && (json.Valid(text) || len(text) == 1 || text[1] == '{' || text[1] == '['):
		return modeJSON
	}
	return modeLines
}

// feedLine takes lines as they are, without their end.
func (o *object) feedLine(chunk []byte, base int64, give func(Page) error) error {
	if len(o.carry) == 0 {
		o.begin = base
	}
	whole := chunk[len(chunk)-1] == '\n'
	if o.skip || len(o.carry)+len(chunk) > maxRecord {
		if !o.skip {
			o.broken(o.begin, fmt.Sprintf("a line of more than %d bytes", maxRecord))
		}
		o.skip, o.carry = !whole, o.carry[:0]
		return o.flushFull(base+int64(len(chunk)), give)
	}
	if !whole {
		o.carry = append(o.carry, chunk...)
		return nil
	}
	line := chunk
	if len(o.carry) > 0 {
		line = append(o.carry, chunk...)
		o.carry = line[:0]
	}
	o.addLine(line)
	return o.flushFull(base+int64(len(chunk)), give)
}

func (o *object) addLine(line []byte) {
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if len(bytes.TrimSpace(line)) > 0 {
		o.add(line, o.begin)
	}
}

// jsonState is where in a value the scan is. It knows strings, depth and what may open
// where, and no more of JSON: enough to find where a value ends, and where one that was
// never closed has to be given up.
type jsonState struct {
	depth           int
	objects         uint64 // by depth: 1 is an object, 0 a list; deeper than 64 is not told apart
	quoted, escaped bool
	prev            byte // the last byte that is no space
}

func (s *jsonState) inObject() bool { return s.objects&1 == 1 }

func (s *jsonState) down(c byte) {
	s.depth++
	s.objects <<= 1
	if c == '{' {
		s.objects |= 1
	}
	s.prev = c
}

// opens reports whether a value may begin here: in an object behind a colon, in a list
// at its beginning or behind a comma.
func (s *jsonState) opens() bool {
	if s.depth > 64 {
		return true
	}
	if s.inObject() {
		return s.prev == ':'
	}
	return s.prev == '[' || s.prev == ','
}

// feedJSON takes values: one a line, without anything between, or over several lines.
func (o *object) feedJSON(chunk []byte, base int64, give func(Page) error) error {
	s := &o.json
	from := 0 // of the value that is open
	for i := 0; i < len(chunk); i++ {
		c := chunk[i]
		switch {
		case o.skip:
			next := bytes.IndexByte(chunk[i:], '\n')
			if next < 0 {
				return nil
			}
			i += next
			o.skip = false
			if err := o.flushFull(base+int64(i)+1, give); err != nil {
				return err
			}
		case s.quoted:
			switch {
			case s.escaped:
				s.escaped = false
			case c == '\\':
				s.escaped = true
			case c == '"':
				s.quoted, s.prev = false, c
			case c == '\n':
				o.giveUp("a line ends within a text", false)
			}
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case s.depth == 0:
			switch c {
			case '{', '[':
				o.begin, from = base+int64(i), i
				if end := endOfValue(chunk[i:]); end > 0 { // nearly always
					i += end
					o.add(chunk[from:i+1], o.begin)
					if err := o.flushFull(base+int64(i)+1, give); err != nil {
						return err
					}
					continue
				}
				s.down(c)
			case ',':
			default:
				o.broken(base+int64(i), fmt.Sprintf("%q begins no record", c))
				o.skip = true
			}
		case c == '"':
			s.quoted, s.prev = true, c
		case c == '{' || c == '[':
			if !s.opens() { // the value before was never closed
				o.giveUp("a record that is not closed", false)
				o.begin, from = base+int64(i), i
			}
			s.down(c)
		case c == '}' || c == ']':
			if s.depth <= 64 && s.inObject() != (c == '}') {
				o.giveUp("a record that closes what it did not open", true)
				continue
			}
			s.depth--
			s.objects >>= 1
			s.prev = c
			if s.depth > 0 {
				continue
			}
			value := chunk[from : i+1]
			if len(o.carry) > 0 {
				value = append(o.carry, value...)
			}
			o.add(value, o.begin)
			o.carry = o.carry[:0]
			if err := o.flushFull(base+int64(i)+1, give); err != nil {
				return err
			}
		default:
			s.prev = c
		}
	}
	if s.depth == 0 {
		return nil
	}
	if o.carry = append(o.carry, chunk[from:]...); len(o.carry) > maxRecord {
		o.giveUp(fmt.Sprintf("a record of more than %d bytes, or one that is never closed", maxRecord), true)
	}
	return nil
}

// special are the bytes that end or open something outside of texts.
var special = [256]bool{'"': true, '{': true, '[': true, '}': true, ']': true}

// endOfValue is where the value that begins b ends, 0 where b does not have all of it. It
// counts and does not compare what is opened and closed.
func endOfValue(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if !special[c] {
			continue
		}
		switch c {
		case '"':
			for {
				next := bytes.IndexByte(b[i+1:], '"')
				if next < 0 {
					return 0
				}
				i += next + 1
				slashes := 0
				for b[i-1-slashes] == '\\' {
					slashes++
				}
				if slashes%2 == 0 {
					break
				}
			}
		case '{', '[':
			depth++
		default:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return 0
}

// giveUp leaves a value out that is damaged. The rest of its line goes with it, or
// reading goes on at once.
func (o *object) giveUp(why string, line bool) {
	o.broken(o.begin, why)
	o.json, o.carry, o.skip = jsonState{}, o.carry[:0], line
}

// atEnd settles what is open at the end of the object.
func (o *object) atEnd() {
	switch {
	case o.place.mode == modeLines && len(o.carry) > 0:
		o.addLine(o.carry)
	case o.json.depth > 0:
		o.broken(o.begin, "it ends in the middle of a record")
	}
	o.json, o.carry = jsonState{}, nil
	if o.zip != nil {
		if rest, err := o.zip.Peek(24); (err == nil || errors.Is(err, io.EOF)) && bytes.Contains(rest, []byte("PK\x03\x04")) {
			o.broken(o.offset, "the ZIP has more than one file, and only the first is read")
		}
	}
}

// undelivered is a record that Firehose could not deliver or transform. The names of its
// fields differ by kind of failure in their case, which encoding/json does not mind.
type undelivered struct {
	Raw     *[]byte `json:"rawData"`
	Code    string  `json:"errorCode"`
	Arrived int64   `json:"arrivalTimestamp"` // Unix, ms
}

func isUndelivered(text []byte) bool {
	var e undelivered
	return json.Unmarshal(text, &e) == nil && e.Raw != nil && e.Code != ""
}

// add is one record.
func (o *object) add(text []byte, offset int64) {
	index := o.place.index
	o.place.index++
	if index == 0 && o.place.mode == modeJSON && isUndelivered(text) {
		o.place.mode = modeErrors
	}
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
	if o.page.data == nil { // once, instead of growing to it
		o.page.data, o.page.records, o.page.ends = make([]byte, 0, pageBytes+pageBytes/16), make([]Record, 0, pageRecords), make([]int, 0, pageRecords)
	}
	o.page.data = append(o.page.data, r.Data...)
	o.page.ends = append(o.page.ends, len(o.page.data))
	r.Data = nil
	o.page.records = append(o.page.records, r)
}

// flushFull gives a page when it is full.
func (o *object) flushFull(offset int64, give func(Page) error) error {
	if len(o.page.records) < pageRecords && len(o.page.data) < pageBytes && len(o.page.broken) < pageRecords {
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
