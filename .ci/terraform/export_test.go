// Package terraform checks what `kxops alarms export --format terraform` writes
// with Terraform's own parser. It is a module of its own, so that the product's
// go.mod names only what the product needs.
package terraform

import (
	"bytes"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"kxops/alarms"
	"kxops/ops"
)

// Attributes and blocks of aws_cloudwatch_metric_alarm (the provider's documentation).
var (
	attributes = words("alarm_name", "alarm_description", "comparison_operator", "evaluation_periods", "datapoints_to_alarm", "threshold",
		"treat_missing_data", "evaluate_low_sample_count_percentiles", "namespace", "metric_name", "period", "dimensions", "statistic",
		"extended_statistic", "alarm_actions", "ok_actions", "insufficient_data_actions", "actions_enabled", "unit", "tags", "threshold_metric_id")
	ofQuery  = words("id", "expression", "label", "period", "return_data", "account_id")
	ofMetric = words("metric_name", "namespace", "period", "stat", "unit", "dimensions")
)

func words(list ...string) map[string]bool {
	m := map[string]bool{}
	for _, w := range list {
		m[w] = true
	}
	return m
}

// account has one of everything, with names that need quoting.
func account() ops.Snapshot {
	var s ops.Snapshot
	stream := ops.ARN("arn:aws:kinesis:eu-west-1:1:stream/clicks")
	fn := ops.ARN("arn:aws:lambda:eu-west-1:1:function:worker")
	s.Streams.Items = []ops.Stream{{ARN: stream, Name: "clicks", Retention: 24 * time.Hour, Mode: "PROVISIONED", OpenShards: 3,
		Consumers: []ops.Consumer{{Kind: ops.ByMapping, ARN: fn, Name: "worker"}, {Kind: ops.ByFanOut, Name: "live"}, {Kind: ops.ByDelivery, Name: "d"}}}}
	s.Deliveries.Items = []ops.Delivery{{ARN: "arn:aws:firehose:eu-west-1:1:deliverystream/d", Name: `we"ird${x}%{y}\`, BufferInterval: time.Minute, Transform: fn, Conversion: true, Partitioning: true},
		{ARN: "arn:aws:firehose:eu-west-1:1:deliverystream/e", Name: "e", Source: stream, BufferInterval: time.Minute}}
	s.Queues.Items = []ops.Queue{{ARN: "arn:aws:sqs:eu-west-1:1:orders", Name: "orders", Retention: 96 * time.Hour, Visibility: time.Minute},
		{ARN: "arn:aws:sqs:eu-west-1:1:orders-dlq", Name: "orders-dlq", Retention: 14 * 24 * time.Hour, DeadLetterOf: []ops.DeadLetterSource{{Via: ops.ViaRedrivePolicy, Retention: 96 * time.Hour}}}}
	s.Functions.Items = []ops.Function{{ARN: fn, Name: "worker", Timeout: 30 * time.Second, DeadLetter: "arn:aws:sqs:eu-west-1:1:orders-dlq", OnFailure: "arn:aws:sqs:eu-west-1:1:orders-dlq"}}
	s.Topics.Items = []ops.Topic{{ARN: "arn:aws:sns:eu-west-1:1:t", Name: "t", Subscriptions: []ops.Subscription{{Protocol: "sqs", Filter: "{}", RedriveTo: "arn:aws:sqs:eu-west-1:1:orders-dlq"}}}}
	s.APIs.Items = []ops.API{{ARN: "arn:aws:apigateway:eu-west-1::/apis/a1b2c3", Name: "orders", Protocol: "HTTP", Direct: true, Stages: []ops.Stage{{Name: "$default"}}, Feeds: []ops.ARN{fn}}}
	return s
}

func TestTerraformReadsTheExport(t *testing.T) {
	level := 12.5
	set := alarms.Settings{Tier: alarms.OptIn, Page: "arn:aws:sns:eu-west-1:1:page", Ticket: "arn:aws:sns:eu-west-1:1:ticket",
		Overrides: []alarms.Override{{Rule: "sqs.age", Threshold: &level, Reason: "say \"${why}\"\n\tand %{how} \\ é"}}}
	specs := alarms.Want(account(), set, time.Now()).Specs
	if len(specs) < 40 {
		t.Fatalf("only %d alarms", len(specs))
	}
	var text bytes.Buffer
	if err := alarms.Export(&text, "terraform", specs, set); err != nil {
		t.Fatal(err)
	}
	file, trouble := hclparse.NewParser().ParseHCL(text.Bytes(), "alarms.tf")
	if trouble.HasErrors() {
		t.Fatalf("%s\n%s", trouble, text.String())
	}
	blocks := file.Body.(*hclsyntax.Body).Blocks
	if len(blocks) != len(specs) {
		t.Fatalf("%d resources, %d alarms", len(blocks), len(specs))
	}
	labels := map[string]bool{}
	for i, b := range blocks {
		s := specs[i]
		if b.Type != "resource" || len(b.Labels) != 2 || b.Labels[0] != "aws_cloudwatch_metric_alarm" || labels[b.Labels[1]] || !hclsyntax.ValidIdentifier(b.Labels[1]) {
			t.Errorf("%s: block %s %q", s.Name, b.Type, b.Labels)
		}
		labels[b.Labels[1]] = true
		values := valuesOf(t, b.Body, attributes)
		for name, want := range map[string]cty.Value{
			"alarm_name": cty.StringVal(s.Name), "threshold": cty.NumberFloatVal(s.Threshold), "evaluation_periods": cty.NumberIntVal(int64(s.N)),
			"datapoints_to_alarm": cty.NumberIntVal(int64(s.M)), "comparison_operator": cty.StringVal(string(s.Comparison)), "treat_missing_data": cty.StringVal(s.Missing),
		} {
			if got := values[name]; got == cty.NilVal || !got.RawEquals(want) {
				t.Errorf("%s: %s is %#v, want %#v", s.Name, name, got, want)
			}
		}
		if s.Rule == "sqs.age" && !bytes.Contains([]byte(values["alarm_description"].AsString()), []byte(set.Overrides[0].Reason)) {
			t.Errorf("the reason is told as %q", values["alarm_description"].AsString())
		}
		if len(s.Math) == 0 {
			got := values["dimensions"].AsValueMap()
			for name, want := range s.Query.Dimensions {
				if v, ok := got[name]; !ok || v.AsString() != want || len(got) != len(s.Query.Dimensions) {
					t.Errorf("%s: dimensions %#v, want %v", s.Name, values["dimensions"], s.Query.Dimensions)
				}
			}
		}
		if len(b.Body.Blocks) != len(s.Math) {
			t.Errorf("%s: %d queries, want %d", s.Name, len(b.Body.Blocks), len(s.Math))
		}
		for k, q := range b.Body.Blocks {
			got := valuesOf(t, q.Body, ofQuery)
			if q.Type != "metric_query" || got["id"].AsString() != s.Math[k].ID || s.Math[k].Expression != "" && got["expression"].AsString() != s.Math[k].Expression {
				t.Errorf("%s: query %d is %s %v", s.Name, k, q.Type, got)
			}
			for _, m := range q.Body.Blocks {
				if got := valuesOf(t, m.Body, ofMetric); m.Type != "metric" || got["metric_name"].AsString() != s.Math[k].Metric {
					t.Errorf("%s: metric %d is %s %v", s.Name, k, m.Type, got)
				}
			}
		}
	}
}

func valuesOf(t *testing.T, b *hclsyntax.Body, allowed map[string]bool) map[string]cty.Value {
	t.Helper()
	out := map[string]cty.Value{}
	for name, a := range b.Attributes {
		if !allowed[name] {
			t.Errorf("there is no attribute %s", name)
		}
		v, trouble := a.Expr.Value(&hcl.EvalContext{})
		if trouble.HasErrors() {
			t.Errorf("%s: %s", name, trouble)
		}
		out[name] = v
	}
	return out
}
