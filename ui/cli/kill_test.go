package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/labs/sandbox"
)

const (
	killRunsDefault = 3
	killsAtOnce     = 8 // runs side by side: each waits for long polls most of the time
	killsMost       = 4 // of one operation; then it is let finish
	processPatience = 3 * time.Minute

	killGroups   = 4
	killPerGroup = 10
	killDecoys   = 10

	// leaseOut is by how much the sandbox's clock jumps after a kill, instead of
	// waiting for it: no lease is that long.
	leaseOut = 20 * time.Second
)

// TestKill is the promise of the README, with real processes: kxops is killed with
// SIGKILL at random instants of a redrive and of every resume, and then every
// message is counted. Nothing is lost; nothing is there twice without being listed
// as unknown, in a FIFO queue nothing at all; nothing outside the selection was
// touched; within a FIFO group the order is as it was.
//
// KXOPS_KILL_RUNS sets the number of runs; a failed one names its seed, and
// KXOPS_KILL_SEED repeats from there.
func TestKill(t *testing.T) {
	runs, seed := setting(t, "KXOPS_KILL_RUNS", killRunsDefault), setting(t, "KXOPS_KILL_SEED", int(time.Now().UnixNano()%1e9))
	var total killTally
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(killsAtOnce, runs) {
		workers.Go(func() {
			for i := range next {
				if err := killOnce(t.Context(), t.TempDir(), seed+i, i%2 == 1, &total); err != nil {
					t.Errorf("KXOPS_KILL_SEED=%d (fifo %v): %v", seed+i, i%2 == 1, err)
				}
			}
		})
	}
	for i := range runs {
		next <- i
	}
	close(next)
	workers.Wait()
	t.Logf("%d runs, %d kills, %d messages redriven, %d listed as unknown", runs, total.kills.Load(), total.moved.Load(), total.unknown.Load())
	if runs >= 10 && total.kills.Load() < int64(runs) {
		t.Errorf("only %d kills in %d runs: this tests nothing", total.kills.Load(), runs)
	}
}

func setting(t *testing.T, name string, fallback int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q must be a number above 0", name, v)
	}
	return n
}

type killTally struct{ kills, moved, unknown atomic.Int64 }

// killRun is one queue, one operation, and the independent ledger of both: the
// sandbox's memory, read through a client of our own.
type killRun struct {
	ctx    context.Context
	dir    string
	fifo   bool
	chance *rand.Rand
	sb     *sandbox.Sandbox
	clock  sync.Mutex // steps one at a time
	pair   *deadPair
	door   *killDoor
	env    []string
	picked map[string]string // token -> message id, of what is to be redriven
	decoys map[string]string
	kills  int
	unseen bool     // the plan said that it does not have all that was asked for
	said   []string // what each process said at its end, for the report of a failure
}

// killOnce runs one operation to its end through kills, and counts.
func killOnce(ctx context.Context, dir string, seed int, fifo bool, total *killTally) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r := &killRun{ctx: ctx, dir: dir, fifo: fifo, chance: rand.New(rand.NewPCG(uint64(seed), 1)), picked: map[string]string{}, decoys: map[string]string{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, strings.Join(r.said, "\n"))
		}
	}()
	stop, err := r.open()
	if err != nil {
		return err
	}
	defer stop()
	id, err := r.operate()
	if err != nil {
		return err
	}
	unknown, err := r.unknownIDs(id)
	if err != nil {
		return err
	}
	if err := r.finish(len(unknown) > 0); err != nil {
		return err
	}
	total.kills.Add(int64(r.kills))
	total.unknown.Add(int64(len(unknown)))
	total.moved.Add(int64(len(r.picked)))
	return r.audit(unknown)
}

