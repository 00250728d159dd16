package watch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// What the alarms are worth: the faults that the incident injects, which set of
// alarms notices them and how fast, and what rings without a fault. The histories
// are the sandbox's, the evaluation is the backtest's, which is held against the
// sandbox's own engine elsewhere (TestABacktestRingsWhenTheAlarmsRang).

// injected is one fault of the incident: when it began, which rule is meant to
// notice it, and the resources where it shows.
type injected struct {
	name  string
	ago   time.Duration // before the scenario opens
	meant []string      // "rule resource"
	shows []string
}

// incidentFaults are those of labs/sandbox/scenario_incident.go.
var incidentFaults = []injected{
	{"a record that payments-ledger cannot book stops the shard", 21*time.Hour + 30*time.Minute,
		[]string{"lambda.errors_stream payments-ledger", "kds.stall payments", "kds.loss payments", "lambda.stream_loss payments-ledger"}, []string{"payments", "payments-ledger"}},
	{"records that fraud-score gives up", 20 * time.Hour, []string{"dlq.nonempty payments-failures"}, []string{"payments-failures", "fraud-score"}},
	{"old invoices are about to expire", 185 * time.Minute, []string{"dlq.loss invoices-dlq", "dlq.nonempty invoices-dlq"}, []string{"invoices-dlq"}},
	{"an app sends totals as text", 130 * time.Minute, []string{"dlq.nonempty orders-dlq", "dlq.growing orders-dlq"}, []string{"orders", "orders-worker", "orders-dlq"}},
	{"an app uploads photos that cannot be read", 70 * time.Minute, []string{"dlq.nonempty thumbnails-dlq", "lambda.errors_rate thumbnails"}, []string{"thumbnails", "thumbnails-dlq"}},
	{"audit-to-s3 loses its rights", 40 * time.Minute, []string{"fh.delivery_errors audit-to-s3", "fh.blocked audit-to-s3"}, []string{"audit-to-s3"}},
}

// rung is one alarm that rang.
type rung struct {
	rule, resource string
	page           bool
	first          time.Time
	fired          int
}

