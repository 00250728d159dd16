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
	first, ok := Field(records, "0")
	if !ok || !strings.HasSuffix(Text(first, "eventSource"), ":s3") {
		return ops.Layer{}, false
	}
	s3, ok := Field(first, "s3")
	if !ok {
		return ops.Layer{}, false
	}
	l := ops.Layer{Event: Text(first, "eventName"), Origin: Text(s3, "bucket", "arn")}
	bucket := Text(s3, "bucket", "name")
	if l.Origin == "" && bucket != "" {
		l.Origin = "arn:aws:s3:::" + bucket
	}
	EachElement(records, func(_ int, record []byte) bool {
		l.Parts = append(l.Parts, record)
		return len(l.Parts) < maxParts
	})
	f := make(facts, 0, 8)
	f.add("Event", l.Event)
	f.add("Bucket", bucket)
	f.add("Key", objectKey(Text(s3, "object", "key")))
	f.add("Version", Text(s3, "object", "versionId"))
	size, _ := Field(s3, "object", "size")
	f.add("Bytes", str(size))
	f.add("At", Text(first, "eventTime"))
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
