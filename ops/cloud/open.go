package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwschemas "github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"

	"kxops/ops"
)

const (
	// dialTimeout bounds one attempt to connect. A connection that cannot be made
	// is not tried again (see patience), so this is how long an unreachable
	// endpoint takes to fail: it must stay below five seconds.
	dialTimeout = 3 * time.Second
	// callTimeout is the deadline of a call whose caller set none, retries and
	// quota included.
	callTimeout = 30 * time.Second
	// identityTimeout is the deadline of the first call of a session, so that an
	// endpoint that accepts and never answers fails in under five seconds too.
	identityTimeout = 4500 * time.Millisecond
	// credentialsTimeout is how long the credential chain may take before that
	// call: an SSO refresh or a credential process that asks a person.
	credentialsTimeout = 60 * time.Second
	// compressFrom is the SDK's own default; a hand-made aws.Config has 0, which
	// would gzip every PutMetricData, and emulators do not gunzip.
	compressFrom = 10240
	// parallel is how many requests one client may have in the air without
	// opening a new connection each.
	parallel = 64
	// maxAttempts and maxBackoff bound the retries of one call: at most four
	// attempts and about five seconds of waiting.
	maxAttempts = 4
	maxBackoff  = 2 * time.Second

	regionWithEndpoint = "us-east-1" // an emulator takes any region, the signer needs one
)

// Options say which account to open and how much may be done there.
type Options struct {
	Profile  string // a profile of the shared config, "" for the SDK's standard chain
	Region   string // "" for the chain's
	Endpoint string // a URL for all services, "" for AWS (or AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>)
	Alias    string // the account's display name from our config
	Access   Level  // the gate's level; the zero value is Look

	// Protocol of CloudWatch: "cbor" (what AWS prefers), "json" or "query" for
	// emulators. "" takes KXOPS_CLOUDWATCH_PROTOCOL, then cbor.
	Protocol string
	// Labs lets LabOperations through as well.
	Labs bool
	// NoQuotas sends calls as fast as they come instead of at the documented
	// rates: for benchmarks and for the sandbox, which needs no mercy.
	NoQuotas bool
	// Config is a finished configuration to put the guards on, instead of the
	// SDK's standard chain. Tests and the demo pass the sandbox's.
	Config *aws.Config
	// Meter goes on counting in a meter that other accounts or regions of the same
	// session use too; nil starts one. Money that was spent stays spent after a switch.
	Meter *Meter
}

// Cloud is one account and region behind the guards. It is safe for concurrent use.
type Cloud struct {
	options Options
	config  aws.Config
	gate    *gate
	meter   *Meter

	watch    func() *cloudwatch.Client
	mu       sync.Mutex
	identity *ops.Identity
}

// Open reads the configuration; it sends nothing, so it returns at once even
// when the endpoint is dead. The error is an *ops.Problem: unknown profile,
// missing or malformed region, malformed endpoint, unreadable AWS config.
func Open(ctx context.Context, o Options) (*Cloud, error) {
	if o.Protocol == "" {
		o.Protocol = os.Getenv("KXOPS_CLOUDWATCH_PROTOCOL")
	}
	if err := checkProtocol(o.Protocol); err != nil {
		return nil, err
	}
	if err := checkEndpoint(o.Endpoint); err != nil {
		return nil, err
	}
	cfg, err := configure(ctx, o)
	if err != nil {
		return nil, Explain(err, Place{Profile: o.Profile, Region: o.Region, Endpoint: o.Endpoint})
	}
	if err := checkEndpoint(aws.ToString(cfg.BaseEndpoint)); err != nil { // from AWS_ENDPOINT_URL or the profile
		return nil, err
	}
	if err := checkRegion(cfg.Region); err != nil {
		return nil, err
	}
	c := &Cloud{options: o, meter: o.Meter}
	if c.meter == nil {
		c.meter = NewMeter()
	}
	c.gate = &gate{level: o.Access, labs: o.Labs, meter: c.meter, calls: newCallLog(callsKept)}
	if !o.NoQuotas {
		c.gate.quotas = newQuotas()
	}
	// A copy of the slices: the sandbox's config is shared by many tests.
	cfg.APIOptions = append(cfg.APIOptions[:len(cfg.APIOptions):len(cfg.APIOptions)], c.gate.install)
	cfg.ServiceOptions = append(cfg.ServiceOptions[:len(cfg.ServiceOptions):len(cfg.ServiceOptions)], serviceOptions(o.Protocol))
	c.config = cfg
	c.gate.at = c.Place()
	c.watch = sync.OnceValue(func() *cloudwatch.Client { return cloudwatch.NewFromConfig(cfg) })
	return c, nil
}

// configure builds the configuration without our guards. The guards come after,
// so the credential chain's own calls (SSO, AssumeRole) are not gated: they are
// how one gets to the door, not what is behind it.
func configure(ctx context.Context, o Options) (aws.Config, error) {
	if o.Config != nil {
		cfg := o.Config.Copy()
		if o.Region != "" {
			cfg.Region = o.Region
		}
		if o.Endpoint != "" {
			cfg.BaseEndpoint = aws.String(o.Endpoint)
		}
		if cfg.HTTPClient == nil {
			cfg.HTTPClient = httpClient()
		}
		if cfg.Retryer == nil {
			cfg.Retryer = patience
		}
		cfg.RequestMinCompressSizeBytes = compressFrom
		return cfg, nil
	}
	with := []func(*config.LoadOptions) error{
		// A BuildableClient: any other client breaks AWS_CA_BUNDLE.
		config.WithHTTPClient(httpClient()),
		config.WithRetryer(patience),
		// The SDK would warn on standard error, in the middle of the screen.
		config.WithLogger(logging.Nop{}),
	}
	if o.Profile != "" {
		with = append(with, config.WithSharedConfigProfile(o.Profile))
	}
	if o.Region != "" {
		with = append(with, config.WithRegion(o.Region))
	}
	if o.Endpoint != "" {
		with = append(with, config.WithBaseEndpoint(o.Endpoint))
	}
	cfg, err := config.LoadDefaultConfig(ctx, with...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if cfg.Region == "" && cfg.BaseEndpoint != nil {
		cfg.Region = regionWithEndpoint
	}
	if cfg.RequestMinCompressSizeBytes == 0 {
		cfg.RequestMinCompressSizeBytes = compressFrom
	}
	return cfg, nil
}

func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = 4 * parallel
			t.MaxIdleConnsPerHost = parallel
			t.TLSHandshakeTimeout = dialTimeout
			// Above the 20 s of an SQS long poll; each call has its own, shorter deadline.
			t.ResponseHeaderTimeout = callTimeout
		})
}

