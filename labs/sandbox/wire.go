package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/encoding/cbor"
)

// This file turns the SDK's own input and output types into bytes and back, by
// reflection, for the protocols that AWS speaks: AWS-JSON, Smithy RPC v2 CBOR and
// Query/XML. One decoder works on a tree of plain values (map[string]any, []any,
// string, json.Number, []byte, float64 …) whatever the protocol was.

// wireNames are the members whose name on the wire is not the Go field name.
var wireNames = map[string]string{
	"ListDeadLetterSourceQueuesOutput.QueueUrls": "queueUrls",
	"CreateQueueInput.Tags":                      "tags",
}

// field is one member of a structure on the wire.
type field struct {
	index int
	name  string
}

var fieldCache sync.Map // reflect.Type -> []field

func fieldsOf(t reflect.Type) []field {
	if f, ok := fieldCache.Load(t); ok {
		return f.([]field)
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() || f.Name == "ResultMetadata" {
			continue
		}
		name := f.Name
		if w, ok := wireNames[t.Name()+"."+f.Name]; ok {
			name = w
		}
		fields = append(fields, field{i, name})
	}
	fieldCache.Store(t, fields)
	return fields
}

var timeType = reflect.TypeFor[time.Time]()

// decode fills v from the tree n. Members that the type does not have are
// ignored, as AWS does; a value of the wrong type is an error that names it.
func decode(v reflect.Value, n any, path string) error {
	if n == nil {
		return nil
	}
	bad := func() error { return fmt.Errorf("%s: %T cannot be read as %s", path, n, v.Type()) }
	if v.Type() == timeType {
		t, err := asTime(n)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		v.Set(reflect.ValueOf(t))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := decode(p.Elem(), n, path); err != nil {
			return err
		}
		v.Set(p)
	case reflect.Struct:
		m, ok := n.(map[string]any)
		if !ok {
			if s, empty := n.(string); empty && s == "" {
				return nil
			}
			return bad()
		}
		for _, f := range fieldsOf(v.Type()) {
			x, ok := m[f.name]
			if !ok {
				if x, ok = m[lowerFirst(f.name)]; !ok {
					continue
				}
			}
			if err := decode(v.Field(f.index), x, path+"."+f.name); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			switch x := n.(type) {
			case []byte:
				v.SetBytes(x)
			case string:
				b, err := base64.StdEncoding.DecodeString(x)
				if err != nil {
					return fmt.Errorf("%s: not base64: %w", path, err)
				}
				v.SetBytes(b)
			default:
				return bad()
			}
			return nil
		}
		items, ok := asList(n)
		if !ok {
			return bad()
		}
		out := reflect.MakeSlice(v.Type(), len(items), len(items))
		for i, x := range items {
			if err := decode(out.Index(i), x, path+"."+strconv.Itoa(i+1)); err != nil {
				return err
			}
		}
		v.Set(out)
	case reflect.Map:
		entries, ok := asMap(n)
		if !ok {
			return bad()
		}
		out := reflect.MakeMapWithSize(v.Type(), len(entries))
		for k, x := range entries {
			e := reflect.New(v.Type().Elem()).Elem()
			if err := decode(e, x, path+"."+k); err != nil {
				return err
			}
			out.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
		}
		v.Set(out)
	case reflect.String:
		s, ok := n.(string)
		if !ok {
			return bad()
		}
		v.SetString(s)
	case reflect.Bool:
		switch x := n.(type) {
		case bool:
			v.SetBool(x)
		case string:
			v.SetBool(x == "true")
		default:
			return bad()
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		x, ok := asNumber(n)
		if !ok || x != math.Trunc(x) || math.Abs(x) >= 1<<63 {
			return bad()
		}
		v.SetInt(int64(x))
	case reflect.Float32, reflect.Float64:
		x, ok := asNumber(n)
		if !ok {
			return bad()
		}
		v.SetFloat(x)
	case reflect.Interface:
		return decodeUnion(v, n, path)
	default: // documents: nothing that we serve takes one
		return fmt.Errorf("%s: the sandbox does not support this parameter", path)
	}
	return nil
}

// unions are the interfaces of which a value has one of several shapes, with their
// shapes by the name on the wire. In Go a shape is a pointer to a structure with
// one member, Value; on the wire it is {"<name>": value}.
var unions = map[reflect.Type]map[string]reflect.Type{
	reflect.TypeFor[dynamotypes.AttributeValue](): {
		"B":    reflect.TypeFor[dynamotypes.AttributeValueMemberB](),
		"BOOL": reflect.TypeFor[dynamotypes.AttributeValueMemberBOOL](),
		"BS":   reflect.TypeFor[dynamotypes.AttributeValueMemberBS](),
		"L":    reflect.TypeFor[dynamotypes.AttributeValueMemberL](),
		"M":    reflect.TypeFor[dynamotypes.AttributeValueMemberM](),
		"N":    reflect.TypeFor[dynamotypes.AttributeValueMemberN](),
		"NS":   reflect.TypeFor[dynamotypes.AttributeValueMemberNS](),
		"NULL": reflect.TypeFor[dynamotypes.AttributeValueMemberNULL](),
		"S":    reflect.TypeFor[dynamotypes.AttributeValueMemberS](),
		"SS":   reflect.TypeFor[dynamotypes.AttributeValueMemberSS](),
	},
}

// decodeUnion reads one shape of a union. One without any stays nil: the operation
// says what is wrong with that.
func decodeUnion(v reflect.Value, n any, path string) error {
	shapes, ok := unions[v.Type()]
	if !ok {
		return fmt.Errorf("%s: the sandbox does not support this parameter", path)
	}
	m, ok := n.(map[string]any)
	if !ok || len(m) > 1 {
		return fmt.Errorf("%s: not one value of %s", path, v.Type())
	}
	for name, x := range m {
		t, ok := shapes[name]
		if !ok {
			return fmt.Errorf("%s: %s is no kind of %s", path, name, v.Type())
		}
		shape := reflect.New(t)
		if err := decode(shape.Elem().FieldByName("Value"), x, path+"."+name); err != nil {
			return err
		}
		v.Set(shape)
	}
	return nil
}

// appendUnion writes one shape of a union.
func appendUnion(b []byte, v reflect.Value) []byte {
	shape := reflect.Indirect(v.Elem())
	for name, t := range unions[v.Type()] {
		if t == shape.Type() {
			b = append(append(append(b, '{', '"'), name...), '"', ':')
			return append(appendJSON(b, shape.FieldByName("Value")), '}')
		}
	}
	return append(b, "null"...)
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}

func asNumber(n any) (float64, bool) {
	switch x := n.(type) {
	case json.Number:
		f, err := x.Float64()
		return f, err == nil
	case float64:
		return x, true
	case int64:
		return float64(x), true
	case string:
		f, err := strconv.ParseFloat(x, 64)
		return f, err == nil
	}
	return 0, false
}

func asTime(n any) (time.Time, error) {
	switch x := n.(type) {
	case time.Time:
		return x, nil
	case string:
		if t, err := time.Parse(time.RFC3339Nano, x); err == nil {
			return t.UTC(), nil
		}
	}
	f, ok := asNumber(n)
	if !ok {
		return time.Time{}, fmt.Errorf("%v is not a time", n)
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(math.Round(frac*1e6))*1000).UTC(), nil
}

// asList reads a list; in the Query protocol it is a map of positions, with or
// without "member" between.
func asList(n any) ([]any, bool) {
	switch x := n.(type) {
	case []any:
		return x, true
	case map[string]any:
		for _, wrap := range []string{"member", "entry"} {
			if inner, ok := x[wrap].(map[string]any); ok && len(x) == 1 {
				return asList(inner)
			}
		}
		keys := make([]int, 0, len(x))
		for k := range x {
			i, err := strconv.Atoi(k)
			if err != nil {
				return nil, false
			}
			keys = append(keys, i)
		}
		sort.Ints(keys)
		out := make([]any, len(keys))
		for i, k := range keys {
			out[i] = x[strconv.Itoa(k)]
		}
		return out, true
	case string:
		return nil, x == ""
	}
	return nil, false
}

// asMap reads a map; in the Query protocol it is a list of key (or Name) and
// value (or Value).
func asMap(n any) (map[string]any, bool) {
	m, ok := n.(map[string]any)
	if !ok {
		return nil, false
	}
	entries, isQuery := m["entry"].(map[string]any)
	if !isQuery || len(m) != 1 {
		return m, true
	}
	list, ok := asList(entries)
	if !ok { // a map of one key that happens to be called so
		return m, true
	}
	out := make(map[string]any, len(list))
	for _, e := range list {
		kv, _ := e.(map[string]any)
		key, _ := first(kv, "key", "Name").(string)
		out[key] = first(kv, "value", "Value")
	}
	return out, true
}

func first(m map[string]any, names ...string) any {
	for _, n := range names {
		if v, ok := m[n]; ok {
			return v
		}
	}
	return nil
}

// treeOfJSON reads a JSON document as a tree.
func treeOfJSON(body []byte) (any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var n any
	err := d.Decode(&n)
	return n, err
}

// treeOfForm reads the parameters of the Query protocol: A.B.1.C=v.
func treeOfForm(form url.Values) map[string]any {
	root := map[string]any{}
	for key, vals := range form {
		at := root
		parts := strings.Split(key, ".")
		for _, p := range parts[:len(parts)-1] {
			next, ok := at[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[p] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = vals[0]
	}
	return root
}

// treeOfCBOR reads a CBOR document as a tree.
func treeOfCBOR(body []byte) (any, error) {
	if len(body) == 0 {
		return map[string]any{}, nil
	}
	v, err := cbor.Decode(body)
	if err != nil {
		return nil, err
	}
	return plain(v), nil
}

func plain(v cbor.Value) any {
	switch x := v.(type) {
	case cbor.Map:
		m := make(map[string]any, len(x))
		for k, e := range x {
			m[k] = plain(e)
		}
		return m
	case cbor.List:
		l := make([]any, len(x))
		for i, e := range x {
			l[i] = plain(e)
		}
		return l
	case cbor.String:
		return string(x)
	case cbor.Slice:
		return []byte(x)
	case cbor.Uint:
		return float64(x)
	case cbor.NegInt:
		return -float64(x)
	case cbor.Float64:
		return float64(x)
	case cbor.Float32:
		return float64(x)
	case cbor.Bool:
		return bool(x)
	case *cbor.Tag: // tag 1: epoch seconds
		return plain(x.Value)
	}
	return nil
}

// skip reports whether a member is left out of the answer.
func skip(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return v.IsNil()
	case reflect.String: // enums: "" is not a value
		return v.Len() == 0
	}
	return false
}

// appendJSON writes v as AWS-JSON: blobs base64, times as epoch seconds.
func appendJSON(b []byte, v reflect.Value) []byte {
	if v.Type() == timeType {
		return appendEpoch(b, v.Interface().(time.Time))
	}
	switch v.Kind() {
	case reflect.Pointer:
		return appendJSON(b, v.Elem())
	case reflect.Interface:
		return appendUnion(b, v)
	case reflect.Struct:
		b = append(b, '{')
		open := len(b)
		for _, f := range fieldsOf(v.Type()) {
			x := v.Field(f.index)
			if skip(x) {
				continue
			}
			if len(b) > open {
				b = append(b, ',')
			}
			b = append(b, '"')
			b = append(b, f.name...)
			b = append(b, '"', ':')
			b = appendJSON(b, x)
		}
		return append(b, '}')
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b = append(b, '"')
			b = base64.StdEncoding.AppendEncode(b, v.Bytes())
			return append(b, '"')
		}
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, v.Index(i))
		}
		return append(b, ']')
	case reflect.Map:
		b = append(b, '{')
		for i, k := range sortedKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, k.String())
			b = append(b, ':')
			b = appendJSON(b, v.MapIndex(k))
		}
		return append(b, '}')
	case reflect.String:
		return appendString(b, v.String())
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10)
	case reflect.Float32, reflect.Float64:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return append(b, "null"...)
		}
		return strconv.AppendFloat(b, f, 'g', -1, 64)
	}
	return append(b, "null"...)
}

