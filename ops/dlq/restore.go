package dlq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kxops/ops"
)

// Restore and import send the messages of a file. Nothing is deleted anywhere, so
// "sent" is the end of a message's way.

// copies reports whether a verb sends messages that are not in the queue: what is
// sent is done, there is nothing to delete.
func copies(v ops.Verb) bool { return v == ops.Restore || v == ops.Import }

// entryIDs names the messages of a file: by their id, by their line where they have
// none or an earlier line has the same.
type entryIDs map[string]bool

func (ids entryIDs) of(line int, m ops.Message) string {
	if m.ID == "" || ids[m.ID] {
		return fmt.Sprintf("line-%d", line)
	}
	ids[m.ID] = true
	return m.ID
}

// eachOf reads a file of messages, each under the id that it has in the manifest.
func eachOf(path string, visit func(m ops.Message) error) (fileHeader, string, error) {
	ids := entryIDs{}
	return readMessages(path, func(line int, m ops.Message) error {
		m.ID = ids.of(line, m)
		return visit(m)
	})
}

// planTransfer plans to send what a file holds into a queue. The file is read whole:
// a line that is wrong is named and there is no plan.
func (d *Desk) planTransfer(ctx context.Context, ask ops.Ask, q ops.Queue, _ *Pile) (ops.Plan, error) {
	plan, err := d.newPlan(ask, q)
	if err != nil {
		return plan, err
	}
	if plan.File, err = filepath.Abs(ask.File); err != nil || ask.File == "" {
		return plan, &ops.Problem{Fault: ops.FaultRefused, What: "no file is given", Err: err}
	}
	var size int64
	ungrouped := 0
	header, sum, err := eachOf(plan.File, func(m ops.Message) error {
		plan.Manifest = append(plan.Manifest, ops.Entry{ID: m.ID, Sum: m.Sum(), Sent: m.Sent(), Group: m.Group(), Source: m.Source()})
		size += int64(m.Size())
		if m.Group() == "" {
			ungrouped++
		}
		return ctx.Err()
	})
	if err != nil {
		return plan, err
	}
	plan.FileSum = sum
	plan.To = []ops.Target{{ARN: q.ARN, URL: q.URL, Kind: ops.KindQueue, Count: len(plan.Manifest)}}
	messages := func(yield func(ops.Message) bool) {
		// The file was whole a moment ago; what has changed since, the run refuses.
		_, _, _ = eachOf(plan.File, func(m ops.Message) error {
			m.System = maps.Clone(m.System)
			delete(m.System, ops.SentAttribute) // its age starts again: an old one is no warning
			if !yield(m) {
				return errEnough
			}
			return nil
		})
	}
	if err := d.preflight(ctx, &plan, messages); err != nil {
		return plan, err
	}
	if err := d.checkAgain(ctx, &plan); err != nil {
		return plan, err
	}
	if q.FIFO && ungrouped > 0 {
		add(&plan.Blockers, fmt.Sprintf("%s no MessageGroupId, and %s is FIFO", have(ungrouped), q.Name))
	}
	if header.Queue != "" && header.Queue != q.ARN && plan.Verb == ops.Restore {
		add(&plan.Warnings, fmt.Sprintf("the file is from %s in account %s, not from %s", header.Queue.Name(), header.Account, q.Name))
	}
	if plan.Verb == ops.Import && q.IsDeadLetter() {
		add(&plan.Warnings, q.Name+" is a dead-letter queue: nobody may be reading it")
	}
	fact := func(name, value string) { plan.Facts = append(plan.Facts, ops.Fact{Name: name, Value: value}) }
	fact("File", plan.File)
	fact("Messages", fmt.Sprintf("%d, %d bytes", len(plan.Manifest), size))
	plan.CannotUndo = []string{
		"each message gets a new MessageId and a new age",
		"DeadLetterQueueSourceArn, which says where a message came from, is not put back: a later redrive home does not find the way and needs --to, and a move by SQS needs a destination",
		"a message that was sent cannot be called back",
	}
	d.setPace(&plan)
	batches := receives(len(plan.Manifest))
	plan.Calls = batches
	plan.USD = float64(batches+int(size)/ops.QueueChunk) * ops.PricePerQueueCall
	plan.ETA = math.Ceil(float64(batches) * roundTrip.Seconds())
	if plan.Pace.Rate > 0 {
		plan.ETA = max(plan.ETA, math.Ceil(float64(len(plan.Manifest))/plan.Pace.Rate))
	}
	plan.Steps = []ops.Step{{Text: fmt.Sprintf("send %d messages of the file to %s, and record each answer", len(plan.Manifest), q.Name),
		Command: "aws sqs send-message-batch --queue-url " + q.URL + " --entries … --region " + plan.Region}}
	if len(plan.Manifest) > manyMessages {
		plan.Risk = ops.HighRisk
	}
	if plan.Risk == ops.HighRisk && plan.Confirm == "" {
		plan.Confirm = q.Name
	}
	return plan, nil
}