// open makes the sandbox, its clock, its door and the queues.
func (r *killRun) open() (stop func(), err error) {
	if r.sb, err = sandbox.New(sandbox.Options{Start: time.Now()}); err != nil {
		return nil, err
	}
	name := "orders"
	if r.fifo {
		name += ".fifo"
	}
	if r.pair, err = newDeadQueue(r.ctx, sqs.NewFromConfig(r.sb.Config()), name); err != nil {
		return nil, err
	}
	for g := range killGroups {
		if err := r.fill(r.picked, fmt.Sprintf("pick%d", g), killPerGroup); err != nil {
			return nil, err
		}
	}
	if err := r.fill(r.decoys, "keep", killDecoys); err != nil {
		return nil, err
	}
	unserve := r.serve()
	return func() {
		unserve()
		r.sb.Close()
	}, nil
}

// serve lets the sandbox's clock run and the programs in: by a door, in a home of their own.
func (r *killRun) serve() (stop func()) {
	ticking, stopClock := context.WithCancel(r.ctx)
	var clock sync.WaitGroup
	clock.Go(func() { r.tick(ticking) })
	r.door = &killDoor{sb: r.sb}
	r.door.free.L = &r.door.mu
	server := httptest.NewServer(r.door)
	r.env = append(os.Environ(),
		"HOME="+r.dir, "XDG_CONFIG_HOME="+filepath.Join(r.dir, "config"), "XDG_CACHE_HOME="+filepath.Join(r.dir, "cache"), "XDG_STATE_HOME="+filepath.Join(r.dir, "state"),
		"AWS_ENDPOINT_URL="+server.URL, "AWS_REGION="+sandbox.HomeRegion, "AWS_ACCESS_KEY_ID=AKIASANDBOX", "AWS_SECRET_ACCESS_KEY=sandbox", "AWS_EC2_METADATA_DISABLED=true")
	return func() {
		stopClock()
		clock.Wait()
		server.CloseClientConnections()
		server.Close()
	}
}

func (r *killRun) fill(into map[string]string, group string, n int) error {
	var bodies []string
	for i := range n {
		bodies = append(bodies, deadBody(group, i))
	}
	ids, err := r.pair.fill(r.ctx, group, bodies)
	for i, id := range ids {
		into[fmt.Sprintf("%s-%d", group, i)] = id
	}
	return err
}

// tick lets the sandbox's time pass.
func (r *killRun) tick(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			r.advance(now.Sub(last))
			last = now
		}
	}
}

func (r *killRun) advance(d time.Duration) {
	r.clock.Lock()
	defer r.clock.Unlock()
	r.sb.Advance(d)
}

// operate redrives and resumes, killing each process at some instant, until one
// ends by itself. It returns the operation's id.
func (r *killRun) operate() (id string, err error) {
	for {
		args := []string{"dlq", "redrive", r.pair.dlq, "--contains", "pick", "--lease", "10s", "--limit", strconv.Itoa(len(r.picked) + len(r.decoys))}
		if id != "" {
			args = []string{"dlq", "resume", id}
		}
		args = append([]string{"--access", "change", "--yes", "-o", "json"}, args...)
		killed, out, err := r.run(r.kills < killsMost, args...)
		if err != nil {
			return id, err
		}
		if id == "" {
			id = begunID(out)
		}
		if !killed {
			return id, nil
		}
		r.door.settled() // a long poll of the dead must not take what comes back now
		r.advance(leaseOut)
		open, err := r.unfinished()
		if err != nil {
			return id, err
		}
		if id == "" && len(open) > 0 {
			id = open[0] // killed between its first line and telling us
		}
		if id != "" && !slices.Contains(open, id) {
			return id, nil // killed after its last line
		}
		// Without an id it was killed before it began: nothing was sent, which the
		// audit proves.
	}
}

// sawPart is what a look says that did not see everything.
var sawPart = regexp.MustCompile(`saw \d+ messages of \S+; the queue holds about \d+; .`)

// finish redrives what the plan could not see and said so, as a person would: of a
// FIFO group, what waits behind messages that are leased. The last look is the one
// that was planned about: a resume does not look. Where something is unknown a person
// would look at the target first, so what was not seen stays where it is.
func (r *killRun) finish(unknown bool) error {
	for range 3 {
		last := ""
		for _, said := range r.said {
			if strings.Contains(said, "\nsaw ") {
				last = said
			}
		}
		if r.unseen = sawPart.MatchString(last); !r.unseen || unknown {
			return nil
		}
		r.advance(leaseOut)
		if _, _, err := r.run(false, "--access", "change", "--yes", "-o", "json", "dlq", "redrive", r.pair.dlq, "--contains", "pick", "--lease", "10s",
			"--limit", strconv.Itoa(len(r.picked)+len(r.decoys))); err != nil {
			return err
		}
	}
	return nil
}

