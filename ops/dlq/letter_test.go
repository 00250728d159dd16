package dlq

import (
	"time"

	"kxops/ops"
	"kxops/ops/payload"
)

var testQueue = ops.Queue{ARN: "arn:aws:sqs:eu-west-1:000000000000:dead", Name: "dead", Retention: 14 * 24 * time.Hour}

func readMessage(m ops.Message, known *causes) ops.Letter {
	return read(m, payload.Peel(m), testQueue, known)
}
