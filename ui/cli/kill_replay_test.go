package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/labs/sandbox"
	"kxops/ops"
)

// TestKillReplay is the promise of replays, with real processes: kxops is killed with
// SIGKILL at random instants of a replay and of every resume, and then every record is
// counted at the target. Everything that is meant is there, nothing else is, no more is
// there twice than the result says, and each key's records were first seen in their
// order. KXOPS_KILL_RUNS and KXOPS_KILL_SEED as for TestKill.
func TestKillReplay(t *testing.T) {
	runs, seed := setting(t, "KXOPS_KILL_RUNS", killRunsDefault), setting(t, "KXOPS_KILL_SEED", int(time.Now().UnixNano()%1e9))
	var kills, twice atomic.Int64
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(killsAtOnce, runs) {
		workers.Go(func() {
			for i := range next {
				k, d, err := killReplayOnce(t.Context(), t.TempDir(), seed+i)
				if err != nil {
					t.Errorf("KXOPS_KILL_SEED=%d: %v", seed+i, err)
				}
				kills.Add(int64(k))
				twice.Add(int64(d))
			}
		})
	}
	for i := range runs {
		next <- i
	}
	close(next)
	workers.Wait()
	t.Logf("%d runs, %d kills, %d records there twice", runs, kills.Load(), twice.Load())
	if runs >= 10 && kills.Load() < int64(runs) {
		t.Errorf("only %d kills in %d runs: this tests nothing", kills.Load(), runs)
	}
}

const (
	replayKeys    = 8
	replayRecords = 240
	replayAgo     = 30 * time.Minute // the events were; the window has been over for long when they are read
)

func killReplayOnce(ctx context.Context, dir string, seed int) (kills, twice int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	r := &killRun{ctx: ctx, dir: dir, chance: rand.New(rand.NewPCG(uint64(seed), 2))}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, strings.Join(r.said, "\n"))
		}
	}()
	if r.sb, err = sandbox.New(sandbox.Options{Start: time.Now().Add(-replayAgo)}); err != nil {
		return 0, 0, err
	}
	defer r.sb.Close()
	k := kinesis.NewFromConfig(r.sb.Config())
	want, err := replayWorld(ctx, r.sb, k)
	if err != nil {
		return 0, 0, err
	}
	defer r.serve()()
	bound, err := r.replayed(filepath.Join(dir, "replay.plan"))
	if err != nil {
		return r.kills, 0, err
	}
	twice, err = countReplayed(ctx, r.sb, k, want, bound)
	return r.kills, twice, err
}

// replayWorld is a stream with events of which some are meant, and an empty one. It
// returns what is meant, by key and in order.
func replayWorld(ctx context.Context, sb *sandbox.Sandbox, k *kinesis.Client) (map[string][]string, error) {
	for _, name := range []string{"orders", "again"} {
		if _, err := k.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(2)}); err != nil {
			return nil, err
		}
	}
	sb.Advance(time.Minute)
	want := map[string][]string{}
	for n := range replayRecords {
		key := fmt.Sprintf("customer-%d", n%replayKeys)
		body := fmt.Sprintf(`{"n":%d,"pick":%t}`, n, n%3 != 0)
		if n%3 != 0 {
			want[key] = append(want[key], body)
		}
		if _, err := k.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String("orders"), PartitionKey: &key, Data: []byte(body)}); err != nil {
			return nil, err
		}
		if n%50 == 0 {
			sb.Advance(time.Second)
		}
	}
	sb.Advance(time.Since(sb.Now()))
	return want, nil
}

