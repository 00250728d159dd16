package functions

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// lambdaSide is the runtime API as Lambda offers it: it hands out events and keeps
// the answers; when the events are at an end it hangs up.
type lambdaSide struct {
	events  []string
	answers []string // path and body
	end     context.CancelFunc
}

func (l *lambdaSide) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := strings.TrimPrefix(req.URL.Path, "/2018-06-01/runtime/")
	if path != "invocation/next" {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		l.answers = append(l.answers, path+" "+string(body))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if len(l.events) == 0 {
		l.end()
		<-req.Context().Done()
		return
	}
	w.Header().Set("Lambda-Runtime-Aws-Request-Id", string(rune('a'+len(l.answers))))
	w.Header().Set("Lambda-Runtime-Deadline-Ms", "99999999999999")
	_, _ = io.WriteString(w, l.events[0])
	l.events = l.events[1:]
}

func (l *lambdaSide) serve(t *testing.T, handler string) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l.end = cancel
	server := httptest.NewServer(l)
	defer server.Close()
	t.Setenv(runtimeVariable, strings.TrimPrefix(server.URL, "http://"))
	t.Setenv("_HANDLER", handler)
	t.Setenv("AWS_REGION", "eu-west-1")
	return Serve(ctx)
}

func TestThisProgramIsALambdaRuntime(t *testing.T) {
	good := `{"records":[{"recordId":"1","data":"eyJpZCI6ImEiLCJ0eXBlIjoiY2xpY2siLCJjdXN0b21lciI6ImMiLCJhdCI6IjIwMjYtMDEtMDFUMDA6MDA6MDBaIn0="},{"recordId":"2","data":"bm90IEpTT04="}]}`
	l := &lambdaSide{events: []string{good, "not JSON", good}}
	if err := l.serve(t, "transform"); err == nil || !strings.Contains(err.Error(), "next event") {
		t.Errorf("it ended with %v", err)
	}
	if len(l.answers) != 3 || !strings.HasPrefix(l.answers[0], "invocation/a/response ") || !strings.HasPrefix(l.answers[1], "invocation/b/error ") ||
		!strings.HasPrefix(l.answers[2], "invocation/c/response ") { // an error is one invocation's
		t.Fatalf("answers: %q", l.answers)
	}
	var out struct{ Records []transformed }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(l.answers[0], "invocation/a/response ")), &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Records) != 2 || out.Records[0].Result != "Ok" || out.Records[1].Result != "ProcessingFailed" || out.Records[1].ID != "2" {
		t.Errorf("records: %+v", out.Records)
	}
}

func TestAFunctionThatCannotStartSaysWhy(t *testing.T) {
	l := &lambdaSide{}
	err := l.serve(t, "nobody")
	if err == nil || !strings.Contains(err.Error(), `no function "nobody"`) || len(l.answers) != 1 || !strings.HasPrefix(l.answers[0], "init/error ") {
		t.Errorf("error %v, answers %q", err, l.answers)
	}
	l = &lambdaSide{events: []string{"{}"}} // a missing variable: each invocation says it
	if err := l.serve(t, "ingest"); err == nil || len(l.answers) != 1 || !strings.Contains(l.answers[0], "no variable STREAM_NAME") {
		t.Errorf("error %v, answers %q", err, l.answers)
	}
}

func TestAPanicIsAnError(t *testing.T) {
	_, err := invoke(t.Context(), func(context.Context, []byte) ([]byte, error) { panic("oops") }, nil, "")
	if err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("got %v", err)
	}
}
