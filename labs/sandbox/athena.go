package sandbox

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"
)

// Athena: this file has the workgroups and the life of a query; athena_run.go what
// one query does, athena_parse.go and athena_compile.go its SQL, athena_functions.go
// the functions, athena_table.go and athena_rows.go the reading of tables in S3,
// athena_ddl.go the statements that are no query.

// The times that a query takes, on the sandbox's clock: what a small query takes in
// practice, and the reading itself on top.
const (
	athenaQueueTime    = 120 * time.Millisecond
	athenaPlanningTime = 180 * time.Millisecond
	athenaEngineTime   = 600 * time.Millisecond
	athenaServiceTime  = 40 * time.Millisecond
	athenaReadRate     = 200 << 20 // bytes a second

	mostQueries    = 2000   // finished queries whose results are kept
	mostStatement  = 262144 // bytes, Athena's service quota for a query string
	mostResultRows = 1000   // of a page, the header counts
	leastCutoff    = 10 << 20

	athenaEngine   = "Athena engine version 3"
	primaryGroup   = "primary"
	defaultCatalog = "AwsDataCatalog"
)

// athenaService is Athena in one region.
type athenaService struct {
	r       *Region
	groups  map[string]*workGroup
	queries map[string]*query
	order   []string          // ids, oldest first
	tokens  map[string]*query // by ClientRequestToken
}

type workGroup struct {
	name, description string
	state             types.WorkGroupState
	created           time.Time
	config            types.WorkGroupConfiguration
}

// query is one execution.
type query struct {
	id, sql, group string
	request        athena.StartQueryExecutionInput
	location       string // of the result, a full s3:// address
	folder         string // where results go
	database       string
	parameters     []string
	cutoff         int64
	metrics        bool
	billed         bool

	state     types.QueryExecutionState
	reason    string
	failure   *types.AthenaError
	submitted time.Time
	started   time.Time
	completed time.Time
	statement types.StatementType
	sub       string
	scanned   int64
	manifest  string
	result    *queryResult
}

func newAthena(r *Region) {
	a := &athenaService{r: r, groups: map[string]*workGroup{}, queries: map[string]*query{}, tokens: map[string]*query{}}
	a.groups[primaryGroup] = &workGroup{name: primaryGroup, state: types.WorkGroupStateEnabled, created: r.now(), config: types.WorkGroupConfiguration{
		EnforceWorkGroupConfiguration: aws.Bool(false), PublishCloudWatchMetricsEnabled: aws.Bool(false), RequesterPaysEnabled: aws.Bool(false),
		ResultConfiguration: &types.ResultConfiguration{}, EngineVersion: engineVersion(),
	}}
	handle(r, "athena", "CreateWorkGroup", a.createWorkGroup)
	handle(r, "athena", "GetWorkGroup", a.getWorkGroup)
	handle(r, "athena", "ListWorkGroups", a.listWorkGroups)
	handle(r, "athena", "UpdateWorkGroup", a.updateWorkGroup)
	handle(r, "athena", "DeleteWorkGroup", a.deleteWorkGroup)
	handle(r, "athena", "StartQueryExecution", a.start)
	handle(r, "athena", "StopQueryExecution", a.stop)
	handle(r, "athena", "GetQueryExecution", a.getExecution)
	handle(r, "athena", "BatchGetQueryExecution", a.batchGet)
	handle(r, "athena", "ListQueryExecutions", a.listExecutions)
	handle(r, "athena", "GetQueryResults", a.results)
}

func engineVersion() *types.EngineVersion {
	return &types.EngineVersion{SelectedEngineVersion: aws.String("AUTO"), EffectiveEngineVersion: aws.String(athenaEngine)}
}

func athenaInvalidf(format string, args ...any) error {
	return &types.InvalidRequestException{Message: aws.String(fmt.Sprintf(format, args...)), AthenaErrorCode: aws.String("INVALID_INPUT")}
}

