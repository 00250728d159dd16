package main

import (
	"fmt"
	"strings"
	"time"

	"kxops/ui/shot/terminal"
)

// step is one thing to do: type, wait for words, or wait a moment.
type step struct {
	typed string
	words string
	pause time.Duration
}

var named = map[string]string{
	"enter": "\r", "esc": "\x1b", "tab": "\t", "space": " ", "backspace": "\x7f", "lt": "<",
	"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
	"home": "\x1b[H", "end": "\x1b[F", "pgup": "\x1b[5~", "pgdn": "\x1b[6~",
}

// parseKeys reads the key script.
func parseKeys(script string) ([]step, error) {
	var steps []step
	for script != "" {
		switch script[0] {
		case '~':
			steps, script = append(steps, step{pause: 200 * time.Millisecond}), script[1:]
		case '{':
			words, rest, ok := strings.Cut(script[1:], "}")
			if !ok || words == "" {
				return nil, fmt.Errorf("keys %q: a { needs words and a }", script)
			}
			steps, script = append(steps, step{words: words}), rest
		case '<':
			name, rest, ok := strings.Cut(script[1:], ">")
			key, known := named[name]
			if letter, isCtrl := strings.CutPrefix(name, "ctrl-"); isCtrl && len(letter) == 1 {
				key, known = string(letter[0]&0x1f), true
			}
			if !ok || !known {
				return nil, fmt.Errorf("keys: <%s is no named key", name)
			}
			steps, script = append(steps, step{typed: key}), rest
		default:
			r := []rune(script)[0]
			steps, script = append(steps, step{typed: string(r)}), script[len(string(r)):]
		}
	}
	return steps, nil
}

func play(t *terminal.Terminal, steps []step) error {
	for _, s := range steps {
		switch {
		case s.words != "":
			if err := t.See(patience, s.words); err != nil {
				return err
			}
		case s.pause > 0:
			time.Sleep(s.pause) // the script asked for it
		default:
			if err := t.Type(s.typed); err != nil {
				return err
			}
			settle(t)
		}
	}
	return nil
}

// settle returns when the program has written nothing for a tenth of a second,
// after two seconds at the latest: a console that ticks is never still for long.
func settle(t *terminal.Terminal) {
	const quiet, step = 100 * time.Millisecond, 20 * time.Millisecond
	still, before := time.Duration(0), t.Written()
	for waited := time.Duration(0); still < quiet && waited < 2*time.Second; waited += step {
		time.Sleep(step)
		still += step
		if now := t.Written(); now != before {
			still, before = 0, now
		}
	}
}
