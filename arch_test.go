package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// arrow forbids an import: packages under from must not reach to, directly or,
// where deep is set, through any chain.
type arrow struct {
	from, to string
	deep     bool
	why      string
}

// forbidden is the house's plan as a list. ARCHITECTURE.md draws it.
var forbidden = []arrow{
	{"kxops/ops$", "kxops/", false, "ops holds the words of the domain: it imports nothing of ours"},
	{"kxops/ops$", "github.com/", true, "ops holds the words of the domain: no SDK, no terminal, only the standard library"},
	{"kxops/ops", "charm.land/", true, "what talks to AWS knows no terminal"},
	{"kxops/ops", "kxops/ui", true, "arrows point inwards: ui -> alarms -> ops"},
	{"kxops/ops", "kxops/alarms", true, "arrows point inwards: ui -> alarms -> ops"},
	{"kxops/ops", "kxops/labs", true, "the product must not depend on the sandbox; its tests may"},
	{"kxops/alarms", "charm.land/", true, "rules know no terminal"},
	{"kxops/alarms", "kxops/ui", true, "arrows point inwards: ui -> alarms -> ops"},
	{"kxops/alarms", "kxops/labs", true, "the product must not depend on the sandbox; its tests may"},
	{"kxops/ui", "github.com/aws/", false, "screens and commands speak ops words; AWS is behind ops/cloud"},
	{"kxops/ui$", "kxops/ops/", false, "the console is handed its backend; only ui/cli wires it"},
	{"kxops/ui/table", "kxops/ops", true, "a table draws rows and knows nothing of AWS"},
	{"kxops/ui/body", "kxops/", true, "a body is bytes: it knows nothing of AWS or of a terminal"},
	{"kxops/ui/chart", "kxops/ops", true, "a chart draws points and knows nothing of AWS"},
	{"kxops/ui/cli", "charm.land/bubbletea", false, "one-shot commands never start a Bubble Tea program; only ui does"},
	{"kxops/labs", "kxops/ops/", false, "the sandbox must not share code with what it tests, beyond the words and the price list"},
	{"kxops/labs", "kxops/ui", true, "the sandbox is used by ui/cli, not the other way round"},
	{"kxops/labs", "charm.land/", true, "the sandbox knows no terminal"},
	{"kxops", "html/template", true, "once a template can call methods by name the linker keeps them all: the binary grows by half"},
	{"kxops", "github.com/charmbracelet/bubbletea", true, "Bubble Tea v1 probes the terminal in an init and stalls every command for 5 s"},
	{"kxops", "github.com/charmbracelet/lipgloss", true, "Lip Gloss v1 brings the v1 terminal probe back"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func TestArrows(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 5 {
		t.Fatalf("go list found %d packages: the test would prove nothing", len(packages))
	}
	for _, a := range forbidden {
		for _, p := range packages {
			if !under(p.ImportPath, a.from) {
				continue
			}
			reach := p.Imports
			if a.deep {
				reach = p.Deps
			}
			for _, to := range reach {
				if strings.HasPrefix(to, a.to) && to != p.ImportPath {
					t.Errorf("%s imports %s: %s", p.ImportPath, to, a.why)
				}
			}
		}
	}
}

// under reports whether a package lies under a path; a final $ means exactly it.
func under(path, root string) bool {
	if exact, ok := strings.CutSuffix(root, "$"); ok {
		return path == exact
	}
	return path == root || strings.HasPrefix(path, root+"/")
}

func TestUnder(t *testing.T) {
	for _, c := range []struct {
		path, root string
		want       bool
	}{
		{"kxops/ops", "kxops/ops$", true}, {"kxops/ops/cloud", "kxops/ops$", false},
		{"kxops/ops/cloud", "kxops/ops", true}, {"kxops/opsx", "kxops/ops", false},
	} {
		if got := under(c.path, c.root); got != c.want {
			t.Errorf("under(%q, %q) = %v", c.path, c.root, got)
		}
	}
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	// go test caches a result until a file that the test itself looked at changes;
	// what go list reads does not count, so look at every source file here.
	if err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			_, err = os.Stat(path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,Standard", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
