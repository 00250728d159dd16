package dlq

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"kxops/ops"
)

// consumed lets a function, changed now, read a queue.
func (b *bench) consumed(queue string) {
	b.t.Helper()
	code := lambda.NewFromConfig(b.Config())
	if _, err := code.CreateFunction(b.t.Context(), &lambda.CreateFunctionInput{FunctionName: aws.String("worker"), Role: aws.String("arn:aws:iam::123456789012:role/worker"),
		Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Code: &lambdatypes.FunctionCode{ZipFile: []byte("x")}, Timeout: aws.Int32(1)}); err != nil {
		b.t.Fatal(err)
	}
	if _, err := code.CreateEventSourceMapping(b.t.Context(), &lambda.CreateEventSourceMappingInput{FunctionName: aws.String("worker"), EventSourceArn: aws.String(string(b.describe(queue).ARN)), Enabled: aws.Bool(false)}); err != nil {
		b.t.Fatal(err)
	}
}

// One old letter is chosen; newer ones of its cause failed on the code that runs now.
func TestTheFixGateKnowsTheRestOfTheCause(t *testing.T) {
	b := redriveBench(t)
	source, dead := b.dead("orders", 1, false)
	b.Advance(time.Hour)
	b.consumed("orders")
	old := ops.Ask{Verb: ops.Redrive, Queue: queueOf(dead), Select: ops.Selection{All: true}}
	id := b.plan(old).Manifest[0].ID
	old.Select = ops.Selection{IDs: []string{id}}
	if got := factOf(b.plan(old), "Fix"); got == "" {
		t.Error("the old letter alone: no word that the function was changed since")
	}
	b.Advance(time.Hour)
	b.fill(source, 1, numbered)
	b.fail(source, dead, 2)
	p := b.plan(old)
	if len(p.Manifest) != 1 || factOf(p, "Fix") != "" {
		t.Errorf("%d messages, fix %q", len(p.Manifest), factOf(p, "Fix"))
	}
	says(t, "warnings", p.Warnings, "before the newest failure of the same cause", "nothing suggests a fix")
}

// What a restore put back has the sending time of the restore, and did not fail then.
func TestTheFixGateKnowsWhatWasPutBack(t *testing.T) {
	b := redriveBench(t)
	_, dead := b.dead("orders", 2, false)
	b.Advance(time.Hour)
	path := filepath.Join(t.TempDir(), "a.jsonl")
	b.apply(b.plan(ops.Ask{Verb: ops.Archive, Queue: queueOf(dead), Select: ops.Selection{All: true}, File: path}))
	b.consumed("orders")
	b.Advance(time.Hour)
	if r := b.apply(b.plan(ops.Ask{Verb: ops.Restore, Queue: queueOf(dead), File: path})); r.State != ops.Finished {
		t.Fatal(r.Problem)
	}
	p := b.plan(ops.Ask{Verb: ops.Redrive, Queue: queueOf(dead), Select: ops.Selection{All: true}, To: "orders"})
	says(t, "warnings", p.Warnings, "worker was last changed", "it is not known when these messages failed")
	if got := factOf(p, "Fix"); got != "" {
		t.Errorf("fix %q", got)
	}
}
