package sandbox

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"kxops/ops"
)

// A put that insists on a new item is done once; the second one learns what is there.
func TestPutOnce(t *testing.T) {
	d := dynamoOf(t)
	d.create("seen", "id:S")
	once := func(by string) (*dynamodb.PutItemOutput, error) {
		return d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("seen"), Item: item{"id": str("e1"), "by": str(by)},
			ConditionExpression: aws.String("attribute_not_exists(id)"), ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
	}
	_, err := once("first")
	d.ok(err)
	_, err = once("second")
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) || failed.ErrorMessage() != "The conditional request failed" {
		t.Fatalf("the second put: %v", err)
	}
	d.equal("the item in the error", failed.Item, item{"id": str("e1"), "by": str("first")})
	d.equal("the item", d.get("seen", item{"id": str("e1")}), item{"id": str("e1"), "by": str("first")})
}

// What writes answer, by what they were asked to.
func TestReturnValues(t *testing.T) {
	d := dynamoOf(t)
	d.create("seen", "id:S")
	key := item{"id": str("a")}
	old := item{"id": str("a"), "n": num("1"), "m": mapOf(item{"x": num("1"), "y": num("2")})}
	for how, want := range map[types.ReturnValue]item{
		"": nil, types.ReturnValueNone: nil, types.ReturnValueAllOld: old,
		types.ReturnValueAllNew:     {"id": str("a"), "n": num("2"), "m": mapOf(item{"x": num("5"), "y": num("2")})},
		types.ReturnValueUpdatedOld: {"n": num("1"), "m": mapOf(item{"x": num("1")})},
		types.ReturnValueUpdatedNew: {"n": num("2"), "m": mapOf(item{"x": num("5")})},
	} {
		d.put("seen", old)
		out, err := d.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("seen"), Key: key, ReturnValues: how,
			UpdateExpression: aws.String("SET n = n + :one, m.x = :five"), ExpressionAttributeValues: item{":one": num("1"), ":five": num("5")}})
		d.ok(err)
		d.equal(string(how), out.Attributes, want)
	}
	put, err := d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("seen"), Item: key, ReturnValues: types.ReturnValueAllOld})
	d.ok(err)
	if len(put.Attributes) != 3 {
		t.Errorf("put answered %v", put.Attributes)
	}
	gone, err := d.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("seen"), Key: key, ReturnValues: types.ReturnValueAllOld})
	d.ok(err)
	d.equal("deleted", gone.Attributes, key)
	none, err := d.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("seen"), Key: key, ReturnValues: types.ReturnValueAllOld})
	if err != nil || none.Attributes != nil {
		t.Errorf("deleting what is not there: %v, %v", none, err)
	}
	_, err = d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("seen"), Item: key, ReturnValues: types.ReturnValueAllNew})
	d.refused(err, "ValidationException", "ReturnValues can only be ALL_OLD or NONE")
	made, err := d.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("seen"), Key: key, ReturnValues: types.ReturnValueAllNew})
	d.ok(err)
	d.equal("an update without an expression makes the item", made.Attributes, key)
}

// Keys and values that a table does not take, in AWS's words.
func TestBadItems(t *testing.T) {
	d := dynamoOf(t)
	d.create("pairs", "id:S", "at:N")
	deep := types.AttributeValue(num("1"))
	for range 33 {
		deep = list(deep)
	}
	for want, it := range map[string]item{
		"One or more parameter values were invalid: Missing the key at in the item":                 {"id": str("a")},
		"One or more parameter values were invalid: Type mismatch for key at expected: N actual: S": {"id": str("a"), "at": str("1")},
		"The AttributeValue for a key attribute cannot contain an empty string value. Key: id":      {"id": str(""), "at": num("1")},
		"Size of hashkey has exceeded the maximum size limit of2048 bytes":                          {"id": str(strings.Repeat("x", 2049)), "at": num("1")},
		"Item size has exceeded the maximum allowed size":                                           {"id": str("a"), "at": num("1"), "x": str(strings.Repeat("x", 400<<10-6))},
		"The parameter cannot be converted to a numeric value: one":                                 {"id": str("a"), "at": num("one")},
		"Input collection [b, a, b] contains duplicates.":                                           {"id": str("a"), "at": num("1"), "x": strs("b", "a", "b")},
		"An string set  may not be empty":                                                           {"id": str("a"), "at": num("1"), "x": strs()},
		"Input collection contains duplicates":                                                      {"id": str("a"), "at": num("1"), "x": nums("1", "1.0")},
		"Null attribute value types must have the value of true":                                    {"id": str("a"), "at": num("1"), "x": &types.AttributeValueMemberNULL{}},
		"Nesting Levels have exceeded supported limits":                                             {"id": str("a"), "at": num("1"), "x": deep},
	} {
		_, err := d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("pairs"), Item: it})
		d.refused(err, "ValidationException", want)
	}
	d.put("pairs", item{"id": str("a"), "at": num("1"), "x": str(strings.Repeat("x", 400<<10-9))}) // the largest: names and number take the rest
	_, err := d.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("pairs"), Key: item{"id": str("a"), "at": num("1")},
		UpdateExpression: aws.String("SET y = :y"), ExpressionAttributeValues: item{":y": str("yy")}})
	d.refused(err, "ValidationException", "Item size to update has exceeded the maximum allowed size")
	for _, key := range []item{{"id": str("a")}, {"id": str("a"), "at": str("1")}, {"id": str("a"), "at": num("1"), "x": num("1")}, {"id": str("a"), "x": num("1")}} {
		_, err := d.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("pairs"), Key: key})
		d.refused(err, "ValidationException", "The provided key element does not match the schema")
	}
}

