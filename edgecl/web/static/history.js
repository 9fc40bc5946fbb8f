/** What was taught, which release runs, what consolidation has come to, and the memory as one file. */

import { get, picture, post, send } from "./api.js";
import { show } from "./dialog.js";
import { byId, el, note, redraw, tried } from "./dom.js";
import * as words from "./words.js";

const LESSONS = 100;

export class History {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.backup = el("input", { type: "file", "aria-label": "A backup of the memory" }); // one for good: a file that is chosen stays
  }

  /** @param {object} state */
  state(state) {
    const key = JSON.stringify([state.revision, state.release, state.swap?.stage, state.news.length]);
    if (key !== this.shown && !byId("panel-history").hidden) this.open();
    this.shown = key;
  }

  async open() {
    const [lessons, releases, consolidation] = await Promise.all(
      [`/lessons?limit=${LESSONS}`, "/releases", "/consolidation"].map((path) => tried(() => get(path))));
    redraw(byId("panel-history"),
      el("h2", {}, "Lessons"), this.lessons(lessons ?? []), ...this.news(),
      ...(releases?.length ? [el("h2", {}, "Releases"), ...this.releases(releases)] : []),
      ...(consolidation ? [el("h2", {}, "Consolidation"), ...consolidated(consolidation)] : []),
      el("h2", {}, "The memory as a file"), this.file(),
    );
  }

  lessons(lessons) {
    if (!lessons.length) return el("p", { className: "small" }, "Nothing was taught yet.");
    const rows = lessons.map((one) => el("tr", {}, el("td", { className: "when" }, words.moment(one.taken_at)),
      one.undone_at === null ? el("td", {}, words.lesson(one)) : el("td", { className: "gone" }, `${words.lesson(one)} (undone)`)));
    const newest = lessons.find((one) => one.undone_at === null && one.kind !== "forget");
    const undo = el("button", { "data-testid": "undo-newest", "data-key": "undo", disabled: !newest, onclick: () => this.page.undo(newest.lesson) }, "Undo the newest");
    return el("div", {}, el("div", { className: "row" }, undo), timed("Lessons", rows));
  }

  /** What the daemon says happened by itself. */
  news() {
    const { news } = this.page.state;
    if (!news.length) return [];
    const rows = [...news].reverse().map((one) => el("tr", {}, el("td", { className: "when" }, words.moment(one.at)), el("td", {}, one.text)));
    return [el("h2", {}, "What happened by itself"), timed("What happened by itself", rows)];
  }

  releases(releases) {
    const { swap } = this.page.state;
    const going = swap ? [el("p", { role: "status" }, `Installing release ${swap.number}: ${swap.stage}, ${swap.done} of ${swap.total} examples.`)] : [];
    const cards = [...releases].reverse().map((one) => {
      const gain = one.accuracy === null ? "" : ` · left-out views ${words.percent(one.accuracy_before)} → ${words.percent(one.accuracy)}`;
      const acts = [];
      if (one.state === "candidate") acts.push(el("button", { className: "main", "data-key": `install-${one.number}`, disabled: Boolean(swap), onclick: () => this.install(one) }, "Install"));
      if (one.active && one.previous) acts.push(el("button", { "data-key": "rollback", onclick: () => this.rollBack(one) }, `Back to release ${one.previous}…`));
      if (one.report) acts.push(el("button", { className: "plain", onclick: () => report(one) }, "Report"));
      return el("article", { className: "sheet", "data-testid": "release" }, el("h3", {}, `Release ${one.number}${one.active ? ", which runs" : ""}`),
        el("p", { className: "small" }, `${one.state} · ${one.recipe ?? "export"} · ${words.moment(one.created_at)}${gain}`),
        one.trial ? el("p", { className: "small" }, words.trial(one.trial)) : null,
        el("p", { className: "small" }, one.reason), acts.length ? el("div", { className: "row" }, ...acts) : null);
    });
    return [...going, el("div", { className: "cards" }, ...cards)];
  }

  async install(one) {
    const done = await tried(() => post(`/releases/${one.number}/install`));
    if (done) note(`Release ${done.number} runs, in trial.`);
    this.open();
  }

  rollBack(one) {
    show(`Back to release ${one.previous}?`, [el("p", {}, `Release ${one.number} stays here, and can be installed again. Nothing that was taught is lost.`)],
      [[`Back to release ${one.previous}`, async () => {
        const done = await post("/releases/rollback", { reason: "asked for on the page" });
        note(`Release ${done.active_now} runs again.`);
        this.open();
        return done;
      }, "main"]]);
  }

  file() {
    return el("div", {}, el("div", { className: "row" }, el("a", { className: "button", href: picture("/memory/backup"), download: "" }, "Download a backup")),
      el("div", { className: "row" }, this.backup, el("button", { "data-key": "restore", onclick: () => this.restore(this.backup.files[0]) }, "Put it back")));
  }

  restore(file) {
    if (!file) { note("Choose a backup first."); this.backup.focus(); return; }
    show("Put this backup back?", [el("p", {}, `${file.name} takes the place of what is known now, which is kept beside it as a file.`)], [["Put it back", async () => {
      const done = await send("POST", "/memory/restore", file, "application/octet-stream");
      this.backup.value = "";
      note(`It knows ${words.plural(done.classes.length, "class")} now.`);
      return done;
    }, "main"]]);
  }
}

function timed(name, rows) {
  return el("div", { className: "scroll long", tabIndex: 0, role: "region", "aria-label": name }, el("table", {}, el("tbody", {}, ...rows)));
}

function report(one) {
  plots(`Release ${one.number}`, `/releases/${one.number}/report.png`, el("a", { href: picture(`/releases/${one.number}/report.md`) }, "the whole report"));
}

/** What a consolidation did to every class, what was mixed up, and what moved the layers. */
function plots(title, path, ...more) {
  show(title, [el("a", { href: picture(path) }, el("img", { src: picture(path), alt: "accuracy of every class before and after, confusion, and gradients of every layer" })), el("p", {}, ...more)]);
}

function consolidated(told) {
  const { last } = told;
  const said = last === null ? "The tail was not trained here yet." : `Last: ${last.accepted ? "accepted" : "refused"}, ${last.recipe}, ${words.moment(last.at)}: ${last.reason}.`;
  const text = el("p", { className: "small" }, `${said} ${words.plural(told.new_lessons, "new lesson")} since; due after ${told.due_lessons}.`);
  if (last === null) return [text];
  return [text, el("div", { className: "row" }, el("button", { "data-key": "plots", onclick: () => plots("The last consolidation", "/consolidation/report.png") }, "Plots"))];
}
