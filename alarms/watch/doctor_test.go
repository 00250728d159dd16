package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/alarms"
	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

// listener subscribes a new queue to a topic and returns the queue's URL and the
// subscription.
func (p *place) listener(t testing.TB, topic ops.ARN, name string) (url, subscription string) {
	t.Helper()
	c := sqs.NewFromConfig(p.Config())
	arn := "arn:aws:sqs:" + region + ":" + sandbox.Account + ":" + name
	policy := `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `"}]}`
	out, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"Policy": policy}})
	must(t, err)
	sub, err := p.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: aws.String(string(topic)), Protocol: aws.String("sqs"), Endpoint: &arn, ReturnSubscriptionArn: true})
	must(t, err)
	return aws.ToString(out.QueueUrl), aws.ToString(sub.SubscriptionArn)
}

// heard is a topic with a subscriber.
func (p *place) heard(t testing.TB, name string) ops.ARN {
	t.Helper()
	topic := p.topic(t, name)
	p.listener(t, topic, "to-"+name)
	return topic
}

func (p *place) setTopic(t testing.TB, topic ops.ARN, attribute, value string) {
	t.Helper()
	_, err := p.sns.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: aws.String(string(topic)), AttributeName: &attribute, AttributeValue: &value})
	must(t, err)
}

// errorsAlarm is an alarm on App Errors, which has data in a place that is ready.
func errorsAlarm(name string, actions ...ops.ARN) *cloudwatch.PutMetricAlarmInput {
	in := &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, Namespace: aws.String("App"), MetricName: aws.String("Errors"), Statistic: types.StatisticSum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(10), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, TreatMissingData: aws.String("missing"),
	}
	for _, a := range actions {
		in.AlarmActions = append(in.AlarmActions, string(a))
	}
	return in
}

// beat publishes a good value for the present minute.
func (p *place) beat(t testing.TB) {
	t.Helper()
	_, err := p.cw.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("App"),
		MetricData: []types.MetricDatum{{MetricName: aws.String("Errors"), Value: aws.Float64(1), Timestamp: aws.Time(p.Now())}}})
	must(t, err)
}

// judged goes on until the alarms on App Errors have been judged once.
func (p *place) judged(t testing.TB) {
	t.Helper()
	for range 3 {
		p.beat(t)
		p.Advance(time.Minute)
	}
}

func (p *place) doctor(t testing.TB, s ops.Snapshot) alarms.Checkup {
	t.Helper()
	c, err := p.desk.Doctor(t.Context(), s)
	must(t, err)
	return c
}

func shown(c alarms.Checkup) string {
	var b strings.Builder
	fmt.Fprintf(&b, "checked %d, healthy %d\n", c.Checked, c.Healthy)
	for _, a := range c.Ailments {
		fmt.Fprintf(&b, "%s %s unknown=%v %q\n  %s\n  fix: %.300s\n", a.Severity, a.Kind, a.Unknown, a.Alarms[:min(3, len(a.Alarms))], a.What, a.Fix)
	}
	for _, s := range c.Partial {
		fmt.Fprintln(&b, "partial:", s)
	}
	return b.String()
}

