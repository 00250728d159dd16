package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"kxops/ops"
)

// SNS: this file has topics and subscriptions and the operations on them;
// sns_publish.go takes messages and delivers them, sns_filter.go has filter policies.

// snsPage is the size of SNS's pages, which callers cannot change (API, ListTopics).
const snsPage = 100

// snsService is SNS in one region.
type snsService struct {
	r             *Region
	topics        map[string]*topic        // by name
	subscriptions map[string]*subscription // by ARN
}

type topic struct {
	name     string
	arn      ops.ARN
	settings map[string]string
	tags     map[string]string
	policy   *accessPolicy
	fifo     bool
	deleted  int // subscriptions that were deleted
	sequence uint64
	dedups   map[string]dedup
	dedupAge []string
	retrying int

	published, size, delivered, failed, filtered, redriven, lost *metricSeries
	why                                                          map[string]*metricSeries // filtered out, by reason
}

type subscription struct {
	arn      ops.ARN
	topic    *topic
	protocol string
	endpoint string
	pending  bool
	settings map[string]string
	subscriptionRules
}

// subscriptionRules are the attributes that decide on messages, parsed.
type subscriptionRules struct {
	raw       bool
	filter    filterPolicy
	inBody    bool // the filter looks into the message, not at its attributes
	redriveTo ops.ARN
}

func newSNS(r *Region) {
	s := &snsService{r: r, topics: map[string]*topic{}, subscriptions: map[string]*subscription{}}
	r.receivers["sns"] = func(target ops.ARN, d delivery) error {
		_, err := s.publish(target, d, "")
		return err
	}
	r.tagged = append(r.tagged, s.taggedTopics)
	handle(r, "sns", "CreateTopic", s.createTopic)
	handle(r, "sns", "DeleteTopic", s.deleteTopic)
	handle(r, "sns", "ListTopics", s.listTopics)
	handle(r, "sns", "GetTopicAttributes", s.topicAttributes)
	handle(r, "sns", "SetTopicAttributes", s.setTopicAttributes)
	handle(r, "sns", "Subscribe", s.subscribe)
	handle(r, "sns", "Unsubscribe", s.unsubscribe)
	handle(r, "sns", "ListSubscriptions", s.listSubscriptions)
	handle(r, "sns", "ListSubscriptionsByTopic", s.listSubscriptionsByTopic)
	handle(r, "sns", "GetSubscriptionAttributes", s.subscriptionAttributes)
	handle(r, "sns", "SetSubscriptionAttributes", s.setSubscriptionAttributes)
	handle(r, "sns", "Publish", s.publishOne)
	handle(r, "sns", "PublishBatch", s.publishBatch)
	handle(r, "sns", "TagResource", s.tagTopic)
	handle(r, "sns", "UntagResource", s.untagTopic)
	handle(r, "sns", "ListTagsForResource", s.topicTags)
}

func badParameter(format string, args ...any) error {
	return &types.InvalidParameterException{Message: aws.String("Invalid parameter: " + fmt.Sprintf(format, args...))}
}

// topicNamed makes or finds a topic: CreateTopic and scenarios share it.
func (s *snsService) topicNamed(name string, attributes, tags map[string]string) (*topic, error) {
	fifo := attributes["FifoTopic"] == "true"
	if !isQueueName(strings.TrimSuffix(name, ".fifo")) || len(name) > 256 || fifo != strings.HasSuffix(name, ".fifo") {
		return nil, badParameter("Topic Name")
	}
	if t, ok := s.topics[name]; ok {
		for _, a := range sortedNames(attributes) {
			if t.shown(s)[a] != attributes[a] {
				return nil, badParameter("Attributes Reason: Topic already exists with different attributes")
			}
		}
		if len(tags) > 0 && !maps.Equal(tags, t.tags) {
			return nil, badParameter("Tags Reason: Topic already exists with different tags")
		}
		return t, nil
	}
	t := &topic{name: name, arn: s.r.arn("sns", name), fifo: fifo, settings: map[string]string{}, tags: map[string]string{}, dedups: map[string]dedup{}}
	for _, a := range sortedNames(attributes) {
		if err := t.set(a, attributes[a], true); err != nil {
			return nil, err
		}
	}
	maps.Copy(t.tags, tags)
	t.openMetrics(s.r)
	s.topics[name] = t
	return t, nil
}

