package sandbox

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

func TestResourcesByTag(t *testing.T) {
	sb := empty(t)
	cw, q := cloudwatch.NewFromConfig(sb.Config()), sqs.NewFromConfig(sb.Config())
	for i := range 7 {
		in := alarmOn(fmt.Sprintf("a%d", i), "depth", 1, 1, "missing")
		in.Tags = []cwtypes.Tag{{Key: aws.String("kxops:managed"), Value: aws.String("true")}, {Key: aws.String("team"), Value: aws.String([]string{"red", "blue"}[i%2])}}
		putAlarm(t, cw, in)
	}
	putAlarm(t, cw, alarmOn("untagged", "depth", 1, 1, "missing"))
	must[*sqs.CreateQueueOutput](t)(q.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("orders"), Tags: map[string]string{"team": "red"}}))
	client := resourcegroupstaggingapi.NewFromConfig(sb.Config())
	names := func(in *resourcegroupstaggingapi.GetResourcesInput) (out []string, pages int) {
		t.Helper()
		p := resourcegroupstaggingapi.NewGetResourcesPaginator(client, in)
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, m := range page.ResourceTagMappingList {
				out = append(out, ops.ARN(*m.ResourceARN).Name())
			}
		}
		return out, pages
	}
	team := func(values ...string) []types.TagFilter {
		return []types.TagFilter{{Key: aws.String("team"), Values: values}}
	}
	for name, c := range map[string]struct {
		in    resourcegroupstaggingapi.GetResourcesInput
		want  []string
		pages int
	}{
		"all tagged":    {resourcegroupstaggingapi.GetResourcesInput{}, []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6", "orders"}, 1},
		"pages":         {resourcegroupstaggingapi.GetResourcesInput{ResourcesPerPage: aws.Int32(3)}, []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6", "orders"}, 3},
		"by value":      {resourcegroupstaggingapi.GetResourcesInput{TagFilters: team("red")}, []string{"a0", "a2", "a4", "a6", "orders"}, 1},
		"any value":     {resourcegroupstaggingapi.GetResourcesInput{TagFilters: team("blue", "green")}, []string{"a1", "a3", "a5"}, 1},
		"both filters":  {resourcegroupstaggingapi.GetResourcesInput{TagFilters: append(team("red"), types.TagFilter{Key: aws.String("kxops:managed")})}, []string{"a0", "a2", "a4", "a6"}, 1},
		"alarms":        {resourcegroupstaggingapi.GetResourcesInput{ResourceTypeFilters: []string{"cloudwatch:alarm"}}, []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6"}, 1},
		"queues":        {resourcegroupstaggingapi.GetResourcesInput{ResourceTypeFilters: []string{"sqs", "kinesis:stream"}}, []string{"orders"}, 1},
		"by ARN":        {resourcegroupstaggingapi.GetResourcesInput{ResourceARNList: []string{"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a3", "arn:aws:sqs:eu-west-1:123456789012:nobody"}}, []string{"a3"}, 1},
		"nothing found": {resourcegroupstaggingapi.GetResourcesInput{TagFilters: team("nobody")}, nil, 1},
	} {
		got, pages := names(&c.in)
		if diff := cmp.Diff(c.want, got); diff != "" || pages != c.pages {
			t.Errorf("%s: %d pages, %s", name, pages, diff)
		}
	}
	for name, in := range map[string]*resourcegroupstaggingapi.GetResourcesInput{
		"list and filter": {ResourceARNList: []string{"arn:aws:sqs:eu-west-1:123456789012:orders"}, TagFilters: team("red")},
		"page too large":  {ResourcesPerPage: aws.Int32(101)},
		"bad token":       {PaginationToken: aws.String("bogus")},
		"tags per page":   {TagsPerPage: aws.Int32(100)},
	} {
		if _, err := client.GetResources(t.Context(), in); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
