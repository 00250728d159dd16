package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The release configuration is YAML, sets the variable that `kxops version` reads,
// and names no file that is not there or made by its own hooks.
func TestTheReleaseConfigurationIsTrue(t *testing.T) {
	text, err := os.ReadFile(".goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Version int
		Before  struct{ Hooks []string }
		Builds  []struct{ Ldflags []string }
		// only what is looked at
		Archives []struct{ Files []string }
		Nfpms    []struct{ Contents []struct{ Src, Dst string } }
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("ui/cli/version.go")
	if err != nil {
		t.Fatal(err)
	}
	if c.Version != 2 || len(c.Builds) != 1 || !strings.Contains(c.Builds[0].Ldflags[0], "-X kxops/ui/cli.release=v") || !strings.Contains(string(source), "\nvar release string") {
		t.Errorf("the version is not set: %+v", c.Builds)
	}
	files := append([]string(nil), c.Archives[0].Files...)
	for _, x := range c.Nfpms[0].Contents {
		files = append(files, x.Src)
	}
	hooks := strings.Join(c.Before.Hooks, "\n")
	for _, f := range files {
		made := strings.HasPrefix(f, "dist-docs/") && (strings.Contains(f, "*") || strings.Contains(hooks, strings.TrimSuffix(f, filepath.Ext(f))))
		if _, err := os.Stat(f); err != nil && !made {
			t.Errorf("%s is neither there nor made by a hook", f)
		}
	}
}

var quotedPath = regexp.MustCompile("`([a-zA-Z0-9_.]+(?:/[a-zA-Z0-9_.-]+)+)`")

// What CONTRIBUTING.md and ARCHITECTURE.md point at is there. A name with _x stands
// for one that is to be written.
func TestTheGuidesPointAtWhatIsThere(t *testing.T) {
	for _, guide := range []string{"CONTRIBUTING.md", "ARCHITECTURE.md"} {
		text, err := os.ReadFile(guide)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, m := range quotedPath.FindAllStringSubmatch(string(text), -1) {
			path := m[1]
			if strings.Contains(path, "_x") || strings.Contains(path, "kxops/") || strings.HasPrefix(path, "charm.land") {
				continue
			}
			found++
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s points at %s, which is not there", guide, path)
			}
		}
		if found < 3 {
			t.Errorf("%s points at %d files: the test would prove nothing", guide, found)
		}
	}
}
