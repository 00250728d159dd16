package dlq

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kxops/ops"
)

// The corpus is dead letters with their true cause, made by hand-written producers
// with a fixed seed. testdata/corpus.jsonl is what they make; the file is there to be
// read and to be used by others.

var writeCorpus = flag.Bool("write-corpus", false, "write testdata/corpus.jsonl anew")

const (
	corpusSeed = 20261123
	corpusSize = 480
)

type labelled struct {
	Cause   string      `json:"cause"`
	Message ops.Message `json:"message"`
}

// corpus makes n messages of all causes; some causes are frequent and some rare.
func corpus(seed uint64, n int) []labelled {
	g := &producer{Rand: rand.New(rand.NewPCG(seed, 1)), at: time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)}
	var weights []int
	total := 0
	for i := range producers {
		w := 2 + (i*7)%11
		weights, total = append(weights, w), total+w
	}
	out := make([]labelled, 0, n)
	for i := range n {
		pick := i // each once at least twice, then by weight
		if i >= 2*len(producers) {
			x := g.IntN(total)
			for pick = 0; x >= weights[pick]; pick++ {
				x -= weights[pick]
			}
		}
		p := producers[pick%len(producers)]
		g.at = g.at.Add(time.Duration(g.IntN(90_000)) * time.Millisecond)
		m := p.make(g)
		m.ID, m.Queue, m.At = g.uuid(), "arn:aws:sqs:eu-west-1:000000000000:dead", time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
		if m.System == nil {
			m.System = map[string]string{}
		}
		m.System[ops.SentAttribute] = strconv.FormatInt(g.at.UnixMilli(), 10)
		m.System[ops.ReceivesAttribute] = strconv.Itoa(1 + g.IntN(6))
		out = append(out, labelled{p.cause, m})
	}
	return out
}

type producer struct {
	*rand.Rand
	at time.Time
}

func (g *producer) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdef"[g.IntN(16)]
	}
	return string(b)
}

func (g *producer) uuid() string {
	return g.hex(8) + "-" + g.hex(4) + "-4" + g.hex(3) + "-a" + g.hex(3) + "-" + g.hex(12)
}

func (g *producer) token(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[g.IntN(62)]
	}
	return string(b)
}

func (g *producer) of(words ...string) string { return words[g.IntN(len(words))] }
func (g *producer) n(max int) int             { return 1 + g.IntN(max) }
func (g *producer) time() string              { return g.at.Format("2006-01-02T15:04:05.000Z") }
func (g *producer) chance(p float64) bool     { return g.Float64() < p }
func (g *producer) order() string             { return fmt.Sprintf("A-%06d", g.n(999999)) }
func (g *producer) name() string {
	return g.of("anna", "bruno", "chiara", "dirk", "elif", "farid", "greta", "hugo", "ines", "jonas", "karin", "luca", "mei", "nadia", "omar", "petra", "quinn", "rosa", "sven", "tomas", "ugo", "vera", "wim", "yara", "zoe")
}
func (g *producer) email() string { return g.name() + strconv.Itoa(g.n(99)) + "@example.com" }
func (g *producer) ip() string    { return fmt.Sprintf("10.%d.%d.%d", g.IntN(256), g.IntN(256), g.n(254)) }

