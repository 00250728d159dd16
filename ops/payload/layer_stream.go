package payload

import (
	"encoding/base64"
	"strconv"
	"time"

	"kxops/ops"
)

var kinesisPointer = layer{
	name: "Kinesis pointer",
	says: "Lambda or a pipe gave up a batch of a Kinesis stream: the records themselves are not here but in the stream, until it trims them.",
	open: func(in *input) (ops.Layer, bool) { return openStreamPointer(in, "KinesisBatchInfo", ops.KinesisRange) },
}

var dynamoPointer = layer{
	name: "DynamoDB pointer",
	says: "Lambda or a pipe gave up a batch of a table's stream: the records themselves are not here but in the stream, for 24 hours.",
	open: func(in *input) (ops.Layer, bool) {
		return openStreamPointer(in, "DDBStreamBatchInfo", ops.DynamoDBRange)
	},
}

func openStreamPointer(in *input, name string, kind ops.PointerKind) (ops.Layer, bool) {
	batch := in.raw(name)
	if len(batch) == 0 || batch[0] != '{' || !in.valid {
		return ops.Layer{}, false
	}
	failure := contextFailure(in.raw("requestContext"), in.raw("responseContext"), in.text("timestamp"))
	pipe := Text(in.raw("context"), "partnerResourceArn") // a pipe writes less than Lambda does
	if pipe != "" {
		failure.Condition = Text(in.raw("context"), "condition")
	}
	var memory [8]member
	info, _ := readMembers(batch, memory[:0])
	p := &ops.Pointer{
		Kind:     kind,
		Stream:   ops.ARN(str(find(info, "streamArn"))),
		Shard:    str(find(info, "shardId")),
		From:     str(find(info, "startSequenceNumber")),
		To:       str(find(info, "endSequenceNumber")),
		First:    timeOf(str(find(info, "approximateArrivalOfFirstRecord"))),
		Last:     timeOf(str(find(info, "approximateArrivalOfLastRecord"))),
		Function: failure.Function,
	}
	size := find(info, "batchSize")
	if n, err := strconv.Atoi(str(size)); err == nil && n > 0 {
		p.Records = n
	}
	f := make(facts, 0, 12)
	f.add("Error type", failure.Type)
	f.add("Stream", string(p.Stream))
	f.add("Shard", p.Shard)
	f.add("Records", str(size))
	if !p.First.IsZero() {
		f.add("First arrived", p.First.Format(time.RFC3339))
	}
	f.add("From", p.From)
	f.add("To", p.To)
	f.add("Pipe", pipe)
	f.contextOf(failure)
	l := ops.Layer{Pointer: p, Origin: string(p.Stream)}
	if failure.Function != "" || failure.Condition != "" { // else it says where, not why
		l.Failure = failure
	}
	if data := in.raw("payload"); data != nil { // only S3 destinations have it
		l.Body = data
		if inside, ok := Unquote(data); ok {
			l.Body = inside
		}
		f.add("Data", "included")
	}
	l.Facts = f
	return l, true
}

var streamEvent = layer{
	name: "stream event",
	says: "The event that Lambda gives a function for a batch of a Kinesis stream or a table's stream.",
	open: openStreamEvent,
}

func openStreamEvent(in *input) (ops.Layer, bool) {
	records := in.raw("Records")
	if len(records) == 0 || records[0] != '[' || !in.valid {
		return ops.Layer{}, false
	}
	first, ok := Field(records, "0")
	if !ok {
		return ops.Layer{}, false
	}
	source := Text(first, "eventSource")
	if source != "aws:kinesis" && source != "aws:dynamodb" {
		return ops.Layer{}, false
	}
	l := ops.Layer{Event: Text(first, "eventName"), Origin: Text(first, "eventSourceARN")}
	EachElement(records, func(_ int, record []byte) bool {
		part := record
		if data, err := base64.StdEncoding.DecodeString(Text(record, "kinesis", "data")); source == "aws:kinesis" && err == nil {
			part = data
		}
		l.Parts = append(l.Parts, part)
		return len(l.Parts) < maxParts
	})
	f := make(facts, 0, 5)
	f.add("Stream", l.Origin)
	f.add("Records", strconv.Itoa(len(l.Parts)))
	f.add("Event", l.Event)
	f.add("Partition key", Text(first, "kinesis", "partitionKey"))
	f.add("First sequence", Text(first, "kinesis", "sequenceNumber")+Text(first, "dynamodb", "SequenceNumber"))
	l.Facts = f
	return l, true
}
