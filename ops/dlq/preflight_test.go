package dlq

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// scene is a desk on a sandbox, with clients that may do anything.
type scene struct {
	*testing.T
	sb     *sandbox.Sandbox
	desk   *Desk
	queues *sqs.Client
	code   *lambda.Client
}

func newScene(t *testing.T, scenario string) *scene {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Scenario: scenario, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	raw := sb.Config()
	door, err := cloud.Open(t.Context(), cloud.Options{Config: &raw, Access: cloud.Change, NoQuotas: true})
	if err != nil {
		t.Fatal(err)
	}
	desk := New(Options{Config: door.Config(), Now: sb.Now, Identity: ops.Identity{Account: sandbox.Account}})
	return &scene{t, sb, desk, sqs.NewFromConfig(raw), lambda.NewFromConfig(raw)}
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) arn(service, name string) ops.ARN {
	return ops.ARN("arn:aws:" + service + ":" + sandbox.HomeRegion + ":" + sandbox.Account + ":" + name)
}

// queue makes a queue and returns it as a target.
func (s *scene) queue(name string, attributes map[string]string) ops.Target {
	s.Helper()
	out, err := s.queues.CreateQueue(s.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	s.must(err)
	return ops.Target{ARN: s.arn("sqs", name), URL: aws.ToString(out.QueueUrl), Kind: ops.KindQueue}
}

func deadLettersTo(t ops.Target, most int) map[string]string {
	return map[string]string{"VisibilityTimeout": "40", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, t.ARN, most)}
}

func (s *scene) function(name string) ops.ARN {
	s.Helper()
	_, err := s.code.CreateFunction(s.Context(), &lambda.CreateFunctionInput{FunctionName: &name, Role: aws.String("arn:aws:iam::123456789012:role/" + name),
		Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Code: &lambdatypes.FunctionCode{ZipFile: []byte("x")}, Timeout: aws.Int32(3)})
	s.must(err)
	return s.arn("lambda", "function:"+name)
}

func (s *scene) mapping(function string, source ops.ARN) string {
	s.Helper()
	out, err := s.code.CreateEventSourceMapping(s.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: &function, EventSourceArn: aws.String(string(source))})
	s.must(err)
	return aws.ToString(out.UUID)
}

// letter is a dead letter that was sent some time ago.
func (s *scene) letter(id, body string, ago time.Duration) ops.Message {
	return ops.Message{ID: id, Body: body, At: s.sb.Now(), System: map[string]string{ops.SentAttribute: strconv.FormatInt(s.sb.Now().Add(-ago).UnixMilli(), 10)}}
}

// dead is a letter that the redrive policy of a queue moved.
func (s *scene) dead(of ops.Target, id, body string, ago time.Duration) ops.Message {
	m := s.letter(id, body, ago)
	m.System[ops.SourceAttribute] = string(of.ARN)
	return m
}

// check runs the preflight of a redrive of the messages.
func (s *scene) check(from, to ops.Target, edit func(*ops.Plan), messages ...ops.Message) ops.Plan {
	s.Helper()
	to.Count = len(messages)
	p := ops.Plan{Verb: ops.Redrive, From: from.ARN, FromURL: from.URL, FIFO: strings.HasSuffix(from.Name(), ".fifo"), To: []ops.Target{to}}
	for _, m := range messages {
		p.Manifest = append(p.Manifest, ops.Entry{ID: m.ID, Group: m.Group()})
	}
	if edit != nil {
		edit(&p)
	}
	s.must(s.desk.preflight(s.Context(), &p, slices.Values(messages)))
	return p
}

