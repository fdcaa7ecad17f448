// Makes an API token in the browser itself: its secret goes from the HTTP API to the eye, and never becomes part of a
// page's state, which is kept on the server.
import { Button, Callout, Code, Flex } from "@radix-ui/themes";
import { createElement as h, useState } from "react";

const SORRY = "That did not work: check your connection, then try again.";

async function make(form) {
  const fields = new FormData(form);
  const days = fields.get("days");
  const answer = await fetch("/api/v1/tokens", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      name: fields.get("token_name"),
      scopes: [fields.get("scope")],
      days: days ? Number(days) : null,
    }),
  });
  const body = await answer.json();
  return answer.ok ? { secret: body.access_token } : { error: body.detail || SORRY };
}

export function TokenForm({ onMade, children }) {
  const [{ secret, error }, show] = useState({});
  async function submit(event) {
    event.preventDefault();
    const form = event.currentTarget;
    show({});
    const made = await make(form).catch(() => ({ error: SORRY }));
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
    secret && message("green", "Copy the token now: it is not shown again.", "status"),
    secret &&
      h(
        Flex,
        { align: "center", gap: "3", wrap: "wrap" },
        h(Code, { size: "3", id: "fresh-token", className: "wrap-anywhere" }, secret),
        h(Button, { type: "button", variant: "soft", onClick: () => show({}) }, "I have copied it"),
      ),
    error && message("red", error, "alert"),
    children,
  );
}
