package sandbox

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"kxops/ops"
)

// deliverySink is a place in S3 that records go to, with its settings.
type deliverySink struct {
	bucket, role  string
	prefix        objectName
	errors        objectName
	zone          *time.Location
	size          int
	interval      time.Duration
	compression   types.CompressionFormat
	extension     string
	delimiter     string
	function      ops.ARN // transforms the records; "" for none
	retries       int
	functionBytes int
	partitioned   bool
}

const (
	defaultBufferMiB      = 5
	defaultBufferInterval = 300 * time.Second
	retryEvery            = time.Minute
)

// sinkOf checks an S3 destination and reads its settings.
func sinkOf(x *types.ExtendedS3DestinationDescription) (*deliverySink, error) {
	s := &deliverySink{role: deref(x.RoleARN), zone: time.UTC, compression: x.CompressionFormat, extension: deref(x.FileExtension)}
	if c := x.DataFormatConversionConfiguration; c != nil && deref(c.Enabled) {
		return nil, unsupported("DataFormatConversionConfiguration.Enabled")
	}
	if p := x.DynamicPartitioningConfiguration; p != nil {
		s.partitioned = deref(p.Enabled)
	}
	if z := deref(x.CustomTimeZone); z != "" {
		zone, err := time.LoadLocation(z)
		if err != nil {
			return nil, fireInvalidf("CustomTimeZone %s is not valid", z)
		}
		s.zone = zone
	}
	if s.extension != "" && !strings.HasPrefix(s.extension, ".") {
		return nil, fireInvalidf("FileExtension must start with a dot")
	}
	if err := s.common(x.BucketARN, x.BufferingHints, deref(x.Prefix), deref(x.ErrorOutputPrefix)); err != nil {
		return nil, err
	}
	if s.prefix.uses("partitionKeyFromLambda") != s.partitioned {
		return nil, fireInvalidf("Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled.")
	}
	x.CompressionFormat = s.compression
	x.BufferingHints = s.hints()
	return s, s.processing(x.ProcessingConfiguration)
}

// backupOf is sinkOf for the backup of the source records.
func backupOf(x *types.S3DestinationDescription) (*deliverySink, error) {
	s := &deliverySink{role: deref(x.RoleARN), zone: time.UTC, compression: x.CompressionFormat}
	if err := s.common(x.BucketARN, x.BufferingHints, deref(x.Prefix), deref(x.ErrorOutputPrefix)); err != nil {
		return nil, err
	}
	x.CompressionFormat = s.compression
	x.BufferingHints = s.hints()
	return s, nil
}

func (s *deliverySink) hints() *types.BufferingHints {
	size, interval := int32(s.size>>20), int32(s.interval/time.Second)
	return &types.BufferingHints{SizeInMBs: &size, IntervalInSeconds: &interval}
}

func (s *deliverySink) common(bucketARN *string, hints *types.BufferingHints, prefix, errorPrefix string) error {
	name, ok := strings.CutPrefix(deref(bucketARN), "arn:aws:s3:::")
	if !ok || s.role == "" {
		return fireInvalidf("BucketARN and RoleARN must be provided for an S3 destination")
	}
	s.bucket, s.size, s.interval = name, defaultBufferMiB<<20, defaultBufferInterval
	if s.partitioned {
		s.size = 64 << 20
	}
	if hints != nil && hints.SizeInMBs != nil {
		s.size = int(*hints.SizeInMBs) << 20
	}
	if hints != nil && hints.IntervalInSeconds != nil {
		s.interval = time.Duration(*hints.IntervalInSeconds) * time.Second
	}
	if s.size < 1<<20 || s.size > 128<<20 || s.interval < 0 || s.interval > 900*time.Second {
		return fireInvalidf("BufferingHints must be within 1 to 128 MB and 0 to 900 seconds")
	}
	if s.partitioned && s.size < 64<<20 {
		return fireInvalidf("BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.")
	}
	switch s.compression {
	case "":
		s.compression = types.CompressionFormatUncompressed
	case types.CompressionFormatUncompressed, types.CompressionFormatGzip, types.CompressionFormatZip:
	default:
		return unsupported("CompressionFormat " + string(s.compression))
	}
	return s.names(prefix, errorPrefix)
}

