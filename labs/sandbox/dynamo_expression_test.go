package sandbox

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// subject is the item that the conditions below are asked of.
func subject() item {
	return item{
		"pk": str("a"), "n": num("7"), "s": str("abcdé"), "yes": truth(true), "nothing": &types.AttributeValueMemberNULL{Value: true},
		"b": bin("\x01\x02"), "l": list(num("1"), str("x"), mapOf(item{"in": num("5")})), "m": mapOf(item{"k": str("v"), "deep": list(num("3"))}),
		"ss": strs("red", "blue"), "ns": nums("1", "2.0"), "status": str("open"), "a.b": str("dotted"),
	}
}

// The meaning of conditions: developer guide, "Condition and filter expressions".
func TestConditions(t *testing.T) {
	d := dynamoOf(t)
	d.create("subjects", "pk:S")
	d.put("subjects", subject())
	values := item{":n": num("7.0"), ":five": num("5"), ":ten": num("10"), ":s": str("abcdé"), ":ab": str("ab"), ":red": str("red"), ":v": str("v"), ":x": str("x"),
		":one": num("1"), ":S": str("S"), ":N": str("N"), ":two": num("2"), ":bin": bin("\x01"), ":true": truth(true), ":z": str("z"), ":set": strs("blue", "red"), ":a": str("a")}
	names := map[string]string{"#st": "status", "#dot": "a.b", "#gone": "gone"}
	for c, want := range map[string]bool{
		"n = :n":                                 true,
		"n <> :n":                                false,
		"gone = :n":                              false,
		"gone <> :n":                             true,
		"n = :s":                                 false,
		"n < :ten":                               true,
		"n < :five OR n > :five":                 true,
		"s < :ten":                               false,
		"s >= :ab":                               true,
		"ss = :set":                              true,
		"n BETWEEN :five AND :ten":               true,
		"NOT n BETWEEN :five AND :ten":           false,
		":n between :five and n":                 true,
		"n IN (:five, :n, :ten)":                 true,
		"n in (:five)":                           false,
		"gone IN (:five)":                        false,
		"attribute_exists(n)":                    true,
		"attribute_exists(m.k)":                  true,
		"attribute_exists(m.gone)":               false,
		"attribute_exists(l[2].#gone)":           false,
		"attribute_not_exists(l[3])":             true,
		"attribute_not_exists(n)":                false,
		"attribute_type(s, :S)":                  true,
		"attribute_type(s, :N)":                  false,
		"attribute_type(gone, :N)":               false,
		"begins_with(s, :ab)":                    true,
		"begins_with(b, :bin)":                   true,
		"begins_with(n, :ab)":                    false,
		"contains(ss, :red)":                     true,
		"contains(s, :ab)":                       true,
		"contains(ns, :two)":                     true,
		"contains(l, :x)":                        true,
		"contains(l, :z)":                        false,
		"size(s) = :five":                        true,
		"size(l) > :one AND n > :five":           true,
		"size(n) > :one":                         false,
		"m.deep[0] < :five":                      true,
		"l[0] = :one":                            true,
		"#st <> :x":                              true,
		"#dot = :x":                              false,
		"yes = :true":                            true,
		"n = :five OR n = :n AND yes = :true":    true,
		"(n = :five OR n = :n) AND yes <> :true": false,
		"NOT (n = :five) AND NOT n = :ten":       true,
		"  pk\t=\n:a":                            true,
		"n < l[0]":                               false,
		"l[0] < n":                               true,
	} {
		// each case uses a few of the placeholders, and only these may be given
		used, usedNames := item{}, map[string]string{}
		for _, k := range tokensOf(c) {
			if v, ok := values[k.text]; ok && k.kind == valueToken {
				used[k.text] = v
			}
			if v, ok := names[k.text]; ok {
				usedNames[k.text] = v
			}
		}
		in := &dynamodb.ScanInput{TableName: aws.String("subjects"), FilterExpression: &c}
		if len(used) > 0 {
			in.ExpressionAttributeValues = used
		}
		if len(usedNames) > 0 {
			in.ExpressionAttributeNames = usedNames
		}
		out, err := d.client.Scan(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		if got := out.Count == 1; got != want || out.ScannedCount != 1 {
			t.Errorf("%s: %v of %d", c, got, out.ScannedCount)
		}
	}
}

// What is wrong with a condition is said in AWS's words.
func TestBadConditions(t *testing.T) {
	d := dynamoOf(t)
	d.create("subjects", "pk:S")
	all := item{":n": num("7"), ":m": num("9"), ":s": str("s"), ":t": truth(true), ":l": list(), ":str": str("STRING")}
	for c, want := range map[string]string{
		"":                                   "Invalid ConditionExpression: The expression can not be empty;",
		"  ":                                 "Invalid ConditionExpression: The expression can not be empty;",
		"n":                                  `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "n"`,
		"n = ":                               `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "="`,
		"n == :n":                            `Invalid ConditionExpression: Syntax error; token: "=", near: "== :n"`,
		"my-n = :n":                          `Invalid ConditionExpression: Syntax error; token: "-", near: "my-n"`,
		"n = :n)":                            `Invalid ConditionExpression: Syntax error; token: ")", near: ":n)"`,
		"(n = :n":                            `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: ":n"`,
		"n = :n AND":                         `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "AND"`,
		"AND n = :n":                         `Invalid ConditionExpression: Syntax error; token: "AND", near: "AND n"`,
		"n = 7":                              `Invalid ConditionExpression: Syntax error; token: "7", near: "= 7"`,
		"l[x] = :n":                          `Invalid ConditionExpression: Syntax error; token: "x", near: "[x]"`,
		"n ! :n":                             `Invalid ConditionExpression: Syntax error; token: "!", near: "n ! :n"`,
		"n IN :n":                            `Invalid ConditionExpression: Syntax error; token: ":n", near: "IN :n"`,
		"n BETWEEN :n":                       `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: ":n"`,
		"((n = :n))":                         "Invalid ConditionExpression: The expression has redundant parentheses;",
		"name = :n":                          "Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: name",
		"m.Status = :n":                      "Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: Status",
		"#x = :n":                            "Invalid ConditionExpression: An expression attribute name used in the document path is not defined; attribute name: #x",
		"n = :other":                         "Invalid ConditionExpression: An expression attribute value used in expression is not defined; attribute value: :other",
		"exists(n)":                          "Invalid ConditionExpression: Invalid function name; function: exists",
		"if_not_exists(n, :n)":               "Invalid ConditionExpression: The function is not allowed in a condition expression; function: if_not_exists",
		"size(n)":                            "Invalid ConditionExpression: The function is not allowed to be used this way in an expression; function: size",
		"attribute_exists(n) = :n":           `Invalid ConditionExpression: Syntax error; token: "=", near: ") = :n"`,
		"n = contains(n, :n)":                "Invalid ConditionExpression: The function is not allowed to be used this way in an expression; function: contains",
		"begins_with(n)":                     "Invalid ConditionExpression: Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
		"begins_with(n, :n)":                 "Invalid ConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
		"attribute_exists(:n)":               "Invalid ConditionExpression: Operator or function requires a document path; operator or function: attribute_exists",
		"attribute_type(n, :n)":              "Invalid ConditionExpression: Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
		"attribute_type(n, :str)":            "Invalid ConditionExpression: Invalid attribute type name found; type: STRING, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
		"n < :t":                             "Invalid ConditionExpression: Incorrect operand type for operator or function; operator: <, operand type: BOOL",
		"n = n":                              "Invalid ConditionExpression: The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [n]",
		"n BETWEEN :m AND :n":                "Invalid ConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {N:7}",
		"n BETWEEN :n AND :s":                "Invalid ConditionExpression: The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {N:7}, upper bound operand: AttributeValue: {S:s}",
		"n = :n AND size(n) > :n OR (":       `Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("`,
		"n = :n" + strings.Repeat(" ", 5000): "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size;",
		"n IN (:n" + strings.Repeat(",:n", 100) + ")": "Invalid ConditionExpression: The IN operator is provided with too many operands; number of operands: 101",
		"n=:n" + strings.Repeat(" OR n=:n", 151):      "Invalid ConditionExpression: The expression contains too many operators; operator count: 303",
	} {
		used := item{}
		for _, k := range tokensOf(c) {
			if v, ok := all[k.text]; ok {
				used[k.text] = v
			}
		}
		in := &dynamodb.PutItemInput{TableName: aws.String("subjects"), Item: item{"pk": str("a")}, ConditionExpression: &c}
		if len(used) > 0 {
			in.ExpressionAttributeValues = used
		}
		_, err := d.client.PutItem(t.Context(), in)
		d.refused(err, "ValidationException", want)
	}
}

// Updates are made of the item as it was before: developer guide, "Update expressions".
func TestUpdates(t *testing.T) {
	d := dynamoOf(t)
	d.create("subjects", "pk:S")
	values := item{":one": num("1"), ":neg": num("-1.5"), ":s": str("new"), ":l": list(str("y")), ":e": list(), ":m": mapOf(item{}), ":set": strs("red", "green"), ":ns": nums("2", "3"), ":both": strs("red", "blue"), ":z": num("0")}
	names := map[string]string{"#st": "status", "#dot": "a.b", "#c": "count"}
	for u, want := range map[string]item{ // attributes as they are after; nil: gone
		"SET n = n + :one":                                  {"n": num("8")},
		"SET n = n - :neg, fresh = :s":                      {"n": num("8.5"), "fresh": str("new")},
		"set n = :one - n":                                  {"n": num("-6")},
		"SET #c = if_not_exists(#c, :z) + :one":             {"count": num("1")},
		"SET n = if_not_exists(n, :z) + :one":               {"n": num("8")},
		"SET n = s, s = n":                                  {"n": str("abcdé"), "s": num("7")},
		"SET l = list_append(l, :l)":                        {"l": list(num("1"), str("x"), mapOf(item{"in": num("5")}), str("y"))},
		"SET fresh = list_append(if_not_exists(f, :e), :l)": {"fresh": list(str("y"))},
		"SET l[0] = :s":                                     {"l": list(str("new"), str("x"), mapOf(item{"in": num("5")}))},
		"SET l[9] = :s":                                     {"l": list(num("1"), str("x"), mapOf(item{"in": num("5")}), str("new"))},
		"SET l[2].more = :s, m.k = :one":                    {"l": list(num("1"), str("x"), mapOf(item{"in": num("5"), "more": str("new")})), "m": mapOf(item{"k": num("1"), "deep": list(num("3"))})},
		"SET m.k2 = m.k":                                    {"m": mapOf(item{"k": str("v"), "k2": str("v"), "deep": list(num("3"))})},
		"SET #dot = :s":                                     {"a.b": str("new")},
		"REMOVE n, gone, m.gone":                            {"n": nil, "m": mapOf(item{"k": str("v"), "deep": list(num("3"))})},
		"REMOVE l[0], l[1]":                                 {"l": list(mapOf(item{"in": num("5")}))},
		"REMOVE l[1], l[0], l[7]":                           {"l": list(mapOf(item{"in": num("5")}))},
		"REMOVE m.deep[0] SET #st = :s":                     {"m": mapOf(item{"k": str("v"), "deep": list()}), "status": str("new")},
		"ADD n :neg, fresh :one":                            {"n": num("5.5"), "fresh": num("1")},
		"ADD ss :set, ns :ns, fs :set":                      {"ss": strs("blue", "green", "red"), "ns": nums("1", "2", "3"), "fs": strs("green", "red")},
		"DELETE ss :set, gone :set":                         {"ss": strs("blue"), "gone": nil},
		"DELETE ss :both":                                   {"ss": nil},
		"add n :one delete ss :set remove s set l[0]=:one":  {"n": num("8"), "ss": strs("blue"), "s": nil, "l": list(num("1"), str("x"), mapOf(item{"in": num("5")}))},
	} {
		d.put("subjects", subject())
		in := &dynamodb.UpdateItemInput{TableName: aws.String("subjects"), Key: item{"pk": str("a")}, UpdateExpression: &u, ReturnValues: types.ReturnValueAllNew}
		fill(u, values, names, in)
		out, err := d.client.UpdateItem(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", u, err)
			continue
		}
		after := subject()
		after["ns"], after["ss"] = nums("1", "2"), strs("blue", "red")
		for name, v := range want {
			if after[name] = v; v == nil {
				delete(after, name)
			}
		}
		d.equal(u, out.Attributes, after)
		d.equal(u+", read again", d.get("subjects", in.Key), after)
	}
}

// fill gives an update those placeholders that it uses.
func fill(text string, values item, names map[string]string, in *dynamodb.UpdateItemInput) {
	for _, k := range tokensOf(text) {
		if v, ok := values[k.text]; ok && k.kind == valueToken {
			if in.ExpressionAttributeValues == nil {
				in.ExpressionAttributeValues = item{}
			}
			in.ExpressionAttributeValues[k.text] = v
		}
		if v, ok := names[k.text]; ok {
			if in.ExpressionAttributeNames == nil {
				in.ExpressionAttributeNames = map[string]string{}
			}
			in.ExpressionAttributeNames[k.text] = v
		}
	}
}

// A bad update is refused in AWS's words and changes nothing.
func TestBadUpdates(t *testing.T) {
	d := dynamoOf(t)
	d.create("subjects", "pk:S")
	d.put("subjects", subject())
	before := d.get("subjects", item{"pk": str("a")})
	values := item{":one": num("1"), ":s": str("new"), ":l": list(str("y")), ":set": strs("red"), ":huge": num("9.9e125"), ":tiny": num("1e-30")}
	for u, want := range map[string]string{
		"":                                    "Invalid UpdateExpression: The expression can not be empty;",
		"n = :one":                            `Invalid UpdateExpression: Syntax error; token: "n", near: "n ="`,
		"SET":                                 `Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "SET"`,
		"SET n = :one,":                       `Invalid UpdateExpression: Syntax error; token: "<EOF>", near: ","`,
		"SET n = n + :one + :one":             `Invalid UpdateExpression: Syntax error; token: "+", near: ":one + :one"`,
		"SET n":                               `Invalid UpdateExpression: Syntax error; token: "<EOF>", near: "n"`,
		"ADD n = :one":                        `Invalid UpdateExpression: Syntax error; token: "=", near: "n = :one"`,
		"SET n = :one SET s = :s":             `Invalid UpdateExpression: The "SET" section can only be used once in an update expression;`,
		"SET n = :one, n = :s":                "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [n], path two: [n]",
		"SET m.k = :one REMOVE m":             "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [m, k], path two: [m]",
		"SET m.k = :one, m[0] = :s":           "Invalid UpdateExpression: Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [m, k], path two: [m, [0]]",
		"SET size(n) = :one":                  `Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: size`,
		"SET n = size(s)":                     "Invalid UpdateExpression: The function is not allowed in an update expression; function: size",
		"SET n = foo(s)":                      "Invalid UpdateExpression: Invalid function name; function: foo",
		"SET n = n + :s":                      "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: +, operand type: S",
		"SET l = list_append(l, :one)":        "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: list_append, operand type: N",
		"SET n = if_not_exists(:one, :s)":     "Invalid UpdateExpression: Operator or function requires a document path; operator or function: if_not_exists",
		"ADD n :s":                            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
		"DELETE n :one":                       "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
		"SET pk = :s":                         "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
		"SET n = gone + :one":                 "The provided expression refers to an attribute that does not exist in the item",
		"SET n = gone":                        "The provided expression refers to an attribute that does not exist in the item",
		"SET n = s + :one":                    "An operand in the update expression has an incorrect data type",
		"SET l = list_append(n, :l)":          "An operand in the update expression has an incorrect data type",
		"ADD s :one":                          "An operand in the update expression has an incorrect data type",
		"DELETE n :set":                       "An operand in the update expression has an incorrect data type",
		"SET gone.k = :one":                   "The document path provided in the update expression is invalid for update",
		"SET n.k = :one":                      "The document path provided in the update expression is invalid for update",
		"SET m[0] = :one":                     "The document path provided in the update expression is invalid for update",
		"REMOVE gone.k":                       "The document path provided in the update expression is invalid for update",
		"ADD n :huge SET s = :s, status = :s": "Invalid UpdateExpression: Attribute name is a reserved keyword; reserved keyword: status",
		"ADD n :huge":                         "Attempting to store more than 38 significant digits in a Number",
	} {
		in := &dynamodb.UpdateItemInput{TableName: aws.String("subjects"), Key: item{"pk": str("a")}, UpdateExpression: &u}
		fill(u, values, nil, in)
		_, err := d.client.UpdateItem(t.Context(), in)
		d.refused(err, "ValidationException", want)
	}
	d.equal("the item", d.get("subjects", item{"pk": str("a")}), before)
}

// Placeholders must be well formed, defined, and used.
func TestPlaceholders(t *testing.T) {
	d := dynamoOf(t)
	d.create("subjects", "pk:S")
	for want, in := range map[string]dynamodb.PutItemInput{
		"Value provided in ExpressionAttributeNames unused in expressions: keys: {#b, #c}":                                     {ConditionExpression: aws.String("#a = :a"), ExpressionAttributeNames: map[string]string{"#a": "a", "#c": "c", "#b": "b"}, ExpressionAttributeValues: item{":a": str("")}},
		"Value provided in ExpressionAttributeValues unused in expressions: keys: {:b}":                                        {ConditionExpression: aws.String("a = :a"), ExpressionAttributeValues: item{":a": str(""), ":b": str("")}},
		"ExpressionAttributeNames can only be specified when using expressions":                                                {ExpressionAttributeNames: map[string]string{"#a": "a"}},
		"ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null":                  {ExpressionAttributeValues: item{":a": str("a")}},
		"ExpressionAttributeNames must not be empty":                                                                           {ConditionExpression: aws.String("a = :a"), ExpressionAttributeNames: map[string]string{}},
		"ExpressionAttributeValues must not be empty":                                                                          {ConditionExpression: aws.String("attribute_exists(a)"), ExpressionAttributeValues: item{}},
		`ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`:                                                {ConditionExpression: aws.String("a = :a"), ExpressionAttributeNames: map[string]string{"a": "a"}},
		`ExpressionAttributeValues contains invalid key: Syntax error; key: ":"`:                                               {ConditionExpression: aws.String("a = :a"), ExpressionAttributeValues: item{":": str("a")}},
		"ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :a": {ConditionExpression: aws.String("a = :a"), ExpressionAttributeValues: item{":a": num("x")}},
	} {
		in.TableName, in.Item = aws.String("subjects"), item{"pk": str("a")}
		_, err := d.client.PutItem(t.Context(), &in)
		d.refused(err, "ValidationException", want)
	}
}

// Numbers are decimals: they compare and add without loss.
func TestNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0.00": "0", "007": "7", "1.50": "1.5", "1e3": "1000", "12.5E-3": "0.0125", ".5": "0.5", "5.": "5", "+3": "3",
		"99999999999999999999999999999999999999": "99999999999999999999999999999999999999", "1E-130": "0." + strings.Repeat("0", 129) + "1", "-9.9e125": "-99" + strings.Repeat("0", 124),
	} {
		n, err := parseNumber(text)
		if err != nil || n.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, n, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "cannot be converted", "x": "cannot be converted", "1e": "cannot be converted", "--1": "cannot be converted", "1.2.3": "cannot be converted", "0x1": "cannot be converted", "1_0": "cannot be converted", "NaN": "cannot be converted", " 1": "cannot be converted",
		"999999999999999999999999999999999999999": "more than 38 significant digits", "1e126": "larger than supported", "1e-131": "smaller than supported",
	} {
		if n, err := parseNumber(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v; want %s", text, n, err, want)
		}
	}
	rising := []string{"-9e125", "-1000", "-999.5", "-999", "-12", "-1.25", "-1.2", "-1", "-0.1", "-1e-130", "0", "1e-130", "0.02", "0.1", "1", "1.2", "1.25", "9", "10", "99", "100", "1e38", "9e125"}
	for i := range rising {
		for j := range rising {
			a, b := &types.AttributeValueMemberN{Value: rising[i]}, &types.AttributeValueMemberN{Value: rising[j]}
			if got, ok := compareValues(a, b); !ok || got != compareInts(i, j) {
				t.Errorf("%s and %s compare as %d", rising[i], rising[j], got)
			}
		}
	}
	for _, c := range [][3]string{{"0.1", "0.2", "0.3"}, {"1e20", "1", "100000000000000000001"}, {"-5", "5", "0"}, {"0", "-0.25", "-0.25"}, {"99999999999999999999999999999999999999", "1", "100000000000000000000000000000000000000"}} {
		got, err := addNumbers(num(c[0]), num(c[1]), false)
		if err != nil || got.(*types.AttributeValueMemberN).Value != c[2] {
			t.Errorf("%s + %s = %v, %v", c[0], c[1], got, err)
		}
	}
}

