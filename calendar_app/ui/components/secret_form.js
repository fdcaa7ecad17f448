// Posts its form to the HTTP API and shows the secret that is answered: it goes from there to the eye, and never becomes
// part of a page's state, which is kept on the server.
import { Button, Callout, Code, Flex } from "@radix-ui/themes";
import { createElement as h, useState } from "react";

const SORRY = "That did not work: check your connection, then try again.";

async function post(path, workspace, form) {
  const fields = new FormData(form);
  const body = { url: fields.get("url"), description: fields.get("description"), events: fields.getAll("events") };
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Workspace": workspace },
    body: fields.has("url") ? JSON.stringify(body) : undefined,
  });
  const found = await answer.json();
  return answer.ok ? { secret: found.secret } : { error: found.errors?.[0]?.detail || found.detail || SORRY };
}

export function SecretForm({ path, workspace, onMade, children }) {
  const [{ secret, error }, show] = useState({});
  async function submit(event) {
    event.preventDefault();
    const form = event.currentTarget;
    show({});
    const made = await post(path, workspace, form).catch(() => ({ error: SORRY }));
    show(made);
    if (made.secret) {
      form.reset();
      onMade?.();
    }
  }
  const message = (color, text, role) =>
    h(Callout.Root, { color, role, size: "1", highContrast: true }, h(Callout.Text, null, text));
  return h(
    "form",
    { onSubmit: submit, className: "stack" },
    secret && message("green", "Copy the secret now: it is not shown again.", "status"),
    secret &&
      h(
        Flex,
        { align: "center", gap: "3", wrap: "wrap" },
        h(Code, { size: "3", className: "wrap-anywhere fresh-secret" }, secret),
        h(Button, { type: "button", variant: "soft", onClick: () => show({}) }, "I have copied it"),
      ),
    error && message("red", error, "alert"),
    children,
  );
}
