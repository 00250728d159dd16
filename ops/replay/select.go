package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/itchyny/gojq"

	"kxops/ops"
)

// jqPatience is how long one expression may work on one record. A filter that
// recurses without end must not stop a replay without a word.
const jqPatience = time.Second

// chooser is the cascade of filters after the source's own (window and key), the
// cheapest first: earlier replays' records, bytes, jq. It is safe for concurrent use.
type chooser struct {
	needles [][]byte
	derived []byte // from the jq expression; a body with \u escapes is not judged by it
	jq      *gojq.Code
	except  map[string]bool
}

func newChooser(s ops.ReplaySelect, except map[string]bool) (*chooser, error) {
	c := &chooser{except: except}
	if s.Contains != "" {
		c.needles = append(c.needles, []byte(s.Contains))
	}
	if s.Filter == "" {
		return c, nil
	}
	code, query, err := compile("filter", s.Filter)
	if err != nil {
		return nil, err
	}
	c.jq, c.derived = code, []byte(needle(query))
	return c, nil
}

// compile reads a jq expression.
func compile(what, expr string) (*gojq.Code, *gojq.Query, error) {
	query, err := gojq.Parse(expr)
	if err == nil {
		var code *gojq.Code
		if code, err = gojq.Compile(query); err == nil {
			return code, query, nil
		}
	}
	return nil, nil, &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("the %s %q is no jq expression: %s", what, expr, err), Err: err}
}

// takes reports whether the record is meant. The error is that of the jq
// expression on this record.
func (c *chooser) takes(r Record) (bool, error) {
	if c.except[r.ID] {
		return false, nil
	}
	for _, n := range c.needles {
		if !bytes.Contains(r.Data, n) {
			return false, nil
		}
	}
	if c.jq == nil {
		return true, nil
	}
	if len(c.derived) > 0 && !bytes.Contains(r.Data, c.derived) && !bytes.Contains(r.Data, []byte(`\u`)) {
		return false, nil
	}
	var v any
	if err := json.Unmarshal(r.Data, &v); err != nil {
		return false, fmt.Errorf("the filter needs JSON, and the record is none: %w", err)
	}
	out, err := first(c.jq, v)
	if err != nil {
		return false, err
	}
	return out != nil && out != false, nil
}

// first is the first value that an expression gives; nil when it gives none.
func first(code *gojq.Code, v any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), jqPatience)
	defer cancel()
	out, ok := code.RunWithContext(ctx, v).Next()
	if !ok {
		return nil, nil
	}
	if err, failed := out.(error); failed {
		return nil, fmt.Errorf("jq: %w", err)
	}
	return out, nil
}

// needle is a text that must occur in every body for which the expression can be
// true: the longest string that something is compared with by ==, at the top or
// joined by `and`. "" when nothing is sure.
func needle(q *gojq.Query) string {
	if q == nil || len(q.FuncDefs) > 0 {
		return ""
	}
	if q.Term != nil && q.Term.Type == gojq.TermTypeQuery && len(q.Term.SuffixList) == 0 {
		return needle(q.Term.Query)
	}
	switch q.Op {
	case gojq.OpAnd:
		a, b := needle(q.Left), needle(q.Right)
		if len(a) >= len(b) {
			return a
		}
		return b
	case gojq.OpEq:
		if s := literal(q.Right); s != "" && isPath(q.Left) {
			return s
		}
		if s := literal(q.Left); s != "" && isPath(q.Right) {
			return s
		}
	}
	return ""
}

// isPath reports a plain path such as .a.b: what it gives stands in the body as it is.
func isPath(q *gojq.Query) bool {
	if q == nil || q.Op != 0 || q.Term == nil || q.Term.Type != gojq.TermTypeIndex || q.Term.Index == nil || q.Term.Index.Name == "" {
		return false
	}
	for _, s := range q.Term.SuffixList {
		if s.Index == nil || s.Index.Name == "" {
			return false
		}
	}
	return true
}

// literal is a string without anything that JSON writes in two ways.
func literal(q *gojq.Query) string {
	if q == nil || q.Term == nil || q.Term.Type != gojq.TermTypeString || q.Term.Str == nil || len(q.Term.Str.Queries) > 0 || len(q.Term.SuffixList) > 0 {
		return ""
	}
	for _, r := range q.Term.Str.Str {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '/' || r == '<' || r == '>' || r == '&' || r == '\'' {
			return ""
		}
	}
	return q.Term.Str.Str
}
