package sandbox

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kxops/ops"
)

const (
	// mostInBucket bounds what one bucket holds. Uploads beyond it are refused;
	// deliveries of the sandbox itself drop the bucket's first keys (the oldest,
	// in a time-ordered archive) beyond mostDelivered, so that a demo can run on.
	mostInBucket  = 512 << 20
	mostDelivered = 128 << 20
	mostKey       = 1024
)

// object is one version of an object.
type object struct {
	key, version string
	deleted      bool // a delete marker
	body         []byte
	etag         string // with its quotes
	modified     time.Time
	class        string
	header       http.Header // content headers and x-amz-meta-
	checksumName string
	checksum     string
	thaw         thawing // of what is archived
}

func (b *bucket) arn() ops.ARN { return ops.ARN("arn:aws:s3:::" + b.name) }

func (b *bucket) current(key string) *object {
	versions := b.objects[key]
	if len(versions) == 0 {
		return nil
	}
	return versions[len(versions)-1]
}

// add stores a new current version.
func (b *bucket) add(o *object) {
	versions := b.objects[o.key]
	if len(versions) == 0 {
		i := sort.SearchStrings(b.keys, o.key)
		b.keys = slices.Insert(b.keys, i, o.key)
	}
	o.version = "null"
	if b.versioning == "Enabled" {
		o.version = strings.ReplaceAll(b.r.id(), "-", "")
	} else {
		for i, v := range versions { // the null version is replaced
			if v.version == "null" {
				b.held -= len(v.body)
				versions = slices.Delete(versions, i, i+1)
				break
			}
		}
	}
	b.objects[o.key] = append(versions, o)
	b.held += len(o.body)
}

// drop removes one version, or all with "".
func (b *bucket) drop(key, version string) *object {
	var dropped *object
	var rest []*object
	for _, v := range b.objects[key] {
		if version == "" || v.version == version {
			b.held -= len(v.body)
			dropped = v
			continue
		}
		rest = append(rest, v)
	}
	if len(rest) > 0 {
		b.objects[key] = rest
		return dropped
	}
	delete(b.objects, key)
	if i := sort.SearchStrings(b.keys, key); i < len(b.keys) && b.keys[i] == key {
		b.keys = slices.Delete(b.keys, i, i+1)
	}
	return dropped
}

func newObject(key string, body []byte, now time.Time) *object {
	sum := md5.Sum(body)
	return &object{
		key: key, body: body, etag: `"` + hex.EncodeToString(sum[:]) + `"`, modified: now, class: "STANDARD", header: http.Header{},
		checksumName: "crc64nvme", checksum: defaultChecksum(body),
	}
}

// deliverObject is the region's putObject: how Firehose and others deliver.
func (r *Region) deliverObject(name, key string, body []byte) error {
	b, ok := r.s3().buckets[name]
	if !ok {
		return s3Error(404, "NoSuchBucket", "The specified bucket does not exist")
	}
	o := newObject(key, body, r.now())
	o.header.Set("Content-Type", "application/octet-stream")
	b.add(o)
	for b.held > mostDelivered && len(b.keys) > 1 {
		b.drop(b.keys[0], "")
	}
	b.announce("ObjectCreated:Put", o)
	b.countRequest(key, http.MethodPut, http.StatusOK)
	return nil
}

// storageClasses that can be asked for; the archived ones must be restored
// before they can be read.
var storageClasses = map[string]bool{
	"STANDARD": false, "STANDARD_IA": false, "ONEZONE_IA": false, "INTELLIGENT_TIERING": false, "GLACIER_IR": false, "REDUCED_REDUNDANCY": false,
	"GLACIER": true, "DEEP_ARCHIVE": true,
}

var contentHeaders = []string{"Content-Type", "Content-Encoding", "Cache-Control", "Content-Disposition", "Content-Language", "Expires"}

