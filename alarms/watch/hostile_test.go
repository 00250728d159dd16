package watch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/alarms"
	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
)

func TestTopicsThatCannotWorkAreSaid(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	c := wants(spec(q))
	secret, err := p.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("secret"), Attributes: map[string]string{"KmsMasterKeyId": "alias/aws/sns"}})
	must(t, err)
	closed, err := p.sns.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("closed"), Attributes: map[string]string{
		"Policy": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"SNS:Publish","Resource":"*"}]}`}})
	must(t, err)
	deaf := p.topic(t, "deaf")
	_, filtered := p.listener(t, deaf, "deaf-queue")
	_, err = p.sns.SetSubscriptionAttributes(t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &filtered, AttributeName: aws.String("FilterPolicy"), AttributeValue: aws.String(`{"kind":["order"]}`)})
	must(t, err)
	waiting := p.topic(t, "waiting")
	_, err = p.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: aws.String(string(waiting)), Protocol: aws.String("email"), Endpoint: aws.String("oncall@example.com")})
	must(t, err)
	for _, x := range []struct{ topic, blocker, warning string }{
		{string(p.heard(t, "heard")), "", ""},
		{string(p.page), "", "oncall has no confirmed subscription: its alarms would tell nobody"},
		{string(waiting), "", "no confirmed subscription, 1 wait"},
		{string(deaf), "", "the filter of every subscription of the topic deaf drops alarms"},
		{"arn:aws:sns:us-east-1:" + sandbox.Account + ":oncall", "is in us-east-1", ""},
		{"arn:aws:sns:" + region + ":" + sandbox.Account + ":none", "does not exist", ""},
		{string(q.ARN), "not an SNS topic", ""},
		{aws.ToString(secret.TopicArn), "", "alias/aws/sns"},
		{aws.ToString(closed.TopicArn), "", "policy"},
		{"", "", "tell nobody"},
	} {
		ask := p.ask()
		ask.Settings.Page = ops.ARN(x.topic)
		plan := p.plan(t, p.look(q), ask, c)
		if blockers := strings.Join(plan.Blockers, "|"); !strings.Contains(blockers, x.blocker) || (x.blocker == "") != (blockers == "") {
			t.Errorf("%s: blockers %q, want %q", x.topic, blockers, x.blocker)
		}
		if warnings := strings.Join(plan.Warnings, "|"); !strings.Contains(warnings, x.warning) || (x.warning == "") != (warnings == "") {
			t.Errorf("%s: warnings %q, want %q", x.topic, warnings, x.warning)
		}
		if x.blocker != "" {
			_, err := p.desk.Apply(t.Context(), plan, nil)
			isRefused(t, err, x.blocker)
		}
	}
}

func TestMadeTopicIsHeard(t *testing.T) {
	p := at(t, "")
	topic, err := p.desk.MakeTopic(t.Context(), "kxops-page")
	must(t, err)
	again, err := p.desk.MakeTopic(t.Context(), "kxops-page")
	must(t, err)
	if topic != again {
		t.Errorf("%s, then %s", topic, again)
	}
	out, err := p.sns.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: aws.String(string(topic))})
	must(t, err)
	if text := out.Attributes["Policy"]; strings.Count(text, ourSid) != 1 || !strings.Contains(text, "__default_statement_ID") || !strings.Contains(text, sandbox.Account+":alarm:*") {
		t.Errorf("the policy is %s", text)
	}
	_, err = p.desk.MakeTopic(t.Context(), "no good.name")
	isRefused(t, err, "no name for a topic")

	// An alarm's message arrives in a queue.
	box := sqs.NewFromConfig(p.Config())
	made, err := box.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("pager")})
	must(t, err)
	pager := queue("pager")
	_, err = box.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: made.QueueUrl, Attributes: map[string]string{
		"Policy": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + string(pager.ARN) + `"}]}`}})
	must(t, err)
	_, err = p.sns.Subscribe(t.Context(), &sns.SubscribeInput{TopicArn: aws.String(string(topic)), Protocol: aws.String("sqs"), Endpoint: aws.String(string(pager.ARN))})
	must(t, err)
	ask := p.ask()
	ask.Settings.Page = topic
	s := spec(pager)
	s.Threshold, s.Comparison, s.Missing = 0, alarms.AtLeast, alarms.MissingIsBad // always in ALARM
	p.apply(t, p.plan(t, p.look(pager), ask, wants(s)))
	p.Advance(15 * time.Minute)
	got, err := box.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll}})
	must(t, err)
	if len(got.Messages) == 0 || !strings.Contains(aws.ToString(got.Messages[0].Body), s.Name) {
		t.Errorf("%d messages: %+v", len(got.Messages), got.Messages)
	}
}

