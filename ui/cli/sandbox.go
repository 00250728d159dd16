package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kxops/labs/functions"
	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ui/text"
)

const (
	emptyScenario   = "empty" // an account with nothing in it
	defaultScenario = "incident"
	defaultSeed     = 1 // a demo looks the same every time unless asked otherwise
)

func newSandbox(s *session) *cobra.Command {
	var (
		listen   string
		remote   bool
		scenario scenarioFlag
		faults   faultsFlag
		seed     uint64
	)
	c := &cobra.Command{
		Use:   "sandbox",
		Short: "An AWS on loopback by itself, for any SDK or CLI",
		Long: `Runs an AWS of its own on one port: SQS, Kinesis, Firehose, S3, SNS, Lambda,
CloudWatch, STS and tagging, over their real protocols, filled by a scenario with
three hours of history. Set the printed variables and any SDK, or the AWS CLI, talks
to it. Everything is kept in memory and forgotten at the end.`,
		Example: `  kxops sandbox
  kxops sandbox --listen 127.0.0.1:0 --scenario calm
  kxops sandbox --fault throttle=20%:kinesis --fault slow=300ms:sqs:ReceiveMessage`,
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkListen(listen, remote); err != nil {
				return err
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return cannotListen(listen, err)
			}
			defer l.Close()
			ctx, fail := context.WithCancelCause(c.Context())
			defer fail(nil)
			sb, err := startSandbox(string(scenario), seed, remote, time.Time{}, s.Err, fail)
			if err != nil {
				return err
			}
			defer sb.Close()
			sb.SetFaults(faults...)
			leave, err := recordSandbox(sb, l)
			if err != nil {
				return err
			}
			if err := s.printDoor(sb, l, remote); err != nil {
				return errors.Join(err, leave())
			}
			return errors.Join(serve(ctx, sb, l), leave(), broken(ctx))
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&listen, "listen", "127.0.0.1:4566", "address; port 0 takes a free one")
	scenario.register(c)
	f.Uint64Var(&seed, "seed", defaultSeed, "makes a run repeatable")
	f.Var(&faults, "fault", "kind[=amount][:service[:operation]], may be repeated; kinds: "+strings.Join(kindNames(), ", "))
	f.BoolVar(&remote, "allow-remote", false, "listen on an address that other machines can reach: anyone who can reach it can use it")
	return c
}

// startSandbox plays a scenario's history, so that its present is start (zero:
// now), and then lets its clock run. failed is told if its world breaks.
func startSandbox(scenario string, seed uint64, anyHost bool, start time.Time, log io.Writer, failed func(error)) (*sandbox.Sandbox, error) {
	if scenario == emptyScenario {
		scenario = ""
	}
	sb, err := sandbox.New(sandbox.Options{Scenario: scenario, Seed: seed, Live: true, AnyHost: anyHost, Start: start, Failed: failed, Code: labCode(log)})
	if err != nil {
		return nil, fmt.Errorf("start the sandbox: %w", err)
	}
	return sb, nil
}

// labCode finds the code of the labs' functions, for functions that name one. What
// they log is told to log: a sandbox in a terminal of its own shows it there.
func labCode(log io.Writer) func(handler string, f sandbox.Function) sandbox.Handler {
	return func(handler string, f sandbox.Function) sandbox.Handler {
		tell := func(line string) {
			fmt.Fprintln(log, text.Clean(fmt.Sprintf("  %s  %s: %s", f.Now().Format("15:04:05"), f.Name, oneLine(line))))
		}
		h, ok := functions.New(handler, functions.Place{Config: f.Config, Environment: f.Environment, Now: f.Now, Wait: f.Wait, Log: tell})
		if !ok {
			return nil
		}
		return sandbox.Handler(h)
	}
}

// broken returns the error for which a context was cancelled, nil when it simply
// came to its end.
func broken(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// serve answers until the context ends.
func serve(ctx context.Context, sb *sandbox.Sandbox, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if err := sb.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve the sandbox: %w", err)
	}
	return nil
}

type sandboxReport struct {
	Schema      string            `json:"schema"`
	EndpointURL string            `json:"endpoint_url"`
	Region      string            `json:"region"`
	Account     string            `json:"account"`
	AdminToken  string            `json:"admin_token"`
	Environment map[string]string `json:"environment"`
}

// printDoor says how to come in: variables on stdout, so that they can be read
// by a shell, everything else on stderr.
func (s *session) printDoor(sb *sandbox.Sandbox, l net.Listener, remote bool) error {
	endpoint := "http://" + l.Addr().String()
	if remote {
		fmt.Fprintln(s.Err, "warning: other machines can reach this address and use the sandbox; its data is made up, its port is not private")
	}
	if s.json() {
		r := sandboxReport{"kxops/sandbox/v1", endpoint, sandbox.HomeRegion, sandbox.Account, sb.Token(), map[string]string{}}
		for _, v := range doorway(endpoint) {
			r.Environment[v[0]] = v[1]
		}
		return s.printJSON(r)
	}
	if err := s.printDoorway(endpoint); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "the sandbox answers on %s, account %s, region %s; ctrl+c ends it\n", endpoint, sandbox.Account, sandbox.HomeRegion)
	fmt.Fprintf(s.Err, "admin (faults, bill): curl -H 'Authorization: Bearer %s' %s/_kxops/bill\n", sb.Token(), endpoint)
	return nil
}

