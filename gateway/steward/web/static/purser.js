"use strict";
// Keeps a folio page up to date: asks whether it has become old, and fetches the page itself, a logged look-up, only then.
// Asking keeps the session alive, so it stops when nobody has touched the page for a while.
(() => {
  const EVERY_MS = 3000;
  const REST_MS = 10 * 60 * 1000;
  const state = document.getElementById("state");
  let touched = Date.now();

  const say = (name) => {
    if (state.dataset.state === name) return;
    state.dataset.state = name;
    state.lastElementChild.textContent = state.dataset[name];
  };

  const fetchPage = (address) => fetch(address, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(8000) });

  const folio = () => document.getElementById("folio");
  // What somebody is filling in is not thrown away.
  const busy = () => folio().querySelector("details[open]") !== null;

  const renew = async () => {
    const answer = await fetchPage(location.href);
    if (!answer.ok || answer.redirected) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("folio");
    if (!fresh) return location.reload();
    folio().replaceWith(document.adoptNode(fresh));
    return undefined;
  };

  const watch = async () => {
    const idle = Date.now() - touched > REST_MS;
    if (!document.hidden && !idle) {
      try {
        const answer = await fetch(folio().dataset.ask, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(4000) });
        if (answer.status === 401 || answer.redirected) return location.assign("/crew/login");
        if (!answer.ok) throw new Error(String(answer.status));
        const { mark } = await answer.json();
        if (mark !== folio().dataset.mark && !busy()) await renew();
        say("live");
      } catch {
        say("lost");
      }
    } else if (idle) {
      say("rest");
    }
    setTimeout(watch, EVERY_MS);
    return undefined;
  };

  if (state && folio()) {
    for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, () => (touched = Date.now()), { passive: true });
    watch();
  }

  // The end of the voyage: the bar moves while folios are settled.
  const moves = document.getElementById("moves");
  const move = async () => {
    const running = moves.querySelector("[data-state=running]") !== null;
    if (!running) return;
    try {
      const answer = await fetchPage("/purser/settlement/progress");
      if (answer.ok && !answer.redirected) {
        moves.innerHTML = await answer.text();
        if (moves.querySelector("[data-state=running]") === null) location.reload();
      }
    } catch {
      // The next attempt may do better; the page says nothing wrong meanwhile.
    }
    setTimeout(move, 700);
  };
  if (moves) setTimeout(move, 700);

  // A band being made: the page shows each step, and is loaded whole once it is over.
  const job = () => document.getElementById("job");
  const make = async () => {
    try {
      const answer = await fetchPage(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("job");
      if (!fresh || fresh.dataset.over === "yes") return location.reload();
      if (fresh.outerHTML !== job().outerHTML) job().replaceWith(document.adoptNode(fresh));
    } catch {
      // Tried again below.
    }
    setTimeout(make, 1000);
    return undefined;
  };
  if (job() && job().dataset.over === "no") setTimeout(make, 1000);

  const print = document.getElementById("print");
  if (print) {
    print.hidden = false;
    print.addEventListener("click", () => window.print());
  }
})();