// TestOwnershipNeedsItsTag: what cannot be told to be ours is neither changed nor
// deleted; where the tagging service is out of reach, CloudWatch is asked.
func TestOwnershipNeedsItsTag(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	c := wants(spec(q))
	p.apply(t, p.plan(t, p.look(q), p.ask(), c))
	changed := spec(q)
	changed.Threshold = 1

	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "tagging"})
	count(t, p.plan(t, p.look(q), p.ask(), c), map[alarms.Action]int{alarms.Keep: 1})

	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "tagging"}, sandbox.Fault{Kind: sandbox.DeniedAction, Service: "cloudwatch", Operation: "ListTagsForResource"})
	plan := p.plan(t, p.look(q), p.ask(), wants(changed))
	count(t, plan, map[alarms.Action]int{})
	if len(plan.Partial) != 1 || len(plan.Skipped) != 1 || !plan.Skipped[0].Unknown {
		t.Errorf("partial %q, skipped %+v", plan.Partial, plan.Skipped)
	}
	rm := p.plan(t, p.look(q), alarms.Ask{Remove: true}, catalogue{})
	if rm.Writes() != 0 || len(rm.Partial) != 1 {
		t.Errorf("rm: %d writes, partial %q", rm.Writes(), rm.Partial)
	}
	p.SetFaults()

	arn := p.alarm(t, spec(q).Name).AlarmArn
	_, err := p.cw.UntagResource(t.Context(), &cloudwatch.UntagResourceInput{ResourceARN: arn, TagKeys: []string{tagManaged}})
	must(t, err)
	count(t, p.plan(t, p.look(q), p.ask(), wants(changed)), map[alarms.Action]int{alarms.Covered: 1})
	if plan := p.plan(t, p.look(q), alarms.Ask{Remove: true}, catalogue{}); plan.Writes() != 0 {
		t.Errorf("rm would delete an alarm that is not ours: %+v", plan.Items)
	}
	ask := p.ask()
	ask.Adopt = true
	p.apply(t, p.plan(t, p.look(q), ask, c))
	count(t, p.plan(t, p.look(q), p.ask(), c), map[alarms.Action]int{alarms.Keep: 1})
}

func TestChangedWhileApplying(t *testing.T) {
	p := at(t, "")
	var specs []alarms.Spec
	for i := range 2 * fresh {
		specs = append(specs, spec(queue(fmt.Sprintf("q%02d", i))))
	}
	p.apply(t, p.plan(t, p.look(), p.ask(), wants(specs...)))
	for i := range specs {
		specs[i].Threshold = 5
	}
	plan := p.plan(t, p.look(), p.ask(), wants(specs...))
	last := specs[len(specs)-1].Name
	in := copied(p.alarm(t, last))
	in.Threshold = aws.Float64(77)
	touched := false
	r, err := p.desk.Apply(t.Context(), plan, func(alarms.Progress) {
		if !touched {
			touched = true
			p.put(t, in)
		}
	})
	must(t, err)
	if r.Updated != len(specs)-1 || len(r.Failed) != 1 || r.Failed[0].Name != last || *p.alarm(t, last).Threshold != 77 {
		t.Errorf("%d updated, %+v", r.Updated, r.Failed)
	}
}

