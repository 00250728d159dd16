package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"kxops/labs"
)

// otherwise are the lines of a lab's README that do not end with 0, with the code that
// the README says or means.
var otherwise = map[string]int{
	"kxops lab check lab4 --wait 60s             # … of 40":                                                                                exitFindings,
	"kxops replay plan --from delivery:kxops-lab4-archive --since 1h --to queue:kxops-lab4-replay --map-key .account --plan-out cold.plan": exitRefused,
	"kxops replay restore cold.plan --status":                                                                                              -1, // until the objects are back
}

// Each lab's README is followed by copy and paste, up to where AWS begins. The AWS CLI is
// left out: nobody needs it.
func TestTheLabsReadmesCanBeFollowed(t *testing.T) {
	dir := t.TempDir()
	for _, l := range labs.All() {
		text, err := l.Readme()
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ = strings.Cut(text, "\n## On AWS")
		script, n := []string{"aws lab"}, 0
		for _, line := range pasted(text) {
			if step := followed(line); step != "" {
				script, n = append(script, step), n+1
			}
		}
		if n < 3 {
			t.Errorf("%s: only %d lines of the README can be followed", l.ID, n)
		}
		script = append(script, "code 0 kxops lab down "+l.ID)
		if err := os.WriteFile(filepath.Join(dir, l.ID+".txtar"), []byte(strings.Join(script, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{Dir: dir, Setup: cleanHome, Cmds: scriptCommands})
}

// pasted are the lines of the code blocks of a README.
func pasted(text string) []string {
	var out []string
	block, open := false, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			block = !block
			continue
		}
		if !block {
			continue
		}
		if rest, ok := strings.CutSuffix(line, `\`); ok {
			open += rest
			continue
		}
		out, open = append(out, open+line), ""
	}
	return out
}

// followed is a line of a README as a line of a script, "" for one that a script cannot
// follow: the console, a page, a drawing, the AWS CLI.
func followed(line string) string {
	code := 0
	for l, c := range otherwise {
		if strings.HasPrefix(line, l) {
			code = c
		}
	}
	command, _, _ := strings.Cut(line, "#")
	command = strings.TrimSpace(command)
	switch {
	case !strings.HasPrefix(command, "kxops ") || strings.HasPrefix(command, "kxops lab web"):
		return ""
	case strings.HasPrefix(command, "kxops lab up"):
		command = strings.TrimSuffix(command, " --pause") // there is nobody who presses enter
	case strings.HasPrefix(command, "kxops --access change"):
		command = strings.Replace(command, "kxops ", "kxops --yes ", 1) // nor to say yes
	}
	if strings.HasPrefix(command, "kxops replay plan") {
		command += " --canary -1" // its watch takes minutes, and has tests of its own
	}
	if !strings.Contains(command, "'") {
		command = strings.ReplaceAll(command, `"`, "'") // the script's quotes
	}
	// The README's day is today.
	command = strings.ReplaceAll(strings.ReplaceAll(command, "2026-11-23", time.Now().UTC().Format(time.DateOnly)), "T18:00:00Z", "T00:00:00Z")
	if code < 0 {
		return "eventually " + command
	}
	return fmt.Sprintf("code %d %s", code, command)
}