func policyFor(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

// TestDoctorFollowsTheAlarmToItsListeners has one thing wrong in each case.
func TestDoctorFollowsTheAlarmToItsListeners(t *testing.T) {
	allow := `{"Effect":"Allow","Principal":{"Service":"cloudwatch.amazonaws.com"},"Action":"SNS:Publish","Resource":"*"}`
	for _, c := range []struct {
		name     string
		set      func(t *testing.T, p *place) []ops.ARN // the alarm's actions
		kind     string
		severity alarms.Severity
		unknown  bool
		says     string
		fix      string
	}{
		{name: "all is well", set: func(t *testing.T, p *place) []ops.ARN { return []ops.ARN{p.heard(t, "well")} }},
		{name: "no action", set: func(*testing.T, *place) []ops.ARN { return nil }, kind: "no_action", severity: alarms.Ticket, says: "no action for ALARM"},
		{name: "the topic is gone", set: func(t *testing.T, p *place) []ops.ARN { return []ops.ARN{ops.ARN(string(p.page) + "-gone")} },
			kind: "topic_gone", severity: alarms.Page, says: "oncall-gone does not exist", fix: "aws sns create-topic --name oncall-gone"},
		{name: "nobody listens", set: func(t *testing.T, p *place) []ops.ARN { return []ops.ARN{p.page} },
			kind: "no_subscriber", severity: alarms.Page, says: "oncall has no subscriber", fix: "aws sns subscribe --topic-arn arn:aws:sns:"},
		{name: "nobody has confirmed", set: func(t *testing.T, p *place) []ops.ARN {
			_, err := p.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: aws.String(string(p.page)), Protocol: aws.String("email"), Endpoint: aws.String("ops@example.com")})
			must(t, err)
			return []ops.ARN{p.page}
		}, kind: "unconfirmed", severity: alarms.Page, says: "email ops@example.com"},
		{name: "encrypted with AWS's key", set: func(t *testing.T, p *place) []ops.ARN {
			topic := p.heard(t, "sealed")
			p.setTopic(t, topic, "KmsMasterKeyId", "alias/aws/sns")
			return []ops.ARN{topic}
		}, kind: "topic_key", severity: alarms.Page, says: "alias/aws/sns", fix: "kms:GenerateDataKey*"},
		{name: "encrypted with a key of one's own", set: func(t *testing.T, p *place) []ops.ARN {
			topic := p.heard(t, "sealed")
			p.setTopic(t, topic, "KmsMasterKeyId", "alias/mine")
			return []ops.ARN{topic}
		}, kind: "topic_key", severity: alarms.Info, unknown: true, says: "must let cloudwatch.amazonaws.com do kms:GenerateDataKey* and kms:Decrypt", fix: "aws kms get-key-policy --policy-name default --key-id alias/mine"},
		{name: "the policy lets somebody else publish", set: func(t *testing.T, p *place) []ops.ARN {
			topic := p.heard(t, "other")
			p.setTopic(t, topic, "Policy", policyFor(strings.ReplaceAll(allow, "cloudwatch.amazonaws", "events.amazonaws")))
			return []ops.ARN{topic}
		}, kind: "topic_policy", severity: alarms.Page, says: "does not let CloudWatch publish"},
		{name: "the policy lets CloudWatch publish", set: func(t *testing.T, p *place) []ops.ARN {
			topic := p.heard(t, "good")
			p.setTopic(t, topic, "Policy", policyFor(allow))
			return []ops.ARN{topic}
		}},
		{name: "the policy denies it", set: func(t *testing.T, p *place) []ops.ARN {
			topic := p.heard(t, "denied")
			p.setTopic(t, topic, "Policy", policyFor(allow+`,{"Sid":"NoAlarms","Effect":"Deny","Principal":"*","Action":"sns:*","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:cloudwatch:*:*:alarm:*"}}}`))
			return []ops.ARN{topic}
		}, kind: "topic_policy", severity: alarms.Page, says: "statement NoAlarms denies it"},
		{name: "the policy is for an organization", set: func(t *testing.T, p *place) []ops.ARN {
			topic := p.heard(t, "org")
			p.setTopic(t, topic, "Policy", policyFor(strings.Replace(allow, `"Resource"`, `"Condition":{"StringEquals":{"aws:SourceOrgID":"o-1"}},"Resource"`, 1)))
			return []ops.ARN{topic}
		}, kind: "topic_policy", severity: alarms.Info, unknown: true, says: "aws:SourceOrgID cannot be judged"},
		{name: "a filter drops alarms", set: func(t *testing.T, p *place) []ops.ARN {
			_, sub := p.listener(t, p.page, "picky")
			_, err := p.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &sub, AttributeName: aws.String("FilterPolicy"), AttributeValue: aws.String(`{"kind":["order"]}`)})
			must(t, err)
			return []ops.ARN{p.page}
		}, kind: "filtered", severity: alarms.Page, says: "every subscription"},
		{name: "a machine is told", set: func(*testing.T, *place) []ops.ARN {
			return []ops.ARN{"arn:aws:lambda:" + region + ":" + sandbox.Account + ":function:page"}
		}, kind: "action_unchecked", unknown: true, says: "is no SNS topic"},
		{name: "the topic may not be read", set: func(t *testing.T, p *place) []ops.ARN {
			topic := p.heard(t, "secret")
			p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sns", Operation: "GetTopicAttributes"})
			return []ops.ARN{topic}
		}, kind: "topic_unread", unknown: true, says: "could not be checked", fix: "sns:GetTopicAttributes"},
		{name: "the subscribers may not be read", set: func(t *testing.T, p *place) []ops.ARN {
			topic := p.heard(t, "secret")
			p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sns", Operation: "ListSubscriptionsByTopic"})
			return []ops.ARN{topic}
		}, kind: "no_subscriber", unknown: true, says: "who listens to the topic secret is not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := at(t, "")
			p.beat(t)
			p.Advance(time.Minute)
			p.put(t, errorsAlarm("checkout", c.set(t, p)...))
			p.judged(t)
			got := p.doctor(t, p.look())
			if c.kind == "" {
				if got.Checked != 1 || got.Healthy != 1 || len(got.Ailments)+len(got.Partial) > 0 {
					t.Fatal(shown(got))
				}
				return
			}
			if got.Checked != 1 || got.Healthy != 0 || len(got.Ailments) != 1 {
				t.Fatal(shown(got))
			}
			a := got.Ailments[0]
			if a.Kind != c.kind || a.Severity != c.severity || a.Unknown != c.unknown || !strings.Contains(a.What, c.says) || !strings.Contains(a.Fix, c.fix) || a.Fix == "" || a.Alarm != "checkout" {
				t.Fatal(shown(got))
			}
		})
	}
}

