//go:build !windows

package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kxops/ui/shot/terminal"
)

// patience is how long a step of a journey may take: far above what it takes, so
// that a busy machine fails nothing. What must be fast is measured in bench_test.go.
const patience = 20 * time.Second

// builtKxops builds the real program once.
var builtKxops = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kxops-journey")
	if err != nil {
		return "", err
	}
	leftovers = append(leftovers, dir)
	path := filepath.Join(dir, "kxops")
	out, err := exec.Command("go", "build", "-o", path, "kxops").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build kxops: %w\n%s", err, out)
	}
	return path, nil
})

// journey is the real program under a terminal, inside a shell that outlives it:
// what the shell sees afterwards is what a person would.
type journey struct {
	testing.TB
	*terminal.Terminal
	home string
}

// shellScript notes the terminal's settings before and after the program.
const shellScript = `stty -g >"$HOME/before"; "$KXOPS" "$@"; echo "code=$?"; stty -g >"$HOME/after"; cmp "$HOME/before" "$HOME/after" && echo RESTORED`

func start(t testing.TB, o terminal.Options, env []string, args ...string) *journey {
	t.Helper()
	path, err := builtKxops()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", append([]string{"-c", shellScript, "sh"}, args...)...)
	home := t.TempDir()
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "KXOPS=" + path, "TERM=xterm-256color", "LANG=C.UTF-8",
		"XDG_CONFIG_HOME=" + home, "XDG_CACHE_HOME=" + home, "XDG_STATE_HOME=" + home, "AWS_EC2_METADATA_DISABLED=true",
	}, env...)
	if o.Cols == 0 {
		o.Cols, o.Rows = 120, 40
	}
	term, err := terminal.Start(cmd, o)
	if err != nil {
		t.Fatal(err)
	}
	j := &journey{t, term, home}
	t.Cleanup(func() {
		if err := term.Kill(); err != nil {
			t.Errorf("kill the shell: %v", err)
		}
	})
	return j
}

func (j *journey) sees(words ...string) {
	j.Helper()
	if err := j.See(patience, words...); err != nil {
		j.Fatal(err)
	}
}

func (j *journey) seesNoMore(word string) {
	j.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := j.Wait(ctx, func(screen string) bool { return !strings.Contains(screen, word) }); err != nil {
		j.Fatalf("still shows %q: %v", word, err)
	}
}

func (j *journey) types(keys string) {
	j.Helper()
	if err := j.Type(keys); err != nil {
		j.Fatal(err)
	}
}

// ends checks that the program ended with the code and left the terminal as it
// found it: settings, screen, cursor, mouse.
func (j *journey) ends(code int) {
	j.Helper()
	j.sees(fmt.Sprintf("code=%d", code), "RESTORED")
	if err := j.End(patience); err != nil {
		j.Fatal(err)
	}
	if j.AltScreen() {
		j.Error("the alternate screen is still on")
	}
	raw := j.Raw()
	for _, mode := range []string{"25", "1049", "1000", "1002", "1003", "1004", "2004"} {
		on, off := []byte("\x1b[?"+mode+"h"), []byte("\x1b[?"+mode+"l")
		if mode == "25" { // the cursor is on by default: the last word must be "show"
			on, off = off, on
		}
		if last := bytes.LastIndex(raw, on); last >= 0 && bytes.LastIndex(raw, off) < last {
			j.Errorf("mode %s was left on", mode)
		}
	}
	if bytes.Contains(raw, []byte("panic")) || bytes.Contains(raw, []byte("goroutine ")) {
		j.Errorf("a panic:\n%s", raw)
	}
}

// program finds the console's own process, the only child of the shell; 0 where
// that cannot be told.
func (j *journey) program() int {
	j.Helper()
	out, err := exec.Command("pgrep", "-P", fmt.Sprint(j.Process().Pid)).Output()
	if err != nil {
		return 0
	}
	var pid int
	if _, err := fmt.Sscan(string(out), &pid); err != nil {
		j.Fatal(err)
	}
	return pid
}

