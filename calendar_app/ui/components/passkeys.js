// Second factors in the browser itself: a key, a code or a passkey goes from the HTTP API to the eye or the authenticator
// and never becomes part of a page's state, which is kept on the server.
import { Button, Callout, Code, Dialog, Flex, Text, TextField } from "@radix-ui/themes";
import { createElement as h, useEffect, useState } from "react";

const SORRY = "That did not work: check your connection, then try again.";
const CANCELLED = "No passkey was used. Try again, or sign in in another way.";

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  const text = await answer.text();
  const found = text ? JSON.parse(text) : {};
  if (!answer.ok) throw new Error(found.detail || SORRY);
  return found;
}

function has_passkeys() {
  return Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON && navigator.credentials);
}

function say(error) {
  return error?.name === "NotAllowedError" || error?.name === "AbortError" ? CANCELLED : error?.message || SORRY;
}

const message = (color, text, role) =>
  text && h(Callout.Root, { color, role, size: "1", highContrast: true }, h(Callout.Text, null, text));

const field = (label, name, more) =>
  h(
    "label",
    { className: "stack" },
    h(Text, { size: "2", weight: "medium" }, label),
    h(TextField.Root, { name, size: "3", required: true, ...more }),
  );

export function PasskeyButton({ nextPath, label }) {
  const [able, setAble] = useState(false);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => setAble(has_passkeys()), []);
  async function use() {
    setBusy(true);
    setError("");
    try {
      const options = PublicKeyCredential.parseRequestOptionsFromJSON(await post("/auth/passkey/options"));
      const credential = await navigator.credentials.get({ publicKey: options });
      const { next } = await post("/auth/passkey", { credential: credential.toJSON(), next: nextPath });
      window.location.assign(next);
    } catch (problem) {
      setError(say(problem));
      setBusy(false);
    }
  }
  if (!able) return null;
  return h(
    Flex,
    { direction: "column", gap: "3" },
    message("red", error, "alert"),
    h(
      Button,
      { type: "button", size: "3", variant: "soft", highContrast: true, disabled: busy, onClick: use },
      label,
    ),
  );
}

function RecoveryCodes({ codes, onDone }) {
  return h(
    Flex,
    { direction: "column", gap: "3" },
    message(
      "green",
      "Keep these recovery codes where you find them without your phone: each lets you in once. They are not shown again.",
      "status",
    ),
    h(
      "ul",
      { className: "plain codes", id: "recovery-codes" },
      codes.map((code) => h("li", { key: code }, h(Code, { size: "3" }, code))),
    ),
    h(
      Flex,
      { gap: "3", wrap: "wrap" },
      h(
        Button,
        { type: "button", variant: "soft", onClick: () => navigator.clipboard?.writeText(codes.join("\n")) },
        "Copy",
      ),
      h(Button, { type: "button", onClick: onDone }, "I have kept them"),
    ),
  );
}

function NewApp({ made, error, onCode, busy }) {
  return h(
    "form",
    {
      className: "stack",
      onSubmit: (event) => {
        event.preventDefault();
        onCode(new FormData(event.currentTarget).get("code"));
      },
    },
    h(Text, { size: "2" }, "Scan this with your authenticator app, or type the key into it. Then enter the code it shows."),
    h("img", { src: made.picture, alt: "QR code of the key", width: 200, height: 200 }),
    h(Code, { size: "3", id: "totp-key", className: "wrap-anywhere" }, made.key),
    message("red", error, "alert"),
    field("Code", "code", { inputMode: "numeric", autoComplete: "one-time-code", maxLength: 10 }),
    h(Button, { type: "submit", disabled: busy }, "Confirm"),
  );
}

