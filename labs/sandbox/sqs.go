package sandbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// SQS: this file has the queues of a region and the operations on them;
// sqs_queue.go what happens inside a queue, sqs_messages.go the operations on
// messages, sqs_attributes.go the attributes, sqs_moves.go the move tasks and
// sqs_gauges.go the metrics.

// sqsService is SQS in one region.
type sqsService struct {
	r       *Region
	queues  map[string]*queue
	deleted map[string]time.Time
}

func newSQS(r *Region) {
	s := &sqsService{r: r, queues: map[string]*queue{}, deleted: map[string]time.Time{}}
	r.queues = s
	r.receivers["sqs"] = s.receiveDelivery
	r.tagged = append(r.tagged, s.taggedQueues)
	r.every(time.Minute, func(now time.Time) {
		for _, q := range s.queues { // the order is of no consequence: each queue has its own series
			q.sample(now)
		}
	})
	handle(r, "sqs", "CreateQueue", s.createQueue)
	handle(r, "sqs", "DeleteQueue", s.deleteQueue)
	handle(r, "sqs", "GetQueueUrl", s.queueURL)
	handle(r, "sqs", "ListQueues", s.listQueues)
	handle(r, "sqs", "GetQueueAttributes", s.queueAttributes)
	handle(r, "sqs", "SetQueueAttributes", s.setQueueAttributes)
	handle(r, "sqs", "PurgeQueue", s.purgeQueue)
	handle(r, "sqs", "ListDeadLetterSourceQueues", s.listSources)
	handle(r, "sqs", "TagQueue", s.tagQueue)
	handle(r, "sqs", "UntagQueue", s.untagQueue)
	handle(r, "sqs", "ListQueueTags", s.queueTags)
	handle(r, "sqs", "SendMessage", s.sendMessage)
	handle(r, "sqs", "SendMessageBatch", s.sendMessageBatch)
	handle(r, "sqs", "ReceiveMessage", s.receiveMessage)
	handle(r, "sqs", "DeleteMessage", s.deleteMessage)
	handle(r, "sqs", "DeleteMessageBatch", s.deleteMessageBatch)
	handle(r, "sqs", "ChangeMessageVisibility", s.changeVisibility)
	handle(r, "sqs", "ChangeMessageVisibilityBatch", s.changeVisibilityBatch)
	handle(r, "sqs", "StartMessageMoveTask", s.startMove)
	handle(r, "sqs", "ListMessageMoveTasks", s.listMoves)
	handle(r, "sqs", "CancelMessageMoveTask", s.cancelMove)
}

