package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	diff "github.com/google/go-cmp/cmp"

	"kxops/labs"
	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/cloud"
	"kxops/ops/survey"
)

// templated are the labs that a template makes.
var templated = []string{"lab2", "lab3", "lab4"}

// The same pipeline is found whoever deployed the template: the golden of a lab is what
// `kxops status` says of the sandbox, and what third-party emulators deploy from the same
// template must look alike. Refresh with KXOPS_UPDATE=1.
func TestEachLabIsFoundAsOnePipeline(t *testing.T) {
	for _, id := range templated {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			sb, err := sandbox.New(sandbox.Options{Live: true, Brisk: true, Code: labCode(io.Discard)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(sb.Close)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = sb.Serve(l) }() // ends with the listener
			t.Cleanup(func() { _ = l.Close() })
			got := foundOf(t, id, sandbox.ConfigFor("http://"+l.Addr().String(), sandbox.HomeRegion), true)
			golden := filepath.Join("testdata", "topology", id+".txt")
			if os.Getenv("KXOPS_UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff.Diff(string(want), got); d != "" {
				t.Error(d)
			}
		})
	}
}

// elsewhereLacks says why an emulator does not show a line of a golden, "" where it has
// to. A line that is there nevertheless fails the test.
var elsewhereLacks = map[string]func(line string) (why string){
	"ministack": func(line string) string {
		if strings.Contains(line, "-archive") {
			return "its templates keep the number parameter BufferSeconds as text, and no SDK reads a delivery stream whose IntervalInSeconds is text"
		}
		return ""
	},
}

func TestEachLabIsFoundElsewhere(t *testing.T) {
	tried := 0
	for _, pair := range strings.FieldsFunc(os.Getenv("KXOPS_CONFORMANCE"), func(r rune) bool { return r == ',' || r == ' ' }) {
		name, endpoint, _ := strings.Cut(pair, "=")
		if _, ok := elsewhereLacks[name]; !ok { // moto's templates know no HTTP APIs, the others know no templates
			continue
		}
		tried++
		for _, id := range templated {
			t.Run(name+"/"+id, func(t *testing.T) {
				want, err := os.ReadFile(filepath.Join("testdata", "topology", id+".txt"))
				if err != nil {
					t.Fatal(err)
				}
				var expected []string
				got := foundOf(t, id, sandbox.ConfigFor(endpoint, sandbox.HomeRegion), false)
				for line := range strings.Lines(string(want)) {
					if why := elsewhereLacks[name](line); why != "" {
						t.Logf("%s lacks %s: %s", name, strings.TrimSpace(line), why)
						continue
					}
					expected = append(expected, line)
				}
				if d := diff.Diff(strings.Join(expected, ""), got); d != "" {
					t.Error(d)
				}
			})
		}
	}
	if tried == 0 {
		t.Skip("KXOPS_CONFORMANCE names no emulator that deploys templates")
	}
}

// foundOf deploys a lab and returns what `kxops status -o json` says of it: a line for
// each resource with its kind and one for each arrow, without region and account.
func foundOf(t *testing.T, id string, cfg aws.Config, ours bool) string {
	t.Helper()
	l, err := labs.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	door, err := cloud.Open(t.Context(), cloud.Options{Region: cfg.Region, Access: cloud.Change, Labs: true, NoQuotas: true, Config: &cfg, Meter: cloud.NewMeter()})
	if err != nil {
		t.Fatal(err)
	}
	who, err := door.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	code, err := labs.Code([]byte("in process"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stack := l.In(labs.Place{Config: door.Config(), Account: who.Account, Region: cfg.Region, Sandbox: true, Poll: 50 * time.Millisecond})
	plan, err := stack.Plan(ctx, code, l.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Apply(ctx, func(labs.Event) {}); err != nil {
		t.Fatal(err)
	}
	if !ours { // an emulator is shared by the labs
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			buckets, err := stack.Buckets(ctx)
			if err == nil {
				err = stack.Down(ctx, buckets, func(labs.Event) {})
			}
			if err != nil {
				t.Errorf("take %s down: %v", id, err)
			}
		})
	}

	var stdout, stderr bytes.Buffer
	s := &session{Streams: Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, meter: cloud.NewMeter()}
	s.enter = func(context.Context, string) (*account, error) {
		return &account{cloud: door, survey: survey.New(door, survey.Options{NoCache: true, Now: time.Now}), clock: time.Now}, nil
	}
	root := s.root()
	root.SetArgs([]string{"--config", filepath.Join(t.TempDir(), "none.toml"), "status", "-o", "json"})
	_ = s.tell(root.ExecuteContext(ctx)) // its code says what is wrong with the lab, not with the look
	var got statusReport
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	lines, names := map[string]bool{}, map[ops.ARN]string{}
	for _, r := range got.Resources {
		names[r.ARN] = r.Name
		if strings.HasPrefix(r.Name, "kxops-"+id) {
			lines[fmt.Sprintf("%s %s\n", r.Kind, r.Name)] = true
		}
	}
	name := func(a ops.ARN) string {
		return a.Service() + " " + strings.ReplaceAll(cmp.Or(names[a], a.Name()), "-"+who.Account+"-"+sandbox.HomeRegion, "-*")
	}
	for _, l := range got.Links {
		if line := fmt.Sprintf("%s --%s--> %s\n", name(l.From), l.Kind, name(l.To)); strings.Contains(line, "kxops-"+id) {
			lines[line] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(lines)), "")
}