// Parameters of the old ways are refused by name, never ignored.
func TestLegacyParameters(t *testing.T) {
	d := dynamoOf(t)
	d.create("seen", "id:S")
	name, key := aws.String("seen"), item{"id": str("a")}
	calls := map[string]func() error{
		"Expected": func() error {
			_, err := d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: name, Item: key, Expected: map[string]types.ExpectedAttributeValue{"id": {Exists: aws.Bool(false)}}})
			return err
		},
		"AttributeUpdates": func() error {
			_, err := d.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: name, Key: key, AttributeUpdates: map[string]types.AttributeValueUpdate{"n": {Value: num("1")}}})
			return err
		},
		"AttributesToGet": func() error {
			_, err := d.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: name, Key: key, AttributesToGet: []string{"n"}})
			return err
		},
		"KeyConditions": func() error {
			_, err := d.client.Query(t.Context(), &dynamodb.QueryInput{TableName: name, KeyConditions: map[string]types.Condition{"id": {ComparisonOperator: "EQ", AttributeValueList: []types.AttributeValue{str("a")}}}})
			return err
		},
		"ScanFilter": func() error {
			_, err := d.client.Scan(t.Context(), &dynamodb.ScanInput{TableName: name, ScanFilter: map[string]types.Condition{"id": {ComparisonOperator: "NULL"}}})
			return err
		},
		"BillingMode PROVISIONED": func() error {
			in := &dynamodb.CreateTableInput{TableName: aws.String("other"), ProvisionedThroughput: &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(1), WriteCapacityUnits: aws.Int64(1)}}
			in.KeySchema, in.AttributeDefinitions = schemaOf([]string{"id:S"})
			_, err := d.client.CreateTable(t.Context(), in)
			return err
		},
	}
	for parameter, call := range calls {
		d.refused(call(), "NotImplemented", "does not support the parameter "+parameter)
	}
}

// history makes a table of readings: ten of each of three sensors, n from -3 up.
func (d *tables) history() {
	d.Helper()
	schema, definitions := schemaOf([]string{"sensor:S", "n:N"})
	byKind, more := schemaOf([]string{"kind:S", "size:N"})
	_, err := d.client.CreateTable(d.Context(), &dynamodb.CreateTableInput{TableName: aws.String("readings"), BillingMode: types.BillingModePayPerRequest,
		KeySchema: schema, AttributeDefinitions: append(definitions, more...),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			{IndexName: aws.String("byKind"), KeySchema: byKind, Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}},
			{IndexName: aws.String("few"), KeySchema: byKind[:1], Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"note"}}},
		}})
	d.ok(err)
	d.sb.Advance(tableTakes)
	for _, sensor := range []string{"a", "b", "c"} {
		for n := -3; n < 7; n++ {
			it := item{"sensor": str(sensor), "n": num(strconv.Itoa(n)), "note": str(fmt.Sprint(sensor, n)), "even": truth(n%2 == 0)}
			if n >= 0 {
				it["kind"], it["size"] = str([]string{"big", "small"}[n%2]), num(strconv.Itoa(n/4))
			}
			d.put("readings", it)
		}
	}
}

// notes lists an attribute of items, for short.
func notes(items []item, name string) string {
	var out []string
	for _, it := range items {
		switch v := it[name].(type) {
		case *types.AttributeValueMemberS:
			out = append(out, v.Value)
		case *types.AttributeValueMemberN:
			out = append(out, v.Value)
		default:
			out = append(out, "-")
		}
	}
	return strings.Join(out, " ")
}

