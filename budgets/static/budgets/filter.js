// Makes a form of filters short to use and its address short to share. Without this file it has a button.
"use strict";

(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  // What is not chosen need not stand in the address.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });
  for (const choice of form.querySelectorAll("select")) {
    choice.addEventListener("change", () => form.requestSubmit());
  }
})();