var errEnough = errors.New("enough was read")

// fileSum is the SHA-256 of a file as it is on the disk.
func fileSum(path string) (sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sameFile refuses a file that is not the one of the plan.
func sameFile(plan ops.Plan) error {
	sum, err := fileSum(plan.File)
	if err != nil {
		return &ops.Problem{Fault: ops.FaultNotFound, What: "the plan's file cannot be read: " + err.Error(), Err: err}
	}
	if sum != plan.FileSum {
		return &ops.Problem{Fault: ops.FaultRefused, What: plan.File + " was changed after the plan was made", Hint: "make a new plan"}
	}
	return nil
}

// transfer sends what the file holds, in the order of the file: record the intent,
// send, record the answer. What a record says is sent is not sent again.
func (o *Operation) transfer(ctx context.Context) error {
	if err := sameFile(o.plan); err != nil {
		return err
	}
	to, err := o.desk.senderTo(ctx, o.plan, o.plan.To[0])
	if err != nil {
		return err
	}
	r := &redriver{o: o, desk: o.desk, plan: o.plan, record: o.record, senders: []sender{to}}
	r.pace, r.began = stage{rate: o.plan.Pace.Rate}.limiter(o.desk.o.Now()), o.desk.o.Now()
	if err := r.settleIntents(); err != nil {
		return err
	}
	t := &transfer{redriver: r, ordered: strings.HasSuffix(o.plan.To[0].ARN.Name(), ".fifo"), groups: map[string]bool{}, failed: map[string]bool{}}
	o.set(func() { o.stage = "sending the file" })
	for _, e := range o.plan.Manifest { // on a resume: what was uncertain holds back what is behind it
		if st, _ := o.record.stateOf(e.ID); t.ordered && (st == isUnknown || st == isRejected) {
			t.failed[e.Group] = true
		}
	}
	_, _, err = eachOf(o.plan.File, func(m ops.Message) error { return t.take(ctx, m) })
	if err == nil {
		err = t.flush(ctx)
	}
	if errors.Is(err, errEnough) { // cancelled
		return nil
	}
	return err
}

// transfer collects batches from a file.
type transfer struct {
	*redriver
	ordered bool
	batch   []*held
	groups  map[string]bool // in the batch: one message of a FIFO group at a time
	failed  map[string]bool // FIFO groups with a message that was not taken: the rest must not overtake it
}

func (t *transfer) take(ctx context.Context, m ops.Message) error {
	st, member := t.record.stateOf(m.ID)
	if !member || st != waiting && st != intended {
		return nil
	}
	group := m.Group()
	if len(t.batch) >= t.batchSize(0) || t.ordered && t.groups[group] {
		if err := t.flush(ctx); err != nil {
			return err
		}
	}
	if t.ordered && t.failed[group] {
		return nil
	}
	t.batch = append(t.batch, &held{message: m})
	t.groups[group] = true
	return nil
}

// flush sends what was collected.
func (t *transfer) flush(ctx context.Context) error {
	batch := t.batch
	t.batch = nil
	clear(t.groups)
	if len(batch) == 0 {
		return nil
	}
	if !t.o.goes() || !t.turn(len(batch)) {
		return errEnough
	}
	all := batch
	batch, err := t.certain(slices.Clone(batch))
	if err != nil {
		return err
	}
	for _, h := range all {
		if st, _ := t.record.stateOf(h.message.ID); st == isUnknown {
			t.failed[h.message.Group()] = true
		}
	}
	if len(batch) == 0 {
		return nil
	}
	parcels, intents, doubt := make([]parcel, len(batch)), make([]line, len(batch)), make([]bool, len(batch))
	for i, h := range batch {
		st, _ := t.record.stateOf(h.message.ID)
		doubt[i] = st == intended
		parcels[i] = parcel{message: h.message, group: h.message.Group(), dedup: h.message.ID + "." + t.plan.ID}
		intents[i] = line{Word: lineIntent, ID: h.message.ID}
	}
	if err := t.record.write(intents...); err != nil {
		return err
	}
	receipts, stop := t.deliver(ctx, 0, parcels, doubt)
	if err := t.record.write(outcomes(batch, receipts)...); err != nil {
		return err
	}
	for i, h := range batch {
		if receipts[i].fate != sent {
			t.failed[h.message.Group()] = true
		}
	}
	t.o.mark()
	if stop != nil {
		return stop
	}
	return nil
}
