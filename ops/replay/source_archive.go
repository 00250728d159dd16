package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"kxops/ops"
)

const (
	// bufferMost is the longest that Firehose collects records into one object. Source:
	// BufferingHints.IntervalInSeconds, at most 900.
	bufferMost = 15 * time.Minute
	// storedLate is how long after its last record an object without a time in its name is
	// still looked at.
	storedLate = time.Hour
	// hoursMost is the longest window that is listed hour by hour; longer ones list all.
	hoursMost = 24 * 62
	// objectsMost bounds the objects of one plan: a saved plan names each of them.
	objectsMost = 200_000
	// readTries is how often an object is begun again from its last place.
	readTries = 6
	// objectMost is the longest that one object may take, with waiting for the target;
	// then it is begun again from its last place.
	objectMost = 12 * time.Hour
	// readPatience is how long a read may bring nothing.
	readPatience = time.Minute
)

// archiveSource reads objects that Firehose, a Kinesis channel or anybody else wrote.
type archiveSource struct{ desk *Desk }

// layout is how the objects of an archive are named.
type layout struct {
	prefix string
	hours  bool // prefix, then yyyy/MM/dd/HH/
	zone   *time.Location
	except string // objects under it are not records that were delivered
}

func (s archiveSource) find(ctx context.Context, plan *ops.ReplayPlan) error {
	l := layout{prefix: plan.From.Prefix, zone: time.UTC}
	var err error
	if plan.From.Kind == ops.KindDelivery {
		if l, err = s.described(ctx, plan); err != nil {
			return err
		}
	} else if l.hours, err = s.byHour(ctx, plan.From.Bucket, l.prefix); err != nil {
		return err
	}
	if len(plan.Select.Keys) > 0 {
		return refused("objects of an archive do not know their partition keys: use --filter on a field of the body instead of --key")
	}
	f := &finding{plan: plan, layout: l}
	for _, prefix := range l.prefixes(plan.Select) {
		if err := s.list(ctx, prefix, f); err != nil {
			return err
		}
	}
	f.say()
	return nil
}

// described asks the delivery stream where it writes to.
func (s archiveSource) described(ctx context.Context, plan *ops.ReplayPlan) (layout, error) {
	l := layout{zone: time.UTC}
	out, err := s.desk.firehose.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: aws.String(plan.From.ARN.Name())})
	if err != nil {
		return l, err
	}
	d := out.DeliveryStreamDescription
	plan.From.ARN = ops.ARN(aws.ToString(d.DeliveryStreamARN))
	var to *firehosetypes.ExtendedS3DestinationDescription
	for _, x := range d.Destinations {
		to = x.ExtendedS3DestinationDescription
	}
	if to == nil {
		return l, refused("%s does not deliver to S3: name what it backs up to with --from archive:BUCKET/PREFIX", plan.From.ARN.Name())
	}
	_, plan.From.Bucket, _ = strings.Cut(aws.ToString(to.BucketARN), ":::")
	prefix := aws.ToString(to.Prefix)
	plan.From.Prefix = prefix
	var dynamic string
	l.prefix, dynamic, _ = strings.Cut(prefix, "!{")
	l.hours = dynamic == "" || dynamic == hourly
	if l.except, _, _ = strings.Cut(aws.ToString(to.ErrorOutputPrefix), "!{"); strings.HasPrefix(l.prefix, l.except) {
		l.except = "" // both begin alike: what failed cannot be told by its name, and is unwrapped
	}
	if zone := aws.ToString(to.CustomTimeZone); zone != "" {
		if l.zone, err = time.LoadLocation(zone); err != nil {
			return l, fmt.Errorf("the time zone %q of %s: %w", zone, plan.From.ARN.Name(), err)
		}
	}
	return l, nil
}

// hourly is the default layout as people write it into a prefix.
const hourly = "timestamp:yyyy/MM/dd/HH}/"

var yearPrefix = regexp.MustCompile(`^(19|20)\d\d/$`)

// byHour reports whether what is under the prefix is in folders by year.
func (s archiveSource) byHour(ctx context.Context, bucket, prefix string) (bool, error) {
	out, err := s.desk.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, Delimiter: aws.String("/")})
	if err != nil {
		return false, err
	}
	if len(out.CommonPrefixes) == 0 || len(out.Contents) > 0 {
		return false, nil
	}
	for _, p := range out.CommonPrefixes {
		if !yearPrefix.MatchString(strings.TrimPrefix(aws.ToString(p.Prefix), prefix)) {
			return false, nil
		}
	}
	return true, nil
}

