package sandbox

import (
	"encoding/xml"
	"slices"
	"strings"
	"time"
)

// A lifecycle is carried out once a day, at midnight UTC: objects move to colder storage
// classes and end. Rules by tag have nothing to act on, because objects have no tags
// here; noncurrent versions and unfinished uploads are left alone.
type lifecycleXML struct {
	Rule []lifecycleRule
}

// lifecycleRule has the elements of the S3 API, and beside them those of CloudFormation,
// which writes them flat and calls days by another name.
type lifecycleRule struct {
	Status     string
	Prefix     string
	Filter     lifecycleFilter
	Transition []struct {
		Days, TransitionInDays *int
		StorageClass           string
	}
	Expiration            struct{ Days int }
	ExpirationInDays      int
	ObjectSizeGreaterThan *int
	ObjectSizeLessThan    *int
	TagFilter             []struct{}
}

type lifecycleFilter struct {
	Prefix                string
	ObjectSizeGreaterThan *int
	ObjectSizeLessThan    *int
	Tag                   []struct{}
	And                   *lifecycleFilter
}

// leastMoved is the size in bytes below which S3 moves no object, unless the rule has a
// size of its own. Source: S3 user guide, lifecycle transitions, since September 2024.
const leastMoved = 128 << 10

// colder is the order in which objects move; never back.
var colder = []string{"STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}

// tend begins to carry out the lifecycle of a bucket, once for each bucket.
func (b *bucket) tend() {
	if b.tended {
		return
	}
	b.tended = true
	b.r.every(24*time.Hour, func(now time.Time) {
		if b.r.s3().buckets[b.name] == b {
			b.liveOn(now)
		}
	})
}

// liveOn does what is due at a midnight.
func (b *bucket) liveOn(now time.Time) {
	var rules lifecycleXML
	if err := xml.Unmarshal(b.settings["lifecycle"], &rules); err != nil {
		return // it was removed
	}
	for _, key := range slices.Clone(b.keys) {
		for _, rule := range rules.Rule {
			if o := b.current(key); o != nil && !o.deleted && rule.meant(o) {
				b.apply(rule, o, now)
			}
		}
	}
}

func (r lifecycleRule) meant(o *object) bool {
	f := r.Filter
	if f.And != nil {
		f = *f.And
	}
	return r.Status == "Enabled" && len(f.Tag)+len(r.TagFilter) == 0 && strings.HasPrefix(o.key, r.Prefix) && strings.HasPrefix(o.key, f.Prefix)
}

// sized reports whether an object is of a size that the rule moves.
func (r lifecycleRule) sized(o *object) bool {
	f := r.Filter
	if f.And != nil {
		f = *f.And
	}
	above, below := f.ObjectSizeGreaterThan, f.ObjectSizeLessThan
	if above == nil {
		above = r.ObjectSizeGreaterThan
	}
	if below == nil {
		below = r.ObjectSizeLessThan
	}
	if above == nil && below == nil {
		return len(o.body) >= leastMoved
	}
	return (above == nil || len(o.body) > *above) && (below == nil || len(o.body) < *below)
}

// due reports whether so many days of an object are over: they end at the next midnight.
func (o *object) due(days int, now time.Time) bool {
	end := o.modified.UTC().AddDate(0, 0, days)
	if day := end.Truncate(24 * time.Hour); !day.Equal(end) {
		end = day.Add(24 * time.Hour)
	}
	return !now.Before(end)
}

func (b *bucket) apply(r lifecycleRule, o *object, now time.Time) {
	if days := max(r.Expiration.Days, r.ExpirationInDays); days > 0 && o.due(days, now) {
		b.remove(o.key, "")
		return
	}
	if !r.sized(o) {
		return
	}
	for _, t := range r.Transition {
		days := t.Days
		if days == nil {
			days = t.TransitionInDays
		}
		if days != nil && o.due(*days, now) && slices.Index(colder, t.StorageClass) > slices.Index(colder, o.class) {
			o.class = t.StorageClass
		}
	}
}