// patience is the retry policy: the SDK's standard one, bounded, except that a
// connection that could not be made, or that does not speak HTTP, is reported at
// once. Repeating a three second dial would make an unreachable endpoint look
// like a freeze.
func patience() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if neverSent(err) || strings.Contains(err.Error(), "malformed HTTP") {
				return aws.FalseTernary
			}
			return aws.UnknownTernary
		})}, o.Retryables...)
	})
}

// neverSent reports whether the request did not leave: no connection was made.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// serviceOptions is what single services need, applied to every client that is
// made from the configuration.
func serviceOptions(protocol string) func(string, any) {
	return func(_ string, options any) {
		switch o := options.(type) {
		case *s3.Options:
			// A bucket as a host name does not resolve at an emulator.
			o.UsePathStyle = o.UsePathStyle || o.BaseEndpoint != nil
		case *cloudwatch.Options:
			switch protocol {
			case "json":
				o.Protocol = awsjson.New10(cwschemas.GraniteServiceVersion20100801)
			case "query":
				o.Protocol = awsquery.New(cwschemas.GraniteServiceVersion20100801)
			case "cbor":
				o.Protocol = rpcv2.NewCBOR(cwschemas.GraniteServiceVersion20100801)
			}
		}
	}
}

// Config returns the guarded configuration. Make each client once and keep it:
// every client has its own pool of connections.
func (c *Cloud) Config() aws.Config { return c.config.Copy() }

// CloudWatch returns the CloudWatch client, speaking the protocol of the options.
func (c *Cloud) CloudWatch() *cloudwatch.Client { return c.watch() }

// Meter returns the count of calls and money since Open, or of the whole session
// where Options gave its meter.
func (c *Cloud) Meter() *Meter { return c.meter }

// Calls returns the last calls, oldest first: no bodies, no secrets.
func (c *Cloud) Calls() []Call { return c.gate.calls.list() }

// Place says where this door leads, for error sentences.
func (c *Cloud) Place() Place {
	return Place{Profile: c.options.Profile, Region: c.config.Region, Endpoint: aws.ToString(c.config.BaseEndpoint)}
}

// Explain is the package's Explain with this account's place filled in.
func (c *Cloud) Explain(err error) *ops.Problem { return Explain(err, c.Place()) }

// Identity asks STS once who we are and remembers the answer; a failure is not
// remembered. The error is an *ops.Problem.
func (c *Cloud) Identity(ctx context.Context) (ops.Identity, error) {
	c.mu.Lock()
	known := c.identity
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	if err := c.credentials(ctx); err != nil {
		return ops.Identity{}, c.Explain(err)
	}
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	out, err := sts.NewFromConfig(c.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return ops.Identity{}, c.Explain(err)
	}
	id := ops.Identity{
		Account: aws.ToString(out.Account),
		Alias:   c.options.Alias,
		Region:  c.config.Region,
		Profile: c.options.Profile,
		Who:     aws.ToString(out.Arn),
	}
	c.mu.Lock()
	c.identity = &id
	c.mu.Unlock()
	return id, nil
}

// credentials fills the credential cache under its own, longer deadline.
func (c *Cloud) credentials(ctx context.Context) error {
	if c.config.Credentials == nil {
		return errNoCredentials
	}
	ctx, cancel := context.WithTimeout(ctx, credentialsTimeout)
	defer cancel()
	if _, err := c.config.Credentials.Retrieve(ctx); err != nil {
		return fmt.Errorf("%w: %w", errNoCredentials, err)
	}
	return nil
}

func checkProtocol(p string) error {
	switch p {
	case "", "cbor", "json", "query":
		return nil
	}
	return &ops.Problem{
		Fault: ops.FaultOther,
		What:  fmt.Sprintf("%q is not a CloudWatch protocol", p),
		Hint:  "set KXOPS_CLOUDWATCH_PROTOCOL to cbor, json or query",
	}
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil {
		return nil
	}
	return &ops.Problem{
		Fault: ops.FaultUnreachable,
		What:  fmt.Sprintf("the endpoint %q is not a URL that can be called", endpoint),
		Hint:  "write it with scheme and host, such as http://127.0.0.1:4566",
		Err:   err,
	}
}

func checkRegion(region string) error {
	if region == "" {
		return &ops.Problem{
			Fault: ops.FaultRegion,
			What:  "no region is configured",
			Hint:  "give --region, or set AWS_REGION, or run `aws configure set region NAME`",
		}
	}
	if wellFormedRegion.MatchString(region) {
		return nil
	}
	return &ops.Problem{
		Fault: ops.FaultRegion,
		What:  fmt.Sprintf("%q is not a region name", region),
		Hint:  "did you mean " + strings.Join(ops.Nearest(region, regionNames(), 3), ", ") + "?",
	}
}
