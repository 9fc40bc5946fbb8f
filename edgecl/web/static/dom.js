/** Elements without a framework; text is always text. */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [props] properties; `on…` are listeners, names with a dash are attributes
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
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

/** @param {string} id @returns {HTMLElement} */
export const byId = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, unknown>} props @returns {SVGElement} */
export function svg(tag, props = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/** Write only what differs, so that nothing is laid out or read out again in vain. @param {Element} node @param {string} text */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Fill a panel anew; what was typed into a field with a `data-key`, and where the keyboard was, stays.
 * @param {HTMLElement} panel @param {...(Node | string)} children
 */
export function redraw(panel, ...children) {
  const at = panel.contains(document.activeElement) ? document.activeElement : null;
  const typed = new Map([...panel.querySelectorAll("input[data-key]")].map((one) => [one.dataset.key, one.value]));
  panel.replaceChildren(...children);
  const keyed = [...panel.querySelectorAll("[data-key]")];
  for (const one of keyed) if (typed.get(one.dataset.key)) one.value = typed.get(one.dataset.key);
  if (at) (keyed.find((one) => one.dataset.key === at.dataset.key) ?? panel).focus({ preventScroll: true });
}

/** To who listens instead of looking. @param {string} text */
export const announce = (text) => write(byId("heard"), text);

/**
 * Say something that goes away by itself; a refusal is shown in the question that it answers, where one is open.
 * @param {string} text @param {{bad?: boolean, act?: [string, () => void]}} [how]
 */
export function note(text, how = {}) {
  const shown = el("div", { className: how.bad ? "note bad" : "note" }, el("span", {}, text));
  if (how.act) {
    const [name, act] = how.act;
    shown.append(el("button", { onclick: () => { shown.remove(); act(); } }, name));
  }
  const dialog = byId("dialog");
  if (how.bad && dialog.open) {
    shown.setAttribute("role", "alert");
    dialog.append(shown);
  } else byId("notes").append(shown);
  const leave = () => {
    if (shown.matches(":hover, :focus-within")) setTimeout(leave, 2000);
    else shown.remove();
  };
  setTimeout(leave, how.bad || how.act ? 9000 : 6000);
}

/**
 * Do something that may be refused; the reason is shown, and nothing typed is lost.
 * @template T @param {() => Promise<T> | T} act @returns {Promise<T | undefined>}
 */
export async function tried(act) {
  try {
    return await act();
  } catch (error) {
    note(error.message || String(error), { bad: true });
    return undefined;
  }
}
