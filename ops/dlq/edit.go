package dlq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"kxops/ops"
)

// An edit is a redrive of one message whose sender does two more things: it puts the
// original into a file first, and sends the corrected message in its place. The
// original is deleted as ever: only after the answer is recorded.

const (
	editsName = "archive"       // beside the journal: originals and corrections, 0600
	editedEnd = ".edited.jsonl" // what an edit sends
	editOfEnd = ".jsonl"        // what it sends it for
)

func (d *Desk) editFile(operation, end string) string {
	return filepath.Join(d.o.Journal.Directory(), editsName, operation+end)
}

// planEdit plans to send a corrected message and then to delete the original. The
// correction is kept in a file of its own beside the journal: a body has no place in
// a plan or a record.
func (d *Desk) planEdit(ctx context.Context, ask ops.Ask, q ops.Queue, pile *Pile) (ops.Plan, error) {
	plan, err := d.newPlan(ask, q)
	if err != nil {
		return plan, err
	}
	if err := d.chosen(&plan, pile); err != nil {
		return plan, err
	}
	if ask.Edited == nil || len(plan.Manifest) != 1 {
		return plan, &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("one message is edited at a time, and %d are selected", len(plan.Manifest))}
	}
	original, ok := pile.Message(plan.Manifest[0].ID)
	if !ok {
		return plan, &ops.Problem{Fault: ops.FaultNotFound, What: "message " + plan.Manifest[0].ID + " is not in memory any more", Hint: "look again"}
	}
	edited := corrected(original, *ask.Edited)
	if err := d.aim(ctx, &plan, ask.To, q, pile); err != nil {
		return plan, err
	}
	only := func(yield func(ops.Message) bool) { yield(edited) }
	if err := d.preflight(ctx, &plan, only); err != nil {
		return plan, err
	}
	if err := d.checkEdit(&plan, original, edited); err != nil {
		return plan, err
	}
	d.setPace(&plan)
	d.estimate(&plan, only)
	plan.Steps = append(plan.Steps, ops.Step{Text: "copy the original to " + d.editFile(plan.ID, editOfEnd)})
	d.steps(&plan)
	if plan.Risk == ops.HighRisk && plan.Confirm == "" {
		plan.Confirm = q.Name
	}
	plan.File = d.editFile(plan.ID, editedEnd)
	plan.FileSum, err = saveMessage(plan, d, edited)
	return plan, err
}

// corrected is what an edit sends: body and attributes of the correction, everything
// else of the original.
func corrected(original, edited ops.Message) ops.Message {
	m := original
	m.Body, m.Attributes = edited.Body, edited.Attributes
	return m
}

// checkEdit is what is said of an edit besides what the preflight says of the message.
func (d *Desk) checkEdit(plan *ops.Plan, original, edited ops.Message) error {
	before, after := contentSum(original), contentSum(edited)
	if before == after {
		add(&plan.Blockers, "nothing was changed")
	}
	if json.Valid([]byte(original.Body)) && !json.Valid([]byte(edited.Body)) {
		add(&plan.Warnings, "the original was JSON, and the edited body is not")
		plan.Risk = ops.HighRisk
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: "Original", Value: "sha256 " + before}, ops.Fact{Name: "Edited", Value: "sha256 " + after})
	was, err := d.editOf(original.ID, plan.ID)
	if err != nil {
		return err
	}
	if was != "" {
		add(&plan.Blockers, was)
	}
	return nil
}

// contentSum is the SHA-256 of body and attributes.
func contentSum(m ops.Message) string {
	h := sha256.New()
	lengthened(h, []byte(m.Body))
	for _, n := range m.AttributeNames() {
		a := m.Attributes[n]
		for _, part := range [][]byte{[]byte(n), []byte(a.Type), []byte(a.Text), a.Bytes} {
			lengthened(h, part)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// saveMessage writes the correction, durably, and returns the file's sum.
func saveMessage(plan ops.Plan, d *Desk, m ops.Message) (string, error) {
	if err := os.MkdirAll(filepath.Dir(plan.File), 0o700); err != nil {
		return "", fileTrouble("make", filepath.Dir(plan.File), err)
	}
	s, err := newFileSender(d, plan, plan.File)
	if err != nil {
		return "", err
	}
	defer s.close()
	if r := s.send(context.Background(), []parcel{{message: m}})[0]; r.fate != sent {
		return "", &ops.Problem{Fault: ops.FaultOther, What: r.why}
	}
	return fileSum(plan.File)
}

// editOf says what an earlier edit did with a message, "" when there was none or it
// did not send. One edit of a message wins: a second would send it twice.
func (d *Desk) editOf(id, except string) (string, error) {
	files, err := os.ReadDir(filepath.Join(d.o.Journal.Directory(), editsName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for earlier edits: %w", err)
	}
	for _, f := range files {
		operation, ok := strings.CutSuffix(f.Name(), editedEnd)
		if !ok || operation == except {
			continue
		}
		lines, _, err := d.o.Journal.ReadLog(operation)
		if errors.Is(err, fs.ErrNotExist) {
			continue // planned, never applied
		}
		if err != nil {
			return "", fmt.Errorf("look for earlier edits: %w", err)
		}
		r, err := replay(lines, nil, d.o.Now)
		if errors.Is(err, errNeverBegan) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("look for earlier edits: %w", err)
		}
		switch st, _ := r.stateOf(id); st {
		case isSent, isDeleted:
			return fmt.Sprintf("operation %s has sent an edit of message %s already, as %s", operation, id, r.entry(id).newID), nil
		case intended, isUnknown:
			return fmt.Sprintf("operation %s may have sent an edit of message %s already: compare at the target, then redrive or archive the original", operation, id), nil
		}
	}
	return "", nil
}

// editSender archives the original and sends the correction.
type editSender struct {
	sender
	edited  ops.Message
	archive *fileSender
}

func newEditSender(d *Desk, plan ops.Plan, to sender) (*editSender, error) {
	if err := sameFile(plan); err != nil {
		return nil, err
	}
	if len(plan.Manifest) != 1 {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: "one message is edited at a time"}
	}
	// Again, now under the queue's lock: two plans may have been made of one message.
	was, err := d.editOf(plan.Manifest[0].ID, plan.ID)
	if err != nil {
		return nil, err
	}
	if was != "" {
		return nil, &ops.Problem{Fault: ops.FaultRefused, What: was}
	}
	s := &editSender{sender: to}
	_, _, err = readMessages(plan.File, func(_ int, m ops.Message) error {
		s.edited = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.archive, err = newFileSender(d, plan, d.editFile(plan.ID, editOfEnd))
	return s, err
}

func (s *editSender) batch() int { return 1 }

func (s *editSender) send(ctx context.Context, parcels []parcel) []receipt {
	out := make([]receipt, len(parcels))
	for i, p := range parcels {
		if p.message.ID != s.edited.ID {
			out[i] = receipt{fate: rejected, code: "Edit", why: "the correction is of another message", sender: true}
			continue
		}
		if out[i] = s.archive.send(ctx, []parcel{p})[0]; out[i].fate != sent {
			continue // without a copy of the original nothing is sent
		}
		p.message = corrected(p.message, s.edited)
		p.message.System = maps.Clone(p.message.System)
		out[i] = s.sender.send(ctx, []parcel{p})[0]
	}
	return out
}

func (s *editSender) close() {
	s.archive.close()
	if c, ok := s.sender.(interface{ close() }); ok {
		c.close()
	}
}
