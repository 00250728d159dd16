package conformance

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"kxops/labs/sandbox"
)

// api makes an HTTP API with one stage that calls a function.
func (x *run) api() (id, name, function string) {
	name = x.name("api")
	function = "arn:aws:lambda:" + sandbox.HomeRegion + ":" + sandbox.Account + ":function:" + name
	made, err := x.set.apis.CreateApi(x.ctx, &apigatewayv2.CreateApiInput{Name: &name, ProtocolType: types.ProtocolTypeHttp})
	x.must("CreateApi", err)
	x.after(func(ctx context.Context) error {
		_, err := x.set.apis.DeleteApi(ctx, &apigatewayv2.DeleteApiInput{ApiId: made.ApiId})
		return err
	})
	_, err = x.set.apis.CreateIntegration(x.ctx, &apigatewayv2.CreateIntegrationInput{
		ApiId: made.ApiId, IntegrationType: types.IntegrationTypeAwsProxy, IntegrationUri: &function, PayloadFormatVersion: aws.String("2.0"),
	})
	x.must("CreateIntegration", err)
	_, err = x.set.apis.CreateStage(x.ctx, &apigatewayv2.CreateStageInput{ApiId: made.ApiId, StageName: aws.String("prod"), AutoDeploy: aws.Bool(true)})
	x.must("CreateStage", err)
	return aws.ToString(made.ApiId), name, function
}

var apiCases = []oneCase{
	{name: "lists the APIs", service: "ApiGatewayV2", operation: "GetApis", run: func(x *run) {
		id, name, _ := x.api()
		in := &apigatewayv2.GetApisInput{}
		for range 100 {
			out, err := x.apis.GetApis(x.ctx, in)
			x.must("GetApis", err)
			if i := slices.IndexFunc(out.Items, func(a types.Api) bool { return aws.ToString(a.ApiId) == id }); i >= 0 {
				equal(x, "name", aws.ToString(out.Items[i].Name), name)
				equal(x, "protocol", out.Items[i].ProtocolType, types.ProtocolTypeHttp)
				return
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		x.errorf("API %s is not listed", id)
	}},
	{name: "names the stages", service: "ApiGatewayV2", operation: "GetStages", run: func(x *run) {
		id, _, _ := x.api()
		out, err := x.apis.GetStages(x.ctx, &apigatewayv2.GetStagesInput{ApiId: &id})
		x.must("GetStages", err)
		if len(out.Items) != 1 || aws.ToString(out.Items[0].StageName) != "prod" {
			x.errorf("stages %+v, want prod", out.Items)
		}
	}},
	{name: "a missing API is NotFoundException", service: "ApiGatewayV2", operation: "GetStages", run: func(x *run) {
		_, err := x.apis.GetStages(x.ctx, &apigatewayv2.GetStagesInput{ApiId: aws.String("none000000")})
		var none *types.NotFoundException
		if !errors.As(err, &none) {
			x.errorf("err = %v", err)
		}
	}},
	{name: "says what an API calls", service: "ApiGatewayV2", operation: "GetIntegrations", run: func(x *run) {
		id, _, function := x.api()
		out, err := x.apis.GetIntegrations(x.ctx, &apigatewayv2.GetIntegrationsInput{ApiId: &id})
		x.must("GetIntegrations", err)
		if len(out.Items) != 1 {
			x.fatalf("%d integrations, want 1", len(out.Items))
		}
		equal(x, "type", out.Items[0].IntegrationType, types.IntegrationTypeAwsProxy)
		equal(x, "function", aws.ToString(out.Items[0].IntegrationUri), function)
	}},
}
