package watch

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/alarms"
	"kxops/ops"
	"kxops/ops/journal"
)

// The bounds of a mute (CloudWatch API reference, Schedule and MuteTargets).
const (
	ShortestMute = time.Minute
	LongestMute  = 15 * 24 * time.Hour
	muteTargets  = 100 // alarms of one rule
)

const (
	mutePrefix = "kxops-"
	muteMark   = "kxops:v1 mute" // the last line of our rules' descriptions

	callPatience = 30 * time.Second // for one call, with its retries
	listPages    = 500              // of any list
)

// MuteBegins is when a mute of now begins: the schedule of a mute rule has whole minutes.
func MuteBegins(now time.Time) time.Time { return now.UTC().Truncate(time.Minute).Add(time.Minute) }

// Mute keeps the actions of the alarms from running for d, which is rounded up to
// whole minutes. CloudWatch starts a mute on a whole minute: it is from the next
// one on, and until then actions still run. Alarms are judged as always while they
// are muted; when the mute is over, an alarm that is still in the state that it
// went to meanwhile runs its actions then. The rules end by themselves.
//
// Each rule has at most 100 alarms. When one cannot be made, those before it stand
// and are returned beside the error.
func (d *Desk) Mute(ctx context.Context, names []string, span time.Duration, reason string) ([]alarms.Mute, error) {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	span = (span + time.Minute - 1).Truncate(time.Minute)
	switch {
	case len(names) == 0:
		return nil, declined("no alarm to mute", "name at least one")
	case span < ShortestMute || span > LongestMute:
		return nil, declined(fmt.Sprintf("a mute is from a minute to 15 days long, not %s", span), "choose another end, and mute again when it is over")
	case d.o.Journal == nil:
		return nil, declined("nothing is changed without a journal", "")
	}
	if err := d.allExist(ctx, names); err != nil {
		return nil, err
	}
	suffix, err := freshSuffix()
	if err != nil {
		return nil, err
	}
	from := MuteBegins(d.o.Now())
	what := fmt.Sprintf("mute %s for %s", countAlarms(len(names)), span)
	e, err := d.begin(what, reason)
	if err != nil {
		return nil, err
	}
	var made []alarms.Mute
	for i := 0; i < len(names); i += muteTargets {
		m := alarms.Mute{
			Name:   fmt.Sprintf("%s%s-%s-%d", mutePrefix, from.Format("20060102T1504Z"), suffix, i/muteTargets+1),
			Alarms: names[i:min(i+muteTargets, len(names))],
			From:   from, Until: from.Add(span), Ours: true, Reason: reason, State: "scheduled",
		}
		if err = d.putMute(ctx, m, span); err != nil {
			err = fmt.Errorf("mute %s: %w", countAlarms(len(m.Alarms)), d.explained(err))
			break
		}
		made = append(made, m)
	}
	return made, errors.Join(err, d.end(e, len(made) > 0, err))
}

func (d *Desk) putMute(ctx context.Context, m alarms.Mute, span time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	_, err := d.metrics.PutAlarmMuteRule(ctx, &cloudwatch.PutAlarmMuteRuleInput{
		Name:        &m.Name,
		Description: aws.String(describeMute(m.Reason, d.who())),
		MuteTargets: &types.MuteTargets{AlarmNames: m.Alarms},
		Rule: &types.Rule{Schedule: &types.Schedule{
			Expression: aws.String("at(" + m.From.Format("2006-01-02T15:04") + ")"),
			Duration:   aws.String(isoDuration(span)),
			Timezone:   aws.String("UTC"),
		}},
	})
	return err
}

