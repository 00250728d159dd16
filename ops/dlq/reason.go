package dlq

import (
	"encoding/json"
	"iter"
	"path"
	"regexp"
	"strings"

	"kxops/ops"
)

// stated makes type, masked message and first own frame of a reason as a producer wrote it.
func stated(f ops.Failure, known *causes) (kind, text, frame string) {
	kind, message, stack := unfold(f)
	if message == "" && (kind == "" || vague[kind]) {
		kind = first(f.Condition, kind) // RetryAttemptsExhausted: the reason is in the function's log
	}
	if kind != "" {
		message = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(message, kind), ":"))
	}
	return kind, mask(message), firstOwn(stack, known)
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
		} else if hasFrames(strings.Split(rest, "\n")) {
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
func firstOwn(stack []string, known *causes) string {
	innermost := ""
	for f := range frames(stack, known) {
		if f.own {
			return f.name
		}
		innermost = first(innermost, f.name)
	}
	return innermost
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

// maxFrames bounds how far a stack is read.
const maxFrames = 64

// frames reads the frames of a stack in the order they are written, innermost first.
func frames(stack []string, known *causes) iter.Seq[frame] {
	return func(yield func(frame) bool) {
		call, n := "", 0
		for _, entry := range stack {
			for line := range strings.SplitSeq(entry, "\n") {
				if n++; n > maxFrames {
					return
				}
				line = strings.TrimRight(line, " \r")
				if strings.HasSuffix(line, ")") && line[0] != ' ' && !strings.HasPrefix(line, "at ") && goCall.MatchString(line) {
					call = line[:strings.IndexByte(line, '(')]
					continue
				}
				f, ok := known.frame(line, call)
				if ok && !yield(f) {
					return
				}
				if ok {
					call = ""
				}
			}
		}
	}
}

// frame is frameOf that remembers: all letters of a cause have the same few lines.
func (c *causes) frame(line, call string) (frame, bool) {
	if c == nil || call != "" {
		return frameOf(line, call)
	}
	c.mu.Lock()
	f, ok := c.frames[line]
	c.mu.Unlock()
	if ok {
		return f, f.name != ""
	}
	f, ok = frameOf(line, call)
	f.name = strings.Clone(f.name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.frames) < maxKnownFrames {
		c.frames[strings.Clone(line)] = f
	}
	return f, ok
}

const maxKnownFrames = 20_000

// frameOf reads one frame; call is the line before where Go writes two. What stands
// in a line says which language can have written it: the patterns are slow.
func frameOf(line, call string) (frame, bool) {
	var name, file string
	switch m := []string(nil); {
	case strings.Contains(line, "File \"") && match(pythonFrame, line, &m):
		file, name = m[1], m[2]
	case strings.Contains(line, ".go") && match(goFrame, line, &m):
		name, file = m[1], m[2]
	case strings.Contains(line, ".go:") && match(goPair, line, &m):
		name, file = call, m[1]
	case javaFile(line) && match(javaFrame, line, &m):
		name = m[1][strings.LastIndexByte(m[1], '/')+1:]
		return qualified(name), true
	case strings.Contains(line, "at ") && (strings.Contains(line, "/") || strings.Contains(line, `:\`)) && !strings.Contains(line, ":line ") && match(nodeFrame, line, &m):
		name, file = m[1], m[2]
		name, _, _ = strings.Cut(name, " [")
	case strings.Contains(line, "at ") && match(dotnetFrame, line, &m):
		return qualified(m[1]), true
	default:
		return frame{}, false
	}
	if name == "" || strings.Contains(name, "anonymous") {
		name = "?"
	}
	place := path.Base(strings.ReplaceAll(file, `\`, "/"))
	return frame{place + " " + steady(name), !library(name, file)}, true
}

// qualified is a frame whose name says where it is.
func qualified(name string) frame {
	if strings.ContainsAny(name, "$<") {
		name = generated.ReplaceAllString(name, "$1$2")
	}
	return frame{steady(name), !library(name, "")}
}

// steady leaves out the numbers that compilers give: func1, $3, d__4.
func steady(name string) string {
	if !hasDigit(name) {
		return name
	}
	return varies.ReplaceAllString(name, "$1")
}

func javaFile(line string) bool {
	return strings.Contains(line, ".java") || strings.Contains(line, ".kt") || strings.Contains(line, ".scala") || strings.Contains(line, "(Native Method)") ||
		strings.Contains(line, "(Unknown Source)") || strings.Contains(line, "(<generated>)")
}

// hasFrames reports whether lines are a stack trace.
func hasFrames(lines []string) bool {
	for range frames(lines, nil) {
		return true
	}
	return false
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