// Queries: of one partition, a range, in order, page by page.
func TestQueries(t *testing.T) {
	d := dynamoOf(t)
	d.history()
	values := item{":a": str("a"), ":zero": num("0"), ":three": num("3.0"), ":big": str("big"), ":yes": truth(true), ":one": num("1")}
	for name, c := range map[string]struct {
		in   dynamodb.QueryInput
		want string
	}{
		"all":       {dynamodb.QueryInput{KeyConditionExpression: aws.String("sensor = :a")}, "-3 -2 -1 0 1 2 3 4 5 6"},
		"backwards": {dynamodb.QueryInput{KeyConditionExpression: aws.String("sensor = :a"), ScanIndexForward: aws.Bool(false)}, "6 5 4 3 2 1 0 -1 -2 -3"},
		"equal":     {dynamodb.QueryInput{KeyConditionExpression: aws.String("(sensor = :a) AND n = :three")}, "3"},
		"less":      {dynamodb.QueryInput{KeyConditionExpression: aws.String("n < :zero AND sensor = :a")}, "-3 -2 -1"},
		"at most":   {dynamodb.QueryInput{KeyConditionExpression: aws.String("sensor = :a AND n <= :zero")}, "-3 -2 -1 0"},
		"more":      {dynamodb.QueryInput{KeyConditionExpression: aws.String("sensor = :a AND n > :three")}, "4 5 6"},
		"at least":  {dynamodb.QueryInput{KeyConditionExpression: aws.String(":a = sensor AND :three <= n")}, "3 4 5 6"},
		"between":   {dynamodb.QueryInput{KeyConditionExpression: aws.String("sensor = :a AND n BETWEEN :zero AND :three")}, "0 1 2 3"},
		"filtered":  {dynamodb.QueryInput{KeyConditionExpression: aws.String("sensor = :a"), FilterExpression: aws.String("even = :yes")}, "-2 0 2 4 6"},
		"an index":  {dynamodb.QueryInput{KeyConditionExpression: aws.String("kind = :big AND #size = :one"), IndexName: aws.String("byKind")}, "4 6 4 6 4 6"},
		"nobody":    {dynamodb.QueryInput{KeyConditionExpression: aws.String("sensor = :big")}, ""},
	} {
		for limit := range int32(4) { // page by page gives the same as in one piece
			in := c.in
			in.TableName = aws.String("readings")
			in.ExpressionAttributeValues = item{}
			for _, k := range append(tokensOf(*in.KeyConditionExpression), tokensOf(deref(in.FilterExpression))...) {
				if k.kind == valueToken {
					in.ExpressionAttributeValues[k.text] = values[k.text]
				}
				if k.text == "#size" {
					in.ExpressionAttributeNames = map[string]string{"#size": "size"}
				}
			}
			if limit > 0 {
				in.Limit = &limit
			}
			var got []item
			for p := dynamodb.NewQueryPaginator(d.client, &in); p.HasMorePages() && len(got) <= 30; {
				page, err := p.NextPage(t.Context())
				d.ok(err)
				if limit > 0 && page.ScannedCount > limit {
					t.Errorf("%s: a page of %d with limit %d", name, page.ScannedCount, limit)
				}
				got = append(got, page.Items...)
			}
			if s := notes(got, "n"); s != c.want {
				t.Errorf("%s, limit %d: %s, want %s", name, limit, s, c.want)
			}
		}
	}
}

// What an index shows, and what it cannot.
func TestIndexes(t *testing.T) {
	d := dynamoOf(t)
	d.history()
	query := func(in dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
		in.TableName, in.KeyConditionExpression, in.ExpressionAttributeValues = aws.String("readings"), aws.String("kind = :k"), item{":k": str("big")}
		return d.client.Query(t.Context(), &in)
	}
	out, err := query(dynamodb.QueryInput{IndexName: aws.String("few"), Limit: aws.Int32(1)})
	d.ok(err)
	d.equal("an item in the index", out.Items, []item{{"sensor": str("a"), "n": num("0"), "kind": str("big"), "note": str("a0")}})
	d.equal("the last key", out.LastEvaluatedKey, item{"sensor": str("a"), "n": num("0"), "kind": str("big")})
	count, err := query(dynamodb.QueryInput{IndexName: aws.String("few"), Select: types.SelectCount})
	if err != nil || count.Count != 12 || count.Items != nil {
		t.Errorf("counted %d, %v", count.Count, err)
	}
	_, err = query(dynamodb.QueryInput{IndexName: aws.String("few"), ProjectionExpression: aws.String("even")})
	d.refused(err, "ValidationException", "Global secondary index few does not project [even]")
	_, err = query(dynamodb.QueryInput{IndexName: aws.String("few"), ConsistentRead: aws.Bool(true)})
	d.refused(err, "ValidationException", "Consistent reads are not supported on global secondary indexes")
	_, err = query(dynamodb.QueryInput{IndexName: aws.String("none")})
	d.refused(err, "ValidationException", "The table does not have the specified index: none")
	// what leaves its place leaves the index
	_, err = d.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("readings"), Key: item{"sensor": str("a"), "n": num("0")}, UpdateExpression: aws.String("REMOVE kind")})
	d.ok(err)
	_, err = d.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("readings"), Key: item{"sensor": str("b"), "n": num("0")}})
	d.ok(err)
	count, err = query(dynamodb.QueryInput{IndexName: aws.String("few"), Select: types.SelectCount})
	if err != nil || count.Count != 10 {
		t.Errorf("then counted %d, %v", count.Count, err)
	}
	_, err = d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("readings"), Item: item{"sensor": str("a"), "n": num("0"), "kind": num("1")}})
	d.refused(err, "ValidationException", "Type mismatch for Index Key kind Expected: S Actual: N IndexName: byKind")
}

