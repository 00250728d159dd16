package sandbox

import (
	"net/http"
	"strings"
	"time"
)

// thawing is a temporary copy of an archived object that was asked for.
type thawing struct {
	tier string    // as asked: Expedited, Standard, Bulk; "" nobody asked
	from time.Time // the copy can be read from then on
	till time.Time // … and is gone then
}

// thawTimes are how long the copy takes: the upper end of what AWS calls typical.
// Source: RestoreObject in the S3 API reference. No time: the class has no such tier.
var thawTimes = map[string]map[string]time.Duration{
	"GLACIER":      {"Expedited": 5 * time.Minute, "Standard": 5 * time.Hour, "Bulk": 12 * time.Hour},
	"DEEP_ARCHIVE": {"Standard": 12 * time.Hour, "Bulk": 48 * time.Hour},
}

func (o *object) readable(now time.Time) bool {
	return !storageClasses[o.class] || o.thaw.tier != "" && !now.Before(o.thaw.from) && now.Before(o.thaw.till)
}

// copyEnds is when a copy ends that was asked for now: S3 counts the days and goes on to
// the next midnight UTC.
func copyEnds(now time.Time, days int) time.Time {
	return now.UTC().AddDate(0, 0, days).Truncate(24 * time.Hour).Add(24 * time.Hour)
}

// restoreState is what HEAD and a listing say of a copy, nil where there is none.
type restoreState struct {
	IsRestoreInProgress bool
	RestoreExpiryDate   string `xml:",omitempty"`

	till time.Time
}

func (o *object) restoreState(now time.Time) *restoreState {
	switch {
	case o.thaw.tier == "" || !now.Before(o.thaw.till):
		return nil
	case now.Before(o.thaw.from):
		return &restoreState{IsRestoreInProgress: true}
	}
	return &restoreState{RestoreExpiryDate: s3Time(o.thaw.till), till: o.thaw.till}
}

func (s restoreState) header() string {
	if s.IsRestoreInProgress {
		return `ongoing-request="true"`
	}
	return `ongoing-request="false", expiry-date="` + s.till.UTC().Format(http.TimeFormat) + `"`
}

// listsRestores reports whether a listing was asked for the state of copies.
func (c *s3Call) listsRestores() bool {
	return strings.Contains(c.req.Header.Get("x-amz-optional-object-attributes"), "RestoreStatus")
}

func (c *s3Call) restoreObject() (*s3Answer, error) {
	_, o, err := c.look()
	if err != nil {
		return nil, err
	}
	var in struct {
		Days                 int
		GlacierJobParameters struct{ Tier string }
		Tier                 string
		Type                 string
	}
	if err := c.readXML(&in, false); err != nil {
		return nil, err
	}
	tier := in.GlacierJobParameters.Tier
	if tier == "" {
		tier = in.Tier
	}
	if tier == "" {
		tier = "Standard"
	}
	wait, offered := thawTimes[o.class][tier]
	now := c.r.now()
	ready := now.Add(c.r.setup(wait))
	switch {
	case in.Type != "":
		return nil, s3Error(501, "NotImplemented", "The sandbox does not support restore requests of type %s.", in.Type)
	case !storageClasses[o.class]:
		return nil, s3Error(403, "InvalidObjectState", "Restore is not allowed for the object's current storage class")
	case thawTimes["GLACIER"][tier] == 0 || in.Days < 1:
		return nil, s3Error(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	case !offered:
		return nil, s3Error(400, "InvalidArgument", "Retrieval option is not supported by this storage class")
	case o.readable(now): // only the days count again, from now
		o.thaw.till = copyEnds(now, in.Days)
		return &s3Answer{}, nil
	case now.Before(o.thaw.from): // a faster tier is an upgrade, anything else is too much
		if thawTimes[o.class][tier] >= thawTimes[o.class][o.thaw.tier] {
			return nil, s3Error(409, "RestoreAlreadyInProgress", "Object restore is already in progress")
		}
		if ready.After(o.thaw.from) {
			ready = o.thaw.from
		}
	}
	o.thaw = thawing{tier: tier, from: ready, till: copyEnds(ready, in.Days)}
	return &s3Answer{status: http.StatusAccepted}, nil
}