// names reads the two prefixes by the rules of the custom prefix page.
func (s *deliverySink) names(prefix, errorPrefix string) error {
	var err error
	if s.prefix, err = parsePrefix(prefix, false); err != nil {
		return fireInvalidf("Prefix is not valid: %v", err)
	}
	if s.errors, err = parsePrefix(errorPrefix, true); err != nil {
		return fireInvalidf("ErrorOutputPrefix is not valid: %v", err)
	}
	typed := false
	for _, p := range s.errors {
		typed = typed || p.namespace == "firehose" && p.value == "error-output-type"
	}
	switch {
	case errorPrefix == "" && s.prefix.hasExpressions():
		return fireInvalidf("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions")
	case s.errors.hasExpressions() && !typed:
		return fireInvalidf("ErrorOutputPrefix must include at least one instance of !{firehose:error-output-type} when it contains expressions")
	case errorPrefix == "":
		s.errors = append(slices.Clone(s.prefix), namePart{"firehose", "error-output-type"}, namePart{"", "/"})
	case !typed:
		s.errors = append(s.errors, namePart{"firehose", "error-output-type"}, namePart{"", "/"})
	}
	s.prefix = s.prefix.withTime()
	if !typed {
		s.errors = s.errors.withTime()
	}
	return nil
}

func (s *deliverySink) processing(c *types.ProcessingConfiguration) error {
	if c == nil || !deref(c.Enabled) {
		return nil
	}
	for _, p := range c.Processors {
		parameters := map[types.ProcessorParameterName]string{}
		for _, x := range p.Parameters {
			parameters[x.ParameterName] = deref(x.ParameterValue)
		}
		switch p.Type {
		case types.ProcessorTypeLambda:
			arn := parameters[types.ProcessorParameterNameLambdaArn]
			if ops.ARN(arn).Service() != "lambda" {
				return fireInvalidf("LambdaArn %s is not the ARN of a function", arn)
			}
			s.function, s.retries, s.functionBytes = ops.ARN(arn), 3, 1<<20
			if n := parameters[types.ProcessorParameterNameLambdaNumberOfRetries]; n != "" {
				v, err := strconv.Atoi(n)
				if err != nil || v < 0 || v > 300 {
					return fireInvalidf("NumberOfRetries %s is not within 0 to 300", n)
				}
				s.retries = v
			}
			if n := parameters[types.ProcessorParameterNameBufferSizeInMb]; n != "" {
				v, err := strconv.ParseFloat(n, 64)
				if err != nil || v < 0.2 || v > 3 {
					return fireInvalidf("BufferSizeInMBs %s is not within 0.2 to 3", n)
				}
				s.functionBytes = int(v * (1 << 20))
			}
		case types.ProcessorTypeAppendDelimiterToRecord:
			s.delimiter = "\n"
			if v, ok := parameters[types.ProcessorParameterNameDelimiter]; ok {
				s.delimiter = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r").Replace(v)
			}
		default:
			return unsupported("Processor " + string(p.Type))
		}
	}
	return nil
}

// take puts a record into the buffer, and sees to its delivery in time.
func (d *deliveryStream) take(rec fireRecord) {
	if d.main == nil {
		return // a destination that the sandbox only describes
	}
	if len(d.buffer) == 0 {
		d.oldest = d.svc.r.now()
		d.filling++
		mine := d.filling
		d.svc.r.after(max(time.Second, d.main.interval), func() {
			if d.filling == mine && len(d.buffer) > 0 {
				d.flush()
			}
		})
	}
	d.buffer = append(d.buffer, rec)
	d.size += len(rec.data)
	if d.size >= d.main.size {
		d.flush()
	}
}

// batch is what one or more objects are made of.
type batch struct {
	objects []pendingObject
	bytes   int
	oldest  time.Time
	retry   time.Time
}

// pendingObject is an object that has still to be written.
type pendingObject struct {
	sink    *deliverySink
	key     string
	body    []byte
	records int
	bytes   int
	kind    string // "" data, "backup", or an error output type
}

