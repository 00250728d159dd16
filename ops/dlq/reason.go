package dlq

import (
	"encoding/json"
	"path"
	"regexp"
	"strings"

	"kxops/ops"
)

// stated makes type, masked message and first own frame of a reason as a producer wrote it.
func stated(f ops.Failure) (kind, text, frame string) {
	kind, message, stack := unfold(f)
	if kind == "" && message == "" {
		kind = f.Condition
	}
	if kind != "" {
		message = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(message, kind), ":"))
	}
	return kind, mask(message), firstOwn(stack)
}

// unfold splits what producers write into one field: a type in front of the message,
// a stack trace behind it, a whole error as JSON.
func unfold(f ops.Failure) (kind, message string, stack []string) {
	kind, message, stack = strings.TrimSpace(f.Type), strings.TrimSpace(f.Message), f.Stack
	if strings.HasPrefix(message, "{") {
		var inner struct {
			ErrorType, ErrorMessage, Message, Error string
			StackTrace                              []string
			Trace                                   []string
		}
		if json.Unmarshal([]byte(message), &inner) == nil {
			if text := first(inner.ErrorMessage, inner.Message, inner.Error); text != "" {
				message = text
				kind = first(plainType(inner.ErrorType), kind)
				if len(stack) == 0 {
					stack = append(inner.StackTrace, inner.Trace...)
				}
			}
		}
	}
	if line, rest, ok := strings.Cut(message, "\n"); ok {
		if strings.HasPrefix(line, "Traceback (most recent call last)") {
			lines := strings.Split(strings.TrimSpace(rest), "\n")
			message, lines = lines[len(lines)-1], lines[:len(lines)-1]
			if len(stack) == 0 {
				stack = reversed(lines) // Python writes the innermost frame last
			}
		} else if len(frames(strings.Split(rest, "\n"))) > 0 {
			message = line
			if len(stack) == 0 {
				stack = strings.Split(rest, "\n")
			}
		}
	}
	if before, after, ok := strings.Cut(message, " at "); ok && len(stack) == 0 && javaFrame.MatchString("at "+after) {
		message, stack = before, []string{"at " + after}
	}
	kind = plainType(kind)
	if m := typed.FindStringSubmatch(message); m != nil && (kind == "" || bare(kind) == bare(m[1]) || vague[kind]) {
		if kind == "" || vague[kind] {
			kind = m[1]
		}
		message = m[2]
	}
	return kind, message, stack
}

// vague types say nothing that the message does not say better.
var vague = map[string]bool{"Error": true, "Exception": true, "errorString": true, "Unhandled": true, "Handled": true}

var typed = regexp.MustCompile(`^((?:[A-Za-z_]\w*[.:]{1,2})*[A-Z]\w*(?:Error|Exception|Fault|Timeout|Failure))(?:: ?|$)(?s)(.*)$`)

// plainType drops what is not a type: an HTTP status that means "the function failed".
func plainType(kind string) string {
	if kind == "200" {
		return ""
	}
	return strings.TrimPrefix(kind, "*")
}

func bare(kind string) string { return kind[strings.LastIndexAny(kind, ".:")+1:] }

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}

func reversed(lines []string) []string {
	out := make([]string, 0, len(lines))
	for i := len(lines) - 1; i >= 0; i-- {
		out = append(out, lines[i])
	}
	return out
}

// firstOwn is the innermost frame that is the team's own code, without line numbers;
// the innermost of all when there is none.
func firstOwn(stack []string) string {
	found := frames(stack)
	for _, f := range found {
		if f.own {
			return f.name
		}
	}
	if len(found) > 0 {
		return found[0].name
	}
	return ""
}

type frame struct {
	name string
	own  bool
}

