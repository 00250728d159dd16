package sandbox

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"
	"time"

	"kxops/ops"
)

// notifyDelay is how long S3 takes to tell: "typically in seconds".
const notifyDelay = time.Second

type filterRuleXML struct{ Name, Value string }

type notifyFilterXML struct {
	S3Key struct{ FilterRule []filterRuleXML }
}

// targetXML is one entry of a notification configuration: exactly one of the
// three ARNs is set.
type targetXML struct {
	ID            string           `xml:"Id,omitempty"`
	Queue         string           `xml:",omitempty"`
	Topic         string           `xml:",omitempty"`
	CloudFunction string           `xml:",omitempty"`
	Event         []string         `xml:"Event"`
	Filter        *notifyFilterXML `xml:",omitempty"`
}

func (t *targetXML) arn() ops.ARN { return ops.ARN(t.Queue + t.Topic + t.CloudFunction) }

type notificationXML struct {
	XMLName                    xml.Name    `xml:"NotificationConfiguration"`
	XMLNS                      string      `xml:"xmlns,attr,omitempty"`
	TopicConfiguration         []targetXML `xml:",omitempty"`
	QueueConfiguration         []targetXML `xml:",omitempty"`
	CloudFunctionConfiguration []targetXML `xml:",omitempty"`
	EventBridgeConfiguration   *struct{}   `xml:",omitempty"`
}

func (n *notificationXML) targets() []*targetXML {
	var out []*targetXML
	for _, list := range [][]targetXML{n.TopicConfiguration, n.QueueConfiguration, n.CloudFunctionConfiguration} {
		for i := range list {
			out = append(out, &list[i])
		}
	}
	return out
}

func (c *s3Call) notification() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	out := b.notify
	out.XMLName, out.XMLNS = xml.Name{}, s3Namespace
	return &s3Answer{xml: out}, nil
}

var notifyEvents = []string{"s3:ObjectCreated:", "s3:ObjectRemoved:", "s3:ObjectRestore:", "s3:ReducedRedundancyLostObject", "s3:Replication:",
	"s3:LifecycleExpiration:", "s3:LifecycleTransition", "s3:IntelligentTiering", "s3:ObjectTagging:", "s3:ObjectAcl:"}

// putNotification replaces the configuration. S3 first sends a test event to
// every queue and topic, and refuses the whole configuration if one fails.
func (c *s3Call) putNotification() (*s3Answer, error) {
	b, err := c.find()
	if err != nil {
		return nil, err
	}
	var in notificationXML
	if err := c.readXML(&in, false); err != nil {
		return nil, err
	}
	if in.EventBridgeConfiguration != nil {
		return nil, s3Error(501, "NotImplemented", "The sandbox has no EventBridge.")
	}
	for _, t := range in.targets() {
		if err := b.checkTarget(t); err != nil {
			return nil, err
		}
	}
	if c.req.Header.Get("x-amz-skip-destination-validation") != "true" {
		for _, t := range in.targets() {
			if t.CloudFunction != "" { // functions are only checked for their permission
				continue
			}
			if err := b.sendTest(t.arn()); err != nil {
				return nil, s3Error(400, "InvalidArgument", "Unable to validate the following destination configurations")
			}
		}
	}
	b.notify = in
	return &s3Answer{}, nil
}

