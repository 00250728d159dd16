package sandbox

import (
	"container/heap"
	"context"
	"math"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Expiry ("time to live"): an item whose attribute holds a time that is past is
// deleted. AWS says "within a few days"; here it is within the minute.

const (
	expiryTakes = 2 * time.Second // to switch on or off; up to an hour in AWS
	// oldestExpiry: an item that expired longer ago is left alone (developer guide,
	// "Using time to live").
	oldestExpiry = 5 * 365 * 24 * time.Hour
)

// expiry is that of a table.
type expiry struct {
	attribute string // "" while it is off
	status    types.TimeToLiveStatus
	due       dueItems
}

// dueItem is an item's place and when it expires, in seconds since 1970. It is out of
// date once the item changes: then another one has been added.
type dueItem struct {
	at int64
	place
}

type dueItems []dueItem

func (d dueItems) Len() int           { return len(d) }
func (d dueItems) Less(i, j int) bool { return d[i].at < d[j].at }
func (d dueItems) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dueItems) Push(x any)        { *d = append(*d, x.(dueItem)) }
func (d *dueItems) Pop() any {
	old := *d
	x := old[len(old)-1]
	*d = old[:len(old)-1]
	return x
}

// expiresAt reads the time of an item, if it has one: a number of seconds.
func (e *expiry) expiresAt(it item) (int64, bool) {
	n, ok := it[e.attribute].(*types.AttributeValueMemberN)
	if !ok || e.attribute == "" {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || math.Abs(seconds) > 1e12 {
		return 0, false
	}
	return int64(math.Floor(seconds)), true
}

// expect notes when an item that is being stored expires.
func (t *table) expect(p place, it item) {
	at, ok := t.expiry.expiresAt(it)
	if !ok {
		return
	}
	heap.Push(&t.expiry.due, dueItem{at, p})
	if len(t.expiry.due) > 2*t.items+1000 { // most of them are out of date
		t.expectAll()
	}
}

// expectAll notes anew when each item expires.
func (t *table) expectAll() {
	t.expiry.due = t.expiry.due[:0]
	for _, d := range t.order {
		for _, r := range d.rows {
			if at, ok := t.expiry.expiresAt(r.it); ok {
				t.expiry.due = append(t.expiry.due, dueItem{at, r.place})
			}
		}
	}
	heap.Init(&t.expiry.due)
}

// expire deletes what is due. It takes no request units.
func (t *table) expire(now time.Time) {
	gone := 0
	for len(t.expiry.due) > 0 && t.expiry.due[0].at <= now.Unix() {
		d := heap.Pop(&t.expiry.due).(dueItem)
		r, ok := t.find(d.place)
		if at, has := t.expiry.expiresAt(r.it); !ok || !has || at != d.at || now.Sub(time.Unix(at, 0)) > oldestExpiry {
			continue
		}
		t.store(outcome{place: d.place, old: r.it})
		gone++
	}
	if gone > 0 {
		t.r.metrics.series("AWS/DynamoDB", "TimeToLiveDeletedItemCount", "Count", "TableName", t.name).add(now, float64(gone))
	}
}

func (s *dynamoService) describeExpiry(_ context.Context, in *dynamodb.DescribeTimeToLiveInput) (*dynamodb.DescribeTimeToLiveOutput, error) {
	t, err := s.tableNamed(in.TableName)
	if err != nil {
		return nil, err
	}
	out := &types.TimeToLiveDescription{TimeToLiveStatus: types.TimeToLiveStatusDisabled}
	if e := &t.expiry; e.status != "" {
		out.TimeToLiveStatus = e.status
		out.AttributeName = emptyIsNil(&e.attribute)
	}
	return &dynamodb.DescribeTimeToLiveOutput{TimeToLiveDescription: out}, nil
}

func (s *dynamoService) updateExpiry(_ context.Context, in *dynamodb.UpdateTimeToLiveInput) (*dynamodb.UpdateTimeToLiveOutput, error) {
	t, err := s.at(in.TableName)
	if err != nil {
		return nil, err
	}
	want, e := in.TimeToLiveSpecification, &t.expiry
	if want == nil || want.Enabled == nil || deref(want.AttributeName) == "" {
		return nil, invalid("1 validation error detected: Value null at 'timeToLiveSpecification' failed to satisfy constraint: Member must not be null")
	}
	switch {
	case e.status == types.TimeToLiveStatusEnabling || e.status == types.TimeToLiveStatusDisabling:
		return nil, invalid("Time to live has been modified multiple times within a fixed interval")
	case *want.Enabled && e.attribute != "":
		return nil, invalid("TimeToLive is already enabled")
	case !*want.Enabled && e.attribute == "":
		return nil, invalid("TimeToLive is already disabled")
	case !*want.Enabled && e.attribute != *want.AttributeName:
		return nil, invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", e.attribute)
	}
	if *want.Enabled {
		e.attribute, e.status = *want.AttributeName, types.TimeToLiveStatusEnabling
		s.r.after(expiryTakes, func() {
			e.status = types.TimeToLiveStatusEnabled
			t.expectAll()
		})
	} else {
		e.status = types.TimeToLiveStatusDisabling
		s.r.after(expiryTakes, func() { *e = expiry{status: types.TimeToLiveStatusDisabled} })
	}
	return &dynamodb.UpdateTimeToLiveOutput{TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(*want.AttributeName), Enabled: want.Enabled}}, nil
}
