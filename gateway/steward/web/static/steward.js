"use strict";
// Fetches the page's changing part once a second and swaps only the sections that differ.
(() => {
  const EVERY_MS = 1000;
  const LATE_AFTER = 3;
  const link = document.getElementById("link");
  const words = document.getElementById("link-words");
  const news = document.getElementById("news");
  let missed = 0;
  let last = new Date();

  const say = (state, text) => {
    if (link.dataset.state !== state) link.dataset.state = state;
    if (words.textContent !== text) words.textContent = text;
  };

  const swap = (html) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    for (const section of fresh.content.querySelectorAll("[data-live]")) {
      const shown = document.querySelector(`[data-live="${section.dataset.live}"]`);
      if (shown && shown.outerHTML !== section.outerHTML) shown.replaceWith(section);
    }
    const told = document.querySelector("[data-news]");
    if (told && news.textContent !== told.dataset.news) news.textContent = told.dataset.news;
  };

  const tick = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch("/live", { cache: "no-store", signal: AbortSignal.timeout(4000) });
        if (!answer.ok) throw new Error(String(answer.status));
        swap(await answer.text());
        missed = 0;
        last = new Date();
        say("live", link.dataset.saidLive);
      } catch {
        missed += 1;
        if (missed >= LATE_AFTER) {
          say("lost", link.dataset.saidLost.replace("{time}", last.toTimeString().slice(0, 8)));
          if (news.textContent !== link.dataset.saidNews) news.textContent = link.dataset.saidNews;
        }
      }
    }
    setTimeout(tick, EVERY_MS);
  };

  tick();
})();
