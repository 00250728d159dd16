package sandbox

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// What the shop's messages look like, and what its functions make of them.
// People, goods and addresses are invented.

type product struct {
	sku, title string
	price      float64
}

var products = []product{
	{"MUG-201", "Enamel mug", 14.20}, {"LAMP-07", "Desk lamp, brass", 89.00}, {"TEA-330", "Green tea 250 g", 11.50},
	{"BAG-118", "Canvas bag", 24.90}, {"BOOK-54", "Field guide to birds", 19.95}, {"KNIFE-3", "Paring knife", 32.00},
	{"RUG-880", "Wool rug 140x200", 219.00}, {"CLOCK-12", "Wall clock", 47.50}, {"VASE-61", "Stoneware vase", 38.40},
}

type address struct {
	Street  string `json:"street"`
	Zip     string `json:"zip,omitempty"`
	City    string `json:"city"`
	Country string `json:"country"`
}

var addresses = []address{
	{"Kanaalweg 14", "3526 KL", "Utrecht", "NL"}, {"Lindenallee 3", "20259", "Hamburg", "DE"}, {"Rue du Moulin 28", "69004", "Lyon", "FR"},
	{"Calle Olivo 9", "41003", "Sevilla", "ES"}, {"Skovvej 51", "8000", "Aarhus", "DK"}, {"Mill Lane 6", "CB1 2HX", "Cambridge", "GB"},
}

type orderItem struct {
	SKU   string  `json:"sku"`
	Count int     `json:"qty"`
	Price float64 `json:"price"`
}

type order struct {
	ID       string      `json:"orderId"`
	Customer string      `json:"customer"`
	Placed   string      `json:"placedAt"`
	Currency string      `json:"currency"`
	Total    float64     `json:"total"`
	Items    []orderItem `json:"items"`
	ShipTo   address     `json:"shipTo"`
}

func cents(x float64) float64 { return math.Round(x*100) / 100 }

func (st *stage) order() order {
	rng := st.r.rng
	o := order{
		ID: fmt.Sprintf("A-%06d", 100000+rng.IntN(900000)), Customer: fmt.Sprintf("c-%05d", rng.IntN(90000)),
		Placed: lambdaTime(st.r.now()), Currency: "EUR", ShipTo: addresses[rng.IntN(len(addresses))],
	}
	for range 1 + rng.IntN(3) {
		p := products[rng.IntN(len(products))]
		item := orderItem{p.sku, 1 + rng.IntN(2), p.price}
		o.Items = append(o.Items, item)
		o.Total = cents(o.Total + float64(item.Count)*item.Price)
	}
	return o
}

func (o order) json() string { return string(mustJSON(o)) }

// withCommaTotal is the order as a faulty client in a country with decimal commas
// sends it: the total is a string.
func (o order) withCommaTotal() string {
	number := fmt.Sprintf("%q:%s", "total", mustJSON(o.Total))
	comma := fmt.Sprintf("%q:%q", "total", strings.Replace(fmt.Sprintf("%.2f", o.Total), ".", ",", 1))
	return strings.Replace(o.json(), number, comma, 1)
}

// withoutZip is the order of a guest checkout that forgot a field.
func (o order) withoutZip() string {
	o.ShipTo.Zip = ""
	return o.json()
}

// takeOrder is what the function orders-worker does with one message.
func takeOrder(body string) error {
	if strings.HasPrefix(body, `{"orderId":"A-`) && strings.Contains(body, `"zip":`) && !strings.Contains(body, `"total":"`) {
		return nil // what nearly all look like: three hours of them have to pass in a moment
	}
	var o order
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		return fmt.Errorf("order cannot be read: %w", err)
	}
	switch {
	case o.ID == "":
		return errors.New("not an order: orderId is missing")
	case o.ShipTo.Zip == "":
		return fmt.Errorf("order %s: shipTo.zip is missing", o.ID)
	}
	return nil
}

