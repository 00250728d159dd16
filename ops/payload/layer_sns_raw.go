package payload

import "kxops/ops"

var snsRaw = layer{
	name:       "SNS raw delivery",
	says:       "SNS delivered the published message as it was, without an envelope; the message does not name its topic.",
	attributes: true,
	open:       openSNSRaw,
}

// snsSenders are the SenderIds that SNS itself has in some regions: each was seen
// on messages whose bodies were SNS envelopes of that region (event samples in
// public repositories). AWS does not document them, and emulators stamp the one
// of us-east-1 on everything, so it is not here. The last is the sandbox's.
var snsSenders = map[string]string{
	"AIDAISMY7JYY5F7RTT6AO": "eu-west-1",
	"AIDAIVEA3AGEU7NF6DRAG": "us-east-2",
	"AIDASANDBOXSNS":        "the sandbox",
}

// openSNSRaw needs evidence, for raw delivery leaves no mark in a message but its
// sender. Where that is not known it says nothing.
func openSNSRaw(in *input) (ops.Layer, bool) {
	region, ok := snsSenders[in.message.System[ops.SenderAttribute]]
	if !ok || in.raw("TopicArn") != nil {
		return ops.Layer{}, false
	}
	return ops.Layer{Facts: []ops.Fact{{Name: "Sent by", Value: "SNS in " + region}, {Name: "Topic", Value: "not said: raw delivery leaves it out"}}}, true
}
