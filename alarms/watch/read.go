package watch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"kxops/ops"
)

const (
	// maxPages bounds every listing: 100,000 alarms, or tagged resources.
	maxPages = 1000
	// tagReaders is how many single tag reads are under way: with 10 a second allowed,
	// more would only queue.
	tagReaders = 8
	// callTime is the longest that one call may take, its repetitions included.
	callTime = time.Minute
)

// Existing is every alarm of the account and region.
type Existing struct {
	Metric    []Alarm // by name
	Composite []types.CompositeAlarm
	At        time.Time
	// Partial says what could not be read: whether an alarm that bears our mark
	// carries our tag. Such an alarm is neither changed nor deleted.
	Partial []string
}

// Named finds a metric alarm, nil for none.
func (e *Existing) Named(name string) *Alarm {
	lo, hi := 0, len(e.Metric)
	for lo < hi {
		if mid := (lo + hi) / 2; e.Metric[mid].Name() < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(e.Metric) && e.Metric[lo].Name() == name {
		return &e.Metric[lo]
	}
	return nil
}

// Existing reads every metric and composite alarm with its whole configuration, and
// the tags of those that bear our mark. The error is of the alarms; tags that
// cannot be read are in Partial.
func (d *Desk) Existing(ctx context.Context) (Existing, error) {
	// Both listings are held to their own rates: side by side they take half the time.
	ctx, cancel := context.WithCancel(ctx)
	tags := make(chan map[ops.ARN]map[string]string, 1)
	go func() {
		found, err := d.tagged(ctx, []string{"cloudwatch:alarm"}, tagManaged, "true")
		if err != nil {
			found = nil // denied or unsupported: CloudWatch itself knows too, only slower
		}
		tags <- found
	}()
	e, err := d.describeAll(ctx)
	if err != nil {
		cancel()
		<-tags
		return e, err
	}
	defer cancel()
	return e, d.readOwnership(ctx, &e, <-tags)
}

func (d *Desk) describeAll(ctx context.Context) (Existing, error) {
	e := Existing{At: d.o.Now()}
	pages := cloudwatch.NewDescribeAlarmsPaginator(d.metrics, &cloudwatch.DescribeAlarmsInput{
		AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm},
		MaxRecords: aws.Int32(100),
	})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return e, fmt.Errorf("read the alarms: more than %d pages", maxPages)
		}
		out, err := bounded(ctx, func(ctx context.Context) (*cloudwatch.DescribeAlarmsOutput, error) { return pages.NextPage(ctx) })
		if err != nil {
			return e, fmt.Errorf("read the alarms: %w", d.o.Explain(err))
		}
		for _, a := range out.MetricAlarms {
			mark, marked := readMark(aws.ToString(a.AlarmDescription))
			e.Metric = append(e.Metric, Alarm{MetricAlarm: a, Mark: mark, marked: marked})
		}
		e.Composite = append(e.Composite, out.CompositeAlarms...)
	}
	sortByName(e.Metric)
	return e, nil
}

// bounded gives a call its deadline.
func bounded[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return call(ctx)
}

// readOwnership gives the marked alarms their tags: as the tagging service lists
// them, then one by one those that it does not know (it follows changes late) or
// says are not switched on yet. Its error is only of a context that ended.
func (d *Desk) readOwnership(ctx context.Context, e *Existing, tags map[ops.ARN]map[string]string) error {
	var marked []*Alarm
	for i := range e.Metric {
		if e.Metric[i].marked {
			marked = append(marked, &e.Metric[i])
		}
	}
	var ask []*Alarm
	for _, a := range marked {
		a.Tags = tags[a.ARN()]
		if !a.Managed() || a.quiet() {
			ask = append(ask, a)
		}
	}
	if problem := d.readTagsOf(ctx, ask); problem != nil {
		n := 0
		for _, a := range ask {
			if a.untagged {
				n++
			}
		}
		e.Partial = append(e.Partial, fmt.Sprintf("the tags of %d alarms that bear our mark: %s", n, problem.What))
	}
	return ctx.Err()
}

// readTagsOf asks CloudWatch for the tags of each alarm. It returns the first problem.
func (d *Desk) readTagsOf(ctx context.Context, ask []*Alarm) *ops.Problem {
	var (
		mu    sync.Mutex
		first *ops.Problem
		wg    sync.WaitGroup
		next  = make(chan *Alarm)
	)
	for range min(tagReaders, len(ask)) {
		wg.Go(func() {
			for a := range next {
				tags, err := d.tagsOf(ctx, a)
				problem := d.o.Explain(err)
				if problem == nil || problem.Fault == ops.FaultNotFound { // deleted meanwhile
					a.Tags = tags
					continue
				}
				a.untagged = true
				mu.Lock()
				if first == nil {
					first = problem
				}
				mu.Unlock()
			}
		})
	}
	for _, a := range ask {
		next <- a
	}
	close(next)
	wg.Wait()
	return first
}

func (d *Desk) tagsOf(ctx context.Context, a *Alarm) (map[string]string, error) {
	out, err := bounded(ctx, func(ctx context.Context) (*cloudwatch.ListTagsForResourceOutput, error) {
		return d.metrics.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: a.AlarmArn})
	})
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(out.Tags))
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// tagged lists the resources that carry a tag, with all their tags.
func (d *Desk) tagged(ctx context.Context, kinds []string, key string, values ...string) (map[ops.ARN]map[string]string, error) {
	found := map[ops.ARN]map[string]string{}
	pages := resourcegroupstaggingapi.NewGetResourcesPaginator(d.tags, &resourcegroupstaggingapi.GetResourcesInput{
		ResourceTypeFilters: kinds,
		TagFilters:          []tagtypes.TagFilter{{Key: &key, Values: values}},
		ResourcesPerPage:    aws.Int32(100),
	})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return found, fmt.Errorf("more than %d pages", maxPages)
		}
		out, err := bounded(ctx, func(ctx context.Context) (*resourcegroupstaggingapi.GetResourcesOutput, error) {
			return pages.NextPage(ctx)
		})
		if err != nil {
			return found, err
		}
		for _, r := range out.ResourceTagMappingList {
			tags := make(map[string]string, len(r.Tags))
			for _, t := range r.Tags {
				tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			found[ops.ARN(aws.ToString(r.ResourceARN))] = tags
		}
	}
	return found, nil
}

// ReadTags reads the tag kxops:alarms of resources: what their owners want of the
// alarms. Resources without the tag are not in the answer.
func (d *Desk) ReadTags(ctx context.Context, of []ops.ARN) (map[ops.ARN]map[string]string, error) {
	all, err := d.tagged(ctx, nil, tagWish)
	if err != nil {
		return nil, fmt.Errorf("read the tags %s: %w", tagWish, d.o.Explain(err))
	}
	tags := map[ops.ARN]map[string]string{}
	for _, arn := range of {
		if t, ok := all[arn]; ok {
			tags[arn] = map[string]string{tagWish: strings.TrimSpace(t[tagWish])}
		}
	}
	return tags, nil
}
