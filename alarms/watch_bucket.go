package alarms

import (
	"kxops/ops"
)

// bucketRequests draws up one alarm for each filter that exists. CloudWatch bills
// request metrics, so kxops never makes a filter.
func bucketRequests(b ops.Bucket, metric string) []Draft {
	switch {
	case b.Unread:
		return unread("the bucket's request metrics")
	case len(b.Filters) == 0:
		return skip("it has no request metrics, which somebody would pay for")
	}
	var out []Draft
	for _, f := range b.Filters {
		out = append(out, Draft{
			Part: f, Query: Query{Namespace: "AWS/S3", Metric: metric, Dimensions: map[string]string{"BucketName": b.Name, "FilterId": f}},
			Level: 0.05, Unit: "share", Formula: "5% of the requests, fifteen minutes in a row",
		})
	}
	return out
}

const hasFilter = "the bucket has a request-metrics filter already (kxops never makes one: it costs money)"

var bucketFailed = Rule{
	ID: "s3.5xx", Severity: Ticket,
	Title: "S3 fails requests for the bucket",
	Why:   "AWS: more than 5 % of the requests, 15 of 15 minutes",
	Next:  "503 means slow down: more prefixes, fewer requests at once",
	Watch: &Watch{
		Tier: Recommended, Stat: "Average", Period: 60, M: 15, N: 15, Comparison: Above, Missing: MissingIsGood,
		Metric: "5xxErrors of each filter", Formula: "0.05", When: hasFilter,
		Runbook: []string{"kxops status: do the deliveries that write here fall behind", "503 SlowDown: spread the keys over more prefixes", "500: the AWS health dashboard"},
		Source:  "AWS recommended alarms; missing data as good is ours",
		Bucket:  func(b ops.Bucket, _ Facts) []Draft { return bucketRequests(b, "5xxErrors") },
	},
}

var bucketRejected = Rule{
	ID: "s3.4xx", Severity: Info,
	Title: "S3 refuses requests for the bucket",
	Why:   "AWS: more than 5 % of the requests, 15 of 15 minutes",
	Next:  "403 is the policy or the key, 404 a reader that is ahead of the writer",
	Watch: &Watch{
		Tier: Full, Stat: "Average", Period: 60, M: 15, N: 15, Comparison: Above, Missing: MissingIsGood,
		Metric: "4xxErrors of each filter", Formula: "0.05", When: hasFilter,
		Runbook: []string{"kxops status: do the deliveries that write here fail", "403: the bucket's policy, the role, the key", "404: who reads what is not there"},
		Source:  "AWS recommended alarms; missing data as good is ours",
		Bucket:  func(b ops.Bucket, _ Facts) []Draft { return bucketRequests(b, "4xxErrors") },
	},
}

var bucketReplication = Rule{
	ID: "s3.replication", Severity: Ticket,
	Title: "objects are not replicated",
	Why:   "AWS: more than 0 operations failed, 5 of 5 minutes",
	Next:  "the replication role, the other bucket's policy and key, its versioning",
	Watch: &Watch{
		Tier: Recommended, Stat: "Maximum", Period: 60, M: 5, N: 5, Comparison: Above, Missing: MissingIsGood,
		Metric: "OperationsFailedReplication of each rule", Formula: "0", When: "a replication rule has its metrics on",
		Runbook: []string{"which rule: the alarm's name has it", "may the replication role write there, may it use both keys", "S3 Batch Replication sends what was missed"},
		Source:  "AWS recommended alarms; missing data as good is ours",
		Bucket: func(b ops.Bucket, _ Facts) []Draft {
			switch {
			case b.Unread:
				return unread("the bucket's replication")
			case len(b.Replicas) == 0:
				return skip("no replication rule has metrics")
			}
			var out []Draft
			for _, r := range b.Replicas {
				out = append(out, Draft{
					Part: r.Rule, Query: Query{Namespace: "AWS/S3", Metric: "OperationsFailedReplication",
						Dimensions: map[string]string{"SourceBucket": b.Name, "DestinationBucket": r.To.Name(), "RuleId": r.Rule}},
					Unit: "operations", Formula: "any, five minutes in a row",
				})
			}
			return out
		},
	},
}