func (t *topic) openMetrics(r *Region) {
	open := func(name, unit string) *metricSeries {
		return r.metrics.series("AWS/SNS", name, unit, "TopicName", t.name)
	}
	t.published = open("NumberOfMessagesPublished", "Count")
	t.size = open("PublishSize", "Bytes")
	t.delivered = open("NumberOfNotificationsDelivered", "Count")
	t.failed = open("NumberOfNotificationsFailed", "Count")
	t.filtered = open("NumberOfNotificationsFilteredOut", "Count")
	t.redriven = open("NumberOfNotificationsRedrivenToDlq", "Count")
	t.lost = open("NumberOfNotificationsFailedToRedriveToDlq", "Count")
	t.why = map[string]*metricSeries{}
	for _, reason := range []string{"MessageAttributes", "MessageBody", "NoMessageAttributes", "InvalidAttributes", "InvalidMessageBody"} {
		t.why[reason] = open("NumberOfNotificationsFilteredOut-"+reason, "Count")
	}
}

// topicSettings are the attributes that a topic takes. What is not "" decides on
// nothing in the sandbox: it is kept and shown.
var topicSettings = map[string]string{
	"Policy": "", "KmsMasterKeyId": "", "FifoTopic": "", "ContentBasedDeduplication": "",
	"DisplayName": "shown", "DeliveryPolicy": "shown", "SignatureVersion": "shown", "TracingConfig": "shown", "FifoThroughputScope": "shown",
}

func (t *topic) set(name, value string, creating bool) error {
	feedback := strings.HasSuffix(name, "FeedbackRoleArn") || strings.HasSuffix(name, "FeedbackSampleRate") // delivery logs
	if _, known := topicSettings[name]; !known && !feedback {
		if name == "ArchivePolicy" || name == "DataProtectionPolicy" {
			return unsupported(name)
		}
		return badParameter("AttributeName")
	}
	switch name {
	case "FifoTopic":
		if !creating && value != t.settings[name] || value != "true" && value != "false" {
			return badParameter("FifoTopic")
		}
	case "ContentBasedDeduplication":
		if !t.fifo || value != "true" && value != "false" {
			return badParameter("ContentBasedDeduplication")
		}
	case "Policy":
		p, err := readPolicy(value)
		if err != nil {
			return badParameter("Policy Error: %v", err)
		}
		t.policy = p
	}
	if value == "" {
		delete(t.settings, name)
		return nil
	}
	t.settings[name] = value
	return nil
}

// shown are the attributes as GetTopicAttributes lists them.
func (t *topic) shown(s *snsService) map[string]string {
	confirmed, pending := 0, 0
	for _, sub := range s.subscriptions {
		if sub.topic != t {
			continue
		}
		if sub.pending {
			pending++
		} else {
			confirmed++
		}
	}
	out := map[string]string{
		"TopicArn":                string(t.arn),
		"Owner":                   Account,
		"DisplayName":             "",
		"SubscriptionsConfirmed":  strconv.Itoa(confirmed),
		"SubscriptionsPending":    strconv.Itoa(pending),
		"SubscriptionsDeleted":    strconv.Itoa(t.deleted),
		"EffectiveDeliveryPolicy": `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`,
		"Policy": `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow","Principal":{"AWS":"*"},` +
			`"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],` +
			`"Resource":"` + string(t.arn) + `","Condition":{"StringEquals":{"AWS:SourceOwner":"` + Account + `"}}}]}`,
	}
	if t.fifo {
		out["ContentBasedDeduplication"] = "false"
	}
	maps.Copy(out, t.settings)
	return out
}

func (s *snsService) topicAt(arn *string) (*topic, error) {
	a := ops.ARN(aws.ToString(arn))
	if a.Service() != "sns" {
		return nil, badParameter("TopicArn")
	}
	if t, ok := s.topics[a.Name()]; ok && t.arn == a {
		return t, nil
	}
	return nil, noSuchTopic()
}

func noSuchTopic() error {
	return withStatus{&types.NotFoundException{Message: aws.String("Topic does not exist")}, 404}
}

// withStatus is a typed error with an HTTP status that is not 400.
type withStatus struct {
	apiError
	status int
}

type apiError interface {
	error
	ErrorCode() string
}

func (e withStatus) Unwrap() error       { return e.apiError }
func (e withStatus) HTTPStatusCode() int { return e.status }

func (s *snsService) createTopic(_ context.Context, in *sns.CreateTopicInput) (*sns.CreateTopicOutput, error) {
	if aws.ToString(in.DataProtectionPolicy) != "" {
		return nil, unsupported("DataProtectionPolicy")
	}
	t, err := s.topicNamed(aws.ToString(in.Name), in.Attributes, tagsOf(in.Tags))
	if err != nil {
		return nil, err
	}
	return &sns.CreateTopicOutput{TopicArn: aws.String(string(t.arn))}, nil
}

