// Fetches the changing part of the page every five seconds and swaps the sections that changed.
// Without this script the page is complete; it only does not refresh by itself.
"use strict";
(function () {
  const main = document.getElementById("live");
  const news = document.getElementById("news");
  const EVERY_MS = 5000;
  const STALE_MS = 600000; // counts older than this say nothing about now (docs/waiting.md)

  function headlines(root) {
    return Array.from(root.querySelectorAll("#waits .card"), (card) =>
      card.querySelector("h3").textContent + " : " + card.querySelector(".big").textContent
    ).join(". ");
  }

  // What has the focus within a section, as a selector that finds it in the next one too.
  function focused(section) {
    const named = section.contains(document.activeElement) && document.activeElement.closest("[id]");
    if (!named || named === section) return "";
    const own = named === document.activeElement ? "" : " " + document.activeElement.localName;
    return "#" + named.id + own;
  }

  // Without an answer from the server a wait must not stand for ever: after STALE_MS it is unknown.
  function expire() {
    for (const card of main.querySelectorAll("#waits .card")) {
      const counted = card.querySelector("time[datetime]");
      if (!counted || Date.now() - Date.parse(counted.dateTime) <= STALE_MS) continue;
      const headline = card.querySelector(".big");
      if (headline.textContent === main.dataset.unknown) continue;
      headline.textContent = main.dataset.unknown;
      card.className = "card wait none";
      for (const old of card.querySelectorAll(".range, .notes, .day, .axis, .best, details")) old.remove();
    }
  }

  function swap(next) {
    const before = headlines(main);
    for (const fresh of next.querySelectorAll("section[id]")) {
      const old = document.getElementById(fresh.id);
      if (!old) continue;
      const focus = focused(old);
      for (const open of old.querySelectorAll("details[open]")) {
        const same = fresh.querySelector("#" + open.id);
        if (same) same.open = true;
      }
      if (old.outerHTML === fresh.outerHTML) continue;
      old.replaceWith(fresh);
      const again = focus && fresh.querySelector(focus);
      if (again) again.focus({ preventScroll: true });
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
        // Offline: what is shown keeps its time stamp, until it is too old.
      }
      expire();
    }
    setTimeout(refresh, EVERY_MS);
  }

  setTimeout(refresh, EVERY_MS);
})();
