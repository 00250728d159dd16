package watch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kxops/ops"
)

// This file says whether a topic's policy lets CloudWatch publish for an alarm.
// Where IAM would look at something that is not known here, the answer is unsure,
// never yes.

// answer is yes, no, or unsure.
type answer int

const (
	no answer = iota
	unsure
	yes
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

// policyWords is a JSON string or a list of them; a policy also has numbers and booleans.
type policyWords []string

func (w *policyWords) UnmarshalJSON(b []byte) error {
	var list []any
	if err := json.Unmarshal(b, &list); err != nil {
		var one any
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		list = []any{one}
	}
	for _, x := range list {
		switch x.(type) {
		case string, bool, float64:
			*w = append(*w, fmt.Sprint(x))
		default:
			return fmt.Errorf("%v is no word", x)
		}
	}
	return nil
}

// grant is one statement of a policy.
type grant struct {
	Sid          string
	Effect       string
	Principal    json.RawMessage
	NotPrincipal json.RawMessage
	Action       policyWords
	NotAction    policyWords
	Resource     policyWords
	NotResource  policyWords
	Condition    map[string]map[string]policyWords
}

// parseGrants reads a policy document; one that has a single statement may have it
// without a list.
func parseGrants(document string) ([]grant, error) {
	var doc struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		return nil, err
	}
	var list []grant
	if err := json.Unmarshal(doc.Statement, &list); err == nil {
		return list, nil
	}
	var one grant
	if err := json.Unmarshal(doc.Statement, &one); err != nil {
		return nil, err
	}
	return []grant{one}, nil
}

// mayPublish evaluates the policy as IAM does for CloudWatch: an explicit deny
// wins, and what is not allowed is refused. why names what decides.
func mayPublish(list []grant, topic, alarm ops.ARN) (answer, string) {
	allowed, denied := no, no
	why, against := "no statement lets "+cloudWatchPrincipal+" publish", ""
	for _, g := range list {
		a, doubt := g.concerns(topic, alarm)
		switch {
		case g.Effect == "Deny" && a > denied:
			denied, against = a, g.name()+" may deny it: "+doubt
			if a == yes {
				against = g.name() + " denies it"
			}
		case g.Effect == "Allow" && a > allowed:
			allowed, why = a, g.name()+" may allow it: "+doubt
		}
	}
	switch {
	case denied == yes:
		return no, against
	case allowed == no:
		return no, why
	case denied == unsure:
		return unsure, against
	}
	return allowed, why
}

func (g grant) name() string {
	if g.Sid == "" {
		return "a statement"
	}
	return "statement " + g.Sid
}

const cloudWatchPrincipal = "cloudwatch.amazonaws.com"

// concerns reports whether the statement is about CloudWatch's publishing for the
// alarm, and why that is not sure.
func (g grant) concerns(topic, alarm ops.ARN) (answer, string) {
	result, doubt := yes, ""
	with := func(a answer, why string) {
		if a < result {
			result = a
		}
		if a == unsure && doubt == "" {
			doubt = why
		}
	}
	with(g.principal(alarm), "its principal is an account or a role, and CloudWatch publishes as a service")
	with(answerOf(listed(g.Action, g.NotAction, "SNS:Publish", true)), "")
	with(answerOf(listed(g.Resource, g.NotResource, string(topic), false)), "")
	for operator, keys := range g.Condition {
		for key, values := range keys {
			a := holds(operator, key, values, alarm)
			with(a, "its condition "+operator+" "+key+" cannot be judged from here")
		}
	}
	return result, doubt
}

func listed(in, out policyWords, what string, foldCase bool) bool {
	has := func(patterns policyWords) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			if foldCase {
				return glob(strings.ToLower(p), strings.ToLower(what))
			}
			return glob(p, what)
		})
	}
	if out != nil {
		return !has(out)
	}
	return in == nil || has(in)
}

func (g grant) principal(alarm ops.ARN) answer {
	if g.NotPrincipal != nil {
		return unsure
	}
	var one string
	if json.Unmarshal(g.Principal, &one) == nil {
		return answerOf(one == "*")
	}
	var kinds map[string]policyWords
	if json.Unmarshal(g.Principal, &kinds) != nil {
		return unsure
	}
	if slices.Contains(kinds["Service"], cloudWatchPrincipal) || slices.Contains(kinds["AWS"], "*") {
		return yes
	}
	if slices.ContainsFunc(kinds["AWS"], func(p string) bool { return p == alarm.Account() || ops.ARN(p).Account() == alarm.Account() }) {
		return unsure
	}
	return no
}

// holds evaluates one condition. Keys are those that CloudWatch's request is known
// to carry; of any other nobody knows.
func holds(operator, key string, values policyWords, alarm ops.ARN) answer {
	known := map[string]string{
		"aws:sourcearn":             string(alarm),
		"aws:sourceaccount":         alarm.Account(),
		"aws:sourceowner":           alarm.Account(), // of topics' default policy
		"aws:securetransport":       "true",
		"aws:principalisawsservice": "true",
		"aws:principalservicename":  cloudWatchPrincipal,
	}
	value, ok := known[strings.ToLower(key)]
	operator = strings.TrimPrefix(strings.TrimPrefix(operator, "ForAnyValue:"), "ForAllValues:") // the keys have one value
	operator, _ = strings.CutSuffix(operator, "IfExists")                                        // they are all there
	if !ok {
		return unsure
	}
	var same func(pattern string) bool
	switch strings.Replace(operator, "Not", "", 1) {
	case "StringEquals":
		same = func(p string) bool { return p == value }
	case "StringEqualsIgnoreCase", "Bool":
		same = func(p string) bool { return strings.EqualFold(p, value) }
	case "StringLike", "ArnLike", "ArnEquals":
		same = func(p string) bool { return glob(p, value) }
	case "Null":
		return answerOf(slices.Contains(values, "false"))
	default:
		return unsure
	}
	return answerOf(slices.ContainsFunc(values, same) != strings.Contains(operator, "Not"))
}

// glob matches * and ? as IAM does. It takes time in proportion to the product of
// the lengths, whatever the pattern.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
