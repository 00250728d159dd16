package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
)

// This file has event source mappings, and how one reads a queue. How one reads a
// stream is in lambda_stream.go.

const (
	mappingSettles = 2 * time.Second // from Creating to Enabled, from Updating to …
	pollInterval   = time.Second
	idleInterval   = 5 * time.Second // after a while without data: cheaper, still prompt
	firstPollers   = 5               // concurrent batches of a queue at first (LDG services-sqs-scaling)
	mostPollers    = 1250
)

// mapping is one event source mapping.
type mapping struct {
	config   types.EventSourceMappingConfiguration
	source   ops.ARN // queue or stream
	efo      bool    // reads through a registered consumer, not with GetRecords
	function string
	tags     map[string]string
	polls    uint64 // the number of the poll that is scheduled: older ones are void
	quiet    int    // polls in a row that found nothing

	inFlight, limit int // batches of a queue
	shards          []*shardReader
	listed          time.Time // when shards was last brought up to date
	since           time.Time // when a mapping at LATEST began
}

func (m *mapping) state() string { return aws.ToString(m.config.State) }
func (m *mapping) id() string    { return aws.ToString(m.config.UUID) }

func (s *lambdaService) createMapping(_ context.Context, in *lambda.CreateEventSourceMappingInput) (*lambda.CreateEventSourceMappingOutput, error) {
	if err := firstSet(
		given{"AmazonManagedKafkaEventSourceConfig", in.AmazonManagedKafkaEventSourceConfig != nil},
		given{"DocumentDBEventSourceConfig", in.DocumentDBEventSourceConfig != nil},
		given{"FilterCriteria", in.FilterCriteria != nil && len(in.FilterCriteria.Filters) > 0},
		given{"KMSKeyArn", in.KMSKeyArn != nil},
		given{"LoggingConfig", in.LoggingConfig != nil},
		given{"ProvisionedPollerConfig", in.ProvisionedPollerConfig != nil},
		given{"Queues", len(in.Queues) > 0},
		given{"SelfManagedEventSource", in.SelfManagedEventSource != nil},
		given{"SelfManagedKafkaEventSourceConfig", in.SelfManagedKafkaEventSourceConfig != nil},
		given{"SourceAccessConfigurations", len(in.SourceAccessConfigurations) > 0},
		given{"Topics", len(in.Topics) > 0},
		given{"TumblingWindowInSeconds", aws.ToInt32(in.TumblingWindowInSeconds) > 0},
	); err != nil {
		return nil, err
	}
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	m := &mapping{function: f.name(), tags: map[string]string{}, since: s.r.now()}
	c := &m.config
	c.EventSourceArn = in.EventSourceArn
	c.FunctionArn = aws.String(string(f.arn))
	switch m.source = ops.ARN(aws.ToString(in.EventSourceArn)); m.source.Service() {
	case "sqs":
		err = s.mapQueue(m, in)
	case "kinesis":
		err = s.mapStream(m, in)
	case "":
		err = invalidParameter("Unrecognized event source.")
	default:
		err = unsupported("EventSourceArn of " + m.source.Service())
	}
	if err != nil {
		return nil, err
	}
	settings := mappingSettings{in.BatchSize, in.MaximumBatchingWindowInSeconds, in.MaximumRetryAttempts, in.MaximumRecordAgeInSeconds,
		in.ParallelizationFactor, in.BisectBatchOnFunctionError, in.DestinationConfig, in.FunctionResponseTypes, in.ScalingConfig, in.MetricsConfig}
	if err := m.configure(settings); err != nil {
		return nil, err
	}
	c.UUID = aws.String(s.r.id())
	c.EventSourceMappingArn = aws.String(string(s.r.arn("lambda", "event-source-mapping:"+m.id())))
	c.State = aws.String("Creating")
	c.StateTransitionReason = aws.String("USER_INITIATED")
	c.LastModified = aws.Time(s.r.now())
	for k, v := range in.Tags {
		m.tags[k] = v
	}
	s.mappings[m.id()] = m
	out := lambda.CreateEventSourceMappingOutput{}
	copyMembers(&out, *c)
	s.become(m, in.Enabled == nil || *in.Enabled)
	return &out, nil
}