// How five languages write a frame. Go and the sandbox write "pkg.Func (/path/file.go:88)".
var (
	pythonFrame = regexp.MustCompile(`File "([^"]+)", line \d+(?:, in (\S+))?`)
	dotnetFrame = regexp.MustCompile(`^\s*at ([\w.<>+|$` + "`" + `\[\],]+?)\(([^)]*)\)(?: in .+?:line \d+)?\s*$`)
	nodeFrame   = regexp.MustCompile(`^\s*at (?:async )?(?:(?:new )?([^\s(]+(?: \[as [^\]]+\])?) )?\(?((?:file://|node:|[A-Za-z]:\\|/|webpack:)[^\s)]+?):\d+(?::\d+)?\)?\s*$`)
	javaFrame   = regexp.MustCompile(`^\s*(?:at )?((?:[\w$.@-]+/)*[\w$.<>]+)\(([\w$-]+\.(?:java|kt|scala)(?::\d+)?|Native Method|Unknown Source|<generated>)\)`)
	goFrame     = regexp.MustCompile(`^\s*([\w./*()-]+?)\s*\((/[^\s:)]+\.go)(?::\d+)?\)\s*$`)
	goPair      = regexp.MustCompile(`^\s*(/[^\s:]+\.go):\d+`)
	goCall      = regexp.MustCompile(`^([\w./*()-]+)\((?:[^/)]*)\)$`)
	varies      = regexp.MustCompile(`(\$+|__|func|\$lambda\$?|lambda_method)\d+(\.\d+)*`)
	generated   = regexp.MustCompile(`\$\$(?:EnhancerBy|FastClassBy|Spring|Lambda)\w*(?:\$\$?[0-9a-f]+)*|<([\w]+)>[a-z]__[\w|]*(?:\.MoveNext)?|\$lambda\$\w*\$?\d*|lambda\$(\w+)\$\d+`)
)

// frames reads the frames of a stack, innermost first as it is written.
func frames(stack []string) []frame {
	var out []frame
	call := ""
	for _, entry := range stack {
		for _, line := range strings.Split(entry, "\n") {
			if len(out) >= 64 {
				return out
			}
			line = strings.TrimRight(line, " \r")
			var name, file string
			switch m := []string(nil); {
			case match(pythonFrame, line, &m):
				file, name = m[1], m[2]
			case match(javaFrame, line, &m):
				name = generated.ReplaceAllString(m[1], "$1$2")
				if slash := strings.LastIndexByte(name, '/'); slash >= 0 {
					name = name[slash+1:]
				}
				out = append(out, frame{varies.ReplaceAllString(name, "$1"), !library(name, "")})
				continue
			case match(nodeFrame, line, &m):
				name, file = m[1], m[2]
				if as := strings.Index(name, " ["); as > 0 {
					name = name[:as]
				}
			case match(goFrame, line, &m):
				name, file = m[1], m[2]
			case match(goPair, line, &m):
				name, file, call = call, m[1], ""
			case match(dotnetFrame, line, &m):
				name = generated.ReplaceAllString(m[1], "$1$2")
				out = append(out, frame{varies.ReplaceAllString(name, "$1"), !library(name, "")})
				continue
			case match(goCall, strings.TrimSpace(line), &m):
				call = m[1]
				continue
			default:
				continue
			}
			place := path.Base(strings.ReplaceAll(file, `\`, "/"))
			name = varies.ReplaceAllString(name, "$1")
			if name == "" || strings.Contains(name, "anonymous") {
				name = "?"
			}
			out = append(out, frame{place + " " + name, !library(name, file)})
		}
	}
	return out
}

func match(re *regexp.Regexp, s string, m *[]string) bool {
	*m = re.FindStringSubmatch(s)
	return *m != nil
}

// library reports whether a frame is a language's or a framework's.
func library(name, file string) bool {
	for _, p := range []string{"java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.", "scala.", "com.amazonaws.", "software.amazon.", "org.springframework.",
		"org.apache.", "com.fasterxml.", "com.google.", "io.netty.", "org.hibernate.", "lambdainternal.", "reactor.",
		"System.", "Microsoft.", "Amazon.", "AWSSDK.", "Newtonsoft.", "Npgsql.", "lambda_method",
		"runtime.", "github.com/aws/", "net/http.", "encoding/", "reflect."} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	for _, p := range []string{"node:", "/var/runtime/", "/var/lang/", "/usr/lib", "/usr/local/", "/opt/python", "/opt/nodejs", "<frozen"} {
		if strings.HasPrefix(file, p) {
			return true
		}
	}
	for _, p := range []string{"/node_modules/", "/site-packages/", "/dist-packages/", "/pkg/mod/", "/vendor/", "internal/process/", "/go/src/"} {
		if strings.Contains(file, p) {
			return true
		}
	}
	return false
}
