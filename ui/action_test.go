package ui

import (
	"slices"
	"strings"
	"testing"

	"kxops/ops"
)

func TestEveryActionIsComplete(t *testing.T) {
	owner := map[string]string{}
	ids := map[string]bool{}
	for _, x := range actions() {
		if x.ID == "" || x.Title == "" || x.Run == nil || !strings.HasSuffix(x.Help, ".") {
			t.Errorf("action %q lacks an id, a title, a sentence or what it does", x.ID)
		}
		if ids[x.ID] {
			t.Errorf("there are two actions %s", x.ID)
		}
		ids[x.ID] = true
		if len(x.Keys) == 0 {
			t.Errorf("action %s has no key", x.ID)
		}
		for _, k := range x.Keys {
			if other, ok := owner[k]; ok {
				t.Errorf("key %q belongs to %s and %s", k, other, x.ID)
			}
			owner[k] = x.ID
		}
		onlyChords := !slices.ContainsFunc(x.Keys, func(k string) bool { return !strings.HasPrefix(k, "ctrl+") })
		if _, ok := commandNamed(x.ID); onlyChords && !ok {
			t.Errorf("action %s can be reached by a chord only", x.ID)
		}
	}
	for _, id := range footHints {
		if !ids[id] {
			t.Errorf("the foot line names %s, which is no action", id)
		}
	}
}

func TestEveryActionIsInHelpAndPalette(t *testing.T) {
	c := openConsole(t, sampleOptions(&fakeAccount{snapshot: sampleSnapshot()}), 120, 400)
	c.press("?")
	help := c.text()
	for _, x := range actions() {
		if sentence := strings.Fields(x.Help); !strings.Contains(help, strings.Join(sentence[:min(3, len(sentence))], " ")) {
			t.Errorf("help does not explain %s", x.ID)
		}
		if _, ok := commandNamed(x.ID); !ok {
			t.Errorf("the palette does not know %s", x.ID)
		}
	}
	for _, s := range screens {
		if !strings.Contains(help, ":"+s.id) {
			t.Errorf("help does not name :%s", s.id)
		}
	}
}

func TestEveryScreenIsComplete(t *testing.T) {
	names := map[string]string{}
	for _, s := range screens {
		if s.id == "" || s.help == "" || s.open == nil {
			t.Errorf("screen %+v is not complete", s)
		}
		for _, n := range append([]string{s.id}, s.aliases...) {
			if other, ok := names[n]; ok {
				t.Errorf(":%s means %s and %s", n, other, s.id)
			}
			names[n] = s.id
		}
	}
	for _, k := range []ops.Kind{ops.KindStream, ops.KindDelivery, ops.KindQueue, ops.KindFunction, ops.KindTopic, ops.KindBucket, ops.KindAPI} {
		if detailOf(k) == nil {
			t.Errorf("a %s has no page", k)
		}
	}
}

func TestConfiguredKeys(t *testing.T) {
	m, err := newKeymap(actions(), map[string][]string{"pause": {"r"}, "quit": {"Q"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"r": "pause", "Q": "quit", "j": "down"} {
		if x, ok := m.key(key); !ok || x.ID != want {
			t.Errorf("key %s does %s, want %s", key, x.ID, want)
		}
	}
	for _, key := range []string{"p", "q"} {
		if x, ok := m.key(key); ok {
			t.Errorf("key %s was given away but still does %s", key, x.ID)
		}
	}
	if x, _ := m.id("refresh"); len(x.Keys) != 0 {
		t.Errorf("refresh lost its key but says %v", x.Keys)
	}
}

func TestWrongKeysAreNamed(t *testing.T) {
	err := CheckKeys(map[string][]string{"pauze": {"x"}, "copy": {"c"}, "mark": {"c"}})
	if err == nil || !strings.Contains(err.Error(), `"pauze"`) || !strings.Contains(err.Error(), `"c" is given to both copy and mark`) {
		t.Errorf("got %v", err)
	}
	if err := CheckKeys(nil); err != nil {
		t.Error(err)
	}
}

func TestDisabledActionsSayWhy(t *testing.T) {
	c := openConsole(t, sampleOptions(&fakeAccount{snapshot: sampleSnapshot()}), 80, 24)
	c.press("esc")
	c.sees("back: this is the first screen; q quits")
	c.press("P", ">")
	c.sees("sort: the map is ordered by flow")
	c.press("i", "space")
	c.sees("mark: only in a list")
	c.press("?")
	c.sees("overview > pipelines > info > help")
	c.press("G")
	c.press("o")
	c.seesNot("> help")
}