// describe takes over the headers that are stored with an object.
func (c *s3Call) describe(o *object) error {
	h := c.req.Header
	if class := h.Get("x-amz-storage-class"); class != "" {
		if _, ok := storageClasses[class]; !ok {
			return s3Error(400, "InvalidStorageClass", "The storage class you specified is not valid")
		}
		o.class = class
	}
	for _, name := range contentHeaders {
		v := h.Get(name)
		if name == "Content-Encoding" { // aws-chunked is about the upload, not about the object
			v = strings.Trim(strings.ReplaceAll(v, "aws-chunked", ""), ", ")
		}
		if v != "" {
			o.header.Set(name, v)
		}
	}
	for name, v := range h {
		if strings.HasPrefix(strings.ToLower(name), "x-amz-meta-") {
			o.header[name] = v
		}
	}
	if h.Get("x-amz-tagging") != "" {
		return s3Error(501, "NotImplemented", "The sandbox does not support tags on objects.")
	}
	for name := range checksums() {
		if v := h.Get("x-amz-checksum-" + name); v != "" {
			o.checksumName, o.checksum = name, v
		}
	}
	return nil
}

func (c *s3Call) store(b *bucket, o *object) error {
	if !utf8.ValidString(o.key) {
		return s3Error(400, "InvalidURI", "Couldn't parse the specified URI.")
	}
	if len(o.key) > mostKey {
		return s3Error(400, "KeyTooLongError", "Your key is too long")
	}
	if b.held+len(o.body) > mostInBucket {
		return s3Error(400, "EntityTooLarge", "The sandbox holds at most %d MiB per bucket, and bucket %s is full: delete objects", mostInBucket>>20, b.name)
	}
	if c.req.Header.Get("If-None-Match") == "*" {
		if have := b.current(o.key); have != nil && !have.deleted {
			return preconditionFailed()
		}
	}
	if match := c.req.Header.Get("If-Match"); match != "" {
		if have := b.current(o.key); have == nil || have.deleted {
			return s3Error(404, "NoSuchKey", "The specified key does not exist.")
		} else if match != "*" && match != have.etag {
			return preconditionFailed()
		}
	}
	b.add(o)
	return nil
}

func preconditionFailed() error {
	return s3Error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

func (b *bucket) versionHeader(h http.Header, o *object) {
	if b.versioning != "" {
		h.Set("x-amz-version-id", o.version)
	}
}

func (c *s3Call) putObject() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	if err := c.refuseHeaders(); err != nil {
		return nil, err
	}
	o := newObject(c.key, c.body, c.r.now())
	if err := c.describe(o); err != nil {
		return nil, err
	}
	if err := c.store(b, o); err != nil {
		return nil, err
	}
	b.announce("ObjectCreated:Put", o)
	h := http.Header{}
	h.Set("ETag", o.etag)
	h.Set("x-amz-checksum-"+o.checksumName, o.checksum)
	h.Set("x-amz-checksum-type", "FULL_OBJECT")
	b.versionHeader(h, o)
	return &s3Answer{header: h}, nil
}

// look finds the version that a call names.
func (c *s3Call) look() (*bucket, *object, error) {
	b, err := c.find()
	if err != nil {
		return nil, nil, err
	}
	if version := c.query.Get("versionId"); version != "" {
		for _, o := range b.objects[c.key] {
			if o.version != version {
				continue
			}
			if o.deleted {
				return nil, nil, s3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
			}
			return b, o, nil
		}
		return nil, nil, s3Error(404, "NoSuchVersion", "The specified version does not exist.")
	}
	o := b.current(c.key)
	if o == nil || o.deleted {
		return nil, nil, s3Error(404, "NoSuchKey", "The specified key does not exist.")
	}
	return b, o, nil
}

