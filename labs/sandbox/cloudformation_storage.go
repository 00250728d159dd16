package sandbox

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kintypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// storageKinds are the resource types of S3, Kinesis and Firehose.
var storageKinds = map[string]resourceKind{
	"AWS::S3::Bucket": {
		properties: []string{"BucketName", "NotificationConfiguration", "VersioningConfiguration", "BucketEncryption", "PublicAccessBlockConfiguration",
			"OwnershipControls", "LifecycleConfiguration", "Tags"},
		replaceOn: []string{"BucketName"},
		create:    createBucketKind,
		update: func(m *maker, have *made, _, p properties) error {
			return configureBucket(m, have.physical, p)
		},
		remove: func(m *maker, have made, _ properties) error {
			return bucketCall(m, http.MethodDelete, have.physical, "", nil)
		},
	},
	"AWS::S3::BucketPolicy": {
		properties: []string{"Bucket", "PolicyDocument"},
		replaceOn:  []string{"Bucket"},
		create: func(m *maker, p properties) (made, error) {
			return made{physical: p.text("Bucket")}, putBucketPolicy(m, p)
		},
		update: func(m *maker, _ *made, _, p properties) error { return putBucketPolicy(m, p) },
		remove: func(m *maker, have made, _ properties) error {
			return bucketCall(m, http.MethodDelete, have.physical, "policy", nil)
		},
	},
	"AWS::Kinesis::Stream": {
		properties: []string{"Name", "ShardCount", "RetentionPeriodHours", "StreamModeDetails", "StreamEncryption", "Tags"},
		replaceOn:  []string{"Name", "StreamModeDetails"},
		create:     createStreamKind,
		update:     updateStreamKind,
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[kinesis.DeleteStreamOutput](m.r, "kinesis", "DeleteStream", &kinesis.DeleteStreamInput{StreamName: &have.physical, EnforceConsumerDeletion: aws.Bool(true)})
			return err
		},
		settle: settleStream,
	},
	"AWS::KinesisFirehose::DeliveryStream": {
		properties: []string{"DeliveryStreamName", "DeliveryStreamType", "KinesisStreamSourceConfiguration", "ExtendedS3DestinationConfiguration",
			"DeliveryStreamEncryptionConfigurationInput", "Tags"},
		replaceOn: []string{"DeliveryStreamName", "DeliveryStreamType", "KinesisStreamSourceConfiguration", "DeliveryStreamEncryptionConfigurationInput"},
		create:    createDeliveryKind,
		update: func(m *maker, have *made, _, p properties) error {
			return updateDelivery(m, have.physical, p)
		},
		remove: func(m *maker, have made, _ properties) error {
			_, err := ask[firehose.DeleteDeliveryStreamOutput](m.r, "firehose", "DeleteDeliveryStream", &firehose.DeleteDeliveryStreamInput{DeliveryStreamName: &have.physical})
			return err
		},
		settle: func(m *maker, have made, _ properties) (bool, error) {
			got, err := ask[firehose.DescribeDeliveryStreamOutput](m.r, "firehose", "DescribeDeliveryStream", &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &have.physical})
			return err == nil && got.DeliveryStreamDescription.DeliveryStreamStatus == firetypes.DeliveryStreamStatusActive, err
		},
	},
}

// bucketCall makes one request to S3 from within: a bucket and a sub-resource.
func bucketCall(m *maker, method, bucket, sub string, body any) error {
	var text []byte
	switch b := body.(type) {
	case nil:
	case string:
		text = []byte(b)
	default:
		var err error
		if text, err = xml.Marshal(b); err != nil {
			return err
		}
	}
	ctx := context.WithValue(context.Background(), insideKey{}, true)
	u := url.URL{Scheme: "http", Host: inProcessHost, Path: "/" + bucket, RawQuery: sub}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIASANDBOX/"+m.r.now().Format("20060102")+"/"+m.r.Name+"/s3/aws4_request")
	resp, err := fromInside{sb: m.r.sb}.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 300 {
		return nil
	}
	var e struct{ Code, Message string }
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := xml.Unmarshal(answer, &e); err != nil {
		return fmt.Errorf("S3 answered %d", resp.StatusCode)
	}
	return fail(e.Code, "%s", e.Message)
}

func createBucketKind(m *maker, p properties) (made, error) {
	name := strings.ToLower(m.name(p.text("BucketName"), 63))
	var where any
	if m.r.Name != "us-east-1" {
		where = struct {
			XMLName            xml.Name `xml:"CreateBucketConfiguration"`
			LocationConstraint string
		}{LocationConstraint: m.r.Name}
	}
	if err := bucketCall(m, http.MethodPut, name, "", where); err != nil {
		return made{}, err
	}
	got := made{physical: name, attributes: map[string]any{"Arn": "arn:aws:s3:::" + name, "DomainName": name + ".s3.amazonaws.com",
		"RegionalDomainName": name + ".s3." + m.r.Name + ".amazonaws.com"}}
	if err := configureBucket(m, name, p); err != nil {
		if derr := bucketCall(m, http.MethodDelete, name, "", nil); derr != nil {
			return made{}, fmt.Errorf("%w (and the bucket %s stays: %w)", err, name, derr)
		}
		return made{}, err
	}
	return got, nil
}