// appendString writes a JSON string. Bytes that are no UTF-8 cannot occur: SQS
// and the others refuse them on the way in.
func appendString(b []byte, s string) []byte {
	q, err := json.Marshal(s)
	if err != nil { // json.Marshal of a string does not fail
		return append(b, `""`...)
	}
	return append(b, q...)
}

func appendEpoch(b []byte, t time.Time) []byte {
	return strconv.AppendFloat(b, float64(t.UnixMilli())/1000, 'f', -1, 64)
}

func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	return keys
}

// The major types of CBOR (RFC 8949, section 3.1), in the upper three bits.
const (
	cborUint   = 0 << 5
	cborNegInt = 1 << 5
	cborBytes  = 2 << 5
	cborText   = 3 << 5
	cborList   = 4 << 5
	cborMap    = 5 << 5
	cborTag    = 6 << 5
	cborFalse  = 0xf4
	cborTrue   = 0xf5
	cborNull   = 0xf6
	cborDouble = 0xfb
)

// appendCBOR writes v as CBOR: times as tag 1, epoch seconds. It writes directly
// and not through a tree of values, because one answer of GetMetricData has sixty
// thousand of them.
func appendCBOR(b []byte, v reflect.Value) []byte {
	switch t := v.Type(); {
	case t == timeType:
		return appendCBORTime(b, v.Interface().(time.Time))
	case t == reflect.TypeFor[[]time.Time]():
		list := v.Interface().([]time.Time)
		b = appendCBORHead(b, cborList, uint64(len(list)))
		for _, x := range list {
			b = appendCBORTime(b, x)
		}
		return b
	case t == reflect.TypeFor[[]float64]():
		list := v.Interface().([]float64)
		b = appendCBORHead(b, cborList, uint64(len(list)))
		for _, x := range list {
			b = appendCBORDouble(b, x)
		}
		return b
	}
	switch v.Kind() {
	case reflect.Pointer:
		return appendCBOR(b, v.Elem())
	case reflect.Struct:
		n := uint64(0)
		for _, f := range fieldsOf(v.Type()) {
			if !skip(v.Field(f.index)) {
				n++
			}
		}
		b = appendCBORHead(b, cborMap, n)
		for _, f := range fieldsOf(v.Type()) {
			if x := v.Field(f.index); !skip(x) {
				b = append(appendCBORHead(b, cborText, uint64(len(f.name))), f.name...)
				b = appendCBOR(b, x)
			}
		}
		return b
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return append(appendCBORHead(b, cborBytes, uint64(v.Len())), v.Bytes()...)
		}
		b = appendCBORHead(b, cborList, uint64(v.Len()))
		for i := range v.Len() {
			b = appendCBOR(b, v.Index(i))
		}
		return b
	case reflect.Map:
		b = appendCBORHead(b, cborMap, uint64(v.Len()))
		for _, k := range sortedKeys(v) {
			b = append(appendCBORHead(b, cborText, uint64(k.Len())), k.String()...)
			b = appendCBOR(b, v.MapIndex(k))
		}
		return b
	case reflect.String:
		return append(appendCBORHead(b, cborText, uint64(v.Len())), v.String()...)
	case reflect.Bool:
		if v.Bool() {
			return append(b, cborTrue)
		}
		return append(b, cborFalse)
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n := v.Int(); n < 0 {
			return appendCBORHead(b, cborNegInt, uint64(-(n + 1)))
		}
		return appendCBORHead(b, cborUint, uint64(v.Int()))
	case reflect.Float32, reflect.Float64:
		return appendCBORDouble(b, v.Float())
	}
	return append(b, cborNull)
}

