package alarms

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"kxops/ops"
)

// everything is every alarm of every example, each name once.
func everything() (specs []Spec) {
	seen := map[string]bool{}
	for _, id := range RuleIDs() {
		for _, s := range wantedOf(wishes[id].s, id) {
			if !seen[s.Name] {
				seen[s.Name] = true
				specs = append(specs, s)
			}
		}
	}
	return specs
}

var bothTopics = Settings{Page: "arn:aws:sns:r:1:page", Ticket: "arn:aws:sns:r:1:ticket"}

func exported(t *testing.T, format string, specs []Spec, set Settings) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Export(&b, format, specs, set); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCloudFormationHasEveryAlarm(t *testing.T) {
	specs := everything()
	specs = append(specs, specs[0], Spec{Name: "kxops/a.b/c", Stat: "p90"}, Spec{Name: "kxops/ab/c", Stat: "Sum"}) // ids that would be alike
	var doc cfnTemplate
	if err := json.Unmarshal(exported(t, "cloudformation", specs, bothTopics), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Resources) != len(specs) {
		t.Errorf("%d resources of %d alarms", len(doc.Resources), len(specs))
	}
	for id, r := range doc.Resources {
		if strings.ContainsFunc(id, func(c rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", c)
		}) {
			t.Errorf("%q is no logical id", id)
		}
		if p := r.Properties; r.Type != "AWS::CloudWatch::Alarm" || len(p.AlarmActions) != 1 || (p.MetricName == "") == (len(p.Metrics) == 0) && !strings.HasSuffix(p.AlarmName, "b/c") {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if err := Export(&bytes.Buffer{}, "cloudformation", make([]Spec, stackResources+1), Settings{}); err == nil {
		t.Error("a stack of 501 resources")
	}
}

func TestPagesAndTicketsGoToTheirTopics(t *testing.T) {
	page, ticket := Spec{Severity: Page}, Spec{Severity: Ticket}
	for _, c := range []struct {
		s    Spec
		set  Settings
		want ops.ARN
	}{{page, bothTopics, "arn:aws:sns:r:1:page"}, {ticket, bothTopics, "arn:aws:sns:r:1:ticket"}, {ticket, Settings{Page: "arn:aws:sns:r:1:page"}, "arn:aws:sns:r:1:page"}, {page, Settings{}, ""}} {
		if got := alarmTopic(c.s, c.set); got != c.want {
			t.Errorf("%s: %q, want %q", c.s.Severity, got, c.want)
		}
	}
}

// What another tool owns must not look like ours: it would be taken for an orphan.
func TestExportedAlarmsAreNotMarkedAsOurs(t *testing.T) {
	for _, format := range Formats {
		if text := exported(t, format, everything(), bothTopics); bytes.Contains(text, []byte("kxops:v1")) || bytes.Contains(text, []byte("kxops:managed")) {
			t.Errorf("%s carries our mark", format)
		}
	}
	if err := Export(&bytes.Buffer{}, "yaml", nil, Settings{}); err == nil || !strings.Contains(err.Error(), "terraform, cloudformation or json") {
		t.Error(err)
	}
}

func TestTheJSONExportIsWhole(t *testing.T) {
	var doc struct {
		Schema string
		Alarms []struct {
			Name        string
			Threshold   *float64
			Description string
			Actions     []string `json:"alarm_actions"`
		}
	}
	specs := everything()
	if err := json.Unmarshal(exported(t, "json", specs, bothTopics), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Schema != ExportSchema || len(doc.Alarms) != len(specs) {
		t.Errorf("%s, %d alarms of %d", doc.Schema, len(doc.Alarms), len(specs))
	}
	for _, a := range doc.Alarms {
		if a.Name == "" || a.Threshold == nil || a.Description == "" || len(a.Actions) != 1 {
			t.Errorf("%+v", a)
		}
	}
}
