// Fills the set-up page with what only the browser knows: the code behind #, time zone, address, and whether a websocket opens.
"use strict";
(() => {
  const field = (name) => document.getElementById(name);
  const takeCode = () => {
    const code = location.hash.slice(1);
    if (!/^[A-Z2-9-]{8,40}$/i.test(code)) return;
    field("code").value = code;
    history.replaceState(null, "", location.pathname + location.search);
  };
  takeCode();
  addEventListener("hashchange", takeCode);

  const zone = field("timezone");
  const guessed = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (guessed && (!zone.value || zone.value === "UTC")) {
    if (![...zone.options].some((option) => option.value === guessed)) zone.add(new Option(guessed, guessed));
    zone.value = guessed;
  }

  const seen = field("seen");
  const show = (name, on) => { seen.querySelector(`[data-${name}]`).hidden = !on; };
  const typed = field("address");
  const first = typed && !document.querySelector("[data-focus]");
  if (first) typed.value = location.origin;
  const compare = () => {
    const known = (typed ? typed.value : seen.dataset.fixed).trim().replace(/\/$/, "").toLowerCase();
    show("same", known === location.origin);
    show("other", known !== location.origin);
    seen.querySelector("[data-origin]").textContent = location.origin;
  };
  compare();
  if (typed) typed.addEventListener("input", compare);

  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/_event/?EIO=4&transport=websocket`);
  socket.addEventListener("open", () => { show("live", true); socket.close(); });
  socket.addEventListener("error", () => show("dead", true));
})();
