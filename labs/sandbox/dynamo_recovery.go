package sandbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Point-in-time recovery: while it is on, a table remembers what each write replaced,
// and a restore takes the writes back one by one.

const (
	// recoveryLags is how far behind the latest restorable second is (API reference,
	// PointInTimeRecoveryDescription: typically five minutes).
	recoveryLags = 5 * time.Minute
	// restoreTakes is how long a restored table is being made. In AWS it is
	// minutes to hours.
	restoreTakes = 10 * time.Second
	recoveryDays = 35
	// mostUndone bounds what a table remembers; beyond it the earliest restorable
	// second moves on.
	mostUndone = 100_000
)

// recovery is the memory of a table.
type recovery struct {
	on    bool
	since time.Time // nothing before can be restored
	days  int32
	log   []undo
}

// undo is what a write replaced; nil where there was nothing.
type undo struct {
	at time.Time
	place
	old item
}

// note remembers a write. Over the limit it forgets the older half.
func (m *recovery) note(u undo, limit int) {
	if !m.on {
		return
	}
	if m.log = append(m.log, u); len(m.log) > limit {
		half := len(m.log) / 2
		m.since = m.log[half-1].at
		m.log = slices.Delete(m.log, 0, half)
	}
}

func (m *recovery) earliest(now time.Time) time.Time {
	if t := now.Add(-time.Duration(m.days) * 24 * time.Hour); t.After(m.since) {
		return t
	}
	return m.since
}

func (m *recovery) latest(now time.Time, lags time.Duration) time.Time {
	if t := now.Add(-lags); t.After(m.since) {
		return t
	}
	return m.since
}

// asOf lists the items that the table had at that time.
func (t *table) asOf(when time.Time) map[place]item {
	items := map[place]item{}
	for _, d := range t.order {
		for _, r := range d.rows {
			items[r.place] = r.it
		}
	}
	for _, u := range slices.Backward(t.recovery.log) {
		if !u.at.After(when) {
			break
		}
		items[u.place] = u.old
	}
	return items
}

func (t *table) describeRecovery() *types.ContinuousBackupsDescription {
	d := &types.PointInTimeRecoveryDescription{PointInTimeRecoveryStatus: types.PointInTimeRecoveryStatusDisabled}
	if m := &t.recovery; m.on {
		now := t.r.now()
		d.PointInTimeRecoveryStatus = types.PointInTimeRecoveryStatusEnabled
		d.RecoveryPeriodInDays = aws.Int32(m.days)
		d.EarliestRestorableDateTime, d.LatestRestorableDateTime = aws.Time(m.earliest(now)), aws.Time(m.latest(now, t.r.setup(recoveryLags)))
	}
	return &types.ContinuousBackupsDescription{ContinuousBackupsStatus: types.ContinuousBackupsStatusEnabled, PointInTimeRecoveryDescription: d}
}

// backedUp finds a table for the operations on backups, which have an error of their own.
func (s *dynamoService) backedUp(given *string) (*table, error) {
	t, ok := s.tables[tableNameOf(given)]
	if !ok {
		return nil, &types.TableNotFoundException{Message: aws.String("Table not found: " + tableNameOf(given))}
	}
	return t, nil
}

func (s *dynamoService) describeBackups(_ context.Context, in *dynamodb.DescribeContinuousBackupsInput) (*dynamodb.DescribeContinuousBackupsOutput, error) {
	t, err := s.backedUp(in.TableName)
	if err != nil {
		return nil, err
	}
	return &dynamodb.DescribeContinuousBackupsOutput{ContinuousBackupsDescription: t.describeRecovery()}, nil
}

func (s *dynamoService) updateBackups(_ context.Context, in *dynamodb.UpdateContinuousBackupsInput) (*dynamodb.UpdateContinuousBackupsOutput, error) {
	t, err := s.backedUp(in.TableName)
	if err != nil {
		return nil, err
	}
	want := in.PointInTimeRecoverySpecification
	if want == nil || want.PointInTimeRecoveryEnabled == nil {
		return nil, invalid("1 validation error detected: Value null at 'pointInTimeRecoverySpecification.pointInTimeRecoveryEnabled' failed to satisfy constraint: Member must not be null")
	}
	days := int32(recoveryDays)
	if want.RecoveryPeriodInDays != nil {
		if days = *want.RecoveryPeriodInDays; days < 1 || days > recoveryDays {
			return nil, invalid("1 validation error detected: Value '%d' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy constraint: Member must have value between 1 and %d, inclusive", days, recoveryDays)
		}
	}
	if t.status == types.TableStatusCreating || t.status == types.TableStatusDeleting {
		return nil, &types.ContinuousBackupsUnavailableException{Message: aws.String("Backups are being enabled for the table: " + t.name + ". Please retry later")}
	}
	switch m := &t.recovery; {
	case !*want.PointInTimeRecoveryEnabled:
		*m = recovery{}
	case m.on:
		m.days = days
	default:
		*m = recovery{on: true, since: s.r.now(), days: days}
	}
	return &dynamodb.UpdateContinuousBackupsOutput{ContinuousBackupsDescription: t.describeRecovery()}, nil
}

