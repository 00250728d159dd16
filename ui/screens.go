package ui

import (
	tea "charm.land/bubbletea/v2"

	"kxops/ops"
)

// screenSpec is one entry of THE list of screens.
type screenSpec struct {
	id      string   // what `:` calls it
	aliases []string // other words for it
	kind    ops.Kind // for the page of one resource: its kind
	help    string
	open    func(a *App, target ops.ARN) screen

	// values lists the names it wants, and one opens it for one of them; nil for a
	// screen that needs no name.
	values func(*App) []string
	one    func(a *App, target ops.ARN) tea.Cmd
}

// screens is THE list: a new screen is a file screen_x.go and one line here. It
// is filled in init because the pages refer back to it.
var screens []screenSpec

func init() {
	screens = []screenSpec{
		{id: "overview", aliases: []string{"home", "status"}, help: "everything that can lose data, what loses first on top",
			open: openOverview},
		{id: "pipelines", aliases: []string{"map", "pipes", "links"}, help: "the linked map: what feeds what", open: openPipelines},
		{id: "stream", aliases: []string{"streams", "kds", "kinesis"}, kind: ops.KindStream, help: "one Kinesis stream", open: openDetail},
		{id: "delivery", aliases: []string{"deliveries", "fh", "firehose"}, kind: ops.KindDelivery, help: "one Firehose delivery stream", open: openDetail},
		{id: "queue", aliases: []string{"queues", "sqs"}, kind: ops.KindQueue, help: "one SQS queue or dead-letter queue", open: openDetail},
		{id: "function", aliases: []string{"functions", "fn", "lambda"}, kind: ops.KindFunction, help: "one Lambda function", open: openDetail},
		{id: "topic", aliases: []string{"topics", "sns"}, kind: ops.KindTopic, help: "one SNS topic", open: openDetail},
		{id: "bucket", aliases: []string{"buckets", "s3"}, kind: ops.KindBucket, help: "one S3 bucket", open: openDetail},
		{id: "api", aliases: []string{"apis", "gateway", "apigw"}, kind: ops.KindAPI, help: "one API of API Gateway", open: openDetail},
		{id: "dlq", aliases: []string{"dead", "dlqs"}, help: "all dead-letter queues: depth, first loss, what is done with them", open: openDead},
		{id: "triage", aliases: []string{"peek", "letters"}, help: "the letters of one dead-letter queue: why they are there, which to send back",
			values: deadNames, one: func(a *App, queue ops.ARN) tea.Cmd { return a.triageOf(queue) }, open: openTriage},
		{id: "operations", aliases: []string{"ops", "runs"}, help: "what runs, what was interrupted, what became of it", open: openOperations},
		{id: "alarms", aliases: []string{"alarm"}, help: "the CloudWatch alarms that exist", open: openAlarms},
		{id: "coverage", aliases: []string{"matrix"}, help: "which resource is watched for what, by whom; what is missing", open: openCoverage},
		{id: "plan", aliases: []string{"alarm-plan"}, help: "what would be done to get the alarms that should exist", open: openAlarmPlan},
		{id: "doctor", help: "which alarms nobody would hear, and the fix", open: openDoctor},
		{id: "replay", aliases: []string{"again"}, help: "send old events again: the form, some records, the plan", open: openReplay},
		{id: "replaying", help: "the replay that runs in this console, or the last one", open: openReplaying},
		{id: "replays", aliases: []string{"history"}, help: "the replays of this machine: what was sent, with proof", open: openReplays},
		{id: "queries", aliases: []string{"athena", "sql"}, help: "what was asked in Athena lately: a replay can begin with it", open: openQueries},
		{id: "journal", help: "what was done with kxops here", open: openJournal},
		{id: "info", help: "identity, sections, problems, access level", open: openInfo},
		{id: "spend", aliases: []string{"cost"}, help: "what looking has cost", open: openSpend},
		{id: "help", aliases: []string{"keys"}, help: "all keys and commands", open: openHelp},
	}
}

// command is the palette's word for a screen: `:alarms`, `:queue orders-dlq`.
func (s screenSpec) command() command {
	c := command{name: s.id, aliases: s.aliases, help: s.help}
	if s.one != nil {
		c.arg, c.values = "NAME", s.values
		c.run = func(a *App, name string) tea.Cmd { return a.openOne(s, name) }
		return c
	}
	if s.kind == "" {
		c.run = func(a *App, _ string) tea.Cmd { return a.jump(s.id) }
		return c
	}
	c.arg = "NAME"
	c.values = func(a *App) []string { return a.namesOf(s.kind) }
	c.run = func(a *App, name string) tea.Cmd { return a.openNamed(s.kind, name) }
	return c
}

// detailOf returns the page for a kind of resource, nil when there is none.
func detailOf(kind ops.Kind) *screenSpec {
	for i := range screens {
		if kind != "" && screens[i].kind == kind {
			return &screens[i]
		}
	}
	return nil
}

// openNamed opens the page of a named resource; without a name it lists the kind.
func (a *App) openNamed(kind ops.Kind, name string) tea.Cmd {
	if name == "" {
		cmd := a.jump("overview")
		if l, ok := a.top().(lister); ok {
			l.SetFilter("kind:" + string(kind))
		}
		return cmd
	}
	to := a.resourceNamed(name, kind)
	if to == "" {
		why := "there is no " + string(kind) + " " + name
		if near := fuzzy(name, a.namesOf(kind)); len(near) > 0 {
			why += "; nearest: " + near[0]
		}
		a.warn(why)
		return nil
	}
	return a.openResource(to)
}

// openOne opens a screen about a named queue; without a name, about the selected one.
func (a *App) openOne(s screenSpec, name string) tea.Cmd {
	if name == "" {
		x, _ := a.keys.id(s.id)
		return a.do(x, "")
	}
	to := a.resourceNamed(name, ops.KindQueue)
	if to == "" {
		a.warn("there is no queue " + name)
		return nil
	}
	return s.one(a, to)
}

// deadNames lists the dead-letter queues.
func deadNames(a *App) []string {
	var names []string
	for i := range a.pic.snap.Queues.Items {
		if q := &a.pic.snap.Queues.Items[i]; q.IsDeadLetter() {
			names = append(names, q.Name)
		}
	}
	return names
}
