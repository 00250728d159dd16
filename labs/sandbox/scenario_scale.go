package sandbox

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"kxops/ops"
)

// The size of scale.
const (
	scaleStreams    = 100
	scaleQueues     = 500 // dead-letter queues included
	scaleDeadQueues = 100
	scaleDeliveries = 50
	scaleFunctions  = 200
	scaleTopics     = 8
)

var (
	teams    = []string{"basket", "billing", "catalog", "delivery", "fraud", "identity", "insight", "loyalty", "returns", "search"}
	subjects = []string{"events", "changes", "audit", "exports", "prices", "sessions", "scores", "labels", "stock", "mails"}
)

// scaleName gives the i-th resource of a kind a name that a person could have given.
func scaleName(i int) string {
	name := teams[i%len(teams)] + "-" + subjects[i/len(teams)%len(subjects)]
	if n := i / (len(teams) * len(subjects)); n > 0 {
		name += fmt.Sprintf("-%d", n+1)
	}
	return name
}

// scale is an account of a size at which tools become slow. Its traffic exists as
// metrics only, a minute at a time, except in the queues that have dead letters.
func scale(st *stage) {
	m := st.r.metrics
	m.keep = int64((shopHistory + 15*time.Minute).Minutes()) // some thousand series: a day of them would not fit
	m.room = m.keep + 61                                     // they are trimmed by the hour
	streams := st.scaleStreams()
	queues := st.scaleQueues()
	st.scaleDeliveries(streams)
	st.scaleFunctions(streams, queues)
	for i := range scaleTopics {
		topic := act[sns.CreateTopicOutput](st, "sns", "CreateTopic", &sns.CreateTopicInput{Name: aws.String(teams[i] + "-notices")})
		for j := range 3 {
			st.subscribe(ops.ARN(aws.ToString(topic.TopicArn)), queues[i*3+j].arn)
		}
	}
	st.alarms()
	for i := range 12 {
		name := scaleName(i * 7)
		st.alarm(name+" iterator age", "Somebody reads late.", "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", name, 3600*1000, "notBreaching")
	}
}

// scaleStreams makes streams whose readers keep up, but for five.
func (st *stage) scaleStreams() []*stream {
	k, out := kinesisIn(st.r), make([]*stream, scaleStreams)
	for i := range out {
		s := k.create(scaleName(i), 1+i%4)
		perMinute := float64(60 * (1 + i*i%37))
		s.flow = func(t time.Time) (records, bytes float64) {
			records = float64(int(perMinute * busy(t)))
			return records, records * 420
		}
		reader := s.poll()
		switch i {
		case 17: // stopped long ago: the worst
			reader.position, reader.speed = st.r.now().Add(-16*time.Hour), 0
		case 42: // stopped an hour and a half ago
			st.before(90*time.Minute, func() { reader.speed = 0 })
		case 63: // too slow since two hours
			st.before(2*time.Hour, func() { reader.speed = 0.7 })
		case 71: // catching up
			reader.position, reader.speed = st.r.now().Add(-5*time.Hour), 1.8
		case 88: // does not read any more
			st.before(50*time.Minute, func() { reader.stopped = true })
		}
		out[i] = s
	}
	for i := 0; i < scaleStreams; i += 9 {
		out[i].subscribe(out[i].register(out[i].name + "-live"))
	}
	return out
}

// scaleQueues makes pairs of a queue and its dead-letter queue, and queues without
// one. Most dead-letter queues and a third of the others have slept for hours.
func (st *stage) scaleQueues() []*queue {
	var sources, dead []*queue
	for i := range scaleDeadQueues {
		d := st.queue(scaleName(i)+"-dlq", "MessageRetentionPeriod", fourteenDays)
		dead = append(dead, d)
		sources = append(sources, st.queue(scaleName(i)+"-jobs", "VisibilityTimeout", "60", "RedrivePolicy", st.deadLettersTo(d, 3)))
	}
	for i := range scaleQueues - 2*scaleDeadQueues {
		sources = append(sources, st.queue(scaleName(i)+"-tasks"))
	}
	asleep := st.r.now().Add(-2 * queueAwake)
	for i, d := range dead {
		if i%9 != 0 {
			d.active = asleep
		}
	}
	for i, q := range sources {
		if i%3 == 2 {
			q.active = asleep
			continue
		}
		st.flowing(q, float64(6+i*7%50))
	}
	for i := 0; i < 5; i++ { // these fill
		d, from := dead[i*9], sources[i*9]
		st.arrivals(perSecond(float64(i+1)/600), func() {
			m := d.accept(&message{body: st.order().withCommaTotal(), sender: senderOf(""), source: from.arn, receives: 3}, -1)
			d.backdate(m, m.sent.Add(-3*time.Minute), m.arrived)
		})
	}
	for i := 5; i < 9; i++ { // these were left alone
		d, from := dead[i*9], sources[i*9]
		for j := range 4 + 9*i {
			m := d.accept(&message{body: st.order().withoutZip(), sender: senderOf(""), source: from.arn, receives: 3}, -1)
			came := st.r.now().Add(-time.Duration(i)*17*time.Hour - time.Duration(j)*time.Minute)
			d.backdate(m, came.Add(-3*time.Minute), came)
		}
	}
	return sources
}

