package watch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
)

// What the alarms are worth by the sandbox's own engine, which shares no code with
// the backtest of worth_test.go: they are applied, time passes, and what became of
// them is read.

// TestNothingPagesOnACalmDay asks the sandbox's own engine, not ours: the alarms are
// applied, six hours pass, and their history is read.
func TestNothingPagesOnACalmDay(t *testing.T) {
	p := at(t, "calm")
	s := p.survey(t)
	ask := p.ask()
	ask.Settings.Tier, ask.Duplicate = alarms.Recommended, true
	plan, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	if r := p.apply(t, plan); r.Created < 60 || len(r.Failed) > 0 {
		t.Fatalf("%+v", r)
	}
	p.Advance(6 * time.Hour)
	evaluated := 0
	pages := cloudwatch.NewDescribeAlarmHistoryPaginator(p.cw, &cloudwatch.DescribeAlarmHistoryInput{HistoryItemType: types.HistoryItemTypeStateUpdate})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		must(t, err)
		for _, h := range out.AlarmHistoryItems {
			if !strings.HasPrefix(*h.AlarmName, Prefix) {
				continue
			}
			evaluated++
			if strings.HasSuffix(*h.HistorySummary, "to ALARM") {
				t.Errorf("%s at %s: %s", *h.AlarmName, h.Timestamp, *h.HistorySummary)
			}
		}
	}
	if evaluated < 60 {
		t.Errorf("only %d changes of state: was anything evaluated?", evaluated)
	}
}

// TestOnlyTheFaultyPage asks the sandbox's own engine on the bad day: a quarter of an
// hour after the alarms are applied those in ALARM are on what is wrong, and each
// fault has one that is meant for it among them.
func TestOnlyTheFaultyPage(t *testing.T) {
	p := at(t, "incident")
	s := p.survey(t)
	ask := p.ask()
	ask.Settings.Tier, ask.Duplicate = alarms.Recommended, true
	plan, err := p.desk.Plan(t.Context(), s, ask)
	must(t, err)
	p.apply(t, plan)
	p.Advance(15 * time.Minute)
	e, err := p.desk.Existing(t.Context())
	must(t, err)
	ringing := map[string]bool{}
	for _, a := range e.Metric {
		if a.Managed() && a.StateValue == types.StateValueAlarm {
			ringing[a.Name()] = true
			on := a.Mark.Resource.Name()
			if !slices.ContainsFunc(incidentFaults, func(f injected) bool { return slices.Contains(f.shows, on) }) {
				t.Errorf("%s rings, and nothing is wrong with %s", a.Name(), on)
			}
		}
	}
	for _, f := range incidentFaults {
		if !slices.ContainsFunc(f.meant, func(m string) bool { return ringing[alarms.NamePrefix+strings.Replace(m, " ", "/", 1)] }) {
			t.Errorf("%s: none of %q rings", f.name, f.meant)
		}
	}
}
