package sandbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	smithy "github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"
)

// maxRequest bounds a request body: the largest that a service takes (10 MiB
// PutRecords, base64) with room to spare. S3 objects stream and have their own bound.
const maxRequest = 16 << 20

// protocol says how a request came and how its answer goes back.
type protocol int

const (
	jsonProtocol protocol = iota
	cborProtocol
	queryProtocol
)

// targets maps the service part of X-Amz-Target to the service.
var targets = map[string]string{
	"AmazonSQS":                         "sqs",
	"Kinesis_20131202":                  "kinesis",
	"Firehose_20150804":                 "firehose",
	"GraniteServiceVersion20100801":     "cloudwatch",
	"ResourceGroupsTaggingAPI_20170126": "tagging",
	"TrentService":                      "kms",
	"DynamoDB_20120810":                 "dynamodb",
	"AWSEvents":                         "events",
	"AmazonAthena":                      "athena",
	"AWSGlue":                           "glue",
}

// versions maps the Version parameter of the Query protocol to the service.
var versions = map[string]string{
	"2010-03-31": "sns",
	"2010-05-08": "iam",
	"2010-05-15": "cloudformation",
	"2010-08-01": "cloudwatch",
	"2011-06-15": "sts",
	"2012-11-05": "sqs",
}

// namespaces are the XML namespaces of Query answers.
var namespaces = map[string]string{
	"sns":            "http://sns.amazonaws.com/doc/2010-03-31/",
	"cloudwatch":     "http://monitoring.amazonaws.com/doc/2010-08-01/",
	"iam":            "https://iam.amazonaws.com/doc/2010-05-08/",
	"cloudformation": "http://cloudformation.amazonaws.com/doc/2010-05-15/",
	"sts":            "https://sts.amazonaws.com/doc/2011-06-15/",
	"sqs":            "http://queue.amazonaws.com/doc/2012-11-05/",
}

// ServeHTTP answers one API call.
func (sb *Sandbox) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if why := sb.foreign(req); why != "" {
		http.Error(w, why, http.StatusForbidden)
		return
	}
	if strings.HasPrefix(req.URL.Path, adminPath) {
		sb.serveAdmin(w, req)
		return
	}
	if strings.HasPrefix(req.URL.Path, apiPrefix) { // anybody's request: it is not signed
		sb.Region("").doors.knock(w, req)
		return
	}
	service, regionName := signedFor(req)
	region := sb.Region(regionName)
	if raw, ok := region.raw[service]; ok {
		raw(w, req)
		return
	}
	w.Header().Set("x-amzn-RequestId", sb.requestID(req.Context()))
	call, err := region.read(req, service)
	if err != nil {
		region.answerError(w, call, err)
		return
	}
	region.serve(w, req, call)
}

// call is one parsed request.
type call struct {
	op       *operation
	service  string
	name     string
	protocol protocol
	version  string // AWS-JSON version of the request: "1.0" or "1.1"
	input    any
}

// signedFor reads service and region from the signature's credential scope; a
// request without one (a browser, curl) is for the home region.
func signedFor(req *http.Request) (service, region string) {
	scope := req.Header.Get("Authorization")
	if _, rest, ok := strings.Cut(scope, "Credential="); ok {
		scope = rest
	} else {
		scope = req.URL.Query().Get("X-Amz-Credential")
	}
	scope, _, _ = strings.Cut(scope, ",")
	p := strings.Split(scope, "/")
	if len(p) < 5 {
		return "", ""
	}
	return p[3], p[2]
}

// read parses a request of the JSON, CBOR and Query protocols.
func (r *Region) read(req *http.Request, signed string) (*call, error) {
	c := &call{service: signed}
	body, err := readBody(req)
	if err != nil {
		return c, err
	}
	var tree any
	target := req.Header.Get("X-Amz-Target")
	switch {
	case req.Header.Get("Smithy-Protocol") == "rpc-v2-cbor" || strings.HasPrefix(req.URL.Path, "/service/"):
		c.protocol = cborProtocol
		p := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
		if len(p) != 4 {
			return c, fail("UnknownOperationException", "the path %s names no operation", req.URL.Path)
		}
		c.service, c.name = targets[p[1]], p[3]
		tree, err = treeOfCBOR(body)
	case target != "":
		prefix, name, _ := strings.Cut(target, ".")
		c.service, c.name = targets[prefix], name
		c.version = strings.TrimPrefix(req.Header.Get("Content-Type"), "application/x-amz-json-")
		tree, err = treeOfJSON(body)
	default:
		c.protocol = queryProtocol
		form, ferr := url.ParseQuery(string(body))
		if ferr != nil {
			return c, fail("MalformedQueryString", "the body is not a form: %v", ferr)
		}
		for k, v := range req.URL.Query() {
			form[k] = v
		}
		c.name = form.Get("Action")
		if s, ok := versions[form.Get("Version")]; ok {
			c.service = s
		}
		tree = treeOfForm(form)
	}
	if err != nil {
		return c, fail("SerializationException", "the body cannot be read: %v", err)
	}
	op, ok := r.operations[c.service+"."+c.name]
	if !ok {
		return c, unknownOperation(c)
	}
	c.op = op
	in := reflect.New(op.input)
	if err := decode(in.Elem(), tree, c.name); err != nil {
		return c, fail("SerializationException", "%v", err)
	}
	c.input = in.Interface()
	return c, nil
}

