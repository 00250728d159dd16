package replay

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

// A range is what lies between two sequence numbers of one shard: what the dead letter of
// an event source mapping points at, or one record that somebody saw.

// firstReads is how many pages are read at most until one has a record: pages may be empty.
const firstReads = 10

// sequenceWord is a sequence number. Source: API reference, GetShardIterator
// (StartingSequenceNumber, pattern 0|([1-9]\d{0,128})).
var sequenceWord = regexp.MustCompile(`^(0|[1-9][0-9]{0,128})$`)

// checkRange refuses a range that cannot be one.
func checkRange(plan ops.ReplayPlan) error {
	s := plan.Select
	switch {
	case s.Shard == "" && s.First == "" && s.Last == "":
		return nil
	case plan.From.Kind != ops.KindStream:
		return refused("only a stream has shards and sequence numbers, and %s is none", plan.From.Name())
	case s.Shard == "":
		return refused("a sequence number is one of a shard: name it with --shard")
	}
	for _, n := range []string{s.First, s.Last} {
		if n != "" && !sequenceWord.MatchString(n) {
			return refused("%q is no sequence number: digits only", n)
		}
	}
	if s.First != "" && s.Last != "" && beyond(s.First, s.Last) {
		return refused("the range is empty: sequence number %s is after %s", s.First, s.Last)
	}
	return nil
}

// beyond compares sequence numbers as what they are: integers of up to 129 digits.
func beyond(a, b string) bool {
	x, okX := new(big.Int).SetString(a, 10)
	y, okY := new(big.Int).SetString(b, 10)
	return okX && okY && x.Cmp(y) > 0
}

// ranged leaves only the shard of the range, and looks at its first record: what was
// trimmed of a range is said, because reading would begin behind it without a word.
func (s streamSource) ranged(ctx context.Context, plan *ops.ReplayPlan, shards []types.Shard) (only []types.Shard, begins time.Time, err error) {
	sel := plan.Select
	names := make([]string, 0, len(shards))
	for _, sh := range shards {
		names = append(names, aws.ToString(sh.ShardId))
		if aws.ToString(sh.ShardId) == sel.Shard {
			only = []types.Shard{sh}
		}
	}
	if only == nil {
		why := fmt.Sprintf("no shard %s of %s holds anything of the window", sel.Shard, plan.From.ARN.Name())
		if near := ops.Nearest(sel.Shard, names, 3); len(near) > 0 {
			why += "; there is " + strings.Join(near, ", ")
		}
		plan.Blockers = append(plan.Blockers, why)
		return nil, begins, nil
	}
	if sel.First == "" {
		return only, begins, nil
	}
	w := shardWalk{desk: s.desk, arn: plan.From.ARN, shard: sel.Shard, first: sel.First}
	r, err := w.peekFirst(ctx)
	switch {
	case err != nil:
		return nil, begins, err
	case r == nil || sel.Last != "" && beyond(aws.ToString(r.SequenceNumber), sel.Last):
		plan.Blockers = append(plan.Blockers, fmt.Sprintf("%s of %s holds no record from %s to %s any more: they were trimmed, or it never did", sel.Shard, plan.From.ARN.Name(), sel.First, lastOr(sel.Last)))
		return nil, begins, nil
	case aws.ToString(r.SequenceNumber) != sel.First:
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("there is no record %s in %s: the first one from there on is %s, of %s. What lay between was trimmed, or the number is that of no record",
			sel.First, sel.Shard, aws.ToString(r.SequenceNumber), aws.ToTime(r.ApproximateArrivalTimestamp).UTC().Format("2006-01-02 15:04:05 MST")))
	}
	return only, aws.ToTime(r.ApproximateArrivalTimestamp).UTC(), nil
}

func lastOr(last string) string {
	if last == "" {
		return "the end"
	}
	return last
}

// peekFirst is the first record of the range that is there, nil: there is none.
func (w *shardWalk) peekFirst(ctx context.Context) (*types.Record, error) {
	next, err := w.iterator(ctx)
	for range firstReads {
		if err != nil || next == nil {
			return nil, err
		}
		var out *kinesis.GetRecordsOutput
		if out, err = w.desk.kinesis.GetRecords(ctx, &kinesis.GetRecordsInput{StreamARN: aws.String(string(w.arn)), ShardIterator: next, Limit: aws.Int32(firstRecords)}); err != nil {
			return nil, err
		}
		for _, r := range out.Records {
			if !beyond(w.first, aws.ToString(r.SequenceNumber)) {
				return &r, nil
			}
		}
		if len(out.Records) == 0 && aws.ToInt64(out.MillisBehindLatest) == 0 {
			return nil, nil
		}
		next = out.NextShardIterator
	}
	return nil, fmt.Errorf("the first record of the range was not found in %d reads of %s", firstReads, w.shard)
}

// inRange leaves what lies in the range, and reports whether its end was reached.
func (w *shardWalk) inRange(page []types.Record) (kept []types.Record, over bool) {
	if w.first == "" && w.last == "" {
		return page, false
	}
	for _, r := range page {
		n := aws.ToString(r.SequenceNumber)
		switch {
		case w.first != "" && beyond(w.first, n):
			continue
		case w.last != "" && beyond(n, w.last):
			return kept, true
		}
		kept = append(kept, r)
		if n == w.last {
			return kept, true
		}
	}
	return kept, false
}

// fromFirst begins at the first record of the range. Where that is trimmed AWS may refuse
// or begin at a later one (it is not documented which): a refusal becomes a start at the
// oldest record there is, and what is before the range is left out.
func (w *shardWalk) fromFirst(ctx context.Context, in *kinesis.GetShardIteratorInput) (*string, error) {
	in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAtSequenceNumber, &w.first
	out, err := w.desk.kinesis.GetShardIterator(ctx, in)
	var invalid *types.InvalidArgumentException
	if errors.As(err, &invalid) {
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeTrimHorizon, nil
		out, err = w.desk.kinesis.GetShardIterator(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}
