package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kxops/ops"
)

// accessPolicy is the resource policy of a queue or a topic, as far as it decides
// on events from other services: principals, actions and conditions. nil is the
// default policy.
type accessPolicy struct {
	statements []statement
}

type statement struct {
	allow      bool
	principals []string // "*", "service.amazonaws.com", account ids, ARNs
	actions    []string // lower case
	conditions []policyCondition
}

// policyCondition is one line of a Condition block.
type policyCondition struct {
	operator string // ArnLike, StringEquals, Bool …
	key      string // lower case
	values   []string
}

// oneOrMany is a JSON string or a list of strings.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*o = oneOrMany{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

// readPolicy parses a policy document; "" is none.
func readPolicy(text string) (*accessPolicy, error) {
	if text == "" {
		return nil, nil
	}
	var doc struct {
		Statement []struct {
			Effect                               string
			Principal                            json.RawMessage
			Action                               oneOrMany
			Condition                            map[string]map[string]oneOrMany
			NotPrincipal, NotAction, NotResource json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	p := &accessPolicy{}
	for _, s := range doc.Statement {
		st := statement{allow: s.Effect == "Allow"}
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, fmt.Errorf("the policy has the effect %q", s.Effect)
		}
		if s.NotPrincipal != nil || s.NotAction != nil || s.NotResource != nil {
			return nil, fmt.Errorf("the sandbox does not support NotPrincipal, NotAction and NotResource in a policy")
		}
		for _, a := range s.Action {
			st.actions = append(st.actions, strings.ToLower(a))
		}
		var err error
		if st.principals, err = readPrincipals(s.Principal); err != nil {
			return nil, err
		}
		for _, operator := range sortedNames(s.Condition) {
			for _, key := range sortedNames(s.Condition[operator]) {
				st.conditions = append(st.conditions, policyCondition{operator, strings.ToLower(key), s.Condition[operator][key]})
			}
		}
		p.statements = append(p.statements, st)
	}
	return p, nil
}

func readPrincipals(raw json.RawMessage) ([]string, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var kinds map[string]oneOrMany
	if err := json.Unmarshal(raw, &kinds); err != nil {
		return nil, fmt.Errorf("the policy's principal cannot be read: %w", err)
	}
	var out []string
	for _, k := range sortedNames(kinds) {
		out = append(out, kinds[k]...)
	}
	return out, nil
}

// verdict says whether a statement allows or denies explicitly.
func (p *accessPolicy) verdict(from ops.ARN, action string) (allowed, denied bool) {
	for _, s := range p.statements {
		if !s.concerns(from, action) {
			continue
		}
		if !s.allow {
			return false, true
		}
		allowed = true
	}
	return allowed, false
}

func (s statement) concerns(from ops.ARN, action string) bool {
	if !slices.ContainsFunc(s.actions, func(a string) bool { return matches(a, strings.ToLower(action)) }) {
		return false
	}
	if slices.ContainsFunc(s.conditions, func(c policyCondition) bool { return !c.holds(from) }) {
		return false
	}
	return slices.ContainsFunc(s.principals, func(principal string) bool {
		return principal == "*" || principal == principalOf(from) ||
			principalOf(from) == Account && (principal == "arn:aws:iam::"+Account+":root" || principal == string(from))
	})
}

// holds evaluates a condition. A key that the request does not carry fails every
// operator but the negated ones and those with IfExists.
func (c policyCondition) holds(from ops.ARN) bool {
	operator, ifExists := strings.CutSuffix(c.operator, "IfExists")
	negated := strings.Contains(operator, "Not")
	value := map[string]string{
		"aws:sourcearn":        string(from),
		"aws:sourceaccount":    Account,
		"aws:sourceowner":      Account,
		"aws:principalaccount": Account,
		"aws:securetransport":  "true",
	}[c.key]
	if value == "" {
		return negated || ifExists
	}
	found := slices.ContainsFunc(c.values, func(pattern string) bool {
		if operator == "StringEquals" || operator == "StringNotEquals" || operator == "Bool" {
			return pattern == value
		}
		return matches(pattern, value)
	})
	return found != negated
}

// principalOf is who a sender is in a policy: a service, or the account for its
// own identities (functions act as their role).
func principalOf(from ops.ARN) string {
	switch from.Service() {
	case "sns", "s3", "cloudwatch", "events":
		return from.Service() + ".amazonaws.com"
	}
	return Account
}

// matches compares with * as in policies.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[last])
}
