package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/rogpeppe/go-internal/testscript"

	"kxops/labs/sandbox"
	"kxops/ops/cloud"
)

// town is a sandbox whose clock the test moves, and the commands in it.
type town struct {
	t       *testing.T
	sb      *sandbox.Sandbox
	config  string
	records string
}

func newTown(t *testing.T, scenario, config string) *town {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Scenario: scenario, Seed: 1, Start: time.Date(2026, 11, 22, 3, 14, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return &town{t, sb, path, t.TempDir()}
}

// kxops runs one command line, and fails the test unless it ends with the code.
func (w *town) kxops(code int, line string, more ...string) (out, talk string) {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	s := &session{Streams: Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, meter: cloud.NewMeter()}
	s.enter = func(ctx context.Context, region string) (*account, error) {
		a, err := s.openDemo(ctx, w.sb, region)
		if err == nil {
			a.records = w.records
		}
		return a, err
	}
	root := s.root()
	root.SetArgs(append(append([]string{"--config", w.config}, strings.Fields(line)...), more...))
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if got := s.tell(root.ExecuteContext(ctx)); got != code {
		w.t.Fatalf("kxops %s: exit code %d, want %d\n%s%s", line, got, code, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

// alarms are the names of those that exist, by what their name begins with.
func (w *town) alarms(prefix string) map[string]cwtypes.MetricAlarm {
	w.t.Helper()
	found := map[string]cwtypes.MetricAlarm{}
	pages := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(w.sb.Config()), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, a := range page.MetricAlarms {
			found[aws.ToString(a.AlarmName)] = a
		}
	}
	return found
}

// inbox is a queue that hears a topic.
func (w *town) inbox(topic string) *string {
	w.t.Helper()
	queues := sqs.NewFromConfig(w.sb.Config())
	out, err := queues.CreateQueue(w.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(topic + "-inbox")})
	if err != nil {
		w.t.Fatal(err)
	}
	arn := "arn:aws:sqs:" + sandbox.HomeRegion + ":" + sandbox.Account + ":" + topic + "-inbox"
	topicARN := "arn:aws:sns:" + sandbox.HomeRegion + ":" + sandbox.Account + ":" + topic
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `"}]}`
	if _, err = queues.SetQueueAttributes(w.t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: out.QueueUrl, Attributes: map[string]string{"Policy": policy}}); err != nil {
		w.t.Fatal(err)
	}
	if _, err = sns.NewFromConfig(w.sb.Config()).Subscribe(w.t.Context(), &sns.SubscribeInput{TopicArn: &topicARN, Protocol: aws.String("sqs"), Endpoint: &arn}); err != nil {
		w.t.Fatal(err)
	}
	return out.QueueUrl
}

// heard are the names of the alarms whose messages lie in an inbox, with their state.
func (w *town) heard(inbox *string) map[string]string {
	w.t.Helper()
	queues, names := sqs.NewFromConfig(w.sb.Config()), map[string]string{}
	for {
		out, err := queues.ReceiveMessage(w.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: inbox, MaxNumberOfMessages: 10, VisibilityTimeout: 600})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return names
		}
		for _, m := range out.Messages {
			var envelope struct{ Message string }
			var alarm struct{ AlarmName, NewStateValue string }
			if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &envelope); err != nil {
				w.t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(envelope.Message), &alarm); err != nil {
				w.t.Fatal(err)
			}
			names[alarm.AlarmName] = alarm.NewStateValue
		}
	}
}

// The whole way: the incident's alarms are made, a second run changes nothing, who
// subscribed hears what rings, and nothing is left behind.
func TestAlarmsOfTheIncident(t *testing.T) {
	w := newTown(t, "incident", "")
	inbox := w.inbox("oncall")
	before := w.alarms("")
	out, _ := w.kxops(0, "--access change --yes alarms apply --topic oncall --loud")
	made := w.alarms("kxops/")
	if len(made) == 0 || !strings.Contains(out, ": done, ") {
		t.Fatalf("%d alarms were made\n%s", len(made), out)
	}
	if out, _ = w.kxops(0, "--access change --yes alarms apply --topic oncall --loud"); !strings.Contains(out, "no changes") || strings.Contains(out, "created") {
		t.Errorf("the second run\n%s", out)
	}
	w.sb.Advance(30 * time.Minute)
	heard := w.heard(inbox)
	for _, name := range []string{"kxops/dlq.loss/invoices-dlq"} {
		if heard[name] != "ALARM" {
			t.Errorf("nobody heard %s; heard were %v", name, heard)
		}
	}
	w.kxops(0, "--access change --yes alarms rm")
	if left := w.alarms(""); len(left) != len(before) {
		t.Errorf("%d alarms before, %d after: %v", len(before), len(left), left)
	}
}

// alarmCount is the script command "alarmcount PREFIX N": so many alarms have a
// name that begins so.
func alarmCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: alarmcount PREFIX N")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sb := *ts.Value(sandboxKey{}).(**sandbox.Sandbox)
	pages, n := cloudwatch.NewDescribeAlarmsPaginator(cloudwatch.NewFromConfig(sb.Config()), &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &args[0]}), 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		ts.Check(err)
		n += len(page.MetricAlarms) + len(page.CompositeAlarms)
	}
	if strconv.Itoa(n) != args[1] {
		ts.Fatalf("%d alarms begin with %s, want %s", n, args[0], args[1])
	}
}

