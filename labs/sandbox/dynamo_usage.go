package sandbox

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// usage is what a call takes of one table, in request units (developer guide,
// "DynamoDB read and write operations"): a write unit for each KiB, a read unit for
// each 4 KiB, half of it for an eventually consistent read, double in a transaction.
type usage struct {
	table         *table
	read, write   float64            // of the table itself
	indexed       map[string]float64 // of its indexes, by name
	indexesAreFor string             // "read" or "write"
}

func units(bytes, size int) float64 { return float64(max(1, (bytes+size-1)/size)) }

// writeUsage counts the larger of the item before and after, and what its indexes
// write.
func (t *table) writeUsage(o outcome, factor float64) *usage {
	u := &usage{table: t, write: factor * units(max(sizeOfItem(o.old), sizeOfItem(o.new)), 1<<10), indexed: map[string]float64{}, indexesAreFor: "write"}
	for _, x := range t.indexes {
		if n := x.writes(t, o); n > 0 {
			u.indexed[x.name] = factor * n
		}
	}
	return u
}

// failedUsage: a failed condition takes what the item there has.
func (t *table) failedUsage(o outcome) *usage {
	return &usage{table: t, write: units(sizeOfItem(o.old), 1<<10), indexesAreFor: "write"}
}

// writes are the units of an index: one write where something is seen to come, to go
// or to change, two where it moves.
func (x *tableIndex) writes(t *table, o outcome) float64 {
	before, after := o.old != nil && x.has(o.old), o.new != nil && x.has(o.new)
	var was, is item
	if before {
		was = x.seen(t, o.old)
	}
	if after {
		is = x.seen(t, o.new)
	}
	switch {
	case before && after && x.placeIn(t, was) != x.placeIn(t, is):
		return units(sizeOfItem(was), 1<<10) + units(sizeOfItem(is), 1<<10)
	case !before && !after || before && after && sameItem(was, is):
		return 0
	}
	return units(max(sizeOfItem(was), sizeOfItem(is)), 1<<10)
}

// readUsage counts the bytes of a page or an item, of the table or of an index.
func (t *table) readUsage(x *tableIndex, bytes int, consistent bool) *usage {
	n := units(bytes, 4<<10)
	if !consistent {
		n /= 2
	}
	if x != nil {
		return &usage{table: t, indexed: map[string]float64{x.name: n}, indexesAreFor: "read"}
	}
	return &usage{table: t, read: n, indexesAreFor: "read"}
}

func (u *usage) total() float64 {
	n := u.read + u.write
	for _, name := range sortedNames(u.indexed) {
		n += u.indexed[name]
	}
	return n
}

// add counts another usage of the same table.
func (u *usage) add(v *usage) {
	u.read, u.write = u.read+v.read, u.write+v.write
	for _, name := range sortedNames(v.indexed) {
		if u.indexed == nil {
			u.indexed = map[string]float64{}
		}
		u.indexed[name] += v.indexed[name]
	}
}

// shown is the usage as the caller asked to see it.
func (u *usage) shown(how types.ReturnConsumedCapacity) *types.ConsumedCapacity {
	if how != types.ReturnConsumedCapacityTotal && how != types.ReturnConsumedCapacityIndexes {
		return nil
	}
	out := &types.ConsumedCapacity{TableName: aws.String(u.table.name), CapacityUnits: aws.Float64(u.total())}
	if how == types.ReturnConsumedCapacityIndexes {
		out.Table = &types.Capacity{CapacityUnits: aws.Float64(u.read + u.write)}
		for _, name := range sortedNames(u.indexed) {
			if out.GlobalSecondaryIndexes == nil {
				out.GlobalSecondaryIndexes = map[string]types.Capacity{}
			}
			out.GlobalSecondaryIndexes[name] = types.Capacity{CapacityUnits: aws.Float64(u.indexed[name])}
		}
	}
	return out
}