// TestDoctorSaysOneCauseOnce: all alarms that share a cause are one ailment, with
// one command for all of them.
func TestDoctorSaysOneCauseOnce(t *testing.T) {
	p := at(t, "")
	topic := p.heard(t, "well")
	for i := range 120 {
		in := errorsAlarm(fmt.Sprintf("it's %03d", i), topic)
		in.ActionsEnabled = aws.Bool(false)
		p.put(t, in)
	}
	p.judged(t)
	got := p.doctor(t, p.look())
	if len(got.Ailments) != 1 || got.Checked != 120 || got.Healthy != 0 {
		t.Fatal(shown(got))
	}
	a := got.Ailments[0]
	lines := strings.Split(a.Fix, "\n")
	if a.Kind != "actions_off" || len(a.Alarms) != 120 || len(lines) != 2 || !strings.Contains(lines[1], `'it'\''s 119'`) || strings.Contains(lines[1], "it'\\''s 099") {
		t.Fatal(shown(got))
	}
}

// TestDoctorKnowsComposites: a child whose composite acts needs no action.
func TestDoctorKnowsComposites(t *testing.T) {
	p := at(t, "")
	p.put(t, errorsAlarm("child"))
	p.put(t, errorsAlarm("orphan"))
	_, err := p.cw.PutCompositeAlarm(t.Context(), &cloudwatch.PutCompositeAlarmInput{AlarmName: aws.String("all"), AlarmRule: aws.String(`NOT (OK("child"))`), AlarmActions: []string{string(p.heard(t, "well"))}})
	must(t, err)
	p.judged(t)
	got := p.doctor(t, p.look())
	if len(got.Ailments) != 1 || got.Ailments[0].Kind != "no_action" || !slices.Equal(got.Ailments[0].Alarms, []string{"orphan"}) || got.Checked != 3 || got.Healthy != 2 {
		t.Fatal(shown(got))
	}
}