// says checks that exactly one of the sentences has all the words.
func says(t *testing.T, what string, sentences []string, words ...string) {
	t.Helper()
	n := 0
	for _, s := range sentences {
		all := true
		for _, w := range words {
			all = all && strings.Contains(s, w)
		}
		if all {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d %s with %q among\n\t%s", n, what, words, strings.Join(sentences, "\n\t"))
	}
}

func silent(t *testing.T, what string, sentences []string) {
	t.Helper()
	if len(sentences) > 0 {
		t.Errorf("%s: %q", what, sentences)
	}
}

func factOf(p ops.Plan, name string) string {
	for _, f := range p.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func TestAHarmlessRedriveIsNotWarnedAbout(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("orders-dlq", map[string]string{"MessageRetentionPeriod": "1209600"})
	orders := s.queue("orders", deadLettersTo(dead, 3))
	s.function("worker")
	s.mapping("worker", orders.ARN)
	s.sb.Advance(time.Hour)
	// Sent before the function was last changed: what failed failed on the old code.
	p := s.check(dead, orders, nil, s.dead(orders, "1", "{}", 2*time.Hour))
	silent(t, "blockers", p.Blockers)
	silent(t, "warnings", p.Warnings)
	if p.Risk != ops.LowRisk {
		t.Error("high risk")
	}
	if got := factOf(p, "First loss in"); got != "13d22h" {
		t.Errorf("first loss in %q", got)
	}
	if got := factOf(p, "Back after"); !strings.Contains(got, "2m") || !strings.Contains(got, "3 receives of 40s") {
		t.Errorf("back after %q", got)
	}
	if got := factOf(p, "Fix"); !strings.Contains(got, "worker was last changed 1h ago, after the newest failure") {
		t.Errorf("fix %q", got)
	}
	var names []string
	for _, c := range p.Changes {
		names = append(names, c.Name)
	}
	if d := cmp.Diff([]string{"MessageId", "SentTimestamp", "ApproximateReceiveCount", "SenderId", "DeadLetterQueueSourceArn"}, names); d != "" {
		t.Error(d)
	}
	for _, arn := range []ops.ARN{dead.ARN, orders.ARN} {
		seen := p.Seen[arn]
		if seen["VisibilityTimeout"] == "" || seen["CreatedTimestamp"] == "" || seen["ApproximateNumberOfMessages"] != "" || seen["LastModifiedTimestamp"] != "" {
			t.Errorf("of %s the plan remembers %v", arn.Name(), seen)
		}
	}
}

func TestTheFixGate(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("orders-dlq", nil)
	orders := s.queue("orders", deadLettersTo(dead, 3))
	worker := s.function("worker")
	id := s.mapping("worker", orders.ARN)
	s.sb.Advance(3 * time.Hour)

	p := s.check(dead, orders, nil, s.dead(orders, "1", "{}", 10*time.Minute))
	says(t, "warnings", p.Warnings, "worker was last changed 3h ago, before the newest failure (8m40s ago): nothing suggests a fix")
	if p.Risk != ops.HighRisk || p.Confirm != "orders-dlq" {
		t.Errorf("risk %v, to type %q", p.Risk, p.Confirm)
	}

	// A letter that says when it failed is believed over the estimate.
	stated := s.letter("1", `{"version":"1.0","timestamp":"`+s.sb.Now().Add(-7*time.Minute).Format(time.RFC3339Nano)+`","requestContext":{"requestId":"r","functionArn":"`+
		string(worker)+`","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{}}`, 2*time.Hour)
	p = s.check(dead, orders, nil, stated)
	says(t, "warnings", p.Warnings, "worker was last changed 3h ago, before the newest failure (7m ago): nothing suggests a fix")

	// One that no policy moved was sent by who gave up: that is when it failed.
	p = s.check(dead, orders, nil, s.letter("1", "{}", 5*time.Minute))
	says(t, "warnings", p.Warnings, "before the newest failure (5m ago): nothing suggests a fix")

	_, err := s.code.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{FunctionName: aws.String("worker"), Description: aws.String("fixed")})
	s.must(err)
	s.sb.Advance(4 * time.Minute)
	p = s.check(dead, orders, nil, s.dead(orders, "1", "{}", 14*time.Minute))
	silent(t, "warnings", p.Warnings)
	if got := factOf(p, "Fix"); !strings.Contains(got, "changed 4m ago, after the newest failure (12m ago)") {
		t.Errorf("fix %q", got)
	}

	_, err = s.code.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &id, Enabled: aws.Bool(false)})
	s.must(err)
	s.sb.Advance(5 * time.Minute)
	p = s.check(dead, orders, nil, s.dead(orders, "1", "{}", 30*time.Minute))
	says(t, "warnings", p.Warnings, "worker does not read orders now", "Disabled")
}

