package cloud

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
)

func listQueues(ctx context.Context, c *Cloud) error {
	_, err := sqs.NewFromConfig(c.Config()).ListQueues(ctx, &sqs.ListQueuesInput{})
	return err
}

func bucketNotifications(ctx context.Context, c *Cloud) error {
	_, err := s3.NewFromConfig(c.Config()).GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: aws.String("bucket")})
	return err
}

func listTopics(ctx context.Context, c *Cloud) error {
	_, err := sns.NewFromConfig(c.Config()).ListTopics(ctx, &sns.ListTopicsInput{})
	return err
}

func listMetrics(ctx context.Context, c *Cloud) error {
	_, err := c.CloudWatch().ListMetrics(ctx, &cloudwatch.ListMetricsInput{})
	return err
}

func listFunctions(ctx context.Context, c *Cloud) error {
	_, err := lambda.NewFromConfig(c.Config()).ListFunctions(ctx, &lambda.ListFunctionsInput{})
	return err
}

func whoAmI(ctx context.Context, c *Cloud) error {
	_, err := c.Identity(ctx)
	return err
}

func webPage(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		io.WriteString(w, "<html><body>welcome</body></html>") //nolint:errcheck
	}
}

// calledPage is what an emulator does that forgets the content type.
func calledPage(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck
	}
}

func xmlError(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		io.WriteString(w, "<ErrorResponse><Error><Type>Sender</Type><Code>"+code+"</Code><Message>"+message+"</Message></Error><RequestId>r</RequestId></ErrorResponse>") //nolint:errcheck
	}
}

// s3Error is an error without the envelope of the query services.
func s3Error(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		io.WriteString(w, "<Error><Code>"+code+"</Code><Message>"+message+"</Message><RequestId>r</RequestId></Error>") //nolint:errcheck
	}
}