// doorway is the variables that lead an SDK to a sandbox.
func doorway(endpoint string) [][2]string {
	return [][2]string{
		{"AWS_ENDPOINT_URL", endpoint},
		{"AWS_REGION", sandbox.HomeRegion},
		{"AWS_DEFAULT_REGION", sandbox.HomeRegion}, // boto3 and the first aws-cli know only this one
		{"AWS_ACCESS_KEY_ID", "AKIASANDBOX"},
		{"AWS_SECRET_ACCESS_KEY", "sandbox"},
	}
}

// printDoorway prints them for a shell to read.
func (s *session) printDoorway(endpoint string) error {
	for _, v := range doorway(endpoint) {
		if _, err := fmt.Fprintf(s.Out, "export %s=%s\n", v[0], v[1]); err != nil {
			return fmt.Errorf("write the variables: %w", err)
		}
	}
	return nil
}

// checkListen refuses an address that other machines can reach.
func checkListen(address string, remote bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return wrongUsage(fmt.Sprintf("--listen %q is no address; write host:port, such as 127.0.0.1:4566", address))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return wrongUsage(fmt.Sprintf("--listen %q: the port must be 0 (any free one) to 65535", address))
	} else if n == 0 && port != "0" {
		return wrongUsage(fmt.Sprintf("--listen %q: the port must be 0 (any free one) to 65535", address))
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() || remote {
		return nil
	}
	return wrongUsage(fmt.Sprintf("--listen %s can be reached from other machines; use 127.0.0.1, or add --allow-remote if you mean it", address))
}

func cannotListen(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &ops.Problem{
			Fault: ops.FaultOther,
			What:  fmt.Sprintf("something else listens on %s", address),
			Hint:  "stop it, or give another address: --listen 127.0.0.1:0 takes a free port",
			Err:   err,
		}
	}
	return fmt.Errorf("cannot listen on %s: %w", address, err)
}

// scenarioFlag is the name of a scenario that exists.
type scenarioFlag string

func scenarioNames() []string {
	var names []string
	for _, x := range sandbox.Scenarios() {
		names = append(names, x.Name)
	}
	return append(names, emptyScenario)
}

func (f *scenarioFlag) register(c *cobra.Command) {
	*f = defaultScenario
	c.Flags().Var(f, "scenario", "what the account holds: "+orList(scenarioNames()))
	completeWith(c, "scenario", scenarioNames())
}

func (f *scenarioFlag) String() string { return string(*f) }
func (f *scenarioFlag) Type() string   { return "NAME" }
func (f *scenarioFlag) Set(s string) error {
	if !slices.Contains(scenarioNames(), s) {
		return fmt.Errorf("must be %s", orList(scenarioNames()))
	}
	*f = scenarioFlag(s)
	return nil
}

// faultsFlag collects --fault kind[=amount][:service[:operation]].
type faultsFlag []sandbox.Fault

func (f *faultsFlag) String() string { return "" }
func (f *faultsFlag) Type() string   { return "FAULT" }
func (f *faultsFlag) Set(s string) error {
	fault, err := parseFault(s)
	if err != nil {
		return err
	}
	*f = append(*f, fault)
	return nil
}

// parseFault reads one fault. The amount is a share of the calls ("20%"), or for
// slow a time ("300ms").
func parseFault(s string) (sandbox.Fault, error) {
	what, where, _ := strings.Cut(s, ":")
	kind, amount, hasAmount := strings.Cut(what, "=")
	if !slices.Contains(kindNames(), kind) {
		return sandbox.Fault{}, fmt.Errorf("the kind must be %s", orList(kindNames()))
	}
	fault := sandbox.Fault{Kind: sandbox.FaultKind(kind)}
	fault.Service, fault.Operation, _ = strings.Cut(where, ":")
	if err := fault.Check(); err != nil {
		return sandbox.Fault{}, err
	}
	if fault.Kind == sandbox.Slow && !hasAmount {
		return sandbox.Fault{}, errors.New("slow needs a time, such as slow=300ms")
	}
	if !hasAmount {
		return fault, nil
	}
	if share, ok := strings.CutSuffix(amount, "%"); ok {
		n, err := strconv.ParseFloat(share, 64)
		if err != nil || !(n > 0 && n <= 100) {
			return sandbox.Fault{}, fmt.Errorf("the amount %q must be above 0%% and at most 100%%", amount)
		}
		fault.Percent = n
	} else if d, err := time.ParseDuration(amount); err == nil && d > 0 && fault.Kind == sandbox.Slow {
		fault.Latency = d
	} else {
		return sandbox.Fault{}, fmt.Errorf("the amount %q must be a share of the calls such as 20%%, or for slow a time such as 300ms", amount)
	}
	if fault.Kind == sandbox.Slow && fault.Latency == 0 {
		return sandbox.Fault{}, errors.New("slow needs a time, such as slow=300ms")
	}
	return fault, nil
}

func kindNames() []string {
	var names []string
	for _, k := range sandbox.FaultKinds() {
		names = append(names, string(k))
	}
	return names
}