// unknownOperation answers as the real service does for an operation that it
// does not have, and names it.
func unknownOperation(c *call) error {
	code := "UnknownOperationException"
	if c.protocol == queryProtocol {
		code = "InvalidAction"
	}
	what := c.name
	if what == "" {
		what = "a request without an operation"
	}
	return fail(code, "the sandbox does not offer %s of %q", what, c.service)
}

func readBody(req *http.Request) ([]byte, error) {
	var src io.Reader = io.LimitReader(req.Body, maxRequest+1)
	if req.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, fail("SerializationException", "the body is not gzip: %v", err)
		}
		src = io.LimitReader(z, maxRequest+1)
	}
	body, err := io.ReadAll(src)
	if err != nil {
		return nil, fail("RequestTimeout", "the body did not arrive whole: %v", err)
	}
	if len(body) > maxRequest {
		return nil, fail("RequestEntityTooLarge", "the request is larger than %d bytes", maxRequest)
	}
	return body, nil
}

// serve runs a parsed call with its faults and writes the answer.
func (r *Region) serve(w http.ResponseWriter, req *http.Request, c *call) {
	out, err := r.run(req.Context(), c.op, c.input)
	if errors.Is(err, errReset) {
		reset(w)
		return
	}
	if err != nil {
		r.answerError(w, c, err)
		return
	}
	if s, pushed := out.(*shardPush); pushed {
		s.serve(w, req)
		return
	}
	r.answer(w, c, out)
}

// run executes an operation under the lock, with the faults that are set for it,
// and puts it on the bill. In-process callers (scenarios) use it too.
func (r *Region) run(ctx context.Context, op *operation, in any) (any, error) {
	if inside(ctx) {
		return r.runInside(ctx, op, in)
	}
	before, after, err := r.sb.faults.of(ctx, r, op.service, op.name)
	if err != nil {
		if op.struck != nil {
			r.do(func() { op.struck(in, err) })
		}
		return nil, err
	}
	if before {
		return nil, errReset
	}
	var out any
	r.do(func() {
		if err = r.refuses(op, in); err == nil {
			out, err = op.call(ctx, in)
		}
	})
	if err != nil {
		return nil, err
	}
	r.sb.bill.add(op.service, op.name, in, out)
	if after {
		return nil, errReset
	}
	return out, nil
}

// runInside executes an operation for a function or a template, which hold the
// lock already. Faults strike it as they strike anybody; the operator's bill does
// not grow by it.
func (r *Region) runInside(ctx context.Context, op *operation, in any) (any, error) {
	for _, f := range r.sb.faults.hitsInside(r.kernel, op.service, op.name) {
		if f.Kind == ResetBefore {
			return nil, errReset
		}
		if err := f.asError(op.service, op.name); err != nil {
			if op.struck != nil {
				op.struck(in, err)
			}
			return nil, err
		}
	}
	if err := r.allowed(ctx, op, in); err != nil {
		return nil, err
	}
	return op.call(ctx, in)
}

// reset drops the connection without an answer.
func reset(w http.ResponseWriter) {
	hj, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler) // the in-process transport turns this into a reset
	}
	conn, _, err := hj.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// RST instead of FIN; if the option cannot be set the peer sees EOF, which is as good.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close() // dropping it is the point
}

func (r *Region) answer(w http.ResponseWriter, c *call, out any) {
	v := reflect.ValueOf(out)
	switch c.protocol {
	case jsonProtocol:
		w.Header().Set("Content-Type", "application/x-amz-json-"+c.version)
		body := appendJSON(make([]byte, 0, 512), v)
		c.sum(w, body)
		write(w, body)
	case cborProtocol:
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		write(w, appendCBOR(make([]byte, 0, 512), v))
	case queryProtocol:
		var b bytes.Buffer
		fmt.Fprintf(&b, `<%sResponse xmlns="%s"><%sResult>`, c.name, namespaces[c.service], c.name)
		appendXML(&b, v)
		fmt.Fprintf(&b, `</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>`,
			c.name, w.Header().Get("x-amzn-RequestId"), c.name)
		w.Header().Set("Content-Type", "text/xml")
		write(w, b.Bytes())
	}
}

