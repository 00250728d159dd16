package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"kxops/ops"
	"kxops/ops/journal"
)

const (
	// waitLife is how long a plan may wait for its objects: the slowest way back takes two
	// days, and somebody may have to agree to the cost. All that ages in a plan is
	// looked at again before it is applied, so it may be far longer than planLife.
	waitLife = 30 * 24 * time.Hour
	// DaysAsked is for how many days copies are asked where nothing else is said: a
	// restore that was begun on a Friday is there on Monday.
	DaysAsked = 3
	// DaysMost is the most that can be asked for.
	DaysMost = 30
	// restoreRate is requests a second. S3 takes 1,000 of an account and region; others
	// restore too. Source: S3 user guide, archival storage.
	restoreRate  = 100
	restoreLanes = 16
)

// standing is where an object stands.
type standing int

const (
	warm    standing = iota // can be read, as ever
	cold                    // archived, and nobody has asked
	coming                  // archived, and a copy is being made
	back                    // archived, with a copy to read
	changed                 // gone, or not what it was
)

func standingOf(o types.Object) standing {
	switch o.StorageClass {
	case types.ObjectStorageClassGlacier, types.ObjectStorageClassDeepArchive:
	default:
		return warm
	}
	switch {
	case o.RestoreStatus == nil:
		return cold
	case aws.ToBool(o.RestoreStatus.IsRestoreInProgress):
		return coming
	case o.RestoreStatus.RestoreExpiryDate != nil:
		return back
	}
	return cold
}

func addCold(to []ops.ReplayCold, o types.Object) []ops.ReplayCold {
	i := slices.IndexFunc(to, func(c ops.ReplayCold) bool { return c.Class == string(o.StorageClass) })
	if i < 0 {
		i = len(to)
		to = append(to, ops.ReplayCold{Class: string(o.StorageClass)})
	}
	to[i].Objects++
	to[i].Bytes += aws.ToInt64(o.Size)
	return to
}

// coldText says what stands against a plan, and how it is lifted.
func coldText(of []ops.ReplayCold, all int) string {
	n, size := ops.ColdSum(of)
	return fmt.Sprintf("%d of %d objects (%s) are archived: `kxops --access change replay restore PLAN` asks for them back, %s, %s",
		n, all, sizeText(size), ThawTime(of, ops.ThawStandard), aboutUSD(RestorePrice(of, ops.ThawStandard, DaysAsked)))
}

func aboutUSD(usd float64) string {
	if usd < 0.01 {
		return "under $0.01"
	}
	return fmt.Sprintf("about $%.2f", usd)
}

// sizeText is a size in decimal units, as S3's own console writes it.
func sizeText(n int64) string {
	v := float64(n)
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if v < 1000 {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.4g TB", v)
}

// ThawTime is how long it typically takes until all are back.
func ThawTime(of []ops.ReplayCold, tier ops.ThawTier) string {
	var least, most time.Duration
	for _, c := range of {
		l, m, ok := ops.ColdOffered(ops.ColdKey{Class: c.Class, Tier: tier})
		if !ok {
			return fmt.Sprintf("%s is not offered for %s", tier, c.Class)
		}
		least, most = max(least, l), max(most, m)
	}
	if least == most {
		return fmt.Sprintf("%s up to %s", tier, ops.Span(most.Seconds()))
	}
	return fmt.Sprintf("%s %s to %s", tier, ops.Span(least.Seconds()), ops.Span(most.Seconds()))
}

// RestorePrice is what it costs to have objects back for some days, in USD.
func RestorePrice(of []ops.ReplayCold, tier ops.ThawTier, days int) float64 {
	usd := 0.0
	for _, c := range of {
		usd += ops.ColdPrice(ops.ColdKey{Class: c.Class, Tier: tier}, c.Objects, c.Bytes, days)
	}
	return usd
}

func isArchived(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "InvalidObjectState"
}

// stand is where one object stands, with what S3 says of it.
type stand struct {
	is     standing
	object types.Object
}

// stands is where each part of a plan stands, in the plan's order. It asks S3 by listing: a thousand objects a call, and no right to read them needed.
func (d *Desk) stands(ctx context.Context, plan ops.ReplayPlan) ([]stand, error) {
	out := make([]stand, len(plan.Parts))
	order := make([]int, len(plan.Parts))
	for i := range out {
		out[i].is, order[i] = changed, i // until it is seen
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(plan.Parts[a].ID, plan.Parts[b].ID) })
	for i, last := 0, ""; i < len(order); {
		in := &s3.ListObjectsV2Input{Bucket: &plan.From.Bucket, OptionalObjectAttributes: []types.OptionalObjectAttributes{types.OptionalObjectAttributesRestoreStatus}}
		if after := max(last, justBefore(plan.Parts[order[i]].ID)); after != "" {
			in.StartAfter = &after
		}
		page, err := d.s3.ListObjectsV2(ctx, in)
		if err != nil {
			return nil, d.explain("list "+plan.From.Bucket, err)
		}
		for _, o := range page.Contents {
			last = aws.ToString(o.Key)
			for i < len(order) && plan.Parts[order[i]].ID < last {
				i++ // it is not there any more
			}
			if i < len(order) && plan.Parts[order[i]].ID == last {
				if part := plan.Parts[order[i]]; part.ETag == aws.ToString(o.ETag) && part.Bytes == aws.ToInt64(o.Size) {
					out[order[i]] = stand{standingOf(o), o}
				}
				i++
			}
		}
		if !aws.ToBool(page.IsTruncated) || len(page.Contents) == 0 {
			break
		}
	}
	return out, nil
}

