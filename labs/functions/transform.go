package functions

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// transformed is one record on its way through a Firehose transformation.
type transformed struct {
	ID     string `json:"recordId"`
	Result string `json:"result,omitempty"`
	Data   string `json:"data,omitempty"`
}

// newTransform is the transformation of lab 2: each event becomes one line, so
// that Athena can read the archive; what is no event goes to the error prefix,
// where kxops finds it again.
func newTransform(Place) (Handler, error) {
	return func(_ context.Context, event []byte) ([]byte, error) {
		var in struct {
			Records []transformed `json:"records"`
		}
		if err := json.Unmarshal(event, &in); err != nil {
			return nil, fmt.Errorf("the event is none of Firehose: %w", err)
		}
		out := struct {
			Records []transformed `json:"records"`
		}{[]transformed{}}
		for _, r := range in.Records {
			out.Records = append(out.Records, transform(r))
		}
		return json.Marshal(out)
	}, nil
}

func transform(r transformed) transformed {
	failed := transformed{ID: r.ID, Result: "ProcessingFailed", Data: r.Data}
	data, err := base64.StdEncoding.DecodeString(r.Data)
	if err != nil {
		return failed
	}
	e, err := readEvent(data)
	if err != nil || e.At.IsZero() {
		return failed
	}
	line, err := json.Marshal(e)
	if err != nil {
		return failed
	}
	return transformed{ID: r.ID, Result: "Ok", Data: base64.StdEncoding.EncodeToString(append(line, '\n'))}
}
