import { createElement, useEffect, useRef, useState } from "react";
import { toast } from "sonner";

const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const twelveHours = () =>
  Boolean(Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions().hour12);

let visited = false;

const SENT_MS = 15000;
const keyOf = (field) => field.id || field.name;
const fieldOf = (key) =>
  [...document.querySelectorAll("input, textarea, select")].find((field) => keyOf(field) === key);
const isBox = (field) => field.type === "checkbox" || field.type === "radio";

/* What people type and tick, by field; secrets and files are left out. What was sent a while ago has arrived. */
function useTyped() {
  const typed = useRef(new Map());
  useEffect(() => {
    const note = ({ target }) => {
      if (!target.matches?.("input, textarea, select") || ["password", "file", "hidden"].includes(target.type)) return;
      if (keyOf(target)) typed.current.set(keyOf(target), { value: target.value, checked: target.checked, sent: 0 });
    };
    const sent = ({ target }) => {
      for (const field of target.elements ?? []) {
        const known = typed.current.get(keyOf(field));
        if (known) known.sent = Date.now();
      }
    };
    document.addEventListener("input", note, true);
    document.addEventListener("submit", sent, true);
    return () => {
      document.removeEventListener("input", note, true);
      document.removeEventListener("submit", sent, true);
    };
  }, []);
  return typed.current;
}

const ASK = "What you changed here is not saved. Leave without saving?";

/* Asks before a page goes with something that was typed into a form and not sent, or that says of itself that it is not
   saved (`data-unsaved`). */
