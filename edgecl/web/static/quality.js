/** How good the memory is: advice, what is mixed up with what, what looks mislabelled, and a map of all of it. */

import { drop, get, picture, post } from "./api.js";
import { choose, show } from "./dialog.js";
import { byId, el, note, svg, tried } from "./dom.js";
import * as words from "./words.js";

const colour = (place) => `hsl(${(place * 137.5) % 360} 62% 48%)`;

export class Quality {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @param {object} state */
  state(state) {
    if (state.revision !== this.revision && !state.learning && !byId("panel-quality").hidden) this.open();
    this.revision = state.revision;
  }

  async open() {
    const panel = byId("panel-quality");
    const told = await tried(() => get("/quality"));
    if (!told) return;
    if (!told.classes.length) {
      panel.replaceChildren(el("p", {}, "Teach two things first; then this shows how well they are told apart."));
      return;
    }
    panel.replaceChildren(
      el("h2", {}, "How well each class is known"), this.classes(told.classes),
      el("h2", {}, "Mixed up"), this.confusion(told.confusion),
      el("h2", {}, "Likely mislabelled"), this.suspects(told.suspects),
      el("h2", {}, "Map of the memory"), ...this.map(told.map),
    );
  }

  classes(classes) {
    const rows = classes.map((one) => el("tr", {}, el("th", { scope: "row" }, one.label), el("td", { className: "n" }, String(one.examples)),
      el("td", { className: "n" }, words.percent(one.accuracy)), el("td", {}, one.advice ?? "good")));
    return table(["class", "examples", "left-out views", "what would help"], rows, [1, 2]);
  }

  confusion({ labels, counts }) {
    const rows = counts.map((row, at) => el("tr", {}, el("th", { scope: "row" }, labels[at]),
      ...row.map((count, to) => el("td", { className: `n ${at === to ? "hit" : count ? "miss" : ""}` }, count ? String(count) : "·"))));
    return table(["is ↓  answered →", ...labels], rows, labels.map((_, place) => place + 1));
  }

  suspects(suspects) {
    if (!suspects.length) return el("p", { className: "small" }, "None.");
    return el("div", { className: "grid" }, ...suspects.map((one) => el("figure", {},
      el("img", { src: picture(`/examples/${one.example}.jpg`), alt: `an example of ${one.label}`, loading: "lazy" }),
      el("figcaption", { className: "small" }, `taught as ${one.label}, looks like ${one.answered} (${words.percent(one.probability)})`),
      el("div", { className: "row" }, el("button", { onclick: () => this.correct(one.example, one.answered) }, `It is ${one.answered}`),
        el("button", { className: "plain", onclick: () => this.drop(one.example) }, "Delete")))));
  }

  map(points) {
    const labels = [...new Set(points.map((one) => one.label))];
    const drawn = points.map((one) => svg("circle", {
      cx: 2 + 96 * one.x, cy: 2 + 56 * one.y, r: 1.1, fill: colour(labels.indexOf(one.label)), tabindex: "0", role: "button",
      "aria-label": `example ${one.example} of ${one.label}`, onclick: () => this.example(one),
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.example(one); } },
    }));
    const legend = labels.map((label, place) => {
      const dot = el("i");
      dot.style.background = colour(place);
      return el("span", {}, dot, label);
    });
    return [el("div", { className: "legend" }, ...legend),
      svg("svg", { class: "map", viewBox: "0 0 100 60", role: "group", "aria-label": "Every example; alike ones lie close together", "data-testid": "map" }, ...drawn)];
  }

  example(one) {
    const image = el("img", { className: "big", src: picture(`/examples/${one.example}.jpg`), alt: `an example of ${one.label}` });
    show(`Example of ${one.label}`, [image], [
      ["It is something else…", () => { choose("What is it?", this.page.labels.filter((label) => label !== one.label), (label) => this.correct(one.example, label)); return undefined; }],
      ["Delete", () => this.drop(one.example), "bad"],
    ]);
  }

  async correct(example, label) {
    const done = await tried(() => post(`/examples/${example}/correct`, { label }));
    if (done) note(words.lesson(done), { act: ["Undo", () => this.page.undo()] });
    return done;
  }

  async drop(example) {
    const done = await tried(() => drop(`/examples/${example}`));
    if (done) note(words.lesson(done), { act: ["Undo", () => this.page.undo()] });
    return done;
  }
}

function table(titles, rows, numbers) {
  const head = el("tr", {}, ...titles.map((title, place) => el("th", { scope: "col", className: numbers.includes(place) ? "n" : "" }, title)));
  return el("div", { className: "scroll", tabindex: "0", role: "region", "aria-label": titles[0] }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}
