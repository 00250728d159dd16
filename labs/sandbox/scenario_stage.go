package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
)

// stage is where a scenario is set up: short words for making resources and
// traffic, and the first error of all of them. Everything on it runs under the
// region's lock.
type stage struct {
	r    *Region
	open time.Time // when the history is over and the door opens
	err  error
}

// staged turns a scene into a scenario's Build.
func staged(history time.Duration, scene func(*stage)) func(*Region) error {
	return func(r *Region) error {
		st := &stage{r: r}
		r.do(func() {
			st.open = r.now().Add(history)
			scene(st)
		})
		return st.err
	}
}

func (st *stage) fail(err error) {
	if st.err == nil && err != nil {
		st.err = err
	}
}

// before runs f when the door is still shut for d.
func (st *stage) before(d time.Duration, f func()) { st.r.at(st.open.Add(-d), f) }

// afterOpening runs f when the door has been open for d.
func (st *stage) afterOpening(d time.Duration, f func()) { st.r.at(st.open.Add(d), f) }

// act calls an operation as a client would, without faults and without a bill.
func act[O any](st *stage, service, operation string, in any) *O {
	op, ok := st.r.operations[service+"."+operation]
	if !ok {
		st.fail(fmt.Errorf("%s has no %s", service, operation))
		return new(O)
	}
	out, err := op.call(context.Background(), in)
	if err != nil {
		st.fail(fmt.Errorf("%s: %w", operation, err))
		return new(O)
	}
	return out.(*O)
}

// queue makes a queue; attributes are name, value …
func (st *stage) queue(name string, attributes ...string) *queue {
	settings := map[string]string{}
	for i := 0; i+1 < len(attributes); i += 2 {
		settings[attributes[i]] = attributes[i+1]
	}
	q, err := st.r.queues.(*sqsService).queueNamed(name, settings, nil)
	if err != nil {
		st.fail(fmt.Errorf("queue %s: %w", name, err))
		return &queue{r: st.r, name: name}
	}
	return q
}

// deadLettersTo is the redrive policy to a dead-letter queue.
func (st *stage) deadLettersTo(dead *queue, maxReceives int) string {
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, st.r.arn("sqs", dead.name), maxReceives)
}

const fourteenDays = "1209600" // s: the longest retention of a queue

// say sends a message of simulated traffic.
func (q *queue) say(body string) { q.accept(&message{body: body, sender: senderOf("")}, -1) }

// backdate gives a message a past, in which it was sent and came to this queue.
func (q *queue) backdate(m *message, sent, arrived time.Time) {
	q.expiries.remove(m)
	q.ages.remove(m)
	m.sent, m.arrived = sent, arrived
	q.expiries.push(m)
	q.ages.push(m)
}

// role is the ARN of an execution role.
func (st *stage) role(name string) string { return "arn:aws:iam::" + Account + ":role/" + name }

// function makes a function with code.
func (st *stage) function(name string, run func(*functionCall) ([]byte, error), edit ...func(*lambda.CreateFunctionInput)) ops.ARN {
	in := &lambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String(st.role(name)), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Architectures: []types.Architecture{types.ArchitectureArm64}, Code: &types.FunctionCode{}, Timeout: aws.Int32(6), MemorySize: aws.Int32(256),
		Tags: map[string]string{"team": "shop"},
	}
	for _, e := range edit {
		e(in)
	}
	act[lambda.CreateFunctionOutput](st, "lambda", "CreateFunction", in)
	if run != nil {
		st.r.functions.code[name] = behaviour{run: run}
	}
	return st.r.arn("lambda", "function:"+name)
}

// deploy gives a function new code, as its team would: it shows in LastModified
// and CodeSha256. A function that somebody deleted meanwhile stays deleted.
func (st *stage) deploy(name string, run func(*functionCall) ([]byte, error)) {
	f, ok := st.r.functions.functions[name]
	if !ok {
		return
	}
	st.r.functions.code[name] = behaviour{run: run}
	st.r.functions.touch(f)
	code := sha256.Sum256([]byte(name + aws.ToString(f.config.LastModified)))
	f.config.CodeSha256 = aws.String(base64.StdEncoding.EncodeToString(code[:]))
}

