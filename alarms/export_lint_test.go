package alarms

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTheTemplatePassesCfnLint has AWS's linter hold the template against the resource
// schemas, math alarms included, which no emulator makes of a template. The variable
// KXOPS_CFN_LINT names the program; .ci/run takes the one that comes with moto.
func TestTheTemplatePassesCfnLint(t *testing.T) {
	linter := os.Getenv("KXOPS_CFN_LINT")
	if linter == "" {
		t.Skip("KXOPS_CFN_LINT names no linter")
	}
	file := filepath.Join(t.TempDir(), "alarms.json")
	if err := os.WriteFile(file, exported(t, "cloudformation", everything(), bothTopics), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), linter, "--regions", "eu-west-1", "--template", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}
