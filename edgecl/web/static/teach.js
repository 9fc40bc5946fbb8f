/** Hold to teach: the lesson while it is given, and what it did. */

import { post } from "./api.js";
import { Cards } from "./cards.js";
import { announce, byId, el, note, tried, write } from "./dom.js";
import { holdButton, holdKeys } from "./hold.js";
import * as words from "./words.js";

const BEAT_MS = 400;
const COUNTDOWN_S = 3;
const ALONE_S = 3;
const REFUSAL_SHOWN_MS = 2000;
const SLOW = "3-2-1";

const seconds = (count) => new Promise((go) => setTimeout(go, 1000 * count));

export class Teaching {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {{label: string, number: number | null, ended: boolean, button: HTMLElement, camera: string} | null} the lesson that is being given here */
    this.hold = null;
    this.counting = null;
    this.cards = new Cards(this);
    this.build();
    holdKeys({
      may: () => !byId("dialog").open && !byId("panel-teach").hidden,
      begin: (place) => { const card = this.cards.at(place); if (card) this.begin(card.one.label, card.hold); },
      end: () => this.end(),
    });
  }

  build() {
    this.told = el("div", { className: "sheet report", "data-testid": "report" });
    this.name = el("input", { id: "new-name", "data-testid": "class-name", autocomplete: "off", maxLength: 100, enterKeyHint: "done", placeholder: "name of a new thing", "aria-label": "Name of a new thing" });
    this.newHold = this.holdButton(() => this.name.value.trim(), "add-class", "main");
    this.newSlow = this.slowButton(() => this.name.value.trim());
    this.newSeen = el("p", { className: "small seen" });
    this.newSlow.setAttribute("aria-label", "Count down, then teach the new thing for three seconds");
    const form = el("form", { className: "add", onsubmit: (event) => { event.preventDefault(); this.newHold.focus(); } }, this.name);
    const addition = el("div", { className: "sheet" }, el("h2", {}, "Something new"), form, el("div", { className: "teach" }, this.newHold, this.newSlow), this.newSeen);
    this.knows = el("h2", {}, "What it knows");
    byId("panel-teach").replaceChildren(addition, this.knows, this.cards.node);
  }

  /** @param {() => string} label @param {string} testid @param {string} kind class names */
  holdButton(label, testid, kind) {
    return holdButton(testid, kind, {
      begin: (button) => this.begin(label(), button),
      end: (button) => { if (this.hold?.button === button) this.end(); },
    });
  }

  /** For who is alone: a countdown, then three seconds. @param {() => string} label */
  slowButton(label) {
    return el("button", {
      className: "slow", type: "button", "data-testid": "countdown",
      onclick: (event) => (this.counting ? this.stop() : this.alone(label(), event.currentTarget)),
    }, SLOW);
  }

  async alone(label, button) {
    if (this.hold || !this.ready(label)) return;
    const mine = {};
    this.counting = mine;
    const shown = (text) => { button.textContent = text; byId("count").textContent = text; byId("count").hidden = false; };
    for (let left = COUNTDOWN_S; left > 0 && this.counting === mine; left -= 1) {
      shown(String(left));
      await seconds(1);
    }
    byId("count").hidden = true;
    if (this.counting === mine) {
      button.textContent = "now";
      await this.begin(label, button);
      for (let left = ALONE_S; left > 0 && this.counting === mine && this.hold; left -= 1) await seconds(1);
      if (this.hold?.button === button) await this.end();
    }
    button.textContent = SLOW;
    if (this.counting === mine) this.counting = null;
  }

  /** No countdown any more; a lesson that it began ends. */
  stop() {
    this.counting = null;
    byId("count").hidden = true;
    this.end();
  }

  ready(label) {
    if (!label) {
      note("Give it a name first.");
      this.name.focus();
    }
    return Boolean(label);
  }

  async begin(label, button) {
    if (this.hold || (this.counting && button.textContent !== "now") || !this.ready(label)) return;
    const hold = { label, number: null, ended: false, button, camera: this.page.view.camera, refusal: "", refusedAt: 0 };
    this.hold = hold;
    this.look(hold, true);
    const begun = await tried(() => post("/holds", { camera: hold.camera ?? "", label }));
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
    if (!report) return;
    if (hold.label === this.name.value.trim()) this.name.value = "";
    this.report(report, hold.button.closest(".card, .sheet"));
  }

  release(hold) {
    this.look(hold, false);
    this.hold = null;
    for (const seen of [this.newSeen, ...[...this.cards.byId.values()].map((card) => card.seen)]) write(seen, "");
  }

  look(hold, held) {
    document.body.classList.toggle("teaching", held);
    if (hold.button.classList.contains("slow")) return;
    hold.button.setAttribute("aria-pressed", String(held));
    hold.button.textContent = held ? "Let go to end" : "Hold to teach";
  }

  /** @param {object} live the newest frame: how far the lesson is */
  live(live) {
    const { hold } = this;
    if (!hold || live.camera !== hold.camera || live.hold?.hold !== hold.number) return;
    const { last } = live.hold;
    if (words.isRefusal(last)) { hold.refusal = words.hint(last); hold.refusedAt = performance.now(); }
    const advice = performance.now() - hold.refusedAt < REFUSAL_SHOWN_MS ? hold.refusal : words.hint(last);
    const card = hold.button === this.newHold || hold.button === this.newSlow ? null : this.cards.named(hold.label);
    write(card?.seen ?? this.newSeen, words.counted(live.hold) + (advice ? ` — ${advice}` : ""));
  }

  /** Show what a lesson did, with its undo. @param {object} report @param {Element} place where it was given */
  report(report, place) {
    const worse = report.others_before !== null && report.others_after < report.others_before - 0.02;
    this.told.className = worse ? "sheet report bad" : "sheet report";
    const known = new Set(this.page.labels).add(report.label);
    const undo = async () => { if (await this.page.undo(report.lesson)) this.told.remove(); };
    const text = words.learned(report, known.size);
    announce(text);
    this.told.replaceChildren(el("p", {}, text),
      el("p", { className: "small" }, words.counted(report)),
      el("div", { className: "row" }, el("button", { "data-testid": "undo", onclick: undo }, "Undo"),
        el("button", { className: "plain", "aria-label": "Dismiss the report", onclick: () => this.told.remove() }, "✕")));
    place.append(this.told);
    this.told.scrollIntoView({ block: "nearest" });
  }

  /** @param {object} state */
  state(state) {
    this.cards.state(state.classes);
    this.knows.hidden = !state.classes.length;
  }
}