// flowing gives a queue the metrics of a healthy one without any messages.
func (st *stage) flowing(q *queue, perMinute float64) {
	st.r.every(time.Minute, func(now time.Time) {
		at, n := now.Add(-time.Second), float64(int(perMinute*busy(now)))
		q.touch(at)
		q.counted(q.sentMetric, at, n)
		q.counted(q.receivedMetric, at, n)
		q.counted(q.deletedMetric, at, n)
	})
}

// scaleDeliveries makes Firehoses, half of them behind streams; two roles are denied.
func (st *stage) scaleDeliveries(streams []*stream) {
	st.r.addBucket("lake")
	for i := range scaleDeliveries {
		source := ops.ARN("")
		if i%2 == 0 {
			source = streams[i].arn
		}
		d := st.delivery(scaleName(i)+"-to-s3", "lake", source, int32(60+60*(i%10)))
		perMinute := float64(60 * (2 + i*5%41))
		d.flow = func(t time.Time) (records, bytes float64) {
			records = float64(int(perMinute * busy(t)))
			return records, records * 380
		}
	}
	for _, i := range []int{11, 30} {
		role := st.role(scaleName(i) + "-to-s3")
		st.before(time.Duration(30+i)*time.Minute, func() { firehoseIn(st.r).denied[role] = true })
	}
}

// scaleFunctions makes a reader for each stream and workers for queues. Their
// mappings do not poll: the functions run in metrics only.
func (st *stage) scaleFunctions(streams []*stream, queues []*queue) {
	for i := range scaleFunctions {
		var name string
		var source ops.ARN
		if i < len(streams) {
			name, source = streams[i].name+"-reader", streams[i].arn
		} else {
			q := queues[i-len(streams)]
			name, source = strings.TrimSuffix(q.name, "-jobs")+"-worker", q.arn
		}
		st.function(name, nil)
		st.mapping(name, source, func(in *lambda.CreateEventSourceMappingInput) {
			in.FunctionResponseTypes = []types.FunctionResponseType{types.FunctionResponseTypeReportBatchItemFailures}
		})
		f := st.r.functions.functions[name]
		var s *stream
		if i < len(streams) {
			s = streams[i]
		} else if i%3 == 2 {
			continue // nothing to do: no datapoints, as with a function that is not invoked
		}
		st.r.every(time.Minute, func(now time.Time) { f.minute(now.Add(-time.Second), s, float64(20+i%40)) })
	}
	for _, m := range st.r.functions.mappings {
		m.polls++ // voids the poll that is scheduled
		m.config.State = aws.String("Enabled")
		if m.source.Service() == "kinesis" {
			m.config.LastProcessingResult = aws.String(resultOK)
		}
	}
	stuck := func(i int) {
		for _, m := range st.r.functions.mappings {
			if m.source == streams[i].arn {
				m.config.LastProcessingResult = aws.String(resultFailed)
			}
		}
	}
	stuck(17)
	st.before(90*time.Minute, func() { stuck(42) })
}

// minute plays a minute of a function's calls; s is the stream it reads, if any.
func (f *function) minute(at time.Time, s *stream, calls float64) {
	calls, errors := float64(int(calls*busy(at))), 0.0
	if s != nil {
		reader := s.readers[0]
		if reader.stopped {
			return
		}
		if reader.speed == 0 { // the same batch, tried again and again
			calls, errors = 2, 2
		}
		if f.metrics.iteratorAge == nil {
			f.metrics.iteratorAge = f.metrics.series("IteratorAge", "Milliseconds")
		}
		age := float64(max(0, at.Sub(reader.position)).Milliseconds())
		f.metrics.iteratorAge.merge(at, datapoint{sum: age * calls, min: age, max: age, count: calls})
	}
	ms := 20 + float64(hash32(f.name())%90)
	m := &f.metrics
	m.invocations.merge(at, many(calls, calls))
	m.errors.merge(at, datapoint{sum: errors, max: min(1, errors), min: min(1, errors), count: calls})
	m.throttles.merge(at, many(0, calls))
	m.duration.merge(at, datapoint{sum: ms * calls, min: ms * 0.7, max: ms * 1.9, count: calls})
	m.concurrent.merge(at, datapoint{sum: calls, min: 1, max: 2, count: calls})
}
