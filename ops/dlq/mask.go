package dlq

import (
	"strings"
)

// mask makes one text of all texts that one line of code writes: what varies from
// message to message becomes <id>, <n>, <time>, <ip>, <email> or <…>.
//
// What is kept, on purpose: words; quoted names without digits ('zip' and 'total'
// are two causes); numbers that are a code (after "status", "code", "http",
// "errno", "signal"; ORA-01017, E11000): 404 and 500 are two causes, 3.00 and 30.00
// seconds are one; the file ending of a path (".heic").
func mask(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > maxMasked {
		text = text[:maxMasked]
	}
	var out strings.Builder
	out.Grow(len(text))
	previous := ""
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '"' || c == '\'' || c == '`':
			inner, ok := quoted(text, i)
			if !ok {
				out.WriteByte(c)
				i++
				continue
			}
			out.WriteByte(c)
			out.WriteString(maskQuoted(inner))
			out.WriteByte(c)
			i += len(inner) + 2
			previous = ""
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if n := out.Len(); n > 0 && out.String()[n-1] != ' ' {
				out.WriteByte(' ')
			}
			i++
		case edge(c):
			out.WriteByte(c)
			i++
		default:
			j := tokenEnd(text, i)
			token := text[i:j]
			core := strings.TrimRight(token, ".:?!")
			tail := token[len(core):]
			// A date and a time that a blank parts are one moment.
			masked := maskToken(core, previous)
			if !(masked == "<time>" && strings.HasSuffix(strings.TrimRight(out.String(), " "), "<time>")) {
				out.WriteString(masked)
			}
			out.WriteString(tail)
			if core != "" {
				previous = core
			}
			i = j
		}
	}
	return strings.TrimSpace(out.String())
}

// tokenEnd is where the word that starts at i ends. A comma inside a number and
// what a URL's query holds belong to it.
func tokenEnd(text string, i int) int {
	url := false
	for j := i; j < len(text); j++ {
		switch c := text[j]; {
		case c == ',' && j > i && digit(text[j-1]) && j+1 < len(text) && digit(text[j+1]):
		case c == '=' && url:
		case edge(c), blank(c), c == '"', c == '`', c == '\'' && (j+1 == len(text) || !letter(text[j+1])):
			return j
		case c == '?' && strings.IndexByte(text[i:j], '/') >= 0:
			url = true
		}
	}
	return len(text)
}

// maxMasked bounds the text that tells causes apart, in bytes.
const maxMasked = 600

