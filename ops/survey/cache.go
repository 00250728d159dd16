package survey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/aws/aws-sdk-go-v2/aws"

	"kxops/ops"
)

const (
	// cacheVersion changes when the file's meaning does: older files are ignored.
	cacheVersion = 1
	// keepEvery is how often the picture is written.
	keepEvery = 10 * time.Minute
	// maxCacheBytes bounds what is read back.
	maxCacheBytes = 256 << 20
)

// file is the last picture on disk.
type file struct {
	Version       int
	Saved         time.Time
	Identity      ops.Identity
	Streams       []kept[ops.Stream]
	Deliveries    []kept[ops.Delivery]
	Queues        []kept[queue]
	Topics        []kept[topic]
	Subscriptions []kept[subscription]
	Functions     []kept[ops.Function]
	Mappings      []kept[mapping]
	Buckets       []kept[ops.Bucket]
	APIs          []kept[api]
	Alarms        []kept[ops.Alarm]
	ListedAt      map[string]time.Time
	Measures      map[ops.ARN][]keptMeasure
}

type kept[T any] struct {
	Key       string
	Item      T
	Described time.Time
}

// keptMeasure is an ops.Measure with everything that a Reading's own JSON, which
// is for people, leaves out.
type keptMeasure struct {
	Metric ops.Metric
	Value  *float64    `json:",omitempty"`
	Why    ops.Unknown `json:",omitempty"`
	At     time.Time
	Start  time.Time
	Points gaps `json:",omitempty"`
}

// gaps is a series' points: a gap, which JSON has no number for, is null.
type gaps []float64

func (g gaps) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 6*len(g)+2), '[')
	for i, v := range g {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendFloat(b, v, 'g', 7, 64)
		}
	}
	return append(b, ']'), nil
}

func (g *gaps) UnmarshalJSON(b []byte) error {
	var points []*float64
	if err := json.Unmarshal(b, &points); err != nil {
		return err
	}
	*g = make(gaps, len(points))
	for i, p := range points {
		(*g)[i] = math.NaN()
		if p != nil {
			(*g)[i] = *p
		}
	}
	return nil
}

// keep writes the picture to disk, at most every ten minutes. Call it under the
// lock. A disk that cannot be written costs the next start a second: it is noted
// and nothing else.
func (s *Survey) keep() {
	p := &s.picture
	now := s.options.Now()
	if s.options.NoCache || p.Identity.Account == "" || !p.confirmed || now.Sub(p.kept) < keepEvery {
		return
	}
	p.kept = now
	if err := s.write(p.file(now)); err != nil {
		p.note = "the last picture could not be kept: " + err.Error()
	}
}

func (s *Survey) write(f file) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := replaceFile(s.cachePath(f.Identity.Account), b); err != nil {
		return err
	}
	return replaceFile(s.pointerPath(), []byte(f.Identity.Account))
}

// replaceFile writes a file that only this user may read, whole or not at all.
func replaceFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".part-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// recall reads the last picture of this profile and region from disk, once. Call
// it under the lock. What cannot be read is ignored with a note: it is a cache.
func (s *Survey) recall() {
	p := &s.picture
	if p.read || s.options.NoCache {
		return
	}
	p.read = true
	account, err := os.ReadFile(s.pointerPath())
	if errors.Is(err, fs.ErrNotExist) {
		return // a first start
	}
	if err == nil {
		err = p.restore(s.cachePath(strings.TrimSpace(string(account))), s.cloud.Config().Region)
	}
	if err != nil {
		p.note = "the last picture was ignored: " + err.Error()
	}
}

// Note says what was wrong with the picture on disk, "" for nothing.
func (s *Survey) Note() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.picture.note
}

// cachePath is one file an account and region, and endpoint where it is not AWS.
func (s *Survey) cachePath(account string) string {
	return filepath.Join(s.cacheDir(), fmt.Sprintf("survey-%s-%s%s.json", safeName(account), safeName(s.cloud.Config().Region), s.endpointMark()))
}

// pointerPath names the file that says which account a profile led to: the
// picture is painted before AWS has told.
func (s *Survey) pointerPath() string {
	place := s.cloud.Place()
	profile := place.Profile
	if profile == "" {
		profile = os.Getenv("AWS_PROFILE")
	}
	return filepath.Join(s.cacheDir(), fmt.Sprintf("account-of-%s-%s%s", safeName(profile), safeName(place.Region), s.endpointMark()))
}

