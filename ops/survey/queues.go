package survey

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

const (
	// liveQueues is how many ordinary queues are read live at most in one look;
	// beyond that they take turns. Dead-letter queues come on top.
	liveQueues = 500
	// sleepEvery is how often the description of an idle queue is read. Any call
	// to a queue keeps it awake for six hours (SQS developer guide, "monitoring
	// queues using CloudWatch"), so reading it more often would never let it sleep.
	sleepEvery = 24 * time.Hour
)

// queue is what GetQueueAttributes says: the depths are live, so describing a
// queue and reading it are one call.
type queue struct {
	ops.Queue
	Buckets []string // buckets that its policy lets send
	Depths  [3]int64 // visible, in flight, delayed at the time of the call
}

func (s *Survey) surveyQueues(ctx context.Context) {
	survey(ctx, s, &s.picture.Queues, source[queue]{
		workers:  48,
		list:     s.listQueues,
		key:      func(q queue) string { return q.URL },
		describe: s.describeQueue,
		due:      s.dueQueues,
	})
}

func (s *Survey) listQueues(ctx context.Context, found func([]queue)) error {
	pages := sqs.NewListQueuesPaginator(s.queues, &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return errTooManyPages("queues")
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list queues: %w", err)
		}
		page := make([]queue, 0, len(out.QueueUrls))
		for _, u := range out.QueueUrls {
			page = append(page, queue{Queue: ops.Queue{URL: u, Name: queueName(u)}})
		}
		found(page)
	}
	return nil
}

func queueName(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return rawURL
	}
	return u.Path[strings.LastIndex(u.Path, "/")+1:]
}

func (s *Survey) describeQueue(ctx context.Context, q queue) (queue, error) {
	out, err := s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       &q.URL,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return q, fmt.Errorf("read queue %s: %w", q.Name, err)
	}
	q = queueFrom(q.URL, out.Attributes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture.depth(q, s.options.Now())
	return q, nil
}

func queueFrom(rawURL string, attributes map[string]string) queue {
	number := func(name types.QueueAttributeName) int64 {
		n, err := strconv.ParseInt(attributes[string(name)], 10, 64)
		if err != nil {
			return 0 // an attribute that an emulator left out
		}
		return n
	}
	seconds := func(name types.QueueAttributeName) time.Duration { return time.Duration(number(name)) * time.Second }
	q := queue{Queue: ops.Queue{
		ARN:        ops.ARN(attributes[string(types.QueueAttributeNameQueueArn)]),
		URL:        rawURL,
		Name:       queueName(rawURL),
		FIFO:       attributes[string(types.QueueAttributeNameFifoQueue)] == "true",
		Retention:  seconds(types.QueueAttributeNameMessageRetentionPeriod),
		Visibility: seconds(types.QueueAttributeNameVisibilityTimeout),
		Delay:      seconds(types.QueueAttributeNameDelaySeconds),
		MaxBytes:   int(number(types.QueueAttributeNameMaximumMessageSize)),
		Encryption: attributes[string(types.QueueAttributeNameKmsMasterKeyId)],
		Created:    time.Unix(number(types.QueueAttributeNameCreatedTimestamp), 0).UTC(),
	}}
	if q.Encryption == "" && attributes[string(types.QueueAttributeNameSqsManagedSseEnabled)] == "true" {
		q.Encryption = "SQS-managed"
	}
	q.RedriveTo, q.MaxReceive = redrivePolicy(attributes[string(types.QueueAttributeNameRedrivePolicy)])
	q.Buckets = bucketsNamed(attributes[string(types.QueueAttributeNamePolicy)])
	q.Depths = [3]int64{
		number(types.QueueAttributeNameApproximateNumberOfMessages),
		number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		number(types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
	}
	return q
}

// redrivePolicy reads a queue's or a subscription's redrive policy. SQS answers
// maxReceiveCount as a number or as a string, depending on how it was set.
func redrivePolicy(policy string) (to ops.ARN, maxReceive int) {
	var p struct {
		Target string          `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(policy), &p) != nil {
		return "", 0 // no policy, or one that SQS would not have taken
	}
	n, err := strconv.Atoi(strings.Trim(string(p.Max), `"`))
	if err != nil {
		n = 0
	}
	return ops.ARN(p.Target), n
}

var bucketARN = regexp.MustCompile(`arn:aws[a-z-]*:s3:::([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\b`)

// bucketsNamed finds the buckets that a resource policy names: a bucket can only
// notify a queue or a topic whose policy lets it, so this finds the buckets of a
// pipeline without asking each bucket of the account.
func bucketsNamed(policy string) []string {
	var names []string
	for _, m := range bucketARN.FindAllStringSubmatch(policy, 50) {
		names = append(names, m[1])
	}
	return names
}

// dueQueues picks the queues to read in this look: what may hold messages and
// what is on screen, live; an idle queue once a day, so that it can sleep.
func (s *Survey) dueQueues(now time.Time) map[string]bool {
	due := map[string]bool{}
	deadLetters := s.picture.deadLetterQueues()
	focus := s.focus()
	interval := s.interval()
	var busy []string
	for key, e := range s.picture.Queues.Entries {
		q := &e.Item
		last := e.Described
		if e.tried.After(last) {
			last = e.tried
		}
		switch {
		case last.IsZero():
			continue // never tried: always due
		case e.Described.IsZero(): // denied or failed
			due[key] = now.Sub(last) >= describeEvery
		case focus[q.ARN], deadLetters[q.ARN]:
			due[key] = true
		case s.picture.busy(q, now):
			if tick(now)-tick(last) >= minutes(interval) || s.ask.Fresh {
				busy = append(busy, key)
			}
		case now.Sub(last) >= sleepEvery:
			due[key] = true
		}
	}
	for _, key := range oldest(&s.picture.Queues, busy, liveQueues) {
		due[key] = true
	}
	return due
}
