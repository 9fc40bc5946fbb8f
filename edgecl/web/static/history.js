/** What was taught, which release runs, what consolidation has come to, and the memory as one file. */

import { get, picture, post, send } from "./api.js";
import { show } from "./dialog.js";
import { byId, el, note, tried } from "./dom.js";
import * as words from "./words.js";

const LESSONS = 40;

export class History {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @param {object} state */
  state(state) {
    const key = `${state.revision}/${state.release}/${state.swap?.stage ?? ""}`;
    if (key !== this.shown && !byId("panel-history").hidden) this.open();
    this.shown = key;
  }

  async open() {
    const [lessons, releases, consolidation] = await Promise.all(
      [`/lessons?limit=${LESSONS}`, "/releases", "/consolidation"].map((path) => tried(() => get(path))));
    byId("panel-history").replaceChildren(
      el("h2", {}, "Lessons"), this.lessons(lessons ?? []),
      el("h2", {}, "Releases"), ...this.releases(releases ?? []),
      el("h2", {}, "Consolidation"), this.consolidation(consolidation),
      el("h2", {}, "The memory as a file"), this.file(),
    );
  }

  lessons(lessons) {
    if (!lessons.length) return el("p", { className: "small" }, "Nothing was taught yet.");
    const rows = lessons.map((one) => el("tr", {}, el("td", {}, words.moment(one.taken_at)), el("td", {}, words.lesson(one) + (one.undone_at === null ? "" : " (undone)"))));
    const undo = el("button", { "data-testid": "undo-newest", onclick: () => this.page.undo() }, "Undo the newest");
    return el("div", {}, el("div", { className: "row" }, undo), el("div", { className: "scroll", tabindex: "0", role: "region", "aria-label": "Lessons" }, el("table", {}, el("tbody", {}, ...rows))));
  }

  releases(releases) {
    const swap = this.page.state.swap;
    const going = swap ? [el("p", { role: "status" }, `Installing release ${swap.number}: ${swap.stage}, ${swap.done} of ${swap.total} examples.`)] : [];
    const cards = [...releases].reverse().map((one) => {
      const gain = one.accuracy === null ? "" : ` · held-out views ${words.percent(one.accuracy_before)} → ${words.percent(one.accuracy)}`;
      const acts = [];
      if (one.state === "candidate") acts.push(el("button", { className: "main", onclick: () => this.install(one) }, "Install"));
      if (one.active && one.previous) acts.push(el("button", { onclick: () => this.rollBack() }, `Back to release ${one.previous}`));
      if (one.report) acts.push(el("button", { className: "plain", onclick: () => this.report(one) }, "Report"));
      return el("article", { className: "sheet", "data-testid": "release" }, el("h3", {}, `Release ${one.number}${one.active ? ", which runs" : ""}`),
        el("p", { className: "small" }, `${one.state} · ${one.recipe ?? "export"} · ${words.moment(one.created_at)}${gain}`),
        el("p", { className: "small" }, one.reason), el("div", { className: "row" }, ...acts));
    });
    return [...going, el("div", { className: "cards" }, ...cards)];
  }

  async install(one) {
    const done = await tried(() => post(`/releases/${one.number}/install`));
    if (done) note(`Release ${done.number} runs, in trial.`);
    this.open();
  }

  async rollBack() {
    const done = await tried(() => post("/releases/rollback", { reason: "asked for on the page" }));
    if (done) note(`Release ${done.active_now} runs again.`);
    this.open();
  }

  report(one) {
    show(`Release ${one.number}`, [el("img", { src: picture(`/releases/${one.number}/report.png`), alt: "accuracy of every class before and after" }),
      el("p", {}, el("a", { href: picture(`/releases/${one.number}/report.md`) }, "the whole report"))]);
  }

  consolidation(told) {
    if (!told) return el("p");
    const last = told.last;
    const said = last === null ? "The tail was not trained here yet." : `Last: ${last.accepted ? "accepted" : "refused"}, ${last.recipe}, ${words.moment(last.at)}: ${last.reason}.`;
    return el("p", { className: "small" }, `${said} ${words.plural(told.new_lessons, "new lesson")} since; due after ${told.due_lessons}.`);
  }

  file() {
    const input = el("input", { type: "file", id: "backup-file", "aria-label": "A backup of the memory" });
    const restore = el("button", { onclick: () => this.restore(input.files[0]) }, "Put it back");
    return el("div", { className: "row" }, el("a", { className: "button", href: picture("/memory/backup"), download: "" }, "Download a backup"), input, restore);
  }

  restore(file) {
    if (!file) { note("Choose a backup first."); return; }
    show("Put this backup back?", [el("p", {}, "It takes the place of what is known now, which is kept beside it as a file.")], [["Put it back", async () => {
      const done = await send("POST", "/memory/restore", file, "application/octet-stream");
      note(`It knows ${words.plural(done.classes.length, "class")} now.`);
      return done;
    }, "main"]]);
  }
}