func (j *journey) signal(sig syscall.Signal) {
	j.Helper()
	pid := j.program()
	if pid == 0 {
		j.Skip("pgrep is missing")
	}
	if err := syscall.Kill(pid, sig); err != nil {
		j.Fatal(err)
	}
}

func TestJourneyQuit(t *testing.T) {
	t.Parallel()
	j := start(t, terminal.Options{}, nil, "demo", "--scenario", "empty")
	j.sees("DEMO", "123456789012", "eu-west-1")
	if !j.AltScreen() {
		t.Error("the console does not use the alternate screen")
	}
	j.types("?")
	j.sees("Moves up one line")
	j.types("\x1b")
	j.seesNoMore("Moves up one line") // esc and a key at once would be alt and the key
	j.types("R")
	j.sees(":region")
	j.types("\x1b")
	j.seesNoMore(":region")
	for _, size := range [][2]int{{60, 16}, {20, 5}, {200, 60}, {120, 40}} {
		if err := j.Resize(size[0], size[1]); err != nil {
			t.Fatal(err)
		}
	}
	j.sees("DEMO")
	j.types("q")
	j.ends(0)
}

// A person who comes to an incident: what loses first, why, only the queues,
// another region, and out.
func TestJourneyIncident(t *testing.T) {
	t.Parallel()
	j := start(t, terminal.Options{}, nil, "demo")
	j.sees("DEMO", "incident", "PAGE", "payments", "orders-dlq")
	j.types("\r")
	j.sees("overview > stream payments", "payments-ledger")
	j.types("\x1b")
	j.sees("orders-dlq")
	j.types("/dlq\r")
	j.sees("orders-dlq", "/dlq")
	j.seesNoMore("audit-to-s3")
	j.types(":region us-east-1\r")
	j.sees("us-east-1")
	j.seesNoMore("payments")
	j.types("q")
	j.ends(0)
}

func TestJourneySignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			j := start(t, terminal.Options{}, nil, "demo", "--scenario", "empty")
			j.sees("DEMO")
			j.signal(sig)
			j.ends(0)
		})
	}
}

// A terminal that answers no query must not hold the console up.
func TestJourneySilentTerminal(t *testing.T) {
	t.Parallel()
	j := start(t, terminal.Options{Silent: true}, nil, "demo", "--scenario", "empty")
	j.sees("DEMO")
	j.types("q")
	j.ends(0)
}

// Where no console can be shown, the status is: no escape sequence at all.
func TestJourneyDumbTerminal(t *testing.T) {
	t.Parallel()
	j := start(t, terminal.Options{}, []string{"TERM=dumb"}, "demo", "--scenario", "empty")
	j.sees("TERM=dumb cannot show the console: this is the status of the demo", "0 resources")
	j.ends(0)
	if bytes.Contains(j.Raw(), []byte("\x1b")) {
		t.Errorf("escape sequences on a dumb terminal: %q", j.Raw())
	}
}

// The console paints before AWS has answered, a protected account says so in its
// own word from the first moment, an endpoint that accepts and never answers can
// be left at once, and the session is in the journal.
func TestJourneyDeadEndpoint(t *testing.T) {
	t.Parallel()
	settings := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(settings, []byte("[[profile]]\nname = \"default\"\nalias = \"shop\"\nprotected = true\nword = \"LIVE\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := start(t, terminal.Options{}, []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y"},
		"--endpoint-url", deadEndpoint(t), "--region", "eu-west-1", "--config", settings, "--reason", "page 4711")
	j.sees("kxops", "LIVE", "shop", "eu-west-1", "nothing read yet")
	began := time.Now()
	j.types("q")
	j.ends(0)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("leaving took %s", took)
	}
	lines, err := os.ReadFile(filepath.Join(j.home, "kxops", "journal.jsonl"))
	if err != nil || !bytes.Contains(lines, []byte(`"kind":"session"`)) || !bytes.Contains(lines, []byte("page 4711")) {
		t.Errorf("the journal has %q, %v", lines, err)
	}
}