// replayed plans, applies and resumes, killing each process at some instant, until one
// ends by itself. It returns how many records may be there twice, as the result says.
func (r *killRun) replayed(plan string) (bound int64, err error) {
	if _, _, err := r.run(false, "replay", "plan", "--from", "stream:orders", "--since", "2h", "--until", "5m", "--filter", ".pick == true",
		"--to", "stream:again", "--rate", "200", "--lanes", "4", "--plan-out", plan); err != nil {
		return 0, err
	}
	var p ops.ReplayPlan
	text, err := os.ReadFile(plan)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return 0, err
	}
	for {
		args := []string{"--access", "change", "--yes", "replay", "apply", plan}
		if _, err := os.Stat(filepath.Join(r.dir, "state", "kxops", "operations", p.ID+".jsonl")); err == nil {
			if began, err := r.replayBegan(p.ID); err != nil {
				return 0, err
			} else if began {
				args = []string{"--access", "change", "--yes", "replay", "resume", p.ID}
			}
		}
		killed, _, err := r.run(r.kills < killsMost, args...)
		if err != nil {
			return 0, err
		}
		if killed {
			r.door.settled()
			if over, err := r.replayOver(p.ID); err != nil || !over {
				if err != nil {
					return 0, err
				}
				continue
			}
		}
		break
	}
	var shown struct {
		State ops.RunState `json:"state"`
		Bound int64        `json:"duplicates_at_most"`
	}
	if err := r.document(&shown, "replay", "show", p.ID, "-o", "json"); err != nil {
		return 0, err
	}
	if shown.State != ops.Finished {
		return 0, fmt.Errorf("it ended as %s", shown.State)
	}
	var proof ops.ReplayProof
	if err := r.document(&proof, "replay", "verify", p.ID, "-o", "json"); err != nil {
		return 0, err
	}
	for _, c := range proof.Checks {
		if !c.Holds {
			return 0, fmt.Errorf("verify: %s: %s", c.What, c.Says)
		}
	}
	return shown.Bound, nil
}

// replayBegan reports whether the record has more than a plan that was killed while it
// was written.
func (r *killRun) replayBegan(id string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(r.dir, "state", "kxops", "operations", id+".jsonl"))
	return strings.Contains(string(text), `{"is":"replay",`) && strings.Count(string(text), "\n") > 1, err
}

func (r *killRun) replayOver(id string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(r.dir, "state", "kxops", "operations", id+".jsonl"))
	if os.IsNotExist(err) {
		return false, nil
	}
	return strings.Contains(string(text), `{"is":"replay end"`), err
}

// countReplayed reads the target by its own client and compares.
func countReplayed(ctx context.Context, sb *sandbox.Sandbox, k *kinesis.Client, want map[string][]string, bound int64) (twice int, err error) {
	sb.SetFaults()
	out, err := k.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String("again")})
	if err != nil {
		return 0, err
	}
	first := map[string][]string{}
	seen := map[string]bool{}
	for _, sh := range out.Shards {
		it, err := k.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("again"), ShardId: sh.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			return 0, err
		}
		for next := it.ShardIterator; next != nil; {
			page, err := k.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				return 0, err
			}
			for _, rec := range page.Records {
				if seen[string(rec.Data)] {
					twice++
					continue
				}
				seen[string(rec.Data)] = true
				first[*rec.PartitionKey] = append(first[*rec.PartitionKey], string(rec.Data))
			}
			if len(page.Records) == 0 && aws.ToInt64(page.MillisBehindLatest) == 0 {
				break
			}
			next = page.NextShardIterator
		}
	}
	for key, bodies := range want {
		if got := first[key]; strings.Join(got, "\n") != strings.Join(bodies, "\n") {
			return twice, fmt.Errorf("of %s %d records are there, %d are meant, or not in their order:\n%s\nwant\n%s", key, len(got), len(bodies), strings.Join(got, "\n"), strings.Join(bodies, "\n"))
		}
		delete(first, key)
	}
	if len(first) > 0 {
		return twice, fmt.Errorf("%d keys that are not meant are there", len(first))
	}
	if int64(twice) > bound {
		return twice, fmt.Errorf("%d records are there twice, and it says at most %d", twice, bound)
	}
	return twice, nil
}
