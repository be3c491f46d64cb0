"use strict";
// The live card: hears of taps by server-sent events and fetches the guest's page, which is the logged look-up.
(() => {
  const root = document.getElementById("live");
  const QUIET_MS = 45000; // the gateway sends a pulse more often than this
  const CLEAR_MS = 180000; // a card that nobody touches does not stay on the screen
  const words = root ? root.dataset : {};
  const state = document.getElementById("state");
  const news = document.getElementById("news");
  const next = document.getElementById("next");
  let waiting = null; // the guest who tapped while the crew member was busy with another
  let pulse = 0;
  let clearing = 0;

  const here = () => document.getElementById("card");
  const outlet = () => document.getElementById("guest");

  const say = (name, text) => {
    state.dataset.state = name;
    state.lastElementChild.textContent = text;
  };

  // Half-written text is not thrown away because the next guest taps.
  const busy = () => {
    const card = here();
    return card && [...card.querySelectorAll("textarea, input[type=text]")].some((box) => box.value.trim() !== "");
  };

  const leave = () => location.assign("/crew/login");

  const clear = () => {
    if (busy()) rest();
    else if (root) show(document.getElementById("idle").content.cloneNode(true));
    else location.assign("/crew/live");
  };

  const rest = () => {
    clearTimeout(clearing);
    if (here()) clearing = setTimeout(clear, CLEAR_MS);
  };

  const show = (fresh) => {
    const held = outlet().contains(document.activeElement);
    outlet().replaceChildren(fresh);
    const card = here();
    if (!card) return;
    card.classList.add("fresh");
    if (news) news.textContent = card.dataset.news;
    if (held) card.querySelector("h1").focus({ preventScroll: true });
    scrollTo({ top: 0 });
    rest();
  };

  // The answer is a whole page of ours, whatever was asked: its card is what we want.
  const take = async (answer) => {
    if (answer.redirected && new URL(answer.url).pathname === "/crew/login") return leave();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = page.getElementById("card");
    if (part) return show(document.adoptNode(part));
    // An error in words: above the card, which stays.
    const message = page.querySelector("main > .message");
    if (!message) throw new Error("no page of ours");
    outlet().querySelector(".message")?.remove();
    outlet().prepend(document.adoptNode(message));
    scrollTo({ top: 0 });
    return undefined;
  };

  const fetchGuest = async (ref) => {
    next.hidden = true;
    waiting = null;
    try {
      await take(await fetch(`/crew/guests/${encodeURIComponent(ref)}`, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(8000) }));
    } catch {
      say("lost", words.lost);
    }
  };

  const arrived = (ref) => {
    if (!busy()) return fetchGuest(ref);
    waiting = ref;
    next.hidden = false;
    news.textContent = words.next;
    return undefined;
  };

  const beat = () => {
    clearTimeout(pulse);
    pulse = setTimeout(() => say("lost", words.lost), QUIET_MS);
    say("live", words.live);
  };

  const listen = () => {
    const stream = new EventSource("/crew/live/events");
    stream.addEventListener("open", beat);
    stream.addEventListener("pulse", beat);
    stream.addEventListener("tap", (event) => {
      beat();
      arrived(JSON.parse(event.data).ref);
    });
    stream.addEventListener("bye", (event) => {
      const why = JSON.parse(event.data).why;
      if (why === "signed_out") leave();
      else if (why === "shift") location.reload();
      else if (why === "replaced") {
        clearTimeout(pulse);
        stream.close();
        say("lost", words.replaced);
      }
      // Else the browser comes back by itself, and says which tap it heard last.
    });
    stream.addEventListener("error", () => {
      say("lost", words.lost);
      // Refused rather than cut off: the session may be over, and the page itself will say so.
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
    });
    addEventListener("pagehide", () => stream.close());
    // A page brought back from the browser's memory would show a guest who is gone, and hear nothing.
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  };

  // Answers to suggestions, notes and cases are sent without leaving the page.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.closest("#card")) return;
    event.preventDefault();
    if (form.dataset.sending) return; // a second press; not `disabled`, which would lose the focus
    form.dataset.sending = "yes";
    const fields = new URLSearchParams(new FormData(form, event.submitter));
    try {
      await take(await fetch(form.action, { method: "POST", body: fields, headers: { Accept: "text/html" }, signal: AbortSignal.timeout(8000) }));
    } catch {
      form.querySelector("[data-failed]")?.removeAttribute("hidden");
    }
    delete form.dataset.sending;
  });

  document.addEventListener("pointerdown", rest);
  document.addEventListener("keydown", rest);
  rest();
  if (root) {
    next.addEventListener("click", () => waiting && fetchGuest(waiting));
    listen();
  }
})();
