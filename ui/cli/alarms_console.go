package cli

import (
	"context"

	"kxops/alarms"
	"kxops/alarms/watch"
	"kxops/ops"
	"kxops/ui"
	"kxops/ui/config"
)

// AlarmDesk returns the console's alarm desk of the present account.
func (b *backend) AlarmDesk(ctx context.Context) (ui.AlarmDesk, error) {
	a, err := b.here(ctx)
	if err != nil {
		return nil, err
	}
	d, err := a.watchDesk(ctx)
	if err != nil {
		return nil, err
	}
	return &consoleAlarms{Desk: d, a: a, configuration: b.configuration, reason: b.reason}, nil
}

// consoleAlarms is the alarm desk of an account as the console sees it.
type consoleAlarms struct {
	*watch.Desk
	a             *account
	configuration func() (config.Config, error)
	reason        string
}

// Ask is what the configuration says, and the tags of the resources over it.
func (c *consoleAlarms) Ask(ctx context.Context, s ops.Snapshot) (alarms.Ask, error) {
	ask := alarms.Ask{Reason: c.reason}
	conf, err := c.configuration()
	if err != nil {
		return ask, err
	}
	if ask.Settings, err = alarmSettings(conf, c.a.set.Name, s, config.Alarms{}); err != nil {
		return ask, err
	}
	if _, err := keepTopics(ctx, c.Desk, &ask.Settings); err != nil {
		return ask, err
	}
	if tags, err := c.ReadTags(ctx, taggable(s)); err == nil { // else the plan reads them itself and says what is missing
		ask.Settings.Tags = tags
	}
	return ask, nil
}

// taggable are the resources whose tags say something about their alarms.
func taggable(s ops.Snapshot) []ops.ARN {
	var out []ops.ARN
	for _, x := range s.Streams.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Deliveries.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Queues.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Functions.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Topics.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.Buckets.Items {
		out = append(out, x.ARN)
	}
	for _, x := range s.APIs.Items {
		out = append(out, x.ARN)
	}
	return out
}

func (c *consoleAlarms) Wanted(s ops.Snapshot, ask alarms.Ask) alarms.Wanted {
	return alarms.Want(s, ask.Settings, c.a.clock())
}

// Apply keeps changes allowed until it is over: a plan that stops half-way because an
// unlock ran out helps nobody.
func (c *consoleAlarms) Apply(ctx context.Context, plan alarms.Plan, say func(alarms.Progress)) (alarms.Result, error) {
	defer c.a.cloud.KeepAccess()()
	return c.Desk.Apply(ctx, plan, say)
}
