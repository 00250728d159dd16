package sandbox

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	firetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"kxops/ops"
)

// shopHistory is a little more than three hours, so that a three-hour window is full.
const shopHistory = 3*time.Hour + 5*time.Minute

// calm is a web shop on a good day.
func calm(st *stage) {
	p := st.payments()
	s := st.shop()
	s.orderPlaced = func(o order) { p.stream.send(o.ID, []byte(st.payment(o.ID, o.Total))) }
	st.invoices()
	refunds := st.queue("refunds", "MessageRetentionPeriod", fourteenDays)
	st.worker(refunds, perSecond(1.0/40), func() string { return st.invoice() })
	st.alarms()
}

// shop is the part of the web shop that other scenes build on.
type shop struct {
	orders      *queue
	uploads     *bucket
	audit       *deliveryStream
	orderPlaced func(order)          // beside the message to the queue
	badOrder    func(o order) string // "" or the body of an order that went wrong
	upload      func() (name string) // the name of an uploaded file
}

// shop makes: clicks -> stream -> Firehose -> bucket -> topic -> queue -> function;
// orders -> queue -> function and FIFO queue; uploads -> bucket -> function; audit
// events -> Firehose -> bucket.
func (st *stage) shop() *shop {
	s := &shop{}
	st.clicks()

	dead := st.queue("orders-dlq", "MessageRetentionPeriod", fourteenDays)
	s.orders = st.queue("orders", "VisibilityTimeout", "40", "RedrivePolicy", st.deadLettersTo(dead, 3))
	st.function("orders-worker", eachMessage(takeOrder))
	st.mapping("orders-worker", s.orders.arn)

	deadStock := st.queue("stock-dlq.fifo", "FifoQueue", "true", "MessageRetentionPeriod", fourteenDays)
	stock := st.queue("stock.fifo", "FifoQueue", "true", "VisibilityTimeout", "40", "RedrivePolicy", st.deadLettersTo(deadStock, 5))
	st.function("stock-keeper", nil)
	st.mapping("stock-keeper", stock.arn)

	st.arrivals(perSecond(0.5), func() {
		o := st.order()
		if s.badOrder != nil {
			if body := s.badOrder(o); body != "" {
				s.orders.say(body)
				return
			}
		}
		s.orders.say(o.json())
		if s.orderPlaced != nil {
			s.orderPlaced(o)
		}
		for i, item := range o.Items {
			stock.accept(&message{body: fmt.Sprintf(`{"sku":%q,"taken":%d,"orderId":%q}`, item.SKU, item.Count, o.ID),
				group: item.SKU, dedup: fmt.Sprintf("%s-%d", o.ID, i), sender: senderOf("")}, -1)
		}
	})

	s.uploads = st.r.addBucket("shop-uploads")
	deadThumbnails := st.queue("thumbnails-dlq", "MessageRetentionPeriod", fourteenDays)
	thumbnails := st.function("thumbnails", makeThumbnails(false), func(in *lambda.CreateFunctionInput) {
		in.DeadLetterConfig = &types.DeadLetterConfig{TargetArn: aws.String(string(deadThumbnails.arn))}
		in.MemorySize, in.Timeout = aws.Int32(1024), aws.Int32(30)
	})
	st.notify(s.uploads, "thumbnails", "photos/", thumbnails)
	s.upload = func() string { return st.photo() + oneOf(st, ".jpg", ".jpg", ".png") }
	picture := []byte("not really a picture")
	st.arrivals(perSecond(1.0/25), func() { st.fail(st.r.putObject(s.uploads.name, s.upload(), picture)) })

	st.r.addBucket("shop-audit")
	s.audit = st.delivery("audit-to-s3", "shop-audit", "", 300, func(c *firetypes.ExtendedS3DestinationConfiguration) {
		c.CompressionFormat = firetypes.CompressionFormatGzip
	})
	st.arrivals(perSecond(0.6), func() { s.audit.send(st.auditEvent()) })
	return s
}

// clicks is the pipeline that is healthy in every scene.
func (st *stage) clicks() {
	lake := st.r.addBucket("shop-clicks")
	stream := kinesisIn(st.r).create("clicks", 2)
	live := stream.register("clicks-live")
	stream.subscribe(live)
	st.delivery("clicks-to-s3", lake.name, stream.arn, 120)

	landed := act[sns.CreateTopicOutput](st, "sns", "CreateTopic", &sns.CreateTopicInput{Name: aws.String("clicks-landed"),
		Tags: []snstypes.Tag{{Key: aws.String("team"), Value: aws.String("insight")}}})
	topic := ops.ARN(aws.ToString(landed.TopicArn))
	st.notify(lake, "landed", "clicks-to-s3/", topic)
	dead := st.queue("clicks-index-dlq", "MessageRetentionPeriod", fourteenDays)
	index := st.queue("clicks-index", "VisibilityTimeout", "60", "RedrivePolicy", st.deadLettersTo(dead, 4))
	st.subscribe(topic, index.arn)
	st.function("clicks-indexer", nil)
	st.mapping("clicks-indexer", index.arn)

	st.arrivals(perSecond(1.5), func() {
		session, body := st.click()
		stream.send(session, body)
	})
}

