package labs

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithy "github.com/aws/smithy-go"
)

// Place is where a lab is deployed.
type Place struct {
	Config  aws.Config
	Account string
	Region  string
	Sandbox bool
	// Poll is the time between two looks at a stack that changes.
	Poll time.Duration
}

// callMost bounds each call.
const callMost = 30 * time.Second

// setMost bounds the wait for a change set; deployMost for a stack.
const (
	setMost    = 5 * time.Minute
	deployMost = 30 * time.Minute
)

// Stack is a lab in a place.
type Stack struct {
	Lab   *Lab
	Name  string // the stack's name: the lab's id
	place Place
	hand  *Hand // of a lab that is built by hand; nil for a stack
	cfn   *cloudformation.Client
	store *s3.Client
}

// In is the lab in a place.
func (l *Lab) In(p Place) *Stack {
	s := &Stack{Lab: l, Name: "kxops-" + l.ID, place: p, cfn: cloudformation.NewFromConfig(p.Config),
		store: s3.NewFromConfig(p.Config, func(o *s3.Options) { o.UsePathStyle = p.Sandbox })}
	if l.ByHand {
		s.hand = ByHand(p)
	}
	return s
}

// CodeBucket is the bucket for the functions' code, which is no part of the stack.
func (s *Stack) CodeBucket() string {
	return fmt.Sprintf("%s-code-%s-%s", s.Name, s.place.Account, s.place.Region)
}

// Code is the functions' code as Lambda takes it: an archive with the file
// bootstrap. The sandbox runs the functions in process and keeps the archive
// unread.
func Code(bootstrap []byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	// A fixed time and mode: the same program makes the same archive.
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(bootstrap); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil { // writes the directory: before it there is no archive
		return nil, err
	}
	return b.Bytes(), nil
}

// Change is one line of a plan.
type Change struct {
	Action   string // Add, Modify, Remove
	ID       string // logical
	Kind     string // AWS::…
	Physical string // "" for what does not exist yet
	Replaces bool   // the change makes a new resource and deletes the old one
}

// Plan is a change set that was computed and not carried out.
type Plan struct {
	Stack   *Stack
	Changes []Change
	First   bool // the stack does not exist yet
	set     string
}

// ErrNoChange says that a stack is what it shall be.
var ErrNoChange = errors.New("the stack is what the template says")

// Plan uploads the functions' code and computes what would change. It changes no
// resource of the lab; what it leaves is the code bucket and a change set, which
// Apply uses up and Discard removes.
func (s *Stack) Plan(ctx context.Context, code []byte, settings map[string]string) (*Plan, error) {
	template, err := s.Lab.Template()
	if err != nil {
		return nil, err
	}
	status, err := s.status(ctx)
	if err != nil {
		return nil, err
	}
	if gone := types.StackStatusRollbackComplete; status == gone || status == types.StackStatusRollbackFailed {
		return nil, fmt.Errorf("an earlier attempt to make the stack %s failed and was taken back (%s): remove it with kxops lab down %s, then try again", s.Name, status, s.Lab.ID)
	}
	key, err := s.upload(ctx, code)
	if err != nil {
		return nil, err
	}
	p := &Plan{Stack: s, First: status == "" || status == types.StackStatusReviewInProgress}
	in := &cloudformation.CreateChangeSetInput{
		StackName: &s.Name, ChangeSetName: aws.String(fmt.Sprintf("kxops-%d", time.Now().UnixMilli())), TemplateBody: &template,
		Capabilities: []types.Capability{types.CapabilityCapabilityIam}, ChangeSetType: types.ChangeSetTypeUpdate,
		Parameters: parameters(settings, s.CodeBucket(), key),
		Tags:       []types.Tag{{Key: aws.String("kxops:lab"), Value: aws.String(s.Lab.ID)}},
	}
	if p.First {
		in.ChangeSetType = types.ChangeSetTypeCreate
	}
	made, err := once(ctx, func(ctx context.Context) (*cloudformation.CreateChangeSetOutput, error) {
		return s.cfn.CreateChangeSet(ctx, in)
	})
	if err != nil {
		return nil, fmt.Errorf("plan the stack %s: %w", s.Name, err)
	}
	p.set = *made.Id
	return p, p.read(ctx)
}

// parameters are the settings and where the code is: every template takes both.
func parameters(settings map[string]string, bucket, key string) []types.Parameter {
	all := maps.Clone(settings)
	if all == nil {
		all = map[string]string{}
	}
	all["CodeBucket"], all["CodeKey"] = bucket, key
	var out []types.Parameter
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, types.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(all[k])})
	}
	return out
}

