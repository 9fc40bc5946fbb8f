/** What a person should look at: new things that keep coming back, and frames that nobody is sure about. */

import { drop, get, picture, post } from "./api.js";
import { choose } from "./dialog.js";
import { byId, el, note, redraw, tried } from "./dom.js";
import * as words from "./words.js";

export class Review {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.frames = [];
    this.busy = false;
    this.listenToKeys();
  }

  /** @param {object} state */
  state(state) {
    const key = JSON.stringify([state.reviews, state.newcomers, this.page.labels]);
    if (key !== this.shown && !byId("panel-review").hidden) this.open();
    this.shown = key;
  }

  async open() {
    const [newcomers, frames] = await Promise.all([tried(() => get("/newcomers")), tried(() => get("/reviews"))]);
    this.frames = frames ?? [];
    redraw(byId("panel-review"), ...this.newcomers(newcomers ?? []), el("h2", {}, "Not sure"), ...this.queue());
  }

  newcomers(groups) {
    if (!groups.length) return [];
    return [el("h2", {}, "New things?"), el("div", { className: "cards" }, ...groups.map((one) => {
      const name = el("input", { placeholder: "name it", autocomplete: "off", maxLength: 100, "aria-label": "Name of the new thing", "data-key": `newcomer-${one.newcomer}` });
      const form = el("form", { className: "teach", onsubmit: (event) => { event.preventDefault(); this.name(one, name); } },
        name, el("button", { className: "main" }, "Teach"));
      return el("article", { className: "card", "data-testid": "newcomer" }, el("img", { src: picture(`/newcomers/${one.newcomer}.jpg`), alt: "an unknown thing" }),
        el("h3", {}, "New thing?"), el("button", { className: "plain", "aria-label": "Dismiss", onclick: () => this.dismiss(one) }, "✕"),
        el("p", { className: "small" }, `${words.plural(one.views, "view")}, last ${words.moment(one.last_at)}`), form);
    }))];
  }

  async name(one, input) {
    const label = input.value.trim();
    if (!label) { note("Give it a name first."); input.focus(); return; }
    const report = await tried(() => post(`/newcomers/${one.newcomer}`, { label }));
    if (!report) return;
    note(words.learned(report, new Set(this.page.labels).add(label).size), { act: ["Undo", () => this.page.undo(report.lesson)] });
    this.open();
  }

  async dismiss(one) {
    if ((await tried(() => drop(`/newcomers/${one.newcomer}`))) !== undefined) this.open();
  }

  queue() {
    const one = this.frames[0];
    if (!one) return [el("p", { className: "small", "data-testid": "review-empty" }, "No frame waits. Frames of which it is not sure, and new things that keep coming back, come here by themselves.")];
    const buttons = this.page.labels.map((label, place) => el("button", { className: "name", "data-key": `label-${label}`, onclick: () => this.label(one, label) },
      label, " ", place < 9 ? el("kbd", { "aria-hidden": "true" }, String(place + 1)) : null));
    const guess = one.guess === null ? "nothing it knows" : `${words.named(one.guess)}, ${words.percent(one.probability)}`;
    return [
      el("p", { className: "small", role: "status" }, `${words.plural(this.frames.length, "frame")} to look at. It thought: ${guess}; ${words.moment(one.taken_at)}.`),
      el("img", { className: "big", src: picture(`/reviews/${one.review}.jpg`), alt: "the frame in question" }),
      el("div", { className: "row" }, ...buttons,
        el("button", { "data-key": "other", onclick: () => this.other(one) }, "Something else ", el("kbd", { "aria-hidden": "true" }, "n")),
        el("button", { className: "plain", "data-key": "drop", onclick: () => this.drop(one) }, "Drop ", el("kbd", { "aria-hidden": "true" }, "x"))),
    ];
  }

  /** One at a time: a key pressed twice names one frame, not two. */
  async alone(act) {
    if (this.busy) return undefined;
    this.busy = true;
    const done = await tried(act);
    if (done !== undefined) await this.open();
    this.busy = false;
    return done;
  }

  label(one, label) {
    return this.alone(async () => {
      const report = await post(`/reviews/${one.review}`, { label });
      note(`Taught ${words.named(label)}.`, { act: ["Undo", () => this.page.undo(report.lesson)] });
      return report;
    });
  }

  other(one) {
    choose("What is it?", [], (label) => this.label(one, label));
  }

  drop(one) {
    return this.alone(() => drop(`/reviews/${one.review}`));
  }

  listenToKeys() {
    document.addEventListener("keydown", (event) => {
      const one = this.frames[0];
      if (!one || byId("panel-review").hidden || byId("dialog").open || event.repeat || event.target.matches?.("input, select")) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const label = /^[1-9]$/.test(event.key) ? this.page.labels[Number(event.key) - 1] : undefined;
      if (label !== undefined) this.label(one, label);
      else if (event.key === "n") { event.preventDefault(); this.other(one); }
      else if (event.key === "x") this.drop(one);
    });
  }
}
