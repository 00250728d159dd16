package cloud

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Policy returns the least IAM policy for a level as JSON, made from Operations:
// every action that kxops may call there, what services do with its rights for it
// (Borrowed), and nothing else. account fills the
// resource patterns; "" allows any account. The patterns are of the partition
// "aws"; GovCloud and China need theirs in place of it.
func Policy(level Level, account string) ([]byte, error) {
	if account == "" {
		account = "*"
	} else if !isAccount(account) {
		return nil, fmt.Errorf("account %q: must be twelve digits", account)
	}
	type statement struct {
		Sid      string
		Effect   string
		Action   []string
		Resource string
	}
	actions := map[string][]string{}
	var patterns []string
	for _, o := range slices.Concat(Operations, Borrowed) {
		if o.Level > level || o.Action == "" {
			continue
		}
		if actions[o.Resource] == nil {
			patterns = append(patterns, o.Resource)
		}
		actions[o.Resource] = append(actions[o.Resource], o.Action)
	}
	policy := struct {
		Version   string
		Statement []statement
	}{Version: "2012-10-17"}
	sids := map[string]int{}
	for _, p := range patterns {
		id := sid(p)
		if sids[id]++; sids[id] > 1 { // IAM refuses a policy where one stands twice
			id = fmt.Sprintf("%sPart%d", id, sids[id])
		}
		slices.Sort(actions[p])
		policy.Statement = append(policy.Statement, statement{
			Sid:      id,
			Effect:   "Allow",
			Action:   slices.Compact(actions[p]),
			Resource: strings.ReplaceAll(p, "ACCOUNT", account),
		})
	}
	return json.MarshalIndent(policy, "", "  ")
}

// sid names a statement after the service it is about: only letters and digits
// are allowed.
func sid(pattern string) string {
	if pattern == anything {
		return "KxopsLists"
	}
	service := strings.Split(pattern, ":")[2]
	return "Kxops" + strings.ToUpper(service[:1]) + service[1:]
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}
