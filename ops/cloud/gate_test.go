package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"kxops/ops"
)

// stub is an endpoint that counts requests and answers what it is told to.
type stub struct {
	*httptest.Server
	requests atomic.Int64
}

func newStub(t *testing.T, answer http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func jsonAnswer(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // the stub does not care what was asked
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amzn-RequestId", "request-1")
		w.WriteHeader(code)
		io.WriteString(w, body) //nolint:errcheck
	}
}

// open returns a door to the stub with test credentials.
func open(t *testing.T, endpoint string, level Level) *Cloud {
	t.Helper()
	c, err := Open(t.Context(), Options{Endpoint: endpoint, Access: level, Config: testConfig()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testConfig() *aws.Config {
	return &aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKID", "SECRET", "")}
}

func TestGateRefusesBeforeAByteLeaves(t *testing.T) {
	s := newStub(t, jsonAnswer(200, `{}`))
	calls := map[string]func(context.Context, *Cloud) error{
		"peek at look": func(ctx context.Context, c *Cloud) error {
			_, err := sqs.NewFromConfig(c.Config()).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(s.URL + "/1/q")})
			return err
		},
		"unlisted json": func(ctx context.Context, c *Cloud) error {
			_, err := kinesis.NewFromConfig(c.Config()).DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
			return err
		},
		"unlisted rest": func(ctx context.Context, c *Cloud) error {
			_, err := s3.NewFromConfig(c.Config()).DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("bucket")})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			c := open(t, s.URL, Look)
			var p *ops.Problem
			if err := call(t.Context(), c); !errors.As(err, &p) || p.Fault != ops.FaultRefused {
				t.Fatalf("err = %v, want a refusal", err)
			}
			if p.What == "" || p.Hint == "" {
				t.Errorf("a refusal needs a sentence and a hint: %+v", p)
			}
			if got := c.Calls(); len(got) != 1 || got[0].Outcome != "refused" || got[0].Attempts != 0 {
				t.Errorf("calls = %+v, want one refused", got)
			}
			if spend := c.Meter().Spend(); spend.Calls != 0 || spend.USD != 0 {
				t.Errorf("a refused call was billed: %+v", spend)
			}
		})
	}
	if n := s.requests.Load(); n != 0 {
		t.Errorf("%d requests reached the endpoint", n)
	}
}

func TestUnlistedOperationsAreRefusedAtEveryLevel(t *testing.T) {
	for _, level := range Levels {
		g := &gate{level: level}
		if err := g.allow("SQS", "DeleteQueue"); err == nil {
			t.Errorf("DeleteQueue is not listed but allowed at %s", level)
		}
		for _, o := range LabOperations {
			if err := g.allow(o.Service, o.Name); err == nil {
				t.Errorf("%s of %s is for labs, and allowed without being asked for at %s", o.Name, o.Service, level)
			}
			inLab := &gate{level: level, labs: true}
			if err := inLab.allow(o.Service, o.Name); (err == nil) != (o.Level <= level) {
				t.Errorf("in a lab, %s %s of level %s at %s: %v", o.Service, o.Name, o.Level, level, err)
			}
		}
		for _, o := range Operations {
			if err := g.allow(o.Service, o.Name); (err == nil) != (o.Level <= level) {
				t.Errorf("%s %s of level %s at %s: %v", o.Service, o.Name, o.Level, level, err)
			}
		}
	}
}

func TestCallsAreRecorded(t *testing.T) {
	s := newStub(t, jsonAnswer(200, `{"Messages":[]}`))
	c := open(t, s.URL, Peek)
	_, err := sqs.NewFromConfig(c.Config()).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		// A QueueUrl with another host: the configured endpoint is what must be dialled.
		QueueUrl: aws.String("https://sqs.eu-west-1.amazonaws.com/123456789012/q"),
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := c.Calls()
	if len(calls) != 1 {
		t.Fatalf("calls = %+v", calls)
	}
	got := calls[0]
	if got.Service != "SQS" || got.Operation != "ReceiveMessage" || got.Outcome != "ok" || got.RequestID != "request-1" ||
		got.Attempts != 1 || got.Took <= 0 || got.Start.IsZero() || got.USD != ops.PricePerQueueCall {
		t.Errorf("call = %+v", got)
	}
}

func TestRetriesAreCountedButFailuresAreNotBilled(t *testing.T) {
	var n atomic.Int64
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			jsonAnswer(400, `{"__type":"ThrottlingException","message":"slow down"}`)(w, r)
			return
		}
		jsonAnswer(200, `{}`)(w, r)
	})
	c := open(t, s.URL, Look)
	if _, err := sqs.NewFromConfig(c.Config()).ListQueues(t.Context(), &sqs.ListQueuesInput{}); err != nil {
		t.Fatal(err)
	}
	if spend := c.Meter().Spend(); spend.Calls != 2 || spend.USD != ops.PricePerQueueCall {
		t.Errorf("spend = %+v, want two calls and one price", spend)
	}
}

func TestCallLogKeepsTheLast(t *testing.T) {
	l := newCallLog(3)
	for _, name := range []string{"a", "b", "c", "d"} {
		l.add(Call{Operation: name})
	}
	var names []string
	for _, c := range l.list() {
		names = append(names, c.Operation)
	}
	if got := strings.Join(names, ""); got != "bcd" {
		t.Errorf("kept %q, want bcd", got)
	}
}

func TestPolicyNamesEveryActionOnceAndNoHigherOne(t *testing.T) {
	for _, level := range Levels {
		text, err := Policy(level, "123456789012")
		if err != nil {
			t.Fatal(err)
		}
		var policy struct {
			Statement []struct {
				Sid    string
				Action []string
			}
		}
		if err := json.Unmarshal(text, &policy); err != nil {
			t.Fatal(err)
		}
		got, sids := map[string]int{}, map[string]bool{}
		for _, s := range policy.Statement {
			if sids[s.Sid] {
				t.Errorf("%s: the Sid %s stands twice, which IAM refuses", level, s.Sid)
			}
			sids[s.Sid] = true
			for _, a := range s.Action {
				got[a]++
			}
		}
		want := map[string]int{}
		for _, o := range slices.Concat(Operations, Borrowed) {
			if o.Level <= level && o.Action != "" {
				want[o.Action] = 1
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d actions, want %d", level, len(got), len(want))
		}
		for a, n := range got {
			if n != want[a] {
				t.Errorf("%s: %s stands %d times, want %d", level, a, n, want[a])
			}
		}
		if strings.Contains(string(text), "ACCOUNT") {
			t.Errorf("%s: the account was not filled in", level)
		}
	}
	if _, err := Policy(Look, "prod"); err == nil {
		t.Error("an account that is no account was accepted")
	}
}
