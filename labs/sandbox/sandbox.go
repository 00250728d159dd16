package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

const (
	// Account is the account id of everything in the sandbox.
	Account = "123456789012"
	// HomeRegion is the region that scenarios fill; every other region is empty.
	HomeRegion = "eu-west-1"

	caller        = "arn:aws:sts::" + Account + ":assumed-role/oncall/sandbox"
	inProcessHost = "sandbox.localhost"
	adminPath     = "/_kxops/"
)

// Options shape a sandbox. The zero value is an empty account with a stepped
// clock: the right thing for a test.
type Options struct {
	Scenario string    // "", calm, incident or scale: see Scenarios
	Seed     uint64    // makes a run repeatable; 0 is a seed like any other
	Start    time.Time // the clock's first value; zero: now
	Live     bool      // after the scenario's history, follow the wall clock
	// Failed is told of a panic in the world's own goroutine, which then has ended. A
	// console on a terminal must be able to give the terminal back first. Without
	// it the panic is one.
	Failed func(error)
	// Code finds the code of a function by its Handler setting, once for each
	// configuration of a function, as a new execution environment does; nil where
	// there is no code of that name. Without code a function answers null.
	Code func(handler string, f Function) Handler
	// Brisk makes what takes AWS seconds to set up (streams, deliveries, mappings,
	// tables) take a fiftieth of it, and a delivery's wait before it tries again: for
	// labs, where nobody learns by waiting.
	Brisk bool
	// History is how long minute points of metrics are kept; 0 means a day. CloudWatch
	// keeps them for 15 days.
	History time.Duration
	Quotas  bool // throttle callers at AWS's documented request rates
	AnyHost bool // answer requests for any Host header (not only loopback)
}

// Sandbox is one AWS account on loopback.
type Sandbox struct {
	*kernel
	options Options
	faults  faults
	bill    bill
	cancel  context.CancelFunc
	done    chan struct{}

	regionsMu sync.Mutex
	regions   map[string]*Region

	endpoint string // for URLs in answers, such as a queue's
	token    string // opens the admin path
	origins  map[string]bool
	iam      *iamStore
	s3       any // one namespace of buckets for all regions, owned by s3.go
}

// New makes a sandbox and plays the history of its scenario. It returns an error
// for an unknown scenario. Close it when done.
func New(o Options) (*Sandbox, error) {
	start := o.Start
	if start.IsZero() {
		start = time.Now()
	}
	scenario, err := scenarioNamed(o.Scenario)
	if err != nil {
		return nil, err
	}
	var token [16]byte
	if _, err := rand.Read(token[:]); err != nil {
		return nil, fmt.Errorf("sandbox: no random numbers: %w", err)
	}
	sb := &Sandbox{
		kernel:   newKernel(start.Add(-scenario.History), o.Seed),
		options:  o,
		bill:     bill{calls: map[string]int{}},
		regions:  map[string]*Region{},
		endpoint: "http://" + inProcessHost,
		token:    hex.EncodeToString(token[:]),
		origins:  map[string]bool{},
		done:     make(chan struct{}),
	}
	home := sb.Region(HomeRegion)
	if scenario.Build != nil {
		if err := scenario.Build(home); err != nil {
			return nil, fmt.Errorf("sandbox: scenario %s: %w", o.Scenario, err)
		}
		sb.Advance(scenario.History)
	}
	ctx, cancel := context.WithCancel(context.Background())
	sb.cancel = cancel
	if !o.Live {
		close(sb.done)
		return sb, nil
	}
	go func() {
		defer close(sb.done)
		defer func() {
			if p := recover(); p != nil && o.Failed != nil {
				o.Failed(fmt.Errorf("sandbox: a panic in its world: %v\n%s", p, debug.Stack()))
			} else if p != nil {
				panic(p)
			}
		}()
		sb.goLive(ctx)
	}()
	return sb, nil
}

// Close stops the sandbox's clock and waits for it.
func (sb *Sandbox) Close() {
	sb.cancel()
	<-sb.done
}

// Now returns the sandbox's time.
func (sb *Sandbox) Now() time.Time {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.now()
}

// Advance steps the clock by d and runs everything that falls due on the way, at
// full speed. Only for a sandbox that is not live.
func (sb *Sandbox) Advance(d time.Duration) { sb.advance(d) }

// Region returns a region of the account; one that nobody used yet is empty.
// The name "" is the home region.
func (sb *Sandbox) Region(name string) *Region {
	if name == "" {
		name = HomeRegion
	}
	sb.regionsMu.Lock()
	defer sb.regionsMu.Unlock()
	if r, ok := sb.regions[name]; ok {
		return r
	}
	r := newRegion(sb, name)
	sb.regions[name] = r
	return r
}

// Config returns an SDK configuration whose clients talk to this sandbox in
// process: the whole protocol, without sockets.
func (sb *Sandbox) Config() aws.Config {
	return aws.Config{
		Region:                      HomeRegion,
		Credentials:                 credentials.NewStaticCredentialsProvider("AKIASANDBOX", "sandbox", ""),
		BaseEndpoint:                aws.String("http://" + inProcessHost),
		HTTPClient:                  &http.Client{Transport: inProcess{sb}},
		RequestMinCompressSizeBytes: 10240,
	}
}

// ConfigFor returns an SDK configuration for a sandbox that listens on an endpoint.
func ConfigFor(endpoint, region string) aws.Config {
	return aws.Config{
		Region:                      region,
		Credentials:                 credentials.NewStaticCredentialsProvider("AKIASANDBOX", "sandbox", ""),
		BaseEndpoint:                aws.String(endpoint),
		HTTPClient:                  awshttp.NewBuildableClient(),
		RequestMinCompressSizeBytes: 10240,
	}
}

// Serve answers on a listener until it is closed. The first listener's address
// becomes the endpoint in answers, such as queue URLs.
func (sb *Sandbox) Serve(l net.Listener) error {
	sb.mu.Lock()
	sb.endpoint = "http://" + l.Addr().String()
	sb.origins[sb.endpoint] = true
	sb.mu.Unlock()
	server := &http.Server{Handler: sb, ReadHeaderTimeout: 10 * time.Second}
	err := server.Serve(l)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Token opens the admin path: send it as "Authorization: Bearer <token>".
func (sb *Sandbox) Token() string { return sb.token }

func (sb *Sandbox) requestID(ctx context.Context) string {
	if inside(ctx) {
		return sb.uuid()
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.uuid()
}

// inProcess carries requests to the sandbox without a socket.
type inProcess struct{ sb *Sandbox }

func (t inProcess) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a sentinel by identity
			resp, err = nil, &net.OpError{Op: "read", Net: "in-process", Err: syscall.ECONNRESET}
		} else if p != nil {
			panic(p)
		}
	}()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.RequestURI = (&url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}).RequestURI()
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	t.sb.ServeHTTP(w, in)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	var body io.ReadCloser = io.NopCloser(&w.body)
	length := int64(w.body.Len())
	if w.later != nil {
		body, length = w.run(req.Context()), -1
	}
	return &http.Response{
		Status:        http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header,
		Body:          body,
		ContentLength: length,
		Request:       req,
	}, nil
}

// recorder keeps an answer in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	later  func(context.Context, io.Writer) // writes the body while it is read, until its reader closes it
}

// run begins to write what is read while it is written.
func (w *recorder) run(ctx context.Context) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	r, to := io.Pipe()
	go func() {
		defer cancel()
		w.later(ctx, to)
		to.Close()
	}()
	return &pipedBody{r, cancel}
}

// pipedBody ends who writes it when it is closed.
type pipedBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *pipedBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
