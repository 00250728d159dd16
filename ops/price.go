package ops

import "time"

// PricesOf is the month of the price list below: us-east-1, on demand, USD.
const PricesOf = "2026-11"

// Prices of the calls that kxops makes, in USD. Source: the services' public
// pricing pages as collected in the project's facts (CloudWatch: $0.01 per 1,000
// metrics requested by GetMetricData and per 1,000 other requests; SQS: $0.40
// per million requests; SNS: $0.50 per million; EventBridge: $1.00 per million
// custom events, 64 KiB of each counted as one; S3: $0.005 per 1,000 LIST and
// $0.0004 per 1,000 GET; Lambda: $0.20 per million invocations, without the time
// that the function runs, which a caller cannot know). Free monthly requests are
// not deducted; data transfer is counted for replays alone (PricePerGBOut), and an
// on-demand stream bills $0.04 for each GiB read, which is not counted. Operations that are not listed are free (Kinesis, Firehose,
// Lambda and STS control plane).
const (
	PricePerMetric         = 0.01 / 1000
	PricePerCloudWatchCall = 0.01 / 1000
	PricePerQueueCall      = 0.40 / 1e6
	PricePerTopicCall      = 0.50 / 1e6
	PricePerBusEvent       = 1.00 / 1e6
	PricePerBucketList     = 0.005 / 1000
	PricePerBucketGet      = 0.0004 / 1000
	PricePerInvocation     = 0.20 / 1e6
)

// PricePerGBOut is what leaves AWS for the internet, in USD: the first 10 TB of a month,
// without the 100 GB that are free. Source: https://aws.amazon.com/ec2/pricing/on-demand/,
// "Data Transfer", us-east-1. Within a region nothing is billed.
const PricePerGBOut = 0.09

// What a registered consumer bills of a stream, in USD: for each of its shards and hour, and
// for what it is pushed. Source: https://aws.amazon.com/kinesis/data-streams/pricing/,
// enhanced fan-out, us-east-1.
const (
	PricePerFanOutHour = 0.015
	PricePerGBFanOut   = 0.013
)

// DeliveryUnit is how many bytes Firehose bills of a record at least: each is rounded up to
// a multiple. Source: https://aws.amazon.com/firehose/pricing/, Direct PUT, us-east-1, the
// first 500 TB of a month.
const (
	DeliveryUnit        = 5 << 10
	PricePerGBDelivered = 0.029
)

// What a table on demand bills for a request unit, in USD: a write of up to 1 KiB,
// a consistent read of up to 4 KiB (an eventually consistent one is half a unit).
// Source: https://aws.amazon.com/dynamodb/pricing/on-demand/, us-east-1, standard
// table class. eu-west-1, where the sandbox is at home, asks 13 % more.
const (
	PricePerWriteUnit = 0.625 / 1e6
	PricePerReadUnit  = 0.125 / 1e6
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

// Athena bills the bytes that a query scanned, rounded up to a megabyte and at least
// ten of them. DDL and failed queries are free. Source: Athena pricing page, us-east-1.
const (
	PricePerTBScanned = 5.00
	LeastScanned      = 10 << 20 // bytes that every query bills
)

// QueryPrice is what Athena bills for one query, in USD, by the bytes it scanned.
func QueryPrice(scanned int64) float64 {
	const megabyte = 1 << 20
	billed := (max(scanned, LeastScanned) + megabyte - 1) / megabyte * megabyte
	return float64(billed) / (1 << 40) * PricePerTBScanned
}

// ThawTier is how fast archived objects are to come back.
type ThawTier string

// The tiers of S3's retrieval, as a person writes them.
const (
	ThawExpedited ThawTier = "expedited"
	ThawStandard  ThawTier = "standard"
	ThawBulk      ThawTier = "bulk"
)

// ColdKey is a storage class that has to be restored, with a tier that it offers.
type ColdKey struct {
	Class string // GLACIER, DEEP_ARCHIVE
	Tier  ThawTier
}

type coldPrice struct {
	request     float64       // each object, USD
	gigabyte    float64       // of 2^30 bytes, USD
	most, least time.Duration // how long it typically takes
}

// Bulk out of GLACIER is free. Source of the prices: S3 pricing page, us-east-1, as of
// PricesOf; of the times: RestoreObject in the S3 API reference.
var coldPrices = map[ColdKey]coldPrice{
	{"GLACIER", ThawExpedited}:     {10.0 / 1000, 0.03, 5 * time.Minute, time.Minute},
	{"GLACIER", ThawStandard}:      {0.05 / 1000, 0.01, 5 * time.Hour, 3 * time.Hour},
	{"GLACIER", ThawBulk}:          {0, 0, 12 * time.Hour, 5 * time.Hour},
	{"DEEP_ARCHIVE", ThawStandard}: {0.10 / 1000, 0.02, 12 * time.Hour, 12 * time.Hour},
	{"DEEP_ARCHIVE", ThawBulk}:     {0.025 / 1000, 0.0025, 48 * time.Hour, 48 * time.Hour},
}

// priceCopyMonth is what the copies of restored objects cost for a month, each GiB, in
// USD: they are stored in S3 Standard. Source: S3 pricing page, us-east-1.
const priceCopyMonth = 0.023

// ColdOffered reports whether objects of the class come back in this tier, and how long
// that typically takes.
func ColdOffered(k ColdKey) (least, most time.Duration, ok bool) {
	p, ok := coldPrices[k]
	return p.least, p.most, ok
}

// ColdPrice is the list price of having objects back for some days, in USD: the
// requests, the retrieval, and the copies for so long.
func ColdPrice(k ColdKey, objects int, bytes int64, days int) float64 {
	p, size := coldPrices[k], float64(bytes)/(1<<30)
	return float64(objects)*p.request + size*p.gigabyte + size*priceCopyMonth*float64(days)/30
}

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
		case "RestoreObject": // a call does not show the class: what is asked for most
			return coldPrices[ColdKey{"GLACIER", ThawStandard}].request
		}
		return PricePerBucketGet
	}
	return 0
}
