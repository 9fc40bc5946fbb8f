/** What is known, as cards: each teaches while its button is held. Cards stay in place, also under a finger. */

import { drop, part, patch, picture, post } from "./api.js";
import { show } from "./dialog.js";
import { byId, el, note, write } from "./dom.js";
import * as words from "./words.js";

export class Cards {
  /** @param {import("./teach.js").Teaching} teaching */
  constructor(teaching) {
    this.teaching = teaching;
    /** @type {Map<number, Card>} by the id of the class */
    this.byId = new Map();
    this.node = el("div", { className: "cards" });
  }

  /** @param {object[]} classes */
  state(classes) {
    const cards = classes.map((one, place) => {
      const card = this.byId.get(one.id) ?? new Card(this, one);
      card.show(one, place);
      return card;
    });
    for (const card of this.byId.values()) if (!cards.includes(card)) card.node.remove();
    this.byId = new Map(cards.map((card) => [card.one.id, card]));
    cards.forEach(({ node }, place) => { // moved only where needed: a button that is moved is let go
      if (this.node.children[place] !== node) this.node.insertBefore(node, this.node.children[place] ?? null);
    });
  }

  /** @param {number} place */
  at(place) {
    return [...this.byId.values()][place];
  }

  /** @param {string} label */
  named(label) {
    return [...this.byId.values()].find((card) => card.one.label === label);
  }

  /** @param {string | null} label what is seen now */
  answered(label) {
    for (const card of this.byId.values()) card.node.classList.toggle("now", card.one.label === label);
  }
}

class Card {
  /** @param {Cards} cards @param {object} one the class */
  constructor(cards, one) {
    this.one = one;
    const { teaching } = cards;
    this.image = el("img", { alt: "", loading: "lazy", width: 72, height: 72 });
    this.blank = el("div", { className: "blank" });
    this.name = el("span");
    this.key = el("kbd", { title: "hold this key" });
    this.more = el("button", { className: "plain", onclick: () => menu(teaching.page, this.one) }, "⋯");
    this.facts = el("p", { className: "small" });
    this.hold = teaching.holdButton(() => this.one.label, "teach", "");
    this.slow = teaching.slowButton(() => this.one.label);
    this.seen = el("p", { className: "small seen" });
    this.node = el("article", { className: "card", "data-testid": "class-card" }, this.blank,
      el("h3", {}, this.name, this.key), this.more, this.facts, el("div", { className: "teach" }, this.hold, this.slow), this.seen);
  }

  /** @param {object} one the class as it is now @param {number} place in the order of the keys */
  show(one, place) {
    this.one = one;
    write(this.name, one.label);
    write(this.key, place < 9 ? String(place + 1) : "");
    this.key.hidden = place >= 9;
    this.more.setAttribute("aria-label", `More for ${one.label}`);
    this.hold.setAttribute("aria-label", `Hold to teach ${one.label}`);
    this.slow.setAttribute("aria-label", `Count down, then teach ${one.label} for three seconds`);
    const known = one.accuracy === null ? "teach it once more to know how well" : `${words.percent(one.accuracy)} of left-out views`;
    write(this.facts, `${words.plural(one.examples, "example")} · ${known}`);
    const [shown, source] = one.cover === null ? [this.blank, null] : [this.image, picture(`/examples/${one.cover}.jpg`)];
    if (source && this.image.getAttribute("src") !== source) this.image.src = source;
    if (this.node.firstChild !== shown) this.node.firstChild.replaceWith(shown);
  }
}

/** @param {import("./main.js").Page} page @param {object} one the class */
function menu(page, one) {
  const name = el("input", { value: one.label, maxLength: 100, autocomplete: "off" });
  const others = page.labels.filter((label) => label !== one.label);
  const into = el("select", {}, ...others.map((label) => el("option", { value: label }, label)));
  const acts = [["Rename", () => patch(`/classes/${part(one.label)}`, { label: name.value.trim() }).then(undoable(page)), "main"]];
  if (others.length) acts.push(["Merge", () => post(`/classes/${part(one.label)}/merge`, { label: into.value }).then(undoable(page))]);
  acts.push(["Forget…", () => { forget(one); return undefined; }, "bad"]);
  show(one.label, [
    el("label", { className: "field" }, "Name", name),
    others.length ? el("label", { className: "field" }, "It is the same thing as", into) : null,
  ], acts);
}

/** Tell a change, with its undo. */
const undoable = (page) => (lesson) => {
  note(words.lesson(lesson), { act: ["Undo", () => page.undo(lesson.lesson)] });
  return lesson;
};

function forget(one) {
  show(`Forget ${one.label}?`, [el("p", {}, `Its ${words.plural(one.examples, "example")} and pictures are deleted for good. This cannot be undone.`)],
    [["Delete for good", async () => { proof(await drop(`/classes/${part(one.label)}`)); return undefined; }, "bad"]]);
  byId("dialog").querySelector(".plain").focus(); // not on what deletes
}

function proof(told) {
  const left = told.found ? `${told.found} of them are still there; try again later.` : "none is left.";
  show(`${told.label} is forgotten`, [
    el("p", {}, `${words.plural(told.examples, "example")}, ${words.plural(told.thumbnails, "picture")} and ${words.plural(told.reviews, "review frame")} were deleted. ` +
      `The files were searched for ${words.plural(told.fragments, "fragment")} of them: ${left}`),
    told.copies.length ? el("p", {}, `These copies may still hold it, and are yours to delete: ${told.copies.join(", ")}`) : null,
  ]);
}