// queueNamed makes or finds a queue: CreateQueue and scenarios share it.
func (s *sqsService) queueNamed(name string, attributes, tags map[string]string) (*queue, error) {
	fifo := attributes["FifoQueue"] == "true"
	if !isQueueName(strings.TrimSuffix(name, ".fifo")) || len(name) > 80 {
		return nil, fail("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if fifo != strings.HasSuffix(name, ".fifo") {
		return nil, fail("InvalidParameterValue",
			"The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length")
	}
	now := s.r.now()
	if q, ok := s.queues[name]; ok {
		have, err := q.show([]types.QueueAttributeName{types.QueueAttributeNameAll}, q.count)
		if err != nil {
			return nil, err
		}
		for _, a := range sortedNames(attributes) {
			if have[a] != attributes[a] {
				return nil, &types.QueueNameExists{Message: aws.String("A queue already exists with the same name and a different value for attribute " + a)}
			}
		}
		q.touch(now)
		return q, nil
	}
	if t, ok := s.deleted[name]; ok && now.Sub(t) < time.Minute {
		return nil, &types.QueueDeletedRecently{Message: aws.String("You must wait 60 seconds after deleting a queue before you can create another with the same name.")}
	}
	arn := s.r.arn("sqs", name)
	settings := maps.Clone(attributes)
	maps.DeleteFunc(settings, func(_, v string) bool { return v == "" })
	if settings == nil {
		settings = map[string]string{}
	}
	rules, err := s.readRules(arn, settings)
	if err != nil {
		return nil, err
	}
	q := &queue{
		r: s.r, service: s, name: name, arn: arn, created: now, modified: now,
		settings: settings, tags: map[string]string{}, queueRules: rules,
		messages: map[uint64]*message{}, lanes: map[string]*lane{},
		timers:   messageHeap{key: byUntil, slot: func(m *message) *int { return &m.timerSlot }},
		expiries: messageHeap{key: bySent, slot: func(m *message) *int { return &m.expirySlot }},
		ages:     messageHeap{key: byArrival, slot: func(m *message) *int { return &m.ageSlot }},
		dedups:   map[string]dedup{}, attempts: map[string]attempt{},
	}
	maps.Copy(q.tags, tags)
	q.openMetrics()
	s.queues[name] = q
	return q, nil
}

func isQueueName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

func (s *sqsService) byARN(arn ops.ARN) (*queue, bool) {
	q, ok := s.queues[arn.Name()]
	return q, ok && q.arn == arn
}

// at finds the queue of a URL. Any call on it keeps it awake.
func (s *sqsService) at(queueURL *string) (*queue, error) {
	if aws.ToString(queueURL) == "" {
		return nil, missing("QueueUrl")
	}
	u, err := url.Parse(*queueURL)
	if err != nil {
		return nil, &types.InvalidAddress{Message: aws.String("The address " + *queueURL + " is not valid for this endpoint.")}
	}
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	if n := len(path); n == 1 || n >= 2 && path[n-2] == Account {
		if q, ok := s.queues[path[n-1]]; ok {
			q.touch(s.r.now())
			return q, nil
		}
	}
	return nil, noSuchQueue()
}

func (q *queue) url() string { return q.r.sb.endpoint + "/" + Account + "/" + q.name }

func noSuchQueue() error {
	return &types.QueueDoesNotExist{Message: aws.String("The specified queue does not exist.")}
}

func missing(parameter string) error {
	return fail("MissingParameter", "The request must contain the parameter %s.", parameter)
}

func invalidValue(value, parameter, reason string) error {
	return fail("InvalidParameterValue", "Value %s for parameter %s is invalid. Reason: %s", value, parameter, reason)
}

func invalidHandle(handle string) error {
	return &types.ReceiptHandleIsInvalid{Message: aws.String(fmt.Sprintf("The input receipt handle %q is not a valid receipt handle.", handle))}
}

func messageNotInFlight(id string) error {
	return &types.MessageNotInflight{Message: aws.String("The message " + id + " is not in flight: its visibility timeout is over.")}
}

func (s *sqsService) createQueue(_ context.Context, in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	if aws.ToString(in.QueueName) == "" {
		return nil, missing("QueueName")
	}
	q, err := s.queueNamed(*in.QueueName, in.Attributes, in.Tags)
	if err != nil {
		return nil, err
	}
	return &sqs.CreateQueueOutput{QueueUrl: aws.String(q.url())}, nil
}

func (s *sqsService) deleteQueue(_ context.Context, in *sqs.DeleteQueueInput) (*sqs.DeleteQueueOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q.purge()
	delete(s.queues, q.name)
	s.deleted[q.name] = s.r.now()
	return &sqs.DeleteQueueOutput{}, nil
}

func (s *sqsService) queueURL(_ context.Context, in *sqs.GetQueueUrlInput) (*sqs.GetQueueUrlOutput, error) {
	q, ok := s.queues[aws.ToString(in.QueueName)]
	if owner := aws.ToString(in.QueueOwnerAWSAccountId); !ok || owner != "" && owner != Account {
		return nil, noSuchQueue()
	}
	q.touch(s.r.now())
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String(q.url())}, nil
}

func (s *sqsService) listQueues(_ context.Context, in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
	var urls []string
	for _, name := range sortedNames(s.queues) {
		if strings.HasPrefix(name, aws.ToString(in.QueueNamePrefix)) {
			urls = append(urls, s.queues[name].url())
		}
	}
	page, next, err := pageOfQueues(urls, in.MaxResults, in.NextToken)
	return &sqs.ListQueuesOutput{QueueUrls: page, NextToken: next}, err
}

