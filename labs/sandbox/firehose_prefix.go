package sandbox

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// objectName is a parsed prefix expression.
type objectName []namePart

type namePart struct {
	namespace string // "" for literal text
	value     string
}

const (
	mostPrefix    = 512
	defaultPrefix = "yyyy/MM/dd/HH/"
)

// parsePrefix reads a prefix with its expressions !{namespace:value}.
func parsePrefix(text string, forErrors bool) (objectName, error) {
	var out objectName
	for text != "" {
		i := strings.Index(text, "!{")
		if i < 0 {
			return append(out, namePart{"", text}), nil
		}
		if i > 0 {
			out = append(out, namePart{"", text[:i]})
		}
		expr, rest, ok := strings.Cut(text[i+2:], "}")
		if !ok {
			return nil, fmt.Errorf("the expression %q is not closed", text[i:])
		}
		text = rest
		namespace, value, ok := strings.Cut(expr, ":")
		if !ok || value == "" {
			return nil, fmt.Errorf("the expression !{%s} has no value", expr)
		}
		switch namespace {
		case "timestamp":
			if _, err := javaTime(time.Unix(0, 0), value); err != nil {
				return nil, err
			}
		case "firehose":
			if value != "random-string" && !(value == "error-output-type" && forErrors) {
				return nil, fmt.Errorf("!{firehose:%s} cannot be used here", value)
			}
		case "partitionKeyFromLambda":
			if forErrors {
				return nil, fmt.Errorf("!{%s} cannot be used in an error prefix", expr)
			}
		case "partitionKeyFromQuery":
			return nil, fmt.Errorf("the sandbox does not support !{%s}: it has no jq", expr)
		default:
			return nil, fmt.Errorf("the namespace %q is not known", namespace)
		}
		out = append(out, namePart{namespace, value})
	}
	return out, nil
}

func (n objectName) uses(namespace string) bool {
	for _, p := range n {
		if p.namespace == namespace {
			return true
		}
	}
	return false
}

func (n objectName) hasExpressions() bool {
	for _, p := range n {
		if p.namespace != "" {
			return true
		}
	}
	return false
}

// withTime appends the default time prefix to one that names no time.
func (n objectName) withTime() objectName {
	if n.uses("timestamp") {
		return n
	}
	return append(n[:len(n):len(n)], namePart{"timestamp", defaultPrefix})
}

// eval evaluates the prefix for the arrival time of an object's oldest record.
func (n objectName) eval(t time.Time, rng *rand.Rand, errorType string, keys map[string]string) (string, error) {
	var b strings.Builder
	for _, p := range n {
		switch {
		case p.namespace == "timestamp":
			s, err := javaTime(t, p.value)
			if err != nil {
				return "", err
			}
			b.WriteString(s)
		case p.namespace == "partitionKeyFromLambda":
			v, ok := keys[p.value]
			if !ok {
				return "", fmt.Errorf("the record has no partition key %q", p.value)
			}
			b.WriteString(v)
		case p.value == "random-string" && p.namespace == "firehose":
			const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			for range 11 {
				b.WriteByte(letters[rng.IntN(len(letters))])
			}
		case p.value == "error-output-type" && p.namespace == "firehose":
			b.WriteString(errorType)
		default:
			b.WriteString(p.value)
		}
	}
	if b.Len() > mostPrefix {
		return "", fmt.Errorf("the prefix is longer than %d characters once evaluated", mostPrefix)
	}
	return b.String(), nil
}

// javaTime formats a time with the patterns of Java's DateTimeFormatter that make
// sense in a key.
func javaTime(t time.Time, pattern string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(pattern); {
		c := pattern[i]
		if c == '\'' { // '' is a quote, 'text' is literal
			j := strings.IndexByte(pattern[i+1:], '\'')
			if j < 0 {
				return "", fmt.Errorf("the quote in %q is not closed", pattern)
			}
			if j == 0 {
				b.WriteByte('\'')
			}
			b.WriteString(pattern[i+1 : i+1+j])
			i += j + 2
			continue
		}
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter {
			if strings.IndexByte("[]{}#", c) >= 0 {
				return "", fmt.Errorf("the sandbox does not support %q in the time pattern %q", c, pattern)
			}
			b.WriteByte(c)
			i++
			continue
		}
		n := 1
		for i+n < len(pattern) && pattern[i+n] == c {
			n++
		}
		s, ok := javaField(t, c, n)
		if !ok {
			return "", fmt.Errorf("the sandbox does not support %q in the time pattern %q", strings.Repeat(string(c), n), pattern)
		}
		b.WriteString(s)
		i += n
	}
	return b.String(), nil
}

// javaField formats n letters c.
func javaField(t time.Time, c byte, n int) (string, bool) {
	padded := func(v int) (string, bool) { return fmt.Sprintf("%0*d", n, v), n <= 4 }
	upTo2 := func(v int) (string, bool) { return fmt.Sprintf("%0*d", n, v), n <= 2 }
	switch c {
	case 'y', 'u':
		if n == 2 {
			return fmt.Sprintf("%02d", t.Year()%100), true
		}
		return padded(t.Year())
	case 'Y':
		year, _ := t.ISOWeek()
		return padded(year)
	case 'M', 'L':
		switch n {
		case 3:
			return t.Format("Jan"), true
		case 4:
			return t.Format("January"), true
		}
		return upTo2(int(t.Month()))
	case 'd':
		return upTo2(t.Day())
	case 'D':
		return fmt.Sprintf("%0*d", n, t.YearDay()), n <= 3
	case 'H':
		return upTo2(t.Hour())
	case 'k':
		return upTo2((t.Hour()+23)%24 + 1)
	case 'h':
		return upTo2((t.Hour()+11)%12 + 1)
	case 'K':
		return upTo2(t.Hour() % 12)
	case 'm':
		return upTo2(t.Minute())
	case 's':
		return upTo2(t.Second())
	case 'S':
		if n > 9 {
			return "", false
		}
		return fmt.Sprintf("%09d", t.Nanosecond())[:n], true
	case 'a':
		return t.Format("PM"), n == 1
	case 'E':
		if n == 4 {
			return t.Format("Monday"), true
		}
		return t.Format("Mon"), n <= 3
	case 'e':
		return upTo2(int(t.Weekday()) + 1)
	case 'w':
		_, week := t.ISOWeek()
		return upTo2(week)
	case 'Q', 'q':
		return upTo2((int(t.Month())-1)/3 + 1)
	case 'z':
		return t.Format("MST"), n <= 3
	case 'Z':
		return t.Format("-0700"), n <= 3
	case 'V':
		return t.Location().String(), n == 2
	}
	return "", false
}
