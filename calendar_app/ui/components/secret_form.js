// Posts a form to the HTTP API and shows the secret that is answered: it goes from there to the eye, and never becomes
// part of a page's state, which is kept on the server.
import { Button, Callout, Code, Flex } from "@radix-ui/themes";
import { createElement as h, useState } from "react";

const SORRY = "That did not work: check your connection, then try again.";

// What `path` answers to `body`, and whether that is a success; `headers` beside the content type.
async function post(path, body, headers) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: body && JSON.stringify(body),
  });
  return { ok: answer.ok, found: await answer.json() };
}

// A form that `make` sends, given its fields; it answers `{ secret }` or `{ error }`. `kind` is what people call the
// secret, `id` that of the element that shows it.
function Form({ make, kind, id, onMade, children }) {
  const [{ secret, error }, show] = useState({});
  async function submit(event) {
    event.preventDefault();
    const form = event.currentTarget;
    show({});
    const made = await make(new FormData(form)).catch(() => ({ error: SORRY }));
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
    secret && message("green", `Copy the ${kind} now: it is not shown again.`, "status"),
    secret &&
      h(
        Flex,
        { align: "center", gap: "3", wrap: "wrap" },
        h(Code, { size: "3", id, className: `wrap-anywhere fresh-${kind}` }, secret),
        h(Button, { type: "button", variant: "soft", onClick: () => show({}) }, "I have copied it"),
      ),
    error && message("red", error, "alert"),
    children,
  );
}

export function SecretForm({ path, workspace, onMade, children }) {
  const make = async (fields) => {
    const body = { url: fields.get("url"), description: fields.get("description"), events: fields.getAll("events") };
    const { ok, found } = await post(path, fields.has("url") ? body : undefined, { "X-Workspace": workspace });
    return ok ? { secret: found.secret } : { error: found.errors?.[0]?.detail || found.detail || SORRY };
  };
  return h(Form, { make, kind: "secret", onMade }, children);
}

export function TokenForm({ onMade, children }) {
  const make = async (fields) => {
    const days = fields.get("days");
    const { ok, found } = await post("/api/v1/tokens", {
      name: fields.get("token_name"),
      scopes: [fields.get("scope")],
      days: days ? Number(days) : null,
    });
    return ok ? { secret: found.access_token } : { error: found.detail || SORRY };
  };
  return h(Form, { make, kind: "token", id: "fresh-token", onMade }, children);
}