func (st *stage) subscribe(topic, queue ops.ARN) {
	act[sns.SubscribeOutput](st, "sns", "Subscribe", &sns.SubscribeInput{
		TopicArn: aws.String(string(topic)), Protocol: aws.String("sqs"), Endpoint: aws.String(string(queue))})
}

// payments is the stream that finance reads, with its two consumers.
type payments struct{ stream *stream }

// payments makes the stream and its consumers.
func (st *stage) payments() *payments {
	p := &payments{stream: kinesisIn(st.r).create("payments", 1)}
	failures := st.queue("payments-failures", "MessageRetentionPeriod", fourteenDays)
	st.function("payments-ledger", bookPayments, func(in *lambda.CreateFunctionInput) { in.Tags = map[string]string{"team": "finance"} })
	window := func(in *lambda.CreateEventSourceMappingInput) { in.MaximumBatchingWindowInSeconds = aws.Int32(5) }
	st.mapping("payments-ledger", p.stream.arn, window)
	st.function("fraud-score", scorePayments, func(in *lambda.CreateFunctionInput) { in.Tags = map[string]string{"team": "risk"} })
	st.mapping("fraud-score", p.stream.arn, window, func(in *lambda.CreateEventSourceMappingInput) {
		in.MaximumRetryAttempts, in.BisectBatchOnFunctionError = aws.Int32(2), aws.Bool(true)
		in.DestinationConfig = &types.DestinationConfig{OnFailure: &types.OnFailure{Destination: aws.String(string(failures.arn))}}
	})
	return p
}

// invoices is a slow queue with a worker outside Lambda.
func (st *stage) invoices() (invoices, dead *queue) {
	dead = st.queue("invoices-dlq", "MessageRetentionPeriod", fourteenDays)
	invoices = st.queue("invoices", "VisibilityTimeout", "120", "RedrivePolicy", st.deadLettersTo(dead, 3))
	st.worker(invoices, perSecond(1.0/20), st.invoice)
	return invoices, dead
}

// worker is a queue with traffic and a consumer on some machine, that takes ten
// messages every 20 seconds while there are any.
func (st *stage) worker(q *queue, rate func(time.Time) float64, body func() string) {
	waiting := false
	drain := func() {
		waiting = false
		for {
			got, err := st.r.queues.receive(q.arn, 10, 0)
			if err != nil || len(got) == 0 {
				return
			}
			for _, m := range got {
				st.r.queues.remove(q.arn, m.Handle)
			}
		}
	}
	st.arrivals(rate, func() {
		q.say(body())
		if !waiting {
			waiting = true
			st.r.after(20*time.Second, drain)
		}
	})
}

// alarm makes a metric alarm on the maximum of a metric, five of five minutes.
func (st *stage) alarm(name, about, namespace, metric, dimension, value string, threshold float64, missing string) {
	act[cloudwatch.PutMetricAlarmOutput](st, "cloudwatch", "PutMetricAlarm", &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, AlarmDescription: &about, Namespace: &namespace, MetricName: &metric,
		Dimensions:         []cwtypes.Dimension{{Name: &dimension, Value: &value}},
		Statistic:          cwtypes.StatisticMaximum,
		Period:             aws.Int32(60),
		EvaluationPeriods:  aws.Int32(5),
		DatapointsToAlarm:  aws.Int32(5),
		Threshold:          &threshold,
		ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
		TreatMissingData:   &missing,
		AlarmActions:       []string{string(st.r.arn("sns", "oncall"))},
		OKActions:          []string{string(st.r.arn("sns", "oncall"))},
	})
}

// alarms are those that somebody made by hand, long ago: not enough of them.
func (st *stage) alarms() {
	act[sns.CreateTopicOutput](st, "sns", "CreateTopic", &sns.CreateTopicInput{Name: aws.String("oncall")})
	st.alarm("payments iterator age", "Finance reads late. Owner: finance.", "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", "payments", 6*3600*1000, "notBreaching")
	st.alarm("clicks freshness", "Clicks arrive late in the lake. Owner: insight.", "AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", "clicks-to-s3", 900, "notBreaching")
	st.alarm("refunds waiting", "Refunds wait too long. Owner: shop.", "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "refunds", 1800, "missing")
}
