package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// chromium is a real browser, driven over the DevTools protocol on two pipes:
// JSON, a NUL after each message. It needs no port and no websocket.
type chromium struct {
	t       *testing.T
	to      *os.File
	answers chan reply // closed when the browser is gone
	last    int
	session string
}

type reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// browserDeadline is for one call and for one condition. A first start on a
// loaded machine takes several seconds.
const browserDeadline = 30 * time.Second

func findChromium(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}
	if named := os.Getenv("KXOPS_CHROMIUM"); named != "" {
		names = []string{named}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if why := "no Chromium: none of " + strings.Join(names, ", ") + " can be run (set KXOPS_CHROMIUM to one)"; os.Getenv("KXOPS_BROWSER") == "must" {
		t.Fatal(why)
	} else {
		t.Skip(why)
	}
	return ""
}

func startChromium(t *testing.T) *chromium {
	t.Helper()
	path := findChromium(t)
	theirIn, to := pipe(t)
	from, theirOut := pipe(t)
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir())
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // their 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirIn.Close(), theirOut.Close() // the child has its own
	c := &chromium{t: t, to: to, answers: make(chan reply)}
	quit := make(chan struct{})
	go c.listen(from, quit)
	t.Cleanup(func() {
		close(quit)
		_ = to.Close() // the browser ends when its pipe does
		late := time.AfterFunc(browserDeadline, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // how a browser ends says nothing about the page
		late.Stop()
		_ = from.Close()
	})
	var target struct{ TargetID string }
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	c.call("Page.enable", nil, nil)
	return c
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func (c *chromium) listen(from *os.File, quit chan struct{}) {
	defer close(c.answers)
	for r := bufio.NewReader(from); ; {
		message, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var got reply
		if err := json.Unmarshal(message[:len(message)-1], &got); err != nil || got.ID == 0 {
			continue // an event: nobody waits for one
		}
		select {
		case c.answers <- got:
		case <-quit:
			return
		}
	}
}

// call asks the browser and waits for the answer.
func (c *chromium) call(method string, params, result any) {
	c.t.Helper()
	c.last++
	ask := map[string]any{"id": c.last, "method": method}
	if params != nil {
		ask["params"] = params
	}
	if c.session != "" {
		ask["sessionId"] = c.session
	}
	message, err := json.Marshal(ask)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.to.Write(append(message, 0)); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	for late := time.After(browserDeadline); ; {
		select {
		case got, alive := <-c.answers:
			if !alive {
				c.t.Fatalf("%s: the browser is gone", method)
			}
			if got.ID != c.last {
				continue
			}
			if got.Error != nil {
				c.t.Fatalf("%s: %s", method, got.Error.Message)
			}
			if result != nil {
				if err := json.Unmarshal(got.Result, result); err != nil {
					c.t.Fatalf("%s: %v in %s", method, err, got.Result)
				}
			}
			return
		case <-late:
			c.t.Fatalf("%s: no answer within %s", method, browserDeadline)
		}
	}
}

// eval runs a script in the page; a promise is waited for.
func (c *chromium) eval(script string, result any) {
	c.t.Helper()
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Exception struct{ Description string }
		}
	}
	c.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true, "userGesture": true}, &got)
	if got.ExceptionDetails != nil {
		c.t.Fatalf("%s: %s", script, got.ExceptionDetails.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(got.Result.Value, result); err != nil {
		c.t.Fatalf("%s: %v in %q", script, err, got.Result.Value)
	}
}

// wait polls until a condition of the page holds.
func (c *chromium) wait(condition string) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(browserDeadline); ; <-tick.C {
		var holds bool
		c.eval("Boolean("+condition+")", &holds)
		if holds {
			return
		}
		if time.Now().After(late) {
			var text string
			c.eval("document.body.innerText", &text)
			c.t.Fatalf("never: %s\nthe page reads:\n%s", condition, text)
		}
	}
}

// open loads a page; the mark tells the old document from the new one.
func (c *chromium) open(address string) {
	c.t.Helper()
	c.eval("window.old = true", nil)
	c.call("Page.navigate", map[string]any{"url": address}, nil)
	c.wait("!window.old && document.readyState === 'complete'")
}

// click presses the mouse in the middle of an element, as a person would.
func (c *chromium) click(selector string) {
	c.t.Helper()
	var at struct{ X, Y float64 }
	c.eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center"}); const b = e.getBoundingClientRect();
		return {X: b.x + b.width / 2, Y: b.y + b.height / 2}; })()`, selector), &at)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		c.call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// press strikes one key: Tab, Enter, Space.
func (c *chromium) press(key string) {
	c.t.Helper()
	code, text := map[string]int{"Tab": 9, "Enter": 13, " ": 32}[key], map[string]string{"Enter": "\r", " ": " "}[key]
	down := map[string]any{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
	if text != "" {
		down["text"] = text
	}
	c.call("Input.dispatchKeyEvent", down, nil)
	c.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code}, nil)
}

func (c *chromium) write(text string) {
	c.t.Helper()
	c.call("Input.insertText", map[string]any{"text": text}, nil)
}

// tabTo walks by keyboard to an element and insists that its focus can be seen.
func (c *chromium) tabTo(selector string) {
	c.t.Helper()
	for range 60 {
		c.press("Tab")
		var there bool
		c.eval(fmt.Sprintf("document.activeElement === document.querySelector(%q)", selector), &there)
		if !there {
			continue
		}
		var outline string
		c.eval("getComputedStyle(document.activeElement).outlineStyle", &outline)
		if outline == "none" {
			c.t.Errorf("the focus on %s cannot be seen", selector)
		}
		return
	}
	c.t.Fatalf("60 tabs do not reach %s", selector)
}

func (c *chromium) width(pixels, high int) {
	c.t.Helper()
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": pixels, "height": high, "deviceScaleFactor": 1, "mobile": pixels < 600}, nil)
}

func (c *chromium) media(feature, value string) {
	c.t.Helper()
	c.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": feature, "value": value}}}, nil)
}

// shoot writes a picture into KXOPS_SHOTS, or into the test's own directory.
func (c *chromium) shoot(name string) {
	c.t.Helper()
	dir := os.Getenv("KXOPS_SHOTS")
	if dir == "" {
		dir = c.t.TempDir()
	}
	var shot struct{ Data []byte }
	c.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": false}, &shot)
	if len(shot.Data) == 0 {
		c.t.Fatal("the picture is empty")
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot.Data, 0o600); err != nil {
		c.t.Fatal(err)
	}
}