// A dialog that asks for the password and then does something; what it answers is shown until it is closed.
function Guarded({ label, title, text, action, children, run, trigger, onClosed }) {
  const [open, setOpen] = useState(false);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState(null);
  function close() {
    setOpen(false);
    setShown(null);
    setError("");
    onClosed?.();
  }
  async function attempt(work) {
    setBusy(true);
    setError("");
    try {
      const next = await work();
      if (next) setShown(() => next);
      else close();
    } catch (problem) {
      setError(say(problem));
    } finally {
      setBusy(false);
    }
  }
  function submit(event) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    attempt(() => run(form));
  }
  return h(
    Dialog.Root,
    { open, onOpenChange: (wanted) => (wanted ? setOpen(true) : close()) },
    h(
      Dialog.Trigger,
      null,
      h(Button, { type: "button", variant: "soft", highContrast: true, "aria-label": label, ...trigger }, action),
    ),
    h(
      Dialog.Content,
      { maxWidth: "30rem" },
      h(Dialog.Title, null, title),
      h(Dialog.Description, { size: "2", mb: "4" }, text),
      shown
        ? shown({ error, busy, attempt, close })
        : h(
            "form",
            { className: "stack", onSubmit: submit },
            message("red", error, "alert"),
            children,
            field("Your password", "password", { type: "password", autoComplete: "current-password" }),
            h(
              Flex,
              { gap: "3", justify: "end" },
              h(Button, { type: "button", variant: "soft", color: "gray", onClick: close }, "Cancel"),
              h(Button, { type: "submit", disabled: busy }, "Continue"),
            ),
          ),
    ),
  );
}

const codes_view = (codes) => (codes?.length ? ({ close }) => h(RecoveryCodes, { codes, onDone: close }) : null);

export function SecondFactorForms({ hasFactors, onChanged }) {
  const [able, setAble] = useState(false);
  useEffect(() => setAble(has_passkeys()), []);
  async function add_app(form) {
    const made = await post("/auth/second-factors/app", {
      password: form.get("password"),
      name: form.get("name"),
    });
    return ({ error, busy, attempt }) =>
      h(NewApp, {
        made,
        error,
        busy,
        onCode: (code) =>
          attempt(async () => {
            const answer = await post(`/auth/second-factors/${made.id}/confirm`, { code });
            onChanged?.();
            return codes_view(answer.recovery_codes);
          }),
      });
  }
  async function add_passkey(form) {
    const options = await post("/auth/passkeys/options", { password: form.get("password") });
    const credential = await navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
    });
    const answer = await post("/auth/passkeys", { credential: credential.toJSON(), name: form.get("name") });
    onChanged?.();
    return codes_view(answer.recovery_codes);
  }
  async function new_codes(form) {
    const answer = await post("/auth/recovery-codes", { password: form.get("password") });
    onChanged?.();
    return codes_view(answer.recovery_codes);
  }
  const name = field("Name, so that you know it again", "name", { required: false, maxLength: 100 });
  return h(
    Flex,
    { gap: "3", wrap: "wrap" },
    h(
      Guarded,
      {
        title: "Add an authenticator app",
        text: "An app on your phone that shows a new code every half minute.",
        action: "Add an authenticator app",
        run: add_app,
      },
      name,
    ),
    able &&
      h(
        Guarded,
        {
          title: "Add a passkey",
          text: "Your device keeps it, and you unlock it with a fingerprint, your face or a PIN.",
          action: "Add a passkey",
          run: add_passkey,
        },
        name,
      ),
    hasFactors &&
      h(Guarded, {
        title: "Make new recovery codes",
        text: "The codes that you have now end.",
        action: "New recovery codes",
        trigger: { color: "gray" },
        run: new_codes,
      }),
  );
}

export function RemoveFactor({ factor, label, onChanged }) {
  return h(Guarded, {
    title: "Remove this?",
    text: "It is not asked for any more when you sign in.",
    action: "Remove",
    label: `Remove ${label}`,
    trigger: { color: "red" },
    run: async (form) => {
      await post(`/auth/second-factors/${factor}/remove`, { password: form.get("password") });
      onChanged?.();
      return null;
    },
  });
}
