/** Elements without a framework; text is always text. */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [props] properties; `on…` are listeners, names with a dash are attributes
 * @param {...(Node | string | null | undefined)} children
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, String(value));
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, unknown>} props */
export function svg(tag, props = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/** Say something that goes away by itself. @param {string} text @param {{bad?: boolean, act?: [string, () => void]}} [how] */
export function note(text, how = {}) {
  const shown = el("div", { className: how.bad ? "note bad" : "note" }, el("span", {}, text));
  if (how.act) {
    const [name, act] = how.act;
    shown.append(el("button", { onclick: () => { shown.remove(); act(); } }, name));
  }
  byId("notes").append(shown);
  setTimeout(() => shown.remove(), how.bad ? 9000 : 6000);
}

/** Do something that may be refused; the reason is shown, and nothing typed is lost. */
export async function tried(act) {
  try {
    return await act();
  } catch (error) {
    note(error.message || String(error), { bad: true });
    return undefined;
  }
}
