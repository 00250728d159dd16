// The page works without this file; with it, nothing typed is lost and the list
// follows by itself. Every text from the lab goes in as text, never as markup.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const pollEvery = 1000, pollDeadline = 15000, sendDeadline = 45000;
  let version = "";
  const known = new Map(); // row number -> {tr, drawn}
  let badBefore = null; // bad ends counted at the last poll

  const el = (name, props = {}, ...inside) => {
    const e = document.createElement(name);
    for (const [k, v] of Object.entries(props)) {
      if (k in e) e[k] = v; else e.setAttribute(k, v);
    }
    e.append(...inside);
    return e;
  };
  const put = (e, text) => { if (e.textContent !== text) e.textContent = text; };
  const cross = () => el("span", { "aria-hidden": "true" }, "\u00d7 ");

  function say(outcome, message) {
    $("result").className = "result " + outcome;
    put($("result"), "");
    // Emptied first: the same sentence twice is announced twice.
    requestAnimationFrame(() => put($("result"), message));
  }

  // Event types: links that switch in place and keep what was typed.
  const links = [...document.querySelectorAll("[data-form]")];
  for (const link of links) {
    link.addEventListener("click", (ev) => {
      if (ev.ctrlKey || ev.metaKey || ev.shiftKey) return;
      ev.preventDefault();
      for (const other of links) {
        const mine = other === link;
        if (mine) other.setAttribute("aria-current", "page"); else other.removeAttribute("aria-current");
        $("form-" + other.dataset.form).hidden = !mine;
      }
      history.replaceState(null, "", link.href);
    });
  }

  async function post(path, form) {
    const answer = await fetch(path, {
      method: "POST", headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form)), signal: AbortSignal.timeout(sendDeadline),
    });
    return answer.json();
  }

  function mark(form, wrong) {
    let first = null;
    for (const p of form.querySelectorAll("[data-wrong]")) {
      const input = form.elements.namedItem(p.dataset.wrong);
      const text = wrong[p.dataset.wrong] || "";
      put(p, text);
      if (text) { input.setAttribute("aria-invalid", "true"); first = first || input; } else input.removeAttribute("aria-invalid");
    }
    if (first) first.focus();
  }

  for (const form of document.forms) {
    form.addEventListener("submit", async (ev) => {
      ev.preventDefault();
      if (form.dataset.busy) return;
      const button = ev.submitter || form.querySelector("button");
      const path = button.getAttribute("formaction") || form.getAttribute("action");
      form.dataset.busy = "yes";
      button.setAttribute("aria-disabled", "true");
      try {
        const answer = await post(path, form);
        mark(form, answer.fields || {});
        say(answer.outcome, answer.message);
      } catch (err) {
        say("unknown", "Not known whether it was taken: the page's server did not answer (" + err.message + ").");
      } finally {
        delete form.dataset.busy;
        button.removeAttribute("aria-disabled");
      }
      refresh();
    });
  }

  function drawSummary(summary) {
    $("summary").replaceChildren(...summary.map((c) => el("div", { className: c.bad ? "bad" : "" },
      el("dt", {}, ...(c.bad ? [cross()] : []), c.step), el("dd", {}, c.text))));
    const bad = new Map(summary.filter((c) => c.bad).map((c) => [c.step, c.n]));
    if (badBefore) {
      const news = [...bad].filter(([step, n]) => n > (badBefore.get(step) || 0)).map(([step, n]) => step + ": now " + n);
      if (news.length) put($("heard"), news.join(", "));
    }
    badBefore = bad;
  }

  const labelled = (label, className, ...inside) => {
    const td = el("td", { className, role: "cell" }, ...inside);
    td.dataset.label = label;
    return td;
  };

  function drawCell(c) {
    const td = labelled(c.step, c.state);
    if (c.state === "bad") td.append(cross(), "bad end ");
    td.append(c.text);
    if (c.note) td.append(el("small", {}, c.note));
    return td;
  }

  function drawHead(row) {
    const th = el("th", { scope: "row", role: "rowheader" });
    th.dataset.label = "Event";
    if (!row.id) { th.append("no id"); return th; }
    const copy = el("button", { type: "button", className: "copy", "aria-label": "Copy id " + row.id }, "copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(row.id);
        say("done", "Copied: " + row.id);
      } catch (err) {
        say("wrong", "Not copied, the browser refused: " + err.message);
      }
    });
    th.append(el("code", { title: row.id }, row.id), copy);
    return th;
  }

  function drawRow(row) {
    const was = known.get(row.n);
    const drawn = JSON.stringify(row);
    if (was && was.drawn === drawn) return was.tr;
    // The head stays: a person may have the focus on its button.
    const tr = was ? was.tr : el("tr", { role: "row", className: version ? "fresh" : "" }, drawHead(row));
    const cells = row.problem
      ? [labelled("Result", "bad wide", cross(), row.problem)]
      : row.cells.map(drawCell);
    if (row.problem) cells[0].colSpan = Math.max(1, document.querySelectorAll("thead th").length - 3);
    while (tr.children.length > 1) tr.lastChild.remove();
    tr.append(labelled("Type", "", row.type), labelled("Sent", "", row.when), ...cells);
    known.set(row.n, { tr, drawn });
    return tr;
  }

  function drawRows(rows) {
    const body = $("rows");
    const listed = new Set(rows.map((r) => r.n));
    for (const [n, { tr }] of known) {
      if (!listed.has(n)) { tr.remove(); known.delete(n); }
    }
    if (!version) body.replaceChildren();
    rows.forEach((row, i) => {
      const tr = drawRow(row);
      if (body.children[i] !== tr) body.insertBefore(tr, body.children[i] || null);
    });
    $("empty").hidden = rows.length > 0;
  }

  let toldOf = -1; // the last burst whose end was told, or was over when the page came
  function drawBurst(b) {
    $("burst").hidden = !b;
    if (!b) return;
    put($("burst-text"), b.text);
    $("burst-bar").max = b.count;
    $("burst-bar").value = b.done;
    const stop = $("burst-stop");
    if (!b.running && document.activeElement === stop) $("events").focus({ preventScroll: true });
    stop.hidden = !b.running;
    if (!b.running && toldOf < b.n) {
      if (version) say("done", b.text);
      toldOf = b.n;
    }
  }

  async function poll() {
    const answer = await fetch("/events?version=" + version, { signal: AbortSignal.timeout(pollDeadline) });
    if (answer.status === 204) { offline(""); return; }
    if (!answer.ok) throw new Error("HTTP " + answer.status);
    const list = await answer.json();
    drawSummary(list.summary);
    drawRows(list.rows);
    drawBurst(list.burst);
    put($("listed"), list.rows.length + " of the last " + list.total + " events, newest first.");
    problem = list.problem;
    offline("");
    version = list.version;
  }

  let problem = "";
  const offline = (why) => put($("problem"), why || problem);

  // One poll at a time; the next begins a second after the answer. A hidden tab
  // costs the lab nothing.
  let timer = 0, polling = false;
  async function refresh() {
    if (polling) return;
    polling = true;
    clearTimeout(timer);
    try {
      if (!document.hidden) await poll();
    } catch (err) {
      offline("not known: the page's server does not answer (" + err.message + "). What stands below is old.");
    } finally {
      polling = false;
      timer = setTimeout(refresh, pollEvery);
    }
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  refresh();
})();
