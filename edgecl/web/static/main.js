/** The page put together: one socket, one state, four panels beside the live view. */

import { post, Socket } from "./api.js";
import { byId, el, note, tried, write } from "./dom.js";
import { Guide } from "./guide.js";
import { History } from "./history.js";
import { LiveView } from "./live.js";
import { Quality } from "./quality.js";
import { Review } from "./review.js";
import { Teaching } from "./teach.js";
import * as words from "./words.js";

const TABS = ["teach", "review", "quality", "history"];

export class Page {
  constructor() {
    this.state = { classes: [], swap: null, news: [], board: { temperature_c: null, reason: null } };
    this.teaching = new Teaching(this);
    this.view = new LiveView(this);
    this.guide = new Guide(this);
    this.review = new Review(this);
    this.quality = new Quality(this);
    this.history = new History(this);
    this.buildTabs();
    this.socket = new Socket({
      line: (open) => this.line(open),
      live: (live) => { this.view.live(live); this.teaching.live(live); this.guide.live(live); },
      state: (state) => this.take(state),
    });
  }

  /** @returns {string[]} names of the classes, in the order of their keys */
  get labels() {
    return this.state.classes.map((one) => one.label);
  }

  /** @param {object} state what is known, and what is going on */
  take(state) {
    this.state = state;
    write(byId("mismatch"), state.mismatch ?? "");
    byId("mismatch").hidden = state.mismatch === null;
    for (const part of [this.view, this.teaching, this.guide, this.review, this.quality, this.history]) part.state(state);
    const waiting = state.reviews + state.newcomers;
    byId("tab-review").replaceChildren("Review", ...(waiting ? [" ", el("b", {}, String(waiting)), el("span", { className: "for-readers" }, " waiting")] : []));
    this.line(true);
  }

  /** @param {boolean} open whether the daemon answers */
  line(open) {
    if (open && this.away) this.view.again();
    this.away = !open;
    const { classes, learning, release, swap, board } = this.state;
    document.body.classList.toggle("off", !open);
    byId("line").classList.toggle("off", !open);
    let text = `knows ${words.plural(classes.length, "class")}${release ? ` · release ${release}` : ""}${words.warmth(board)}`;
    if (!open) text = "The device does not answer; trying again…";
    else if (swap) text = `installing release ${swap.number}: ${swap.stage}`;
    else if (board.reason) text = `${board.learns ? "slower" : "learning rests"}: ${board.reason}`;
    else if (learning) text = "learning…";
    write(byId("line"), text);
  }

  /**
   * Take back the newest lesson.
   * @param {number} lesson only if it is this one: what someone else taught since is not what they mean
   */
  async undo(lesson) {
    const done = await tried(() => post(`/undo?lesson=${lesson}`));
    if (done) note(`Undone: ${words.lesson(done)}.`);
    return done;
  }

  // The tabs

  buildTabs() {
    const names = { teach: "Teach", review: "Review", quality: "Quality", history: "History" };
    byId("tabs").replaceChildren(...TABS.map((tab) => el("button", {
      role: "tab", id: `tab-${tab}`, "data-testid": tab === "teach" ? "tab-teach" : tab, "aria-controls": `panel-${tab}`,
      onclick: () => this.open(tab), onkeydown: (event) => this.step(event, tab),
    }, names[tab])));
    this.open("teach");
  }

  open(tab) {
    document.body.dataset.tab = tab;
    this.view.shrink();
    for (const one of TABS) {
      const chosen = one === tab;
      byId(`panel-${one}`).hidden = !chosen;
      byId(`tab-${one}`).setAttribute("aria-selected", String(chosen));
      byId(`tab-${one}`).tabIndex = chosen ? 0 : -1;
    }
    this[tab]?.open();
  }

  step(event, tab) {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const next = TABS[(TABS.indexOf(tab) + move + TABS.length) % TABS.length];
    this.open(next);
    byId(`tab-${next}`).focus();
  }
}

new Page();