func TestTargetsThatCannotTakeTheMessages(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead", nil)
	deadFIFO := s.queue("dead.fifo", map[string]string{"FifoQueue": "true"})
	fifo := s.queue("stock.fifo", map[string]string{"FifoQueue": "true"})
	small := s.queue("small", map[string]string{"MaximumMessageSize": "1024"})
	odd := s.queue("odd", map[string]string{"DelaySeconds": "30", "MessageRetentionPeriod": "600", "KmsMasterKeyId": "alias/theirs"})
	short, long := s.letter("1", "{}", time.Hour), s.letter("2", strings.Repeat("x", 2000), time.Hour)

	says(t, "blockers", s.check(dead, fifo, nil, short).Blockers, "stock.fifo is a FIFO queue, and 1 of 1 message has no message group")
	says(t, "blockers", s.check(deadFIFO, small, nil, short).Blockers, "the order would be lost")
	p := s.check(deadFIFO, small, func(p *ops.Plan) { p.Reorder = true }, short)
	silent(t, "blockers", p.Blockers)
	says(t, "warnings", p.Warnings, "order and protection against duplicates are lost")

	p = s.check(dead, small, nil, short, long)
	says(t, "warnings", p.Warnings, "small takes 1024 bytes: 1 message is larger (the largest has 2000), will be refused and stay here")
	says(t, "blockers", s.check(dead, small, nil, long).Blockers, "all 1 message is larger")

	p = s.check(dead, odd, nil, short)
	says(t, "warnings", p.Warnings, "encrypted with alias/theirs", "not known before the first send")
	says(t, "warnings", p.Warnings, "keeps messages for 10m only")
	says(t, "warnings", p.Warnings, "odd has no redrive policy")
	if factOf(p, "Delay") == "" || factOf(p, "Consumer") == "" {
		t.Errorf("facts %v", p.Facts)
	}

	says(t, "blockers", s.check(dead, dead, nil, short).Blockers, "go in a circle")
	other := s.queue("other", deadLettersTo(odd, 3))
	says(t, "warnings", s.check(dead, odd, nil, short).Warnings, "odd is itself a dead-letter queue (of other)")
	says(t, "warnings", s.check(dead, other, nil, short).Warnings, "what fails again in other goes to odd, not back to dead")
	says(t, "warnings", s.check(other, small, nil, short).Warnings, "other has a redrive policy of its own", "more than 3 times")

	gone := small
	gone.ARN, gone.URL = s.arn("sqs", "gone"), strings.Replace(small.URL, "small", "gone", 1)
	says(t, "blockers", s.check(dead, gone, nil, short).Blockers, "queue gone, where 1 message would go, does not exist")
	says(t, "blockers", s.check(gone, small, nil, short).Blockers, "queue gone does not exist any more")

	says(t, "blockers", s.check(dead, ops.Target{ARN: s.arn("lambda", "function:none"), Kind: ops.KindFunction}, nil, short).Blockers, "function none does not exist")
	f := ops.Target{ARN: s.function("off"), Kind: ops.KindFunction}
	_, err := s.code.PutFunctionConcurrency(t.Context(), &lambda.PutFunctionConcurrencyInput{FunctionName: aws.String("off"), ReservedConcurrentExecutions: aws.Int32(0)})
	s.must(err)
	says(t, "blockers", s.check(dead, f, nil, short).Blockers, "reserved concurrency of 0")

	topic, err := sns.NewFromConfig(s.sb.Config()).CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("news")})
	s.must(err)
	p = s.check(dead, ops.Target{ARN: ops.ARN(aws.ToString(topic.TopicArn)), Kind: ops.KindTopic}, nil, short)
	says(t, "warnings", p.Warnings, "every subscriber of news gets each message again")
	if p.Risk != ops.HighRisk || p.Seen[ops.ARN(aws.ToString(topic.TopicArn))]["SubscriptionsConfirmed"] != "0" {
		t.Errorf("risk %v, seen %v", p.Risk, p.Seen)
	}
}

