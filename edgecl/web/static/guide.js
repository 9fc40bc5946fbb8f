/** The first steps, for who has taught nothing yet: two things, and then a look at what it makes of them. */

import { byId, el } from "./dom.js";
import * as words from "./words.js";

const BEFORE_A_CAMERA = {
  first: "Hold something before the camera, name it below, and hold the button for three seconds while you turn it.",
  second: (known) => `Now something else than ${known}, with a name of its own.`,
  third: "Show it either: it knows. Show it anything else: unknown.",
};
const BEFORE_PHOTOGRAPHS = {
  first: "These are sample photographs, one after the other. Name what you see below, and hold the button for three seconds while it shows.",
  second: (known) => `Wait for another photograph than ${known}, and give it a name of its own.`,
  third: "Now watch: it knows either, and calls anything else unknown.",
};

export class Guide {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.node = byId("guide");
    this.labels = [];
    /** @type {Set<string>} what it was seen to know since two things were taught */
    this.known = new Set();
    this.over = false;
    this.begun = false;
  }

  /** @param {object} state */
  state(state) {
    this.labels = state.classes.map((one) => one.label);
    this.known = new Set([...this.known].filter((label) => this.labels.includes(label))); // renamed is not known twice
    if (!this.begun) this.over = this.labels.length >= 2; // whoever taught them needs no first steps
    this.begun = true;
    this.draw();
  }

  /** @param {object} live the newest frame */
  live(live) {
    const label = live.prediction?.label ?? null;
    if (this.over || this.labels.length < 2 || label === null || live.hold !== null || live.camera !== this.page.view.camera) return;
    this.known.add(label);
    if (this.known.size < 2) return;
    this.over = true;
    this.draw();
  }

  leave() {
    this.over = true;
    this.draw();
    byId("new-name").focus();
  }

  draw() {
    if (!this.begun) return;
    const done = Math.min(this.labels.length, 2);
    const said = this.page.view.entry?.url.startsWith("sample:") ? BEFORE_PHOTOGRAPHS : BEFORE_A_CAMERA;
    const key = JSON.stringify([this.over, done, this.labels[0], said.first]);
    if (key === this.shown) return;
    this.shown = key;
    this.node.hidden = this.over;
    document.body.classList.toggle("guided", !this.over);
    document.body.classList.toggle("untaught", done === 0);
    const known = this.labels.length ? words.named(this.labels[0]) : "the first";
    const steps = [done ? `It knows ${known}.` : said.first, said.second(known), said.third];
    const item = (text, place) => el("li", place === done ? { className: "now", "aria-current": "step" } : {},
      el("b", { "aria-hidden": "true" }, place < done ? "✓" : String(place + 1)),
      el("span", {}, el("span", { className: "for-readers" }, `Step ${place + 1} of ${steps.length}${place < done ? ", done" : ""}: `), text));
    this.node.replaceChildren(el("h2", {}, "Two things in a minute"),
      el("button", { className: "plain", "aria-label": "Dismiss the first steps", onclick: () => this.leave() }, "✕"),
      el("ol", {}, ...steps.map(item)));
  }
}
