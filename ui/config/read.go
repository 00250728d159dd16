package config

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"kxops/ops"
)

// maxBytes bounds the file: a configuration of a megabyte is a mistake.
const maxBytes = 1 << 20

// Load reads a configuration file. A file that does not exist is no mistake and
// gives the defaults, unless must is set because a person named it. The error is
// an *ops.Problem that names file, line and key.
func Load(path string, must bool) (Config, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !must {
		return Config{}, nil
	}
	if err == nil && info.IsDir() {
		err = errors.New("it is a directory")
	}
	if err == nil && info.Size() > maxBytes {
		err = errors.New("it is larger than a megabyte")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return Config{}, &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("the configuration %s cannot be read: %v", path, err), Err: err}
	}
	return Parse(path, string(text))
}

// Parse reads the text of a configuration file; path is for error messages.
func Parse(path, text string) (Config, error) {
	var root map[string]any
	if _, err := toml.Decode(text, &root); err != nil {
		return Config{}, malformed(path, err)
	}
	c := Config{File: path, Keys: map[string][]string{}, places: placesIn(text)}
	r := reader{&c}
	if err := r.table("", 0, root, r.top()); err != nil {
		return Config{}, err
	}
	return c, nil
}

func malformed(path string, err error) error {
	var p toml.ParseError
	if !errors.As(err, &p) {
		return &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("%s: %v", path, err), Err: err}
	}
	where := fmt.Sprintf("%s:%d: ", path, p.Position.Line)
	if p.LastKey != "" {
		where += p.LastKey + ": "
	}
	return &ops.Problem{Fault: ops.FaultOther, What: where + p.Message, Hint: "the file is TOML: key = \"value\" lines, [section] lines, # comments", Err: err}
}

// Wrong returns the problem of a setting that can only be judged elsewhere, with
// the place where it was set.
func (c Config) Wrong(key string, err error) error { return c.wrong(key, 0, err.Error()) }

func (c Config) wrong(key string, index int, why string) error {
	where := c.File
	for at, more := key, true; more; { // of a value in an inline table, the table's line
		if line, ok := c.places[place{at, index}]; ok {
			where += ":" + strconv.Itoa(line)
			break
		}
		i := strings.LastIndex(at, ".")
		if more = i > 0; more {
			at = at[:i]
		}
	}
	return &ops.Problem{Fault: ops.FaultOther, What: fmt.Sprintf("%s: %s: %s", where, key, why)}
}

// setter takes the value of one key.
type setter func(value any) error

// reader fills a Config.
type reader struct{ c *Config }

func (r reader) top() map[string]setter {
	known := r.settings(&r.c.Defaults)
	known["theme"] = word(&r.c.Theme, "dark", "light")
	known["ascii"] = boolean(&r.c.ASCII)
	known["keys"] = r.keys
	known["profile"] = r.profiles
	known["alarms"] = r.alarms("alarms", 0, &r.c.Defaults.Alarms, map[string]setter{"override": r.overrides})
	return known
}

func (r reader) settings(s *Settings) map[string]setter {
	return map[string]setter{
		"access":  word(&s.Access, "look", "peek", "change"),
		"pace":    pace(&s.Pace),
		"budget":  budget(&s.Budget),
		"buckets": list(&s.Buckets),
	}
}

func (r reader) profiles(value any) error {
	tables, ok := value.([]map[string]any)
	if !ok {
		return errors.New("must be written [[profile]], with two brackets")
	}
	for i, t := range tables {
		p := Profile{}
		known := r.settings(&p.Settings)
		known["alarms"] = r.alarms("profile.alarms", i, &p.Alarms, nil)
		known["name"] = text(&p.Name)
		known["account"] = matching(&p.Account, accountID, "an account id of twelve digits, in quotes")
		known["alias"] = text(&p.Alias)
		known["protected"] = boolean(&p.Protected)
		known["word"] = text(&p.Word)
		known["color"] = matching(&p.Color, color, `"#rrggbb" or a number from "0" to "255"`)
		if err := r.table("profile", i, t, known); err != nil {
			return err
		}
		if p.Name == "" && p.Account == "" {
			return r.c.wrong("profile", i, "needs a name (of the AWS profile) or an account")
		}
		r.c.Profiles = append(r.c.Profiles, p)
	}
	return nil
}

// keys reads action ids with one key or several.
func (r reader) keys(value any) error {
	t, ok := value.(map[string]any)
	if !ok {
		return errors.New("must be a [keys] section")
	}
	known := map[string]setter{}
	for id := range t {
		known[id] = func(v any) error {
			var keys []string
			if one, ok := v.(string); ok {
				keys = []string{one}
			} else if err := list(&keys)(v); err != nil {
				return errors.New("must be a key or a list of keys, in quotes")
			}
			if slices.Contains(keys, "") {
				return errors.New("an empty string is no key")
			}
			r.c.Keys[id] = keys
			return nil
		}
	}
	return r.table("keys", 0, t, known)
}