// justBefore is a key that sorts before the given one, with little in between.
func justBefore(key string) string {
	_, n := utf8.DecodeLastRuneInString(key)
	return key[:len(key)-n]
}

// Standing says where the objects of a plan stand. It only looks.
func (d *Desk) Standing(ctx context.Context, plan ops.ReplayPlan) (ops.ReplayThaw, error) {
	t, _, err := d.standing(ctx, plan)
	return t, err
}

func (d *Desk) standing(ctx context.Context, plan ops.ReplayPlan) (ops.ReplayThaw, []stand, error) {
	t := ops.ReplayThaw{Objects: len(plan.Parts), Cold: []ops.ReplayCold{}, Coming: []ops.ReplayCold{}, Back: []ops.ReplayCold{}, Changed: []string{}}
	if err := d.restorable(plan); err != nil {
		return t, nil, err
	}
	all, err := d.stands(ctx, plan)
	if err != nil {
		return t, nil, err
	}
	for i, s := range all {
		switch s.is {
		case cold:
			t.Cold = addCold(t.Cold, s.object)
		case coming:
			t.Coming = addCold(t.Coming, s.object)
		case back:
			t.Back = addCold(t.Back, s.object)
			if till := aws.ToTime(s.object.RestoreStatus.RestoreExpiryDate).UTC(); t.Until.IsZero() || till.Before(t.Until) {
				t.Until = till
			}
		case changed:
			t.Changed = append(t.Changed, plan.Parts[i].ID)
		}
	}
	asked, err := d.askedBefore(plan.ID)
	t.Asked, t.Tier, t.Days = asked.At, asked.Tier, asked.Days
	return t, all, err
}

// restorable refuses a plan that is edited, of another account, or of no archive.
func (d *Desk) restorable(plan ops.ReplayPlan) error {
	if err := plan.Check(); err != nil {
		p := refused("%s", err)
		p.Hint = "make a new plan"
		return p
	}
	if err := d.ours("the plan", plan); err != nil {
		return err
	}
	switch plan.From.Kind {
	case ops.KindArchive, ops.KindDelivery, ops.KindAthena:
		return nil
	}
	return refused("the plan reads %s %s: only objects of an archive are restored", plan.From.Kind, plan.From.Name())
}

// RestoreAsk is how archived objects are asked back.
type RestoreAsk struct {
	Tier   ops.ThawTier
	Days   int // that the copies stay
	Reason string
	Tell   func(asked, of int) // how far it is; nil: nobody listens
}

// check refuses what S3 would.
func (a RestoreAsk) check(of []ops.ReplayCold) error {
	if a.Days < 1 || a.Days > DaysMost {
		return refused("copies can be asked for 1 to %d days, not for %d", DaysMost, a.Days)
	}
	for _, c := range of {
		if _, _, ok := ops.ColdOffered(ops.ColdKey{Class: c.Class, Tier: a.Tier}); !ok {
			p := refused("%d objects are in %s, which does not offer the tier %s", c.Objects, c.Class, a.Tier)
			p.Hint = "standard and bulk bring back both classes"
			return p
		}
	}
	return nil
}

