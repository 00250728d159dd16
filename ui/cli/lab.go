package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kxops/labs"
	"kxops/labs/functions"
	"kxops/labs/sandbox"
	"kxops/ops/cloud"
	"kxops/ui/text"
)

// Where a lab can be.
const (
	onSandbox = "sandbox"
	onAWS     = "aws"
)

// labFlags say where a lab is.
type labFlags struct{ on string }

func (f *labFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.on, "on", onSandbox, "where: sandbox (on this machine, free) or aws (the account of the profile; it costs money)")
	completeWith(c, "on", []string{onSandbox, onAWS})
}

func (f *labFlags) check() error {
	if f.on != onSandbox && f.on != onAWS {
		return wrongUsage(fmt.Sprintf("--on must be sandbox or aws, not %q", f.on))
	}
	return nil
}

func newLab(s *session) *cobra.Command {
	c := &cobra.Command{
		Use:   "lab",
		Short: "Event pipelines to learn on: build, feed, break and operate them, locally or on AWS",
		Long: `The labs are small event pipelines, each with a README: what is in it, what to look
for, exercises, clean-up and cost. They run unchanged in two places: on the sandbox
(the default: on this machine, free, in seconds) and on AWS (--on aws: CloudFormation
makes real resources that cost money until "kxops lab down").`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, add := range []func(*session) *cobra.Command{newLabLs, newLabRead, newLabUp, newLabDown, newLabEnv, newLabTraffic, newLabCheck, newLabFault, newLabExercise, newLabWeb, newLabRestore, newLabQuery} {
		c.AddCommand(add(s))
	}
	return c
}

type labReport struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	About string `json:"about"`
}

