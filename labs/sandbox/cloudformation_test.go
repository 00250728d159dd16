package sandbox

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithy "github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// stacks is a CloudFormation client with what the tests ask of it.
type stacks struct {
	*testing.T
	sb     *Sandbox
	client *cloudformation.Client
	queues *sqs.Client
}

func stacksOf(t *testing.T) *stacks {
	t.Helper()
	sb, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sb.Close)
	return &stacks{t, sb, cloudformation.NewFromConfig(sb.Config()), sqs.NewFromConfig(sb.Config())}
}

// create makes a stack and waits for its end.
func (s *stacks) create(name, template string, parameters ...string) *types.Stack {
	s.Helper()
	_, err := s.client.CreateStack(s.Context(), &cloudformation.CreateStackInput{StackName: &name, TemplateBody: &template,
		Parameters: pairs(parameters), Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam}})
	if err != nil {
		s.Fatalf("create %s: %v", name, err)
	}
	s.sb.Advance(time.Minute)
	return s.stack(name)
}

func (s *stacks) update(name, template string, parameters ...string) *types.Stack {
	s.Helper()
	_, err := s.client.UpdateStack(s.Context(), &cloudformation.UpdateStackInput{StackName: &name, TemplateBody: &template, Parameters: pairs(parameters)})
	if err != nil {
		s.Fatalf("update %s: %v", name, err)
	}
	s.sb.Advance(time.Minute)
	return s.stack(name)
}

func pairs(parameters []string) []types.Parameter {
	var out []types.Parameter
	for i := 0; i+1 < len(parameters); i += 2 {
		out = append(out, types.Parameter{ParameterKey: &parameters[i], ParameterValue: &parameters[i+1]})
	}
	return out
}

func (s *stacks) stack(name string) *types.Stack {
	s.Helper()
	got, err := s.client.DescribeStacks(s.Context(), &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		s.Fatal(err)
	}
	return &got.Stacks[0]
}

// told lists a stack's events, oldest first: "Id STATUS reason".
func (s *stacks) told(name string) []string {
	s.Helper()
	var out []string
	pages := cloudformation.NewDescribeStackEventsPaginator(s.client, &cloudformation.DescribeStackEventsInput{StackName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		for _, e := range page.StackEvents {
			out = append([]string{strings.TrimSpace(*e.LogicalResourceId + " " + string(e.ResourceStatus) + " " + aws.ToString(e.ResourceStatusReason))}, out...)
		}
	}
	return out
}

// urls lists the queues there are.
func (s *stacks) urls() string {
	s.Helper()
	got, err := s.queues.ListQueues(s.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		s.Fatal(err)
	}
	var names []string
	for _, u := range got.QueueUrls {
		names = append(names, tail(u, "/"))
	}
	return strings.Join(names, " ")
}

func (s *stacks) refused(err error, code string, texts ...string) {
	s.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		s.Errorf("want %s, got %v", code, err)
		return
	}
	for _, text := range texts {
		if !strings.Contains(api.ErrorMessage(), text) {
			s.Errorf("%q does not say %q", api.ErrorMessage(), text)
		}
	}
}

const twoQueues = `
Description: a queue and its dead-letter queue
Parameters:
  Tries: {Type: Number, Default: 3, MinValue: 1, MaxValue: 10}
  Kind: {Type: String, Default: plain, AllowedValues: [plain, audited]}
Conditions:
  Audited: !Equals [!Ref Kind, audited]
Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${AWS::StackName}-work"
      VisibilityTimeout: 30
      RedrivePolicy:
        deadLetterTargetArn: !GetAtt Dead.Arn
        maxReceiveCount: !Ref Tries
  Dead:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Join ["-", [!Ref "AWS::StackName", dead]]
      MessageRetentionPeriod: 1209600
  Audit:
    Type: AWS::SQS::Queue
    Condition: Audited
    DependsOn: Work
    Properties:
      QueueName: !Sub "${AWS::StackName}-audit"
Outputs:
  WorkUrl: {Value: !Ref Work, Description: where the work is}
  AuditUrl: {Condition: Audited, Value: !Ref Audit}
`

