package ops

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSelectionIsSavedInSeconds(t *testing.T) {
	s := Selection{IDs: []string{"a"}, OlderThan: 90 * time.Minute, NewerThan: 1500 * time.Millisecond, Source: "arn:x"}
	text, err := json.Marshal(Plan{Select: s})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(text); !strings.Contains(got, `"select":{"message_ids":["a"],"source":"arn:x","older_than_s":5400,"newer_than_s":1.5}`) {
		t.Errorf("%s", got)
	}
	var back Plan
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back.Select, s) {
		t.Errorf("%+v, %v", back.Select, err)
	}
	if text, err := json.Marshal(Selection{All: true}); err != nil || string(text) != `{"all":true}` {
		t.Errorf("%s %v", text, err)
	}
}
