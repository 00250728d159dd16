package payload

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"kxops/ops"
)

var jsonDocument = layer{
	name: "JSON",
	says: "A JSON document that is no known envelope.",
	open: openJSON,
}

func openJSON(in *input) (ops.Layer, bool) {
	if !in.valid || in.is('"') {
		return ops.Layer{}, false
	}
	f := make(facts, 0, 2)
	if in.is('{') {
		f.add("Members", strconv.Itoa(len(in.members)))
	} else {
		f.add("Elements", strconv.Itoa(elements(in.doc)))
	}
	f.add("Bytes", strconv.Itoa(len(in.body)))
	return ops.Layer{Facts: f}, true
}

var plainText = layer{
	name: "text",
	says: "Text that is no format that is known here.",
	open: openText,
}

func openText(in *input) (ops.Layer, bool) {
	if !utf8.Valid(in.body) || control(in.body) {
		return ops.Layer{}, false
	}
	f := make(facts, 0, 3)
	if in.is('{') || in.is('[') {
		f.add("Broken JSON", "it starts like JSON and is not valid to its end")
	}
	if lines := bytes.Count(in.doc, []byte{'\n'}); lines > 0 {
		f.add("Lines", strconv.Itoa(lines+1))
	}
	f.add("Bytes", strconv.Itoa(len(in.body)))
	return ops.Layer{Facts: f}, true
}

// control reports whether b has control characters that text does not have.
func control(b []byte) bool {
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\t' && c != '\r' && c != '\f' && c != 0x1b {
			return true
		}
	}
	return false
}

var binaryBody = layer{
	name: "binary",
	says: "Bytes that are no text; they are shown as a hex dump.",
	open: openBinary,
}

func openBinary(in *input) (ops.Layer, bool) {
	f := make(facts, 0, 3)
	f.add("Looks like", magicOf(in.body))
	f.add("Bytes", strconv.Itoa(len(in.body)))
	f.add("Starts", hex.EncodeToString(in.body[:min(16, len(in.body))]))
	return ops.Layer{Facts: f}, true
}

// Hex is a hex dump of b, offsets, bytes and printable characters, for at most
// limit bytes; a limit of 0 means all.
func Hex(b []byte, limit int) string {
	if limit > 0 && len(b) > limit {
		return hex.Dump(b[:limit])
	}
	return hex.Dump(b)
}

// magics are the first bytes of formats that turn up in queues and streams, as
// the formats' own specifications give them.
var magics = []struct{ bytes, name string }{
	{"\x1f\x8b\x08", "gzip"},
	{"\x28\xb5\x2f\xfd", "zstd"},
	{"\xf3\x89\x9a\xc2", "KPL aggregate"},
	{"Obj\x01", "Avro file"},
	{"PAR1", "Parquet"},
	{"ORC", "ORC"},
	{"PK\x03\x04", "zip"},
	{"%PDF-", "PDF"},
	{"\x89PNG\r\n\x1a\n", "PNG image"},
	{"\xff\xd8\xff", "JPEG image"},
	{"GIF8", "GIF image"},
	{"BZh", "bzip2"},
	{"\xfd7zXZ\x00", "xz"},
	{"\x04\x22\x4d\x18", "LZ4 frame"},
	{"\xff\x06\x00\x00sNaPpY", "snappy frame"},
	{"\xac\xed\x00\x05", "serialised Java object"},
}

// magicOf names the format that the first bytes announce, "" when none is known.
func magicOf(b []byte) string {
	for _, m := range magics {
		if len(b) > len(m.bytes) && string(b[:len(m.bytes)]) == m.bytes {
			return m.name
		}
	}
	return ""
}