// flush turns the buffer into objects and tries to deliver them.
func (d *deliveryStream) flush() {
	records := d.buffer
	b := &batch{oldest: records[0].arrived}
	for _, r := range records {
		if r.arrived.Before(b.oldest) {
			b.oldest = r.arrived
		}
	}
	d.buffer, d.size = nil, 0
	d.filling++
	if d.backup != nil {
		d.pack(b, d.backup, "backup", nil, records)
	}
	good, failed := d.transform(records)
	for _, g := range d.partitions(good, &failed) {
		d.pack(b, d.main, "", g.keys, g.records)
	}
	if len(failed) > 0 {
		d.pack(b, d.main, "processing-failed", nil, failed)
	}
	d.backlog = append(d.backlog, b)
	d.held += b.bytes
	d.drain()
}

// fresh is a record with what the transformation said about it.
type fresh struct {
	fireRecord
	keys map[string]string
}

type partition struct {
	keys    map[string]string
	records []fireRecord
}

// partitions groups records by their partition keys, in a stable order.
func (d *deliveryStream) partitions(records []fresh, failed *[]fireRecord) []*partition {
	if len(records) == 0 {
		return nil
	}
	if !d.main.partitioned {
		all := &partition{records: make([]fireRecord, len(records))}
		for i := range records {
			all.records[i] = records[i].fireRecord
		}
		return []*partition{all}
	}
	groups := map[string]*partition{}
	var order []string
	for _, r := range records {
		name := ""
		for _, k := range slices.Sorted(maps.Keys(r.keys)) {
			name += k + "=" + r.keys[k] + "\x00"
		}
		if _, err := d.main.prefix.eval(r.arrived, d.svc.r.rng, "", r.keys); err != nil {
			*failed = append(*failed, errorRecord(r.fireRecord, failure{"DynamicPartitioning.MetadataExtractionFailed", err.Error(), 1, "", d.svc.r.now()}))
			continue
		}
		if groups[name] == nil {
			groups[name] = &partition{keys: r.keys}
			order = append(order, name)
		}
		groups[name].records = append(groups[name].records, r.fireRecord)
	}
	out := make([]*partition, len(order))
	for i, name := range order {
		out[i] = groups[name]
	}
	return out
}

// pack makes one object of records.
func (d *deliveryStream) pack(b *batch, s *deliverySink, kind string, keys map[string]string, records []fireRecord) {
	oldest := records[0].arrived
	var body bytes.Buffer
	for _, r := range records {
		if r.arrived.Before(oldest) {
			oldest = r.arrived
		}
		body.Write(r.data)
		if kind == "" {
			body.WriteString(s.delimiter)
		}
	}
	name := s.prefix
	if kind != "" && kind != "backup" {
		name = s.errors
	}
	prefix, err := name.eval(oldest.In(s.zone), d.svc.r.rng, kind, keys)
	if err != nil { // the prefix was checked when it was set; only its length can be wrong now
		prefix = "prefix-too-long/"
	}
	o := pendingObject{sink: s, records: len(records), bytes: body.Len(), kind: kind}
	packed, extension := d.svc.compress(s.compression, body.Bytes())
	if s.extension != "" {
		extension = s.extension
	}
	o.body = packed
	o.key = fmt.Sprintf("%s%s-%d-%s-%s%s", prefix, d.name, d.version, oldest.In(s.zone).Format("2006-01-02-15-04-05"), d.svc.r.id(), extension)
	b.objects = append(b.objects, o)
	b.bytes += len(o.body)
}

// compress applies the compression format. Writing to a buffer does not fail.
func (f *firehoseService) compress(format types.CompressionFormat, body []byte) (packed []byte, extension string) {
	var b bytes.Buffer
	switch format {
	case types.CompressionFormatGzip:
		if f.gzip == nil { // one for all: making one costs more than using it
			f.gzip, _ = gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is valid
		}
		f.gzip.Reset(&b)
		_, err := f.gzip.Write(body)
		if err = errors.Join(err, f.gzip.Close()); err != nil {
			panic("sandbox: gzip to memory: " + err.Error())
		}
		return b.Bytes(), ".gz"
	case types.CompressionFormatZip:
		z := zip.NewWriter(&b)
		w, err := z.Create("data")
		if err == nil {
			_, err = w.Write(body)
		}
		if err = errors.Join(err, z.Close()); err != nil {
			panic("sandbox: zip to memory: " + err.Error())
		}
		return b.Bytes(), ".zip"
	}
	return body, ""
}

