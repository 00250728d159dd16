// Shot takes a picture of the console: it builds kxops, runs it under a terminal
// in memory, types keys, and draws the screen into a PNG. The README's pictures
// are made with it, so they show what the program really draws.
//
//	go run ./ui/shot -cols 130 -rows 38 -keys '{PAGE}jj<enter>' -o overview.png
//	go run ./ui/shot -o status.png -- status --fail-on page
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

func shoot(args []string) error {
	f := flag.NewFlagSet("shot", flag.ContinueOnError)
	cols := f.Int("cols", 130, "columns of the terminal")
	rows := f.Int("rows", 38, "rows of the terminal")
	keys := f.String("keys", "", "keys to type before the picture is taken")
	out := f.String("o", "shot.png", "file to write; with -text also a .txt beside it")
	text := f.Bool("text", false, "write the screen as text too")
	env := f.String("env", "", "variables for the program: A=b,C=d")
	binary := f.String("bin", "", "program to run; default: build kxops from this module")
	if err := f.Parse(args); err != nil {
		return err
	}
	command := f.Args()
	if len(command) == 0 {
		// A fixed time and seed: the same picture every time, but for the seconds.
		command = []string{"demo", "--at", "2026-11-22T03:14:00Z"}
	}
	steps, err := parseKeys(*keys)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "kxops-shot")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *binary == "" {
		*binary = filepath.Join(dir, "kxops")
		build := exec.CommandContext(ctx, "go", "build", "-o", *binary, "kxops")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build kxops: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, *binary, command...)
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor", "NO_COLOR=", "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_STATE_HOME="+dir)
	cmd.Env = append(without(cmd.Env, "NO_COLOR"), strings.FieldsFunc(*env, func(r rune) bool { return r == ',' })...)
	t, err := terminal.Start(cmd, terminal.Options{Cols: *cols, Rows: *rows})
	if err != nil {
		return err
	}
	defer t.Kill() //nolint:errcheck // it ends with us anyway
	if err := play(t, steps); err != nil {
		return err
	}
	return save(t, *out, *text)
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
	picture, err := paint(t.Cells())
	if err != nil {
		return fmt.Errorf("%w; the screen was:\n%s", err, t.Text())
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(file, picture); err != nil {
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
