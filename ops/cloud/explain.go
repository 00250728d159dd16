package cloud

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"kxops/ops"
)

var errNoCredentials = errors.New("no AWS credentials")

// Place says where a call went, for the sentence that explains its failure.
type Place struct {
	Profile  string
	Region   string
	Endpoint string // "" for AWS
}

// Explain turns any error of the SDK into one sentence and one next step. The
// whole chain stays in Err. It returns nil for nil, and a problem that is already
// explained as it is.
func Explain(err error, at Place) *ops.Problem {
	if err == nil {
		return nil
	}
	var known *ops.Problem
	if errors.As(err, &known) {
		return known
	}
	f := failure{err: err, text: err.Error(), at: at, call: callName(err)}
	// The order matters: a credential chain that fails because the network is down
	// is a network problem, one that ends at the metadata service of a laptop is a
	// missing credential.
	for _, reason := range []func(failure) *ops.Problem{
		failure.stopped, failure.profile, failure.metadataService, failure.session,
		failure.webPage, failure.code, failure.network, failure.deadline, failure.credentials, failure.server,
	} {
		if p := reason(f); p != nil {
			p.Err = err
			return p
		}
	}
	return &ops.Problem{Fault: ops.FaultOther, What: f.call + " failed: " + f.innermost(), Err: err}
}

// failure is an error with what its sentence needs.
type failure struct {
	err  error
	text string
	at   Place
	call string // "SQS ListQueues", "the call" when unknown
}

func (f failure) stopped() *ops.Problem {
	if !errors.Is(f.err, context.Canceled) {
		return nil
	}
	return &ops.Problem{Fault: ops.FaultOther, What: f.call + " was stopped before the answer came"}
}

// profile explains a shared config that does not fit.
func (f failure) profile() *ops.Problem {
	var missing config.SharedConfigProfileNotExistError
	var role config.SharedConfigAssumeRoleError
	var load config.SharedConfigLoadError
	var mfa config.AssumeRoleTokenProviderNotSetError
	switch {
	case errors.As(f.err, &role):
		return &ops.Problem{
			Fault: ops.FaultNoCreds,
			What:  fmt.Sprintf("%s wants to assume role %s through profile %q, which is not usable", f.at.who(), role.RoleARN, role.Profile),
			Hint:  "check source_profile or credential_source in the AWS config file",
		}
	case errors.As(f.err, &missing):
		return &ops.Problem{Fault: ops.FaultNoCreds, What: fmt.Sprintf("there is no AWS profile %q", missing.Profile), Hint: profileHint(missing.Profile)}
	case errors.As(f.err, &mfa):
		return &ops.Problem{
			Fault: ops.FaultNoCreds,
			What:  f.at.who() + " asks for an MFA code, which kxops cannot ask for",
			Hint:  f.at.command("run `aws configure export-credentials%s --format env` and start kxops with its output"),
		}
	case errors.As(f.err, &load):
		return &ops.Problem{Fault: ops.FaultNoCreds, What: fmt.Sprintf("the AWS config file %s cannot be read", load.Filename), Hint: "correct the file; `aws configure list` reads it too"}
	}
	return nil
}

func profileHint(name string) string {
	profiles, err := Profiles()
	if err != nil || len(profiles) == 0 {
		return "no profiles are configured: run `aws configure sso`, or try `kxops demo`"
	}
	return "did you mean " + strings.Join(ops.Nearest(name, profiles, 3), ", ") + "?"
}

// metadataService is where the credential chain ends on a machine without
// credentials: it asks for an EC2 role, and there is none.
func (f failure) metadataService() *ops.Problem {
	if !strings.Contains(f.text, "EC2 IMDS") && !strings.Contains(f.text, "ec2imds") {
		return nil
	}
	return f.noCredentials()
}

// session explains an SSO or `aws login` session that is over or never began.
func (f failure) session() *ops.Problem {
	var token *ssocreds.InvalidTokenError
	var operation *smithy.OperationError
	sso := errors.As(f.err, &token) || strings.Contains(f.text, "SSO token") || strings.Contains(f.text, "SSO session")
	for e := f.err; errors.As(e, &operation); e = operation.Err {
		api := smithy.APIError(nil)
		if (operation.Service() == "SSO" || operation.Service() == "SSO OIDC") && errors.As(operation.Err, &api) {
			sso = sso || slices.Contains(ssoEnded, api.ErrorCode())
		}
	}
	if sso {
		return f.expired()
	}
	if strings.Contains(f.text, "please reauthenticate") {
		return &ops.Problem{Fault: ops.FaultExpired, What: "the login session of " + f.at.who() + " has ended", Hint: f.at.command("run `aws login%s`, then refresh")}
	}
	return nil
}

