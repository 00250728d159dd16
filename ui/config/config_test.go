package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kxops/alarms"
)

const whole = `
theme = "light"
ascii = true
access = "peek"
pace = "2m"
budget = "$0.10/h"
buckets = ["raw"]

[keys]
refresh = ["r", "f5"]
pause = "p"

[[profile]]
name = "shop-prod"
alias = "shop"
protected = true
word = "LIVE"
color = "#ff5f5f"
budget = 0.05

[[profile]]
account = "123456789012"
access = "change"
`

func TestParse(t *testing.T) {
	got, err := Parse("f.toml", whole)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		File: "f.toml", Theme: "light", ASCII: true,
		Keys:     map[string][]string{"refresh": {"r", "f5"}, "pause": {"p"}},
		Defaults: Settings{Access: "peek", Pace: 2 * time.Minute, Budget: 0.1, Buckets: []string{"raw"}},
		Profiles: []Profile{
			{Name: "shop-prod", Alias: "shop", Protected: true, Word: "LIVE", Color: "#ff5f5f", Settings: Settings{Budget: 0.05}},
			{Account: "123456789012", Settings: Settings{Access: "change"}},
		},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	p := got.For("shop-prod", "123456789012")
	if !p.Protected || p.Access != "change" || p.Budget != 0.05 || p.Pace != 2*time.Minute || p.Word != "LIVE" {
		t.Errorf("the settings of an account are laid over each other as %+v", p)
	}
}