// drain delivers the backlog, oldest first, until something fails; then it tries
// again every minute. Direct PUT data is given up after 24 hours.
func (d *deliveryStream) drain() {
	r := d.svc.r
	if d.status == types.DeliveryStreamStatusDeleting {
		d.backlog, d.held = nil, 0 // deleting loses what was not delivered
	}
	for len(d.backlog) > 0 {
		b, now := d.backlog[0], r.now()
		if now.Before(b.retry) {
			return
		}
		if err := d.write(b); err != nil {
			if d.blockedSince.IsZero() {
				d.blockedSince = now
			}
			if d.kind == types.DeliveryStreamTypeDirectPut && now.Sub(b.oldest) > directPutTTL {
				d.release()
				continue
			}
			b.retry = now.Add(r.setup(retryEvery))
			r.at(b.retry, d.drain)
			return
		}
		d.blockedSince = time.Time{}
		d.release()
	}
}

// release lets go of the first batch of the backlog.
func (d *deliveryStream) release() {
	d.held -= d.backlog[0].bytes
	d.backlog[0] = nil
	d.backlog = d.backlog[1:]
}

// mayWrite reports whether a role lets a delivery stream write to a bucket.
func (f *firehoseService) mayWrite(role, bucket, key string) bool {
	return !f.denied[role] && f.r.sb.iam.may(role, "s3:PutObject", "arn:aws:s3:::"+bucket+"/"+key)
}

// mayRead reports whether a role lets a delivery stream read its source.
func (f *firehoseService) mayRead(role string, stream ops.ARN) bool {
	return !f.denied[role] && f.r.sb.iam.may(role, "kinesis:GetRecords", string(stream))
}

// write writes the objects of a batch that are not written yet.
func (d *deliveryStream) write(b *batch) error {
	now := d.svc.r.now()
	for len(b.objects) > 0 {
		o := b.objects[0]
		var err error
		if !d.svc.mayWrite(o.sink.role, o.sink.bucket, o.key) {
			err = fmt.Errorf("the role %s may not write to %s", o.sink.role, o.sink.bucket)
		} else {
			err = d.svc.r.putObject(o.sink.bucket, o.key, o.body)
		}
		d.metrics.delivered(now, o, err == nil, now.Sub(b.oldest))
		if err != nil {
			return err
		}
		b.objects = b.objects[1:]
	}
	return nil
}

// failure is why a record could not be processed.
type failure struct {
	code, message string
	attempts      int
	function      ops.ARN
	ended         time.Time
}

// errorRecord is a record as Firehose writes it below the error prefix: one line
// of JSON with the record's own bytes in rawData.
func errorRecord(rec fireRecord, f failure) fireRecord {
	line, err := json.Marshal(struct {
		Attempts int    `json:"attemptsMade"`
		Arrived  int64  `json:"arrivalTimestamp"`
		Code     string `json:"errorCode"`
		Message  string `json:"errorMessage"`
		Ended    int64  `json:"attemptEndingTimestamp"`
		Raw      []byte `json:"rawData"`
		Function string `json:"lambdaArn,omitempty"`
	}{f.attempts, rec.arrived.UnixMilli(), f.code, f.message, f.ended.UnixMilli(), rec.data, string(f.function)})
	if err != nil { // strings, numbers and bytes always marshal
		panic("sandbox: error record: " + err.Error())
	}
	rec.data = append(line, '\n')
	return rec
}

// transform runs the records through the function, in calls of up to the
// processor's buffer size.
func (d *deliveryStream) transform(records []fireRecord) (good []fresh, failed []fireRecord) {
	if d.main.function == "" {
		good = make([]fresh, len(records))
		for i, r := range records {
			good[i] = fresh{fireRecord: r}
		}
		return good, nil
	}
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && n < mostFireBatch && (n == 0 || size+len(records[n].data) <= d.main.functionBytes) {
			size += len(records[n].data)
			n++
		}
		g, f := d.transformed(records[:n])
		good, failed = append(good, g...), append(failed, f...)
		records = records[n:]
	}
	return good, failed
}

// transformResult is one record of a function's answer.
type transformResult struct {
	ID       string `json:"recordId"`
	Result   string `json:"result"`
	Data     string `json:"data"`
	Metadata struct {
		Keys map[string]string `json:"partitionKeys"`
	} `json:"metadata"`
}