// prefixes are those under which objects of the window lie.
func (l layout) prefixes(sel ops.ReplaySelect) []string {
	if !l.hours || sel.Since.IsZero() || sel.Until.IsZero() {
		return []string{l.prefix}
	}
	// The folder is that of the oldest record in the object.
	at := sel.Since.Add(-bufferMost).In(l.zone)
	at = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), 0, 0, 0, l.zone) // zones of half an hour have hours of their own
	if sel.Until.Sub(at) > hoursMost*time.Hour {
		return []string{l.prefix}
	}
	var out []string
	for ; at.Before(sel.Until); at = at.Add(time.Hour) {
		if p := l.prefix + at.Format("2006/01/02/15/"); len(out) == 0 || out[len(out)-1] != p {
			out = append(out, p)
		}
	}
	return out
}

// finding is what was listed.
type finding struct {
	plan   *ops.ReplayPlan
	layout layout

	bytes, outside int64
	cold           []ops.ReplayCold // archived, without a copy to read
	tiering        int              // objects that may be archived, which a listing does not say
	untimed        bool
	full           bool
}

func (s archiveSource) list(ctx context.Context, prefix string, f *finding) error {
	pages := s3.NewListObjectsV2Paginator(s.desk.s3, &s3.ListObjectsV2Input{Bucket: &f.plan.From.Bucket, Prefix: &prefix,
		OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus}})
	for pages.HasMorePages() && !f.full {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range out.Contents {
			f.add(o)
		}
	}
	return nil
}

// nameTime is the time that Firehose puts into the name of an object.
var nameTime = regexp.MustCompile(`-(\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)-`)

// add takes an object whose records can have arrived within the window: it was stored
// after the window began, and its oldest record, where its name tells, arrived before
// the window's end.
func (f *finding) add(o types.Object) {
	key, sel := aws.ToString(o.Key), f.plan.Select
	if aws.ToInt64(o.Size) == 0 || f.layout.except != "" && strings.HasPrefix(key, f.layout.except) {
		return
	}
	stored := aws.ToTime(o.LastModified).UTC()
	if !sel.Since.IsZero() && stored.Before(sel.Since) {
		f.outside++
		return
	}
	if !sel.Until.IsZero() {
		oldest, ok := f.oldest(key)
		if !ok {
			f.untimed = true
			oldest = stored.Add(-storedLate)
		}
		if !oldest.Before(sel.Until) {
			f.outside++
			return
		}
	}
	if len(f.plan.Parts) >= objectsMost {
		f.full = true
		return
	}
	switch standingOf(o) {
	case cold, coming:
		f.cold = addCold(f.cold, o)
	}
	if o.StorageClass == types.ObjectStorageClassIntelligentTiering {
		f.tiering++
	}
	f.bytes += aws.ToInt64(o.Size)
	f.plan.Parts = append(f.plan.Parts, ops.ReplayPart{ID: key, ETag: aws.ToString(o.ETag), Bytes: aws.ToInt64(o.Size), Class: string(o.StorageClass), Stored: stored})
}

