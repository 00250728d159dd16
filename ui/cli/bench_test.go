//go:build !windows

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kxops/labs/sandbox"
	"kxops/ui/shot/terminal"
)

// These measure the real binary as a person meets it: process start, first paint,
// keys, memory. BENCHMARKS.md has the results and how to repeat them:
//
//	go test ./ui/cli -run '^$' -bench . -benchtime 20x

// BenchmarkVersion is a whole process. Limit: 50 ms.
func BenchmarkVersion(b *testing.B) {
	path := built(b)
	for b.Loop() {
		if err := exec.Command(path, "version").Run(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/start")
}

// BenchmarkFirstPaint is from the start of the process to the console's header,
// against an endpoint that accepts and never answers. Limit: 150 ms.
func BenchmarkFirstPaint(b *testing.B) {
	endpoint := deadEndpoint(b)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		j := startConsole(b, 200, 60, endpoint)
		j.sees("kxops", "eu-west-1")
		took = append(took, time.Since(began))
		b.StopTimer()
		j.types("q")
		if err := j.End(patience); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	report(b, took)
}

// BenchmarkKeyToPaint is from a key to the moved cursor, while a refresh of the
// whole account is under way. Limit: p99 60 ms.
func BenchmarkKeyToPaint(b *testing.B) {
	endpoint := busyEndpoint(b, benchScenario(), 20*time.Millisecond)
	j := startConsole(b, 200, 60, endpoint)
	j.looked()
	var took []time.Duration
	before := j.Written()
	for i := 0; b.Loop(); i++ {
		key := "j"
		if i/8%2 == 1 {
			key = "k"
		}
		if i%8 == 0 {
			j.types("r")
		}
		from := cursorRow(j.Text())
		began := time.Now()
		j.types(key)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := j.Wait(ctx, func(screen string) bool { return cursorRow(screen) != from })
		cancel()
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	report(b, took)
	b.ReportMetric(float64(j.Written()-before)/float64(b.N), "bytes/key")
}

// BenchmarkUpdateBytes is what one refresh of the whole account sends to a
// terminal of 200x60. Limit: 8 kB.
func BenchmarkUpdateBytes(b *testing.B) {
	j := startConsole(b, 200, 60, busyEndpoint(b, benchScenario(), 0))
	j.looked()
	before := j.Written()
	for b.Loop() {
		j.types("r")
		j.sees("reading…")
		j.sees("refresh ")
	}
	b.ReportMetric(float64(j.Written()-before)/float64(b.N), "bytes/update")
}

// BenchmarkIdle is memory and processor time of a console that nobody touches,
// over five seconds. Limits: 100 MB at scale, 2 % of a core. Linux only: it reads /proc.
func BenchmarkIdle(b *testing.B) {
	j := startConsole(b, 200, 60, busyEndpoint(b, benchScenario(), 0))
	j.looked()
	pid := j.program()
	if pid == 0 {
		b.Skip("no /proc here")
	}
	const watch = 5 * time.Second
	cpu := 0.0
	for b.Loop() {
		from := cpuSeconds(b, pid)
		time.Sleep(watch) // the time is what is measured
		cpu += cpuSeconds(b, pid) - from
	}
	b.ReportMetric(100*cpu/(watch.Seconds()*float64(b.N)), "%cpu")
	b.ReportMetric(residentMB(b, pid), "MB-RSS")
}

// BenchmarkBinary is the size of the stripped program. Limit: 30 MB.
func BenchmarkBinary(b *testing.B) {
	path := filepath.Join(b.TempDir(), "kxops")
	for b.Loop() {
		if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "kxops").CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB")
}

func built(b *testing.B) string {
	b.Helper()
	path, err := builtKxops()
	if err != nil {
		b.Fatal(err)
	}
	return path
}

func startConsole(b *testing.B, cols, rows int, endpoint string) *journey {
	return start(b, terminal.Options{Cols: cols, Rows: rows}, []string{
		"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y", "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=" + endpoint,
	})
}

// deadEndpoint accepts and never answers.
func deadEndpoint(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				break
			}
			if err == nil {
				open = append(open, c)
			}
		}
		for _, c := range open {
			c.Close()
		}
	}()
	tb.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// benchScenario is the scenario of the benchmarks that need traffic.
func benchScenario() string {
	if slices.Contains(scenarioNames(), "scale") {
		return "scale"
	}
	return defaultScenario
}

// busyEndpoint is a scenario on a socket, each call slowed by latency.
func busyEndpoint(b *testing.B, scenario string, latency time.Duration) string {
	b.Helper()
	sb, err := startSandbox(scenario, 1, false, time.Time{}, io.Discard, nil)
	if err != nil {
		b.Fatal(err)
	}
	if latency > 0 {
		sb.SetFaults(sandbox.Fault{Kind: sandbox.Slow, Latency: latency})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- sb.Serve(l) }()
	b.Cleanup(func() {
		l.Close()
		if err := <-served; err != nil {
			b.Errorf("sandbox: %v", err)
		}
		sb.Close()
	})
	return "http://" + l.Addr().String()
}

// looked waits until the first look is over: nothing is being read any more.
func (j *journey) looked() {
	j.Helper()
	j.sees("1 of ", "refresh ", "page")
}

// cursorRow is the row that the cursor sign stands in, -1 for none.
func cursorRow(screen string) int {
	for i, line := range strings.Split(screen, "\n") {
		if strings.HasPrefix(line, ">") {
			return i
		}
	}
	return -1
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	ms := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(ms(0.50), "ms-p50")
	b.ReportMetric(ms(0.99), "ms-p99")
}

func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system float64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	const ticks = 100 // USER_HZ, the same on every Linux that Go runs on
	return (user + system) / ticks
}

func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kb float64
			if _, err := fmt.Sscan(rest, &kb); err != nil {
				b.Fatal(err)
			}
			return kb / 1000
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