// getObject answers GET and HEAD.
func (c *s3Call) getObject() (*s3Answer, error) {
	if err := c.refuseHeaders(); err != nil {
		return nil, err
	}
	if c.query.Has("partNumber") {
		return nil, s3Error(501, "NotImplemented", "The sandbox does not support partNumber.")
	}
	b, o, err := c.look()
	if err != nil {
		return nil, err
	}
	if err := c.conditions(o); err != nil {
		return nil, err
	}
	h := o.header.Clone()
	h.Set("ETag", o.etag)
	h.Set("Last-Modified", o.modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	if o.class != "STANDARD" {
		h.Set("x-amz-storage-class", o.class)
	}
	b.versionHeader(h, o)
	now := c.r.now()
	if state := o.restoreState(now); state != nil {
		h.Set("x-amz-restore", state.header())
	}
	if c.req.Method == http.MethodGet && !o.readable(now) {
		return nil, s3Error(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
	}
	body, status := o.body, http.StatusOK
	if rng := c.req.Header.Get("Range"); rng != "" {
		from, to, ok, err := byteRange(rng, len(o.body))
		if err != nil {
			return nil, err
		}
		if ok {
			body, status = o.body[from:to+1], http.StatusPartialContent
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(o.body)))
		}
	}
	if status == http.StatusOK && c.req.Header.Get("x-amz-checksum-mode") == "ENABLED" {
		h.Set("x-amz-checksum-"+o.checksumName, o.checksum)
		h.Set("x-amz-checksum-type", "FULL_OBJECT")
	}
	for name, values := range c.query { // response-content-type and the like
		if override, ok := strings.CutPrefix(name, "response-"); ok {
			h.Set(override, values[0])
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	return &s3Answer{status: status, header: h, body: body}, nil
}

func (c *s3Call) conditions(o *object) error {
	h := c.req.Header
	if m := h.Get("If-Match"); m != "" && m != "*" && m != o.etag && `"`+m+`"` != o.etag {
		return preconditionFailed()
	}
	if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && h.Get("If-Match") == "" && o.modified.Truncate(time.Second).After(t) {
		return preconditionFailed()
	}
	notModified := s3Error(http.StatusNotModified, "NotModified", "Not Modified")
	if m := h.Get("If-None-Match"); m != "" {
		if m == "*" || m == o.etag || `"`+m+`"` == o.etag {
			return notModified
		}
	} else if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !o.modified.Truncate(time.Second).After(t) {
		return notModified
	}
	return nil
}

// byteRange reads a Range header of one range; ok is false for one that HTTP
// says to ignore.
func byteRange(rng string, size int) (from, to int, ok bool, err error) {
	spec, isBytes := strings.CutPrefix(rng, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !isBytes || !dash || strings.Contains(spec, ",") {
		return 0, 0, false, nil
	}
	unsatisfiable := s3Error(416, "InvalidRange", "The requested range is not satisfiable")
	if first == "" { // the last n bytes
		n, err := strconv.Atoi(last)
		if err != nil || n < 0 {
			return 0, 0, false, nil
		}
		if n == 0 || size == 0 {
			return 0, 0, false, unsatisfiable
		}
		return max(0, size-n), size - 1, true, nil
	}
	from, aerr := strconv.Atoi(first)
	to = size - 1
	var berr error
	if last != "" {
		to, berr = strconv.Atoi(last)
	}
	if aerr != nil || berr != nil || last != "" && to < from {
		return 0, 0, false, nil
	}
	if from >= size {
		return 0, 0, false, unsatisfiable
	}
	return from, min(to, size-1), true, nil
}

func (c *s3Call) copyObject() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	if err := c.refuseHeaders(); err != nil {
		return nil, err
	}
	source, err := url.PathUnescape(strings.TrimPrefix(c.req.Header.Get("x-amz-copy-source"), "/"))
	if err != nil {
		return nil, s3Error(400, "InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	source, version, _ := strings.Cut(source, "?versionId=")
	from := &s3Call{r: c.r, req: c.req, query: url.Values{}}
	from.bucket, from.key, _ = strings.Cut(source, "/")
	if version != "" {
		from.query.Set("versionId", version)
	}
	_, src, err := from.look()
	if err != nil {
		return nil, err
	}
	if !src.readable(c.r.now()) {
		return nil, s3Error(403, "InvalidObjectState", "Operation is not valid for the source object's storage class")
	}
	o := newObject(c.key, src.body, c.r.now())
	if c.req.Header.Get("x-amz-metadata-directive") != "REPLACE" {
		if from.bucket == c.bucket && from.key == c.key && c.req.Header.Get("x-amz-storage-class") == "" {
			return nil, s3Error(400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
		}
		o.header = src.header.Clone()
		if class := c.req.Header.Get("x-amz-storage-class"); class != "" {
			o.class = class
		}
	} else if err := c.describe(o); err != nil {
		return nil, err
	}
	if _, ok := storageClasses[o.class]; !ok {
		return nil, s3Error(400, "InvalidStorageClass", "The storage class you specified is not valid")
	}
	if err := c.store(b, o); err != nil {
		return nil, err
	}
	b.announce("ObjectCreated:Copy", o)
	h := http.Header{}
	b.versionHeader(h, o)
	return &s3Answer{header: h, xml: struct {
		XMLName            xml.Name `xml:"CopyObjectResult"`
		LastModified, ETag string
	}{LastModified: s3Time(o.modified), ETag: o.etag}}, nil
}

// remove deletes an object as DeleteObject does: with versioning it leaves a
// delete marker. It reports the marker (or the version) that this is about.
func (b *bucket) remove(key, version string) (*object, bool) {
	if version != "" {
		o := b.drop(key, version)
		if o != nil {
			b.announce("ObjectRemoved:Delete", o)
		}
		return o, o != nil && o.deleted
	}
	if b.versioning == "" {
		if o := b.drop(key, ""); o != nil {
			b.announce("ObjectRemoved:Delete", o)
		}
		return nil, false // deleting what is not there succeeds too
	}
	marker := &object{key: key, deleted: true, modified: b.r.now()}
	b.add(marker)
	b.announce("ObjectRemoved:DeleteMarkerCreated", marker)
	return marker, true
}

func (c *s3Call) deleteObject() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	if err := c.refuseHeaders(); err != nil {
		return nil, err
	}
	if m := c.req.Header.Get("If-Match"); m != "" {
		if o := b.current(c.key); o == nil || o.deleted || m != "*" && m != o.etag {
			return nil, preconditionFailed()
		}
	}
	o, marker := b.remove(c.key, c.query.Get("versionId"))
	h := http.Header{}
	if o != nil {
		b.versionHeader(h, o)
	}
	if marker {
		h.Set("x-amz-delete-marker", "true")
	}
	return &s3Answer{status: http.StatusNoContent, header: h}, nil
}

func (c *s3Call) deleteObjects() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	var in struct {
		XMLName xml.Name `xml:"Delete"`
		Quiet   bool
		Object  []struct{ Key, VersionId, ETag string }
	}
	if err := c.readXML(&in, false); err != nil {
		return nil, err
	}
	if len(in.Object) == 0 || len(in.Object) > 1000 {
		return nil, s3Error(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	type deleted struct {
		Key                   string
		VersionId             string `xml:",omitempty"`
		DeleteMarker          bool   `xml:",omitempty"`
		DeleteMarkerVersionId string `xml:",omitempty"`
	}
	type failed struct{ Key, Code, Message string }
	var out struct {
		XMLName xml.Name `xml:"DeleteResult"`
		XMLNS   string   `xml:"xmlns,attr"`
		Deleted []deleted
		Error   []failed
	}
	out.XMLNS = s3Namespace
	partial := c.r.strikes(PartialBatch, "s3", "DeleteObjects")
	for _, x := range in.Object {
		if have := b.current(x.Key); x.ETag != "" && (have == nil || have.etag != x.ETag) {
			out.Error = append(out.Error, failed{x.Key, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"})
			continue
		}
		if partial && c.r.rng.IntN(3) == 0 {
			out.Error = append(out.Error, failed{x.Key, "InternalError", "We encountered an internal error. Please try again."})
			continue
		}
		o, marker := b.remove(x.Key, x.VersionId)
		d := deleted{Key: x.Key, VersionId: x.VersionId, DeleteMarker: marker}
		if marker {
			d.DeleteMarkerVersionId = o.version
		}
		if !in.Quiet {
			out.Deleted = append(out.Deleted, d)
		}
	}
	return &s3Answer{xml: out}, nil
}
