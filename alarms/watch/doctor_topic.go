package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"kxops/ops"
)

const (
	topicReaders  = 4   // topics that are examined at the same time
	filtersRead   = 50  // subscriptions of one topic whose filters are read
	subscriberMax = 100 // pages of 100 subscriptions
)

// topicFacts is what was read about one topic.
type topicFacts struct {
	arn     ops.ARN
	gone    bool
	problem *ops.Problem // why its attributes could not be read

	grants    []grant
	policyBad error
	key       string // KmsMasterKeyId, "" for none

	subs        audience
	subsProblem *ops.Problem
}

// audience is who hears a topic.
type audience struct {
	confirmed []string // subscription ARNs
	pending   []string // endpoints that have not confirmed
	deaf      []string // endpoints whose filter drops every alarm message
	unsure    []string // endpoints whose filter may drop them, or could not be read

	protocols map[string]int // of the confirmed
}

// words says how many hear it, by protocol, and who does not.
func (a audience) words() string {
	var parts []string
	for _, protocol := range slices.Sorted(maps.Keys(a.protocols)) {
		parts = append(parts, fmt.Sprintf("%d %s", a.protocols[protocol], protocol))
	}
	if len(parts) == 0 {
		parts = []string{"nobody"}
	}
	for _, x := range []struct {
		who []string
		why string
	}{{a.pending, "not confirmed"}, {a.deaf, "whose filter drops alarms"}, {a.unsure, "whose filter may drop alarms"}} {
		if len(x.who) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", len(x.who), x.why))
		}
	}
	return strings.Join(parts, ", ")
}

// examineTopics reads each topic once.
func (d *Desk) examineTopics(ctx context.Context, topics []ops.ARN) map[ops.ARN]topicFacts {
	var (
		mu   sync.Mutex
		out  = map[ops.ARN]topicFacts{}
		work = make(chan ops.ARN)
		wait sync.WaitGroup
	)
	for range min(topicReaders, len(topics)) {
		wait.Go(func() {
			for t := range work {
				f := d.examineTopic(ctx, t)
				mu.Lock()
				out[t] = f
				mu.Unlock()
			}
		})
	}
	for _, t := range topics { // after ctx has ended each read fails at once
		work <- t
	}
	close(work)
	wait.Wait()
	return out
}

func (d *Desk) examineTopic(ctx context.Context, topic ops.ARN) topicFacts {
	f := topicFacts{arn: topic}
	if topic.Region() != d.o.Config.Region {
		f.problem = &ops.Problem{Fault: ops.FaultRegion, What: "it is in " + topic.Region() + ", and this look is at " + d.o.Config.Region}
		return f
	}
	call, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	out, err := d.topics.GetTopicAttributes(call, &sns.GetTopicAttributesInput{TopicArn: aws.String(string(topic))})
	var missing *snstypes.NotFoundException
	if errors.As(err, &missing) {
		f.gone = true
		return f
	}
	if err != nil {
		f.problem = d.o.Explain(err)
		return f
	}
	f.key = out.Attributes["KmsMasterKeyId"]
	f.grants, f.policyBad = parseGrants(out.Attributes["Policy"])
	if f.subs, err = d.subscribers(ctx, topic); err != nil {
		f.subsProblem = d.o.Explain(err)
	}
	return f
}

// subscribers lists who hears a topic, with the filters that keep alarms away.
func (d *Desk) subscribers(ctx context.Context, topic ops.ARN) (audience, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	a := audience{protocols: map[string]int{}}
	endpoints := map[string]string{}
	pages := sns.NewListSubscriptionsByTopicPaginator(d.topics, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(string(topic))})
	for n := 0; pages.HasMorePages(); n++ {
		if n == subscriberMax {
			return a, fmt.Errorf("list the subscriptions of %s: more than %d pages", topic, subscriberMax)
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return a, err
		}
		for _, s := range page.Subscriptions {
			arn, endpoint := aws.ToString(s.SubscriptionArn), aws.ToString(s.Protocol)+" "+aws.ToString(s.Endpoint)
			switch {
			case strings.HasPrefix(arn, "arn:"):
				a.confirmed = append(a.confirmed, arn)
				a.protocols[aws.ToString(s.Protocol)]++
				endpoints[arn] = endpoint
			case arn == "PendingConfirmation":
				a.pending = append(a.pending, endpoint)
			}
		}
	}
	for i, arn := range a.confirmed {
		if i == filtersRead {
			a.unsure = append(a.unsure, fmt.Sprintf("%d more subscriptions", len(a.confirmed)-i))
			break
		}
		out, err := d.topics.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
		if err != nil { // one that may not be read is unsure, not absent
			a.unsure = append(a.unsure, endpoints[arn])
			continue
		}
		switch passesAlarms(out.Attributes["FilterPolicy"], out.Attributes["FilterPolicyScope"]) {
		case no:
			a.deaf = append(a.deaf, endpoints[arn])
		case unsure:
			a.unsure = append(a.unsure, endpoints[arn])
		}
	}
	return a, nil
}

// passesAlarms says whether a filter lets alarm messages through. They carry no
// message attributes, so a filter on attributes drops them unless each of its keys
// may be absent; a filter on the body may do either.
func passesAlarms(policy, scope string) answer {
	if policy == "" || policy == "{}" {
		return yes
	}
	if scope == "MessageBody" {
		return unsure
	}
	var keys map[string]json.RawMessage
	if json.Unmarshal([]byte(policy), &keys) != nil || keys["$or"] != nil {
		return unsure
	}
	for _, raw := range keys {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return unsure
		}
		if !slices.ContainsFunc(list, mayBeAbsent) {
			return no
		}
	}
	return yes
}

func mayBeAbsent(raw json.RawMessage) bool {
	var rule struct {
		Exists *bool `json:"exists"`
	}
	return json.Unmarshal(raw, &rule) == nil && rule.Exists != nil && !*rule.Exists
}
