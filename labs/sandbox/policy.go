package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kxops/ops"
)

// accessPolicy is the resource policy of a queue or a topic, as far as it decides
// on events from other services: principals, actions and the condition on the
// sender's ARN. nil is the default policy.
type accessPolicy struct {
	statements []statement
}

type statement struct {
	allow      bool
	principals []string // "*", "service.amazonaws.com", account ids, ARNs
	actions    []string // lower case
	sources    []string // patterns of aws:SourceArn, nil: any
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
			Effect    string
			Principal json.RawMessage
			Action    oneOrMany
			Condition map[string]map[string]oneOrMany
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
		for _, a := range s.Action {
			st.actions = append(st.actions, strings.ToLower(a))
		}
		var err error
		if st.principals, err = readPrincipals(s.Principal); err != nil {
			return nil, err
		}
		for _, keys := range s.Condition {
			for key, values := range keys {
				if strings.EqualFold(key, "aws:SourceArn") {
					st.sources = append(st.sources, values...)
				}
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
	if s.sources != nil && !slices.ContainsFunc(s.sources, func(pattern string) bool { return matches(pattern, string(from)) }) {
		return false
	}
	return slices.ContainsFunc(s.principals, func(principal string) bool {
		return principal == "*" || principal == principalOf(from) ||
			principalOf(from) == Account && (principal == "arn:aws:iam::"+Account+":root" || principal == string(from))
	})
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
