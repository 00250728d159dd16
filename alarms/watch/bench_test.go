package watch

import (
	"context"
	"testing"
	"time"

	"kxops/alarms"
	"kxops/labs/sandbox"
	"kxops/ops/cloud"
	"kxops/ops/journal"
)

// BenchmarkPlanScale plans the essential set of the scale scenario after the survey,
// with the documented quotas and 20 ms before every answer: first where nothing
// exists, then where every alarm does.
func BenchmarkPlanScale(b *testing.B) {
	p := at(b, "scale")
	s := p.survey(b)
	ask := p.ask()
	desk := p.paced(b)
	run := func(b *testing.B, want alarms.Action) {
		p.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Latency: 20 * time.Millisecond})
		defer p.SetFaults()
		n := 0
		for b.Loop() {
			plan, err := desk.Plan(b.Context(), s, ask)
			must(b, err)
			if n = plan.Count(want); n < 1000 {
				b.Fatalf("%d to %s", n, want)
			}
		}
		b.ReportMetric(float64(n), "alarms")
	}
	b.Run("nothing-exists", func(b *testing.B) { run(b, alarms.Create) })
	plan, err := p.desk.Plan(b.Context(), s, ask)
	must(b, err)
	p.apply(b, plan)
	b.Run("all-exist", func(b *testing.B) { run(b, alarms.Keep) })
}

// paced is a desk that keeps to AWS's documented rates.
func (p *place) paced(b testing.TB) *Desk {
	b.Helper()
	cfg := p.Config()
	c, err := cloud.Open(context.Background(), cloud.Options{Config: &cfg, Access: cloud.Change})
	must(b, err)
	j, err := journal.Open(b.TempDir())
	must(b, err)
	return New(Options{Config: c.Config(), Identity: identity(), Journal: j, Now: p.Now})
}

// BenchmarkApplyQuota writes 60 alarms at CloudWatch's quota of three a second, with
// 100 ms before every answer, and reports the share of the quota that was used.
func BenchmarkApplyQuota(b *testing.B) {
	p := at(b, "")
	p.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Latency: 100 * time.Millisecond})
	var specs []alarms.Spec
	for i := range 60 {
		specs = append(specs, spec(queue("q"+string(rune('a'+i/26))+string(rune('a'+i%26)))))
	}
	share := 0.0
	for b.Loop() {
		p.desk = p.paced(b)
		plan := p.plan(b, p.look(), p.ask(), wants(specs...))
		began := time.Now()
		r := p.apply(b, plan)
		took := time.Since(began).Seconds()
		if r.Created != len(specs) {
			b.Fatalf("%+v", r)
		}
		share += float64(len(specs)) / writesPerSecond / took
		p.apply(b, p.plan(b, p.look(), alarms.Ask{Remove: true}, catalogue{}))
	}
	b.ReportMetric(share/float64(b.N), "of-quota")
}