func blank(c byte) bool  { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

func edge(c byte) bool {
	switch c {
	case ',', ';', '(', ')', '[', ']', '{', '}', '<', '>', '=', '|':
		return true
	}
	return false
}

// quoted finds what is quoted at i; an apostrophe inside a word is no quote.
func quoted(text string, i int) (string, bool) {
	q := text[i]
	if q == '\'' && i > 0 && (letter(text[i-1]) || digit(text[i-1])) {
		return "", false
	}
	for j := i + 1; j < len(text) && j-i <= 300; j++ {
		if text[j] == '\\' {
			j++
			continue
		}
		if text[j] == q && (q != '\'' || j+1 == len(text) || !letter(text[j+1]) && !digit(text[j+1])) {
			return text[i+1 : j], true
		}
	}
	return "", false
}

// maskQuoted keeps names and masks values: what has digits, is long or is a
// sentence. A path keeps what a path keeps.
func maskQuoted(s string) string {
	switch {
	case strings.Contains(s, "/") && !strings.ContainsAny(s, " \t"), strings.HasPrefix(s, "arn:"):
		return maskToken(s, "")
	case hasDigit(s), len(s) > 40, strings.Count(s, " ") > 1:
		return "<…>"
	case strings.Contains(s, "@"):
		return maskToken(s, "")
	}
	return s
}

func hasDigit(s string) bool {
	for i := 0; i < len(s); i++ {
		if digit(s[i]) {
			return true
		}
	}
	return false
}

// maskToken masks one word; previous is the word before it.
func maskToken(s, previous string) string {
	switch {
	case s == "":
		return ""
	case strings.HasPrefix(s, "arn:"):
		return maskARN(s)
	case strings.Contains(s, "://"):
		return maskURL(s)
	case email(s):
		return "<email>"
	case namesID(previous) && len(s) >= 8 && (hasDigit(s) || strings.ToUpper(s) == s || random(s)):
		return "<id>" // RequestID: HLXMROBHFPTYWAZC
	case !hasDigit(s) && !strings.Contains(s, "/"):
		if len(s) >= 20 && random(s) {
			return "<id>"
		}
		return s
	case dotted(s):
		return s
	case isIP(s):
		return "<ip>"
	case isTime(s):
		return "<time>"
	case number(s):
		if isCode(s, previous) {
			return s
		}
		return "<n>"
	case strings.Contains(s, "/"):
		return maskPath(s)
	case wellKnown(s):
		return s
	}
	return maskID(s)
}

// namesID reports whether the word before says that an id follows.
func namesID(previous string) bool {
	p := strings.TrimRight(previous, ":")
	return len(p) >= 2 && strings.EqualFold(p[len(p)-2:], "id")
}

// dotted reports whether a word is the name of a class or module, which may have a
// digit: oracle.jdbc.driver.T4CTTIoer11.
func dotted(s string) bool {
	if strings.Count(s, ".") < 2 || digits(s) > 3 {
		return false
	}
	for _, part := range strings.Split(s, ".") {
		if part == "" || !letter(part[0]) || strings.ContainsAny(part, "-/:@%+") {
			return false
		}
	}
	return true
}

// isCode reports whether a number tells causes apart.
func isCode(s, previous string) bool {
	if len(s) > 6 || strings.Trim(s, "0123456789-") != "" {
		return false
	}
	switch strings.ToLower(strings.Trim(previous, ":#.")) {
	case "status", "code", "http", "errno", "signal", "statuscode", "http/1.1", "http/2", "sqlstate", "exit":
		return true
	}
	return false
}

// wellKnown reports whether the digits of a word belong to it: codes of databases, names of formats.
func wellKnown(s string) bool {
	if rest, ok := strings.CutPrefix(s, "ORA-"); ok && number(rest) {
		return true
	}
	if len(s) == 6 && s[0] == 'E' && number(s[1:]) {
		return true // MongoDB: E11000
	}
	switch strings.ToLower(s) {
	case "s3", "ec2", "v1", "v2", "v3", "http2", "http/1.1", "http/2", "utf8", "utf-8", "sha1", "sha256", "md5", "base64", "int32", "int64", "uint64",
		"float32", "float64", "x509", "oauth2", "ipv4", "ipv6", "k8s", "route53", "iso-8859-1", "h264", "mp3", "mp4", "tls1.2", "tls1.3":
		return true
	}
	return false
}

// maskID keeps the word an id begins with: "order-1234" is "order-<id>",
// "worker12" is "worker<n>", "3f2a-77" is "<id>". A file's ending stays.
func maskID(s string) string {
	end := ""
	if dot := strings.LastIndexByte(s, '.'); dot > 0 && ending(s[dot+1:]) {
		s, end = s[:dot], s[dot:]
	}
	cut := strings.IndexFunc(s, func(r rune) bool { return !letter(byte(r)) || r > 0x7f })
	switch {
	case cut < 0:
		return s + end
	case cut == 0 || cut > 20 || hexWord(s) && (cut > 3 || s[cut] != '-'):
		return "<id>" + end
	case strings.IndexByte("-_:#.$@+~%&*\\", s[cut]) >= 0:
		return s[:cut+1] + "<id>" + end
	case strings.Trim(s[cut:], "0123456789") == "" && cut >= 3:
		return s[:cut] + "<n>" + end
	}
	return "<id>" + end
}

func hexWord(s string) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			n++
		case c == '-' || c == ':':
		default:
			return false
		}
	}
	return n >= 6
}

// ending reports whether a word is a file's ending.
func ending(s string) bool {
	if len(s) == 0 || len(s) > 7 || hasDigit(s) && s != "mp4" && s != "mp3" && s != "bz2" && s != "7z" {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !letter(s[i]) && !digit(s[i]) {
			return false
		}
	}
	return true
}

// maskPath masks the parts of a path that hold digits and the names of data files;
// neighbours that are masked become one, so that depth does not tell causes apart.
func maskPath(s string) string {
	s, _, _ = strings.Cut(s, "?")
	parts := strings.Split(s, "/")
	kept := parts[:0]
	for i, p := range parts {
		last := i == len(parts)-1
		switch {
		case last && dataFile(p):
			p = "<id>" + p[strings.LastIndexByte(p, '.'):]
		case hasDigit(p) && !wellKnown(p):
			masked := "<id>"
			if dot := strings.LastIndexByte(p, '.'); last && dot > 0 && ending(p[dot+1:]) {
				masked += p[dot:]
			}
			p = masked
		case len(p) >= 20 && random(p):
			p = "<id>"
		}
		if n := len(kept); n > 0 && kept[n-1] == "<id>" && strings.HasPrefix(p, "<id>") {
			kept[n-1] = p
			continue
		}
		kept = append(kept, p)
	}
	return strings.Join(kept, "/")
}