func compareInts(i, j int) int { return sign(i > j) - sign(i < j) }

// Whatever stands in an expression, it is read or refused, and never a panic.
func FuzzExpressions(f *testing.F) {
	f.Add("SET a.b[0] = if_not_exists(c, :v) + :v REMOVE d ADD e :v")
	f.Add("(a = :v OR NOT size(b) BETWEEN :v AND :v) AND begins_with(#n, :v) and c in (:v, d)")
	f.Fuzz(func(t *testing.T, text string) {
		h := &holders{names: map[string]string{"#n": "n"}, values: item{":v": num("1")}, namesUsed: map[string]bool{}, valsUsed: map[string]bool{}}
		it := item{"a": mapOf(item{"b": list(num("1"))}), "n": str("x"), "c": num("4")}
		if c, _, err := parseCondition(phrase{"ConditionExpression", &text}, h); err == nil {
			c.holds(it)
			c.holds(nil)
			if z, err := readZone(c, keySchema{hash: "a", sort: "b", types: map[string]types.ScalarAttributeType{"a": "N", "b": "N"}}); err == nil && z.sort != nil {
				z.sort("1")
			}
		}
		if u, err := parseUpdate(&text, h); err == nil {
			if out, err := u.apply(it); err == nil && sizeOfItem(out) < 0 {
				t.Error("an item of negative size")
			}
		}
	})
}
