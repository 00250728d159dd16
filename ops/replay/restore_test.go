package replay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kxops/labs/sandbox"
	"kxops/ops"
	"kxops/ops/journal"
)

// store puts an object with two events into the bucket "events", in a storage class.
func (w *world) store(key string, class s3types.StorageClass) {
	w.Helper()
	body := fmt.Sprintf("{\"of\":%q,\"n\":1}\n{\"of\":%q,\"n\":2}\n", key, key)
	_, err := w.s3.PutObject(w.Context(), &s3.PutObjectInput{Bucket: aws.String("events"), Key: &key, Body: strings.NewReader(body), StorageClass: class})
	w.must(err)
}

// coldWorld has an archive of one warm and three cold objects, and a queue.
func coldWorld(t *testing.T) (*world, ops.ReplayPlan, string) {
	w := newWorld(t)
	w.bucket("events")
	w.store("in/a", s3types.StorageClassStandard)
	w.store("in/b", s3types.StorageClassGlacier)
	w.store("in/b2", s3types.StorageClassGlacier)
	w.store("in/c", s3types.StorageClassDeepArchive)
	url := w.queue("again")
	plan, samples, err := w.desk.Plan(t.Context(), ops.ReplayAsk{From: "archive:events/in/", To: "queue:again", Select: ops.ReplaySelect{Filter: ".n == 1"}, Canary: -1})
	w.must(err)
	if len(samples) > 0 {
		t.Fatalf("samples of what cannot be read: %+v", samples)
	}
	return w, plan, url
}

func refusal(t *testing.T, err error, want string) {
	t.Helper()
	var p *ops.Problem
	if !errors.As(err, &p) || p.Fault != ops.FaultRefused || !strings.Contains(p.What, want) {
		t.Errorf("%v, want a refusal with %q", err, want)
	}
}

// A plan of archived objects waits: they are asked for, come back by class, and only when
// all are there it is looked at again, with samples, and sends what its selection takes.
func TestAPlanWaitsForItsArchivedObjects(t *testing.T) {
	w, plan, url := coldWorld(t)
	ctx := t.Context()
	if diff := cmp.Diff([]ops.ReplayCold{{Class: "GLACIER", Objects: 2, Bytes: 82}, {Class: "DEEP_ARCHIVE", Objects: 1, Bytes: 40}}, plan.Archived); diff != "" || !plan.Waits() {
		t.Fatalf("%s %q", diff, plan.Blockers)
	}
	if b := plan.Blockers[0]; !strings.Contains(b, "3 of 4 objects (122 B) are archived: `kxops --access change replay restore PLAN`") || !strings.Contains(b, "standard up to 12h, under $0.01") {
		t.Error(b)
	}
	_, err := w.desk.Start(ctx, plan)
	refusal(t, err, "are archived")
	_, _, err = w.desk.Thaw(ctx, plan, ops.ReplayAsk{})
	refusal(t, err, "3 of 4 objects are archived, and nobody has asked for them")
	_, err = w.desk.Restore(ctx, plan, RestoreAsk{Tier: ops.ThawExpedited, Days: 2})
	refusal(t, err, "1 objects are in DEEP_ARCHIVE, which does not offer the tier expedited")

	// Somebody has asked for one of them already.
	_, err = w.s3.RestoreObject(ctx, &s3.RestoreObjectInput{Bucket: aws.String("events"), Key: aws.String("in/b"), RestoreRequest: &s3types.RestoreRequest{Days: aws.Int32(1)}})
	w.must(err)
	began := w.sb.Now()
	told := 0
	r, err := w.desk.Restore(ctx, plan, RestoreAsk{Tier: ops.ThawStandard, Days: 2, Tell: func(asked, of int) { told = asked*10 + of }})
	w.must(err)
	want := ops.ColdPrice(ops.ColdKey{Class: "GLACIER", Tier: ops.ThawStandard}, 1, 42, 2) + ops.ColdPrice(ops.ColdKey{Class: "DEEP_ARCHIVE", Tier: ops.ThawStandard}, 1, 40, 2)
	if r.Asked != 2 || r.Already != 0 || told != 22 || !cmp.Equal(r.USD, want, cmpopts.EquateApprox(0, 1e-12)) {
		t.Errorf("%+v, told %d, want $%.9f", r, told, want)
	}
	if again, err := w.desk.Restore(ctx, plan, RestoreAsk{Tier: ops.ThawStandard, Days: 2}); err != nil || again.Asked+again.Already != 0 {
		t.Errorf("again: %+v %v", again, err)
	}
	_, _, err = w.desk.Thaw(ctx, plan, ops.ReplayAsk{})
	refusal(t, err, "3 of 4 objects are on their way back: expected by "+began.Add(12*time.Hour).UTC().Format("2006-01-02 15:04 MST"))

	w.sb.Advance(6 * time.Hour)
	now, err := w.desk.Standing(ctx, plan)
	w.must(err)
	if diff := cmp.Diff(ops.ReplayThaw{Objects: 4, Cold: []ops.ReplayCold{}, Coming: []ops.ReplayCold{{Class: "DEEP_ARCHIVE", Objects: 1, Bytes: 40}},
		Back: []ops.ReplayCold{{Class: "GLACIER", Objects: 2, Bytes: 82}}, Until: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Asked: began.UTC(), Tier: ops.ThawStandard, Days: 2, Changed: []string{}}, now); diff != "" {
		t.Error(diff)
	}
	w.sb.Advance(7 * time.Hour)
	ready, samples, err := w.desk.Thaw(ctx, plan, ops.ReplayAsk{})
	w.must(err)
	if n, _ := ready.Estimate.Matched.Value(); len(samples) != 8 || n != 4 || len(ready.Blockers) != 0 || ready.ID != plan.ID || ready.Expires.Sub(w.sb.Now()) > planLife {
		t.Errorf("%d samples, %+v", len(samples), ready)
	}
	if result := started(t, w.desk, ready).Wait(); result.State != ops.Finished || result.Counts.Sent != 4 {
		t.Errorf("%+v %v", result, result.Problem)
	}
	if bodies, _ := w.drain(url); len(bodies) != 4 {
		t.Errorf("%q", bodies)
	}
	_, err = w.desk.Start(ctx, ready)
	refusal(t, err, "was applied before")
}