// Every answer goes through a real SDK client, so the errors are the real ones.
func TestExplainAnswers(t *testing.T) {
	cases := map[string]struct {
		answer http.HandlerFunc
		call   func(context.Context, *Cloud) error
		fault  ops.Fault
		what   string // a part of the sentence
		hint   string // a part of the hint
	}{
		"expired token":          {jsonAnswer(403, `{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}`), listQueues, ops.FaultExpired, "expired", "aws sso login"},
		"expired token, query":   {xmlError(403, "ExpiredToken", "expired"), listTopics, ops.FaultExpired, "expired", "aws sso login"},
		"unknown key":            {xmlError(403, "InvalidClientTokenId", "The security token included in the request is invalid."), whoAmI, ops.FaultNoCreds, "InvalidClientTokenId", "eu-west-1 is enabled"},
		"unknown key, json":      {jsonAnswer(400, `{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"invalid"}`), listQueues, ops.FaultNoCreds, "does not accept", "access key"},
		"wrong secret":           {xmlError(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"), listTopics, ops.FaultNoCreds, "does not accept", "secret"},
		"denied":                 {jsonAnswer(400, `{"__type":"AccessDeniedException","message":"User: arn:aws:iam::1:user/x is not authorized to perform: sqs:listqueues on resource: *"}`), listQueues, ops.FaultDenied, "sqs:listqueues", "kxops policy look"},
		"denied without action":  {s3Error(403, "AccessDenied", "Access Denied"), bucketNotifications, ops.FaultDenied, "s3:GetBucketNotification", "kxops policy look"},
		"denied for good":        {jsonAnswer(400, `{"__type":"AccessDeniedException","message":"User: x is not authorized to perform: sqs:ListQueues with an explicit deny in a service control policy"}`), listQueues, ops.FaultDenied, "sqs:ListQueues", "service control policy"},
		"denied by status":       {jsonAnswer(403, `{"__type":"Whatever","message":"no"}`), listQueues, ops.FaultDenied, "denied", "sqs:ListQueues"},
		"throttled":              {jsonAnswer(400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`), listQueues, ops.FaultThrottled, "throttles SQS ListQueues", "quota"},
		"throttled by lambda":    {jsonAnswer(429, `{"Type":"User","message":"Rate exceeded"}`), listFunctions, ops.FaultThrottled, "throttles", "quota"},
		"skewed":                 {s3Error(403, "RequestTimeTooSkewed", "The difference is too large"), bucketNotifications, ops.FaultClock, "clock", "NTP"},
		"signature too old":      {jsonAnswer(403, `{"__type":"InvalidSignatureException","message":"Signature expired: 20261122T000000Z is now earlier than 20261122T001000Z"}`), listQueues, ops.FaultClock, "clock", "NTP"},
		"signature too young":    {xmlError(403, "SignatureDoesNotMatch", "Signature not yet current: 1 is still later than 2"), listTopics, ops.FaultClock, "clock", "NTP"},
		"unknown operation":      {jsonAnswer(400, `{"__type":"UnknownOperationException"}`), listQueues, ops.FaultUnsupported, "SQS ListQueues is not supported", "rest stands"},
		"invalid action":         {xmlError(400, "InvalidAction", "Could not find operation"), listTopics, ops.FaultUnsupported, "not supported", "rest stands"},
		"not implemented":        {s3Error(501, "NotImplemented", "later"), bucketNotifications, ops.FaultUnsupported, "not supported", "rest stands"},
		"404 web page":           {webPage(404), listMetrics, ops.FaultUnsupported, "CloudWatch ListMetrics is not supported", "KXOPS_CLOUDWATCH_PROTOCOL"},
		"501 web page":           {webPage(501), listQueues, ops.FaultUnsupported, "not supported", "rest stands"},
		"404 web page for STS":   {webPage(404), whoAmI, ops.FaultNotAWS, "is no AWS endpoint", "--endpoint-url"},
		"200 web page":           {webPage(200), listQueues, ops.FaultNotAWS, "web page", "--endpoint-url"},
		"200 web page from S3":   {webPage(200), bucketNotifications, ops.FaultNotAWS, "web page", "--endpoint-url"},
		"403 web page":           {webPage(403), listQueues, ops.FaultNotAWS, "web page", "--endpoint-url"},
		"an error called a page": {calledPage(400, `{"__type":"QueueDoesNotExist","message":"no"}`), listQueues, ops.FaultNotFound, "does not exist", "deleted"},
		"200 garbage":            {jsonAnswer(200, `pong`), listQueues, ops.FaultNotAWS, "no AWS endpoint", "--endpoint-url"},
		"missing queue":          {jsonAnswer(400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`), listQueues, ops.FaultNotFound, "does not exist", "deleted"},
		"other region":           {xmlError(400, "AuthorizationHeaderMalformed", "expecting us-east-1"), listTopics, ops.FaultRegion, "eu-west-1", "region"},
		"any other code":         {jsonAnswer(400, `{"__type":"InvalidParameterValue","message":"MaxResults is 0"}`), listQueues, ops.FaultOther, "InvalidParameterValue: MaxResults is 0", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStub(t, c.answer)
			door := openOnce(t, s.URL)
			check(t, door.Explain(c.call(t.Context(), door)), c.fault, c.what, c.hint)
		})
	}
}

// openOnce is open with a single attempt: what a last attempt says is the same
// as what the first one says, sooner.
func openOnce(t *testing.T, endpoint string) *Cloud {
	t.Helper()
	cfg := testConfig()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	c, err := Open(t.Context(), Options{Endpoint: endpoint, Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func check(t *testing.T, p *ops.Problem, fault ops.Fault, what, hint string) {
	t.Helper()
	if p == nil {
		t.Fatal("no problem was found")
	}
	if p.Fault != fault || !strings.Contains(p.What, what) || !strings.Contains(p.Hint, hint) {
		t.Errorf("%s: %q\n hint %q\n err %v\nwant %s with %q and a hint with %q", p.Fault, p.What, p.Hint, p.Err, fault, what, hint)
	}
	if strings.HasSuffix(p.What, ".") || strings.Contains(p.What, "\n") {
		t.Errorf("not one sentence without a final dot: %q", p.What)
	}
}

func TestGoodJSONUnderTheNameOfAWebPageIsGood(t *testing.T) {
	s := newStub(t, calledPage(200, `{"QueueUrls":[]}`))
	if err := listQueues(t.Context(), openOnce(t, s.URL)); err != nil {
		t.Error(err)
	}
}

func TestServerErrorsSurviveTheRetries(t *testing.T) {
	s := newStub(t, jsonAnswer(500, `{"__type":"InternalFailure","message":"oops"}`))
	check(t, Explain(listQueues(t.Context(), openOnce(t, s.URL)), Place{}), ops.FaultService, "failed on the side of AWS", "next look")
	s = newStub(t, jsonAnswer(503, `{}`))
	check(t, Explain(listQueues(t.Context(), openOnce(t, s.URL)), Place{}), ops.FaultService, "failed on the side of AWS", "next look")
}

func TestExplainTheNetwork(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + closed.Addr().String()
	closed.Close()

	t.Run("refused", func(t *testing.T) {
		start := time.Now()
		door := open(t, address, Look)
		check(t, door.Explain(listQueues(t.Context(), door)), ops.FaultUnreachable, "nothing answers at "+address+", tried for SQS ListQueues: connection refused", "--endpoint-url")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %s, must be under five seconds", took)
		}
		if spend := door.Meter().Spend(); spend.Calls != 0 || spend.USD != 0 {
			t.Errorf("what was never sent was billed: %+v", spend)
		}
	})
	t.Run("no such host", func(t *testing.T) {
		door := open(t, "http://kxops.invalid", Look)
		check(t, door.Explain(listQueues(t.Context(), door)), ops.FaultUnreachable, "nothing answers at http://kxops.invalid", "--endpoint-url")
	})
	t.Run("no such region", func(t *testing.T) {
		err := &url.Error{Op: "Post", URL: "https://sqs.eu-wset-1.amazonaws.com/", Err: &net.OpError{Op: "dial", Net: "tcp",
			Err: &net.DNSError{Err: "no such host", Name: "sqs.eu-wset-1.amazonaws.com", IsNotFound: true}}}
		check(t, Explain(err, Place{Region: "eu-wset-1"}), ops.FaultRegion, `"eu-wset-1" is no region`, "eu-west-1")
		// In a region that exists, the same error is this machine's network.
		check(t, Explain(err, Place{Region: "eu-west-1"}), ops.FaultUnreachable, "no such host", "VPN")
	})
	t.Run("silent", func(t *testing.T) {
		release := make(chan struct{})
		s := newStub(t, func(_ http.ResponseWriter, r *http.Request) { <-release })
		defer close(release)
		door := open(t, s.URL, Look)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		check(t, door.Explain(listQueues(ctx, door)), ops.FaultTimeout, "SQS ListQueues got no answer from "+s.URL, "check that it runs")
	})
	t.Run("stopped", func(t *testing.T) {
		s := newStub(t, jsonAnswer(200, `{}`))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		door := open(t, s.URL, Look)
		check(t, door.Explain(listQueues(ctx, door)), ops.FaultOther, "was stopped", "")
	})
	t.Run("broken", func(t *testing.T) {
		s := newStub(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		door := openOnce(t, s.URL)
		check(t, door.Explain(listQueues(t.Context(), door)), ops.FaultUnreachable, "broke during SQS ListQueues", "check that it runs")
		if spend := door.Meter().Spend(); spend.Calls != 1 || spend.USD != ops.PricePerQueueCall {
			t.Errorf("an answer that was lost must be billed: %+v", spend)
		}
	})
	t.Run("another protocol", func(t *testing.T) {
		s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n") //nolint:errcheck
			conn.Close()
		})
		door := open(t, s.URL, Look)
		check(t, door.Explain(listQueues(t.Context(), door)), ops.FaultNotAWS, "does not speak HTTP", "port")
	})
	t.Run("https at an http port", func(t *testing.T) {
		s := newStub(t, jsonAnswer(200, `{}`))
		door := openOnce(t, strings.Replace(s.URL, "http://", "https://", 1))
		check(t, door.Explain(listQueues(t.Context(), door)), ops.FaultNotAWS, "speaks HTTP, not HTTPS", "http://")
	})
}

func TestExplainLeavesAProblemAlone(t *testing.T) {
	p := &ops.Problem{Fault: ops.FaultRefused, What: "no"}
	if got := Explain(errors.Join(errors.New("while looking"), p), Place{}); got != p {
		t.Errorf("got %+v", got)
	}
	if got := Explain(nil, Place{}); got != nil {
		t.Errorf("nil became %+v", got)
	}
}

// home makes an AWS config of its own, so that nothing of this machine is read.
func home(t *testing.T, configText string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "KXOPS_CLOUDWATCH_PROTOCOL"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", dir)
	t.Setenv("USERPROFILE", dir)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(configText), 0o600); err != nil {
		t.Fatal(err)
	}
}

const someProfiles = `
[default]
region = eu-west-1
[profile prod]
region = eu-west-1
sso_session = corp
sso_account_id = 123456789012
sso_role_name = oncall
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
[profile staging]
region = eu-west-1
[profile mfa]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/x
mfa_serial = arn:aws:iam::123456789012:mfa/me
source_profile = keys
[profile keys]
region = eu-west-1
aws_access_key_id = AKID
aws_secret_access_key = SECRET
[profile process]
region = eu-west-1
credential_process = /nonexistent/kxops-credentials
[profile loop]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/x
source_profile = nowhere
`

func TestExplainTheConfiguration(t *testing.T) {
	t.Run("profile", func(t *testing.T) {
		home(t, someProfiles)
		_, err := Open(t.Context(), Options{Profile: "stagin"})
		check(t, ops.AsProblem(err), ops.FaultNoCreds, `no AWS profile "stagin"`, "staging")
	})
	t.Run("no profiles at all", func(t *testing.T) {
		home(t, "")
		_, err := Open(t.Context(), Options{Profile: "prod"})
		check(t, ops.AsProblem(err), ops.FaultNoCreds, `no AWS profile "prod"`, "kxops demo")
	})
	t.Run("source profile", func(t *testing.T) {
		home(t, someProfiles)
		_, err := Open(t.Context(), Options{Profile: "loop"})
		check(t, ops.AsProblem(err), ops.FaultNoCreds, "role arn:aws:iam::123456789012:role/x", "source_profile")
	})
	t.Run("mfa", func(t *testing.T) {
		home(t, someProfiles)
		_, err := Open(t.Context(), Options{Profile: "mfa"})
		check(t, ops.AsProblem(err), ops.FaultNoCreds, "MFA", "export-credentials --profile mfa")
	})
	t.Run("no region", func(t *testing.T) {
		home(t, "")
		_, err := Open(t.Context(), Options{})
		check(t, ops.AsProblem(err), ops.FaultRegion, "no region", "--region")
	})
	t.Run("malformed region", func(t *testing.T) {
		home(t, "")
		_, err := Open(t.Context(), Options{Region: "eu west 1"})
		check(t, ops.AsProblem(err), ops.FaultRegion, "not a region name", "eu-west-1")
	})
	t.Run("malformed endpoint", func(t *testing.T) {
		home(t, "")
		for _, endpoint := range []string{"localhost:4566", "ftp://x", "http://", "://"} {
			_, err := Open(t.Context(), Options{Region: "eu-west-1", Endpoint: endpoint})
			check(t, ops.AsProblem(err), ops.FaultUnreachable, "is not a URL", "http://127.0.0.1:4566")
		}
	})
	t.Run("protocol", func(t *testing.T) {
		home(t, "")
		t.Setenv("KXOPS_CLOUDWATCH_PROTOCOL", "xml")
		_, err := Open(t.Context(), Options{Region: "eu-west-1"})
		check(t, ops.AsProblem(err), ops.FaultOther, `"xml"`, "cbor, json or query")
	})
}

func TestExplainCredentials(t *testing.T) {
	identify := func(t *testing.T, o Options) *ops.Problem {
		t.Helper()
		c, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Identity(t.Context())
		return c.Explain(err)
	}
	t.Run("none", func(t *testing.T) {
		home(t, "")
		check(t, identify(t, Options{Region: "eu-west-1"}), ops.FaultNoCreds, "no usable AWS credentials", "kxops demo")
	})
	t.Run("none for an emulator", func(t *testing.T) {
		home(t, "")
		check(t, identify(t, Options{Endpoint: "http://127.0.0.1:4566"}), ops.FaultNoCreds, "no usable AWS credentials", "AWS_ACCESS_KEY_ID=test")
	})
	t.Run("sso never logged in", func(t *testing.T) {
		home(t, someProfiles)
		check(t, identify(t, Options{Profile: "prod"}), ops.FaultExpired, `profile "prod" have expired`, "aws sso login --profile prod")
	})
	t.Run("process", func(t *testing.T) {
		home(t, someProfiles)
		check(t, identify(t, Options{Profile: "process"}), ops.FaultNoCreds, "credential process", "by hand")
	})
	t.Run("role denied", func(t *testing.T) {
		home(t, strings.Replace(someProfiles, "mfa_serial", "# mfa_serial", 1))
		s := newStub(t, xmlError(403, "AccessDenied", "User: arn:aws:iam::1:user/me is not authorized to perform: sts:AssumeRole on resource: x"))
		t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
		check(t, identify(t, Options{Profile: "mfa"}), ops.FaultDenied, "STS AssumeRole is denied", "sts:AssumeRole")
	})
}

func TestIdentityIsAskedOnce(t *testing.T) {
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		io.WriteString(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:sts::123456789012:assumed-role/oncall/me</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`) //nolint:errcheck
	})
	c, err := Open(t.Context(), Options{Endpoint: s.URL, Alias: "prod-eu", Profile: "prod", Config: testConfig()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		id, err := c.Identity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := ops.Identity{Account: "123456789012", Alias: "prod-eu", Region: "eu-west-1", Profile: "prod", Who: "arn:aws:sts::123456789012:assumed-role/oncall/me"}
		if id != want {
			t.Errorf("identity = %+v, want %+v", id, want)
		}
	}
	if n := s.requests.Load(); n != 1 {
		t.Errorf("STS was asked %d times", n)
	}
}