// read waits for the change set and reads its changes.
func (p *Plan) read(ctx context.Context) error {
	s := p.Stack
	ctx, cancel := context.WithTimeout(ctx, setMost)
	defer cancel()
	for {
		d, err := once(ctx, func(ctx context.Context) (*cloudformation.DescribeChangeSetOutput, error) {
			return s.cfn.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: &p.set})
		})
		if err != nil {
			return fmt.Errorf("read the plan of %s: %w", s.Name, err)
		}
		switch d.Status {
		case types.ChangeSetStatusCreateComplete:
			return p.changes(ctx, d)
		case types.ChangeSetStatusFailed:
			why := aws.ToString(d.StatusReason)
			if derr := p.Discard(ctx); derr != nil {
				return fmt.Errorf("%s (and the change set stays: %w)", why, derr)
			}
			if strings.Contains(why, "didn't contain changes") || strings.Contains(why, "No updates are to be performed") {
				return ErrNoChange
			}
			return fmt.Errorf("plan the stack %s: %s", s.Name, why)
		}
		if err := s.pause(ctx); err != nil {
			return err
		}
	}
}

func (p *Plan) changes(ctx context.Context, d *cloudformation.DescribeChangeSetOutput) error {
	for {
		for _, c := range d.Changes {
			r := c.ResourceChange
			if r == nil {
				continue
			}
			p.Changes = append(p.Changes, Change{string(r.Action), aws.ToString(r.LogicalResourceId), aws.ToString(r.ResourceType),
				aws.ToString(r.PhysicalResourceId), r.Replacement == types.ReplacementTrue})
		}
		if aws.ToString(d.NextToken) == "" {
			return nil
		}
		var err error
		next := d.NextToken
		if d, err = once(ctx, func(ctx context.Context) (*cloudformation.DescribeChangeSetOutput, error) {
			return p.Stack.cfn.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: &p.set, NextToken: next})
		}); err != nil {
			return fmt.Errorf("read the plan of %s: %w", p.Stack.Name, err)
		}
	}
}

// Discard removes the change set, and the empty stack that a first one leaves.
func (p *Plan) Discard(ctx context.Context) error {
	s := p.Stack
	if _, err := once(ctx, func(ctx context.Context) (*cloudformation.DeleteChangeSetOutput, error) {
		return s.cfn.DeleteChangeSet(ctx, &cloudformation.DeleteChangeSetInput{ChangeSetName: &p.set})
	}); err != nil {
		return fmt.Errorf("discard the plan of %s: %w", s.Name, err)
	}
	if !p.First {
		return nil
	}
	if _, err := once(ctx, func(ctx context.Context) (*cloudformation.DeleteStackOutput, error) {
		return s.cfn.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &s.Name})
	}); err != nil {
		return fmt.Errorf("discard the empty stack %s: %w", s.Name, err)
	}
	return nil
}

// Event is one thing that happened to a stack.
type Event struct {
	At     time.Time
	ID     string // logical
	Kind   string
	Status string
	Reason string
}

// Bad reports an event that nobody wants.
func (e Event) Bad() bool { return strings.HasSuffix(e.Status, "_FAILED") }

// Outputs are the values that a stack tells: URLs and names.
type Outputs map[string]string

// Apply carries the plan out, tells each event, and returns the outputs.
func (p *Plan) Apply(ctx context.Context, tell func(Event)) (Outputs, error) {
	s := p.Stack
	from := s.newest(ctx)
	if _, err := once(ctx, func(ctx context.Context) (*cloudformation.ExecuteChangeSetOutput, error) {
		return s.cfn.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: &p.set})
	}); err != nil {
		return nil, fmt.Errorf("start the change of %s: %w", s.Name, err)
	}
	status, why, err := s.follow(ctx, from, tell)
	if err != nil {
		return nil, err
	}
	if status != types.StackStatusCreateComplete && status != types.StackStatusUpdateComplete {
		return nil, fmt.Errorf("the stack %s ended as %s: %s", s.Name, status, why)
	}
	return s.Outputs(ctx)
}

// follow tells a stack's events until it comes to rest. why is the first failure,
// which is the reason for all that follow it.
func (s *Stack) follow(ctx context.Context, from string, tell func(Event)) (status types.StackStatus, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, deployMost)
	defer cancel()
	id := s.Name
	for {
		d, err := s.describe(ctx, id)
		if err != nil {
			return "", "", err
		}
		if d == nil {
			return types.StackStatusDeleteComplete, why, nil
		}
		id = *d.StackId // a deleted stack answers to its id only
		events, err := s.events(ctx, id, from)
		if err != nil {
			return "", "", err
		}
		for _, e := range events {
			from = aws.ToString(e.EventId)
			told := Event{aws.ToTime(e.Timestamp), aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceType), string(e.ResourceStatus), aws.ToString(e.ResourceStatusReason)}
			if told.Bad() && why == "" {
				why = told.ID + ": " + told.Reason
			}
			tell(told)
		}
		if !strings.HasSuffix(string(d.StackStatus), "_IN_PROGRESS") && len(events) == 0 {
			if why == "" {
				why = aws.ToString(d.StackStatusReason)
			}
			return d.StackStatus, why, nil
		}
		if err := s.pause(ctx); err != nil {
			return "", "", fmt.Errorf("the stack %s is still %s: %w", s.Name, d.StackStatus, err)
		}
	}
}

