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

  // Where the page names its parts (`data-part`, each with an id), only those that differ are put in
  // place: what somebody reads, marks or has opened elsewhere is not touched. Compared is what the
  // server wrote, for charts and open tables change the page itself.
  const read = (root) => {
    const parts = new Map();
    for (const part of root.querySelectorAll("[data-part]")) parts.set(part.id, part.outerHTML);
    const rest = root.cloneNode(true);
    for (const part of rest.querySelectorAll("[data-part]")) part.replaceWith(part.id);
    for (const each of rest.querySelectorAll("[data-summary]")) delete each.dataset.summary;
    return { parts, rest: rest.innerHTML.trim() };
  };
  let written = read(region);

  const putInPlace = (answer) => {
    const before = written;
    written = read(answer);
    if (!written.parts.size || written.rest !== before.rest) return false;
    const focused = document.activeElement?.id;
    for (const [id, html] of written.parts) {
      if (before.parts.get(id) === html) continue;
      const old = document.getElementById(id);
      const isOpen = [...old.querySelectorAll("details[id][open]")].map((each) => each.id);
      old.replaceWith(document.adoptNode(answer.querySelector(`#${CSS.escape(id)}`)));
      for (const each of isOpen) document.getElementById(each)?.setAttribute("open", "");
    }
    if (focused && document.activeElement?.id !== focused) {
      document.getElementById(focused)?.focus({ preventScroll: true });
    }
    return true;
  };

  // A table that somebody opened stays open.
  let opened = [];
  region.addEventListener("htmx:beforeSwap", (event) => {
    opened = [...region.querySelectorAll("details[id][open]")].map((each) => each.id);
    if (!event.detail.shouldSwap) return;
    const answer = document.createElement("template");
    answer.innerHTML = `<div>${event.detail.serverResponse}</div>`;
    const root = answer.content.firstElementChild;
    if (!putInPlace(root)) return;
    event.detail.shouldSwap = false;
    finish(root.querySelector("[data-summary]"));
  });

  region.addEventListener("htmx:afterSwap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    finish(region.firstElementChild);
  });

  const finish = (top) => {
    region.dispatchEvent(new CustomEvent("live:fresh", { bubbles: true }));
    // Said once when it changes, not every few seconds.
    const summary = top?.dataset.summary;
    if (summary && summary !== said) announcement.textContent = said = summary;
  };

  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, seconds * 1000);
})();
