package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kxops/alarms"
	"kxops/ops"
)

func TestCheckupText(t *testing.T) {
	r := newCheckupReport(alarms.Checkup{Checked: 9, Healthy: 6, Ailments: []alarms.Ailment{
		{Kind: "no_data", What: "kxops/a has had no data for 3d", Severity: alarms.Info, Alarm: "kxops/a"},
		{Kind: "topic_key", What: "oncall is encrypted with alias/aws/sns", Fix: "aws sns set-topic-attributes", Severity: alarms.Page, Alarms: []string{"1", "2", "3", "4", "5", "6", "7"}},
		{Kind: "topic_policy", What: "the policy of later could not be read", Severity: alarms.Ticket, Unknown: true},
	}}, ops.Identity{Account: "123456789012", Region: "eu-west-1"})
	want := `123456789012 eu-west-1 · 9 alarms checked, 6 should reach somebody, 2 to fix, 1 could not be checked
page    oncall is encrypted with alias/aws/sns [topic_key]
        alarms: 1, 2, 3, 4, 5 and 2 more
        fix: aws sns set-topic-attributes
unknown the policy of later could not be read [topic_policy]
info    kxops/a has had no data for 3d [no_data]
        alarms: kxops/a
`
	if d := cmp.Diff(want, printed(0, func(p *printer) { p.checkup(r) })); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestDrillText(t *testing.T) {
	d := alarms.Drill{Alarm: "kxops/y", Reset: true, Took: 2, Actions: []alarms.DrillAction{
		{ARN: "arn:aws:sns:eu-west-1:123456789012:oncall", Delivered: true, What: "Successfully executed action"},
		{ARN: "arn:aws:sns:eu-west-1:123456789012:later", Failed: true, What: "Failed: access denied"},
	}}
	if d.Proven() {
		t.Error("a failed action proves nothing")
	}
	want := `drill kxops/y, took 2.0s
  done    oncall: Successfully executed action
  FAILED  later: Failed: access denied
  next: kxops alarms doctor
`
	if diff := cmp.Diff(want, printed(0, func(p *printer) { p.drill(d) })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	d.Actions = d.Actions[:1]
	if !d.Proven() {
		t.Error("every action was done, and that is no proof")
	}
}
