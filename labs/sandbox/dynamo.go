package sandbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"kxops/ops"
)

// DynamoDB: this file has the tables of a region and the operations on them. Then,
// from the inside out: dynamo_number.go, dynamo_value.go and dynamo_compare.go the
// values, dynamo_shelf.go how items lie, dynamo_keys.go their keys; dynamo_lex.go,
// dynamo_parse.go, dynamo_path.go, dynamo_condition.go, dynamo_update.go and
// dynamo_holders.go the expressions, dynamo_words.go what they may not say;
// dynamo_write.go, dynamo_read.go, dynamo_query.go, dynamo_batch.go and
// dynamo_transact.go the operations on items, dynamo_usage.go what they cost;
// dynamo_expiry.go and dynamo_recovery.go what happens to items otherwise.

// dynamoService is DynamoDB in one region.
type dynamoService struct {
	r            *Region
	tables       map[string]*table
	transactions map[string]doneTransaction // by token
}

// How long a table takes to come and to go. In AWS it is seconds too, seldom more.
const (
	tableTakes  = 2 * time.Second
	countsEvery = 6 * time.Hour // API reference, TableDescription: ItemCount is updated about every six hours
)

// table is one table.
type table struct {
	r           *Region
	name        string
	arn         ops.ARN
	id          string
	created     time.Time
	status      types.TableStatus
	definitions []types.AttributeDefinition
	keySchema
	shelf
	indexes   []*tableIndex
	tags      map[string]string
	protected bool
	recovery  recovery
	expiry    expiry
	restored  *types.RestoreSummary // nil for a table that was not

	items, bytes           int // now
	shownItems, shownBytes int // as of the last count
}

// tableIndex is a global secondary index. Here it is never behind its table.
type tableIndex struct {
	name string
	keySchema
	shelf
	projection types.Projection
}

// keySchema names the key attributes.
type keySchema struct {
	hash, sort string // sort is "" without a range key
	types      map[string]types.ScalarAttributeType
}

func newDynamoDB(r *Region) {
	s := &dynamoService{r: r, tables: map[string]*table{}, transactions: map[string]doneTransaction{}}
	r.tagged = append(r.tagged, s.taggedTables)
	r.every(countsEvery, func(time.Time) {
		for _, t := range s.tables { // the order is of no consequence: each has its own numbers
			t.shownItems, t.shownBytes = t.items, t.bytes
		}
	})
	handle(r, "dynamodb", "CreateTable", s.createTable)
	handle(r, "dynamodb", "DescribeTable", s.describeTable)
	handle(r, "dynamodb", "ListTables", s.listTables)
	handle(r, "dynamodb", "DeleteTable", s.deleteTable)
	r.every(time.Minute, func(now time.Time) {
		for _, name := range sortedNames(s.tables) {
			if t := s.tables[name]; t.expiry.status == types.TimeToLiveStatusEnabled {
				t.expire(now)
			}
		}
	})
	handle(r, "dynamodb", "UpdateTable", s.updateTable)
	handle(r, "dynamodb", "UpdateTimeToLive", s.updateExpiry)
	handle(r, "dynamodb", "DescribeTimeToLive", s.describeExpiry)
	handle(r, "dynamodb", "UpdateContinuousBackups", s.updateBackups)
	handle(r, "dynamodb", "DescribeContinuousBackups", s.describeBackups)
	handle(r, "dynamodb", "RestoreTableToPointInTime", s.restore)
	handle(r, "dynamodb", "TagResource", s.tagTable)
	handle(r, "dynamodb", "UntagResource", s.untagTable)
	handle(r, "dynamodb", "ListTagsOfResource", s.tableTags)
	onTable(s, "GetItem", s.getItem)
	onTable(s, "PutItem", s.putItem)
	onTable(s, "UpdateItem", s.updateItem)
	onTable(s, "DeleteItem", s.deleteItem)
	onTable(s, "Query", s.query)
	onTable(s, "Scan", s.scan)
	onTable(s, "BatchGetItem", s.batchGet)
	onTable(s, "BatchWriteItem", s.batchWrite)
	onTable(s, "TransactWriteItems", s.transactWrite)
	onTable(s, "TransactGetItems", s.transactGet)
}

