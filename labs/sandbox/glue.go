package sandbox

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Glue: the catalog of databases and tables that Athena reads. The SDK's module for
// Glue is no dependency of ours, so its shapes are written down here, with the
// members' names as on the wire.

// glueService is the catalog of one region.
type glueService struct {
	r         *Region
	databases map[string]*glueDatabase
}

type glueDatabase struct {
	in      DatabaseInput
	created time.Time
	tables  map[string]*glueTable
}

// glueTable is a table as it was put, with its name in lower case.
type glueTable struct {
	TableInput
	database string
	created  time.Time
	updated  time.Time
	version  int
}

// DatabaseInput is what CreateDatabase takes.
type DatabaseInput struct {
	Name, Description, LocationUri string
	Parameters                     map[string]string
}

// Column is a column of a table; its type is a Hive type such as
// struct<id:string,total:double>.
type Column struct {
	Name, Type, Comment string
	Parameters          map[string]string
}

// SerDeInfo names the code that reads a table's rows.
type SerDeInfo struct {
	Name, SerializationLibrary string
	Parameters                 map[string]string
}

// StorageDescriptor says where a table's rows are and how they are written.
type StorageDescriptor struct {
	Columns                             []Column
	Location, InputFormat, OutputFormat string
	Compressed                          bool
	NumberOfBuckets                     int32
	SerdeInfo                           *SerDeInfo
	BucketColumns                       []string
	Parameters                          map[string]string
	StoredAsSubDirectories              bool
}

// TableInput is what CreateTable and UpdateTable take.
type TableInput struct {
	Name, Description, Owner           string
	Retention                          int32
	StorageDescriptor                  *StorageDescriptor
	PartitionKeys                      []Column
	ViewOriginalText, ViewExpandedText string
	TableType                          string
	Parameters                         map[string]string
	TargetTable, ViewDefinition        map[string]any
}

// The answers' shapes.
type (
	glueDatabaseOut struct {
		Name, Description, LocationUri string
		Parameters                     map[string]string
		CreateTime                     time.Time
		CatalogId                      string
	}
	glueTableOut struct {
		Name, DatabaseName, Description, Owner string
		CreateTime, UpdateTime                 time.Time
		Retention                              int32
		StorageDescriptor                      *StorageDescriptor
		PartitionKeys                          []Column
		TableType                              string
		Parameters                             map[string]string
		CatalogId, VersionId                   string
	}
)

// The operations' shapes.
type (
	createDatabaseInput struct {
		CatalogId     string
		DatabaseInput *DatabaseInput
		Tags          map[string]string
	}
	databaseNameInput struct{ CatalogId, Name string }
	getDatabaseOutput struct{ Database *glueDatabaseOut }
	listInput         struct {
		CatalogId, NextToken string
		MaxResults           int32
		ResourceShareType    string
	}
	getDatabasesOutput struct {
		DatabaseList []glueDatabaseOut
		NextToken    string
	}
	tableInput struct {
		CatalogId, DatabaseName string
		TableInput              *TableInput
		PartitionIndexes        []map[string]any
		OpenTableFormatInput    map[string]any
		SkipArchive, Force      bool
		TransactionId           string
	}
	tableNameInput struct {
		CatalogId, DatabaseName, Name string
		TransactionId                 string
		QueryAsOfTime                 *time.Time
	}
	getTableOutput struct{ Table *glueTableOut }
	getTablesInput struct {
		CatalogId, DatabaseName, Expression, NextToken string
		MaxResults                                     int32
		TransactionId                                  string
		QueryAsOfTime                                  *time.Time
	}
	getTablesOutput struct {
		TableList []glueTableOut
		NextToken string
	}
	glueDone struct{}
)

func newGlue(r *Region) {
	g := &glueService{r: r, databases: map[string]*glueDatabase{}}
	r.catalog = g
	handle(r, "glue", "CreateDatabase", g.createDatabase)
	handle(r, "glue", "GetDatabase", g.getDatabase)
	handle(r, "glue", "GetDatabases", g.getDatabases)
	handle(r, "glue", "DeleteDatabase", g.deleteDatabase)
	handle(r, "glue", "CreateTable", g.createTable)
	handle(r, "glue", "GetTable", g.getTable)
	handle(r, "glue", "GetTables", g.getTables)
	handle(r, "glue", "UpdateTable", g.updateTable)
	handle(r, "glue", "DeleteTable", g.deleteTable)
}

func glueMissing(format string, args ...any) error {
	return fail("EntityNotFoundException", format, args...)
}