var groupName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,128}$`)

func (a *athenaService) group(name string) (*workGroup, error) {
	if name == "" {
		name = primaryGroup
	}
	g, ok := a.groups[name]
	if !ok {
		return nil, athenaInvalidf("WorkGroup %s is not found.", name)
	}
	return g, nil
}

func (a *athenaService) createWorkGroup(_ context.Context, in *athena.CreateWorkGroupInput) (*athena.CreateWorkGroupOutput, error) {
	name := deref(in.Name)
	if !groupName.MatchString(name) {
		return nil, athenaInvalidf("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9._-]{1,128}", name)
	}
	if _, ok := a.groups[name]; ok {
		return nil, athenaInvalidf("WorkGroup %s is already created", name)
	}
	if len(in.Tags) > 0 {
		return nil, unsupported("Tags")
	}
	g := &workGroup{name: name, description: deref(in.Description), state: types.WorkGroupStateEnabled, created: a.r.now(), config: deref(in.Configuration)}
	if err := g.settle(); err != nil {
		return nil, err
	}
	a.groups[name] = g
	return &athena.CreateWorkGroupOutput{}, nil
}

// settle checks a configuration and fills in what AWS fills in.
func (g *workGroup) settle() error {
	c := &g.config
	for name, set := range map[string]bool{
		"AdditionalConfiguration": c.AdditionalConfiguration != nil, "CustomerContentEncryptionConfiguration": c.CustomerContentEncryptionConfiguration != nil,
		"EnableMinimumEncryptionConfiguration": deref(c.EnableMinimumEncryptionConfiguration), "EngineConfiguration": c.EngineConfiguration != nil,
		"ExecutionRole": c.ExecutionRole != nil, "IdentityCenterConfiguration": c.IdentityCenterConfiguration != nil,
		"ManagedQueryResultsConfiguration": c.ManagedQueryResultsConfiguration != nil && c.ManagedQueryResultsConfiguration.Enabled,
		"MonitoringConfiguration":          c.MonitoringConfiguration != nil, "QueryResultsS3AccessGrantsConfiguration": c.QueryResultsS3AccessGrantsConfiguration != nil,
		"RequesterPaysEnabled": deref(c.RequesterPaysEnabled),
	} {
		if set {
			return unsupported("Configuration." + name)
		}
	}
	if c.EngineVersion != nil && !slices.Contains([]string{"", "AUTO", athenaEngine}, deref(c.EngineVersion.SelectedEngineVersion)) {
		return athenaInvalidf("The sandbox offers %s only", athenaEngine)
	}
	if n := deref(c.BytesScannedCutoffPerQuery); c.BytesScannedCutoffPerQuery != nil && n < leastCutoff {
		return athenaInvalidf("1 validation error detected: Value '%d' at 'configuration.bytesScannedCutoffPerQuery' failed to satisfy constraint: Member must have value greater than or equal to %d", n, leastCutoff)
	}
	if err := checkResultConfiguration(c.ResultConfiguration); err != nil {
		return err
	}
	if c.EnforceWorkGroupConfiguration == nil {
		c.EnforceWorkGroupConfiguration = aws.Bool(true)
	}
	if c.PublishCloudWatchMetricsEnabled == nil {
		c.PublishCloudWatchMetricsEnabled = aws.Bool(true)
	}
	if c.ResultConfiguration == nil {
		c.ResultConfiguration = &types.ResultConfiguration{}
	}
	c.EngineVersion = engineVersion()
	return nil
}

func checkResultConfiguration(c *types.ResultConfiguration) error {
	switch {
	case c == nil:
		return nil
	case c.AclConfiguration != nil:
		return unsupported("ResultConfiguration.AclConfiguration")
	case c.EncryptionConfiguration != nil:
		return unsupported("ResultConfiguration.EncryptionConfiguration")
	case c.OutputLocation == nil:
		return nil
	}
	_, _, err := s3Location(*c.OutputLocation)
	return err
}

// s3Location splits s3://bucket/prefix.
func s3Location(address string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return "", "", athenaInvalidf("outputLocation is not a valid S3 path.")
	}
	return bucket, prefix, nil
}

func (g *workGroup) out() *types.WorkGroup {
	c := g.config
	w := &types.WorkGroup{Name: aws.String(g.name), State: g.state, CreationTime: aws.Time(g.created), Configuration: &c}
	if g.description != "" {
		w.Description = aws.String(g.description)
	}
	return w
}

func (a *athenaService) getWorkGroup(_ context.Context, in *athena.GetWorkGroupInput) (*athena.GetWorkGroupOutput, error) {
	g, err := a.group(deref(in.WorkGroup))
	if err != nil {
		return nil, err
	}
	return &athena.GetWorkGroupOutput{WorkGroup: g.out()}, nil
}

func (a *athenaService) listWorkGroups(_ context.Context, in *athena.ListWorkGroupsInput) (*athena.ListWorkGroupsOutput, error) {
	names := make([]string, 0, len(a.groups))
	for n := range a.groups {
		names = append(names, n)
	}
	slices.Sort(names)
	names, next, err := athenaPage(names, in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &athena.ListWorkGroupsOutput{NextToken: next}
	for _, n := range names {
		w := a.groups[n].out()
		out.WorkGroups = append(out.WorkGroups, types.WorkGroupSummary{Name: w.Name, Description: w.Description, State: w.State,
			CreationTime: w.CreationTime, EngineVersion: engineVersion()})
	}
	return out, nil
}

// athenaPage cuts a page of a list; its token is a place in the list.
func athenaPage[T any](list []T, token *string, asked *int32, most int) (page []T, next *string, err error) {
	n := most
	if asked != nil {
		if *asked < 0 || int(*asked) > most {
			return nil, nil, athenaInvalidf("MaxResults is more than maximum allowed length %d", most)
		}
		if *asked > 0 {
			n = int(*asked)
		}
	}
	from := 0
	if token != nil && (openToken(*token, &from) != nil || from < 0 || from > len(list)) {
		return nil, nil, athenaInvalidf("Could not decode the token")
	}
	to := min(len(list), from+n)
	if to < len(list) {
		next = sealToken(to)
	}
	return list[from:to], next, nil
}

func (a *athenaService) updateWorkGroup(_ context.Context, in *athena.UpdateWorkGroupInput) (*athena.UpdateWorkGroupOutput, error) {
	g, err := a.group(deref(in.WorkGroup))
	if err != nil {
		return nil, err
	}
	next := *g
	if in.Description != nil {
		next.description = *in.Description
	}
	if in.State != "" {
		next.state = in.State
	}
	if u := in.ConfigurationUpdates; u != nil {
		if err := next.update(u); err != nil {
			return nil, err
		}
	}
	if err := next.settle(); err != nil {
		return nil, err
	}
	*g = next
	return &athena.UpdateWorkGroupOutput{}, nil
}

// update lays changes over a configuration, which is replaced and never changed in
// place: answers may still hold it.
func (g *workGroup) update(u *types.WorkGroupConfigurationUpdates) error {
	for name, set := range map[string]bool{
		"AdditionalConfiguration": u.AdditionalConfiguration != nil, "CustomerContentEncryptionConfiguration": u.CustomerContentEncryptionConfiguration != nil,
		"EnableMinimumEncryptionConfiguration": deref(u.EnableMinimumEncryptionConfiguration), "EngineConfiguration": u.EngineConfiguration != nil,
		"ExecutionRole": u.ExecutionRole != nil, "ManagedQueryResultsConfigurationUpdates": u.ManagedQueryResultsConfigurationUpdates != nil,
		"MonitoringConfiguration": u.MonitoringConfiguration != nil, "QueryResultsS3AccessGrantsConfiguration": u.QueryResultsS3AccessGrantsConfiguration != nil,
		"RequesterPaysEnabled": deref(u.RequesterPaysEnabled),
	} {
		if set {
			return unsupported("ConfigurationUpdates." + name)
		}
	}
	c := g.config
	if u.BytesScannedCutoffPerQuery != nil {
		c.BytesScannedCutoffPerQuery = u.BytesScannedCutoffPerQuery
	}
	if deref(u.RemoveBytesScannedCutoffPerQuery) {
		c.BytesScannedCutoffPerQuery = nil
	}
	if u.EnforceWorkGroupConfiguration != nil {
		c.EnforceWorkGroupConfiguration = u.EnforceWorkGroupConfiguration
	}
	if u.PublishCloudWatchMetricsEnabled != nil {
		c.PublishCloudWatchMetricsEnabled = u.PublishCloudWatchMetricsEnabled
	}
	if u.EngineVersion != nil {
		c.EngineVersion = u.EngineVersion
	}
	if ru := u.ResultConfigurationUpdates; ru != nil {
		result := deref(c.ResultConfiguration)
		if ru.AclConfiguration != nil || ru.EncryptionConfiguration != nil {
			return unsupported("ConfigurationUpdates.ResultConfigurationUpdates.AclConfiguration or EncryptionConfiguration")
		}
		if ru.OutputLocation != nil {
			result.OutputLocation = ru.OutputLocation
		}
		if deref(ru.RemoveOutputLocation) {
			result.OutputLocation = nil
		}
		if ru.ExpectedBucketOwner != nil {
			result.ExpectedBucketOwner = ru.ExpectedBucketOwner
		}
		c.ResultConfiguration = &result
	}
	g.config = c
	return nil
}

func (a *athenaService) deleteWorkGroup(_ context.Context, in *athena.DeleteWorkGroupInput) (*athena.DeleteWorkGroupOutput, error) {
	g, err := a.group(deref(in.WorkGroup))
	if err != nil {
		return nil, err
	}
	if g.name == primaryGroup {
		return nil, athenaInvalidf("Cannot delete the primary workgroup")
	}
	if !deref(in.RecursiveDeleteOption) && slices.ContainsFunc(a.order, func(id string) bool { return a.queries[id].group == g.name }) {
		return nil, athenaInvalidf("WorkGroup %s is not empty", g.name)
	}
	delete(a.groups, g.name)
	a.order = slices.DeleteFunc(a.order, func(id string) bool {
		q := a.queries[id]
		if q.group != g.name {
			return false
		}
		a.forget(q)
		return true
	})
	return &athena.DeleteWorkGroupOutput{}, nil
}

// forget drops a query; its events find it finished.
func (a *athenaService) forget(q *query) {
	if !q.over() {
		q.state = types.QueryExecutionStateCancelled
	}
	delete(a.queries, q.id)
	delete(a.tokens, deref(q.request.ClientRequestToken))
}

func (q *query) over() bool {
	return q.state != types.QueryExecutionStateQueued && q.state != types.QueryExecutionStateRunning
}

func (a *athenaService) start(ctx context.Context, in *athena.StartQueryExecutionInput) (*athena.StartQueryExecutionOutput, error) {
	if in.ClientRequestToken != nil {
		if q, ok := a.tokens[*in.ClientRequestToken]; ok {
			if !sameRequest(&q.request, in) {
				return nil, athenaInvalidf("Idempotent parameters do not match")
			}
			return &athena.StartQueryExecutionOutput{QueryExecutionId: aws.String(q.id)}, nil
		}
		if n := len(*in.ClientRequestToken); n < 32 || n > 128 {
			return nil, athenaInvalidf("1 validation error detected: Value at 'clientRequestToken' failed to satisfy constraint: Member must have length between 32 and 128")
		}
	}
	q, err := a.accept(in)
	if err != nil {
		return nil, err
	}
	q.billed = !inside(ctx) // as for every call: the operator's bill does not grow by what functions do
	if in.ClientRequestToken != nil {
		a.tokens[*in.ClientRequestToken] = q
	}
	a.queries[q.id] = q
	a.order = append(a.order, q.id)
	for len(a.order) > mostQueries {
		a.forget(a.queries[a.order[0]])
		a.order = a.order[1:]
	}
	a.r.after(athenaQueueTime, func() { a.begin(q) })
	return &athena.StartQueryExecutionOutput{QueryExecutionId: aws.String(q.id)}, nil
}

// sameRequest compares what must not differ for one token.
func sameRequest(a, b *athena.StartQueryExecutionInput) bool {
	return deref(a.QueryString) == deref(b.QueryString) && deref(a.WorkGroup) == deref(b.WorkGroup) && slices.Equal(a.ExecutionParameters, b.ExecutionParameters) &&
		deref(deref(a.QueryExecutionContext).Database) == deref(deref(b.QueryExecutionContext).Database) &&
		deref(deref(a.ResultConfiguration).OutputLocation) == deref(deref(b.ResultConfiguration).OutputLocation)
}

// accept checks a request and makes a query of it.
func (a *athenaService) accept(in *athena.StartQueryExecutionInput) (*query, error) {
	sql := deref(in.QueryString)
	switch {
	case sql == "":
		return nil, athenaInvalidf("1 validation error detected: Value at 'queryString' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case len(sql) > mostStatement:
		return nil, athenaInvalidf("1 validation error detected: Value at 'queryString' failed to satisfy constraint: Member must have length less than or equal to %d", mostStatement)
	case in.EngineConfiguration != nil:
		return nil, unsupported("EngineConfiguration")
	case in.ResultReuseConfiguration != nil && in.ResultReuseConfiguration.ResultReuseByAgeConfiguration != nil && in.ResultReuseConfiguration.ResultReuseByAgeConfiguration.Enabled:
		return nil, unsupported("ResultReuseConfiguration.ResultReuseByAgeConfiguration")
	case in.ExecutionParameters != nil && len(in.ExecutionParameters) == 0:
		return nil, athenaInvalidf("1 validation error detected: Value '[]' at 'executionParameters' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	context := deref(in.QueryExecutionContext)
	if c := deref(context.Catalog); c != "" && !strings.EqualFold(c, defaultCatalog) {
		return nil, athenaInvalidf("Catalog %s does not exist: the sandbox has %s only", c, defaultCatalog)
	}
	g, err := a.group(deref(in.WorkGroup))
	if err != nil {
		return nil, err
	}
	if g.state != types.WorkGroupStateEnabled {
		return nil, athenaInvalidf("WorkGroup %s is disabled.", g.name)
	}
	if err := checkResultConfiguration(in.ResultConfiguration); err != nil {
		return nil, err
	}
	folder := deref(deref(in.ResultConfiguration).OutputLocation)
	if group := deref(deref(g.config.ResultConfiguration).OutputLocation); folder == "" || deref(g.config.EnforceWorkGroupConfiguration) && group != "" {
		folder = group
	}
	if folder == "" {
		return nil, athenaInvalidf("No output location provided. An output location is required either through the Workgroup result configuration setting or as an API input.")
	}
	q := &query{id: a.r.id(), sql: sql, group: g.name, request: *in, folder: strings.TrimSuffix(folder, "/") + "/", database: strings.ToLower(deref(context.Database)),
		parameters: in.ExecutionParameters, cutoff: deref(g.config.BytesScannedCutoffPerQuery), metrics: deref(g.config.PublishCloudWatchMetricsEnabled),
		state: types.QueryExecutionStateQueued, submitted: a.r.now()}
	if q.database == "" {
		q.database = "default"
	}
	q.statement, q.sub = statementOf(sql)
	extension := ".csv"
	switch {
	case q.statement == types.StatementTypeDdl || q.statement == types.StatementTypeUtility:
		extension = ".txt"
	case q.sub == "UNLOAD":
		extension = ""
	}
	q.location = q.folder + q.id + extension
	return q, nil
}

// find returns a query that is still known.
func (a *athenaService) find(id *string) (*query, error) {
	q, ok := a.queries[deref(id)]
	if !ok {
		return nil, athenaInvalidf("QueryExecution %s was not found", deref(id))
	}
	return q, nil
}

func (a *athenaService) stop(_ context.Context, in *athena.StopQueryExecutionInput) (*athena.StopQueryExecutionOutput, error) {
	q, err := a.find(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	if !q.over() { // stopping what is over does nothing, as on AWS
		a.finish(q, types.QueryExecutionStateCancelled, "Query cancelled by user")
	}
	return &athena.StopQueryExecutionOutput{}, nil
}

func (a *athenaService) getExecution(_ context.Context, in *athena.GetQueryExecutionInput) (*athena.GetQueryExecutionOutput, error) {
	q, err := a.find(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	return &athena.GetQueryExecutionOutput{QueryExecution: q.out(a.r.now())}, nil
}

func (q *query) out(now time.Time) *types.QueryExecution {
	e := &types.QueryExecution{
		QueryExecutionId: aws.String(q.id), Query: aws.String(q.sql), WorkGroup: aws.String(q.group), EngineVersion: engineVersion(),
		ExecutionParameters: q.parameters, StatementType: q.statement, SubstatementType: aws.String(q.sub),
		QueryExecutionContext:    &types.QueryExecutionContext{Database: aws.String(q.database), Catalog: aws.String(strings.ToLower(defaultCatalog))},
		ResultConfiguration:      &types.ResultConfiguration{OutputLocation: aws.String(q.location)},
		ResultReuseConfiguration: &types.ResultReuseConfiguration{ResultReuseByAgeConfiguration: &types.ResultReuseByAgeConfiguration{}},
		Status:                   &types.QueryExecutionStatus{State: q.state, SubmissionDateTime: aws.Time(q.submitted), AthenaError: q.failure},
		Statistics:               q.statistics(now),
	}
	if q.reason != "" {
		e.Status.StateChangeReason = aws.String(q.reason)
	}
	if q.over() {
		e.Status.CompletionDateTime = aws.Time(q.completed)
	}
	return e
}

// statistics are the times and the bytes so far; bytes are known at the end.
func (q *query) statistics(now time.Time) *types.QueryExecutionStatistics {
	end := now
	if q.over() {
		end = q.completed
	}
	ms := func(d time.Duration) *int64 { return aws.Int64(max(0, d.Milliseconds())) }
	s := &types.QueryExecutionStatistics{DataScannedInBytes: aws.Int64(q.scanned), TotalExecutionTimeInMillis: ms(end.Sub(q.submitted)),
		ResultReuseInformation: &types.ResultReuseInformation{}}
	if q.started.IsZero() {
		s.QueryQueueTimeInMillis, s.EngineExecutionTimeInMillis = ms(end.Sub(q.submitted)), aws.Int64(0)
		return s
	}
	running := end.Sub(q.started)
	s.QueryQueueTimeInMillis = ms(q.started.Sub(q.submitted))
	s.QueryPlanningTimeInMillis = ms(min(running, athenaPlanningTime))
	if !q.over() {
		s.EngineExecutionTimeInMillis = ms(running)
		return s
	}
	s.ServiceProcessingTimeInMillis = ms(min(running, athenaServiceTime))
	s.EngineExecutionTimeInMillis = ms(running - athenaServiceTime)
	if q.manifest != "" {
		s.DataManifestLocation = aws.String(q.manifest)
	}
	return s
}

func (a *athenaService) batchGet(_ context.Context, in *athena.BatchGetQueryExecutionInput) (*athena.BatchGetQueryExecutionOutput, error) {
	if n := len(in.QueryExecutionIds); n < 1 || n > 50 {
		return nil, athenaInvalidf("1 validation error detected: Value at 'queryExecutionIds' failed to satisfy constraint: Member must have length between 1 and 50")
	}
	out := &athena.BatchGetQueryExecutionOutput{}
	for _, id := range in.QueryExecutionIds {
		q, err := a.find(&id)
		if err != nil {
			out.UnprocessedQueryExecutionIds = append(out.UnprocessedQueryExecutionIds, types.UnprocessedQueryExecutionId{
				QueryExecutionId: aws.String(id), ErrorCode: aws.String("INVALID_INPUT"), ErrorMessage: aws.String(fmt.Sprintf("QueryExecution %s was not found", id))})
			continue
		}
		out.QueryExecutions = append(out.QueryExecutions, *q.out(a.r.now()))
	}
	return out, nil
}

func (a *athenaService) listExecutions(_ context.Context, in *athena.ListQueryExecutionsInput) (*athena.ListQueryExecutionsOutput, error) {
	g, err := a.group(deref(in.WorkGroup))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, id := range slices.Backward(a.order) { // newest first
		if a.queries[id].group == g.name {
			ids = append(ids, id)
		}
	}
	ids, next, err := athenaPage(ids, in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	return &athena.ListQueryExecutionsOutput{QueryExecutionIds: ids, NextToken: next}, nil
}

func (a *athenaService) results(_ context.Context, in *athena.GetQueryResultsInput) (*athena.GetQueryResultsOutput, error) {
	q, err := a.find(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	if in.QueryResultType == types.QueryResultTypeDataManifest {
		return nil, unsupported("QueryResultType DATA_MANIFEST")
	}
	switch q.state {
	case types.QueryExecutionStateFailed, types.QueryExecutionStateCancelled:
		return nil, athenaInvalidf("Query did not finish successfully. Final query state: %s", q.state)
	case types.QueryExecutionStateQueued, types.QueryExecutionStateRunning:
		return nil, athenaInvalidf("Query has not yet finished. Current state: %s", q.state)
	}
	rows, next, err := athenaPage(q.result.page(), in.NextToken, in.MaxResults, mostResultRows)
	if err != nil {
		return nil, err
	}
	out := &athena.GetQueryResultsOutput{NextToken: next, UpdateCount: aws.Int64(0),
		ResultSet: &types.ResultSet{Rows: make([]types.Row, 0, len(rows)), ResultSetMetadata: &types.ResultSetMetadata{ColumnInfo: q.result.info()}}}
	for _, row := range rows {
		data := make([]types.Datum, len(row))
		for i, v := range row {
			data[i].VarCharValue = v
		}
		out.ResultSet.Rows = append(out.ResultSet.Rows, types.Row{Data: data})
	}
	return out, nil
}