func (s *dynamoService) createTable(_ context.Context, in *dynamodb.CreateTableInput) (*dynamodb.CreateTableOutput, error) {
	if err := firstSet(
		given{"GlobalTableSettingsReplicationMode", in.GlobalTableSettingsReplicationMode != ""}, given{"GlobalTableSourceArn", in.GlobalTableSourceArn != nil},
		given{"LocalSecondaryIndexes", len(in.LocalSecondaryIndexes) > 0}, given{"OnDemandThroughput", in.OnDemandThroughput != nil},
		given{"ResourcePolicy", in.ResourcePolicy != nil}, given{"StreamSpecification", in.StreamSpecification != nil && deref(in.StreamSpecification.StreamEnabled)},
		given{"TableClass " + string(in.TableClass), in.TableClass != "" && in.TableClass != types.TableClassStandard},
		given{"SSESpecification", in.SSESpecification != nil && deref(in.SSESpecification.Enabled)},
		given{"VectorIndexes", len(in.VectorIndexes) > 0}, given{"WarmThroughput", in.WarmThroughput != nil},
	); err != nil {
		return nil, err
	}
	name := tableNameOf(in.TableName)
	if err := checkTableName(name, "tableName"); err != nil {
		return nil, err
	}
	if err := checkBilling(in); err != nil {
		return nil, err
	}
	if _, ok := s.tables[name]; ok {
		return nil, &types.ResourceInUseException{Message: aws.String("Table already exists: " + name)}
	}
	t, err := s.layTable(name, in.AttributeDefinitions, in.KeySchema, in.GlobalSecondaryIndexes)
	if err != nil {
		return nil, err
	}
	for _, tag := range in.Tags {
		t.tags[deref(tag.Key)] = deref(tag.Value)
	}
	t.protected = deref(in.DeletionProtectionEnabled)
	s.open(t, s.r.setup(tableTakes))
	return &dynamodb.CreateTableOutput{TableDescription: t.describe()}, nil
}

