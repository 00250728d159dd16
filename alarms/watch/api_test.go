package watch

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"kxops/alarms"
	"kxops/labs/sandbox"
)

// From the account to the bell: an HTTP API is found, its alarm is made, stays quiet
// while nobody calls, and rings when what it calls is gone.
func TestAFailingFrontDoorRings(t *testing.T) {
	p := at(t, "")
	made, err := apigatewayv2.NewFromConfig(p.Config()).CreateApi(t.Context(), &apigatewayv2.CreateApiInput{
		Name: aws.String("orders-api"), ProtocolType: types.ProtocolTypeHttp, RouteKey: aws.String("POST /events"),
		Target: aws.String("arn:aws:lambda:" + region + ":" + sandbox.Account + ":function:gone"),
	})
	must(t, err)
	ask := p.ask()
	plan, err := p.desk.Plan(t.Context(), p.survey(t), ask)
	must(t, err)
	if len(plan.Partial) > 0 || len(plan.Items) != 1 || plan.Items[0].Spec.Rule != "apigw.5xx" {
		t.Fatalf("%+v, partial %q", plan.Items, plan.Partial)
	}
	p.apply(t, plan)
	name := "kxops/apigw.5xx/" + aws.ToString(made.ApiId) + "/orders-api/$default"
	state := func() string {
		e, err := p.desk.Existing(t.Context())
		must(t, err)
		a := e.Named(name)
		if a == nil {
			t.Fatalf("there is no %s", name)
		}
		return string(a.StateValue)
	}
	p.Advance(10 * time.Minute)
	if got := state(); got != "OK" {
		t.Errorf("%s while nobody calls", got)
	}
	for range 8 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, aws.ToString(made.ApiEndpoint)+"/events", strings.NewReader("{}"))
		must(t, err)
		answer, err := p.Config().HTTPClient.Do(req)
		must(t, err)
		must(t, answer.Body.Close())
		p.Advance(time.Minute)
	}
	if got := state(); got != "ALARM" {
		t.Errorf("%s after eight minutes of failures", got)
	}
	again, err := p.desk.Plan(t.Context(), p.survey(t), ask)
	must(t, err)
	count(t, again, map[alarms.Action]int{alarms.Keep: 1})
}
