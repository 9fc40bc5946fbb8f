/** Questions, one at a time, in the page's own dialog. */

import { byId, el, tried } from "./dom.js";

/**
 * @param {string} title
 * @param {(Node | null)[]} content
 * @param {[string, () => unknown, string?][]} acts name, what it does, class; the dialog closes unless it gives undefined;
 *   the first of class "main" is done by the Enter key, too
 */
export function show(title, content, acts = []) {
  const dialog = byId("dialog");
  const buttons = acts.map(([name, act, kind]) => el("button", {
    className: kind ?? "",
    onclick: async (event) => {
      const button = event.currentTarget;
      button.disabled = true;
      const done = await tried(act);
      button.disabled = false;
      if (done !== undefined) dialog.close();
    },
  }, name));
  const main = buttons[acts.findIndex(([, , kind]) => kind === "main")];
  const enter = (event) => { if (main && event.key === "Enter" && event.target.matches("input")) { event.preventDefault(); main.click(); } };
  dialog.replaceChildren(
    el("h2", { id: "dialog-title" }, title),
    el("div", { onkeydown: enter }, ...content.filter(Boolean)),
    el("div", { className: "row" }, ...buttons, el("button", { className: "plain", onclick: () => dialog.close() }, acts.length ? "Cancel" : "Close")),
  );
  if (!dialog.open) dialog.showModal();
  return dialog;
}

/**
 * Ask which class something is, a known one or a new one.
 * @param {string} title @param {string[]} labels @param {(label: string) => unknown} act @param {Node[]} [above]
 */
export function choose(title, labels, act, above = []) {
  const input = el("input", { autocomplete: "off", maxLength: 100, placeholder: "a new name", "aria-label": "Name" });
  const done = async (label) => {
    if (label.trim() && (await tried(() => act(label.trim()))) !== undefined) byId("dialog").close();
  };
  const known = labels.map((label) => el("button", { className: "name", onclick: () => done(label) }, label));
  const form = el("form", { className: "add", onsubmit: (event) => { event.preventDefault(); done(input.value); } },
    input, el("button", { className: "main" }, "This"));
  show(title, [...above, el("div", { className: "row" }, ...known), form]);
  if (!known.length) input.focus();
}
