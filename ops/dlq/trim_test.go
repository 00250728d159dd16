package dlq

import (
	"encoding/json"
	"testing"
	"time"

	"kxops/ops"
)

// A pointer's records are gone after a day, though the queue keeps the message for two
// weeks: the earlier of the two is its end.
func TestAPointerExpiresWithItsStream(t *testing.T) {
	s := newScene(t, "")
	there := s.stream("payments", "zero", "one")
	gone := there
	gone.Stream = s.arn("kinesis", "stream/nosuch")
	pile := newPile(s.desk, ops.Queue{ARN: s.arn("sqs", "dead"), Name: "dead", Retention: ops.MaxRetention})
	put := func(id string, info string, p ops.Pointer) {
		body, err := json.Marshal(object{"requestContext": object{"requestId": id, "functionArn": string(s.arn("lambda", "function:f")), "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 1},
			"responseContext": object{"statusCode": 200}, "version": "1.0", "timestamp": p.Last,
			info: object{"shardId": p.Shard, "startSequenceNumber": p.From, "endSequenceNumber": p.To, "approximateArrivalOfFirstRecord": p.First, "approximateArrivalOfLastRecord": p.Last,
				"batchSize": 2, "streamArn": p.Stream}})
		s.must(err)
		pile.add(s.letter(id, string(body), 0))
	}
	put("there", "KinesisBatchInfo", there)
	put("gone", "KinesisBatchInfo", gone)
	pile.add(s.letter("plain", "{}", 0))
	trim := there.First.Add(24 * time.Hour)
	for _, l := range pile.Letters() {
		switch {
		case l.ID == "there":
			if !l.Trims || !l.Expires.Equal(trim) {
				t.Errorf("the pointer expires %s, %v; want %s", l.Expires, l.Trims, trim)
			}
		case l.Trims || !l.Expires.Equal(l.Sent.Add(ops.MaxRetention)):
			t.Errorf("%s expires %s, trims %v", l.ID, l.Expires, l.Trims)
		}
	}
	if n := len(pile.streams.keeps); n != 2 {
		t.Errorf("%d streams were asked", n)
	}
	first := time.Time{}
	for _, g := range Groups(pile.Letters()) {
		first = earlier(first, g.FirstLoss)
	}
	if !first.Equal(trim) {
		t.Errorf("first loss %s, want %s", first, trim)
	}
	if got := firstLoss(pile); got.Equal(trim) {
		t.Error("raising the retention is said to save what the stream trims")
	}
}