// Restore asks S3 for copies of a plan's archived objects that nobody has asked for. It
// waits for no copy. What is on its way or back is left alone, so that the same call again
// does what an interrupted one has left. With an error the result says how far it got.
func (d *Desk) Restore(ctx context.Context, plan ops.ReplayPlan, ask RestoreAsk) (ops.ReplayThawed, error) {
	var r ops.ReplayThawed
	if d.o.Journal == nil {
		return r, refused("nothing is restored without a journal")
	}
	now, all, err := d.standing(ctx, plan)
	if err != nil {
		return r, err
	}
	if r.Now = now; len(now.Changed) > 0 {
		return r, hasChanged(now)
	}
	if err := ask.check(now.Cold); err != nil {
		return r, err
	}
	if len(now.Cold) == 0 {
		return r, nil
	}
	n, size := ops.ColdSum(now.Cold)
	entry := journal.Entry{Account: plan.Account, Region: plan.Region, Kind: journal.KindOperation, Reason: ask.Reason, Outcome: journal.Started,
		What: fmt.Sprintf("restore %d archived objects (%s) of %s for replay %s: %s, %d days", n, sizeText(size), plan.From.Name(), plan.ID, ask.Tier, ask.Days)}
	if entry, err = d.o.Journal.Append(entry); err != nil {
		return r, err
	}
	err = d.noteAsked(plan.ID, askedFor{d.o.Now().UTC(), ask.Tier, ask.Days})
	if err == nil {
		err = d.askAll(ctx, plan, all, ask, &r)
	}
	entry.At, entry.Outcome, entry.Calls, entry.USD = time.Time{}, journal.Done, r.Asked+r.Already, r.USD
	entry.What += fmt.Sprintf("; %d asked for, %d had been before", r.Asked, r.Already)
	if err != nil {
		entry.Outcome = journal.Partial
	}
	_, noted := d.o.Journal.Append(entry)
	if err = errors.Join(err, noted); err != nil {
		return r, err
	}
	r.Now, err = d.Standing(ctx, plan)
	return r, err
}

// askAll sends one request for each cold object, at a bounded rate, and stops at the first
// error that is not about one object.
func (d *Desk) askAll(ctx context.Context, plan ops.ReplayPlan, all []stand, ask RestoreAsk, r *ops.ReplayThawed) error {
	total, _ := ops.ColdSum(r.Now.Cold)
	pace := rate.NewLimiter(restoreRate, restoreLanes)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(restoreLanes)
	var mu sync.Mutex
	for _, s := range all {
		if s.is != cold || ctx.Err() != nil {
			continue
		}
		group.Go(func() error {
			if err := pace.Wait(ctx); err != nil {
				return err
			}
			_, err := d.s3.RestoreObject(ctx, &s3.RestoreObjectInput{Bucket: &plan.From.Bucket, Key: s.object.Key, RestoreRequest: &types.RestoreRequest{
				Days: aws.Int32(int32(ask.Days)), GlacierJobParameters: &types.GlacierJobParameters{Tier: tierWord(ask.Tier)}}})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				r.Asked++
				r.USD += ops.ColdPrice(ops.ColdKey{Class: string(s.object.StorageClass), Tier: ask.Tier}, 1, aws.ToInt64(s.object.Size), ask.Days)
			case wasAsked(err):
				r.Already++
			default:
				return d.explain("restore s3://"+plan.From.Bucket+"/"+aws.ToString(s.object.Key), err)
			}
			if ask.Tell != nil {
				ask.Tell(r.Asked+r.Already, total)
			}
			return nil
		})
	}
	return group.Wait()
}

func tierWord(t ops.ThawTier) types.Tier {
	switch t {
	case ops.ThawExpedited:
		return types.TierExpedited
	case ops.ThawBulk:
		return types.TierBulk
	}
	return types.TierStandard
}

func wasAsked(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "RestoreAlreadyInProgress"
}

// askedFor is what this machine has asked for. It only serves to say when copies are to
// be expected: S3 itself does not tell when it was asked, or how.
type askedFor struct {
	At   time.Time    `json:"at"`
	Tier ops.ThawTier `json:"tier"`
	Days int          `json:"days"`
}

func (d *Desk) askedPath(id string) string {
	return filepath.Join(d.o.Journal.Directory(), "restores", filepath.Base(id)+".json")
}

func (d *Desk) noteAsked(id string, a askedFor) error {
	content, err := json.Marshal(a)
	if err != nil {
		return err
	}
	path := d.askedPath(id)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("note what is asked for: %w", err)
	}
	if err := os.WriteFile(path+".new", append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("note what is asked for: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("note what is asked for: %w", err)
	}
	return nil
}

func (d *Desk) askedBefore(id string) (askedFor, error) {
	var a askedFor
	if d.o.Journal == nil {
		return a, nil
	}
	content, err := os.ReadFile(d.askedPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &a)
	}
	if err != nil {
		return a, fmt.Errorf("read what was asked for: %w", err)
	}
	return a, nil
}

func hasChanged(t ops.ReplayThaw) error {
	p := refused("%d of %d objects are gone or not what they were when the plan was made, such as %s", len(t.Changed), t.Objects, t.Changed[0])
	p.Hint = "make a new plan"
	return p
}

