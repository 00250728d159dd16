package config

import (
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"kxops/alarms"
	"kxops/ops"
)

// Alarms is what a person decides about the alarms of an account.
type Alarms struct {
	Tier   alarms.Tier   // the set of alarms; "": essential
	Window time.Duration // how much time a person should have before the first loss; 0: the rules' own
	Page   string        // topic of alarms that page: a name or an ARN; "" for none
	Ticket string        // topic of alarms that can wait; "": that of alarms that page
}

// With is a, and what b says instead.
func (a Alarms) With(b Alarms) Alarms {
	override(&a.Tier, b.Tier)
	override(&a.Window, b.Window)
	override(&a.Page, b.Page)
	override(&a.Ticket, b.Ticket)
	return a
}

func (r reader) alarms(section string, index int, a *Alarms, more map[string]setter) setter {
	return func(value any) error {
		t, ok := value.(map[string]any)
		if !ok {
			return errors.New("must be a [" + section + "] section")
		}
		known := map[string]setter{
			"tier":         tier(&a.Tier, alarms.Essential, alarms.Recommended, alarms.Full),
			"window":       window(&a.Window),
			"page_topic":   topic(&a.Page),
			"ticket_topic": topic(&a.Ticket),
		}
		for key, set := range more {
			known[key] = set
		}
		return r.table(section, index, t, known)
	}
}

// overrides reads [[alarms.override]]: what a person says about single rules.
func (r reader) overrides(value any) error {
	const section = "alarms.override"
	tables, ok := value.([]map[string]any)
	if !ok {
		return errors.New("must be written [[alarms.override]], with two brackets")
	}
	for i, t := range tables {
		o := alarms.Override{From: "the configuration"}
		if line, ok := r.c.places[place{section, i}]; ok {
			o.From = fmt.Sprintf("config line %d", line)
		}
		err := r.table(section, i, t, map[string]setter{
			"rule":      ruleID(&o.Rule),
			"resource":  pattern(&o.Resource),
			"off":       boolean(&o.Off),
			"tier":      tier(&o.Tier, alarms.Essential, alarms.Recommended, alarms.Full, alarms.OptIn),
			"set":       tier(&o.Set, alarms.Essential, alarms.Recommended, alarms.Full),
			"factor":    factor(&o.Factor),
			"threshold": threshold(&o.Threshold),
			"severity":  word(&o.Severity, "page", "ticket", "info"),
			"reason":    text(&o.Reason),
		})
		if err != nil {
			return err
		}
		if why := contradiction(o); why != "" {
			return r.c.wrong(section, i, why)
		}
		r.c.Overrides = append(r.c.Overrides, o)
	}
	return nil
}

// contradiction says why an override cannot be meant as it stands.
func contradiction(o alarms.Override) string {
	changes := o.Tier != "" || o.Factor != 0 || o.Threshold != nil || o.Severity != ""
	switch {
	case strings.TrimSpace(o.Reason) == "":
		return "needs a reason: it is shown in every plan"
	case !o.Off && !changes && o.Set == "":
		return "changes nothing: it needs off, tier, set, factor, threshold or severity"
	case o.Off && (changes || o.Set != ""):
		return "off is no alarm at all; leave out what else it says"
	case o.Set != "" && o.Resource == "":
		return "set is the set of alarms of a resource, and it names none; for all of them there is alarms.tier"
	case o.Set != "" && o.Rule != "":
		return "set is for a resource as a whole; leave out rule, or use tier"
	case o.Factor != 0 && o.Threshold != nil:
		return "has a factor and a threshold; one of them is enough"
	case o.Threshold != nil && (o.Rule == "" || strings.ContainsAny(o.Rule, "*?[")):
		return "a threshold means one thing for each rule; name one rule"
	}
	return ""
}

func tier(to *alarms.Tier, allowed ...alarms.Tier) setter {
	words := make([]string, len(allowed))
	for i, t := range allowed {
		words[i] = string(t)
	}
	return func(v any) error {
		s, ok := v.(string)
		if !ok || !slices.Contains(words, strings.ToUpper(s)) {
			return fmt.Errorf("must be %s, not %#v", quotedOr(words), v)
		}
		*to = alarms.Tier(strings.ToUpper(s))
		return nil
	}
}

// A window below minWindow is no time to act in; above maxWindow no queue keeps anything.
const (
	minWindow = 5 * time.Minute
	maxWindow = 14 * 24 * time.Hour
)

func window(to *time.Duration) setter {
	return func(v any) error {
		s, _ := v.(string)
		d, err := time.ParseDuration(s)
		if err != nil || d < minWindow || d > maxWindow {
			return fmt.Errorf(`must be a time from "5m" to "336h", not %#v`, v)
		}
		*to = d
		return nil
	}
}

// topicWord is a topic's name, 1 to 256 characters (SNS API, CreateTopic), or its ARN.
var topicWord = regexp.MustCompile(`^(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:)?[A-Za-z0-9_-]{1,256}$`)

// IsTopic reports whether a word can be the name or the ARN of an SNS topic.
func IsTopic(word string) bool { return topicWord.MatchString(word) }

// topic takes the name or the ARN of an SNS topic.
func topic(to *string) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok || !IsTopic(s) {
			return fmt.Errorf("must be the name or the ARN of an SNS topic, in quotes, not %#v", v)
		}
		*to = s
		return nil
	}
}

// ruleID takes the id of a rule, or a pattern that some rule matches.
func ruleID(to *string) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("must be text in quotes, not %v", v)
		}
		if s == "" {
			return errors.New(`must not be empty; leave it out, or write "*", for every rule`)
		}
		ids := make([]string, 0, len(alarms.Rules))
		for _, r := range alarms.Rules {
			hit, err := path.Match(s, r.ID)
			if err != nil {
				return fmt.Errorf("%q is no pattern: * stands for any text, ? for one character", s)
			}
			if hit {
				*to = s
				return nil
			}
			ids = append(ids, r.ID)
		}
		return fmt.Errorf("there is no rule %q; did you mean %s? `kxops alarms rules` lists them", s, quotedOr(ops.Nearest(s, ids, 3)))
	}
}

// pattern takes a resource's name, or a pattern of names.
func pattern(to *string) setter {
	return func(v any) error {
		s, ok := v.(string)
		if _, err := path.Match(s, ""); !ok || s == "" || err != nil {
			return fmt.Errorf("must be a name or a pattern in quotes, such as \"orders-*\", not %#v", v)
		}
		*to = s
		return nil
	}
}

// Factors outside of this range are thresholds that mean something else.
const minFactor, maxFactor = 0.01, 100

func factor(to *float64) setter {
	return func(v any) error {
		f, ok := decimal(v)
		if !ok || !(f >= minFactor && f <= maxFactor) {
			return fmt.Errorf("must be a number from %g to %g, not %v", minFactor, float64(maxFactor), v)
		}
		*to = f
		return nil
	}
}

func threshold(to **float64) setter {
	return func(v any) error {
		f, ok := decimal(v)
		if !ok || !(f >= 0) || math.IsInf(f, 0) {
			return fmt.Errorf("must be a number of 0 or more, not %v", v)
		}
		*to = &f
		return nil
	}
}

// decimal is a number with or without a point.
func decimal(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case int64:
		return float64(x), true
	}
	return 0, false
}
