package payload

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"kxops/ops"
)

// sample is a message in the shape that its producer gives it; names, ids and
// data are invented.
type sample struct {
	message ops.Message
	kinds   []string
}

func bodyOf(body string, kinds ...string) sample {
	return sample{ops.Message{Body: body}, kinds}
}

func (s sample) with(name, kind, text string) sample {
	attributes := map[string]ops.Attribute{name: {Type: kind, Text: text}}
	for n, a := range s.message.Attributes {
		attributes[n] = a
	}
	s.message.Attributes = attributes
	return s
}

const (
	orderJSON = `{"orderId":"A-204417","customer":"c-00412","total":89.00,"items":[{"sku":"LAMP-07","qty":1}],"shipTo":{"zip":"3526 KL","country":"NL"}}`

	s3JSON = `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-11-22T09:14:02.118Z","eventName":"ObjectCreated:Put",` +
		`"userIdentity":{"principalId":"AWS:AROAEXAMPLE:uploader"},"requestParameters":{"sourceIPAddress":"192.0.2.7"},"responseElements":{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S"},` +
		`"s3":{"s3SchemaVersion":"1.0","configurationId":"import","bucket":{"name":"shop-uploads","ownerIdentity":{"principalId":"A3NL1KOZZKExample"},"arn":"arn:aws:s3:::shop-uploads"},` +
		`"object":{"key":"import/partner+3/%C3%BCbersicht+%2B.csv","size":14,"eTag":"d41d8cd98f00b204e9800998ecf8427e","sequencer":"0A1B2C3D4E5F678901"}}},` +
		`{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-11-22T09:14:02.130Z","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"shop-uploads","arn":"arn:aws:s3:::shop-uploads"},"object":{"key":"b"}}}]}`

	// Packed once, so that another version of a packer changes no golden file.
	logs64    = "H4sIAAAJbogA/3TPz0rDQBDH8VcJPzymprvp370FjL0oQpNbUyRtx7qYZJeZbYuWvLu0RcGDcxyGD985oyWRek/lpycYPGRl9vqcF0W2yBHDnTpiGCidjsaT6Ww+VBoxGrdfsDt4GCT1SZKmbje7OnG8I5bByfEH8e2sCEx1CwM91JNEqUTrZHX3lJV5Ua6nb+kWMeSwkS1bH6zrHm0TiAVmBWJ2LFhfnfxIXbisz7A7GKQzhRjBtiShbj2Mms7H6UhNhpeJf76CQb5cviyja1qUDZSJ5N360t1/WR9ZiVorYrt91aGPf239j630+I99rtDQkZoKprr1VujRr/vvAQDPS7g6VwEAAA=="
	members64 = "H4sIAAAJbogA/wAFAPr/eyJhIjoDAPN/sGoFAAAAH4sIAAAJbogA/wACAP3/MX0DAMwYMKkCAAAA" // `{"a":` and `1}`
	zstd64    = "KLUv/QQAOQQAeyJvcmRlcklkIjoiQS0yMDQ0MTciLCJjdXN0b21lciI6ImMtMDA0MTIiLCJ0b3RhbCI6ODkuMDAsIml0ZW1zIjpbeyJza3UiOiJMQU1QLTA3IiwicXR5IjoxfV0sInNoaXBUbyI6eyJ6aXAiOiIzNTI2IEtMIiwiY291bnRyeSI6Ik5MIn19LdEwxw=="

	streamContext = `"requestContext":{"requestId":"316aa6d0-8154-xmpl-9af7-85d5f4a6bc81","functionArn":"arn:aws:lambda:eu-west-1:123456789012:function:payments-ledger","condition":"RetryAttemptsExhausted","approximateInvokeCount":3},` +
		`"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"version":"1.0","timestamp":"2026-11-22T00:38:06.021Z"`
)

func envelope(message string) string {
	return "{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : \"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\",\n" +
		"  \"TopicArn\" : \"arn:aws:sns:eu-west-1:123456789012:price-changes\",\n  \"Subject\" : \"Price change\",\n  \"Message\" : " + quote(message) + ",\n" +
		"  \"Timestamp\" : \"2026-11-22T10:01:59.123Z\",\n  \"SignatureVersion\" : \"1\",\n  \"Signature\" : \"EXAMPLEw6JRN==\",\n" +
		"  \"SigningCertURL\" : \"https://sns.example.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem\",\n" +
		"  \"UnsubscribeURL\" : \"https://sns.example.com/?Action=Unsubscribe\",\n" +
		"  \"MessageAttributes\" : {\"tenant\":{\"Type\":\"String\",\"Value\":\"nl\"}}\n}"
}

func destination(request string) string {
	return `{"version":"1.0","timestamp":"2026-11-14T18:16:05.568Z","requestContext":{"requestId":"e4b46cbf-b738-xmpl-8880-a18cdf61200e",` +
		`"functionArn":"arn:aws:lambda:eu-west-1:123456789012:function:thumbnails:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},` +
		`"requestPayload":` + request + `,"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},` +
		`"responsePayload":{"errorMessage":"cannot decode photos/a.heic: unknown image format heic","errorType":"UnsupportedImage",` +
		`"stackTrace":["image.Decode (/var/task/image.go:27)","main.handle (/var/task/main.go:19)"]}}`
}