// What was frozen stays what is read: an object that changed while the plan waited is
// refused, before and after it is asked for, and a target that changed too.
func TestAPlanThatWaitsRefusesDrift(t *testing.T) {
	w, plan, _ := coldWorld(t)
	ctx := t.Context()
	w.store("in/b2", s3types.StorageClassStandard)
	if now, err := w.desk.Standing(ctx, plan); err != nil || len(now.Changed) != 0 || now.Objects != 4 {
		t.Errorf("the same object in another class: %+v %v", now, err)
	}
	body := "{\"n\":1}\n"
	_, err := w.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("events"), Key: aws.String("in/b2"), Body: strings.NewReader(body)})
	w.must(err)
	_, err = w.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("events"), Key: aws.String("in/a")})
	w.must(err)
	_, err = w.desk.Restore(ctx, plan, RestoreAsk{Tier: ops.ThawStandard, Days: 2})
	refusal(t, err, "2 of 4 objects are gone or not what they were when the plan was made, such as in/")
	_, _, err = w.desk.Thaw(ctx, plan, ops.ReplayAsk{})
	refusal(t, err, "2 of 4 objects are gone")

	plan.Reason = "edited"
	_, err = w.desk.Standing(ctx, plan)
	refusal(t, err, "changed")
}

// A plan waits as long as a restore takes and longer, but not for ever; when its copies
// have ended it says so, and they can be asked for again.
func TestAPlanOutlivesTheSlowestRestore(t *testing.T) {
	w, plan, url := coldWorld(t)
	ctx := t.Context()
	ask := RestoreAsk{Tier: ops.ThawBulk, Days: 1}
	_, err := w.desk.Restore(ctx, plan, ask)
	w.must(err)
	w.sb.Advance(49 * time.Hour)
	_, _, err = w.desk.Thaw(ctx, plan, ops.ReplayAsk{})
	refusal(t, err, "2 of 4 objects are archived, and nobody has asked for them") // GLACIER was quicker, and its day is over
	_, err = w.desk.Restore(ctx, plan, ask)
	w.must(err)
	w.sb.Advance(13 * time.Hour)
	ready, _, err := w.desk.Thaw(ctx, plan, ops.ReplayAsk{})
	w.must(err)

	// The copies end before it has begun: it stops, names the object, and goes on with new ones.
	w.sb.Advance(5 * time.Minute)
	copies := ready
	copies.Expires = ready.Expires.Add(72 * time.Hour)
	w.must(copies.Seal())
	w.sb.Advance(60 * time.Hour)
	r := started(t, w.desk, copies).Wait()
	if r.State != ops.Broken || r.Problem == nil || !strings.Contains(r.Problem.What, "is archived, and there is no copy to read") || !strings.Contains(r.Problem.Hint, "replay restore "+plan.ID) {
		t.Fatalf("%+v %v", r, r.Problem)
	}
	past, err := w.desk.Show(plan.ID)
	w.must(err)
	_, err = w.desk.Restore(ctx, past.Plan, RestoreAsk{Tier: ops.ThawStandard, Days: 1})
	w.must(err)
	w.sb.Advance(13 * time.Hour)
	o, err := w.desk.Resume(ctx, plan.ID)
	w.must(err)
	if r := o.Wait(); r.State != ops.Finished || r.Counts.Sent != 4 {
		t.Errorf("resumed: %+v %v", r, r.Problem)
	}
	if bodies, _ := w.drain(url); len(bodies) != 4 {
		t.Errorf("%q", bodies)
	}
	w.sb.Advance(30 * 24 * time.Hour)
	_, _, err = w.desk.Thaw(ctx, plan, ops.ReplayAsk{})
	refusal(t, err, "waits no longer than until")
}