func TestStackIsCreatedInOrder(t *testing.T) {
	s := stacksOf(t)
	st := s.create("pair", twoQueues)
	if st.StackStatus != types.StackStatusCreateComplete || len(st.Outputs) != 1 || tail(*st.Outputs[0].OutputValue, "/") != "pair-work" {
		t.Errorf("status %s, outputs %+v", st.StackStatus, st.Outputs)
	}
	want := []string{
		"pair CREATE_IN_PROGRESS",
		"Dead CREATE_IN_PROGRESS", "Dead CREATE_IN_PROGRESS Resource creation Initiated", "Dead CREATE_COMPLETE",
		"Work CREATE_IN_PROGRESS", "Work CREATE_IN_PROGRESS Resource creation Initiated", "Work CREATE_COMPLETE",
		"pair CREATE_COMPLETE",
	}
	if got := s.told("pair"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("events:\n%s", strings.Join(got, "\n"))
	}
	if got := s.attribute("pair-work", "RedrivePolicy"); !strings.Contains(got, `"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123456789012:pair-dead"`) {
		t.Errorf("redrive policy %s", got)
	}
}

func (s *stacks) attribute(queue, name string) string {
	s.Helper()
	u, err := s.queues.GetQueueUrl(s.Context(), &sqs.GetQueueUrlInput{QueueName: &queue})
	if err != nil {
		s.Fatal(err)
	}
	got, err := s.queues.GetQueueAttributes(s.Context(), &sqs.GetQueueAttributesInput{QueueUrl: u.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeName(name)}})
	if err != nil {
		s.Fatal(err)
	}
	return got.Attributes[name]
}

func TestStackIsUpdatedInPlaceAndByReplacement(t *testing.T) {
	s := stacksOf(t)
	s.create("pair", twoQueues)
	st := s.update("pair", strings.Replace(twoQueues, "VisibilityTimeout: 30", "VisibilityTimeout: 90", 1), "Kind", "audited", "Tries", "5")
	if st.StackStatus != types.StackStatusUpdateComplete || len(st.Outputs) != 2 {
		t.Errorf("status %s, %d outputs", st.StackStatus, len(st.Outputs))
	}
	if got := s.attribute("pair-work", "VisibilityTimeout") + s.attribute("pair-work", "RedrivePolicy"); !strings.HasPrefix(got, "90") || !strings.Contains(got, "5") {
		t.Errorf("work is %s", got)
	}
	st = s.update("pair", strings.Replace(twoQueues, "-work", "-jobs", 1)) // another name: another queue
	if got := s.urls(); got != "pair-dead pair-jobs" || tail(*st.Outputs[0].OutputValue, "/") != "pair-jobs" {
		t.Errorf("queues after the replacement: %s, output %s", got, *st.Outputs[0].OutputValue)
	}
	_, err := s.client.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{StackName: aws.String("pair"), UsePreviousTemplate: aws.Bool(true)})
	s.refused(err, "ValidationError", "No updates are to be performed")
}

// broken has a second resource that cannot be made: the name is taken.
const broken = `
Resources:
  First:
    Type: AWS::SQS::Queue
    Properties: {QueueName: first}
  Second:
    Type: AWS::SQS::Queue
    DependsOn: First
    Properties: {QueueName: taken}
`

func TestStackThatFailsIsTakenBack(t *testing.T) {
	s := stacksOf(t)
	if _, err := s.queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("taken")}); err != nil {
		t.Fatal(err)
	}
	st := s.create("sad", broken)
	if st.StackStatus != types.StackStatusRollbackComplete || s.urls() != "taken" {
		t.Errorf("status %s, queues %s", st.StackStatus, s.urls())
	}
	told := strings.Join(s.told("sad"), "\n")
	for _, want := range []string{"Second CREATE_FAILED", "already exists", "sad ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Second].", "First DELETE_COMPLETE", "sad ROLLBACK_COMPLETE"} {
		if !strings.Contains(told, want) {
			t.Errorf("nobody said %q:\n%s", want, told)
		}
	}
	_, err := s.client.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{StackName: aws.String("sad"), TemplateBody: aws.String(twoQueues)})
	s.refused(err, "ValidationError", "ROLLBACK_COMPLETE state and can not be updated")
}

