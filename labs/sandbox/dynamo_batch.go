package sandbox

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The limits of batches: API reference, BatchWriteItem and BatchGetItem.
const (
	mostBatchWrites = 25
	mostBatchReads  = 100
	mostAnswerBytes = 16 << 20
)

// batchWrite puts and deletes without conditions. It is no transaction: here every
// entry is done, unless the fault PartialBatch leaves some over.
func (s *dynamoService) batchWrite(ctx context.Context, in *dynamodb.BatchWriteItemInput) (*dynamodb.BatchWriteItemOutput, error) {
	if in.ReturnItemCollectionMetrics == types.ReturnItemCollectionMetricsSize {
		return nil, unsupported("ReturnItemCollectionMetrics")
	}
	total := 0
	for _, requests := range in.RequestItems {
		total += len(requests)
	}
	switch {
	case len(in.RequestItems) == 0:
		return nil, invalid("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case total > mostBatchWrites:
		return nil, invalid("Too many items requested for the BatchWriteItem call")
	}
	var writes []*itemWrite
	var outcomes []outcome
	for _, name := range sortedNames(in.RequestItems) {
		of, err := s.batchOf(name, in.RequestItems[name])
		if err != nil {
			return nil, err
		}
		seen := map[place]bool{}
		for _, w := range of {
			o, err := w.check()
			if err != nil {
				return nil, err
			}
			if seen[o.place] {
				return nil, invalid("Provided list of item keys contains duplicates")
			}
			seen[o.place] = true
			outcomes = append(outcomes, o)
		}
		writes = append(writes, of...)
	}
	out := &dynamodb.BatchWriteItemOutput{UnprocessedItems: map[string][]types.WriteRequest{}}
	used := usages{}
	for i, w := range writes {
		if s.r.strikes(PartialBatch, "dynamodb", "BatchWriteItem") {
			out.UnprocessedItems[w.t.name] = append(out.UnprocessedItems[w.t.name], w.request())
			continue
		}
		used.add(w.t.writeUsage(outcomes[i], 1))
		w.t.store(outcomes[i])
	}
	out.ConsumedCapacity = s.countAll(ctx, used, in.ReturnConsumedCapacity)
	return out, nil
}

func (s *dynamoService) batchOf(name string, requests []types.WriteRequest) ([]*itemWrite, error) {
	if len(requests) == 0 {
		return nil, invalid("The batch write request list for a table cannot be null or empty: %s", name)
	}
	var out []*itemWrite
	for _, q := range requests {
		a := writeAsked{kind: putWrite, table: &name}
		switch {
		case (q.PutRequest == nil) == (q.DeleteRequest == nil):
			return nil, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
		case q.PutRequest != nil:
			a.key = q.PutRequest.Item
		default:
			a.kind, a.key = deleteWrite, q.DeleteRequest.Key
		}
		w, err := s.prepare(a)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// request is the write as it was asked for in a batch.
func (w *itemWrite) request() types.WriteRequest {
	if w.kind == deleteWrite {
		return types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: w.key}}
	}
	return types.WriteRequest{PutRequest: &types.PutRequest{Item: w.key}}
}

// usages are what a call takes of several tables, by name.
type usages map[string]*usage

func (us usages) add(u *usage) {
	if have, ok := us[u.table.name]; ok {
		have.add(u)
		return
	}
	us[u.table.name] = u
}

func (s *dynamoService) countAll(ctx context.Context, us usages, how types.ReturnConsumedCapacity) []types.ConsumedCapacity {
	var out []types.ConsumedCapacity
	for _, name := range sortedNames(us) {
		s.count(ctx, us[name].table, us[name])
		if c := us[name].shown(how); c != nil {
			out = append(out, *c)
		}
	}
	return out
}

// batchGet answers what fits into 16 MB; the keys of the rest come back unprocessed.
func (s *dynamoService) batchGet(ctx context.Context, in *dynamodb.BatchGetItemInput) (*dynamodb.BatchGetItemOutput, error) {
	total := 0
	for _, q := range in.RequestItems {
		total += len(q.Keys)
	}
	switch {
	case len(in.RequestItems) == 0:
		return nil, invalid("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case total > mostBatchReads:
		return nil, invalid("Too many items requested for the BatchGetItem call")
	}
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]item{}, UnprocessedKeys: map[string]types.KeysAndAttributes{}}
	used, bytes := usages{}, 0
	for _, name := range sortedNames(in.RequestItems) {
		q := in.RequestItems[name]
		t, paths, rows, err := s.batchRows(name, q)
		if err != nil {
			return nil, err
		}
		out.Responses[t.name] = []item{}
		rest := q
		rest.Keys = nil
		for i, r := range rows {
			if bytes+r.bytes > mostAnswerBytes || s.r.strikes(PartialBatch, "dynamodb", "BatchGetItem") {
				rest.Keys = append(rest.Keys, q.Keys[i])
				continue
			}
			bytes += r.bytes
			used.add(t.readUsage(nil, r.bytes, deref(q.ConsistentRead)))
			if r.it != nil {
				out.Responses[t.name] = append(out.Responses[t.name], cut(r.it, paths))
			}
		}
		if len(rest.Keys) > 0 {
			out.UnprocessedKeys[t.name] = rest
		}
	}
	out.ConsumedCapacity = s.countAll(ctx, used, in.ReturnConsumedCapacity)
	return out, nil
}

// batchRows finds the items of one table's keys, empty rows for those not there.
func (s *dynamoService) batchRows(name string, q types.KeysAndAttributes) (*table, []path, []row, error) {
	if q.AttributesToGet != nil {
		return nil, nil, nil, unsupported("AttributesToGet")
	}
	paths, err := projectionOf(q.ProjectionExpression, q.ExpressionAttributeNames)
	if err != nil {
		return nil, nil, nil, err
	}
	t, err := s.at(&name)
	if err != nil {
		return nil, nil, nil, err
	}
	var rows []row
	seen := map[place]bool{}
	for _, key := range q.Keys {
		r, err := t.get(key)
		if err != nil {
			return nil, nil, nil, err
		}
		p := t.placeOf(key)
		if seen[p] {
			return nil, nil, nil, invalid("Provided list of item keys contains duplicates")
		}
		seen[p] = true
		rows = append(rows, r)
	}
	return t, paths, rows, nil
}
