package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"

	"kxops/labs/sandbox"
	"kxops/ops/cloud"
)

// emulator is what we know about one of the third-party emulators, and about the
// sandbox, which is held to the same rule.
type emulator struct {
	serves     []string          // SDK service ids; nil: all that the exceptions do not take back
	why        string            // the reason for serves
	without    map[string]string // SDK service ids that it does not serve, and why
	protocol   string            // of CloudWatch
	exceptions map[string]string // case id -> why it cannot serve it
}

var emulators = map[string]emulator{
	"sandbox": {},
	"kinesis-local": {serves: []string{"Kinesis"}, why: "kinesis-local is Kinesis only", exceptions: map[string]string{
		"Kinesis ListStreams: pages through all streams":                           noNextToken,
		"Kinesis ListStreamConsumers: lists fan-out consumers, in pages":           "answers MaxResults consumers and no NextToken for the rest",
		"Kinesis ListChannels: lists no channels where there are none":             noChannels,
		"Kinesis DescribeChannel: a missing channel is ResourceNotFoundException":  noChannels,
		"Kinesis GetShardIterator: a sequence number of another stream is refused": "refuses it with another code",
		"Kinesis SubscribeToShard: pushes the records from a position on":          "sends no initial response, for which the SDK waits",
	}},
	"elasticmq": {serves: []string{"SQS"}, why: "ElasticMQ is SQS only", exceptions: map[string]string{
		"SQS ListQueues: pages through all queues":                                       "ignores MaxResults: one page with all queues",
		"SQS GetQueueAttributes: says what a queue is":                                   "has no MessageRetentionPeriod: messages stay for ever",
		"SQS ListDeadLetterSourceQueues: pages through the queues that dead-letter here": onePageOfSources,
		"SQS SetQueueAttributes: raises the retention":                                   "has no MessageRetentionPeriod: messages stay for ever",
		"SQS SetQueueAttributes: refuses a retention over fourteen days":                 "has no MessageRetentionPeriod: messages stay for ever",
		"SQS ListMessageMoveTasks: tells of a task that is over":                         "answers a handle for a task that is over, and 0 as what it had to move",
		"SQS CancelMessageMoveTask: stops a running task":                                "forgets a task that was cancelled",
	}},
	"moto": {protocol: "query", without: map[string]string{"Athena": "runs no SQL: its answers are canned"}, exceptions: map[string]string{
		"S3 ListBucketMetricsConfigurations: lists the filters of request metrics":             noFilters,
		"S3 RestoreObject: an archived object is asked back, and its state is in the listing":  "answers 202 with a content type of a web page",
		"Kinesis ListStreams: pages through all streams":                                       noNextToken,
		"Kinesis ListChannels: lists no channels where there are none":                         noChannels,
		"Kinesis DescribeChannel: a missing channel is ResourceNotFoundException":              noChannels,
		"Kinesis GetShardIterator: a sequence number of another stream is refused":             "takes any sequence number",
		"Kinesis ListShards: lists a stream's shards, in pages":                                "refuses its own page token",
		"Kinesis RegisterStreamConsumer: registers a fan-out consumer once by name":            "registers the same name again",
		"Kinesis DeregisterStreamConsumer: removes a fan-out consumer by its name":             "keeps the consumer of that name and removes the others",
		"Kinesis SubscribeToShard: pushes the records from a position on":                      "never answers a subscription",
		"EventBridge CancelReplay: a replay that is over cannot be cancelled":                  "cancels a replay that is over",
		"EventBridge ListReplays: lists replays by state":                                      "finds no replay by its state",
		"Lambda Invoke: runs a function and answers what it answered":                          "runs functions in Docker only",
		"Lambda GetAccountSettings: says how many functions may run at once":                   "does not know the operation",
		"CloudWatch DescribeAlarms: pages through all alarms":                                  "ignores MaxRecords: one page with all alarms",
		"CloudWatch GetMetricData: gives each statistic of an hour":                            "answers for a namespace that has no such metric",
		"CloudWatch GetMetricData: computes an expression":                                     "does not evaluate expressions",
		"Lambda ListFunctions: pages through all functions":                                    "ignores MaxItems: one page with all functions",
		"Lambda ListEventSourceMappings: lists what functions read":                            "ignores MaxItems: one page with all mappings",
		"Lambda GetFunctionConfiguration: says what a function is":                             "does not answer DeadLetterConfig",
		"SQS ReceiveMessage: moves a message on after maxReceiveCount, keeping its id and age": "does not say DeadLetterQueueSourceArn",
		"SQS ListDeadLetterSourceQueues: pages through the queues that dead-letter here":       onePageOfSources,
		"SQS SetQueueAttributes: refuses a retention over fourteen days":                       "takes any retention",
		"SQS SendMessageBatch: fails for the bad entry only":                                   "takes characters that SQS refuses",
		"SQS SendMessageBatch: sends attributes, trace and tenant":                             "drops AWSTraceHeader in a batch",
		"SQS StartMessageMoveTask: moves dead letters to their source":                         noMoves,
		"SQS ListMessageMoveTasks: tells of a task that is over":                               noMoves,
		"SQS CancelMessageMoveTask: stops a running task":                                      noMoves,
		"CloudWatch PutMetricAlarm: creates an alarm as it is asked for":                       "evaluates alarms never: they are OK from the start",
		"CloudWatch PutMetricAlarm: tags count on create only":                                 "takes tags on an update",
		"CloudWatch PutMetricAlarm: refuses M over N":                                          "does not compare M and N",
		"CloudWatch ListTagsForResource: a missing alarm has no tags":                          "answers no tags for an alarm that is not there",
		"CloudWatch PutAlarmMuteRule: takes a rule with at()":                                  noMutes,
		"CloudWatch GetAlarmMuteRule: says what a rule mutes":                                  noMutes,
		"CloudWatch GetAlarmMuteRule: a missing rule is not found":                             noMutes,
		"CloudWatch ListAlarmMuteRules: lists the rules":                                       noMutes,
		"CloudWatch DeleteAlarmMuteRule: deletes a rule":                                       noMutes,
		"CloudWatch DescribeAlarmHistory: gives the actions, newest first":                     "does not know the operation",
	}},
	"ministack": {protocol: "json", without: map[string]string{"Athena": "nobody has looked yet whether its Athena runs the SQL that kxops writes"}, exceptions: map[string]string{
		"S3 ListBucketMetricsConfigurations: lists the filters of request metrics":            noFilters,
		"S3 RestoreObject: an archived object is asked back, and its state is in the listing": "does not show restores in a listing",
		"Kinesis ListStreams: pages through all streams":                                      noNextToken,
		"Kinesis ListChannels: lists no channels where there are none":                        noChannels,
		"Kinesis DescribeChannel: a missing channel is ResourceNotFoundException":             noChannels,
		"Kinesis GetShardIterator: a sequence number of another stream is refused":            "takes any sequence number",
		"Kinesis ListShards: lists a stream's shards, in pages":                               "asks for the stream again beside the page token",
		"CloudWatch ListMetrics: pages through all metrics":                                   "answers more than 500 metrics in one page",
		"CloudWatch GetMetricData: computes an expression":                                    "does not evaluate expressions",
		"CloudWatch GetMetricData: a malformed query is refused":                              "does not check the window",
		"EventBridge DescribeEventBus: says which bus it is":                                  "finds a bus by its name only, not by its ARN",
		"EventBridge CancelReplay: a replay that is over cannot be cancelled":                 "refuses it with another code",
		"EventBridge PutEvents: answers for each event, in order":                             "takes a detail that is no JSON",
		"SQS ListDeadLetterSourceQueues: pages through the queues that dead-letter here":      "does not know the operation",
		"SQS SendMessageBatch: sends attributes, trace and tenant":                            "drops AWSTraceHeader in a batch",
		"SQS StartMessageMoveTask: moves dead letters to their source":                        noMoves,
		"SQS ListMessageMoveTasks: tells of a task that is over":                              noMoves,
		"SQS CancelMessageMoveTask: stops a running task":                                     noMoves,
		"CloudWatch PutMetricAlarm: keeps a math alarm":                                       "drops the queries of a math alarm",
		"CloudWatch PutMetricAlarm: refuses M over N":                                         "does not compare M and N",
		"CloudWatch ListTagsForResource: a missing alarm has no tags":                         "answers the code ResourceNotFound",
		"CloudWatch PutAlarmMuteRule: takes a rule with at()":                                 noMutes,
		"CloudWatch GetAlarmMuteRule: says what a rule mutes":                                 noMutes,
		"CloudWatch GetAlarmMuteRule: a missing rule is not found":                            noMutes,
		"CloudWatch ListAlarmMuteRules: lists the rules":                                      noMutes,
		"CloudWatch DeleteAlarmMuteRule: deletes a rule":                                      noMutes,
		"CloudWatch DescribeAlarmHistory: gives the actions, newest first":                    "runs no actions",
		"Resource Groups Tagging API GetResources: finds alarms by tag":                       "does not know the tags of alarms",
	}},
}

