package ui

import (
	"strings"
	"testing"

	"kxops/ops"
)

func TestConsoleURL(t *testing.T) {
	for a, want := range map[ops.ARN]string{
		arn("kinesis", "clicks"):                      "https://eu-west-1.console.aws.amazon.com/kinesis/home?region=eu-west-1#/streams/details/clicks/monitoring",
		arn("firehose", "to-s3"):                      "https://eu-west-1.console.aws.amazon.com/firehose/home?region=eu-west-1#/details/to-s3/monitoring",
		arn("sqs", "orders"):                          "https://eu-west-1.console.aws.amazon.com/sqs/v3/home?region=eu-west-1#/queues/https%3A%2F%2Fsqs.eu-west-1.amazonaws.com%2F123456789012%2Forders",
		arn("sns", "events"):                          "https://eu-west-1.console.aws.amazon.com/sns/v3/home?region=eu-west-1#/topic/arn:aws:sns:eu-west-1:123456789012:events",
		arn("lambda", "worker"):                       "https://eu-west-1.console.aws.amazon.com/lambda/home?region=eu-west-1#/functions/worker",
		arn("s3", "lake"):                             "https://console.aws.amazon.com/s3/buckets/lake",
		"arn:aws-cn:sqs:cn-north-1:123456789012:q":    "https://cn-north-1.console.amazonaws.cn/sqs/v3/home?region=cn-north-1#/queues/https%3A%2F%2Fsqs.cn-north-1.amazonaws.com.cn%2F123456789012%2Fq",
		"arn:aws:dynamodb:eu-west-1:123456789012:t/x": "",
		"no arn": "",
	} {
		if got := ConsoleURL(a); got != want {
			t.Errorf("ConsoleURL(%s)\n got %s\nwant %s", a, got, want)
		}
	}
}

func TestCLILines(t *testing.T) {
	got := CLILines(arn("sqs", "orders"), "shop ops")
	if want := "aws sqs get-queue-attributes --attribute-names All --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/orders --region eu-west-1 --profile 'shop ops'"; got[0] != want {
		t.Errorf("got %s\nwant %s", got[0], want)
	}
	for _, kind := range []string{"kinesis", "firehose", "sqs", "sns", "lambda", "s3"} {
		lines := CLILines(arn(kind, "x"), "")
		if len(lines) == 0 {
			t.Errorf("%s has no aws-cli line", kind)
		}
		for _, l := range lines {
			for _, verb := range []string{" delete", " put-", " update-", " create-", " purge", " start-", " receive-"} {
				if strings.Contains(l, verb) {
					t.Errorf("%q changes something", l)
				}
			}
		}
	}
}

func TestWhatIsCopiedRunsNothing(t *testing.T) {
	evil := arn("sqs", "a'; rm -rf ~; echo '$(id)")
	for _, l := range CLILines(evil, "") {
		if strings.Contains(strings.ReplaceAll(l, `'\''`, ""), "'; rm") {
			t.Errorf("not quoted: %s", l)
		}
	}
	for in, want := range map[string]string{"orders": "orders", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'"} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
