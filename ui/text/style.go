package text

// Style is how text looks: the escape sequence that turns the look on. The zero
// Style is the terminal's own. Styles are made once per theme, so that drawing a
// cell only copies bytes.
type Style struct{ on string }

// Prefixed returns the style that the given escape sequence turns on. It is for
// themes; text of others never becomes a prefix.
func Prefixed(sgr string) Style { return Style{sgr} }

// Over returns s drawn on top of base: what both set is taken from s.
func (s Style) Over(base Style) Style {
	switch {
	case base.on == "":
		return s
	case s.on == "":
		return base
	}
	return Style{base.on + s.on}
}
