package payload

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
)

// UserRecord is one record that the Kinesis Producer Library put, with others,
// into one record of the stream.
type UserRecord struct {
	Key     string // partition key
	HashKey string // explicit hash key, a decimal number; "" when none was given
	Data    []byte // shares the aggregate's bytes
}

// ErrNotAggregate says that a record is no KPL aggregate but data of its own.
var ErrNotAggregate = errors.New("not an aggregate of the Kinesis Producer Library")

var kplMagic = []byte{0xf3, 0x89, 0x9a, 0xc2}

// UserRecords takes an aggregate apart, in its order: four bytes of magic, a
// protobuf AggregatedRecord {1: keys, 2: hash keys, 3: records}, and the MD5 of the
// protobuf (format: KPL repository, aggregation-format.md). The error is
// ErrNotAggregate, in errors.Is, for whatever a consumer library would pass on as
// data of its own: no magic, or another MD5. Other errors say what is broken.
func UserRecords(record []byte) ([]UserRecord, error) {
	if len(record) < len(kplMagic)+md5.Size || !bytes.HasPrefix(record, kplMagic) {
		return nil, ErrNotAggregate
	}
	message, sum := record[len(kplMagic):len(record)-md5.Size], record[len(record)-md5.Size:]
	if md5.Sum(message) != [md5.Size]byte(sum) {
		return nil, fmt.Errorf("%w: it has the magic, but not the checksum", ErrNotAggregate)
	}
	var keys, hashes []string
	var bodies [][]byte
	err := eachProto(message, func(field int, _ uint64, data []byte) error {
		switch {
		case data == nil:
		case field == 1:
			keys = append(keys, string(data))
		case field == 2:
			hashes = append(hashes, string(data))
		case field == 3:
			bodies = append(bodies, data)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	out := make([]UserRecord, 0, len(bodies))
	for i, body := range bodies {
		r, err := userRecord(body, keys, hashes)
		if err != nil {
			return nil, fmt.Errorf("aggregate: record %d: %w", i, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// userRecord reads {1: index of the key, 2: index of the hash key, 3: data}.
func userRecord(body []byte, keys, hashes []string) (UserRecord, error) {
	r := UserRecord{Data: []byte{}}
	hasKey, hasData := false, false
	err := eachProto(body, func(field int, n uint64, data []byte) error {
		switch {
		case field == 1 && data == nil:
			if n >= uint64(len(keys)) {
				return errors.New("its key is not in the table")
			}
			r.Key, hasKey = keys[n], true
		case field == 2 && data == nil:
			if n >= uint64(len(hashes)) {
				return errors.New("its hash key is not in the table")
			}
			r.HashKey = hashes[n]
		case field == 3 && data != nil:
			r.Data, hasData = data, true
		}
		return nil
	})
	if err == nil && (!hasKey || !hasData) {
		err = errors.New("it has no key or no data")
	}
	return r, err
}

// eachProto calls f with each field of a protobuf message: its number, and the
// number or the bytes that it holds; data is nil for a number.
func eachProto(b []byte, f func(field int, n uint64, data []byte) error) error {
	for len(b) > 0 {
		tag, used := binary.Uvarint(b)
		if used <= 0 || tag>>3 == 0 || tag>>3 > 1<<29 {
			return errors.New("a field's number is broken")
		}
		b = b[used:]
		var n uint64
		var data []byte
		switch tag & 7 {
		case 0:
			if n, used = binary.Uvarint(b); used <= 0 {
				return errors.New("a number is broken")
			}
			b = b[used:]
		case 1, 5:
			used = 8
			if tag&7 == 5 {
				used = 4
			}
			if len(b) < used {
				return errors.New("a number is cut")
			}
			b = b[used:]
			continue // no field of ours is written so
		case 2:
			size, used := binary.Uvarint(b)
			if used <= 0 || size > uint64(len(b)-used) {
				return errors.New("a field is longer than the message")
			}
			data, b = b[used:used+int(size):used+int(size)], b[used+int(size):]
		default:
			return fmt.Errorf("a field has the unknown wire type %d", tag&7)
		}
		if err := f(int(tag>>3), n, data); err != nil {
			return err
		}
	}
	return nil
}
