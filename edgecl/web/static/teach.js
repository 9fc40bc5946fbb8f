/** Hold to teach: the classes as cards, the lesson while it is given, and what it did. */

import { drop, part, patch, picture, post } from "./api.js";
import { show } from "./dialog.js";
import { byId, el, note, tried } from "./dom.js";
import * as words from "./words.js";

const BEAT_MS = 400;
const COUNTDOWN_S = 3;
const ALONE_S = 3;

export class Teaching {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {{label: string, number: number | null, ended: boolean} | null} the lesson that is being given here */
    this.hold = null;
    this.last = null;
    this.cards = new Map();
    this.build();
    this.listenToKeys();
  }

  build() {
    this.guide = el("div", { className: "sheet guide", "data-testid": "guide", hidden: true });
    this.told = el("div", { className: "sheet report", "data-testid": "report", role: "status", hidden: true });
    this.list = el("div", { className: "cards" });
    this.name = el("input", { id: "new-name", "data-testid": "class-name", autocomplete: "off", maxLength: 100, placeholder: "name of a new thing", "aria-label": "Name of a new thing" });
    this.newHold = this.holdButton(() => this.name.value.trim(), "add-class");
    const form = el("form", { className: "add", onsubmit: (event) => { event.preventDefault(); this.newHold.focus(); } }, this.name);
    this.addition = el("div", { className: "sheet" }, el("h2", {}, "Something new"), form, el("div", { className: "teach" }, this.newHold, this.slowButton(() => this.name.value.trim())),
      this.newSeen = el("p", { className: "small", role: "status" }));
    byId("panel-teach").replaceChildren(this.guide, this.told, this.addition, el("h2", {}, "What it knows"), this.list);
  }

  /** A button that teaches while it is held: by mouse, by touch, by the space bar. */
  holdButton(label, testid) {
    const button = el("button", { className: "main hold", type: "button", "data-testid": testid, "aria-pressed": "false" }, "Hold to teach");
    const down = (event) => {
      if (event.button > 0) return;
      event.preventDefault();
      if (event.pointerId !== undefined) button.setPointerCapture(event.pointerId);
      this.begin(label(), button);
    };
    button.addEventListener("pointerdown", down);
    for (const name of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(name, () => this.end());
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    const key = (event) => event.key === " " || event.key === "Enter";
    button.addEventListener("keydown", (event) => { if (key(event)) { event.preventDefault(); if (!event.repeat) this.begin(label(), button); } });
    button.addEventListener("keyup", (event) => { if (key(event)) { event.preventDefault(); this.end(); } });
    return button;
  }

  /** For who is alone: a countdown, then three seconds. */
  slowButton(label) {
    return el("button", { className: "slow", type: "button", "data-testid": "countdown", "aria-label": "Count down, then teach for three seconds", onclick: (event) => this.alone(label(), event.currentTarget) }, "3-2-1");
  }

  async alone(label, button) {
    if (this.hold || !this.ready(label)) return;
    button.disabled = true;
    for (let left = COUNTDOWN_S; left > 0; left -= 1) {
      button.textContent = String(left);
      await new Promise((go) => setTimeout(go, 1000));
    }
    button.textContent = "now";
    await this.begin(label, button);
    await new Promise((go) => setTimeout(go, 1000 * ALONE_S));
    await this.end();
    button.textContent = "3-2-1";
    button.disabled = false;
  }

  ready(label) {
    if (!label) {
      note("Give it a name first.");
      this.name.focus();
    }
    return Boolean(label);
  }

  async begin(label, button) {
    if (this.hold || !this.ready(label)) return;
    const hold = { label, number: null, ended: false, button };
    this.hold = hold;
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Let go to end";
    const begun = await tried(() => post("/holds", { camera: this.page.view.camera ?? "", label }));
    if (!begun) { this.release(hold); return; }
    hold.number = begun.hold;
    this.page.socket.beat(hold.number);
    hold.timer = setInterval(() => this.page.socket.beat(hold.number), BEAT_MS);
    if (hold.ended) await this.finish(hold);
  }

  async end() {
    const hold = this.hold;
    if (!hold || hold.ended) return;
    hold.ended = true;
    if (hold.number !== null) await this.finish(hold);
  }

  async finish(hold) {
    clearInterval(hold.timer);
    this.release(hold);
    const report = await tried(() => post(`/holds/${hold.number}/end`));
    if (report) {
      if (hold.label === this.name.value.trim()) this.name.value = "";
      this.report(report);
    }
  }

  release(hold) {
    hold.button.setAttribute("aria-pressed", "false");
    hold.button.textContent = "Hold to teach";
    this.hold = null;
  }

  /** @param {object} live the newest frame: how far the lesson is */
  live(live) {
    if (!this.hold || live.camera !== this.page.view.camera || !live.hold) return;
    const place = this.cards.get(this.hold.label)?.seen ?? this.newSeen;
    const advice = words.hint(live.hold.last);
    place.textContent = words.counted(live.hold) + (advice ? ` — ${advice}` : "");
  }

  /** Show what a lesson did, with its undo. @param {object} report */
  report(report) {
    this.last = report;
    for (const { seen } of this.cards.values()) seen.textContent = "";
    this.newSeen.textContent = "";
    const others = report.others_before !== null && report.others_after < report.others_before - 0.02;
    this.told.className = others ? "sheet report bad" : "sheet report";
    const known = new Set(this.page.labels).add(report.label);
    this.told.replaceChildren(el("p", {}, words.learned(report, known.size)),
      el("p", { className: "small" }, words.counted(report)),
      el("div", { className: "row" }, el("button", { "data-testid": "undo", onclick: () => this.undo() }, "Undo")));
    this.told.hidden = false;
  }

  async undo() {
    const lesson = await this.page.undo();
    if (lesson) this.told.hidden = true;
  }

  /** @param {object} state */
  state(state) {
    const key = JSON.stringify(state.classes);
    if (key === this.shown) return;
    this.shown = key;
    this.drawGuide(state.classes);
    const cards = new Map();
    state.classes.forEach((one, place) => {
      const held = this.hold && this.cards.get(this.hold.label)?.id === one.id ? this.cards.get(this.hold.label) : null;
      cards.set(one.label, held ?? this.card(one, place));
    });
    this.cards = cards;
    this.list.replaceChildren(...[...cards.values()].map((card) => card.node));
  }

  card(one, place) {
    const image = one.cover === null ? el("div", { className: "blank" }) : el("img", { src: picture(`/examples/${one.cover}.jpg`), alt: "", loading: "lazy" });
    const seen = el("p", { className: "small seen", role: "status" });
    const hold = this.holdButton(() => one.label, "teach");
    hold.setAttribute("aria-label", `Hold to teach ${one.label}`);
    const known = one.accuracy === null ? "teach it once more to know how well" : `${words.percent(one.accuracy)} of left-out views`;
    const node = el("article", { className: "card", "data-testid": "class-card" }, image, el("h3", {}, one.label),
      el("button", { className: "plain", "aria-label": `More for ${one.label}`, onclick: () => this.menu(one) }, "⋯"),
      el("p", { className: "small" }, `${words.plural(one.examples, "example")} · ${known} `, place < 9 ? el("kbd", { title: "hold this key" }, String(place + 1)) : null),
      el("div", { className: "teach" }, hold, this.slowButton(() => one.label)), seen);
    return { id: one.id, node, seen, hold };
  }

  menu(one) {
    const name = el("input", { value: one.label, maxLength: 100, "aria-label": "Name" });
    const others = this.page.labels.filter((label) => label !== one.label);
    const into = el("select", { "aria-label": "Class to merge into" }, ...others.map((label) => el("option", { value: label }, label)));
    const acts = [["Rename", () => patch(`/classes/${part(one.label)}`, { label: name.value }), "main"]];
    if (others.length) acts.push(["Merge into it", () => post(`/classes/${part(one.label)}/merge`, { label: into.value })]);
    acts.push(["Forget…", () => { this.forget(one); return undefined; }, "bad"]);
    show(one.label, [el("p", {}, name), others.length ? el("p", {}, "the same as ", into) : el("p")], acts);
  }

  forget(one) {
    show(`Forget ${one.label}?`, [el("p", {}, `Its ${words.plural(one.examples, "example")} and pictures are deleted for good. This cannot be undone.`)],
      [["Delete for good", async () => { this.proof(await drop(`/classes/${part(one.label)}`)); return undefined; }, "bad"]]);
  }

  proof(proof) {
    const left = proof.found ? `${proof.found} of them are still there; try again later.` : "none is left.";
    show(`${proof.label} is forgotten`, [el("p", {}, `${words.plural(proof.examples, "example")}, ${words.plural(proof.thumbnails, "picture")} and ${words.plural(proof.reviews, "review frame")} were deleted. The files were searched for ${words.plural(proof.fragments, "fragment")} of them: ${left}`)]);
  }

  /** Two things in under a minute, without reading anything else. */
  drawGuide(classes) {
    this.guide.hidden = classes.length >= 2;
    if (this.guide.hidden) return;
    const step = (done, text) => el("li", { className: done ? "done" : "" }, text);
    const first = classes[0]?.label;
    this.guide.replaceChildren(el("h2", {}, "Two things in a minute"), el("ol", {},
      step(classes.length > 0, "Hold something before the camera, give it a name below, and hold the button for three seconds while you turn it."),
      step(false, first ? `Now something else than ${first}, with a name of its own.` : "Do the same with something else."),
      step(false, "Show it either: it knows. Show it anything else: unknown.")));
  }

  // The number keys

  listenToKeys() {
    let held = null;
    document.addEventListener("keydown", (event) => {
      const typing = event.target.matches?.("input, select, textarea") || byId("dialog").open || event.ctrlKey || event.metaKey || event.altKey;
      if (typing || event.repeat || held || !/^[1-9]$/.test(event.key) || byId("panel-teach").hidden) return;
      const card = [...this.cards.values()][Number(event.key) - 1];
      if (!card) return;
      held = event.key;
      this.begin([...this.cards.keys()][Number(event.key) - 1], card.hold);
    });
    document.addEventListener("keyup", (event) => { if (event.key === held) { held = null; this.end(); } });
    window.addEventListener("blur", () => { held = null; this.end(); });
  }
}
