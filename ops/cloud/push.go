package cloud

import (
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// OwnDecoder is an option of SubscribeToShard: the call reads its events with a decoder
// of its own. A client shares one, and its buffer, between all its event streams, so two
// shards that are pushed at a time race for it: https://github.com/aws/smithy-go/issues/714,
// open as of smithy-go v1.28.9.
func OwnDecoder(o *kinesis.Options) {
	o.Protocol = awsjson.New11(schemas.Kinesis_20131202)
}
