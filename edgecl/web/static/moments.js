/** The last moments of a camera: corrected, denied, explained. */

import { get, part, picture, post } from "./api.js";
import { choose } from "./dialog.js";
import { byId, el, note, tried } from "./dom.js";
import * as words from "./words.js";

const EVERY_MS = 2000;

export class Moments {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.items = new Map();
    setInterval(() => this.fetch(), EVERY_MS);
  }

  get base() {
    return `/cameras/${part(this.page.view.camera)}`;
  }

  /** Another camera is looked through: its moments are others. */
  clear() {
    this.items.clear();
    byId("moments").replaceChildren();
    byId("why").hidden = true;
    this.fetch();
  }

  async fetch() {
    const base = this.base;
    if (document.hidden || this.page.view.camera === null) return;
    const moments = await get(`${base}/moments`).catch(() => null);
    if (moments === null || base !== this.base) return;
    const items = new Map(moments.map((one) => [one.moment, this.items.get(one.moment) ?? this.item(one)]));
    const same = items.size === this.items.size && [...items.keys()].every((number) => this.items.has(number));
    this.items = items;
    const strip = byId("moments");
    if (same || strip.matches(":focus-within")) return; // nothing moves under who is at it
    strip.replaceChildren(...items.values());
  }

  item(one) {
    const label = one.label ?? "unknown";
    return el("li", {}, el("button", { onclick: () => this.ask(one), "aria-label": `${label}, ${words.clock(one.taken_at)}: correct` },
      el("img", { src: picture(`${this.base}/moments/${one.moment}.jpg`), alt: "", width: 84, height: 63 }),
      el("span", { className: one.label === null ? "unknown" : "", "aria-hidden": "true" }, label)));
  }

  /** What was it really? */
  ask(one) {
    const base = this.base;
    const image = el("img", { className: "big", src: picture(`${base}/moments/${one.moment}.jpg`), alt: "the picture in question" });
    const above = [image];
    if (one.label !== null) above.push(el("button", { onclick: () => { byId("dialog").close(); this.denyMoment(one); } }, `Not ${words.named(one.label)}`));
    choose("What is it?", this.page.labels, async (label) => {
      const report = await post(`${base}/moments/${one.moment}`, { label });
      this.page.teaching.report(report, byId("told"));
      return report;
    }, above);
  }

  async denyMoment(one) {
    const done = await tried(() => post(`${this.base}/moments/${one.moment}/not`, { label: one.label }));
    if (done) note(`Noted: that is not ${words.named(one.label)}.`, { act: ["Undo", () => this.page.undo(done.lesson)] });
  }

  /** The last moment that was answered as the page shows it now. */
  async shown() {
    const label = this.page.view.newest?.prediction?.label ?? null;
    const moments = await tried(() => get(`${this.base}/moments`));
    const one = moments?.find((moment) => moment.label === label);
    if (moments && !one) note("It was not seen clearly in the last seconds; hold it still, and try again.", { bad: true });
    return one;
  }

  async deny() {
    if ((this.page.view.newest?.prediction?.label ?? null) === null) { note("It is unknown already."); return; }
    const one = await this.shown();
    if (one) await this.denyMoment(one);
  }

  async correct() {
    const one = await this.shown();
    if (one) this.ask(one);
  }

  async explain(button) {
    const why = byId("why");
    const close = !why.hidden;
    why.hidden = true;
    button.setAttribute("aria-expanded", "false");
    const found = close ? undefined : await tried(() => get(`${this.base}/why`));
    if (!found) return;
    const nearest = found.nearest.map((one) => el("li", {}, el("figure", {},
      el("img", { src: picture(`/examples/${one.example}.jpg`), alt: one.label }),
      el("figcaption", { className: "small" }, `${words.named(one.label)} ${one.similarity.toFixed(2)}`))));
    why.replaceChildren(el("div", { className: "sheet" }, el("p", {}, words.reason(found)),
      el("p", { className: "small" }, "The most alike of what was taught:"), el("ul", { className: "strip", tabIndex: 0, "aria-label": "The most alike of what was taught" }, ...nearest)));
    why.hidden = false;
    button.setAttribute("aria-expanded", "true");
  }
}