func (s *Survey) cacheDir() string {
	if s.options.CacheDir != "" {
		return s.options.CacheDir
	}
	return filepath.Join(xdg.CacheHome, "kxops")
}

func (s *Survey) endpointMark() string {
	endpoint := aws.ToString(s.cloud.Config().BaseEndpoint)
	if endpoint == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(endpoint))
	return "-" + hex.EncodeToString(sum[:4])
}

// safeName keeps a profile's name from leaving the directory.
func safeName(s string) string {
	if s == "" {
		return "default"
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, s)
}

func (p *picture) file(now time.Time) file {
	f := file{
		Version: cacheVersion, Saved: now, Identity: p.Identity,
		Streams: keepShelf(&p.Streams), Deliveries: keepShelf(&p.Deliveries), Queues: keepShelf(&p.Queues),
		Topics: keepShelf(&p.Topics), Subscriptions: keepShelf(&p.Subscriptions), Functions: keepShelf(&p.Functions),
		Mappings: keepShelf(&p.Mappings), Buckets: keepShelf(&p.Buckets), APIs: keepShelf(&p.APIs), Alarms: keepShelf(&p.Alarms),
		ListedAt: map[string]time.Time{
			"streams": p.Streams.At, "deliveries": p.Deliveries.At, "queues": p.Queues.At, "topics": p.Topics.At,
			"functions": p.Functions.At, "buckets": p.Buckets.At, "apis": p.APIs.At, "alarms": p.Alarms.At, "metrics": p.MetricsAt,
		},
		Measures: make(map[ops.ARN][]keptMeasure, len(p.Measures)),
	}
	for arn, measures := range p.Measures {
		for _, m := range measures {
			k := keptMeasure{Metric: m.Metric, Why: m.Last.Why(), At: m.Last.At, Start: m.Hour.Start, Points: gaps(m.Hour.Points)}
			if v, ok := m.Last.Value(); ok {
				k.Value = &v
			}
			f.Measures[arn] = append(f.Measures[arn], k)
		}
	}
	return f
}

func keepShelf[T any](sh *shelf[T]) []kept[T] {
	out := make([]kept[T], 0, len(sh.Entries))
	for key, e := range sh.Entries {
		if !e.Described.IsZero() {
			out = append(out, kept[T]{key, e.Item, e.Described})
		}
	}
	return out
}

func (p *picture) restore(path, region string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > maxCacheBytes {
		return fmt.Errorf("%s is too big (%d bytes)", path, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("%s is not readable: %w", path, err)
	}
	if f.Version != cacheVersion || f.Identity.Region != region {
		return fmt.Errorf("%s is of another version or region", path)
	}
	p.Identity = f.Identity
	loadShelf(&p.Streams, f.Streams, f.ListedAt["streams"])
	loadShelf(&p.Deliveries, f.Deliveries, f.ListedAt["deliveries"])
	loadShelf(&p.Queues, f.Queues, f.ListedAt["queues"])
	loadShelf(&p.Topics, f.Topics, f.ListedAt["topics"])
	loadShelf(&p.Subscriptions, f.Subscriptions, f.ListedAt["topics"])
	loadShelf(&p.Functions, f.Functions, f.ListedAt["functions"])
	loadShelf(&p.Mappings, f.Mappings, f.ListedAt["functions"])
	loadShelf(&p.Buckets, f.Buckets, f.ListedAt["buckets"])
	loadShelf(&p.APIs, f.APIs, f.ListedAt["apis"])
	loadShelf(&p.Alarms, f.Alarms, f.ListedAt["alarms"])
	p.MetricsAt = f.ListedAt["metrics"]
	for arn, measures := range f.Measures {
		for _, k := range measures {
			m := ops.Measure{Metric: k.Metric, Last: ops.Missing(k.Why), Hour: ops.Series{Start: k.Start, Step: time.Minute, Points: k.Points}}
			if k.Value != nil {
				m.Last = ops.Know(*k.Value, k.At)
			}
			p.set(arn, m)
		}
	}
	p.recalled = true
	return nil
}

func loadShelf[T any](sh *shelf[T], items []kept[T], at time.Time) {
	for _, k := range items {
		sh.Entries[k.Key] = &entry[T]{Item: k.Item, Described: k.Described, recalled: true}
	}
	sh.At = at
}
