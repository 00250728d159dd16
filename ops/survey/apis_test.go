package survey

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"

	"kxops/alarms"
	"kxops/labs/sandbox"
	"kxops/ops"
)

const handler = ops.ARN("arn:aws:lambda:" + sandbox.HomeRegion + ":" + sandbox.Account + ":function:ingest")

// frontDoor makes an HTTP API with a $default stage that calls a function which does
// not exist: every request fails.
func (p place) frontDoor(t testing.TB, name string) (id, address string) {
	t.Helper()
	out, err := apigatewayv2.NewFromConfig(p.Config()).CreateApi(t.Context(), &apigatewayv2.CreateApiInput{
		Name: &name, ProtocolType: types.ProtocolTypeHttp, RouteKey: aws.String("POST /events"), Target: aws.String(string(handler)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.ApiId), aws.ToString(out.ApiEndpoint)
}

// knock posts an event and returns the status.
func (p place) knock(t testing.TB, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/events", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.Config().HTTPClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestAnAPIIsFoundWithWhatItFeedsAndPagesWhenItFails(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	id, address := p.frontDoor(t, "orders-api")
	for range 10 {
		for range 3 {
			if got := p.knock(t, address); got != http.StatusInternalServerError {
				t.Fatalf("status %d, want the function to be missing", got)
			}
		}
		p.Advance(time.Minute)
	}
	p.Advance(3 * time.Minute)
	sn := p.look(t)
	if sn.APIs.Problem != nil || sn.APIs.Partial || len(sn.APIs.Items) != 1 {
		t.Fatalf("%+v", sn.APIs)
	}
	a := sn.APIs.Items[0]
	if a.Name != "orders-api" || a.Protocol != "HTTP" || a.ARN.Kind() != ops.KindAPI || a.ARN.Name() != id || len(a.Stages) != 1 || a.Stages[0].Name != "$default" {
		t.Errorf("%+v", a)
	}
	if want := (ops.Link{From: a.ARN, To: handler, Kind: ops.LinkForwards}); !slices.Contains(sn.Links, want) {
		t.Errorf("links %v", sn.Links)
	}
	if got := a.Stages[0].Measures.Last(ops.APIFailed); got.Or(-1) != 1 {
		t.Errorf("failed %v %s", got.Or(-1), got.Why())
	}
	v := alarms.Judge(sn, p.Now())
	i := slices.IndexFunc(v, func(v alarms.Verdict) bool { return v.ARN == a.ARN })
	if i < 0 || v[i].State != alarms.StatePage || v[i].Name != "orders-api" || v[i].Findings[0].Rule != "apigw.5xx" {
		t.Errorf("verdicts %+v", v)
	}
	for _, ref := range []string{"orders-api", "api:orders-api", id, string(a.ARN)} {
		if got, err := Find(sn, ref); got != a.ARN {
			t.Errorf("%s: %s, %v", ref, got, err)
		}
	}
	if raw, err := p.survey.Raw(t.Context(), a.ARN); err != nil || !strings.Contains(string(raw), string(handler)) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestDeniedAPIsAreSaidAndTheRestIsRead(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.frontDoor(t, "orders-api")
	p.queue(t, "orders", nil)
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "apigateway"})
	sn := p.look(t)
	if sn.APIs.Problem == nil || sn.APIs.Problem.Fault != ops.FaultDenied || !sn.Partial() {
		t.Errorf("%+v", sn.APIs)
	}
	if queueNames(sn) != "orders" {
		t.Errorf("queues %s", queueNames(sn))
	}
}

// An alarm on an API is an alarm of that API.
func TestAnAlarmOfAnAPIIsKnown(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	id, _ := p.frontDoor(t, "orders-api")
	_, err := cloudwatch.NewFromConfig(p.Config()).PutMetricAlarm(t.Context(), fiveHundreds(id))
	if err != nil {
		t.Fatal(err)
	}
	sn := p.look(t)
	if len(sn.Alarms.Items) != 1 || sn.Alarms.Items[0].Resource != sn.APIs.Items[0].ARN {
		t.Errorf("%+v", sn.Alarms.Items)
	}
}

func TestWhatAnIntegrationFeeds(t *testing.T) {
	const region, account = sandbox.HomeRegion, sandbox.Account
	for name, c := range map[string]struct {
		types.Integration
		want api
	}{
		"a function": {types.Integration{IntegrationUri: aws.String(string(handler))}, api{API: ops.API{Feeds: []ops.ARN{handler}}}},
		"an alias, as WebSocket APIs name it": {types.Integration{IntegrationUri: aws.String("arn:aws:apigateway:" + region + ":lambda:path/2015-03-31/functions/" + string(handler) + ":live/invocations")},
			api{API: ops.API{Feeds: []ops.ARN{handler}}}},
		"a function of a stage variable": {types.Integration{IntegrationUri: aws.String("arn:aws:lambda:" + region + ":" + account + ":function:${stageVariables.fn}")}, api{API: ops.API{Unnamed: 1}}},
		"a stream": {types.Integration{IntegrationSubtype: aws.String("Kinesis-PutRecord"), RequestParameters: map[string]string{"StreamName": "clicks", "Data": "$request.body"}},
			api{API: ops.API{Direct: true, Unnamed: 1}, Streams: []string{"clicks"}}},
		"a stream of the request": {types.Integration{IntegrationSubtype: aws.String("Kinesis-PutRecord"), RequestParameters: map[string]string{"StreamName": "$request.path.stream"}}, api{API: ops.API{Direct: true, Unnamed: 1}}},
		"a stream elsewhere":      {types.Integration{IntegrationSubtype: aws.String("Kinesis-PutRecord"), RequestParameters: map[string]string{"StreamName": "clicks", "Region": "us-east-1"}}, api{API: ops.API{Direct: true, Unnamed: 1}}},
		"a queue": {types.Integration{IntegrationSubtype: aws.String("SQS-SendMessage"), RequestParameters: map[string]string{"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/" + account + "/orders"}},
			api{API: ops.API{Direct: true, Feeds: []ops.ARN{queueARN("orders")}}}},
		"a queue of a WebSocket API":       {types.Integration{IntegrationUri: aws.String("arn:aws:apigateway:" + region + ":sqs:path/" + account + "/orders")}, api{API: ops.API{Direct: true, Feeds: []ops.ARN{queueARN("orders")}}}},
		"a stream of a WebSocket template": {types.Integration{IntegrationUri: aws.String("arn:aws:apigateway:" + region + ":kinesis:action/PutRecord")}, api{API: ops.API{Direct: true, Unnamed: 1}}},
		"a reader of a queue":              {types.Integration{IntegrationSubtype: aws.String("SQS-ReceiveMessage"), RequestParameters: map[string]string{"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/orders"}}, api{}},
		"a web server":                     {types.Integration{IntegrationUri: aws.String("https://example.com/")}, api{}},
	} {
		got := api{API: ops.API{ARN: "arn:aws:apigateway:" + region + "::/apis/a"}}
		got.integrates(c.Integration)
		got.ARN = ""
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func fiveHundreds(id string) *cloudwatch.PutMetricAlarmInput {
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("door"), Namespace: aws.String("AWS/ApiGateway"), MetricName: aws.String("5xx"), Statistic: "Average", Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(3), Threshold: aws.Float64(0.05), ComparisonOperator: "GreaterThanThreshold",
		Dimensions: []cwtypes.Dimension{{Name: aws.String("ApiId"), Value: &id}, {Name: aws.String("Stage"), Value: aws.String("$default")}},
	}
}

// REST APIs are known by their metrics: their names, their stages, nothing else.
func TestARESTAPIIsKnownByItsMetrics(t *testing.T) {
	t.Parallel()
	p := at(t, "", Options{})
	p.frontDoor(t, "orders-api")
	r := p.Region(sandbox.HomeRegion)
	for _, d := range [][]string{{"ApiName", "old door/1"}, {"ApiName", "old door/1", "Stage", "prod"}, {"ApiName", "old door/1", "Stage", "prod", "Resource", "/x", "Method", "GET"}} {
		r.Publish("AWS/ApiGateway", "5XXError", "Count", 1, d...)
	}
	p.Advance(30 * time.Minute) // until ListMetrics lists what is new
	sn := p.look(t)
	if sn.APIs.Problem != nil || len(sn.APIs.Items) != 2 {
		t.Fatalf("%+v", sn.APIs)
	}
	a := sn.APIs.Items[0]
	if a.Name != "old door/1" || a.Protocol != "REST" || !a.ARN.ByMetrics() || a.ARN.Kind() != ops.KindAPI || len(a.Stages) != 1 || a.Stages[0].Name != "prod" || a.FeedsPipeline() {
		t.Errorf("%+v", a)
	}
	if _, err := p.survey.Raw(t.Context(), a.ARN); err == nil {
		t.Error("something was described that only has metrics")
	}
	if sn.APIs.Items[1].ARN.ByMetrics() {
		t.Errorf("%+v", sn.APIs.Items[1])
	}
	for tier, want := range map[alarms.Tier]int{alarms.Full: 0, alarms.OptIn: 4} {
		n := 0
		for _, x := range alarms.Want(sn, alarms.Settings{Tier: tier}, p.Now()).Specs {
			if x.Resource == a.ARN {
				n++
				if x.Query.Dimensions["ApiName"] != "old door/1" || x.Query.Dimensions["Stage"] != "prod" {
					t.Errorf("%+v", x.Query)
				}
			}
		}
		if n != want {
			t.Errorf("tier %s: %d alarms on an API of which nobody knows what it feeds, want %d", tier, n, want)
		}
	}
	p.SetFaults(sandbox.Fault{Kind: sandbox.DeniedAction, Service: "apigateway"})
	later := p.open(t, Options{}).look(t)
	if len(later.APIs.Items) != 1 || later.APIs.Problem == nil {
		t.Errorf("with API Gateway denied: %+v", later.APIs)
	}
}
