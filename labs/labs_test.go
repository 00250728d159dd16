package labs_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"kxops/labs"
	"kxops/labs/functions"
	"kxops/labs/sandbox"
)

// world is a sandbox on a loopback port, as `kxops lab up` starts one, with the
// labs' functions in it.
func world(t *testing.T) labs.Place {
	t.Helper()
	sb, err := sandbox.New(sandbox.Options{Live: true, Brisk: true, Code: func(handler string, f sandbox.Function) sandbox.Handler {
		h, ok := functions.New(handler, functions.Place{Config: f.Config, Environment: f.Environment, Now: f.Now, Wait: f.Wait, Log: func(string) {}})
		if !ok {
			return nil
		}
		return sandbox.Handler(h)
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- sb.Serve(l) }()
	t.Cleanup(func() {
		_ = l.Close() // ends Serve
		if err := <-served; err != nil {
			t.Error(err)
		}
		sb.Close()
	})
	return labs.Place{Config: sandbox.ConfigFor("http://"+l.Addr().String(), sandbox.HomeRegion), Account: sandbox.Account, Region: sandbox.HomeRegion,
		Sandbox: true, Poll: 20 * time.Millisecond}
}

// up deploys a lab.
func up(t *testing.T, id string, p labs.Place, settings map[string]string) *labs.Stack {
	t.Helper()
	l, err := labs.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range []map[string]string{l.Settings, settings} {
		for k, v := range m {
			all[k] = v
		}
	}
	code, err := labs.Code([]byte("in process"))
	if err != nil {
		t.Fatal(err)
	}
	s := l.In(p)
	plan, err := s.Plan(t.Context(), code, all)
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	if _, err := plan.Apply(t.Context(), func(e labs.Event) { events = append(events, e.ID+" "+e.Status+" "+e.Reason) }); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(events, "\n"))
	}
	return s
}

