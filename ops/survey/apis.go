package survey

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"kxops/ops"
)

// api is an API and the streams that it puts into, by name: its integrations do not
// say the account, and who we are may not be known yet.
type api struct {
	ops.API
	Streams []string
}

// surveyAPIs finds the HTTP and WebSocket APIs, and the REST APIs that had metrics
// in the last two weeks. API Gateway allows ten calls a
// second over its whole control plane, so there are two workers, and an API is
// described anew in half an hour where there are many.
func (s *Survey) surveyAPIs(ctx context.Context) {
	survey(ctx, s, &s.picture.APIs, source[api]{
		workers: 2,
		every:   describeEvery / 2,
		list:    s.listAPIs,
		key:     func(a api) string { return string(a.ARN) },
		renew: func(known, listed api) api {
			known.Name, known.Protocol = listed.Name, listed.Protocol
			if known.ARN.ByMetrics() {
				known.Stages = listed.Stages
			}
			return known
		},
		describe: s.describeAPI,
		gentle:   true,
	})
}

func (s *Survey) listAPIs(ctx context.Context, found func([]api)) error {
	err := s.listHTTPAPIs(ctx, found)
	if restErr := s.listRESTAPIs(ctx, found); err == nil { // one may be denied and the other not
		err = restErr
	}
	return err
}

// listRESTAPIs finds REST APIs by the metric that only they have. It says their
// names and stages; what they call, CloudWatch does not know.
func (s *Survey) listRESTAPIs(ctx context.Context, found func([]api)) error {
	region := s.cloud.Config().Region
	stages := map[string][]ops.Stage{}
	pages := cloudwatch.NewListMetricsPaginator(s.metrics, &cloudwatch.ListMetricsInput{Namespace: aws.String("AWS/ApiGateway"), MetricName: aws.String("5XXError")})
	for n := 0; pages.HasMorePages(); n++ {
		if n >= maxPages {
			return errTooManyPages("metrics of REST APIs")
		}
		out, err := pages.NextPage(ctx)
		if err != nil {
			if s.unsupported(err) {
				return nil
			}
			return fmt.Errorf("list the metrics of REST APIs: %w", err)
		}
		for _, m := range out.Metrics {
			if d := dimensions(m.Dimensions); len(d) == 2 && d["ApiName"] != "" && d["Stage"] != "" { // neither the whole API nor single methods
				stages[d["ApiName"]] = append(stages[d["ApiName"]], ops.Stage{Name: d["Stage"]})
			}
		}
	}
	page := make([]api, 0, len(stages))
	for name, list := range stages {
		slices.SortFunc(list, func(x, y ops.Stage) int { return strings.Compare(x.Name, y.Name) })
		page = append(page, api{API: ops.API{ARN: ops.RESTAPI(partitionOf(region), region, name), Name: name, Protocol: "REST", Stages: list}})
	}
	found(page)
	return nil
}

