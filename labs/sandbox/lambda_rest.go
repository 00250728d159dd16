package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	smithy "github.com/aws/smithy-go"
	"github.com/aws/smithy-go/traits"
)

// This file speaks REST-JSON, the protocol of Lambda: the operation is in method
// and path, parameters are in path, query, headers and body. Which parameter is
// where comes from the SDK's own schemas, so nothing is bound by hand.

// restRoute is one operation of a REST-JSON service.
type restRoute struct {
	op      *operation
	method  string
	path    []string // "{Name}" for a parameter
	input   *smithy.Schema
	output  *smithy.Schema // nil for an operation without an answer
	success int            // HTTP status
}

// restJSON routes the requests of one service.
type restJSON struct {
	region  *Region
	service string
	routes  []restRoute
}

// route adds the operation that handle registered under the schema's name.
func (s *restJSON) route(op, input, output *smithy.Schema) {
	h, _ := smithy.SchemaTrait[*traits.HTTP](op)
	s.routes = append(s.routes, restRoute{
		op:      s.region.operations[s.service+"."+op.ID().Name],
		method:  h.Method,
		path:    strings.Split(strings.Trim(h.URI, "/"), "/"),
		input:   input,
		output:  output,
		success: h.Code,
	})
}

func (s *restJSON) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("x-amzn-RequestId", s.region.sb.requestID(req.Context()))
	route, labels, ok := s.find(req)
	if !ok {
		err := fail("UnknownOperationException", "the sandbox does not offer %s %s of %q", req.Method, req.URL.Path, s.service)
		s.answerError(w, statusError{asGeneric(err), http.StatusNotFound})
		return
	}
	in, err := route.read(req, labels)
	if err != nil {
		s.answerError(w, err)
		return
	}
	out, err := s.region.run(req.Context(), route.op, in)
	switch {
	case errors.Is(err, errReset):
		reset(w)
	case err != nil:
		s.answerError(w, err)
	default:
		route.answer(w, reflect.ValueOf(out).Elem())
	}
}

// find matches the path, segment by segment, in its escaped form: an ARN in a
// path has its colons and slashes escaped.
func (s *restJSON) find(req *http.Request) (*restRoute, map[string]string, bool) {
	segments := strings.Split(strings.Trim(req.URL.EscapedPath(), "/"), "/")
	for i := range s.routes {
		if r := &s.routes[i]; r.method == req.Method && len(r.path) == len(segments) {
			if labels, ok := r.match(segments); ok {
				return r, labels, true
			}
		}
	}
	return nil, nil, false
}

func (r *restRoute) match(segments []string) (map[string]string, bool) {
	labels := map[string]string{}
	for i, want := range r.path {
		if name, isLabel := strings.CutPrefix(want, "{"); isLabel {
			value, err := url.PathUnescape(segments[i])
			if err != nil || value == "" {
				return nil, false
			}
			labels[strings.TrimRight(name, "+}")] = value
			continue
		}
		if segments[i] != want {
			return nil, false
		}
	}
	return labels, true
}

// read makes the operation's input of the request.
func (r *restRoute) read(req *http.Request, labels map[string]string) (any, error) {
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	in := reflect.New(r.op.input)
	tree := map[string]any{}
	payload := memberWith[*traits.HTTPPayload](r.input)
	if payload == "" {
		n, err := treeOfJSON(body)
		m, ok := n.(map[string]any)
		if err != nil || !ok {
			return nil, fail("InvalidRequestContentException", "Could not parse request body into json: %s", reason(err))
		}
		tree = m
	}
	query := req.URL.Query()
	for name, member := range r.input.Members() {
		if _, ok := smithy.SchemaTrait[*traits.HTTPLabel](member); ok {
			tree[name] = labels[name]
		} else if q, ok := smithy.SchemaTrait[*traits.HTTPQuery](member); ok {
			if v := query[q.Name]; len(v) > 0 {
				tree[name] = queryValue(member, v)
			}
		} else if h, ok := smithy.SchemaTrait[*traits.HTTPHeader](member); ok {
			if v := req.Header.Get(h.Name); v != "" {
				tree[name] = v
			}
		}
	}
	if err := decode(in.Elem(), tree, r.op.name); err != nil {
		return nil, fail("InvalidParameterValueException", "%v", err)
	}
	if payload != "" && len(body) > 0 {
		in.Elem().FieldByName(payload).SetBytes(body)
	}
	return in.Interface(), nil
}

func reason(err error) string {
	if err == nil {
		return "not an object"
	}
	return err.Error()
}

func queryValue(member *smithy.Schema, v []string) any {
	if member.Type() != smithy.ShapeTypeList {
		return v[0]
	}
	list := make([]any, len(v))
	for i, x := range v {
		list[i] = x
	}
	return list
}

// memberWith names the member that has a trait, "" if none has.
func memberWith[T smithy.Trait](s *smithy.Schema) string {
	if s == nil {
		return ""
	}
	for name, m := range s.Members() {
		if _, ok := smithy.SchemaTrait[T](m); ok {
			return name
		}
	}
	return ""
}

// answer writes an output: members with a header or the status code go there, the
// rest is the body.
func (r *restRoute) answer(w http.ResponseWriter, out reflect.Value) {
	status, inBody := r.success, true
	body := []byte(nil)
	if r.output != nil {
		for name, member := range r.output.Members() {
			f := out.FieldByName(name)
			if h, ok := smithy.SchemaTrait[*traits.HTTPHeader](member); ok {
				if f.Kind() == reflect.Pointer && !f.IsNil() {
					w.Header().Set(h.Name, f.Elem().String())
				}
			} else if _, ok := smithy.SchemaTrait[*traits.HTTPResponseCode](member); ok {
				status = int(f.Int())
			} else if _, ok := smithy.SchemaTrait[*traits.HTTPPayload](member); ok {
				body, inBody = f.Bytes(), false
			}
		}
	}
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	if inBody {
		body = appendJSON(make([]byte, 0, 512), out)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	write(w, body)
}

// restStatus are the HTTP statuses of Lambda's errors that are not 400 or 500.
var restStatus = map[string]int{
	"ResourceNotFoundException":                     http.StatusNotFound,
	"ProvisionedConcurrencyConfigNotFoundException": http.StatusNotFound,
	"ResourceConflictException":                     http.StatusConflict,
	"PreconditionFailedException":                   http.StatusPreconditionFailed,
	"RequestTooLargeException":                      http.StatusRequestEntityTooLarge,
	"TooManyRequestsException":                      http.StatusTooManyRequests,
}

// capitalMessage are the errors whose message member is spelled "Message"; in
// Lambda's others it is "message" (the SDK's schemas say which).
var capitalMessage = map[string]bool{
	"ResourceNotFoundException": true,
	"ResourceInUseException":    true,
	"ServiceException":          true,
	"AccessDeniedException":     true,
}

func (s *restJSON) answerError(w http.ResponseWriter, err error) {
	code, message, status := asAPIError(err)
	if known, ok := restStatus[code]; ok {
		status = known
	}
	kind, member := "User", "message"
	if status >= 500 {
		kind = "Service"
	}
	if capitalMessage[code] {
		member = "Message"
	}
	body, merr := json.Marshal(map[string]string{"Type": kind, member: message})
	if merr != nil {
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("x-amzn-ErrorType", code)
	w.WriteHeader(status)
	write(w, body)
}

func asGeneric(err error) *smithy.GenericAPIError {
	var g *smithy.GenericAPIError
	if errors.As(err, &g) {
		return g
	}
	return &smithy.GenericAPIError{Code: "InternalFailure", Message: err.Error(), Fault: smithy.FaultServer}
}