// Mutes lists the mute rules that are active or scheduled, ours and others', the
// one that ends first on top. Of a recurring rule From and Until are zero: when its
// present window ends is not said by CloudWatch.
func (d *Desk) Mutes(ctx context.Context) ([]alarms.Mute, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*callPatience)
	defer cancel()
	in := &cloudwatch.ListAlarmMuteRulesInput{Statuses: []types.AlarmMuteRuleStatus{types.AlarmMuteRuleStatusActive, types.AlarmMuteRuleStatusScheduled}}
	var out []alarms.Mute
	pages := cloudwatch.NewListAlarmMuteRulesPaginator(d.metrics, in)
	for n := 0; pages.HasMorePages(); n++ {
		if n == listPages {
			return out, fmt.Errorf("list alarm mute rules: more than %d pages", listPages)
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return out, fmt.Errorf("list alarm mute rules: %w", d.explained(err))
		}
		for _, s := range page.AlarmMuteRuleSummaries {
			_, name, ok := strings.Cut(aws.ToString(s.AlarmMuteRuleArn), ":alarm-mute-rule:")
			if !ok {
				return out, fmt.Errorf("list alarm mute rules: %q is not the ARN of one", aws.ToString(s.AlarmMuteRuleArn))
			}
			rule, err := d.muteRule(ctx, name)
			var gone *types.ResourceNotFoundException
			if errors.As(err, &gone) { // deleted between the list and the look
				continue
			}
			if err != nil {
				return out, fmt.Errorf("read alarm mute rule %s: %w", name, d.explained(err))
			}
			out = append(out, muteOf(rule))
		}
	}
	slices.SortStableFunc(out, func(a, b alarms.Mute) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// Unmute deletes a mute rule of ours; any other is refused. Alarms that are still
// in the state that they went to while muted run their actions then.
func (d *Desk) Unmute(ctx context.Context, name string) error {
	if d.o.Journal == nil {
		return declined("nothing is changed without a journal", "")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*callPatience)
	defer cancel()
	rule, err := d.muteRule(ctx, name)
	if err != nil {
		return fmt.Errorf("unmute %s: %w", name, d.explained(err))
	}
	if !ownMute(rule) {
		return declined("the mute rule "+name+" was not made by kxops, and is left alone",
			"aws cloudwatch delete-alarm-mute-rule --alarm-mute-rule-name "+shellWord(name)+" deletes it")
	}
	e, err := d.begin("delete the mute rule "+name, "")
	if err != nil {
		return err
	}
	_, err = d.metrics.DeleteAlarmMuteRule(ctx, &cloudwatch.DeleteAlarmMuteRuleInput{AlarmMuteRuleName: &name})
	if err != nil {
		err = fmt.Errorf("unmute %s: %w", name, d.explained(err))
	}
	return errors.Join(err, d.end(e, false, err))
}

func (d *Desk) muteRule(ctx context.Context, name string) (*cloudwatch.GetAlarmMuteRuleOutput, error) {
	return d.metrics.GetAlarmMuteRule(ctx, &cloudwatch.GetAlarmMuteRuleInput{AlarmMuteRuleName: &name})
}

// ownMute wants both signs: a name alone can be anybody's.
func ownMute(r *cloudwatch.GetAlarmMuteRuleOutput) bool {
	return strings.HasPrefix(aws.ToString(r.Name), mutePrefix) && strings.HasSuffix(aws.ToString(r.Description), muteMark)
}

func muteOf(r *cloudwatch.GetAlarmMuteRuleOutput) alarms.Mute {
	m := alarms.Mute{Name: aws.ToString(r.Name), Ours: ownMute(r), Reason: aws.ToString(r.Description), State: strings.ToLower(string(r.Status))}
	if m.Ours {
		m.Reason, _, _ = strings.Cut(m.Reason, "\n")
	}
	if r.MuteTargets != nil {
		m.Alarms = r.MuteTargets.AlarmNames
	}
	if r.Rule != nil && r.Rule.Schedule != nil {
		m.From, m.Until = windowOf(r.Rule.Schedule)
	}
	return m
}

// windowOf is when a rule with an at() schedule begins and ends; zero for any other.
func windowOf(s *types.Schedule) (from, until time.Time) {
	at, ok := strings.CutPrefix(aws.ToString(s.Expression), "at(")
	zone, err := time.LoadLocation(aws.ToString(s.Timezone)) // "" is UTC
	span, known := spanOf(aws.ToString(s.Duration))
	if !ok || err != nil || !known {
		return time.Time{}, time.Time{}
	}
	from, err = time.ParseInLocation("2006-01-02T15:04", strings.TrimSuffix(at, ")"), zone)
	if err != nil {
		return time.Time{}, time.Time{}
	}
	return from.UTC(), from.UTC().Add(span)
}

// isoDuration writes whole minutes as CloudWatch wants them: P1DT2H30M.
func isoDuration(d time.Duration) string {
	minutes := int(d / time.Minute)
	days, hours, minutes := minutes/(24*60), minutes/60%24, minutes%60
	s := "P"
	if days > 0 {
		s += strconv.Itoa(days) + "D"
	}
	if hours > 0 || minutes > 0 {
		s += "T"
	}
	if hours > 0 {
		s += strconv.Itoa(hours) + "H"
	}
	if minutes > 0 {
		s += strconv.Itoa(minutes) + "M"
	}
	return s
}

// spanOf reads P1DT2H30M; false for anything else.
func spanOf(s string) (time.Duration, bool) {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return 0, false
	}
	date, clock, timed := strings.Cut(rest, "T")
	if timed && clock == "" {
		return 0, false
	}
	var d time.Duration
	for _, part := range []struct {
		text  string
		units map[byte]time.Duration
	}{{date, map[byte]time.Duration{'D': 24 * time.Hour}}, {clock, map[byte]time.Duration{'H': time.Hour, 'M': time.Minute}}} {
		for text := part.text; text != ""; {
			i := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
			if i <= 0 || i > 6 {
				return 0, false
			}
			unit, known := part.units[text[i]]
			n, err := strconv.Atoi(text[:i])
			if !known || err != nil {
				return 0, false
			}
			d += time.Duration(n) * unit
			text = text[i+1:]
		}
	}
	return d, true
}