// TestChangedBeforeItIsDeleted: the deletions come after minutes of writing.
func TestChangedBeforeItIsDeleted(t *testing.T) {
	p := at(t, "")
	gone, fresh := spec(queue("gone")), spec(queue("fresh"))
	p.apply(t, p.plan(t, p.look(), p.ask(), wants(gone)))
	ask := p.ask()
	ask.Prune = true
	plan := p.plan(t, p.look(), ask, wants(fresh))
	count(t, plan, map[alarms.Action]int{alarms.Create: 1, alarms.Delete: 1})
	in := copied(p.alarm(t, gone.Name))
	in.Threshold = aws.Float64(77)
	touched := false
	r, err := p.desk.Apply(t.Context(), plan, func(alarms.Progress) {
		if !touched {
			touched = true
			p.put(t, in)
		}
	})
	must(t, err)
	if r.Created != 1 || r.Deleted != 0 || len(r.Failed) != 1 || r.Failed[0].Name != gone.Name || *p.alarm(t, gone.Name).Threshold != 77 {
		t.Errorf("%+v", r)
	}
}

// TestWhatFailsForAllStops: a thousand failures with one cause are one sentence.
func TestWhatFailsForAllStops(t *testing.T) {
	p := at(t, "")
	var specs []alarms.Spec
	for i := range 50 {
		specs = append(specs, spec(queue(fmt.Sprintf("q%02d", i))))
	}
	plan := p.plan(t, p.look(), p.ask(), wants(specs...))
	look := p.deskAt(t, cloud.Look, nil)
	r, err := look.Apply(t.Context(), plan, nil)
	if problem := ops.AsProblem(err); problem == nil || problem.Fault != ops.FaultRefused || r.Left < 40 {
		t.Errorf("at the level look: %v, %d left", err, r.Left)
	}
	p.SetFaults(sandbox.Fault{Kind: sandbox.Expired, Service: "cloudwatch", Operation: "PutMetricAlarm"})
	r, err = p.desk.Apply(t.Context(), plan, nil)
	if problem := ops.AsProblem(err); problem == nil || problem.Fault != ops.FaultExpired || r.Left < 40 {
		t.Errorf("expired: %v, %d left", err, r.Left)
	}
	p.SetFaults()
	if r := p.apply(t, plan); r.Created != 50 {
		t.Errorf("%+v", r)
	}
}

// TestLostAnswers: the connection dies after the write took effect.
func TestLostAnswers(t *testing.T) {
	p := at(t, "")
	var specs []alarms.Spec
	for i := range 20 {
		specs = append(specs, spec(queue(fmt.Sprintf("q%02d", i))))
	}
	plan := p.plan(t, p.look(), p.ask(), wants(specs...))
	p.SetFaults(sandbox.Fault{Kind: sandbox.ResetAfter, Service: "cloudwatch", Operation: "PutMetricAlarm", Percent: 30},
		sandbox.Fault{Kind: sandbox.ServerError, Service: "cloudwatch", Operation: "DescribeAlarms", Percent: 20})
	_, err := p.desk.Apply(t.Context(), plan, nil)
	p.SetFaults()
	if problem := ops.AsProblem(err); problem != nil && problem.Fault != ops.FaultUnreachable {
		t.Fatal(err)
	}
	p.apply(t, plan)
	count(t, p.plan(t, p.look(), p.ask(), wants(specs...)), map[alarms.Action]int{alarms.Keep: 20})
}

func TestFiveThousandAlarms(t *testing.T) {
	p := at(t, "")
	for i := range 5000 {
		p.put(t, &cloudwatch.PutMetricAlarmInput{AlarmName: aws.String(fmt.Sprintf("theirs-%04d", i)), Namespace: aws.String("Other"), MetricName: aws.String("M"), Statistic: types.StatisticSum,
			Period: aws.Int32(60), EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold})
	}
	p.SetFaults(sandbox.Fault{Kind: sandbox.Throttle, Service: "cloudwatch", Operation: "DescribeAlarms", Percent: 10})
	before := p.Bill().Calls["cloudwatch.DescribeAlarms"]
	q := queue("orders")
	plan := p.plan(t, p.look(q), p.ask(), wants(spec(q)))
	count(t, plan, map[alarms.Action]int{alarms.Create: 1})
	if calls := p.Bill().Calls["cloudwatch.DescribeAlarms"] - before; calls < 50 || calls > 60 { // 50 pages
		t.Errorf("%d calls", calls)
	}
}