func TestDoctorReadsTheHistory(t *testing.T) {
	p := at(t, "")
	topic := p.heard(t, "sealed")
	p.put(t, errorsAlarm("checkout", topic))
	p.judged(t)
	p.setTopic(t, topic, "KmsMasterKeyId", "alias/aws/sns")
	p.setState(t, "checkout", types.StateValueAlarm)
	p.setTopic(t, topic, "KmsMasterKeyId", "alias/mine") // somebody has repaired it, and nobody has tried
	got := p.doctor(t, p.look())
	kinds := map[string]alarms.Ailment{}
	for _, a := range got.Ailments {
		kinds[a.Kind] = a
	}
	if len(got.Ailments) != 2 || !kinds["topic_key"].Unknown || !strings.Contains(kinds["action_failed"].What, "KMS") && !strings.Contains(kinds["action_failed"].What, "alias/aws/sns") {
		t.Fatal(shown(got))
	}
	p.setState(t, "checkout", types.StateValueOk)
	p.setState(t, "checkout", types.StateValueAlarm)
	if got = p.doctor(t, p.look()); len(got.Ailments) != 0 || got.Healthy != 1 { // a message that arrived proves the key
		t.Fatal(shown(got))
	}
}

// TestDoctorWantsListenersThatItCannotSee: a message that arrived proves the way to
// the topic, not that somebody listens.
func TestDoctorWantsListenersThatItCannotSee(t *testing.T) {
	for _, op := range []string{"GetTopicAttributes", "ListSubscriptionsByTopic"} {
		p := at(t, "")
		p.put(t, errorsAlarm("checkout", p.heard(t, "pager")))
		p.judged(t)
		p.setState(t, "checkout", types.StateValueAlarm)
		p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "sns", Operation: op})
		if got := p.doctor(t, p.look()); got.Healthy != 0 || len(got.Ailments) != 1 || !got.Ailments[0].Unknown {
			t.Fatal(op, shown(got))
		}
	}
}

func (p *place) setState(t testing.TB, name string, to types.StateValue) {
	t.Helper()
	_, err := p.cw.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: to, StateReason: aws.String("test")})
	must(t, err)
}

func TestDoctorLooksAtTheMetric(t *testing.T) {
	p := at(t, "")
	topic := p.heard(t, "well")
	p.judged(t)
	typo := errorsAlarm("typo", topic)
	typo.MetricName = aws.String("Erorrs")
	quiet := errorsAlarm("quiet", topic)
	quiet.MetricName, quiet.TreatMissingData = aws.String("Rare"), aws.String("notBreaching")
	stuck := errorsAlarm("stuck", topic)
	gone := errorsAlarm("gone", topic)
	gone.Namespace, gone.MetricName = aws.String("AWS/SQS"), aws.String("ApproximateAgeOfOldestMessage")
	gone.Dimensions = []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String("old-orders")}}
	broken := errorsAlarm("broken", topic)
	broken.Namespace, broken.MetricName, broken.Statistic, broken.Period = nil, nil, "", nil
	broken.Metrics = []types.MetricDataQuery{
		{Id: aws.String("m"), ReturnData: aws.Bool(false), MetricStat: &types.MetricStat{Period: aws.Int32(60), Stat: aws.String("Sum"), Metric: &types.Metric{Namespace: aws.String("App"), MetricName: aws.String("Errors")}}},
		{Id: aws.String("e"), Expression: aws.String("m * 2"), ReturnData: aws.Bool(true)},
	}
	for _, in := range []*cloudwatch.PutMetricAlarmInput{typo, quiet, stuck, gone, broken} {
		p.put(t, in)
	}
	p.Advance(30 * time.Minute) // App Errors has no data all the time
	got := p.doctor(t, p.look())
	by := map[string]string{}
	for _, a := range got.Ailments {
		for _, n := range a.Alarms {
			by[n] += a.Kind + "/" + a.Severity.String() + " "
		}
	}
	want := map[string]string{"typo": "no_metric/ticket ", "quiet": "no_metric/info ", "stuck": "no_data/ticket ", "gone": "resource_gone/ticket ", "broken": "no_data/ticket "}
	for n, w := range want {
		if by[n] != w {
			t.Errorf("%s: %q, want %q", n, by[n], w)
		}
	}
	if got.Healthy != 1 || t.Failed() {
		t.Fatal(shown(got))
	}
	// Where the queues were not read whole, nobody knows that one is gone.
	s := p.look()
	s.Queues.Partial = true
	got = p.doctor(t, s)
	if strings.Contains(shown(got), "resource_gone") || !slices.ContainsFunc(got.Partial, func(x string) bool { return strings.Contains(x, "queues") }) {
		t.Fatal(shown(got))
	}
}