// Key conditions that are none, in AWS's words.
func TestBadKeyConditions(t *testing.T) {
	d := dynamoOf(t)
	d.history()
	values := item{":a": str("a"), ":n": num("1"), ":e": str("")}
	for c, want := range map[string]string{
		"n = :n":                               "Query condition missed key schema element: sensor",
		"sensor = :a AND note = :a":            "Query condition missed key schema element: n",
		"sensor > :a":                          "Query key condition not supported",
		"begins_with(sensor, :a)":              "Query key condition not supported",
		"sensor = :a AND n = :n AND note = :a": "Query key condition not supported",
		"sensor = :a OR n = :n":                "Invalid operator used in KeyConditionExpression: OR",
		"sensor = :a AND NOT n = :n":           "Invalid operator used in KeyConditionExpression: NOT",
		"sensor = :a AND n <> :n":              "Invalid operator used in KeyConditionExpression: <>",
		"sensor = :a AND n IN (:n)":            "Invalid operator used in KeyConditionExpression: IN",
		"sensor = :a AND attribute_exists(n)":  "Invalid operator used in KeyConditionExpression: attribute_exists",
		"sensor = :a AND n > :n AND n < :n":    "KeyConditionExpressions must only contain one condition per key",
		"sensor = :n":                          "Condition parameter type does not match schema type",
		"sensor = :e":                          "The AttributeValue for a key attribute cannot contain an empty string value. Key: sensor",
		"sensor = :a AND":                      `Invalid KeyConditionExpression: Syntax error; token: "<EOF>", near: "AND"`,
	} {
		in := &dynamodb.QueryInput{TableName: aws.String("readings"), KeyConditionExpression: &c, ExpressionAttributeValues: item{}}
		for _, k := range tokensOf(c) {
			if k.kind == valueToken {
				in.ExpressionAttributeValues[k.text] = values[k.text]
			}
		}
		_, err := d.client.Query(t.Context(), in)
		d.refused(err, "ValidationException", want)
	}
	of := func(in dynamodb.QueryInput) error {
		in.TableName, in.KeyConditionExpression, in.ExpressionAttributeValues = aws.String("readings"), aws.String("sensor = :a"), item{":a": str("a")}
		_, err := d.client.Query(t.Context(), &in)
		return err
	}
	d.refused(of(dynamodb.QueryInput{FilterExpression: aws.String("n = n.x")}), "ValidationException", "Filter Expression can only contain non-primary key attributes: Primary key attribute: n")
	d.refused(of(dynamodb.QueryInput{ExclusiveStartKey: item{"sensor": str("a")}}), "ValidationException", "The provided starting key is invalid")
	d.refused(of(dynamodb.QueryInput{ExclusiveStartKey: item{"sensor": str("b"), "n": num("1")}}), "ValidationException", "outside query boundaries")
	_, err := d.client.Query(t.Context(), &dynamodb.QueryInput{TableName: aws.String("readings")})
	d.refused(err, "ValidationException", "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
}

// Scans find every item once: in one piece, page by page, and in parallel.
func TestScans(t *testing.T) {
	d := dynamoOf(t)
	d.history()
	for _, c := range []struct{ limit, segments int32 }{{0, 1}, {1, 1}, {7, 1}, {0, 3}, {2, 4}} {
		seen, pages := map[string]int{}, 0
		for s := range c.segments {
			in := &dynamodb.ScanInput{TableName: aws.String("readings"), ProjectionExpression: aws.String("note")}
			if c.segments > 1 {
				in.Segment, in.TotalSegments = &s, &c.segments
			}
			if c.limit > 0 {
				in.Limit = &c.limit
			}
			for p := dynamodb.NewScanPaginator(d.client, in); p.HasMorePages() && pages < 100; pages++ {
				page, err := p.NextPage(t.Context())
				d.ok(err)
				for _, it := range page.Items {
					if len(it) != 1 {
						t.Fatalf("more than asked for: %v", it)
					}
					seen[notes([]item{it}, "note")]++
				}
			}
		}
		if len(seen) != 30 || slices.ContainsFunc(sortedNames(seen), func(k string) bool { return seen[k] != 1 }) {
			t.Errorf("limit %d, %d segments: %v", c.limit, c.segments, seen)
		}
	}
}

// A page ends after a megabyte, whatever the filter leaves of it.
func TestPagesOfAMegabyte(t *testing.T) {
	d := dynamoOf(t)
	d.create("large", "id:S", "n:N")
	for n := range 10 {
		d.put("large", item{"id": str("a"), "n": num(strconv.Itoa(n)), "x": str(strings.Repeat("x", 300<<10))})
	}
	in := &dynamodb.QueryInput{TableName: aws.String("large"), KeyConditionExpression: aws.String("id = :a"), FilterExpression: aws.String("attribute_not_exists(x)"),
		ExpressionAttributeValues: item{":a": str("a")}, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal}
	var pages []int32
	for p := dynamodb.NewQueryPaginator(d.client, in); p.HasMorePages() && len(pages) < 10; {
		page, err := p.NextPage(t.Context())
		d.ok(err)
		pages = append(pages, page.ScannedCount)
		if page.Count != 0 || page.ScannedCount == 4 && *page.ConsumedCapacity.CapacityUnits != 150.5 { // 4 × 300 KiB and their keys, half a unit for each 4 KiB
			t.Errorf("%d items for %g units", page.Count, *page.ConsumedCapacity.CapacityUnits)
		}
	}
	d.equal("pages", pages, []int32{4, 4, 2})
}

// Batches write and read without conditions, within their limits.
func TestBatches(t *testing.T) {
	d := dynamoOf(t)
	d.create("one", "id:N")
	d.create("two", "id:N")
	puts := func(n int) (out []types.WriteRequest) {
		for i := range n {
			out = append(out, types.WriteRequest{PutRequest: &types.PutRequest{Item: item{"id": num(strconv.Itoa(i))}}})
		}
		return out
	}
	write := func(in map[string][]types.WriteRequest) (*dynamodb.BatchWriteItemOutput, error) {
		return d.client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: in})
	}
	_, err := write(map[string][]types.WriteRequest{"one": puts(20), "two": puts(5)})
	d.ok(err)
	_, err = write(map[string][]types.WriteRequest{"one": {{DeleteRequest: &types.DeleteRequest{Key: item{"id": num("3")}}}}})
	d.ok(err)
	_, err = write(map[string][]types.WriteRequest{"one": puts(20), "two": puts(6)})
	d.refused(err, "ValidationException", "Too many items requested for the BatchWriteItem call")
	_, err = write(map[string][]types.WriteRequest{"one": append(puts(2), types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item{"id": num("1.0")}}})})
	d.refused(err, "ValidationException", "Provided list of item keys contains duplicates")
	_, err = write(map[string][]types.WriteRequest{"none": puts(1)})
	d.refused(err, "ResourceNotFoundException", "Requested resource not found")

	keys := []item{{"id": num("2")}, {"id": num("3")}, {"id": num("4")}}
	got, err := d.client.BatchGetItem(t.Context(), &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{"one": {Keys: keys}, "two": {Keys: keys}}})
	d.ok(err)
	if a, b := notes(got.Responses["one"], "id"), notes(got.Responses["two"], "id"); a != "2 4" || b != "2 3 4" || len(got.UnprocessedKeys) != 0 {
		t.Errorf("got %s and %s, %d left", a, b, len(got.UnprocessedKeys))
	}
	d.sb.SetFaults(Fault{Kind: PartialBatch, Service: "dynamodb", Percent: 50})
	some, err := write(map[string][]types.WriteRequest{"one": puts(25)})
	d.ok(err)
	if n := len(some.UnprocessedItems["one"]); n == 0 || n == 25 {
		t.Errorf("%d of 25 left over", n)
	}
}

