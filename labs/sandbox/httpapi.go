package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kxops/ops"
)

// This file has HTTP APIs (API Gateway version 2): the front door of a pipeline,
// first how they are made, then how they answer. WebSocket APIs,
// authorizers, and integrations with anything but Lambda are refused by name.

// apiPrefix is where the doors stand: /_execute-api/<api id>/<path>. On AWS each
// has a host name of its own.
const apiPrefix = "/_execute-api/"

// httpAPIs is API Gateway in one region.
type httpAPIs struct {
	r    *Region
	apis map[string]*httpAPI // by id
}

// httpAPI is one API. The members with a tag are what the service shows.
type httpAPI struct {
	ID           string            `json:"apiId"`
	Endpoint     string            `json:"apiEndpoint"`
	Name         string            `json:"name"`
	Protocol     string            `json:"protocolType"`
	Description  string            `json:"description,omitempty"`
	Cors         *corsRules        `json:"corsConfiguration,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Created      time.Time         `json:"createdDate"`
	RouteChoice  string            `json:"routeSelectionExpression"`
	arn          ops.ARN
	integrations map[string]*apiIntegration
	routes       map[string]*apiRoute
	stages       map[string]*apiStage
}

type corsRules struct {
	Origins []string `json:"allowOrigins,omitempty"`
	Methods []string `json:"allowMethods,omitempty"`
	Headers []string `json:"allowHeaders,omitempty"`
	MaxAge  int      `json:"maxAge,omitempty"`
}

type apiIntegration struct {
	ID      string `json:"integrationId"`
	Type    string `json:"integrationType"`
	URI     string `json:"integrationUri"`
	Method  string `json:"integrationMethod,omitempty"`
	Payload string `json:"payloadFormatVersion"`
	Timeout int    `json:"timeoutInMillis,omitempty"`
}

type apiRoute struct {
	ID     string `json:"routeId"`
	Key    string `json:"routeKey"` // "POST /events", "ANY /x/{proxy+}" or "$default"
	Target string `json:"target,omitempty"`
	Auth   string `json:"authorizationType,omitempty"`
}

type apiStage struct {
	Name    string            `json:"stageName"`
	Auto    bool              `json:"autoDeploy"`
	Created time.Time         `json:"createdDate"`
	Tags    map[string]string `json:"tags,omitempty"`
	Limits  *apiLimits        `json:"defaultRouteSettings,omitempty"`
	Access  map[string]string `json:"accessLogSettings,omitempty"`
	tokens  tokenBucket
}

// apiLimits bound the requests of a stage.
type apiLimits struct {
	Rate     float64 `json:"throttlingRateLimit,omitempty"`  // requests/s
	Burst    int     `json:"throttlingBurstLimit,omitempty"` // requests
	Detailed bool    `json:"detailedMetricsEnabled,omitempty"`
}

// apiInput is the union of what the operations take; the path fills the ids.
type apiInput struct {
	API, Integration, Route, Stage string `json:"-"`

	Name                                               string
	ProtocolType, Description                          string
	RouteSelectionExpression                           string
	CorsConfiguration                                  *corsRules
	Tags                                               map[string]string
	IntegrationType, IntegrationURI, IntegrationMethod string
	PayloadFormatVersion                               string
	TimeoutInMillis                                    int
	RouteKey, Target, AuthorizationType                string
	StageName                                          string
	AutoDeploy                                         bool
	DefaultRouteSettings                               *apiLimits
	AccessLogSettings                                  map[string]string
}

// apiMembers are the members of requests that the sandbox takes.
var apiMembers = []string{"name", "protocolType", "description", "routeSelectionExpression", "corsConfiguration", "tags", "integrationType", "integrationUri",
	"integrationMethod", "payloadFormatVersion", "timeoutInMillis", "routeKey", "target", "authorizationType", "stageName", "autoDeploy", "defaultRouteSettings", "accessLogSettings"}

// apiAction is one operation: how it is asked for and what it does.
type apiAction struct {
	name, method, path string
	run                func(*httpAPIs, *apiInput) (any, error)
}

// apiActions is THE list.
var apiActions = []apiAction{
	{"CreateApi", "POST", "/v2/apis", (*httpAPIs).create},
	{"GetApis", "GET", "/v2/apis", (*httpAPIs).list},
	{"GetApi", "GET", "/v2/apis/{api}", func(s *httpAPIs, in *apiInput) (any, error) { return s.find(in.API) }},
	{"DeleteApi", "DELETE", "/v2/apis/{api}", (*httpAPIs).remove},
	{"CreateIntegration", "POST", "/v2/apis/{api}/integrations", (*httpAPIs).createIntegration},
	{"GetIntegrations", "GET", "/v2/apis/{api}/integrations", func(s *httpAPIs, in *apiInput) (any, error) {
		a, err := s.find(in.API)
		if err != nil {
			return nil, err
		}
		return items(a.integrations), nil
	}},
	{"DeleteIntegration", "DELETE", "/v2/apis/{api}/integrations/{integration}", (*httpAPIs).removeIntegration},
	{"CreateRoute", "POST", "/v2/apis/{api}/routes", (*httpAPIs).createRoute},
	{"GetRoutes", "GET", "/v2/apis/{api}/routes", func(s *httpAPIs, in *apiInput) (any, error) {
		a, err := s.find(in.API)
		if err != nil {
			return nil, err
		}
		return items(a.routes), nil
	}},
	{"DeleteRoute", "DELETE", "/v2/apis/{api}/routes/{route}", (*httpAPIs).removeRoute},
	{"CreateStage", "POST", "/v2/apis/{api}/stages", (*httpAPIs).createStage},
	{"GetStages", "GET", "/v2/apis/{api}/stages", func(s *httpAPIs, in *apiInput) (any, error) {
		a, err := s.find(in.API)
		if err != nil {
			return nil, err
		}
		return items(a.stages), nil
	}},
	{"DeleteStage", "DELETE", "/v2/apis/{api}/stages/{stage}", (*httpAPIs).removeStage},
}

func items[T any](m map[string]*T) any {
	list := []*T{}
	for _, k := range sortedNames(m) {
		list = append(list, m[k])
	}
	return map[string]any{"items": list}
}

func newHTTPAPIs(r *Region) {
	s := &httpAPIs{r: r, apis: map[string]*httpAPI{}}
	for _, a := range apiActions {
		r.operations["apigateway."+a.name] = &operation{service: "apigateway", name: a.name, input: reflect.TypeFor[apiInput](),
			call: func(_ context.Context, in any) (any, error) { return a.run(s, in.(*apiInput)) }}
	}
	r.raw["apigateway"] = s.serve
	r.doors = s
	r.tagged = append(r.tagged, s.taggedAPIs)
}

func (s *httpAPIs) taggedAPIs() []taggedResource {
	var out []taggedResource
	for _, a := range s.apis {
		out = append(out, taggedResource{a.arn, a.Tags})
	}
	return out
}

// serve answers the control plane's REST-JSON.
func (s *httpAPIs) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("x-amzn-RequestId", s.r.sb.requestID(req.Context()))
	action, in, err := readAction(req)
	var out any
	if err == nil {
		out, err = s.r.run(req.Context(), s.r.operations["apigateway."+action.name], in)
	}
	if err != nil {
		answerAPIError(w, err)
		return
	}
	status := http.StatusOK
	switch action.method {
	case "POST":
		status = http.StatusCreated
	case "DELETE":
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answerDoor(w, status, out)
}

func answerDoor(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"message":"Internal Server Error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	write(w, body)
}

func answerAPIError(w http.ResponseWriter, err error) {
	code, message, status := asAPIError(err)
	switch code {
	case "NotFoundException":
		status = http.StatusNotFound
	case "ConflictException":
		status = http.StatusConflict
	}
	w.Header().Set("x-amzn-ErrorType", code)
	answerDoor(w, status, map[string]string{"message": message})
}

// readAction finds the operation and its input.
func readAction(req *http.Request) (apiAction, *apiInput, error) {
	segments := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	for _, a := range apiActions {
		labels, ok := (&restRoute{path: strings.Split(strings.Trim(a.path, "/"), "/")}).matchAll(segments)
		if a.method != req.Method || !ok {
			continue
		}
		in := &apiInput{}
		body, err := readBody(req)
		if err != nil {
			return a, nil, err
		}
		if len(body) > 0 {
			var members map[string]json.RawMessage
			if err := json.Unmarshal(body, &members); err != nil {
				return a, nil, fail("BadRequestException", "the body is not a JSON object: %v", err)
			}
			for _, k := range sortedNames(members) {
				if !slices.Contains(apiMembers, k) {
					return a, nil, unsupported(k)
				}
			}
			if err := json.Unmarshal(body, in); err != nil {
				return a, nil, fail("BadRequestException", "%v", err)
			}
		}
		in.API, in.Integration, in.Route, in.Stage = labels["api"], labels["integration"], labels["route"], labels["stage"]
		return a, in, nil
	}
	return apiAction{}, nil, statusError{asGeneric(fail("UnknownOperationException", "the sandbox does not offer %s %s of \"apigateway\"", req.Method, req.URL.Path)), http.StatusNotFound}
}

// matchAll is match for paths of the same length only.
func (r *restRoute) matchAll(segments []string) (map[string]string, bool) {
	if len(segments) != len(r.path) {
		return nil, false
	}
	return r.match(segments)
}

func noSuchAPI(what, id string) error {
	return fail("NotFoundException", "Invalid %s identifier specified %s", what, id)
}

func (s *httpAPIs) find(id string) (*httpAPI, error) {
	if a, ok := s.apis[id]; ok {
		return a, nil
	}
	return nil, noSuchAPI("API", Account+":"+id)
}

// shortID is an identifier as API Gateway makes them.
func (s *httpAPIs) shortID(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[s.r.rng.IntN(len(letters))]
	}
	return string(b)
}

func badAPI(format string, args ...any) error { return fail("BadRequestException", format, args...) }

func (s *httpAPIs) create(in *apiInput) (any, error) {
	switch {
	case in.Name == "":
		return nil, badAPI("Name is required")
	case in.ProtocolType != "HTTP":
		return nil, badAPI("the sandbox has APIs of ProtocolType HTTP only, not %q", in.ProtocolType)
	}
	id := s.shortID(10)
	a := &httpAPI{ID: id, Name: in.Name, Protocol: "HTTP", Description: in.Description, Cors: in.CorsConfiguration, Tags: in.Tags, Created: s.r.now(),
		RouteChoice: "$request.method $request.path", Endpoint: s.r.sb.endpoint + apiPrefix + id, arn: ops.ARN("arn:aws:apigateway:" + s.r.Name + "::/apis/" + id),
		integrations: map[string]*apiIntegration{}, routes: map[string]*apiRoute{}, stages: map[string]*apiStage{}}
	s.apis[id] = a
	if in.Target != "" { // quick create: a $default route and stage
		if _, err := s.quick(a, in); err != nil {
			delete(s.apis, id)
			return nil, err
		}
	}
	return a, nil
}

func (s *httpAPIs) quick(a *httpAPI, in *apiInput) (any, error) {
	got, err := s.createIntegration(&apiInput{API: a.ID, IntegrationType: "AWS_PROXY", IntegrationURI: in.Target, PayloadFormatVersion: "2.0"})
	if err != nil {
		return nil, err
	}
	key := in.RouteKey
	if key == "" {
		key = "$default"
	}
	if _, err := s.createRoute(&apiInput{API: a.ID, RouteKey: key, Target: "integrations/" + got.(*apiIntegration).ID}); err != nil {
		return nil, err
	}
	return s.createStage(&apiInput{API: a.ID, StageName: "$default", AutoDeploy: true})
}

func (s *httpAPIs) list(*apiInput) (any, error) { return items(s.apis), nil }

func (s *httpAPIs) remove(in *apiInput) (any, error) {
	if _, err := s.find(in.API); err != nil {
		return nil, err
	}
	delete(s.apis, in.API)
	return nil, nil
}

func (s *httpAPIs) createIntegration(in *apiInput) (any, error) {
	a, err := s.find(in.API)
	if err != nil {
		return nil, err
	}
	switch {
	case in.IntegrationType != "AWS_PROXY":
		return nil, badAPI("the sandbox has integrations of type AWS_PROXY with a function only, not %q", in.IntegrationType)
	case functionOfURI(in.IntegrationURI) == "":
		return nil, badAPI("Invalid function ARN or invalid uri: %s", in.IntegrationURI)
	case in.PayloadFormatVersion != "2.0":
		return nil, badAPI("the sandbox speaks payload format version 2.0 only, not %q", in.PayloadFormatVersion)
	case in.TimeoutInMillis != 0 && (in.TimeoutInMillis < 50 || in.TimeoutInMillis > 30000):
		return nil, badAPI("Timeout should be between 50 ms and 30000 ms")
	}
	i := &apiIntegration{ID: s.shortID(7), Type: in.IntegrationType, URI: in.IntegrationURI, Method: "POST", Payload: "2.0", Timeout: in.TimeoutInMillis}
	if i.Timeout == 0 {
		i.Timeout = 30000
	}
	a.integrations[i.ID] = i
	return i, nil
}

var functionInURI = regexp.MustCompile(`arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]+`)

func functionOfURI(uri string) ops.ARN { return ops.ARN(functionInURI.FindString(uri)) }

func (s *httpAPIs) removeIntegration(in *apiInput) (any, error) {
	a, err := s.find(in.API)
	if err != nil {
		return nil, err
	}
	if _, ok := a.integrations[in.Integration]; !ok {
		return nil, noSuchAPI("Integration", in.Integration)
	}
	for _, r := range a.routes {
		if r.Target == "integrations/"+in.Integration {
			return nil, fail("ConflictException", "Cannot delete Integration. Integration %s is referenced by route %s", in.Integration, r.ID)
		}
	}
	delete(a.integrations, in.Integration)
	return nil, nil
}

var routeKeys = regexp.MustCompile(`^(\$default|(ANY|GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) /\S*)$`)

func (s *httpAPIs) createRoute(in *apiInput) (any, error) {
	a, err := s.find(in.API)
	if err != nil {
		return nil, err
	}
	switch {
	case !routeKeys.MatchString(in.RouteKey):
		return nil, badAPI("The provided route key is not properly formatted for HTTP protocol. Format should be \"<HTTP METHOD> /<RESOURCE PATH>\" or \"$default\"")
	case in.AuthorizationType != "" && in.AuthorizationType != "NONE":
		return nil, badAPI("the sandbox has no authorizers: AuthorizationType %s", in.AuthorizationType)
	}
	for _, r := range a.routes {
		if r.Key == in.RouteKey {
			return nil, fail("ConflictException", "Route with key %s already exists for this API", in.RouteKey)
		}
	}
	if _, ok := a.integrations[strings.TrimPrefix(in.Target, "integrations/")]; in.Target != "" && !ok {
		return nil, noSuchAPI("Integration", in.Target)
	}
	r := &apiRoute{ID: s.shortID(7), Key: in.RouteKey, Target: in.Target, Auth: "NONE"}
	a.routes[r.ID] = r
	return r, nil
}

func (s *httpAPIs) removeRoute(in *apiInput) (any, error) {
	a, err := s.find(in.API)
	if err != nil {
		return nil, err
	}
	if _, ok := a.routes[in.Route]; !ok {
		return nil, noSuchAPI("Route", in.Route)
	}
	delete(a.routes, in.Route)
	return nil, nil
}

func (s *httpAPIs) createStage(in *apiInput) (any, error) {
	a, err := s.find(in.API)
	if err != nil {
		return nil, err
	}
	switch {
	case in.StageName == "":
		return nil, badAPI("StageName is required")
	case !in.AutoDeploy:
		return nil, badAPI("the sandbox has no deployments: set AutoDeploy")
	case a.stages[in.StageName] != nil:
		return nil, fail("ConflictException", "Stage already exists")
	}
	st := &apiStage{Name: in.StageName, Auto: true, Created: s.r.now(), Tags: in.Tags, Limits: in.DefaultRouteSettings, Access: in.AccessLogSettings}
	a.stages[st.Name] = st
	return st, nil
}

func (s *httpAPIs) removeStage(in *apiInput) (any, error) {
	a, err := s.find(in.API)
	if err != nil {
		return nil, err
	}
	if _, ok := a.stages[in.Stage]; !ok {
		return nil, noSuchAPI("Stage", in.Stage)
	}
	delete(a.stages, in.Stage)
	return nil, nil
}

// knock answers a request that comes through a door.
func (s *httpAPIs) knock(w http.ResponseWriter, req *http.Request) {
	id, path, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, apiPrefix), "/")
	body, err := io.ReadAll(io.LimitReader(req.Body, maxAPIBody+1))
	if err != nil {
		answerDoor(w, http.StatusBadRequest, sorry("Bad Request"))
		return
	}
	var out apiAnswer
	s.r.do(func() { out = s.answer(id, "/"+path, req, body) })
	for _, k := range sortedNames(out.header) {
		for _, v := range out.header[k] {
			w.Header().Add(k, v)
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	if req.Method != http.MethodHead {
		write(w, out.body)
	}
}

const maxAPIBody = 10 << 20 // HTTP API quota: payload size

type apiAnswer struct {
	status int
	header http.Header
	body   []byte
}

func sorry(text string) map[string]string { return map[string]string{"message": text} }

func plainAnswer(status int, text string) apiAnswer {
	return apiAnswer{status, http.Header{"Content-Type": {"application/json"}}, mustJSON(sorry(text))}
}

// answer finds stage, route and integration, and counts what came of it.
func (s *httpAPIs) answer(id, path string, req *http.Request, body []byte) apiAnswer {
	a, ok := s.apis[id]
	if !ok {
		return plainAnswer(http.StatusNotFound, "Not Found")
	}
	stage, rest := a.stageOf(path)
	if stage == nil {
		return plainAnswer(http.StatusNotFound, "Not Found")
	}
	if out, done := a.preflight(req); done {
		return out
	}
	out, took := s.through(a, stage, rest, req, body)
	a.allowOrigin(req, out.header)
	s.count(a, stage, out, len(body), took)
	return out
}

func (s *httpAPIs) through(a *httpAPI, stage *apiStage, path string, req *http.Request, body []byte) (apiAnswer, time.Duration) {
	if l := stage.Limits; l != nil && l.Rate > 0 && !stage.tokens.take(1, l.Rate, s.r.now()) {
		return plainAnswer(http.StatusTooManyRequests, "Too Many Requests"), 0
	}
	if len(body) > maxAPIBody {
		return plainAnswer(http.StatusRequestEntityTooLarge, "Request Entity Too Large"), 0
	}
	route, labels := a.routeOf(req.Method, path)
	if route == nil || route.Target == "" {
		return plainAnswer(http.StatusNotFound, "Not Found"), 0
	}
	i := a.integrations[strings.TrimPrefix(route.Target, "integrations/")]
	if i == nil {
		return plainAnswer(http.StatusInternalServerError, "Internal Server Error"), 0
	}
	fn := functionOfURI(i.URI)
	f, err := s.r.functions.find((*string)(&fn))
	source := fmt.Sprintf("arn:aws:execute-api:%s:%s:%s/%s/%s", s.r.Name, Account, a.ID, stage.Name, strings.Replace(route.Key, " ", "", 1))
	if err != nil || !f.lets("apigateway.amazonaws.com", source) {
		return plainAnswer(http.StatusInternalServerError, "Internal Server Error"), 0
	}
	got, err := s.r.invoke(fn, s.event(a, stage, route, path, labels, req, body))
	switch {
	case err != nil && strings.Contains(err.Error(), "TooManyRequests"):
		return plainAnswer(http.StatusServiceUnavailable, "Service Unavailable"), 0
	case err != nil || got.Error != "" || got.Took > time.Duration(i.Timeout)*time.Millisecond:
		return plainAnswer(http.StatusInternalServerError, "Internal Server Error"), got.Took
	}
	return answerOf(got.Payload), got.Took
}

// stageOf takes the stage's name off the path; $default has none.
func (a *httpAPI) stageOf(path string) (*apiStage, string) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if st := a.stages[first]; st != nil {
		return st, "/" + rest
	}
	return a.stages["$default"], path
}

// routeOf picks the route: the most specific one first (HTTP API developer guide,
// routing API requests): full match, then {proxy+}, then $default.
func (a *httpAPI) routeOf(method, path string) (*apiRoute, map[string]string) {
	type candidate struct {
		route  *apiRoute
		labels map[string]string
		score  string
	}
	var best []candidate
	for _, r := range a.routes {
		if r.Key == "$default" {
			best = append(best, candidate{r, nil, "z"})
			continue
		}
		m, pattern, _ := strings.Cut(r.Key, " ")
		if m != "ANY" && m != method {
			continue
		}
		labels, score, ok := matchPath(pattern, path)
		if !ok {
			continue
		}
		if m == "ANY" {
			score += "b"
		} else {
			score += "a"
		}
		best = append(best, candidate{r, labels, score})
	}
	if len(best) == 0 {
		return nil, nil
	}
	sort.Slice(best, func(i, j int) bool { return best[i].score < best[j].score })
	return best[0].route, best[0].labels
}

// matchPath matches a route's path. The score sorts: literal before parameter
// before the rest of the path.
func matchPath(pattern, path string) (labels map[string]string, score string, ok bool) {
	labels = map[string]string{}
	want := strings.Split(strings.Trim(pattern, "/"), "/")
	have := strings.Split(strings.Trim(path, "/"), "/")
	for i, w := range want {
		name, isLabel := strings.CutPrefix(w, "{")
		switch {
		case isLabel && strings.HasSuffix(name, "+}"):
			if i >= len(have) {
				return nil, "", false
			}
			labels[strings.TrimSuffix(name, "+}")] = strings.Join(have[i:], "/")
			return labels, score + "3", true
		case i >= len(have):
			return nil, "", false
		case isLabel:
			labels[strings.TrimSuffix(name, "}")] = have[i]
			score += "2"
		case w != have[i]:
			return nil, "", false
		default:
			score += "1"
		}
	}
	return labels, score, len(want) == len(have)
}

// event is the request as the function gets it: payload format version 2.0 (HTTP
// API developer guide, AWS Lambda integrations).
func (s *httpAPIs) event(a *httpAPI, stage *apiStage, route *apiRoute, path string, labels map[string]string, req *http.Request, body []byte) []byte {
	headers := map[string]string{}
	for k, v := range req.Header {
		headers[strings.ToLower(k)] = strings.Join(v, ",")
	}
	headers["host"] = req.Host
	query := map[string]string{}
	for k, v := range req.URL.Query() {
		query[k] = strings.Join(v, ",")
	}
	from, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		from = "127.0.0.1"
	}
	now := s.r.now()
	e := map[string]any{
		"version": "2.0", "routeKey": route.Key, "rawPath": path, "rawQueryString": req.URL.RawQuery, "headers": headers,
		"requestContext": map[string]any{
			"accountId": Account, "apiId": a.ID, "domainName": req.Host, "requestId": s.r.id(), "routeKey": route.Key, "stage": stage.Name,
			"time": now.Format("02/Jan/2006:15:04:05 -0700"), "timeEpoch": now.UnixMilli(),
			"http": map[string]string{"method": req.Method, "path": path, "protocol": req.Proto, "sourceIp": from, "userAgent": req.UserAgent()},
		},
		"isBase64Encoded": false,
	}
	if len(query) > 0 {
		e["queryStringParameters"] = query
	}
	if len(labels) > 0 {
		e["pathParameters"] = labels
	}
	if len(body) > 0 {
		e["body"] = string(body)
		if !utf8.Valid(body) {
			e["body"], e["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
		}
	}
	return mustJSON(e)
}

// answerOf reads what a function answered. Without a statusCode the whole answer
// is the body (payload format 2.0, inferred response).
func answerOf(payload []byte) apiAnswer {
	var r struct {
		Status  *int              `json:"statusCode"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		Base64  bool              `json:"isBase64Encoded"`
		Cookies []string          `json:"cookies"`
	}
	err := json.Unmarshal(payload, &r)
	if err != nil || r.Status == nil {
		if !json.Valid(payload) {
			return plainAnswer(http.StatusInternalServerError, "Internal Server Error")
		}
		return apiAnswer{http.StatusOK, http.Header{"Content-Type": {"application/json"}}, payload}
	}
	out := apiAnswer{*r.Status, http.Header{}, []byte(r.Body)}
	if out.status < 100 || out.status > 599 {
		return plainAnswer(http.StatusInternalServerError, "Internal Server Error")
	}
	for k, v := range r.Headers {
		out.header.Set(k, v)
	}
	for _, c := range r.Cookies {
		out.header.Add("Set-Cookie", c)
	}
	if out.header.Get("Content-Type") == "" {
		out.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if r.Base64 {
		raw, err := base64.StdEncoding.DecodeString(r.Body)
		if err != nil {
			return plainAnswer(http.StatusInternalServerError, "Internal Server Error")
		}
		out.body = raw
	}
	return out
}

