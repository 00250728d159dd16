package replay

import (
	"encoding/json"
	"fmt"

	"github.com/itchyny/gojq"

	"kxops/ops"
)

// mapper makes of a record what is sent. It is safe for concurrent use.
type mapper struct {
	plan      ops.ReplayPlan
	key, body *gojq.Code
	attach    []derivation
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
		if m.body, _, err = compile("body", e); err != nil {
			return nil, err
		}
	}
	m.attach, err = derivations(plan.Map.Attributes)
	return m, err
}

// parcel is the record as it is sent. The error is a reason to park it.
func (m *mapper) parcel(r Record, part ops.ReplayPart) (Parcel, error) {
	p := Parcel{ID: r.ID, Key: r.Key, Body: r.Data, At: r.At}
	if m.plan.Map.KeepShard {
		p.Hash = part.Range
	}
	inside := m.plan.Map.Mark == MarkBody && m.plan.To.Kind != ops.KindBus // which puts them under detail by itself
	if m.plan.Map.Mark != MarkNone && !inside {
		p.Marks = marksOf(m.plan.ID, r)
	}
	if err := m.derive(&p); err != nil || !inside {
		return p, err
	}
	var err error
	p.Body, err = inject(p.Body, m.plan.Map.MarkField, marksOf(m.plan.ID, r))
	return p, err
}

// derive works out the key and the body where they are not the original ones, and attributes.
func (m *mapper) derive(p *Parcel) error {
	if m.key == nil && m.body == nil && len(m.attach) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(p.Body, &v); err != nil {
		return fmt.Errorf("the mapping needs JSON, and the record is none: %w", err)
	}
	if m.key != nil {
		out, err := first(m.key, v)
		if err != nil {
			return fmt.Errorf("the key: %w", err)
		}
		if p.Key, err = textOf(out); err != nil || p.Key == "" {
			return fmt.Errorf("the key: %s gives no text", m.plan.Map.Key)
		}
	}
	for _, d := range m.attach {
		a, has, err := d.of(v)
		if err != nil {
			return err
		}
		if has {
			p.Attributes = append(p.Attributes, a)
		}
	}
	if m.body != nil {
		out, err := first(m.body, v)
		if err != nil {
			return fmt.Errorf("the body: %w", err)
		}
		text, err := textOf(out)
		if err != nil || text == "" {
			return fmt.Errorf("the body: %s gives nothing", m.plan.Map.Body)
		}
		p.Body = []byte(text)
	}
	return nil
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
