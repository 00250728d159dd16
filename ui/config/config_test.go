package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
	} {
		_, err := Parse("f.toml", text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
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
	for _, key := range []string{"name", "account", "alias", "protected", "word", "color", "access", "pace", "budget", "buckets"} {
		if _, ok := c.places[place{"profile." + key, 0}]; !ok {
			t.Errorf("the sample does not show %q of a profile", key)
		}
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
