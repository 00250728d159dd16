// Package labs has the labs: small event pipelines to build, break and operate,
// each in a directory with its README, its template and its notes. They run
// unchanged on the sandbox and on AWS.
//
// Read labs.go first, then deploy.go (templates become stacks), traffic.go and
// check.go. The functions' code is in labs/functions, the page in labs/web, the
// AWS on loopback in labs/sandbox.
package labs

import (
	"embed"
	"fmt"
	"strings"

	"kxops/labs/web"
)

//go:embed lab1-by-hand lab2-template lab3-low-volume lab4-replay
var files embed.FS

// Lab is one lab.
type Lab struct {
	ID    string // lab1 …
	Title string
	About string // one sentence
	dir   string
	// ByHand is a lab that is built call by call instead of from a template.
	ByHand bool
	// Settings are template parameters that are better otherwise on the sandbox,
	// where waiting teaches nothing.
	Settings map[string]string
	Accounts bool       // it keeps balances, which can be compared with the store: see Balances
	next     eventMaker // its traffic

	forms     []web.Form
	faults    []Fault
	exercises []Exercise
}

// all is THE list.
var all = []*Lab{
	{
		ID: "lab1", Title: "By hand", dir: "lab1-by-hand", ByHand: true, next: pipelineEvents, forms: shopForms,
		faults: []Fault{archiveDenied}, exercises: handExercises,
		About: "bucket, stream, delivery stream, function and HTTP API, made call by call, each request shown",
	},
	{
		ID: "lab2", Title: "As a template", dir: "lab2-template",
		About:    "HTTP API, ingest function, Kinesis, Firehose, S3 event store, SNS, SQS with a dead-letter queue, processing function, Athena",
		Settings: map[string]string{"BufferSeconds": "1", "ProcessSeconds": "10", "VisibilitySeconds": "60"},
		next:     pipelineEvents,
		forms:    shopForms,
		faults:   pipelineFaults, exercises: pipelineExercises,
	},
	{
		ID: "lab3", Title: "Low volume", dir: "lab3-low-volume", next: staffEvents, forms: staffForms,
		faults: staffFaults, exercises: staffExercises,
		About:    "HTTP API, function, S3 and SNS FIFO, SQS FIFO with a dead-letter queue, function, DynamoDB: employees and access cards",
		Settings: map[string]string{"VisibilitySeconds": "6"},
	},
	{
		ID: "lab4", Title: "Replaying old events", dir: "lab4-replay", next: bankEvents, forms: bankForms, faults: bankFaults, Accounts: true,
		About:    "bank accounts: a projection that got wrong data, point-in-time restore, Athena, and a replay with proof",
		Settings: map[string]string{"BufferSeconds": "1"},
	},
}

// All lists the labs.
func All() []*Lab { return all }

// Find returns the lab with an id.
func Find(id string) (*Lab, error) {
	var ids []string
	for _, l := range all {
		if l.ID == id || l.dir == id {
			return l, nil
		}
		ids = append(ids, l.ID)
	}
	return nil, fmt.Errorf("there is no lab %q: there are %s", id, strings.Join(ids, ", "))
}

// Template is the lab's CloudFormation template.
func (l *Lab) Template() (string, error) { return l.file("template.yaml") }

// Readme is what to do in the lab, in Markdown.
func (l *Lab) Readme() (string, error) { return l.file("README.md") }

func (l *Lab) file(name string) (string, error) {
	text, err := files.ReadFile(l.dir + "/" + name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", l.ID, err)
	}
	return string(text), nil
}
