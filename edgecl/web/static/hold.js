/** Buttons that act while they are held: by mouse, by touch, by the space bar. */

import { el } from "./dom.js";

/**
 * @param {string} testid @param {string} kind class names
 * @param {{begin: (button: HTMLButtonElement) => void, end: () => void}} told
 * @returns {HTMLButtonElement}
 */
export function holdButton(testid, kind, told) {
  const button = el("button", { className: `hold ${kind}`, type: "button", "data-testid": testid, "aria-pressed": "false" }, "Hold to teach");
  button.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    event.preventDefault();
    button.focus({ preventScroll: true });
    button.setPointerCapture(event.pointerId);
    told.begin(button);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(name, () => told.end(button));
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press is no question for a menu
  const holds = (event) => event.key === " " || event.key === "Enter";
  button.addEventListener("keydown", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    if (!event.repeat) told.begin(button);
  });
  button.addEventListener("keyup", (event) => { if (holds(event)) { event.preventDefault(); told.end(button); } });
  return button;
}

/**
 * The keys 1 to 9, held.
 * @param {{may: (event: KeyboardEvent) => boolean, begin: (place: number) => void, end: () => void}} told
 */
export function holdKeys(told) {
  let held = null;
  const end = () => { if (held !== null) { held = null; told.end(); } };
  document.addEventListener("keydown", (event) => {
    const other = event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input, select, textarea");
    if (other || event.repeat || held !== null || !/^[1-9]$/.test(event.key) || !told.may(event)) return;
    held = event.code;
    told.begin(Number(event.key) - 1);
  });
  document.addEventListener("keyup", (event) => { if (event.code === held) end(); });
  window.addEventListener("blur", end);
}
