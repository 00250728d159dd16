package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

// Kinesis: this file has the streams and what is said about them;
// kinesis_shards.go the shards, their lineage and resharding; kinesis_write.go and
// kinesis_read.go the records; kinesis_consumers.go fan-out consumers and simulated
// readers; kinesis_channels.go native deliveries; kinesis_metrics.go what CloudWatch sees.

const (
	shortestRetention = 24 * time.Hour
	longestRetention  = 8760 * time.Hour
	// reshardTime is how long a stream stays CREATING or UPDATING. AWS takes
	// about half a minute; nothing depends on it but the tests' patience.
	reshardTime = 5 * time.Second
)

// kinesisService is Kinesis in one region.
type kinesisService struct {
	r       *Region
	streams map[string]*stream
	// channels are the native deliveries to S3, by name: see kinesis_channels.go.
	channels []*types.ChannelDescription
}

type stream struct {
	svc          *kinesisService
	name         string
	arn          ops.ARN
	status       types.StreamStatus
	mode         types.StreamMode
	distribution types.RecordDistributionStrategy
	created      time.Time
	retention    time.Duration
	largest      int // bytes of one record, MaxRecordSizeInKiB
	keyID        string
	tags         map[string]string
	shards       []*shard // all that hold or may get records, by id
	byRange      []*shard // the open ones by hash range; nil: to be made
	nextShard    int
	held         int // bytes of all records
	consumers    map[string]*fanOut
	readers      []*simulatedReader
	flow         func(now time.Time) (records, bytes float64)
	rescaled     []time.Time // UpdateShardCount calls of the last 24 h
	metrics      streamMetrics
	peak         float64 // share of the write capacity in the busiest minute since the last scaling
	scaled       time.Time
}

func newKinesis(r *Region) {
	k := &kinesisService{r: r, streams: map[string]*stream{}}
	r.streams = k
	r.tagged = append(r.tagged, k.tagged)
	r.every(time.Minute, k.minute)

	handle(r, "kinesis", "CreateStream", k.createStream)
	handle(r, "kinesis", "DeleteStream", k.deleteStream)
	handle(r, "kinesis", "ListStreams", k.listStreams)
	handle(r, "kinesis", "DescribeStream", k.describeStream)
	handle(r, "kinesis", "DescribeStreamSummary", k.describeStreamSummary)
	handle(r, "kinesis", "DescribeLimits", k.describeLimits)
	handle(r, "kinesis", "IncreaseStreamRetentionPeriod", k.increaseRetention)
	handle(r, "kinesis", "DecreaseStreamRetentionPeriod", k.decreaseRetention)
	handle(r, "kinesis", "UpdateStreamMode", k.updateMode)
	handle(r, "kinesis", "UpdateStreamRecordDistributionStrategy", k.updateDistribution)
	handle(r, "kinesis", "UpdateMaxRecordSize", k.updateMaxRecordSize)
	handle(r, "kinesis", "StartStreamEncryption", k.startEncryption)
	handle(r, "kinesis", "StopStreamEncryption", k.stopEncryption)
	handle(r, "kinesis", "TagResource", k.tagResource)
	handle(r, "kinesis", "UntagResource", k.untagResource)
	handle(r, "kinesis", "ListTagsForResource", k.listTagsForResource)
	handle(r, "kinesis", "AddTagsToStream", k.addTagsToStream)
	handle(r, "kinesis", "RemoveTagsFromStream", k.removeTagsFromStream)
	handle(r, "kinesis", "ListTagsForStream", k.listTagsForStream)
	k.handleShards()
	k.handleRecords()
	k.handleConsumers()
	k.handleChannels()
}

// kinesisIn is the region's Kinesis, for scenarios and tests.
func kinesisIn(r *Region) *kinesisService { return r.streams.(*kinesisService) }