func TestUpdateThatFailsIsTakenBack(t *testing.T) {
	s := stacksOf(t)
	if _, err := s.queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("taken")}); err != nil {
		t.Fatal(err)
	}
	s.create("pair", twoQueues)
	next := strings.Replace(twoQueues, "VisibilityTimeout: 30", "VisibilityTimeout: 90", 1) + "\n"
	next = strings.Replace(next, "Outputs:", "  Third:\n    Type: AWS::SQS::Queue\n    DependsOn: Work\n    Properties: {QueueName: taken}\nOutputs:", 1)
	st := s.update("pair", next)
	if st.StackStatus != types.StackStatusUpdateRollbackComplete {
		t.Errorf("status %s", st.StackStatus)
	}
	if got := s.attribute("pair-work", "VisibilityTimeout"); got != "30" || s.urls() != "pair-dead pair-work taken" {
		t.Errorf("after the rollback: visibility %s, queues %s", got, s.urls())
	}
	if st := s.update("pair", strings.Replace(twoQueues, "VisibilityTimeout: 30", "VisibilityTimeout: 60", 1)); st.StackStatus != types.StackStatusUpdateComplete {
		t.Errorf("the next update ends as %s", st.StackStatus)
	}
}

func TestStackIsDeletedBackwards(t *testing.T) {
	s := stacksOf(t)
	st := s.create("pair", twoQueues)
	if _, err := s.client.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: aws.String("pair")}); err != nil {
		t.Fatal(err)
	}
	s.sb.Advance(time.Minute)
	if s.urls() != "" {
		t.Errorf("left: %s", s.urls())
	}
	told := strings.Join(s.told(*st.StackId), "\n") // a deleted stack answers to its id
	if work, dead := strings.Index(told, "Work DELETE_COMPLETE"), strings.Index(told, "Dead DELETE_COMPLETE"); work < 0 || dead < work {
		t.Errorf("what is needed went first:\n%s", told)
	}
	_, err := s.client.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("pair")})
	s.refused(err, "ValidationError", "does not exist")
}