// takeOrderWithAnyTotal is orders-worker after its fix: a total may be a text with
// a decimal comma.
func takeOrderWithAnyTotal(body string) error {
	before, text, ok := strings.Cut(body, `"total":"`)
	if !ok {
		return takeOrder(body)
	}
	total, after, _ := strings.Cut(text, `"`)
	if _, err := strconv.ParseFloat(strings.Replace(total, ",", ".", 1), 64); err != nil {
		return fmt.Errorf("order cannot be read: total %q", total)
	}
	return takeOrder(before + `"total":0` + after)
}

// unpack reads the batch out of the event when the call does not come from a
// mapping: somebody invoked the function by hand, with the event of one.
func (c *functionCall) unpack() {
	if c.messages != nil || c.records != nil {
		return
	}
	var e struct {
		Records []struct {
			MessageID string `json:"messageId"`
			Body      string
			Kinesis   *struct {
				SequenceNumber, PartitionKey string
				Data                         []byte
			}
		}
	}
	if json.Unmarshal(c.event(), &e) != nil {
		return // not the event of a mapping
	}
	for _, r := range e.Records {
		if r.Kinesis != nil {
			c.records = append(c.records, streamRecord{Sequence: r.Kinesis.SequenceNumber, Key: r.Kinesis.PartitionKey, Data: r.Kinesis.Data})
		} else {
			c.messages = append(c.messages, queueMessage{ID: r.MessageID, Body: r.Body})
		}
	}
}

// eachMessage is the code of a queue worker with partial batch responses.
func eachMessage(take func(body string) error) func(*functionCall) ([]byte, error) {
	return func(c *functionCall) ([]byte, error) {
		if c.unpack(); len(c.messages) == 0 {
			return nil, &FunctionError{Type: "KeyError", Message: "'Records'"}
		}
		var failures []string
		for i := range c.messages {
			if take(c.messages[i].Body) != nil {
				failures = append(failures, fmt.Sprintf(`{"itemIdentifier":%q}`, c.messages[i].ID))
			}
		}
		if failures == nil {
			return nil, nil
		}
		return []byte(`{"batchItemFailures":[` + strings.Join(failures, ",") + `]}`), nil
	}
}

func (st *stage) payment(orderID string, amount float64) string {
	b := make([]byte, 0, 160)
	b = st.id(append(b, `{"paymentId":"pay-`...))
	b = append(append(b, `","orderId":"`...), orderID...)
	b = strconv.AppendFloat(append(b, `","amount":`...), amount, 'f', -1, 64)
	b = append(append(b, `,"currency":"EUR","method":"`...), oneOf(st, "card", "card", "card", "ideal", "paypal", "invoice")...)
	return string(st.stamp(b, "}"))
}

// bookPayments is the function payments-ledger: one record that it cannot book
// fails the whole batch.
func bookPayments(c *functionCall) ([]byte, error) {
	c.unpack()
	for i := range c.records {
		data := string(c.records[i].Data)
		if !strings.Contains(data, `"amount":null`) {
			continue
		}
		_, rest, _ := strings.Cut(data, `"paymentId":"`)
		id, _, _ := strings.Cut(rest, `"`)
		return nil, &FunctionError{Type: "LedgerError", Message: "payment " + id + " has no amount",
			Trace: []string{"ledger.book (/var/task/ledger.go:88)", "main.handle (/var/task/main.go:41)"}}
	}
	return nil, nil
}

// scorePayments is the function fraud-score.
func scorePayments(c *functionCall) ([]byte, error) {
	c.unpack()
	for i := range c.records {
		if strings.Contains(string(c.records[i].Data), `"currency":"XBT"`) {
			return nil, &FunctionError{Type: "KeyError", Message: "no exchange rate for XBT"}
		}
	}
	return nil, nil
}

var pages = []string{"/", "/search", "/cart", "/checkout", "/p/mug-201", "/p/lamp-07", "/p/tea-330", "/p/rug-880", "/account"}

// The events that come by the ten thousand are put together without fmt.

// id appends eight random hexadecimal digits.
func (st *stage) id(b []byte) []byte {
	return hex.AppendEncode(b, binary.BigEndian.AppendUint32(nil, st.r.rng.Uint32()))
}

