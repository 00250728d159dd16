package sandbox

import (
	"bytes"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is what a table holds: attributes by name. An item in a table is never
// changed, only replaced: answers and indexes share it.
type item = map[string]types.AttributeValue

// deepest is how far lists and maps may be nested (developer guide, constraints).
const deepest = 32

var errTooDeep = invalid("Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit")

func invalid(format string, args ...any) error {
	return fail("ValidationException", format, args...)
}

func badItemParameter(format string, args ...any) error {
	return fail("ValidationException", "One or more parameter values were invalid: "+format, args...)
}

// kindOf is a value's type as it stands on the wire: S, N, M …; "" for nil.
func kindOf(v types.AttributeValue) string {
	switch v.(type) {
	case *types.AttributeValueMemberB:
		return "B"
	case *types.AttributeValueMemberBOOL:
		return "BOOL"
	case *types.AttributeValueMemberBS:
		return "BS"
	case *types.AttributeValueMemberL:
		return "L"
	case *types.AttributeValueMemberM:
		return "M"
	case *types.AttributeValueMemberN:
		return "N"
	case *types.AttributeValueMemberNS:
		return "NS"
	case *types.AttributeValueMemberNULL:
		return "NULL"
	case *types.AttributeValueMemberS:
		return "S"
	case *types.AttributeValueMemberSS:
		return "SS"
	}
	return ""
}

// settleItem checks the values that came with a request and brings them to their
// one form, in place: numbers in plain digits, sets sorted.
func settleItem(it item) error {
	for _, name := range sortedNames(it) {
		if err := settleValue(it[name], 0); err != nil {
			return err
		}
	}
	return nil
}

func settleValue(v types.AttributeValue, depth int) error {
	if depth > deepest {
		return errTooDeep
	}
	switch x := v.(type) {
	case nil:
		return invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	case *types.AttributeValueMemberN:
		n, err := parseNumber(x.Value)
		if err != nil {
			return err
		}
		x.Value = n.String()
	case *types.AttributeValueMemberNULL:
		if !x.Value {
			return badItemParameter("Null attribute value types must have the value of true")
		}
	case *types.AttributeValueMemberNS:
		return settleNumbers(x)
	case *types.AttributeValueMemberSS:
		if len(x.Value) == 0 {
			return badItemParameter("An string set  may not be empty")
		}
		given := strings.Join(x.Value, ", ")
		slices.Sort(x.Value)
		if len(slices.Compact(slices.Clone(x.Value))) < len(x.Value) {
			return badItemParameter("Input collection [%s] contains duplicates.", given)
		}
	case *types.AttributeValueMemberBS:
		if len(x.Value) == 0 {
			return badItemParameter("Binary sets should not be empty")
		}
		slices.SortFunc(x.Value, bytes.Compare)
		if len(slices.CompactFunc(slices.Clone(x.Value), bytes.Equal)) < len(x.Value) {
			return badItemParameter("Input collection contains duplicates.")
		}
	case *types.AttributeValueMemberL:
		for _, e := range x.Value {
			if err := settleValue(e, depth+1); err != nil {
				return err
			}
		}
	case *types.AttributeValueMemberM:
		for _, name := range sortedNames(x.Value) {
			if err := settleValue(x.Value[name], depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func settleNumbers(x *types.AttributeValueMemberNS) error {
	if len(x.Value) == 0 {
		return badItemParameter("An number set  may not be empty")
	}
	numbers := make([]number, len(x.Value))
	for i, s := range x.Value {
		n, err := parseNumber(s)
		if err != nil {
			return err
		}
		numbers[i] = n
	}
	slices.SortFunc(numbers, func(a, b number) int { return strings.Compare(a.order(), b.order()) })
	for i, n := range numbers {
		x.Value[i] = n.String()
	}
	if len(slices.Compact(slices.Clone(x.Value))) < len(x.Value) {
		return invalid("Input collection contains duplicates")
	}
	return nil
}

// checkDepth refuses what an update has nested too deeply.
func checkDepth(it item, depth int) error {
	for _, v := range it {
		if err := checkValueDepth(v, depth); err != nil {
			return err
		}
	}
	return nil
}

func checkValueDepth(v types.AttributeValue, depth int) error {
	if depth > deepest {
		return errTooDeep
	}
	switch x := v.(type) {
	case *types.AttributeValueMemberM:
		return checkDepth(x.Value, depth+1)
	case *types.AttributeValueMemberL:
		for _, e := range x.Value {
			if err := checkValueDepth(e, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// The bytes that an item counts: developer guide, "DynamoDB item sizes and formats".
const mostItemBytes = 400 << 10

func sizeOfItem(it item) int {
	n := 0
	for name, v := range it {
		n += len(name) + sizeOfValue(v)
	}
	return n
}

func sizeOfValue(v types.AttributeValue) int {
	switch x := v.(type) {
	case *types.AttributeValueMemberS:
		return len(x.Value)
	case *types.AttributeValueMemberB:
		return len(x.Value)
	case *types.AttributeValueMemberN:
		return sizeOfNumber(x.Value)
	case *types.AttributeValueMemberSS:
		n := 0
		for _, s := range x.Value {
			n += len(s)
		}
		return n
	case *types.AttributeValueMemberNS:
		n := 0
		for _, s := range x.Value {
			n += sizeOfNumber(s)
		}
		return n
	case *types.AttributeValueMemberBS:
		n := 0
		for _, b := range x.Value {
			n += len(b)
		}
		return n
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range x.Value {
			n += 1 + sizeOfValue(e)
		}
		return n
	case *types.AttributeValueMemberM:
		return 3 + len(x.Value) + sizeOfItem(x.Value)
	}
	return 1 // BOOL and NULL
}

// sizeOfNumber is about a byte for two digits, one more, and one for a sign.
func sizeOfNumber(settled string) int {
	digits := strings.Trim(strings.Replace(strings.TrimPrefix(settled, "-"), ".", "", 1), "0")
	n := (len(digits)+1)/2 + 1
	if strings.HasPrefix(settled, "-") {
		n++
	}
	return n
}

// orderOf is a string by which values of one type compare: of strings, numbers and
// binaries. Other types have none.
func orderOf(v types.AttributeValue) (string, bool) {
	switch x := v.(type) {
	case *types.AttributeValueMemberS:
		return x.Value, true
	case *types.AttributeValueMemberB:
		return string(x.Value), true
	case *types.AttributeValueMemberN:
		return numberOf(x).order(), true
	}
	return "", false
}

// numberOf reads a settled number.
func numberOf(v *types.AttributeValueMemberN) number {
	n, err := parseNumber(v.Value)
	if err != nil { // settled values parse
		return number{}
	}
	return n
}
