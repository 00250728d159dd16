package watch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
)

// The kinds of ailments, for scripts.
const (
	noAction        = "no_action"
	actionsOff      = "actions_off"
	mutedNow        = "muted"
	suppressedNow   = "suppressed"
	topicGone       = "topic_gone"
	topicUnread     = "topic_unread"
	topicRefuses    = "topic_policy"
	topicKey        = "topic_key"
	noSubscriber    = "no_subscriber"
	unconfirmed     = "unconfirmed"
	filtered        = "filtered"
	actionFailed    = "action_failed"
	actionUnchecked = "action_unchecked"
	noMetric        = "no_metric"
	metricUnread    = "metric_unread"
	noData          = "no_data"
	evaluationBad   = "evaluation_error"
	partialData     = "partial_data"
	resourceGone    = "resource_gone"
)

const (
	historyBack   = 7 * 24 * time.Hour
	historyPages  = 50 // of 100 rows: 2.5 s at CloudWatch's quota
	doctorTime    = 5 * time.Minute
	settleTime    = 15 * time.Minute // how long a new or woken metric may take to show up
	metricPages   = 40               // of 500 metrics, for one metric name
	askOneByOne   = 3                // so many series of one name are asked for each by itself
	newestMetrics = "ListMetrics shows what had data in the last 14 days"
)

// Doctor says which alarms nobody would hear, and why: it follows each one from
// its metric to the subscribers of its topics. It only reads. What it could not
// read is an ailment that is Unknown, and the alarm does not count as healthy; a
// hint of severity info does not make an alarm unhealthy. It fails only when the
// alarms themselves cannot be read.
func (d *Desk) Doctor(ctx context.Context, s ops.Snapshot) (alarms.Checkup, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	all, err := d.allAlarms(ctx)
	if err != nil {
		return alarms.Checkup{}, err
	}
	v := &visit{desk: d, snapshot: s, now: d.o.Now(), all: all, causes: map[string]*alarms.Ailment{}}
	v.readHistory(ctx)
	v.readMutes(ctx)
	v.topics = d.examineTopics(ctx, topicsOf(all))
	for _, p := range all {
		v.hearing(p)
		v.actions(p)
		v.state(p)
	}
	v.metrics(ctx)
	return v.report(), nil
}

// visit is one round of the doctor.
type visit struct {
	desk     *Desk
	snapshot ops.Snapshot
	now      time.Time
	all      []patient
	topics   map[ops.ARN]topicFacts
	last     map[actionKey]actionRow // the newest result of each action
	proven   map[ops.ARN]time.Time   // when a topic last took a message of CloudWatch

	causes  map[string]*alarms.Ailment
	order   []string
	partial []string
}

type actionKey struct {
	alarm  string
	target ops.ARN
}

// add notes that an alarm suffers from a cause. Alarms with the same ailment but
// for their name share it.
func (v *visit) add(alarm string, a alarms.Ailment) {
	key := fmt.Sprintf("%s\x00%s\x00%s\x00%v\x00%v", a.Kind, a.What, a.Fix, a.Severity, a.Unknown)
	known := v.causes[key]
	if known == nil {
		known = &a
		v.causes[key] = known
		v.order = append(v.order, key)
	}
	if !slices.Contains(known.Alarms[max(0, len(known.Alarms)-1):], alarm) { // alarms come one after the other
		known.Alarms = append(known.Alarms, alarm)
	}
}

func (v *visit) report() alarms.Checkup {
	out := alarms.Checkup{Checked: len(v.all), Partial: v.partial}
	ill := map[string]bool{}
	for _, key := range v.order {
		a := v.causes[key]
		a.Alarm = a.Alarms[0]
		a.Fix = withNames(a.Fix, a.Alarms)
		if a.Severity > alarms.Info || a.Unknown {
			for _, n := range a.Alarms {
				ill[n] = true
			}
		}
		out.Ailments = append(out.Ailments, *a)
	}
	out.Healthy = out.Checked - len(ill)
	slices.SortStableFunc(out.Ailments, func(a, b alarms.Ailment) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(len(b.Alarms), len(a.Alarms)))
	})
	return out
}

// theNames stands in a fix for the alarms that share the cause: a command takes at
// most 100.
const theNames = "{alarms}"