// dataFile reports whether a file's name is data ("cat.heic"), not code ("app.py").
func dataFile(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return false
	}
	switch strings.ToLower(name[dot+1:]) {
	case "jpg", "jpeg", "png", "gif", "heic", "webp", "tif", "tiff", "pdf", "csv", "tsv", "json", "jsonl", "ndjson", "xml", "txt", "log",
		"gz", "zip", "zst", "bz2", "parquet", "avro", "orc", "mp3", "mp4", "mov", "wav", "doc", "docx", "xls", "xlsx", "eml", "bin", "dat":
		return true
	}
	return false
}

// maskURL keeps scheme, host and the path's words; a query is data.
func maskURL(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	host, path, deep := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	name, _, _ := strings.Cut(host, ":")
	switch {
	case isIP(name):
		host = "<ip>"
	case hasDigit(name):
		labels := strings.Split(name, ".")
		for i, l := range labels {
			if digits(l) >= 3 {
				labels[i] = "<id>"
			}
		}
		host = strings.Join(labels, ".")
	}
	if !deep {
		return scheme + "://" + host
	}
	return scheme + "://" + host + "/" + maskPath(path)
}

func digits(s string) (n int) {
	for i := 0; i < len(s); i++ {
		if digit(s[i]) {
			n++
		}
	}
	return n
}

// maskARN keeps service, region and the resource's name: another queue is another
// cause. The account and ids in the resource are masked, versions of a function too.
func maskARN(s string) string {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) < 6 {
		return "arn:<id>"
	}
	if parts[4] != "" {
		parts[4] = "<n>"
	}
	resource := strings.FieldsFunc(parts[5], func(r rune) bool { return r == ':' || r == '/' })
	for i, p := range resource {
		if number(p) || p == "$LATEST" || digits(p) >= 4 || strings.Count(p, "-") >= 4 && hasDigit(p) {
			resource[i] = "<id>"
			if dot := strings.LastIndexByte(p, '.'); dot > 0 && ending(p[dot+1:]) {
				resource[i] += p[dot:]
			}
		}
	}
	return strings.Join(parts[:5], ":") + ":" + strings.Join(resource, ":")
}

func email(s string) bool {
	at := strings.IndexByte(s, '@')
	return at > 0 && at == strings.LastIndexByte(s, '@') && strings.IndexByte(s[at:], '.') > 1 && !strings.Contains(s, "/")
}

// isTime: 2026-11-23, 23/11/2026, 10:42:07.123, 2026-11-23T10:42:07Z.
func isTime(s string) bool {
	if len(s) < 5 || !digit(s[0]) {
		return false
	}
	date := len(s) >= 10 && (s[4] == '-' && s[7] == '-' || s[4] == '/' && s[7] == '/' || s[2] == '/' && s[5] == '/' || s[2] == '.' && s[5] == '.')
	clock := (len(s) >= 8 && s[2] == ':' && s[5] == ':') || (len(s) == 5 && s[2] == ':')
	if !date && !clock {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; !digit(c) && strings.IndexByte("-/:.,TZ+ ", c) < 0 {
			return false
		}
	}
	return true
}

func isIP(s string) bool {
	host, port, _ := strings.Cut(s, ":")
	if host != s && !number(port) {
		return false
	}
	parts := strings.Split(host, ".")
	if len(parts) != 4 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// number: 42, -3.5, 1,204, 1e6, 12%, 250ms, 0x1f, 3s, 12MB, $5, #42, 10x20, 3/5.
func number(s string) bool {
	if strings.HasPrefix(s, "0x") {
		return len(s) > 2
	}
	s = strings.TrimLeft(s, "+-$#~")
	if s == "" || !digit(s[0]) {
		return false
	}
	i := 0
	for i < len(s) && (digit(s[i]) || strings.IndexByte(".,_e+-/", s[i]) >= 0) {
		if strings.IndexByte("e+-/", s[i]) >= 0 && (i+1 == len(s) || !digit(s[i+1])) {
			break
		}
		if s[i] == '-' && s[i-1] != 'e' {
			return false // 12-34 is an id
		}
		i++
	}
	switch unit := s[i:]; strings.ToLower(unit) {
	case "", "%", "s", "ms", "us", "µs", "ns", "m", "h", "d", "b", "kb", "mb", "gb", "kib", "mib", "gib", "k", "x", "px", "sec", "secs", "th", "st", "nd", "rd":
		return true
	}
	return false
}

// random reports whether letters look like a token, not a word: upper and lower case
// change often.
func random(s string) bool {
	changes := 0
	for i := 1; i < len(s); i++ {
		a, b := s[i-1], s[i]
		if a >= 'a' && a <= 'z' && (b >= 'A' && b <= 'Z' || digit(b)) || digit(a) && letter(b) {
			changes++
		}
		if b == '.' || b == '_' {
			return false
		}
	}
	return 3*changes > len(s)/2
}
