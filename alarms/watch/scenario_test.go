package watch

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/survey"
)

// survey looks at the whole account.
func (p *place) survey(t testing.TB) ops.Snapshot {
	t.Helper()
	cfg := p.Config()
	c, err := cloud.Open(context.Background(), cloud.Options{Config: &cfg, NoQuotas: true})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := survey.New(c, survey.Options{NoCache: true, Now: p.Now}).Collect(ctx, survey.Ask{}, nil)
	s.Identity = identity()
	return s
}

// useEverything turns on what the scenarios leave off, so that every rule has a
// resource that it applies to.
func useEverything(s *ops.Snapshot) {
	for i := range s.Deliveries.Items {
		d := &s.Deliveries.Items[i]
		d.Transform, d.Processors, d.Conversion, d.Partitioning = s.Functions.Items[0].ARN, []string{"Lambda"}, true, true
		d.Encryption = "arn:aws:kms:eu-west-1:111122223333:key/k"
	}
	for i := range s.Streams.Items {
		st := &s.Streams.Items[i]
		for j := range st.Consumers {
			if c := &st.Consumers[j]; c.Kind == ops.ByMapping {
				c.Counts = c.ID
			}
		}
		st.Consumers = append(st.Consumers, ops.Consumer{Kind: ops.ByChannel, Name: "lake", Destination: "S3", Freshness: 5 * time.Minute},
			ops.Consumer{Kind: ops.ByChannel, Name: "tables", Destination: "Iceberg", Freshness: 15 * time.Minute})
	}
	for i := range s.Topics.Items {
		topic := &s.Topics.Items[i]
		for j := range topic.Subscriptions {
			topic.Subscriptions[j].Filter, topic.Subscriptions[j].RedriveTo = `{"kind":["order"]}`, s.Queues.Items[0].ARN
		}
		for _, f := range s.Functions.Items {
			topic.Subscriptions = append(topic.Subscriptions, ops.Subscription{ARN: string(topic.ARN) + ":1", Protocol: "lambda", Endpoint: string(f.ARN), Filter: `{"kind":["order"]}`})
		}
	}
	for i := range s.Buckets.Items {
		b := &s.Buckets.Items[i]
		b.Filters, b.Replicas = []string{"EntireBucket"}, []ops.Replica{{Rule: "spare", To: "arn:aws:s3:::spare"}}
	}
	s.APIs.Items = append(s.APIs.Items, ops.API{ARN: "arn:aws:apigateway:eu-west-1::/apis/a1b2c3", Name: "orders-api", Protocol: "HTTP", Direct: true,
		Stages: []ops.Stage{{Name: "$default"}, {Name: "test"}}, Feeds: []ops.ARN{s.Streams.Items[0].ARN}})
	s.APIs.Items = append(s.APIs.Items, ops.API{ARN: ops.RESTAPI("aws", "eu-west-1", "old door/1"), Name: "old door/1", Protocol: "REST", Stages: []ops.Stage{{Name: "prod"}}})
	s.Links = ops.Linked(*s)
}

