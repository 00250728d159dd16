package sandbox

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Function is what the code of a function knows about itself.
type Function struct {
	Name        string
	Environment map[string]string
	// Config makes SDK clients that call the sandbox from within. They work while
	// the function runs and must not be used by anybody else: such a call takes no
	// lock, because the world already stands still for the function.
	Config aws.Config
	Now    func() time.Time // the sandbox's time
	// Wait is how the code spends time: the invocation takes so much longer, while
	// the world's lock is not held any longer. Its error is that the function's
	// timeout is over: from then on, on AWS, no code would run.
	Wait func(context.Context, time.Duration) error
}

// insideKey marks the context of a call that comes from within the world: from a
// function or a template being deployed, while the lock is held.
type insideKey struct{}

func inside(ctx context.Context) bool { return ctx.Value(insideKey{}) != nil }

// insideConfig is for SDK clients used under the lock with the rights of a role. Nothing is tried again:
// a pause between attempts would stop the world.
func (r *Region) insideConfig(role string) aws.Config {
	return aws.Config{
		Region:                      r.Name,
		Credentials:                 credentials.NewStaticCredentialsProvider("AKIASANDBOX", "inside", ""),
		BaseEndpoint:                aws.String("http://" + inProcessHost),
		HTTPClient:                  &http.Client{Transport: fromInside{r.sb, role}},
		Retryer:                     func() aws.Retryer { return aws.NopRetryer{} },
		RequestMinCompressSizeBytes: 10240,
	}
}

// fromInside carries requests of the world to itself.
type fromInside struct {
	sb   *Sandbox
	role string // whose rights decide
}

func (t fromInside) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := context.WithValue(context.WithValue(req.Context(), insideKey{}, true), roleKey{}, t.role)
	return inProcess{t.sb}.RoundTrip(req.WithContext(ctx))
}
