package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"kxops/ops"
	"kxops/ops/payload"
)

const (
	consumerWait       = 30 * time.Second
	mostConsumers      = 20  // mappings of one queue that are described
	mostFunctionPages  = 40  // of 50 functions each
	mostMappingPages   = 40  // of 100 mappings each
	mostSubscriptions  = 300 // whose redrive policy is read, one call each
	mostSubscribePages = 40  // of 100 subscriptions each
)

// lastModified is the layout of a function's LastModified (Lambda API reference).
const lastModified = "2006-01-02T15:04:05.999-0700"

// consumer is a function that takes what is sent to a target.
type consumer struct {
	function ops.ARN // qualified, where the mapping names a version or alias
	mapping  string  // UUID; "" where the function itself is the target
	state    string  // of the mapping: Enabled, Disabled, Enabling …
	modified time.Time
	version  string
	active   string // the function's own state, "" when it does not say
}

// name is what a person calls it, with the version or alias that is called.
func (c consumer) name() string {
	name := c.function.Unqualified().Name()
	if rest, ok := strings.CutPrefix(string(c.function), string(c.function.Unqualified())+":"); ok && rest != "$LATEST" {
		return fmt.Sprintf("%s:%s (version %s)", name, rest, c.version)
	}
	return name
}

// consumersOf lists the functions that read a queue, or the function that a target
// is. Programs that poll by themselves are not listed anywhere.
func (d *Desk) consumersOf(ctx context.Context, t ops.Target) ([]consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, consumerWait)
	defer cancel()
	if t.Kind == ops.KindFunction {
		c, err := d.describeFunction(ctx, consumer{function: t.ARN})
		return []consumer{c}, err
	}
	var found []consumer
	pages := lambda.NewListEventSourceMappingsPaginator(d.lambda, &lambda.ListEventSourceMappingsInput{EventSourceArn: aws.String(string(t.ARN))})
	for n := 0; pages.HasMorePages() && n < mostMappingPages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list what reads %s: %w", t.ARN.Name(), err)
		}
		for _, m := range page.EventSourceMappings {
			found = append(found, consumer{function: ops.ARN(aws.ToString(m.FunctionArn)), mapping: aws.ToString(m.UUID), state: aws.ToString(m.State)})
		}
	}
	for i := range min(len(found), mostConsumers) {
		c, err := d.describeFunction(ctx, found[i])
		if err != nil {
			return found, err
		}
		found[i] = c
	}
	return found, nil
}

// describeFunction fills in when the function was last changed: its code or its
// configuration, AWS does not say which.
func (d *Desk) describeFunction(ctx context.Context, c consumer) (consumer, error) {
	out, err := d.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(string(c.function))})
	if err != nil {
		return c, fmt.Errorf("read function %s: %w", c.function.Name(), err)
	}
	c.version, c.active = aws.ToString(out.Version), string(out.State)
	if c.modified, err = time.Parse(lastModified, aws.ToString(out.LastModified)); err != nil {
		return c, fmt.Errorf("read function %s: when it was last changed: %w", c.function.Name(), err)
	}
	return c, nil
}

// failures is when the letters of one target failed.
type failures struct {
	// sent is when the newest letter that a policy moved was first sent: it failed
	// after that, whatever else is known.
	sent time.Time
	// last is the newest failure: stated by a letter, or estimated from the sending
	// time and the tries that its queue's policy gives.
	last      time.Time
	estimated bool // last is an estimate, and the earliest that it can be
	kin       bool // the newest is no letter of the plan, but one of the same cause
	unknown   int  // letters of which nothing is known: put back here by a restore
}

// known reports whether there is anything to compare with.
func (f failures) known() bool { return !f.sent.IsZero() || !f.last.IsZero() }

