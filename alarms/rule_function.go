package alarms

import (
	"fmt"

	"kxops/ops"
)

var functionStreamErrors = Rule{
	ID: "lambda.errors_stream", Severity: Ticket,
	Title: "a failing batch blocks its shard",
	Why:   "AWS: any error, 3 of 3 minutes",
	Next:  "bisect, bound the retries, add an on-failure destination",
	Function: func(f ops.Function, l look) string {
		if m := f.Measures.Get(ops.Errors); l.onStream[f.ARN] && l.breaches(m, 3, 3, above(0)) {
			return fmt.Sprintf("%.0f errors in the last 3 minutes, each blocks its shard", l.recent(m, 3))
		}
		return ""
	},
	Watch: &watchFunctionStreamErrors,
}

var functionErrorRate = Rule{
	ID: "lambda.errors_rate", Severity: Ticket,
	Title: "more than 5 % of the invocations fail",
	Why:   "errors ÷ max(errors, invocations) over 15 minutes with errors in 3 of them; late errors can outnumber invocations; 5 % is ours",
	Next:  "read the function's log",
	Function: func(f ops.Function, l look) string {
		if l.onStream[f.ARN] {
			return ""
		}
		switch f.Measures.Last(ops.Invocations).Why() {
		case ops.NotRead, ops.Denied, ops.Unsupported: // no share of an unknown number
			return ""
		}
		errs, calls := l.recent(f.Measures.Get(ops.Errors), 15), l.recent(f.Measures.Get(ops.Invocations), 15)
		if errs > 0.05*max(errs, calls) && l.breaches(f.Measures.Get(ops.Errors), 3, 15, above(0)) {
			return fmt.Sprintf("%.0f%% of the invocations fail", 100*errs/max(errs, calls))
		}
		return ""
	},
	Watch: &watchFunctionErrorRate,
}

var functionThrottles = Rule{
	ID: "lambda.throttles", Severity: Ticket,
	Title: "invocations are refused",
	Why:   "AWS: at least 1 in 5 of 5 minutes",
	Next:  "raise the concurrency",
	Function: func(f ops.Function, l look) string {
		if m := f.Measures.Get(ops.FnThrottles); l.breaches(m, 5, 5, atLeast(1)) {
			return fmt.Sprintf("%.0f invocations throttled in the last 5 minutes", l.recent(m, 5))
		}
		return ""
	},
	Watch: &watchFunctionThrottles,
}
