package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrg/xdg"

	"kxops/labs/sandbox"
)

// openSandbox is the sandbox that runs, as a file tells other commands of it. The
// token opens its admin path, so the file is for its owner only.
type openSandbox struct {
	Endpoint string `json:"endpoint"`
	Token    string `json:"token"`
	Process  int    `json:"process"`
}

func sandboxRecord() string { return filepath.Join(xdg.StateHome, "kxops", "sandbox.json") }

// recordSandbox tells other commands where a sandbox listens. The newest one is
// the one that is found; leave takes the record away if it still is.
func recordSandbox(sb *sandbox.Sandbox, l net.Listener) (leave func() error, err error) {
	mine := openSandbox{"http://" + l.Addr().String(), sb.Token(), os.Getpid()}
	text, err := json.Marshal(mine)
	if err != nil {
		return nil, err
	}
	path := sandboxRecord()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("note where the sandbox is: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("note where the sandbox is: %w", err)
	}
	return func() error {
		if now, err := readSandboxRecord(); err != nil || now != mine {
			return err
		}
		return os.Remove(path)
	}, nil
}

// readSandboxRecord is the zero value when there is none.
func readSandboxRecord() (openSandbox, error) {
	var out openSandbox
	text, err := os.ReadFile(sandboxRecord())
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("read where the sandbox is: %w", err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("%s cannot be read: %w; remove it and start the sandbox again", sandboxRecord(), err)
	}
	return out, nil
}

// isSandbox reports whether an endpoint is that of the sandbox that runs. A record that
// cannot be read says nothing: whoever needs the sandbox itself is told of it.
func isSandbox(endpoint string) bool {
	known, err := readSandboxRecord()
	return err == nil && endpoint != "" && strings.TrimSuffix(endpoint, "/") == known.Endpoint
}

// runningSandbox finds the sandbox that runs: ok is false when none answers, also
// when one left its record behind.
func runningSandbox(ctx context.Context) (openSandbox, bool, error) {
	known, err := readSandboxRecord()
	if err != nil || known.Endpoint == "" {
		return known, false, err
	}
	_, err = askSandbox(ctx, known, "faults")
	return known, err == nil, nil
}

// askSandbox asks the admin path of a sandbox.
func askSandbox(ctx context.Context, at openSandbox, what string) ([]sandbox.Fault, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Endpoint+"/_kxops/"+what, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+at.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", at.Endpoint, resp.Status)
	}
	var out []sandbox.Fault
	return out, json.NewDecoder(resp.Body).Decode(&out)
}
