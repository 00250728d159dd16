package sandbox

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	smithy "github.com/aws/smithy-go"
)

// S3: this file has the door (which operation a request means) and the buckets;
// s3_objects.go the objects, s3_list.go the listings, s3_body.go request bodies and
// checksums, s3_notify.go the notifications.

// s3Store is the one namespace of buckets of all regions.
type s3Store struct{ buckets map[string]*bucket }

type bucket struct {
	name       string
	r          *Region
	created    time.Time
	tags       []s3Tag
	versioning string // "", Enabled or Suspended
	keys       []string
	objects    map[string][]*object // by key; the last one is the current version
	held       int
	notify     notificationXML
	sequence   uint64            // of notifications
	settings   map[string][]byte // by sub-resource; see s3_settings.go
	tended     bool              // its lifecycle is; see s3_lifecycle.go
	filters    []metricsFilterXML
}

func newS3(r *Region) {
	if r.sb.s3 == nil {
		r.sb.s3 = &s3Store{buckets: map[string]*bucket{}}
	}
	r.raw["s3"] = r.serveS3
	r.putObject = r.deliverObject
	r.tagged = append(r.tagged, r.taggedBuckets)
}

func (r *Region) s3() *s3Store { return r.sb.s3.(*s3Store) }

// s3Call is one request to S3.
type s3Call struct {
	r           *Region
	req         *http.Request
	bucket, key string
	query       url.Values
	body        []byte
}

// s3Answer is what goes back.
type s3Answer struct {
	status int
	header http.Header
	xml    any    // marshalled, or
	body   []byte // as it is
}

// serveS3 answers one request. The operation's name is found first, because
// faults and the bill go by it.
func (r *Region) serveS3(w http.ResponseWriter, req *http.Request) {
	requestID := strings.ToUpper(strings.ReplaceAll(r.sb.requestID(req.Context()), "-", ""))[:16]
	w.Header().Set("x-amz-request-id", requestID)
	w.Header().Set("x-amz-id-2", "c2FuZGJveA"+requestID)
	c := &s3Call{r: r, req: req, query: req.URL.Query()}
	c.bucket, c.key = s3Address(req)
	name, run := c.operation()
	var err error
	if run == nil {
		err = s3Error(501, "NotImplemented", "The sandbox does not offer %s of S3.", name)
	} else {
		c.body, err = s3Body(req)
	}
	var out any
	if err == nil {
		out, err = r.run(req.Context(), &operation{service: "s3", name: name, call: func(context.Context, any) (any, error) { return run() }}, c)
	}
	c.noteRequest(out, err)
	switch {
	case errors.Is(err, errReset):
		reset(w)
	case err != nil:
		answerS3Error(w, req, err, requestID)
	default:
		answerS3(w, req, out.(*s3Answer))
	}
}

// noteRequest notes what became of the request, where somebody pays for that.
func (c *s3Call) noteRequest(out any, err error) {
	status := http.StatusOK
	if a, ok := out.(*s3Answer); ok && a.status != 0 {
		status = a.status
	}
	if err != nil {
		_, _, status = asAPIError(err)
	}
	note := func() {
		if b := c.r.s3().buckets[c.bucket]; b != nil && b.r == c.r {
			b.countRequest(c.key, c.req.Method, status)
		}
	}
	if inside(c.req.Context()) { // the lock is held
		note()
		return
	}
	c.r.do(note)
}

