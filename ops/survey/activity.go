package survey

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"golang.org/x/sync/errgroup"

	"kxops/ops"
)

// activeEvery is how often CloudWatch is asked which metrics had data in the last
// three hours. New metrics take up to a quarter of an hour to be listed anyway.
const activeEvery = 15 * time.Minute

// roster names one ListMetrics call: one metric name, or a whole namespace.
type roster struct{ namespace, name string }

// rosters lists what is asked, the most telling first. The queue metrics come and
// go together, so one name stands for all of them.
var rosters = []roster{
	{"AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds"},
	{"AWS/SQS", "ApproximateNumberOfMessagesVisible"},
	{"AWS/Firehose", ""},
	{"AWS/Lambda", "IteratorAge"},
	{"AWS/Kinesis", "IncomingRecords"},
	{"AWS/Kinesis", "WriteProvisionedThroughputExceeded"},
	{"AWS/Kinesis", "SubscribeToShardEvent.MillisBehindLatest"},
	{"AWS/Lambda", "Errors"},
	{"AWS/Lambda", "Throttles"},
	{"AWS/SNS", ""},
}

// rosterOf returns the roster that lists a metric; ok is false for the metrics
// that are only asked for on screen, which are not worth a list.
func rosterOf(namespace, name string) (r roster, ok bool) {
	if namespace == "AWS/SQS" {
		name = "ApproximateNumberOfMessagesVisible"
	}
	for _, r := range rosters {
		if r.namespace == namespace && (r.name == "" || r.name == name) {
			return r, true
		}
	}
	return roster{}, false
}

// activity knows which metrics had data lately. Asking for the others would cost
// money and answer nothing.
type activity struct {
	lists   map[roster]map[string]bool // by metric name and dimensions
	failed  map[roster]bool            // then everything counts as active
	at      time.Time                  // when all lists were last read
	pages   int                        // calls that the last reading took
	problem *ops.Problem
}

func newActivity() activity {
	return activity{lists: map[roster]map[string]bool{}, failed: map[roster]bool{}}
}

// of reports whether a metric had data lately. known is false while that has not
// been read yet.
func (a *activity) of(namespace, name string, dims []string) (known, active bool) {
	r, ok := rosterOf(namespace, name)
	if !ok || a.failed[r] {
		return true, true
	}
	list, ok := a.lists[r]
	if !ok {
		return false, false
	}
	if namespace == "AWS/SQS" {
		name = r.name
	}
	return true, list[metricID(name, dims)]
}

// settled reports whether every list was read or failed.
func (a *activity) settled() bool { return len(a.lists)+len(a.failed) >= len(rosters) }

// metricID identifies a metric within its namespace. dims are in a fixed order:
// the alphabetical one.
func metricID(name string, dims []string) string {
	if len(dims) == 4 && dims[0] > dims[2] {
		dims = []string{dims[2], dims[3], dims[0], dims[1]}
	}
	return name + "\x00" + strings.Join(dims, "\x00")
}

// readActivity asks which metrics had data in the last three hours.
func (s *Survey) readActivity(ctx context.Context) {
	s.mu.Lock()
	// Lists that failed are never young: who waits for them would wait in vain, and
	// their problem would outlive its cause.
	young := s.picture.activity.problem == nil && s.picture.activity.settled() && s.options.Now().Sub(s.picture.activity.at) < activeEvery
	s.picture.activity.failed = map[roster]bool{}
	s.mu.Unlock()
	if young {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sectionTimeout)
	defer cancel()
	pages, problem := 0, (*ops.Problem)(nil)
	var calls errgroup.Group
	calls.SetLimit(4)
	for _, r := range rosters {
		calls.Go(func() error {
			s.safely("metrics", func() {
				s.mu.Lock()
				if problem != nil { // one list failed: the others are the same action at the same place
					s.picture.activity.failed[r] = true
					s.mu.Unlock()
					return
				}
				s.mu.Unlock()
				list, n, err := s.readRoster(ctx, r)
				var p *ops.Problem
				if err != nil {
					p = s.explain(ctx, err)
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				pages += n
				if err != nil {
					s.picture.activity.failed[r] = true
					problem = first(problem, p)
					return
				}
				s.picture.activity.lists[r] = list
			})
			return nil
		})
	}
	_ = calls.Wait() // no call returns an error: each keeps its own
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture.activity.pages, s.picture.activity.problem = pages, problem
	s.picture.activity.at = s.options.Now()
	s.touch()
}

func (s *Survey) readRoster(ctx context.Context, r roster) (list map[string]bool, pages int, err error) {
	in := &cloudwatch.ListMetricsInput{Namespace: &r.namespace, RecentlyActive: types.RecentlyActivePt3h}
	if r.name != "" {
		in.MetricName = &r.name
	}
	list = map[string]bool{}
	for p := cloudwatch.NewListMetricsPaginator(s.metrics, in); p.HasMorePages(); pages++ {
		if pages >= maxPages {
			return nil, pages, errTooManyPages("metrics")
		}
		out, err := p.NextPage(ctx)
		if err != nil {
			return nil, pages, fmt.Errorf("list active metrics of %s: %w", r.namespace, err)
		}
		for _, m := range out.Metrics {
			if dims, ok := ours(m.Dimensions); ok {
				list[metricID(aws.ToString(m.MetricName), dims)] = true
			}
		}
	}
	return list, pages, nil
}

// ours returns the dimensions of a metric that kxops may ask for: the resource,
// and for fan-out the consumer. Shards, versions and operations are not.
func ours(in []types.Dimension) (dims []string, ok bool) {
	if len(in) == 0 || len(in) > 2 {
		return nil, false
	}
	for _, d := range in {
		dims = append(dims, aws.ToString(d.Name), aws.ToString(d.Value))
	}
	return dims, true
}
