package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/ops"
)

// This file reads and shows the attributes of queues.

// retentionLag is how long a new retention takes to apply, the worst case of
// "up to 15 minutes" (API, SetQueueAttributes), so that nobody relies on luck.
const retentionLag = 15 * time.Minute

type redrivePolicy struct {
	target ops.ARN
	max    int
}

// redriveAllowPolicy says which queues may use this one as their dead-letter queue.
type redriveAllowPolicy struct {
	permission string // allowAll, denyAll, byQueue; "" is allowAll
	sources    []string
}

func (p redriveAllowPolicy) admits(source ops.ARN) bool {
	switch p.permission {
	case "denyAll":
		return false
	case "byQueue":
		return slices.Contains(p.sources, string(source))
	}
	return true
}

// numbers are the numeric attributes with their default and range.
var numbers = map[string]struct{ normal, low, high int }{
	"DelaySeconds":                  {0, 0, 900},
	"MaximumMessageSize":            {maxMessage, 1024, maxMessage},
	"MessageRetentionPeriod":        {345600, 60, 1209600},
	"ReceiveMessageWaitTimeSeconds": {0, 0, 20},
	"VisibilityTimeout":             {30, 0, 43200},
	"KmsDataKeyReusePeriodSeconds":  {300, 60, 86400},
}

// choices are the attributes with a fixed set of values.
var choices = map[string][]string{
	"FifoQueue":                 {"true"},
	"ContentBasedDeduplication": {"true", "false"},
	"DeduplicationScope":        {"queue", "messageGroup"},
	"FifoThroughputLimit":       {"perQueue", "perMessageGroupId"},
	"SqsManagedSseEnabled":      {"true", "false"},
}

// readRules checks attributes and turns them into rules. The queue itself does
// not have to exist yet.
func (s *sqsService) readRules(arn ops.ARN, set map[string]string) (queueRules, error) {
	var rules queueRules
	for _, name := range sortedNames(set) {
		value := set[name]
		if n, ok := numbers[name]; ok {
			v, err := strconv.Atoi(value)
			if err != nil || v < n.low || v > n.high {
				return rules, badAttribute(name)
			}
			continue
		}
		if c, ok := choices[name]; ok {
			if !slices.Contains(c, value) {
				return rules, badAttribute(name)
			}
			continue
		}
		switch name {
		case "Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId":
		default:
			return rules, &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + name + ".")}
		}
	}
	seconds := func(name string) time.Duration {
		if v, err := strconv.Atoi(set[name]); err == nil {
			return time.Duration(v) * time.Second
		}
		return time.Duration(numbers[name].normal) * time.Second
	}
	rules.fifo = set["FifoQueue"] == "true"
	rules.visibility = seconds("VisibilityTimeout")
	rules.delay = seconds("DelaySeconds")
	rules.wait = seconds("ReceiveMessageWaitTimeSeconds")
	rules.retention = seconds("MessageRetentionPeriod")
	rules.maxSize = int(seconds("MaximumMessageSize") / time.Second)
	rules.contentDedup = set["ContentBasedDeduplication"] == "true"
	rules.dedupByGroup = set["DeduplicationScope"] == "messageGroup"
	rules.awsKey = set["KmsMasterKeyId"] == "alias/aws/sqs"
	if !rules.fifo {
		for _, name := range []string{"ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"} {
			if set[name] != "" {
				return rules, &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + name + ".")}
			}
		}
	}
	if set["FifoThroughputLimit"] == "perMessageGroupId" && !rules.dedupByGroup {
		return rules, badAttribute("FifoThroughputLimit")
	}
	var err error
	if rules.policy, err = readPolicy(set["Policy"]); err != nil {
		return rules, badAttribute("Policy")
	}
	if rules.redrive, err = s.readRedrive(arn, rules.fifo, set["RedrivePolicy"]); err != nil {
		return rules, err
	}
	rules.allow, err = readRedriveAllow(set["RedriveAllowPolicy"])
	return rules, err
}

func badAttribute(name string) error {
	return &types.InvalidAttributeValue{Message: aws.String("Invalid value for the parameter " + name + ".")}
}