func TestOnlyWhatWasAskedFor(t *testing.T) {
	p := at(t, "incident")
	s := p.survey(t)
	all, err := p.desk.Plan(t.Context(), s, p.ask())
	must(t, err)
	pipeline := all.Items[len(all.Items)-1].Pipeline // the first has none: the account's own
	ask := p.ask()
	ask.Pipeline = pipeline
	part, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	if len(part.Items) == 0 || len(part.Items) >= len(all.Items) {
		t.Errorf("%d items of %d in %s", len(part.Items), len(all.Items), pipeline)
	}
	for _, it := range part.Items {
		if it.Pipeline != pipeline {
			t.Errorf("%s is of %s", it.Name, it.Pipeline)
		}
	}
	ask = p.ask()
	ask.Rules = []string{"sqs.*"}
	part, err = p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	for _, it := range part.Items {
		if !strings.HasPrefix(it.Spec.Rule, "sqs.") {
			t.Errorf("%s was not asked for", it.Name)
		}
	}
	if len(part.Items) == 0 {
		t.Error("nothing")
	}
	wrong := s
	wrong.Identity.Region = "us-east-1"
	_, err = p.desk.Plan(t.Context(), wrong, p.ask())
	isRefused(t, err, "us-east-1")
}

// TestSilenceStaysBad: when the last reader dies its metric goes too, and the
// catalogue would soften the alarm in the middle of the incident.
func TestSilenceStaysBad(t *testing.T) {
	p := at(t, "")
	s := spec(queue("orders"))
	s.Rule, s.Name = "kds.loss", "kxops/kds.loss/orders"
	s.Missing = alarms.MissingIsGood
	p.apply(t, p.plan(t, p.look(), p.ask(), wants(s)))
	s.Missing = alarms.MissingIsBad
	plan := p.plan(t, p.look(), p.ask(), wants(s))
	count(t, plan, map[alarms.Action]int{alarms.Update: 1})
	p.apply(t, plan)
	s.Missing = alarms.MissingIsGood
	count(t, p.plan(t, p.look(), p.ask(), wants(s)), map[alarms.Action]int{alarms.Keep: 1})
}

// TestRingingAlarmIsNotPruned: a rule may have stopped applying because of what it
// warns of, such as a reader that was not seen for an hour.
func TestRingingAlarmIsNotPruned(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	p.apply(t, p.plan(t, p.look(q), p.ask(), wants(spec(q))))
	skipped := catalogue{wanted: alarms.Wanted{Skipped: []alarms.Skipped{{Rule: spec(q).Rule, Resource: q.ARN, Why: "nobody polls it"}}}}
	prune := p.ask()
	prune.Prune = true
	count(t, p.plan(t, p.look(q), prune, skipped), map[alarms.Action]int{alarms.Delete: 1})
	_, err := p.cw.SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String(spec(q).Name), StateValue: types.StateValueAlarm, StateReason: aws.String("test")})
	must(t, err)
	count(t, p.plan(t, p.look(q), prune, skipped), map[alarms.Action]int{alarms.Orphan: 1})
	// What could not be worked out is kept, whatever its state.
	skipped.wanted.Skipped[0].Unknown = true
	count(t, p.plan(t, p.look(q), prune, skipped), map[alarms.Action]int{alarms.Keep: 1})
}

