package ui

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// Action is one thing a person can do. Keys, footer, help and palette are all
// read from the list of actions: no code looks at a key by itself.
type Action struct {
	ID    string
	Keys  []string // built-in keys; the configuration may replace them
	Title string   // two words for the footer
	Help  string   // one sentence for `?`
	// Enabled returns the reason when the action cannot be used now; nil: always.
	Enabled func(*App) (ok bool, reason string)
	// Run does it. key is the key that was pressed, "" from the palette.
	Run func(a *App, key string) tea.Cmd
}

func (x Action) enabled(a *App) (bool, string) {
	if x.Enabled == nil {
		return true, ""
	}
	return x.Enabled(a)
}

// keymap finds the action of a key.
type keymap struct {
	actions []Action
	byKey   map[string]int
	byID    map[string]int
}

// newKeymap lays the configured keys over the built-in ones. A key that a person
// gave to an action is taken from the action that had it. Unknown action ids and
// two actions with one configured key are errors; the keymap works all the same.
func newKeymap(actions []Action, overrides map[string][]string) (*keymap, error) {
	m := &keymap{actions: slices.Clone(actions), byKey: map[string]int{}, byID: map[string]int{}}
	for i, x := range m.actions {
		m.byID[x.ID] = i
	}
	var wrong []string
	taken := map[string]string{}
	for _, id := range sortedKeys(overrides) {
		if _, ok := m.byID[id]; !ok {
			wrong = append(wrong, fmt.Sprintf("unknown action %q", id))
			continue
		}
		for _, k := range overrides[id] {
			if other, ok := taken[k]; ok {
				wrong = append(wrong, fmt.Sprintf("key %q is given to both %s and %s", k, other, id))
				continue
			}
			taken[k] = id
		}
	}
	for i := range m.actions {
		x := &m.actions[i]
		if keys, ok := overrides[x.ID]; ok {
			x.Keys = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return taken[k] != x.ID })
		} else {
			x.Keys = slices.DeleteFunc(slices.Clone(x.Keys), func(k string) bool { return taken[k] != "" })
		}
		for _, k := range x.Keys {
			m.byKey[k] = i
		}
	}
	if len(wrong) > 0 {
		return m, errors.New(strings.Join(wrong, "; "))
	}
	return m, nil
}

// CheckKeys reports what is wrong with the configured keys, so that a command
// can say so with file and line before the console starts.
func CheckKeys(overrides map[string][]string) error {
	_, err := newKeymap(actions(), overrides)
	return err
}

func sortedKeys(m map[string][]string) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

func (m *keymap) key(k string) (Action, bool) {
	i, ok := m.byKey[k]
	if !ok {
		return Action{}, false
	}
	return m.actions[i], true
}

func (m *keymap) id(id string) (Action, bool) {
	i, ok := m.byID[id]
	if !ok {
		return Action{}, false
	}
	return m.actions[i], true
}
