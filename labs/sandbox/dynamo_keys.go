package sandbox

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The bytes that keys may have: developer guide, constraints.
const (
	mostHashBytes = 2048
	mostSortBytes = 1024
)

// names lists the key attributes, the hash key first.
func (k keySchema) names() []string {
	if k.sort == "" {
		return []string{k.hash}
	}
	return []string{k.hash, k.sort}
}

// placeOf is where an item stands by its keys, which must be checked.
func (k keySchema) placeOf(it item) place {
	hash, _ := orderOf(it[k.hash])
	sort, _ := orderOf(it[k.sort])
	return place{hash: hash, sort: sort}
}

// has says whether an item has all the keys: one that has not is in no index.
func (k keySchema) has(it item) bool {
	for _, name := range k.names() {
		if it[name] == nil {
			return false
		}
	}
	return true
}

// keyOf cuts an item to the key attributes.
func (k keySchema) keyOf(it item) item {
	out := item{}
	for _, name := range k.names() {
		out[name] = it[name]
	}
	return out
}

// checkKey takes exactly the key attributes, as reads and deletes give them.
func (k keySchema) checkKey(key item) error {
	if err := settleItem(key); err != nil {
		return err
	}
	names := k.names()
	if len(key) != len(names) {
		return invalid("The provided key element does not match the schema")
	}
	for _, name := range names {
		if kindOf(key[name]) != string(k.types[name]) {
			return invalid("The provided key element does not match the schema")
		}
	}
	return k.checkSizes(key)
}

// checkItem takes an item that is to be put.
func (t *table) checkItem(it item) error {
	if err := settleItem(it); err != nil {
		return err
	}
	for _, name := range t.names() {
		if it[name] == nil {
			return badItemParameter("Missing the key %s in the item", name)
		}
		if got := kindOf(it[name]); got != string(t.types[name]) {
			return badItemParameter("Type mismatch for key %s expected: %s actual: %s", name, t.types[name], got)
		}
	}
	if err := t.checkSizes(it); err != nil {
		return err
	}
	if sizeOfItem(it) > mostItemBytes {
		return invalid("Item size has exceeded the maximum allowed size")
	}
	return t.checkIndexKeys(it)
}

func (t *table) checkIndexKeys(it item) error {
	for _, x := range t.indexes {
		for _, name := range x.names() {
			v := it[name]
			if v == nil {
				continue
			}
			if got := kindOf(v); got != string(x.types[name]) {
				return badItemParameter("Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", name, x.types[name], got, x.name)
			}
			if isEmptyValue(v) {
				return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty %s value. IndexName: %s, IndexKey: %s", emptyName(v), x.name, name)
			}
		}
	}
	return nil
}

func (k keySchema) checkSizes(it item) error {
	for _, name := range k.names() {
		if v := it[name]; isEmptyValue(v) {
			return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", emptyName(v), name)
		}
	}
	if sizeOfValue(it[k.hash]) > mostHashBytes {
		return badItemParameter("Size of hashkey has exceeded the maximum size limit of2048 bytes")
	}
	if k.sort != "" && sizeOfValue(it[k.sort]) > mostSortBytes {
		return badItemParameter("Aggregated size of all range keys has exceeded the size limit of 1024 bytes")
	}
	return nil
}

func isEmptyValue(v types.AttributeValue) bool {
	s, ok := orderOf(v)
	return ok && s == ""
}

func emptyName(v types.AttributeValue) string {
	if kindOf(v) == "B" {
		return "binary"
	}
	return "string"
}

// placeIn is where an item of the table stands in the index.
func (x *tableIndex) placeIn(t *table, it item) place {
	p, home := x.placeOf(it), t.placeOf(it)
	p.tie = strings.ReplaceAll(home.hash, "\x00", "\x00\xff") + "\x00\x00" + home.sort // so that no hash runs into a range
	return p
}
