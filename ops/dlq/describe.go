package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

const (
	describeWait = 20 * time.Second // for all calls that describe one queue
	mostPages    = 100              // of sources or names, 1,000 each
	mostSources  = 200              // sources whose retention is read
	describers   = 8
)

// Queue finds a queue by name, URL or ARN and reads its attributes and, for a
// dead-letter queue, what sends to it by redrive policy. The error is an
// *ops.Problem; for an unknown name it offers the nearest ones.
func (d *Desk) Queue(ctx context.Context, name string) (ops.Queue, error) {
	ctx, cancel := context.WithTimeout(ctx, describeWait)
	defer cancel()
	plain, err := d.nameOf(name)
	if err != nil {
		return ops.Queue{}, err
	}
	at, err := d.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &plain})
	if err != nil {
		var missing *types.QueueDoesNotExist
		if errors.As(err, &missing) {
			return ops.Queue{}, d.notFound(ctx, plain, err)
		}
		return ops.Queue{}, d.explain(fmt.Sprintf("find queue %s", plain), err)
	}
	q, err := d.describe(ctx, aws.ToString(at.QueueUrl))
	if err != nil {
		return ops.Queue{}, err
	}
	return d.withSources(ctx, q)
}

// nameOf reads a name, URL or ARN. A queue of another account or region is not
// looked for: this desk's door does not lead there.
func (d *Desk) nameOf(s string) (string, error) {
	s = strings.TrimSpace(s)
	var account, region, name string
	switch {
	case strings.HasPrefix(s, "arn:"):
		arn := ops.ARN(s)
		if arn.Kind() != ops.KindQueue {
			return "", &ops.Problem{Fault: ops.FaultNotFound, What: s + " is not the ARN of a queue", Hint: "give a queue's name, URL or ARN"}
		}
		account, region, name = arn.Account(), arn.Region(), arn.Name()
	case strings.Contains(s, "://"):
		u, err := url.Parse(s)
		path := []string{""}
		if err == nil {
			path = strings.Split(strings.Trim(u.Path, "/"), "/")
		}
		if name = path[len(path)-1]; name == "" {
			return "", &ops.Problem{Fault: ops.FaultNotFound, What: s + " is not the URL of a queue", Hint: "give a queue's name, URL or ARN", Err: err}
		}
		if len(path) == 2 && len(path[0]) == 12 {
			account = path[0]
		}
		if rest, ok := strings.CutPrefix(u.Hostname(), "sqs."); ok && strings.Contains(rest, ".amazonaws.com") {
			region, _, _ = strings.Cut(rest, ".")
		}
	default:
		name = s
	}
	if name == "" {
		return "", &ops.Problem{Fault: ops.FaultNotFound, What: "no queue was named", Hint: "give a queue's name, URL or ARN"}
	}
	if here := d.o.Identity.Account; account != "" && here != "" && account != here {
		return "", &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("queue %s belongs to account %s, and this session is in account %s", name, account, here),
			Hint: "start with a profile of that account"}
	}
	if here := d.o.Config.Region; region != "" && here != "" && region != here {
		return "", &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("queue %s is in region %s, and this session is in %s", name, region, here),
			Hint: "start with --region " + region}
	}
	return name, nil
}

// notFound offers the nearest names. That the names cannot be listed changes only the hint.
func (d *Desk) notFound(ctx context.Context, name string, cause error) error {
	p := &ops.Problem{Fault: ops.FaultNotFound, What: fmt.Sprintf("there is no queue %q in %s", name, d.place()), Err: cause}
	names, err := d.queueNames(ctx)
	switch {
	case err != nil:
		p.Hint = "the queues could not be listed: " + d.explain("list queues", err).What
	case len(names) == 0:
		p.Hint = "there are no queues at all: is this the right account and region?"
	default:
		p.Hint = "did you mean " + strings.Join(ops.Nearest(name, names, 3), ", ") + "?"
	}
	return p
}

func (d *Desk) queueNames(ctx context.Context) ([]string, error) {
	pages := sqs.NewListQueuesPaginator(d.sqs, &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)})
	var names []string
	for n := 0; pages.HasMorePages() && n < mostPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list queues: %w", err)
		}
		for _, u := range page.QueueUrls {
			names = append(names, queueName(u))
		}
	}
	return names, nil
}

func queueName(address string) string { return address[strings.LastIndex(address, "/")+1:] }

func (d *Desk) place() string {
	if d.o.Identity.Account == "" {
		return d.o.Config.Region
	}
	return "account " + d.o.Identity.Account + ", " + d.o.Config.Region
}

// describe reads the attributes of one queue; the depths in it are live.
func (d *Desk) describe(ctx context.Context, address string) (ops.Queue, error) {
	out, err := d.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &address, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		return ops.Queue{}, d.explain("read queue "+queueName(address), err)
	}
	return queueFrom(address, out.Attributes, d.o.Now()), nil
}