// appendCBORHead writes a major type with its argument in the shortest form.
func appendCBORHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendCBORDouble(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, cborDouble), math.Float64bits(v))
}

func appendCBORTime(b []byte, t time.Time) []byte {
	return appendCBORDouble(append(b, cborTag|1), float64(t.UnixMilli())/1000)
}

// appendXML writes the members of v as Query/XML: lists as <member>, maps as
// <entry><key/><value/></entry>.
func appendXML(b *bytes.Buffer, v reflect.Value) {
	if v.Type() == timeType {
		b.WriteString(v.Interface().(time.Time).UTC().Format("2006-01-02T15:04:05.000Z"))
		return
	}
	tag := func(name string, inner func()) {
		b.WriteString("<" + name + ">")
		inner()
		b.WriteString("</" + name + ">")
	}
	switch v.Kind() {
	case reflect.Pointer:
		appendXML(b, v.Elem())
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			if x := v.Field(f.index); !skip(x) {
				tag(f.name, func() { appendXML(b, x) })
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			b.WriteString(base64.StdEncoding.EncodeToString(v.Bytes()))
			return
		}
		for i := range v.Len() {
			tag("member", func() { appendXML(b, v.Index(i)) })
		}
	case reflect.Map:
		for _, k := range sortedKeys(v) {
			tag("entry", func() {
				tag("key", func() { escapeXML(b, k.String()) })
				tag("value", func() { appendXML(b, v.MapIndex(k)) })
			})
		}
	case reflect.String:
		escapeXML(b, v.String())
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int32, reflect.Int64:
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.Float32, reflect.Float64:
		b.WriteString(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	}
}

func escapeXML(b *bytes.Buffer, s string) {
	// xml.EscapeText only fails when the writer does, and a buffer does not.
	_ = xml.EscapeText(b, []byte(s))
}
