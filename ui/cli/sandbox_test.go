package cli

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/labs/sandbox"
	"kxops/ops/cloud"
	"kxops/ui"
)

// The variables go to stdout, the token to stderr, the token opens the admin
// path, and the end of the context (a signal) is a clean end.
func TestSandboxDoor(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"sandbox", "--listen", "127.0.0.1:0", "--scenario", "empty"}, Streams{Out: outW, Err: errW})
		outW.Close()
		errW.Close()
	}()

	out := bufio.NewScanner(outR)
	vars := map[string]string{}
	for len(vars) < 5 && out.Scan() {
		name, value, ok := strings.Cut(strings.TrimPrefix(out.Text(), "export "), "=")
		if !ok {
			t.Fatalf("stdout has %q, want only variables", out.Text())
		}
		vars[name] = value
	}
	endpoint := vars["AWS_ENDPOINT_URL"]
	if vars["AWS_REGION"] != sandbox.HomeRegion || vars["AWS_DEFAULT_REGION"] != sandbox.HomeRegion || !strings.HasPrefix(endpoint, "http://127.0.0.1:") {
		t.Fatalf("variables are %v", vars)
	}
	talk := bufio.NewScanner(errR)
	token := ""
	for token == "" && talk.Scan() {
		if m := regexp.MustCompile(`Bearer ([0-9a-f]+)`).FindStringSubmatch(talk.Text()); m != nil {
			token = m[1]
		}
	}

	for _, c := range []struct {
		token string
		want  int
	}{{token, http.StatusOK}, {"wrong", http.StatusUnauthorized}} {
		req, err := http.NewRequestWithContext(ctx, "GET", endpoint+"/_kxops/bill", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("admin path with token %q answers %d, want %d", c.token, resp.StatusCode, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()

	cancel()
	select {
	case got := <-code:
		if got != 0 {
			t.Errorf("exit code %d, want 0", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the sandbox did not end")
	}
}

func TestParseFault(t *testing.T) {
	good := map[string]sandbox.Fault{
		"throttle":                       {Kind: sandbox.Throttle},
		"5xx=20%:kinesis":                {Kind: sandbox.ServerError, Percent: 20, Service: "kinesis"},
		"slow=300ms:sqs:ReceiveMessage":  {Kind: sandbox.Slow, Latency: 300 * time.Millisecond, Service: "sqs", Operation: "ReceiveMessage"},
		"denied:firehose:ListDeliveries": {Kind: sandbox.DeniedAction, Service: "firehose", Operation: "ListDeliveries"},
	}
	for in, want := range good {
		got, err := parseFault(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", in, d)
		}
	}
	for _, in := range []string{"", "fire", "throttle=0%", "throttle=NaN%", "throttle=3s", "slow", "slow=20%", "slow=-1s", "5xx=", "5xx:lambda=100%", "throttle:sqss"} {
		if got, err := parseFault(in); err == nil {
			t.Errorf("%q was read as %+v, want an error", in, got)
		}
	}
}

// A switch of region must not make spent money disappear, and a profile that the
// demo does not have must not seem to open.
func TestSwitchInTheDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	st := raise(emptyScenario, defaultSeed, time.Time{}, func(err error) { t.Error(err) })
	sb, err := st.sandbox(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	s := &session{meter: cloud.NewMeter()}
	b := &backend{fixed: true, clock: st.now, open: func(ctx context.Context, _, region string) (*account, error) {
		return s.openDemo(ctx, sb, region)
	}}
	before := b.Collect(ctx, ui.Ask{}, nil).Spend
	if before.Calls == 0 || before.USD == 0 {
		t.Fatalf("looking cost nothing: %+v", before)
	}
	if _, err := b.Switch(ctx, "", "us-east-1"); err != nil {
		t.Fatal(err)
	}
	if after := b.Collect(ctx, ui.Ask{}, nil).Spend; after.USD <= before.USD || after.Calls <= before.Calls {
		t.Errorf("spent %+v before the switch, %+v after", before, after)
	}
	if _, err := b.Switch(ctx, "prod", ""); err == nil || !strings.Contains(err.Error(), "no profiles") {
		t.Errorf("profile prod in the demo: %v", err)
	}
}
