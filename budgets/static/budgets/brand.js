// The page of a brand: forms in a dialog, "all shown", the link to copy. Without it each form is a page.
"use strict";

(() => {
  const editor = document.getElementById("editor");
  const live = document.getElementById("live");
  let opener = "";

  // A form arrived, or its next step: the dialog keeps the keyboard inside and closes with Escape.
  // Not before it has settled: a form that is sent earlier is sent as a page.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target !== editor) return;
    if (!editor.open) editor.showModal();
    (editor.querySelector("[aria-invalid]") ?? editor.querySelector("[autofocus], input:not([type=hidden])"))?.focus();
  });

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.matches("a[hx-target='#editor']")) opener = event.target.id;
  });

  // The link that opened it may have been refreshed meanwhile: it has the same id.
  editor.addEventListener("close", () => {
    editor.replaceChildren();
    document.getElementById(opener)?.focus();
  });

  // Saved.
  document.addEventListener("edited", () => {
    editor.close();
    htmx.trigger(live, "refresh");
  });

  // Said where one looks: behind an open dialog nobody sees anything.
  const say = (event) => {
    if (event.target === live) return; // Its own trouble is said by live.js.
    const words = document.createElement("p");
    words.className = "failed";
    words.setAttribute("role", "alert");
    words.textContent = "The server did not do it, or its answer got lost. Look, and try again.";
    if (editor.open) {
      editor.querySelector(".failed")?.remove();
      editor.append(words);
    } else {
      document.getElementById("told").replaceChildren(words);
    }
  };
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, say);

  // What was switched is no longer selected.
  live.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig.verb !== "post") return;
    for (const box of live.querySelectorAll("[type=checkbox]")) box.checked = false;
  });

  const showAll = () => live.querySelector("[data-all]")?.removeAttribute("hidden");
  live.addEventListener("htmx:afterSwap", showAll);
  showAll();

  live.addEventListener("change", (event) => {
    if (event.target.id !== "pick-all") return;
    for (const box of live.querySelectorAll("[name=campaign]")) box.checked = event.target.checked;
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("#editor [data-close]")) {
      event.preventDefault();
      editor.close();
    }
  });

  // Browsers allow it on https and on localhost alone.
  const copy = document.querySelector("[data-copy]");
  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(location.href);
      copy.textContent = "Link copied";
      setTimeout(() => { copy.textContent = "Copy link"; }, 2000);
    });
  }
})();
