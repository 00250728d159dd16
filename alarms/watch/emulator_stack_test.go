package watch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/google/go-cmp/cmp"

	"kxops/alarms"
	"kxops/ops/cloud"
)

// TestTheTemplateMakesTheSameAlarms hands the CloudFormation export to an emulator
// (ministack; moto makes no alarms of templates) and compares what it makes of it with what we would have written. There is
// no CloudFormation client in the product, so the call is made by hand.
func TestTheTemplateMakesTheSameAlarms(t *testing.T) {
	endpoint := ""
	for _, pair := range strings.FieldsFunc(os.Getenv("KXOPS_CONFORMANCE"), func(r rune) bool { return r == ',' || r == ' ' }) {
		if name, at, _ := strings.Cut(pair, "="); name == "ministack" {
			endpoint = at
		}
	}
	if endpoint == "" {
		t.Skip("KXOPS_CONFORMANCE names no ministack")
	}
	p := at(t, "incident")
	set := alarms.Settings{Tier: alarms.OptIn, Page: "arn:aws:sns:eu-west-1:123456789012:page", Ticket: "arn:aws:sns:eu-west-1:123456789012:ticket"}
	specs := slices.DeleteFunc(alarms.Want(p.survey(t), set, p.Now()).Specs, func(s alarms.Spec) bool { return len(s.Math) > 0 }) // it refuses math
	if len(specs) < 50 {
		t.Fatalf("only %d alarms", len(specs))
	}
	specs = specs[:40] // a template that is sent in the call has 51,200 bytes at most
	var template bytes.Buffer
	must(t, alarms.Export(&template, "cloudformation", specs, set))
	secret := credentials.NewStaticCredentialsProvider("AKIATEST", "test", "")
	stack(t, endpoint, secret, url.Values{"Action": {"DeleteStack"}, "StackName": {"kxops-export"}}) // of an earlier run
	stack(t, endpoint, secret, url.Values{"Action": {"CreateStack"}, "StackName": {"kxops-export"}, "TemplateBody": {template.String()}})
	defer stack(t, endpoint, secret, url.Values{"Action": {"DeleteStack"}, "StackName": {"kxops-export"}})
	awaitStack(t, endpoint, secret)

	cfg := aws.Config{Region: region, BaseEndpoint: &endpoint, Credentials: secret}
	c, err := cloud.Open(t.Context(), cloud.Options{Config: &cfg, Access: cloud.Look, Protocol: "json", NoQuotas: true})
	must(t, err)
	there, err := New(Options{Config: c.Config(), Identity: identity()}).Existing(t.Context())
	must(t, err)
	made := map[string]Alarm{}
	for _, a := range there.Metric {
		made[a.Name()] = a
	}
	for _, s := range specs {
		a, ok := made[s.Name]
		if !ok {
			t.Errorf("%s was not made", s.Name)
			continue
		}
		want := wanted(s, routes{set.Page, set.Ticket}, nil)
		if diff := cmp.Diff(fields(want), fields(copied(a.MetricAlarm))); diff != "" {
			t.Errorf("%s (-ours +the template's):\n%s", s.Name, diff)
		}
		if diff := cmp.Diff(want.AlarmActions, a.AlarmActions); diff != "" {
			t.Errorf("%s: actions:\n%s", s.Name, diff)
		}
		if a.Ours() {
			t.Errorf("%s passes for ours", s.Name)
		}
	}
}

func fields(in *cloudwatch.PutMetricAlarmInput) map[string]string {
	out := map[string]string{}
	for _, f := range owned(in) {
		out[f.name] = f.value
	}
	return out
}

// awaitStack asks until the stack is made.
func awaitStack(t *testing.T, endpoint string, secret aws.CredentialsProvider) {
	t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for range 150 {
		said := stack(t, endpoint, secret, url.Values{"Action": {"DescribeStacks"}, "StackName": {"kxops-export"}})
		switch {
		case strings.Contains(said, "CREATE_COMPLETE"):
			return
		case strings.Contains(said, "ROLLBACK"), strings.Contains(said, "CREATE_FAILED"):
			t.Fatal(said)
		}
		<-again.C
	}
	t.Fatal("the stack is not made after half a minute")
}

// stack makes one call to CloudFormation.
func stack(t *testing.T, endpoint string, secret aws.CredentialsProvider, form url.Values) string {
	t.Helper()
	form.Set("Version", "2010-05-15")
	body := form.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/", strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	who, err := secret.Retrieve(t.Context())
	must(t, err)
	must(t, v4.NewSigner().SignHTTP(t.Context(), who, req, hex.EncodeToString(sum[:]), "cloudformation", region, time.Now()))
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s", form.Get("Action"), res.Status, text)
	}
	return string(text)
}
