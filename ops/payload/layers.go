package payload

import "kxops/ops"

// layer is one way in which bodies are wrapped.
type layer struct {
	name string
	// says is one sentence for the person who meets it.
	says string
	// attributes marks a layer that lies around the whole message, in its
	// attributes; such layers are tried once each, before the body.
	attributes bool
	// open recognises the layer, and tells what it tells.
	open func(*input) (ops.Layer, bool)
}

// layers is THE list: a new wrapping is one file and one line here. The order
// matters: the first that recognises a body opens it. A test walks the list and
// fails when an entry has no sentence or no sample in testdata.
var layers = []layer{
	lambdaDeadLetter,
	ruleDeadLetter,
	scheduleDeadLetter,
	snsRaw,

	snsEnvelope,
	snsEvent,
	s3Event,
	s3TestEvent,
	eventBridgeEvent,
	lambdaDestination,
	kinesisPointer,
	dynamoPointer,
	streamEvent,
	firehoseError,
	s3Pointer,
	logsEvent,
	logsData,
	jsonInJSON,
	jsonDocument,
	jsonLines,
	gzipped,
	zstandard,
	kplAggregate,
	base64Text,
	plainText,
	binaryBody,
}

// Kind is a layer's name and what it is.
type Kind struct {
	Name string
	Says string
}

// Kinds lists all layers that can be recognised, for help texts.
func Kinds() []Kind {
	out := make([]Kind, 0, len(layers))
	for _, l := range layers {
		out = append(out, Kind{l.name, l.says})
	}
	return out
}
