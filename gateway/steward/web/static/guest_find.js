"use strict";
// While a band is looked for: fetches the page again and swaps the words that say how far it is.
(() => {
  const EVERY_MS = 1000;
  const fetchPage = () => fetch("/me/band", { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(8000) });

  const look = async () => {
    try {
      const answer = await fetchPage();
      if (answer.redirected) return location.reload();
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const shown of document.querySelectorAll("[data-found]")) {
          const fresh = page.getElementById(shown.id);
          if (!fresh) return location.reload();
          shown.toggleAttribute("data-looking", fresh.hasAttribute("data-looking"));
          if (shown.innerHTML !== fresh.innerHTML) shown.replaceChildren(...document.adoptNode(fresh).childNodes);
        }
      }
    } catch {
      // no contact: try again
    }
    if (document.querySelector("[data-looking]")) setTimeout(look, EVERY_MS);
    return undefined;
  };

  if (document.querySelector("[data-looking]")) setTimeout(look, EVERY_MS);
})();
