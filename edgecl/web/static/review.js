/** What a person should look at: new things that keep coming back, and frames that nobody is sure about. */

import { drop, get, picture, post } from "./api.js";
import { choose } from "./dialog.js";
import { byId, el, note, tried } from "./dom.js";
import * as words from "./words.js";

export class Review {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.frames = [];
    this.listenToKeys();
  }

  /** @param {object} state */
  state(state) {
    const key = `${state.reviews}/${state.newcomers}/${state.classes.length}`;
    if (key !== this.shown && !byId("panel-review").hidden) this.open();
    this.shown = key;
  }

  async open() {
    const [newcomers, frames] = await Promise.all([tried(() => get("/newcomers")), tried(() => get("/reviews"))]);
    this.frames = frames ?? [];
    const panel = byId("panel-review");
    panel.replaceChildren(el("h2", {}, "New things?"), ...this.newcomers(newcomers ?? []), el("h2", {}, "Not sure"), ...this.queue());
  }

  newcomers(groups) {
    if (!groups.length) return [el("p", { className: "small" }, "Nothing unknown keeps coming back.")];
    return [el("div", { className: "cards" }, ...groups.map((one) => {
      const name = el("input", { placeholder: "name it", maxLength: 100, "aria-label": "Name of the new thing" });
      const form = el("form", { className: "teach", onsubmit: (event) => { event.preventDefault(); this.name(one, name.value.trim()); } },
        name, el("button", { className: "main" }, "Teach"));
      return el("article", { className: "card", "data-testid": "newcomer" }, el("img", { src: picture(`/newcomers/${one.newcomer}.jpg`), alt: "an unknown thing" }),
        el("h3", {}, "New thing?"), el("button", { className: "plain", "aria-label": "Dismiss", onclick: () => this.dismiss(one) }, "✕"),
        el("p", { className: "small" }, `${words.plural(one.views, "view")}, last ${words.moment(one.last_at)}`), form);
    }))];
  }

  async name(one, label) {
    if (!label) { note("Give it a name first."); return; }
    const report = await tried(() => post(`/newcomers/${one.newcomer}`, { label }));
    if (report) { this.page.teaching.report(report); note(words.learned(report, this.page.labels.length + 1)); this.open(); }
  }

  async dismiss(one) {
    if ((await tried(() => drop(`/newcomers/${one.newcomer}`))) !== undefined) this.open();
  }

  queue() {
    const one = this.frames[0];
    if (!one) return [el("p", { className: "small", "data-testid": "review-empty" }, "No frame waits. Frames of which it is not sure come here by themselves.")];
    const labels = this.page.labels;
    const buttons = labels.map((label, place) => el("button", { onclick: () => this.label(one, label) }, label, " ", place < 9 ? el("kbd", {}, String(place + 1)) : null));
    return [
      el("p", { className: "small" }, `${words.plural(this.frames.length, "frame")} to look at. It thought: ${one.guess ?? "nothing"}, ${words.percent(one.probability)}, ${words.moment(one.taken_at)}.`),
      el("img", { className: "big", src: picture(`/reviews/${one.review}.jpg`), alt: "the frame in question" }),
      el("div", { className: "row" }, ...buttons, el("button", { onclick: () => this.other(one) }, "Something else ", el("kbd", {}, "n")),
        el("button", { className: "plain", onclick: () => this.drop(one) }, "Drop ", el("kbd", {}, "x"))),
    ];
  }

  async label(one, label) {
    const report = await tried(() => post(`/reviews/${one.review}`, { label }));
    if (report) { note(`Taught ${label}.`, { act: ["Undo", () => this.page.undo()] }); this.open(); }
    return report;
  }

  other(one) {
    choose("What is it?", [], (label) => this.label(one, label));
  }

  async drop(one) {
    if ((await tried(() => drop(`/reviews/${one.review}`))) !== undefined) this.open();
  }

  listenToKeys() {
    document.addEventListener("keydown", (event) => {
      const one = this.frames[0];
      if (!one || byId("panel-review").hidden || byId("dialog").open || event.repeat || event.target.matches?.("input, select")) return;
      if (/^[1-9]$/.test(event.key) && this.page.labels[Number(event.key) - 1]) this.label(one, this.page.labels[Number(event.key) - 1]);
      else if (event.key === "n") this.other(one);
      else if (event.key === "x") this.drop(one);
    });
  }
}
