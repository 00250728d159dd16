package payload

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"kxops/ops"
)

var lambdaDeadLetter = layer{
	name:       "Lambda dead letter",
	says:       "Lambda gave up an asynchronous event and put it here as it came, with the error in attributes; they do not name the function.",
	attributes: true,
	open:       openLambdaDeadLetter,
}

// openLambdaDeadLetter reads the attributes RequestID, ErrorCode and ErrorMessage
// (Lambda Developer Guide, invocation-async-retain-records).
func openLambdaDeadLetter(in *input) (ops.Layer, bool) {
	request, hasRequest := in.message.Attributes["RequestID"]
	code, hasCode := in.message.Attributes["ErrorCode"]
	if !hasRequest || !hasCode || !strings.HasPrefix(code.Type, "Number") {
		return ops.Layer{}, false
	}
	written := in.message.Attributes["ErrorMessage"].Text
	failure := &ops.Failure{RequestID: request.Text, Message: written}
	readError([]byte(written), failure)
	// 200 says that the function was reached and failed itself: no type of error.
	if failure.Type == "" && code.Text != "200" {
		failure.Type = code.Text
	}
	f := make(facts, 0, 4)
	f.add("Error", strings.TrimSpace(failure.Message))
	f.add("Error type", failure.Type)
	f.add("Error code", code.Text)
	f.add("Request id", request.Text)
	return ops.Layer{Facts: f, Failure: failure}, true
}

// readError reads {errorType, errorMessage, stackTrace} as runtimes write it. What
// is cut in the middle (the attribute holds 1 KB) gives what came before the cut.
func readError(written []byte, failure *ops.Failure) {
	if i := space(written, 0); i >= len(written) || written[i] != '{' {
		return
	}
	var memory [8]member
	members, _ := readMembers(written, memory[:0])
	if m := find(members, "errorMessage"); m != nil {
		failure.Message = str(m)
	}
	if t := find(members, "errorType"); t != nil {
		failure.Type = str(t)
	}
	trace := find(members, "stackTrace")
	if trace == nil {
		trace = find(members, "trace") // what Node.js writes
	}
	failure.Stack = readStack(trace)
}

const maxFrames = 64

// readStack gives frames innermost first. Python writes the innermost last, older
// ones as an array per frame; Node.js repeats the message before the frames.
func readStack(trace []byte) []string {
	var frames []string
	python := false
	EachElement(trace, func(_ int, raw []byte) bool {
		frame := ""
		if raw[0] == '[' {
			python = true
			EachElement(raw, func(_ int, part []byte) bool {
				frame = strings.TrimSpace(frame + " " + str(part))
				return true
			})
		} else {
			frame = strings.TrimSpace(str(raw))
			if strings.HasPrefix(frame, `File "`) { // two lines: the place, and its source
				python, frame = true, strings.Join(strings.Fields(frame), " ")
			}
		}
		if frame != "" {
			frames = append(frames, frame)
		}
		return len(frames) < maxFrames
	})
	if len(frames) > 1 && !strings.HasPrefix(frames[0], "at ") && strings.HasPrefix(frames[len(frames)-1], "at ") {
		frames = slices.DeleteFunc(frames, func(s string) bool { return !strings.HasPrefix(s, "at ") })
	}
	if python {
		slices.Reverse(frames)
	}
	return frames
}

var lambdaDestination = layer{
	name: "Lambda destination",
	says: "The record that Lambda sends to a destination: the event it ran on, what came of it, and which function it was.",
	open: openLambdaDestination,
}

func openLambdaDestination(in *input) (ops.Layer, bool) {
	context, request := in.raw("requestContext"), in.raw("requestPayload")
	if len(context) == 0 || context[0] != '{' || request == nil || !in.valid {
		return ops.Layer{}, false
	}
	failure := contextFailure(context, in.raw("responseContext"), in.text("timestamp"))
	if failure.Function == "" {
		return ops.Layer{}, false
	}
	readError(in.raw("responsePayload"), failure)
	f := make(facts, 0, 8)
	f.add("Error", failure.Message)
	f.add("Error type", failure.Type)
	f.contextOf(failure)
	l := ops.Layer{Facts: f, Body: request, Origin: string(failure.Function)}
	if failure.Condition != "Success" {
		l.Failure = failure
	}
	return l, true
}

// contextFailure reads what all records of Lambda destinations have in common.
func contextFailure(context, response []byte, at string) *ops.Failure {
	var memory [8]member
	members, _ := readMembers(context, memory[:0])
	attempts, err := strconv.Atoi(str(find(members, "approximateInvokeCount")))
	if err != nil || attempts < 0 {
		attempts = 0
	}
	return &ops.Failure{
		Function:  ops.ARN(str(find(members, "functionArn"))),
		RequestID: str(find(members, "requestId")),
		Condition: str(find(members, "condition")),
		Attempts:  attempts,
		Type:      Text(response, "functionError"),
		At:        timeOf(at),
	}
}

func (f *facts) contextOf(failure *ops.Failure) {
	f.add("Function", string(failure.Function))
	f.add("Gave up because", failure.Condition)
	if failure.Attempts > 0 {
		f.add("Attempts", strconv.Itoa(failure.Attempts))
	}
	if !failure.At.IsZero() {
		f.add("Gave up at", failure.At.Format(time.RFC3339))
	}
	f.add("Request id", failure.RequestID)
}

// timeOf reads the times that AWS writes into records; zero when it cannot.
func timeOf(written string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, written); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
