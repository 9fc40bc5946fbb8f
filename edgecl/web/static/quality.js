/** How good the memory is: advice, what is mixed up with what, what looks mislabelled, and a map of all of it. */

import { drop, get, picture, post } from "./api.js";
import { choose, show } from "./dialog.js";
import { byId, el, note, redraw, tried } from "./dom.js";
import { map } from "./map.js";
import * as words from "./words.js";

export class Quality {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @param {object} state */
  state(state) {
    if (state.learning) return;
    const key = `${state.revision}/${state.release}`;
    if (key !== this.shown && !byId("panel-quality").hidden) this.open();
    this.shown = key;
  }

  async open() {
    const panel = byId("panel-quality");
    if (!panel.childElementCount) panel.replaceChildren(el("p", { className: "small", role: "status" }, "Looking at all that was taught…"));
    const told = await tried(() => get("/quality"));
    if (!told) return;
    if (!told.classes.length) {
      redraw(panel, el("p", {}, "Teach two things first; then this shows how well they are told apart."));
      return;
    }
    redraw(panel,
      el("h2", {}, "How well each class is known"), classes(told.classes),
      el("h2", {}, "Mixed up"), confusion(told.confusion),
      el("h2", {}, "Likely mislabelled"), this.suspects(told.suspects),
      el("h2", {}, "Map of the memory"), ...map(told.map, (point) => this.example(point)),
    );
  }

  suspects(suspects) {
    if (!suspects.length) return el("p", { className: "small" }, "None.");
    return el("div", { className: "grid" }, ...suspects.map((one) => el("figure", {},
      el("img", { src: picture(`/examples/${one.example}.jpg`), alt: `an example of ${one.label}`, loading: "lazy" }),
      el("figcaption", { className: "small" }, `taught as ${words.named(one.label)}, looks like ${words.named(one.answered)} (${words.percent(one.probability)})`),
      el("div", { className: "row" }, el("button", { onclick: () => this.correct(one.example, one.answered) }, `It is ${words.named(one.answered)}`),
        el("button", { className: "plain", onclick: () => this.drop(one.example) }, "Delete")))));
  }

  example(one) {
    const image = el("img", { className: "big", src: picture(`/examples/${one.example}.jpg`), alt: `an example of ${one.label}` });
    const others = this.page.labels.filter((label) => label !== one.label);
    show(`Example of ${one.label}`, [image], [
      ["It is something else…", () => { choose("What is it?", others, (label) => this.correct(one.example, label), [image]); return undefined; }],
      ["Delete", () => this.drop(one.example), "bad"],
    ]);
  }

  correct(example, label) {
    return this.change(() => post(`/examples/${example}/correct`, { label }));
  }

  drop(example) {
    return this.change(() => drop(`/examples/${example}`));
  }

  async change(act) {
    const done = await tried(act);
    if (done) note(words.lesson(done), { act: ["Undo", () => this.page.undo(done.lesson)] });
    return done;
  }
}

function classes(told) {
  const rows = told.map((one) => el("tr", {}, el("th", { scope: "row" }, one.label, el("p", { className: "small" }, one.advice ?? "good")),
    el("td", { className: "n" }, String(one.examples)), el("td", { className: "n" }, words.percent(one.accuracy))));
  return table("Accuracy is measured on views that were left out of learning.", ["class, and what would help it", "examples", "accuracy"], rows, [1, 2]);
}

function confusion({ labels, counts }) {
  const rows = counts.map((row, at) => el("tr", {}, el("th", { scope: "row" }, labels[at]),
    ...row.map((count, to) => el("td", { className: `n ${at === to ? "hit" : count ? "miss" : ""}` }, String(count)))));
  return table("Each line is what it is, each column what it was answered.", ["is ↓  answered →", ...labels], rows, labels.map((_, place) => place + 1));
}

function table(caption, titles, rows, numbers) {
  const head = el("tr", {}, ...titles.map((title, place) => el("th", { scope: "col", className: numbers.includes(place) ? "n" : "" }, title)));
  return el("div", {}, el("p", { className: "small" }, caption),
    el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
      el("table", { "aria-label": caption }, el("thead", {}, head), el("tbody", {}, ...rows))));
}