func TestChangeSetShowsBeforeItActs(t *testing.T) {
	s := stacksOf(t)
	set := func(kind types.ChangeSetType, template string) *cloudformation.DescribeChangeSetOutput {
		t.Helper()
		made, err := s.client.CreateChangeSet(t.Context(), &cloudformation.CreateChangeSetInput{StackName: aws.String("pair"), ChangeSetName: aws.String("next"),
			ChangeSetType: kind, TemplateBody: &template})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.client.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	said := func(d *cloudformation.DescribeChangeSetOutput) string {
		var out []string
		for _, c := range d.Changes {
			out = append(out, strings.TrimSpace(string(c.ResourceChange.Action)+" "+*c.ResourceChange.LogicalResourceId+" "+string(c.ResourceChange.Replacement)))
		}
		return strings.Join(out, ", ")
	}
	first := set(types.ChangeSetTypeCreate, twoQueues)
	if got := said(first); got != "Add Dead, Add Work" || s.urls() != "" || s.stack("pair").StackStatus != types.StackStatusReviewInProgress {
		t.Errorf("%s; queues %q", got, s.urls())
	}
	if _, err := s.client.ExecuteChangeSet(t.Context(), &cloudformation.ExecuteChangeSetInput{ChangeSetName: first.ChangeSetId}); err != nil {
		t.Fatal(err)
	}
	s.sb.Advance(time.Minute)
	if got := s.urls(); got != "pair-dead pair-work" {
		t.Errorf("queues %s", got)
	}
	if d := set(types.ChangeSetTypeUpdate, twoQueues); d.Status != types.ChangeSetStatusFailed || !strings.Contains(*d.StatusReason, "didn't contain changes") {
		t.Errorf("a change set without changes is %s: %s", d.Status, aws.ToString(d.StatusReason))
	} else if _, err := s.client.DeleteChangeSet(t.Context(), &cloudformation.DeleteChangeSetInput{ChangeSetName: d.ChangeSetId}); err != nil {
		t.Fatal(err)
	}
	next := strings.Replace(strings.Replace(twoQueues, "-work", "-jobs", 1), "1209600", "600", 1)
	if got := said(set(types.ChangeSetTypeUpdate, next)); got != "Modify Dead False, Modify Work True" {
		t.Errorf("%s", got)
	}
	if s.urls() != "pair-dead pair-work" || s.attribute("pair-dead", "MessageRetentionPeriod") != "1209600" {
		t.Error("looking at a change changed something")
	}
}

// Everything that is wrong with a template is said before anything is made.
func TestTemplatesThatAreRefused(t *testing.T) {
	s := stacksOf(t)
	queue := "\n  Q:\n    Type: AWS::SQS::Queue\n"
	for name, c := range map[string]struct{ template, code, says string }{
		"not YAML":              {"Resources: [", "ValidationError", "YAML not well-formed"},
		"nothing in it":         {"Resources: {}", "ValidationError", "At least one Resources member"},
		"a section nobody has":  {"Resource: {}", "ValidationError", "[Resource]"},
		"an unknown type":       {"Resources:\n  X:\n    Type: AWS::EC2::Instance\n", "ValidationError", "AWS::EC2::Instance"},
		"an unknown property":   {"Resources:" + queue + "    Properties: {Colour: red}\n", "ValidationError", "Colour"},
		"a reference to no one": {"Resources:" + queue + "    Properties: {QueueName: !Ref Nobody}\n", "ValidationError", "[Nobody]"},
		"a text to no one":      {"Resources:" + queue + "    Properties: {QueueName: !Sub \"${Nobody}-x\"}\n", "ValidationError", "[Nobody]"},
		"a circle":              {"Resources:\n  A: {Type: AWS::SQS::Queue, DependsOn: B}\n  B: {Type: AWS::SQS::Queue, DependsOn: A}\n", "ValidationError", "Circular dependency between resources: [A, B]"},
		"an unknown function":   {"Resources:" + queue + "    Properties: {QueueName: !Magic x}\n", "ValidationError", "!Magic"},
		"a known one, not here": {"Resources:" + queue + "    Properties: {QueueName: !ImportValue x}\n", "ValidationError", ""},
		"an alias":              {"Resources:\n  Q: &q\n    Type: AWS::SQS::Queue\n", "ValidationError", "aliases"},
		"a key twice":           {"Resources:" + queue + "  Q: {Type: AWS::SQS::Queue}\n", "ValidationError", ""},
		"a missing parameter":   {"Parameters: {P: {Type: String}}\nResources:" + queue, "ValidationError", "[P] must have values"},
		"a value not allowed":   {"Parameters: {P: {Type: String, Default: x, AllowedValues: [a]}}\nResources:" + queue, "ValidationError", "Parameter P must be one of AllowedValues"},
		"a number too small":    {"Parameters: {P: {Type: Number, Default: 0, MinValue: 1}}\nResources:" + queue, "ValidationError", "at least 1"},
		"a role without asking": {"Resources:\n  R:\n    Type: AWS::IAM::Role\n    Properties: {AssumeRolePolicyDocument: {}}\n", "InsufficientCapabilitiesException", "CAPABILITY_IAM"},
		"an export":             {"Resources:" + queue + "Outputs: {O: {Value: x, Export: {Name: y}}}\n", "ValidationError", "Export"},
		"a snapshot":            {"Resources:" + queue + "    DeletionPolicy: Snapshot\n", "ValidationError", "Snapshot"},
	} {
		_, err := s.client.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("x"), TemplateBody: &c.template})
		if err == nil {
			s.sb.Advance(time.Minute) // what can only be seen when it is tried
			if st := s.stack("x"); st.StackStatus != types.StackStatusRollbackComplete {
				t.Errorf("%s: accepted, %s", name, st.StackStatus)
			}
			if _, err := s.client.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: aws.String("x")}); err != nil {
				t.Fatal(err)
			}
			s.sb.Advance(time.Minute)
			continue
		}
		s.refused(err, c.code, c.says)
	}
	if s.urls() != "" {
		t.Errorf("made: %s", s.urls())
	}
}