// A transaction is done whole or not at all, and says for each entry why not.
func TestTransactions(t *testing.T) {
	d := dynamoOf(t)
	d.create("stock", "id:S")
	d.create("orders", "id:S")
	d.put("stock", item{"id": str("tea"), "left": num("1")})
	order := func(id, token string) error {
		_, err := d.client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{ClientRequestToken: &token, TransactItems: []types.TransactWriteItem{
			{Update: &types.Update{TableName: aws.String("stock"), Key: item{"id": str("tea")}, UpdateExpression: aws.String("SET #l = #l - :one"), ConditionExpression: aws.String("#l >= :one"),
				ExpressionAttributeNames: map[string]string{"#l": "left"}, ExpressionAttributeValues: item{":one": num("1")}, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}},
			{Put: &types.Put{TableName: aws.String("orders"), Item: item{"id": &types.AttributeValueMemberS{Value: id}}, ConditionExpression: aws.String("attribute_not_exists(id)")}},
		}})
		return err
	}
	d.ok(order("1", "t1"))
	d.ok(order("1", "t1")) // the same again: done already
	d.equal("the stock", d.get("stock", item{"id": str("tea")}), item{"id": str("tea"), "left": num("0")})
	var mismatch *types.IdempotentParameterMismatchException
	if err := order("2", "t1"); !errors.As(err, &mismatch) {
		t.Errorf("another call with the same token: %v", err)
	}
	err := order("2", "t2")
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) || canceled.ErrorMessage() != "Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed, None]" {
		t.Fatalf("an order of nothing: %v", err)
	}
	d.equal("the reasons", canceled.CancellationReasons, []types.CancellationReason{
		{Code: aws.String("ConditionalCheckFailed"), Message: aws.String("The conditional request failed"), Item: item{"id": str("tea"), "left": num("0")}},
		{Code: aws.String("None")},
	})
	if got := d.get("orders", item{"id": str("2")}); got != nil {
		t.Errorf("half of a transaction: %v", got)
	}
	d.sb.Advance(tokensLast)
	if err := order("1", "t1"); !errors.As(err, &canceled) {
		t.Errorf("the first token after its time: %v", err)
	}

	put := func(n int) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{TableName: aws.String("orders"), Item: item{"id": str(strconv.Itoa(n))}}}
	}
	write := func(items ...types.TransactWriteItem) error {
		_, err := d.client.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: items})
		return err
	}
	d.refused(write(put(7), types.TransactWriteItem{Delete: &types.Delete{TableName: aws.String("orders"), Key: item{"id": str("7")}}}), "ValidationException", "Transaction request cannot include multiple operations on one item")
	var many []types.TransactWriteItem
	for n := range 101 {
		many = append(many, put(n))
	}
	d.refused(write(many...), "ValidationException", "Member must have length between 1 and 100, inclusive")
	d.ok(write(many[:100]...))
	d.refused(write(put(200), types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: aws.String("stock"), Key: item{"id": str("tea")}, ConditionExpression: aws.String("attribute_exists(gone")}}),
		"ValidationException", "Invalid ConditionExpression: Syntax error")
	err = write(put(200), types.TransactWriteItem{Update: &types.Update{TableName: aws.String("stock"), Key: item{"id": str("tea")}, UpdateExpression: aws.String("SET n = gone")}},
		types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: aws.String("stock"), Key: item{"id": str("coffee")}, ConditionExpression: aws.String("attribute_not_exists(id)")}})
	if !errors.As(err, &canceled) || deref(canceled.CancellationReasons[1].Code) != "ValidationError" || deref(canceled.CancellationReasons[2].Code) != "None" {
		t.Errorf("an update of what is not there: %v", err)
	}
	got, err := d.client.TransactGetItems(t.Context(), &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
		{Get: &types.Get{TableName: aws.String("orders"), Key: item{"id": str("200")}}},
		{Get: &types.Get{TableName: aws.String("stock"), Key: item{"id": str("tea")}, ProjectionExpression: aws.String("id")}},
	}})
	d.ok(err)
	if got.Responses[0].Item != nil {
		t.Errorf("half of a transaction: %v", got.Responses[0].Item)
	}
	d.equal("got", got.Responses[1].Item, item{"id": str("tea")})
}

