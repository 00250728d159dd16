package sandbox

import (
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithy "github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// tables is a sandbox seen through a real DynamoDB client, without retries.
type tables struct {
	*testing.T
	sb     *Sandbox
	client *dynamodb.Client
}

func dynamoOf(t *testing.T) *tables {
	t.Helper()
	sb := empty(t)
	return &tables{t, sb, dynamodb.NewFromConfig(sb.Config(), func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })}
}

// create makes an active table with a hash key pk and, where asked, a range key.
// An attribute is given as name:type.
func (d *tables) create(name string, keys ...string) *types.TableDescription {
	d.Helper()
	in := &dynamodb.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest}
	in.KeySchema, in.AttributeDefinitions = schemaOf(keys)
	out, err := d.client.CreateTable(d.Context(), in)
	d.ok(err)
	d.sb.Advance(tableTakes)
	return out.TableDescription
}

func schemaOf(keys []string) (schema []types.KeySchemaElement, definitions []types.AttributeDefinition) {
	for i, k := range keys {
		name, kind, _ := strings.Cut(k, ":")
		schema = append(schema, types.KeySchemaElement{AttributeName: &name, KeyType: []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]})
		definitions = append(definitions, types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeType(kind)})
	}
	return schema, definitions
}

func (d *tables) ok(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// refused checks the code of an error and its text.
func (d *tables) refused(err error, code, text string) {
	d.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), text) {
		d.Errorf("got %v, want %s with %q", err, code, text)
	}
}

func (d *tables) put(table string, it item) {
	d.Helper()
	_, err := d.client.PutItem(d.Context(), &dynamodb.PutItemInput{TableName: &table, Item: it})
	d.ok(err)
}

func (d *tables) get(table string, key item) item {
	d.Helper()
	out, err := d.client.GetItem(d.Context(), &dynamodb.GetItemInput{TableName: &table, Key: key})
	d.ok(err)
	return out.Item
}

func (d *tables) equal(what string, got, want any) {
	d.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(
		types.AttributeValueMemberB{}, types.AttributeValueMemberBOOL{}, types.AttributeValueMemberBS{}, types.AttributeValueMemberL{}, types.AttributeValueMemberM{},
		types.AttributeValueMemberN{}, types.AttributeValueMemberNS{}, types.AttributeValueMemberNULL{}, types.AttributeValueMemberS{}, types.AttributeValueMemberSS{},
		types.CancellationReason{}, types.Tag{},
	)); diff != "" {
		d.Errorf("%s:\n%s", what, diff)
	}
}

func str(s string) types.AttributeValue              { return &types.AttributeValueMemberS{Value: s} }
func num(s string) types.AttributeValue              { return &types.AttributeValueMemberN{Value: s} }
func bin(s string) types.AttributeValue              { return &types.AttributeValueMemberB{Value: []byte(s)} }
func truth(b bool) types.AttributeValue              { return &types.AttributeValueMemberBOOL{Value: b} }
func strs(s ...string) *types.AttributeValueMemberSS { return &types.AttributeValueMemberSS{Value: s} }
func nums(s ...string) *types.AttributeValueMemberNS { return &types.AttributeValueMemberNS{Value: s} }
func list(v ...types.AttributeValue) types.AttributeValue {
	return &types.AttributeValueMemberL{Value: v}
}
func mapOf(it item) types.AttributeValue { return &types.AttributeValueMemberM{Value: it} }

// Every kind of value comes back as it went, numbers in plain digits and sets in order.
func TestItemsKeepTheirValues(t *testing.T) {
	d := dynamoOf(t)
	d.create("things", "pk:S", "at:N")
	d.put("things", item{
		"pk": str("a <&> é"), "at": num("1.50e3"), "entry": mapOf(item{"entry": mapOf(item{"member": list()})}), "member": truth(false), "empty": str(""),
		"bytes": bin("\x00\xff"), "none": &types.AttributeValueMemberNULL{Value: true}, "words": strs("b", "a"), "numbers": nums("10", "-9", "0.5"),
		"blobs": &types.AttributeValueMemberBS{Value: [][]byte{{2}, {1}}}, "list": list(num("-0"), str("x"), list(truth(true))),
	})
	d.equal("the item", d.get("things", item{"pk": str("a <&> é"), "at": num("1500.0")}), item{
		"pk": str("a <&> é"), "at": num("1500"), "entry": mapOf(item{"entry": mapOf(item{"member": list()})}), "member": truth(false), "empty": str(""),
		"bytes": bin("\x00\xff"), "none": &types.AttributeValueMemberNULL{Value: true}, "words": strs("a", "b"), "numbers": nums("-9", "0.5", "10"),
		"blobs": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}}, "list": list(num("0"), str("x"), list(truth(true))),
	})
	if got := d.get("things", item{"pk": str("a <&> é"), "at": num("1501")}); got != nil {
		t.Errorf("an item that is not there: %v", got)
	}
}