// bucketTag, and the documents below, are S3's own.
type bucketTagging struct {
	XMLName xml.Name `xml:"Tagging"`
	TagSet  struct {
		Tag []s3Tag
	}
}

func configureBucket(m *maker, name string, p properties) error {
	var tags bucketTagging
	labels := m.labels(p)
	for _, k := range sortedNames(labels) {
		if !strings.HasPrefix(k, "aws:") { // CloudFormation's own are its to write, not a caller's
			tags.TagSet.Tag = append(tags.TagSet.Tag, s3Tag{Key: k, Value: labels[k]})
		}
	}
	if len(tags.TagSet.Tag) > 0 {
		if err := bucketCall(m, http.MethodPut, name, "tagging", tags); err != nil {
			return err
		}
	}
	if v := p.object("VersioningConfiguration").text("Status"); v != "" {
		if err := bucketCall(m, http.MethodPut, name, "versioning", "<VersioningConfiguration><Status>"+v+"</Status></VersioningConfiguration>"); err != nil {
			return err
		}
	}
	for property, sub := range map[string]string{"BucketEncryption": "encryption", "PublicAccessBlockConfiguration": "publicAccessBlock",
		"OwnershipControls": "ownershipControls", "LifecycleConfiguration": "lifecycle"} {
		if p[property] == nil {
			continue
		}
		if err := bucketCall(m, http.MethodPut, name, sub, settingXML(bucketSettings[sub].root, p.object(property))); err != nil {
			return err
		}
	}
	n, err := notificationOf(p.object("NotificationConfiguration"))
	if err != nil {
		return err
	}
	return bucketCall(m, http.MethodPut, name, "notification", n)
}

// settingXML writes a setting as the XML that the S3 API takes. The template's
// lists have the plural of the API's element names.
func settingXML(root string, p properties) string {
	var b strings.Builder
	var element func(name string, v any)
	element = func(name string, v any) {
		switch x := v.(type) {
		case []any:
			for _, c := range x {
				element(singularOf(name), c)
			}
			return
		case map[string]any:
			b.WriteString("<" + name + ">")
			for _, k := range sortedNames(x) {
				element(k, x[k])
			}
		default:
			b.WriteString("<" + name + ">")
			// A strings.Builder takes whatever is written.
			_ = xml.EscapeText(&b, []byte(textOf(x)))
		}
		b.WriteString("</" + name + ">")
	}
	element(root, map[string]any(p))
	return b.String()
}

func singularOf(name string) string {
	switch name {
	case "ServerSideEncryptionConfiguration", "Rules":
		return "Rule"
	case "Transitions":
		return "Transition"
	}
	return name
}

// notificationOf translates a template's notification configuration.
func notificationOf(p properties) (notificationXML, error) {
	var out notificationXML
	for _, k := range sortedNames(p) {
		if k != "TopicConfigurations" && k != "QueueConfigurations" && k != "LambdaConfigurations" {
			return out, fail("ValidationError", "Properties validation failed: #/NotificationConfiguration: the sandbox does not support [%s]", k)
		}
	}
	one := func(c properties) targetXML {
		t := targetXML{Event: []string{c.text("Event")}}
		for _, rule := range c.object("Filter").object("S3Key").objects("Rules") {
			if t.Filter == nil {
				t.Filter = &notifyFilterXML{}
			}
			t.Filter.S3Key.FilterRule = append(t.Filter.S3Key.FilterRule, filterRuleXML{Name: rule.text("Name"), Value: rule.text("Value")})
		}
		return t
	}
	for _, c := range p.objects("TopicConfigurations") {
		t := one(c)
		t.Topic = c.text("Topic")
		out.TopicConfiguration = append(out.TopicConfiguration, t)
	}
	for _, c := range p.objects("QueueConfigurations") {
		t := one(c)
		t.Queue = c.text("Queue")
		out.QueueConfiguration = append(out.QueueConfiguration, t)
	}
	for _, c := range p.objects("LambdaConfigurations") {
		t := one(c)
		t.CloudFunction = c.text("Function")
		out.CloudFunctionConfiguration = append(out.CloudFunctionConfiguration, t)
	}
	return out, nil
}

func putBucketPolicy(m *maker, p properties) error {
	policy, err := p.document("PolicyDocument")
	if err != nil {
		return err
	}
	return bucketCall(m, http.MethodPut, p.text("Bucket"), "policy", policy)
}

func createStreamKind(m *maker, p properties) (made, error) {
	name := m.name(p.text("Name"), 128)
	in := &kinesis.CreateStreamInput{StreamName: &name, Tags: m.labels(p)}
	if err := p.into(in, "Name", "Tags", "RetentionPeriodHours", "StreamEncryption"); err != nil {
		return made{}, err
	}
	if _, err := ask[kinesis.CreateStreamOutput](m.r, "kinesis", "CreateStream", in); err != nil {
		return made{}, err
	}
	arn := string(m.r.arn("kinesis", "stream/"+name))
	return made{physical: name, attributes: map[string]any{"Arn": arn}}, nil
}

