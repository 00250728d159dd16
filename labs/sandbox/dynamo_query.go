package sandbox

import (
	"context"
	"iter"
	"math/bits"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// mostPageBytes is how much a query or a scan reads for one answer.
const mostPageBytes = 1 << 20

// reading is what queries and scans have in common.
type reading struct {
	t          *table
	x          *tableIndex // nil for the table itself
	filter     question
	paths      []path
	counting   bool // Select COUNT
	limit      int
	start      item
	consistent bool
}

// page is an answer.
type page struct {
	items         []item
	count, looked int32
	last          item
	usage         *usage
}

// asksRead are the parameters of a query or a scan that say what to read.
type asksRead struct {
	table, index, filter, projection *string
	choose                           types.Select
	limit                            *int32
	consistent                       *bool
	start                            item
}

func (s *dynamoService) reading(a asksRead, h *holders) (*reading, map[string]bool, error) {
	g := &reading{limit: int(deref(a.limit)), start: a.start, consistent: deref(a.consistent), counting: a.choose == types.SelectCount}
	if a.limit != nil && *a.limit < 1 {
		return nil, nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", *a.limit)
	}
	var roots map[string]bool
	var err error
	if g.filter, roots, err = parseCondition(phrase{"FilterExpression", a.filter}, h); err != nil {
		return nil, nil, err
	}
	var wanted map[string]bool
	if g.paths, wanted, err = parseProjection(a.projection, h); err != nil {
		return nil, nil, err
	}
	if err := h.unused(); err != nil {
		return nil, nil, err
	}
	if g.t, err = s.at(a.table); err != nil {
		return nil, nil, err
	}
	if a.index != nil {
		if g.x = g.t.index(*a.index); g.x == nil {
			return nil, nil, invalid("The table does not have the specified index: %s", *a.index)
		}
	}
	return g, roots, g.checkSelect(a, wanted)
}

func (g *reading) checkSelect(a asksRead, wanted map[string]bool) error {
	switch {
	case g.x != nil && g.consistent:
		return invalid("Consistent reads are not supported on global secondary indexes")
	case a.choose == types.SelectSpecificAttributes && a.projection == nil:
		return invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case a.projection != nil && a.choose != "" && a.choose != types.SelectSpecificAttributes:
		return invalid("Cannot specify the ProjectionExpression when choosing to get %s", selectNames[a.choose])
	case a.choose == types.SelectAllProjectedAttributes && g.x == nil:
		return invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	}
	if g.x == nil || g.x.projection.ProjectionType == types.ProjectionTypeAll {
		return nil
	}
	if a.choose == types.SelectAllAttributes {
		return badItemParameter("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", g.x.name)
	}
	for _, name := range sortedNames(wanted) {
		if !slices.Contains(slices.Concat(g.t.names(), g.x.names(), g.x.projection.NonKeyAttributes), name) {
			return badItemParameter("Global secondary index %s does not project [%s]", g.x.name, name)
		}
	}
	return nil
}

var selectNames = map[types.Select]string{
	types.SelectAllAttributes: "ALL_ATTRIBUTES", types.SelectAllProjectedAttributes: "ALL_PROJECTED_ATTRIBUTES", types.SelectCount: "only the Count",
}

func (g *reading) schema() keySchema {
	if g.x != nil {
		return g.x.keySchema
	}
	return g.t.keySchema
}

func (g *reading) shelf() *shelf {
	if g.x != nil {
		return &g.x.shelf
	}
	return &g.t.shelf
}

// startPlace is where the page before ended, if there was one: a key of the table
// and, in an index, of the index too.
func (g *reading) startPlace() (place, error) {
	if g.start == nil {
		return place{}, nil
	}
	if err := settleItem(g.start); err != nil {
		return place{}, err
	}
	schemas := []keySchema{g.t.keySchema}
	if g.x != nil {
		schemas = append(schemas, g.x.keySchema)
	}
	names := map[string]bool{}
	for _, k := range schemas {
		for _, name := range k.names() {
			names[name] = true
			if kindOf(g.start[name]) != string(k.types[name]) {
				return place{}, invalid("The provided starting key is invalid")
			}
		}
	}
	if len(names) != len(g.start) {
		return place{}, invalid("The provided starting key is invalid")
	}
	if g.x != nil {
		return g.x.placeIn(g.t, g.start), nil
	}
	return g.t.placeOf(g.start), nil
}

// read goes through rows until the page is full: of bytes, or of rows looked at.
func (g *reading) read(rows iter.Seq[row]) *page {
	p, bytes := &page{items: []item{}}, 0
	var last row
	for r := range rows {
		if bytes >= mostPageBytes {
			p.last = g.lastKey(last)
			break
		}
		last, bytes, p.looked = r, bytes+r.bytes, p.looked+1
		if holdsFor(g.filter, r.it) {
			p.count++
			p.items = append(p.items, cut(r.it, g.paths))
		}
		if g.limit > 0 && int(p.looked) == g.limit {
			p.last = g.lastKey(last) // also when nothing is left: the next page will be empty
			break
		}
	}
	if g.counting {
		p.items = nil
	}
	p.usage = g.t.readUsage(g.x, bytes, g.consistent)
	return p
}

func (g *reading) lastKey(r row) item {
	key := g.t.keyOf(r.it)
	if g.x != nil {
		for name, v := range g.x.keyOf(r.it) {
			key[name] = v
		}
	}
	return key
}

func (s *dynamoService) query(ctx context.Context, in *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	if err := firstSet(given{"AttributesToGet", in.AttributesToGet != nil}, given{"ConditionalOperator", in.ConditionalOperator != ""},
		given{"KeyConditions", in.KeyConditions != nil}, given{"QueryFilter", in.QueryFilter != nil}); err != nil {
		return nil, err
	}
	h, err := readHolders(in.ExpressionAttributeNames, in.ExpressionAttributeValues, phrase{"FilterExpression", in.FilterExpression},
		phrase{"KeyConditionExpression", in.KeyConditionExpression}, phrase{"ProjectionExpression", in.ProjectionExpression})
	if err != nil {
		return nil, err
	}
	if in.KeyConditionExpression == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	keys, _, err := parseCondition(phrase{"KeyConditionExpression", in.KeyConditionExpression}, h)
	if err != nil {
		return nil, err
	}
	g, roots, err := s.reading(asksRead{table: in.TableName, index: in.IndexName, filter: in.FilterExpression, projection: in.ProjectionExpression, choose: in.Select,
		limit: in.Limit, consistent: in.ConsistentRead, start: in.ExclusiveStartKey}, h)
	if err != nil {
		return nil, err
	}
	for _, name := range g.schema().names() {
		if roots[name] {
			return nil, invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", name)
		}
	}
	z, err := readZone(keys, g.schema())
	if err != nil {
		return nil, err
	}
	from, err := g.startPlace()
	if err != nil {
		return nil, err
	}
	if g.start != nil && (from.hash != z.hash || z.sort != nil && z.sort(from.sort) != 0) {
		return nil, invalid("The provided starting key is outside query boundaries based on provided conditions")
	}
	p := g.read(g.shelf().inZone(z, g.start != nil, from, in.ScanIndexForward == nil || *in.ScanIndexForward))
	s.count(ctx, g.t, p.usage)
	return &dynamodb.QueryOutput{Items: p.items, Count: p.count, ScannedCount: p.looked, LastEvaluatedKey: p.last, ConsumedCapacity: p.usage.shown(in.ReturnConsumedCapacity)}, nil
}

// inZone lists a partition's rows that a query is about, in either direction, after
// the place where the page before ended.
func (s *shelf) inZone(z zone, started bool, from place, forward bool) iter.Seq[row] {
	return func(yield func(row) bool) {
		d, ok := s.byKey[z.hash]
		if !ok {
			return
		}
		rows := d.rows
		if z.sort != nil {
			low := sort.Search(len(rows), func(i int) bool { return z.sort(rows[i].sort) >= 0 })
			high := sort.Search(len(rows), func(i int) bool { return z.sort(rows[i].sort) > 0 })
			rows = rows[low:max(low, high)]
		}
		if started {
			i := sort.Search(len(rows), func(i int) bool { return rows[i].compare(from) >= 0 })
			if !forward {
				rows = rows[:i]
			} else if i < len(rows) && rows[i].compare(from) == 0 {
				rows = rows[i+1:]
			} else {
				rows = rows[i:]
			}
		}
		for i := range rows {
			if !forward {
				i = len(rows) - 1 - i
			}
			if !yield(rows[i]) {
				return
			}
		}
	}
}

// zone is what a key condition asks for: one partition, and of it the rows whose
// range key is neither before (-1) nor after (1); nil for all.
type zone struct {
	hash string
	sort func(key string) int
}

// readZone takes hash = :v, alone or AND one condition on the range key.
func readZone(c question, k keySchema) (zone, error) {
	conditions, err := flat(c)
	if err != nil {
		return zone{}, err
	}
	byName := map[string]keyTest{}
	for _, t := range conditions {
		if _, twice := byName[t.name]; twice {
			return zone{}, invalid("KeyConditionExpressions must only contain one condition per key")
		}
		byName[t.name] = t
	}
	hash, ok := byName[k.hash]
	switch {
	case !ok:
		return zone{}, invalid("Query condition missed key schema element: %s", k.hash)
	case hash.operator != "=" || len(conditions) > 2 || len(conditions) == 2 && k.sort == "":
		return zone{}, invalid("Query key condition not supported")
	}
	for name, t := range byName {
		if name != k.hash && name != k.sort {
			return zone{}, invalid("Query condition missed key schema element: %s", k.sort)
		}
		for _, v := range t.values {
			if kindOf(v) != string(k.types[name]) {
				return zone{}, badItemParameter("Condition parameter type does not match schema type")
			}
			if isEmptyValue(v) {
				return zone{}, invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", emptyName(v), name)
			}
		}
	}
	z := zone{}
	z.hash, _ = orderOf(hash.values[0])
	if t, ok := byName[k.sort]; ok && k.sort != "" {
		z.sort, err = t.zone()
	}
	return z, err
}

// keyTest is one condition on one key.
type keyTest struct {
	name, operator string
	values         []types.AttributeValue
}

// flat lists the conditions that AND joins.
func flat(c question) ([]keyTest, error) {
	wrong := func(operator string) ([]keyTest, error) {
		return nil, invalid("Invalid operator used in KeyConditionExpression: %s", operator)
	}
	one := func(operator string, x operand, values ...operand) ([]keyTest, error) {
		p, ok := x.(path)
		if !ok {
			return nil, invalid("Invalid condition in KeyConditionExpression: %s operator must have the key attribute as its first operand", operator)
		}
		if len(p) > 1 {
			return nil, invalid("KeyConditionExpressions cannot have conditions on nested attributes")
		}
		t := keyTest{name: p[0].name, operator: operator}
		for _, v := range values {
			l, ok := v.(literal)
			if !ok {
				return nil, invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
			}
			t.values = append(t.values, l.v)
		}
		return []keyTest{t}, nil
	}
	switch x := c.(type) {
	case both:
		left, err := flat(x.left)
		if err != nil {
			return nil, err
		}
		right, err := flat(x.right)
		return append(left, right...), err
	case group:
		return flat(x.inner)
	case either:
		return wrong("OR")
	case not:
		return wrong("NOT")
	case membership:
		return wrong("IN")
	case comparison:
		if x.operator == "<>" {
			return wrong("<>")
		}
		if _, turned := x.left.(literal); turned {
			return one(mirrored[x.operator], x.right, x.left)
		}
		return one(x.operator, x.left, x.right)
	case span:
		return one("BETWEEN", x.value, x.low, x.high)
	case test:
		if x.function != "begins_with" {
			return wrong(x.function)
		}
		return one(x.function, x.args[0], x.args[1])
	}
	return nil, invalid("Query key condition not supported")
}

var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// zone says of a range key whether it is before, in or after what is asked for.
func (t keyTest) zone() (func(string) int, error) {
	want, _ := orderOf(t.values[0])
	switch t.operator {
	case "=":
		return func(key string) int { return strings.Compare(key, want) }, nil
	case "<":
		return func(key string) int { return sign(key >= want) }, nil
	case "<=":
		return func(key string) int { return sign(key > want) }, nil
	case ">":
		return func(key string) int { return -sign(key <= want) }, nil
	case ">=":
		return func(key string) int { return -sign(key < want) }, nil
	case "BETWEEN":
		high, _ := orderOf(t.values[1])
		return func(key string) int { return sign(key > high) - sign(key < want) }, nil
	}
	if kindOf(t.values[0]) == "N" {
		return nil, invalid("Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N")
	}
	return func(key string) int {
		if strings.HasPrefix(key, want) {
			return 0
		}
		return strings.Compare(key, want)
	}, nil
}

func sign(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *dynamoService) scan(ctx context.Context, in *dynamodb.ScanInput) (*dynamodb.ScanOutput, error) {
	if err := firstSet(given{"AttributesToGet", in.AttributesToGet != nil}, given{"ConditionalOperator", in.ConditionalOperator != ""},
		given{"ScanFilter", in.ScanFilter != nil}); err != nil {
		return nil, err
	}
	h, err := readHolders(in.ExpressionAttributeNames, in.ExpressionAttributeValues,
		phrase{"FilterExpression", in.FilterExpression}, phrase{"ProjectionExpression", in.ProjectionExpression})
	if err != nil {
		return nil, err
	}
	g, _, err := s.reading(asksRead{table: in.TableName, index: in.IndexName, filter: in.FilterExpression, projection: in.ProjectionExpression, choose: in.Select,
		limit: in.Limit, consistent: in.ConsistentRead, start: in.ExclusiveStartKey}, h)
	if err != nil {
		return nil, err
	}
	part, err := segmentOf(in)
	if err != nil {
		return nil, err
	}
	from, err := g.startPlace()
	if err != nil {
		return nil, err
	}
	if g.start != nil && !part.has(hash64(from.hash)) {
		return nil, invalid("The provided starting key is outside the boundaries of the segment")
	}
	p := g.read(g.shelf().all(part, g.start != nil, from))
	s.count(ctx, g.t, p.usage)
	return &dynamodb.ScanOutput{Items: p.items, Count: p.count, ScannedCount: p.looked, LastEvaluatedKey: p.last, ConsumedCapacity: p.usage.shown(in.ReturnConsumedCapacity)}, nil
}

// segment is one of several parallel scans: an equal share of the hashes.
type segment struct{ index, of uint64 }

func segmentOf(in *dynamodb.ScanInput) (segment, error) {
	switch {
	case in.Segment == nil && in.TotalSegments == nil:
		return segment{0, 1}, nil
	case in.TotalSegments == nil:
		return segment{}, invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case in.Segment == nil:
		return segment{}, invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case *in.TotalSegments < 1 || *in.TotalSegments > 1000000:
		return segment{}, invalid("1 validation error detected: Value '%d' at 'totalSegments' failed to satisfy constraint: Member must have value between 1 and 1000000, inclusive", *in.TotalSegments)
	case *in.Segment < 0 || *in.Segment >= *in.TotalSegments:
		return segment{}, invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d", *in.Segment, *in.TotalSegments)
	}
	return segment{uint64(*in.Segment), uint64(*in.TotalSegments)}, nil
}

func (s segment) has(hash uint64) bool {
	share, _ := bits.Mul64(hash, s.of)
	return share == s.index
}

// all lists the rows of a segment in the order of their partitions.
func (s *shelf) all(part segment, started bool, from place) iter.Seq[row] {
	return func(yield func(row) bool) {
		i := 0
		if started {
			i, _ = s.search(hash64(from.hash), from.hash)
		}
		for _, d := range s.order[i:] {
			if !part.has(d.hash) {
				continue
			}
			for _, r := range d.rows {
				if started && d.key == from.hash && r.compare(from) <= 0 {
					continue
				}
				if !yield(r) {
					return
				}
			}
		}
	}
}
