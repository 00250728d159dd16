package labs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamo "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"kxops/labs/web"
)

// The stations of the labs, as the page shows them.
const (
	atDoor      = "accepted"
	atStream    = "in stream"
	atStore     = "archived"
	atTable     = "processed"
	atErrors    = "error prefix"
	atDeadQueue = "dead-lettered"
)

// Page is a lab's front-end: it posts to the lab's API and looks where the events
// are.
type Page struct {
	stack  *Stack
	out    Outputs
	client http.Client

	mu   sync.Mutex
	read map[string]bool // objects of the store that were read: they do not change
	at   map[string][]web.Seen
}

// Page is the front-end of a lab that is deployed.
func (s *Stack) Page(ctx context.Context) (*Page, error) {
	out, err := s.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.Lab.forms) == 0 || out["ApiUrl"] == "" {
		return nil, fmt.Errorf("the lab %s has no page", s.Lab.ID)
	}
	return &Page{stack: s, out: out, client: http.Client{Timeout: callMost}, read: map[string]bool{}, at: map[string][]web.Seen{}}, nil
}

// Title is the page's.
func (p *Page) Title() string { return "kxops " + p.stack.Lab.ID + ": " + p.stack.Lab.Title }

// Forms are the events that can be captured.
func (p *Page) Forms() []web.Form { return p.stack.Lab.forms }

// Steps are the stations that the lab has.
func (p *Page) Steps() []web.Step {
	out := []web.Step{{Name: atDoor}}
	if p.out["StreamName"] != "" {
		out = append(out, web.Step{Name: atStream})
	}
	table := p.out["ProcessedTable"] != ""
	out = append(out, web.Step{Name: atStore, Last: !table})
	if table {
		out = append(out, web.Step{Name: atTable, Last: true})
	}
	if p.out["StreamName"] != "" {
		out = append(out, web.Step{Name: atErrors, Bad: true, Last: true})
		if table {
			out = append(out, web.Step{Name: atDeadQueue, Bad: true})
		}
	}
	return out
}

// topLevel are the fields of a form that are no detail.
var topLevel = map[string]bool{"customer": true, "employee": true, "card": true, "account": true, "to": true, "amount_cents": true}