// describe returns the stack, nil when there is none.
func (s *Stack) describe(ctx context.Context, id string) (*types.Stack, error) {
	got, err := once(ctx, func(ctx context.Context) (*cloudformation.DescribeStacksOutput, error) {
		return s.cfn.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &id})
	})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), "does not exist") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the stack %s: %w", s.Name, err)
	}
	if len(got.Stacks) == 0 {
		return nil, nil
	}
	return &got.Stacks[0], nil
}

func (s *Stack) status(ctx context.Context) (types.StackStatus, error) {
	d, err := s.describe(ctx, s.Name)
	if err != nil || d == nil {
		return "", err
	}
	return d.StackStatus, nil
}

// Deployed reports whether the lab is there.
func (s *Stack) Deployed(ctx context.Context) (bool, error) {
	if s.hand != nil {
		_, ok, err := s.hand.find(ctx)
		return ok, err
	}
	status, err := s.status(ctx)
	return status != "" && status != types.StackStatusReviewInProgress && status != types.StackStatusDeleteComplete, err
}

// Outputs reads what the stack tells.
func (s *Stack) Outputs(ctx context.Context) (Outputs, error) {
	if s.hand != nil {
		out, ok, err := s.hand.find(ctx)
		if err == nil && !ok {
			err = fmt.Errorf("the lab %s is not built here, or not whole: kxops lab up %s", s.Lab.ID, s.Lab.ID)
		}
		return out, err
	}
	d, err := s.describe(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fmt.Errorf("the lab %s is not deployed here: kxops lab up %s", s.Lab.ID, s.Lab.ID)
	}
	out := Outputs{}
	for _, o := range d.Outputs {
		out[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return out, nil
}

// newest is the id of the stack's last event, "" without one.
func (s *Stack) newest(ctx context.Context) string {
	got, err := once(ctx, func(ctx context.Context) (*cloudformation.DescribeStackEventsOutput, error) {
		return s.cfn.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: &s.Name})
	})
	if err != nil || len(got.StackEvents) == 0 {
		return "" // then all events are told: more than needed, and none is missed
	}
	return aws.ToString(got.StackEvents[0].EventId)
}

// events lists what happened after an event, oldest first.
func (s *Stack) events(ctx context.Context, id, after string) ([]types.StackEvent, error) {
	var out []types.StackEvent
	in := &cloudformation.DescribeStackEventsInput{StackName: &id}
	for {
		got, err := once(ctx, func(ctx context.Context) (*cloudformation.DescribeStackEventsOutput, error) {
			return s.cfn.DescribeStackEvents(ctx, in)
		})
		if err != nil {
			return nil, fmt.Errorf("read the events of %s: %w", s.Name, err)
		}
		for _, e := range got.StackEvents {
			if aws.ToString(e.EventId) == after {
				return reversed(out), nil
			}
			out = append(out, e)
		}
		if aws.ToString(got.NextToken) == "" {
			return reversed(out), nil
		}
		in.NextToken = got.NextToken
	}
}

func reversed(events []types.StackEvent) []types.StackEvent {
	for i, j := 0, len(events)-1; i < j; i, j = i+1, j-1 {
		events[i], events[j] = events[j], events[i]
	}
	return events
}

func (s *Stack) pause(ctx context.Context) error { return pause(ctx, s.place.Poll) }

// pause waits for the time to pass, or for the context to end.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// once makes one call with a deadline of its own.
func once[O any](ctx context.Context, f func(context.Context) (*O, error)) (*O, error) {
	ctx, cancel := context.WithTimeout(ctx, callMost)
	defer cancel()
	return f(ctx)
}

// upload puts the code where the template finds it. The key is the code's hash:
// the same code is no change.
func (s *Stack) upload(ctx context.Context, code []byte) (string, error) {
	sum := sha256.Sum256(code)
	key := "bootstrap-" + hex.EncodeToString(sum[:8]) + ".zip"
	bucket := s.CodeBucket()
	in := &s3.CreateBucketInput{Bucket: &bucket}
	if s.place.Region != "us-east-1" {
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(s.place.Region)}
	}
	_, err := once(ctx, func(ctx context.Context) (*s3.CreateBucketOutput, error) { return s.store.CreateBucket(ctx, in) })
	var mine *s3types.BucketAlreadyOwnedByYou
	if err != nil && !errors.As(err, &mine) {
		return "", fmt.Errorf("make the code bucket %s: %w", bucket, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // some 15 MB over a person's line
	defer cancel()
	if _, err := s.store.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(code)}); err != nil {
		return "", fmt.Errorf("upload the functions' code: %w", err)
	}
	return key, nil
}

