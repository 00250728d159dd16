package replay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kxops/ops"
	"kxops/ops/journal"
)

// The words of the control file: what another process wants of a running replay.
const (
	controlName   = "control"
	controlPause  = "pause"
	controlCancel = "cancel"
)

// Past is a replay by its record: running, paused or over.
type Past struct {
	Plan     ops.ReplayPlan
	Progress ops.ReplayProgress // as far as the record knows it
	Running  bool               // by a process of this machine, now
	Last     time.Time          // of the record's last line
	Receipts string             // the directory with receipts and parked records
	Runs     int
	Bound    int64 // so many records may be at the target twice, at most
}

// stateOf reads the record of a replay.
func (d *Desk) stateOf(id string) (*state, error) {
	lines, _, err := d.o.Journal.ReadLog(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.unknown(id, err)
	}
	if err != nil {
		return nil, err
	}
	s, err := readState(lines)
	if err != nil {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: "the record of replay " + id + " cannot be read: " + err.Error(), Err: err}
	}
	return s, nil
}

func (d *Desk) unknown(id string, cause error) error {
	p := &ops.Problem{Fault: ops.FaultNotFound, What: "there is no replay " + id, Hint: "kxops replay ls lists them", Err: cause}
	if ids, err := d.ids(); err == nil {
		if near := ops.Nearest(id, ids, 3); len(near) > 0 {
			p.Hint = "did you mean " + strings.Join(near, ", ") + "?"
		}
	}
	return p
}

// Is reports whether an operation of the journal is a replay.
func Is(j *journal.Journal, id string) bool {
	info, err := os.Stat(replayDirectory(j.Directory(), filepath.Base(id)))
	return err == nil && info.IsDir()
}

// ids are the replays of this machine, newest first.
func (d *Desk) ids() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.o.Journal.Directory(), "replays"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the replays: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() {
			ids = append(ids, e.Name())
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, nil
}

// Show reads one replay of the past.
func (d *Desk) Show(id string) (Past, error) {
	s, err := d.stateOf(id)
	if err != nil {
		return Past{}, err
	}
	return d.past(id, s)
}

func (d *Desk) past(id string, s *state) (Past, error) {
	p := Past{Plan: s.plan, Last: s.last, Runs: s.runs, Receipts: replayDirectory(d.o.Journal.Directory(), id)}
	p.Progress = ops.ReplayProgress{ID: id, State: ops.Broken, Counts: s.counts, Parts: len(s.places), Started: s.plan.Created, ETA: ops.Missing(ops.NoData)}
	for _, at := range s.places {
		if at.Over {
			p.Progress.Over++
		}
	}
	if s.plan.Managed != nil {
		p.Progress.State, p.Progress.Note = ops.Running, "EventBridge carries it out, as far as it was asked: kxops replay show "+id+" asks again"
		if s.end != nil {
			p.Progress = *s.end
		}
		return p, nil
	}
	to, err := d.targetOf(s.plan)
	if err != nil {
		return p, err
	}
	p.Bound = boundOf(s.plan, to.limits(), s.repeats, s.crashes)
	if s.end != nil {
		p.Progress = *s.end
		return p, nil
	}
	held, err := d.held(s.plan)
	if err != nil {
		return p, err
	}
	if p.Running = held; held {
		p.Progress.State = ops.Running
		p.Progress.Note = "by another process; counts as of its last checkpoint"
	} else {
		p.Bound = boundOf(s.plan, to.limits(), s.repeats, s.crashes+1)
		p.Progress.Note = "interrupted; kxops --access change replay resume " + id + " goes on"
		if s.plan.FanOut != "" {
			p.Progress.Note += "; " + leftConsumer(s.plan) + " (resume and cancel do that too)"
		}
	}
	return p, nil
}

// held reports whether somebody works on the plan's target.
func (d *Desk) held(plan ops.ReplayPlan) (bool, error) {
	release, err := d.take(plan)
	if err != nil {
		if p := ops.AsProblem(err); p.Fault == ops.FaultRefused {
			return true, nil
		}
		return false, err
	}
	return false, release()
}

// Past lists the replays of this machine, newest first. One whose record cannot be
// read is left out, and the error names it; the others are there.
func (d *Desk) Past() ([]Past, error) {
	ids, err := d.ids()
	if err != nil {
		return nil, err
	}
	var out []Past
	var bad error
	for _, id := range ids {
		p, err := d.Show(id)
		if err != nil {
			bad = errors.Join(bad, err)
			continue
		}
		out = append(out, p)
	}
	return out, bad
}

// Tell asks a replay that another process runs to pause or to end.
func (d *Desk) Tell(id string, cancel bool) error {
	s, err := d.stateOf(id)
	if err != nil {
		return err
	}
	if s.plan.Managed != nil {
		return refused("EventBridge carries out replay %s, and cannot pause: kxops replay cancel ends it", id)
	}
	held, err := d.held(s.plan)
	if err != nil {
		return err
	}
	word := controlPause
	if cancel {
		word = controlCancel
	}
	if s.end != nil || !held {
		if cancel && s.again() {
			return d.close(id)
		}
		return refused("replay %s does not run: there is nothing to %s", id, word)
	}
	return writeControl(replayDirectory(d.o.Journal.Directory(), id), word)
}

// close ends a replay that is paused or was interrupted, for good.
func (d *Desk) close(id string) error {
	log, lines, err := d.o.Journal.Reopen(id)
	if err != nil {
		return err
	}
	s, err := readState(lines)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	p, err := d.past(id, s)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	left := s.end == nil && s.plan.FanOut != "" // it was killed: its consumer may be there
	p.Progress.State, p.Progress.Note = ops.Cancelled, ""
	if left {
		if err := d.deregister(context.Background(), s.plan); err != nil {
			return errors.Join(d.explain("remove its consumer "+s.plan.FanOut, err), log.Close())
		}
	}
	err = log.Append(line{Word: lineEnd, At: d.o.Now().UTC(), End: &p.Progress})
	return errors.Join(err, d.enter(s.plan, outcomeOf(ops.Cancelled), p.Progress), log.Close())
}

func writeControl(dir, word string) error {
	path := filepath.Join(dir, controlName)
	if err := os.WriteFile(path+".new", []byte(word+"\n"), 0o600); err != nil {
		return fmt.Errorf("tell the replay: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("tell the replay: %w", err)
	}
	return nil
}

// obey does what the control file says, once.
func (o *Operation) obey() {
	path := filepath.Join(o.ledger.dir, controlName)
	word, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		o.fail(fmt.Errorf("read what another process wants: %w", err))
		return
	}
	verb, value, _ := strings.Cut(strings.TrimSpace(string(word)), " ")
	switch verb {
	case controlRate:
		o.obeyRate(value)
	case controlPause:
		o.Pause()
	case controlCancel:
		o.Cancel()
	}
}
