package sandbox

import (
	"compress/gzip"
	"context"
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"kxops/ops"
)

// Firehose: this file has the delivery streams and their configuration;
// firehose_put.go how records come in, firehose_deliver.go how they get to S3,
// firehose_prefix.go the names of objects, firehose_metrics.go what CloudWatch sees.

const (
	destinationID     = "destinationId-000000000001"
	firehoseSetupTime = 5 * time.Second
)

// firehoseService is Firehose in one region.
type firehoseService struct {
	r       *Region
	streams map[string]*deliveryStream
	// denied are the roles that may not write: a scenario's way to break deliveries.
	denied map[string]bool
	gzip   *gzip.Writer
}

type deliveryStream struct {
	svc        *firehoseService
	name       string
	arn        ops.ARN
	status     types.DeliveryStreamStatus
	kind       types.DeliveryStreamType
	created    time.Time
	updated    time.Time
	version    int
	tags       map[string]string
	encryption *types.DeliveryStreamEncryptionConfiguration
	source     *types.SourceDescription
	to         types.DestinationDescription
	failure    *types.FailureDescription

	buffer  []fireRecord
	size    int       // bytes in the buffer
	oldest  time.Time // when the buffer got its first record
	filling uint64    // counts buffers, so that a timer knows its own
	backlog []*batch  // filled buffers that could not be delivered yet
	held    int       // bytes in the backlog
	backup  *deliverySink
	main    *deliverySink

	positions map[string]string // of the shards of the source stream
	finished  map[string]bool   // closed shards that were read to the end
	behind    time.Duration

	records, bytes, requests tokens
	metrics                  deliveryMetrics

	flow        func(now time.Time) (records, bytes float64)
	flowed      [2]float64 // records and bytes that the flow has in the buffer
	flowedSince time.Time
	// lag is the share of time by which deliveries of the flow fall behind: 0 is
	// healthy, 0.5 lets the freshness grow by half a second a second.
	lag float64
	// freshWhileBlocked makes the freshness metric grow while nothing can be
	// delivered. Firehose publishes none then ("no active delivery").
	freshWhileBlocked bool
	blockedSince      time.Time
}

func newFirehose(r *Region) {
	f := &firehoseService{r: r, streams: map[string]*deliveryStream{}, denied: map[string]bool{}}
	r.deliveries = f
	r.receivers["firehose"] = f.receive
	r.tagged = append(r.tagged, f.tagged)
	r.every(time.Minute, f.minute)

	handle(r, "firehose", "CreateDeliveryStream", f.createDeliveryStream)
	handle(r, "firehose", "DeleteDeliveryStream", f.deleteDeliveryStream)
	handle(r, "firehose", "DescribeDeliveryStream", f.describeDeliveryStream)
	handle(r, "firehose", "ListDeliveryStreams", f.listDeliveryStreams)
	handle(r, "firehose", "UpdateDestination", f.updateDestination)
	handle(r, "firehose", "PutRecord", f.putRecord)
	handle(r, "firehose", "PutRecordBatch", f.putRecordBatch)
	handle(r, "firehose", "TagDeliveryStream", f.tag)
	handle(r, "firehose", "UntagDeliveryStream", f.untag)
	handle(r, "firehose", "ListTagsForDeliveryStream", f.listTags)
	handle(r, "firehose", "StartDeliveryStreamEncryption", f.startEncryption)
	handle(r, "firehose", "StopDeliveryStreamEncryption", f.stopEncryption)
}

// firehoseIn is the region's Firehose, for scenarios and tests.
func firehoseIn(r *Region) *firehoseService { return r.deliveries.(*firehoseService) }

func fireInvalidf(format string, args ...any) error {
	return &types.InvalidArgumentException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func (f *firehoseService) find(name *string) (*deliveryStream, error) {
	d, ok := f.streams[deref(name)]
	if !ok {
		return nil, &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf("Firehose %s under account %s not found.", deref(name), Account))}
	}
	return d, nil
}

