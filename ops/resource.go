package ops

import (
	"net/url"
	"strings"
	"time"
)

// Kind is the kind of a resource.
type Kind string

const (
	KindStream   Kind = "stream"
	KindDelivery Kind = "delivery"
	KindQueue    Kind = "queue"
	KindTopic    Kind = "topic"
	KindFunction Kind = "function"
	KindBucket   Kind = "bucket"
	KindAPI      Kind = "api"
	KindBus      Kind = "bus" // an event bus of EventBridge
)

// ARN identifies a resource. All ids of the domain are ARNs.
type ARN string

// Name returns the last part of the ARN: the name a person uses.
func (a ARN) Name() string {
	s := string(a)
	// A registered consumer of a stream ends in :name:creation-time.
	if _, rest, ok := strings.Cut(s, "/consumer/"); ok {
		name, _, _ := strings.Cut(rest, ":")
		return name
	}
	if i := strings.LastIndexAny(s, ":/"); i >= 0 {
		return s[i+1:]
	}
	return s
}

// part returns field n of arn:partition:service:region:account:resource, without
// allocating: maps of a large account ask this very often.
func (a ARN) part(n int) string {
	rest, ok := strings.CutPrefix(string(a), "arn:")
	if !ok || strings.Count(rest, ":") < 4 {
		return ""
	}
	for range n - 1 {
		_, rest, _ = strings.Cut(rest, ":")
	}
	field, _, _ := strings.Cut(rest, ":")
	return field
}

// Service returns the service part ("sqs", "kinesis" …), "" if a is no ARN.
func (a ARN) Service() string { return a.part(2) }

// Region returns the region part, "" for global resources.
func (a ARN) Region() string { return a.part(3) }

// Account returns the twelve-digit account id, "" where the ARN has none (S3).
func (a ARN) Account() string { return a.part(4) }

// Unqualified returns the ARN of a function without its version or alias, any
// other ARN as it is: what feeds an alias feeds the function.
func (a ARN) Unqualified() ARN {
	if a.Service() != "lambda" {
		return a
	}
	p := strings.SplitN(string(a), ":", 8)
	if len(p) < 8 || p[5] != "function" {
		return a
	}
	return ARN(strings.Join(p[:7], ":"))
}

// Kind returns the kind of resource, "" for one that kxops does not know.
func (a ARN) Kind() Kind {
	switch a.Service() {
	case "kinesis":
		return KindStream
	case "firehose":
		return KindDelivery
	case "sqs":
		return KindQueue
	case "sns":
		return KindTopic
	case "lambda":
		return KindFunction
	case "s3":
		return KindBucket
	case "apigateway":
		return KindAPI
	case "events":
		if strings.HasPrefix(a.part(5), "event-bus/") {
			return KindBus
		}
		if strings.HasPrefix(a.part(5), "archive/") {
			return KindEventArchive
		}
	}
	return ""
}

// Stream is a Kinesis data stream.
type Stream struct {
	ARN          ARN
	Name         string
	Status       string // ACTIVE, CREATING, UPDATING, DELETING
	Mode         string // PROVISIONED or ON_DEMAND
	Distribution string // "" or AUTO (records spread by the service, no partition-key routing)
	OpenShards   int
	Retention    time.Duration
	Encryption   string // "" none, else the KMS key id
	Channels     int    // native delivery channels (on-demand streams)
	Created      time.Time
	Consumers    []Consumer
	Measures     Measures
}

// ConsumerKind says how a consumer reads a stream or a queue.
type ConsumerKind string

const (
	ByMapping  ConsumerKind = "event source mapping"
	ByFanOut   ConsumerKind = "fan-out"
	ByDelivery ConsumerKind = "delivery"
	ByChannel  ConsumerKind = "channel"
)

// Consumer is one reader of a stream or queue.
type Consumer struct {
	Kind  ConsumerKind
	ARN   ARN    // the function, delivery stream or registered consumer that reads
	Name  string // what a person calls it
	ID    string // event source mapping UUID or consumer ARN
	State string // Enabled, Disabled, ACTIVE …
	// Lag is how far this consumer is behind, in seconds: Lambda IteratorAge,
	// SubscribeToShardEvent.MillisBehindLatest or KinesisMillisBehindLatest.
	Lag Measure
	// MaxRecordAge is the mapping's MaximumRecordAgeInSeconds; 0 means until the stream trims.
	MaxRecordAge time.Duration
	BatchSize    int
	OnFailure    ARN    // where the pointer to a failed batch goes, "" for nowhere
	LastResult   string // the mapping's LastProcessingResult
	// Counts is the UUID of the consumer's mapping where that publishes how many
	// events it dropped (MetricsConfig with EventCount), "" where it does not.
	Counts string
	// Destination and Freshness are a channel's: S3 or Iceberg, as in the metric
	// names, and the longest that it holds data back. 0: not read.
	Destination string
	Freshness   time.Duration
}