const (
	noNextToken = "answers HasMoreStreams without the NextToken that AWS sends with it"
	noChannels  = "does not know the operation, which is of 2026"
	noMoves     = "has no message move tasks"
	noFilters   = "has no metrics filters: it takes the request for one for a new bucket"
	noMutes     = "does not know mute rules, which are of 2026"

	onePageOfSources = "ignores MaxResults: one page with all sources"
)

// target is one AWS that the cases run against.
type target struct {
	name     string
	endpoint string // "" is the sandbox, a new one for each case
	emulator
}

// targets returns the sandbox and what KXOPS_CONFORMANCE names.
func targets(t *testing.T) []target {
	t.Helper()
	all := []target{{name: "sandbox", emulator: emulators["sandbox"]}}
	for _, pair := range strings.FieldsFunc(os.Getenv("KXOPS_CONFORMANCE"), func(r rune) bool { return r == ',' || r == ' ' }) {
		name, endpoint, ok := strings.Cut(pair, "=")
		known, listed := emulators[name]
		if !ok || !listed {
			t.Fatalf("KXOPS_CONFORMANCE has %q, want name=endpoint with a name of the emulators' list", pair)
		}
		all = append(all, target{name: name, endpoint: endpoint, emulator: known})
	}
	return all
}

// lacks says why the target does not serve a service at all, "" when it does.
func (target target) lacks(service string) string {
	if why, ok := target.without[service]; ok {
		return why
	}
	if target.serves == nil || slices.Contains(target.serves, service) {
		return ""
	}
	return target.why
}