// TestUnknownOfALargerSetIsNotPruned: a plan of the essential set knows of the
// recommended alarms that exist; one whose setting could not be read is kept too.
func TestUnknownOfALargerSetIsNotPruned(t *testing.T) {
	p := at(t, "")
	q := queue("orders")
	ask := p.ask()
	ask.Settings.Tier, ask.Settings.Tags = alarms.Recommended, map[ops.ARN]map[string]string{}
	ask.Rules = []string{"sqs.stuck"}
	plan, err := p.desk.Plan(t.Context(), p.look(q), ask)
	must(t, err)
	count(t, plan, map[alarms.Action]int{alarms.Create: 1})
	p.apply(t, plan)

	ask.Settings.Tier, ask.Prune = alarms.Essential, true
	plan, err = p.desk.Plan(t.Context(), p.look(q), ask)
	must(t, err)
	count(t, plan, map[alarms.Action]int{alarms.Keep: 1})
	q.Retention = 0 // not read
	plan, err = p.desk.Plan(t.Context(), p.look(q), ask)
	must(t, err)
	count(t, plan, map[alarms.Action]int{alarms.Keep: 1})
	if why := plan.Items[0].Why; !strings.Contains(why, "could not be read") {
		t.Errorf("it is kept because %q", why)
	}
}

// TestOneNameForTwo: one alarm would overwrite the other with every application.
func TestOneNameForTwo(t *testing.T) {
	p := at(t, "")
	a, b := spec(queue("orders")), spec(queue("refunds"))
	b.Name = a.Name
	plan := p.plan(t, p.look(), p.ask(), wants(a, b))
	count(t, plan, map[alarms.Action]int{alarms.Create: 1})
	if len(plan.Skipped) != 1 || !plan.Skipped[0].Unknown {
		t.Errorf("%+v", plan.Skipped)
	}
}

func TestMutedAlarmsCoverNothing(t *testing.T) {
	p := at(t, "incident")
	s := p.survey(t)
	ask := p.ask()
	ask.Rules = []string{"sqs.loss"}
	plan, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	p.apply(t, plan)
	_, err = p.desk.Mute(t.Context(), []string{plan.Items[0].Name}, time.Hour, "deployment")
	must(t, err)
	p.Advance(2 * time.Minute)
	c, err := p.desk.Coverage(t.Context(), s, ask)
	must(t, err)
	got := map[alarms.Cover]int{}
	for _, row := range c.Rows {
		for _, cell := range row.Cells {
			got[cell.Cover]++
		}
	}
	if got[alarms.CoverMuted] != 1 || got[alarms.CoverOurs] != plan.Count(alarms.Create)-1 {
		t.Errorf("%v of %d", got, len(plan.Items))
	}
}

// TestSavedPlanIsTheSame: a plan that went through a file is applied; one that was
// edited there is refused.
func TestSavedPlanIsTheSame(t *testing.T) {
	p := at(t, "incident")
	ask := p.ask()
	ask.Settings.Tier = alarms.OptIn
	sn := p.survey(t)
	for i := range sn.Queues.Items { // shorter than their functions may take: a finding that no alarm helps
		sn.Queues.Items[i].Visibility = time.Second
	}
	plan, err := p.desk.Plan(t.Context(), sn, ask)
	must(t, err)
	text, err := json.Marshal(plan)
	must(t, err)
	if len(plan.Findings) == 0 || len(plan.Skipped) == 0 {
		t.Fatalf("%d findings, %d skipped: too little to prove anything", len(plan.Findings), len(plan.Skipped))
	}
	for _, edit := range [][2]string{{`"threshold":43200000`, `"threshold":43200001`}, {`"action":"create"`, `"action":"keep"`}, {`"region":"eu-west-1"`, `"region":"us-east-1"`}} {
		edited := strings.Replace(string(text), edit[0], edit[1], 1)
		var read alarms.Plan
		must(t, json.Unmarshal([]byte(edited), &read))
		if edited == string(text) {
			t.Fatalf("there is no %s", edit[0])
		}
		_, err = p.desk.Apply(t.Context(), read, nil)
		isRefused(t, err, "changed after it was made")
	}
	var read alarms.Plan
	must(t, json.Unmarshal(text, &read))
	if r := p.apply(t, read); r.Created != plan.Count(alarms.Create) {
		t.Errorf("%+v", r)
	}
}