// checkBilling takes tables on demand only: provisioned capacity would have to
// throttle, and here nothing would.
func checkBilling(in *dynamodb.CreateTableInput) error {
	switch {
	case in.BillingMode == types.BillingModePayPerRequest && in.ProvisionedThroughput != nil:
		return badItemParameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
	case in.BillingMode == types.BillingModePayPerRequest:
		return nil
	case in.ProvisionedThroughput == nil:
		return badItemParameter("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	return unsupported("BillingMode PROVISIONED (only PAY_PER_REQUEST)")
}

// open adds a table that becomes active after a while.
func (s *dynamoService) open(t *table, after time.Duration) {
	t.status = types.TableStatusCreating
	s.tables[t.name] = t
	s.r.after(after, func() { t.status = types.TableStatusActive })
}

// layTable makes an empty table from its schema.
func (s *dynamoService) layTable(name string, definitions []types.AttributeDefinition, keys []types.KeySchemaElement, indexes []types.GlobalSecondaryIndex) (*table, error) {
	t := &table{
		r: s.r, name: name, arn: s.r.arn("dynamodb", "table/"+name), id: s.r.id(), created: s.r.now(),
		definitions: definitions, shelf: newShelf(), tags: map[string]string{},
	}
	var err error
	used := map[string]bool{}
	if t.keySchema, err = readKeySchema(keys, definitions, used); err != nil {
		return nil, err
	}
	for _, given := range indexes {
		x, err := readIndex(given, definitions, used)
		if err != nil {
			return nil, err
		}
		if t.index(x.name) != nil {
			return nil, badItemParameter("Duplicate index name: %s", x.name)
		}
		t.indexes = append(t.indexes, x)
	}
	if len(t.indexes) > 20 {
		return nil, &types.LimitExceededException{Message: aws.String("GlobalSecondaryIndex count exceeds the per-table limit of 20")}
	}
	if len(used) < len(definitions) {
		if len(indexes) == 0 {
			return nil, badItemParameter("Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
		}
		return nil, badItemParameter("Some AttributeDefinitions are not used. AttributeDefinitions: [%s], keys used: [%s]",
			definedNames(definitions), strings.Join(sortedNames(used), ", "))
	}
	return t, nil
}

func definedNames(definitions []types.AttributeDefinition) string {
	var names []string
	for _, d := range definitions {
		names = append(names, deref(d.AttributeName))
	}
	return strings.Join(names, ", ")
}

// readKeySchema reads a key of one or two defined attributes and notes them as used.
func readKeySchema(keys []types.KeySchemaElement, definitions []types.AttributeDefinition, used map[string]bool) (keySchema, error) {
	k := keySchema{types: map[string]types.ScalarAttributeType{}}
	switch {
	case len(keys) < 1 || len(keys) > 2:
		return k, fail("ValidationException", "1 validation error detected: Value at 'keySchema' failed to satisfy constraint: Member must have length between 1 and 2, inclusive")
	case keys[0].KeyType != types.KeyTypeHash:
		return k, invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	case len(keys) == 2 && keys[1].KeyType != types.KeyTypeRange:
		return k, invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
	case len(keys) == 2 && deref(keys[0].AttributeName) == deref(keys[1].AttributeName):
		return k, invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	for _, e := range keys {
		name := deref(e.AttributeName)
		i := slices.IndexFunc(definitions, func(d types.AttributeDefinition) bool { return deref(d.AttributeName) == name })
		if i < 0 {
			return k, badItemParameter("Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]", name, definedNames(definitions))
		}
		if !slices.Contains(definitions[i].AttributeType.Values(), definitions[i].AttributeType) {
			return k, invalid("1 validation error detected: Value '%s' at 'attributeDefinitions.%d.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]", definitions[i].AttributeType, i+1)
		}
		k.types[name], used[name] = definitions[i].AttributeType, true
		if e.KeyType == types.KeyTypeHash {
			k.hash = name
		} else {
			k.sort = name
		}
	}
	return k, nil
}

func readIndex(given types.GlobalSecondaryIndex, definitions []types.AttributeDefinition, used map[string]bool) (*tableIndex, error) {
	if given.ProvisionedThroughput != nil || given.OnDemandThroughput != nil || given.WarmThroughput != nil {
		return nil, unsupported("GlobalSecondaryIndexes: a throughput of its own")
	}
	x := &tableIndex{name: deref(given.IndexName), shelf: newShelf()}
	if err := checkTableName(x.name, "globalSecondaryIndexes.1.member.indexName"); err != nil {
		return nil, err
	}
	var err error
	if x.keySchema, err = readKeySchema(given.KeySchema, definitions, used); err != nil {
		return nil, err
	}
	if given.Projection == nil || given.Projection.ProjectionType == "" {
		return nil, badItemParameter("Unknown ProjectionType: null")
	}
	x.projection = *given.Projection
	if include := x.projection.ProjectionType == types.ProjectionTypeInclude; include != (len(x.projection.NonKeyAttributes) > 0) {
		if include {
			return nil, badItemParameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
		}
		return nil, badItemParameter("ProjectionType is %s, but NonKeyAttributes is specified", x.projection.ProjectionType)
	}
	return x, nil
}

func (t *table) index(name string) *tableIndex {
	for _, x := range t.indexes {
		if x.name == name {
			return x
		}
	}
	return nil
}

// tableNameOf takes a name or an ARN, as the API does.
func tableNameOf(given *string) string {
	name := deref(given)
	if strings.HasPrefix(name, "arn:") {
		return name[strings.LastIndex(name, "/")+1:]
	}
	return name
}

func checkTableName(name, parameter string) error {
	if len(name) < 3 || len(name) > 255 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
		return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must have length between 3 and 255 and satisfy regular expression pattern: [a-zA-Z0-9_.-]+", name, parameter)
	}
	return nil
}

// tableNamed finds a table in any state.
func (s *dynamoService) tableNamed(given *string) (*table, error) {
	name := tableNameOf(given)
	t, ok := s.tables[name]
	if !ok {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Requested resource not found: Table: " + name + " not found")}
	}
	return t, nil
}

// at finds a table whose items can be read and written.
func (s *dynamoService) at(given *string) (*table, error) {
	if deref(given) == "" {
		return nil, invalid("1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null")
	}
	t, ok := s.tables[tableNameOf(given)]
	if !ok || t.status == types.TableStatusCreating || t.status == types.TableStatusDeleting {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Requested resource not found")}
	}
	return t, nil
}

func (t *table) describe() *types.TableDescription {
	d := &types.TableDescription{
		AttributeDefinitions: t.definitions, KeySchema: t.keyElements(),
		BillingModeSummary:        &types.BillingModeSummary{BillingMode: types.BillingModePayPerRequest, LastUpdateToPayPerRequestDateTime: aws.Time(t.created)},
		CreationDateTime:          aws.Time(t.created),
		DeletionProtectionEnabled: aws.Bool(t.protected),
		ItemCount:                 aws.Int64(int64(t.shownItems)), TableSizeBytes: aws.Int64(int64(t.shownBytes)),
		ProvisionedThroughput: noThroughput(), RestoreSummary: t.restored,
		TableArn: aws.String(string(t.arn)), TableId: aws.String(t.id), TableName: aws.String(t.name), TableStatus: t.status,
	}
	for _, x := range t.indexes {
		status := types.IndexStatusActive
		if t.status == types.TableStatusCreating {
			status = types.IndexStatusCreating
		}
		d.GlobalSecondaryIndexes = append(d.GlobalSecondaryIndexes, types.GlobalSecondaryIndexDescription{
			IndexArn: aws.String(string(t.arn) + "/index/" + x.name), IndexName: aws.String(x.name), IndexStatus: status,
			KeySchema: x.keyElements(), Projection: &x.projection, ProvisionedThroughput: noThroughput(),
			ItemCount: aws.Int64(int64(t.shownItems)), IndexSizeBytes: aws.Int64(int64(t.shownBytes)),
		})
	}
	return d
}

// noThroughput is what AWS shows of a table on demand.
func noThroughput() *types.ProvisionedThroughputDescription {
	return &types.ProvisionedThroughputDescription{NumberOfDecreasesToday: aws.Int64(0), ReadCapacityUnits: aws.Int64(0), WriteCapacityUnits: aws.Int64(0)}
}

func (k keySchema) keyElements() []types.KeySchemaElement {
	out := []types.KeySchemaElement{{AttributeName: aws.String(k.hash), KeyType: types.KeyTypeHash}}
	if k.sort != "" {
		out = append(out, types.KeySchemaElement{AttributeName: aws.String(k.sort), KeyType: types.KeyTypeRange})
	}
	return out
}

func (s *dynamoService) describeTable(_ context.Context, in *dynamodb.DescribeTableInput) (*dynamodb.DescribeTableOutput, error) {
	t, err := s.tableNamed(in.TableName)
	if err != nil {
		return nil, err
	}
	return &dynamodb.DescribeTableOutput{Table: t.describe()}, nil
}

func (s *dynamoService) listTables(_ context.Context, in *dynamodb.ListTablesInput) (*dynamodb.ListTablesOutput, error) {
	most := 100
	if in.Limit != nil {
		if most = int(*in.Limit); most < 1 || most > 100 {
			return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and 100, inclusive", most)
		}
	}
	out := &dynamodb.ListTablesOutput{TableNames: []string{}}
	for _, name := range sortedNames(s.tables) {
		if name <= deref(in.ExclusiveStartTableName) {
			continue
		}
		if len(out.TableNames) == most {
			out.LastEvaluatedTableName = aws.String(out.TableNames[most-1])
			break
		}
		out.TableNames = append(out.TableNames, name)
	}
	return out, nil
}

func (s *dynamoService) deleteTable(_ context.Context, in *dynamodb.DeleteTableInput) (*dynamodb.DeleteTableOutput, error) {
	t, err := s.tableNamed(in.TableName)
	switch {
	case err != nil:
		return nil, err
	case t.status == types.TableStatusCreating:
		return nil, &types.ResourceInUseException{Message: aws.String("Attempt to change a resource which is still in use: Table is being created: " + t.name)}
	case t.status == types.TableStatusDeleting:
		return nil, &types.ResourceInUseException{Message: aws.String("Attempt to change a resource which is still in use: Table is being deleted: " + t.name)}
	case t.protected:
		return nil, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	t.status = types.TableStatusDeleting
	s.r.after(s.r.setup(tableTakes), func() { delete(s.tables, t.name) })
	return &dynamodb.DeleteTableOutput{TableDescription: t.describe()}, nil
}

// updateTable changes what can be changed of a table on demand here: whether it may
// be deleted.
func (s *dynamoService) updateTable(_ context.Context, in *dynamodb.UpdateTableInput) (*dynamodb.UpdateTableOutput, error) {
	if err := firstSet(
		given{"BillingMode PROVISIONED", in.BillingMode == types.BillingModeProvisioned}, given{"DisassociationProtectionEnabled", in.DisassociationProtectionEnabled != nil},
		given{"GlobalSecondaryIndexUpdates", len(in.GlobalSecondaryIndexUpdates) > 0}, given{"GlobalTableSettingsReplicationMode", in.GlobalTableSettingsReplicationMode != ""},
		given{"GlobalTableWitnessUpdates", len(in.GlobalTableWitnessUpdates) > 0}, given{"MultiRegionConsistency", in.MultiRegionConsistency != ""},
		given{"OnDemandThroughput", in.OnDemandThroughput != nil}, given{"ProvisionedThroughput", in.ProvisionedThroughput != nil},
		given{"ReplicaUpdates", len(in.ReplicaUpdates) > 0}, given{"SSESpecification", in.SSESpecification != nil}, given{"StreamSpecification", in.StreamSpecification != nil},
		given{"TableClass", in.TableClass != ""}, given{"VectorIndexUpdates", len(in.VectorIndexUpdates) > 0}, given{"WarmThroughput", in.WarmThroughput != nil},
	); err != nil {
		return nil, err
	}
	t, err := s.tableNamed(in.TableName)
	if err != nil {
		return nil, err
	}
	if t.status != types.TableStatusActive {
		return nil, &types.ResourceInUseException{Message: aws.String("Attempt to change a resource which is still in use: Table is in status " + string(t.status) + ": " + t.name)}
	}
	if in.DeletionProtectionEnabled != nil {
		t.protected = *in.DeletionProtectionEnabled
	}
	return &dynamodb.UpdateTableOutput{TableDescription: t.describe()}, nil
}

// tableOfARN finds the table of a tagging call.
func (s *dynamoService) tableOfARN(given *string) (*table, error) {
	for _, t := range s.tables {
		if string(t.arn) == deref(given) {
			return t, nil
		}
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("Requested resource not found: ResourcArn: " + deref(given) + " not found")}
}

func (s *dynamoService) tagTable(_ context.Context, in *dynamodb.TagResourceInput) (*dynamodb.TagResourceOutput, error) {
	t, err := s.tableOfARN(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	fresh := 0
	for _, tag := range in.Tags {
		if _, ok := t.tags[deref(tag.Key)]; !ok {
			fresh++
		}
	}
	if len(t.tags)+fresh > 50 {
		return nil, invalid("One or more parameter values were invalid: Too many tags: %d, the limit is 50", len(t.tags)+fresh)
	}
	for _, tag := range in.Tags {
		t.tags[deref(tag.Key)] = deref(tag.Value)
	}
	return &dynamodb.TagResourceOutput{}, nil
}

func (s *dynamoService) untagTable(_ context.Context, in *dynamodb.UntagResourceInput) (*dynamodb.UntagResourceOutput, error) {
	t, err := s.tableOfARN(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(t.tags, k)
	}
	return &dynamodb.UntagResourceOutput{}, nil
}

// tableTags answers all tags in one page: fifty at most.
func (s *dynamoService) tableTags(_ context.Context, in *dynamodb.ListTagsOfResourceInput) (*dynamodb.ListTagsOfResourceOutput, error) {
	t, err := s.tableOfARN(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &dynamodb.ListTagsOfResourceOutput{Tags: []types.Tag{}}
	for _, k := range sortedNames(t.tags) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(k), Value: aws.String(t.tags[k])})
	}
	return out, nil
}

func (s *dynamoService) taggedTables() []taggedResource {
	out := make([]taggedResource, 0, len(s.tables))
	for _, name := range sortedNames(s.tables) {
		tags := map[string]string{}
		for k, v := range s.tables[name].tags {
			tags[k] = v
		}
		out = append(out, taggedResource{ARN: s.tables[name].arn, Tags: tags})
	}
	return out
}