func withNames(fix string, names []string) string {
	if !strings.Contains(fix, theNames) {
		return fix
	}
	var lines []string
	for batch := range slices.Chunk(names, 100) {
		var w []string
		for _, n := range batch {
			w = append(w, shellWord(n))
		}
		lines = append(lines, strings.ReplaceAll(fix, theNames, strings.Join(w, " ")))
	}
	return strings.Join(lines, "\n")
}

func topicsOf(all []patient) []ops.ARN {
	found := map[ops.ARN]bool{}
	for _, p := range all {
		for _, a := range p.onAlarm {
			if a.Service() == "sns" {
				found[a] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// readHistory finds out what became of the last actions of every alarm.
func (v *visit) readHistory(ctx context.Context) {
	v.last, v.proven = map[actionKey]actionRow{}, map[ops.ARN]time.Time{}
	found, err := v.desk.history(ctx, &cloudwatch.DescribeAlarmHistoryInput{StartDate: aws.Time(v.now.Add(-historyBack))}, historyPages)
	for _, r := range found.rows { // newest first
		key := actionKey{r.alarm, r.target}
		if _, ok := v.last[key]; !ok && r.target != "" {
			v.last[key] = r
		}
		if r.state == "Succeeded" && r.at.After(v.proven[r.target]) {
			v.proven[r.target] = r.at
		}
	}
	switch {
	case err != nil:
		v.partial = append(v.partial, "whether actions failed is not known: "+v.desk.o.Explain(err).What)
	case !found.all:
		v.partial = append(v.partial, "whether actions failed is known only since "+clockWord(found.back)+": the history has more rows than are read")
	}
}

func (v *visit) readMutes(ctx context.Context) {
	mutes, err := v.desk.Mutes(ctx)
	if err != nil {
		v.partial = append(v.partial, "which alarms are muted is not known: "+v.desk.o.Explain(err).What)
	}
	there := map[string]bool{}
	for _, p := range v.all {
		there[p.name] = true
	}
	for _, m := range mutes {
		if m.State != "active" {
			continue
		}
		fix := "aws cloudwatch delete-alarm-mute-rule --alarm-mute-rule-name " + shellWord(m.Name)
		if m.Ours {
			fix = "kxops --access change alarms mute rm " + shellWord(m.Name)
		}
		for _, n := range m.Alarms {
			if there[n] {
				v.add(n, alarms.Ailment{Kind: mutedNow, What: "muted by " + m.Name + untilWord(m.Until) + because(m.Reason), Fix: fix, Severity: alarms.Info})
			}
		}
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// hearing follows an alarm's actions to the people behind its topics.
func (v *visit) hearing(p patient) {
	if len(p.onAlarm) == 0 {
		v.silent(p)
		return
	}
	if !p.actionsOn {
		v.add(p.name, alarms.Ailment{Kind: actionsOff, What: "its actions are switched off: nobody is told", Severity: alarms.Ticket,
			Fix: "aws cloudwatch enable-alarm-actions --alarm-names " + theNames})
	}
	if p.suppressed != "" {
		v.add(p.name, alarms.Ailment{Kind: suppressedNow, What: "its actions are suppressed now, " + p.suppressed, Fix: "they run again when the suppressor is over", Severity: alarms.Info})
	}
}

// silent is an alarm without an action for ALARM. That is right where a composite
// alarm above it acts.
func (v *visit) silent(p patient) {
	for _, c := range compositesAbove(p.name, v.all) {
		if len(c.onAlarm) > 0 {
			return
		}
	}
	fix := "add an action to it where it is made; PutMetricAlarm replaces the whole alarm"
	if strings.HasPrefix(p.name, Prefix) {
		fix = "kxops --access change alarms apply --topic NAME"
	}
	v.add(p.name, alarms.Ailment{Kind: noAction, What: "it has no action for ALARM, and no composite alarm that has one looks at it: nobody is told", Fix: fix, Severity: alarms.Ticket})
}

// actions looks at each action of an alarm for ALARM.
func (v *visit) actions(p patient) {
	for _, a := range p.onAlarm {
		if a.Service() == "sns" {
			if v.topic(p, a) {
				continue // the topic explains a failure
			}
		} else {
			v.add(p.name, alarms.Ailment{Kind: actionUnchecked, What: fmt.Sprintf("its action %s is no SNS topic: whether it works and tells anybody cannot be checked", a),
				Fix: "see what it did: aws cloudwatch describe-alarm-history --history-item-type Action --alarm-name NAME", Severity: alarms.Info, Unknown: v.last[actionKey{p.name, a}].state != "Succeeded"})
		}
		if r, ok := v.last[actionKey{p.name, a}]; ok && r.state == "Failed" {
			v.add(p.name, alarms.Ailment{Kind: actionFailed, What: fmt.Sprintf("its last action on %s failed: %s", a.Name(), r.words()), Severity: alarms.Page,
				Fix: "kxops --access change alarms drill " + theNames + " when the cause is gone"})
		}
	}
}

// topic says what keeps a topic from being heard for an alarm. It returns true
// when that is certain.
func (v *visit) topic(p patient, arn ops.ARN) (certain bool) {
	f, proven := v.topics[arn], v.provenSince(p, arn)
	name, said := arn.Name(), v.failure(p, arn)
	add := func(kind string, s alarms.Severity, fix, format string, args ...any) {
		certain = certain || s == alarms.Page
		v.add(p.name, alarms.Ailment{Kind: kind, What: fmt.Sprintf(format, args...) + said, Fix: fix, Severity: s})
	}
	doubt := func(kind, fix, format string, args ...any) {
		if !proven {
			v.add(p.name, alarms.Ailment{Kind: kind, What: fmt.Sprintf(format, args...), Fix: fix, Severity: alarms.Info, Unknown: true})
		}
	}
	switch {
	case f.gone:
		add(topicGone, alarms.Page, "aws sns create-topic --name "+shellWord(name)+", subscribe somebody to it, or point the alarm at another topic", "the topic %s does not exist: nobody is told", name)
		return certain
	case f.problem != nil:
		// A message that arrived proves the way to the topic, not that somebody listens.
		proven = false
		doubt(topicUnread, readHint(f.problem, "sns:GetTopicAttributes"), "the topic %s could not be checked: %s", name, f.problem.What)
		return false
	}
	show := "aws sns get-topic-attributes --topic-arn " + string(arn)
	if f.policyBad != nil {
		doubt(topicRefuses, show, "the policy of the topic %s cannot be read (%v)", name, f.policyBad)
	} else {
		switch may, why := mayPublish(f.grants, arn, p.arn); may {
		case no:
			add(topicRefuses, alarms.Page, "let the service "+cloudWatchPrincipal+" do SNS:Publish in the topic's policy: "+show+" shows it, aws sns set-topic-attributes --attribute-name Policy changes it",
				"the policy of the topic %s does not let CloudWatch publish (%s)", name, why)
		case unsure:
			doubt(topicRefuses, show, "whether the policy of the topic %s lets CloudWatch publish is not known: %s", name, why)
		}
	}
	switch {
	case strings.HasSuffix(f.key, "alias/aws/sns"):
		add(topicKey, alarms.Page, "aws sns set-topic-attributes --topic-arn "+string(arn)+" --attribute-name KmsMasterKeyId --attribute-value KEY, with a key of your own whose policy lets "+cloudWatchPrincipal+" do kms:GenerateDataKey* and kms:Decrypt",
			"the topic %s is encrypted with alias/aws/sns, which CloudWatch cannot use: nobody is told", name)
	case f.key != "":
		doubt(topicKey, "aws kms get-key-policy --policy-name default --key-id "+shellWord(f.key),
			"the topic %s is encrypted with the key %s: its policy must let %s do kms:GenerateDataKey* and kms:Decrypt, which is not checked here", name, f.key, cloudWatchPrincipal)
	}
	v.audience(f, add, doubtAlways(v, p))
	return certain
}

// doubtAlways notes what no message of the past can prove.
func doubtAlways(v *visit, p patient) func(kind, fix, format string, args ...any) {
	return func(kind, fix, format string, args ...any) {
		v.add(p.name, alarms.Ailment{Kind: kind, What: fmt.Sprintf(format, args...), Fix: fix, Severity: alarms.Info, Unknown: true})
	}
}

func (v *visit) audience(f topicFacts, add func(string, alarms.Severity, string, string, ...any), doubt func(string, string, string, ...any)) {
	name := f.arn.Name()
	subscribe := "aws sns subscribe --topic-arn " + string(f.arn) + " --protocol email --notification-endpoint YOU@EXAMPLE.COM"
	filters := "aws sns list-subscriptions-by-topic --topic-arn " + string(f.arn)
	switch {
	case f.subsProblem != nil:
		doubt(noSubscriber, readHint(f.subsProblem, "sns:ListSubscriptionsByTopic"), "who listens to the topic %s is not known: %s", name, f.subsProblem.What)
	case len(f.subs.confirmed) == 0 && len(f.subs.pending) > 0:
		add(unconfirmed, alarms.Page, "click the link in the message from AWS, or send it again: "+subscribe, "nobody has confirmed a subscription of the topic %s (waiting: %s): nobody is told", name, few(f.subs.pending))
	case len(f.subs.confirmed) == 0:
		add(noSubscriber, alarms.Page, subscribe, "the topic %s has no subscriber: nobody is told", name)
	case len(f.subs.deaf) == len(f.subs.confirmed):
		add(filtered, alarms.Page, filters, "every subscription of the topic %s has a filter that drops alarm messages, which carry no attributes: nobody is told", name)
	default:
		if len(f.subs.pending) > 0 {
			add(unconfirmed, alarms.Info, subscribe, "the topic %s waits for confirmation by %s", name, few(f.subs.pending))
		}
		if len(f.subs.deaf) > 0 {
			add(filtered, alarms.Info, filters, "a filter of the topic %s drops alarm messages, which carry no attributes, for %s", name, few(f.subs.deaf))
		}
		if len(f.subs.deaf)+len(f.subs.unsure) == len(f.subs.confirmed) && len(f.subs.unsure) > 0 {
			doubt(filtered, filters, "whether a filter of the topic %s drops alarm messages is not known for %s", name, few(f.subs.unsure))
		}
	}
}

func few(list []string) string {
	if len(list) > 3 {
		return strings.Join(list[:3], ", ") + fmt.Sprintf(" and %d more", len(list)-3)
	}
	return strings.Join(list, ", ")
}

// provenSince reports whether the topic has taken a message for this alarm, and
// that nothing failed since.
func (v *visit) provenSince(p patient, topic ops.ARN) bool {
	r, ok := v.last[actionKey{p.name, topic}]
	if ok {
		return r.state == "Succeeded"
	}
	// The key and nearly every policy are the same for all alarms.
	return !v.proven[topic].IsZero()
}

func (v *visit) failure(p patient, topic ops.ARN) string {
	if r, ok := v.last[actionKey{p.name, topic}]; ok && r.state == "Failed" {
		return "; CloudWatch tried on " + clockWord(r.at) + " and failed: " + r.words()
	}
	return ""
}

func clockWord(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

func readHint(p *ops.Problem, action string) string {
	if p.Fault == ops.FaultDenied {
		return "allow " + action + " (`kxops policy look` prints the whole policy)"
	}
	return cmp.Or(p.Hint, "look again later")
}

// state looks at what CloudWatch says about its own judging.
func (v *visit) state(p patient) {
	switch p.evaluation {
	case types.EvaluationStateEvaluationError, types.EvaluationStateEvaluationFailure:
		v.add(p.name, alarms.Ailment{Kind: evaluationBad, What: "CloudWatch cannot judge it (" + string(p.evaluation) + "): " + p.reason, Severity: alarms.Page,
			Fix: "aws cloudwatch describe-alarms --alarm-names " + theNames})
	case types.EvaluationStatePartialData:
		v.add(p.name, alarms.Ailment{Kind: partialData, What: "CloudWatch judges it on a part of its data (PARTIAL_DATA)", Severity: alarms.Ticket,
			Fix: "aws cloudwatch describe-alarms --alarm-names " + theNames})
	}
}

// metrics looks at what the alarms watch: is it there, and does it have data.
func (v *visit) metrics(ctx context.Context) {
	seen := v.desk.listSeries(ctx, v.all)
	v.partial = append(v.partial, seen.partial...)
	gone, sections := goneIn(v.snapshot)
	for _, kind := range sections {
		v.partial = append(v.partial, "the "+kind+" were not read whole: whether the resource of an alarm is gone is not known")
	}
	for _, p := range v.all {
		if p.composite() {
			continue
		}
		v.watching(p, seen, gone)
	}
}

func (v *visit) watching(p patient, seen seriesSeen, gone func(series) string) {
	if p.foreign {
		if v.stuck(p) {
			v.noData(p)
		}
		return
	}
	var absent []string
	known := true
	for _, s := range p.series {
		if what := gone(s); what != "" {
			v.add(p.name, alarms.Ailment{Kind: resourceGone, What: "the " + what + " that it watches is gone", Fix: goneFix(p), Severity: alarms.Ticket})
			return
		}
		switch seen.has(s) {
		case no:
			absent = append(absent, s.text())
		case unsure:
			known = false
		}
	}
	if !known {
		v.add(p.name, alarms.Ailment{Kind: metricUnread, What: "whether its metric exists could not be checked", Fix: "allow cloudwatch:ListMetrics, or look again later", Severity: alarms.Info, Unknown: true})
	}
	fix := "check namespace, name and dimensions: aws cloudwatch describe-alarms --alarm-names " + theNames
	switch {
	case len(absent) == 0 || !v.settled(p): // a new metric takes up to 15 minutes to be listed
		if v.stuck(p) {
			v.noData(p)
		}
	case len(absent) == len(p.series) && (v.stuck(p) || p.state == types.StateValueAlarm && p.missing == alarms.MissingIsBad):
		v.add(p.name, alarms.Ailment{Kind: noMetric, What: "the metric " + few(absent) + " does not exist: " + newestMetrics, Fix: fix, Severity: alarms.Ticket})
	case strings.HasPrefix(p.name, Prefix) && !v.stuck(p): // the catalogue's names are right: nothing has happened
	default:
		// Many metrics are there only when something went wrong: a hint, not an ailment.
		v.add(p.name, alarms.Ailment{Kind: noMetric, What: "a metric that it watches has had no data for 14 days: nothing has happened, or the name or a dimension is wrong", Fix: fix, Severity: alarms.Info})
		if v.stuck(p) {
			v.noData(p)
		}
	}
}

func goneFix(p patient) string {
	if strings.HasPrefix(p.name, Prefix) {
		return "kxops --access change alarms apply --prune"
	}
	return "aws cloudwatch delete-alarms --alarm-names " + theNames
}

// settled reports whether the alarm's state is older than data can take to arrive.
func (v *visit) settled(p patient) bool {
	return !p.since.IsZero() && v.now.Sub(p.since) > settleTime+time.Duration(p.n*max(p.period, 60))*time.Second
}

// stuck reports whether an alarm has been without data for longer than that.
func (v *visit) stuck(p patient) bool {
	return p.state == types.StateValueInsufficientData && v.settled(p)
}

func (v *visit) noData(p patient) {
	v.add(p.name, alarms.Ailment{Kind: noData, What: "it has had too little data to judge for longer than data takes to arrive (INSUFFICIENT_DATA): it cannot ring", Severity: alarms.Ticket,
		Fix: "kxops alarms backtest, or treat missing data as notBreaching where no data means that all is well"})
}

func (s series) text() string {
	t := s.namespace + " " + s.metric
	for _, k := range slices.Sorted(maps.Keys(s.dimensions)) {
		t += " " + k + "=" + s.dimensions[k]
	}
	return t
}

// seriesSeen is which series CloudWatch lists.
type seriesSeen struct {
	found   map[string]bool
	unread  map[[2]string]bool // namespace and name that could not be listed whole
	partial []string
}

func (x seriesSeen) has(s series) answer {
	switch {
	case x.found[s.text()]:
		return yes
	case x.unread[[2]string{s.namespace, s.metric}]:
		return unsure
	}
	return no
}

// listSeries lists the metrics of all alarms: one name with many series at once,
// a name with few by its dimensions, since others may have thousands of it.
func (d *Desk) listSeries(ctx context.Context, all []patient) seriesSeen {
	out := seriesSeen{found: map[string]bool{}, unread: map[[2]string]bool{}}
	names := map[[2]string]map[string]series{}
	for _, p := range all {
		for _, s := range p.series {
			key := [2]string{s.namespace, s.metric}
			if names[key] == nil {
				names[key] = map[string]series{}
			}
			names[key][s.text()] = s
		}
	}
	keys := slices.SortedFunc(maps.Keys(names), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, key := range keys {
		asks := []series{{namespace: key[0], metric: key[1]}}
		if len(names[key]) <= askOneByOne {
			asks = slices.Collect(maps.Values(names[key]))
		}
		for _, ask := range asks {
			whole, err := d.listOne(ctx, ask, out.found)
			if err != nil || !whole {
				out.unread[key] = true
			}
			if err != nil {
				out.partial = append(out.partial, "the metrics "+key[0]+" "+key[1]+" could not be listed: "+d.o.Explain(err).What)
			}
		}
		if ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil { // what was not reached is unread
		for key := range names {
			out.unread[key] = true
		}
	}
	return out
}

func (d *Desk) listOne(ctx context.Context, ask series, found map[string]bool) (whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	in := &cloudwatch.ListMetricsInput{Namespace: &ask.namespace, MetricName: &ask.metric}
	for _, k := range slices.Sorted(maps.Keys(ask.dimensions)) {
		in.Dimensions = append(in.Dimensions, types.DimensionFilter{Name: aws.String(k), Value: aws.String(ask.dimensions[k])})
	}
	pages := cloudwatch.NewListMetricsPaginator(d.metrics, in)
	for n := 0; pages.HasMorePages(); n++ {
		if n == metricPages {
			return false, nil
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, err
		}
		for _, m := range page.Metrics { // also those with more dimensions than asked for
			found[seriesOf(m.Namespace, m.MetricName, m.Dimensions).text()] = true
		}
	}
	return true, nil
}

// goneIn answers which resource of a series is not in the snapshot. A section that
// was not read whole knows nothing; sections lists those.
func goneIn(s ops.Snapshot) (gone func(series) string, sections []string) {
	there := map[string]map[string]bool{}
	note := func(dimension, kind string, state ops.SectionState, names []string) {
		if state.Partial || state.Problem != nil || state.At.IsZero() {
			sections = append(sections, kind)
			return
		}
		there[dimension] = map[string]bool{}
		for _, n := range names {
			there[dimension][n] = true
		}
	}
	states := map[string]ops.SectionState{}
	for _, x := range s.Sections() {
		states[x.Name] = x
	}
	if s.Recalled { // painted from an earlier run: nothing is certain
		for name, x := range states {
			x.Partial = true
			states[name] = x
		}
	}
	note("StreamName", "streams", states["streams"], namesIn(s.Streams.Items, func(x ops.Stream) string { return x.Name }))
	note("DeliveryStreamName", "deliveries", states["deliveries"], namesIn(s.Deliveries.Items, func(x ops.Delivery) string { return x.Name }))
	note("QueueName", "queues", states["queues"], namesIn(s.Queues.Items, func(x ops.Queue) string { return x.Name }))
	note("TopicName", "topics", states["topics"], namesIn(s.Topics.Items, func(x ops.Topic) string { return x.Name }))
	note("FunctionName", "functions", states["functions"], namesIn(s.Functions.Items, func(x ops.Function) string { return x.Name }))
	note("ApiId", "apis", states["apis"], namesIn(s.APIs.Items, func(x ops.API) string { return x.ARN.Name() }))
	spaces := map[string][2]string{
		"AWS/Kinesis": {"StreamName", "stream"}, "AWS/Firehose": {"DeliveryStreamName", "delivery stream"}, "AWS/SQS": {"QueueName", "queue"},
		"AWS/SNS": {"TopicName", "topic"}, "AWS/Lambda": {"FunctionName", "function"}, "AWS/ApiGateway": {"ApiId", "API"},
	}
	return func(x series) string {
		of, ok := spaces[x.namespace]
		name := x.dimensions[of[0]]
		if !ok || name == "" || there[of[0]] == nil || there[of[0]][name] {
			return ""
		}
		return of[1] + " " + name
	}, sections
}

func namesIn[T any](items []T, name func(T) string) []string {
	out := make([]string, 0, len(items))
	for _, x := range items {
		out = append(out, name(x))
	}
	return out
}
