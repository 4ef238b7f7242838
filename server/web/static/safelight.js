// A chosen role takes effect at once; without scripts the button beside it does the same.
for (const field of document.querySelectorAll("[data-submit]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