func packGzip(members ...string) []byte {
	var out bytes.Buffer
	for _, m := range members {
		w := gzip.NewWriter(&out)
		_, err := w.Write([]byte(m))
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			panic(err)
		}
	}
	return out.Bytes()
}

func packZstd(s string) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll([]byte(s), nil)
}

func as64[T []byte | string](b T) string { return base64.StdEncoding.EncodeToString([]byte(b)) }

// aggregate writes what the Kinesis Producer Library writes.
func aggregate(records ...UserRecord) []byte {
	field := func(b []byte, n int, data []byte) []byte {
		b = binary.AppendUvarint(b, uint64(n)<<3|2)
		return append(binary.AppendUvarint(b, uint64(len(data))), data...)
	}
	number := func(b []byte, n int, v int) []byte {
		return binary.AppendUvarint(binary.AppendUvarint(b, uint64(n)<<3), uint64(v))
	}
	var keys, hashes, bodies []byte
	index := map[string]int{}
	hashIndex := map[string]int{}
	for _, r := range records {
		if _, ok := index[r.Key]; !ok {
			index[r.Key] = len(index)
			keys = field(keys, 1, []byte(r.Key))
		}
		one := number(nil, 1, index[r.Key])
		if r.HashKey != "" {
			if _, ok := hashIndex[r.HashKey]; !ok {
				hashIndex[r.HashKey] = len(hashIndex)
				hashes = field(hashes, 2, []byte(r.HashKey))
			}
			one = number(one, 2, hashIndex[r.HashKey])
		}
		bodies = field(bodies, 3, field(one, 3, r.Data))
	}
	message := append(append(keys, hashes...), bodies...)
	sum := md5.Sum(message)
	return append(append(append([]byte(nil), kplMagic...), message...), sum[:]...)
}

var kplRecords = []UserRecord{
	{Key: "A-417720", Data: []byte(`{"paymentId":"pay-1","amount":null}`)},
	{Key: "A-417721", HashKey: "170141183460469231731687303715884105728", Data: []byte("plain\x00bytes")},
	{Key: "A-417720", Data: []byte{}},
}