// deleteTopic deletes a topic with its subscriptions; one that does not exist is
// no error (API, DeleteTopic).
func (s *snsService) deleteTopic(_ context.Context, in *sns.DeleteTopicInput) (*sns.DeleteTopicOutput, error) {
	t, err := s.topicAt(in.TopicArn)
	var gone *types.NotFoundException
	if errors.As(err, &gone) {
		return &sns.DeleteTopicOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	delete(s.topics, t.name)
	maps.DeleteFunc(s.subscriptions, func(_ string, sub *subscription) bool { return sub.topic == t })
	return &sns.DeleteTopicOutput{}, nil
}

// pageOfNames cuts a page out of sorted names; the token is the last name of the
// page before.
func pageOfNames(names []string, token *string) (page []string, next *string, err error) {
	if t := aws.ToString(token); t != "" {
		last, derr := base64.StdEncoding.DecodeString(t)
		if derr != nil {
			return nil, nil, badParameter("nextToken")
		}
		after, found := slices.BinarySearch(names, string(last))
		if found {
			after++
		}
		names = names[after:]
	}
	if len(names) <= snsPage {
		return names, nil, nil
	}
	names = names[:snsPage]
	return names, aws.String(base64.StdEncoding.EncodeToString([]byte(names[snsPage-1]))), nil
}

func (s *snsService) listTopics(_ context.Context, in *sns.ListTopicsInput) (*sns.ListTopicsOutput, error) {
	names, next, err := pageOfNames(sortedNames(s.topics), in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &sns.ListTopicsOutput{NextToken: next, Topics: []types.Topic{}}
	for _, name := range names {
		out.Topics = append(out.Topics, types.Topic{TopicArn: aws.String(string(s.topics[name].arn))})
	}
	return out, nil
}

func (s *snsService) topicAttributes(_ context.Context, in *sns.GetTopicAttributesInput) (*sns.GetTopicAttributesOutput, error) {
	t, err := s.topicAt(in.TopicArn)
	if err != nil {
		return nil, err
	}
	return &sns.GetTopicAttributesOutput{Attributes: t.shown(s)}, nil
}

func (s *snsService) setTopicAttributes(_ context.Context, in *sns.SetTopicAttributesInput) (*sns.SetTopicAttributesOutput, error) {
	t, err := s.topicAt(in.TopicArn)
	if err != nil {
		return nil, err
	}
	if err := t.set(aws.ToString(in.AttributeName), aws.ToString(in.AttributeValue), false); err != nil {
		return nil, err
	}
	return &sns.SetTopicAttributesOutput{}, nil
}

func (s *snsService) subscribe(_ context.Context, in *sns.SubscribeInput) (*sns.SubscribeOutput, error) {
	t, err := s.topicAt(in.TopicArn)
	if err != nil {
		return nil, err
	}
	sub, err := s.subscribed(t, aws.ToString(in.Protocol), aws.ToString(in.Endpoint), in.Attributes)
	if err != nil {
		return nil, err
	}
	arn := string(sub.arn)
	if sub.pending && !in.ReturnSubscriptionArn {
		arn = "pending confirmation"
	}
	return &sns.SubscribeOutput{SubscriptionArn: &arn}, nil
}

// subscribed makes or finds a subscription: Subscribe and scenarios share it.
func (s *snsService) subscribed(t *topic, protocol, endpoint string, attributes map[string]string) (*subscription, error) {
	pending, err := checkEndpoint(t, protocol, endpoint, attributes)
	if err != nil {
		return nil, err
	}
	for _, arn := range sortedNames(s.subscriptions) {
		sub := s.subscriptions[arn]
		if sub.topic != t || sub.protocol != protocol || sub.endpoint != endpoint {
			continue
		}
		for name, value := range attributes {
			if sub.settings[name] != value {
				return nil, badParameter("Attributes Reason: Subscription already exists with different attributes")
			}
		}
		return sub, nil
	}
	sub := &subscription{arn: t.arn + ops.ARN(":"+s.r.id()), topic: t, protocol: protocol, endpoint: endpoint, pending: pending, settings: map[string]string{}}
	if err := sub.change(attributes); err != nil {
		return nil, err
	}
	s.subscriptions[string(sub.arn)] = sub
	return sub, nil
}

// checkEndpoint says whether a new subscription waits for its confirmation.
// Nothing leaves the sandbox, so nobody confirms addresses outside it.
func checkEndpoint(t *topic, protocol, endpoint string, attributes map[string]string) (pending bool, err error) {
	arn := ops.ARN(endpoint)
	if t.fifo && protocol != "sqs" {
		return false, badParameter("Invalid protocol type: %s", protocol)
	}
	switch protocol {
	case "sqs":
		if arn.Service() != "sqs" {
			return false, badParameter("SQS endpoint ARN")
		}
		if !t.fifo && strings.HasSuffix(endpoint, ".fifo") {
			return false, badParameter("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
		}
	case "lambda":
		if arn.Service() != "lambda" {
			return false, badParameter("Lambda endpoint ARN")
		}
	case "firehose":
		if arn.Service() != "firehose" {
			return false, badParameter("Firehose endpoint ARN")
		}
		if attributes["SubscriptionRoleArn"] == "" {
			return false, badParameter("Attribute SubscriptionRoleArn is required for protocol firehose")
		}
	case "http", "https":
		if !strings.HasPrefix(endpoint, protocol+"://") {
			return false, badParameter("Endpoint must match the specified protocol")
		}
		return true, nil
	case "email", "email-json":
		if !strings.Contains(endpoint, "@") {
			return false, badParameter("Email address")
		}
		return true, nil
	case "sms", "application":
		return false, unsupported("Protocol " + protocol)
	default:
		return false, badParameter("Amazon SNS does not support this protocol string: %s", protocol)
	}
	return false, nil
}

// change sets attributes of a subscription; an empty value takes one away.
func (sub *subscription) change(attributes map[string]string) error {
	next := maps.Clone(sub.settings)
	for _, name := range sortedNames(attributes) {
		value := attributes[name]
		switch name {
		case "RawMessageDelivery":
			if value != "true" && value != "false" {
				return badParameter("RawMessageDelivery: Invalid value [%s]. Must be true or false.", value)
			}
		case "FilterPolicyScope":
			if value != "MessageAttributes" && value != "MessageBody" {
				return badParameter("FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", value)
			}
		case "FilterPolicy", "RedrivePolicy", "SubscriptionRoleArn", "DeliveryPolicy":
		case "ReplayPolicy":
			return unsupported(name)
		default:
			return badParameter("AttributeName")
		}
		next[name] = value
		if value == "" {
			delete(next, name)
		}
	}
	rules := subscriptionRules{raw: next["RawMessageDelivery"] == "true", inBody: next["FilterPolicyScope"] == "MessageBody"}
	if rules.raw && sub.protocol == "lambda" {
		return badParameter("Delivery protocol [lambda] does not support raw message delivery.")
	}
	var err error
	if text := next["FilterPolicy"]; text != "" {
		if rules.filter, err = readFilter(text, rules.inBody); err != nil {
			return badParameter("FilterPolicy: %v", err)
		}
	}
	if text := next["RedrivePolicy"]; text != "" {
		var p struct {
			DeadLetterTargetArn ops.ARN `json:"deadLetterTargetArn"`
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil || p.DeadLetterTargetArn.Service() != "sqs" {
			return badParameter("RedrivePolicy: deadLetterTargetArn is an invalid arn")
		}
		rules.redriveTo = p.DeadLetterTargetArn
	}
	sub.settings, sub.subscriptionRules = next, rules
	return nil
}

func (s *snsService) subscriptionAt(arn *string) (*subscription, error) {
	if sub, ok := s.subscriptions[aws.ToString(arn)]; ok {
		return sub, nil
	}
	if ops.ARN(aws.ToString(arn)).Service() != "sns" {
		return nil, badParameter("SubscriptionArn")
	}
	return nil, withStatus{&types.NotFoundException{Message: aws.String("Subscription does not exist")}, 404}
}

func (s *snsService) unsubscribe(_ context.Context, in *sns.UnsubscribeInput) (*sns.UnsubscribeOutput, error) {
	sub, err := s.subscriptionAt(in.SubscriptionArn)
	var gone *types.NotFoundException
	if errors.As(err, &gone) {
		return &sns.UnsubscribeOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	delete(s.subscriptions, string(sub.arn))
	sub.topic.deleted++
	return &sns.UnsubscribeOutput{}, nil
}

func (s *snsService) subscriptionsOf(t *topic) []string {
	var out []string
	for _, arn := range sortedNames(s.subscriptions) {
		if t == nil || s.subscriptions[arn].topic == t {
			out = append(out, arn)
		}
	}
	return out
}

func (s *snsService) entries(arns []string) []types.Subscription {
	out := make([]types.Subscription, 0, len(arns))
	for _, arn := range arns {
		sub := s.subscriptions[arn]
		if sub.pending {
			arn = "PendingConfirmation"
		}
		out = append(out, types.Subscription{SubscriptionArn: aws.String(arn), Owner: aws.String(Account), Protocol: aws.String(sub.protocol),
			Endpoint: aws.String(sub.endpoint), TopicArn: aws.String(string(sub.topic.arn))})
	}
	return out
}

func (s *snsService) listSubscriptions(_ context.Context, in *sns.ListSubscriptionsInput) (*sns.ListSubscriptionsOutput, error) {
	page, next, err := pageOfNames(s.subscriptionsOf(nil), in.NextToken)
	if err != nil {
		return nil, err
	}
	return &sns.ListSubscriptionsOutput{Subscriptions: s.entries(page), NextToken: next}, nil
}

func (s *snsService) listSubscriptionsByTopic(_ context.Context, in *sns.ListSubscriptionsByTopicInput) (*sns.ListSubscriptionsByTopicOutput, error) {
	t, err := s.topicAt(in.TopicArn)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOfNames(s.subscriptionsOf(t), in.NextToken)
	if err != nil {
		return nil, err
	}
	return &sns.ListSubscriptionsByTopicOutput{Subscriptions: s.entries(page), NextToken: next}, nil
}

func (s *snsService) subscriptionAttributes(_ context.Context, in *sns.GetSubscriptionAttributesInput) (*sns.GetSubscriptionAttributesOutput, error) {
	sub, err := s.subscriptionAt(in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	out := map[string]string{
		"SubscriptionArn":              string(sub.arn),
		"TopicArn":                     string(sub.topic.arn),
		"Owner":                        Account,
		"SubscriptionPrincipal":        caller,
		"Protocol":                     sub.protocol,
		"Endpoint":                     sub.endpoint,
		"PendingConfirmation":          strconv.FormatBool(sub.pending),
		"ConfirmationWasAuthenticated": strconv.FormatBool(!sub.pending),
		"RawMessageDelivery":           "false",
	}
	if sub.settings["FilterPolicy"] != "" {
		out["FilterPolicyScope"] = "MessageAttributes"
	}
	maps.Copy(out, sub.settings)
	return &sns.GetSubscriptionAttributesOutput{Attributes: out}, nil
}

func (s *snsService) setSubscriptionAttributes(_ context.Context, in *sns.SetSubscriptionAttributesInput) (*sns.SetSubscriptionAttributesOutput, error) {
	sub, err := s.subscriptionAt(in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	if err := sub.change(map[string]string{aws.ToString(in.AttributeName): aws.ToString(in.AttributeValue)}); err != nil {
		return nil, err
	}
	return &sns.SetSubscriptionAttributesOutput{}, nil
}

func tagsOf(tags []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

func (s *snsService) taggable(arn *string) (*topic, error) {
	if t, ok := s.topics[ops.ARN(aws.ToString(arn)).Name()]; ok && string(t.arn) == *arn {
		return t, nil
	}
	return nil, withStatus{&types.ResourceNotFoundException{Message: aws.String("Resource does not exist")}, 404}
}

func (s *snsService) tagTopic(_ context.Context, in *sns.TagResourceInput) (*sns.TagResourceOutput, error) {
	t, err := s.taggable(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(t.tags)
	maps.Copy(next, tagsOf(in.Tags))
	if len(next) > 50 {
		return nil, &types.TagLimitExceededException{Message: aws.String("Could not complete request: tag quota of per resource exceeded")}
	}
	t.tags = next
	return &sns.TagResourceOutput{}, nil
}

func (s *snsService) untagTopic(_ context.Context, in *sns.UntagResourceInput) (*sns.UntagResourceOutput, error) {
	t, err := s.taggable(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(t.tags, k)
	}
	return &sns.UntagResourceOutput{}, nil
}

func (s *snsService) topicTags(_ context.Context, in *sns.ListTagsForResourceInput) (*sns.ListTagsForResourceOutput, error) {
	t, err := s.taggable(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &sns.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, k := range sortedNames(t.tags) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(k), Value: aws.String(t.tags[k])})
	}
	return out, nil
}

func (s *snsService) taggedTopics() []taggedResource {
	out := make([]taggedResource, 0, len(s.topics))
	for _, name := range sortedNames(s.topics) {
		out = append(out, taggedResource{ARN: s.topics[name].arn, Tags: maps.Clone(s.topics[name].tags)})
	}
	return out
}

func (t *topic) forgetDedups(now time.Time) {
	for len(t.dedupAge) > 0 && !t.dedups[t.dedupAge[0]].until.After(now) {
		delete(t.dedups, t.dedupAge[0])
		t.dedupAge = t.dedupAge[1:]
	}
}
