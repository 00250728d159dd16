package replay

import (
	"fmt"
	"slices"
	"strings"

	"kxops/ops"
)

// A query that somebody ran in Athena becomes the question of a replay where it reads one
// table: its condition chooses the same rows again.

// sqlWord is a word of a statement that stands outside of parentheses, and where.
type sqlWord struct {
	text        string // in small letters; a name in quotes has them
	from, until int
}

// behindFrom are words that end a condition.
var behindWhere = []string{"group", "having", "window", "order", "offset", "limit", "fetch"}

// severalTables are words of statements that read more than one table.
var severalTables = []string{"join", "union", "intersect", "except", "with", "unnest", "lateral", "tablesample", "match_recognize"}

// sqlWords are the words of a statement, outermost only.
func sqlWords(sql string) ([]sqlWord, error) {
	var out []sqlWord
	depth := 0
	inWord := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c == '@' || c >= 0x80
	}
	for i := 0; i < len(sql); {
		from, c := i, sql[i]
		switch {
		case c == '\'' || c == '"':
			for i++; ; i++ {
				end := strings.IndexByte(sql[i:], c)
				if end < 0 {
					return nil, fmt.Errorf("a quote (%c) is not closed", c)
				}
				i += end + 1
				if i >= len(sql) || sql[i] != c { // a doubled one is part of the text
					break
				}
			}
		case strings.HasPrefix(sql[i:], "--"), strings.HasPrefix(sql[i:], "/*"):
			return nil, fmt.Errorf("it has comments")
		case c == '(':
			depth++
			i++
		case c == ')':
			depth--
			i++
		case inWord(c):
			for i < len(sql) && inWord(sql[i]) {
				i++
			}
		default:
			i++
			if strings.IndexByte(" \t\r\n", c) >= 0 {
				continue
			}
		}
		if depth == 0 && c != ')' {
			text := sql[from:i]
			if c != '"' && c != '\'' {
				text = strings.ToLower(text)
			}
			out = append(out, sqlWord{text, from, i})
		}
	}
	return out, nil
}

// selectOf takes a SELECT of one table apart. The error says why it is none.
func selectOf(sql, database string) (table, where string, err error) {
	sql = strings.TrimSuffix(strings.TrimSpace(sql), ";")
	words, err := sqlWords(sql)
	if err != nil {
		return "", "", err
	}
	find := func(text string) int {
		return slices.IndexFunc(words, func(w sqlWord) bool { return w.text == text })
	}
	from := find("from")
	switch {
	case len(words) == 0 || words[0].text != "select":
		return "", "", fmt.Errorf("it is no SELECT")
	case from < 0:
		return "", "", fmt.Errorf("it reads no table")
	}
	for _, w := range words {
		if slices.Contains(severalTables, w.text) {
			return "", "", fmt.Errorf("it reads more than one table (%s)", strings.ToUpper(w.text))
		}
	}
	names, next := nameOf(words, from+1)
	if from+1 < len(words) && strings.TrimSpace(sql[words[from].until:words[from+1].from]) != "" {
		names = nil // a parenthesis: a select of its own
	}
	if len(names) == 3 && strings.EqualFold(names[0], athenaCatalog) {
		names = names[1:]
	}
	switch len(names) {
	case 1:
		if database == "" {
			database = "default" // as Athena takes it
		}
		names = []string{database, names[0]}
	case 2:
	default:
		return "", "", fmt.Errorf("what it reads is no table of this account's catalog")
	}
	table = names[0] + "." + names[1]
	if len(tableOf(ops.ReplayEnd{Table: table})) == 0 {
		return "", "", fmt.Errorf("%s is no name of a table", table)
	}
	switch {
	case next == len(words) || slices.Contains(behindWhere, words[next].text):
		return table, "", nil
	case words[next].text == ",":
		return "", "", fmt.Errorf("it reads more than one table")
	case words[next].text != "where":
		return "", "", fmt.Errorf("it gives the table another name (%s)", words[next].text)
	}
	end := len(sql)
	for _, w := range words[next+1:] {
		if slices.Contains(behindWhere, w.text) {
			end = w.from
			break
		}
	}
	where = strings.TrimSpace(sql[words[next].until:end])
	if _, err := condition(where); err != nil {
		return "", "", fmt.Errorf("its condition cannot be asked again: %w", err)
	}
	return table, where, nil
}

// nameOf reads a name with points in it, and says which word comes behind it.
func nameOf(words []sqlWord, at int) (names []string, next int) {
	for at < len(words) {
		name := words[at].text
		if strings.HasPrefix(name, `"`) {
			name = strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
		}
		names = append(names, name)
		if at++; at == len(words) || words[at].text != "." {
			break
		}
		at++
	}
	return names, at
}

// paramsOf are the values of an execution, as Athena keeps them: texts in quotes, numbers.
func paramsOf(given []string) []ops.ReplayParam {
	var out []ops.ReplayParam
	for _, s := range given {
		if n := len(s); n >= 2 && s[0] == '\'' && s[n-1] == '\'' {
			out = append(out, ops.ReplayParam{Value: strings.ReplaceAll(s[1:n-1], "''", "'")})
			continue
		}
		out = append(out, ops.ReplayParam{Value: s, Number: numberWord.MatchString(s)})
	}
	return out
}