// Every mistake is told with file, line and key.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"theme = \"dark\"\n\nbudgte = \"1/h\"": `f.toml:3: budgte: there is no such setting; did you mean budget?`,
		"theme = \"purple\"":                   `f.toml:1: theme: must be "dark" or "light", not "purple"`,
		"ascii = \"yes\"":                      `f.toml:1: ascii: must be true or false without quotes, not "yes"`,
		"[[profile]]\nname = \"a\"\n[[profile]]\nname = \"b\"\naccess = \"root\"": `f.toml:5: profile.access: must be "look", "peek" or "change", not "root"`,
		"[[profile]]\nname = \"a\"\naccess = \"look\"\n[[profile]]\nname=1":       `f.toml:5: profile.name: must be text in quotes, not 1`,
		"[[profile]]\nalias = \"x\"":                                              `f.toml:1: profile: needs a name (of the AWS profile) or an account`,
		"[[profile]]\naccount = \"12\"":                                           `f.toml:2: profile.account: must be an account id of twelve digits, in quotes, not 12`,
		"[[profile]]\naccount = 123456789012":                                     `f.toml:2: profile.account: must be an account id of twelve digits, in quotes, not 123456789012`,
		"[[profile]]\nname = \"a\"\ncolor = \"pink\"":                             `f.toml:3: profile.color: must be "#rrggbb" or a number from "0" to "255", not pink`,
		"[profile]\nname = \"a\"":                                                 `f.toml:1: profile: must be written [[profile]], with two brackets`,
		"keys = 3":                                                                `f.toml:1: keys: must be a [keys] section`,
		"[keys]\npause = 3":                                                       `f.toml:2: keys.pause: must be a key or a list of keys, in quotes`,
		"pace = \"1s\"":                                                           `f.toml:1: pace: must be a time from "1m" to "24h" (the numbers are by the minute), not "1s"`,
		"budget = \"-1\"":                                                         `f.toml:1: budget: must be an amount of USD per hour above 0, such as 0.10/h`,
		"budget = nan":                                                            `f.toml:1: budget: must be an amount of USD per hour above 0, such as 0.10/h`,
		"buckets = \"x\"":                                                         `f.toml:1: buckets: must be a list of texts, such as ["a", "b"]`,
		"theme = \"dark\"\npace = oops":                                           `f.toml:2: pace: `,
		"theme = \"dark\"\ntheme = \"light\"":                                     `f.toml:2: theme: `,
		"\n[[profile]\n":                                                          `f.toml:3: expected end of table`,
		"[[profile]]\nname=\"a\"\nprotectd = true\naccess = \"x\"\ntheme = \"dark\"": `f.toml:3: profile.protectd: there is no such setting; did you mean protected?`,

		"[alarms]\ntier = \"X\"":                   `f.toml:2: alarms.tier: must be "E", "R" or "F", not "X"`,
		"[alarms]\nteir = \"E\"":                   `f.toml:2: alarms.teir: there is no such setting; did you mean tier?`,
		"alarms = 3":                               `f.toml:1: alarms: must be a [alarms] section`,
		"[alarms]\nwindow = \"1m\"":                `f.toml:2: alarms.window: must be a time from "5m" to "336h", not "1m"`,
		"[alarms]\npage_topic = \"arn:aws:sqs:x\"": `f.toml:2: alarms.page_topic: must be the name or the ARN of an SNS topic, in quotes, not "arn:aws:sqs:x"`,
		"alarms = {tier = \"E\",\n window = 3}":    `f.toml:1: alarms.window: must be a time`,
		"[alarms]\noverride = 3":                   `f.toml:2: alarms.override: must be written [[alarms.override]], with two brackets`,
		"[[profile]]\nname=\"a\"\n[profile.alarms]\ntier=\"E\"\n[[profile]]\nname=\"b\"\n[profile.alarms]\ntier=1": `f.toml:8: profile.alarms.tier: must be "E", "R" or "F", not 1`,
		"[[alarms.override]]\nrule = \"dlq.los\"":                                             `f.toml:2: alarms.override.rule: there is no rule "dlq.los"; did you mean "dlq.loss", `,
		"[[alarms.override]]\nrule = \"dlq.[\"":                                               `f.toml:2: alarms.override.rule: "dlq.[" is no pattern`,
		"[[alarms.override]]\noff = true\nreason=\"x\"\n\n[[alarms.override]]\nfactor = 1000": `f.toml:6: alarms.override.factor: must be a number from 0.01 to 100, not 1000`,
		"[[alarms.override]]\nfactor = nan":                                                   `f.toml:2: alarms.override.factor: must be a number`,
		"[[alarms.override]]\nthreshold = -1":                                                 `f.toml:2: alarms.override.threshold: must be a number of 0 or more, not -1`,
		"[[alarms.override]]\nseverity = \"loud\"":                                            `f.toml:2: alarms.override.severity: must be "page", "ticket" or "info", not "loud"`,
		"[[alarms.override]]\nresource = \"a[\"":                                              `f.toml:2: alarms.override.resource: must be a name or a pattern`,
		"\n[[alarms.override]]\noff = true":                                                   `f.toml:2: alarms.override: needs a reason`,
		"[[alarms.override]]\nreason=\"x\"":                                                   `f.toml:1: alarms.override: changes nothing`,
		"[[alarms.override]]\nreason=\"x\"\noff=true\nfactor=2":                               `f.toml:1: alarms.override: off is no alarm at all`,
		"[[alarms.override]]\nreason=\"x\"\nset=\"F\"":                                        `f.toml:1: alarms.override: set is the set of alarms of a resource`,
		"[[alarms.override]]\nreason=\"x\"\nset=\"F\"\nrule=\"kds.*\"\nresource=\"a\"":        `f.toml:1: alarms.override: set is for a resource as a whole`,
		"[[alarms.override]]\nreason=\"x\"\nfactor=2\nthreshold=5\nrule=\"kds.lag\"":          `f.toml:1: alarms.override: has a factor and a threshold`,
		"[[alarms.override]]\nreason=\"x\"\nthreshold=5\nrule=\"kds.*\"":                      `f.toml:1: alarms.override: a threshold means one thing for each rule`,
	} {
		_, err := Parse("f.toml", text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

// What is said about alarms is laid over each other for an account, and an
// override knows the line in which it was said.
func TestAlarms(t *testing.T) {
	c, err := Parse("f.toml", `
[alarms]
tier = "r"
window = "2h"
page_topic = "oncall"

[[profile]]
name = "prod"
[profile.alarms]
tier = "F"
ticket_topic = "arn:aws:sns:eu-west-1:123456789012:later"

[[alarms.override]]
rule = "kds.*"
resource = "clicks-*"
factor = 2
reason = "sampled"

[[alarms.override]]
rule = "dlq.nonempty"
threshold = 10.5
reason = "noise"
`)
	if err != nil {
		t.Fatal(err)
	}
	limit := 10.5
	if d := cmp.Diff([]alarms.Override{
		{Rule: "kds.*", Resource: "clicks-*", Factor: 2, Reason: "sampled", From: "config line 13"},
		{Rule: "dlq.nonempty", Threshold: &limit, Reason: "noise", From: "config line 19"},
	}, c.Overrides); d != "" {
		t.Errorf("overrides (-want +got)\n%s", d)
	}
	want := Alarms{Tier: alarms.Full, Window: 2 * time.Hour, Page: "oncall", Ticket: "arn:aws:sns:eu-west-1:123456789012:later"}
	if d := cmp.Diff(want, c.For("prod", "").Alarms); d != "" {
		t.Errorf("prod (-want +got)\n%s", d)
	}
	if got := c.For("other", "").Alarms; got.Tier != alarms.Recommended || got.Ticket != "" {
		t.Errorf("another account has %+v", got)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "config.toml")
	if c, err := Load(missing, false); err != nil || c.File != "" {
		t.Errorf("a missing default file: %+v, %v", c, err)
	}
	if _, err := Load(missing, true); err == nil || !strings.Contains(err.Error(), missing+" cannot be read: no such file") {
		t.Errorf("a missing file that was named: %v", err)
	}
	if _, err := Load(dir, false); err == nil || !strings.Contains(err.Error(), "it is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if err := os.WriteFile(missing, []byte(strings.Repeat("#", maxBytes+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(missing, false); err == nil || !strings.Contains(err.Error(), "larger than a megabyte") {
		t.Errorf("a huge file: %v", err)
	}
}

// The sample as it stands is every default, and with its settings uncommented it
// is accepted and knows every key that the reader knows.
func TestSample(t *testing.T) {
	c, err := Parse("sample.toml", Sample)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Config{File: "sample.toml", Keys: map[string][]string{}}, c, cmpopts.IgnoreUnexported(Config{})); d != "" {
		t.Errorf("the sample sets something (-want +got)\n%s", d)
	}
	live := uncommented(Sample)
	c, err = Parse("sample.toml", live)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Profiles) != 1 || len(c.Keys) != 2 {
		t.Fatalf("uncommented, the sample reads as %+v", c)
	}
	r := reader{&Config{Keys: map[string][]string{}}}
	for key := range r.top() {
		if _, ok := c.places[place{key, 0}]; !ok {
			t.Errorf("the sample does not show %q", key)
		}
	}
	for _, key := range []string{"name", "account", "alias", "protected", "word", "color", "access", "pace", "budget", "buckets", "alarms"} {
		if _, ok := c.places[place{"profile." + key, 0}]; !ok {
			t.Errorf("the sample does not show %q of a profile", key)
		}
	}
	for _, key := range []string{"tier", "window", "page_topic", "ticket_topic", "override.rule", "override.resource", "override.factor", "override.severity", "override.tier", "override.reason"} {
		if _, ok := c.places[place{"alarms." + key, 0}]; !ok {
			t.Errorf("the sample does not show alarms.%s", key)
		}
	}
	if len(c.Overrides) != 4 || c.For("shop-prod", "").Alarms.Page != "shop-page" {
		t.Errorf("uncommented, the sample has the overrides %+v", c.Overrides)
	}
}

// uncommented turns the commented settings of the sample on.
func uncommented(sample string) string {
	var out []string
	for _, line := range strings.Split(sample, "\n") {
		rest, ok := strings.CutPrefix(line, "# ")
		if ok && (strings.HasPrefix(rest, "[") || keyValue.MatchString(rest)) {
			line = rest
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// Whatever the file holds, reading it ends in settings or in a sentence.
func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add(Sample)
	f.Add("[[profile]]\n[[profile]]\nname=\"\\u0000\"")
	f.Add("keys.a.b = 1")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f.toml", text)
		if err != nil && !strings.Contains(err.Error(), "f.toml") {
			t.Errorf("an error that does not name the file: %v", err)
		}
		if err == nil && c.For("x", "123456789012").Access == "root" {
			t.Error("an access level that does not exist")
		}
	})
}