var begun = regexp.MustCompile(`operation (\S+) has begun`)

func begunID(talk string) string {
	if m := begun.FindStringSubmatch(talk); m != nil {
		return m[1]
	}
	return ""
}

// run runs kxops as a process of its own: this test binary under that name. If
// mayKill, it is killed at a random instant, or at a random call before or after
// the sandbox has done it, unless it ends before.
func (r *killRun) run(mayKill bool, args ...string) (killed bool, talk string, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, processPatience)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return false, "", err
	}
	c := exec.CommandContext(ctx, self)
	c.Args = append([]string{"kxops"}, args...)
	c.Env = r.env
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		return false, "", err
	}
	var fell atomic.Bool
	kill := func() {
		if !fell.Swap(true) {
			_ = c.Process.Kill() // it may have ended meanwhile: then nothing was killed, which Wait tells
		}
	}
	if mayKill {
		disarm := r.arm(kill)
		defer disarm()
	}
	err = c.Wait()
	r.said = append(r.said, fmt.Sprintf("$ kxops %s\n%s%v", strings.Join(args, " "), stderr.String(), err))
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return false, "", fmt.Errorf("kxops did not end in %s", processPatience)
	case err == nil:
	case !errors.As(err, &exit):
		return false, "", err
	case exit.ExitCode() == -1 && fell.Load():
		r.kills++
		return true, stderr.String(), nil
	case exit.ExitCode() != exitPartial: // something unknown is a partial end
		return false, "", fmt.Errorf("kxops ended with %d", exit.ExitCode())
	}
	return false, stderr.String(), nil
}

// arm sets the instant of the kill: by the clock, or by the calls.
func (r *killRun) arm(kill func()) (disarm func()) {
	if r.chance.IntN(3) == 0 {
		timer := time.AfterFunc(time.Duration(r.chance.IntN(600))*time.Millisecond, kill)
		return func() { timer.Stop() }
	}
	r.door.set(&killAt{call: 1 + r.chance.IntN(60), after: r.chance.IntN(2) == 0, kill: kill})
	return func() { r.door.set(nil) }
}

// killDoor is the sandbox's door that can kill whoever calls.
type killDoor struct {
	sb *sandbox.Sandbox
	at atomic.Pointer[killAt]

	mu   sync.Mutex
	free sync.Cond
	open int // calls that are being answered, also to the dead
}

// settled waits until nobody is being answered any more.
func (d *killDoor) settled() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.open > 0 {
		d.free.Wait()
	}
}

// enter counts a call in, and returns what counts it out.
func (d *killDoor) enter() (leave func()) {
	count := func(n int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.open += n
		d.free.Broadcast()
	}
	count(1)
	return func() { count(-1) }
}

// killAt says at which call the caller is killed: before the sandbox has it, or
// after it has done it, so that the answer is lost.
type killAt struct {
	call  int
	after bool
	kill  func()
	seen  atomic.Int64
}

func (d *killDoor) set(at *killAt) { d.at.Store(at) }

func (d *killDoor) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	defer d.enter()()
	at := d.at.Load()
	now := at != nil && int(at.seen.Add(1)) == at.call
	if now && !at.after {
		at.kill()
		return
	}
	if now {
		defer at.kill()
		d.sb.ServeHTTP(httptest.NewRecorder(), req) // done, and nobody is told
		return
	}
	d.sb.ServeHTTP(w, req)
}

func (r *killRun) unfinished() ([]string, error) {
	var report unfinishedReport
	if err := r.document(&report, "dlq", "resume", "-o", "json"); err != nil {
		return nil, err
	}
	var ids []string
	for _, u := range report.Operations {
		ids = append(ids, u.ID)
	}
	return ids, nil
}