// TestDoctorNeverTakesTheUnknownForHealthy: each read of its own, denied and
// throttled, is named.
func TestDoctorNeverTakesTheUnknownForHealthy(t *testing.T) {
	for _, kind := range []sandbox.FaultKind{sandbox.DeniedAction, sandbox.Throttle} {
		for _, op := range []string{"DescribeAlarmHistory", "ListAlarmMuteRules", "ListMetrics"} {
			t.Run(string(kind)+" "+op, func(t *testing.T) {
				t.Parallel()
				p := at(t, "")
				p.put(t, errorsAlarm("checkout", p.heard(t, "well")))
				p.judged(t)
				p.SetFaults(sandbox.Fault{Kind: kind, Service: "cloudwatch", Operation: op})
				d := p.deskAt(t, cloud.Look, func(c *aws.Config) { c.RetryMaxAttempts = 1 })
				got, err := d.Doctor(t.Context(), p.look())
				must(t, err)
				if len(got.Partial) != 1 {
					t.Fatal(shown(got))
				}
				if op == "ListMetrics" && got.Healthy != 0 {
					t.Fatal(shown(got))
				}
			})
		}
	}
	t.Run("DescribeAlarms", func(t *testing.T) {
		p := at(t, "")
		p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "cloudwatch", Operation: "DescribeAlarms"})
		_, err := p.desk.Doctor(t.Context(), p.look())
		if x := ops.AsProblem(err); x == nil || x.Fault != ops.FaultDenied {
			t.Fatal(err)
		}
	})
}

func TestDoctorOnlyReads(t *testing.T) {
	p := at(t, "incident")
	d := p.deskAt(t, cloud.Look, nil)
	c, err := d.Doctor(t.Context(), p.survey(t))
	must(t, err)
	if c.Checked == 0 {
		t.Fatal(shown(c))
	}
	for _, a := range c.Ailments {
		if a.What == "" || a.Fix == "" || len(a.Alarms) == 0 || strings.Contains(a.Fix, theNames) {
			t.Errorf("%+v", a)
		}
	}
}