func (r *Region) answerError(w http.ResponseWriter, c *call, err error) {
	code, message, status := asAPIError(err)
	switch c.protocol {
	case jsonProtocol:
		if c.version == "" {
			c.version = "1.1"
		}
		w.Header().Set("Content-Type", "application/x-amz-json-"+c.version)
		if c.service == "sqs" || c.service == "cloudwatch" { // both kept their old Query codes in a header when they left Query
			w.Header().Set("x-amzn-query-error", queryCode(c.service, code)+";"+senderFault(status))
		}
		body := errorBody(err, code, message)
		c.sum(w, body)
		w.WriteHeader(status)
		write(w, body)
	case cborProtocol:
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.Header().Set("x-amzn-query-error", queryCode(c.service, code)+";"+senderFault(status))
		w.WriteHeader(status)
		write(w, cbor.Encode(cbor.Map{"__type": cbor.String(code), "message": cbor.String(message)}))
	case queryProtocol:
		var b bytes.Buffer
		fmt.Fprintf(&b, `<ErrorResponse xmlns="%s"><Error><Type>%s</Type><Code>`, namespaces[c.service], senderFault(status))
		escapeXML(&b, queryCode(c.service, code))
		b.WriteString("</Code><Message>")
		escapeXML(&b, message)
		fmt.Fprintf(&b, "</Message></Error><RequestId>%s</RequestId></ErrorResponse>", w.Header().Get("x-amzn-RequestId"))
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		write(w, b.Bytes())
	}
}

// errorBody is an error in AWS-JSON: code, message, and what else the service's own
// type of error carries, such as the reasons of a cancelled transaction.
func errorBody(err error, code, message string) []byte {
	b := appendString([]byte(`{"__type":`), code)
	b = appendString(append(b, `,"message":`...), message)
	var api smithy.APIError
	if errors.As(err, &api) {
		v := reflect.Indirect(reflect.ValueOf(api))
		if v.Kind() == reflect.Struct && v.FieldByName("ErrorCodeOverride").IsValid() { // every type of error of the SDK has it
			for _, f := range fieldsOf(v.Type()) {
				if x := v.Field(f.index); f.name != "Message" && f.name != "ErrorCodeOverride" && !skip(x) {
					b = append(appendString(append(b, ','), f.name), ':')
					b = appendJSON(b, x)
				}
			}
		}
	}
	return append(b, '}')
}

// sum adds the checksum by which DynamoDB's SDKs check an answer; without it they
// warn about every one.
func (c *call) sum(w http.ResponseWriter, body []byte) {
	if c.service == "dynamodb" {
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	}
}

// queryCodes are the codes in the Query protocol that are not the error's name in
// the newer protocols, by service.
var queryCodes = map[string]map[string]string{"sqs": sqsQueryCodes, "cloudwatch": cloudWatchQueryCodes}

var cloudWatchQueryCodes = map[string]string{
	"InvalidParameterValueException":       "InvalidParameterValue",
	"InvalidParameterCombinationException": "InvalidParameterCombination",
	"MissingRequiredParameterException":    "MissingParameter",
	"ValidationException":                  "ValidationError",
	"InvalidFormatFault":                   "InvalidFormat",
	"InternalServiceFault":                 "InternalServiceError",
	"LimitExceededFault":                   "LimitExceeded",
	"ThrottlingException":                  "Throttling",
}

var sqsQueryCodes = map[string]string{
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":              "QueueAlreadyExists",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	"BatchRequestTooLong":          "AWS.SimpleQueueService.BatchRequestTooLong",
	"InvalidBatchEntryId":          "AWS.SimpleQueueService.InvalidBatchEntryId",
	"PurgeQueueInProgress":         "AWS.SimpleQueueService.PurgeQueueInProgress",
	"UnsupportedOperation":         "AWS.SimpleQueueService.UnsupportedOperation",
	"MessageNotInflight":           "AWS.SimpleQueueService.MessageNotInflight",
	"QueueDeletedRecently":         "AWS.SimpleQueueService.QueueDeletedRecently",
}

func queryCode(service, code string) string {
	if q, ok := queryCodes[service][code]; ok {
		return q
	}
	return code
}

func senderFault(status int) string {
	if status >= 500 {
		return "Receiver"
	}
	return "Sender"
}

func write(w http.ResponseWriter, b []byte) {
	// A client that went away is not the sandbox's problem.
	_, _ = w.Write(b)
}

// foreign refuses what a web page could do to a server on loopback: requests for
// another host (DNS rebinding) and requests with an Origin that we did not serve.
func (sb *Sandbox) foreign(req *http.Request) string {
	host := req.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	loopback := host == "localhost" || strings.HasSuffix(host, ".localhost") || host == inProcessHost || ip != nil && ip.IsLoopback()
	if !loopback && !sb.options.AnyHost {
		return fmt.Sprintf("the sandbox answers on loopback only, not for host %q", host)
	}
	if o := req.Header.Get("Origin"); o != "" && !sb.origins[o] && !(strings.HasPrefix(req.URL.Path, apiPrefix) && sb.Region("").doors.admits(req.URL.Path, o)) {
		return fmt.Sprintf("the sandbox did not serve the page of origin %q", o)
	}
	return ""
}
