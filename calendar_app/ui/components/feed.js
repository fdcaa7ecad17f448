// The person's private calendar feed, in the browser itself: its address is a secret, which goes from the HTTP API to
// the eye and never becomes part of a page's state, which is kept on the server.
import { AlertDialog, Button, Callout, Code, Flex, Text } from "@radix-ui/themes";
import { createElement as h, useEffect, useState } from "react";

const PATH = "/api/v1/feeds";
const SORRY = "That did not work: check your connection, then try again.";

async function call(method, workspace) {
  const answer = await fetch(`${PATH}?workspace=${encodeURIComponent(workspace)}`, { method });
  const body = answer.status === 204 ? { feed: null } : await answer.json();
  return answer.ok ? { feed: body.feed, loaded: true } : { error: body.detail || SORRY };
}

function Asking({ trigger, title, text, action, onConfirm }) {
  return h(
    AlertDialog.Root,
    null,
    h(AlertDialog.Trigger, null, trigger),
    h(
      AlertDialog.Content,
      { maxWidth: "28rem" },
      h(AlertDialog.Title, null, title),
      h(AlertDialog.Description, { size: "2" }, text),
      h(
        Flex,
        { gap: "3", mt: "4", justify: "end" },
        h(AlertDialog.Cancel, null, h(Button, { variant: "soft", color: "gray" }, "Keep")),
        h(AlertDialog.Action, null, h(Button, { color: "red", highContrast: true, onClick: onConfirm }, action)),
      ),
    ),
  );
}

export function Feed({ workspace }) {
  const [{ feed, loaded, error, copied, shown }, show] = useState({});
  const put = (change) => show((before) => ({ ...before, error: "", copied: false, ...change }));
  const act = (method, change) =>
    call(method, workspace)
      .catch(() => ({ error: SORRY }))
      .then((answer) => put({ ...answer, ...change }));
  useEffect(() => {
    if (workspace) act("GET");
  }, [workspace]);
  const copy = () =>
    navigator.clipboard.writeText(feed.url).then(
      () => put({ copied: true }),
      () => put({ shown: true }),
    );
  const message = error && h(Callout.Root, { color: "red", role: "alert", size: "1", highContrast: true }, h(Callout.Text, null, error));
  if (!loaded) return message || h(Text, { size: "2", color: "gray", role: "status" }, "Loading");
  if (!feed)
    return h(
      Flex,
      { direction: "column", gap: "3", align: "start" },
      message,
      h(Button, { onClick: () => act("POST", { shown: true }) }, "Make a private address"),
    );
  const soft = (text, props) => h(Button, { variant: "soft", ...props }, text);
  return h(
    Flex,
    { direction: "column", gap: "3", align: "start" },
    message,
    shown && h(Code, { size: "2", id: "feed-address", className: "wrap-anywhere" }, feed.url),
    h(
      Flex,
      { gap: "3", wrap: "wrap", align: "center" },
      h(Button, { asChild: true }, h("a", { href: feed.webcal_url }, "Open in a calendar program")),
      soft("Copy the address", { onClick: copy }),
      soft(shown ? "Hide the address" : "Show the address", { onClick: () => put({ shown: !shown }) }),
      h(Asking, {
        trigger: soft("Change the address", { color: "gray" }),
        title: "Change the address?",
        text: "Programs that follow the present address stop getting your bookings until you give them the new one.",
        action: "Change it",
        onConfirm: () => act("POST", { shown: true }),
      }),
      h(Asking, {
        trigger: soft("Switch off", { color: "red" }),
        title: "Switch the feed off?",
        text: "Programs that follow the address stop getting your bookings.",
        action: "Switch off",
        onConfirm: () => act("DELETE", { shown: false }),
      }),
    ),
    h(
      Text,
      { size: "1", color: "gray", role: "status" },
      copied
        ? "The address is copied."
        : feed.last_read_at
          ? `Last fetched ${new Date(feed.last_read_at).toLocaleString()}.`
          : "No program has fetched it yet.",
    ),
  );
}
