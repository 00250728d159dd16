package payload

import (
	"strconv"
	"time"

	"kxops/ops"
)

var logsEvent = layer{
	name: "CloudWatch Logs event",
	says: "The event that Lambda gives a function for a log subscription: the log events, in gzip, in base64.",
	open: openLogsEvent,
}

func openLogsEvent(in *input) (ops.Layer, bool) {
	logs := in.raw("awslogs")
	if logs == nil || !in.valid {
		return ops.Layer{}, false
	}
	data, ok := Field(logs, "data")
	if !ok {
		return ops.Layer{}, false
	}
	inside, ok := Unquote(data)
	if !ok {
		return ops.Layer{}, false
	}
	return ops.Layer{Body: inside}, true
}

var logsData = layer{
	name: "CloudWatch Logs data",
	says: "Log events of one log stream, as a subscription delivers them.",
	open: openLogsData,
}

func openLogsData(in *input) (ops.Layer, bool) {
	kind, group := in.text("messageType"), in.text("logGroup")
	events := in.raw("logEvents")
	if events == nil || kind != "DATA_MESSAGE" && kind != "CONTROL_MESSAGE" || !in.valid {
		return ops.Layer{}, false
	}
	l := ops.Layer{Event: kind, Origin: group}
	if kind == "CONTROL_MESSAGE" {
		l.Harmless = "CloudWatch Logs sent it to check that the destination answers; it holds no log event"
	}
	var first, last string
	EachElement(events, func(i int, event []byte) bool {
		l.Parts = append(l.Parts, []byte(Text(event, "message")))
		at, _ := Field(event, "timestamp")
		if last = str(at); i == 0 {
			first = last
		}
		return len(l.Parts) < maxParts
	})
	f := make(facts, 0, 6)
	f.add("Log group", group)
	f.add("Log stream", in.text("logStream"))
	f.add("Log events", strconv.Itoa(len(l.Parts)))
	f.add("First", written(first))
	f.add("Last", written(last))
	f.add("Account", in.text("owner"))
	l.Facts = f
	return l, true
}

// written shows milliseconds since 1970 as a time, and what is no such number as
// it is.
func written(ms string) string {
	n, err := strconv.ParseInt(ms, 10, 64)
	if t := millis(n); err == nil && !t.IsZero() {
		return t.Format("2006-01-02T15:04:05.000Z")
	}
	return ms
}

// millis is the time of milliseconds since 1970; zero for none, and for what no
// clock of ours could have said.
func millis(n int64) time.Time {
	if n <= 0 || n > 1<<42 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}
