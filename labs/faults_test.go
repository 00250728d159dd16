package labs_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"kxops/labs"
)

// until looks again until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for !so() {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// A function that cannot take its messages, for whatever reason, lets them become
// dead letters: notifications of objects, which process all of their events once
// they are redriven.
func TestWhatAFunctionCannotTakeBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	p := world(t)
	s := up(t, "lab2", p, map[string]string{"ProcessSeconds": "2", "VisibilitySeconds": "8"})
	for _, fault := range []string{"slow", "throttled"} {
		stands(t, s, fault, false)
		if err := s.Break(t.Context(), fault, nil); err != nil {
			t.Fatal(err)
		}
		stands(t, s, fault, true)
		ledger := send(t, s, labs.Traffic{Count: 50, Seed: 5})
		until(t, fault+": all messages are dead letters", func() bool {
			stored, err := s.Begun(t.Context(), exercise(t, 4), ledger)
			b, berr := s.Check(t.Context(), ledger)
			if err != nil || berr != nil {
				t.Fatal(err, berr)
			}
			return stored && b.Dead > 0 && b.Waiting == 0 && len(b.Missing) == 50
		})
		if err := s.Mend(t.Context(), fault, nil); err != nil {
			t.Fatal(err)
		}
		stands(t, s, fault, false)
		redriveAll(t, p, "kxops-lab2-work-dlq")
		settled(t, s, ledger, 2*time.Minute)
	}
}

// A queue with a key that SNS may not use is told of nothing, and nothing shows in it.
func TestTheWrongKeyLosesNotifications(t *testing.T) {
	t.Parallel()
	s := up(t, "lab2", world(t), nil)
	stands(t, s, "wrong-key", false)
	if err := s.Break(t.Context(), "wrong-key", nil); err != nil {
		t.Fatal(err)
	}
	stands(t, s, "wrong-key", true)
	lost := send(t, s, labs.Traffic{Count: 50, Seed: 5})
	until(t, "all are stored, and S3 has told", func() bool {
		ok, err := s.Begun(t.Context(), exercise(t, 4), lost)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	})
	if err := s.Mend(t.Context(), "wrong-key", nil); err != nil {
		t.Fatal(err)
	}
	stands(t, s, "wrong-key", false)
	settled(t, s, send(t, s, labs.Traffic{Count: 20, Seed: 6}), 2*time.Minute)
	if b, err := s.Check(t.Context(), lost); err != nil || len(b.Missing) != 50 || b.Dead != 0 {
		t.Errorf("%d are missing, %d dead letters, %v: all 50 are stored and nobody was told", len(b.Missing), b.Dead, err)
	}
}

func TestTheDeadLetterQueueFills(t *testing.T) {
	t.Parallel()
	s := up(t, "lab2", world(t), nil)
	var sent []labs.Sent
	if err := s.Break(t.Context(), "dlq-full", func(e labs.Sent) error {
		sent = append(sent, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	stands(t, s, "dlq-full", true)
	if b := settled(t, s, sent, 2*time.Minute); len(sent) != 500 || b.Dead != 500 {
		t.Errorf("%d were sent, %d are dead letters", len(sent), b.Dead)
	}
	if err := s.Mend(t.Context(), "dlq-full", nil); err != nil {
		t.Fatal(err)
	}
	stands(t, s, "dlq-full", false)
}

func stands(t *testing.T, s *labs.Stack, fault string, want bool) {
	t.Helper()
	got, err := s.Standing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if there := slices.ContainsFunc(got, func(f labs.Fault) bool { return f.Name == fault }); there != want {
		t.Errorf("%s stands: %v, want %v", fault, there, want)
	}
}

func exercise(t *testing.T, n int) labs.Exercise {
	t.Helper()
	l, err := labs.Find("lab2")
	if err != nil {
		t.Fatal(err)
	}
	e, err := l.Exercise(n)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// redriveAll has SQS move a dead-letter queue back to where its messages came from.
func redriveAll(t *testing.T, p labs.Place, queue string) {
	t.Helper()
	client := sqs.NewFromConfig(p.Config)
	url, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &queue})
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(got.Attributes["QueueArn"])}); err != nil {
		t.Fatal(err)
	}
}
