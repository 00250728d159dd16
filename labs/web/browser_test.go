package web

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"
)

// served is a page on loopback, as a person gets it, over a lab whose every
// seventh event is a dead letter.
func served(t *testing.T) (*memoryLab, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lab := newLab()
	lab.where = func(id string) []Seen {
		at := time.Date(2026, 3, 1, 12, 0, 3, 0, time.UTC)
		var n int
		if _, err := fmt.Sscanf(id, "event-%d", &n); err != nil {
			t.Errorf("an id that is not ours: %q", id)
		}
		seen := []Seen{{Step: "in stream", At: at, Note: "shard 2"}, {Step: "archived", At: at.Add(time.Minute)}}
		if n%7 == 0 {
			return append(seen, Seen{Step: "dead-lettered", At: at.Add(time.Second), Note: "amount is <no number>"})
		}
		return append(seen, Seen{Step: "processed", At: at.Add(time.Second)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- Serve(ctx, l, lab) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return lab, "http://" + l.Addr().String() + "/"
}

const firstRow = "document.querySelector('#rows tr')"

func TestJourneyByMouse(t *testing.T) {
	c := startChromium(t)
	lab, address := served(t)
	c.width(1280, 900)
	c.open(address)

	c.click("#form-0 button.main")
	c.wait("document.querySelector('#result.accepted')?.textContent.includes('event-0001')")
	c.wait(firstRow + "?.querySelectorAll('td.seen').length === 4")
	c.wait(firstRow + ".innerText.includes('shard 2')")
	c.click(firstRowCopy)
	c.wait("document.querySelector('#result').textContent.includes('opied')")

	c.eval("document.querySelector('#count-0').value = '20'", nil)
	c.click("#form-0 button[formaction]")
	c.wait("document.querySelector('#burst-text').textContent.startsWith('Burst over. 20 of 20 sent: 20 accepted')")
	c.wait("document.querySelector('#result').textContent.startsWith('Burst over.')")
	c.wait("document.querySelectorAll('#rows tr').length === 21 && document.querySelectorAll('#rows td.bad').length === 3")
	c.wait("document.querySelector('#rows td.bad').innerText.startsWith('× bad end 12:00:04')")
	c.wait("document.querySelector('#summary').innerText.replace(/\\s+/g, ' ').includes('processed 18 × dead-lettered 3')")
	c.shoot("wide")
	c.media("prefers-color-scheme", "dark")
	c.shoot("wide-dark")

	c.eval("document.querySelector('#f0-1').value = '5000'", nil)
	c.click("#form-0 button.main")
	c.wait("document.querySelector('#f0-1-wrong').textContent === 'Amount in euro must be from 0.01 to 1000.'")
	c.wait("document.activeElement.id === 'f0-1' && document.activeElement.value === '5000'")
	if got := lab.sent(); got != 21 {
		t.Errorf("%d events were sent, want 21", got)
	}
}

const firstRowCopy = "#rows tr .copy"

func TestBurstIsStoppedByMouse(t *testing.T) {
	c := startChromium(t)
	lab, address := served(t)
	gate := make(chan struct{})
	lab.set(func() { lab.gate = gate })
	c.open(address)
	c.eval("document.querySelector('#count-0').value = '300'", nil)
	c.click("#form-0 button[formaction]")
	for range 30 {
		gate <- struct{}{}
	}
	c.wait("document.querySelector('#burst-bar').value >= 20 && document.querySelector('#burst-bar').max === 300")
	c.click("#burst-stop")
	c.wait("document.querySelector('#burst-text').textContent.startsWith('Burst stopping.')")
	close(gate)
	c.wait("document.querySelector('#burst-text').textContent.startsWith('Burst stopped, you stopped it.')")
	if got := lab.sent(); got > 40 {
		t.Errorf("%d were sent after the stop", got)
	}
}

func TestJourneyByKeyboard(t *testing.T) {
	c := startChromium(t)
	lab, address := served(t)
	c.open(address)
	c.tabTo("[data-form='1']")
	c.press("Enter")
	c.wait("!document.querySelector('#form-1').hidden && document.querySelector('#form-0').hidden")
	c.tabTo("#f1-0")
	c.eval("document.activeElement.select()", nil)
	c.write("/by/keyboard")
	c.press("Enter")
	c.wait("document.querySelector('#result.accepted')")
	c.wait("document.querySelector('#rows tr td.seen:nth-of-type(4)')")
	c.tabTo("#form-1 button[formaction]")
	c.press(" ")
	c.wait("document.querySelector('#burst-text').textContent.startsWith('Burst over. 20 of 20')")
	if got := lab.fieldsOf("event-0001")["page"]; got != "/by/keyboard" {
		t.Errorf("sent by keyboard: %q", got)
	}
	c.wait("document.querySelectorAll('#rows tr').length === 21")
	c.tabTo(firstRowCopy)
}

func TestPhone(t *testing.T) {
	c := startChromium(t)
	lab, address := served(t)
	c.width(360, 780)
	c.open(address)
	c.click("#form-0 button[formaction]")
	c.wait("document.querySelectorAll('#rows tr').length === 20 && document.querySelector('#rows td.bad')")
	lab.set(func() { lab.refusal = "a long reason " + longWord })
	c.click("#form-0 button.main")
	c.wait("document.querySelector('#rows td.wide')")
	for _, width := range []int{360, 320} {
		c.width(width, 780)
		c.wait("document.scrollingElement.scrollWidth <= innerWidth")
		c.wait(fmt.Sprintf("innerWidth === %d", width))
	}
	c.width(360, 780)
	c.eval("scrollTo(0, 0)", nil)
	c.shoot("phone-top")
	c.eval("document.querySelector('#events').scrollIntoView()", nil)
	c.shoot("phone-list")
}

const longWord = "arn:aws:kinesis:eu-central-1:000000000000:stream/a-stream-with-a-name-that-nobody-can-break-into-lines"

func TestBrowserWithoutScript(t *testing.T) {
	c := startChromium(t)
	_, address := served(t)
	c.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	c.open(address + "?type=click")
	c.click("#form-1 button.main")
	c.wait("location.search === '?type=click&done=1' && document.querySelector('#result.accepted')")
	c.open(address)
	c.wait("document.querySelectorAll('#rows tr').length === 1 && !document.querySelector('.copy')")
}

// TestContrast measures what is drawn, in both schemes: WCAG 2.2 AA asks for 4.5.
func TestContrast(t *testing.T) {
	c := startChromium(t)
	lab, address := served(t)
	c.open(address)
	c.click("#form-0 button[formaction]")
	c.wait("document.querySelectorAll('#rows tr').length === 20 && document.querySelector('#rows td.bad')")
	lab.set(func() { lab.where = nil })
	c.click("#form-0 button.main")
	c.wait("document.querySelector('#rows td.waiting')")
	lab.set(func() { lab.refusal = "no" })
	c.click("#form-0 button.main")
	c.wait("document.querySelector('#result.refused') && document.querySelector('#rows td.wide')")
	for _, scheme := range []string{"light", "dark"} {
		c.media("prefers-color-scheme", scheme)
		var poor []string
		c.eval(poorContrast, &poor)
		if len(poor) > 0 {
			t.Errorf("%s: %v", scheme, poor)
		}
	}
}

// poorContrast lists the elements with text of their own below 4.5 : 1.
const poorContrast = `(() => {
	const rgb = (s) => s.match(/[\d.]+/g).map(Number);
	const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
		return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c.slice(0, 3); }
		throw new Error("no background"); };
	let seen = 0; const poor = [];
	for (const e of document.body.querySelectorAll("*")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility()) continue;
		seen++;
		const a = light(rgb(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) poor.push(e.tagName + "." + e.className + " " + ratio.toFixed(2));
	}
	if (seen < 50) throw new Error("only " + seen + " texts were measured");
	return poor;
})()`
