// Shot takes a picture of the console: it builds kxops, runs it under a terminal
// in memory, types keys, and draws the screen into a PNG. The README's pictures
// are made with it, so they show what the program really draws.
//
//	go run ./ui/shot -cols 128 -rows 34 -keys '{PAGE}jj<enter>' -o overview.png
//	go run ./ui/shot -o status.png -- status --fail-on page
//	go run ./ui/shot -all            the README's pictures, into ui/shot/pictures
//
// Keys are typed as they are; <enter>, <esc>, <up>, <down>, <left>, <right>,
// <tab>, <space>, <pgdn>, <lt> and <ctrl-x> are named keys; {words} waits until the
// screen shows the words; ~ waits a fifth of a second. A character that cannot be
// drawn is an error: what the picture lacks, some terminal lacks too.
//
// Read main.go, then keys.go, then draw.go. Package terminal is the terminal.
package main

import (
	"context"
	"flag"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"kxops/ui/shot/terminal"
)

func main() {
	if err := shoot(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "shot:", err)
		os.Exit(1)
	}
}

// patience is how long the program may take to show what a {wait} asks for.
const patience = 20 * time.Second

// picture is one picture and how to come to it.
type picture struct {
	path       string
	keys       string
	cols, rows int
	text       bool // the screen as text beside it
	command    []string
}

// demoAt is a fixed time: the same picture every time, but for the seconds.
const demoAt = "2026-11-22T03:14:00Z"

// readme is THE list of the README's pictures.
var readme = []picture{
	{path: "overview", keys: "{PAGE}{refresh}~~~"},
	{path: "stream", keys: "{PAGE}{refresh}<enter>{slowest reader}~~"},
	{path: "triage", keys: "{PAGE}:triage orders-dlq<enter>{lease}~~<enter>{of JSON}~~~j~~~"},
	{path: "alarms", keys: "{PAGE}{refresh}a~+~~~~{apply}~"},
	{path: "replay", keys: "{PAGE}{refresh}:delivery clicks-to-s3<enter>{freshness}~~E{null:}jjjj<enter>.page == \"/cart\"<enter>~W{meant (20}~~"},
	{path: "map", keys: "{PAGE}{refresh}P{shop-clicks}~~"},
}

func shoot(args []string) error {
	f := flag.NewFlagSet("shot", flag.ContinueOnError)
	var p picture
	f.IntVar(&p.cols, "cols", 128, "columns of the terminal")
	f.IntVar(&p.rows, "rows", 34, "rows of the terminal")
	f.StringVar(&p.keys, "keys", "", "keys to type before the picture is taken")
	f.StringVar(&p.path, "o", "shot.png", "file to write")
	f.BoolVar(&p.text, "text", false, "write the screen as text too, into a .txt beside the picture")
	env := f.String("env", "", "variables for the program: A=b,C=d")
	binary := f.String("bin", "", "program to run; default: build kxops from this module")
	all := f.Bool("all", false, "make the README's pictures, in ui/shot/pictures")
	if err := f.Parse(args); err != nil {
		return err
	}
	p.command = f.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "kxops-shot")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *binary == "" {
		*binary = filepath.Join(dir, "program") // not kxops: that is a folder of its home
		build := exec.CommandContext(ctx, "go", "build", "-o", *binary, "kxops")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build kxops: %w", err)
		}
	}
	c := camera{binary: *binary, home: dir, env: strings.FieldsFunc(*env, func(r rune) bool { return r == ',' })}
	if !*all {
		return c.take(ctx, p)
	}
	for _, one := range readme {
		one.path = filepath.Join("ui", "shot", "pictures", one.path+".png")
		one.cols, one.rows = p.cols, p.rows
		if err := c.take(ctx, one); err != nil {
			return fmt.Errorf("%s: %w", one.path, err)
		}
	}
	return nil
}

// camera takes pictures of one program, in a home that is not the user's.
type camera struct {
	binary, home string
	env          []string
}

func (c camera) take(ctx context.Context, p picture) error {
	if len(p.command) == 0 {
		p.command = []string{"demo", "--at", demoAt}
	}
	steps, err := parseKeys(p.keys)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.binary, p.command...)
	cmd.Env = append(without(os.Environ(), "NO_COLOR"), "TERM=xterm-256color", "COLORTERM=truecolor",
		"HOME="+c.home, "XDG_CONFIG_HOME="+c.home, "XDG_CACHE_HOME="+c.home, "XDG_STATE_HOME="+c.home)
	cmd.Env = append(cmd.Env, c.env...)
	t, err := terminal.Start(cmd, terminal.Options{Cols: p.cols, Rows: p.rows})
	if err != nil {
		return err
	}
	defer t.Kill() //nolint:errcheck // it ends with us anyway
	if err := play(t, steps); err != nil {
		return err
	}
	return save(t, p.path, p.text)
}

// without leaves a variable out: some programs take an empty NO_COLOR for a set one.
func without(env []string, name string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, name+"=") {
			kept = append(kept, v)
		}
	}
	return kept
}

// save writes the picture as soon as the screen has been still for a moment.
func save(t *terminal.Terminal, path string, asText bool) error {
	settle(t)
	drawn, err := paint(t.Cells())
	if err != nil {
		return fmt.Errorf("%w; the screen was:\n%s", err, t.Text())
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(file, drawn); err != nil {
		file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if !asText {
		return nil
	}
	return os.WriteFile(strings.TrimSuffix(path, filepath.Ext(path))+".txt", []byte(t.Text()+"\n"), 0o644)
}