// refuseGlue names what the catalog does not keep.
func refuseGlue(members map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name] {
			return unsupported(name)
		}
	}
	return nil
}

func (g *glueService) ours(catalog string) error {
	if catalog != "" && catalog != Account {
		return glueMissing("Catalog %s not found.", catalog)
	}
	return nil
}

func (g *glueService) database(catalog, name string) (*glueDatabase, error) {
	if err := g.ours(catalog); err != nil {
		return nil, err
	}
	d, ok := g.databases[strings.ToLower(name)]
	if !ok {
		return nil, glueMissing("Database %s not found.", strings.ToLower(name))
	}
	return d, nil
}

func (g *glueService) table(catalog, database, name string) (*glueDatabase, *glueTable, error) {
	d, err := g.database(catalog, database)
	if err != nil {
		return nil, nil, err
	}
	t, ok := d.tables[strings.ToLower(name)]
	if !ok {
		return nil, nil, glueMissing("Entity Not Found: Table %s not found.", strings.ToLower(name))
	}
	return d, t, nil
}

// catalogName is what Athena can address without trouble; Glue itself takes more.
var catalogName = regexp.MustCompile(`^[^/\x00-\x1f]{1,255}$`)

func (g *glueService) createDatabase(_ context.Context, in *createDatabaseInput) (*glueDone, error) {
	if in.DatabaseInput == nil || !catalogName.MatchString(in.DatabaseInput.Name) {
		return nil, fail("InvalidInputException", "Value at 'databaseInput.name' failed to satisfy constraint: a name of 1 to 255 characters")
	}
	if err := g.ours(in.CatalogId); err != nil {
		return nil, err
	}
	return &glueDone{}, g.addDatabase(*in.DatabaseInput)
}

func (g *glueService) addDatabase(in DatabaseInput) error {
	in.Name = strings.ToLower(in.Name)
	if _, ok := g.databases[in.Name]; ok {
		return fail("AlreadyExistsException", "Database already exists.")
	}
	g.databases[in.Name] = &glueDatabase{in: in, created: g.r.now(), tables: map[string]*glueTable{}}
	return nil
}

func (d *glueDatabase) out() glueDatabaseOut {
	return glueDatabaseOut{Name: d.in.Name, Description: d.in.Description, LocationUri: d.in.LocationUri, Parameters: d.in.Parameters,
		CreateTime: d.created, CatalogId: Account}
}

func (g *glueService) getDatabase(_ context.Context, in *databaseNameInput) (*getDatabaseOutput, error) {
	d, err := g.database(in.CatalogId, in.Name)
	if err != nil {
		return nil, err
	}
	out := d.out()
	return &getDatabaseOutput{Database: &out}, nil
}