func (f *finding) oldest(key string) (time.Time, bool) {
	m := nameTime.FindStringSubmatch(key[strings.LastIndexByte(key, '/')+1:])
	if m == nil {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation("2006-01-02-15-04-05", m[1], f.layout.zone)
	return t, err == nil
}

// say tells what was found.
func (f *finding) say() {
	plan := f.plan
	// By time, whatever the folders are: the order in which objects are read.
	slices.SortStableFunc(plan.Parts, func(a, b ops.ReplayPart) int {
		ta, oka := f.oldest(a.ID)
		tb, okb := f.oldest(b.ID)
		if !oka || !okb {
			ta, tb = a.Stored, b.Stored
		}
		return cmp.Or(ta.Compare(tb), strings.Compare(a.ID, b.ID))
	})
	plan.Estimate.Bytes = ops.Know(float64(f.bytes), plan.Created)
	block := func(format string, a ...any) { plan.Blockers = append(plan.Blockers, fmt.Sprintf(format, a...)) }
	where := "s3://" + plan.From.Bucket + "/" + f.layout.prefix
	switch {
	case f.full:
		block("more than %d objects are meant: narrow the window or the prefix", objectsMost)
	case len(plan.Parts) == 0 && f.outside > 0:
		block("no object under %s can hold events of the window (%d lie outside of it)", where, f.outside)
	case len(plan.Parts) == 0:
		block("there is no object under %s%s", where, inWindow(plan.Select))
	}
	if plan.Archived = f.cold; len(f.cold) > 0 {
		block("%s", coldText(f.cold, len(plan.Parts)))
		plan.Expires = plan.Created.Add(waitLife)
	}
	if f.tiering > 0 {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "tiering", Value: fmt.Sprintf("%d objects are in INTELLIGENT_TIERING: whether S3 has moved one to an archive tier shows when it is read", f.tiering)})
	}
	if !plan.Select.Since.IsZero() || !plan.Select.Until.IsZero() {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "the window", Value: "chooses objects by when they were stored and by the time in their names; records in them carry no arrival time of their own, so events from up to " +
			"15 minutes beside the window are among them: a --filter on the time in the body is exact"})
	}
	if f.untimed {
		plan.Facts = append(plan.Facts, ops.Fact{Name: "names", Value: "some objects have no time in their names: those stored up to an hour after the window are read too"})
	}
}

func inWindow(s ops.ReplaySelect) string {
	if s.Since.IsZero() && s.Until.IsZero() {
		return ""
	}
	return " in the hours of the window"
}

// read reads one object under the ETag that it had when the plan was made. What breaks
// off is begun again at its last place.
func (s archiveSource) read(ctx context.Context, plan ops.ReplayPlan, part int, after string, give func(Page) error) error {
	p := plan.Parts[part]
	for try := 1; ; try++ {
		var own error
		moved := false
		err := s.once(ctx, plan, p, after, func(page Page) error {
			if own = ctx.Err(); own == nil {
				own = give(within(plan.Select, page))
			}
			if own == nil {
				after, moved = page.Place, true
			}
			return own
		})
		switch {
		case err == nil || own != nil || ctx.Err() != nil:
			return err
		case changedSince(err):
			return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("s3://%s/%s has changed since the plan was made", plan.From.Bucket, p.ID), Hint: "make a new plan; --except leaves out what this one has sent", Err: err}
		case isArchived(err):
			return &ops.Problem{Fault: ops.FaultRefused, What: fmt.Sprintf("s3://%s/%s is archived, and there is no copy to read", plan.From.Bucket, p.ID),
				Hint: "kxops --access change replay restore " + plan.ID + " asks for one; then the replay can be resumed", Err: err}
		case !passing(s.desk.o.Explain(err).Fault):
			return err
		}
		if moved {
			try = 1
		}
		if try >= readTries {
			return err
		}
		if !pauseFor(ctx, ctx.Done(), backoff(try)) {
			return ctx.Err()
		}
	}
}

func (s archiveSource) once(ctx context.Context, plan ops.ReplayPlan, p ops.ReplayPart, after string, give func(Page) error) error {
	// A deadline of its own, else the call ends with its answer and the body with it. The
	// body is read for as long as the target takes: what counts is that something comes.
	ctx, cancel := context.WithTimeout(ctx, objectMost)
	defer cancel()
	in := &s3.GetObjectInput{Bucket: &plan.From.Bucket, Key: &p.ID}
	if p.ETag != "" {
		in.IfMatch = &p.ETag
	}
	out, err := s.desk.s3.GetObject(ctx, in)
	if err != nil {
		return err
	}
	err = readObject(&patient{body: out.Body, leave: cancel}, plan.From.Bucket, p.ID+" "+p.ETag, after, give)
	return errors.Join(err, out.Body.Close())
}

// patient ends a read from which nothing comes any more.
type patient struct {
	body  io.Reader
	leave func()
}

func (p *patient) Read(b []byte) (int, error) {
	late := time.AfterFunc(readPatience, p.leave)
	defer late.Stop()
	return p.body.Read(b)
}

// passing reports faults that another try can mend. What breaks while a body is read
// has no kind of its own.
func passing(f ops.Fault) bool {
	switch f {
	case ops.FaultThrottled, ops.FaultUnreachable, ops.FaultTimeout, ops.FaultService, ops.FaultOther:
		return true
	}
	return false
}

func changedSince(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "PreconditionFailed" || api.ErrorCode() == "NoSuchKey")
}