// become switches a mapping on or off; it takes a moment.
func (s *lambdaService) become(m *mapping, enabled bool) {
	m.polls++
	mine := m.polls
	s.r.after(s.r.setup(mappingSettles), func() {
		if s.mappings[m.id()] != m || m.polls != mine {
			return
		}
		if !enabled {
			m.config.State = aws.String("Disabled")
			return
		}
		m.config.State = aws.String("Enabled")
		s.poll(m)
	})
}

func (s *lambdaService) mapQueue(m *mapping, in *lambda.CreateEventSourceMappingInput) error {
	if in.StartingPosition != "" {
		return invalidParameter("StartingPosition is not valid for SQS event sources.")
	}
	for _, id := range sortedNames(s.mappings) {
		if other := s.mappings[id]; other.source == m.source && other.function == m.function {
			return &types.ResourceConflictException{Message: aws.String("An event source mapping with SQS arn (\" " + string(m.source) +
				" \") and function (\" " + m.function + " \") already exists. Please update or delete the existing mapping with UUID " + id)}
		}
	}
	if _, err := s.r.queues.receive(m.source, 0, 0); err != nil { // Lambda tries a receive, too
		return invalidParameter("Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist for this wsdl version.")
	}
	m.config.BatchSize = aws.Int32(10)
	m.config.MaximumBatchingWindowInSeconds = aws.Int32(0)
	m.limit = firstPollers
	return nil
}

// mappingSettings is what creating and updating have in common; nil keeps.
type mappingSettings struct {
	batch, window, retries, age, parallel *int32
	bisect                                *bool
	destination                           *types.DestinationConfig
	responses                             []types.FunctionResponseType
	scaling                               *types.ScalingConfig
	metrics                               *types.EventSourceMappingMetricsConfig
}

