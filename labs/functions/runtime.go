package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
)

// This file makes the program a custom runtime of Lambda: it asks for an event,
// runs the handler, answers, and asks again (Lambda developer guide, custom
// runtimes and runtime API).

// runtimeVariable is set by Lambda, and by nobody else.
const runtimeVariable = "AWS_LAMBDA_RUNTIME_API"

// InLambda reports whether this process is a Lambda function.
func InLambda() bool { return os.Getenv(runtimeVariable) != "" }

// Serve answers invocations until ctx ends or the runtime API is gone. Which
// function it is, is the Handler setting, in the variable _HANDLER.
func Serve(ctx context.Context) error {
	api := &runtimeAPI{base: "http://" + os.Getenv(runtimeVariable) + "/2018-06-01/runtime/"}
	h, err := start(ctx, os.Getenv("_HANDLER"))
	if err != nil {
		// Lambda shows this in the log and starts the environment again.
		return errors.Join(err, api.post(ctx, "init/error", failure(err)))
	}
	for {
		if err := api.serveOne(ctx, h); err != nil {
			return err
		}
	}
}

func start(ctx context.Context, name string) (Handler, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	env := map[string]string{}
	for _, v := range os.Environ() {
		k, value, _ := strings.Cut(v, "=")
		env[k] = value
	}
	h, ok := New(name, Place{Config: cfg, Environment: env, Now: time.Now, Wait: sleep, Log: func(line string) { fmt.Fprintln(os.Stderr, line) }})
	if !ok {
		return nil, fmt.Errorf("there is no function %q: there are %s", name, strings.Join(Names(), ", "))
	}
	return h, nil
}

// runtimeAPI is Lambda's side.
type runtimeAPI struct {
	base   string
	client http.Client // without a timeout: the next event may take hours to come
}

// serveOne takes one event and answers it. An error is one of the runtime API, not
// of the handler: that one is the answer.
func (a *runtimeAPI) serveOne(ctx context.Context, h Handler) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"invocation/next", nil)
	if err != nil {
		return err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask for the next event: %w", err)
	}
	event, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("read the next event: %w", err)
	}
	id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	if resp.StatusCode != http.StatusOK || id == "" {
		return fmt.Errorf("the runtime API answered %s", resp.Status)
	}
	answer, err := invoke(ctx, h, event, resp.Header.Get("Lambda-Runtime-Deadline-Ms"))
	if err != nil {
		return a.post(ctx, "invocation/"+id+"/error", failure(err))
	}
	return a.post(ctx, "invocation/"+id+"/response", answer)
}

// sleep waits for d, or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// invoke runs the handler until the deadline. A panic is this invocation's error:
// the environment, and what it keeps warm, goes on.
func invoke(ctx context.Context, h Handler, event []byte, deadline string) (answer []byte, err error) {
	if ms, perr := strconv.ParseInt(deadline, 10, 64); perr == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, time.UnixMilli(ms))
		defer cancel()
	}
	defer func() {
		if p := recover(); p != nil {
			answer, err = nil, fmt.Errorf("the code panicked: %v", p)
		}
	}()
	answer, err = h(ctx, event)
	if err == nil && len(answer) == 0 {
		answer = []byte("null")
	}
	return answer, err
}

// failure is an error as Lambda takes it.
func failure(err error) []byte {
	text, merr := json.Marshal(map[string]string{"errorMessage": err.Error(), "errorType": "Error"})
	if merr != nil { // two strings: it does not fail
		return []byte(`{"errorType":"Error"}`)
	}
	return text
}

func (a *runtimeAPI) post(ctx context.Context, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("answer: the runtime API says %s", resp.Status)
	}
	return nil
}