// unknownIDs are the message ids that the operation's record lists as unknown.
func (r *killRun) unknownIDs(id string) ([]string, error) {
	if id == "" {
		return nil, errors.New("no operation ever began")
	}
	var report operationReport
	if err := r.document(&report, "journal", id, "-o", "json"); err != nil {
		return nil, err
	}
	return report.UnknownIDs, nil
}

// document runs a kxops that only tells, and reads the last document it wrote.
func (r *killRun) document(into any, args ...string) error {
	ctx, cancel := context.WithTimeout(r.ctx, processPatience)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, self)
	c.Args, c.Env = append([]string{"kxops"}, args...), r.env
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("kxops %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n{"))
	last := lines[len(lines)-1]
	if len(lines) > 1 {
		last = append([]byte("{"), last...)
	}
	if err := json.Unmarshal(last, into); err != nil {
		return fmt.Errorf("kxops %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// found is a message as the ledger has it.
type found struct{ token, id, group string }

var tokenOf = regexp.MustCompile(`"token":"([^"]+)"`)

// drain takes everything out of a queue, in the order in which it comes.
func (r *killRun) drain(url *string) ([]found, error) {
	var all []found
	for empty := 0; empty < 3; {
		out, err := r.pair.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{
			QueueUrl: url, MaxNumberOfMessages: 10, VisibilityTimeout: 600, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			return nil, err
		}
		if len(out.Messages) == 0 {
			empty++
			continue
		}
		empty = 0
		for _, m := range out.Messages {
			token := tokenOf.FindStringSubmatch(aws.ToString(m.Body))
			if token == nil {
				return nil, fmt.Errorf("message %s has a body that nobody sent", aws.ToString(m.MessageId))
			}
			all = append(all, found{token[1], aws.ToString(m.MessageId), m.Attributes["MessageGroupId"]})
			if _, err := r.pair.sqs.DeleteMessage(r.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// audit counts every message and says everything that is wrong.
func (r *killRun) audit(unknown []string) error {
	r.advance(time.Hour) // whatever is still leased comes back
	target, err := r.drain(r.pair.url)
	if err != nil {
		return err
	}
	left, err := r.drain(r.pair.dlqURL)
	if err != nil {
		return err
	}
	sent, stayed := map[string]int{}, map[string]string{}
	for _, f := range target {
		sent[f.token]++
	}
	for _, f := range left {
		if stayed[f.token] != "" {
			return fmt.Errorf("the ledger is wrong: %s is twice in the dead-letter queue", f.token)
		}
		stayed[f.token] = f.id
	}
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	for token, id := range r.picked {
		named := slices.Contains(unknown, id)
		switch n := sent[token]; {
		case n == 0 && stayed[token] == "":
			say("LOST: %s", token)
		case n > 1 && r.fifo:
			say("DOUBLED in a FIFO queue: %s is %d times at the target", token, n)
		case n > 1 && !named, n > 0 && stayed[token] != "" && !named:
			say("SILENTLY DOUBLED: %s is %d times at the target, in the dead-letter queue %v, and not listed as unknown", token, n, stayed[token] != "")
		case n == 0 && !named && !r.unseen:
			say("NOT DONE: %s is still in the dead-letter queue and nothing says so", token)
		}
	}
	for token, id := range r.decoys {
		if sent[token] > 0 || stayed[token] != id {
			say("TOUCHED: %s was not selected; it is %d times at the target and in the dead-letter queue as %q, not %q", token, sent[token], stayed[token], id)
		}
	}
	if r.fifo {
		wrong = append(wrong, inOrder(target))
	}
	return errors.Join(wrong...)
}

// inOrder checks that the tokens of each group come as they were first sent.
func inOrder(target []found) error {
	last := map[string]int{}
	for _, f := range target {
		n, err := strconv.Atoi(f.token[strings.LastIndex(f.token, "-")+1:])
		if err != nil {
			return err
		}
		if before, ok := last[f.group]; ok && n < before {
			return fmt.Errorf("INVERTED: in group %s number %d comes after %d", f.group, n, before)
		}
		last[f.group] = n
	}
	return nil
}