func js(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

type object = map[string]any

func attr(typ, text string) ops.Attribute { return ops.Attribute{Type: typ, Text: text} }

func function(name string) string {
	return "arn:aws:lambda:eu-west-1:000000000000:function:" + name
}

func source(queue string) map[string]string {
	return map[string]string{ops.SourceAttribute: "arn:aws:sqs:eu-west-1:000000000000:" + queue}
}

// s3Body is a notification as S3 sends it.
func (g *producer) s3Body(event, bucket, key string) string {
	objectPart := object{"key": key, "size": g.n(9_000_000), "eTag": g.hex(32), "sequencer": strings.ToUpper(g.hex(18))}
	if strings.HasPrefix(event, "ObjectRemoved") {
		delete(objectPart, "size")
		delete(objectPart, "eTag")
	}
	if g.chance(0.3) {
		objectPart["versionId"] = g.token(32)
	}
	return js(object{"Records": []any{object{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventTime": g.time(), "eventName": event,
		"userIdentity": object{"principalId": "AWS:" + strings.ToUpper(g.token(21))}, "requestParameters": object{"sourceIPAddress": g.ip()},
		"responseElements": object{"x-amz-request-id": strings.ToUpper(g.token(16)), "x-amz-id-2": g.token(72)},
		"s3":               object{"s3SchemaVersion": "1.0", "configurationId": "landed", "bucket": object{"name": bucket, "ownerIdentity": object{"principalId": "A3NL1KOZZKExample"}, "arn": "arn:aws:s3:::" + bucket}, "object": objectPart}}}})
}

func (g *producer) photo(end string) string {
	return fmt.Sprintf("photos/%s/%s-%s%s", g.at.Format("2006-01-02"), g.of("img", "dsc", "pxl"), g.hex(8), end)
}

// deadLetter is what Lambda's dead-letter queue holds: the event and three attributes.
func (g *producer) deadLetter(body, code, message string) ops.Message {
	return ops.Message{Body: body, Attributes: map[string]ops.Attribute{"RequestID": attr("String", g.uuid()), "ErrorCode": attr("Number", code), "ErrorMessage": attr("String", message)}}
}

// destination is what Lambda's on-failure destination sends.
func (g *producer) destination(fn string, response object, payload any) ops.Message {
	return ops.Message{Body: js(object{"version": "1.0", "timestamp": g.time(),
		"requestContext":  object{"requestId": g.uuid(), "functionArn": function(fn) + ":" + g.of("$LATEST", "7", "8"), "condition": "RetriesExhausted", "approximateInvokeCount": 3},
		"requestPayload":  payload,
		"responseContext": object{"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
		"responsePayload": response})}
}

func (g *producer) orderEvent() object {
	o := object{"orderId": g.order(), "customer": "c-" + g.hex(5), "total": float64(g.n(20000)) / 100}
	if g.chance(0.4) {
		o["coupon"] = g.token(8)
	}
	if g.chance(0.3) {
		o["note"] = "please ring twice"
	}
	return o
}

func (g *producer) python(kind, message string, frames ...string) object {
	stack := make([]string, len(frames)) // outermost first, as the runtime writes it
	for i, f := range frames {
		file, fn, _ := strings.Cut(f, " ")
		stack[i] = fmt.Sprintf("  File \"%s\", line %d, in %s\n    x = y\n", file, g.n(300), fn)
	}
	return object{"errorMessage": message, "errorType": kind, "requestId": g.uuid(), "stackTrace": stack}
}

func (g *producer) node(kind, message string, frames ...string) object {
	stack := []string{kind + ": " + message}
	for _, f := range frames {
		fn, file, ok := strings.Cut(f, " ")
		line := fmt.Sprintf(":%d:%d", g.n(300), g.n(80))
		if ok {
			stack = append(stack, fmt.Sprintf("    at %s (%s%s)", fn, file, line))
		} else {
			stack = append(stack, "    at "+fn+line)
		}
	}
	stack = append(stack, "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)")
	return object{"errorType": kind, "errorMessage": message, "trace": stack}
}

func (g *producer) java(kind, message string, frames ...string) object {
	stack := make([]string, len(frames))
	for i, f := range frames {
		class := f[:strings.LastIndexByte(f, '.')]
		class = class[strings.LastIndexByte(class, '.')+1:]
		class, _, _ = strings.Cut(class, "$")
		stack[i] = fmt.Sprintf("%s(%s.java:%d)", f, class, g.n(400))
	}
	return object{"errorMessage": message, "errorType": kind, "stackTrace": stack}
}

func (g *producer) golang(kind, message string, frames ...string) object {
	stack := []any{}
	for _, f := range frames {
		fn, file, _ := strings.Cut(f, " ")
		stack = append(stack, object{"path": file, "line": g.n(300), "label": fn})
	}
	out := object{"errorMessage": message, "errorType": kind}
	if len(stack) > 0 {
		out["stackTrace"] = stack
	}
	return out
}

func (g *producer) dotnet(kind, message string, frames ...string) object {
	stack := make([]string, len(frames))
	for i, f := range frames {
		stack[i] = "at " + f
		if !strings.HasPrefix(f, "System.") && !strings.HasPrefix(f, "lambda_method") {
			stack[i] += fmt.Sprintf(" in /src/%s.cs:line %d", g.of("Handler"), g.n(300))
		}
	}
	return object{"errorType": kind, "errorMessage": message, "stackTrace": stack}
}

// rule is a dead letter of an EventBridge rule.
func (g *producer) rule(rule, target, code, message string) ops.Message {
	return ops.Message{
		Body: js(object{"version": "0", "id": g.uuid(), "detail-type": "OrderPlaced", "source": "shop.orders", "account": "000000000000", "time": g.time(), "region": "eu-west-1", "resources": []any{}, "detail": g.orderEvent()}),
		Attributes: map[string]ops.Attribute{"RULE_ARN": attr("String", "arn:aws:events:eu-west-1:000000000000:rule/"+rule), "TARGET_ARN": attr("String", target), "ERROR_CODE": attr("String", code),
			"ERROR_MESSAGE": attr("String", message), "RETRY_ATTEMPTS": attr("Number", strconv.Itoa(g.IntN(185))), "EXHAUSTED_RETRY_CONDITION": attr("String", g.of("MaximumRetryAttempts", "MaximumEventAgeInSeconds"))}}
}

func (g *producer) envelope(topic, message string) ops.Message {
	e := object{"Type": "Notification", "MessageId": g.uuid(), "TopicArn": "arn:aws:sns:eu-west-1:000000000000:" + topic, "Message": message, "Timestamp": g.time(), "SignatureVersion": "1",
		"Signature": g.token(80) + "==", "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" + g.hex(32) + ".pem", "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + g.uuid()}
	if g.chance(0.5) {
		e["Subject"] = "price change"
	}
	if g.chance(0.3) {
		e["MessageAttributes"] = object{"tenant": object{"Type": "String", "Value": g.name()}}
	}
	return ops.Message{Body: js(e)}
}

// pointer is what a stream mapping sends when it gives up a batch.
func (g *producer) pointer(fn, info, stream string) ops.Message {
	from := "4966" + strconv.Itoa(1_000_000+g.IntN(9_000_000)) + strings.Repeat("0", 45)
	return ops.Message{Body: js(object{"requestContext": object{"requestId": g.uuid(), "functionArn": function(fn), "condition": "RetryAttemptsExhausted", "approximateInvokeCount": g.n(5)},
		"responseContext": object{"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}, "version": "1.0", "timestamp": g.time(),
		info: object{"shardId": fmt.Sprintf("shardId-%012d", g.IntN(8)), "startSequenceNumber": from, "endSequenceNumber": from, "approximateArrivalOfFirstRecord": g.time(), "approximateArrivalOfLastRecord": g.time(), "batchSize": g.n(100), "streamArn": stream}})}
}

func (g *producer) shopOrder() object {
	items := []any{}
	for range g.n(3) {
		item := object{"sku": fmt.Sprintf("MUG-%03d", g.n(999)), "qty": g.n(3), "price": float64(g.n(9000)) / 100}
		items = append(items, item)
	}
	return object{"orderId": g.order(), "customer": "c-" + g.hex(5), "placedAt": g.time(), "currency": "EUR", "total": float64(g.n(30000)) / 100, "items": items,
		"shipTo": object{"street": "Mill Lane " + strconv.Itoa(g.n(99)), "zip": strconv.Itoa(10000 + g.IntN(80000)), "city": g.of("Utrecht", "Lyon"), "country": g.of("NL", "FR")}}
}

func (g *producer) stored(queue string, body any) ops.Message {
	return ops.Message{Body: js(body), System: source(queue)}
}

// producers is THE list of causes.
var producers = []struct {
	cause string
	make  func(g *producer) ops.Message
}{
	// Lambda's dead-letter queue: the event as it came, one line of text.
	{"thumbnails cannot read HEIC", func(g *producer) ops.Message {
		key := g.photo(".heic")
		return g.deadLetter(g.s3Body("ObjectCreated:Put", "shop-uploads", key), "200", "cannot decode "+key+": unknown image format heic")
	}},
	{"thumbnails of cut uploads", func(g *producer) ops.Message {
		key := g.photo("-partial.jpg")
		return g.deadLetter(g.s3Body(g.of("ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload"), "shop-uploads", key), "200", fmt.Sprintf("cannot decode %s: unexpected EOF after %d bytes", key, g.n(65536)))
	}},
	{"function timed out", func(g *producer) ops.Message {
		return g.deadLetter(js(g.orderEvent()), "200", fmt.Sprintf("%s %s Task timed out after %d.%02d seconds", g.time(), g.uuid(), g.of("3", "30")[0]-'0', g.IntN(99)))
	}},
	{"function out of memory", func(g *producer) ops.Message {
		return g.deadLetter(js(g.orderEvent()), "200", "RequestId: "+g.uuid()+" Error: Runtime exited with error: signal: killed")
	}},
	{"function exits with status 2", func(g *producer) ops.Message {
		return g.deadLetter(js(g.orderEvent()), "200", "RequestId: "+g.uuid()+" Error: Runtime exited with error: exit status 2")
	}},
	{"invocations throttled", func(g *producer) ops.Message { return g.deadLetter(js(g.orderEvent()), "429", "Rate Exceeded.") }},
	{"error as JSON in the attribute", func(g *producer) ops.Message {
		return g.deadLetter(js(g.orderEvent()), "200", js(g.python("ValueError", "could not convert string to float: '"+strconv.Itoa(g.n(900))+",50'", "/var/task/app/handler.py handler", "/var/task/app/money.py parse")))
	}},

	// Lambda destinations, Python.
	{"python: no zip in place()", func(g *producer) ops.Message {
		return g.destination("orders-worker", g.python("KeyError", "'zip'", "/var/task/app/handler.py handler", "/var/task/app/orders.py place"), g.orderEvent())
	}},
	{"python: no total in place()", func(g *producer) ops.Message {
		return g.destination("orders-worker", g.python("KeyError", "'total'", "/var/task/app/handler.py handler", "/var/task/app/orders.py place"), g.orderEvent())
	}},
	{"python: no zip in label()", func(g *producer) ops.Message {
		return g.destination("orders-worker", g.python("KeyError", "'zip'", "/var/task/app/handler.py handler", "/var/task/app/labels.py label"), g.orderEvent())
	}},
	{"python: no zip in place() of another function", func(g *producer) ops.Message {
		return g.destination("returns-worker", g.python("KeyError", "'zip'", "/var/task/app/handler.py handler", "/var/task/app/orders.py place"), g.orderEvent())
	}},
	{"python: not JSON", func(g *producer) ops.Message {
		return g.destination("orders-worker", g.python("JSONDecodeError", fmt.Sprintf("Expecting value: line 1 column %d (char %d)", g.n(900), g.n(900)), "/var/task/app/handler.py handler", "/var/lang/lib/python3.12/json/__init__.py loads", "/var/lang/lib/python3.12/json/decoder.py raw_decode"), "x"+g.token(6))
	}},
	{"python: payment service does not answer", func(g *producer) ops.Message {
		m := fmt.Sprintf("HTTPSConnectionPool(host='pay.example.com', port=443): Max retries exceeded with url: /v1/charges/%s?key=%s (Caused by ConnectTimeoutError(<urllib3.connection.HTTPSConnection object at 0x7f%s>, 'Connection to pay.example.com timed out. (connect timeout=%d)'))", g.uuid(), g.token(12), g.hex(10), g.n(9))
		return g.destination("charge", g.python("ConnectTimeout", m, "/var/task/app/charge.py charge", "/opt/python/requests/adapters.py send"), g.orderEvent())
	}},
	{"python: no such customer", func(g *producer) ops.Message {
		return g.destination("mailer", g.python("LookupError", "no customer called '"+g.name()+"' in segment gold", "/var/task/app/mail.py greet"), g.orderEvent())
	}},

	// Node.
	{"node: no email", func(g *producer) ops.Message {
		return g.destination("notify", g.node("TypeError", "Cannot read properties of undefined (reading 'email')", "Runtime.handler file:///var/task/index.mjs"), g.orderEvent())
	}},
	{"node: no phone", func(g *producer) ops.Message {
		return g.destination("notify", g.node("TypeError", "Cannot read properties of undefined (reading 'phone')", "Runtime.handler file:///var/task/index.mjs"), g.orderEvent())
	}},
	{"node: CRM answers 404", func(g *producer) ops.Message {
		return g.destination("crm-sync", g.node("AxiosError", "Request failed with status code 404", "settle /var/task/node_modules/axios/dist/node/axios.cjs", "push /var/task/src/crm.js"), g.orderEvent())
	}},
	{"node: CRM answers 500", func(g *producer) ops.Message {
		return g.destination("crm-sync", g.node("AxiosError", "Request failed with status code 500", "settle /var/task/node_modules/axios/dist/node/axios.cjs", "push /var/task/src/crm.js"), g.orderEvent())
	}},
	{"node: database refuses", func(g *producer) ops.Message {
		return g.destination("crm-sync", g.node("Error", fmt.Sprintf("connect ECONNREFUSED %s:5432", g.ip()), "TCPConnectWrap.afterConnect node:net", "query /var/task/src/db.js"), g.orderEvent())
	}},
	{"node: customer exists", func(g *producer) ops.Message {
		return g.destination("crm-sync", g.node("Error", fmt.Sprintf("duplicate key value violates unique constraint \"customers_email_key\" Key (email)=(%s) already exists.", g.email()), "/var/task/src/db.js"), g.orderEvent())
	}},

	// Java.
	{"java: no address", func(g *producer) ops.Message {
		return g.destination("invoices", g.java("java.lang.NullPointerException", `Cannot invoke "com.shop.Address.zip()" because the return value of "com.shop.Order.address()" is null`, "com.shop.invoice.Handler.lambda$handle$"+strconv.Itoa(g.IntN(3)), "com.shop.invoice.Handler.handle", "java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke"), g.orderEvent())
	}},
	{"java: no tax id", func(g *producer) ops.Message {
		return g.destination("invoices", g.java("java.lang.NullPointerException", `Cannot invoke "String.length()" because "taxId" is null`, "com.shop.invoice.Tax.check", "com.shop.invoice.Handler.handle"), g.orderEvent())
	}},
	{"java: invoice number taken", func(g *producer) ops.Message {
		return g.destination("invoices", g.java("org.springframework.dao.DuplicateKeyException", fmt.Sprintf("could not execute statement [ERROR: duplicate key value violates unique constraint \"invoice_no\" Detail: Key (no)=(INV-%05d) already exists.]", g.n(99999)), "org.springframework.orm.jpa.HibernateExceptionTranslator.convert", "com.shop.invoice.Repository$$SpringCGLIB$$"+strconv.Itoa(g.IntN(2))+".save", "com.shop.invoice.Handler.handle"), g.orderEvent())
	}},
	{"java: tax service slow", func(g *producer) ops.Message {
		return g.destination("invoices", g.java("java.net.SocketTimeoutException", "Read timed out", "java.base/sun.nio.ch.NioSocketImpl.timedRead", "com.shop.invoice.TaxClient.rate", "com.shop.invoice.Handler.handle"), g.orderEvent())
	}},
	{"java: Oracle login", func(g *producer) ops.Message {
		return g.destination("invoices", g.java("java.sql.SQLException", "ORA-01017: invalid username/password; logon denied", "oracle.jdbc.driver.T4CTTIoer11.processError", "com.shop.invoice.Repository.open"), g.orderEvent())
	}},
	{"java: Oracle tablespace", func(g *producer) ops.Message {
		return g.destination("invoices", g.java("java.sql.SQLException", "ORA-01653: unable to extend table SHOP.INVOICES by 8192 in tablespace USERS", "oracle.jdbc.driver.T4CTTIoer11.processError", "com.shop.invoice.Repository.open"), g.orderEvent())
	}},

	// Go.
	{"go: no zip", func(g *producer) ops.Message {
		return g.destination("ship", g.golang("errorString", "order "+g.order()+": shipTo.zip is missing"), g.orderEvent())
	}},
	{"go: no amount", func(g *producer) ops.Message {
		return g.destination("ship", g.golang("wrapError", "payment pay-"+g.hex(8)+" has no amount"), g.orderEvent())
	}},
	{"go: index out of range", func(g *producer) ops.Message {
		return g.destination("ship", g.golang("boundsError", fmt.Sprintf("runtime error: index out of range [%d] with length %d", g.n(9), g.n(9)), "goPanicIndex runtime/panic.go", "cut main.go", "Handler main.go"), g.orderEvent())
	}},
	{"go: duplicate in MongoDB", func(g *producer) ops.Message {
		return g.destination("ship", g.golang("WriteException", fmt.Sprintf("write exception: write errors: [E11000 duplicate key error collection: shop.parcels index: _id_ dup key: { _id: \"%s\" }]", g.hex(24))), g.orderEvent())
	}},
	{"go: S3 access denied", func(g *producer) ops.Message {
		return g.destination("ship", g.golang("OperationError", fmt.Sprintf("operation error S3: GetObject, https response error StatusCode: 403, RequestID: %s, HostID: %s, api error AccessDenied: Access Denied", strings.ToUpper(g.token(16)), g.token(60))), g.orderEvent())
	}},

	// .NET.
	{".NET: no lines", func(g *producer) ops.Message {
		return g.destination("ledger", g.dotnet("NullReferenceException", "Object reference not set to an instance of an object.", "Shop.Ledger.Handler.Sum(Order order)", "Shop.Ledger.Handler.<HandleAsync>d__"+strconv.Itoa(g.n(4))+".MoveNext()"), g.orderEvent())
	}},
	{".NET: no currency", func(g *producer) ops.Message {
		return g.destination("ledger", g.dotnet("NullReferenceException", "Object reference not set to an instance of an object.", "System.Globalization.RegionInfo..ctor(String name)", "Shop.Ledger.Money.Of(String currency)", "Shop.Ledger.Handler.<HandleAsync>d__2.MoveNext()"), g.orderEvent())
	}},
	{".NET: price is a text", func(g *producer) ops.Message {
		return g.destination("ledger", g.dotnet("JsonException", fmt.Sprintf("The JSON value could not be converted to System.Decimal. Path: $.items[%d].price | LineNumber: 0 | BytePositionInLine: %d.", g.IntN(9), g.n(900)), "System.Text.Json.ThrowHelper.ReThrowWithPath(ReadStack& state)", "Shop.Ledger.Handler.Read(Stream body)"), g.orderEvent())
	}},

	{"event too old", func(g *producer) ops.Message {
		m := g.destination("slow-worker", nil, g.orderEvent())
		m.Body = strings.Replace(m.Body, "RetriesExhausted", "EventAgeExceeded", 1)
		m.Body = strings.Replace(m.Body, `"functionError":"Unhandled"`, `"functionError":""`, 1)
		return m
	}},

	// EventBridge.
	{"EventBridge may not invoke", func(g *producer) ops.Message {
		return g.rule("orders-to-crm", function("crm-sync"), "NO_PERMISSIONS", "Access denied to the target.")
	}},
	{"EventBridge may not send", func(g *producer) ops.Message {
		return g.rule("orders-to-stock", "arn:aws:sqs:eu-west-1:000000000000:stock", "NO_PERMISSIONS", "Access denied to the target.")
	}},
	{"EventBridge is throttled", func(g *producer) ops.Message {
		return g.rule("orders-to-crm", function("crm-sync"), "THROTTLING", "Rate exceeded (Service: Lambda, Status Code: 429, Request ID: "+g.uuid()+")")
	}},
	{"Scheduler's function is gone", func(g *producer) ops.Message {
		return ops.Message{Body: js(object{"job": "close-day", "day": g.at.Format("2006-01-02")}), Attributes: map[string]ops.Attribute{"SCHEDULE_ARN": attr("String", "arn:aws:scheduler:eu-west-1:000000000000:schedule/default/close-day"), "TARGET_ARN": attr("String", function("close-day")),
			"EXECUTION_ID": attr("String", g.uuid()), "SCHEDULED_TIME": attr("String", g.at.Format(time.RFC3339)), "ERROR_CODE": attr("String", "ResourceNotFoundException"), "ERROR_MESSAGE": attr("String", "Function not found: "+function("close-day")), "RETRY_ATTEMPTS": attr("Number", "0")}}
	}},

	// Topics and buckets in a queue that expects orders: they do not say why.
	{"price changes in the orders queue", func(g *producer) ops.Message {
		m := g.envelope("price-changes", js(object{"sku": "MUG-" + strconv.Itoa(g.n(999)), "price": g.n(90), "was": g.n(90)}))
		m.System = source("orders")
		return m
	}},
	{"stock changes in the orders queue", func(g *producer) ops.Message {
		m := g.envelope("stock-changes", js(object{"sku": "MUG-" + strconv.Itoa(g.n(999)), "left": g.n(90)}))
		m.System = source("orders")
		return m
	}},
	{"raw notification without a tenant", func(g *producer) ops.Message {
		return ops.Message{Body: js(object{"kind": "mail", "to": g.email(), "template": g.of("welcome", "bye")}), Attributes: map[string]ops.Attribute{"priority": attr("String", g.of("low", "high"))}, System: source("mails")}
	}},
	{"subscription not confirmed", func(g *producer) ops.Message {
		m := g.envelope("price-changes", "You have chosen to subscribe to the topic arn:aws:sns:eu-west-1:000000000000:price-changes.")
		m.Body = strings.Replace(m.Body, `"Type":"Notification"`, `"Type":"SubscriptionConfirmation","Token":"`+g.hex(60)+`"`, 1)
		return m
	}},
	{"uploads in the orders queue", func(g *producer) ops.Message {
		return ops.Message{Body: g.s3Body("ObjectCreated:Put", "shop-uploads", g.photo(".jpg")), System: source("orders")}
	}},
	{"invoices in the orders queue", func(g *producer) ops.Message {
		return ops.Message{Body: g.s3Body("ObjectCreated:Put", "shop-uploads", "invoices/"+strconv.Itoa(g.n(99999))+".pdf"), System: source("orders")}
	}},
	{"removals in the orders queue", func(g *producer) ops.Message {
		return ops.Message{Body: g.s3Body("ObjectRemoved:Delete", "shop-uploads", g.photo(".jpg")), System: source("orders")}
	}},
	{"S3 test event", func(g *producer) ops.Message {
		return ops.Message{Body: js(object{"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": g.time(), "Bucket": "shop-uploads", "RequestId": strings.ToUpper(g.token(16)), "HostId": g.token(60)}), System: source("orders")}
	}},

	// Streams.
	{"ledger gives up a batch", func(g *producer) ops.Message {
		return g.pointer("payments-ledger", "KinesisBatchInfo", "arn:aws:kinesis:eu-west-1:000000000000:stream/payments")
	}},
	{"fraud score gives up a batch", func(g *producer) ops.Message {
		return g.pointer("fraud-score", "KinesisBatchInfo", "arn:aws:kinesis:eu-west-1:000000000000:stream/payments")
	}},
	{"table stream gives up a batch", func(g *producer) ops.Message {
		return g.pointer("search-index", "DDBStreamBatchInfo", "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/2026-01-05T10:11:12.000")
	}},

	// Plain producers behind a redrive policy: only the body can tell.
	{"order without zip", func(g *producer) ops.Message {
		o := g.shopOrder()
		delete(o["shipTo"].(object), "zip")
		return g.stored("orders", o)
	}},
	{"order with a text as total", func(g *producer) ops.Message {
		o := g.shopOrder()
		o["total"] = fmt.Sprintf("%d,%02d", g.n(300), g.IntN(99))
		return g.stored("orders", o)
	}},
	{"order without items", func(g *producer) ops.Message {
		o := g.shopOrder()
		o["items"] = []any{}
		return g.stored("orders", o)
	}},
	{"order without a customer", func(g *producer) ops.Message {
		o := g.shopOrder()
		o["customer"] = nil
		return g.stored("orders", o)
	}},
	{"refund, with three optional fields", func(g *producer) ops.Message {
		o := object{"refundId": "R-" + g.hex(6), "orderId": g.order(), "amount": g.n(900), "at": g.time()}
		for _, f := range []string{"reason", "agent", "ticket"} {
			if g.chance(0.5) {
				o[f] = g.name()
			}
		}
		return g.stored("refunds", o)
	}},
	{"refund in the old format", func(g *producer) ops.Message {
		return g.stored("refunds", object{"id": g.n(99999), "order": g.order(), "cents": g.n(90000), "version": 1})
	}},
	{"stock count: a map by article", func(g *producer) ops.Message {
		counts := object{}
		for range g.n(6) {
			counts[fmt.Sprintf("SKU-%04d", g.n(9999))] = object{"left": g.n(90), "shelf": g.token(4)}
		}
		return g.stored("stock", object{"warehouse": g.of("AMS", "LYS"), "counts": counts})
	}},
	{"sensor line", func(g *producer) ops.Message {
		return ops.Message{Body: fmt.Sprintf("%s;%s;%d.%d;%s", g.time(), g.of("boiler", "door", "fan"), g.n(99), g.n(9), g.of("ok", "warn")), System: source("sensors")}
	}},
	{"log line of the importer", func(g *producer) ops.Message {
		return ops.Message{Body: fmt.Sprintf("Import of %s failed for %s", g.order(), g.name()), System: source("imports")}
	}},
	{"logfmt of the importer", func(g *producer) ops.Message {
		return ops.Message{Body: fmt.Sprintf("level=%s order=%s took=%dms user=%s", g.of("error", "warn"), g.order(), g.n(900), g.name()), System: source("imports")}
	}},
	{"XML order of a partner", func(g *producer) ops.Message {
		return ops.Message{Body: fmt.Sprintf("<?xml version=\"1.0\"?>\n<Order id=\"%s\"><Total>%d</Total></Order>", g.order(), g.n(900)), System: source("partners")}
	}},
	{"order that was cut off", func(g *producer) ops.Message {
		body := js(g.shopOrder())
		return ops.Message{Body: body[:len(body)/2+g.IntN(len(body)/3)], System: source("orders")}
	}},
	{"event of a wide schema", func(g *producer) ops.Message {
		o := object{"type": "audit"}
		for i := range 30 {
			o["field_"+string(rune('a'+i%26))+strings.Repeat("x", i/26)] = g.n(9)
		}
		return g.stored("audit", o)
	}},
}

func TestCorpusIsWhatTheProducersMake(t *testing.T) {
	var made bytes.Buffer
	for _, l := range corpus(corpusSeed, corpusSize) {
		made.WriteString(js(l))
		made.WriteByte('\n')
	}
	const path = "testdata/corpus.jsonl"
	if *writeCorpus {
		if err := os.WriteFile(path, made.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, made.Bytes()) {
		t.Fatalf("%s is not what the producers make; write it anew with go test ./ops/dlq -run Corpus -write-corpus", path)
	}
	causes := map[string]int{}
	for _, l := range readCorpus(t) {
		causes[l.Cause]++
	}
	if len(causes) != len(producers) || len(causes) < 40 {
		t.Errorf("%d causes in the file, %d producers, want the same and at least 40", len(causes), len(producers))
	}
	for cause, n := range causes {
		if n < 2 {
			t.Errorf("%s: only %d", cause, n)
		}
	}
}

func readCorpus(t testing.TB) []labelled {
	data, err := os.ReadFile("testdata/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out []labelled
	for line := range bytes.Lines(data) {
		var l labelled
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

// pairs counts pairs of messages: put together rightly, put together, and belonging together.
func pairs(truth, got []string) (right, together, belong float64) {
	both, t, g := map[[2]string]float64{}, map[string]float64{}, map[string]float64{}
	for i := range truth {
		both[[2]string{truth[i], got[i]}]++
		t[truth[i]]++
		g[got[i]]++
	}
	choose := func(n float64) float64 { return n * (n - 1) / 2 }
	for _, n := range both {
		right += choose(n)
	}
	for _, n := range g {
		together += choose(n)
	}
	for _, n := range t {
		belong += choose(n)
	}
	return right, together, belong
}

func f1(truth, got []string) float64 {
	right, together, belong := pairs(truth, got)
	if right == 0 {
		return 0
	}
	precision, recall := right/together, right/belong
	return 2 * precision * recall / (precision + recall)
}

// groupOf says for each letter the key of its group.
func groupOf(letters []ops.Letter) []string {
	name := map[string]string{}
	for _, g := range Groups(letters) {
		for _, k := range g.Keys {
			name[k] = g.Cause.Key
		}
	}
	out := make([]string, len(letters))
	for i, l := range letters {
		out[i] = name[l.Cause.Key]
	}
	return out
}

func lettersOf(messages []labelled) (letters []ops.Letter, truth []string) {
	known := newCauses()
	for _, l := range messages {
		letters = append(letters, readMessage(l.Message, known))
		truth = append(truth, l.Cause)
	}
	return letters, truth
}

func distinct(words []string) int {
	return len(slices.Compact(slices.Sorted(slices.Values(words))))
}

// exact is what grouping by the very text would give: what peers do.
func exact(l labelled, letter ops.Letter) string {
	for _, name := range []string{"ErrorMessage", "ERROR_MESSAGE"} {
		if a, ok := l.Message.Attributes[name]; ok {
			return a.Text
		}
	}
	var d struct {
		ResponsePayload struct{ ErrorType, ErrorMessage string }
	}
	if json.Unmarshal([]byte(l.Message.Body), &d) == nil && d.ResponsePayload.ErrorMessage != "" {
		return d.ResponsePayload.ErrorType + d.ResponsePayload.ErrorMessage
	}
	return l.Message.Body
}

func TestGroupsFindTheTrueCauses(t *testing.T) {
	for name, messages := range map[string][]labelled{"as shipped": readCorpus(t), "ten times as many, another seed": corpus(7, 10*corpusSize)} {
		letters, truth := lettersOf(messages)
		got := groupOf(letters)
		score, groups, causes := f1(truth, got), distinct(got), distinct(truth)
		var texts []string
		for i, l := range messages {
			texts = append(texts, exact(l, letters[i]))
		}
		t.Logf("%s: pairwise F1 %.4f with %d groups for %d causes; exact-string grouping: F1 %.4f with %d groups", name, score, groups, causes, f1(truth, texts), distinct(texts))
		if score < 0.95 || float64(groups) > 1.2*float64(causes) || float64(causes) > 1.2*float64(groups) {
			t.Errorf("%s: F1 %.4f, want at least 0.95; %d groups for %d causes, want within a factor of 1.2\n%s", name, score, groups, causes, mistakes(truth, got, letters))
		} else if testing.Verbose() {
			t.Log(mistakes(truth, got, letters))
		}
	}
}

// mistakes lists the groups that mix causes and the causes that are torn apart.
func mistakes(truth, got []string, letters []ops.Letter) string {
	mixed, torn := map[string]map[string]int{}, map[string]map[string]int{}
	titles := map[string]string{}
	for i := range truth {
		if mixed[got[i]] == nil {
			mixed[got[i]] = map[string]int{}
		}
		if torn[truth[i]] == nil {
			torn[truth[i]] = map[string]int{}
		}
		mixed[got[i]][truth[i]]++
		torn[truth[i]][got[i]]++
		titles[got[i]] = letters[i].Cause.Title
	}
	var b strings.Builder
	for _, k := range sortedKeys(mixed) {
		if len(mixed[k]) > 1 {
			fmt.Fprintf(&b, "mixed %s: %v\n", k, mixed[k])
		}
	}
	for _, c := range sortedKeys(torn) {
		if len(torn[c]) > 1 {
			fmt.Fprintf(&b, "torn %s: %v\n", c, torn[c])
			for _, k := range sortedKeys(torn[c])[:min(len(torn[c]), 4)] {
				fmt.Fprintf(&b, "     %s\n", titles[k])
			}
		}
	}
	return b.String()
}

// The same pile gives the same groups, in whatever order it was read; and a letter's
// key is the same alone.
func TestKeysDoNotDependOnOrderOrCompany(t *testing.T) {
	messages := readCorpus(t)
	letters, _ := lettersOf(messages)
	want := Groups(letters)
	shuffled := slices.Clone(messages)
	rand.New(rand.NewPCG(3, 3)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	again, _ := lettersOf(shuffled)
	if d := cmp.Diff(want, Groups(again)); d != "" {
		t.Errorf("another order, other groups:\n%s", d)
	}
	for i, l := range messages[:100] {
		alone := readMessage(l.Message, newCauses())
		if alone.Cause.Key != letters[i].Cause.Key {
			t.Errorf("%s: key %s alone, %s in company", l.Cause, alone.Cause.Key, letters[i].Cause.Key)
		}
	}
}

func newProducerFor(t testing.TB) *producer {
	t.Helper()
	return &producer{Rand: rand.New(rand.NewPCG(17, 1)), at: time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)}
}
