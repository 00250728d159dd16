package sandbox

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// itemWrite is one change of one item: a put, an update, a delete, or, in a transaction,
// only a condition.
type itemWrite struct {
	t         *table
	key       item // as given: the whole item for a put
	kind      writeKind
	update    *update
	condition question
	onFailure types.ReturnValuesOnConditionCheckFailure
}

type writeKind int

const (
	putWrite writeKind = iota
	updateWrite
	deleteWrite
	checkWrite
)

// writeAsked is what the operations that write have in common.
type writeAsked struct {
	kind              writeKind
	table             *string
	key               item
	update, condition *string
	names             map[string]string
	values            item
	onFailure         types.ReturnValuesOnConditionCheckFailure
}

// prepare reads what does not depend on the item: the expressions.
func (s *dynamoService) prepare(a writeAsked) (*itemWrite, error) {
	w := &itemWrite{key: a.key, kind: a.kind, onFailure: a.onFailure}
	expressions := []phrase{{"ConditionExpression", a.condition}}
	if a.kind == updateWrite {
		expressions = []phrase{{"UpdateExpression", a.update}, {"ConditionExpression", a.condition}}
	}
	h, err := readHolders(a.names, a.values, expressions...)
	if err != nil {
		return nil, err
	}
	if w.update, err = parseUpdate(a.update, h); err != nil {
		return nil, err
	}
	if w.condition, _, err = parseCondition(phrase{"ConditionExpression", a.condition}, h); err != nil {
		return nil, err
	}
	if err := h.unused(); err != nil {
		return nil, err
	}
	if w.t, err = s.at(a.table); err != nil {
		return nil, err
	}
	for _, target := range w.update.targets() {
		if target[0].name == w.t.hash || target[0].name == w.t.sort {
			return nil, badItemParameter("Cannot update attribute %s. This attribute is part of the key", target[0].name)
		}
	}
	return w, nil
}

// outcome is what a write would do, or has done.
type outcome struct {
	place
	old, new item // nil where there is none
}

// check says what the write would make of the item, or why it may not.
func (w *itemWrite) check() (outcome, error) {
	checkKeys := w.t.checkKey
	if w.kind == putWrite {
		checkKeys = w.t.checkItem
	}
	if err := checkKeys(w.key); err != nil {
		return outcome{}, err
	}
	o := outcome{place: w.t.placeOf(w.key)}
	if have, ok := w.t.find(o.place); ok {
		o.old = have.it
	}
	if !holdsFor(w.condition, o.old) {
		failed := &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed")}
		if w.onFailure == types.ReturnValuesOnConditionCheckFailureAllOld {
			failed.Item = o.old
		}
		return o, failed
	}
	var err error
	switch w.kind {
	case putWrite:
		o.new = w.key
	case updateWrite:
		o.new, err = w.updated(o.old)
	case checkWrite:
		o.new = o.old
	}
	return o, err
}

// updated is the item after the update; one that was not there begins with its key.
func (w *itemWrite) updated(old item) (item, error) {
	if old == nil {
		old = w.key
	}
	out, err := w.update.apply(old)
	if err != nil {
		return nil, err
	}
	if err := checkDepth(out, 0); err != nil {
		return nil, err
	}
	if sizeOfItem(out) > mostItemBytes {
		return nil, invalid("Item size to update has exceeded the maximum allowed size")
	}
	return out, w.t.checkIndexKeys(out)
}

// do checks and stores one write and counts what it took.
func (s *dynamoService) do(ctx context.Context, a writeAsked) (*itemWrite, outcome, *usage, error) {
	w, err := s.prepare(a)
	if err != nil {
		return nil, outcome{}, nil, err
	}
	o, err := w.check()
	u := w.t.writeUsage(o, 1)
	if err != nil {
		if _, failed := err.(*types.ConditionalCheckFailedException); failed { //nolint:errorlint // our own, unwrapped
			s.count(ctx, w.t, w.t.failedUsage(o))
		}
		return w, o, nil, err
	}
	w.t.store(o)
	s.count(ctx, w.t, u)
	return w, o, u, nil
}

func legacy(operator types.ConditionalOperator, expected map[string]types.ExpectedAttributeValue, metrics types.ReturnItemCollectionMetrics) error {
	return firstSet(given{"ConditionalOperator", operator != ""}, given{"Expected", expected != nil},
		given{"ReturnItemCollectionMetrics", metrics == types.ReturnItemCollectionMetricsSize})
}

