package sandbox

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"math"
	"sort"

	"modernc.org/sqlite"
)

// The aggregates that SQLite does not have.

// collector takes rows and gives a value.
type collector interface {
	take(args []any) error
	value() (any, error)
}

var collectors = map[string]func() collector{
	"only":       func() collector { return &onlyRow{} },
	"any":        func() collector { return &anyValue{} },
	"min_by":     func() collector { return &extremeBy{sign: -1} },
	"max_by":     func() collector { return &extremeBy{sign: 1} },
	"array_agg":  func() collector { return &listed{} },
	"percentile": func() collector { return &ranked{} },
}

// collecting makes a collector one of SQLite's aggregates.
type collecting struct{ collector }

func (c *collecting) Step(_ *sqlite.FunctionContext, args []driver.Value) error {
	values := make([]any, len(args))
	for i, a := range args {
		if b, ok := a.([]byte); ok {
			a = string(b)
		}
		values[i] = a
	}
	if err := c.take(values); err != nil {
		return marked(err)
	}
	return nil
}

func (c *collecting) WindowInverse(*sqlite.FunctionContext, []driver.Value) error {
	return marked(errors.New("NOT_SUPPORTED: the sandbox's Athena does not run this aggregate over a window"))
}

func (c *collecting) WindowValue(*sqlite.FunctionContext) (driver.Value, error) {
	v, err := c.value()
	if err != nil {
		return nil, marked(err)
	}
	return v, nil
}

func (c *collecting) Final(*sqlite.FunctionContext) {}

// onlyRow is the one row of a query that stands for a value.
type onlyRow struct {
	n int
	v any
}

func (o *onlyRow) take(args []any) error {
	if o.n++; o.n > 1 {
		return &queryError{"SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows"}
	}
	o.v = args[0]
	return nil
}

func (o *onlyRow) value() (any, error) { return o.v, nil }

type anyValue struct{ v any }

func (a *anyValue) take(args []any) error {
	if a.v == nil {
		a.v = args[0]
	}
	return nil
}

func (a *anyValue) value() (any, error) { return a.v, nil }

// extremeBy keeps the value that goes with the greatest or the least key.
type extremeBy struct {
	sign   int
	v, key any
}

func (x *extremeBy) take(args []any) error {
	if args[1] != nil && (x.key == nil || sqlCompare(args[1], x.key)*x.sign > 0) {
		x.v, x.key = args[0], args[1]
	}
	return nil
}

func (x *extremeBy) value() (any, error) { return x.v, nil }

// sqlCompare orders two values of one type.
func sqlCompare(a, b any) int {
	if s, ok := a.(string); ok {
		t := sqlString(b)
		switch {
		case s < t:
			return -1
		case s > t:
			return 1
		}
		return 0
	}
	if m, ok := a.(int64); ok {
		if n, ok := b.(int64); ok {
			switch {
			case m < n:
				return -1
			case m > n:
				return 1
			}
			return 0
		}
	}
	f, g := sqlFloat(a), sqlFloat(b)
	switch {
	case f < g:
		return -1
	case f > g:
		return 1
	}
	return 0
}

type listed struct{ list []any }

func (l *listed) take(args []any) error {
	l.list = append(l.list, args[0])
	return nil
}

func (l *listed) value() (any, error) {
	if l.list == nil {
		return nil, nil
	}
	b, err := json.Marshal(l.list)
	return string(b), err
}

// ranked is the value at a rank.
type ranked struct {
	list []any
	rank float64
}

func (r *ranked) take(args []any) error {
	if r.rank = sqlFloat(args[1]); r.rank < 0 || r.rank > 1 {
		return invalidArgument("Percentile must be between 0 and 1")
	}
	if args[0] != nil {
		r.list = append(r.list, args[0])
	}
	return nil
}

func (r *ranked) value() (any, error) {
	if len(r.list) == 0 {
		return nil, nil
	}
	sort.Slice(r.list, func(i, j int) bool { return sqlCompare(r.list[i], r.list[j]) < 0 })
	return r.list[max(0, int(math.Ceil(r.rank*float64(len(r.list))))-1)], nil
}
