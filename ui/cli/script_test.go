package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"kxops/labs/sandbox"
)

// TestMain lets this test binary be the kxops command of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){
		"kxops": func() { os.Exit(Run(os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})) },
	})
}

// tidy removes what the tests built when all have run.
type tidy struct{ *testing.M }

var leftovers []string

func (m tidy) Run() int {
	code := m.M.Run()
	for _, path := range leftovers {
		if err := os.RemoveAll(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

// scriptCommands are what scripts have beside kxops itself.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"aws": startAWS, "fault": setFaults, "webpage": startWebPage, "code": exitCode, "deadqueue": deadQueue, "depth": depthIs, "send": send,
	"firstid": firstID, "waitheld": waitHeld, "total": totalIs, "waitrecord": waitRecord, "waitdepth": waitDepth, "groupkey": groupKey, "operation": lastOperation, "edit": editFile, "retention": setRetention, "failing": failing,
	"now": setNow, "events": startEvents, "planid": planID, "eventually": eventually, "line": lastLine, "attribute": attributeIs, "movetask": moveTask, "alarmcount": alarmCount, "putalarm": putAlarm,
}

// TestScripts runs testdata/script/*.txtar: one script per command or subject,
// every exit code, against a sandbox of the script's own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: cleanHome,
		Cmds:  scriptCommands,
	})
}

// cleanHome keeps the machine's own AWS and kxops settings out of a script.
func cleanHome(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	for k, v := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, "config"),
		"XDG_CACHE_HOME": filepath.Join(home, "cache"), "XDG_STATE_HOME": filepath.Join(home, "state"),
		"AWS_EC2_METADATA_DISABLED": "true", "TERM": "xterm",
	} {
		env.Setenv(k, v)
	}
	env.Values[sandboxKey{}] = new(*sandbox.Sandbox)
	return nil
}

// startAWS is the script command "aws SCENARIO [FAULT…]": a sandbox on a free
// port until the script ends, and the variables that lead there.
func startAWS(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: aws SCENARIO [FAULT…]")
	}
	var sb *sandbox.Sandbox
	var err error
	if args[0] == "lab" { // an empty account where nothing takes long to be set up
		sb, err = sandbox.New(sandbox.Options{Live: true, Brisk: true, Code: labCode(io.Discard)})
	} else {
		sb, err = startSandbox(args[0], 1, false, time.Time{}, io.Discard, nil)
	}
	ts.Check(err)
	*ts.Value(sandboxKey{}).(**sandbox.Sandbox) = sb
	setFaults(ts, false, args[1:])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	served := make(chan error, 1)
	go func() { served <- sb.Serve(l) }()
	ts.Defer(func() {
		l.Close()
		if err := <-served; err != nil {
			ts.Logf("sandbox: %v", err)
		}
		sb.Close()
	})
	ts.Setenv("AWS_ENDPOINT_URL", "http://"+l.Addr().String())
	ts.Setenv("AWS_HOST", l.Addr().String())
	ts.Setenv("AWS_REGION", sandbox.HomeRegion)
	ts.Setenv("AWS_ACCESS_KEY_ID", "AKIASANDBOX")
	ts.Setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
}

// sandboxKey finds the script's sandbox.
type sandboxKey struct{}

// setFaults is the script command "fault [FAULT…]": these, and no others, from
// now on.
func setFaults(ts *testscript.TestScript, neg bool, args []string) {
	var faults []sandbox.Fault
	for _, a := range args {
		f, err := parseFault(a)
		ts.Check(err)
		faults = append(faults, f)
	}
	(*ts.Value(sandboxKey{}).(**sandbox.Sandbox)).SetFaults(faults...)
}

// startWebPage is the script command "webpage": an endpoint that is not AWS.
func startWebPage(ts *testscript.TestScript, neg bool, args []string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html><title>Welcome</title></html>")
	}))
	ts.Defer(server.Close)
	ts.Setenv("AWS_ENDPOINT_URL", server.URL)
}

// exitCode is the script command "code N COMMAND ARGS…": the command must end
// with exactly this code. Its output is left for stdout and stderr checks.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARGS…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if want := args[0]; fmt.Sprint(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

// setNow is the script command "now NAME": the time, as a variable.
func setNow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: now NAME")
	}
	ts.Setenv(args[0], time.Now().UTC().Format(time.RFC3339))
}

// eventually is the script command "eventually COMMAND ARGS…": the command must
// succeed within half a minute.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: eventually COMMAND ARGS…")
	}
	until := time.Now().Add(30 * time.Second)
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("not within half a minute: %v", err)
		}
		<-look.C
	}
}

// lastLine is the script command "line NAME": what the last command printed, as a
// variable.
func lastLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: line NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}
