package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"kxops/ops"
)

// A preflight asks Kinesis whether a request would be carried out, with DryRun: rights,
// parameters and the encryption key are checked, and nothing is read or stored.
//
// An endpoint that has never heard of DryRun would store the record. So a request that
// writes is asked about only where the same endpoint has answered DryRun for one that
// reads: GetShardIterator, which does no harm where the word is ignored.

// preflightFact is the name of the plan's fact that says what was asked.
const preflightFact = "preflight"

// wouldWork reports the answer of a service that knows DryRun to a request that it would
// carry out.
func wouldWork(err error) bool {
	var yes *types.DryRunOperationException
	return errors.As(err, &yes)
}

// standsAgainst is what an answer to DryRun says against a replay; "" where it says
// nothing sure: throttled, no answer, a parameter that is not known.
func (d *Desk) standsAgainst(doing string, err error) string {
	p := d.o.Explain(err)
	switch {
	case p.Fault == ops.FaultDenied || p.Fault == ops.FaultNotFound || p.Fault == ops.FaultExpired || p.Fault == ops.FaultNoCreds:
	case p.Fault == ops.FaultOther && keyTrouble(err):
	default:
		return ""
	}
	return doing + ": " + strings.TrimSuffix(p.What, ".")
}

// mayIterate asks for the iterator of a shard, as a DryRun. It notes when the endpoint
// has shown that it knows the word.
func (d *Desk) mayIterate(ctx context.Context, stream ops.ARN, shard string) error {
	_, err := d.kinesis.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamARN: aws.String(string(stream)), ShardId: &shard,
		ShardIteratorType: types.ShardIteratorTypeTrimHorizon, DryRun: aws.Bool(true)})
	if wouldWork(err) {
		d.dryRuns.Store(true)
	}
	return err
}

// preflightSource asks whether the records of a stream may be read and decrypted. It
// reports false when they may not: nothing else needs to be read then.
func (d *Desk) preflightSource(ctx context.Context, plan *ops.ReplayPlan, shard string) bool {
	stream := plan.From.ARN
	doing := "read the records of " + stream.Name()
	err := d.mayIterate(ctx, stream, shard)
	if err == nil {
		notePreflight(plan, "source: not done, this endpoint does not know DryRun; the records that are read for the plan tell")
		return true
	}
	if wouldWork(err) {
		var it *kinesis.GetShardIteratorOutput
		if it, err = d.kinesis.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamARN: aws.String(string(stream)), ShardId: &shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}); err == nil {
			_, err = d.kinesis.GetRecords(ctx, &kinesis.GetRecordsInput{StreamARN: aws.String(string(stream)), ShardIterator: it.ShardIterator, DryRun: aws.Bool(true)})
		}
	}
	return d.judgePreflight(plan, "source", doing, "its records may be read", err)
}

// preflightTarget asks whether a stream would take a record.
func (d *Desk) preflightTarget(ctx context.Context, plan *ops.ReplayPlan) {
	if plan.To.Kind != ops.KindStream {
		return
	}
	if d.mayWrite(plan.To.Kind) != nil { // the gate: apply asks again, with the level that it needs
		notePreflight(plan, "target: not done, this session may not write; apply does it")
		return
	}
	if !d.dryRuns.Load() {
		if why := d.learnDryRun(ctx, plan.To.ARN); why != "" {
			notePreflight(plan, "target: not done, "+why)
			return
		}
	}
	out, err := d.putStream.PutRecords(ctx, &kinesis.PutRecordsInput{StreamARN: aws.String(string(plan.To.ARN)), DryRun: aws.Bool(true),
		Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("kxops-preflight"), Data: []byte(`{"kxops":"preflight"}`)}}})
	if err == nil { // it knew the word a moment ago
		at := "no record"
		if len(out.Records) > 0 {
			at = aws.ToString(out.Records[0].ShardId) + "/" + aws.ToString(out.Records[0].SequenceNumber)
		}
		plan.Blockers = append(plan.Blockers, fmt.Sprintf(`%s was asked with DryRun whether it takes a record, and stored it (%s, key kxops-preflight): this endpoint must not be trusted`, plan.To.ARN.Name(), at))
		return
	}
	d.judgePreflight(plan, "target", "put records into "+plan.To.ARN.Name(), "it takes records", err)
}

// learnDryRun finds out by a request that reads whether the endpoint knows DryRun. It
// returns why it did not.
func (d *Desk) learnDryRun(ctx context.Context, stream ops.ARN) string {
	shards, err := d.kinesis.ListShards(ctx, &kinesis.ListShardsInput{StreamARN: aws.String(string(stream)), MaxResults: aws.Int32(1)})
	if err == nil && len(shards.Shards) == 0 {
		return stream.Name() + " has no shard to ask about"
	}
	if err == nil {
		err = d.mayIterate(ctx, stream, aws.ToString(shards.Shards[0].ShardId))
	}
	switch {
	case err == nil:
		return "this endpoint does not know DryRun, and would store the record"
	case wouldWork(err):
		return ""
	}
	return "whether this endpoint knows DryRun is not known without reading from the target: " + ops.AsProblem(d.explain("ask for an iterator", err)).What
}

// judgePreflight books the answer to a DryRun. It reports false for a no.
func (d *Desk) judgePreflight(plan *ops.ReplayPlan, side, doing, yes string, err error) bool {
	if wouldWork(err) {
		notePreflight(plan, side+": "+yes+", by DryRun")
		return true
	}
	if why := d.standsAgainst(doing, err); why != "" {
		plan.Blockers = append(plan.Blockers, why+" (asked with DryRun, nothing was sent)")
		return false
	}
	notePreflight(plan, side+": not known, "+ops.AsProblem(d.explain(doing, err)).What)
	return true
}

// notePreflight adds to the plan's fact.
func notePreflight(plan *ops.ReplayPlan, text string) {
	for i := range plan.Facts {
		if plan.Facts[i].Name == preflightFact {
			plan.Facts[i].Value += "; " + text
			return
		}
	}
	plan.Facts = append(plan.Facts, ops.Fact{Name: preflightFact, Value: text})
}
