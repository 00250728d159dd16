package replay

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/itchyny/gojq"

	"kxops/ops"
)

// attributesMost is how many attributes a message has, with the marks. Source: SQS
// Developer Guide, "Amazon SQS message metadata"; a topic takes more, and what it delivers
// raw to a queue would be dropped.
const attributesMost = 10

// attributeName is a name that SQS takes. Source: the same.
var attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// attribute is one of a message.
type attribute struct{ name, kind, value string } // kind: String, Number, Binary (value is base64 then)

// derivation is an attribute that is made of each record.
type derivation struct {
	name string
	code *gojq.Code
}

// checkAttributes refuses attributes that no message can have.
func checkAttributes(plan ops.ReplayPlan) error {
	asked := plan.Map.Attributes
	if len(asked) == 0 {
		return nil
	}
	if k := plan.To.Kind; k != ops.KindQueue && k != ops.KindTopic && k != ops.KindNull {
		return refused("messages of queues and topics have attributes, and %s is neither", plan.To.Name())
	}
	most := attributesMost
	if plan.Map.Mark == MarkAttributes {
		most -= len(marksOf("", Record{At: plan.Created}))
	}
	if len(asked) > most {
		return refused("a message has at most %d attributes, with the marks: %d are left, and %d are asked for", attributesMost, most, len(asked))
	}
	seen := map[string]bool{}
	for _, a := range asked {
		low := strings.ToLower(a.Name)
		switch {
		case !attributeName.MatchString(a.Name) || len(a.Name) > 256 || strings.HasPrefix(low, "aws.") || strings.HasPrefix(low, "amazon."):
			return refused("%q is no name of an attribute: letters, digits, _ - and . between them, and not beginning with AWS. or Amazon.", a.Name)
		case strings.HasPrefix(low, "kxops-"):
			return refused("%q is the name of a mark of kxops", a.Name)
		case seen[a.Name]:
			return refused("the attribute %q is asked for twice", a.Name)
		}
		seen[a.Name] = true
	}
	return nil
}

// derivations compiles what attributes are made of.
func derivations(of []ops.ReplayAttribute) ([]derivation, error) {
	var out []derivation
	for _, a := range of {
		expr := a.Value
		if expr == "" { // as SNS wrote it into its envelope
			name, err := json.Marshal(a.Name)
			if err != nil {
				return nil, err
			}
			expr = ".MessageAttributes[" + string(name) + "]"
		}
		code, _, err := compile("attribute "+a.Name, expr)
		if err != nil {
			return nil, err
		}
		out = append(out, derivation{a.Name, code})
	}
	return out, nil
}

// of makes the attribute of a record; false: the record has none.
func (d derivation) of(v any) (attribute, bool, error) {
	out, err := first(d.code, v)
	if err != nil {
		return attribute{}, false, fmt.Errorf("the attribute %s: %w", d.name, err)
	}
	a := attribute{name: d.name, kind: "String"}
	switch x := out.(type) {
	case nil:
		return a, false, nil
	case map[string]any: // of an envelope of SNS
		kind, _ := x["Type"].(string)
		value, ok := x["Value"].(string)
		if kind == "" || !ok {
			break
		}
		if a.kind, a.value = kind, value; strings.HasPrefix(kind, "Binary") {
			if _, err := base64.StdEncoding.DecodeString(value); err != nil {
				return a, false, fmt.Errorf("the attribute %s: it is Binary, and not in base64", d.name)
			}
		}
		return a, value != "", nil
	case float64, int, json.Number:
		a.kind = "Number"
	}
	a.value, err = textOf(out)
	if err == nil && !speakable([]byte(a.value)) && a.value != "" {
		err = fmt.Errorf("it has bytes that are no text")
	}
	if err != nil {
		return a, false, fmt.Errorf("the attribute %s: %w", d.name, err)
	}
	return a, a.value != "", nil // an attribute is never empty
}

// attributes are all that a message carries: the marks and those that were made of it.
func (p Parcel) attributes() []attribute {
	out := make([]attribute, 0, len(p.Marks)+len(p.Attributes))
	for name, value := range p.Marks {
		out = append(out, attribute{name, "String", value})
	}
	return append(out, p.Attributes...)
}

// attributesSize is what they count, in bytes: names, types and values.
func (p Parcel) attributesSize() int {
	n := 0
	for name, value := range p.Marks {
		n += len(name) + len(value) + len("String")
	}
	for _, a := range p.Attributes {
		n += len(a.name) + len(a.kind) + len(a.value)
	}
	return n
}

// bytes are those of a Binary one.
func (a attribute) bytes() []byte {
	b, _ := base64.StdEncoding.DecodeString(a.value) // of has tried it
	return b
}

func (a attribute) binary() bool { return strings.HasPrefix(a.kind, "Binary") }

func queueAttributes(p Parcel) map[string]sqstypes.MessageAttributeValue {
	out := map[string]sqstypes.MessageAttributeValue{}
	for _, a := range p.attributes() {
		v := sqstypes.MessageAttributeValue{DataType: aws.String(a.kind), StringValue: aws.String(a.value)}
		if a.binary() {
			v.StringValue, v.BinaryValue = nil, a.bytes()
		}
		out[a.name] = v
	}
	return out
}

func topicAttributes(p Parcel) map[string]snstypes.MessageAttributeValue {
	out := map[string]snstypes.MessageAttributeValue{}
	for _, a := range p.attributes() {
		v := snstypes.MessageAttributeValue{DataType: aws.String(a.kind), StringValue: aws.String(a.value)}
		if a.binary() {
			v.StringValue, v.BinaryValue = nil, a.bytes()
		}
		out[a.name] = v
	}
	return out
}