// An item goes within the minute in which its time is past.
func TestExpiry(t *testing.T) {
	d := dynamoOf(t)
	d.create("seen", "id:S")
	at := func(after time.Duration) types.AttributeValue {
		return num(strconv.FormatInt(d.sb.Now().Add(after).Unix(), 10))
	}
	d.put("seen", item{"id": str("before"), "until": at(5 * time.Minute)})
	set := func(on bool, attribute string) error {
		_, err := d.client.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{TableName: aws.String("seen"), TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attribute, Enabled: &on}})
		return err
	}
	d.ok(set(true, "until"))
	d.refused(set(false, "until"), "ValidationException", "modified multiple times")
	d.sb.Advance(expiryTakes)
	d.refused(set(true, "until"), "ValidationException", "TimeToLive is already enabled")
	d.refused(set(false, "at"), "ValidationException", "TimeToLive is active on a different AttributeName: current AttributeName is until")
	for id, v := range map[string]types.AttributeValue{"soon": at(90 * time.Second), "kept": at(90 * time.Second), "text": str("1"), "ages ago": at(-6 * 365 * 24 * time.Hour)} {
		d.put("seen", item{"id": str(id), "until": v})
	}
	d.put("seen", item{"id": str("kept"), "until": at(time.Hour)})
	left := func() string {
		out, err := d.client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("seen")})
		d.ok(err)
		ids := strings.Split(notes(out.Items, "id"), " ")
		slices.Sort(ids)
		return strings.Join(ids, " ")
	}
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{time.Minute, "ages ago before kept soon text"}, {time.Minute, "ages ago before kept text"}, {5 * time.Minute, "ages ago kept text"}, {time.Hour, "ages ago text"}} {
		if d.sb.Advance(step.after); left() != step.want {
			t.Errorf("after %s: %s, want %s", step.after, left(), step.want)
		}
	}
	if p := d.sb.Region("").metrics.find("AWS/DynamoDB", "TimeToLiveDeletedItemCount", "TableName", "seen"); p == nil || p.between(d.sb.Now().Add(-2*time.Hour), d.sb.Now()).sum != 3 {
		t.Errorf("counted %+v", p)
	}
}

