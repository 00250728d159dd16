package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"kxops/ops"
)

// rulesMost bounds the rules whose targets are asked for, one call each: a bus has 300 by
// default (EventBridge quotas).
const rulesMost = 300

// busRule is a rule that is on, with what is behind it.
type busRule struct {
	arn     ops.ARN
	name    string
	targets []ops.ARN
}

// rulesOf are the rules of a bus that are on, without those that AWS keeps for archives.
// off are the names of the others.
func (d *Desk) rulesOf(ctx context.Context, bus ops.ARN) (on []busRule, off []string, err error) {
	in := &eventbridge.ListRulesInput{EventBusName: aws.String(string(bus))}
	for {
		page, err := d.events.ListRules(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range page.Rules {
			switch name := aws.ToString(r.Name); {
			case aws.ToString(r.ManagedBy) != "" || r.EventPattern == nil: // an archive's, a schedule
			case r.State == types.RuleStateDisabled:
				off = append(off, name)
			default:
				on = append(on, busRule{arn: ops.ARN(aws.ToString(r.Arn)), name: name})
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(on) > rulesMost {
		return nil, off, fmt.Errorf("the bus has %d rules, more than %d are not looked through", len(on), rulesMost)
	}
	for i := range on {
		in := &eventbridge.ListTargetsByRuleInput{EventBusName: aws.String(string(bus)), Rule: &on[i].name}
		for {
			page, err := d.events.ListTargetsByRule(ctx, in)
			if err != nil {
				return nil, off, err
			}
			for _, t := range page.Targets {
				on[i].targets = append(on[i].targets, ops.ARN(aws.ToString(t.Arn)))
			}
			if in.NextToken = page.NextToken; in.NextToken == nil {
				break
			}
		}
	}
	return on, off, nil
}

// behindBus says which rules an event on the bus can reach, and gives the arrows to their
// targets. Only is those of the rules that may get it, none: all. What cannot be asked
// is said, and is no fault of the plan.
func (d *Desk) behindBus(ctx context.Context, plan *ops.ReplayPlan, only []ops.ARN) []ops.Link {
	on, off, err := d.rulesOf(ctx, plan.To.ARN)
	if err != nil {
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("who gets these events is unknown: %s", ops.AsProblem(d.explain("list the rules of the bus", err)).What))
		return nil
	}
	var links []ops.Link
	var words []string
	for _, r := range on {
		if len(only) > 0 && !slices.Contains(only, r.arn) {
			continue
		}
		var names []string
		for _, t := range r.targets {
			links = append(links, ops.Link{From: plan.To.ARN, To: t, Kind: ops.LinkForwards})
			names = append(names, strings.TrimSpace(string(t.Kind())+" "+t.Name()))
		}
		if names == nil {
			names = []string{"nothing"}
		}
		words = append(words, r.name+" to "+strings.Join(names, " and "))
	}
	said := "no rule is on: AWS drops these events without a word"
	if words != nil {
		said = "each event goes where it matches: " + strings.Join(words, "; ") + ". What matches none is dropped by AWS without a word"
	}
	if len(off) > 0 {
		said += "; off: " + strings.Join(off, ", ")
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "rules", Value: said})
	if words == nil {
		plan.Warnings = append(plan.Warnings, "no rule of "+plan.To.ARN.Name()+" would get these events")
	}
	return links
}