// run is one case on one target.
type run struct {
	ctx      context.Context
	sandbox  *sandbox.Sandbox // nil for an emulator
	door     *cloud.Cloud     // what the product calls through
	failures []string
	cleanups []func(context.Context) error

	// Clients of the product's configuration: the calls under test.
	sts      *sts.Client
	kinesis  *kinesis.Client
	firehose *firehose.Client
	sqs      *sqs.Client
	sns      *sns.Client
	lambda   *lambda.Client
	s3       *s3.Client
	watch    *cloudwatch.Client
	tagging  *resourcegroupstaggingapi.Client
	athena   *athena.Client
	events   *eventbridge.Client

	apis *apigatewayv2.Client

	set setup
}

// setup has clients without the gate, for what the product itself never does.
type setup struct {
	kinesis  *kinesis.Client
	firehose *firehose.Client
	sqs      *sqs.Client
	sns      *sns.Client
	lambda   *lambda.Client
	s3       *s3.Client
	watch    *cloudwatch.Client
	apis     *apigatewayv2.Client
	athena   *athena.Client
	events   *eventbridge.Client
}

// start opens the product's door to the target. once makes every call a single
// attempt: what a fault looks like, without waiting for the retries.
func (target target) start(ctx context.Context, t *testing.T, once bool) *run {
	t.Helper()
	x := &run{ctx: ctx}
	var raw aws.Config
	if target.endpoint == "" {
		sb, err := sandbox.New(sandbox.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sb.Close)
		x.sandbox, raw = sb, sb.Config()
	} else {
		raw = aws.Config{
			Region:                      sandbox.HomeRegion,
			Credentials:                 credentials.NewStaticCredentialsProvider("AKIATEST", "test", ""),
			BaseEndpoint:                aws.String(target.endpoint),
			RequestMinCompressSizeBytes: 10240,
		}
	}
	guarded := raw.Copy()
	if once {
		guarded.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	}
	// The quotas protect AWS; here they would only make the suite slow.
	door, err := cloud.Open(ctx, cloud.Options{Config: &guarded, Access: cloud.Change, Protocol: target.protocol, NoQuotas: true})
	if err != nil {
		t.Fatal(err)
	}
	x.door = door
	cfg := door.Config()
	x.sts = sts.NewFromConfig(cfg)
	x.kinesis = kinesis.NewFromConfig(cfg)
	x.firehose = firehose.NewFromConfig(cfg)
	x.sqs = sqs.NewFromConfig(cfg)
	x.sns = sns.NewFromConfig(cfg)
	x.lambda = lambda.NewFromConfig(cfg)
	x.s3 = s3.NewFromConfig(cfg)
	x.watch = door.CloudWatch()
	x.tagging = resourcegroupstaggingapi.NewFromConfig(cfg)
	x.apis = apigatewayv2.NewFromConfig(cfg)
	x.athena = athena.NewFromConfig(cfg)
	x.events = eventbridge.NewFromConfig(cfg)

	x.set.apis = apigatewayv2.NewFromConfig(raw)
	x.set.kinesis = kinesis.NewFromConfig(raw)
	x.set.firehose = firehose.NewFromConfig(raw)
	x.set.sqs = sqs.NewFromConfig(raw)
	x.set.sns = sns.NewFromConfig(raw)
	x.set.lambda = lambda.NewFromConfig(raw)
	x.set.events = eventbridge.NewFromConfig(raw)
	x.set.athena = athena.NewFromConfig(raw)
	x.set.s3 = s3.NewFromConfig(raw, func(o *s3.Options) { o.UsePathStyle = true })
	x.set.watch = cloudwatch.NewFromConfig(raw, func(o *cloudwatch.Options) {
		switch target.protocol {
		case "query":
			o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
		case "json":
			o.Protocol = awsjson.New10(schemas.GraniteServiceVersion20100801)
		}
	})
	return x
}

// name makes a name that no other case or run has used.
func (x *run) name(what string) string {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		x.fatalf("random name: %v", err)
	}
	return "kxops-" + what + "-" + hex.EncodeToString(b[:])
}

const role = "arn:aws:iam::123456789012:role/kxops-conformance"
