package sandbox

import (
	"math/big"
	"strconv"
	"strings"
)

// number is a number as DynamoDB has it: a decimal of up to 38 digits. Its value is
// 0.<digits> × 10^point.
type number struct {
	negative bool
	digits   string // without zeros at either end; "" is zero
	point    int
}

// Magnitude and precision: developer guide, "Supported data types and naming
// rules", Number.
const (
	mostDigits  = 38
	largestTens = 126  // 9.99…E+125 is 0.999… × 10^126
	leastTens   = -129 // 1E-130 is 0.1 × 10^-129
)

func parseNumber(s string) (number, error) {
	bad := invalid("The parameter cannot be converted to a numeric value: %s", s)
	if s == "" {
		return number{}, invalid("The parameter cannot be converted to a numeric value")
	}
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil || len(s)-i > 8 {
			return number{}, bad
		}
		mantissa, exponent = s[:i], e
	}
	n := number{negative: strings.HasPrefix(mantissa, "-")}
	mantissa = strings.TrimPrefix(strings.TrimPrefix(mantissa, "-"), "+")
	if strings.HasPrefix(s, "-+") {
		return number{}, bad
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return number{}, bad
	}
	n.digits, n.point = whole+fraction, len(whole)+exponent
	return n.checked()
}

// checked brings a number to its one form and holds it to the limits.
func (n number) checked() (number, error) {
	trimmed := strings.TrimLeft(n.digits, "0")
	n.point -= len(n.digits) - len(trimmed)
	n.digits = strings.TrimRight(trimmed, "0")
	switch {
	case n.digits == "":
		return number{}, nil
	case len(n.digits) > mostDigits:
		return number{}, invalid("Attempting to store more than 38 significant digits in a Number")
	case n.point > largestTens:
		return number{}, invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case n.point < leastTens:
		return number{}, invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return n, nil
}

// String is the number as DynamoDB answers it: plain digits, never an exponent.
func (n number) String() string {
	if n.digits == "" {
		return "0"
	}
	sign := ""
	if n.negative {
		sign = "-"
	}
	switch {
	case n.point <= 0:
		return sign + "0." + strings.Repeat("0", -n.point) + n.digits
	case n.point >= len(n.digits):
		return sign + n.digits + strings.Repeat("0", n.point-len(n.digits))
	}
	return sign + n.digits[:n.point] + "." + n.digits[n.point:]
}

// order is a string that compares as the number does.
func (n number) order() string {
	if n.digits == "" {
		return "\x80"
	}
	b := append([]byte{0x81, byte((n.point + 1000) >> 8), byte(n.point + 1000)}, n.digits...)
	if !n.negative {
		return string(b)
	}
	for i := range b {
		b[i] = ^b[i]
	}
	b[0] = 0x7f
	return string(append(b, 0xff)) // of two with the same beginning the longer one is less
}

// plus adds exactly. AWS does not document what becomes of a sum with more than 38
// digits; here it is refused as such a number is.
func (n number) plus(m number) (number, error) {
	scale := min(n.point-len(n.digits), m.point-len(m.digits))
	sum := new(big.Int).Add(n.scaled(scale), m.scaled(scale))
	text := new(big.Int).Abs(sum).String()
	return number{negative: sum.Sign() < 0, digits: text, point: len(text) + scale}.checked()
}

// scaled is the number in units of 10^scale, which must be fine enough for it.
func (n number) scaled(scale int) *big.Int {
	out, _ := new(big.Int).SetString("0"+n.digits+strings.Repeat("0", n.point-len(n.digits)-scale), 10) // digits only: it parses
	if n.negative {
		out.Neg(out)
	}
	return out
}

func (n number) negated() number {
	n.negative = !n.negative && n.digits != ""
	return n
}
