// All that is live on a page, and the keyboard. The templates say what is to be done:
//   data-poll="2" with hx-get, hx-trigger="poll": asks every 2 s, or at the person's interval
//   data-hold: is left alone while somebody selects, types or has a dialog open
//   data-newest-first: newer rows are offered, not pushed, while somebody reads
//   data-reload: the page is loaded again as soon as an answer comes
//   data-go="w": where `g w` goes
// hx-trigger="every 5s" obeys the same rules. Nothing is kept that a swap may replace.
(() => {
  "use strict";
  const BEAT_MS = 250, BACKOFF_MAX_MS = 60_000, ANNOUNCE_MS = 10_000, KEY_PAIR_MS = 1_000;
  const $ = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const on = (name, run, options) => document.addEventListener(name, run, options);
  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const counted = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;

  // Where storing is not allowed, a choice lasts as long as the page.
  const recall = (name, otherwise) => {
    try { return localStorage.getItem(`mailroom.${name}`) ?? otherwise; } catch { return otherwise; }
  };
  const remember = (name, value) => {
    try { localStorage.setItem(`mailroom.${name}`, value); } catch { }
  };

  // ── Polling
  const PART = '[data-poll], [hx-trigger^="every "]';
  const bornAt = Date.now(), askedAt = new WeakMap();
  const forced = new WeakSet(); // asks without a tag, and its answer is shown whatever anybody does
  let chosenMs = recall("interval", "2") * 1000;
  let failures = 0, freshAt = bornAt, newer = 0, asking = false;

  const parts = () => all(PART);
  const isPart = element => !!element?.matches?.(PART);
  const table = () => $("#jobs-table");

  function waitMs(part) {
    if (failures) return Math.min(BACKOFF_MAX_MS, Math.max(chosenMs, 1000) * 2 ** failures);
    const own = (part.dataset.poll ?? /\d+/.exec(part.getAttribute("hx-trigger"))) * 1000;
    return own > 2000 ? Math.max(own, chosenMs) : chosenMs;
  }

  function isDue(part) {
    const ms = Date.now() - (askedAt.get(part) ?? bornAt);
    if (forced.has(part)) return ms > 2 * BEAT_MS; // its first asking was lost
    if (!chosenMs || (part.matches("[data-hold]") && isHeld())) return false;
    // While the server is away one part asks for all.
    return ms >= waitMs(part) && (!failures || part === parts()[0]);
  }

  function ask(part) {
    askedAt.set(part, Date.now());
    asking = true;
    part.dispatchEvent(new CustomEvent(part.dataset.poll ? "poll" : "every"));
    asking = false;
  }

  function apply() {
    forced.add(table());
    ask(table());
  }

  setInterval(() => {
    if (document.hidden) return;
    if (newer && !isRead()) apply();
    parts().filter(isDue).forEach(ask);
    tell();
  }, BEAT_MS);
  on("visibilitychange", () => { if (!document.hidden && chosenMs) parts().forEach(ask); });

  on("htmx:config:request", event => {
    const { sourceElement: part, sourceEvent, request } = event.detail.ctx;
    if (!isPart(part)) {
      // A form's empty fields ask for nothing, and only lengthen the address.
      if (request.method === "GET") for (const [name, value] of [...request.body]) if (!value) request.body.delete(name);
      return;
    }
    // htmx's own timer knows nothing of hidden tabs, backoff and the person's choice.
    if (sourceEvent.type === "every" && !asking) return event.preventDefault();
    // The tag of what is shown, which is not the last answer's when that was not shown.
    const tag = part.getAttribute("hx-ptag");
    if (tag && !forced.has(part)) request.headers["HX-PTag"] = tag;
    else delete request.headers["HX-PTag"];
  });

  on("htmx:before:response", event => {
    const { sourceElement, response } = event.detail.ctx;
    // A poll that was led elsewhere (a login) is the page's business, not the part's.
    if (isPart(sourceElement) && response.raw.redirected) { event.preventDefault(); location.reload(); }
  });

  on("htmx:after:request", event => {
    const { sourceElement: part, request, response: { status } } = event.detail.ctx;
    if (!isPart(part)) {
      if (status >= 400 && request.method === "GET") location.assign(request.action); // it says what is wrong
    } else if (status >= 500) failed(part);
    else if (part.matches("[data-reload]")) location.reload();
    else if (status < 400) reached();
  });
  on("htmx:error", event => { if (event.detail.ctx) failed(event.detail.ctx.sourceElement); });

  on("htmx:before:swap", event => {
    const { ctx, tasks } = event.detail, part = ctx.sourceElement;
    if (!isPart(part)) return;
    const url = new URL(part.getAttribute("hx-get"), location.href), isForced = forced.has(part);
    const isOld = ctx.request.action !== url.pathname + url.search; // asked before a filter changed
    if (isOld || (!isForced && part.matches("[data-hold]") && isHeld())) return event.preventDefault();
    if (ctx.response.status !== 200) return;
    forced.delete(part);
    if (part === table()) newer = !isForced && isRead() ? withhold(tasks[0].fragment) : 0;
  });

  on("htmx:after:swap", event => {
    if (!isPart(event.detail.ctx.sourceElement)) newer = 0;
    showSelection();
    age();
    tell();
  });

  function failed(part) {
    if (failures && isPart(part) && part !== parts()[0]) return; // was on its way already
    failures += 1;
    for (const part of parts()) askedAt.set(part, Date.now());
    tell();
  }

  function reached() {
    freshAt = Date.now();
    if (!failures) return;
    failures = 0;
    announce("Updating again.");
    parts().forEach(ask);
  }

  // ── Without disturbing anyone
  const ticked = () => all("#jobs-table [name=ids]:checked");
  const isTyping = () => {
    const field = document.activeElement;
    return field?.matches("input:not([type=checkbox]), textarea") && field.value !== field.defaultValue;
  };
  const isHeld = () => ticked().length > 0 || !!$("dialog[open]") || isTyping();
  const isRead = () => !!table()?.matches("[data-newest-first]")
    && (scrollY > 8 || !!$("#jobs-table tbody :focus-visible"));
  const idOf = row => Number(row.id.slice(1));

  // Takes rows that are newer than the first one shown out of an answer, and keeps those that they
  // would push out: the rows stay where they are, and change in place. Returns how many it took.
  function withhold(fragment) {
    const shown = all("#jobs-table tbody tr"), body = $("tbody", fragment);
    if (!shown.length || !body) return 0;
    const rows = [...body.rows], taken = rows.filter(row => idOf(row) > idOf(shown[0]));
    if (!taken.length) return 0;
    const last = Math.min(...rows.map(idOf));
    for (const row of taken) row.remove();
    for (const row of shown) if (idOf(row) < last) body.append(row.cloneNode(true));
    if (taken.length < rows.length) return taken.length;
    return Math.max(taken.length, $("#jobs-table", fragment).dataset.total - table().dataset.total + newer);
  }

  // ── What the person is told
  function tell() {
    const isWaiting = !!$("[data-reload]"), isAway = failures > 0 || isWaiting, isOff = !chosenMs, held = !isAway && !!table() && isHeld();
    const changes = held && $("#counts") ? $("#counts").dataset.revision - table().dataset.revision : 0;
    $("#live").dataset.is = isAway ? "away" : isOff ? "off" : held ? "held" : "on";
    say($("#live-word"), isAway ? "Away" : isOff ? "Updates" : held ? "On hold," : "Live,");
    if (isAway && !isWaiting) {
      const since = new Date(freshAt).toLocaleTimeString("en-GB");
      note(`Not updating: data from ${since}`, "Retry now", () => ask(parts()[0]), "away");
    } else if (changes > 0) note(`Updates paused · ${counted(changes, "change")}`, "Apply", apply);
    else if (newer) note(counted(newer, "newer job"), "Show", () => { scrollTo({ top: 0 }); apply(); });
    else $("#note").hidden = true;
  }

  function note(text, action, run, kind = "") {
    const element = $("#note"), button = element.lastElementChild;
    if (element.hidden || element.dataset.kind !== kind) announce(text);
    element.dataset.kind = kind;
    say(element.firstElementChild, text);
    say(button, action);
    button.onclick = () => { run(); if (!kind) $("#jobs-table .scroll")?.focus({ preventScroll: true }); };
    element.hidden = false;
  }

  let announcedAt = 0, toAnnounce;
  function announce(text) {
    clearTimeout(toAnnounce);
    toAnnounce = setTimeout(() => {
      announcedAt = Date.now();
      $("#announcer").textContent = text;
    }, Math.max(0, announcedAt + ANNOUNCE_MS - Date.now()));
  }

  // ── Times
  const offMs = document.body.dataset.now * 1000 - Date.now(); // how wrong this clock is
  const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

  function ago(moment) { // as formats.ago says it
    const seconds = (Date.now() + offMs - moment) / 1000, distance = Math.abs(seconds);
    const [size, unit] = UNITS.find(([size]) => distance >= size) ?? UNITS[3];
    const span = `${Math.floor(distance / size)} ${unit}`;
    return seconds >= 0 ? `${span} ago` : `in ${span}`;
  }

  function age() {
    for (const time of all("time")) {
      if (/^(in )?\d+ (s|min|h|d)( ago)?$/.test(time.textContent)) say(time, ago(Date.parse(time.dateTime)));
    }
  }
  setInterval(() => { if (!document.hidden) age(); }, 1000);

  const exact = time => new Date(time.dateTime).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "long" });
  const tip = $("#tip");

  function point(at, text) {
    tip.textContent = text;
    tip.hidden = false;
    const box = at.getBoundingClientRect(), { offsetWidth: width, offsetHeight: height } = tip;
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
    tip.style.top = `${box.top > height + 12 ? box.top - height - 6 : box.bottom + 6}px`;
  }
  const unpoint = () => { tip.hidden = true; };

  on("pointerover", event => {
    const time = event.target.closest?.("time[datetime]");
    if (!time) return unpoint();
    time.removeAttribute("title"); // or there would be two
    point(time, exact(time));
  });
  // A row has one stop for the keyboard, and tells all its times there.
  on("focusin", event => {
    const link = event.target, row = link.matches("tbody th a:focus-visible") && link.closest("tr");
    const times = row ? all("time", row) : [];
    if (!times.length) return unpoint();
    const heads = row.closest("table").tHead.rows[0].cells;
    const name = time => heads[time.closest("td").cellIndex].textContent.replace(/[↓↑]/, "").trim();
    point(link, times.map(time => `${name(time)} ${exact(time)}`).join("\n"));
    link.setAttribute("aria-describedby", "tip");
  });
  on("focusout", event => { unpoint(); event.target.removeAttribute("aria-describedby"); });
  on("scroll", unpoint, { passive: true, capture: true });

  // ── Selecting, filtering
  function showSelection() {
    const head = $("#select-all"), boxes = all("#jobs-form [name=ids]"), count = ticked().length;
    if (!head) return;
    head.hidden = false;
    head.checked = count > 0 && count === boxes.length;
    head.indeterminate = count > 0 && count < boxes.length;
    $("#jobs-form").dataset.selected = count;
  }

  on("change", ({ target: field }) => {
    if (field.id === "select-all") for (const box of all("#jobs-form [name=ids]")) box.checked = field.checked;
    if (field.matches("#jobs-form [type=checkbox]")) {
      showSelection();
      if (!ticked().length) askedAt.delete(table());
    }
    if (field.matches("#filters select")) field.form.requestSubmit();
    if (field.id === "keys-on") remember("keys", field.checked ? "on" : "off");
    if (field.id === "interval") {
      chosenMs = field.value * 1000;
      remember("interval", field.value);
      failures = 0;
      if (chosenMs) parts().forEach(ask);
    }
    tell();
  });

  // ── Keyboard
  let wentAt = 0, rowAt = 0;
  const currentRow = () => document.activeElement?.closest("#jobs-table tbody tr");
  const help = () => $("#help").showModal();

  function moveRow(step) {
    const rows = all("#jobs-table tbody tr"), row = currentRow();
    if (!rows.length) return;
    rowAt = Math.max(0, Math.min(rows.length - 1, row ? rows.indexOf(row) + step : rowAt));
    $("th a", rows[rowAt]).focus();
    rows[rowAt].scrollIntoView({ block: "nearest" });
  }

  function tick() {
    const row = currentRow();
    if (row) $("[name=ids]", row).click();
  }

  function retry() {
    if (!table()) return $('[data-action="retry"]')?.click();
    if (!ticked().length) tick();
    if (ticked().length) $('#jobs-form [name="selected"][value="retry"]')?.click();
  }

  const KEYS = {
    "/": () => $("#search")?.select(),
    j: () => moveRow(1),
    k: () => moveRow(-1),
    x: tick,
    r: retry,
    "[": () => $('[rel="prev"]')?.click(),
    "]": () => $('[rel="next"]')?.click(),
    "?": help,
    g: () => { wentAt = Date.now(); },
  };

  on("keydown", event => {
    if (event.key === "Escape") unpoint();
    const isOthers = event.ctrlKey || event.metaKey || event.altKey || event.isComposing
      || event.target.closest?.("input:not([type=checkbox]), select, textarea") || $("dialog[open]");
    if (isOthers || !$("#keys-on").checked) return;
    const went = Date.now() - wentAt < KEY_PAIR_MS && $(`[data-go="${CSS.escape(event.key)}"]`);
    const run = went ? () => went.click() : KEYS[event.key];
    if (!run) return;
    wentAt = 0;
    event.preventDefault();
    run();
  });

  // ── Start
  $("#live").hidden = !parts().length;
  $("#interval").value = chosenMs / 1000;
  $("#keys-on").checked = recall("keys", "on") === "on";
  $("#help-button").hidden = false;
  $("#help-button").onclick = help;
  showSelection();
  age();
  tell();
})();
