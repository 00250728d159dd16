package alarms

import (
	"fmt"

	"kxops/ops"
)

// apiShare is the share of an API's requests from which it is alarming. Source: the
// AWS list of recommended alarms, API Gateway, all three protocols.
const apiShare = 0.05

var apiFailed = Rule{
	ID: "apigw.5xx", Severity: Page,
	Title: "the front door of a pipeline fails: events are refused before they are stored",
	Why:   "AWS: more than 5 % of the requests, 3 of 3 minutes; only where it feeds a pipeline",
	Next:  "look at what it calls: errors, throttles, timeouts, the right to call it",
	API: func(a ops.API, l look) string {
		return eachStage(a, ops.APIFailed, func(s ops.Stage, m ops.Measure) string {
			if !l.breaches(m, 3, 3, above(apiShare)) {
				return ""
			}
			return fmt.Sprintf("stage %s fails %.0f%% of its requests, over %.0f%% for three minutes", s.Name, 100*l.last(m), 100*apiShare)
		})
	},
	Watch: &watchAPIFailed,
}

var apiRejected = Rule{
	ID: "apigw.4xx", Severity: Ticket,
	Title: "the front door of a pipeline turns requests away",
	Why:   "AWS: more than 5 % of the requests, 5 of 5 minutes; where it puts into a stream or queue by itself, a 429 is a lost event",
	Next:  "which status is it: 429 is a limit of the stage or the stream, 400 what the sender sends",
	API: func(a ops.API, l look) string {
		if !a.Direct { // a function answers 4xx where it means to
			return ""
		}
		return eachStage(a, ops.APIRejected, func(s ops.Stage, m ops.Measure) string {
			if !l.breaches(m, 5, 5, above(apiShare)) {
				return ""
			}
			return fmt.Sprintf("stage %s turns away %.0f%% of its requests, over %.0f%% for five minutes", s.Name, 100*l.last(m), 100*apiShare)
		})
	},
	Watch: &watchAPIRejected,
}

// eachStage returns what is said of the first stage about which anything is.
func eachStage(a ops.API, metric ops.Metric, check func(ops.Stage, ops.Measure) string) string {
	for _, s := range a.Stages {
		if says := check(s, s.Measures.Get(metric)); says != "" {
			return says
		}
	}
	return ""
}
