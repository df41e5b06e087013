// Keeps the part of a page that changes fresh. Without this file the page reloads itself instead.
"use strict";

(() => {
  const region = document.querySelector("[data-refresh-seconds]");
  if (!region) return;
  const seconds = Number(region.dataset.refreshSeconds);
  const stale = document.getElementById("stale");
  const announcement = document.getElementById("announcement");
  let freshAt = new Date();
  let said = region.firstElementChild.dataset.summary;

  const refresh = () => {
    // A hidden tab costs the server nothing, and what somebody is marking must not go away.
    const isMarking = document.getSelection()?.type === "Range";
    if (!document.hidden && !isMarking) htmx.trigger(region, "refresh");
  };

  region.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) {
      freshAt = new Date();
      stale.hidden = true;
      return;
    }
    const since = freshAt.toLocaleTimeString();
    const words = `Not refreshed since ${since}: the server does not answer. Still trying.`;
    if (stale.textContent !== words) stale.textContent = words;
    stale.hidden = false;
  });

  // A table that somebody opened stays open.
  let opened = [];
  region.addEventListener("htmx:beforeSwap", () => {
    opened = [...region.querySelectorAll("details[id][open]")].map((each) => each.id);
  });

  region.addEventListener("htmx:afterSwap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    // Said once when it changes, not every few seconds.
    const summary = region.firstElementChild?.dataset.summary;
    if (summary && summary !== said) announcement.textContent = said = summary;
  });

  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, seconds * 1000);
})();