// Polls reports whether the consumer reads with GetRecords, which feeds the
// stream's GetRecords.IteratorAgeMilliseconds metric.
func (c Consumer) Polls() bool { return c.Kind == ByMapping || c.Kind == ByDelivery }

// Delivery is a Firehose delivery stream.
type Delivery struct {
	ARN            ARN
	Name           string
	Status         string
	Source         ARN    // the Kinesis stream, "" for Direct PUT
	Destination    string // S3, Iceberg, Redshift, Splunk, HttpEndpoint, Snowflake, AmazonOpenSearchService, AmazonOpenSearchServerless: as in the metric names
	Target         ARN    // the bucket where the destination is (or is backed by) S3
	Role           ARN
	Prefix         string
	ErrorPrefix    string
	BufferInterval time.Duration
	BufferBytes    int64
	Compression    string
	BackupMode     string
	Backup         ARN
	Processors     []string // processor types, in order
	Transform      ARN      // the transforming function, "" for none
	Conversion     bool     // record format conversion on
	Partitioning   bool     // dynamic partitioning on
	LogErrors      bool     // error logging to CloudWatch Logs on
	Encryption     string
	Failure        string // FailureDescription, "" when healthy
	Created        time.Time
	Measures       Measures
}

// MetricPrefix returns the prefix of the delivery metrics, such as "DeliveryToS3".
func (d Delivery) MetricPrefix() string {
	switch d.Destination {
	case "", "Redshift", "Snowflake": // these report freshness of their intermediate S3 step
		return "DeliveryToS3"
	}
	return "DeliveryTo" + d.Destination
}

// Queue is an SQS queue.
type Queue struct {
	ARN        ARN
	URL        string
	Name       string
	FIFO       bool
	Retention  time.Duration
	Visibility time.Duration
	Delay      time.Duration
	MaxBytes   int
	Encryption string
	RedriveTo  ARN // the dead-letter queue of this queue
	MaxReceive int // maxReceiveCount of the redrive policy, 0 without one
	Created    time.Time
	// DeadLetterOf lists what sends dead letters here. A queue is a dead-letter
	// queue by relation, never by the look of its name.
	DeadLetterOf []DeadLetterSource
	Consumers    []Consumer
	Awake        bool // seen in ListMetrics RecentlyActive, or known to hold messages
	Measures     Measures
}

// DeadLetterVia says which mechanism puts a message into a dead-letter queue.
type DeadLetterVia string

const (
	ViaRedrivePolicy DeadLetterVia = "redrive policy"
	ViaSubscription  DeadLetterVia = "subscription redrive"
	ViaFunctionDLQ   DeadLetterVia = "function dead-letter queue"
	ViaDestination   DeadLetterVia = "function destination"
	ViaMapping       DeadLetterVia = "mapping on-failure destination"
)

// DeadLetterSource is one producer of dead letters.
type DeadLetterSource struct {
	Via    DeadLetterVia
	Source ARN // the queue, topic, function or stream whose events fail
	ID     string
	// Retention is the source queue's retention (redrive policy only): on a
	// standard queue the message's clock keeps running from its first enqueue.
	Retention time.Duration
}

// IsDeadLetter reports whether anything sends dead letters to the queue.
func (q Queue) IsDeadLetter() bool { return len(q.DeadLetterOf) > 0 }

// Depth returns visible + in flight + delayed, unknown if any part that was
// read is unknown.
func (q Queue) Depth() Reading {
	v := q.Measures.Last(Visible)
	n, ok := v.Value()
	if !ok {
		return v
	}
	return Know(n+q.Measures.Last(InFlight).Or(0)+q.Measures.Last(Delayed).Or(0), v.At)
}

// Topic is an SNS topic.
type Topic struct {
	ARN           ARN
	Name          string
	FIFO          bool
	Encryption    string
	Subscriptions []Subscription
	Measures      Measures
}

// Subscription is one SNS subscription.
type Subscription struct {
	ARN       string // "PendingConfirmation" until confirmed
	Protocol  string
	Endpoint  string
	Raw       bool
	Filter    string
	RedriveTo ARN
}

