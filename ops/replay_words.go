package ops

import (
	"errors"
	"strconv"
	"strings"
)

// MostLanes is how many requests of one replay are in the air at once, at most.
const MostLanes = 256

// ParseSpeed reads how fast events are spaced: original is 1, 10x is ten times as fast
// as they arrived. The error says what it must be, without naming what was read.
func ParseSpeed(s string) (float64, error) {
	if s == "original" {
		return 1, nil
	}
	times, ok := strings.CutSuffix(s, "x")
	n, err := strconv.ParseFloat(times, 64)
	if !ok || err != nil || !(n >= 1 && n <= 10000) {
		return 0, errors.New("must be original, or 1x to 10000x")
	}
	return n, nil
}

// ParseShare reads percent, with or without the sign, as a share above 0 and at most 1.
// The error says what it must be, without naming what was read.
func ParseShare(s string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !(n > 0 && n <= 100) {
		return 0, errors.New("must be above 0 and at most 100 percent")
	}
	return n / 100, nil
}
