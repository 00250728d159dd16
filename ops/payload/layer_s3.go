package payload

import (
	"net/url"
	"strconv"
	"strings"

	"kxops/ops"
)

var s3Event = layer{
	name: "S3 event",
	says: "S3 tells that objects were created, removed or restored in a bucket; the data itself is in the bucket.",
	open: openS3,
}

func openS3(in *input) (ops.Layer, bool) {
	records := in.raw("Records")
	if len(records) == 0 || records[0] != '[' || !in.valid {
		return ops.Layer{}, false
	}
	l := ops.Layer{Parts: make([][]byte, 0, 1)}
	EachElement(records, func(_ int, record []byte) bool {
		l.Parts = append(l.Parts, record)
		return len(l.Parts) < maxParts
	})
	if len(l.Parts) == 0 {
		return ops.Layer{}, false
	}
	var memory [16]member
	first, _ := readMembers(l.Parts[0], memory[:0])
	var memory3 [8]member
	s3, end := readMembers(find(first, "s3"), memory3[:0])
	if end < 0 || !strings.HasSuffix(str(find(first, "eventSource")), ":s3") {
		return ops.Layer{}, false
	}
	bucket, object := find(s3, "bucket"), find(s3, "object")
	name := Text(bucket, "name")
	if l.Origin = Text(bucket, "arn"); l.Origin == "" && name != "" {
		l.Origin = "arn:aws:s3:::" + name
	}
	l.Event = str(find(first, "eventName"))
	f := make(facts, 0, 7)
	f.add("Event", l.Event)
	f.add("Bucket", name)
	f.add("Key", objectKey(Text(object, "key")))
	f.add("Version", Text(object, "versionId"))
	size, _ := Field(object, "size")
	f.add("Bytes", str(size))
	f.add("At", str(find(first, "eventTime")))
	if len(l.Parts) > 1 {
		f.add("Records", strconv.Itoa(len(l.Parts)))
	}
	l.Facts = f
	return l, true
}

// objectKey decodes a key as S3 writes it into events, as in a web form: a space is
// a plus. A key that is not so encoded stays as it is.
func objectKey(written string) string {
	if !strings.ContainsAny(written, "%+") {
		return written
	}
	if key, err := url.QueryUnescape(written); err == nil {
		return key
	}
	return written
}

var s3TestEvent = layer{
	name: "S3 test event",
	says: "S3 sends one s3:TestEvent when a notification is configured; it stands for no object.",
	open: openS3Test,
}

func openS3Test(in *input) (ops.Layer, bool) {
	if in.text("Event") != "s3:TestEvent" || !in.valid {
		return ops.Layer{}, false
	}
	l := ops.Layer{Event: "s3:TestEvent", Harmless: "S3 sent it to test a new notification; it stands for no object"}
	f := make(facts, 0, 3)
	if bucket := in.text("Bucket"); bucket != "" {
		l.Origin = "arn:aws:s3:::" + bucket
		f.add("Bucket", bucket)
	}
	f.add("At", in.text("Time"))
	f.add("Request id", in.text("RequestId"))
	l.Facts = f
	return l, true
}
