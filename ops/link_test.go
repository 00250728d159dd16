package ops

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	stream   ARN = "arn:aws:kinesis:eu-west-1:1:stream/clicks"
	delivery ARN = "arn:aws:firehose:eu-west-1:1:deliverystream/clicks-s3"
	bucket   ARN = "arn:aws:s3:::events"
	topic    ARN = "arn:aws:sns:eu-west-1:1:stored"
	queue    ARN = "arn:aws:sqs:eu-west-1:1:work"
	dead     ARN = "arn:aws:sqs:eu-west-1:1:graveyard"
	function ARN = "arn:aws:lambda:eu-west-1:1:function:worker"
)

func shop() Snapshot {
	return Snapshot{
		Streams:    Section[Stream]{Items: []Stream{{ARN: stream, Consumers: []Consumer{{Kind: ByDelivery, ARN: delivery}}}}},
		Deliveries: Section[Delivery]{Items: []Delivery{{ARN: delivery, Source: stream, Target: bucket}}},
		Buckets:    Section[Bucket]{Items: []Bucket{{ARN: bucket, Notifications: []Notification{{Target: topic}}}}},
		Topics:     Section[Topic]{Items: []Topic{{ARN: topic, Subscriptions: []Subscription{{Protocol: "sqs", Endpoint: string(queue)}, {Protocol: "email", Endpoint: "a@b"}}}}},
		Queues:     Section[Queue]{Items: []Queue{{ARN: queue, RedriveTo: dead, Retention: 4 * 24 * time.Hour, Consumers: []Consumer{{ARN: function}}}}},
	}
}

func TestPipelineFollowsTheFlow(t *testing.T) {
	s := shop()
	lonely := Link{From: "arn:aws:sqs:eu-west-1:1:a", To: "arn:aws:sqs:eu-west-1:1:b", Kind: LinkDeadLetter}
	got := Pipelines(append(Linked(s), lonely))
	if len(got) != 2 {
		t.Fatalf("%d pipelines, want 2", len(got))
	}
	want := []ARN{stream, delivery, bucket, topic, queue, dead, function}
	if diff := cmp.Diff(want, got[0].Nodes); diff != "" {
		t.Error(diff)
	}
	if got[0].Name != "clicks" {
		t.Errorf("named %q", got[0].Name)
	}
}

func TestALoopEnds(t *testing.T) {
	got := Pipelines([]Link{{From: queue, To: function}, {From: function, To: queue}})
	if len(got) != 1 || len(got[0].Nodes) != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestARNKinds(t *testing.T) {
	for a, want := range map[ARN]Kind{stream: KindStream, delivery: KindDelivery, bucket: KindBucket, topic: KindTopic, queue: KindQueue, function: KindFunction, "": "", "arn:aws:ec2:::x": "", "nonsense": ""} {
		if got := a.Kind(); got != want {
			t.Errorf("%q: %q, want %q", a, got, want)
		}
	}
	if stream.Name() != "clicks" || function.Name() != "worker" || bucket.Name() != "events" {
		t.Error("names")
	}
}
