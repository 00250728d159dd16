package payload

import "kxops/ops"

var jsonInJSON = layer{
	name: "JSON in JSON",
	says: "A JSON string whose text is JSON itself, or something else that was packed: it was written twice.",
	open: openJSONString,
}

func openJSONString(in *input) (ops.Layer, bool) {
	if !in.is('"') || !in.valid {
		return ops.Layer{}, false
	}
	inside, ok := Unquote(in.doc)
	if !ok {
		return ops.Layer{}, false
	}
	if i := space(inside, 0); i < len(inside) && (inside[i] == '{' || inside[i] == '[' || inside[i] == '"') && Valid(inside) {
		return ops.Layer{Body: inside}, true
	}
	if _, ok := decodeBase64(inside); ok {
		return ops.Layer{Body: inside}, true
	}
	return ops.Layer{}, false
}