// samples has at least one sample for each layer, by the layer's name.
func samples() map[string]sample {
	rule := bodyOf(`{"version":"0","id":"17793124-05d4-b198-2fde-7ededc63b103","detail-type":"Order Placed","source":"shop.orders","account":"123456789012","time":"2026-11-22T11:00:00Z","region":"eu-west-1","resources":["arn:aws:s3:::shop"],"detail": `+orderJSON+` }`,
		"EventBridge dead letter", "EventBridge event", "JSON").
		with("RULE_ARN", "String", "arn:aws:events:eu-west-1:123456789012:rule/orders").
		with("TARGET_ARN", "String", "arn:aws:lambda:eu-west-1:123456789012:function:orders").
		with("ERROR_CODE", "String", "NO_PERMISSIONS").
		with("ERROR_MESSAGE", "String", "Lambda function is not authorized").
		with("RETRY_ATTEMPTS", "String", "0").
		with("EXHAUSTED_RETRY_CONDITION", "String", "MaximumRetryAttempts")
	rule2 := bodyOf(rule.message.Body, "EventBridge event", "JSON")
	raw := bodyOf(orderJSON, "SNS raw delivery", "JSON")
	raw.message.System = map[string]string{ops.SenderAttribute: "AIDAISMY7JYY5F7RTT6AO"}
	return map[string]sample{
		"Lambda dead letter": bodyOf(s3JSON, "Lambda dead letter", "S3 event").
			with("RequestID", "String", "e4b46cbf-b738-xmpl-8880-a18cdf61200e").
			with("ErrorCode", "Number", "200").
			with("ErrorMessage", "String", `{"errorMessage":"'zip'","errorType":"KeyError","stackTrace":["  File \"/var/task/app.py\", line 4, in handler\n    ship(e)\n","  File \"/var/task/app.py\", line 9, in ship\n"]}`),
		"EventBridge dead letter": rule,
		"Scheduler dead letter": bodyOf(`{"report":"daily"}`, "Scheduler dead letter", "JSON").
			with("SCHEDULE_ARN", "String", "arn:aws:scheduler:eu-west-1:123456789012:schedule/default/report").
			with("TARGET_ARN", "String", "arn:aws:sqs:eu-west-1:123456789012:reports").
			with("EXECUTION_ID", "String", "fd5cda90-d2ab-4ba4-b4f5-1bd8b3d5e7d2").
			with("SCHEDULED_TIME", "String", "2026-11-22T06:00:00Z").
			with("ERROR_CODE", "String", "AWS.SimpleQueueService.NonExistentQueue").
			with("ERROR_MESSAGE", "String", "The specified queue does not exist.").
			with("RETRY_ATTEMPTS", "String", "185").
			with("EXHAUSTED_RETRY_CONDITION", "String", "MaximumRetryAttempts").
			with("IS_PAYLOAD_TRUNCATED", "String", "true"),
		"SNS raw delivery": raw,
		"SNS envelope":     bodyOf(envelope(orderJSON), "SNS envelope", "JSON"),
		"SNS event": bodyOf(`{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"arn:aws:sns:eu-west-1:123456789012:uploads:2bcfbf39","Sns":{"Type":"Notification","MessageId":"95df01b4","TopicArn":"arn:aws:sns:eu-west-1:123456789012:uploads","Subject":null,"Message":`+
			quote(s3JSON)+`,"Timestamp":"2026-11-22T10:01:59.123Z","SignatureVersion":"1","Signature":"x","SigningCertUrl":"y","UnsubscribeUrl":"z","MessageAttributes":{}}}]}`, "SNS event", "S3 event"),
		"S3 event":      bodyOf(s3JSON, "S3 event"),
		"S3 test event": bodyOf(`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-22T09:12:35.043Z","Bucket":"shop-uploads","RequestId":"5582815E1AEA5ADF","HostId":"8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"}`, "S3 test event"),

		"EventBridge event":  rule2,
		"Lambda destination": bodyOf(destination(s3JSON), "Lambda destination", "S3 event"),
		"Kinesis pointer": bodyOf(`{`+streamContext+`,"KinesisBatchInfo":{"shardId":"shardId-000000000001","startSequenceNumber":"49601189658422359378836298521827638475320189012309704722","endSequenceNumber":"49601189658422359378836298522902373528957594348623495186","approximateArrivalOfFirstRecord":"2026-11-22T00:38:04.835Z","approximateArrivalOfLastRecord":"2026-11-22T00:38:05.580Z","batchSize":500,"streamArn":"arn:aws:kinesis:eu-west-1:123456789012:stream/payments"}}`,
			"Kinesis pointer"),
		"DynamoDB pointer": bodyOf(`{`+streamContext+`,"DDBStreamBatchInfo":{"shardId":"shardId-00000001573689847184-864758bb","startSequenceNumber":"800000000003126276362","endSequenceNumber":"800000000003126276362","approximateArrivalOfFirstRecord":"2026-11-22T00:13:19Z","approximateArrivalOfLastRecord":"2026-11-22T00:13:19Z","batchSize":1,"streamArn":"arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-14T00:04:06.388"}}`,
			"DynamoDB pointer"),
		"stream event": bodyOf(`{`+streamContext+`,"KinesisBatchInfo":{"shardId":"s","startSequenceNumber":"1","endSequenceNumber":"2","batchSize":2,"streamArn":"arn:aws:kinesis:eu-west-1:123456789012:stream/payments"},"payload":`+
			quote(`{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"poison","sequenceNumber":"1","data":"`+as64(`{"amount":null}`)+`","approximateArrivalTimestamp":1.5},"eventSource":"aws:kinesis","eventVersion":"1.0","eventName":"aws:kinesis:record","eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/payments"},{"kinesis":{"data":"eA=="}}]}`)+`}`,
			"Kinesis pointer", "stream event"),
		"Firehose error": bodyOf(`{"attemptsMade":4,"arrivalTimestamp":1795305671247,"ErrorCode":"Lambda.FunctionError","errorMessage":"The Lambda function was successfully invoked but it returned an error result.","attemptEndingTimestamp":1795305750531,"rawData":"`+as64(orderJSON)+`","lambdaARN":"arn:aws:lambda:eu-west-1:123456789012:function:enrich:$LATEST"}`+"\n",
			"Firehose error", "JSON"),
		"S3 pointer": bodyOf(`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"shop-large","s3Key":"7dc3cbf5-4a30-4b2e-9e7a-0f3a4e2f7a0b"}]`, "S3 pointer").
			with("ExtendedPayloadSize", "Number", "1834112"),
		"CloudWatch Logs event": bodyOf(`{"awslogs":{"data":"`+logs64+`"}}`, "CloudWatch Logs event", "base64", "gzip", "CloudWatch Logs data"),
		"CloudWatch Logs data":  bodyOf(`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1795341600000,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}`, "CloudWatch Logs data"),
		"JSON in JSON":          bodyOf(quote(quote(orderJSON)), "JSON in JSON", "JSON in JSON", "JSON"),
		"JSON":                  bodyOf(orderJSON, "JSON"),
		"JSON lines":            bodyOf("{\"a\":1}\n[2]\n", "JSON lines"),
		"gzip":                  bodyOf(members64, "base64", "gzip", "JSON"),
		"zstd":                  bodyOf(zstd64, "base64", "zstd", "JSON"),
		"KPL aggregate":         bodyOf(as64(aggregate(kplRecords...)), "base64", "KPL aggregate"),
		"base64":                bodyOf(as64("a parcel was lost near the river"), "base64", "text"),
		"text":                  bodyOf("order A-1 failed\ntwice", "text"),
		"binary":                bodyOf(as64("Obj\x01\x04\x16avro.schema\x00\xff\xfe"), "base64", "binary"),
	}
}

func TestSamplesAreOfLayers(t *testing.T) {
	if n := len(samples()); n != len(layers) {
		t.Errorf("%d samples, %d layers", n, len(layers))
	}
}
