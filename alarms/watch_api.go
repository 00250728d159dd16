package alarms

import (
	"kxops/ops"
)

const apigw = "AWS/ApiGateway"

// stages draws up one alarm for each stage. What is said of the API goes for all. A
// REST API is known by its metrics only: it may be anybody's, so it is asked for.
func stages(a ops.API, metric string, d Draft) []Draft {
	rest := a.ARN.ByMetrics()
	switch {
	case !rest && !a.FeedsPipeline():
		return skip(feedsNothing)
	case len(a.Stages) == 0:
		return skip("it has no stage")
	case rest:
		d.Tier = OptIn
		d.Formula += "; REST APIs of one name share the metric"
	}
	names := a.Metrics()
	var out []Draft
	for _, s := range a.Stages {
		d.Part = a.Name + "/" + s.Name // the id alone means nothing to a person who is woken
		d.Query = Query{Namespace: apigw, Metric: metric, Dimensions: map[string]string{names.Dimension: names.Of, "Stage": s.Name}}
		out = append(out, d)
	}
	return out
}

const feedsNothing = "it feeds no function, stream or queue"

const feedsPipeline = "an integration calls a function or puts into a stream or queue; of REST APIs, which are known by their metrics only, asked for"

var watchAPIFailed = Watch{
	Tier: Essential, Stat: "Average", Period: 60, M: 3, N: 3, Comparison: Above, Missing: MissingIsGood,
	Metric: "5xx; of REST APIs 5XXError, of WebSocket APIs ExecutionError", Formula: "0.05", When: feedsPipeline,
	Runbook: []string{"kxops status: the function, stream or queue behind it", "its errors and throttles, and whether the API may call it", "senders that do not try again have lost these events"},
	Source:  "AWS recommended alarms; missing data as good is ours",
	API: func(a ops.API, _ Facts) []Draft {
		return stages(a, a.Metrics().Failed, Draft{Level: apiShare, Unit: "share", Formula: "5% of the requests, three minutes in a row"})
	},
}

var watchAPIRejected = Watch{
	Tier: Recommended, Stat: "Average", Period: 60, M: 5, N: 5, Comparison: Above, Missing: MissingIsGood,
	Metric: "4xx; of REST APIs 4XXError, of WebSocket APIs ClientError", Formula: "0.05", When: "an integration puts into a stream or queue by itself; with a function between, asked for",
	Runbook: []string{"which status: 429, 403 or 400 (its access log)", "429: the limits of the stage, the capacity of the stream", "400: what the sender sends now"},
	Source:  "AWS recommended alarms; for whom it is recommended is ours",
	API: func(a ops.API, _ Facts) []Draft {
		d := Draft{Level: apiShare, Unit: "share", Formula: "5% of the requests, five minutes in a row"}
		if !a.Direct {
			d.Tier = OptIn // the function behind it refuses what it means to refuse
		}
		return stages(a, a.Metrics().Rejected, d)
	},
}

var apiSlow = Rule{
	ID: "apigw.latency", Severity: Info,
	Title: "the front door of a pipeline is slow",
	Why:   "AWS: the slowest tenth of the requests takes 2 s and more (REST 2.5 s), 5 of 5 minutes",
	Next:  "what is behind it: its duration, its cold starts, its throttles",
	Watch: &Watch{
		Tier: Recommended, Stat: "p90", Period: 60, M: 5, N: 5, Comparison: AtLeast, Missing: MissingIsGood,
		Metric: "IntegrationLatency; of REST APIs Latency", Formula: "2,000 ms; of REST APIs 2,500 ms", When: feedsPipeline,
		Runbook: []string{"kxops status: the function behind it", "its duration against its timeout", "senders that wait too short send twice"},
		Source:  "AWS recommended alarms; p90 of fewer than 100 requests keeps the state",
		API: func(a ops.API, _ Facts) []Draft {
			d := Draft{Level: 2000, Unit: "ms", Formula: "p90 of what is behind it, five minutes in a row", NoSample: true}
			if a.Protocol == "REST" {
				d.Level, d.Formula = 2500, "p90 of the whole answer, five minutes in a row"
			}
			return stages(a, a.Metrics().Latency, d)
		},
	},
}

var apiSilent = Rule{
	ID: "apigw.silent", Severity: Ticket,
	Title: "nobody calls the front door any more",
	Why:   "AWS: no request for 10 of 10 minutes; only for APIs that are never idle",
	Next:  "are the senders alive, does their address still lead here?",
	Watch: &Watch{
		Tier: OptIn, Stat: "SampleCount", Period: 60, M: 10, N: 10, Comparison: AtMost, Missing: MissingIsBad,
		Metric: "Count; of WebSocket APIs MessageCount", Formula: "0", When: "asked for: the API is never idle",
		Runbook: []string{"kxops status: since when is it silent", "the senders, their network, the domain name", "kxops alarms mute while nothing is to come"},
		Source:  "AWS recommended alarms (metric, 10 of 10, breaching); 0 instead of a baseline is ours",
		API: func(a ops.API, _ Facts) []Draft {
			return stages(a, a.Metrics().Count, Draft{Unit: "requests", Formula: "no request for ten minutes"})
		},
	},
}