func TestDoctorEndsWithItsContext(t *testing.T) {
	p := at(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.desk.Doctor(ctx, p.look()); err == nil {
		t.Fatal("no error")
	}
}

func TestMayPublish(t *testing.T) {
	const topic, alarm = ops.ARN("arn:aws:sns:eu-west-1:123456789012:oncall"), ops.ARN("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:checkout")
	stmt := func(effect, principal, rest string) string {
		return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"SNS:Publish","Resource":"` + string(topic) + `"` + rest + `}`
	}
	service := `{"Service":"cloudwatch.amazonaws.com"}`
	when := func(s string) string { return `,"Condition":{` + s + `}` }
	for _, c := range []struct {
		name   string
		policy string
		want   answer
	}{
		{"the default policy", `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:Publish"],"Resource":"` + string(topic) + `","Condition":{"StringEquals":{"AWS:SourceOwner":"123456789012"}}}]}`, yes},
		{"the default policy of another account", policyFor(stmt("Allow", `{"AWS":"*"}`, when(`"StringEquals":{"AWS:SourceOwner":"210987654321"}`))), no},
		{"the service", policyFor(stmt("Allow", service, "")), yes},
		{"the service among others", policyFor(stmt("Allow", `{"Service":["events.amazonaws.com","cloudwatch.amazonaws.com"]}`, "")), yes},
		{"a statement without a list", `{"Statement":` + stmt("Allow", service, "") + `}`, yes},
		{"everybody", policyFor(stmt("Allow", `"*"`, "")), yes},
		{"another service", policyFor(stmt("Allow", `{"Service":"events.amazonaws.com"}`, "")), no},
		{"the account", policyFor(stmt("Allow", `{"AWS":"arn:aws:iam::123456789012:root"}`, "")), unsure},
		{"another account", policyFor(stmt("Allow", `{"AWS":"210987654321"}`, "")), no},
		{"this account's alarms", policyFor(stmt("Allow", service, when(`"ArnLike":{"aws:SourceArn":"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:*"},"StringEquals":{"aws:SourceAccount":["1","123456789012"]}`))), yes},
		{"other alarms", policyFor(stmt("Allow", service, when(`"ArnLike":{"aws:SourceArn":"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:db-*"}`))), no},
		{"a number for an account", policyFor(stmt("Allow", service, when(`"StringEquals":{"aws:SourceAccount":210987654321}`))), no},
		{"all but this account", policyFor(stmt("Allow", service, when(`"StringNotEquals":{"aws:SourceAccount":"123456789012"}`))), no},
		{"a key that is not known", policyFor(stmt("Allow", service, when(`"StringEquals":{"aws:PrincipalOrgID":"o-1"}`))), unsure},
		{"an operator that is not known", policyFor(stmt("Allow", service, when(`"DateLessThan":{"aws:SourceAccount":"2026"}`))), unsure},
		{"insecure transport is denied", policyFor(stmt("Allow", service, "") + "," + stmt("Deny", `"*"`, when(`"Bool":{"aws:SecureTransport":"false"}`))), yes},
		{"a deny before the allow", policyFor(stmt("Deny", `"*"`, "") + "," + stmt("Allow", service, "")), no},
		{"a deny after the allow", policyFor(stmt("Allow", service, "") + "," + stmt("Deny", service, "")), no},
		{"a deny that may be meant", policyFor(stmt("Allow", service, "") + "," + stmt("Deny", `"*"`, when(`"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}`))), unsure},
		{"a deny that may be meant, and no allow", policyFor(stmt("Deny", `"*"`, when(`"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}`))), no},
		{"all but one may", policyFor(`{"Effect":"Allow","NotPrincipal":{"AWS":"1"},"Action":"sns:Publish","Resource":"*"}`), unsure},
		{"all actions but this", policyFor(`{"Effect":"Allow","Principal":"*","NotAction":"sns:publish","Resource":"*"}`), no},
		{"all topics but this", policyFor(`{"Effect":"Allow","Principal":"*","Action":"*","NotResource":"` + string(topic) + `"}`), no},
		{"another topic", policyFor(strings.ReplaceAll(stmt("Allow", service, ""), string(topic), string(topic)+"-2")), no},
		{"another action", policyFor(strings.ReplaceAll(stmt("Allow", service, ""), "SNS:Publish", "SNS:Subscribe")), no},
		{"a pattern of actions", policyFor(strings.ReplaceAll(stmt("Allow", service, ""), "SNS:Publish", "sns:Pub*sh")), yes},
		{"no statement", `{"Statement":[]}`, no},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := parseGrants(c.policy)
			must(t, err)
			got, why := mayPublish(list, topic, alarm)
			if got != c.want || got != yes && why == "" {
				t.Fatalf("%v (%s), want %v", got, why, c.want)
			}
		})
	}
	for _, bad := range []string{"", "x", `{"Statement":3}`, `{"Statement":[{"Action":{"a":1}}]}`} {
		if _, err := parseGrants(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestChildrenOf(t *testing.T) {
	for rule, want := range map[string][]string{
		`ALARM("a b") AND (OK(c) OR NOT INSUFFICIENT_DATA( "d" ))`:                  {"a b", "c", "d"},
		`(alarm(x)) or ALARM(x)`:                                                    {"x"},
		`ALARM("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:kxops/sqs.loss/q")`: {"kxops/sqs.loss/q"},
		`ALARM("what (really)") OR ALARM(y)`:                                        {"what (really)", "y"},
		`TRUE`:                                                                      nil, `ALARM(`: nil, `ALARM("x`: nil,
	} {
		if got := childrenOf(rule); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", rule, got, want)
		}
	}
}
