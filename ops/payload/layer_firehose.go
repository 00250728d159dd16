package payload

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"kxops/ops"
)

var firehoseError = layer{
	name: "Firehose error",
	says: "A line that Firehose writes under its error prefix for a record it could not deliver; the record is inside.",
	open: openFirehose,
}

// openFirehose reads one error line or several. Firehose does not spell its members
// alike in all lines (errorCode, ErrorCode), so case does not count.
func openFirehose(in *input) (ops.Layer, bool) {
	if !in.is('{') || !hasFold(in.members, "rawData") || !hasFold(in.members, "attemptsMade") {
		return ops.Layer{}, false
	}
	var l ops.Layer
	for rest := in.doc; len(rest) > 0 && len(l.Parts) < maxParts; {
		members, end := readMembers(rest, nil)
		if end < 0 {
			break
		}
		data, ok := fromBase64([]byte(fold(members, "rawData")))
		if !ok {
			break
		}
		if l.Parts = append(l.Parts, data); l.Failure == nil {
			l.Failure, l.Facts = firehoseFailure(members)
		}
		rest = trim(rest[end:])
	}
	switch len(l.Parts) {
	case 0:
		return ops.Layer{}, false
	case 1:
		l.Body, l.Parts = l.Parts[0], nil
	default:
		l.Facts = append(l.Facts, ops.Fact{Name: "Records", Value: strconv.Itoa(len(l.Parts)) + ", the error is of the first"})
	}
	return l, true
}

func firehoseFailure(members []member) (*ops.Failure, facts) {
	failure := &ops.Failure{
		Type:     fold(members, "errorCode"),
		Message:  fold(members, "errorMessage"),
		Function: ops.ARN(fold(members, "lambdaArn")),
	}
	if n, err := strconv.Atoi(fold(members, "attemptsMade")); err == nil && n > 0 {
		failure.Attempts = n
	}
	if ms, err := strconv.ParseInt(fold(members, "attemptEndingTimestamp"), 10, 64); err == nil {
		failure.At = millis(ms)
	}
	f := make(facts, 0, 10)
	f.add("Error", failure.Message)
	f.add("Error type", failure.Type)
	f.add("Function", string(failure.Function))
	f.add("Attempts", fold(members, "attemptsMade"))
	f.add("Table", strings.TrimSpace(fold(members, "dataCatalogTable")))
	f.add("Sequence", fold(members, "sequenceNumber"))
	f.add("Arrived", written(fold(members, "arrivalTimestamp")))
	f.add("Gave up at", written(fold(members, "attemptEndingTimestamp")))
	return failure, f
}

// fold is the text of a member whose case does not count.
func fold(members []member, name string) string {
	for i := len(members) - 1; i >= 0; i-- {
		if len(members[i].key) == len(name) && bytes.EqualFold(members[i].key, []byte(name)) {
			return str(members[i].value)
		}
	}
	return ""
}

func hasFold(members []member, name string) bool {
	for i := range members {
		if len(members[i].key) == len(name) && bytes.EqualFold(members[i].key, []byte(name)) {
			return true
		}
	}
	return false
}

// fromBase64 reads base64 of either alphabet, with padding or without.
func fromBase64(b []byte) ([]byte, bool) {
	b = bytes.TrimRight(b, "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(b, "-_") {
		encoding = base64.RawURLEncoding
	}
	out := make([]byte, encoding.DecodedLen(len(b)))
	n, err := encoding.Decode(out, b)
	return out[:n], err == nil
}