func (s *sqsService) listSources(_ context.Context, in *sqs.ListDeadLetterSourceQueuesInput) (*sqs.ListDeadLetterSourceQueuesOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	urls := []string{}
	for _, source := range s.sourcesOf(q) {
		urls = append(urls, source.url())
	}
	page, next, err := pageOfQueues(urls, in.MaxResults, in.NextToken)
	if page == nil {
		page = []string{}
	}
	return &sqs.ListDeadLetterSourceQueuesOutput{QueueUrls: page, NextToken: next}, err
}

// sourcesOf lists the queues that dead-letter to q, by name.
func (s *sqsService) sourcesOf(q *queue) []*queue {
	var out []*queue
	for _, name := range sortedNames(s.queues) {
		if x := s.queues[name]; x.redrive != nil && x.redrive.target == q.arn {
			out = append(out, x)
		}
	}
	return out
}

// pageOfQueues cuts a page: up to 1,000; a token only for who asked for pages
// (API, ListQueues and ListDeadLetterSourceQueues). The token names the last URL
// of the page before, so that queues may come and go between pages.
func pageOfQueues(urls []string, most *int32, token *string) ([]string, *string, error) {
	size := 1000
	if most != nil {
		if size = int(*most); size < 1 || size > 1000 {
			return nil, nil, fail("InvalidParameterValue", "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000.")
		}
	}
	if t := aws.ToString(token); t != "" {
		last, err := base64.StdEncoding.DecodeString(t)
		if err != nil || most == nil {
			return nil, nil, fail("InvalidParameterValue", "Invalid or expired next token.")
		}
		after, found := slices.BinarySearch(urls, string(last))
		if found {
			after++
		}
		urls = urls[after:]
	}
	if len(urls) <= size {
		return urls, nil, nil
	}
	urls = urls[:size]
	if most == nil {
		return urls, nil, nil
	}
	return urls, aws.String(base64.StdEncoding.EncodeToString([]byte(urls[size-1]))), nil
}

func (s *sqsService) queueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q.settle(s.r.now())
	shown, err := q.show(in.AttributeNames, q.shownCount("GetQueueAttributes"))
	return &sqs.GetQueueAttributesOutput{Attributes: shown}, err
}

// shownCount is the queue's count as it is told to callers: approximate, and a
// minute old or more under the fault CountLag.
func (q *queue) shownCount(operation string) [3]int {
	if q.r.strikes(CountLag, "sqs", operation) {
		return q.minuteAgo
	}
	return q.count
}

func (s *sqsService) setQueueAttributes(_ context.Context, in *sqs.SetQueueAttributesInput) (*sqs.SetQueueAttributesOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := q.set(in.Attributes); err != nil {
		return nil, err
	}
	return &sqs.SetQueueAttributesOutput{}, nil
}

// purgeQueue deletes at once (AWS takes up to a minute) and then refuses another
// purge for 60 s (API, PurgeQueue).
func (s *sqsService) purgeQueue(_ context.Context, in *sqs.PurgeQueueInput) (*sqs.PurgeQueueOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	now := s.r.now()
	if !q.purged.IsZero() && now.Sub(q.purged) < time.Minute {
		return nil, &types.PurgeQueueInProgress{Message: aws.String("Only one PurgeQueue operation on " + q.name + " is allowed every 60 seconds.")}
	}
	q.purged = now
	q.purge()
	return &sqs.PurgeQueueOutput{}, nil
}

func (s *sqsService) tagQueue(_ context.Context, in *sqs.TagQueueInput) (*sqs.TagQueueOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(q.tags)
	maps.Copy(next, in.Tags)
	if len(next) > 50 {
		return nil, fail("InvalidParameterValue", "Too many tags added for queue %s.", q.name)
	}
	q.tags = next
	return &sqs.TagQueueOutput{}, nil
}

func (s *sqsService) untagQueue(_ context.Context, in *sqs.UntagQueueInput) (*sqs.UntagQueueOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(q.tags, k)
	}
	return &sqs.UntagQueueOutput{}, nil
}

