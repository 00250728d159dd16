package replay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"kxops/ops"
)

// The marks that a replayed event carries: attributes, where the target has such, or the
// fields of an object in the body.
const (
	markReplay = "kxops-replay-id"
	markSource = "kxops-source-id"
	markTime   = "kxops-original-time"
	markHop    = "kxops-hop" // how often it was replayed, this time included
)

// Ways of marking.
const (
	MarkAttributes = "attributes"
	MarkBody       = "body" // as an object in the body, which is JSON
	MarkNone       = "none"
)

// DefaultMarkField is the field of the body that has the marks.
const DefaultMarkField = "kxops"

func markField(m ops.ReplayMap) string { return cmp.Or(m.MarkField, DefaultMarkField) }

func markable(m *ops.ReplayMap) error {
	switch m.Mark {
	case "":
		m.Mark = MarkAttributes
	case MarkAttributes, MarkNone:
	case MarkBody:
		m.MarkField = markField(*m)
		return nil
	default:
		return refused("%q is no way of marking: attributes, body or none", m.Mark)
	}
	if m.MarkField != "" {
		return refused("a field for the marks is only for marks in the body, and these go as %s", m.Mark)
	}
	return nil
}

// marksOf are the marks of a record that is replayed.
func marksOf(replay string, r Record) map[string]string {
	out := map[string]string{markReplay: replay, markSource: r.ID, markHop: strconv.Itoa(r.Hop + 1)}
	if !r.At.IsZero() {
		out[markTime] = r.At.UTC().Format(time.RFC3339Nano)
	}
	return out
}

// inject puts the marks into a body as its first field, and leaves every other byte as
// it is. Marks of an earlier replay in the same field are replaced.
func inject(body []byte, field string, marks map[string]string) ([]byte, error) {
	o, err := openObject(body)
	if err != nil {
		return nil, fmt.Errorf("the mark: %w", err)
	}
	for _, f := range o.fields {
		if f.name != field {
			continue
		}
		if _, marked := hopOf(f.value); !marked {
			return nil, fmt.Errorf("the mark: the body has a field %q already, and it is no mark", field)
		}
		body = append(body[:f.from:f.from], body[f.until:]...)
		if o, err = openObject(body); err != nil {
			return nil, fmt.Errorf("the mark: %w", err)
		}
		break
	}
	name, err := json.Marshal(field)
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(marks) // sorted by name
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(body)+len(name)+len(value)+2)
	out = append(append(append(append(out, body[:o.inside]...), name...), ':'), value...)
	if len(o.fields) > 0 {
		out = append(out, ',')
	}
	return append(out, body[o.inside:]...), nil
}

// anatomy is a JSON object and where its fields stand.
type anatomy struct {
	inside int // behind the brace
	fields []placedField
}

type placedField struct {
	name        string
	value       json.RawMessage
	from, until int // with the comma that its going leaves over
}

// openObject finds the fields of an object without changing a byte of it.
func openObject(body []byte) (anatomy, error) {
	var o anatomy
	if !json.Valid(body) {
		return o, fmt.Errorf("the body is no JSON")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return o, fmt.Errorf("the body is JSON but no object")
	}
	o.inside = int(d.InputOffset())
	for from := o.inside; d.More(); {
		name, err := d.Token()
		if err != nil {
			return o, err
		}
		f := placedField{name: name.(string), from: from}
		if err := d.Decode(&f.value); err != nil {
			return o, err
		}
		f.until = int(d.InputOffset())
		from = f.until
		if len(o.fields) == 0 { // the comma behind it goes with the first field, the one before with the others
			rest := bytes.TrimLeft(body[f.until:], " \t\r\n")
			if len(rest) > 0 && rest[0] == ',' {
				f.until = len(body) - len(rest) + 1
			}
		}
		o.fields = append(o.fields, f)
	}
	return o, nil
}

// hops is how often a record was replayed, by what its source knows or its body says.
func hops(r Record) int {
	if r.Hop > 0 {
		return r.Hop
	}
	return hopsIn(r.Data)
}

// hopsIn reads from a body how often it was replayed: 0 for an event that never was. It
// knows the marks in whatever field, also under the detail of an event, and the attributes
// of a message of a topic or a queue that was stored with its envelope.
func hopsIn(body []byte) int {
	if !bytes.Contains(body, []byte(markReplay)) {
		return 0
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return 0 // a text that speaks of replays is none
	}
	most := 0
	for name, v := range fields {
		if n, marked := hopOf(v); marked {
			most = max(most, n)
		} else if name == "detail" { // of an event of EventBridge
			most = max(most, hopsIn(v))
		}
	}
	return most
}

// hopOf reads an object of marks.
func hopOf(value json.RawMessage) (n int, marked bool) {
	var marks map[string]json.RawMessage
	if json.Unmarshal(value, &marks) != nil || marks[markReplay] == nil {
		return 0, false
	}
	var text string
	var attribute struct{ Value, StringValue string }
	switch v := marks[markHop]; {
	case json.Unmarshal(v, &text) == nil:
	case json.Unmarshal(v, &attribute) == nil:
		if text = attribute.Value; text == "" {
			text = attribute.StringValue
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		n = 1 // it is marked; how often, the mark does not say
	}
	return n, true
}

// factsOfMarks say what a reader of the target sees of a replay, and how it leaves one out.
func factsOfMarks(plan *ops.ReplayPlan) {
	say := func(value string) { plan.Facts = append(plan.Facts, ops.Fact{Name: "marks", Value: value}) }
	if plan.To.Kind == ops.KindBus && plan.Map.Mark != MarkNone {
		say(fmt.Sprintf(`each event gets a field %q under detail; a rule leaves replays out by {"detail":{%q:{%q:[{"exists":false}]}}}`, markField(plan.Map), markField(plan.Map), markReplay))
		return
	}
	switch f := plan.Map.MarkField; plan.Map.Mark {
	case MarkBody:
		name, err := json.Marshal(f)
		if err != nil {
			return // a string always is JSON
		}
		say(fmt.Sprintf(`each body gets the field %s with %s, %s, %s and %s; what is no JSON object is parked`, name, markReplay, markSource, markTime, markHop))
		say(fmt.Sprintf("Athena leaves replays out by `%s IS NULL`, once the table has the column: ALTER TABLE … ADD COLUMNS (%s string)", f, f))
		if plan.To.Kind == ops.KindStream {
			say(fmt.Sprintf(`a function leaves them out by the filter {"data":{%s:{"%s":[{"exists":false}]}}} of its mapping`, name, markReplay))
		}
	case MarkAttributes:
		switch plan.To.Kind {
		case ops.KindTopic:
			say(fmt.Sprintf(`a subscription leaves replays out by the filter policy {"%s":[{"exists":false}]}`, markReplay))
		case ops.KindQueue:
			say(fmt.Sprintf(`a function leaves replays out by the filter {"messageAttributes":{"%s":[{"exists":false}]}} of its mapping`, markReplay))
		case ops.KindStream, ops.KindDelivery, ops.KindFunction:
			say(fmt.Sprintf("records of a %s have no attributes: a consumer sees no difference to new events, and the receipts alone know; --mark body marks them", plan.To.Kind))
		}
	}
}
