package sandbox

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"kxops/ops"
)

// The incident's times, before the door opens.
const (
	incidentHistory = 22 * time.Hour
	poisoned        = 21*time.Hour + 30*time.Minute // payments-ledger meets a record it cannot book
	refundsEnded    = 13 * time.Hour                // the last refund: the queue sleeps since seven hours
	wrongTotals     = 2*time.Hour + 10*time.Minute  // an app release sends totals as text
	wrongTopic      = 95 * time.Minute              // a topic was subscribed to the wrong queue
	newPhotos       = 70 * time.Minute              // another app release uploads HEIC photos
	roleDenied      = 40 * time.Minute              // the role of audit-to-s3 lost its rights
	roleBlocked     = 25 * time.Minute              // … and Firehose stopped trying to be fresh
)

// What the shop's teams repair while somebody looks, after the door opened. From
// then on a redrive helps: before, the same letters come back.
const (
	totalsFixed = 2 * time.Minute // orders-worker reads totals with a comma; orders without zip still fail
	photosFixed = 3 * time.Minute // thumbnails reads HEIC; partial uploads still fail
)

// incident is the same shop on a bad day. What loses data first is the stream
// payments: its ledger function fails on one record for almost a day, so that the
// record, and all behind it, will be trimmed in two and a half hours.
func incident(st *stage) {
	p := st.payments()
	st.arrivals(func(t time.Time) float64 {
		if t.Before(st.open.Add(-shopHistory)) {
			return 0.1 * busy(t)
		}
		return 0 // the shop's own orders pay from here on
	}, func() {
		p.stream.send("night", []byte(st.payment(fmt.Sprintf("A-%06d", 100000+st.r.rng.IntN(900000)), cents(10+200*st.r.rng.Float64()))))
	})
	st.before(poisoned, func() {
		p.stream.send("poison", []byte(strings.Replace(st.payment("A-417720", 1), `"amount":1,`, `"amount":null,`, 1)))
	})
	for i := range 6 { // fraud-score passes over what it cannot read and leaves pointers
		st.before(20*time.Hour-time.Duration(i)*67*time.Minute, func() {
			p.stream.send("coin", []byte(strings.Replace(st.payment(fmt.Sprintf("A-4201%02d", i), 0.0041), `"EUR"`, `"XBT"`, 1)))
		})
	}
	refunds := st.queue("refunds", "MessageRetentionPeriod", fourteenDays)
	st.worker(refunds, func(t time.Time) float64 {
		if t.Before(st.open.Add(-refundsEnded)) {
			return 1.0 / 400
		}
		return 0
	}, st.invoice)
	st.before(shopHistory, func() { st.badDay(p) })
}

// badDay is the shop's part of the incident.
func (st *stage) badDay(p *payments) {
	s := st.shop()
	s.orderPlaced = func(o order) { p.stream.send(o.ID, []byte(st.payment(o.ID, o.Total))) }
	s.badOrder = func(o order) string {
		if st.r.now().Before(st.open.Add(-wrongTotals)) {
			return ""
		}
		switch roll := st.r.rng.IntN(1000); {
		case roll < 7:
			return o.withCommaTotal()
		case roll < 10:
			return o.withoutZip()
		}
		return ""
	}
	st.before(wrongTopic, func() { st.wrongSubscription(s) })
	st.before(newPhotos, func() {
		s.upload = func() string {
			switch roll := st.r.rng.IntN(100); {
			case roll < 22:
				return st.photo() + ".heic"
			case roll < 28:
				return st.photo() + "-partial.jpg"
			}
			return st.photo() + ".jpg"
		}
	})
	st.afterOpening(totalsFixed, func() { st.deploy("orders-worker", eachMessage(takeOrderWithAnyTotal)) })
	st.afterOpening(photosFixed, func() { st.deploy("thumbnails", makeThumbnails(true)) })
	st.before(roleDenied, func() {
		s.audit.freshWhileBlocked = true
		firehoseIn(st.r).denied[st.role("audit-to-s3")] = true
	})
	st.before(roleBlocked, func() { s.audit.freshWhileBlocked = false })
	_, dead := st.invoices()
	st.oldInvoices(dead)
	st.alarms()
	act[cloudwatch.PutCompositeAlarmOutput](st, "cloudwatch", "PutCompositeAlarm", &cloudwatch.PutCompositeAlarmInput{
		AlarmName: aws.String("shop loses data"), AlarmDescription: aws.String("One of the two that finance cares about."),
		AlarmRule:    aws.String(`ALARM("payments iterator age") OR ALARM("clicks freshness")`),
		AlarmActions: []string{string(st.r.arn("sns", "oncall"))},
	})
}

// wrongSubscription sends the orders queue what no order is: price changes in
// SNS envelopes, and S3 events of an import folder.
func (st *stage) wrongSubscription(s *shop) {
	topic := act[sns.CreateTopicOutput](st, "sns", "CreateTopic", &sns.CreateTopicInput{Name: aws.String("price-changes")})
	arn := ops.ARN(aws.ToString(topic.TopicArn))
	st.subscribe(arn, s.orders.arn)
	st.arrivals(perSecond(1.0/420), func() {
		item := oneOf(st, products...)
		st.fail(st.r.deliver(arn, delivery{
			Subject: "Price change",
			Body:    fmt.Appendf(nil, `{"sku":%q,"title":%q,"old":%.2f,"new":%.2f}`, item.sku, item.title, item.price, item.price*0.9),
		}))
	})
	st.notify(s.uploads, "import", "import/", s.orders.arn)
	st.fail(s.uploads.sendTest(s.orders.arn))
	st.arrivals(perSecond(1.0/1500), func() {
		st.fail(st.r.putObject(s.uploads.name, fmt.Sprintf("import/partner %d/orders.csv", 1+st.r.rng.IntN(4)), []byte("orderId;total\n")))
	})
}

// oldInvoices are dead letters that nobody looked at for more than a week: in a
// standard queue their time still counts from the first send.
func (st *stage) oldInvoices(dead *queue) {
	arrived := st.r.now().Add(shopHistory).Add(-(9*24 + 14) * time.Hour)
	for i := range 14 {
		m := dead.accept(&message{body: st.invoice(), sender: senderOf(""), source: st.r.arn("sqs", "invoices"), receives: 4}, -1)
		came := arrived.Add(time.Duration(i) * 37 * time.Minute)
		dead.backdate(m, came.Add(-90*time.Hour), came)
	}
}