// table hands each key to its setter; the first mistake by line is reported.
func (r reader) table(section string, index int, t map[string]any, known map[string]setter) error {
	path := func(key string) string {
		if section == "" {
			return key
		}
		return section + "." + key
	}
	keys := sorted(t)
	slices.SortStableFunc(keys, func(a, b string) int {
		return r.c.places[place{path(a), index}] - r.c.places[place{path(b), index}]
	})
	for _, key := range keys {
		set, ok := known[key]
		if !ok {
			return r.c.wrong(path(key), index, "there is no such setting; did you mean "+ops.Nearest(key, sorted(known), 1)[0]+"?")
		}
		err := set(t[key])
		var told *ops.Problem
		switch {
		case errors.As(err, &told):
			return err
		case err != nil:
			return r.c.wrong(path(key), index, err.Error())
		}
	}
	return nil
}

func sorted[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func word(to *string, allowed ...string) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok || !slices.Contains(allowed, s) {
			return fmt.Errorf("must be %s, not %#v", quotedOr(allowed), v)
		}
		*to = s
		return nil
	}
}

func text(to *string) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("must be text in quotes, not %v", v)
		}
		*to = s
		return nil
	}
}

var (
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
	color     = regexp.MustCompile(`^(#[0-9a-fA-F]{6}|[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$`)
)

func matching(to *string, pattern *regexp.Regexp, what string) setter {
	return func(v any) error {
		s, ok := v.(string)
		if !ok || !pattern.MatchString(s) {
			return fmt.Errorf("must be %s, not %v", what, v)
		}
		*to = s
		return nil
	}
}

func boolean(to *bool) setter {
	return func(v any) error {
		b, ok := v.(bool)
		if !ok {
			return fmt.Errorf("must be true or false without quotes, not %#v", v)
		}
		*to = b
		return nil
	}
}

func list(to *[]string) setter {
	return func(v any) error {
		items, ok := v.([]any)
		if !ok {
			return errors.New(`must be a list of texts, such as ["a", "b"]`)
		}
		var out []string
		for _, x := range items {
			s, ok := x.(string)
			if !ok {
				return errors.New(`must be a list of texts, such as ["a", "b"]`)
			}
			out = append(out, s)
		}
		*to = out
		return nil
	}
}

// minPace: the numbers that AWS publishes are by the minute.
const minPace = time.Minute

func pace(to *time.Duration) setter {
	return func(v any) error {
		s, _ := v.(string)
		d, err := time.ParseDuration(s)
		if err != nil || d < minPace || d > 24*time.Hour {
			return fmt.Errorf(`must be a time from "1m" to "24h" (the numbers are by the minute), not %#v`, v)
		}
		*to = d
		return nil
	}
}

func budget(to *float64) setter {
	return func(v any) error {
		switch x := v.(type) {
		case string:
			b, err := ParseBudget(x)
			*to = b
			return err
		case float64:
			return budgetIn(to, x)
		case int64:
			return budgetIn(to, float64(x))
		}
		return errBudget
	}
}

var errBudget = errors.New("must be an amount of USD per hour above 0, such as 0.10/h")

func budgetIn(to *float64, v float64) error {
	if !(v > 0) || math.IsInf(v, 0) {
		return errBudget
	}
	*to = v
	return nil
}

// ParseBudget reads an amount of USD per hour: "0.10/h", "$0.10/h" or "0.10".
func ParseBudget(s string) (usdPerHour float64, err error) {
	v, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSuffix(strings.TrimSpace(s), "/h"), "$"), 64)
	if err != nil {
		return 0, errBudget
	}
	return v, budgetIn(&v, v)
}

// places remembers the line of every key: the decoder does not tell it for
// values that are well-formed TOML but no good.
type places map[place]int

type place struct {
	key   string
	index int // which one of a repeated [[section]]
}

var (
	header   = regexp.MustCompile(`^\s*(\[\[?)\s*([^\]]+?)\s*\]`)
	keyValue = regexp.MustCompile(`^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=`)
)

func placesIn(text string) places {
	found := places{}
	seen := map[string]int{}
	section, index := "", 0
	for i, line := range strings.Split(text, "\n") {
		if m := header.FindStringSubmatch(line); m != nil {
			section = unquoted(m[2])
			parent, _, _ := strings.Cut(section, ".")
			if index = max(0, seen[parent]-1); m[1] == "[[" { // [profile.alarms] is of the last [[profile]]
				index = seen[section]
				seen[section]++
			}
			found.add(section, index, i+1)
			section += "."
		} else if m := keyValue.FindStringSubmatch(line); m != nil {
			found.add(section+unquoted(m[1]), index, i+1)
		}
	}
	return found
}

func (ps places) add(key string, index, line int) {
	if _, ok := ps[place{key, index}]; !ok {
		ps[place{key, index}] = line
	}
}

func unquoted(key string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\'' || r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, key)
}

// quotedOr joins words as a person does: "a", "b" or "c".
func quotedOr(words []string) string {
	out := ""
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			out += " or "
		case i > 0:
			out += ", "
		}
		out += strconv.Quote(w)
	}
	return out
}
