package sandbox

import (
	"encoding/xml"
	"net/url"
	"sort"
	"strings"
)

type commonPrefix struct{ Prefix string }

// encodeKey applies encoding-type=url.
func (c *s3Call) encodeKey(key string) string {
	if c.query.Get("encoding-type") != "url" {
		return key
	}
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

// walk visits the keys after a position in order, with keys that share a prefix
// up to the delimiter rolled up into one, until visit answers false.
func (b *bucket) walk(prefix, delimiter, after string, visit func(key string, rolled bool) bool) {
	start := max(prefix, after)
	last := ""
	for i := sort.SearchStrings(b.keys, start); i < len(b.keys); i++ {
		key := b.keys[i]
		if !strings.HasPrefix(key, prefix) {
			return
		}
		if key <= after && after != "" || delimiter != "" && strings.HasSuffix(after, delimiter) && strings.HasPrefix(key, after) {
			continue
		}
		if delimiter != "" {
			if n := strings.Index(key[len(prefix):], delimiter); n >= 0 {
				roll := key[:len(prefix)+n+len(delimiter)]
				if roll == last {
					continue
				}
				if !visit(roll, true) {
					return
				}
				last = roll
				continue
			}
		}
		if !visit(key, false) {
			return
		}
	}
}

func (c *s3Call) listObjects() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	limit, err := c.count("max-keys", 1000)
	if err != nil {
		return nil, err
	}
	token, err := c.continuation()
	if err != nil {
		return nil, err
	}
	type entry struct {
		Key, LastModified, ETag string
		ChecksumAlgorithm       string
		ChecksumType            string
		Size                    int
		StorageClass            string
		Owner                   *struct{ ID string } `xml:",omitempty"`
		RestoreStatus           *restoreState        `xml:",omitempty"`
	}
	var out struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		XMLNS                 string   `xml:"xmlns,attr"`
		Name, Prefix          string
		Delimiter             string `xml:",omitempty"`
		StartAfter            string `xml:",omitempty"`
		EncodingType          string `xml:",omitempty"`
		MaxKeys, KeyCount     int
		IsTruncated           bool
		ContinuationToken     string `xml:",omitempty"`
		NextContinuationToken string `xml:",omitempty"`
		Contents              []entry
		CommonPrefixes        []commonPrefix
	}
	prefix, delimiter := c.query.Get("prefix"), c.query.Get("delimiter")
	out.XMLNS, out.Name, out.MaxKeys = s3Namespace, b.name, limit
	out.Prefix, out.Delimiter, out.StartAfter = c.encodeKey(prefix), c.encodeKey(delimiter), c.encodeKey(c.query.Get("start-after"))
	out.EncodingType, out.ContinuationToken = c.query.Get("encoding-type"), c.query.Get("continuation-token")
	after := token
	if after == "" {
		after = c.query.Get("start-after")
	}
	last := ""
	b.walk(prefix, delimiter, after, func(key string, rolled bool) bool {
		o := b.current(key)
		if !rolled && o.deleted {
			return true
		}
		if rolled && !b.anyAlive(key) {
			return true
		}
		if out.KeyCount == limit {
			out.IsTruncated = limit > 0
			if out.IsTruncated {
				out.NextContinuationToken = *sealToken(last)
			}
			return false
		}
		out.KeyCount++
		last = key
		if rolled {
			out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{c.encodeKey(key)})
			return true
		}
		e := entry{Key: c.encodeKey(key), LastModified: s3Time(o.modified), ETag: o.etag, Size: len(o.body), StorageClass: o.class,
			ChecksumAlgorithm: strings.ToUpper(o.checksumName), ChecksumType: "FULL_OBJECT"}
		if c.query.Get("fetch-owner") == "true" {
			e.Owner = &struct{ ID string }{s3Owner}
		}
		if c.listsRestores() {
			e.RestoreStatus = o.restoreState(c.r.now())
		}
		out.Contents = append(out.Contents, e)
		return true
	})
	return &s3Answer{xml: out}, nil
}

// anyAlive reports whether a key below the prefix has a current version.
func (b *bucket) anyAlive(prefix string) bool {
	for i := sort.SearchStrings(b.keys, prefix); i < len(b.keys) && strings.HasPrefix(b.keys[i], prefix); i++ {
		if !b.current(b.keys[i]).deleted {
			return true
		}
	}
	return false
}

func (c *s3Call) listVersions() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	limit, err := c.count("max-keys", 1000)
	if err != nil {
		return nil, err
	}
	type entry struct {
		XMLName      xml.Name
		Key          string
		VersionId    string
		IsLatest     bool
		LastModified string
		ETag         string `xml:",omitempty"`
		Size         *int   `xml:",omitempty"`
		StorageClass string `xml:",omitempty"`
	}
	var out struct {
		XMLName                    xml.Name `xml:"ListVersionsResult"`
		XMLNS                      string   `xml:"xmlns,attr"`
		Name, Prefix               string
		KeyMarker, VersionIdMarker string
		NextKeyMarker              string `xml:",omitempty"`
		NextVersionIdMarker        string `xml:",omitempty"`
		EncodingType               string `xml:",omitempty"`
		MaxKeys                    int
		IsTruncated                bool
		Entries                    []entry
		CommonPrefixes             []commonPrefix
	}
	prefix, delimiter := c.query.Get("prefix"), c.query.Get("delimiter")
	keyMarker, versionMarker := c.query.Get("key-marker"), c.query.Get("version-id-marker")
	out.XMLNS, out.Name, out.MaxKeys, out.EncodingType = s3Namespace, b.name, limit, c.query.Get("encoding-type")
	out.Prefix, out.KeyMarker, out.VersionIdMarker = c.encodeKey(prefix), c.encodeKey(keyMarker), versionMarker
	n, lastKey, lastVersion := 0, "", ""
	full := func() bool {
		if n < limit {
			return false
		}
		out.IsTruncated, out.NextKeyMarker, out.NextVersionIdMarker = limit > 0, c.encodeKey(lastKey), lastVersion
		return true
	}
	versionsOf := func(key string, passed bool) bool {
		versions := b.objects[key]
		for i := len(versions) - 1; i >= 0; i-- {
			o := versions[i]
			if !passed {
				passed = o.version == versionMarker
				continue
			}
			if full() {
				return false
			}
			e := entry{XMLName: xml.Name{Local: "DeleteMarker"}, Key: c.encodeKey(key), VersionId: o.version, IsLatest: i == len(versions)-1, LastModified: s3Time(o.modified)}
			if !o.deleted {
				size := len(o.body)
				e.XMLName.Local, e.ETag, e.Size, e.StorageClass = "Version", o.etag, &size, o.class
			}
			out.Entries = append(out.Entries, e)
			n, lastKey, lastVersion = n+1, key, o.version
		}
		return true
	}
	if versionMarker != "" && strings.HasPrefix(keyMarker, prefix) && !versionsOf(keyMarker, false) {
		return &s3Answer{xml: out}, nil
	}
	b.walk(prefix, delimiter, keyMarker, func(key string, rolled bool) bool {
		if !rolled {
			return versionsOf(key, true)
		}
		if full() {
			return false
		}
		out.CommonPrefixes = append(out.CommonPrefixes, commonPrefix{c.encodeKey(key)})
		n, lastKey, lastVersion = n+1, key, ""
		return true
	})
	return &s3Answer{xml: out}, nil
}