func (m *mapping) configure(in mappingSettings) error {
	c, isQueue := &m.config, m.source.Service() == "sqs"
	if isQueue {
		if err := firstSet(
			given{"MaximumRetryAttempts", in.retries != nil},
			given{"MaximumRecordAgeInSeconds", in.age != nil},
			given{"ParallelizationFactor", in.parallel != nil},
			given{"BisectBatchOnFunctionError", aws.ToBool(in.bisect)},
			given{"DestinationConfig", onFailure(in.destination) != ""},
		); err != nil {
			return invalidParameter("Unsupported parameter for SQS event sources: %v", err)
		}
	} else if in.scaling != nil {
		return invalidParameter("ScalingConfig is only supported for SQS event sources.")
	}
	if in.metrics != nil {
		for _, x := range in.metrics.Metrics {
			if x != types.EventSourceMappingMetricEventCount {
				return invalidParameter("Unsupported metric for this event source: %s", x)
			}
		}
	}
	fifo := strings.HasSuffix(string(m.source), ".fifo")
	for _, l := range []struct {
		name     string
		v        *int32
		low, top int32
	}{
		{"batchSize", in.batch, 1, map[bool]int32{true: 10, false: 10000}[fifo]},
		{"maximumBatchingWindowInSeconds", in.window, 0, map[bool]int32{true: 0, false: 300}[fifo]},
		{"maximumRetryAttempts", in.retries, -1, 10000},
		{"maximumRecordAgeInSeconds", in.age, -1, 604800},
		{"parallelizationFactor", in.parallel, 1, 10},
	} {
		if l.v != nil && (*l.v < l.low || *l.v > l.top || l.name == "maximumRecordAgeInSeconds" && *l.v >= 0 && *l.v < 60) {
			return invalidParameter("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value between %d and %d", *l.v, l.name, l.low, l.top)
		}
	}
	batch, window := c.BatchSize, c.MaximumBatchingWindowInSeconds
	keep(&batch, in.batch)
	keep(&window, in.window)
	if isQueue && aws.ToInt32(batch) > 10 && aws.ToInt32(window) < 1 {
		return invalidParameter("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	}
	if n := in.scaling; n != nil && n.MaximumConcurrency != nil && (*n.MaximumConcurrency < 2 || *n.MaximumConcurrency > 1000) {
		return invalidParameter("1 validation error detected: Value '%d' at 'scalingConfig.maximumConcurrency' failed to satisfy constraint: Member must have value between 2 and 1000", *n.MaximumConcurrency)
	}
	if d := onFailure(in.destination); d != "" {
		if service := ops.ARN(d).Service(); service != "sqs" && service != "sns" && service != "s3" {
			return invalidParameter("Unsupported destination: %s", d)
		}
	}
	c.BatchSize, c.MaximumBatchingWindowInSeconds = batch, window
	keep(&c.MaximumRetryAttempts, in.retries)
	keep(&c.MaximumRecordAgeInSeconds, in.age)
	keep(&c.ParallelizationFactor, in.parallel)
	keep(&c.BisectBatchOnFunctionError, in.bisect)
	keep(&c.DestinationConfig, in.destination)
	keep(&c.ScalingConfig, in.scaling)
	keep(&c.MetricsConfig, in.metrics)
	if in.responses != nil {
		c.FunctionResponseTypes = in.responses
	}
	return nil
}

// counted adds to one of the event counts, where the mapping publishes them (LDG
// monitoring-metrics-types, event source mapping metrics).
func (s *lambdaService) counted(m *mapping, metric string, events int) {
	if c := m.config.MetricsConfig; c != nil && len(c.Metrics) > 0 {
		s.r.metrics.series("AWS/Lambda", metric, "Count", "EventSourceMappingUUID", m.id()).add(s.r.now(), float64(events))
	}
}

func (s *lambdaService) findMapping(uuid *string) (*mapping, error) {
	m, ok := s.mappings[aws.ToString(uuid)]
	if !ok {
		return nil, noSuchThing("The resource you requested does not exist.")
	}
	return m, nil
}

func (s *lambdaService) describeMapping(_ context.Context, in *lambda.GetEventSourceMappingInput) (*lambda.GetEventSourceMappingOutput, error) {
	m, err := s.findMapping(in.UUID)
	if err != nil {
		return nil, err
	}
	out := lambda.GetEventSourceMappingOutput{}
	copyMembers(&out, m.config)
	return &out, nil
}

// listMappings answers at most 100 a page (API reference, ListEventSourceMappings).
func (s *lambdaService) listMappings(_ context.Context, in *lambda.ListEventSourceMappingsInput) (*lambda.ListEventSourceMappingsOutput, error) {
	name := ""
	if in.FunctionName != nil {
		f, err := s.find(in.FunctionName)
		if err != nil {
			return nil, err
		}
		name = f.name()
	}
	var ids []string
	for _, id := range sortedNames(s.mappings) {
		m := s.mappings[id]
		if (name == "" || m.function == name) && (in.EventSourceArn == nil || *in.EventSourceArn == aws.ToString(m.config.EventSourceArn)) {
			ids = append(ids, id)
		}
	}
	page, next, err := lambdaPage(ids, in.Marker, in.MaxItems, 100)
	if err != nil {
		return nil, err
	}
	out := &lambda.ListEventSourceMappingsOutput{EventSourceMappings: []types.EventSourceMappingConfiguration{}, NextMarker: next}
	for _, id := range page {
		out.EventSourceMappings = append(out.EventSourceMappings, s.mappings[id].config)
	}
	return out, nil
}

func (s *lambdaService) updateMapping(_ context.Context, in *lambda.UpdateEventSourceMappingInput) (*lambda.UpdateEventSourceMappingOutput, error) {
	if err := firstSet(
		given{"AmazonManagedKafkaEventSourceConfig", in.AmazonManagedKafkaEventSourceConfig != nil},
		given{"DocumentDBEventSourceConfig", in.DocumentDBEventSourceConfig != nil},
		given{"FilterCriteria", in.FilterCriteria != nil && len(in.FilterCriteria.Filters) > 0},
		given{"KMSKeyArn", in.KMSKeyArn != nil},
		given{"LoggingConfig", in.LoggingConfig != nil},
		given{"ProvisionedPollerConfig", in.ProvisionedPollerConfig != nil},
		given{"SelfManagedKafkaEventSourceConfig", in.SelfManagedKafkaEventSourceConfig != nil},
		given{"SourceAccessConfigurations", len(in.SourceAccessConfigurations) > 0},
		given{"TumblingWindowInSeconds", aws.ToInt32(in.TumblingWindowInSeconds) > 0},
	); err != nil {
		return nil, err
	}
	m, err := s.findMapping(in.UUID)
	if err != nil {
		return nil, err
	}
	if st := m.state(); st != "Enabled" && st != "Disabled" {
		return nil, &types.ResourceInUseException{Message: aws.String("Cannot update the event source mapping because it is in use."), Type: aws.String("User")}
	}
	function := m.function
	if in.FunctionName != nil {
		f, err := s.find(in.FunctionName)
		if err != nil {
			return nil, err
		}
		function = f.name()
	}
	settings := mappingSettings{in.BatchSize, in.MaximumBatchingWindowInSeconds, in.MaximumRetryAttempts, in.MaximumRecordAgeInSeconds,
		in.ParallelizationFactor, in.BisectBatchOnFunctionError, in.DestinationConfig, in.FunctionResponseTypes, in.ScalingConfig, in.MetricsConfig}
	if err := m.configure(settings); err != nil {
		return nil, err
	}
	enabled := m.state() == "Enabled"
	transition := "Updating"
	if in.Enabled != nil && *in.Enabled != enabled {
		enabled = *in.Enabled
		transition = map[bool]string{true: "Enabling", false: "Disabling"}[enabled]
	}
	m.function = function
	m.config.FunctionArn = aws.String(string(s.r.arn("lambda", "function:"+function)))
	m.config.State = aws.String(transition)
	m.config.LastModified = aws.Time(s.r.now())
	s.become(m, enabled)
	out := lambda.UpdateEventSourceMappingOutput{}
	copyMembers(&out, m.config)
	return &out, nil
}

func (s *lambdaService) deleteMapping(_ context.Context, in *lambda.DeleteEventSourceMappingInput) (*lambda.DeleteEventSourceMappingOutput, error) {
	m, err := s.findMapping(in.UUID)
	if err != nil {
		return nil, err
	}
	m.polls++
	m.config.State = aws.String("Deleting")
	mine := m.polls
	s.r.after(s.r.setup(mappingSettles), func() {
		if m.polls == mine {
			delete(s.mappings, m.id())
		}
	})
	out := lambda.DeleteEventSourceMappingOutput{}
	copyMembers(&out, m.config)
	return &out, nil
}

// poll looks for work now, and again later.
func (s *lambdaService) poll(m *mapping) {
	if m.state() != "Enabled" || s.mappings[m.id()] != m {
		return
	}
	f, ok := s.functions[m.function]
	found := false
	switch {
	case !ok:
		m.config.LastProcessingResult = aws.String("PROBLEM: Function not found")
	case m.source.Service() == "sqs":
		found = s.pollQueue(m, f)
	default:
		found = s.pollStream(m, f)
	}
	m.quiet++
	if found {
		m.quiet = 0
	}
	pause := pollInterval
	if m.quiet > 3 {
		pause = idleInterval
	}
	s.pollAfter(m, max(pause, time.Duration(aws.ToInt32(m.config.MaximumBatchingWindowInSeconds))*time.Second))
}

// pollAfter schedules the next poll; the one that was scheduled is void.
func (s *lambdaService) pollAfter(m *mapping, d time.Duration) {
	m.polls++
	mine := m.polls
	s.r.after(d, func() {
		if m.polls == mine {
			s.poll(m)
		}
	})
}

// pollQueue starts as many batches as its pollers allow, and more pollers while
// there is always work: five at first, five more a second (LDG services-sqs-scaling:
// 300 a minute).
func (s *lambdaService) pollQueue(m *mapping, f *function) (found bool) {
	for m.inFlight < m.limit {
		messages := s.receiveBatch(m)
		if len(messages) == 0 {
			m.limit = firstPollers
			return found
		}
		found = true
		if s.throttle(f) != nil {
			return found // the messages come back after their visibility timeout
		}
		m.inFlight++
		s.counted(m, "PolledEventCount", len(messages))
		s.counted(m, "InvokedEventCount", len(messages))
		c := &functionCall{function: f, requestID: s.r.id(), messages: messages}
		c.event = func() []byte { return s.queueEvent(m, messages) }
		s.execute(c, func(got invocation) { s.finishBatch(m, messages, got) })
		if len(messages) < int(aws.ToInt32(m.config.BatchSize)) {
			m.limit = firstPollers
			return true // that was all
		}
	}
	most := mostPollers
	if m.config.ScalingConfig != nil && m.config.ScalingConfig.MaximumConcurrency != nil {
		most = int(*m.config.ScalingConfig.MaximumConcurrency)
	}
	m.limit = min(m.limit+5, most)
	return found
}

func (s *lambdaService) receiveBatch(m *mapping) []queueMessage {
	var out []queueMessage
	for size := int(aws.ToInt32(m.config.BatchSize)); len(out) < size; {
		got, err := s.r.queues.receive(m.source, min(10, size-len(out)), 0)
		if err != nil || len(got) == 0 { // a queue that is gone has no messages
			break
		}
		out = append(out, got...)
	}
	return out
}

// finishBatch deletes what the function processed. What failed is left alone: it
// comes back when its visibility timeout ends.
func (s *lambdaService) finishBatch(m *mapping, messages []queueMessage, got invocation) {
	m.inFlight--
	if m.inFlight == m.limit-1 && m.state() == "Enabled" && s.mappings[m.id()] == m {
		s.pollAfter(m, 0) // a poller was short: it goes on at once
	}
	if got.Error != "" {
		s.counted(m, "FailedInvokeEventCount", len(messages))
		return
	}
	failed, all := map[string]bool{}, false
	if m.reportsItems() {
		ids := make(map[string]bool, len(messages))
		for _, msg := range messages {
			ids[msg.ID] = true
		}
		failed, all = failedItems(got.Payload, ids)
	}
	deleted := 0
	for _, msg := range messages {
		if !all && !failed[msg.ID] {
			s.r.queues.remove(m.source, msg.Handle)
			deleted++
		}
	}
	s.counted(m, "FailedInvokeEventCount", len(messages)-deleted)
	s.counted(m, "DeletedEventCount", deleted)
}

func (m *mapping) reportsItems() bool {
	for _, t := range m.config.FunctionResponseTypes {
		if t == types.FunctionResponseTypeReportBatchItemFailures {
			return true
		}
	}
	return false
}

// failedItems reads a partial batch response. No answer, null or an empty list is
// complete success; an answer that makes no sense, or that names an item that was
// not in the batch, is complete failure (LDG services-sqs-errorhandling).
func failedItems(payload []byte, known map[string]bool) (failed map[string]bool, all bool) {
	if len(payload) == 0 {
		return nil, false
	}
	var answer *struct {
		Failures []map[string]any `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return nil, true
	}
	if answer == nil {
		return nil, false
	}
	failed = map[string]bool{}
	for _, f := range answer.Failures {
		id, ok := f["itemIdentifier"].(string)
		if !ok || !known[id] {
			return nil, true
		}
		failed[id] = true
	}
	return failed, false
}

// queueEvent is the event that a function gets from a queue (LDG with-sqs).
func (s *lambdaService) queueEvent(m *mapping, messages []queueMessage) []byte {
	type attr struct {
		String   string   `json:"stringValue,omitempty"`
		Binary   string   `json:"binaryValue,omitempty"`
		Strings  []string `json:"stringListValues"`
		Binaries []string `json:"binaryListValues"`
		Type     string   `json:"dataType"`
	}
	type record struct {
		ID         string            `json:"messageId"`
		Handle     string            `json:"receiptHandle"`
		Body       string            `json:"body"`
		System     map[string]string `json:"attributes"`
		Attributes map[string]attr   `json:"messageAttributes"`
		MD5        string            `json:"md5OfBody"`
		Source     string            `json:"eventSource"`
		SourceARN  string            `json:"eventSourceARN"`
		Region     string            `json:"awsRegion"`
	}
	event := struct {
		Records []record
	}{make([]record, 0, len(messages))}
	for _, msg := range messages {
		attributes := map[string]attr{}
		for name, a := range msg.Attributes {
			x := attr{Strings: []string{}, Binaries: []string{}, Type: a.Type, String: a.String}
			if a.Binary != nil {
				x.Binary = base64.StdEncoding.EncodeToString(a.Binary)
			}
			attributes[name] = x
		}
		event.Records = append(event.Records, record{msg.ID, msg.Handle, msg.Body, msg.System, attributes, msg.MD5, "aws:sqs", string(m.source), s.r.Name})
	}
	return mustJSON(event)
}

// mustJSON marshals a structure of strings and numbers, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sandbox: " + err.Error())
	}
	return b
}
