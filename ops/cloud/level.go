package cloud

import (
	"fmt"
	"strings"
)

// Level says how much may be done through the door. Each level includes the
// ones before it. The zero Level is Look, the safest.
type Level int

const (
	// Look reads descriptions, lists and metrics. It has no effect on anything.
	Look Level = iota
	// Peek also reads messages. On SQS that is an act: it leases the message and
	// counts towards maxReceiveCount, so it can push a message into a dead-letter queue.
	Peek
	// Change also writes, deletes and configures.
	Change
)

// Levels lists all levels, lowest first.
var Levels = []Level{Look, Peek, Change}

func (l Level) String() string {
	switch l {
	case Look:
		return "look"
	case Peek:
		return "peek"
	case Change:
		return "change"
	}
	return fmt.Sprintf("level(%d)", int(l))
}

// ParseLevel reads "look", "peek" or "change". The error names what is allowed.
func ParseLevel(s string) (Level, error) {
	for _, l := range Levels {
		if strings.EqualFold(s, l.String()) {
			return l, nil
		}
	}
	return Look, fmt.Errorf("access level %q: must be look, peek or change", s)
}