// putAlarm is the script command "putalarm NAME": somebody else makes an alarm.
func putAlarm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: putalarm NAME")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sb := *ts.Value(sandboxKey{}).(**sandbox.Sandbox)
	_, err := cloudwatch.NewFromConfig(sb.Config()).PutMetricAlarm(ctx, &cloudwatch.PutMetricAlarmInput{
		AlarmName: &args[0], Namespace: aws.String("AWS/SQS"), MetricName: aws.String("NumberOfMessagesSent"), Statistic: cwtypes.StatisticSum,
		Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanThreshold,
	})
	ts.Check(err)
}

// Both topics of our alarms stay when a later command names none, and only a
// person takes them away.
func TestTopicsStay(t *testing.T) {
	w := newTown(t, "incident", "")
	w.kxops(0, "--access change --yes alarms apply --rule dlq.* --topic oncall --ticket-topic later --make-topic")
	out, talk := w.kxops(0, "alarms drift --check --rule dlq.*")
	if !strings.Contains(out, "no drift") || !strings.Contains(out, "page -> oncall · ticket -> later") || !strings.Contains(talk, "tell oncall") {
		t.Errorf("%s%s", out, talk)
	}
	if out, _ = w.kxops(10, "alarms drift --check --rule dlq.* --topic later"); !strings.Contains(out, "oncall -> ") {
		t.Errorf("another topic is no drift:\n%s", out)
	}
}

// A plan that was made, and sealed, for another account is refused, whatever it says.
func TestAlarmPlanOfAnotherAccount(t *testing.T) {
	w := newTown(t, "incident", "")
	path := filepath.Join(t.TempDir(), "kds.plan")
	w.kxops(0, "alarms plan --rule kds.loss --topic oncall --plan-out", path)
	plan, err := readAlarmPlan(path)
	if err != nil {
		t.Fatal(err)
	}
	plan.Account = "210987654321"
	if err := plan.Seal(); err != nil {
		t.Fatal(err)
	}
	other := path + ".other"
	if err := writePlan(other, plan); err != nil {
		t.Fatal(err)
	}
	_, talk := w.kxops(4, "--access change --yes alarms apply --plan", other)
	if !strings.Contains(talk, "210987654321") || len(w.alarms("kxops/")) > 0 {
		t.Errorf("it was said %q, and there are %d alarms", talk, len(w.alarms("kxops/")))
	}
}

// A word in the configuration and a tag on the resource decide, and the plan says why.
func TestAlarmOverrides(t *testing.T) {
	w := newTown(t, "incident", `
[alarms]
page_topic = "oncall"

[[alarms.override]]
rule = "dlq.loss"
resource = "invoices-dlq"
off = true
reason = "accounting looks every morning"

[[alarms.override]]
rule = "kds.loss"
resource = "clicks"
factor = 1.5
reason = "clicks are sampled"
`)
	queues := sqs.NewFromConfig(w.sb.Config())
	url, err := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("orders-dlq")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := queues.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: url.QueueUrl, Tags: map[string]string{"kxops:alarms": "off"}}); err != nil {
		t.Fatal(err)
	}
	out, _ := w.kxops(0, "alarms plan")
	for _, want := range []string{
		"switched off", "dlq.loss invoices-dlq: ", "accounting looks every morning", "dlq.loss orders-dlq: ",
		"> 64,800,000 ms = 18h", "clicks are sampled", "page and ticket -> oncall",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(out, "+ dlq.loss               invoices-dlq") {
		t.Errorf("what is off is created:\n%s", out)
	}
}

// Every answer is a document, or one a line where there are two, and says which.
func TestAlarmDocuments(t *testing.T) {
	w := newTown(t, "incident", "[alarms]\npage_topic = \"oncall\"\n")
	w.inbox("oncall")
	for _, c := range []struct {
		code    int
		line    string
		schemas string
	}{
		{0, "alarms rules", "kxops/alarm_rules/v1"},
		{0, "alarms coverage", "kxops/coverage/v1"},
		{0, "alarms plan --rule dlq.loss --backtest 3h", "kxops/alarms-plan/v1"},
		{10, "alarms drift --check", "kxops/alarms-plan/v1"},
		{0, "alarms backtest --over 3h --rule dlq.*", "kxops/backtest/v1"},
		{0, "--access change alarms apply --rule dlq.loss --dry-run", "kxops/alarms-plan/v1"},
		{0, "--access change --yes alarms apply --rule dlq.loss", "kxops/alarms-plan/v1 kxops/alarms-result/v1"},
		{0, "--access change --yes alarms apply --rule dlq.loss", "kxops/alarms-plan/v1"}, // no changes
		{0, "--access change --yes alarms drill kxops/dlq.loss/orders-dlq", "kxops/drill/v1"},
		{0, "--access change --yes alarms mute kxops/dlq.loss/orders-dlq --for 1h", "kxops/mutes/v1"},
		{0, "alarms mute ls", "kxops/mutes/v1"},
		{0, "alarms doctor", "kxops/checkup/v1"},
		{0, "--access change --yes alarms rm", "kxops/alarms-plan/v1 kxops/alarms-result/v1"},
	} {
		out, _ := w.kxops(c.code, "-o json "+c.line)
		var schemas []string
		for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
			var doc struct{ Schema string }
			if err := d.Decode(&doc); err != nil {
				t.Fatalf("%s: %v in\n%s", c.line, err, out)
			}
			schemas = append(schemas, doc.Schema)
		}
		if got := strings.Join(schemas, " "); got != c.schemas {
			t.Errorf("%s: %q, want %q", c.line, got, c.schemas)
		}
	}
}