// readRedrive checks a RedrivePolicy: the target has to exist, be of the same
// type and admit this queue.
func (s *sqsService) readRedrive(source ops.ARN, fifo bool, text string) (*redrivePolicy, error) {
	if text == "" {
		return nil, nil
	}
	bad := func(why string, args ...any) error {
		return invalidValue(text, "RedrivePolicy", fmt.Sprintf(why, args...))
	}
	var p struct {
		DeadLetterTargetArn string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, bad("Redrive policy is not a valid JSON map.")
	}
	if p.DeadLetterTargetArn == "" {
		return nil, bad("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
	}
	count := 10
	if len(p.MaxReceiveCount) > 0 {
		var err error // consoles write it as a number, many tools as a string
		if count, err = strconv.Atoi(strings.Trim(string(p.MaxReceiveCount), `"`)); err != nil || count < 1 || count > 1000 {
			return nil, bad("Invalid value for maxReceiveCount: %s, valid values are from 1 to 1000 both inclusive.", strings.Trim(string(p.MaxReceiveCount), `"`))
		}
	}
	target, ok := s.byARN(ops.ARN(p.DeadLetterTargetArn))
	switch {
	case !ok:
		return nil, bad("Dead letter target does not exist.")
	case target.fifo != fifo:
		return nil, bad("Dead-letter queue must be same type of queue as the source.")
	case !target.allow.admits(source):
		return nil, bad("Dead letter target %s does not admit this queue by its RedriveAllowPolicy.", target.arn)
	}
	return &redrivePolicy{target: target.arn, max: count}, nil
}

func readRedriveAllow(text string) (redriveAllowPolicy, error) {
	if text == "" {
		return redriveAllowPolicy{}, nil
	}
	var p struct {
		RedrivePermission string   `json:"redrivePermission"`
		SourceQueueArns   []string `json:"sourceQueueArns"`
	}
	bad := invalidValue(text, "RedriveAllowPolicy", "Redrive allow policy is not valid.")
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return redriveAllowPolicy{}, bad
	}
	switch byQueue := p.RedrivePermission == "byQueue"; {
	case !byQueue && p.RedrivePermission != "allowAll" && p.RedrivePermission != "denyAll":
		return redriveAllowPolicy{}, bad
	case byQueue != (len(p.SourceQueueArns) > 0), len(p.SourceQueueArns) > 10:
		return redriveAllowPolicy{}, bad
	}
	return redriveAllowPolicy{permission: p.RedrivePermission, sources: p.SourceQueueArns}, nil
}

// set changes attributes; an empty Policy or RedrivePolicy takes it away.
func (q *queue) set(attributes map[string]string) error {
	if v, ok := attributes["FifoQueue"]; ok && v != q.settings["FifoQueue"] {
		return badAttribute("FifoQueue")
	}
	next := maps.Clone(q.settings)
	for name, value := range attributes {
		next[name] = value
		if value == "" && slices.Contains([]string{"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"}, name) {
			delete(next, name)
		}
	}
	// A policy that names a queue deleted since is kept as long as nobody sends it again.
	checked := maps.Clone(next)
	if _, again := attributes["RedrivePolicy"]; !again {
		delete(checked, "RedrivePolicy")
	}
	rules, err := q.service.readRules(q.arn, checked)
	if err != nil {
		return err
	}
	if _, again := attributes["RedrivePolicy"]; !again {
		rules.redrive = q.redrive
	}
	now := q.r.now()
	q.settle(now)
	wanted := rules.retention
	rules.retention = q.retention
	q.settings, q.queueRules, q.modified = next, rules, now
	if wanted != q.retention {
		q.r.after(retentionLag, func() {
			if q.settings["MessageRetentionPeriod"] == next["MessageRetentionPeriod"] {
				q.settle(q.r.now())
				q.retention = wanted
			}
		})
	}
	return nil
}

// show lists the attributes that were asked for.
func (q *queue) show(names []types.QueueAttributeName, count [3]int) (map[string]string, error) {
	all := map[string]string{
		"QueueArn":                              string(q.arn),
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modified.Unix(), 10),
		"ApproximateNumberOfMessages":           strconv.Itoa(count[ready]),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(count[leased]),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(count[delayed]),
		"SqsManagedSseEnabled":                  strconv.FormatBool(q.settings["KmsMasterKeyId"] == ""),
	}
	for name, n := range numbers {
		all[name] = strconv.Itoa(n.normal)
	}
	if q.settings["KmsMasterKeyId"] == "" {
		delete(all, "KmsDataKeyReusePeriodSeconds")
	}
	if q.fifo {
		all["ContentBasedDeduplication"], all["DeduplicationScope"], all["FifoThroughputLimit"] = "false", "queue", "perQueue"
	}
	maps.Copy(all, q.settings)
	out := map[string]string{}
	for _, n := range names {
		if n == types.QueueAttributeNameAll {
			return all, nil
		}
		if !slices.Contains(n.Values(), n) {
			return nil, &types.InvalidAttributeName{Message: aws.String("Unknown Attribute " + string(n) + ".")}
		}
		if v, ok := all[string(n)]; ok {
			out[string(n)] = v
		}
	}
	return out, nil
}
