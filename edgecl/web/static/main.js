/** The page put together: one socket, one state, four panels beside the live view. */

import { post, Socket } from "./api.js";
import { byId, el, note, tried } from "./dom.js";
import { History } from "./history.js";
import { LiveView } from "./live.js";
import { Quality } from "./quality.js";
import { Review } from "./review.js";
import { Teaching } from "./teach.js";
import * as words from "./words.js";

const TABS = ["teach", "review", "quality", "history"];

export class Page {
  constructor() {
    this.state = { classes: [], swap: null };
    this.view = new LiveView(this);
    this.teaching = new Teaching(this);
    this.review = new Review(this);
    this.quality = new Quality(this);
    this.history = new History(this);
    this.buildTabs();
    this.socket = new Socket({
      line: (open) => this.line(open),
      live: (live) => { this.view.live(live); this.teaching.live(live); },
      state: (state) => this.take(state),
    });
  }

  /** @returns {string[]} names of the classes, in the order of their keys */
  get labels() {
    return this.state.classes.map((one) => one.label);
  }

  take(state) {
    this.state = state;
    for (const part of [this.view, this.teaching, this.review, this.quality, this.history]) part.state(state);
    const waiting = state.reviews + state.newcomers;
    byId("tab-review").replaceChildren("Review", ...(waiting ? [" ", el("b", {}, String(waiting))] : []));
    this.line(true);
  }

  line(open) {
    const line = byId("line");
    const { classes, learning, release, swap } = this.state;
    line.classList.toggle("off", !open);
    if (!open) line.textContent = "The device does not answer; trying again…";
    else if (swap) line.textContent = `installing release ${swap.number}: ${swap.stage}`;
    else if (learning) line.textContent = "learning…";
    else line.textContent = `knows ${words.plural(classes.length, "class")}${release ? ` · release ${release}` : ""}`;
  }

  async undo() {
    const lesson = await tried(() => post("/undo"));
    if (lesson) note(`Undone: ${words.lesson(lesson)}.`);
    return lesson;
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
