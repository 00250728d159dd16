package replay

import (
	"bytes"
	"encoding/json"
	"time"
)

// envelopeMark names the form; its version changes when a field does.
const envelopeMark = "record/v1"

// envelope is a record in a file: its body byte for byte, with what a source knows of it.
type envelope struct {
	Mark string    `json:"kxops"`
	ID   string    `json:"id"`
	Key  string    `json:"key,omitempty"`
	At   time.Time `json:"at,omitzero"`
	Data []byte    `json:"data"` // base64
	Hop  int       `json:"hop,omitempty"`
}

func wrap(r Record) envelope {
	return envelope{Mark: envelopeMark, ID: r.ID, Key: r.Key, At: r.At.UTC(), Data: r.Data, Hop: r.Hop}
}

// unwrap reads a line that is an envelope.
func unwrap(line []byte) (Record, bool) {
	if !bytes.HasPrefix(line, []byte(`{"kxops":"`+envelopeMark+`"`)) {
		return Record{}, false
	}
	var e envelope
	if json.Unmarshal(line, &e) != nil || e.ID == "" {
		return Record{}, false
	}
	return Record{ID: e.ID, Key: e.Key, At: e.At, Data: e.Data, Hop: e.Hop}, true
}