func notFoundf(format string, args ...any) error {
	return &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func invalidf(format string, args ...any) error {
	return &types.InvalidArgumentException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func validationf(format string, args ...any) error {
	return &types.ValidationException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func limitf(format string, args ...any) error {
	return &types.LimitExceededException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func inUsef(format string, args ...any) error {
	return &types.ResourceInUseException{Message: aws.String(fmt.Sprintf(format, args...))}
}

// ref is how calls name a stream.
type ref struct{ name, arn, id *string }

// find returns the stream that a call names, by ARN or by name.
func (k *kinesisService) find(by ref) (*stream, error) {
	if by.id != nil {
		return nil, unsupported("StreamId")
	}
	name := deref(by.name)
	if arn := ops.ARN(deref(by.arn)); arn != "" {
		fromARN, ok := strings.CutPrefix(string(arn), string(k.r.arn("kinesis", "stream/")))
		fromARN, _, _ = strings.Cut(fromARN, "/")
		switch {
		case !ok:
			return nil, notFoundf("Stream arn %s not found.", arn)
		case name != "" && name != fromARN:
			return nil, invalidf("StreamName %s does not match the name in StreamARN %s.", name, arn)
		}
		name = fromARN
	}
	if name == "" {
		return nil, invalidf("Either StreamName or StreamARN should be provided")
	}
	s, ok := k.streams[name]
	if !ok {
		return nil, notFoundf("Stream %s under account %s not found.", name, Account)
	}
	return s, nil
}

// findActive returns a stream that may be changed now.
func (k *kinesisService) findActive(by ref) (*stream, error) {
	s, err := k.find(by)
	if err != nil {
		return nil, err
	}
	if s.status != types.StreamStatusActive {
		return nil, inUsef("Stream %s under account %s not ACTIVE, instead in state %s", s.name, Account, s.status)
	}
	return s, nil
}

func (k *kinesisService) names() []string {
	names := make([]string, 0, len(k.streams))
	for n := range k.streams {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

var resourceName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// create makes a stream that is ACTIVE at once. Scenarios call it; the API adds
// the time in CREATING.
func (k *kinesisService) create(name string, shards int) *stream {
	s := &stream{
		svc: k, name: name, arn: k.r.arn("kinesis", "stream/"+name),
		status: types.StreamStatusActive, mode: types.StreamModeProvisioned,
		distribution: types.RecordDistributionStrategyUserPartitionKey,
		created:      k.r.now(), retention: shortestRetention, largest: 1 << 20,
		tags: map[string]string{}, consumers: map[string]*fanOut{},
	}
	s.metrics = newStreamMetrics(k.r, name)
	for _, b := range hashRanges(shards) {
		s.open(b.lo, b.hi, nil, nil)
	}
	k.streams[name] = s
	return s
}

func (k *kinesisService) createStream(_ context.Context, in *kinesis.CreateStreamInput) (*kinesis.CreateStreamOutput, error) {
	name := deref(in.StreamName)
	if !resourceName.MatchString(name) {
		return nil, validationf("1 validation error detected: Value '%s' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", name)
	}
	if _, ok := k.streams[name]; ok {
		return nil, inUsef("Stream %s under account %s already exists.", name, Account)
	}
	if in.WarmThroughputMiBps != nil {
		return nil, unsupported("WarmThroughputMiBps")
	}
	mode := types.StreamModeProvisioned
	if in.StreamModeDetails != nil {
		mode = in.StreamModeDetails.StreamMode
	}
	shards := int(deref(in.ShardCount))
	switch {
	case mode == types.StreamModeOnDemand && in.ShardCount != nil:
		return nil, validationf("ShardCount cannot be specified when creating an ON_DEMAND stream.")
	case mode == types.StreamModeOnDemand:
		shards = onDemandShards
	case shards < 1:
		return nil, validationf("ShardCount must be specified, and at least 1, for a PROVISIONED stream.")
	case shards > mostShards:
		return nil, limitf("This request would exceed the shard limit for the account %s in %s. Current shard count for the account: %d. Limit: %d. Number of additional shards that would have resulted from this request: %d.", Account, k.r.Name, k.openShards(), mostShards, shards)
	}
	distribution := in.RecordDistributionStrategy
	if distribution == types.RecordDistributionStrategyAuto && mode != types.StreamModeOnDemand {
		return nil, invalidf("RecordDistributionStrategy AUTO is only available for streams in ON_DEMAND mode.")
	}
	largest := 1024
	if in.MaxRecordSizeInKiB != nil {
		largest = int(*in.MaxRecordSizeInKiB)
	}
	if largest < 1024 || largest > 10240 {
		return nil, invalidf("MaxRecordSizeInKiB must be between 1024 and 10240.")
	}
	s := k.create(name, shards)
	s.mode, s.largest = mode, largest*1024
	if distribution != "" {
		s.distribution = distribution
	}
	for key, v := range in.Tags {
		s.tags[key] = v
	}
	s.busy(types.StreamStatusCreating, nil)
	return &kinesis.CreateStreamOutput{}, nil
}

// busy puts the stream into a passing state; finish runs at its end.
func (s *stream) busy(state types.StreamStatus, finish func()) {
	s.status = state
	s.svc.r.after(s.svc.r.setup(reshardTime), func() {
		if s.svc.streams[s.name] != s || s.status != state {
			return // deleted meanwhile
		}
		s.status = types.StreamStatusActive
		if finish != nil {
			finish()
		}
	})
}

func (k *kinesisService) deleteStream(_ context.Context, in *kinesis.DeleteStreamInput) (*kinesis.DeleteStreamOutput, error) {
	s, err := k.find(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if len(s.consumers) > 0 && !deref(in.EnforceConsumerDeletion) {
		return nil, inUsef("Stream %s under account %s has %d registered consumers and EnforceConsumerDeletion is not set.", s.name, Account, len(s.consumers))
	}
	s.status = types.StreamStatusDeleting
	k.r.after(k.r.setup(reshardTime), func() {
		if k.streams[s.name] == s {
			delete(k.streams, s.name)
		}
	})
	return &kinesis.DeleteStreamOutput{}, nil
}

func (s *stream) modeDetails() *types.StreamModeDetails {
	return &types.StreamModeDetails{StreamMode: s.mode}
}

func (s *stream) encryption() types.EncryptionType {
	if s.keyID == "" {
		return types.EncryptionTypeNone
	}
	return types.EncryptionTypeKms
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// pageSize reads a page size: within 1..most, with AWS's default when absent.
func pageSize(asked *int32, usual, most int) (int, error) {
	if asked == nil {
		return usual, nil
	}
	if *asked < 1 {
		return 0, validationf("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", *asked)
	}
	return min(int(*asked), most), nil
}

func (k *kinesisService) listStreams(_ context.Context, in *kinesis.ListStreamsInput) (*kinesis.ListStreamsOutput, error) {
	limit, err := pageSize(in.Limit, 100, 10000)
	if err != nil {
		return nil, err
	}
	after := deref(in.ExclusiveStartStreamName)
	if in.NextToken != nil {
		var t pageToken
		if err := t.open(*in.NextToken, k.r.now()); err != nil {
			return nil, err
		}
		after = t.After
	}
	out := &kinesis.ListStreamsOutput{HasMoreStreams: aws.Bool(false), StreamNames: []string{}, StreamSummaries: []types.StreamSummary{}}
	for _, n := range k.names() {
		if n <= after {
			continue
		}
		if len(out.StreamNames) == limit {
			out.HasMoreStreams = aws.Bool(true)
			out.NextToken = pageToken{After: out.StreamNames[limit-1], Issued: k.r.now()}.seal()
			break
		}
		s := k.streams[n]
		out.StreamNames = append(out.StreamNames, n)
		out.StreamSummaries = append(out.StreamSummaries, types.StreamSummary{
			StreamARN: aws.String(string(s.arn)), StreamName: aws.String(n), StreamStatus: s.status,
			StreamCreationTimestamp: aws.Time(s.created), StreamModeDetails: s.modeDetails(),
		})
	}
	return out, nil
}

// pageToken is what is behind an opaque NextToken. It lives for 300 seconds.
type pageToken struct {
	Stream string            `json:",omitempty"`
	After  string            `json:",omitempty"`
	Filter types.ShardFilter `json:",omitzero"`
	Issued time.Time
}

const pageTokenLife = 300 * time.Second

func (t pageToken) seal() *string { return sealToken(t) }

func (t *pageToken) open(token string, now time.Time) error {
	if err := openToken(token, t); err != nil {
		return invalidf("NextToken is not valid.")
	}
	if now.Sub(t.Issued) > pageTokenLife {
		return &types.ExpiredNextTokenException{Message: aws.String("NextToken has expired: it was issued at " + t.Issued.Format(time.RFC3339) + ".")}
	}
	return nil
}

// sealToken and openToken hide a value in an opaque string.
func sealToken(v any) *string {
	b, err := json.Marshal(v)
	if err != nil { // our own token types always marshal
		panic("sandbox: token: " + err.Error())
	}
	return aws.String(base64.StdEncoding.EncodeToString(append([]byte{0, 0, 0, 1}, b...)))
}

func openToken(token string, v any) error {
	b, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return err
	}
	if len(b) < 4 || string(b[:4]) != "\x00\x00\x00\x01" {
		return fmt.Errorf("not a token of this service")
	}
	return json.Unmarshal(b[4:], v)
}

func (k *kinesisService) describeStream(_ context.Context, in *kinesis.DescribeStreamInput) (*kinesis.DescribeStreamOutput, error) {
	s, err := k.find(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	limit, err := pageSize(in.Limit, 100, 10000)
	if err != nil {
		return nil, err
	}
	d := &types.StreamDescription{
		StreamARN: aws.String(string(s.arn)), StreamName: aws.String(s.name), StreamStatus: s.status,
		StreamCreationTimestamp: aws.Time(s.created), StreamModeDetails: s.modeDetails(),
		RetentionPeriodHours: aws.Int32(int32(s.retention / time.Hour)), EncryptionType: s.encryption(), KeyId: optional(s.keyID),
		EnhancedMonitoring: []types.EnhancedMetrics{{ShardLevelMetrics: []types.MetricsName{}}},
		HasMoreShards:      aws.Bool(false), Shards: []types.Shard{},
	}
	if s.status != types.StreamStatusCreating {
		for _, sh := range s.alive() {
			if sh.id <= deref(in.ExclusiveStartShardId) {
				continue
			}
			if len(d.Shards) == limit {
				d.HasMoreShards = aws.Bool(true)
				break
			}
			d.Shards = append(d.Shards, sh.describe())
		}
	}
	return &kinesis.DescribeStreamOutput{StreamDescription: d}, nil
}

func (k *kinesisService) describeStreamSummary(_ context.Context, in *kinesis.DescribeStreamSummaryInput) (*kinesis.DescribeStreamSummaryOutput, error) {
	s, err := k.find(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	return &kinesis.DescribeStreamSummaryOutput{StreamDescriptionSummary: &types.StreamDescriptionSummary{
		StreamARN: aws.String(string(s.arn)), StreamName: aws.String(s.name), StreamStatus: s.status,
		StreamCreationTimestamp: aws.Time(s.created), StreamModeDetails: s.modeDetails(),
		RetentionPeriodHours: aws.Int32(int32(s.retention / time.Hour)), EncryptionType: s.encryption(), KeyId: optional(s.keyID),
		EnhancedMonitoring: []types.EnhancedMetrics{{ShardLevelMetrics: []types.MetricsName{}}},
		OpenShardCount:     aws.Int32(int32(len(s.openShards()))), ConsumerCount: aws.Int32(int32(len(s.consumers))),
		ChannelCount: aws.Int32(int32(s.channels())), MaxRecordSizeInKiB: aws.Int32(int32(s.largest / 1024)),
		RecordDistributionStrategy: s.distribution,
	}}, nil
}

func (k *kinesisService) openShards() int {
	n := 0
	for _, s := range k.streams {
		n += len(s.openShards())
	}
	return n
}

func (k *kinesisService) describeLimits(context.Context, *kinesis.DescribeLimitsInput) (*kinesis.DescribeLimitsOutput, error) {
	out := &kinesis.DescribeLimitsOutput{ShardLimit: aws.Int32(mostShards), OnDemandStreamCountLimit: aws.Int32(50), ChannelCount: aws.Int32(int32(len(k.channels)))}
	var shards, onDemand int32
	for _, s := range k.streams {
		if s.mode == types.StreamModeOnDemand {
			onDemand++
			continue
		}
		shards += int32(len(s.openShards()))
	}
	out.OpenShardCount, out.OnDemandStreamCount = &shards, &onDemand
	return out, nil
}

func (s *stream) setRetention(hours int32) {
	s.trim() // what was past the old retention stays lost: raising it brings nothing back (SDK documentation)
	s.busy(types.StreamStatusUpdating, nil)
	s.retention = time.Duration(hours) * time.Hour
}

func retentionBounds(hours int32) error {
	if d := time.Duration(hours) * time.Hour; d < shortestRetention {
		return invalidf("Minimum allowed retention period is 24 hours. Requested retention period (%d hours) is too short.", hours)
	} else if d > longestRetention {
		return invalidf("Maximum allowed retention period is 8760 hours. Requested retention period (%d hours) is too long.", hours)
	}
	return nil
}

func (k *kinesisService) increaseRetention(_ context.Context, in *kinesis.IncreaseStreamRetentionPeriodInput) (*kinesis.IncreaseStreamRetentionPeriodOutput, error) {
	s, err := k.findActive(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	hours, old := deref(in.RetentionPeriodHours), int32(s.retention/time.Hour)
	if err := retentionBounds(hours); err != nil {
		return nil, err
	}
	if hours < old {
		return nil, invalidf("Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%d hours). Use DecreaseRetentionPeriod API.", hours, s.name, old)
	}
	s.setRetention(hours)
	return &kinesis.IncreaseStreamRetentionPeriodOutput{}, nil
}

func (k *kinesisService) decreaseRetention(_ context.Context, in *kinesis.DecreaseStreamRetentionPeriodInput) (*kinesis.DecreaseStreamRetentionPeriodOutput, error) {
	s, err := k.findActive(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	hours, old := deref(in.RetentionPeriodHours), int32(s.retention/time.Hour)
	if err := retentionBounds(hours); err != nil {
		return nil, err
	}
	if hours > old {
		return nil, invalidf("Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%d hours). Use IncreaseRetentionPeriod API.", hours, s.name, old)
	}
	s.setRetention(hours)
	return &kinesis.DecreaseStreamRetentionPeriodOutput{}, nil
}

func (k *kinesisService) updateMode(_ context.Context, in *kinesis.UpdateStreamModeInput) (*kinesis.UpdateStreamModeOutput, error) {
	s, err := k.findActive(ref{nil, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if in.WarmThroughputMiBps != nil {
		return nil, unsupported("WarmThroughputMiBps")
	}
	if in.StreamModeDetails == nil || in.StreamModeDetails.StreamMode == "" {
		return nil, validationf("StreamModeDetails must be specified.")
	}
	mode := in.StreamModeDetails.StreamMode
	if mode == types.StreamModeProvisioned && s.distribution == types.RecordDistributionStrategyAuto {
		return nil, invalidf("Stream %s uses the AUTO record distribution strategy, which is only available in ON_DEMAND mode.", s.name)
	}
	s.mode = mode
	s.busy(types.StreamStatusUpdating, nil)
	return &kinesis.UpdateStreamModeOutput{}, nil
}

func (k *kinesisService) updateDistribution(_ context.Context, in *kinesis.UpdateStreamRecordDistributionStrategyInput) (*kinesis.UpdateStreamRecordDistributionStrategyOutput, error) {
	s, err := k.findActive(ref{nil, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if in.RecordDistributionStrategy == types.RecordDistributionStrategyAuto && s.mode != types.StreamModeOnDemand {
		return nil, invalidf("RecordDistributionStrategy AUTO is only available for streams in ON_DEMAND mode.")
	}
	s.distribution = in.RecordDistributionStrategy // at once, for new records only (SDK documentation)
	return &kinesis.UpdateStreamRecordDistributionStrategyOutput{}, nil
}

func (k *kinesisService) updateMaxRecordSize(_ context.Context, in *kinesis.UpdateMaxRecordSizeInput) (*kinesis.UpdateMaxRecordSizeOutput, error) {
	s, err := k.findActive(ref{nil, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	kib := int(deref(in.MaxRecordSizeInKiB))
	if kib < 1024 || kib > 10240 {
		return nil, invalidf("MaxRecordSizeInKiB must be between 1024 and 10240.")
	}
	s.largest = kib * 1024
	s.busy(types.StreamStatusUpdating, nil)
	return &kinesis.UpdateMaxRecordSizeOutput{}, nil
}

func (k *kinesisService) startEncryption(_ context.Context, in *kinesis.StartStreamEncryptionInput) (*kinesis.StartStreamEncryptionOutput, error) {
	s, err := k.findActive(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	if in.EncryptionType != types.EncryptionTypeKms || deref(in.KeyId) == "" {
		return nil, validationf("EncryptionType must be KMS and KeyId must be specified.")
	}
	key := *in.KeyId
	s.busy(types.StreamStatusUpdating, func() { s.keyID = key })
	return &kinesis.StartStreamEncryptionOutput{}, nil
}

func (k *kinesisService) stopEncryption(_ context.Context, in *kinesis.StopStreamEncryptionInput) (*kinesis.StopStreamEncryptionOutput, error) {
	s, err := k.findActive(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	s.busy(types.StreamStatusUpdating, func() { s.keyID = "" })
	return &kinesis.StopStreamEncryptionOutput{}, nil
}

// tagsOf returns the tags of the stream or consumer that an ARN names.
func (k *kinesisService) tagsOf(arn, id *string) (map[string]string, error) {
	s, err := k.find(ref{nil, arn, id})
	if err != nil {
		return nil, err
	}
	if !strings.Contains(deref(arn), "/consumer/") {
		return s.tags, nil
	}
	c, err := k.findConsumer(arn, nil, nil)
	if err != nil {
		return nil, err
	}
	return c.tags, nil
}

const mostTags = 50

func addTags(have, more map[string]string) error {
	n := len(have)
	for key := range more {
		if _, ok := have[key]; !ok {
			n++
		}
	}
	if n > mostTags {
		return invalidf("Failed to add tags: a resource cannot have more than %d tags.", mostTags)
	}
	for key, v := range more {
		have[key] = v
	}
	return nil
}

func (k *kinesisService) tagResource(_ context.Context, in *kinesis.TagResourceInput) (*kinesis.TagResourceOutput, error) {
	tags, err := k.tagsOf(in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.TagResourceOutput{}, addTags(tags, in.Tags)
}

func (k *kinesisService) untagResource(_ context.Context, in *kinesis.UntagResourceInput) (*kinesis.UntagResourceOutput, error) {
	tags, err := k.tagsOf(in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(tags, key)
	}
	return &kinesis.UntagResourceOutput{}, nil
}

func sortedTags(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for key, v := range tags {
		out = append(out, types.Tag{Key: aws.String(key), Value: aws.String(v)})
	}
	sort.Slice(out, func(i, j int) bool { return *out[i].Key < *out[j].Key })
	return out
}

func (k *kinesisService) listTagsForResource(_ context.Context, in *kinesis.ListTagsForResourceInput) (*kinesis.ListTagsForResourceOutput, error) {
	tags, err := k.tagsOf(in.ResourceARN, in.StreamId)
	if err != nil {
		return nil, err
	}
	return &kinesis.ListTagsForResourceOutput{Tags: sortedTags(tags)}, nil
}

func (k *kinesisService) addTagsToStream(_ context.Context, in *kinesis.AddTagsToStreamInput) (*kinesis.AddTagsToStreamOutput, error) {
	s, err := k.find(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	return &kinesis.AddTagsToStreamOutput{}, addTags(s.tags, in.Tags)
}

func (k *kinesisService) removeTagsFromStream(_ context.Context, in *kinesis.RemoveTagsFromStreamInput) (*kinesis.RemoveTagsFromStreamOutput, error) {
	s, err := k.find(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(s.tags, key)
	}
	return &kinesis.RemoveTagsFromStreamOutput{}, nil
}

func (k *kinesisService) listTagsForStream(_ context.Context, in *kinesis.ListTagsForStreamInput) (*kinesis.ListTagsForStreamOutput, error) {
	s, err := k.find(ref{in.StreamName, in.StreamARN, in.StreamId})
	if err != nil {
		return nil, err
	}
	limit, err := pageSize(in.Limit, mostTags, mostTags)
	if err != nil {
		return nil, err
	}
	out := &kinesis.ListTagsForStreamOutput{HasMoreTags: aws.Bool(false), Tags: []types.Tag{}}
	for _, t := range sortedTags(s.tags) {
		if *t.Key <= deref(in.ExclusiveStartTagKey) {
			continue
		}
		if len(out.Tags) == limit {
			out.HasMoreTags = aws.Bool(true)
			break
		}
		out.Tags = append(out.Tags, t)
	}
	return out, nil
}

func (k *kinesisService) tagged() []taggedResource {
	out := make([]taggedResource, 0, len(k.streams))
	for _, n := range k.names() {
		if s := k.streams[n]; len(s.tags) > 0 {
			out = append(out, taggedResource{ARN: s.arn, Tags: s.tags})
		}
	}
	return out
}