func (s *Survey) listHTTPAPIs(ctx context.Context, found func([]api)) error {
	region := s.cloud.Config().Region
	in := &apigatewayv2.GetApisInput{}
	for n := 0; ; n++ {
		if n >= maxPages {
			return errTooManyPages("APIs")
		}
		out, err := s.apis.GetApis(ctx, in)
		if err != nil {
			if s.unsupported(err) {
				return nil // a place without API Gateway has none of its APIs
			}
			return fmt.Errorf("list APIs: %w", err)
		}
		page := make([]api, 0, len(out.Items))
		for _, x := range out.Items {
			page = append(page, api{API: ops.API{
				ARN:  ops.ARN("arn:" + partitionOf(region) + ":apigateway:" + region + "::/apis/" + aws.ToString(x.ApiId)),
				Name: aws.ToString(x.Name), Protocol: string(x.ProtocolType), Created: aws.ToTime(x.CreatedDate),
			}})
		}
		found(page)
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
}

func (s *Survey) describeAPI(ctx context.Context, a api) (api, error) {
	if a.ARN.ByMetrics() {
		return a, nil
	}
	a.Stages, a.Feeds, a.Streams, a.Unnamed, a.Direct = nil, nil, nil, 0, false
	id := aws.String(a.ARN.Name())
	in := &apigatewayv2.GetStagesInput{ApiId: id}
	for n := 0; n == 0 || in.NextToken != nil && n < maxPages; n++ {
		out, err := s.apis.GetStages(ctx, in)
		if err != nil {
			return a, fmt.Errorf("read the stages of API %s: %w", a.Name, err)
		}
		for _, x := range out.Items {
			a.Stages = append(a.Stages, ops.Stage{Name: aws.ToString(x.StageName)})
		}
		in.NextToken = out.NextToken
	}
	slices.SortFunc(a.Stages, func(x, y ops.Stage) int { return strings.Compare(x.Name, y.Name) })
	more := &apigatewayv2.GetIntegrationsInput{ApiId: id}
	for n := 0; n == 0 || more.NextToken != nil && n < maxPages; n++ {
		out, err := s.apis.GetIntegrations(ctx, more)
		if err != nil {
			return a, fmt.Errorf("read the integrations of API %s: %w", a.Name, err)
		}
		for _, x := range out.Items {
			a.integrates(x)
		}
		more.NextToken = out.NextToken
	}
	return a, nil
}

var functionInURI = regexp.MustCompile(`arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+`)

// integrates takes over what one integration feeds. HTTP APIs name the service in
// the subtype, WebSocket APIs in the URI. Others (web servers, mocks, workflows)
// are no part of a pipeline that is followed here.
func (a *api) integrates(x types.Integration) {
	uri, parameters := aws.ToString(x.IntegrationUri), x.RequestParameters
	switch subtype := aws.ToString(x.IntegrationSubtype); {
	case subtype == "Kinesis-PutRecord":
		a.puts(stream(parameters["StreamName"]), parameters["Region"] == "", "")
	case subtype == "SQS-SendMessage":
		a.puts("", true, queueOf(parameters["QueueUrl"], partOf(parameters["Region"], a.ARN.Region())))
	case subtype != "":
	case strings.Contains(uri, ":lambda:"):
		if fn := functionInURI.FindString(uri); fn != "" {
			a.Feeds = append(a.Feeds, ops.ARN(fn))
			return
		}
		a.Unnamed++ // a stage variable decides
	case strings.Contains(uri, ":kinesis:action/PutRecord"):
		a.puts("", true, "") // its template decides
	case strings.Contains(uri, ":sqs:path/"):
		part := strings.SplitN(uri, ":", 6) // arn:aws:apigateway:region:sqs:path/account/name
		account, name, ok := strings.Cut(strings.TrimPrefix(part[len(part)-1], "path/"), "/")
		if !ok || strings.ContainsAny(name, "{}$/") {
			a.puts("", true, "")
			return
		}
		a.puts("", true, ops.ARN(strings.Join([]string{"arn", part[1], "sqs", part[3], account, name}, ":")))
	}
}

// puts notes an integration that needs no code: into a stream of this region, a
// queue, or something whose name cannot be told.
func (a *api) puts(stream string, here bool, queue ops.ARN) {
	a.Direct = true
	switch {
	case stream != "" && here:
		a.Streams = append(a.Streams, stream)
		a.Unnamed++ // until the account is known, which makes it an ARN
	case queue != "":
		a.Feeds = append(a.Feeds, queue)
	default:
		a.Unnamed++
	}
}

// stream is the name in a request parameter, "" where the request decides.
func stream(value string) string {
	if strings.Contains(value, "$") {
		return ""
	}
	return value
}

func partOf(value, otherwise string) string {
	if value == "" || strings.Contains(value, "$") {
		return otherwise
	}
	return value
}

// queueOf is the queue of a URL, "" where the request decides.
func queueOf(address, region string) ops.ARN {
	u, err := url.Parse(address)
	if err != nil || strings.Contains(address, "$") {
		return ""
	}
	account, name, ok := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	return ops.ARN(strings.Join([]string{"arn", partitionOf(region), "sqs", region, account, name}, ":"))
}
