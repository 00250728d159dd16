package cli

import (
	"cmp"
	"context"
	"os"
	"sync"
	"time"

	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/dlq"
	"kxops/ops/survey"
	"kxops/ui"
	"kxops/ui/config"
)

// account is an AWS account and region behind its door, and what the
// configuration says about it.
type account struct {
	cloud  *cloud.Cloud
	survey *survey.Survey
	set    config.Profile
	asked  bool // the access level was given on the command line
	alias  func(account string) string
	guards func(account string) bool // whether the configuration protects the account with this id
	clock  func() time.Time          // the account's time: the demo's may be another than ours

	records string // the journal's directory, "" for the person's own
	deskMu  sync.Mutex
	made    *dlq.Desk // nil until somebody works on dead letters; see desk
}

// collect looks once.
func (a *account) collect(ctx context.Context, ask survey.Ask, partial func(ops.Snapshot)) ops.Snapshot {
	if partial == nil {
		return a.named(a.survey.Collect(ctx, ask, nil))
	}
	return a.named(a.survey.Collect(ctx, ask, func(s ops.Snapshot) { partial(a.named(s)) }))
}

// lastKnown is the picture that an earlier run left; without one it still says
// where we are.
func (a *account) lastKnown() (ops.Snapshot, bool) {
	s, ok := a.survey.LastKnown()
	return a.named(s), ok
}

// named fills in what is known about the account before it answers, and the
// display name that only the answer's account id tells.
func (a *account) named(s ops.Snapshot) ops.Snapshot {
	here := a.cloud.Place()
	id := &s.Identity
	id.Region = cmp.Or(id.Region, here.Region)
	id.Profile = cmp.Or(id.Profile, here.Profile)
	if id.Alias == "" && a.alias != nil {
		id.Alias = a.alias(id.Account)
	}
	return s
}

// configuration reads the file once.
func (s *session) configuration() (config.Config, error) {
	if s.read != nil {
		return *s.read, nil
	}
	path := cmp.Or(s.config, config.Path())
	c, err := config.Load(path, s.config != "")
	if err != nil {
		return c, err
	}
	if err := ui.CheckKeys(c.Keys); err != nil {
		return c, c.Wrong("keys", err)
	}
	s.read = &c
	return c, nil
}

// open opens the account of a profile and region; "" is the SDK's own chain. It
// sends nothing.
func (s *session) open(ctx context.Context, profile, region string) (*account, error) {
	if s.enter != nil {
		return s.enter(ctx, region)
	}
	c, err := s.configuration()
	if err != nil {
		return nil, err
	}
	set := c.For(cmp.Or(profile, os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"), "default"), "")
	level := s.level(c, set)
	door, err := cloud.Open(ctx, cloud.Options{
		Profile: profile, Region: region, Endpoint: string(s.endpoint), Alias: displayName(set), Access: level, Meter: s.meter,
	})
	if err != nil {
		return nil, err
	}
	return &account{
		cloud: door,
		set:   set,
		asked: s.access.set,
		clock: time.Now,
		alias: func(id string) string { return displayName(c.For(set.Name, id)) },

		guards: func(id string) bool { return c.For(set.Name, id).Protected },
		survey: survey.New(door, survey.Options{
			Budget: cmp.Or(float64(s.budget), set.Budget), Pace: set.Pace, Buckets: set.Buckets,
			// A sandbox is another world each time it is started, with the same account and
			// often at the same port: the picture of the one before is a lie.
			NoCache: isSandbox(door.Place().Endpoint),
		}),
	}, nil
}

// displayName is the alias of an account. A protected one without an alias goes
// by the name of its profile: the console must know it also where the profile was
// chosen by the environment.
func displayName(p config.Profile) string {
	if p.Alias == "" && p.Protected {
		return p.Name
	}
	return p.Alias
}

// level is how much may be done: what the flag says, else what the configuration
// says, else peek. Where an account that we do not know yet could turn out to be
// protected, it is look.
func (s *session) level(c config.Config, set config.Profile) cloud.Level {
	switch {
	case s.access.set:
		return s.access.level
	case set.Access != "":
		if level, err := cloud.ParseLevel(set.Access); err == nil {
			return level
		}
		return cloud.Look // not reached: the file was checked when it was read
	case set.Protected, c.MayBeProtected():
		return cloud.Look
	}
	return cloud.Peek
}