func newLabLs(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the labs",
		Args:  takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			var out []labReport
			for _, l := range labs.All() {
				out = append(out, labReport{l.ID, l.Title, l.About})
			}
			if s.json() {
				return s.printJSON(map[string]any{"schema": "kxops/labs/v1", "labs": out})
			}
			for _, l := range out {
				if err := s.printText(fmt.Sprintf("%-6s %s: %s\n", l.ID, l.Title, l.About)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newLabRead(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "read LAB",
		Short:   "Print a lab's README",
		Example: "  kxops lab read lab2 | less",
		Args:    takes(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := theLab(args[0])
			if err != nil {
				return err
			}
			body, err := l.Readme()
			if err != nil {
				return err
			}
			return s.printText(body)
		},
	}
}

// theLab finds a lab by the word on the command line.
func theLab(id string) (*labs.Lab, error) {
	l, err := labs.Find(id)
	if err != nil {
		return nil, wrongUsage(err.Error())
	}
	return l, nil
}

// ground is a place for labs: an account behind its door.
type ground struct {
	*session
	account *account
	place   labs.Place
	found   openSandbox // on the sandbox
}

// onGround opens the place that the flags name. On the sandbox that is the one
// that runs; there is none when ok is false.
func (s *session) onGround(ctx context.Context, f labFlags) (g *ground, ok bool, err error) {
	if err := f.check(); err != nil {
		return nil, false, err
	}
	if f.on == onAWS {
		g, err = s.onAccount(ctx)
		return g, err == nil, err
	}
	if s.endpoint != "" || os.Getenv("AWS_ENDPOINT_URL") != "" {
		at := cmp.Or(string(s.endpoint), os.Getenv("AWS_ENDPOINT_URL"))
		known, err := readSandboxRecord()
		if err != nil {
			return nil, false, err
		}
		if known.Endpoint != at {
			known = openSandbox{Endpoint: at}
		}
		g, err = s.onLoopback(ctx, known)
		return g, err == nil, err
	}
	found, ok, err := runningSandbox(ctx)
	if err != nil || !ok {
		return nil, false, err
	}
	g, err = s.onLoopback(ctx, found)
	return g, err == nil, err
}

// mustGround is onGround for commands that need a lab that is there.
func (s *session) mustGround(ctx context.Context, f labFlags) (*ground, error) {
	g, ok, err := s.onGround(ctx, f)
	if err == nil && !ok {
		return nil, refused("no sandbox is running on this machine", "kxops lab up LAB starts one with the lab in it; kxops sandbox an empty one or a scenario")
	}
	return g, err
}

func (s *session) onAccount(ctx context.Context) (*ground, error) {
	for _, name := range []string{"AWS_ENDPOINT_URL"} {
		if at := cmp.Or(string(s.endpoint), os.Getenv(name)); at != "" {
			return nil, wrongUsage(fmt.Sprintf("--on aws, but the endpoint is %s; unset %s", at, name))
		}
	}
	c, err := s.configuration()
	if err != nil {
		return nil, err
	}
	set := c.For(cmp.Or(s.profile, os.Getenv("AWS_PROFILE"), os.Getenv("AWS_DEFAULT_PROFILE"), "default"), "")
	door, err := cloud.Open(ctx, cloud.Options{Profile: s.profile, Region: s.region, Alias: displayName(set), Access: s.level(c, set), Labs: true, Meter: s.meter})
	if err != nil {
		return nil, err
	}
	a := &account{cloud: door, set: set, asked: s.access.set, clock: time.Now,
		guards: func(id string) bool { return c.For(set.Name, id).Protected }, alias: func(id string) string { return displayName(c.For(set.Name, id)) }}
	return s.grounded(ctx, a, openSandbox{})
}

// onThisMachine reports whether an endpoint is a loopback address.
func onThisMachine(endpoint string) bool {
	host := strings.TrimPrefix(strings.TrimPrefix(endpoint, "http://"), "https://")
	host, _, _ = strings.Cut(host, "/")
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// onLoopback opens a sandbox. Only an address on this machine counts as one: what
// --on sandbox does without a question must not happen anywhere else.
func (s *session) onLoopback(ctx context.Context, at openSandbox) (*ground, error) {
	if !onThisMachine(at.Endpoint) {
		return nil, refused(fmt.Sprintf("the endpoint %s is not on this machine, so it is no sandbox", at.Endpoint), "unset AWS_ENDPOINT_URL, or use --on aws if you mean an account")
	}
	region := cmp.Or(s.region, sandbox.HomeRegion)
	cfg := sandbox.ConfigFor(at.Endpoint, region)
	door, err := cloud.Open(ctx, cloud.Options{Region: region, Access: cloud.Change, Alias: demoAlias, Labs: true, NoQuotas: true, Config: &cfg, Meter: s.meter})
	if err != nil {
		return nil, err
	}
	return s.grounded(ctx, &account{cloud: door, clock: time.Now}, at)
}

func (s *session) grounded(ctx context.Context, a *account, at openSandbox) (*ground, error) {
	id, err := a.cloud.Identity(ctx)
	if err != nil {
		return nil, err
	}
	p := labs.Place{Config: a.cloud.Config(), Account: id.Account, Region: a.cloud.Place().Region, Sandbox: at.Endpoint != "", Poll: 2 * time.Second}
	if p.Sandbox {
		p.Poll = 50 * time.Millisecond
	}
	return &ground{session: s, account: a, place: p, found: at}, nil
}

// where is the place in words.
func (g *ground) where() string {
	if g.place.Sandbox {
		return "the sandbox at " + g.found.Endpoint
	}
	name := g.account.cloud.Place().Profile
	if name != "" {
		name = " (profile " + name + ")"
	}
	return fmt.Sprintf("AWS account %s%s, region %s", g.place.Account, name, g.place.Region)
}

// code is the archive with the functions for the place: on AWS the kxops binary
// for Lambda's processor, on the sandbox, which runs them in process, a note.
func (g *ground) code(bootstrap string) ([]byte, error) {
	if g.place.Sandbox {
		return labs.Code([]byte("the sandbox runs the functions of kxops in process: " + strings.Join(functions.Names(), ", ") + "\n"))
	}
	switch {
	case bootstrap != "":
	case runtime.GOOS == "linux" && runtime.GOARCH == "arm64":
		own, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program's own file: %w", err)
		}
		bootstrap = own
	default:
		return nil, wrongUsage(fmt.Sprintf("Lambda runs this program on linux/arm64, and it is built for %s/%s: build it with GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go build -o bootstrap . and give --bootstrap bootstrap", runtime.GOOS, runtime.GOARCH))
	}
	binary, err := os.ReadFile(bootstrap)
	if err != nil {
		return nil, wrongUsage(fmt.Sprintf("--bootstrap: %v", err))
	}
	if len(binary) < 20 || string(binary[:4]) != "\x7fELF" || binary[18] != 0xb7 { // e_machine: AArch64
		return nil, wrongUsage(fmt.Sprintf("--bootstrap %s is no program for linux/arm64", bootstrap))
	}
	return labs.Code(binary)
}

func newLabEnv(s *session) *cobra.Command {
	var f labFlags
	c := &cobra.Command{
		Use:   "env",
		Short: "Print the variables that lead any SDK, CLI or kxops itself to the sandbox that runs",
		Example: `  eval "$(kxops lab env)"
  kxops                          # the console on the lab`,
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			g, err := s.mustGround(c.Context(), labFlags{onSandbox})
			if err != nil {
				return err
			}
			return s.printDoorway(g.found.Endpoint)
		},
	}
	_ = f
	return c
}

// printEvent tells one event of a stack.
func (g *ground) printEvent(e labs.Event) {
	line := fmt.Sprintf("  %s  %-28s %-38s %s", e.At.UTC().Format("15:04:05"), e.Status, e.Kind, e.ID)
	if e.Reason != "" && e.Bad() {
		line += ": " + e.Reason
	}
	fmt.Fprintln(g.Err, text.Clean(line))
}

func sortedKeys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// explain makes a sentence of what AWS answered; what the lab itself says is one.
func (g *ground) explain(err error) error {
	if labs.Answered(err) {
		return g.account.cloud.Explain(err)
	}
	return err
}