func TestMessagesThatMustNotGo(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead", nil)
	to := s.queue("to", deadLettersTo(dead, 3))
	cut := s.letter("1", `{"a":`, time.Hour)
	cut.Attributes = map[string]ops.Attribute{"SCHEDULE_ARN": {Type: "String", Text: "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/s"},
		"IS_PAYLOAD_TRUNCATED": {Type: "String", Text: "true"}}
	says(t, "blockers", s.check(dead, to, nil, cut, s.letter("2", "{}", time.Hour)).Blockers, "1 message is what is left of a payload that the producer cut", "leave it out")
	silent(t, "blockers of an archive", s.check(dead, to, func(p *ops.Plan) { p.Verb = ops.Archive }, cut).Blockers)

	many := s.letter("1", "{}", time.Hour)
	many.Attributes = map[string]ops.Attribute{}
	for i := range 11 {
		many.Attributes[fmt.Sprint(i)] = ops.Attribute{Type: "String", Text: "x"}
	}
	says(t, "blockers", s.check(dead, to, nil, many).Blockers, "1 message has more than 10 attributes")
	says(t, "blockers", s.check(dead, to, nil, s.letter("1", "a\x00b", time.Hour)).Blockers, "characters that SQS refuses")

	p := s.check(dead, to, nil, s.letter("1", "{}", 4*24*time.Hour-20*time.Minute)) // kept for four days
	says(t, "warnings", p.Warnings, "first loss in 20m")
}

func TestSomebodyElseAtTheQueue(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead", nil)
	to := s.queue("to", deadLettersTo(dead, 3))
	for i := range 30 {
		_, err := s.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &dead.URL, MessageBody: aws.String(fmt.Sprint(i))})
		s.must(err)
	}
	out, err := s.queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &dead.URL, MaxNumberOfMessages: 3, VisibilityTimeout: 600})
	s.must(err)
	p := s.check(dead, to, nil, s.letter("1", "{}", time.Hour))
	says(t, "warnings", p.Warnings, fmt.Sprintf("about %d messages of dead are in flight and not held by this session", len(out.Messages)))

	// What this session held a moment ago may still be counted: it is not somebody else.
	q, err := s.desk.Queue(t.Context(), "dead")
	s.must(err)
	stop := (&bench{Sandbox: s.sb, t: t}).tick(200 * time.Millisecond)
	pile, err := s.desk.Look(t.Context(), q, Look{Lease: 10 * time.Minute}, nil)
	stop()
	s.must(err)
	if pile.Len()+len(out.Messages) != 30 {
		t.Fatalf("the look saw %d", pile.Len())
	}
	p = s.check(dead, to, nil, s.letter("1", "{}", time.Hour))
	says(t, "warnings", p.Warnings, fmt.Sprintf("about %d messages of dead are in flight", len(out.Messages)), "somebody else is reading it")
	if strings.Contains(strings.Join(p.Warnings, ""), "gave back") {
		t.Errorf("nothing was given back: %q", p.Warnings)
	}
	s.sb.Advance(2 * time.Minute)
	s.must(pile.Release(t.Context()))
	s.sb.SetFaults(sandbox.Fault{Kind: sandbox.CountLag})
	p = s.check(dead, to, nil, s.letter("1", "{}", time.Hour))
	says(t, "warnings", p.Warnings, "about 30 messages of dead are in flight", "or SQS still counts what this session gave back")
	s.sb.SetFaults()

	_, err = s.queues.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(string(dead.ARN)), DestinationArn: aws.String(string(to.ARN)),
		MaxNumberOfMessagesPerSecond: aws.Int32(1)})
	s.must(err)
	says(t, "blockers", s.check(dead, to, nil, s.letter("1", "{}", time.Hour)).Blockers, "SQS itself is moving messages out of dead", "running")
}

// What the identity may not read is named before the start; it is not taken for good.
func TestWhatMayNotBeReadIsNamed(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead", nil)
	to := s.queue("to", deadLettersTo(dead, 3))
	for _, c := range []struct{ service, operation, want string }{
		{"sqs", "GetQueueAttributes", "type, size limit and key of to could not be checked"},
		{"sqs", "ListMessageMoveTasks", "whether SQS itself is moving messages out of dead could not be checked"},
		{"sqs", "ListDeadLetterSourceQueues", "whether to is a dead-letter queue could not be checked"},
		{"lambda", "ListEventSourceMappings", "who consumes to could not be checked"},
	} {
		s.sb.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: c.service, Operation: c.operation})
		p := s.check(dead, to, nil, s.letter("1", "{}", time.Hour))
		says(t, "warnings", p.Warnings, c.want)
		silent(t, "blockers", p.Blockers)
	}
}

