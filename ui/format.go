package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// shortKind is the three-letter word that stands before a name.
func shortKind(k ops.Kind, deadLetter bool) string {
	switch k {
	case ops.KindStream:
		return "kds"
	case ops.KindDelivery:
		return "fh"
	case ops.KindQueue:
		if deadLetter {
			return "dlq"
		}
		return "sqs"
	case ops.KindTopic:
		return "sns"
	case ops.KindFunction:
		return "fn"
	case ops.KindBucket:
		return "s3"
	case ops.KindAPI:
		return "api"
	}
	return "?"
}

// age prints how old something is; "?" when it was never confirmed.
func age(at, now time.Time) string {
	if at.IsZero() {
		return "?"
	}
	return ops.Span(max(now.Sub(at), 0).Seconds())
}

// lossText prints the time to loss: "now", a span ("*": worst case), "-" when
// nothing is at risk, or the word for why it is not known.
func lossText(l ops.Loss) string {
	in, ok := l.In.Value()
	switch {
	case ok && in <= 0:
		return "now"
	case ok && l.WorstCase:
		return ops.Span(in) + "*"
	case ok:
		return ops.Span(in)
	}
	switch l.Motion {
	case ops.MotionSteady, ops.MotionCatching, ops.MotionDraining, "": // "": nothing here can be lost
		return "-"
	}
	switch why := l.In.Why(); why {
	case ops.Asleep, ops.NoData:
		return "-"
	default:
		return string(why)
	}
}

// trendText prints where a lag or depth is going, with its speed.
func trendText(l ops.Loss) string {
	slope, known := l.Slope.Value()
	left, ends := l.Recovery.Value()
	switch l.Motion {
	case ops.MotionStopped, ops.MotionBehind:
		if known {
			return fmt.Sprintf("↑ %s %.1fx", l.Motion, slope)
		}
		return "↑ " + string(l.Motion)
	case ops.MotionGrowing:
		if known {
			return "↑ +" + perHour(slope)
		}
		return "↑ growing"
	case ops.MotionCatching:
		if ends {
			return "↓ caught up " + ops.Span(left)
		}
		return "↓ catching up"
	case ops.MotionDraining:
		if ends {
			return "↓ empty " + ops.Span(left)
		}
		return "↓ draining"
	case ops.MotionSteady:
		return "→ steady"
	case "":
		return "-"
	}
	if l.In.Why() == ops.Asleep {
		return "-"
	}
	return "?"
}

func perHour(perSecond float64) string {
	n := perSecond * 3600
	if n < 10 {
		return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + "/h"
	}
	return count(n) + "/h"
}

// count prints a whole number with thousands separated.
func count(n float64) string {
	s := strconv.FormatFloat(n, 'f', 0, 64)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func bytesText(n float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for n >= 1000 && i < len(units)-1 {
		n /= 1000
		i++
	}
	if i == 0 || n >= 100 {
		return fmt.Sprintf("%.0f %s", n, units[i])
	}
	return fmt.Sprintf("%.1f %s", n, units[i])
}

// value prints a number in its unit.
func value(v float64, u ops.Unit) string {
	switch u {
	case ops.Seconds:
		if v > 0 && v < 1 {
			return fmt.Sprintf("%.0fms", v*1000)
		}
		return ops.Span(v)
	case ops.Bytes:
		return bytesText(v)
	case ops.Ratio:
		return fmt.Sprintf("%.1f%%", v*100)
	case ops.PerSecond:
		return fmt.Sprintf("%.1f/s", v)
	}
	return count(v)
}

// reading prints a number, or the word for why there is none.
func reading(r ops.Reading, u ops.Unit) string {
	if v, ok := r.Value(); ok {
		return value(v, u)
	}
	return string(r.Why())
}

// percent prints a share; what is not nothing never reads 0%.
func percent(share float64) string {
	switch {
	case share > 0 && share < 0.01:
		return "<1%"
	case share >= 10:
		return ">10x"
	}
	return fmt.Sprintf("%.0f%%", share*100)
}

func money(usd float64) string {
	switch {
	case usd == 0:
		return "$0"
	case usd > 0 && usd < 0.0001:
		return "<$0.0001"
	case usd < 0.01:
		return fmt.Sprintf("$%.4f", usd)
	}
	return fmt.Sprintf("$%.2f", usd)
}

// alarmText is the alarm badge of a row: since when one rings and which, else how
// many watch it.
func alarmText(v *alarms.Verdict, l light) string {
	if len(v.Alarms) == 0 {
		return "none"
	}
	now := l.now
	if l.muted != nil {
		if words := l.muted(v.Alarms[0].Name, now); words != "" {
			return words + " " + v.Alarms[0].Name
		}
	}
	switch first := v.Alarms[0]; first.State {
	case "ALARM":
		if first.Since.IsZero() {
			return "rings " + first.Name
		}
		return "rings " + age(first.Since, now) + " " + first.Name
	case "INSUFFICIENT_DATA":
		return "no data"
	}
	return fmt.Sprintf("ok (%d)", len(v.Alarms))
}

func place(id ops.Identity) string {
	return strings.Join(nonEmpty(accountName(id), id.Region), " ")
}

func accountName(id ops.Identity) string {
	if id.Alias != "" && id.Account != "" {
		return id.Alias + " " + id.Account
	}
	return id.Alias + id.Account
}

func nonEmpty(words ...string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