// stamp ends an event with the time.
func (st *stage) stamp(b []byte, end string) []byte {
	b = append(b, `","at":"`...)
	b = st.r.now().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	return append(append(b, '"'), end...)
}

func (st *stage) click() (session string, body []byte) {
	session = "s" + strconv.FormatInt(int64(100000+st.r.rng.IntN(4000)*193), 16)
	b := make([]byte, 0, 128)
	b = append(append(b, `{"session":"`...), session...)
	b = append(append(b, `","page":"`...), pages[st.r.rng.IntN(len(pages))]...)
	b = strconv.AppendInt(append(b, `","ms":`...), int64(40+st.r.rng.IntN(400)), 10)
	b = append(append(b, `,"device":"`...), oneOf(st, "phone", "phone", "desktop", "tablet")...)
	return session, st.stamp(b, "}\n")
}

func (st *stage) auditEvent() []byte {
	b := make([]byte, 0, 128)
	b = strconv.AppendInt(append(b, `{"actor":"u-`...), int64(1000+st.r.rng.IntN(2000)), 10)
	b = append(append(b, `","action":"`...), oneOf(st, "order.read", "order.refund", "customer.read", "price.change", "login")...)
	b = strconv.AppendInt(append(b, `","object":"order/A-`...), int64(100000+st.r.rng.IntN(900000)), 10)
	b = strconv.AppendInt(append(b, `","from":"10.12.7.`...), int64(st.r.rng.IntN(256)), 10)
	return st.stamp(b, "}\n")
}

// makeThumbnails is the function thumbnails: S3 calls it for every upload.
func makeThumbnails(readsHEIC bool) func(*functionCall) ([]byte, error) {
	return func(c *functionCall) ([]byte, error) {
		var e struct {
			Records []struct {
				S3 struct{ Object struct{ Key string } }
			}
		}
		if err := json.Unmarshal(c.event(), &e); err != nil {
			return nil, fmt.Errorf("event cannot be read: %w", err)
		}
		for _, r := range e.Records {
			switch key := r.S3.Object.Key; {
			case !readsHEIC && strings.HasSuffix(key, ".heic"):
				return nil, &FunctionError{Type: "UnsupportedImage", Message: "cannot decode " + key + ": unknown image format heic",
					Trace: []string{"image.Decode (/var/task/image.go:27)", "main.handle (/var/task/main.go:19)"}}
			case strings.Contains(key, "-partial"):
				return nil, &FunctionError{Type: "UnexpectedEOF", Message: "cannot decode " + key + ": unexpected EOF after 16384 bytes",
					Trace: []string{"image.Decode (/var/task/image.go:31)", "main.handle (/var/task/main.go:19)"}}
			}
		}
		return nil, nil
	}
}

func (st *stage) photo() string {
	return fmt.Sprintf("photos/%s/%s-%08x", st.r.now().Format("2006-01-02"), oneOf(st, "img", "dsc", "pxl"), st.r.rng.Uint32())
}

func (st *stage) invoice() string {
	return fmt.Sprintf(`{"invoice":"INV-%05d","orderId":"A-%06d","email":"customer-%05d@example.com","amount":%s,"due":%q}`,
		10000+st.r.rng.IntN(80000), 100000+st.r.rng.IntN(900000), st.r.rng.IntN(90000), mustJSON(cents(10+300*st.r.rng.Float64())),
		st.r.now().AddDate(0, 0, 14).Format("2006-01-02"))
}

// busy is the shop's daily rhythm around 1: more in the evening, and waves.
func busy(t time.Time) float64 {
	day := float64(t.Hour())*3600 + float64(t.Minute())*60 + float64(t.Second())
	return 1 + 0.25*math.Sin(2*math.Pi*(day/86400-0.5)) + 0.12*math.Sin(day/700) + 0.05*math.Sin(day/97)
}

func perSecond(n float64) func(time.Time) float64 {
	return func(t time.Time) float64 { return n * busy(t) }
}
