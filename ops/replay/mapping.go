package replay

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/itchyny/gojq"

	"kxops/ops"
)

// The marks that a replayed event carries, where the target has attributes.
const (
	markReplay = "kxops-replay-id"
	markSource = "kxops-source-id"
	markTime   = "kxops-original-time"
	markHop    = "kxops-hop" // how often it was replayed, this time included
)

// Ways of marking.
const (
	MarkAttributes = "attributes"
	MarkNone       = "none"
)

// mapper makes of a record what is sent. It is safe for concurrent use.
type mapper struct {
	plan      ops.ReplayPlan
	key, body *gojq.Code
}

func newMapper(plan ops.ReplayPlan) (*mapper, error) {
	m := &mapper{plan: plan}
	var err error
	if e := plan.Map.Key; e != "" {
		if m.key, _, err = compile("key", e); err != nil {
			return nil, err
		}
	}
	if e := plan.Map.Body; e != "" {
		m.body, _, err = compile("body", e)
	}
	return m, err
}

// parcel is the record as it is sent. The error is a reason to park it.
func (m *mapper) parcel(r Record, part ops.ReplayPart) (Parcel, error) {
	p := Parcel{ID: r.ID, Key: r.Key, Body: r.Data, At: r.At}
	if m.plan.Map.KeepShard {
		p.Hash = part.Range
	}
	if m.plan.Map.Mark == MarkAttributes {
		p.Marks = map[string]string{markReplay: m.plan.ID, markSource: r.ID, markHop: strconv.Itoa(r.Hop + 1)}
		if !r.At.IsZero() {
			p.Marks[markTime] = r.At.UTC().Format(time.RFC3339Nano)
		}
	}
	if m.key == nil && m.body == nil {
		return p, nil
	}
	var v any
	if err := json.Unmarshal(r.Data, &v); err != nil {
		return p, fmt.Errorf("the mapping needs JSON, and the record is none: %w", err)
	}
	if m.key != nil {
		out, err := first(m.key, v)
		if err != nil {
			return p, fmt.Errorf("the key: %w", err)
		}
		if p.Key, err = textOf(out); err != nil || p.Key == "" {
			return p, fmt.Errorf("the key: %s gives no text", m.plan.Map.Key)
		}
	}
	if m.body != nil {
		out, err := first(m.body, v)
		if err != nil {
			return p, fmt.Errorf("the body: %w", err)
		}
		text, err := textOf(out)
		if err != nil || text == "" {
			return p, fmt.Errorf("the body: %s gives nothing", m.plan.Map.Body)
		}
		p.Body = []byte(text)
	}
	return p, nil
}

// textOf is a string as it stands, anything else as JSON; nothing for null.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	b, err := gojq.Marshal(v)
	return string(b), err
}