func (g *glueService) getDatabases(_ context.Context, in *listInput) (*getDatabasesOutput, error) {
	if err := g.ours(in.CatalogId); err != nil {
		return nil, err
	}
	names, next, err := gluePage(slices.Sorted(maps.Keys(g.databases)), in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &getDatabasesOutput{DatabaseList: []glueDatabaseOut{}, NextToken: next}
	for _, n := range names {
		out.DatabaseList = append(out.DatabaseList, g.databases[n].out())
	}
	return out, nil
}

// gluePage cuts a page of names; Glue gives at most 100.
func gluePage(names []string, token string, most int32) (page []string, next string, err error) {
	if most < 0 || most > 100 {
		return nil, "", fail("InvalidInputException", "Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 100", most)
	}
	if most == 0 {
		most = 100
	}
	after := ""
	if token != "" && openToken(token, &after) != nil {
		return nil, "", fail("InvalidInputException", "Invalid token")
	}
	at, _ := slices.BinarySearch(names, after)
	if at < len(names) && names[at] == after && after != "" {
		at++
	}
	page = names[at:]
	if len(page) > int(most) {
		page = page[:most]
		next = *sealToken(page[most-1])
	}
	return page, next, nil
}

func (g *glueService) deleteDatabase(_ context.Context, in *databaseNameInput) (*glueDone, error) {
	d, err := g.database(in.CatalogId, in.Name)
	if err != nil {
		return nil, err
	}
	delete(g.databases, d.in.Name) // with its tables, as AWS does
	return &glueDone{}, nil
}

// check refuses what would make a table that Athena cannot read for a reason that
// Glue knows already.
func (in *tableInput) check() error {
	if err := refuseGlue(map[string]bool{"PartitionIndexes": len(in.PartitionIndexes) > 0, "OpenTableFormatInput": in.OpenTableFormatInput != nil,
		"TransactionId": in.TransactionId != ""}); err != nil {
		return err
	}
	t := in.TableInput
	if t == nil || !catalogName.MatchString(t.Name) {
		return fail("InvalidInputException", "Value at 'tableInput.name' failed to satisfy constraint: a name of 1 to 255 characters")
	}
	if err := refuseGlue(map[string]bool{"ViewOriginalText": t.ViewOriginalText != "", "ViewExpandedText": t.ViewExpandedText != "",
		"TargetTable": t.TargetTable != nil, "ViewDefinition": t.ViewDefinition != nil}); err != nil {
		return err
	}
	columns := t.PartitionKeys
	if t.StorageDescriptor != nil {
		columns = append(slices.Clone(t.StorageDescriptor.Columns), columns...)
	}
	seen := map[string]bool{}
	for _, c := range columns {
		name := strings.ToLower(c.Name)
		if seen[name] || name == "" {
			return fail("InvalidInputException", "Duplicate or empty column name %q", c.Name)
		}
		seen[name] = true
	}
	return nil
}

func (g *glueService) createTable(_ context.Context, in *tableInput) (*glueDone, error) {
	d, err := g.database(in.CatalogId, in.DatabaseName)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	return &glueDone{}, d.addTable(g.r.now(), *in.TableInput)
}

func (d *glueDatabase) addTable(now time.Time, in TableInput) error {
	in.Name = strings.ToLower(in.Name)
	if _, ok := d.tables[in.Name]; ok {
		return fail("AlreadyExistsException", "Table already exists.")
	}
	d.tables[in.Name] = &glueTable{TableInput: in, database: d.in.Name, created: now, updated: now}
	return nil
}

func (t *glueTable) out() glueTableOut {
	return glueTableOut{Name: t.Name, DatabaseName: t.database, Description: t.Description, Owner: t.Owner, CreateTime: t.created, UpdateTime: t.updated,
		Retention: t.Retention, StorageDescriptor: t.StorageDescriptor, PartitionKeys: t.PartitionKeys, TableType: t.TableType, Parameters: t.Parameters,
		CatalogId: Account, VersionId: strconv.Itoa(t.version)}
}

func (g *glueService) getTable(_ context.Context, in *tableNameInput) (*getTableOutput, error) {
	if err := refuseGlue(map[string]bool{"TransactionId": in.TransactionId != "", "QueryAsOfTime": in.QueryAsOfTime != nil}); err != nil {
		return nil, err
	}
	_, t, err := g.table(in.CatalogId, in.DatabaseName, in.Name)
	if err != nil {
		return nil, err
	}
	out := t.out()
	return &getTableOutput{Table: &out}, nil
}

func (g *glueService) getTables(_ context.Context, in *getTablesInput) (*getTablesOutput, error) {
	if err := refuseGlue(map[string]bool{"TransactionId": in.TransactionId != "", "QueryAsOfTime": in.QueryAsOfTime != nil}); err != nil {
		return nil, err
	}
	d, err := g.database(in.CatalogId, in.DatabaseName)
	if err != nil {
		return nil, err
	}
	want, err := regexp.Compile("^(?:" + in.Expression + ")$")
	if err != nil {
		return nil, fail("InvalidInputException", "Expression: %v", err)
	}
	var names []string
	for _, n := range slices.Sorted(maps.Keys(d.tables)) {
		if in.Expression == "" || want.MatchString(n) {
			names = append(names, n)
		}
	}
	names, next, err := gluePage(names, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &getTablesOutput{TableList: []glueTableOut{}, NextToken: next}
	for _, n := range names {
		out.TableList = append(out.TableList, d.tables[n].out())
	}
	return out, nil
}

func (g *glueService) updateTable(_ context.Context, in *tableInput) (*glueDone, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	_, t, err := g.table(in.CatalogId, in.DatabaseName, in.TableInput.Name)
	if err != nil {
		return nil, err
	}
	name := t.Name
	t.TableInput = *in.TableInput
	t.Name, t.updated = name, g.r.now()
	t.version++
	return &glueDone{}, nil
}

func (g *glueService) deleteTable(_ context.Context, in *tableNameInput) (*glueDone, error) {
	if in.TransactionId != "" {
		return nil, unsupported("TransactionId")
	}
	d, t, err := g.table(in.CatalogId, in.DatabaseName, in.Name)
	if err != nil {
		return nil, err
	}
	delete(d.tables, t.Name)
	return &glueDone{}, nil
}
