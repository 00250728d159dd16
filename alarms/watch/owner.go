package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
)

// This file says which alarms are ours. AWS is the only state: an alarm is ours
// when its name begins with kxops/, its tag says so, and the last line of its
// description is our mark.

const (
	// Prefix begins the name of every alarm that kxops creates.
	Prefix = "kxops/"

	tagManaged = "kxops:managed" // "true"
	tagRule    = "kxops:rule"
	tagQuiet   = "kxops:quiet" // of an alarm that was created with its actions off
	tagWish    = "kxops:alarms"

	quietWaits = "waiting" // the actions are off because nobody has switched them on yet
	quietOver  = "over"

	markStart = "kxops:v1 "
	// descriptionMost is CloudWatch's limit. It counts characters; we count bytes, which
	// are never fewer.
	descriptionMost = 1024
	// markMost leaves room for the sentences.
	markMost = 700
)

// Mark is the last line of our descriptions: what the alarm was made from.
type Mark struct {
	Rule     string
	Resource ops.ARN
	Tier     alarms.Tier
	Hash     string            // of the fields that we own, as we wrote them
	Topics   string            // shortSum of the actions that are ours
	As       string            // of an adopted alarm: shortSum of the name that it would have
	Inputs   map[string]string // settings that the threshold was computed from
}

func (m Mark) line() string {
	var b strings.Builder
	b.WriteString(markStart + "rule=" + url.QueryEscape(m.Rule) + " hash=" + m.Hash)
	add := func(key, value string) {
		if value != "" {
			b.WriteString(" " + key + "=" + value)
		}
	}
	add("tier", url.QueryEscape(string(m.Tier)))
	add("to", m.Topics)
	add("as", m.As)
	add("of", strings.NewReplacer("%", "%25", " ", "%20").Replace(string(m.Resource)))
	inputs := inputsLine(m.Inputs)
	if b.Len()+len(" in=")+len(inputs) <= markMost { // an update then cannot say which setting changed
		add("in", inputs)
	}
	return b.String()
}

func inputsLine(inputs map[string]string) string {
	pairs := make([]string, 0, len(inputs))
	for k, v := range inputs {
		pairs = append(pairs, url.QueryEscape(k)+":"+url.QueryEscape(v))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ";")
}

// readMark finds the mark in a description. ok is false without one.
func readMark(description string) (m Mark, ok bool) {
	last := description[strings.LastIndexByte(description, '\n')+1:]
	rest, ok := strings.CutPrefix(last, markStart)
	if !ok {
		return m, false
	}
	for _, field := range strings.Fields(rest) {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "rule":
			m.Rule = unescape(value)
		case "hash":
			m.Hash = value
		case "tier":
			m.Tier = alarms.Tier(unescape(value))
		case "to":
			m.Topics = value
		case "as":
			m.As = value
		case "of":
			m.Resource = ops.ARN(strings.NewReplacer("%20", " ", "%25", "%").Replace(value))
		case "in":
			m.Inputs = map[string]string{}
			for pair := range strings.SplitSeq(value, ";") {
				k, v, _ := strings.Cut(pair, ":")
				m.Inputs[unescape(k)] = unescape(v)
			}
		}
	}
	return m, m.Rule != "" && m.Hash != ""
}

func unescape(s string) string {
	out, err := url.QueryUnescape(s)
	if err != nil { // edited by hand: show what is there
		return s
	}
	return out
}

// shortSum tells names and ARNs apart in little room: 12 hex digits of sha256.
func shortSum(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:6])
}

// described is the whole description: the meaning, the rule's arithmetic, the
// first step of the runbook and the mark. The sentences give way to the mark.
func described(s alarms.Spec, m Mark) string {
	mark := m.line()
	room := descriptionMost - len(mark) - 1
	lines := []string{oneLine(s.Why), oneLine(s.Formula)}
	if len(s.Runbook) > 0 {
		lines = append(lines, oneLine(strings.Join(s.Runbook, " | ")))
	}
	if s.Note != "" {
		lines = append(lines, oneLine(s.Note))
	}
	text := strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "\n")
	if text = cut(text, room); text == "" {
		return mark
	}
	return text + "\n" + mark
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// cut shortens a text to so many bytes, at a whole character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const sign = "..."
	s = s[:max(0, most-len(sign))]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return strings.TrimRight(s, " \n") + sign
}

// Alarm is one metric alarm as CloudWatch describes it, and what it is to us.
type Alarm struct {
	types.MetricAlarm
	Tags     map[string]string // those of alarms that are marked as ours; nil for others
	Mark     Mark
	marked   bool
	untagged bool // marked, but its tags could not be read
}

// Name returns the alarm's name.
func (a *Alarm) Name() string { return aws.ToString(a.AlarmName) }

// ARN returns the alarm's ARN.
func (a *Alarm) ARN() ops.ARN { return ops.ARN(aws.ToString(a.AlarmArn)) }

// Managed reports whether kxops keeps the alarm: ours, or adopted.
func (a *Alarm) Managed() bool { return a.marked && a.Tags[tagManaged] == "true" }

// Ours reports whether kxops made the alarm: only such may be deleted.
func (a *Alarm) Ours() bool { return a.Managed() && strings.HasPrefix(a.Name(), Prefix) }

// quiet reports whether the alarm was created with its actions off and nobody has
// switched them on yet.
func (a *Alarm) quiet() bool { return a.Tags[tagQuiet] == quietWaits }
