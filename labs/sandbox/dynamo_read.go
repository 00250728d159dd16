package sandbox

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

func (s *dynamoService) getItem(ctx context.Context, in *dynamodb.GetItemInput) (*dynamodb.GetItemOutput, error) {
	if in.AttributesToGet != nil {
		return nil, unsupported("AttributesToGet")
	}
	paths, err := projectionOf(in.ProjectionExpression, in.ExpressionAttributeNames)
	if err != nil {
		return nil, err
	}
	t, err := s.at(in.TableName)
	if err != nil {
		return nil, err
	}
	found, err := t.get(in.Key)
	if err != nil {
		return nil, err
	}
	u := t.readUsage(nil, found.bytes, deref(in.ConsistentRead))
	s.count(ctx, t, u)
	return &dynamodb.GetItemOutput{Item: shownItem(found.it, paths), ConsumedCapacity: u.shown(in.ReturnConsumedCapacity)}, nil
}

// projectionOf reads the projection of an operation that has no other expression.
func projectionOf(text *string, names map[string]string) ([]path, error) {
	h, err := readHolders(names, nil, phrase{"ProjectionExpression", text})
	if err != nil {
		return nil, err
	}
	paths, _, err := parseProjection(text, h)
	if err != nil {
		return nil, err
	}
	return paths, h.unused()
}

// get finds the item of a key; the row is empty where there is none.
func (t *table) get(key item) (row, error) {
	if err := t.checkKey(key); err != nil {
		return row{}, err
	}
	found, _ := t.find(t.placeOf(key))
	return found, nil
}

// shownItem is an item as an answer has it: an item that is there and has nothing of
// what was asked for is empty, and not missing.
func shownItem(it item, paths []path) item {
	if it == nil {
		return nil
	}
	return cut(it, paths)
}
