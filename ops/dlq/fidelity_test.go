package dlq

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kxops/ops"
)

// F9: what arrives is what was there: body bytes, each attribute with its type and
// custom label, trace header and group.
func TestF9WhatArrivesIsWhatWasThere(t *testing.T) {
	for _, fifo := range []bool{false, true} {
		t.Run("fifo "+strconv.FormatBool(fifo), func(t *testing.T) {
			b := redriveBench(t)
			attributes, end := map[string]string{"MessageRetentionPeriod": "1209600"}, ""
			if fifo {
				attributes["FifoQueue"], end = "true", ".fifo"
			}
			source, dead := b.queue("work"+end, attributes), b.queue("work-dlq"+end, attributes)
			rng := rand.New(rand.NewPCG(9, 9))
			want := map[string]sqs.SendMessageInput{}
			for i := range 120 {
				in := wildMessage(rng, i)
				in.QueueUrl = &dead
				if fifo {
					in.MessageGroupId, in.MessageDeduplicationId = aws.String("group-"+strconv.Itoa(i)), aws.String(strconv.Itoa(i))
				}
				if _, err := b.sqs.SendMessage(t.Context(), &in); err != nil {
					t.Fatalf("the sandbox does not take it: %v", err)
				}
				want[aws.ToString(in.MessageBody)] = in
			}
			plan := b.plan(ops.Ask{Verb: ops.Redrive, Queue: ops.ARN("work-dlq" + end), Select: ops.Selection{All: true}, To: "queue:work" + end})
			if r := b.apply(plan); r.State != ops.Finished || r.Deleted != len(want) {
				t.Fatalf("%+v", r)
			}
			got := b.inOrder(source)
			if len(got) != len(want) {
				t.Errorf("%d of %d arrived", len(got), len(want))
			}
			for _, m := range got {
				in, ok := want[aws.ToString(m.Body)]
				if !ok {
					t.Errorf("a body that was not sent: %.80q", aws.ToString(m.Body))
					continue
				}
				if diff := cmp.Diff(in.MessageAttributes, m.MessageAttributes, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(types.MessageAttributeValue{})); diff != "" {
					t.Errorf("attributes of %.40q: %s", *m.Body, diff)
				}
				if got, was := m.Attributes[ops.TraceAttribute], aws.ToString(in.MessageSystemAttributes[ops.TraceAttribute].StringValue); got != was {
					t.Errorf("trace header %q, was %q", got, was)
				}
				if got, was := m.Attributes[ops.GroupAttribute], aws.ToString(in.MessageGroupId); got != was {
					t.Errorf("group %q, was %q", got, was)
				}
			}
		})
	}
}

// legalRunes are the characters that SQS takes, the odd ones first.
var legalRunes = []rune("\t\n\r \"\\<&'{}[]%\u007f\u0085\u00a0\u2028\ud7ff\ue000\ufeff\ufffd\U00010000\U0001f600\U0010ffffäé漢字abc019")

func wildText(rng *rand.Rand, n int) string {
	var text strings.Builder
	for range n {
		text.WriteRune(legalRunes[rng.IntN(len(legalRunes))])
	}
	return text.String()
}

func wildMessage(rng *rand.Rand, i int) sqs.SendMessageInput {
	in := sqs.SendMessageInput{MessageBody: aws.String(strconv.Itoa(i) + wildText(rng, rng.IntN(600)))}
	types_ := []string{"String", "Number", "Binary", "String.json", "Number.float", "Binary.gif"}
	for n := range rng.IntN(11) {
		if in.MessageAttributes == nil {
			in.MessageAttributes = map[string]types.MessageAttributeValue{}
		}
		v := types.MessageAttributeValue{DataType: aws.String(types_[rng.IntN(len(types_))])}
		switch (*v.DataType)[0] {
		case 'B':
			v.BinaryValue = make([]byte, 1+rng.IntN(60))
			for j := range v.BinaryValue {
				v.BinaryValue[j] = byte(rng.Uint32())
			}
		case 'N': // the text of a number is kept, not its value
			v.StringValue = aws.String([]string{"0", "-1.50", "1e3", "0012", "3.14159265358979323846"}[rng.IntN(5)])
		default:
			v.StringValue = aws.String("v" + wildText(rng, rng.IntN(40)))
		}
		in.MessageAttributes[fmt.Sprintf("%c-name_%d.x", 'a'+rng.IntN(26), n)] = v
	}
	if rng.IntN(2) == 0 {
		in.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{ops.TraceAttribute: {DataType: aws.String("String"),
			StringValue: aws.String(fmt.Sprintf("Root=1-5759e988-%024x;Sampled=1", rng.Uint64()))}}
	}
	if rng.IntN(2) == 0 {
		in.MessageGroupId = aws.String("tenant-" + strconv.Itoa(rng.IntN(5))) // a fair queue
	}
	return in
}

// A receipt is only believed when SQS says that it took what was sent.
func TestAnAnswerAboutSomethingElseIsNotBelieved(t *testing.T) {
	m := ops.Message{ID: "1", Body: "hello", Attributes: map[string]ops.Attribute{"a": {Type: "String", Text: "x"}}, System: map[string]string{ops.TraceAttribute: "Root=1"}}
	trace := attributesSum(map[string]ops.Attribute{ops.TraceAttribute: {Type: "String", Text: "Root=1"}})
	good := func() types.SendMessageBatchResultEntry {
		return types.SendMessageBatchResultEntry{MessageId: aws.String("new"), MD5OfMessageBody: aws.String(m.Sum()),
			MD5OfMessageAttributes: aws.String(attributesSum(m.Attributes)), MD5OfMessageSystemAttributes: &trace}
	}
	s := &queueSender{}
	if r := s.check(m, good()); r.fate != sent || r.id != "new" {
		t.Fatalf("%+v", r)
	}
	for name, change := range map[string]func(*types.SendMessageBatchResultEntry){
		"body":       func(e *types.SendMessageBatchResultEntry) { e.MD5OfMessageBody = &trace },
		"no body":    func(e *types.SendMessageBatchResultEntry) { e.MD5OfMessageBody = nil },
		"attributes": func(e *types.SendMessageBatchResultEntry) { e.MD5OfMessageAttributes = &trace },
		"trace":      func(e *types.SendMessageBatchResultEntry) { e.MD5OfMessageSystemAttributes = e.MD5OfMessageBody },
	} {
		e := good()
		change(&e)
		if r := s.check(m, e); r.fate != unknown {
			t.Errorf("another checksum of the %s: %+v", name, r)
		}
	}
}