// send sends traffic and returns the ledger.
func send(t *testing.T, s *labs.Stack, traffic labs.Traffic) []labs.Sent {
	t.Helper()
	var mu sync.Mutex
	var ledger []labs.Sent
	if err := s.Send(t.Context(), traffic, func(e labs.Sent) error {
		mu.Lock()
		defer mu.Unlock()
		ledger = append(ledger, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ledger
}

// settled checks until every event is accounted for.
func settled(t *testing.T, s *labs.Stack, ledger []labs.Sent, most time.Duration) labs.Balance {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		b, err := s.Check(ctx, ledger)
		if err != nil {
			t.Fatal(err)
		}
		if b.Whole() {
			return b
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("not accounted for: %d missing, %d dead, %d waiting, %v", len(b.Missing), b.Dead, b.Waiting, b.Partial)
		}
	}
}

// Ten thousand events through lab 2 with one percent that cannot be processed: what
// was delivered, dead-lettered and turned away is what was sent, by the count of the
// sender, who knows nothing of the pipeline.
func TestLab2AccountsForEveryEvent(t *testing.T) {
	t.Parallel()
	s := up(t, "lab2", world(t), map[string]string{"Shards": "8"})
	const sent = 10_000
	ledger := send(t, s, labs.Traffic{Count: sent, Bad: 0.01, Seed: 3})
	accepted, rejected, poison := map[string]bool{}, 0, 0
	for _, e := range ledger {
		switch {
		case e.Accepted():
			accepted[e.ID] = true
			if e.Bad {
				poison++
			}
		case e.Status == 400:
			rejected++
		default:
			t.Fatalf("event %s: HTTP %d %s", e.ID, e.Status, e.Why)
		}
	}
	b := settled(t, s, ledger, 2*time.Minute)
	if len(ledger) != sent || len(accepted)+rejected != sent || rejected == 0 || poison == 0 {
		t.Fatalf("sent %d: %d accepted, %d turned away, %d poison", len(ledger), len(accepted), rejected, poison)
	}
	if b.Processed+b.Dead+b.Errors+rejected != sent || b.Dead != poison || b.Processed != len(accepted)-poison {
		t.Errorf("processed %d + dead %d + errors %d + turned away %d is not the %d that were sent; %d were poison", b.Processed, b.Dead, b.Errors, rejected, sent, poison)
	}
}

func TestLab3AccountsForEveryEvent(t *testing.T) {
	t.Parallel()
	s := up(t, "lab3", world(t), nil)
	ledger := send(t, s, labs.Traffic{Count: 300, Bad: 0.03, Seed: 5})
	b := settled(t, s, ledger, 2*time.Minute)
	bad := 0
	for _, e := range ledger {
		if !e.Accepted() {
			t.Errorf("event %s: HTTP %d %s", e.ID, e.Status, e.Why)
		}
		if e.Bad {
			bad++
		}
	}
	if bad == 0 || b.Dead != bad || b.Processed != len(ledger)-bad {
		t.Errorf("%d sent, %d bad: %d processed, %d dead", len(ledger), bad, b.Processed, b.Dead)
	}
}

// Lab 1 is built call by call, is built again without harm, and leaves nothing.
func TestLab1ByHand(t *testing.T) {
	t.Parallel()
	p := world(t)
	build := func() (made, there int) {
		t.Helper()
		for _, step := range labs.ByHand(p).Steps([]byte("in process")) {
			if text, err := step.CLI(); err != nil || !strings.HasPrefix(text, "aws ") || step.Why == "" {
				t.Errorf("%s: %q, %v", step.Title, text, err)
			}
			switch err := step.Do(t.Context()); {
			case err == nil:
				made++
			case labs.There(err):
				there++
			default:
				t.Fatal(err)
			}
		}
		return made, there
	}
	build()
	l, err := labs.Find("lab1")
	if err != nil {
		t.Fatal(err)
	}
	s := l.In(p)
	ledger := send(t, s, labs.Traffic{Count: 200, Rate: 200, Seed: 1})
	if b := settled(t, s, ledger, time.Minute); b.Processed != 200 {
		t.Errorf("%d of 200 are in the store", b.Processed)
	}
	gone := 0
	if err := labs.ByHand(p).Down(t.Context(), func(string) { gone++ }); err != nil {
		t.Fatal(err)
	}
	if there, err := s.Deployed(t.Context()); there || err != nil || gone != 9 {
		t.Errorf("after it was taken down: there %v, %v; %d parts deleted", there, err, gone)
	}
	if made, there := build(); there != 0 {
		t.Errorf("built anew: %d made, %d were there", made, there)
	}
}

// Lab 4: a bad release gives accounts wrong balances; the table is taken back to
// before it, what came since is replayed, and the balances are what the archived
// events say, by a count that shares no rule with the function.
func TestLab4TheProjectionIsMadeRightByAReplay(t *testing.T) {
	t.Parallel()
	p := world(t)
	s := up(t, "lab4", p, nil)
	ledger := send(t, s, labs.Traffic{Count: 300, Bad: 0.02, Seed: 7})
	settled(t, s, ledger, time.Minute)
	agree := func() []labs.Wrong {
		t.Helper()
		n, wrong, err := s.Balances(t.Context())
		if err != nil || n < 30 {
			t.Fatalf("%d accounts, %v", n, err)
		}
		return wrong
	}
	if wrong := agree(); len(wrong) != 0 {
		t.Fatalf("before anything happened: %+v", wrong)
	}
	if err := s.Break(t.Context(), "bad-release", nil); err != nil {
		t.Fatal(err)
	}
	ledger = append(ledger, send(t, s, labs.Traffic{Count: 200, Seed: 8})...)
	settled(t, s, ledger, time.Minute)
	if wrong := agree(); len(wrong) < 10 {
		t.Errorf("the bad release made %d accounts wrong", len(wrong))
	}
	if err := s.Mend(t.Context(), "bad-release", nil); err != nil {
		t.Fatal(err)
	}
	if standing, err := s.Standing(t.Context()); err != nil || len(standing) != 0 {
		t.Errorf("standing: %v, %v", standing, err)
	}
	if len(agree()) < 10 {
		t.Error("the good release alone does not make wrong balances right")
	}
}
