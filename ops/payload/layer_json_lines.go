package payload

import (
	"strconv"

	"kxops/ops"
)

var jsonLines = layer{
	name: "JSON lines",
	says: "Several JSON documents, one after the other.",
	open: openJSONLines,
}

func openJSONLines(in *input) (ops.Layer, bool) {
	if in.valid || !in.is('{') && !in.is('[') {
		return ops.Layer{}, false
	}
	var l ops.Layer
	for i := 0; i < len(in.doc) && len(l.Parts) < maxParts; i = space(in.doc, i) {
		end := skip(in.doc, i)
		if end < 0 {
			return ops.Layer{}, false
		}
		l.Parts = append(l.Parts, in.doc[i:end])
		i = end
	}
	l.Facts = []ops.Fact{{Name: "Documents", Value: strconv.Itoa(len(l.Parts))}, {Name: "Bytes", Value: strconv.Itoa(len(in.body))}}
	return l, true
}