// A restore gives the items as they were at a second between two writes, and
// leaves the table alone.
func TestRestore(t *testing.T) {
	d := dynamoOf(t)
	d.history()
	_, err := d.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("readings"), Key: item{"sensor": str("c"), "n": num("0")}})
	d.ok(err)
	restore := func(to string, when time.Time) error {
		_, err := d.client.RestoreTableToPointInTime(t.Context(), &dynamodb.RestoreTableToPointInTimeInput{SourceTableName: aws.String("readings"), TargetTableName: &to, RestoreDateTime: &when})
		return err
	}
	var off *types.PointInTimeRecoveryUnavailableException
	if err := restore("early", d.sb.Now()); !errors.As(err, &off) {
		t.Errorf("restored without recovery: %v", err)
	}
	on, err := d.client.UpdateContinuousBackups(t.Context(), &dynamodb.UpdateContinuousBackupsInput{TableName: aws.String("readings"), PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)}})
	d.ok(err)
	if got := on.ContinuousBackupsDescription.PointInTimeRecoveryDescription; got.PointInTimeRecoveryStatus != types.PointInTimeRecoveryStatusEnabled || !got.EarliestRestorableDateTime.Equal(d.sb.Now()) {
		t.Errorf("switched on as %+v", got)
	}
	began := d.sb.Now()
	change := func(note string) time.Time { // changes one item, makes one, deletes one
		d.sb.Advance(10 * time.Second)
		d.put("readings", item{"sensor": str("a"), "n": num("0"), "note": str(note), "kind": str("big"), "size": num("0")})
		d.put("readings", item{"sensor": str("d"), "n": num(strings.TrimPrefix(note, "v")), "note": str(note)})
		_, err := d.client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("readings"), Key: item{"sensor": str("b"), "n": num(strings.TrimPrefix(note, "v"))}})
		d.ok(err)
		return d.sb.Now()
	}
	first, second := change("v1"), change("v2")
	d.refused(restore("late", second), "InvalidRestoreTimeException", "is not between the earliest")
	d.sb.Advance(10 * time.Minute)
	d.refused(restore("early", began.Add(-time.Second)), "InvalidRestoreTimeException", "is not between the earliest")
	d.refused(restore("readings", first), "TableAlreadyExistsException", "Table already exists: readings")
	for i, c := range []struct {
		when             time.Time
		note, d          string
		total, kindIsBig int32
	}{{began, "a0", "", 29, 11}, {first.Add(-time.Second), "a0", "", 29, 11}, {first, "v1", "1", 29, 11}, {second.Add(-time.Second), "v1", "1", 29, 11}, {second, "v2", "1 2", 29, 10}} {
		name := fmt.Sprint("again", i)
		d.ok(restore(name, c.when))
		made, err := d.client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &name})
		d.ok(err)
		if s := made.Table; s.TableStatus != types.TableStatusCreating || !*s.RestoreSummary.RestoreInProgress {
			t.Errorf("%s begins as %s", name, s.TableStatus)
		}
		d.sb.Advance(restoreTakes)
		if got := d.get(name, item{"sensor": str("a"), "n": num("0")}); notes([]item{got}, "note") != c.note {
			t.Errorf("%s: %v, want %s", name, got["note"], c.note)
		}
		all, err := d.client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &name})
		d.ok(err)
		fresh, err := d.client.Query(t.Context(), &dynamodb.QueryInput{TableName: &name, KeyConditionExpression: aws.String("sensor = :d"), ExpressionAttributeValues: item{":d": str("d")}})
		d.ok(err)
		big, err := d.client.Query(t.Context(), &dynamodb.QueryInput{TableName: &name, IndexName: aws.String("byKind"), KeyConditionExpression: aws.String("kind = :b"), ExpressionAttributeValues: item{":b": str("big")}})
		d.ok(err)
		if all.Count != c.total || notes(fresh.Items, "n") != c.d || big.Count != c.kindIsBig {
			t.Errorf("%s: %d items, new are %q, %d big; want %+v", name, all.Count, notes(fresh.Items, "n"), big.Count, c)
		}
	}
	if got := d.get("readings", item{"sensor": str("a"), "n": num("0")}); notes([]item{got}, "note") != "v2" {
		t.Errorf("the table itself: %v", got)
	}
}