// count puts a usage into the metrics, and on the bill of who called from outside.
func (s *dynamoService) count(ctx context.Context, t *table, u *usage) {
	now, reads, writes := s.r.now(), u.read, u.write
	add := func(metric string, n float64, d ...string) {
		if n > 0 {
			s.r.metrics.series("AWS/DynamoDB", metric, "Count", d...).add(now, n)
		}
	}
	add("ConsumedReadCapacityUnits", u.read, "TableName", t.name)
	add("ConsumedWriteCapacityUnits", u.write, "TableName", t.name)
	for _, name := range sortedNames(u.indexed) {
		if u.indexesAreFor == "read" {
			reads += u.indexed[name]
			add("ConsumedReadCapacityUnits", u.indexed[name], "TableName", t.name, "GlobalSecondaryIndexName", name)
			continue
		}
		writes += u.indexed[name]
		add("ConsumedWriteCapacityUnits", u.indexed[name], "TableName", t.name, "GlobalSecondaryIndexName", name)
	}
	if !inside(ctx) {
		s.r.sb.bill.capacity(reads, writes)
	}
}

// onTable registers an operation on items with its metrics.
func onTable[I, O any](s *dynamoService, name string, f func(context.Context, *I) (*O, error)) {
	handle(s.r, "dynamodb", name, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		s.observe(name, tablesAsked(in), err)
		return out, err
	})
	s.r.operations["dynamodb."+name].struck = func(in any, why error) { s.observeFault(name, tablesAsked(in), why) }
}

// observeFault counts a call that the service failed or throttled, for the tables
// that there are.
func (s *dynamoService) observeFault(operation string, tables []string, why error) {
	code, _, status := asAPIError(why)
	metric := ""
	switch {
	case status >= 500:
		metric = "SystemErrors"
	case code == throttleCodes["dynamodb"]:
		metric = "ThrottledRequests"
	default:
		s.r.metrics.series("AWS/DynamoDB", "UserErrors", "Count").add(s.r.now(), 1)
		return
	}
	for _, name := range tables {
		if _, ok := s.tables[name]; ok {
			s.r.metrics.series("AWS/DynamoDB", metric, "Count", "TableName", name, "Operation", operation).add(s.r.now(), 1)
		}
	}
}

// observe counts an answered call: how long it took, or how it failed. The caller's
// errors are counted for the account, except failed conditions, which are the
// table's (developer guide, "DynamoDB metrics and dimensions").
func (s *dynamoService) observe(operation string, tables []string, err error) {
	now := s.r.now()
	if err == nil {
		for _, name := range tables {
			s.latencyOf(name, operation).add(now, s.latency().Seconds()*1000)
		}
		return
	}
	failed := 0
	var canceled *types.TransactionCanceledException
	var condition *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &condition):
		failed = 1
	case errors.As(err, &canceled):
		for _, reason := range canceled.CancellationReasons {
			if deref(reason.Code) == "ConditionalCheckFailed" {
				failed++
			}
		}
	}
	if failed > 0 {
		for _, name := range tables {
			s.r.metrics.series("AWS/DynamoDB", "ConditionalCheckFailedRequests", "Count", "TableName", name).add(now, float64(failed))
		}
		return
	}
	s.r.metrics.series("AWS/DynamoDB", "UserErrors", "Count").add(now, 1)
}

// latency is the time a call is said to take: single-digit milliseconds.
func (s *dynamoService) latency() time.Duration {
	return time.Duration((2 + 3*s.r.rng.ExpFloat64()) * float64(time.Millisecond))
}

func (s *dynamoService) latencyOf(name, operation string) *metricSeries {
	return s.r.metrics.series("AWS/DynamoDB", "SuccessfulRequestLatency", "Milliseconds", "TableName", name, "Operation", operation).exact()
}

// tablesAsked are the names of the tables that a call is about, each once.
func tablesAsked(in any) []string {
	names := map[string]bool{}
	switch in := in.(type) {
	case *dynamodb.BatchGetItemInput:
		for name := range in.RequestItems {
			names[tableNameOf(&name)] = true
		}
	case *dynamodb.BatchWriteItemInput:
		for name := range in.RequestItems {
			names[tableNameOf(&name)] = true
		}
	case *dynamodb.TransactGetItemsInput:
		for _, x := range in.TransactItems {
			if x.Get != nil {
				names[tableNameOf(x.Get.TableName)] = true
			}
		}
	case *dynamodb.TransactWriteItemsInput:
		for _, x := range in.TransactItems {
			if a, err := askedIn(x); err == nil {
				names[tableNameOf(a.table)] = true
			}
		}
	default:
		if f := reflect.Indirect(reflect.ValueOf(in)).FieldByName("TableName"); f.IsValid() && !f.IsNil() {
			names[tableNameOf(f.Interface().(*string))] = true
		}
	}
	return sortedNames(names)
}