func (s *sqsService) queueTags(_ context.Context, in *sqs.ListQueueTagsInput) (*sqs.ListQueueTagsOutput, error) {
	q, err := s.at(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &sqs.ListQueueTagsOutput{Tags: maps.Clone(q.tags)}, nil
}

func (s *sqsService) taggedQueues() []taggedResource {
	out := make([]taggedResource, 0, len(s.queues))
	for _, name := range sortedNames(s.queues) {
		out = append(out, taggedResource{ARN: s.queues[name].arn, Tags: maps.Clone(s.queues[name].tags)})
	}
	return out
}

// receiveDelivery takes an event from another service. A queue without a policy
// takes events from the account's own resources; one with a policy, from whom
// the policy admits. The key that AWS manages cannot be used by other services.
func (s *sqsService) receiveDelivery(target ops.ARN, d delivery) error {
	q, ok := s.byARN(target)
	if !ok {
		return noSuchQueue()
	}
	principal := principalOf(d.From)
	if q.policy != nil {
		allowed, denied := q.policy.verdict(d.From, "sqs:SendMessage")
		if denied || !allowed && principal != Account {
			return fail("AccessDenied", "Access to the resource %s is denied.", q.url())
		}
	}
	if q.awsKey && principal != Account {
		return &types.KmsAccessDenied{Message: aws.String("The ciphertext refers to a key that " + principal + " may not use.")}
	}
	if why := s.r.kms.refuses(q.settings["KmsMasterKeyId"], d.From); why != "" {
		return &types.KmsAccessDenied{Message: aws.String(why)}
	}
	m := &message{body: string(d.Body), attributes: d.Attributes, trace: d.System["AWSTraceHeader"], group: d.Group, dedup: d.Dedup, sender: senderOf(d.From)}
	if err := q.check(m); err != nil {
		return err
	}
	q.accept(m, -1)
	return nil
}

// senderOf is the SenderId of a message: the caller's, or a service's own.
func senderOf(from ops.ARN) string {
	if from.Service() == "" {
		return "AROASANDBOX:sandbox"
	}
	return "AIDASANDBOX" + strings.ToUpper(from.Service())
}

// receive, remove and release are the queueReader for event source mappings.
func (s *sqsService) receive(arn ops.ARN, most int, visibility time.Duration) ([]queueMessage, error) {
	q, ok := s.byARN(arn)
	if !ok {
		return nil, noSuchQueue()
	}
	if visibility <= 0 {
		visibility = q.visibility
	}
	now := s.r.now()
	q.touch(now)
	got := q.take(now, min(most, 10), visibility)
	q.countReceive(now, len(got))
	out := make([]queueMessage, 0, len(got))
	for _, m := range got {
		out = append(out, queueMessage{ID: m.id, Handle: q.handle(m), Body: m.body, Attributes: m.attributes, System: q.system(m), MD5: m.bodyMD5()})
	}
	return out, nil
}

func (s *sqsService) remove(arn ops.ARN, handle string) {
	if q, ok := s.byARN(arn); ok {
		// A handle that is no longer good deletes nothing, which is what callers expect.
		_ = q.remove(s.r.now(), handle)
	}
}

func (s *sqsService) release(arn ops.ARN, handle string, after time.Duration) {
	if q, ok := s.byARN(arn); ok {
		// A message that is gone or leased anew is not this caller's any more.
		_ = q.extend(s.r.now(), handle, after)
	}
}

func (q *queue) countReceive(now time.Time, n int) {
	if n == 0 {
		q.counted(q.emptyMetric, now, 1)
		return
	}
	q.counted(q.receivedMetric, now, float64(n))
}

// system lists the system attributes of a leased message.
func (q *queue) system(m *message) map[string]string {
	out := map[string]string{
		"SenderId":                         m.sender,
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.received.UnixMilli(), 10),
	}
	for _, optional := range [...][2]string{
		{"SequenceNumber", m.sequence},
		{"MessageDeduplicationId", m.dedup},
		{"MessageGroupId", m.group},
		{"AWSTraceHeader", m.trace},
		{"DeadLetterQueueSourceArn", string(m.source)},
	} {
		if optional[1] != "" {
			out[optional[0]] = optional[1]
		}
	}
	return out
}
