// Fetches the changing part of the page every five seconds and swaps the sections that changed.
// Without this script the page is complete; it only does not refresh by itself.
"use strict";
(function () {
  const main = document.getElementById("live");
  const news = document.getElementById("news");
  const EVERY_MS = 5000;

  function headlines(root) {
    return Array.from(root.querySelectorAll("#waits .card"), (card) =>
      card.querySelector("h3").textContent + " : " + card.querySelector(".big").textContent
    ).join(". ");
  }

  function swap(next) {
    const before = headlines(main);
    for (const fresh of next.querySelectorAll("section[id]")) {
      const old = document.getElementById(fresh.id);
      if (!old || old.contains(document.activeElement)) continue; // never take the focus away
      for (const open of old.querySelectorAll("details[open]")) {
        const same = fresh.querySelector("#" + open.id);
        if (same) same.open = true;
      }
      if (old.outerHTML !== fresh.outerHTML) old.replaceWith(fresh);
    }
    const after = headlines(main);
    if (after !== before) news.textContent = after;
  }

  async function refresh() {
    if (!document.hidden) {
      try {
        const answer = await fetch(main.dataset.source, { cache: "no-cache" });
        if (answer.ok) {
          swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
        }
      } catch (error) {
        // Offline: what is shown keeps its time stamp.
      }
    }
    setTimeout(refresh, EVERY_MS);
  }

  setTimeout(refresh, EVERY_MS);
})();
