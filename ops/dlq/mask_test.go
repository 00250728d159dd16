package dlq

import "testing"

func TestMaskKeepsTheWordsAndTheCodes(t *testing.T) {
	for text, want := range map[string]string{
		"cannot decode photos/2026-11-23/img-0a1b2c3d.heic: unknown image format heic":  "cannot decode photos/<id>.heic: unknown image format heic",
		"order A-123456: shipTo.zip is missing":                                         "order A-<id>: shipTo.zip is missing",
		"payment pay-0a1b2c3d has no amount":                                            "payment pay-<id> has no amount",
		"no exchange rate for XBT":                                                      "no exchange rate for XBT",
		"'zip'":                                                                         "'zip'",
		"Cannot read properties of undefined (reading 'zip')":                           "Cannot read properties of undefined (reading 'zip')",
		"Task timed out after 3.00 seconds":                                             "Task timed out after <n> seconds",
		"Task timed out after 30.00 seconds":                                            "Task timed out after <n> seconds",
		"2026-11-23T10:42:07.123Z 0f8fad5b-d9cb-469f-a165-70867728950e Task timed out":  "<time> <id> Task timed out",
		"at 2026-11-23 10:42:07 it broke":                                               "at <time> it broke",
		"Request failed with status code 404":                                           "Request failed with status code 404",
		"HTTP 503 from https://api.example.com/v1/orders/77123?key=5":                   "HTTP 503 from https://api.example.com/v1/orders/<id>",
		"connect ECONNREFUSED 10.0.3.17:5432":                                           "connect ECONNREFUSED <ip>",
		`duplicate key value violates unique constraint "orders_pkey" Key (id)=(99123)`: `duplicate key value violates unique constraint "orders_pkey" Key (id)=(<n>)`,
		"ORA-01017: invalid username/password; logon denied":                            "ORA-01017: invalid username/password; logon denied",
		"E11000 duplicate key error dup key: { _id: \"64b2\" }":                         "E11000 duplicate key error dup key: { _id: \"<…>\" }",
		"User anna.b+1@example.com not found":                                           "User <email> not found",
		"arn:aws:lambda:eu-west-1:123456789012:function:thumbs:7 is not authorized":     "arn:aws:lambda:eu-west-1:<n>:function:thumbs:<id> is not authorized",
		"can't parse 12 of 3 items":                                                     "can't parse <n> of <n> items",
		"object size 52,428,800 exceeds 10MB":                                           "object size <n> exceeds <n>",
		"worker12 lost lease 0x7f3a":                                                    "worker<n> lost lease <n>",
		"":                                                                              "",
	} {
		if got := mask(text); got != want {
			t.Errorf("%q\n got  %q\n want %q", text, got, want)
		}
	}
}

func TestFirstOwnFrame(t *testing.T) {
	for _, c := range []struct {
		name  string
		stack []string
		want  string
	}{
		{"go", []string{"image.Decode (/var/task/image.go:27)", "main.handle (/var/task/main.go:19)"}, "image.go image.Decode"},
		{"python", []string{"  File \"/var/lang/lib/python3.12/json/decoder.py\", line 355, in raw_decode\n    raise", "  File \"/var/task/app/orders.py\", line 31, in place\n    json.loads(x)"}, "orders.py place"},
		{"node", []string{"TypeError: x", "    at JSON.parse (<anonymous>)", "    at parseBody (/var/task/node_modules/body/index.js:3:1)", "    at Runtime.handler (file:///var/task/index.mjs:10:22)", "    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)"}, "index.mjs Runtime.handler"},
		{"node without a name", []string{"    at /var/task/src/a.js:1:2"}, "a.js ?"},
		{"java", []string{"java.base/java.util.Objects.requireNonNull(Objects.java:233)", "com.shop.orders.Handler.lambda$handle$0(Handler.java:41)", "com.shop.orders.Handler.handle(Handler.java:20)"}, "com.shop.orders.Handler.handle"},
		{".NET", []string{"   at System.Text.Json.JsonSerializer.Deserialize[T](String json)", "   at Shop.Orders.Handler.<HandleAsync>d__4.MoveNext() in /src/Handler.cs:line 52"}, "Shop.Orders.Handler.HandleAsync"},
		{"only libraries", []string{"   at System.String.Substring(Int32 a)"}, "System.String.Substring"},
		{"no frames", []string{"something went wrong"}, ""},
	} {
		if got := firstOwn(c.stack, nil); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
