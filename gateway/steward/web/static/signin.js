"use strict";
// Waits for the band at the reader, so that nobody has to press anything.
(() => {
  const RETRY_MS = 1500;
  const ask = async () => {
    let pause = RETRY_MS;
    try {
      const answer = await fetch("/crew/login/wait", { cache: "no-store", signal: AbortSignal.timeout(30000) });
      const told = answer.ok ? (await answer.json()).state : "";
      if (told === "tapped" || told === "expired") return location.assign("/crew/login/pin");
      if (answer.ok) pause = 0;
    } catch {
      // no contact: try again
    }
    setTimeout(ask, pause);
    return undefined;
  };
  ask();
})();