// verdict says whether a fix can be out, as one sentence, and whether that is
// reassuring. "" when it is not known when the consumer was changed.
func (f failures) verdict(c consumer, now time.Time) (sentence string, good bool) {
	if c.modified.IsZero() {
		return "", false
	}
	changed := fmt.Sprintf("%s was last changed %s ago", c.name(), span(now.Sub(c.modified)))
	if !f.known() {
		return changed + "; it is not known when these messages failed, so nothing says whether that is after it", false
	}
	newest := "the newest failure"
	if f.kin {
		newest += " of the same cause"
	}
	switch {
	case !f.last.IsZero() && c.modified.After(f.last):
		return fmt.Sprintf("%s, after %s (%s ago)%s", changed, newest, span(now.Sub(f.last)), f.doubt()), true
	case f.sent.IsZero() || c.modified.Before(f.sent):
		at := f.last
		if at.IsZero() {
			at = f.sent
		}
		return fmt.Sprintf("%s, before %s (%s ago): nothing suggests a fix", changed, newest, span(now.Sub(at))), false
	}
	return fmt.Sprintf("%s, while the newest of these letters were still tried: they may have failed on the new code too", changed), false
}

// doubt is what makes a reassuring verdict less so.
func (f failures) doubt() string {
	var s string
	if f.estimated {
		s = "; that time is an estimate from the tries of its queue, and behind a backlog it failed later"
	}
	if f.unknown > 0 {
		s += fmt.Sprintf("; of %s it is not known when they failed", count(f.unknown, "other message"))
	}
	return s
}

// Producer is what puts dead letters into a queue, and where they would go back to.
type Producer struct {
	ops.DeadLetterSource
	// Home is the endpoint that failed: the source queue, the function, the
	// subscription's endpoint. Publishing to a topic again would reach everybody.
	Home ops.ARN
}

// Producers lists what sends dead letters to a queue: queues by redrive policy,
// functions by DeadLetterConfig, mappings by on-failure destination, subscriptions
// by redrive policy. What may not be listed is left out, and the error says so:
// the list is good as far as it goes.
func (d *Desk) Producers(ctx context.Context, q ops.Queue) ([]Producer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*consumerWait)
	defer cancel()
	var all []Producer
	for _, s := range q.DeadLetterOf {
		if s.Via == ops.ViaRedrivePolicy {
			all = append(all, Producer{s, s.Source})
		}
	}
	functions, functionsErr := d.functionsTo(ctx, q.ARN)
	mappings, mappingsErr := d.mappingsTo(ctx, q.ARN)
	subscriptions, subscriptionsErr := d.subscriptionsTo(ctx, q.ARN)
	all = append(append(append(all, functions...), mappings...), subscriptions...)
	return all, errors.Join(functionsErr, mappingsErr, subscriptionsErr)
}

func (d *Desk) functionsTo(ctx context.Context, queue ops.ARN) ([]Producer, error) {
	var found []Producer
	pages := lambda.NewListFunctionsPaginator(d.lambda, &lambda.ListFunctionsInput{})
	for n := 0; pages.HasMorePages(); n++ {
		if n == mostFunctionPages {
			return found, fmt.Errorf("list functions: only the first %d pages were read", n)
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, fmt.Errorf("list functions: %w", err)
		}
		for _, f := range page.Functions {
			if f.DeadLetterConfig == nil || ops.ARN(aws.ToString(f.DeadLetterConfig.TargetArn)) != queue {
				continue
			}
			arn := ops.ARN(aws.ToString(f.FunctionArn))
			found = append(found, Producer{ops.DeadLetterSource{Via: ops.ViaFunctionDLQ, Source: arn}, arn})
		}
	}
	return found, nil
}

func (d *Desk) mappingsTo(ctx context.Context, queue ops.ARN) ([]Producer, error) {
	var found []Producer
	pages := lambda.NewListEventSourceMappingsPaginator(d.lambda, &lambda.ListEventSourceMappingsInput{})
	for n := 0; pages.HasMorePages(); n++ {
		if n == mostMappingPages {
			return found, fmt.Errorf("list event source mappings: only the first %d pages were read", n)
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, fmt.Errorf("list event source mappings: %w", err)
		}
		for _, m := range page.EventSourceMappings {
			if onFailure(m) == queue {
				s := ops.DeadLetterSource{Via: ops.ViaMapping, Source: ops.ARN(aws.ToString(m.EventSourceArn)), ID: aws.ToString(m.UUID)}
				found = append(found, Producer{s, ops.ARN(aws.ToString(m.FunctionArn))})
			}
		}
	}
	return found, nil
}

func onFailure(m types.EventSourceMappingConfiguration) ops.ARN {
	if m.DestinationConfig == nil || m.DestinationConfig.OnFailure == nil {
		return ""
	}
	return ops.ARN(aws.ToString(m.DestinationConfig.OnFailure.Destination))
}