// What a table remembers is bounded; what is forgotten cannot be restored.
func TestRecoveryIsBounded(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	m := recovery{on: true, since: start, days: 35}
	for i := range 11 {
		m.note(undo{at: start.Add(time.Duration(i) * time.Minute)}, 10)
	}
	if len(m.log) != 6 || !m.earliest(start).Equal(start.Add(4*time.Minute)) {
		t.Errorf("%d kept, earliest %s", len(m.log), m.earliest(start))
	}
	if got := m.earliest(start.Add(40 * 24 * time.Hour)); !got.Equal(start.Add(5 * 24 * time.Hour)) {
		t.Errorf("after forty days the earliest is %s", got)
	}
}

// What calls take is counted: in answers, in metrics, on the bill.
func TestRequestUnits(t *testing.T) {
	d := dynamoOf(t)
	d.history()
	before := d.sb.Bill().USD
	it := item{"sensor": str("a"), "n": num("100"), "kind": str("big"), "size": num("1"), "note": str(strings.Repeat("x", 1500))}
	put, err := d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("readings"), Item: it, ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes})
	d.ok(err)
	c := put.ConsumedCapacity
	if *c.CapacityUnits != 6 || *c.Table.CapacityUnits != 2 || *c.GlobalSecondaryIndexes["byKind"].CapacityUnits != 2 || *c.GlobalSecondaryIndexes["few"].CapacityUnits != 2 {
		t.Errorf("the put took %g", *c.CapacityUnits)
	}
	get, err := d.client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("readings"), Key: item{"sensor": str("a"), "n": num("100")}, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
	d.ok(err)
	if *get.ConsumedCapacity.CapacityUnits != 0.5 {
		t.Errorf("the get took %g", *get.ConsumedCapacity.CapacityUnits)
	}
	if got, want := d.sb.Bill().USD-before, 6*ops.PricePerWriteUnit+0.5*ops.PricePerReadUnit; math.Abs(got-want) > 1e-12 {
		t.Errorf("billed $%g, want $%g", got, want)
	}
	d.sb.Advance(time.Minute)
	_, err = d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("readings"), Item: it, ConditionExpression: aws.String("attribute_not_exists(n)")})
	d.refused(err, "ConditionalCheckFailedException", "")
	_, err = d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("readings"), Item: it, ConditionExpression: aws.String("oops")})
	d.refused(err, "ValidationException", "")
	d.sb.SetFaults(Fault{Kind: ServerError, Service: "dynamodb"})
	_, err = d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("readings"), Item: it})
	d.refused(err, "InternalFailure", "")
	d.sb.SetFaults(Fault{Kind: Throttle, Service: "dynamodb"})
	_, err = d.client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("readings"), Item: it})
	d.refused(err, "ThrottlingException", "")
	now := d.sb.Now()
	for _, m := range []struct {
		name string
		sum  float64
		dims []string
	}{
		{"ConsumedWriteCapacityUnits", 2, []string{"TableName", "readings"}}, // of the failed condition alone
		{"ConditionalCheckFailedRequests", 1, []string{"TableName", "readings"}},
		{"UserErrors", 1, nil},
		{"SystemErrors", 1, []string{"TableName", "readings", "Operation", "PutItem"}},
		{"ThrottledRequests", 1, []string{"TableName", "readings", "Operation", "PutItem"}},
	} {
		s := d.sb.Region("").metrics.find("AWS/DynamoDB", m.name, m.dims...)
		if s == nil || s.between(now, now.Add(time.Second)).sum != m.sum {
			t.Errorf("%s: %+v, want %g", m.name, s, m.sum)
		}
	}
	if s := d.sb.Region("").metrics.find("AWS/DynamoDB", "SuccessfulRequestLatency", "TableName", "readings", "Operation", "PutItem"); s == nil || s.between(now.Add(-time.Hour), now).count != 31 {
		t.Errorf("latency: %+v", s)
	}
}

// Tags are set, listed and found.
func TestTableTags(t *testing.T) {
	d := dynamoOf(t)
	arn := d.create("seen", "id:S").TableArn
	_, err := d.client.TagResource(t.Context(), &dynamodb.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("red")}, {Key: aws.String("lab"), Value: aws.String("2")}}})
	d.ok(err)
	_, err = d.client.UntagResource(t.Context(), &dynamodb.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"team"}})
	d.ok(err)
	out, err := d.client.ListTagsOfResource(t.Context(), &dynamodb.ListTagsOfResourceInput{ResourceArn: arn})
	d.ok(err)
	d.equal("tags", out.Tags, []types.Tag{{Key: aws.String("lab"), Value: aws.String("2")}})
	if all := d.sb.Region("").allTagged(); len(all) != 1 || string(all[0].ARN) != *arn {
		t.Errorf("found by tag: %v", all)
	}
	_, err = d.client.ListTagsOfResource(t.Context(), &dynamodb.ListTagsOfResourceInput{ResourceArn: aws.String(*arn + "x")})
	d.refused(err, "ResourceNotFoundException", "not found")
}