func (b *bucket) checkTarget(t *targetXML) error {
	if t.ID == "" {
		t.ID = b.r.id()
	}
	if a := t.arn(); a.Region() != b.r.Name {
		return s3Error(400, "InvalidArgument", "The notification destination service region is not valid for the bucket location constraint")
	}
	if len(t.Event) == 0 {
		return s3Error(400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	for _, e := range t.Event {
		known := false
		for _, k := range notifyEvents {
			known = known || strings.HasPrefix(e, k)
		}
		if !known {
			return s3Error(400, "InvalidArgument", "The event is not supported for notifications")
		}
	}
	if t.Filter == nil {
		return nil
	}
	for _, rule := range t.Filter.S3Key.FilterRule {
		if n := strings.ToLower(rule.Name); n != "prefix" && n != "suffix" {
			return s3Error(400, "InvalidArgument", "filter rule name must be either prefix or suffix")
		}
	}
	return nil
}

func (b *bucket) delivery(body any) (delivery, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return delivery{}, fmt.Errorf("sandbox: s3 event: %w", err)
	}
	return delivery{Body: text, Subject: "Amazon S3 Notification", From: b.arn()}, nil
}

func (b *bucket) sendTest(target ops.ARN) error {
	id := strings.ToUpper(strings.ReplaceAll(b.r.id(), "-", ""))
	d, err := b.delivery(struct{ Service, Event, Time, Bucket, RequestId, HostId string }{
		"Amazon S3", "s3:TestEvent", s3Time(b.r.now()), b.name, id[:16], "c2FuZGJveA" + id[16:],
	})
	if err != nil {
		return err
	}
	return b.r.deliver(target, d)
}

// wants reports whether a target asked for an event.
func (t *targetXML) wants(event, key string) bool {
	matched := false
	for _, e := range t.Event {
		e = strings.TrimPrefix(e, "s3:")
		matched = matched || e == event || strings.HasSuffix(e, ":*") && strings.HasPrefix(event, strings.TrimSuffix(e, "*"))
	}
	if t.Filter == nil {
		return matched
	}
	for _, rule := range t.Filter.S3Key.FilterRule {
		if strings.EqualFold(rule.Name, "prefix") {
			matched = matched && strings.HasPrefix(key, rule.Value)
		} else {
			matched = matched && strings.HasSuffix(key, rule.Value)
		}
	}
	return matched
}

// announce sends an event to everybody who asked for it, a moment later. One
// that cannot be delivered is lost without a trace: S3 has no metric for it.
func (b *bucket) announce(event string, o *object) {
	b.sequence++
	sequencer := fmt.Sprintf("00%014X%04X", b.r.now().UnixMicro()&0xffffffffffffff, b.sequence&0xffff)
	for _, t := range b.notify.targets() {
		if !t.wants(event, o.key) {
			continue
		}
		d, err := b.delivery(b.event(event, t.ID, sequencer, o))
		if err != nil { // strings and numbers always marshal
			continue
		}
		target := t.arn()
		b.r.after(notifyDelay, func() { _ = b.r.deliver(target, d) }) // see above
	}
}

// event is one notification as S3 writes it (event message structure 2.1).
func (b *bucket) event(name, configuration, sequencer string, o *object) any {
	type identity struct {
		PrincipalID string `json:"principalId"`
	}
	type s3Bucket struct {
		Name  string   `json:"name"`
		Owner identity `json:"ownerIdentity"`
		ARN   string   `json:"arn"`
	}
	type s3Object struct {
		Key       string `json:"key"`
		Size      *int   `json:"size,omitempty"`
		ETag      string `json:"eTag,omitempty"`
		Version   string `json:"versionId,omitempty"`
		Sequencer string `json:"sequencer"`
	}
	type s3Part struct {
		Schema        string   `json:"s3SchemaVersion"`
		Configuration string   `json:"configurationId"`
		Bucket        s3Bucket `json:"bucket"`
		Object        s3Object `json:"object"`
	}
	type record struct {
		Version  string            `json:"eventVersion"`
		Source   string            `json:"eventSource"`
		Region   string            `json:"awsRegion"`
		Time     string            `json:"eventTime"`
		Name     string            `json:"eventName"`
		User     identity          `json:"userIdentity"`
		Request  map[string]string `json:"requestParameters"`
		Response map[string]string `json:"responseElements"`
		S3       s3Part            `json:"s3"`
	}
	id := strings.ToUpper(strings.ReplaceAll(b.r.id(), "-", ""))
	// keys are URL-encoded in events, with + for a space
	object := s3Object{Key: strings.ReplaceAll(url.QueryEscape(o.key), "%2F", "/"), Sequencer: sequencer}
	if b.versioning != "" {
		object.Version = o.version
	}
	if strings.HasPrefix(name, "ObjectCreated:") {
		size := len(o.body)
		object.Size, object.ETag = &size, strings.Trim(o.etag, `"`)
	}
	return map[string][]record{"Records": {{
		Version: "2.1", Source: "aws:s3", Region: b.r.Name, Time: s3Time(b.r.now()), Name: name,
		User:     identity{"AWS:AROASANDBOX:sandbox"},
		Request:  map[string]string{"sourceIPAddress": "127.0.0.1"},
		Response: map[string]string{"x-amz-request-id": id[:16], "x-amz-id-2": "c2FuZGJveA" + id[16:]},
		S3: s3Part{Schema: "1.0", Configuration: configuration, Object: object,
			Bucket: s3Bucket{Name: b.name, Owner: identity{"A3NL1KOZZKSANDBOX"}, ARN: string(b.arn())}},
	}}}
}
