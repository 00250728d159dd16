package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"kxops/alarms"
	"kxops/alarms/watch"
	"kxops/ops"
	"kxops/ops/journal"
	"kxops/ui/config"
)

// watchDesk is where this account's alarms are worked on. Making it asks who we
// are and sends nothing else.
func (a *account) watchDesk(ctx context.Context) (*watch.Desk, error) {
	id, err := a.identity(ctx)
	if err != nil {
		return nil, err
	}
	j, err := journal.Open(a.records)
	if err != nil {
		return nil, err
	}
	return watch.New(watch.Options{
		Config: a.cloud.Config(), Identity: id, Journal: j, Now: a.clock, Explain: a.cloud.Explain,
	}), nil
}

// alarmSettings is what the configuration says about the alarms of the account
// that a snapshot shows, and what is said over it.
func alarmSettings(c config.Config, profile string, s ops.Snapshot, over config.Alarms) (alarms.Settings, error) {
	set := c.For(profile, s.Identity.Account).Alarms.With(over)
	out := alarms.Settings{Tier: cmp.Or(set.Tier, alarms.Essential), Window: set.Window, Overrides: c.Overrides}
	var err error
	if out.Page, err = topicARN("page", set.Page, s); err != nil {
		return out, err
	}
	out.Ticket, err = topicARN("ticket", set.Ticket, s)
	return out, err
}

// topicARN is the topic that a name or an ARN means here. Alarms reach topics of
// their own region only.
func topicARN(what, word string, s ops.Snapshot) (ops.ARN, error) {
	if word == "" {
		return "", nil
	}
	id, arn := s.Identity, ops.ARN(word)
	if !strings.HasPrefix(word, "arn:") {
		for _, t := range s.Topics.Items {
			if t.Name == word {
				return t.ARN, nil
			}
		}
		return ops.ARN("arn:" + partition(id) + ":sns:" + id.Region + ":" + id.Account + ":" + word), nil
	}
	if arn.Region() != id.Region {
		return "", &ops.Problem{
			Fault: ops.FaultOther,
			What:  fmt.Sprintf("the %s topic %s is in %s, and an alarm in %s cannot send to it", what, arn.Name(), arn.Region(), id.Region),
			Hint:  "name a topic of this region; by name alone, each region uses its own",
		}
	}
	return arn, nil
}

// partition is the part of AWS that an account is in: aws, aws-cn, aws-us-gov.
func partition(id ops.Identity) string {
	if words := strings.Split(id.Who, ":"); len(words) > 1 && words[0] == "arn" {
		return words[1]
	}
	switch {
	case strings.HasPrefix(id.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(id.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// keepTopics takes the topics that our alarms tell already where none is named, and
// reports whether it did: to say nothing must not take them away.
func keepTopics(ctx context.Context, d *watch.Desk, set *alarms.Settings) (bool, error) {
	if set.Page != "" || set.Ticket != "" {
		return false, nil
	}
	var err error
	set.Page, set.Ticket, err = d.Hearers(ctx)
	return set.Page != "", err
}
