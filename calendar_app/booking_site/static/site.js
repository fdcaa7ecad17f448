// Improves pages that work without it: fresh times, a countdown, typed text that survives, the browser's time zone.
"use strict";
(() => {
  const REFRESH_MS = 5000;
  const times = document.getElementById("times");
  const news = document.getElementById("news");
  const form = document.querySelector("form[data-typed]");
  const store = (() => { try { return window.sessionStorage; } catch { return null; } })();

  // --- times that stay true while the page is open ---

  const labels = () => new Map([...times.querySelectorAll(".slot")].map((slot) => [slot.value || slot.href, slot.firstChild.textContent]));

  function put(html, etag) {
    const before = labels();
    const pick = times.querySelector(".pick");
    const same = pick && [pick.dataset.month, pick.dataset.day, pick.dataset.zone].join();
    const focused = times.contains(document.activeElement) ? document.activeElement : null;
    const place = focused && [...times.querySelectorAll("a, button, summary, input:not([type=hidden])")].indexOf(focused);
    const scrolled = times.querySelector(".slots")?.scrollTop || 0;
    times.innerHTML = html;
    times.dataset.etag = etag;
    const now = times.querySelector(".pick");
    if (same === [now.dataset.month, now.dataset.day, now.dataset.zone].join()) {
      const after = labels();
      const gone = [...before].filter(([key]) => !after.has(key)).map(([, label]) => label);
      if (gone.length) news.textContent = gone.slice(0, 3).map((label) => times.dataset.taken.replace("{time}", label)).join(" ");
      const list = times.querySelector(".slots");
      if (list) list.scrollTop = scrolled;
    }
    if (place >= 0 && focused) {
      const all = [...times.querySelectorAll("a, button, summary, input:not([type=hidden])")];
      const again = focused.value ? all.find((each) => each.value === focused.value) : all.find((each) => each.href && each.href === focused.href);
      (again || all[Math.min(place, all.length - 1)])?.focus({ preventScroll: true });
    }
  }

  function query(changes) {
    const found = new URLSearchParams(location.search);
    found.delete("taken");
    const pick = times.querySelector(".pick");
    if (!found.has("month") && pick.dataset.day) { found.set("month", pick.dataset.month); found.set("day", pick.dataset.day); }
    for (const [name, value] of Object.entries(changes)) found.set(name, value);
    return found;
  }

  let asking = false;
  async function refresh(changes = {}) {
    const open = times.querySelector("details")?.open;
    if (asking || document.hidden || (open && !changes.tz)) return false;
    asking = true;
    try {
      const answer = await fetch(`${times.dataset.refresh}?${query(changes)}`, {
        headers: { "If-None-Match": `"${times.dataset.etag}"` }, cache: "no-store", credentials: "same-origin",
      });
      if (answer.status === 200) put(await answer.text(), answer.headers.get("ETag").replaceAll('"', ""));
      return answer.ok;
    } catch {
      return false;
    } finally {
      asking = false;
    }
  }

  if (times) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const shown = times.querySelector(".pick").dataset.zone;
    if ("guess" in times.dataset && zone && zone !== shown) {
      const fresh = new URLSearchParams(location.search);
      const wanted = { tz: zone };
      if (!fresh.has("month")) times.querySelector(".pick").dataset.day = "";
      refresh(wanted).then((done) => {
        if (!done) return;
        fresh.set("tz", zone);
        fresh.delete("taken");
        history.replaceState(null, "", `${location.pathname}?${fresh}`);
        document.cookie = `almanac_zone=${encodeURIComponent(zone).replaceAll("%2F", "/")}; path=/book; max-age=31536000; samesite=lax`;
      });
    }
    setInterval(refresh, REFRESH_MS);
    document.addEventListener("visibilitychange", () => refresh());
    window.addEventListener("pageshow", (event) => { if (event.persisted) refresh(); });

    // Arrow keys walk through days and times.
    times.addEventListener("keydown", (event) => {
      const list = event.target.closest(".days, .slots");
      const rtl = document.dir === "rtl" ? -1 : 1;
      const step = { ArrowRight: rtl, ArrowLeft: -rtl, ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!list || !step) return;
      const all = [...list.querySelectorAll("a, button")];
      const next = all[all.indexOf(event.target) + step];
      if (next) { event.preventDefault(); next.focus(); }
    });
  }

  // --- a form keeps what is typed, in this tab only ---

  const key = form && `almanac:${form.dataset.typed}`;
  function typed() {
    try { return JSON.parse(store?.getItem(key) || "{}"); } catch { return {}; }
  }
  if (form && store) {
    const kept = typed();
    for (const field of form.elements) {
      if (!field.name || field.type === "hidden" || !(field.name in kept)) continue;
      if (field.type === "checkbox") field.checked = kept[field.name];
      else field.value = kept[field.name];
    }
    form.addEventListener("input", ({ target }) => {
      if (!target.name) return;
      const all = { ...typed(), [target.name]: target.type === "checkbox" ? target.checked : target.value };
      try { store.setItem(key, JSON.stringify(all)); } catch { /* no room, or not allowed */ }
    });
  }
  const done = document.querySelector("[data-typed-done]");
  if (done && store) for (const each of Object.keys(store)) if (each.split("#")[0] === `almanac:${done.dataset.typedDone}`) store.removeItem(each);

  // --- how long the time is still kept; by the server's count, whatever this machine's clock says ---

  const kept = document.querySelector("[data-countdown]");
  if (kept) {
    const end = performance.now() + Number(kept.dataset.countdown) * 1000;
    const timer = kept.querySelector("[role=timer]");
    const tick = () => {
      const left = Math.max(0, Math.round((end - performance.now()) / 1000));
      timer.textContent = `(${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")})`;
      if (left) return;
      clearInterval(ticking);
      kept.hidden = true;
      const over = document.querySelector("[data-ran-out]");
      if (over) { over.hidden = false; over.setAttribute("role", "status"); }
    };
    const ticking = setInterval(tick, 1000);
    tick();
  }

  document.querySelector("[data-focus]")?.focus();

  // --- in a frame: the page around it, if it is the one that the address names, is told the height and what happens ---

  if (window.parent !== window) {
    const { classList, dataset } = document.documentElement;
    const tell = (almanac, detail) => { if (dataset.around) window.parent.postMessage({ almanac, ...detail }, dataset.around); };
    classList.add("framed");
    for (const link of document.querySelectorAll("a[href^='/manage/'], a[href^='/my']")) Object.assign(link, { target: "_blank", rel: "noopener" });
    tell("page");
    new ResizeObserver(() => tell("height", { height: document.body.getBoundingClientRect().height })).observe(document.body);
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.defaultPrevented) tell("close"); });
    document.addEventListener("submit", ({ submitter, target }) => { if (target.id === "pick" && submitter) tell("slot", { start: submitter.value, page: location.pathname }); });
    const made = document.querySelector("[data-booked]")?.dataset;
    if (made) tell("booked", { id: made.booked, start: made.start, end: made.end, status: made.status, page: made.typedDone });
  }

  // A second press while the first is on its way would only cost time; what is sent twice is done once anyway.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    if (!navigator.onLine) {
      event.preventDefault();
      let note = document.getElementById("offline");
      if (!note) {
        note = Object.assign(document.createElement("p"), { id: "offline", className: "news" });
        note.setAttribute("role", "alert");
        (event.submitter || event.target).after(note);
      }
      note.textContent = document.body.dataset.offline;
      return;
    }
    event.target.dataset.sent = "1";
    event.submitter?.setAttribute("aria-busy", "true");
    setTimeout(() => { delete event.target.dataset.sent; event.submitter?.removeAttribute("aria-busy"); }, 8000);
  });
  window.addEventListener("online", () => document.getElementById("offline")?.remove());
  window.addEventListener("pageshow", () => {
    for (const each of document.querySelectorAll("form[data-sent]")) delete each.dataset.sent;
    for (const each of document.querySelectorAll("[aria-busy]")) each.removeAttribute("aria-busy");
  });
})();