// Submit posts one event to the lab's API.
func (p *Page) Submit(ctx context.Context, kind string, fields map[string]string) (web.Sent, error) {
	body, detail := map[string]any{"type": kind}, map[string]any{}
	for k, v := range fields {
		switch {
		case v == "":
		case topLevel[k]:
			body[k] = v
		default:
			detail[k] = v
		}
	}
	if len(detail) > 0 {
		body["detail"] = detail
	}
	text, err := json.Marshal(body)
	if err != nil {
		return web.Sent{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.out["ApiUrl"], bytes.NewReader(text))
	if err != nil {
		return web.Sent{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return web.Sent{}, fmt.Errorf("the lab's API does not answer: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return web.Sent{Status: resp.StatusCode}, fmt.Errorf("the answer of the lab's API broke off: %w", err)
	}
	return readSent(resp.StatusCode, answer), nil
}

// readSent reads what the API said.
func readSent(status int, answer []byte) web.Sent {
	var a struct{ ID, Shard, Sequence, Object, Error, Message string }
	out := web.Sent{Status: status}
	if err := json.Unmarshal(answer, &a); err != nil && status < 300 {
		out.Why = "the answer of the lab's API cannot be read"
		return out
	}
	if status >= 300 {
		out.Why = fmt.Sprintf("%s (HTTP %d)", strings.TrimSpace(a.Error+a.Message), status)
		return out
	}
	now := time.Now().UTC()
	out.ID, out.Seen = a.ID, []web.Seen{{Step: atDoor, At: now}}
	if a.Shard != "" {
		out.Seen = append(out.Seen, web.Seen{Step: atStream, At: now, Note: a.Shard})
	}
	if a.Object != "" {
		out.Seen = append(out.Seen, web.Seen{Step: atStore, At: now})
	}
	return out
}

// Trace looks into the store, the error prefix and the table.
func (p *Page) Trace(ctx context.Context, ids []string) (map[string][]web.Seen, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out["StreamName"] != "" { // elsewhere the answer told that it is stored
		if err := p.look(ctx, "events/", atStore, false); err != nil {
			return nil, fmt.Errorf("the event store: %w", err)
		}
		if err := p.look(ctx, "errors/", atErrors, true); err != nil {
			return nil, fmt.Errorf("the error prefix: %w", err)
		}
	}
	out := map[string][]web.Seen{}
	for _, id := range ids {
		out[id] = append(out[id], p.at[id]...)
	}
	if p.out["ProcessedTable"] == "" {
		return out, nil
	}
	if err := p.rows(ctx, ids, out); err != nil {
		return nil, fmt.Errorf("the table of processed events: %w", err)
	}
	return out, nil
}

// look reads the objects under a prefix that were not read yet, of the last hours.
func (p *Page) look(ctx context.Context, prefix, station string, errors bool) error {
	bucket := p.out["StoreBucket"]
	in := &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}
	for {
		page, err := once(ctx, func(ctx context.Context) (*s3.ListObjectsV2Output, error) {
			return p.stack.store.ListObjectsV2(ctx, in)
		})
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			key := aws.ToString(o.Key)
			if p.read[key] || time.Since(aws.ToTime(o.LastModified)) > time.Hour {
				continue
			}
			seen := web.Seen{Step: station, At: aws.ToTime(o.LastModified).UTC()}
			if err := p.stack.object(ctx, bucket, key, func(_ string, d *json.Decoder) error {
				ids, err := idsIn(d, errors)
				for _, id := range ids {
					p.at[id] = append(p.at[id], seen)
				}
				return err
			}); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			p.read[key] = true
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		in.ContinuationToken = page.NextContinuationToken
	}
}

// rows asks the table about ids, and about those that became dead letters.
func (p *Page) rows(ctx context.Context, ids []string, out map[string][]web.Seen) error {
	table := p.out["ProcessedTable"]
	client := dynamodb.NewFromConfig(p.stack.place.Config)
	var wanted []map[string]dynamo.AttributeValue
	for _, id := range ids {
		for _, key := range []string{id, "event#" + id, "dead#" + id} {
			wanted = append(wanted, map[string]dynamo.AttributeValue{"id": &dynamo.AttributeValueMemberS{Value: key}})
		}
	}
	for len(wanted) > 0 {
		n := min(100, len(wanted)) // API reference, BatchGetItem
		in := &dynamodb.BatchGetItemInput{RequestItems: map[string]dynamo.KeysAndAttributes{table: {Keys: wanted[:n]}}}
		got, err := once(ctx, func(ctx context.Context) (*dynamodb.BatchGetItemOutput, error) { return client.BatchGetItem(ctx, in) })
		if err != nil {
			return err
		}
		wanted = append(got.UnprocessedKeys[table].Keys, wanted[n:]...)
		for _, item := range got.Responses[table] {
			p.row(item, out)
		}
	}
	return nil
}

func (p *Page) row(item map[string]dynamo.AttributeValue, out map[string][]web.Seen) {
	text := func(name string) string {
		if s, ok := item[name].(*dynamo.AttributeValueMemberS); ok {
			return s.Value
		}
		return ""
	}
	seen := web.Seen{Step: atTable}
	id, dead := strings.CutPrefix(text("id"), "dead#")
	if dead {
		seen.Step, seen.Note = atDeadQueue, text("why")
	}
	id = strings.TrimPrefix(id, "event#")
	for _, name := range []string{"processed", "at"} {
		if at, err := time.Parse(time.RFC3339Nano, text(name)); err == nil {
			seen.At = at
			break
		}
	}
	out[id] = append(out[id], seen)
}

// shopForms are the events of labs 1 and 2.
var shopForms = []web.Form{
	{Type: "order", Title: "Order", Help: "An amount that is no number is accepted and archived, and cannot be processed: it becomes a dead letter.", Fields: []web.Field{
		{Name: "customer", Label: "Customer", Value: "c-0042", Required: true},
		{Name: "amount", Label: "Amount", Value: "12.50", Required: true},
		{Name: "currency", Label: "Currency", Choices: []string{"EUR", "USD", "GBP"}, Value: "EUR", Required: true},
	}},
	{Type: "click", Title: "Click", Fields: []web.Field{
		{Name: "customer", Label: "Customer", Value: "c-0042", Required: true},
		{Name: "page", Label: "Page", Value: "/cart", Required: true},
	}},
	{Type: "signup", Title: "Sign-up", Fields: []web.Field{
		{Name: "customer", Label: "Customer", Value: "c-0042", Required: true},
		{Name: "plan", Label: "Plan", Choices: []string{"free", "pro"}, Value: "free", Required: true},
	}},
	{Type: "survey", Title: "Survey (turned away)", Help: "The front door does not know this type: the sender is told, and nothing is stored.", Fields: []web.Field{
		{Name: "customer", Label: "Customer", Value: "c-0042", Required: true},
	}},
}

// staffForms are the events of lab 3.
var staffForms = []web.Form{
	{Type: "employee-hired", Title: "Employee hired", Fields: []web.Field{{Name: "employee", Label: "Employee", Value: "e-001", Required: true}}},
	{Type: "card-issued", Title: "Card issued", Help: "A card for somebody who is not employed cannot be processed.", Fields: []web.Field{
		{Name: "employee", Label: "Employee", Value: "e-001", Required: true}, {Name: "card", Label: "Card", Value: "card-1", Required: true}}},
	{Type: "card-blocked", Title: "Card blocked", Fields: []web.Field{
		{Name: "employee", Label: "Employee", Value: "e-001", Required: true}, {Name: "card", Label: "Card", Value: "card-1", Required: true}}},
	{Type: "employee-left", Title: "Employee left", Fields: []web.Field{{Name: "employee", Label: "Employee", Value: "e-001", Required: true}}},
}
