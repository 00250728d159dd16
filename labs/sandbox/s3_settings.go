package sandbox

import (
	"encoding/xml"
	"io"
	"strings"
)

// This file keeps the settings of a bucket: they are taken, checked for their form, and
// shown again. Only the lifecycle decides something (s3_lifecycle.go). Every object lies in
// memory, encrypted by nobody; nothing is replicated (so there are no metrics of
// it); only this machine can reach a bucket anyway.

// bucketSetting is a sub-resource that is stored as it was written.
type bucketSetting struct {
	name    string // as in operations: Put…, Get…, Delete…
	root    string // the document's element; "" is JSON
	missing string // the error when there is none
	status  int
}

var bucketSettings = map[string]bucketSetting{
	"encryption":        {"BucketEncryption", "ServerSideEncryptionConfiguration", "ServerSideEncryptionConfigurationNotFoundError", 404},
	"publicAccessBlock": {"PublicAccessBlock", "PublicAccessBlockConfiguration", "NoSuchPublicAccessBlockConfiguration", 404},
	"lifecycle":         {"BucketLifecycleConfiguration", "LifecycleConfiguration", "NoSuchLifecycleConfiguration", 404},
	"ownershipControls": {"BucketOwnershipControls", "OwnershipControls", "OwnershipControlsNotFoundError", 404},
	"replication":       {"BucketReplication", "ReplicationConfiguration", "ReplicationConfigurationNotFoundError", 404},
	"policy":            {"BucketPolicy", "", "NoSuchBucketPolicy", 404},
}

// setting finds the operation on a bucket's setting, nil for none.
func (c *s3Call) setting(sub string) (string, func() (*s3Answer, error)) {
	s, ok := bucketSettings[sub]
	if !ok {
		return "", nil
	}
	switch c.req.Method {
	case "PUT":
		return "Put" + s.name, func() (*s3Answer, error) { return c.putSetting(sub, s) }
	case "GET":
		return "Get" + s.name, func() (*s3Answer, error) { return c.getSetting(sub, s) }
	case "DELETE":
		return "Delete" + s.name, func() (*s3Answer, error) { return c.deleteSetting(sub) }
	}
	return "", nil
}

func (c *s3Call) putSetting(sub string, s bucketSetting) (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	if err := s.check(c.body); err != nil {
		return nil, err
	}
	if sub == "replication" && b.versioning != "Enabled" {
		return nil, s3Error(400, "InvalidRequest", "Versioning must be 'Enabled' on the bucket to apply a replication configuration")
	}
	b.settings[sub] = append([]byte(nil), c.body...)
	if sub == "lifecycle" {
		b.tend()
	}
	return &s3Answer{}, nil
}

// check looks at the form of a document.
func (s bucketSetting) check(body []byte) error {
	malformed := s3Error(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	if s.root == "" {
		if _, err := readPolicy(string(body)); err != nil || len(body) == 0 {
			return s3Error(400, "MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
		}
		return nil
	}
	d := xml.NewDecoder(strings.NewReader(string(body)))
	depth := 0
	for {
		t, err := d.Token()
		if err == io.EOF && depth == 0 {
			return nil
		}
		if err != nil {
			return malformed
		}
		switch e := t.(type) {
		case xml.StartElement:
			if depth == 0 && e.Name.Local != s.root {
				return malformed
			}
			depth++
		case xml.EndElement:
			depth--
		}
	}
}

func (c *s3Call) getSetting(sub string, s bucketSetting) (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	body, ok := b.settings[sub]
	if !ok {
		return nil, s3Error(s.status, s.missing, "The bucket %s has no such setting", b.name)
	}
	return &s3Answer{body: body}, nil
}

func (c *s3Call) deleteSetting(sub string) (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	delete(b.settings, sub)
	return &s3Answer{status: 204}, nil
}
