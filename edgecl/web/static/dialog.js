/** Questions, one at a time, in the page's own dialog. */

import { byId, el, tried } from "./dom.js";

/**
 * @param {string} title
 * @param {Node[]} content
 * @param {[string, () => unknown, string?][]} acts name, what it does, class; the dialog closes when that succeeds
 */
export function show(title, content, acts = []) {
  const dialog = byId("dialog");
  const buttons = acts.map(([name, act, kind]) => el("button", {
    className: kind ?? "",
    onclick: async () => { if ((await tried(act)) !== undefined) dialog.close(); },
  }, name));
  dialog.replaceChildren(
    el("h2", { id: "dialog-title" }, title),
    ...content,
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
  const input = el("input", { id: "choice", autocomplete: "off", maxLength: 100, placeholder: "a new name", "aria-label": "Name" });
  const done = async (label) => {
    if (label.trim() && (await tried(() => act(label.trim()))) !== undefined) byId("dialog").close();
  };
  const known = labels.map((label) => el("button", { onclick: () => done(label) }, label));
  const form = el("form", { className: "add", onsubmit: (event) => { event.preventDefault(); done(input.value); } },
    input, el("button", { className: "main" }, "This"));
  show(title, [...above, el("div", { className: "row" }, ...known), form]);
  input.focus();
}
