package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// Composite alarms: a rule over the states of other alarms. The rule has AND, OR,
// NOT, ALARM(), OK(), INSUFFICIENT_DATA(), TRUE and FALSE; AT_LEAST is refused.

// ruleNode is one node of a parsed rule.
type ruleNode struct {
	op    string // AND, OR, NOT, TRUE, FALSE or a state
	alarm string
	kids  []*ruleNode
}

// The bounds of a rule (API reference, PutCompositeAlarm).
const (
	maxRuleLength = 10240
	maxRuleAlarms = 100
	maxRuleDepth  = 100
)

func (c *cloudWatch) putCompositeAlarm(_ context.Context, in *cloudwatch.PutCompositeAlarmInput) (*cloudwatch.PutCompositeAlarmOutput, error) {
	if err := checkAlarmName(deref(in.AlarmName), deref(in.AlarmDescription)); err != nil {
		return nil, err
	}
	switch {
	case deref(in.AlarmRule) == "":
		return nil, missingParameter("AlarmRule")
	case in.ActionsSuppressor != nil:
		return nil, unsupported("ActionsSuppressor")
	case in.ActionsSuppressorExtensionPeriod != nil:
		return nil, unsupported("ActionsSuppressorExtensionPeriod")
	case in.ActionsSuppressorWaitPeriod != nil:
		return nil, unsupported("ActionsSuppressorWaitPeriod")
	case in.ActionConfiguration != nil:
		return nil, unsupported("ActionConfiguration")
	}
	if err := c.checkActions(in.AlarmActions, in.OKActions, in.InsufficientDataActions); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	rule, err := parseRule(*in.AlarmRule)
	if err != nil {
		return nil, invalidRequest("AlarmRule is not valid: %v", err)
	}
	children := rule.alarms(nil)
	if len(children) > maxRuleAlarms {
		return nil, invalidRequest("AlarmRule refers to more than %d alarms", maxRuleAlarms)
	}
	for _, n := range children {
		switch {
		case n == *in.AlarmName || c.leadsTo(n, *in.AlarmName, 0):
			return nil, invalidRequest("AlarmRule contains a cycle: %s", n)
		case c.alarms.byName[n] == nil:
			return nil, invalidRequest("AlarmRule refers to an alarm that does not exist: %s", n)
		}
	}
	a, err := c.configure(*in.AlarmName, in.Tags, types.AlarmTypeCompositeAlarm)
	if err != nil {
		return nil, err
	}
	verb := "updated"
	if a.group == nil {
		verb = "created"
	}
	a.group, a.rule = in, rule
	a.acting(in.ActionsEnabled, in.AlarmActions, in.OKActions, in.InsufficientDataActions)
	c.recordConfiguration(a, verb)
	c.evaluateComposites()
	return &cloudwatch.PutCompositeAlarmOutput{}, nil
}

// leadsTo reports whether the composite named from depends on the alarm to.
func (c *cloudWatch) leadsTo(from, to string, depth int) bool {
	a := c.alarms.byName[from]
	if a == nil || a.rule == nil || depth > maxRuleDepth {
		return false
	}
	for _, n := range a.rule.alarms(nil) {
		if n == to || c.leadsTo(n, to, depth+1) {
			return true
		}
	}
	return false
}

// evaluateComposites looks at all composite alarms until none changes: one may
// depend on another, and circles are refused when they are put.
func (c *cloudWatch) evaluateComposites() {
	for range maxRuleDepth {
		changed := false
		for _, n := range c.alarms.names {
			a := c.alarms.byName[n]
			if a.rule == nil {
				continue
			}
			state, why := types.StateValueOk, c.lastMoved(a)
			if a.rule.holds(c.stateOf) {
				state = types.StateValueAlarm
			}
			if state != a.state {
				c.transition(a, state, why, "")
				changed = true
			}
		}
		if !changed {
			return
		}
	}
}

func (c *cloudWatch) stateOf(name string) types.StateValue {
	if a := c.alarms.byName[name]; a != nil {
		return a.state
	}
	return types.StateValueInsufficientData
}