// A target that is not what it was is refused after the wait as it is before.
func TestAPlanThatWaitedRefusesAnotherTarget(t *testing.T) {
	w, plan, url := coldWorld(t)
	ctx := t.Context()
	_, err := w.desk.Restore(ctx, plan, RestoreAsk{Tier: ops.ThawStandard, Days: 1})
	w.must(err)
	w.sb.Advance(13 * time.Hour)
	_, err = w.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
	w.must(err)
	w.sb.Advance(2 * time.Minute)
	w.queue("again")
	_, _, err = w.desk.Thaw(ctx, plan, ops.ReplayAsk{})
	refusal(t, err, "the target has changed since the plan was made")
}

// Somebody else may ask between our look and our request: S3 says so, and that is fine.
// A missing right is not.
func TestAskingForWhatSomebodyHasAskedFor(t *testing.T) {
	w, plan, _ := coldWorld(t)
	ctx := t.Context()
	now, all, err := w.desk.standing(ctx, plan)
	w.must(err)
	_, err = w.s3.RestoreObject(ctx, &s3.RestoreObjectInput{Bucket: aws.String("events"), Key: aws.String("in/b"), RestoreRequest: &s3types.RestoreRequest{Days: aws.Int32(1)}})
	w.must(err)
	r := ops.ReplayThawed{Now: now}
	if err := w.desk.askAll(ctx, plan, all, RestoreAsk{Tier: ops.ThawStandard, Days: 1}, &r); err != nil || r.Asked != 2 || r.Already != 1 {
		t.Errorf("%+v %v", r, err)
	}

	w, plan, _ = coldWorld(t)
	w.sb.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Operation: "RestoreObject"})
	if r, err := w.desk.Restore(ctx, plan, RestoreAsk{Tier: ops.ThawStandard, Days: 1}); ops.AsProblem(err) == nil || ops.AsProblem(err).Fault != ops.FaultDenied || r.Asked != 0 {
		t.Errorf("denied: %+v %v", r, err)
	}
	entries, err := w.desk.o.Journal.Entries(1)
	if err != nil || len(entries) != 1 || entries[0].Outcome != journal.Partial || !strings.Contains(entries[0].What, "restore 3 archived objects (122 B) of events/in/ for replay "+plan.ID+": standard, 1 days; 0 asked for") {
		t.Errorf("%+v %v", entries, err)
	}
	w.sb.SetFaults()
	if r, err := w.desk.Restore(ctx, plan, RestoreAsk{Tier: ops.ThawStandard, Days: 1}); err != nil || r.Asked != 3 {
		t.Errorf("the same call again: %+v %v", r, err)
	}
}
