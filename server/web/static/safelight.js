// A chosen role takes effect at once; without scripts the button beside it does the same.
for (const field of document.querySelectorAll("[data-submit]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}

// The secret of a share is taken out of the address and the history at once, and kept nowhere but in this page.
const accept = document.querySelector("[data-accept]");
if (accept) {
  const link = location.hash.slice(1);
  const told = document.querySelector("[data-told]");
  history.replaceState(null, "", location.pathname);
  accept.disabled = !link;
  if (!link) told.textContent = "This address is no link of a share.";
  accept.addEventListener("click", async () => {
    const headers = { "Content-Type": "application/json", "Safelight-Role": "recipient" };
    const body = JSON.stringify({ link });
    const answer = await fetch("/accepted-shares", { method: "POST", headers, body, credentials: "same-origin" });
    if (answer.ok) location.replace("/?safelight-role=recipient");
    else if (answer.status === 401) told.textContent = "Sign in first, then come back to this tab.";
    else if (answer.status === 403) told.textContent = (await answer.json()).error;
    else told.textContent = "This link opens nothing: it was used, has ended, or is for somebody else.";
  });
}