var ssoEnded = []string{"UnauthorizedException", "InvalidGrantException", "ExpiredTokenException", "InvalidRequestException"}

func (f failure) expired() *ops.Problem {
	return &ops.Problem{Fault: ops.FaultExpired, What: "the credentials of " + f.at.who() + " have expired", Hint: f.at.command("run `aws sso login%s`, then refresh")}
}

// webPage explains an answer that no AWS service gives.
func (f failure) webPage() *ops.Problem {
	var response *smithyhttp.ResponseError
	if !errors.As(f.err, &response) || response.Response == nil {
		return nil
	}
	code := response.HTTPStatusCode()
	if !isWebPage(response.Response.Header) {
		var garbled *smithy.DeserializationError
		var broken *net.OpError
		if errors.As(f.err, &broken) || errors.Is(f.err, context.DeadlineExceeded) {
			return nil // the connection ended in the middle of the answer: that says nothing about who answers
		}
		if code != 0 && code < 500 && errors.As(f.err, &garbled) && f.at.Endpoint != "" {
			return f.notAWS(fmt.Sprintf("HTTP %d and a body that is no %s answer", code, f.call))
		}
		return nil
	}
	var api smithy.APIError
	if errors.As(f.err, &api) && !madeUp(api.ErrorCode(), code) {
		return nil // a real error under the name of a web page: an emulator
	}
	switch {
	case code == http.StatusNotFound || code == http.StatusNotImplemented || code == http.StatusMethodNotAllowed:
		if f.at.Endpoint != "" && f.call != "STS GetCallerIdentity" {
			return f.unsupported()
		}
	}
	return f.notAWS(fmt.Sprintf("HTTP %d and a web page", code))
}

func (f failure) notAWS(with string) *ops.Problem {
	if f.at.Endpoint == "" {
		return &ops.Problem{Fault: ops.FaultNotAWS, What: fmt.Sprintf("something between here and AWS answers %s with %s", f.call, with), Hint: "check the proxy (HTTPS_PROXY) or the captive portal of this network"}
	}
	return &ops.Problem{Fault: ops.FaultNotAWS, What: fmt.Sprintf("%s answers with %s: it is no AWS endpoint", f.at.Endpoint, with), Hint: "check --endpoint-url and AWS_ENDPOINT_URL"}
}

// madeUp reports whether the SDK made the error code from the HTTP status because
// it found none in the body.
func madeUp(code string, status int) bool {
	return code == "UnknownError" || code == strings.ReplaceAll(http.StatusText(status), " ", "")
}

func isWebPage(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/html")
}