// notBack says why a waiting plan cannot be applied yet, nil where it can.
func notBack(t ops.ReplayThaw) error {
	waits, _ := ops.ColdSum(t.Coming)
	none, _ := ops.ColdSum(t.Cold)
	switch {
	case len(t.Changed) > 0:
		return hasChanged(t)
	case none > 0:
		p := refused("%d of %d objects are archived, and nobody has asked for them", none, t.Objects)
		p.Hint = "kxops --access change replay restore PLAN asks"
		return p
	case waits > 0:
		when := "when they are to be expected is known where they were asked for"
		if at := t.Expected(); !at.IsZero() {
			when = fmt.Sprintf("expected by %s (%s, asked for at %s)", at.Format("2006-01-02 15:04 MST"), t.Tier, t.Asked.Format("2006-01-02 15:04 MST"))
		}
		p := refused("%d of %d objects are on their way back: %s", waits, t.Objects, when)
		p.Hint = "apply the plan again then; kxops replay restore PLAN --status says how many are there"
		return p
	}
	return nil
}

// Thaw looks at a plan again that waited for its objects. What is read stays as it was
// frozen, under the same ETags; what has aged since (the target's own settings, what is
// behind it, the guards' numbers, what the selection takes) is asked again, and
// changes of the target are refused. The result is a plan under the same id, which lives as
// long as any. ask brings what is known of the topology.
func (d *Desk) Thaw(ctx context.Context, plan ops.ReplayPlan, ask ops.ReplayAsk) (ops.ReplayPlan, []ops.ReplaySample, error) {
	if !plan.Waits() {
		return plan, nil, refused("the plan does not wait for archived objects")
	}
	t, err := d.Standing(ctx, plan)
	if err == nil && d.o.Now().After(plan.Expires) {
		p := refused("the plan has waited since %s, and waits no longer than until %s", plan.Created.Format(time.DateOnly), plan.Expires.Format(time.DateTime+" MST"))
		p.Hint = "make a new plan; what is restored stays so"
		err = p
	}
	if err == nil {
		err = notBack(t)
	}
	if err != nil {
		return plan, nil, err
	}
	return d.planAgain(ctx, plan, ask, t)
}

func (d *Desk) planAgain(ctx context.Context, was ops.ReplayPlan, ask ops.ReplayAsk, t ops.ReplayThaw) (ops.ReplayPlan, []ops.ReplaySample, error) {
	now := was
	now.Expires = d.o.Now().UTC().Add(planLife)
	now.Seen, now.Facts, now.Warnings, now.Blockers, now.CannotUndo, now.Guards, now.Archived = map[string]string{}, nil, nil, nil, nil, nil, nil
	now.Risk, now.Confirm = 0, ""
	dst, err := d.targetOf(now)
	if err != nil {
		return was, nil, err
	}
	if err := dst.find(ctx, &now); err != nil {
		return was, nil, d.explain("ask about "+now.To.Name(), err)
	}
	if changed := drift(was.Seen, now.Seen); len(changed) > 0 {
		p := refused("the target has changed since the plan was made: %s", strings.Join(changed, "; "))
		p.Hint = "make a new plan; what is restored stays so"
		return was, nil, p
	}
	src, err := d.sourceOf(now.From.Kind)
	if err != nil {
		return was, nil, err
	}
	ask.Grow, ask.Errors, ask.Lag = int(roomOf(was, ops.GuardDepth)), roomOf(was, ops.GuardErrors), roomOf(was, ops.GuardLag)
	if ask.Canary = was.Pace.Canary; ask.Canary == 0 {
		ask.Canary = -1
	}
	if err := d.guardsOf(ctx, &now, ask); err != nil {
		return was, nil, err
	}
	radius(&now, ask.Links)
	if !t.Until.IsZero() {
		now.Facts = append(now.Facts, ops.Fact{Name: "restored", Value: "what is archived can be read until " + t.Until.Format("2006-01-02 15:04 MST")})
	}
	for _, f := range was.Facts { // what is known of the source
		if !slices.ContainsFunc(now.Facts, func(x ops.Fact) bool { return x.Name == f.Name }) {
			now.Facts = append(now.Facts, f)
		}
	}
	var samples []ops.ReplaySample
	if len(now.Blockers) == 0 {
		if samples, err = d.sample(ctx, &now, src, dst); err != nil {
			return was, nil, err
		}
	}
	d.judge(&now, ask)
	return now, samples, now.Seal()
}

// roomOf is by how much a plan lets a number grow; 0: it has no such guard.
func roomOf(plan ops.ReplayPlan, what string) float64 {
	for _, g := range plan.Guards {
		if g.What == what {
			return g.Most - g.Was.Or(0)
		}
	}
	return 0
}
