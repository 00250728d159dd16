package labs_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kxops/labs"
)

// KXOPS_CFN_LINT names the program; .ci/run takes the one that comes with moto.
func TestTheTemplatesPassCfnLint(t *testing.T) {
	linter := os.Getenv("KXOPS_CFN_LINT")
	if linter == "" {
		t.Skip("KXOPS_CFN_LINT names no linter")
	}
	for _, l := range labs.All() {
		if l.ByHand {
			continue
		}
		text, err := l.Template()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), l.ID+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.CommandContext(t.Context(), linter, "--regions", "eu-west-1", "--template", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", l.ID, err, said)
		}
	}
}

// Each lab has what its reader needs.
func TestEachLabIsWhole(t *testing.T) {
	for _, l := range labs.All() {
		readme, err := l.Readme()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"kxops lab up " + l.ID, "## What to look for", "## Exercises", "## On AWS", "**Cost**", "**Clean-up**"} {
			if l.ID == "lab4" && part == "## What to look for" {
				part = "## The repair"
			}
			if !strings.Contains(readme, part) {
				t.Errorf("the README of %s lacks %q", l.ID, part)
			}
		}
		if l.About == "" || l.Title == "" {
			t.Errorf("%s has no title or sentence", l.ID)
		}
		if !l.ByHand {
			if _, err := l.Template(); err != nil {
				t.Error(err)
			}
		}
		for _, f := range l.Faults() {
			if f.Name == "" || f.About == "" {
				t.Errorf("a fault of %s has no name or sentence: %+v", l.ID, f.Name)
			}
		}
		for i, e := range l.Exercises() {
			if e.Number != i+1 || e.Title == "" || e.Report == "" || len(e.Hints) == 0 {
				t.Errorf("exercise %d of %s is not whole", i+1, l.ID)
			}
		}
	}
}

// Lambda takes an archive with an executable named bootstrap at its root.
func TestTheCodeIsAnArchiveThatLambdaTakes(t *testing.T) {
	t.Parallel()
	code, err := labs.Code([]byte("the program"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(code), int64(len(code)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != 1 || z.File[0].Name != "bootstrap" || z.File[0].Mode()&0o111 == 0 {
		t.Fatalf("the archive has %d files", len(z.File))
	}
	f, err := z.Open("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil || string(text) != "the program" {
		t.Errorf("%q, %v", text, err)
	}
}