// codes sorts the error codes of the services by what a person can do about
// them. Sources: the "Common errors" pages of the API references, and for
// FaultUnsupported the emulators that were probed.
var codes = map[string]ops.Fault{
	"ExpiredToken":                        ops.FaultExpired,
	"ExpiredTokenException":               ops.FaultExpired,
	"RequestExpired":                      ops.FaultExpired,
	"TokenRefreshRequired":                ops.FaultExpired,
	"InvalidGrantException":               ops.FaultExpired,
	"InvalidToken":                        ops.FaultNoCreds,
	"InvalidClientTokenId":                ops.FaultNoCreds,
	"InvalidAccessKeyId":                  ops.FaultNoCreds,
	"UnrecognizedClient":                  ops.FaultNoCreds,
	"AuthFailure":                         ops.FaultNoCreds,
	"MissingAuthenticationToken":          ops.FaultNoCreds,
	"MissingAuthenticationTokenException": ops.FaultNoCreds,
	"UnrecognizedClientException":         ops.FaultNoCreds,
	"NotAuthorized":                       ops.FaultDenied,
	"IncompleteSignature":                 ops.FaultNoCreds,
	"IncompleteSignatureException":        ops.FaultNoCreds,
	"InvalidSignatureException":           ops.FaultNoCreds,
	"SignatureDoesNotMatch":               ops.FaultNoCreds,

	"AccessDenied":             ops.FaultDenied,
	"AccessDeniedException":    ops.FaultDenied,
	"AuthorizationError":       ops.FaultDenied,
	"UnauthorizedOperation":    ops.FaultDenied,
	"Forbidden":                ops.FaultDenied,
	"KMSAccessDenied":          ops.FaultDenied,
	"KMSAccessDeniedException": ops.FaultDenied,
	"KmsAccessDenied":          ops.FaultDenied,

	"Throttling":                             ops.FaultThrottled,
	"ThrottlingException":                    ops.FaultThrottled,
	"ThrottledException":                     ops.FaultThrottled,
	"Throttled":                              ops.FaultThrottled,
	"RequestThrottled":                       ops.FaultThrottled,
	"RequestThrottledException":              ops.FaultThrottled,
	"RequestLimitExceeded":                   ops.FaultThrottled,
	"TooManyRequestsException":               ops.FaultThrottled,
	"TooManyRequests":                        ops.FaultThrottled,
	"LimitExceededException":                 ops.FaultThrottled,
	"ProvisionedThroughputExceededException": ops.FaultThrottled,
	"KMSThrottlingException":                 ops.FaultThrottled,
	"SlowDown":                               ops.FaultThrottled,

	"RequestTimeTooSkewed": ops.FaultClock,
	"RequestInTheFuture":   ops.FaultClock,

	"UnknownOperation":          ops.FaultUnsupported,
	"UnknownOperationException": ops.FaultUnsupported,
	"InvalidAction":             ops.FaultUnsupported,
	"NotImplemented":            ops.FaultUnsupported,
	"NotImplementedException":   ops.FaultUnsupported,
	"UnsupportedProtocol":       ops.FaultUnsupported,
	"MethodNotAllowed":          ops.FaultUnsupported,

	"ResourceNotFoundException":               ops.FaultNotFound,
	"QueueDoesNotExist":                       ops.FaultNotFound,
	"AWS.SimpleQueueService.NonExistentQueue": ops.FaultNotFound,
	"NonExistentQueue":                        ops.FaultNotFound,
	"NoSuchBucket":                            ops.FaultNotFound,
	"NoSuchKey":                               ops.FaultNotFound,
	"NotFound":                                ops.FaultNotFound,
	"NotFoundException":                       ops.FaultNotFound,

	"AuthorizationHeaderMalformed":  ops.FaultRegion,
	"PermanentRedirect":             ops.FaultRegion,
	"OptInRequired":                 ops.FaultRegion,
	"SubscriptionRequiredException": ops.FaultRegion,

	"InternalFailure":             ops.FaultService,
	"InternalError":               ops.FaultService,
	"InternalServerError":         ops.FaultService,
	"InternalServiceError":        ops.FaultService,
	"ServiceUnavailable":          ops.FaultService,
	"ServiceUnavailableException": ops.FaultService,
	"ServiceException":            ops.FaultService,
}

// code explains an error that a service answered with.
func (f failure) code() *ops.Problem {
	var api smithy.APIError
	if !errors.As(f.err, &api) {
		return nil
	}
	code := api.ErrorCode()
	// Query services prefix some codes ("AWS.SimpleQueueService.…"), old JSON ones
	// put the namespace before a "#".
	if _, name, ok := strings.Cut(code, "#"); ok {
		code = name
	}
	fault, ok := codes[code]
	switch {
	case isSkew(code, api.ErrorMessage()):
		fault = ops.FaultClock
	case !ok && status(f.err) == http.StatusNotFound && code == "UnknownError" && f.at.Endpoint != "":
		fault = ops.FaultUnsupported
	case !ok && status(f.err) == http.StatusForbidden:
		fault = ops.FaultDenied
	case !ok && status(f.err) == http.StatusTooManyRequests:
		fault = ops.FaultThrottled
	}
	switch fault {
	case ops.FaultExpired:
		return f.expired()
	case ops.FaultNoCreds:
		return f.notAccepted(code)
	case ops.FaultDenied:
		return f.denied(api.ErrorMessage())
	case ops.FaultThrottled:
		return &ops.Problem{Fault: fault, What: fmt.Sprintf("AWS throttles %s (%s)", f.call, code), Hint: "it is retried at a slower pace; other tools in this account share the quota"}
	case ops.FaultClock:
		return &ops.Problem{Fault: fault, What: "AWS refuses the signature because the clock of this machine is wrong", Hint: "set the clock (NTP), then refresh"}
	case ops.FaultUnsupported:
		return f.unsupported()
	case ops.FaultNotFound:
		return &ops.Problem{Fault: fault, What: fmt.Sprintf("%s: what it asked for does not exist (%s)", f.call, code), Hint: "it may have been deleted: refresh, or check the region"}
	case ops.FaultRegion:
		return &ops.Problem{Fault: fault, What: fmt.Sprintf("%s is not served in %s for this account (%s)", f.call, f.at.region(), code), Hint: "choose another region, or enable this one for the account"}
	case ops.FaultService:
		return f.failedThere(code)
	}
	if status(f.err) >= 500 {
		return f.failedThere(code)
	}
	return &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("%s failed with %s: %s", f.call, code, api.ErrorMessage())}
}

