package sandbox

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"kxops/ops"
)

// newTagging adds the Resource Groups Tagging API: one question for the tags of
// everything in the region.
func newTagging(r *Region) {
	handle(r, "tagging", "GetResources", func(_ context.Context, in *resourcegroupstaggingapi.GetResourcesInput) (*resourcegroupstaggingapi.GetResourcesOutput, error) {
		return r.resourcesByTag(in)
	})
}

func badTagging(format string, args ...any) error {
	return &types.InvalidParameterException{Message: aws.String(fmt.Sprintf(format, args...))}
}

// resourcesByTag answers GetResources: the tagged resources that satisfy every
// filter, by ARN, at most 100 a page (API reference, GetResources).
func (r *Region) resourcesByTag(in *resourcegroupstaggingapi.GetResourcesInput) (*resourcegroupstaggingapi.GetResourcesOutput, error) {
	perPage := 50
	if in.ResourcesPerPage != nil {
		perPage = int(*in.ResourcesPerPage)
	}
	paged := in.ResourcesPerPage != nil || in.TagsPerPage != nil || deref(in.PaginationToken) != ""
	switch {
	case in.TagsPerPage != nil:
		return nil, unsupported("TagsPerPage")
	case deref(in.IncludeComplianceDetails):
		return nil, unsupported("IncludeComplianceDetails")
	case deref(in.ExcludeCompliantResources):
		return nil, badTagging("ExcludeCompliantResources needs IncludeComplianceDetails")
	case perPage < 1 || perPage > 100:
		return nil, badTagging("ResourcesPerPage must be between 1 and 100")
	case len(in.ResourceARNList) > 0 && (len(in.ResourceTypeFilters) > 0 || len(in.TagFilters) > 0 || paged):
		return nil, badTagging("ResourceARNList cannot be combined with filters or pagination")
	case len(in.ResourceARNList) > 100:
		return nil, badTagging("ResourceARNList must not have more than 100 items")
	case len(in.ResourceTypeFilters) > 100:
		return nil, badTagging("ResourceTypeFilters must not have more than 100 items")
	case len(in.TagFilters) > 50:
		return nil, badTagging("TagFilters must not have more than 50 items")
	}
	for _, f := range in.TagFilters {
		if deref(f.Key) == "" || len(f.Values) > 20 {
			return nil, badTagging("A tag filter needs a key and has at most 20 values")
		}
	}
	after, err := nameOfToken(emptyIsNil(in.PaginationToken))
	if err != nil {
		return nil, &types.PaginationTokenExpiredException{Message: aws.String("The pagination token is not valid")}
	}
	out := &resourcegroupstaggingapi.GetResourcesOutput{ResourceTagMappingList: []types.ResourceTagMapping{}, PaginationToken: aws.String("")}
	last := ""
	for _, t := range r.allTagged() {
		arn := string(t.ARN)
		if arn <= after || !tagsMatch(t.Tags, in.TagFilters) || !typeMatches(t.ARN, in.ResourceTypeFilters) ||
			len(in.ResourceARNList) > 0 && !slices.Contains(in.ResourceARNList, arn) {
			continue
		}
		if len(in.ResourceARNList) == 0 && len(out.ResourceTagMappingList) == perPage {
			out.PaginationToken = aws.String(tokenOfName(last))
			break
		}
		last = arn
		out.ResourceTagMappingList = append(out.ResourceTagMappingList, types.ResourceTagMapping{ResourceARN: aws.String(arn), Tags: tagList(t.Tags)})
	}
	return out, nil
}

func emptyIsNil(s *string) *string {
	if deref(s) == "" {
		return nil
	}
	return s
}

func (r *Region) allTagged() []taggedResource {
	var all []taggedResource
	for _, list := range r.tagged {
		for _, t := range list() {
			if len(t.Tags) > 0 {
				all = append(all, t)
			}
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].ARN < all[j].ARN })
	return all
}

func tagsMatch(tags map[string]string, filters []types.TagFilter) bool {
	for _, f := range filters {
		v, ok := tags[*f.Key]
		if !ok || len(f.Values) > 0 && !slices.Contains(f.Values, v) {
			return false
		}
	}
	return true
}

// typeMatches takes service or service:type, where the type is what stands in
// the ARN: kinesis:stream, firehose:deliverystream, cloudwatch:alarm,
// lambda:function. Queues, topics and buckets have a bare name in their ARN, and
// their service alone is their type (sqs, sns, s3; sqs:queue finds them too).
func typeMatches(arn ops.ARN, filters []string) bool {
	if len(filters) == 0 {
		return true
	}
	for _, f := range filters {
		service, kind, typed := strings.Cut(f, ":")
		if service != arn.Service() {
			continue
		}
		p := strings.SplitN(string(arn), ":", 6)
		if !typed || len(p) < 6 || strings.HasPrefix(p[5], kind+":") || strings.HasPrefix(p[5], kind+"/") || bareTypes[f] {
			return true
		}
	}
	return false
}

var bareTypes = map[string]bool{"sqs:queue": true, "sns:topic": true, "s3:bucket": true}

func tagList(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for k, v := range tags {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	sort.Slice(out, func(i, j int) bool { return *out[i].Key < *out[j].Key })
	return out
}