// s3Address reads bucket and key: from the path, or the bucket from the host.
func s3Address(req *http.Request) (bucket, key string) {
	host := req.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	path := strings.TrimPrefix(req.URL.Path, "/")
	for _, base := range []string{"." + inProcessHost, ".localhost"} {
		if b, ok := strings.CutSuffix(host, base); ok && host != inProcessHost {
			return b, path
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

// subresources are the query parameters that make a request mean something else.
var subresources = []string{
	"accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering", "inventory", "legal-hold",
	"lifecycle", "location", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus",
	"publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select", "tagging", "torrent", "uploadId",
	"uploads", "versioning", "versions", "website",
}

// operation finds what the request means.
func (c *s3Call) operation() (string, func() (*s3Answer, error)) {
	sub := ""
	for _, s := range subresources {
		if _, ok := c.query[s]; ok {
			sub = s
			break
		}
	}
	level := "object"
	switch {
	case c.bucket == "":
		level = "service"
	case c.key == "":
		level = "bucket"
	}
	if level == "bucket" {
		if name, run := c.setting(sub); run != nil {
			return name, run
		}
	}
	what := strings.TrimSuffix(level+" "+c.req.Method+" "+sub, " ")
	switch what {
	case "service GET":
		return "ListBuckets", c.listBuckets
	case "bucket PUT":
		return "CreateBucket", c.createBucket
	case "bucket HEAD":
		return "HeadBucket", c.headBucket
	case "bucket DELETE":
		return "DeleteBucket", c.deleteBucket
	case "bucket GET location":
		return "GetBucketLocation", c.bucketLocation
	case "bucket GET tagging":
		return "GetBucketTagging", c.bucketTags
	case "bucket PUT tagging":
		return "PutBucketTagging", c.putBucketTags
	case "bucket DELETE tagging":
		return "DeleteBucketTagging", c.deleteBucketTags
	case "bucket GET versioning":
		return "GetBucketVersioning", c.bucketVersioning
	case "bucket PUT versioning":
		return "PutBucketVersioning", c.putBucketVersioning
	case "bucket GET notification":
		return "GetBucketNotificationConfiguration", c.notification
	case "bucket PUT notification":
		return "PutBucketNotificationConfiguration", c.putNotification
	case "bucket GET metrics":
		if c.query.Has("id") {
			return "GetBucketMetricsConfiguration", nil
		}
		return "ListBucketMetricsConfigurations", c.metricsFilters
	case "bucket PUT metrics":
		return "PutBucketMetricsConfiguration", c.putMetricsFilter
	case "bucket DELETE metrics":
		return "DeleteBucketMetricsConfiguration", c.deleteMetricsFilter
	case "bucket GET versions":
		return "ListObjectVersions", c.listVersions
	case "bucket GET":
		if c.query.Get("list-type") == "2" {
			return "ListObjectsV2", c.listObjects
		}
		return "ListObjects (version 1)", nil
	case "bucket POST delete":
		return "DeleteObjects", c.deleteObjects
	case "object PUT":
		if c.req.Header.Get("x-amz-copy-source") != "" {
			return "CopyObject", c.copyObject
		}
		return "PutObject", c.putObject
	case "object GET":
		return "GetObject", c.getObject
	case "object HEAD":
		return "HeadObject", c.getObject
	case "object DELETE":
		return "DeleteObject", c.deleteObject
	case "object POST restore":
		return "RestoreObject", c.restoreObject
	}
	return what, nil
}

func s3Error(status int, code, format string, args ...any) error {
	fault := smithy.FaultClient
	if status >= 500 {
		fault = smithy.FaultServer
	}
	return statusError{&smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: fault}, status}
}

func answerS3Error(w http.ResponseWriter, req *http.Request, err error, requestID string) {
	code, message, status := asAPIError(err)
	var moved movedError
	if errors.As(err, &moved) {
		w.Header().Set("x-amz-bucket-region", moved.region)
	}
	if status == http.StatusNotModified || req.Method == http.MethodHead {
		w.WriteHeader(status) // an answer to HEAD has no body: clients only see the status
		return
	}
	body, merr := xml.Marshal(struct {
		XMLName                            xml.Name `xml:"Error"`
		Code, Message, Resource, RequestId string
	}{Code: code, Message: message, Resource: req.URL.Path, RequestId: requestID})
	if merr != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	write(w, append([]byte(xml.Header), body...))
}

func answerS3(w http.ResponseWriter, req *http.Request, a *s3Answer) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	body := a.body
	if a.xml != nil {
		b, err := xml.Marshal(a.xml)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		body = append([]byte(xml.Header), b...)
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.status != http.StatusNoContent && w.Header().Get("Content-Length") == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	if req.Method != http.MethodHead {
		write(w, body)
	}
}

// movedError says that a bucket is in another region.
type movedError struct {
	statusError
	region string
}

func (e movedError) Unwrap() error { return e.statusError }

// find returns the bucket that the call is for.
func (c *s3Call) find() (*bucket, error) {
	b, ok := c.r.s3().buckets[c.bucket]
	if !ok {
		return nil, s3Error(404, "NoSuchBucket", "The specified bucket does not exist")
	}
	if b.r != c.r {
		return nil, movedError{statusError{&smithy.GenericAPIError{Code: "PermanentRedirect", Fault: smithy.FaultClient,
			Message: "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."}, 301}, b.r.Name}
	}
	return b, nil
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	ipAddress  = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)
)

// addBucket makes a bucket; scenarios call it too.
func (r *Region) addBucket(name string) *bucket {
	b := &bucket{name: name, r: r, created: r.now(), objects: map[string][]*object{}, settings: map[string][]byte{}}
	r.s3().buckets[name] = b
	return b
}

func (c *s3Call) createBucket() (*s3Answer, error) {
	if !bucketName.MatchString(c.bucket) || ipAddress.MatchString(c.bucket) || strings.Contains(c.bucket, "..") {
		return nil, s3Error(400, "InvalidBucketName", "The specified bucket is not valid.")
	}
	if err := c.refuseHeaders("x-amz-acl"); err != nil {
		return nil, err
	}
	var in struct {
		LocationConstraint string
		Tags               struct{ Tag []s3Tag }
		Location, Bucket   *struct{}
	}
	if err := c.readXML(&in, true); err != nil {
		return nil, err
	}
	where := in.LocationConstraint
	if where == "" && c.r.Name == "us-east-1" {
		where = c.r.Name
	}
	if in.Location != nil || in.Bucket != nil {
		return nil, s3Error(501, "NotImplemented", "The sandbox has no directory buckets.")
	}
	if where == "" {
		where = "unspecified"
	}
	if where != c.r.Name {
		return nil, s3Error(400, "IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", where)
	}
	if b, ok := c.r.s3().buckets[c.bucket]; ok {
		if b.r.Name == "us-east-1" && c.r == b.r {
			return &s3Answer{header: http.Header{"Location": {"/" + c.bucket}}}, nil // a leftover of the oldest region
		}
		return nil, s3Error(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
	}
	c.r.addBucket(c.bucket).tags = in.Tags.Tag
	return &s3Answer{header: http.Header{"Location": {"/" + c.bucket}}}, nil
}

func (c *s3Call) headBucket() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	h.Set("x-amz-bucket-region", b.r.Name)
	return &s3Answer{header: h}, nil
}

func (c *s3Call) deleteBucket() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	if len(b.keys) > 0 {
		return nil, s3Error(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
	}
	delete(c.r.s3().buckets, b.name)
	return &s3Answer{status: http.StatusNoContent}, nil
}

const s3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

func (c *s3Call) bucketLocation() (*s3Answer, error) {
	b, err := c.find()
	var moved movedError
	if errors.As(err, &moved) { // this call is answered from anywhere
		b, err = c.r.s3().buckets[c.bucket], nil
	}
	if err != nil {
		return nil, err
	}
	where := b.r.Name
	if where == "us-east-1" {
		where = ""
	}
	return &s3Answer{xml: struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		XMLNS   string   `xml:"xmlns,attr"`
		Where   string   `xml:",chardata"`
	}{XMLNS: s3Namespace, Where: where}}, nil
}