// lastMoved names the child whose transition is the newest.
func (c *cloudWatch) lastMoved(a *alarm) string {
	var last *alarm
	for _, n := range a.rule.alarms(nil) {
		if k := c.alarms.byName[n]; k != nil && (last == nil || k.transitioned.After(last.transitioned)) {
			last = k
		}
	}
	if last == nil {
		return "The rule of the alarm was evaluated"
	}
	return fmt.Sprintf("%s transitioned to %s at %s", last.arn, last.state, last.transitioned.UTC().Format("Monday 02 January, 2006 15:04:05 UTC"))
}

func (n *ruleNode) holds(state func(string) types.StateValue) bool {
	switch n.op {
	case "TRUE":
		return true
	case "FALSE":
		return false
	case "NOT":
		return !n.kids[0].holds(state)
	case "AND":
		return n.kids[0].holds(state) && n.kids[1].holds(state)
	case "OR":
		return n.kids[0].holds(state) || n.kids[1].holds(state)
	}
	return string(state(n.alarm)) == n.op
}

func (n *ruleNode) alarms(out []string) []string {
	if n.alarm != "" {
		out = append(out, n.alarm)
	}
	for _, k := range n.kids {
		out = k.alarms(out)
	}
	return out
}

// parseRule parses the rule of a composite alarm.
func parseRule(s string) (*ruleNode, error) {
	if len(s) > maxRuleLength {
		return nil, fmt.Errorf("it is longer than %d characters", maxRuleLength)
	}
	p := &ruleParser{rest: s}
	n, err := p.either(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.rest != "" {
		return nil, fmt.Errorf("it does not end at %q", clip(p.rest))
	}
	return n, nil
}

func clip(s string) string {
	if len(s) > 20 {
		return s[:20]
	}
	return s
}

type ruleParser struct{ rest string }

func (p *ruleParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// word takes a keyword that is not the start of a longer word.
func (p *ruleParser) word(w string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, w)
	if !ok || rest != "" && (isLetter(rest[0]) || isDigit(rest[0])) {
		return false
	}
	p.rest = rest
	return true
}

func (p *ruleParser) either(depth int) (*ruleNode, error) {
	return p.chain("OR", depth, func() (*ruleNode, error) {
		return p.chain("AND", depth, func() (*ruleNode, error) { return p.single(depth) })
	})
}

func (p *ruleParser) chain(op string, depth int, next func() (*ruleNode, error)) (*ruleNode, error) {
	if depth > maxRuleDepth {
		return nil, errors.New("it is nested too deeply")
	}
	left, err := next()
	for err == nil && p.word(op) {
		var right *ruleNode
		right, err = next()
		left = &ruleNode{op: op, kids: []*ruleNode{left, right}}
	}
	return left, err
}

func (p *ruleParser) single(depth int) (*ruleNode, error) {
	switch {
	case p.word("NOT"):
		if depth > maxRuleDepth {
			return nil, errors.New("it is nested too deeply")
		}
		n, err := p.single(depth + 1)
		return &ruleNode{op: "NOT", kids: []*ruleNode{n}}, err
	case p.word("TRUE"):
		return &ruleNode{op: "TRUE"}, nil
	case p.word("FALSE"):
		return &ruleNode{op: "FALSE"}, nil
	}
	for _, s := range types.StateValue("").Values() {
		if p.word(string(s)) {
			name, err := p.argument()
			return &ruleNode{op: string(s), alarm: name}, err
		}
	}
	if p.space(); strings.HasPrefix(p.rest, "(") {
		p.rest = p.rest[1:]
		n, err := p.either(depth + 1)
		if p.space(); err == nil && !strings.HasPrefix(p.rest, ")") {
			err = errors.New("a ) is missing")
		}
		if err == nil {
			p.rest = p.rest[1:]
		}
		return n, err
	}
	return nil, fmt.Errorf("nothing that the sandbox knows at %q", clip(p.rest))
}

// argument reads ("name"), (name) or (arn).
func (p *ruleParser) argument() (string, error) {
	if p.space(); !strings.HasPrefix(p.rest, "(") {
		return "", errors.New("a ( is missing")
	}
	p.rest = p.rest[1:]
	p.space()
	end, quoted := ")", strings.HasPrefix(p.rest, `"`)
	if quoted {
		p.rest, end = p.rest[1:], `"`
	}
	name, rest, ok := strings.Cut(p.rest, end)
	if !ok {
		return "", errors.New("an alarm name does not end")
	}
	p.rest = rest
	if quoted {
		if p.space(); !strings.HasPrefix(p.rest, ")") {
			return "", errors.New("a ) is missing")
		}
		p.rest = p.rest[1:]
	} else {
		name = strings.TrimSpace(name)
	}
	if _, after, isARN := strings.Cut(name, ":alarm:"); isARN && strings.HasPrefix(name, "arn:") {
		name = after
	}
	if name == "" {
		return "", errors.New("an alarm name is missing")
	}
	return name, nil
}

// composite is the alarm as DescribeAlarms shows it.
func (a *alarm) composite() types.CompositeAlarm {
	return types.CompositeAlarm{
		ActionsEnabled:                     aws.Bool(a.actionsOn),
		AlarmActions:                       orEmpty(a.group.AlarmActions),
		AlarmArn:                           aws.String(string(a.arn)),
		AlarmConfigurationUpdatedTimestamp: aws.Time(a.configured),
		AlarmDescription:                   a.group.AlarmDescription,
		AlarmName:                          aws.String(a.name),
		AlarmRule:                          a.group.AlarmRule,
		InsufficientDataActions:            orEmpty(a.group.InsufficientDataActions),
		OKActions:                          orEmpty(a.group.OKActions),
		StateReason:                        aws.String(a.reason),
		StateTransitionedTimestamp:         aws.Time(a.transitioned),
		StateUpdatedTimestamp:              aws.Time(a.updated),
		StateValue:                         a.state,
	}
}

// describeFamily answers for the children or the parents of an alarm, with the
// few members that AWS fills there.
func (c *cloudWatch) describeFamily(in *cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
	if in.ChildrenOfAlarmName != nil && in.ParentsOfAlarmName != nil || len(in.AlarmNames) > 0 || in.AlarmNamePrefix != nil ||
		in.StateValue != "" || in.ActionPrefix != nil || len(in.AlarmTypes) > 0 {
		return nil, invalidRequest("ChildrenOfAlarmName and ParentsOfAlarmName cannot be combined with other parameters.")
	}
	if in.NextToken != nil {
		return nil, badMetricsToken() // at most 150 relatives: one page here
	}
	out := &cloudwatch.DescribeAlarmsOutput{MetricAlarms: []types.MetricAlarm{}, CompositeAlarms: []types.CompositeAlarm{}}
	if in.ParentsOfAlarmName != nil {
		if c.alarms.byName[*in.ParentsOfAlarmName] == nil {
			return nil, noAlarm(*in.ParentsOfAlarmName)
		}
		for _, n := range c.alarms.names {
			a := c.alarms.byName[n]
			if a.rule != nil && slices.Contains(a.rule.alarms(nil), *in.ParentsOfAlarmName) {
				out.CompositeAlarms = append(out.CompositeAlarms, types.CompositeAlarm{AlarmName: aws.String(n), AlarmArn: aws.String(string(a.arn))})
			}
		}
		return out, nil
	}
	parent := c.alarms.byName[*in.ChildrenOfAlarmName]
	if parent == nil {
		return nil, noAlarm(*in.ChildrenOfAlarmName)
	}
	if parent.rule == nil {
		return out, nil
	}
	seen := map[string]bool{}
	for _, n := range parent.rule.alarms(nil) {
		a := c.alarms.byName[n]
		if a == nil || seen[n] {
			continue
		}
		seen[n] = true
		arn := aws.String(string(a.arn))
		if a.group != nil {
			out.CompositeAlarms = append(out.CompositeAlarms, types.CompositeAlarm{AlarmName: aws.String(n), AlarmArn: arn, StateValue: a.state, StateUpdatedTimestamp: aws.Time(a.updated)})
		} else {
			out.MetricAlarms = append(out.MetricAlarms, types.MetricAlarm{AlarmName: aws.String(n), AlarmArn: arn, StateValue: a.state, StateUpdatedTimestamp: aws.Time(a.updated)})
		}
	}
	return out, nil
}
