package sandbox

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
)

// This file has the request metrics of S3: filters that somebody pays for, and what
// they count. Filters by tag or access point are refused by name; a page of filters
// holds them all.

// metricsFilterXML is one metrics configuration of a bucket.
type metricsFilterXML struct {
	XMLName xml.Name        `xml:"MetricsConfiguration"`
	ID      string          `xml:"Id"`
	Filter  *requestsFilter `xml:",omitempty"`
}

type requestsFilter struct {
	Prefix         string    `xml:",omitempty"`
	Tag            *struct{} `xml:",omitempty"`
	And            *struct{} `xml:",omitempty"`
	AccessPointArn string    `xml:",omitempty"`
}

type metricsFiltersXML struct {
	XMLName     xml.Name           `xml:"ListMetricsConfigurationsResult"`
	XMLNS       string             `xml:"xmlns,attr,omitempty"`
	IsTruncated bool               `xml:"IsTruncated"`
	Filters     []metricsFilterXML `xml:"MetricsConfiguration"`
}

const mostMetricsFilters = 1000 // S3 API reference, PutBucketMetricsConfiguration

func (c *s3Call) metricsFilters() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	return &s3Answer{xml: metricsFiltersXML{XMLNS: s3Namespace, Filters: b.filters}}, nil
}

func (c *s3Call) putMetricsFilter() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	var f metricsFilterXML
	if err := xml.Unmarshal(c.body, &f); err != nil || f.ID == "" || f.ID != c.query.Get("id") {
		return nil, s3Error(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	if f.Filter != nil && (f.Filter.Tag != nil || f.Filter.And != nil || f.Filter.AccessPointArn != "") {
		return nil, s3Error(501, "NotImplemented", "The sandbox has metrics filters by prefix only.")
	}
	b.filters = slices.DeleteFunc(b.filters, func(x metricsFilterXML) bool { return x.ID == f.ID })
	if len(b.filters) >= mostMetricsFilters {
		return nil, s3Error(400, "TooManyConfigurations", "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.")
	}
	b.filters = append(b.filters, f)
	slices.SortFunc(b.filters, func(x, y metricsFilterXML) int { return strings.Compare(x.ID, y.ID) })
	return &s3Answer{}, nil
}

func (c *s3Call) deleteMetricsFilter() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	n := len(b.filters)
	b.filters = slices.DeleteFunc(b.filters, func(x metricsFilterXML) bool { return x.ID == c.query.Get("id") })
	if len(b.filters) == n {
		return nil, s3Error(404, "NoSuchConfiguration", "The specified configuration does not exist.")
	}
	return &s3Answer{status: http.StatusNoContent}, nil
}

// countRequest notes one request about an object under every filter that it passes
// (S3 user guide, metrics and dimensions: 4xxErrors and 5xxErrors are 0 or 1 for
// each request).
func (b *bucket) countRequest(key, method string, status int) {
	if len(b.filters) == 0 || key == "" {
		return
	}
	is := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	now := b.r.now()
	for _, f := range b.filters {
		if f.Filter != nil && !strings.HasPrefix(key, f.Filter.Prefix) {
			continue
		}
		add := func(metric string, v float64) {
			b.r.metrics.series("AWS/S3", metric, "Count", "BucketName", b.name, "FilterId", f.ID).add(now, v)
		}
		add("AllRequests", 1)
		switch method {
		case http.MethodGet:
			add("GetRequests", 1)
		case http.MethodPut:
			add("PutRequests", 1)
		}
		add("4xxErrors", is(status >= 400 && status < 500))
		add("5xxErrors", is(status >= 500))
	}
}
