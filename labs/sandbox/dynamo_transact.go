package sandbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithy "github.com/aws/smithy-go"
)

// The limits of transactions: API reference, TransactWriteItems. A token makes a
// call idempotent for ten minutes.
const (
	mostTransacted      = 100
	mostTransactedBytes = 4 << 20
	tokensLast          = 10 * time.Minute
)

// doneTransaction remembers a call by its token.
type doneTransaction struct {
	at   time.Time
	what [sha256.Size]byte
}

// askedIn reads one entry, of which exactly one kind must be set.
func askedIn(x types.TransactWriteItem) (writeAsked, error) {
	var all []writeAsked
	if p := x.Put; p != nil {
		all = append(all, writeAsked{kind: putWrite, table: p.TableName, key: p.Item, condition: p.ConditionExpression,
			names: p.ExpressionAttributeNames, values: p.ExpressionAttributeValues, onFailure: p.ReturnValuesOnConditionCheckFailure})
	}
	if u := x.Update; u != nil {
		all = append(all, writeAsked{kind: updateWrite, table: u.TableName, key: u.Key, update: u.UpdateExpression, condition: u.ConditionExpression,
			names: u.ExpressionAttributeNames, values: u.ExpressionAttributeValues, onFailure: u.ReturnValuesOnConditionCheckFailure})
	}
	if d := x.Delete; d != nil {
		all = append(all, writeAsked{kind: deleteWrite, table: d.TableName, key: d.Key, condition: d.ConditionExpression,
			names: d.ExpressionAttributeNames, values: d.ExpressionAttributeValues, onFailure: d.ReturnValuesOnConditionCheckFailure})
	}
	if c := x.ConditionCheck; c != nil {
		all = append(all, writeAsked{kind: checkWrite, table: c.TableName, key: c.Key, condition: c.ConditionExpression,
			names: c.ExpressionAttributeNames, values: c.ExpressionAttributeValues, onFailure: c.ReturnValuesOnConditionCheckFailure})
	}
	if len(all) != 1 {
		return writeAsked{}, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	return all[0], nil
}

// transactWrite does all of its writes or none. What is wrong with an expression is
// wrong with the call; what is wrong with an item is a reason to cancel.
func (s *dynamoService) transactWrite(ctx context.Context, in *dynamodb.TransactWriteItemsInput) (*dynamodb.TransactWriteItemsOutput, error) {
	if in.ReturnItemCollectionMetrics == types.ReturnItemCollectionMetricsSize {
		return nil, unsupported("ReturnItemCollectionMetrics")
	}
	if n := len(in.TransactItems); n < 1 || n > mostTransacted {
		return nil, invalid("1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length between 1 and %d, inclusive", mostTransacted)
	}
	what := sha256.Sum256(appendJSON(nil, reflect.ValueOf(in)))
	if done, err := s.doneBefore(in.ClientRequestToken, what); err != nil || done {
		return &dynamodb.TransactWriteItemsOutput{}, err
	}
	writes, err := s.prepareAll(in.TransactItems)
	if err != nil {
		return nil, err
	}
	outcomes, err := checkAll(writes)
	if err != nil {
		return nil, err
	}
	used := usages{}
	for i, w := range writes {
		used.add(w.t.writeUsage(outcomes[i], 2))
		if w.kind != checkWrite {
			w.t.store(outcomes[i])
		}
	}
	if token := deref(in.ClientRequestToken); token != "" {
		s.transactions[token] = doneTransaction{s.r.now(), what}
	}
	return &dynamodb.TransactWriteItemsOutput{ConsumedCapacity: s.countAll(ctx, used, in.ReturnConsumedCapacity)}, nil
}

// doneBefore says whether the call with this token was made before; with another
// content it is refused.
func (s *dynamoService) doneBefore(token *string, what [sha256.Size]byte) (bool, error) {
	now := s.r.now()
	for t, d := range s.transactions { // bounded by the calls of ten minutes
		if now.Sub(d.at) >= tokensLast {
			delete(s.transactions, t)
		}
	}
	before, ok := s.transactions[deref(token)]
	if ok && before.what != what {
		return false, &types.IdempotentParameterMismatchException{Message: aws.String("Request parameters do not match the ones of the request that used this client token before")}
	}
	return ok, nil
}

func (s *dynamoService) prepareAll(entries []types.TransactWriteItem) ([]*itemWrite, error) {
	type target struct {
		t *table
		p place
	}
	seen, bytes := map[target]bool{}, 0
	var out []*itemWrite
	for _, x := range entries {
		a, err := askedIn(x)
		if err != nil {
			return nil, err
		}
		if a.kind == checkWrite && a.condition == nil {
			return nil, invalid("The expression can not be empty; ConditionCheck needs a ConditionExpression")
		}
		w, err := s.prepare(a)
		if err != nil {
			return nil, err
		}
		bytes += sizeOfItem(w.key)
		if settleItem(w.key) == nil { // if not, check gives the reason
			at := target{w.t, w.t.placeOf(w.key)}
			if seen[at] {
				return nil, invalid("Transaction request cannot include multiple operations on one item")
			}
			seen[at] = true
		}
		out = append(out, w)
	}
	if bytes > mostTransactedBytes {
		return nil, invalid("Transaction request size exceeds the limit of 4 MB")
	}
	return out, nil
}

// checkAll says what the writes would do, or why the transaction is cancelled.
func checkAll(writes []*itemWrite) ([]outcome, error) {
	outcomes := make([]outcome, len(writes))
	reasons := make([]types.CancellationReason, len(writes))
	codes := make([]string, len(writes))
	canceled := false
	for i, w := range writes {
		o, err := w.check()
		outcomes[i], reasons[i], codes[i] = o, types.CancellationReason{Code: aws.String("None")}, "None"
		if err == nil {
			continue
		}
		canceled = true
		codes[i] = "ValidationError"
		var failed *types.ConditionalCheckFailedException
		if errors.As(err, &failed) {
			codes[i], reasons[i].Item = "ConditionalCheckFailed", failed.Item
		}
		var api smithy.APIError
		if errors.As(err, &api) {
			reasons[i].Message = aws.String(api.ErrorMessage())
		}
		reasons[i].Code = &codes[i]
	}
	if canceled {
		return nil, &types.TransactionCanceledException{
			Message:             aws.String("Transaction cancelled, please refer cancellation reasons for specific reasons [" + strings.Join(codes, ", ") + "]"),
			CancellationReasons: reasons,
		}
	}
	return outcomes, nil
}

func (s *dynamoService) transactGet(ctx context.Context, in *dynamodb.TransactGetItemsInput) (*dynamodb.TransactGetItemsOutput, error) {
	if n := len(in.TransactItems); n < 1 || n > mostTransacted {
		return nil, invalid("1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length between 1 and %d, inclusive", mostTransacted)
	}
	out, used := &dynamodb.TransactGetItemsOutput{}, usages{}
	for _, x := range in.TransactItems {
		if x.Get == nil {
			return nil, invalid("1 validation error detected: Value null at 'transactItems.member.get' failed to satisfy constraint: Member must not be null")
		}
		paths, err := projectionOf(x.Get.ProjectionExpression, x.Get.ExpressionAttributeNames)
		if err != nil {
			return nil, err
		}
		t, err := s.at(x.Get.TableName)
		if err != nil {
			return nil, err
		}
		found, err := t.get(x.Get.Key)
		if err != nil {
			return nil, err
		}
		u := t.readUsage(nil, found.bytes, true)
		u.read *= 2
		used.add(u)
		out.Responses = append(out.Responses, types.ItemResponse{Item: shownItem(found.it, paths)})
	}
	out.ConsumedCapacity = s.countAll(ctx, used, in.ReturnConsumedCapacity)
	return out, nil
}