func TestIntrinsicFunctions(t *testing.T) {
	template := `
Parameters:
  Name: {Type: String, Default: shop}
  List: {Type: CommaDelimitedList, Default: "a, b,c"}
Mappings:
  Sizes: {prod: {shards: 4}, test: {shards: 1}}
Conditions:
  Yes: !Equals [!Ref Name, shop]
  No: !Not [!Condition Yes]
  Both: !And [!Condition Yes, !Not [!Condition No]]
  Either: !Or [!Condition No, !Condition Yes]
Resources:
  Q:
    Type: AWS::SQS::Queue
    Properties: {QueueName: queue}
Outputs:
  Ref: {Value: !Ref Name}
  Sub: {Value: !Sub "${Name}-${AWS::Region}-${!literal}-${Q.Arn}"}
  SubOwn: {Value: !Sub ["${x}+${Name}", {x: !Join ["", [1, 2]]}]}
  Join: {Value: !Join ["/", !Ref List]}
  Select: {Value: !Select [1, !Ref List]}
  Split: {Value: !Select [2, !Split ["-", "x-y-z"]]}
  FindInMap: {Value: !FindInMap [Sizes, prod, shards]}
  If: {Value: !If [Both, "true", "false"]}
  IfNo: {Value: !If [No, first, second]}
  Either: {Condition: Either, Value: there}
  Never: {Condition: No, Value: absent}
  Base64: {Value: !Base64 abc}
  GetAtt: {Value: !GetAtt Q.QueueName}
  Long: {Value: {"Fn::Join": ["", ["a", {"Ref": "AWS::AccountId"}]]}}
`
	s := stacksOf(t)
	st := s.create("f", template)
	got := map[string]string{}
	for _, o := range st.Outputs {
		got[*o.OutputKey] = *o.OutputValue
	}
	want := map[string]string{
		"Ref": "shop", "Sub": "shop-eu-west-1-${literal}-arn:aws:sqs:eu-west-1:123456789012:queue", "SubOwn": "12+shop", "Join": "a/b/c", "Select": "b",
		"Split": "z", "FindInMap": "4", "If": "true", "IfNo": "second", "Either": "there", "Base64": "YWJj", "GetAtt": "queue", "Long": "a123456789012",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

// The lifecycle of a bucket in a template is carried out like that of a call.
func TestStackWithALifecycle(t *testing.T) {
	s := stacksOf(t)
	st := s.create("store", `{"Resources":{"Store":{"Type":"AWS::S3::Bucket","Properties":{"BucketName":"store","LifecycleConfiguration":{"Rules":[
		{"Id":"cold","Status":"Enabled","Prefix":"events/","ObjectSizeGreaterThan":0,"Transitions":[{"StorageClass":"GLACIER","TransitionInDays":1},{"StorageClass":"DEEP_ARCHIVE","TransitionInDays":90}]}]}}}}}`)
	if st.StackStatus != types.StackStatusCreateComplete {
		t.Fatalf("%s %v", st.StackStatus, s.told("store"))
	}
	objects := s3.NewFromConfig(s.sb.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	for _, key := range []string{"events/a", "b"} {
		if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("store"), Key: &key, Body: strings.NewReader("x")}); err != nil {
			t.Fatal(err)
		}
	}
	s.sb.Advance(49 * time.Hour)
	out, err := objects.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("store")})
	if err != nil || len(out.Contents) != 2 || out.Contents[0].StorageClass != "STANDARD" || out.Contents[1].StorageClass != "GLACIER" {
		t.Errorf("%+v %v", out.Contents, err)
	}
}
