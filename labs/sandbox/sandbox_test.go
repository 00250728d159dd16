package sandbox

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithy "github.com/aws/smithy-go"
)

// empty returns a sandbox with nothing in it, at a fixed time.
func empty(t *testing.T) *Sandbox {
	t.Helper()
	sb, err := New(Options{Start: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	return sb
}

func TestSTSInProcess(t *testing.T) {
	out, err := sts.NewFromConfig(empty(t).Config()).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.Account) != Account {
		t.Errorf("account %q, want %q", aws.ToString(out.Account), Account)
	}
}

func TestSTSOverASocket(t *testing.T) {
	sb := empty(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- sb.Serve(l) }()
	cfg := sb.Config()
	cfg.HTTPClient = nil
	cfg.BaseEndpoint = aws.String("http://" + l.Addr().String())
	if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
	req, err := http.NewRequest("POST", "http://"+l.Addr().String()+"/", strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign Host got %s", resp.Status)
	}
	l.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		want  string // error code, or a part of the error
	}{
		{Fault{Kind: Throttle, Service: "sts"}, "Throttling"},
		{Fault{Kind: ServerError}, "InternalFailure"},
		{Fault{Kind: Expired, Operation: "GetCallerIdentity"}, "ExpiredTokenException"},
		{Fault{Kind: DeniedAction}, "AccessDenied"},
		{Fault{Kind: ClockSkew}, "RequestTimeTooSkewed"},
		{Fault{Kind: ResetBefore}, "connection reset"},
		{Fault{Kind: ResetAfter}, "connection reset"},
		{Fault{Kind: Throttle, Service: "sqs"}, ""},
	} {
		sb := empty(t)
		sb.SetFaults(c.fault)
		client := sts.NewFromConfig(sb.Config(), func(o *sts.Options) { o.RetryMaxAttempts = 1 })
		_, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		var api smithy.APIError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.fault.Kind, err)
		case c.want != "" && err == nil:
			t.Errorf("%s: no error", c.fault.Kind)
		case c.want != "" && !(errors.As(err, &api) && api.ErrorCode() == c.want) && !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want %s", c.fault.Kind, err, c.want)
		}
		billed := sb.Bill().Calls["sts.GetCallerIdentity"]
		if took := c.fault.Kind == ResetAfter || c.want == ""; (billed == 1) != took {
			t.Errorf("%s: %d calls billed, took effect: %v", c.fault.Kind, billed, took)
		}
	}
}

func TestUnknownOperationIsNamed(t *testing.T) {
	sb := empty(t)
	_, err := sts.NewFromConfig(sb.Config()).GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err == nil || !strings.Contains(err.Error(), "GetSessionToken") {
		t.Errorf("got %v", err)
	}
}

func TestClockRunsEventsInOrder(t *testing.T) {
	sb := empty(t)
	start := sb.Now()
	var got []string
	sb.do(func() {
		sb.after(2*time.Second, func() { got = append(got, "b "+sb.now().Sub(start).String()) })
		sb.after(time.Second, func() {
			got = append(got, "a "+sb.now().Sub(start).String())
			sb.after(500*time.Millisecond, func() { got = append(got, "c "+sb.now().Sub(start).String()) })
		})
	})
	sb.Advance(time.Minute)
	if want := "a 1s,c 1.5s,b 2s"; strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if d := sb.Now().Sub(start); d != time.Minute {
		t.Errorf("clock moved %s", d)
	}
}

func TestWaitEndsAtTheDeadlineOrWhenDone(t *testing.T) {
	sb := empty(t)
	ready, finished := false, make(chan bool, 1)
	go sb.do(func() {
		sb.wait(context.Background(), sb.now().Add(20*time.Second), func() bool { return ready })
		finished <- ready
	})
	for waiting := false; !waiting; {
		sb.mu.Lock()
		waiting = sb.waiters > 0
		sb.mu.Unlock()
	}
	sb.do(func() { ready = true })
	if !<-finished {
		t.Error("wait ended before its condition held")
	}
}

func TestAPanicInTheWorldIsToldAndDoesNotLockIt(t *testing.T) {
	told := make(chan error, 1)
	sb, err := New(Options{Live: true, Failed: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	sb.do(func() { sb.after(0, func() { panic("a bug") }) })
	if err := <-told; !strings.Contains(err.Error(), "a bug") {
		t.Errorf("told %v", err)
	}
	sb.do(func() {}) // the lock is free
	sb.Close()
}