func (f *firehoseService) names() []string {
	names := make([]string, 0, len(f.streams))
	for n := range f.streams {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

var deliveryName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// create makes a delivery stream that is ACTIVE at once. Scenarios call it; the
// API adds the time in CREATING.
func (f *firehoseService) create(in *firehose.CreateDeliveryStreamInput) (*deliveryStream, error) {
	name, now := deref(in.DeliveryStreamName), f.r.now()
	if !deliveryName.MatchString(name) {
		return nil, fireInvalidf("1 validation error detected: Value '%s' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", name)
	}
	if _, ok := f.streams[name]; ok {
		return nil, &types.ResourceInUseException{Message: aws.String(fmt.Sprintf("Firehose %s under accountId %s already exists", name, Account))}
	}
	d := &deliveryStream{
		svc: f, name: name, arn: f.r.arn("firehose", "deliverystream/"+name), status: types.DeliveryStreamStatusActive,
		kind: in.DeliveryStreamType, created: now, version: 1, tags: map[string]string{},
		positions: map[string]string{}, finished: map[string]bool{}, flowedSince: now,
	}
	if d.kind == "" {
		d.kind = types.DeliveryStreamTypeDirectPut
	}
	if err := d.from(in); err != nil {
		return nil, err
	}
	to, err := destinationOf(in, "DestinationConfiguration", types.DestinationDescription{})
	if err != nil {
		return nil, err
	}
	if err := d.deliverTo(to); err != nil {
		return nil, err
	}
	if e := in.DeliveryStreamEncryptionConfigurationInput; e != nil {
		if err := d.encrypt(e); err != nil {
			return nil, err
		}
	}
	for _, t := range in.Tags {
		d.tags[deref(t.Key)] = deref(t.Value)
	}
	d.metrics = newDeliveryMetrics(f.r, name)
	d.limits(now)
	f.streams[name] = d
	return d, nil
}

// from reads where the records come from.
func (d *deliveryStream) from(in *firehose.CreateDeliveryStreamInput) error {
	if in.MSKSourceConfiguration != nil {
		return unsupported("MSKSourceConfiguration")
	}
	if in.DatabaseSourceConfiguration != nil {
		return unsupported("DatabaseSourceConfiguration")
	}
	switch d.kind {
	case types.DeliveryStreamTypeDirectPut:
		if in.KinesisStreamSourceConfiguration != nil {
			return fireInvalidf("KinesisStreamSourceConfiguration can only be provided when DeliveryStreamType is KinesisStreamAsSource")
		}
		if in.DirectPutSourceConfiguration != nil {
			d.source = &types.SourceDescription{DirectPutSourceDescription: &types.DirectPutSourceDescription{ThroughputHintInMBs: in.DirectPutSourceConfiguration.ThroughputHintInMBs}}
		}
		return nil
	case types.DeliveryStreamTypeKinesisStreamAsSource:
		c := in.KinesisStreamSourceConfiguration
		if c == nil {
			return fireInvalidf("KinesisStreamSourceConfiguration must be provided when DeliveryStreamType is KinesisStreamAsSource")
		}
		d.source = &types.SourceDescription{KinesisStreamSourceDescription: &types.KinesisStreamSourceDescription{
			KinesisStreamARN: c.KinesisStreamARN, RoleARN: c.RoleARN, DeliveryStartTimestamp: aws.Time(d.created),
		}}
		return d.startReading()
	}
	return unsupported("DeliveryStreamType " + string(d.kind))
}

func (f *firehoseService) createDeliveryStream(_ context.Context, in *firehose.CreateDeliveryStreamInput) (*firehose.CreateDeliveryStreamOutput, error) {
	d, err := f.create(in)
	if err != nil {
		return nil, err
	}
	d.status = types.DeliveryStreamStatusCreating
	f.r.after(f.r.setup(firehoseSetupTime), func() {
		if d.status == types.DeliveryStreamStatusCreating {
			d.status = types.DeliveryStreamStatusActive
		}
	})
	return &firehose.CreateDeliveryStreamOutput{DeliveryStreamARN: aws.String(string(d.arn))}, nil
}

// destinationOf reads the one destination of a request: the members whose names
// end with the suffix ("DestinationConfiguration" or "DestinationUpdate") are laid
// over what was there.
func destinationOf(in any, suffix string, over types.DestinationDescription) (types.DestinationDescription, error) {
	v, out, given := reflect.ValueOf(in).Elem(), reflect.ValueOf(&over).Elem(), 0
	for i := range v.NumField() {
		kind, ok := strings.CutSuffix(v.Type().Field(i).Name, suffix)
		if !ok || v.Field(i).Kind() != reflect.Pointer || v.Field(i).IsNil() {
			continue
		}
		given++
		if kind == "S3" { // the deprecated plain S3 destination is an extended one without the extras
			kind = "ExtendedS3"
		}
		member := out.FieldByName(kind + "DestinationDescription")
		if suffix == "DestinationUpdate" && member.IsNil() {
			return over, fireInvalidf("Changing the destination type is not supported: the destination of this Firehose stream is not %s", kind)
		}
		overlay(member, v.Field(i))
	}
	if given != 1 {
		return over, fireInvalidf("Exactly one destination configuration is supported for a Firehose")
	}
	if x := over.ExtendedS3DestinationDescription; x != nil {
		over.S3DestinationDescription = &types.S3DestinationDescription{}
		overlay(reflect.ValueOf(&over.S3DestinationDescription).Elem(), reflect.ValueOf(x))
	}
	over.DestinationId = aws.String(destinationID)
	return over, nil
}

// renamed are the members of configurations and updates that descriptions have
// under another name.
var renamed = map[string]string{
	"S3Configuration": "S3DestinationDescription", "S3Update": "S3DestinationDescription",
	"S3BackupConfiguration": "S3BackupDescription", "S3BackupUpdate": "S3BackupDescription",
	"VpcConfiguration": "VpcConfigurationDescription",
}

// overlay copies the members that are set in from to the members of the same
// name in to; what a description does not show (passwords, tokens) is dropped.
func overlay(to, from reflect.Value) {
	if from.Kind() == reflect.Pointer {
		if from.IsNil() {
			return
		}
		if to.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
		} else { // never write into a description that was handed out
			fresh := reflect.New(to.Type().Elem())
			fresh.Elem().Set(to.Elem())
			to.Set(fresh)
		}
		if to.Elem().Kind() != reflect.Struct {
			to.Elem().Set(from.Elem())
			return
		}
		overlay(to.Elem(), from.Elem())
		return
	}
	for i := range from.NumField() {
		name, x := from.Type().Field(i).Name, from.Field(i)
		if !from.Type().Field(i).IsExported() || x.IsZero() {
			continue
		}
		if other, ok := renamed[name]; ok && to.FieldByName(other).IsValid() {
			name = other
		}
		member := to.FieldByName(name)
		switch {
		case !member.IsValid():
		case x.Kind() == reflect.Pointer && x.Elem().Kind() == reflect.Struct && x.Elem().Type() != timeType:
			overlay(member, x)
		default:
			member.Set(x)
		}
	}
}

// deliverTo checks and sets the destination.
func (d *deliveryStream) deliverTo(to types.DestinationDescription) error {
	x := to.ExtendedS3DestinationDescription
	if x == nil {
		d.to = to
		d.failure = &types.FailureDescription{Type: types.DeliveryStreamFailureTypeUnknownError,
			Details: aws.String("the sandbox delivers to Amazon S3 only: this destination is stored and described, but nothing is delivered to it")}
		return nil
	}
	main, err := sinkOf(x)
	if err != nil {
		return err
	}
	var backup *deliverySink
	if x.S3BackupMode == "" {
		x.S3BackupMode = types.S3BackupModeDisabled
	}
	if x.S3BackupMode == types.S3BackupModeEnabled {
		if x.S3BackupDescription == nil {
			return fireInvalidf("S3BackupConfiguration must be provided when S3BackupMode is Enabled")
		}
		if backup, err = backupOf(x.S3BackupDescription); err != nil {
			return err
		}
	} else if d.backup != nil {
		return fireInvalidf("S3BackupMode cannot be disabled once it is enabled") // documented with UpdateDestination
	}
	d.to, d.main, d.backup = to, main, backup
	return nil
}

func (f *firehoseService) updateDestination(_ context.Context, in *firehose.UpdateDestinationInput) (*firehose.UpdateDestinationOutput, error) {
	d, err := f.find(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if d.status != types.DeliveryStreamStatusActive {
		return nil, &types.ResourceInUseException{Message: aws.String(fmt.Sprintf("Firehose %s under accountId %s is not ACTIVE.", d.name, Account))}
	}
	if v := deref(in.CurrentDeliveryStreamVersionId); v != strconv.Itoa(d.version) {
		return nil, &types.ConcurrentModificationException{Message: aws.String(fmt.Sprintf(
			"Cannot update firehose: %s since the current version id: %d and specified version id: %s do not match", d.name, d.version, v))}
	}
	if deref(in.DestinationId) != destinationID {
		return nil, fireInvalidf("Destination Id %s not found", deref(in.DestinationId))
	}
	to, err := destinationOf(in, "DestinationUpdate", d.to)
	if err != nil {
		return nil, err
	}
	if err := d.deliverTo(to); err != nil {
		return nil, err
	}
	d.version++
	d.updated = f.r.now()
	return &firehose.UpdateDestinationOutput{}, nil
}

func (f *firehoseService) deleteDeliveryStream(_ context.Context, in *firehose.DeleteDeliveryStreamInput) (*firehose.DeleteDeliveryStreamOutput, error) {
	d, err := f.find(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	d.status = types.DeliveryStreamStatusDeleting
	f.r.after(f.r.setup(firehoseSetupTime), func() {
		if f.streams[d.name] == d {
			delete(f.streams, d.name)
		}
	})
	return &firehose.DeleteDeliveryStreamOutput{}, nil
}

func (f *firehoseService) describeDeliveryStream(_ context.Context, in *firehose.DescribeDeliveryStreamInput) (*firehose.DescribeDeliveryStreamOutput, error) {
	d, err := f.find(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	out := &types.DeliveryStreamDescription{
		DeliveryStreamARN: aws.String(string(d.arn)), DeliveryStreamName: aws.String(d.name), DeliveryStreamStatus: d.status,
		DeliveryStreamType: d.kind, CreateTimestamp: aws.Time(d.created), VersionId: aws.String(strconv.Itoa(d.version)),
		Destinations: []types.DestinationDescription{d.to}, HasMoreDestinations: aws.Bool(false), Source: d.source,
		DeliveryStreamEncryptionConfiguration: d.encryption, FailureDescription: d.failure,
	}
	if out.DeliveryStreamEncryptionConfiguration == nil {
		out.DeliveryStreamEncryptionConfiguration = &types.DeliveryStreamEncryptionConfiguration{Status: types.DeliveryStreamEncryptionStatusDisabled}
	}
	if !d.updated.IsZero() {
		out.LastUpdateTimestamp = aws.Time(d.updated)
	}
	return &firehose.DescribeDeliveryStreamOutput{DeliveryStreamDescription: out}, nil
}

func (f *firehoseService) listDeliveryStreams(_ context.Context, in *firehose.ListDeliveryStreamsInput) (*firehose.ListDeliveryStreamsOutput, error) {
	limit := 10
	if in.Limit != nil {
		if limit = int(*in.Limit); limit < 1 || limit > 10000 {
			return nil, fireInvalidf("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and 10000", limit)
		}
	}
	out := &firehose.ListDeliveryStreamsOutput{HasMoreDeliveryStreams: aws.Bool(false), DeliveryStreamNames: []string{}}
	for _, n := range f.names() {
		if n <= deref(in.ExclusiveStartDeliveryStreamName) || in.DeliveryStreamType != "" && f.streams[n].kind != in.DeliveryStreamType {
			continue
		}
		if len(out.DeliveryStreamNames) == limit {
			out.HasMoreDeliveryStreams = aws.Bool(true)
			break
		}
		out.DeliveryStreamNames = append(out.DeliveryStreamNames, n)
	}
	return out, nil
}

func (f *firehoseService) tag(_ context.Context, in *firehose.TagDeliveryStreamInput) (*firehose.TagDeliveryStreamOutput, error) {
	d, err := f.find(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	more := map[string]string{}
	for _, t := range in.Tags {
		more[deref(t.Key)] = deref(t.Value)
	}
	if addTags(d.tags, more) != nil {
		return nil, &types.LimitExceededException{Message: aws.String(fmt.Sprintf("A delivery stream cannot have more than %d tags.", mostTags))}
	}
	return &firehose.TagDeliveryStreamOutput{}, nil
}

func (f *firehoseService) untag(_ context.Context, in *firehose.UntagDeliveryStreamInput) (*firehose.UntagDeliveryStreamOutput, error) {
	d, err := f.find(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(d.tags, key)
	}
	return &firehose.UntagDeliveryStreamOutput{}, nil
}

func (f *firehoseService) listTags(_ context.Context, in *firehose.ListTagsForDeliveryStreamInput) (*firehose.ListTagsForDeliveryStreamOutput, error) {
	d, err := f.find(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	limit := mostTags
	if in.Limit != nil {
		limit = min(limit, max(1, int(*in.Limit)))
	}
	out := &firehose.ListTagsForDeliveryStreamOutput{HasMoreTags: aws.Bool(false), Tags: []types.Tag{}}
	for _, t := range sortedTags(d.tags) {
		if *t.Key <= deref(in.ExclusiveStartTagKey) {
			continue
		}
		if len(out.Tags) == limit {
			out.HasMoreTags = aws.Bool(true)
			break
		}
		out.Tags = append(out.Tags, types.Tag{Key: t.Key, Value: t.Value})
	}
	return out, nil
}

func (f *firehoseService) tagged() []taggedResource {
	var out []taggedResource
	for _, n := range f.names() {
		if d := f.streams[n]; len(d.tags) > 0 {
			out = append(out, taggedResource{ARN: d.arn, Tags: d.tags})
		}
	}
	return out
}

func (d *deliveryStream) encrypt(in *types.DeliveryStreamEncryptionConfigurationInput) error {
	if d.kind != types.DeliveryStreamTypeDirectPut {
		return fireInvalidf("Server-side encryption is only for Firehose streams with Direct PUT as their source.")
	}
	if in.KeyType == types.KeyTypeCustomerManagedCmk && deref(in.KeyARN) == "" {
		return fireInvalidf("KeyARN must be provided for the key type CUSTOMER_MANAGED_CMK.")
	}
	d.encryption = &types.DeliveryStreamEncryptionConfiguration{KeyType: in.KeyType, KeyARN: in.KeyARN, Status: types.DeliveryStreamEncryptionStatusEnabled}
	return nil
}

func (f *firehoseService) startEncryption(_ context.Context, in *firehose.StartDeliveryStreamEncryptionInput) (*firehose.StartDeliveryStreamEncryptionOutput, error) {
	d, err := f.find(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	e := in.DeliveryStreamEncryptionConfigurationInput
	if e == nil {
		e = &types.DeliveryStreamEncryptionConfigurationInput{KeyType: types.KeyTypeAwsOwnedCmk}
	}
	if err := d.encrypt(e); err != nil {
		return nil, err
	}
	d.encryption.Status = types.DeliveryStreamEncryptionStatusEnabling
	d.settleEncryption(types.DeliveryStreamEncryptionStatusEnabled)
	return &firehose.StartDeliveryStreamEncryptionOutput{}, nil
}

func (f *firehoseService) stopEncryption(_ context.Context, in *firehose.StopDeliveryStreamEncryptionInput) (*firehose.StopDeliveryStreamEncryptionOutput, error) {
	d, err := f.find(in.DeliveryStreamName)
	if err != nil {
		return nil, err
	}
	if d.encryption == nil {
		return nil, fireInvalidf("Server-side encryption of Firehose %s is not enabled.", d.name)
	}
	d.encryption = &types.DeliveryStreamEncryptionConfiguration{Status: types.DeliveryStreamEncryptionStatusDisabling}
	d.settleEncryption(types.DeliveryStreamEncryptionStatusDisabled)
	return &firehose.StopDeliveryStreamEncryptionOutput{}, nil
}

// settleEncryption ends ENABLING or DISABLING, unless something came between.
func (d *deliveryStream) settleEncryption(as types.DeliveryStreamEncryptionStatus) {
	e := d.encryption
	d.svc.r.after(d.svc.r.setup(firehoseSetupTime), func() {
		if d.encryption != e {
			return
		}
		settled := *e
		settled.Status = as
		d.encryption = &settled
		if as == types.DeliveryStreamEncryptionStatusDisabled {
			d.encryption = nil
		}
	})
}