// isSkew knows the two forms in which a signature fails for its date only.
func isSkew(code, message string) bool {
	signature := code == "InvalidSignatureException" || code == "SignatureDoesNotMatch"
	return signature && (strings.Contains(message, "Signature expired") || strings.Contains(message, "Signature not yet current"))
}

func (f failure) notAccepted(code string) *ops.Problem {
	p := &ops.Problem{Fault: ops.FaultNoCreds, What: fmt.Sprintf("AWS does not accept the credentials of %s (%s)", f.at.who(), code)}
	switch code {
	case "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "IncompleteSignatureException":
		p.Hint = "check the secret access key and the clock of this machine"
	default:
		// A region that is not enabled answers with the same codes as a wrong key.
		p.Hint = fmt.Sprintf("check the access key, and that %s is enabled for the account", f.at.region())
	}
	return p
}

var (
	deniedAction = regexp.MustCompile(`not authorized to perform: ([a-zA-Z0-9-]+:[a-zA-Z0-9*]+)`)
	explicitDeny = regexp.MustCompile(`explicit deny in an? ([a-z ]+)`)
)

// denied names the IAM action: the one AWS names, else the one of our list.
func (f failure) denied(message string) *ops.Problem {
	action := ""
	if m := deniedAction.FindStringSubmatch(message); m != nil {
		action = m[1]
	} else if service, name, ok := cutLast(f.call, " "); ok {
		if o, listed := OperationOf(service, name); listed {
			action = o.Action
		}
	}
	p := &ops.Problem{Fault: ops.FaultDenied, What: f.call + " is denied", Hint: "`kxops policy look` prints the least IAM policy"}
	if action != "" {
		p.What += ": " + f.at.who() + " lacks " + action
		p.Hint = fmt.Sprintf("allow %s; `kxops policy look` prints the least IAM policy", action)
	}
	if m := explicitDeny.FindStringSubmatch(message); m != nil {
		p.Hint = "a deny in an " + strings.TrimSpace(m[1]) + " forbids it, which no allow can lift"
	}
	return p
}

func (f failure) unsupported() *ops.Problem {
	where := f.at.Endpoint
	if where == "" {
		where = f.at.region()
	}
	hint := "the rest stands"
	if strings.HasPrefix(f.call, "CloudWatch ") {
		hint += "; try KXOPS_CLOUDWATCH_PROTOCOL=query or json"
	}
	return &ops.Problem{Fault: ops.FaultUnsupported, What: fmt.Sprintf("%s is not supported by %s", f.call, where), Hint: hint}
}

func (f failure) failedThere(code string) *ops.Problem {
	return &ops.Problem{Fault: ops.FaultService, What: fmt.Sprintf("%s failed on the side of AWS (%s)", f.call, code), Hint: "it is retried with the next look; see the AWS Health Dashboard if it lasts"}
}

// network explains a request that got no answer, and says what was tried.
func (f failure) network() *ops.Problem {
	var certificate *x509.UnknownAuthorityError
	var hostname *x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var dns *net.DNSError
	host := f.host()
	switch {
	case errors.As(f.err, &certificate) || errors.As(f.err, &unknown) || errors.As(f.err, &hostname):
		return &ops.Problem{Fault: ops.FaultUnreachable, What: "the certificate of " + host + " is not trusted", Hint: "if a proxy reads the traffic, set AWS_CA_BUNDLE to its certificate"}
	case strings.Contains(f.text, "HTTP response to HTTPS client"):
		return &ops.Problem{Fault: ops.FaultNotAWS, What: host + " speaks HTTP, not HTTPS", Hint: "write the endpoint with http://"}
	case strings.Contains(f.text, "malformed HTTP"):
		return &ops.Problem{Fault: ops.FaultNotAWS, What: host + " answers, but does not speak HTTP", Hint: "check the port of --endpoint-url and AWS_ENDPOINT_URL"}
	case errors.As(f.err, &dns) && dns.IsNotFound && f.at.Endpoint == "" && !knownRegion(f.at.Region):
		return &ops.Problem{
			Fault: ops.FaultRegion,
			What:  fmt.Sprintf("%s does not exist, and %q is no region kxops knows", dns.Name, f.at.Region),
			Hint:  "did you mean " + strings.Join(ops.Nearest(f.at.Region, regionNames(), 3), ", ") + "?",
		}
	case neverSent(f.err):
		return &ops.Problem{Fault: ops.FaultUnreachable, What: fmt.Sprintf("nothing answers at %s, tried for %s: %s", host, f.call, f.cause()), Hint: f.at.networkHint()}
	case isBroken(f.err):
		return &ops.Problem{Fault: ops.FaultUnreachable, What: fmt.Sprintf("the connection to %s broke during %s: %s", host, f.call, f.cause()), Hint: f.at.networkHint()}
	}
	return nil
}