// mapping connects a queue or a stream to a function.
func (st *stage) mapping(function string, source ops.ARN, edit ...func(*lambda.CreateEventSourceMappingInput)) {
	in := &lambda.CreateEventSourceMappingInput{FunctionName: &function, EventSourceArn: aws.String(string(source))}
	if source.Service() == "sqs" {
		in.FunctionResponseTypes = []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures}
	} else {
		in.StartingPosition = types.EventSourcePositionLatest
	}
	for _, e := range edit {
		e(in)
	}
	act[lambda.CreateEventSourceMappingOutput](st, "lambda", "CreateEventSourceMapping", in)
}

// delivery makes a Firehose to a bucket; source "" is Direct PUT.
func (st *stage) delivery(name, bucket string, source ops.ARN, seconds int32, edit ...func(*firetypes.ExtendedS3DestinationConfiguration)) *deliveryStream {
	role := st.role(name)
	in := &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: &name,
		ExtendedS3DestinationConfiguration: &firetypes.ExtendedS3DestinationConfiguration{
			BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: &role,
			BufferingHints: &firetypes.BufferingHints{SizeInMBs: aws.Int32(5), IntervalInSeconds: &seconds},
			Prefix:         aws.String(name + "/!{timestamp:yyyy/MM/dd/HH}/"),
			CloudWatchLoggingOptions: &firetypes.CloudWatchLoggingOptions{
				Enabled: aws.Bool(true), LogGroupName: aws.String("/aws/kinesisfirehose/" + name), LogStreamName: aws.String("DestinationDelivery"),
			},
			ErrorOutputPrefix: aws.String(name + "-errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/"),
		},
	}
	for _, e := range edit {
		e(in.ExtendedS3DestinationConfiguration)
	}
	if source != "" {
		in.DeliveryStreamType = firetypes.DeliveryStreamTypeKinesisStreamAsSource
		in.KinesisStreamSourceConfiguration = &firetypes.KinesisStreamSourceConfiguration{KinesisStreamARN: aws.String(string(source)), RoleARN: &role}
	}
	act[firehose.CreateDeliveryStreamOutput](st, "firehose", "CreateDeliveryStream", in)
	return firehoseIn(st.r).streams[name]
}

// notify sends a bucket's new objects under a prefix to a topic, queue or function.
func (st *stage) notify(b *bucket, id, prefix string, target ops.ARN) {
	t := targetXML{ID: id, Event: []string{"s3:ObjectCreated:*"}}
	if prefix != "" {
		t.Filter = &notifyFilterXML{}
		t.Filter.S3Key.FilterRule = []filterRuleXML{{Name: "prefix", Value: prefix}}
	}
	switch target.Service() {
	case "sns":
		t.Topic = string(target)
		b.notify.TopicConfiguration = append(b.notify.TopicConfiguration, t)
	case "sqs":
		t.Queue = string(target)
		b.notify.QueueConfiguration = append(b.notify.QueueConfiguration, t)
	default:
		t.CloudFunction = string(target)
		b.notify.CloudFunctionConfiguration = append(b.notify.CloudFunctionConfiguration, t)
	}
	st.fail(b.checkTarget(&t))
}

// arrivals lets f happen at random, from now on, with a rate per second that may
// change with time; a rate of zero looks again a minute later.
func (st *stage) arrivals(rate func(time.Time) float64, f func()) {
	var next func()
	later := func() {
		r := rate(st.r.now())
		if r <= 0 {
			st.r.after(time.Minute, next)
			return
		}
		pause := min(time.Duration(st.r.rng.ExpFloat64()/r*float64(time.Second)), time.Hour)
		st.r.after(pause, next)
	}
	next = func() {
		if rate(st.r.now()) > 0 {
			f()
		}
		later()
	}
	later()
}

// oneOf returns one of the given.
func oneOf[T any](st *stage, from ...T) T { return from[st.r.rng.IntN(len(from))] }