// admits reports whether pages of an origin may use an API.
func (s *httpAPIs) admits(path, origin string) bool {
	id, _, _ := strings.Cut(strings.TrimPrefix(path, apiPrefix), "/")
	ok := false
	s.r.do(func() {
		a := s.apis[id]
		ok = a != nil && a.Cors != nil && (slices.Contains(a.Cors.Origins, "*") || slices.Contains(a.Cors.Origins, origin))
	})
	return ok
}

func (a *httpAPI) preflight(req *http.Request) (apiAnswer, bool) {
	if a.Cors == nil || req.Method != http.MethodOptions || req.Header.Get("Access-Control-Request-Method") == "" {
		return apiAnswer{}, false
	}
	out := apiAnswer{status: http.StatusNoContent, header: http.Header{}}
	a.allowOrigin(req, out.header)
	out.header.Set("Access-Control-Allow-Methods", strings.Join(a.Cors.Methods, ","))
	out.header.Set("Access-Control-Allow-Headers", strings.Join(a.Cors.Headers, ","))
	out.header.Set("Access-Control-Max-Age", strconv.Itoa(a.Cors.MaxAge))
	return out, true
}

func (a *httpAPI) allowOrigin(req *http.Request, h http.Header) {
	origin := req.Header.Get("Origin")
	if a.Cors == nil || origin == "" {
		return
	}
	switch {
	case slices.Contains(a.Cors.Origins, "*"):
		h.Set("Access-Control-Allow-Origin", "*")
	case slices.Contains(a.Cors.Origins, origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	}
}

// count keeps the metrics of AWS/ApiGateway for HTTP APIs (HTTP API developer
// guide, working with metrics): by ApiId, and by ApiId and Stage.
func (s *httpAPIs) count(a *httpAPI, stage *apiStage, out apiAnswer, received int, took time.Duration) {
	now := s.r.now()
	ms := float64(took) / float64(time.Millisecond)
	overhead := 3 + 4*s.r.rng.Float64() // what the gateway itself takes
	yes := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	for _, dims := range [][]string{{"ApiId", a.ID}, {"ApiId", a.ID, "Stage", stage.Name}} {
		add := func(metric, unit string, v float64) {
			s.r.metrics.series("AWS/ApiGateway", metric, unit, dims...).add(now, v)
		}
		add("Count", "Count", 1)
		add("4xx", "Count", yes(out.status >= 400 && out.status < 500))
		add("5xx", "Count", yes(out.status >= 500))
		add("Latency", "Milliseconds", ms+overhead)
		add("IntegrationLatency", "Milliseconds", ms)
		add("DataProcessed", "Bytes", float64(received+len(out.body)))
	}
}
