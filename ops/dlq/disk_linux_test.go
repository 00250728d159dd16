package dlq

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"kxops/ops"
)

// The kernel itself refuses to let the record grow beyond a size: what a full disk
// does, at each place of the record. Nothing may be sent afterwards, and what was sent
// and could not be written down is named.
//
// The limit holds for a whole process, so the test runs in one of its own.
func TestAFullDiskStopsBeforeTheNextSend(t *testing.T) {
	if os.Getenv(fullDiskVar) == "" {
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), fullDiskVar+"=1")
		if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	whole := int64(0)
	full := func(limit int64) (stopped bool) {
		s := newRedrive(t, 30, false, func(a *ops.Ask) { a.Pace = ops.Pace{Workers: 1} })
		before := sendsOf(s)
		restore := limitFiles(t, limit)
		o, err := s.desk.Start(t.Context(), s.plan)
		var r ops.Result
		if err == nil {
			r = o.Wait()
		}
		restore()
		if limit == unlimited {
			info, statErr := os.Stat(s.desk.o.Journal.Directory() + "/operations/" + s.plan.ID + ".jsonl")
			if err != nil || statErr != nil || r.State != ops.Finished {
				t.Fatalf("%v, %v, %+v", err, statErr, r)
			}
			whole = info.Size()
			return false
		}
		if err != nil { // it did not even begin
			if n := sendsOf(s) - before; n > 0 {
				t.Errorf("limit %d: not begun, and %d requests sent something", limit, n)
			}
		} else if r.State != ops.Finished && r.Problem == nil {
			t.Errorf("limit %d: %+v", limit, r)
		}
		// One worker: at most one batch can have been sent whose answer could not be written down.
		if n := len(r.UnknownIDs); n > ops.MaxBatchEntries {
			t.Errorf("limit %d: %d are unknown", limit, n)
		}
		if err == nil && sendsOf(s)-before > (r.Sent+ops.MaxBatchEntries-1)/ops.MaxBatchEntries+1 {
			t.Errorf("limit %d: %d sends, %d recorded as sent", limit, sendsOf(s)-before, r.Sent)
		}
		s.accounted(30, r)
		return true
	}
	full(unlimited)
	stopped := 0
	for part := range int64(20) {
		if full(whole * part / 20) {
			stopped++
		}
	}
	if stopped < 20 {
		t.Errorf("only %d of 20 limits stopped it", stopped)
	}
}

const (
	unlimited   = int64(-1)
	fullDiskVar = "KXOPS_TEST_FULL_DISK"
)

func sendsOf(s *redrived) int { return s.Bill().Calls["sqs.SendMessageBatch"] }

// limitFiles bounds the size of every file that this process writes.
func limitFiles(t *testing.T, most int64) (restore func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if most == unlimited {
		return func() {}
	}
	now := was
	now.Cur = uint64(most)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	}
}