func isBroken(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "connection reset") || strings.Contains(err.Error(), "server closed idle connection")
}

// cause is the network's own word: "connection refused", "no such host", "i/o timeout".
func (f failure) cause() string {
	var dns *net.DNSError
	if errors.As(f.err, &dns) {
		return dns.Err
	}
	var op *net.OpError
	if errors.As(f.err, &op) && op.Err != nil {
		var system syscall.Errno
		if errors.As(op.Err, &system) {
			return system.Error()
		}
		return op.Err.Error()
	}
	return "end of connection"
}

func (f failure) deadline() *ops.Problem {
	var slow interface{ Timeout() bool }
	if !errors.Is(f.err, context.DeadlineExceeded) && (!errors.As(f.err, &slow) || !slow.Timeout()) {
		return nil
	}
	return &ops.Problem{Fault: ops.FaultTimeout, What: fmt.Sprintf("%s got no answer from %s in time", f.call, f.host()), Hint: f.at.networkHint()}
}

// credentials explains any other failure of the credential chain.
func (f failure) credentials() *ops.Problem {
	if errors.Is(f.err, errNoCredentials) || strings.Contains(f.text, "get credentials:") || strings.Contains(f.text, "failed to refresh cached credentials") {
		return f.noCredentials()
	}
	return nil
}

func (f failure) noCredentials() *ops.Problem {
	p := &ops.Problem{Fault: ops.FaultNoCreds, What: "no usable AWS credentials for " + f.at.who()}
	switch {
	case strings.Contains(f.text, "credential_process") || strings.Contains(f.text, "credential process"):
		p.What, p.Hint = "the credential process of "+f.at.who()+" failed", "run it by hand; `aws configure list` names it"
	case f.at.loopback():
		p.Hint = "an emulator takes any: set AWS_ACCESS_KEY_ID=test and AWS_SECRET_ACCESS_KEY=test"
	default:
		p.Hint = "run `aws configure sso` or `aws login`, or choose a --profile; `kxops demo` needs none"
	}
	return p
}

func (f failure) server() *ops.Problem {
	if s := status(f.err); s >= 500 {
		return f.failedThere(fmt.Sprintf("HTTP %d", s))
	}
	return nil
}

// host is what was dialled: scheme and host of the URL, without path or query.
func (f failure) host() string {
	var u *url.Error
	if errors.As(f.err, &u) {
		if parsed, err := url.Parse(u.URL); err == nil {
			return parsed.Scheme + "://" + parsed.Host
		}
	}
	if f.at.Endpoint != "" {
		return f.at.Endpoint
	}
	return "AWS in " + f.at.region()
}

// innermost is the text of the last error of the chain: the SDK's prefixes say
// the operation again.
func (f failure) innermost() string {
	err := f.err
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// callName names the innermost operation: for a role that cannot be assumed, STS
// AssumeRole and not the call that wanted it.
func callName(err error) string {
	name := "the call"
	var operation *smithy.OperationError
	for e := err; errors.As(e, &operation); e = operation.Err {
		name = operation.Service() + " " + operation.Operation()
	}
	return name
}

func (at Place) who() string {
	if at.Profile != "" {
		return fmt.Sprintf("profile %q", at.Profile)
	}
	return "this session"
}

// command fills a profile option into the one %s of a hint.
func (at Place) command(format string) string {
	option := ""
	if at.Profile != "" {
		option = " --profile " + at.Profile
	}
	return fmt.Sprintf(format, option)
}

func (at Place) region() string {
	if at.Region == "" {
		return "this region"
	}
	return at.Region
}

func (at Place) networkHint() string {
	if at.Endpoint != "" {
		return "check that it runs, and --endpoint-url or AWS_ENDPOINT_URL"
	}
	return "check the network, the VPN and the proxy (HTTPS_PROXY)"
}

func (at Place) loopback() bool {
	u, err := url.Parse(at.Endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