func (p past) rung(t *testing.T, specs []alarms.Spec, over time.Duration) (all []rung, b alarms.Backtest) {
	t.Helper()
	b, err := p.desk.Backtest(t.Context(), specs, over, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range b.Trials {
		if x.Unknown != "" {
			t.Fatalf("%s: %s", x.Name, x.Unknown)
		}
		if x.Fired > 0 {
			s := specNamed(specs, x.Name)
			all = append(all, rung{s.Rule, s.Resource.Name(), s.Severity == alarms.Page, x.First, x.Fired})
		}
	}
	return all, b
}

// worth is how a set of alarms did.
type worth struct {
	set     string
	alarms  int
	delays  []string // by fault: minutes to the first alarm that shows it, "-" when none
	caught  int
	rang    int // alarms that rang in the incident
	astray  int // of them, on resources without a fault
	calm    int // alarms that rang in six calm hours
	firings int // how often
}

func TestEachFaultIsCaughtAndNothingElsePages(t *testing.T) {
	incident, quiet := pastOf(t, "incident"), pastOf(t, "calm")
	open := incident.Now()
	incident.Advance(20 * time.Minute)
	quiet.Advance(6 * time.Hour)
	var rows []worth
	for _, set := range []struct {
		name string
		of   func(ops.Snapshot) []alarms.Spec
	}{
		{"kxops, set E", func(s ops.Snapshot) []alarms.Spec {
			return alarms.Want(s, alarms.Settings{Tier: alarms.Essential}, open).Specs
		}},
		{"kxops, set R", func(s ops.Snapshot) []alarms.Spec {
			return alarms.Want(s, alarms.Settings{Tier: alarms.Recommended}, open).Specs
		}},
		{"slic-watch defaults", slicWatch},
		{"AWS list, rows with a number", awsList},
		{"AWS list, read kindly", awsKindly},
	} {
		ours := strings.HasPrefix(set.name, "kxops")
		specs := set.of(incident.snap)
		all, _ := incident.rung(t, specs, 22*time.Hour+15*time.Minute)
		w := worth{set: set.name, alarms: len(specs), rang: len(all)}
		for _, f := range incidentFaults {
			began, first := open.Add(-f.ago), time.Time{}
			for _, x := range all {
				if slices.Contains(f.shows, x.resource) && !x.first.Before(began) && (first.IsZero() || x.first.Before(first)) {
					first = x.first
				}
			}
			if first.IsZero() {
				w.delays = append(w.delays, "-")
				continue
			}
			w.caught++
			w.delays = append(w.delays, fmt.Sprintf("%.0f", first.Sub(began).Minutes()))
		}
		for _, x := range all {
			known := slices.ContainsFunc(incidentFaults, func(f injected) bool { return slices.Contains(f.shows, x.resource) })
			if !known {
				w.astray++
			}
			if ours && !slices.ContainsFunc(incidentFaults, func(f injected) bool { return slices.Contains(f.meant, x.rule+" "+x.resource) }) && (x.page || !known) {
				t.Errorf("%s: %s rang for %s, which no fault explains", set.name, x.rule, x.resource)
			}
		}
		if ours {
			for _, f := range incidentFaults {
				if !slices.ContainsFunc(all, func(x rung) bool { return x.rule+" "+x.resource == f.meant[0] }) {
					t.Errorf("%s: %s is not caught by %s", set.name, f.name, f.meant[0])
				}
			}
		}
		calm, _ := quiet.rung(t, set.of(quiet.snap), 6*time.Hour)
		for _, x := range calm {
			w.calm++
			w.firings += x.fired
			if ours {
				t.Errorf("%s: %s rang for %s on a calm day", set.name, x.rule, x.resource)
			}
		}
		rows = append(rows, w)
	}
	for i, f := range incidentFaults {
		line := fmt.Sprintf("| %s |", f.name)
		for _, w := range rows {
			line += " " + w.delays[i] + " |"
		}
		t.Log(line)
	}
	for _, w := range rows {
		precision := 0.0
		if w.rang > 0 {
			precision = 1 - float64(w.astray)/float64(w.rang)
		}
		t.Logf("%s: %d alarms; recall %d of %d; %d rang, %d astray: precision %.2f; calm: %d rang, %d times", w.set, w.alarms, w.caught, len(incidentFaults), w.rang, w.astray, precision, w.calm, w.firings)
	}
}

func plain(rule string, arn ops.ARN, namespace, metric, dimension, stat string, m, n int, c alarms.Comparison, threshold float64, missing string) alarms.Spec {
	return alarms.Spec{
		Name: rule + "/" + metric + "/" + string(arn), Rule: rule, Resource: arn, Stat: stat, Period: 60, M: m, N: n, Comparison: c, Threshold: threshold, Missing: missing,
		Query: alarms.Query{Namespace: namespace, Metric: metric, Dimensions: map[string]string{dimension: arn.Name()}},
	}
}

// slicWatch is what slic-watch 3.3 would create with its defaults (project facts,
// alarms section 2): 1 of 1 minute, missing data good, no DLQ, no Firehose.
func slicWatch(s ops.Snapshot) (all []alarms.Spec) {
	add := func(arn ops.ARN, namespace, metric, dimension, stat string, c alarms.Comparison, threshold float64) {
		all = append(all, plain("slic", arn, namespace, metric, dimension, stat, 1, 1, c, threshold, alarms.MissingIsGood))
	}
	for _, x := range s.Streams.Items {
		add(x.ARN, "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", "Maximum", alarms.Above, 10_000)
		add(x.ARN, "AWS/Kinesis", "ReadProvisionedThroughputExceeded", "StreamName", "Sum", alarms.Above, 0)
		add(x.ARN, "AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", "Sum", alarms.Above, 0)
		add(x.ARN, "AWS/Kinesis", "PutRecord.Success", "StreamName", "Average", alarms.Below, 1)
		add(x.ARN, "AWS/Kinesis", "PutRecords.Success", "StreamName", "Average", alarms.Below, 1)
		add(x.ARN, "AWS/Kinesis", "GetRecords.Success", "StreamName", "Average", alarms.Below, 1)
	}
	for _, x := range s.Queues.Items {
		add(x.ARN, "AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", "Maximum", alarms.Above, 96_000)
	}
	for _, x := range s.Functions.Items {
		add(x.ARN, "AWS/Lambda", "Errors", "FunctionName", "Sum", alarms.Above, 0)
		add(x.ARN, "AWS/Lambda", "Throttles", "FunctionName", "Sum", alarms.Above, 0)
		add(x.ARN, "AWS/Lambda", "Duration", "FunctionName", "Maximum", alarms.Above, 0.95*1000*x.Timeout.Seconds())
		add(x.ARN, "AWS/Lambda", "IteratorAge", "FunctionName", "Maximum", alarms.Above, 10_000)
	}
	for _, x := range s.Topics.Items {
		add(x.ARN, "AWS/SNS", "NumberOfNotificationsFailed", "TopicName", "Sum", alarms.Above, 1)
		add(x.ARN, "AWS/SNS", "NumberOfNotificationsFilteredOut-InvalidAttributes", "TopicName", "Sum", alarms.Above, 1)
	}
	return all
}

// awsList is the rows of AWS's recommended alarms that can be created as they stand:
// a number is given, or zero, or half of the retention (project facts, appendix A).
func awsList(s ops.Snapshot) (all []alarms.Spec) {
	add := func(arn ops.ARN, namespace, metric, dimension, stat string, n int, c alarms.Comparison, threshold float64, missing string) {
		all = append(all, plain("aws", arn, namespace, metric, dimension, stat, n, n, c, threshold, missing))
	}
	for _, x := range s.Streams.Items {
		add(x.ARN, "AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", "Maximum", 15, alarms.Above, 500*x.Retention.Seconds(), alarms.MissingIsBad)
		add(x.ARN, "AWS/Kinesis", "PutRecords.FailedRecords", "StreamName", "Sum", 5, alarms.Above, 0, alarms.MissingIsGood)
		add(x.ARN, "AWS/Kinesis", "ReadProvisionedThroughputExceeded", "StreamName", "Average", 5, alarms.Above, 0, alarms.MissingIsGood)
		add(x.ARN, "AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", "Average", 5, alarms.Above, 0, alarms.MissingIsGood)
	}
	for _, x := range s.Queues.Items {
		add(x.ARN, "AWS/SQS", "NumberOfMessagesSent", "QueueName", "Sum", 15, alarms.AtMost, 0, alarms.MissingIsMissing)
	}
	for _, x := range s.Functions.Items {
		add(x.ARN, "AWS/Lambda", "Errors", "FunctionName", "Sum", 3, alarms.Above, 0, alarms.MissingIsMissing)
		add(x.ARN, "AWS/Lambda", "Throttles", "FunctionName", "Sum", 5, alarms.AtLeast, 1, alarms.MissingIsMissing)
	}
	for _, x := range s.Topics.Items {
		add(x.ARN, "AWS/SNS", "NumberOfNotificationsFailed", "TopicName", "Sum", 5, alarms.Above, 0, alarms.MissingIsGood)
		add(x.ARN, "AWS/SNS", "NumberOfNotificationsRedrivenToDlq", "TopicName", "Sum", 5, alarms.Above, 0, alarms.MissingIsGood)
		add(x.ARN, "AWS/SNS", "NumberOfNotificationsFailedToRedriveToDlq", "TopicName", "Sum", 5, alarms.Above, 0, alarms.MissingIsGood)
		add(x.ARN, "AWS/SNS", "NumberOfNotificationsFilteredOut-InvalidAttributes", "TopicName", "Sum", 5, alarms.Above, 0, alarms.MissingIsGood)
	}
	return all
}
