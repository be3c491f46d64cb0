"use strict";
// Waits for the band at the reader, so that nobody has to press anything; says whose turn it is when several wait.
(() => {
  const RETRY_MS = 1500;
  const box = document.getElementById("login");
  const show = (state) => {
    box.dataset.state = state;
    for (const part of box.children) part.hidden = part.dataset.when !== state;
  };
  const ask = async () => {
    let pause = RETRY_MS;
    try {
      const answer = await fetch(`/crew/login/wait?seen=${box.dataset.state}`, { cache: "no-store", signal: AbortSignal.timeout(30000) });
      const told = answer.ok ? (await answer.json()).state : "";
      if (told === "tapped" || told === "expired") return location.assign("/crew/login/pin");
      if (told && told !== box.dataset.state) show(told);
      if (answer.ok) pause = 0;
    } catch {
      // no contact: try again
    }
    setTimeout(ask, pause);
    return undefined;
  };
  ask();
})();