// Holding is a bucket of a lab and how much is in it.
type Holding struct {
	Bucket  string
	Objects int
	Bytes   int64
	More    bool // there is more than was counted
}

// Buckets lists the lab's buckets with what they hold, the code bucket last.
func (s *Stack) Buckets(ctx context.Context) ([]Holding, error) {
	var names []string
	got, err := once(ctx, func(ctx context.Context) (*cloudformation.DescribeStackResourcesOutput, error) {
		return s.cfn.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: &s.Name})
	})
	if err != nil {
		return nil, fmt.Errorf("list the resources of %s: %w", s.Name, err)
	}
	for _, r := range got.StackResources {
		if aws.ToString(r.ResourceType) == "AWS::S3::Bucket" && aws.ToString(r.PhysicalResourceId) != "" && r.ResourceStatus != types.ResourceStatusDeleteComplete {
			names = append(names, *r.PhysicalResourceId)
		}
	}
	var out []Holding
	for _, name := range append(names, s.CodeBucket()) {
		h, err := s.holding(ctx, name)
		var none *s3types.NoSuchBucket
		if errors.As(err, &none) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

func (s *Stack) holding(ctx context.Context, bucket string) (Holding, error) {
	h := Holding{Bucket: bucket}
	got, err := once(ctx, func(ctx context.Context) (*s3.ListObjectsV2Output, error) {
		return s.store.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	})
	if err != nil {
		return h, fmt.Errorf("look into %s: %w", bucket, err)
	}
	for _, o := range got.Contents {
		h.Objects++
		h.Bytes += aws.ToInt64(o.Size)
	}
	h.More = aws.ToBool(got.IsTruncated)
	return h, nil
}

// Down empties the lab's buckets, deletes the stack and then the code bucket, and
// tells each event. What could not be deleted is in the error.
func (s *Stack) Down(ctx context.Context, buckets []Holding, tell func(Event)) error {
	for _, h := range buckets {
		if err := empty(ctx, s.store, h.Bucket); err != nil {
			return err
		}
	}
	from := s.newest(ctx)
	if _, err := once(ctx, func(ctx context.Context) (*cloudformation.DeleteStackOutput, error) {
		return s.cfn.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &s.Name})
	}); err != nil {
		return fmt.Errorf("delete the stack %s: %w", s.Name, err)
	}
	status, why, err := s.follow(ctx, from, tell)
	if err != nil {
		return err
	}
	if status != types.StackStatusDeleteComplete {
		return fmt.Errorf("the stack %s ended as %s: %s; run kxops lab down %s again when the reason is gone", s.Name, status, why, s.Lab.ID)
	}
	code := s.CodeBucket()
	for _, h := range buckets {
		if h.Bucket != code {
			continue
		}
		if _, err := once(ctx, func(ctx context.Context) (*s3.DeleteBucketOutput, error) {
			return s.store.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &code})
		}); err != nil {
			return fmt.Errorf("delete the code bucket %s: %w", code, err)
		}
	}
	return nil
}

// empty deletes every object of a bucket, a thousand at a time.
func empty(ctx context.Context, store *s3.Client, bucket string) error {
	for {
		got, err := once(ctx, func(ctx context.Context) (*s3.ListObjectsV2Output, error) {
			return store.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
		})
		if err != nil {
			return fmt.Errorf("empty %s: %w", bucket, err)
		}
		if len(got.Contents) == 0 {
			return nil
		}
		doomed := &s3types.Delete{Quiet: aws.Bool(true)}
		for _, o := range got.Contents {
			doomed.Objects = append(doomed.Objects, s3types.ObjectIdentifier{Key: o.Key})
		}
		done, err := once(ctx, func(ctx context.Context) (*s3.DeleteObjectsOutput, error) {
			return store.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: doomed})
		})
		if err != nil {
			return fmt.Errorf("empty %s: %w", bucket, err)
		}
		if len(done.Errors) > 0 {
			e := done.Errors[0]
			return fmt.Errorf("empty %s: %s stays: %s", bucket, aws.ToString(e.Key), aws.ToString(e.Message))
		}
	}
}

// Answered reports whether an error is that of a call to AWS: the rest are sentences
// for people.
func Answered(err error) bool {
	var call *smithy.OperationError
	return errors.As(err, &call)
}