func (s *s3Store) names() []string {
	names := make([]string, 0, len(s.buckets))
	for n := range s.buckets {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func (c *s3Call) listBuckets() (*s3Answer, error) {
	limit, err := c.count("max-buckets", 10000)
	if err != nil {
		return nil, err
	}
	after, err := c.continuation()
	if err != nil {
		return nil, err
	}
	type entry struct{ Name, CreationDate, BucketRegion, BucketArn string }
	var out struct {
		XMLName xml.Name `xml:"ListAllMyBucketsResult"`
		XMLNS   string   `xml:"xmlns,attr"`
		Owner   struct{ ID string }
		Buckets struct {
			Bucket []entry
		}
		ContinuationToken string `xml:",omitempty"`
		Prefix            string `xml:",omitempty"`
	}
	out.XMLNS, out.Owner.ID, out.Prefix = s3Namespace, s3Owner, c.query.Get("prefix")
	region := c.query.Get("bucket-region")
	for _, n := range c.r.s3().names() {
		b := c.r.s3().buckets[n]
		if n <= after || !strings.HasPrefix(n, out.Prefix) || region != "" && b.r.Name != region {
			continue
		}
		if got := out.Buckets.Bucket; len(got) == limit {
			out.ContinuationToken = *sealToken(got[limit-1].Name)
			break
		}
		out.Buckets.Bucket = append(out.Buckets.Bucket, entry{n, s3Time(b.created), b.r.Name, "arn:aws:s3:::" + n})
	}
	return &s3Answer{xml: out}, nil
}

const s3Owner = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"

func s3Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// count reads a page size: 1..most, most when absent.
func (c *s3Call) count(parameter string, most int) (int, error) {
	v := c.query.Get(parameter)
	if v == "" {
		return most, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, s3Error(400, "InvalidArgument", "Provided %s not an integer or within integer range", parameter)
	}
	return min(n, most), nil
}

// continuation reads the continuation token of a listing.
func (c *s3Call) continuation() (after string, err error) {
	t := c.query.Get("continuation-token")
	if t == "" {
		return "", nil
	}
	if openToken(t, &after) != nil {
		return "", s3Error(400, "InvalidArgument", "The continuation token provided is incorrect")
	}
	return after, nil
}

type s3Tag struct{ Key, Value string }

type taggingXML struct {
	XMLName xml.Name `xml:"Tagging"`
	TagSet  struct{ Tag []s3Tag }
}

func (c *s3Call) bucketTags() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	if len(b.tags) == 0 {
		return nil, s3Error(404, "NoSuchTagSet", "The TagSet does not exist")
	}
	var out taggingXML
	out.TagSet.Tag = b.tags
	return &s3Answer{xml: out}, nil
}

func (c *s3Call) putBucketTags() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	var in taggingXML
	if err := c.readXML(&in, false); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, t := range in.TagSet.Tag {
		if seen[t.Key] {
			return nil, s3Error(400, "InvalidTag", "Cannot provide multiple Tags with the same key")
		}
		seen[t.Key] = true
	}
	if len(in.TagSet.Tag) > mostTags {
		return nil, s3Error(400, "BadRequest", "Bucket tag count cannot be greater than %d", mostTags)
	}
	b.tags = in.TagSet.Tag
	return &s3Answer{status: http.StatusNoContent}, nil
}