// TestEveryRuleGoesRound: what the whole catalogue draws up for a real account is
// accepted, described as it was written, and then there is nothing to do.
func TestEveryRuleGoesRound(t *testing.T) {
	for _, x := range []struct {
		name, scenario string
		rules          int
		change         func(*ops.Snapshot)
	}{
		{"calm", "calm", 30, nil},
		{"incident", "incident", 30, nil},
		{"everything in use", "incident", len(alarms.RuleIDs()), useEverything},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := at(t, x.scenario)
			s := p.survey(t)
			if x.change != nil {
				x.change(&s)
			}
			ask := p.ask()
			ask.Settings.Tier, ask.Duplicate = alarms.OptIn, true
			ask.Settings.Baselines = map[ops.ARN]alarms.Baseline{}
			for _, q := range s.Queues.Items { // the sandbox forgets after a day
				ask.Settings.Baselines[q.ARN] = alarms.Baseline{Usual: 12, Measured: "2026-11-20"}
			}
			plan, err := p.desk.Plan(t.Context(), s, ask)
			must(t, err)
			n := plan.Count(alarms.Create)
			if n < 40 || plan.Writes() != n || len(plan.Partial) > 0 || len(plan.Blockers) > 0 {
				t.Fatalf("%d to create of %d, partial %q, blockers %q", n, plan.Writes(), plan.Partial, plan.Blockers)
			}
			if r := p.apply(t, plan); r.Created != n || len(r.Failed) > 0 {
				t.Fatalf("%+v", r)
			}
			again, err := p.desk.Plan(t.Context(), s, ask)
			must(t, err)
			count(t, again, map[alarms.Action]int{alarms.Keep: n})
			cover, err := p.desk.Coverage(t.Context(), s, ask)
			must(t, err)
			ours := 0
			for _, row := range cover.Rows {
				for _, c := range row.Cells {
					if c.Cover == alarms.CoverOurs {
						ours++
					}
				}
				if row.Missing > 0 {
					t.Errorf("%s misses %d", row.Resource, row.Missing)
				}
			}
			if ours < 40 {
				t.Errorf("the matrix credits %d of ours", ours)
			}
			// A smaller set leaves what exists of the larger one, and keeps an eye on it.
			ask.Settings.Tier = alarms.Essential
			small, err := p.desk.Plan(t.Context(), s, ask)
			must(t, err)
			count(t, small, map[alarms.Action]int{alarms.Keep: n})
			rm, err := p.desk.Plan(t.Context(), s, alarms.Ask{Remove: true})
			must(t, err)
			p.apply(t, rm)
			e, err := p.desk.Existing(t.Context())
			must(t, err)
			for _, a := range e.Metric {
				if a.Managed() {
					t.Errorf("%s is left", a.Name())
				}
			}
			rules := map[string]bool{}
			for _, it := range plan.Items {
				rules[it.Spec.Rule] = true
			}
			if len(rules) < x.rules {
				for _, id := range alarms.RuleIDs() {
					if !rules[id] {
						t.Errorf("no alarm of %s was tried", id)
					}
				}
			}
		})
	}
}

func TestQuietRollout(t *testing.T) {
	p := at(t, "incident")
	s := p.survey(t)
	ask := p.ask()
	ask.Loud, ask.Duplicate = false, true
	plan, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	n := plan.Count(alarms.Create)
	if !plan.Quiet || n <= quietFrom {
		t.Fatalf("%d new alarms, quiet %v", n, plan.Quiet)
	}
	// Somebody stops it while it waits for the first evaluation.
	ctx, cancel := context.WithCancel(t.Context())
	r, err := p.desk.Apply(ctx, plan, func(x alarms.Progress) {
		if x.Done == n {
			cancel()
		}
	})
	must(t, err)
	if r.Left == 0 || len(r.Next) == 0 {
		t.Fatalf("%+v", r)
	}
	e, err := p.desk.Existing(t.Context())
	must(t, err)
	for _, a := range e.Metric {
		if a.Managed() && aws.ToBool(a.ActionsEnabled) {
			t.Errorf("the actions of %s are on", a.Name())
		}
	}
	// The next plan sees what is missing, and its application ends it.
	next, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	count(t, next, map[alarms.Action]int{alarms.Update: n})
	p.Advance(20 * time.Minute)
	done := p.apply(t, next)
	if len(done.Ringing) == 0 || done.Left != 0 || len(done.Failed) > 0 {
		t.Errorf("ringing %d, %+v", len(done.Ringing), done)
	}
	e, err = p.desk.Existing(t.Context())
	must(t, err)
	for _, a := range e.Metric {
		if a.Managed() && (!aws.ToBool(a.ActionsEnabled) || a.quiet()) {
			t.Errorf("the actions of %s are off", a.Name())
		}
	}
	last, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	count(t, last, map[alarms.Action]int{alarms.Keep: n})
}
