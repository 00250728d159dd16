package payload

import (
	"bytes"
	"strconv"

	"kxops/ops"
)

var snsEnvelope = layer{
	name: "SNS envelope",
	says: "SNS put the published message into a JSON document of its own: what its subscribers get unless raw delivery is on.",
	open: openSNS,
}

func openSNS(in *input) (ops.Layer, bool) {
	topic := in.text("TopicArn")
	if topic == "" || !in.valid || in.raw("MessageId") == nil {
		return ops.Layer{}, false
	}
	return snsNotification(in.members, topic)
}

// snsNotification reads the members of a notification, which an envelope and a
// function's event have in common.
func snsNotification(members []member, topic string) (ops.Layer, bool) {
	inside, kind := find(members, "Message"), str(find(members, "Type"))
	if len(inside) == 0 || inside[0] != '"' || kind == "" {
		return ops.Layer{}, false
	}
	l := ops.Layer{Origin: topic, Body: unquote(inside)}
	f := make(facts, 0, 6)
	f.add("Topic", topic)
	f.add("Subject", str(find(members, "Subject")))
	f.add("Published", str(find(members, "Timestamp")))
	if kind != "Notification" {
		f.add("Type", kind)
		l.Event = kind
		l.Harmless = "SNS asks to confirm a subscription; it is no published message"
	}
	if a := find(members, "MessageAttributes"); a != nil {
		EachMember(a, func(key, value []byte) bool {
			f.add("Attribute "+string(key), str(snsAttribute(value)))
			return len(f) < 24
		})
	}
	f.add("SNS message id", str(find(members, "MessageId")))
	f.add("SNS sequence", str(find(members, "SequenceNumber")))
	l.Facts = f
	return l, true
}

func snsAttribute(attribute []byte) []byte {
	value, _ := Field(attribute, "Value")
	return value
}

var snsEvent = layer{
	name: "SNS event",
	says: "The event that Lambda gives a function for an SNS message: the notification under Records[0].Sns.",
	open: openSNSEvent,
}

func openSNSEvent(in *input) (ops.Layer, bool) {
	if !in.valid || !bytes.Contains(in.raw("Records"), []byte(`"aws:sns"`)) {
		return ops.Layer{}, false
	}
	record, _ := Field(in.raw("Records"), "0")
	if Text(record, "EventSource") != "aws:sns" {
		return ops.Layer{}, false
	}
	notification, _ := Field(record, "Sns")
	members, end := readMembers(notification, nil)
	if end < 0 {
		return ops.Layer{}, false
	}
	l, ok := snsNotification(members, str(find(members, "TopicArn")))
	if !ok {
		return l, false
	}
	if n := elements(in.raw("Records")); n > 1 { // Lambda sends one; a person may have built more
		l.Facts = append(l.Facts, ops.Fact{Name: "Records", Value: strconv.Itoa(n) + ", the first is shown"})
	}
	l.Facts = append(l.Facts, ops.Fact{Name: "Subscription", Value: Text(record, "EventSubscriptionArn")})
	return l, true
}

func elements(array []byte) (n int) {
	EachElement(array, func(int, []byte) bool { n++; return true })
	return n
}