func (d *Desk) subscriptionsTo(ctx context.Context, queue ops.ARN) ([]Producer, error) {
	var found []Producer
	pages, asked := sns.NewListSubscriptionsPaginator(d.sns, &sns.ListSubscriptionsInput{}), 0
	for n := 0; pages.HasMorePages() && n < mostSubscribePages; n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, fmt.Errorf("list subscriptions: %w", err)
		}
		for _, s := range page.Subscriptions {
			endpoint := ops.ARN(aws.ToString(s.Endpoint))
			if !strings.HasPrefix(aws.ToString(s.SubscriptionArn), "arn:") || !strings.HasPrefix(string(endpoint), "arn:") {
				continue // not confirmed, or an endpoint that nothing of ours can call: e-mail, HTTP
			}
			if asked++; asked > mostSubscriptions {
				return found, fmt.Errorf("read subscriptions: only the first %d were asked for their redrive policy", mostSubscriptions)
			}
			out, err := d.sns.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: s.SubscriptionArn})
			if err != nil {
				return found, fmt.Errorf("read a subscription of %s: %w", ops.ARN(aws.ToString(s.TopicArn)).Name(), err)
			}
			if to, _ := redrivePolicy(out.Attributes["RedrivePolicy"]); to == queue {
				source := ops.DeadLetterSource{Via: ops.ViaSubscription, Source: ops.ARN(aws.ToString(s.TopicArn)), ID: aws.ToString(s.SubscriptionArn)}
				found = append(found, Producer{source, endpoint})
			}
		}
	}
	return found, nil
}

// home is where one letter goes back to: the endpoint that failed. why says what
// is missing when it is "".
//
// A queue's redrive policy writes its source on the message; a Lambda destination
// and a stream pointer name the function; EventBridge and its Scheduler name the
// target in an attribute; a Lambda dead-letter queue and a subscription name
// nobody, so the configuration has to be unambiguous.
func home(m ops.Message, producers []Producer) (to ops.ARN, why string) {
	if source := m.Source(); source != "" {
		return source, ""
	}
	if has(m, "RULE_ARN") || has(m, "SCHEDULE_ARN") {
		switch target := ops.ARN(m.Attributes["TARGET_ARN"].Text); target.Kind() {
		case ops.KindQueue, ops.KindTopic, ops.KindFunction:
			return target, ""
		default:
			return "", fmt.Sprintf("its target %q is nothing that kxops sends to", target)
		}
	}
	layers := payload.Peel(m)
	for _, l := range layers {
		if l.Failure != nil && l.Failure.Function != "" {
			return l.Failure.Function, ""
		}
		if l.Pointer != nil && l.Pointer.Function != "" {
			return l.Pointer.Function, ""
		}
	}
	if has(m, "RequestID") && has(m, "ErrorCode") {
		return only(producers, func(p Producer) bool { return p.Via == ops.ViaFunctionDLQ }, "function whose dead-letter queue this is")
	}
	if topic := envelopeTopic(m); topic != "" {
		return only(producers, func(p Producer) bool { return p.Via == ops.ViaSubscription && p.Source == topic },
			"subscription of topic "+topic.Name()+" that dead-letters here")
	}
	return only(producers, func(Producer) bool { return true }, "producer of this queue's letters")
}

func has(m ops.Message, attribute string) bool {
	_, ok := m.Attributes[attribute]
	return ok
}

func envelopeTopic(m ops.Message) ops.ARN {
	var e struct {
		Type     string
		TopicArn ops.ARN
	}
	if json.Unmarshal([]byte(m.Body), &e) != nil || e.Type != "Notification" {
		return ""
	}
	return e.TopicArn
}

// only is the one producer that fits.
func only(producers []Producer, fits func(Producer) bool, what string) (ops.ARN, string) {
	var homes []ops.ARN
	for _, p := range producers {
		if fits(p) && !slices.Contains(homes, p.Home) {
			homes = append(homes, p.Home)
		}
	}
	switch len(homes) {
	case 0:
		return "", "no " + what + " was found"
	case 1:
		return homes[0], ""
	}
	names := make([]string, len(homes))
	for i, h := range homes {
		names[i] = h.Name()
	}
	return "", fmt.Sprintf("there is more than one %s: %s", what, strings.Join(names, ", "))
}