func updateStreamKind(m *maker, have *made, old, p properties) error {
	now, was := p.text("ShardCount"), old.text("ShardCount")
	if now == was || now == "" {
		return nil // the rest is settled like that of a new stream
	}
	n, ok := asNumber(now)
	if !ok {
		return fail("ValidationError", "ShardCount must be a number")
	}
	in := &kinesis.UpdateShardCountInput{StreamName: &have.physical, TargetShardCount: aws.Int32(int32(n)), ScalingType: kintypes.ScalingTypeUniformScaling}
	_, err := ask[kinesis.UpdateShardCountOutput](m.r, "kinesis", "UpdateShardCount", in)
	return err
}

// settleStream brings retention and encryption to what the template says, one
// change after the other: each needs a stream that is active.
func settleStream(m *maker, have made, p properties) (bool, error) {
	got, err := ask[kinesis.DescribeStreamSummaryOutput](m.r, "kinesis", "DescribeStreamSummary", &kinesis.DescribeStreamSummaryInput{StreamName: &have.physical})
	if err != nil {
		return false, err
	}
	now := got.StreamDescriptionSummary
	if now.StreamStatus != kintypes.StreamStatusActive {
		return false, nil
	}
	hours := int32(24)
	if n, ok := asNumber(p.text("RetentionPeriodHours")); ok && p.text("RetentionPeriodHours") != "" {
		hours = int32(n)
	}
	wanted, key := p.object("StreamEncryption"), deref(now.KeyId)
	switch have, stream := aws.ToInt32(now.RetentionPeriodHours), &have.physical; {
	case hours > have:
		_, err = ask[kinesis.IncreaseStreamRetentionPeriodOutput](m.r, "kinesis", "IncreaseStreamRetentionPeriod",
			&kinesis.IncreaseStreamRetentionPeriodInput{StreamName: stream, RetentionPeriodHours: &hours})
	case hours < have:
		_, err = ask[kinesis.DecreaseStreamRetentionPeriodOutput](m.r, "kinesis", "DecreaseStreamRetentionPeriod",
			&kinesis.DecreaseStreamRetentionPeriodInput{StreamName: stream, RetentionPeriodHours: &hours})
	case wanted == nil && key != "":
		_, err = ask[kinesis.StopStreamEncryptionOutput](m.r, "kinesis", "StopStreamEncryption",
			&kinesis.StopStreamEncryptionInput{StreamName: stream, EncryptionType: kintypes.EncryptionTypeKms, KeyId: &key})
	case wanted.text("KeyId") != key:
		in := &kinesis.StartStreamEncryptionInput{StreamName: stream}
		if err := wanted.into(in); err != nil {
			return false, err
		}
		_, err = ask[kinesis.StartStreamEncryptionOutput](m.r, "kinesis", "StartStreamEncryption", in)
	default:
		return true, nil
	}
	return false, err
}

func createDeliveryKind(m *maker, p properties) (made, error) {
	name := m.name(p.text("DeliveryStreamName"), 64)
	in := &firehose.CreateDeliveryStreamInput{DeliveryStreamName: &name}
	if err := p.into(in, "DeliveryStreamName", "Tags"); err != nil {
		return made{}, err
	}
	labels := m.labels(p)
	for _, k := range sortedNames(labels) {
		if !strings.HasPrefix(k, "aws:") {
			in.Tags = append(in.Tags, firetypes.Tag{Key: aws.String(k), Value: aws.String(labels[k])})
		}
	}
	if c := in.ExtendedS3DestinationConfiguration; c != nil && !m.r.sb.iam.trusts(deref(c.RoleARN), "firehose.amazonaws.com") {
		return made{}, fail("InvalidArgumentException", "Firehose is unable to assume role %s. Please check the role provided.", deref(c.RoleARN))
	}
	got, err := ask[firehose.CreateDeliveryStreamOutput](m.r, "firehose", "CreateDeliveryStream", in)
	if err != nil {
		return made{}, err
	}
	return made{physical: name, attributes: map[string]any{"Arn": aws.ToString(got.DeliveryStreamARN)}}, nil
}

func updateDelivery(m *maker, name string, p properties) error {
	got, err := ask[firehose.DescribeDeliveryStreamOutput](m.r, "firehose", "DescribeDeliveryStream", &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &name})
	if err != nil {
		return err
	}
	d := got.DeliveryStreamDescription
	var c firetypes.ExtendedS3DestinationUpdate
	if err := p.object("ExtendedS3DestinationConfiguration").into(&c, "S3BackupConfiguration"); err != nil {
		return err
	}
	in := &firehose.UpdateDestinationInput{DeliveryStreamName: &name, CurrentDeliveryStreamVersionId: d.VersionId, DestinationId: d.Destinations[0].DestinationId, ExtendedS3DestinationUpdate: &c}
	_, err = ask[firehose.UpdateDestinationOutput](m.r, "firehose", "UpdateDestination", in)
	return err
}