func (c *s3Call) deleteBucketTags() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	b.tags = nil
	return &s3Answer{status: http.StatusNoContent}, nil
}

func (r *Region) taggedBuckets() []taggedResource {
	var out []taggedResource
	for _, n := range r.s3().names() {
		b := r.s3().buckets[n]
		if b.r != r || len(b.tags) == 0 {
			continue
		}
		tags := map[string]string{}
		for _, t := range b.tags {
			tags[t.Key] = t.Value
		}
		out = append(out, taggedResource{ARN: b.arn(), Tags: tags})
	}
	return out
}

type versioningXML struct {
	XMLName   xml.Name `xml:"VersioningConfiguration"`
	XMLNS     string   `xml:"xmlns,attr,omitempty"`
	Status    string   `xml:",omitempty"`
	MfaDelete string   `xml:",omitempty"`
}

func (c *s3Call) bucketVersioning() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	return &s3Answer{xml: versioningXML{XMLNS: s3Namespace, Status: b.versioning}}, nil
}

func (c *s3Call) putBucketVersioning() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	var in versioningXML
	if err := c.readXML(&in, false); err != nil {
		return nil, err
	}
	if in.MfaDelete == "Enabled" {
		return nil, s3Error(501, "NotImplemented", "The sandbox does not support MfaDelete.")
	}
	if in.Status != "Enabled" && in.Status != "Suspended" {
		return nil, s3Error(400, "IllegalVersioningConfigurationException", "The Versioning element must be specified")
	}
	b.versioning = in.Status
	return &s3Answer{}, nil
}

// readXML reads the request body.
func (c *s3Call) readXML(into any, optional bool) error {
	if optional && len(c.body) == 0 {
		return nil
	}
	if err := xml.Unmarshal(c.body, into); err != nil {
		if errors.Is(err, io.EOF) {
			return s3Error(400, "MissingRequestBodyError", "Request Body is empty")
		}
		return s3Error(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	return nil
}

// plainHeaders are the x-amz- headers that mean nothing special, or that the
// operations read.
var plainHeaders = map[string]bool{
	"x-amz-content-sha256": true, "x-amz-date": true, "x-amz-decoded-content-length": true, "x-amz-trailer": true, "x-amz-security-token": true,
	"x-amz-sdk-checksum-algorithm": true, "x-amz-storage-class": true, "x-amz-checksum-mode": true, "x-amz-checksum-type": true,
	"x-amz-copy-source": true, "x-amz-metadata-directive": true, "x-amz-expected-bucket-owner": true, "x-amz-user-agent": true,
	"x-amz-skip-destination-validation": true, "x-amz-tagging": true, "x-amz-checksum-algorithm": true,
}

// refuseHeaders refuses x-amz- headers that ask for something which the sandbox
// does not do. S3 itself has this error for it.
func (c *s3Call) refuseHeaders(except ...string) error {
	for h := range c.req.Header {
		h = strings.ToLower(h)
		if !strings.HasPrefix(h, "x-amz-") || plainHeaders[h] || strings.HasPrefix(h, "x-amz-meta-") || strings.HasPrefix(h, "x-amz-checksum-") {
			continue
		}
		ok := false
		for _, e := range except {
			ok = ok || h == e
		}
		if !ok {
			return s3Error(501, "NotImplemented", "A header you provided implies functionality that is not implemented: %s", h)
		}
	}
	if owner := c.req.Header.Get("x-amz-expected-bucket-owner"); owner != "" && owner != Account {
		return s3Error(403, "AccessDenied", "Access Denied")
	}
	return nil
}
