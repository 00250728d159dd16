package ui

import (
	"fmt"

	"kxops/ops"
	"kxops/ui/text"
)

// openSpend opens what looking has cost.
func openSpend(a *App, _ ops.ARN) screen {
	return newPage("spend", func(w *writer, p *picture) {
		s := p.snap.Spend
		w.head("what looking costs")
		w.field("spent", fmt.Sprintf("%s since the start, %s ago", money(s.USD), ops.Span(s.For.Seconds())), w.l.strong)
		w.field("pace", "~"+money(s.PerHour)+" an hour at the present pace", text.Style{})
		w.field("API calls", count(float64(s.Calls)), text.Style{})
		w.field("metrics", count(float64(s.Metrics))+" requested (what GetMetricData bills)", text.Style{})
		w.field("next look", "every "+ops.Span(a.poll.delay(p.snap.Next).Seconds()), text.Style{})
		w.head("how it is counted")
		w.para("List prices of us-east-1 in "+ops.PricesOf+", free monthly requests not deducted. "+
			"Kinesis, Firehose, Lambda and STS control-plane calls are free.", w.l.dim)
		w.field("GetMetricData", fmt.Sprintf("$%.2f per 1,000 metrics", ops.PricePerMetric*1000), w.l.dim)
		w.field("CloudWatch API", fmt.Sprintf("$%.2f per 1,000 calls", ops.PricePerCloudWatchCall*1000), w.l.dim)
		w.field("SQS", fmt.Sprintf("$%.2f per million calls", ops.PricePerQueueCall*1e6), w.l.dim)
		w.head("how to spend less")
		w.para("p pauses; an unwatched terminal is refreshed less often; --budget 0.10/h stretches the interval.", w.l.dim)
	})
}
