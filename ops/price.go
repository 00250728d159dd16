package ops

// PricesOf is the month of the price list below: us-east-1, on demand, USD.
const PricesOf = "2026-11"

// Prices of the calls that kxops makes, in USD. Source: the services' public
// pricing pages as collected in the project's facts (CloudWatch: $0.01 per 1,000
// metrics requested by GetMetricData and per 1,000 other requests; SQS: $0.40
// per million requests; SNS: $0.50 per million; S3: $0.005 per 1,000 LIST and
// $0.0004 per 1,000 GET; Lambda: $0.20 per million invocations, without the time
// that the function runs, which a caller cannot know). Free monthly requests are
// not deducted, data transfer is not counted (an on-demand stream bills $0.04 for
// each GiB read). Operations that are not listed are free (Kinesis, Firehose,
// Lambda and STS control plane).
const (
	PricePerMetric         = 0.01 / 1000
	PricePerCloudWatchCall = 0.01 / 1000
	PricePerQueueCall      = 0.40 / 1e6
	PricePerTopicCall      = 0.50 / 1e6
	PricePerBucketList     = 0.005 / 1000
	PricePerBucketGet      = 0.0004 / 1000
	PricePerInvocation     = 0.20 / 1e6
)

// PriceAlarmMetric is what CloudWatch bills for one metric of a standard alarm, in
// USD a month (a math alarm bills each of its metrics). The ten that are free are
// not deducted. Source: https://aws.amazon.com/cloudwatch/pricing/, us-east-1.
const PriceAlarmMetric = 0.10

// QueueChunk is how many bytes of a payload SQS bills as one request; every chunk
// that is begun counts. Source: SQS pricing page.
const QueueChunk = 64 << 10

// QueueRequests is how many requests SQS bills for one call whose messages have so
// many bytes, sent or received: at least one.
func QueueRequests(bytes int) int { return max(1, (bytes+QueueChunk-1)/QueueChunk) }

// CallPrice returns the list price of one API call. metrics is the number of
// metrics that a GetMetricData call bills: distinct metrics, where up to five
// statistics of one metric count once.
func CallPrice(service, operation string, metrics int) float64 {
	switch service {
	case "cloudwatch", "CloudWatch":
		if operation == "GetMetricData" {
			return float64(metrics) * PricePerMetric
		}
		return PricePerCloudWatchCall
	case "sqs", "SQS":
		return PricePerQueueCall
	case "sns", "SNS":
		return PricePerTopicCall
	case "lambda", "Lambda":
		if operation == "Invoke" {
			return PricePerInvocation
		}
		return 0
	case "s3", "S3":
		switch operation {
		case "ListBuckets", "ListObjectsV2", "PutObject":
			return PricePerBucketList
		}
		return PricePerBucketGet
	}
	return 0
}
