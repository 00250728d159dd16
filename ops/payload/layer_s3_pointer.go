package payload

import (
	"strings"

	"kxops/ops"
)

var s3Pointer = layer{
	name: "S3 pointer",
	says: "The extended client put a large body into S3; this message only says where, and the object may be gone before it is.",
	open: openS3Pointer,
}

// openS3Pointer reads the two-element array of the extended client libraries: a
// Java class name, and bucket and key.
func openS3Pointer(in *input) (ops.Layer, bool) {
	if !in.is('[') || !in.valid {
		return ops.Layer{}, false
	}
	class := Text(in.doc, "0")
	if !strings.HasSuffix(class, "S3Pointer") {
		return ops.Layer{}, false
	}
	bucket, key := Text(in.doc, "1", "s3BucketName"), Text(in.doc, "1", "s3Key")
	if bucket == "" || key == "" || elements(in.doc) != 2 {
		return ops.Layer{}, false
	}
	f := make(facts, 0, 3)
	f.add("Bucket", bucket)
	f.add("Key", key)
	for _, name := range []string{"ExtendedPayloadSize", "SQSLargePayloadSize"} {
		f.add("Bytes", in.attribute(name))
	}
	return ops.Layer{Facts: f, Pointer: &ops.Pointer{Kind: ops.S3Object, Bucket: bucket, Key: key}}, true
}
