package sandbox

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"kxops/ops"
)

// muteRule holds back the actions of its alarms while one of its windows is open.
type muteRule struct {
	name     string
	arn      ops.ARN
	in       *cloudwatch.PutAlarmMuteRuleInput
	tags     map[string]string
	updated  time.Time
	schedule *muteSchedule
	opened   time.Time // start of the newest window, zero for none so far
	active   bool
}

// muteSchedule is a parsed schedule: at once, or by a cron expression.
type muteSchedule struct {
	once     time.Time
	cron     *cronFields
	duration time.Duration
	zone     *time.Location
}

// The bounds of a window (API reference, Schedule).
const (
	shortestMute = time.Minute
	longestMute  = 15 * 24 * time.Hour
	maxMuteRules = 1000
)

func (c *cloudWatch) putMuteRule(_ context.Context, in *cloudwatch.PutAlarmMuteRuleInput) (*cloudwatch.PutAlarmMuteRuleOutput, error) {
	name := deref(in.Name)
	switch {
	case name == "" || len(name) > 255:
		return nil, constraint(name, "name", "Member must have length between 1 and 255")
	case in.Rule == nil || in.Rule.Schedule == nil:
		return nil, missingParameter("Rule.Schedule")
	case len(deref(in.Description)) > 1024:
		return nil, constraint(len(*in.Description), "description", "Member must have length less than or equal to 1024")
	case in.MuteTargets != nil && len(in.MuteTargets.AlarmNames) > 100:
		return nil, constraint(len(in.MuteTargets.AlarmNames), "muteTargets.alarmNames", "Member must have length less than or equal to 100")
	case in.StartDate != nil && in.ExpireDate != nil && !in.StartDate.Before(*in.ExpireDate):
		return nil, invalidRequest("StartDate must be before ExpireDate.")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if in.MuteTargets != nil {
		for _, n := range in.MuteTargets.AlarmNames {
			if c.alarms.byName[n] == nil {
				return nil, noAlarm(n)
			}
		}
	}
	s, err := parseMute(deref(in.Rule.Schedule.Expression), deref(in.Rule.Schedule.Duration), deref(in.Rule.Schedule.Timezone))
	if err != nil {
		return nil, invalidRequest("The schedule is not valid: %v", err)
	}
	m := c.alarms.mutes[name]
	if m == nil {
		if len(c.alarms.mutes) >= maxMuteRules {
			return nil, &types.LimitExceededFault{Message: aws.String(fmt.Sprintf("the sandbox keeps at most %d alarm mute rules", maxMuteRules))}
		}
		m = &muteRule{name: name, arn: c.r.arn("cloudwatch", "alarm-mute-rule:"+name), tags: map[string]string{}}
		for _, t := range in.Tags {
			m.tags[*t.Key] = deref(t.Value)
		}
		c.alarms.mutes[name] = m
	}
	now := c.r.now()
	m.in, m.schedule, m.updated, m.opened = in, s, now, time.Time{}
	for t := now.Truncate(time.Minute); now.Sub(t) < s.duration; t = t.Add(-time.Minute) {
		if s.starts(t) {
			m.opened = t
			break
		}
	}
	m.active = m.open(now)
	return &cloudwatch.PutAlarmMuteRuleOutput{}, nil
}

// openMutes brings the rules up to date with the minute.
func (c *cloudWatch) openMutes(now time.Time) {
	for _, m := range c.alarms.mutes {
		if m.schedule.starts(now) {
			m.opened = now
		}
		m.active = m.open(now)
	}
}

// open reports whether a window is open: it has started, and the rule's own
// start and end dates allow it.
func (m *muteRule) open(now time.Time) bool {
	return !m.opened.IsZero() && now.Sub(m.opened) < m.schedule.duration && !m.expired(now) &&
		(m.in.StartDate == nil || !now.Before(*m.in.StartDate))
}

func (m *muteRule) expired(now time.Time) bool {
	if m.in.ExpireDate != nil && !now.Before(*m.in.ExpireDate) {
		return true
	}
	return m.schedule.cron == nil && !now.Before(m.schedule.once.Add(m.schedule.duration))
}

func (m *muteRule) status(now time.Time) types.AlarmMuteRuleStatus {
	switch {
	case m.expired(now):
		return types.AlarmMuteRuleStatusExpired
	case m.open(now):
		return types.AlarmMuteRuleStatusActive
	}
	return types.AlarmMuteRuleStatusScheduled
}

func (m *muteRule) kind() string {
	if m.schedule.cron == nil {
		return "ONE_TIME"
	}
	return "RECURRING"
}

// muted returns the rule that holds back the alarm's actions, nil for none.
func (c *cloudWatch) muted(alarm string) *muteRule {
	var by *muteRule
	for _, m := range c.alarms.mutes {
		if m.active && m.in.MuteTargets != nil && slices.Contains(m.in.MuteTargets.AlarmNames, alarm) && (by == nil || m.name < by.name) {
			by = m
		}
	}
	return by
}

func (c *cloudWatch) muteRule(name *string) (*muteRule, error) {
	if deref(name) == "" {
		return nil, missingParameter("AlarmMuteRuleName")
	}
	if m := c.alarms.mutes[*name]; m != nil {
		return m, nil
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("There is no alarm mute rule named " + *name), ResourceId: name, ResourceType: aws.String("AlarmMuteRule")}
}

func (c *cloudWatch) getMuteRule(_ context.Context, in *cloudwatch.GetAlarmMuteRuleInput) (*cloudwatch.GetAlarmMuteRuleOutput, error) {
	m, err := c.muteRule(in.AlarmMuteRuleName)
	if err != nil {
		return nil, err
	}
	return &cloudwatch.GetAlarmMuteRuleOutput{
		AlarmMuteRuleArn:     aws.String(string(m.arn)),
		Name:                 aws.String(m.name),
		Description:          m.in.Description,
		ExpireDate:           m.in.ExpireDate,
		StartDate:            m.in.StartDate,
		MuteTargets:          m.in.MuteTargets,
		Rule:                 m.in.Rule,
		MuteType:             aws.String(m.kind()),
		Status:               m.status(c.r.now()),
		LastUpdatedTimestamp: aws.Time(m.updated),
	}, nil
}

func (c *cloudWatch) listMuteRules(_ context.Context, in *cloudwatch.ListAlarmMuteRulesInput) (*cloudwatch.ListAlarmMuteRulesOutput, error) {
	limit, err := alarmPage(in.MaxRecords)
	if err != nil {
		return nil, err
	}
	after, err := nameOfToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(c.alarms.mutes))
	for n, m := range c.alarms.mutes {
		targets := m.in.MuteTargets
		if n > after && (in.AlarmName == nil || targets != nil && slices.Contains(targets.AlarmNames, *in.AlarmName)) &&
			(len(in.Statuses) == 0 || slices.Contains(in.Statuses, m.status(c.r.now()))) {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	out := &cloudwatch.ListAlarmMuteRulesOutput{AlarmMuteRuleSummaries: []types.AlarmMuteRuleSummary{}}
	for i, n := range names {
		if i == limit {
			out.NextToken = aws.String(tokenOfName(names[i-1]))
			break
		}
		m := c.alarms.mutes[n]
		out.AlarmMuteRuleSummaries = append(out.AlarmMuteRuleSummaries, types.AlarmMuteRuleSummary{
			AlarmMuteRuleArn:     aws.String(string(m.arn)),
			ExpireDate:           m.in.ExpireDate,
			LastUpdatedTimestamp: aws.Time(m.updated),
			MuteType:             aws.String(m.kind()),
			Status:               m.status(c.r.now()),
		})
	}
	return out, nil
}

func (c *cloudWatch) deleteMuteRule(_ context.Context, in *cloudwatch.DeleteAlarmMuteRuleInput) (*cloudwatch.DeleteAlarmMuteRuleOutput, error) {
	m, err := c.muteRule(in.AlarmMuteRuleName)
	if err != nil {
		return nil, err
	}
	delete(c.alarms.mutes, m.name)
	return &cloudwatch.DeleteAlarmMuteRuleOutput{}, nil
}

// parseMute reads at(yyyy-MM-ddThh:mm) or cron(minute hour day month weekday),
// an ISO 8601 duration and a time zone ("" is UTC).
func parseMute(expression, duration, zone string) (*muteSchedule, error) {
	s := &muteSchedule{zone: time.UTC}
	if zone != "" {
		loc, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			return nil, fmt.Errorf("the time zone %q is not known", zone)
		}
		s.zone = loc
	}
	d, err := parseISODuration(duration)
	if err != nil {
		return nil, err
	}
	if d < shortestMute || d > longestMute {
		return nil, fmt.Errorf("the duration %s is not between PT1M and P15D", duration)
	}
	s.duration = d
	inner, isAt := strings.CutPrefix(expression, "at(")
	if isAt && strings.HasSuffix(inner, ")") {
		t, err := time.ParseInLocation("2006-01-02T15:04", strings.TrimSuffix(inner, ")"), s.zone)
		if err != nil {
			return nil, fmt.Errorf("the expression %s has no time like at(2026-05-10T14:00)", expression)
		}
		s.once = t.UTC()
		return s, nil
	}
	inner, isCron := strings.CutPrefix(expression, "cron(")
	if !isCron || !strings.HasSuffix(inner, ")") {
		return nil, fmt.Errorf("the expression %q is neither at(…) nor cron(…)", expression)
	}
	s.cron, err = parseCron(strings.TrimSuffix(inner, ")"))
	return s, err
}

// starts reports whether a window starts in the minute of t.
func (s *muteSchedule) starts(t time.Time) bool {
	if s.cron == nil {
		return s.once.Equal(t.Truncate(time.Minute))
	}
	return s.cron.match(t.In(s.zone))
}

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,3})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?)?$`)

func parseISODuration(s string) (time.Duration, error) {
	p := isoDuration.FindStringSubmatch(s)
	if p == nil || s == "P" || strings.HasSuffix(s, "T") {
		return 0, fmt.Errorf("the duration %q is none like PT4H or P2DT12H", s)
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute} {
		if p[i+1] != "" {
			n, err := strconv.Atoi(p[i+1])
			if err != nil {
				return 0, fmt.Errorf("the duration %q has a number that is too large", s)
			}
			d += time.Duration(n) * unit
		}
	}
	return d, nil
}

// cronFields are sets of values, one bit each.
type cronFields struct{ minute, hour, day, month, weekday uint64 }

func (f *cronFields) match(t time.Time) bool {
	return f.minute>>t.Minute()&1 == 1 && f.hour>>t.Hour()&1 == 1 && f.day>>t.Day()&1 == 1 &&
		f.month>>int(t.Month())&1 == 1 && f.weekday>>int(t.Weekday())&1 == 1
}

var (
	monthNames   = []string{"", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdayNames = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

// parseCron reads five fields of *, values, ranges and lists.
func parseCron(s string) (*cronFields, error) {
	p := strings.Fields(s)
	if len(p) != 5 {
		return nil, errors.New("cron needs five fields: minutes, hours, day of month, month, day of week")
	}
	var f cronFields
	for i, field := range []struct {
		set      *uint64
		low, top int
		names    []string
	}{{&f.minute, 0, 59, nil}, {&f.hour, 0, 23, nil}, {&f.day, 1, 31, nil}, {&f.month, 1, 12, monthNames}, {&f.weekday, 0, 6, weekdayNames}} {
		set, err := parseCronField(p[i], field.low, field.top, field.names)
		if err != nil {
			return nil, err
		}
		*field.set = set
	}
	return &f, nil
}

func parseCronField(s string, low, top int, names []string) (uint64, error) {
	var set uint64
	for _, part := range strings.Split(s, ",") {
		from, to, ranged := strings.Cut(part, "-")
		a, b := low, top
		if part != "*" {
			var err error
			if a, err = cronValue(from, names); err != nil {
				return 0, err
			}
			b = a
			if ranged {
				if b, err = cronValue(to, names); err != nil {
					return 0, err
				}
			}
		}
		if a < low || b > top || a > b {
			return 0, fmt.Errorf("%q is not within %d to %d", part, low, top)
		}
		for v := a; v <= b; v++ {
			set |= 1 << v
		}
	}
	return set, nil
}

func cronValue(s string, names []string) (int, error) {
	if i := slices.Index(names, strings.ToUpper(s)); i >= 0 && s != "" {
		return i, nil
	}
	v, err := strconv.Atoi(s)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is no value for a cron field", s)
	}
	return v, nil
}