// queueFrom reads what GetQueueAttributes says. An attribute that an emulator
// leaves out is zero, a depth that is left out is unknown.
func queueFrom(address string, attributes map[string]string, now time.Time) ops.Queue {
	number := func(name types.QueueAttributeName) int64 {
		n, err := strconv.ParseInt(attributes[string(name)], 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	seconds := func(name types.QueueAttributeName) time.Duration { return time.Duration(number(name)) * time.Second }
	live := func(metric ops.Metric, name types.QueueAttributeName) ops.Measure {
		n, err := strconv.ParseFloat(attributes[string(name)], 64)
		if err != nil {
			return ops.Measure{Metric: metric, Last: ops.Missing(ops.NoData)}
		}
		return ops.Measure{Metric: metric, Last: ops.Know(n, now)}
	}
	q := ops.Queue{
		ARN:        ops.ARN(attributes[string(types.QueueAttributeNameQueueArn)]),
		URL:        address,
		Name:       queueName(address),
		FIFO:       attributes[string(types.QueueAttributeNameFifoQueue)] == "true",
		Retention:  seconds(types.QueueAttributeNameMessageRetentionPeriod),
		Visibility: seconds(types.QueueAttributeNameVisibilityTimeout),
		Delay:      seconds(types.QueueAttributeNameDelaySeconds),
		MaxBytes:   int(number(types.QueueAttributeNameMaximumMessageSize)),
		Encryption: attributes[string(types.QueueAttributeNameKmsMasterKeyId)],
		Awake:      true,
		Measures: ops.Measures{
			live(ops.Visible, types.QueueAttributeNameApproximateNumberOfMessages),
			live(ops.InFlight, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
			live(ops.Delayed, types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
		},
	}
	if n := number(types.QueueAttributeNameCreatedTimestamp); n > 0 {
		q.Created = time.Unix(n, 0).UTC()
	}
	if q.Encryption == "" && attributes[string(types.QueueAttributeNameSqsManagedSseEnabled)] == "true" {
		q.Encryption = "SQS-managed"
	}
	q.RedriveTo, q.MaxReceive = redrivePolicy(attributes[string(types.QueueAttributeNameRedrivePolicy)])
	return q
}

// redrivePolicy reads a queue's redrive policy: SQS answers maxReceiveCount as a
// number or as a string, depending on how it was set.
func redrivePolicy(policy string) (to ops.ARN, most int) {
	var p struct {
		Target ops.ARN         `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(policy), &p) != nil {
		return "", 0 // none, or nothing that SQS would have taken
	}
	n, err := strconv.Atoi(strings.Trim(string(p.Max), `"`))
	if err != nil {
		n = 0
	}
	return p.Target, n
}

// withSources fills in what dead-letters to the queue. A look does not depend on
// it: where it may not be read, or the endpoint does not offer it, the cost of a
// look says what is missing.
func (d *Desk) withSources(ctx context.Context, q ops.Queue) (ops.Queue, error) {
	addresses, err := d.sourcesOf(ctx, q)
	if err != nil {
		p := d.explain("list the sources of queue "+q.Name, err)
		if p.Fault != ops.FaultDenied && p.Fault != ops.FaultUnsupported {
			return ops.Queue{}, p
		}
		d.note(q.ARN, "which queues dead-letter here is not known: "+p.What)
		return q, nil
	}
	d.note(q.ARN, "")
	q.DeadLetterOf = make([]ops.DeadLetterSource, len(addresses))
	var all sync.WaitGroup
	slots := make(chan struct{}, describers)
	for i, address := range addresses {
		// The source is in the same account and region as its dead-letter queue.
		arn, _, _ := strings.Cut(string(q.ARN), ":"+q.ARN.Name())
		q.DeadLetterOf[i] = ops.DeadLetterSource{Via: ops.ViaRedrivePolicy, Source: ops.ARN(arn + ":" + queueName(address))}
		if i >= mostSources {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			// Only the source's retention is missing when this fails: unknown is zero.
			if source, err := d.describe(ctx, address); err == nil {
				q.DeadLetterOf[i].Source, q.DeadLetterOf[i].Retention = source.ARN, source.Retention
			}
		})
	}
	all.Wait()
	return q, nil
}

// sourcesOf lists the URLs of the queues whose redrive policy names q. A token for
// more comes only when MaxResults is given.
func (d *Desk) sourcesOf(ctx context.Context, q ops.Queue) ([]string, error) {
	pages := sqs.NewListDeadLetterSourceQueuesPaginator(d.sqs, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: &q.URL, MaxResults: aws.Int32(1000)})
	var addresses []string
	for n := 0; pages.HasMorePages() && n < mostPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list dead-letter source queues: %w", err)
		}
		addresses = append(addresses, page.QueueUrls...)
	}
	return addresses, nil
}

// moving reports whether SQS itself is moving messages out of the queue. A look
// does not depend on the answer: no permission is no.
func (d *Desk) moving(ctx context.Context, q ops.Queue) bool {
	if !q.IsDeadLetter() {
		return false // SQS starts tasks on dead-letter queues only
	}
	out, err := d.sqs.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: aws.String(string(q.ARN))})
	return err == nil && len(out.Results) > 0 && aws.ToString(out.Results[0].Status) == "RUNNING"
}

// explain makes the sentence for an error and says what was being done.
func (d *Desk) explain(doing string, err error) *ops.Problem {
	p := *d.o.Explain(err)
	if !strings.HasPrefix(p.What, doing) {
		p.What = doing + ": " + p.What
	}
	if p.Err == nil {
		p.Err = err
	}
	return &p
}