// describeMute is the reason, who, and the mark by which a rule is known as ours;
// CloudWatch takes 1024 characters.
func describeMute(reason, who string) string {
	reason = strings.Join(strings.Fields(reason), " ")
	return clip(reason, 700) + "\nmuted with kxops by " + clip(who, 250) + "\n" + muteMark
}

// allExist says which alarms do not exist: CloudWatch refuses the whole rule for one.
func (d *Desk) allExist(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*callPatience)
	defer cancel()
	missing := map[string]bool{}
	for batch := range slices.Chunk(names, 100) {
		for _, n := range batch {
			missing[n] = true
		}
		out, err := d.metrics.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: batch, AlarmTypes: everyAlarmType, MaxRecords: aws.Int32(100)})
		if err != nil {
			return fmt.Errorf("look for the alarms: %w", d.explained(err))
		}
		for _, a := range out.MetricAlarms {
			delete(missing, aws.ToString(a.AlarmName))
		}
		for _, a := range out.CompositeAlarms {
			delete(missing, aws.ToString(a.AlarmName))
		}
	}
	for _, n := range names {
		if missing[n] {
			return &ops.Problem{Fault: ops.FaultNotFound, What: "there is no alarm named " + n, Hint: "the name must be exact; `aws cloudwatch describe-alarms` lists them"}
		}
	}
	return nil
}

var everyAlarmType = []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}

// begin writes what is about to be changed; end, what became of it.
func (d *Desk) begin(what, reason string) (journal.Entry, error) {
	e, err := d.o.Journal.Append(journal.Entry{Account: d.o.Identity.Account, Region: d.o.Config.Region, Kind: journal.KindOperation,
		What: clip(what, 500), Reason: clip(reason, 500), Outcome: journal.Started})
	if err != nil {
		return e, fmt.Errorf("nothing was changed: %w", err)
	}
	return e, nil
}

func (d *Desk) end(e journal.Entry, some bool, err error) error {
	e.At, e.Outcome = time.Time{}, journal.Done
	switch {
	case err != nil && some:
		e.Outcome = journal.Partial
	case err != nil:
		e.Outcome = journal.Failed
	}
	_, err = d.o.Journal.Append(e)
	return err
}

func (d *Desk) who() string { return cmp.Or(d.o.Identity.Who, "an unknown caller") }

// explained is the error as a person reads it, with its chain.
func (d *Desk) explained(err error) error {
	if p := d.o.Explain(err); p != nil {
		return p
	}
	return err
}

func declined(what, hint string) error {
	return &ops.Problem{Fault: ops.FaultRefused, What: what, Hint: hint}
}

// clip cuts a text to n bytes, never inside a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

func countAlarms(n int) string {
	if n == 1 {
		return "1 alarm"
	}
	return strconv.Itoa(n) + " alarms"
}

func freshSuffix() (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("name the mute rule: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// shellWord quotes a word for a POSIX shell where that is needed.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