func TestObjectsThatAreGone(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead", nil)
	to := s.queue("to", deadLettersTo(dead, 3))
	objects := s3.NewFromConfig(s.sb.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("large"),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: sandbox.HomeRegion}})
	s.must(err)
	pointer := func(id, key string) ops.Message {
		return s.letter(id, `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"large","s3Key":"`+key+`"}]`, time.Hour)
	}
	var all []ops.Message
	for i := range 60 {
		all = append(all, pointer(fmt.Sprint(i), "there"))
	}
	_, err = objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("large"), Key: aws.String("there"), Body: strings.NewReader("{}")})
	s.must(err)
	p := s.check(dead, to, nil, all...)
	if got := factOf(p, "Objects"); got != "all 50 objects in S3 that these messages point at are there (50 of 60 were looked for)" {
		t.Errorf("objects %q", got)
	}
	p = s.check(dead, to, nil, pointer("1", "there"), pointer("2", "gone"))
	says(t, "warnings", p.Warnings, "1 of 2 objects in S3 that these messages point at are gone")
}

func TestSkippingAnEarlierMessageOfAGroup(t *testing.T) {
	for _, c := range []struct {
		chosen string
		want   int
	}{{"", 0}, {"a", 0}, {"ab", 0}, {"abcd", 0}, {"b", 1}, {"ac", 1}, {"d", 3}, {"bd", 2}} {
		chosen := map[string]bool{}
		for _, r := range c.chosen {
			chosen[string(r)] = true
		}
		if got := skippedBefore([]string{"a", "b", "c", "d"}, chosen); got != c.want {
			t.Errorf("choosing %q of abcd skips %d, want %d", c.chosen, got, c.want)
		}
	}
}

func TestAFIFOSelectionIsTheBeginningOfItsGroups(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	to := s.queue("to.fifo", map[string]string{"FifoQueue": "true", "VisibilityTimeout": "40", "RedrivePolicy": deadLettersTo(dead, 3)["RedrivePolicy"]})
	for i := range 4 {
		for _, group := range []string{"mug", "lamp"} {
			_, err := s.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &dead.URL, MessageGroupId: &group, MessageBody: aws.String(fmt.Sprint(group, i))})
			s.must(err)
		}
	}
	q, err := s.desk.Queue(t.Context(), "dead.fifo")
	s.must(err)
	stop := (&bench{Sandbox: s.sb, t: t}).tick(200 * time.Millisecond) // a long poll needs a clock that moves
	pile, err := s.desk.Look(t.Context(), q, Look{Lease: time.Hour}, nil)
	stop()
	s.must(err)
	byBody := map[string]ops.Message{}
	for _, l := range pile.Letters() {
		m, _ := pile.Message(l.ID)
		byBody[m.Body] = m
	}
	if len(byBody) != 8 {
		t.Fatalf("%d of 8 messages were seen", len(byBody))
	}
	choose := func(bodies ...string) (chosen []ops.Message) {
		for _, b := range bodies {
			chosen = append(chosen, byBody[b])
		}
		return chosen
	}
	p := s.check(dead, to, nil, choose("mug0", "mug1", "lamp0", "lamp1", "lamp2", "lamp3")...)
	silent(t, "blockers", p.Blockers)
	silent(t, "warnings", p.Warnings)
	p = s.check(dead, to, nil, choose("mug0", "mug3", "lamp0")...)
	says(t, "blockers", p.Blockers, `2 earlier messages of group "mug" would be overtaken`)
	p = s.check(dead, to, func(p *ops.Plan) { p.Reorder = true }, choose("mug1")...)
	silent(t, "blockers", p.Blockers)
	says(t, "warnings", p.Warnings, `1 earlier message of group "mug" would be overtaken, as accepted`)
	if p.Risk != ops.HighRisk {
		t.Error("reordering is no high risk")
	}
	s.must(pile.Release(t.Context()))
}