func (s *dynamoService) putItem(ctx context.Context, in *dynamodb.PutItemInput) (*dynamodb.PutItemOutput, error) {
	if err := legacy(in.ConditionalOperator, in.Expected, in.ReturnItemCollectionMetrics); err != nil {
		return nil, err
	}
	if in.ReturnValues != "" && in.ReturnValues != types.ReturnValueNone && in.ReturnValues != types.ReturnValueAllOld {
		return nil, invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	_, o, u, err := s.do(ctx, writeAsked{kind: putWrite, table: in.TableName, key: in.Item, condition: in.ConditionExpression,
		names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues, onFailure: in.ReturnValuesOnConditionCheckFailure})
	if err != nil {
		return nil, err
	}
	out := &dynamodb.PutItemOutput{ConsumedCapacity: u.shown(in.ReturnConsumedCapacity)}
	if in.ReturnValues == types.ReturnValueAllOld {
		out.Attributes = o.old
	}
	return out, nil
}

func (s *dynamoService) deleteItem(ctx context.Context, in *dynamodb.DeleteItemInput) (*dynamodb.DeleteItemOutput, error) {
	if err := legacy(in.ConditionalOperator, in.Expected, in.ReturnItemCollectionMetrics); err != nil {
		return nil, err
	}
	if in.ReturnValues != "" && in.ReturnValues != types.ReturnValueNone && in.ReturnValues != types.ReturnValueAllOld {
		return nil, invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	_, o, u, err := s.do(ctx, writeAsked{kind: deleteWrite, table: in.TableName, key: in.Key, condition: in.ConditionExpression,
		names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues, onFailure: in.ReturnValuesOnConditionCheckFailure})
	if err != nil {
		return nil, err
	}
	out := &dynamodb.DeleteItemOutput{ConsumedCapacity: u.shown(in.ReturnConsumedCapacity)}
	if in.ReturnValues == types.ReturnValueAllOld {
		out.Attributes = o.old
	}
	return out, nil
}

func (s *dynamoService) updateItem(ctx context.Context, in *dynamodb.UpdateItemInput) (*dynamodb.UpdateItemOutput, error) {
	if err := legacy(in.ConditionalOperator, in.Expected, in.ReturnItemCollectionMetrics); err != nil {
		return nil, err
	}
	if in.AttributeUpdates != nil {
		return nil, unsupported("AttributeUpdates")
	}
	w, o, u, err := s.do(ctx, writeAsked{kind: updateWrite, table: in.TableName, key: in.Key, update: in.UpdateExpression, condition: in.ConditionExpression,
		names: in.ExpressionAttributeNames, values: in.ExpressionAttributeValues, onFailure: in.ReturnValuesOnConditionCheckFailure})
	if err != nil {
		return nil, err
	}
	out := &dynamodb.UpdateItemOutput{ConsumedCapacity: u.shown(in.ReturnConsumedCapacity)}
	switch in.ReturnValues {
	case types.ReturnValueAllOld:
		out.Attributes = o.old
	case types.ReturnValueAllNew:
		out.Attributes = o.new
	case types.ReturnValueUpdatedOld:
		out.Attributes = cutTo(o.old, w.update.targets())
	case types.ReturnValueUpdatedNew:
		out.Attributes = cutTo(o.new, w.update.targets())
	}
	return out, nil
}

// cutTo is cut where no paths mean nothing.
func cutTo(it item, paths []path) item {
	if len(paths) == 0 || it == nil {
		return nil
	}
	return cut(it, paths)
}

// store lays the new item into the table and its indexes, instead of the old one.
func (t *table) store(o outcome) {
	had, ok := t.find(o.place)
	t.recovery.note(undo{at: t.r.now(), place: o.place, old: had.it}, mostUndone)
	if ok {
		t.items, t.bytes = t.items-1, t.bytes-had.bytes
		for _, x := range t.indexes {
			if x.has(had.it) {
				x.remove(x.placeIn(t, had.it))
			}
		}
	}
	if o.new == nil {
		t.remove(o.place)
		return
	}
	size := sizeOfItem(o.new)
	t.items, t.bytes = t.items+1, t.bytes+size
	t.put(row{place: o.place, it: o.new, bytes: size})
	t.expect(o.place, o.new)
	for _, x := range t.indexes {
		if x.has(o.new) {
			seen := x.seen(t, o.new)
			x.put(row{place: x.placeIn(t, o.new), it: seen, bytes: sizeOfItem(seen)})
		}
	}
}

// seen is what the index shows of an item.
func (x *tableIndex) seen(t *table, it item) item {
	if x.projection.ProjectionType == types.ProjectionTypeAll {
		return it
	}
	out := item{}
	for _, names := range [][]string{t.names(), x.names(), x.projection.NonKeyAttributes} {
		for _, name := range names {
			if v := it[name]; v != nil {
				out[name] = v
			}
		}
	}
	return out
}