// restore makes a new table with the items of another as they were at a second. As in
// AWS the new one has neither tags nor expiry nor recovery of its own.
func (s *dynamoService) restore(_ context.Context, in *dynamodb.RestoreTableToPointInTimeInput) (*dynamodb.RestoreTableToPointInTimeOutput, error) {
	if err := firstSet(
		given{"GlobalSecondaryIndexOverride", in.GlobalSecondaryIndexOverride != nil}, given{"LocalSecondaryIndexOverride", in.LocalSecondaryIndexOverride != nil},
		given{"OnDemandThroughputOverride", in.OnDemandThroughputOverride != nil}, given{"ProvisionedThroughputOverride", in.ProvisionedThroughputOverride != nil},
		given{"SSESpecificationOverride", in.SSESpecificationOverride != nil}, given{"VectorIndexOverride", in.VectorIndexOverride != nil},
		given{"BillingModeOverride PROVISIONED", in.BillingModeOverride == types.BillingModeProvisioned},
	); err != nil {
		return nil, err
	}
	source := in.SourceTableName
	if source == nil {
		source = in.SourceTableArn
	}
	from, err := s.backedUp(source)
	if err != nil {
		return nil, err
	}
	name := tableNameOf(in.TargetTableName)
	if err := checkTableName(name, "targetTableName"); err != nil {
		return nil, err
	}
	if _, ok := s.tables[name]; ok {
		return nil, &types.TableAlreadyExistsException{Message: aws.String("Table already exists: " + name)}
	}
	when, err := from.restorable(in)
	if err != nil {
		return nil, err
	}
	to := from.emptyCopy(name, when)
	for p, it := range from.asOf(when) {
		if it != nil {
			to.store(outcome{place: p, new: it})
		}
	}
	s.open(to, s.r.setup(restoreTakes))
	s.r.after(restoreTakes, func() {
		done := *to.restored // answers may still be reading the old one
		done.RestoreInProgress = aws.Bool(false)
		to.restored = &done
	})
	return &dynamodb.RestoreTableToPointInTimeOutput{TableDescription: to.describe()}, nil
}

// restorable is the second to restore to.
func (t *table) restorable(in *dynamodb.RestoreTableToPointInTimeInput) (time.Time, error) {
	now, m := t.r.now(), &t.recovery
	switch {
	case !m.on:
		return time.Time{}, &types.PointInTimeRecoveryUnavailableException{Message: aws.String("Point in time recovery is not enabled for table '" + t.name + "'")}
	case deref(in.UseLatestRestorableTime) == (in.RestoreDateTime != nil):
		return time.Time{}, invalid("One and only one of RestoreDateTime and UseLatestRestorableTime must be specified")
	case in.RestoreDateTime == nil:
		return m.latest(now, t.r.setup(recoveryLags)).Truncate(time.Second), nil
	}
	when := in.RestoreDateTime.Truncate(time.Second)
	earliest, latest := m.earliest(now), m.latest(now, t.r.setup(recoveryLags))
	if when.Before(earliest.Truncate(time.Second)) || when.After(latest) {
		return when, &types.InvalidRestoreTimeException{Message: aws.String(fmt.Sprintf("Restore time %s is not between the earliest (%s) and the latest (%s) restorable time",
			when.UTC().Format(time.RFC3339), earliest.Format(time.RFC3339), latest.Format(time.RFC3339)))}
	}
	if when.Before(earliest) { // the second in which recovery began
		when = earliest
	}
	return when, nil
}

// emptyCopy is a table with the same keys and indexes.
func (t *table) emptyCopy(name string, when time.Time) *table {
	to := &table{
		r: t.r, name: name, arn: t.r.arn("dynamodb", "table/"+name), id: t.r.id(), created: t.r.now(),
		definitions: t.definitions, keySchema: t.keySchema, shelf: newShelf(), tags: map[string]string{},
		restored: &types.RestoreSummary{RestoreDateTime: aws.Time(when), RestoreInProgress: aws.Bool(true), SourceTableArn: aws.String(string(t.arn))},
	}
	for _, x := range t.indexes {
		to.indexes = append(to.indexes, &tableIndex{name: x.name, keySchema: x.keySchema, shelf: newShelf(), projection: x.projection})
	}
	return to
}