func TestACancelledPreflightSaysSo(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := ops.Plan{Verb: ops.Redrive, From: dead.ARN, FromURL: dead.URL}
	if err := s.desk.preflight(ctx, &p, nil); err == nil {
		t.Error("a cancelled preflight passed")
	}
}

func TestWhereALetterGoesBackTo(t *testing.T) {
	s := newScene(t, "incident")
	q, err := s.desk.Queue(t.Context(), "thumbnails-dlq")
	s.must(err)
	producers, err := s.desk.Producers(t.Context(), q)
	s.must(err)
	thumbnails := s.arn("lambda", "function:thumbnails")
	if len(producers) != 1 || producers[0].Via != ops.ViaFunctionDLQ || producers[0].Home != thumbnails {
		t.Errorf("thumbnails-dlq is filled by %+v", producers)
	}
	async := s.letter("1", "{}", time.Hour)
	async.Attributes = map[string]ops.Attribute{"RequestID": {Type: "String", Text: "r"}, "ErrorCode": {Type: "Number", Text: "200"}}
	if to, why := home(async, producers); to != thumbnails {
		t.Errorf("a letter of an asynchronous call goes to %q (%s)", to, why)
	}

	q, err = s.desk.Queue(t.Context(), "payments-failures")
	s.must(err)
	producers, err = s.desk.Producers(t.Context(), q)
	s.must(err)
	if len(producers) != 1 || producers[0].Via != ops.ViaMapping || producers[0].Home != s.arn("lambda", "function:fraud-score") {
		t.Errorf("payments-failures is filled by %+v", producers)
	}

	q, err = s.desk.Queue(t.Context(), "orders-dlq")
	s.must(err)
	producers, err = s.desk.Producers(t.Context(), q)
	s.must(err)
	if len(producers) != 1 || producers[0].Home != s.arn("sqs", "orders") {
		t.Errorf("orders-dlq is filled by %+v", producers)
	}
}

func TestWhatChangedSinceThePlan(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead", nil)
	to := s.queue("to", deadLettersTo(dead, 3))
	p := s.check(dead, to, nil, s.letter("1", "{}", time.Hour))
	drift := func() []string {
		t.Helper()
		changed, err := s.desk.drift(t.Context(), p)
		s.must(err)
		return changed
	}
	_, err := s.queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &dead.URL, MessageBody: aws.String("new")})
	s.must(err)
	silent(t, "drift by traffic", drift())
	_, err = s.queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &to.URL, Attributes: map[string]string{"MaximumMessageSize": "2048", "KmsMasterKeyId": "alias/k"}})
	s.must(err)
	s.sb.Advance(time.Hour)
	says(t, "changes", drift(), `to: MaximumMessageSize was "1048576" and is "2048"`)
	says(t, "changes", drift(), `to: KmsMasterKeyId was not set and is "alias/k"`)
	_, err = s.queues.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &to.URL})
	s.must(err)
	s.sb.Advance(2 * time.Minute)
	says(t, "changes", drift(), "to does not exist any more")
	s.queue("to", deadLettersTo(dead, 3)) // deleted and made again: not the same queue
	says(t, "changes", drift(), "to: CreatedTimestamp was")
}

