package cli

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kxops/ops/cloud"
)

// Every command and flag that a person sees is in the manual page, and troff reads
// it without a complaint where there is one.
func TestTheManualIsWhole(t *testing.T) {
	root := (&session{meter: cloud.NewMeter()}).root()
	var page bytes.Buffer
	if err := writeManual(&page, root); err != nil {
		t.Fatal(err)
	}
	commands := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c != root {
			commands++
			if !strings.Contains(page.String(), ".SS "+troff(usageOf(c))) {
				t.Errorf("no %s", c.CommandPath())
			}
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && f.Name != "help" && !strings.Contains(page.String(), troff("--"+f.Name)) {
				t.Errorf("no --%s of %s", f.Name, c.CommandPath())
			}
		})
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				walk(sub)
			}
		}
	}
	walk(root)
	if commands < 30 {
		t.Fatalf("%d commands were looked at: the test would prove nothing", commands)
	}
	if strings.Contains(page.String(), "\n'") {
		t.Error("a line begins with a quote, which troff takes for a command")
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		return
	}
	lint := exec.Command(groff, "-k", "-man", "-ww", "-z")
	lint.Stdin = &page
	if said, err := lint.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("groff: %v\n%s", err, said)
	}
}