// A table comes and goes in its own time, and can be used only in between.
func TestTableLife(t *testing.T) {
	d := dynamoOf(t)
	in := &dynamodb.CreateTableInput{TableName: aws.String("orders"), BillingMode: types.BillingModePayPerRequest}
	in.KeySchema, in.AttributeDefinitions = schemaOf([]string{"id:S"})
	made, err := d.client.CreateTable(t.Context(), in)
	d.ok(err)
	if made.TableDescription.TableStatus != types.TableStatusCreating {
		t.Errorf("made as %s", made.TableDescription.TableStatus)
	}
	put := &dynamodb.PutItemInput{TableName: aws.String("orders"), Item: item{"id": str("1")}}
	_, err = d.client.PutItem(t.Context(), put)
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) {
		t.Errorf("put into a table that is being made: %v", err)
	}
	_, err = d.client.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: in.TableName})
	d.refused(err, "ResourceInUseException", "Table is being created: orders")
	d.sb.Advance(tableTakes)
	_, err = d.client.PutItem(t.Context(), put)
	d.ok(err)
	_, err = d.client.CreateTable(t.Context(), in)
	d.refused(err, "ResourceInUseException", "Table already exists: orders")
	d.sb.Advance(countsEvery)
	seen, err := d.client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: made.TableDescription.TableArn})
	d.ok(err)
	if *seen.Table.ItemCount != 1 || *seen.Table.TableSizeBytes != 3 || seen.Table.TableStatus != types.TableStatusActive {
		t.Errorf("described as %d items, %d bytes, %s", *seen.Table.ItemCount, *seen.Table.TableSizeBytes, seen.Table.TableStatus)
	}
	_, err = d.client.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: in.TableName})
	d.ok(err)
	d.sb.Advance(time.Minute)
	_, err = d.client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: in.TableName})
	d.refused(err, "ResourceNotFoundException", "Table: orders not found")
}

// Answers and errors carry their checksum: without it the SDK warns about each one.
func TestAnswersCarryTheirChecksum(t *testing.T) {
	d := dynamoOf(t)
	for _, operation := range []string{"ListTables", "DescribeTable"} { // the second one fails
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+inProcessHost+"/", strings.NewReader(`{"TableName":"none"}`))
		d.ok(err)
		req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
		req.Header.Set("Content-Type", "application/x-amz-json-1.0")
		resp, err := inProcess{d.sb}.RoundTrip(req)
		d.ok(err)
		body, err := io.ReadAll(resp.Body)
		d.ok(err)
		d.ok(resp.Body.Close())
		if got, want := resp.Header.Get("X-Amz-Crc32"), strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10); got != want {
			t.Errorf("%s: checksum %q of %s, want %s", operation, got, body, want)
		}
	}
}

// Answers are read while others write: what a table holds is replaced, never changed.
// (The race detector is the judge; the counter shows that no update is lost.)
func TestManyClients(t *testing.T) {
	d := dynamoOf(t)
	d.create("counters", "id:S")
	d.put("counters", item{"id": str("a"), "n": num("0"), "log": list(), "m": mapOf(item{"deep": list(num("0"))})})
	const clients, calls = 4, 25
	errs := make(chan error, clients)
	for range clients {
		go func() {
			var first error
			for range calls {
				_, err := d.client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("counters"), Key: item{"id": str("a")}, ReturnValues: types.ReturnValueAllOld,
					UpdateExpression:          aws.String("SET #log = list_append(#log, :x), m.deep[0] = n ADD n :one"),
					ExpressionAttributeNames:  map[string]string{"#log": "log"},
					ExpressionAttributeValues: item{":x": list(str("x")), ":one": num("1")}})
				_, again := d.client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("counters")})
				first = errors.Join(first, err, again)
			}
			errs <- first
		}()
	}
	for range clients {
		d.ok(<-errs)
	}
	got := d.get("counters", item{"id": str("a")})
	if n := len(got["log"].(*types.AttributeValueMemberL).Value); n != clients*calls || notes([]item{got}, "n") != strconv.Itoa(clients*calls) {
		t.Errorf("%d in the list, counted %s", n, notes([]item{got}, "n"))
	}
}

// Two runs with one seed are alike, to the order of a scan and the latencies.
func TestTablesRepeat(t *testing.T) {
	run := func() (string, datapoint) {
		d := dynamoOf(t)
		d.history()
		out, err := d.client.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("readings")})
		d.ok(err)
		now := d.sb.Now()
		return notes(out.Items, "note"), d.sb.Region("").metrics.find("AWS/DynamoDB", "SuccessfulRequestLatency", "TableName", "readings", "Operation", "PutItem").between(now, now.Add(time.Second))
	}
	order, latency := run()
	again, sameLatency := run()
	if order != again || latency != sameLatency || latency.count != 30 {
		t.Errorf("first %s %+v, then %s %+v", order, latency, again, sameLatency)
	}
}