func TestHomeByWhatTheLetterSays(t *testing.T) {
	queue, function, other := ops.ARN("arn:aws:sqs:eu-west-1:1:q"), ops.ARN("arn:aws:lambda:eu-west-1:1:function:f"), ops.ARN("arn:aws:sqs:eu-west-1:1:other")
	topic := ops.ARN("arn:aws:sns:eu-west-1:1:t")
	text := func(s ops.ARN) ops.Attribute { return ops.Attribute{Type: "String", Text: string(s)} }
	envelope, err := json.Marshal(map[string]string{"Type": "Notification", "TopicArn": string(topic), "Message": "x", "MessageId": "m"})
	if err != nil {
		t.Fatal(err)
	}
	subscribed := func(home ops.ARN) Producer {
		return Producer{ops.DeadLetterSource{Via: ops.ViaSubscription, Source: topic}, home}
	}
	for name, c := range map[string]struct {
		m         ops.Message
		producers []Producer
		want      ops.ARN
		why       string
	}{
		"redrive policy":        {ops.Message{Body: string(envelope), System: map[string]string{ops.SourceAttribute: string(queue)}}, []Producer{subscribed(other)}, queue, ""},
		"rule":                  {ops.Message{Body: "{}", Attributes: map[string]ops.Attribute{"RULE_ARN": text("r"), "TARGET_ARN": text(function)}}, nil, function, ""},
		"rule, other target":    {ops.Message{Body: "{}", Attributes: map[string]ops.Attribute{"RULE_ARN": text("r"), "TARGET_ARN": text("arn:aws:states:eu-west-1:1:x")}}, []Producer{subscribed(other)}, "", "nothing that kxops sends to"},
		"subscription":          {ops.Message{Body: string(envelope)}, []Producer{{ops.DeadLetterSource{Via: ops.ViaFunctionDLQ}, function}, subscribed(queue)}, queue, ""},
		"two subscriptions":     {ops.Message{Body: string(envelope)}, []Producer{subscribed(queue), subscribed(other)}, "", "more than one subscription of topic t that dead-letters here: q, other"},
		"two ways to one queue": {ops.Message{Body: string(envelope)}, []Producer{subscribed(queue), subscribed(queue)}, queue, ""},
		"nobody known":          {ops.Message{Body: "{}"}, nil, "", "no producer of this queue's letters was found"},
	} {
		to, why := home(c.m, c.producers)
		if to != c.want || !strings.Contains(why, c.why) || (why == "") != (c.want != "") {
			t.Errorf("%s: goes to %q, %q; want %q, %q", name, to, why, c.want, c.why)
		}
	}
}

func TestVerdictOnTheFix(t *testing.T) {
	now := night
	ago := func(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }
	for _, c := range []struct {
		modified, sent, last time.Time
		want                 string
		good                 bool
	}{
		{ago(4), ago(9), ago(6), "after the newest failure (6m ago)", true},
		{ago(7), ago(9), ago(6), "they may have failed on the new code too", false},
		{ago(10), ago(9), ago(6), "before the newest failure (6m ago): nothing suggests a fix", false},
		{ago(10), ago(9), time.Time{}, "before the newest failure (9m ago): nothing suggests a fix", false},
		{ago(4), ago(9), time.Time{}, "they may have failed on the new code too", false},
		{ago(7), time.Time{}, ago(6), "nothing suggests a fix", false},
		{time.Time{}, ago(9), ago(6), "", false},
		{ago(7), time.Time{}, time.Time{}, "it is not known when these messages failed", false},
	} {
		got, good := failures{sent: c.sent, last: c.last}.verdict(consumer{function: "arn:aws:lambda:eu-west-1:1:function:worker:live", version: "12", modified: c.modified}, now)
		if good != c.good || !strings.Contains(got, c.want) || (got == "") != (c.want == "") || got != "" && !strings.HasPrefix(got, "worker:live (version 12) was last changed") {
			t.Errorf("changed %s, sent %s, failed %s: %q, %v", c.modified, c.sent, c.last, got, good)
		}
	}
}

func TestACanaryHasToWaitForReturns(t *testing.T) {
	s := newScene(t, "")
	dead := s.queue("dead", nil)
	to := s.queue("to", deadLettersTo(dead, 3)) // back after 2 minutes
	with := func(pace ops.Pace) ops.Plan {
		return s.check(dead, to, func(p *ops.Plan) { p.Pace = pace }, s.dead(to, "1", "{}", time.Hour))
	}
	says(t, "warnings", with(ops.Pace{Canary: true, CanaryWait: 30}).Warnings, "the canary watches for 30s", "back only after about 2m: it can pass")
	silent(t, "warnings", with(ops.Pace{Canary: true, CanaryWait: 130}).Warnings)
	silent(t, "warnings", with(ops.Pace{CanaryWait: 30}).Warnings)
	silent(t, "warnings", with(ops.Pace{Canary: true}).Warnings)
	slow := s.queue("slow", map[string]string{"VisibilityTimeout": "600", "RedrivePolicy": deadLettersTo(dead, 3)["RedrivePolicy"]})
	p := s.check(dead, slow, func(p *ops.Plan) { p.Pace.Canary = true }, s.dead(slow, "1", "{}", time.Hour))
	says(t, "warnings", p.Warnings, "the canary watches for 15m", "back only after about 30m")
}