function useUnsaved(typed) {
  useEffect(() => {
    const waits = ([key, { sent }]) => !sent && fieldOf(key)?.form && fieldOf(key).type !== "search";
    const unsaved = () => Boolean(document.querySelector("[data-unsaved]")) || [...typed].some(waits);
    const leave = (event) => unsaved() && event.preventDefault();
    const follow = (event) => {
      const link = event.target.closest?.("a[href]");
      if (!link || link.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (link.origin !== window.location.origin || link.pathname === window.location.pathname) return;
      if (!unsaved() || window.confirm(ASK)) {
        typed.clear();
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    };
    window.addEventListener("beforeunload", leave);
    document.addEventListener("click", follow, true);
    return () => {
      window.removeEventListener("beforeunload", leave);
      document.removeEventListener("click", follow, true);
    };
  }, []);
}

/* Puts back what was typed where the field stands again and holds something else; dialogs take a moment to open. */
function refill(typed, tries = 10) {
  for (const [key, { value, checked, sent }] of [...typed]) {
    if (sent && Date.now() - sent > SENT_MS) typed.delete(key);
    const field = typed.has(key) && fieldOf(key);
    if (!field) continue;
    if (isBox(field)) {
      if (field.checked !== checked) field.click();
    } else if (field.value !== value) {
      Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, value);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
  }
  if (tries) setTimeout(() => refill(typed, tries - 1), 150);
}

/* Loads a page again whose stored state is gone, once per loss, and hands in what it held; see ui/reloading.py. */
function useReload({ load, owner, kept, restored, onReady, onRestore }) {
  const typed = useTyped();
  useUnsaved(typed);
  const held = useRef(null);
  const seen = useRef("");
  const lost = useRef(false);
  useEffect(() => {
    if (load && !lost.current) held.current = { owner, kept };
  });
  useEffect(() => {
    if (load && lost.current) onRestore?.(held.current.owner, held.current.kept);
    if (!load && seen.current) {
      lost.current = true;
      onReady?.(zone(), twelveHours());
    }
    seen.current = load;
  }, [load]);
  useEffect(() => {
    if (!lost.current || !load || restored !== load) return;
    lost.current = false;
    if (held.current.owner !== owner) typed.clear();
    refill(typed);
  }, [restored]);
  useEffect(() => {
    // From the browser's own store after the way back, it may be another person's by now.
    const show = (event) => event.persisted && load !== undefined && window.location.reload();
    window.addEventListener("pageshow", show);
    return () => window.removeEventListener("pageshow", show);
  }, []);
}

/* Tells the page's state what only the browser knows, once it stands; then of changes that were pushed, and the time. */
export function Lifecycle({ told, shown, socket, seconds, leaveTo, onReady, onChange, ...loads }) {
  useReload({ ...loads, onReady });
  const asked = useRef(0);
  const last = useRef("");
  const token = useRef("");
  useEffect(() => {
    if (visited) document.getElementById("main")?.focus({ preventScroll: true });
    visited = true;
    // A tick later: only then do events carry the new page's address.
    const timer = setTimeout(() => onReady?.(zone(), twelveHours()), 0);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    // What happened while the socket was away was told to nobody. Another process may count differently.
    const now = sessionStorage.getItem("token");
    if (last.current && socket && socket !== last.current) {
      asked.current = 0;
      // Back before the server missed the old socket, it counts as a second tab, with a state that nothing is in yet.
      // Pages that know the number of their load see that for themselves.
      if (loads.load === undefined ? now !== token.current : !loads.load) {
        if (loads.load === undefined) onReady?.(zone(), twelveHours());
      } else onChange?.();
    }
    last.current = socket || last.current;
    token.current = now;
  }, [socket]);
  useEffect(() => {
    // One question at a time: what it is answered with has at least the version that it was asked for.
    if (!shown || told <= shown || asked.current > shown) return;
    asked.current = told;
    onChange?.();
  }, [told, shown]);
  useEffect(() => {
    // Once per address: the state that holds it outlives the page, and must not send the person away again.
    if (!leaveTo || sessionStorage.getItem("left") === leaveTo) return;
    sessionStorage.setItem("left", leaveTo);
    window.location.assign(leaveTo);
  }, [leaveTo]);
  useEffect(() => {
    if (!seconds || !onChange) return undefined;
    let asked = Date.now();
    // A page that was out of sight may be hours old, and its stored state gone: it asks once it is seen again.
    const ask = () => {
      if (document.hidden || Date.now() - asked < seconds * 900) return;
      asked = Date.now();
      onChange();
    };
    const timer = setInterval(ask, seconds * 1000);
    document.addEventListener("visibilitychange", ask);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
    };
  }, [seconds]);
  return null;
}

/* Shows each notice once, also when the page is loaded again: the state outlives the page. */
export function Notices({ notice, kind, text }) {
  useEffect(() => {
    if (!notice || sessionStorage.getItem("notice") === String(notice)) return;
    sessionStorage.setItem("notice", String(notice));
    (toast[kind] ?? toast)(text);
  }, [notice]);
  return null;
}

const UNITS = [
  ["s", 1, 60],
  ["min", 60, 60],
  ["h", 3600, 24],
  ["days", 86400, Infinity],
];

function relative(instant) {
  const seconds = Math.round((Date.now() - Date.parse(instant)) / 1000);
  const past = seconds >= 0;
  const length = Math.abs(seconds);
  if (length < 3) return past ? "just now" : "now";
  const [name, size] = UNITS.find(([, unit, most]) => length < unit * most);
  const count = Math.floor(length / size);
  const text = `${count} ${count === 1 ? name.replace(/s$/, "") || name : name}`;
  return past ? `${text} ago` : `in ${text}`;
}

/* "12 s ago", ticking; the instant stands in the tooltip and for machines. */
export function Ago({ instant, prefix = "" }) {
  const [, tick] = useState(0);
  useEffect(() => {
    tick((count) => count + 1);
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, [instant]);
  if (!instant) return null;
  const exact = new Date(instant).toLocaleString(undefined, { dateStyle: "full", timeStyle: "medium" });
  // What is next and due is next "now", not "just now".
  const isDue = prefix.startsWith("Next") && new Date(instant).getTime() < Date.now() + 1000;
  if (isDue) return createElement("time", { dateTime: instant, title: exact }, `${prefix} due now`);
  return createElement(
    "time",
    { dateTime: instant, title: exact, suppressHydrationWarning: true },
    `${prefix}${prefix ? " " : ""}${relative(instant)}`,
  );
}

const offset = (name) => {
  const parts = new Intl.DateTimeFormat("en", { timeZone: name, timeZoneName: "shortOffset" }).formatToParts();
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
};

let zones;

function allZones() {
  zones ??= (Intl.supportedValuesOf?.("timeZone") ?? []).map((name) => {
    const [region, ...city] = name.split("/");
    return { name, region: city.length ? region : "Other", label: (city.join(", ") || region).replaceAll("_", " ") };
  });
  return zones;
}

const option = (name, label) => createElement("option", { key: name, value: name }, `${label} (${offset(name)})`);

/* A native select of the zones that this browser knows, by region; native, so that phones show their own picker. */
export function ZoneSelect({ value, onChange, id, name, label }) {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setOpen(true), 300);
    return () => clearTimeout(timer);
  }, []);
  const groups = new Map();
  if (open) {
    for (const entry of allZones()) {
      if (entry.name === value) continue;
      groups.set(entry.region, [...(groups.get(entry.region) ?? []), option(entry.name, entry.label)]);
    }
  }
  const current = value ? [option(value, value.replaceAll("_", " "))] : [];
  return createElement(
    "select",
    { id, name, value, "aria-label": label, className: "select", onChange: (event) => onChange?.(event.target.value) },
    ...current,
    ...[...groups].map(([region, options]) => createElement("optgroup", { key: region, label: region }, options)),
    open && value !== "UTC" ? option("UTC", "UTC") : null,
  );
}

/* Arrow keys walk through the buttons inside, `columns` to a row; Home and End go to the first and the last. */
export function ArrowKeys({ columns = 1, className, role, label, children }) {
  const onKeyDown = (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    const cells = [...event.currentTarget.querySelectorAll("[data-cell]")];
    const at = cells.indexOf(event.target.closest("[data-cell]"));
    if (at < 0 || !(event.key in steps || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    const usable = (cell) => cell && !cell.disabled && cell.tagName === "BUTTON";
    if (event.key === "Home") return cells.find(usable)?.focus();
    if (event.key === "End") return cells.reverse().find(usable)?.focus();
    const step = steps[event.key];
    for (let next = at + step; next >= 0 && next < cells.length; next += step) {
      if (usable(cells[next])) return cells[next].focus();
    }
  };
  return createElement("div", { className, role, "aria-label": label, onKeyDown }, children);
}