// Function is a Lambda function.
type Function struct {
	ARN          ARN
	Name         string
	Runtime      string
	State        string
	Timeout      time.Duration
	MemoryMB     int
	Modified     time.Time // LastModified: "is the fix out?"
	DeadLetter   ARN       // DeadLetterConfig target
	OnFailure    ARN       // async on-failure destination
	OnSuccess    ARN
	MaxEventAge  time.Duration
	MaxRetries   int     // async retries, -1 when not configured (service default 2)
	Concurrency  Reading // reserved concurrency; missing when unreserved
	Measures     Measures
	Environments []string // names of environment variables, never values
}

// Bucket is an S3 bucket that takes part in a pipeline.
type Bucket struct {
	ARN           ARN
	Name          string
	Notifications []Notification
	// Filters are the ids of its request-metrics filters: somebody pays for those.
	Filters []string
	// Replicas are its replication rules whose metrics are on.
	Replicas []Replica
	// Unread: the filters and the replication could not be read.
	Unread bool
}

// Replica is one replication rule of a bucket.
type Replica struct {
	Rule string
	To   ARN // the bucket
}

// Notification is one event notification of a bucket.
type Notification struct {
	Events []string
	Prefix string
	Suffix string
	Target ARN
}

// API is an API of API Gateway: a front door of pipelines.
type API struct {
	// ARN ends in the API's id. Of a REST API, which is known by its metrics only, it
	// ends in the name: see RESTAPI.
	ARN      ARN
	Name     string
	Protocol string // HTTP, WEBSOCKET or REST
	Stages   []Stage
	// Feeds are the functions, streams and queues that its integrations name.
	Feeds []ARN
	// Unnamed counts the integrations with functions, streams and queues whose name
	// cannot be told: a stage variable or a mapping of the request decides.
	Unnamed int
	// Direct: an integration puts into a stream or a queue without any code between,
	// so a request that is refused is an event that is lost.
	Direct  bool
	Created time.Time
}

// Stage is one stage of an API.
type Stage struct {
	Name     string
	Measures Measures
}

// FeedsPipeline reports whether requests become events: whether an integration
// leads to a function, a stream or a queue.
func (a API) FeedsPipeline() bool { return len(a.Feeds) > 0 || a.Unnamed > 0 }

// RESTAPI is what stands for a REST API: its metrics have its name and not its id.
// Two REST APIs of one name are one here, as they are in CloudWatch.
func RESTAPI(partition, region, name string) ARN {
	return ARN("arn:" + partition + ":apigateway:" + region + "::" + restAPIs + url.PathEscape(name))
}

const restAPIs = "/restapis/"

// ByMetrics reports whether an ARN stands for a REST API: nothing but its metrics
// can be read.
func (a ARN) ByMetrics() bool { return a.Kind() == KindAPI && strings.Contains(string(a), restAPIs) }

// StageARN names a stage, which is what has metrics.
func (a API) StageARN(stage string) ARN { return a.ARN + ARN("/stages/"+stage) }

// Worst is the stage with the largest share of failed requests, the first by name
// where none fails, and an empty one where there is none.
func (a API) Worst() Stage {
	var worst Stage
	for i, s := range a.Stages {
		if i == 0 || s.Measures.Last(APIFailed).Or(0) > worst.Measures.Last(APIFailed).Or(0) {
			worst = s
		}
	}
	return worst
}

// APIMetrics are the names of an API's metrics and what they are told apart by,
// beside the Stage. Source: the developer guides of REST, HTTP and WebSocket APIs,
// working with metrics.
type APIMetrics struct {
	Failed, Rejected, Latency, Count string
	Dimension, Of                    string
}

// Metrics returns the names for the API's protocol.
func (a API) Metrics() APIMetrics {
	switch a.Protocol {
	case "REST":
		return APIMetrics{"5XXError", "4XXError", "Latency", "Count", "ApiName", a.Name}
	case "WEBSOCKET":
		return APIMetrics{"ExecutionError", "ClientError", "IntegrationLatency", "MessageCount", "ApiId", a.ARN.Name()}
	}
	return APIMetrics{"5xx", "4xx", "IntegrationLatency", "Count", "ApiId", a.ARN.Name()}
}

// Alarm is a CloudWatch alarm as DescribeAlarms shows it.
type Alarm struct {
	ARN        ARN
	Name       string
	State      string // OK, ALARM, INSUFFICIENT_DATA
	Reason     string
	Since      time.Time // when the state was last changed
	Namespace  string
	MetricName string
	Dimensions map[string]string
	Threshold  Reading
	Comparison string
	Period     time.Duration
	Evaluation string // "15/15": datapoints to alarm / evaluation periods
	Actions    int    // actions on ALARM
	Enabled    bool   // ActionsEnabled
	Resource   ARN    // what it watches, "" when we cannot tell
	Composite  bool
	Math       bool // compares the value of an expression; the metric is the first of it
}
