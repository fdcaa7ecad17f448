// Shows booking pages on any site: in the page, in a dialog, or by a button. Documentation: docs/embedding.md
"use strict";
(() => {
  const HOST = new URL(document.currentScript.src).origin;
  const GERMAN = document.documentElement.lang.toLowerCase().startsWith("de");
  const WORDS = GERMAN ? { book: "Termin buchen", close: "Schließen" } : { book: "Book a time", close: "Close" };
  const OTHER = { timezone: "tz", language: "lang" };
  const FILLED = /^(name|email|phone|country|guests|notes|meeting_place|booked_by_(name|email)|tz|lang|duration|month|day|link|utm_[a-z]+)$/;
  const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const frames = new Map();

  // "studio/intro" or a whole address, and what is filled in, as the address to show in a frame.
  function address(page, options) {
    const url = new URL(/^https?:/.test(page) ? page : `/book/${page.replace(/^\/?(book\/)?/, "")}`, HOST);
    if (url.origin !== HOST || !url.pathname.startsWith("/book/")) throw new Error(`Almanac: ${page} is no booking page of ${HOST}`);
    for (const [name, value] of new URLSearchParams(location.search)) if (/^utm_[a-z]+$/.test(name)) url.searchParams.set(name, value);
    for (const [name, value] of Object.entries(options)) {
      if (value === undefined || value === null || value === "") continue;
      if (name === "answers") {
        const answers = typeof value === "string" ? JSON.parse(value) : value;
        for (const [id, answer] of Object.entries(answers)) url.searchParams.set(`answer-${id}`, answer);
        continue;
      }
      const key = OTHER[name] || snake(name);
      if (FILLED.test(key)) url.searchParams.set(key, Array.isArray(value) ? value.join(", ") : value);
    }
    url.searchParams.set("embed", location.origin);
    return url.href;
  }

  function frame(page, options, target, changes) {
    const made = document.createElement("iframe");
    made.src = address(page, options);
    made.title = options.title || WORDS.book;
    made.allow = "clipboard-write";
    Object.assign(made.style, { display: "block", width: "100%", border: "0", colorScheme: "normal" });
    frames.set(made, { target, last: "", seen: false, ...changes });
    return made;
  }

  function inline(element, page, options = {}) {
    const place = typeof element === "string" ? document.querySelector(element) : element;
    const made = frame(page, options, place, { grows: true });
    made.style.minHeight = "320px";
    made.height = options.height || 640;
    place.replaceChildren(made);
    return made;
  }

  function popup(page, options = {}, opener = document) {
    const dialog = document.createElement("dialog");
    const close = document.createElement("button");
    const made = frame(page, options, opener, { close: () => dialog.close() });
    dialog.setAttribute("aria-label", made.title);
    Object.assign(dialog.style, { width: "min(68rem, 100vw - 1rem)", maxWidth: "none", height: "min(52rem, 100dvh - 1rem)", maxHeight: "none", padding: "0", border: "0", borderRadius: "14px", overflow: "hidden", background: "Canvas", boxShadow: "0 16px 64px #0008" });
    Object.assign(close.style, { position: "absolute", insetBlockStart: "8px", insetInlineEnd: "8px", width: "44px", height: "44px", border: "0", borderRadius: "50%", background: "Canvas", color: "CanvasText", font: "24px/1 sans-serif", cursor: "pointer" });
    close.type = "button";
    close.textContent = "×";
    close.setAttribute("aria-label", WORDS.close);
    close.onclick = () => dialog.close();
    made.style.height = "100%";
    dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
    dialog.onclose = () => { frames.delete(made); dialog.remove(); };
    dialog.append(made, close);
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }

  function button(page, options = {}) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = options.text || WORDS.book;
    Object.assign(made.style, { position: "fixed", insetBlockEnd: "20px", insetInlineEnd: "20px", zIndex: "2147483000", minHeight: "48px", padding: "0 22px", border: "0", borderRadius: "99px", background: options.color || "#5b5bd6", color: options.textColor || "#fff", font: "600 16px/1.2 system-ui, sans-serif", boxShadow: "0 4px 16px #0004", cursor: "pointer" });
    made.onclick = () => popup(page, options, made);
    document.body.append(made);
    return made;
  }

  // Only the page in one of our own frames is listened to, and only while it is one of ours.
  addEventListener("message", (event) => {
    if (event.origin !== HOST || typeof event.data !== "object" || !event.data) return;
    for (const [made, held] of frames) {
      if (made.contentWindow !== event.source) continue;
      const { almanac: kind, height, ...detail } = event.data;
      if (kind === "height" && held.grows && height > 0 && height < 20000) made.height = Math.ceil(height);
      if (kind === "page") {
        if (held.seen && held.grows && made.getBoundingClientRect().top < 0) made.scrollIntoView();
        held.seen = true;
      }
      if (kind === "close" && held.close) held.close();
      if (kind !== "slot" && kind !== "booked") continue;
      const said = kind + JSON.stringify(detail);
      if (kind === "booked" && held.last === said) continue; // the confirmation was loaded again
      held.last = said;
      const target = held.target.isConnected === false ? document : held.target;
      target.dispatchEvent(new CustomEvent(`almanac:${kind}`, { bubbles: true, detail }));
    }
  });

  function start() {
    for (const each of document.querySelectorAll("[data-almanac], [data-almanac-popup], [data-almanac-button]")) {
      if (each.almanac) continue;
      each.almanac = true;
      const { almanac, almanacPopup, almanacButton, ...options } = each.dataset;
      if (almanac) inline(each, almanac, options);
      else if (almanacPopup) each.addEventListener("click", (event) => {
        if (event.metaKey || event.ctrlKey) return;
        event.preventDefault();
        popup(almanacPopup, { ...each.dataset }, each);
      });
      else button(almanacButton, options);
    }
  }

  window.Almanac = { inline, popup, button, start };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
  document.dispatchEvent(new CustomEvent("almanac:ready"));
})();