func (d *deliveryStream) transformed(records []fireRecord) (good []fresh, failed []fireRecord) {
	r := d.svc.r
	payload := d.transformEvent(records)
	f := failure{function: d.main.function}
	var results map[string]transformResult
	for f.attempts = 1; ; f.attempts++ {
		out, err := invocation{}, errors.New("there is no Lambda in this region")
		if r.invoke != nil {
			out, err = r.invoke(d.main.function, payload)
		}
		f.ended = r.now()
		results, f.code, f.message = readTransform(out, err, records)
		d.metrics.processed(f.ended, f.code == "", out.Took)
		if f.code == "" || f.attempts > d.main.retries {
			break
		}
	}
	for _, rec := range records {
		x := results[rec.id]
		switch {
		case f.code != "":
			failed = append(failed, errorRecord(rec, f))
		case x.Result == "Dropped":
		case x.Result == "Ok":
			data, err := base64.StdEncoding.DecodeString(x.Data)
			if err != nil {
				failed = append(failed, errorRecord(rec, failure{"Lambda.FunctionError", "The data of the record is not base64.", 1, d.main.function, f.ended}))
				continue
			}
			rec.data = data
			good = append(good, fresh{rec, x.Metadata.Keys})
		default:
			failed = append(failed, errorRecord(rec, failure{"Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record", 1, d.main.function, f.ended}))
		}
	}
	return good, failed
}

// readTransform reads a function's answer; an answer that breaks the contract is
// a failure of the whole call.
func readTransform(out invocation, err error, records []fireRecord) (results map[string]transformResult, code, message string) {
	if err != nil {
		return nil, "Lambda.InvokeFailed", err.Error()
	}
	if out.Error != "" {
		return nil, "Lambda.FunctionError", "The Lambda function was successfully invoked but it returned an error result."
	}
	var answer struct {
		Records []transformResult `json:"records"`
	}
	if json.Unmarshal(out.Payload, &answer) != nil {
		return nil, "Lambda.JsonProcessingException", "The Lambda function's output cannot be read: check that it follows the record transformation model."
	}
	results = map[string]transformResult{}
	for _, x := range answer.Records {
		if _, twice := results[x.ID]; twice {
			return nil, "Lambda.DuplicatedRecordId", "Multiple records with the same record ID were returned. Ensure that the Lambda function returns unique record IDs for each record."
		}
		results[x.ID] = x
	}
	for _, rec := range records {
		if _, ok := results[rec.id]; !ok {
			return nil, "Lambda.MissingRecordId", "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids."
		}
	}
	return results, "", ""
}

// transformEvent is the event that a transformation function gets.
func (d *deliveryStream) transformEvent(records []fireRecord) []byte {
	type metadata struct {
		Sequence    string `json:"sequenceNumber"`
		Subsequence string `json:"subsequenceNumber"`
		Key         string `json:"partitionKey"`
		Shard       string `json:"shardId"`
		Arrived     int64  `json:"approximateArrivalTimestamp"`
	}
	type record struct {
		ID      string    `json:"recordId"`
		Arrived int64     `json:"approximateArrivalTimestamp"`
		Data    []byte    `json:"data"`
		Kinesis *metadata `json:"kinesisRecordMetadata,omitempty"`
	}
	event := struct {
		Invocation string   `json:"invocationId"`
		Source     string   `json:"sourceKinesisStreamArn,omitempty"`
		Stream     string   `json:"deliveryStreamArn"`
		Region     string   `json:"region"`
		Records    []record `json:"records"`
	}{Invocation: d.svc.r.id(), Stream: string(d.arn), Region: d.svc.r.Name}
	if d.source != nil && d.source.KinesisStreamSourceDescription != nil {
		event.Source = deref(d.source.KinesisStreamSourceDescription.KinesisStreamARN)
	}
	for _, r := range records {
		x := record{ID: r.id, Arrived: r.arrived.UnixMilli(), Data: r.data}
		if r.sequence != "" {
			x.Kinesis = &metadata{r.sequence, "0", r.key, r.shard, r.arrived.UnixMilli()}
		}
		event.Records = append(event.Records, x)
	}
	b, err := json.Marshal(event)
	if err != nil { // strings, numbers and bytes always marshal
		panic("sandbox: transformation event: " + err.Error())
	}
	return b
}
