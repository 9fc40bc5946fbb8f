/** What the camera sees and what is made of it: picture, answer, trouble in words. */

import { part, picture } from "./api.js";
import { BrowserCamera } from "./browsercam.js";
import { byId, el, note, redraw, tried, write } from "./dom.js";
import { Moments } from "./moments.js";
import { Region } from "./region.js";
import * as words from "./words.js";

const SAY_EVERY_MS = 1000;
const FIGURES_EVERY_MS = 250; // figures that change faster only flicker
const LIGHT = ["too dark", "too bright"];

export class LiveView {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    /** @type {string | null} name of the camera that is looked through */
    this.camera = null;
    this.cameras = [];
    /** @type {object | null} what was made of its newest frame */
    this.newest = null;
    this.own = new BrowserCamera(byId("own"), { failed: (text) => note(text, { bad: true }), ended: () => this.ownChanged() });
    this.moments = new Moments(page);
    this.region = new Region();
    this.saidAt = this.figuresAt = 0;
    document.addEventListener("visibilitychange", () => this.stream());
    this.keepInSight();
  }

  get entry() {
    return this.cameras.find((one) => one.name === this.camera);
  }

  /** @param {object} state */
  state(state) {
    this.cameras = state.cameras;
    if (!this.entry) {
      const open = this.cameras.find((one) => one.phase === "open") ?? this.cameras[0];
      this.choose(open ? open.name : null);
    }
    this.stream();
    this.drawTools();
    this.drawTrouble();
    this.region.show(this.entry);
  }

  choose(name) {
    if (name === this.camera) return;
    this.camera = name;
    this.answer(null);
    this.moments.clear();
    this.stream();
    this.drawTools();
    this.drawTrouble();
    this.region.show(this.entry);
    this.page.guide.draw();
  }

  /** Show pictures while someone looks; ask for none while nobody does, or there is none: a browser loads for as long. */
  stream() {
    const shown = byId("picture");
    const own = this.own.camera !== null && this.own.camera === this.camera;
    byId("own").hidden = !own;
    shown.hidden = own || this.camera === null;
    const wanted = !document.hidden && !shown.hidden && this.entry?.frames > 0;
    const source = !wanted ? "" : picture(`/cameras/${part(this.camera)}/stream.mjpg?fps=15`);
    if (shown.getAttribute("src") !== source) {
      if (source) shown.src = source;
      else shown.removeAttribute("src");
    }
  }

  /** The daemon was away: the pictures have to be asked for anew. */
  again() {
    byId("picture").removeAttribute("src");
    this.stream();
  }

  /** @param {object} live */
  live(live) {
    if (live.camera === this.camera) this.answer(live);
  }

  /** @param {object | null} live the newest frame; null while there is none */
  answer(live) {
    this.newest = live;
    const found = live?.prediction ?? null;
    const text = found === null ? "…" : found.label ?? "unknown";
    const changed = byId("label").textContent !== text;
    const now = performance.now();
    if (!changed && now - this.figuresAt < FIGURES_EVERY_MS) return;
    this.figuresAt = now;
    const known = found !== null && found.label !== null;
    write(byId("label"), text);
    byId("label").classList.toggle("unknown", !known);
    byId("bar").style.width = `${known ? 100 * found.probability : 0}%`;
    write(byId("share"), known ? words.percent(found.probability) : "");
    write(byId("gloss"), live === null ? "" : gloss(live));
    write(byId("speed"), live === null ? "" : `${live.fps.toFixed(0)} fps · ${Math.round(1000 * live.age)} ms old`);
    this.say(known ? `${text}, ${words.percent(found.probability)}` : text, text);
    this.page.teaching.cards.answered(known ? text : null);
    this.keepShape();
  }

  /** To who listens instead of looking: a new answer, at most once a second. */
  say(sentence, text) {
    const now = performance.now();
    if (text === "…" || now - this.saidAt < SAY_EVERY_MS || this.saidText === text) return;
    this.saidAt = now;
    this.saidText = text;
    byId("said").textContent = sentence;
  }

  /** The frame of the picture has its shape, so that nothing is stretched and a region lies where it is. */
  keepShape() {
    const own = byId("own");
    const [width, height] = own.hidden ? [byId("picture").naturalWidth, byId("picture").naturalHeight] : [own.videoWidth, own.videoHeight];
    const ratio = width && height ? (width / height).toFixed(4) : "";
    if (!ratio || ratio === this.ratio) return;
    this.ratio = ratio;
    byId("view").style.setProperty("--ratio", ratio);
  }

  /** On a small screen the answer stays in sight when the picture is scrolled away: else nobody sees what they teach. */
  keepInSight() {
    const eye = byId("eye");
    new IntersectionObserver(([seen]) => {
      const away = document.body.dataset.tab === "teach" && seen.boundingClientRect.top < 0 && seen.intersectionRatio < 0.55;
      if (away && !eye.classList.contains("away")) eye.style.height = `${seen.boundingClientRect.height}px`;
      this.shrink(away);
    }, { threshold: [0, 0.2, 0.4, 0.5, 0.55, 0.6] }).observe(eye);
  }

  /** @param {boolean} [away] whether the picture is scrolled away */
  shrink(away = false) {
    const eye = byId("eye");
    eye.classList.toggle("away", away);
    eye.classList.toggle("shrunk", away || document.body.dataset.tab !== "teach");
    if (!away) eye.style.height = "";
  }

  drawTrouble() {
    const camera = this.entry;
    const open = camera?.phase === "open";
    const waits = camera?.pushed && !open;
    const trouble = waits ? "Waiting for a camera: press “Use this camera”." : camera ? camera.trouble : "No camera is set up.";
    write(byId("trouble"), trouble ?? (open ? "" : "Looking for the camera…"));
    byId("trouble").hidden = open && !trouble;
    byId("view").classList.toggle("lost", !open);
    if (!open) this.answer(null);
    if (open && this.phase === "lost") this.again();
    this.phase = camera?.phase;
  }

  drawTools() {
    const key = JSON.stringify([this.camera, this.cameras.map((one) => [one.name, one.pushed]), this.own.camera, this.page.labels.length > 0]);
    if (key === this.toolsKey) return;
    this.toolsKey = key;
    const tools = [];
    if (this.cameras.length > 1) {
      tools.push(el("select", { "aria-label": "Camera", "data-key": "camera", onchange: (event) => this.choose(event.target.value) },
        ...this.cameras.map((one) => el("option", { value: one.name, selected: one.name === this.camera }, one.name))));
    }
    const pushed = this.entry?.pushed ? this.entry : this.cameras.find((one) => one.pushed);
    if (pushed) {
      tools.push(el("button", { "data-testid": "use-camera", "data-key": "own", onclick: () => this.toggleOwn(pushed.name) },
        this.own.camera !== null ? "Stop this camera" : "Use this camera"));
    }
    if (this.entry) tools.push(el("button", { className: "plain", "data-key": "region", onclick: () => this.region.edit() }, "Region"));
    redraw(byId("tools"), ...tools);
    redraw(byId("acts"), ...(this.entry && this.page.labels.length ? [
      el("button", { "data-testid": "not-this", "data-key": "not", onclick: () => this.moments.deny() }, "Not this"),
      el("button", { "data-testid": "correct", "data-key": "is", onclick: () => this.moments.correct() }, "It is…"),
      el("button", { "data-testid": "why-button", "data-key": "why", "aria-expanded": "false", onclick: (event) => this.moments.explain(event.currentTarget) }, "Why?"),
    ] : []));
  }

  async toggleOwn(name) {
    if (this.own.camera !== null) this.own.stop();
    else if (await tried(() => this.own.start(name).then(() => true))) this.choose(name);
    this.ownChanged();
  }

  ownChanged() {
    this.stream();
    this.drawTools();
  }
}

/** What to say below an answer. */
function gloss(live) {
  const found = live.prediction;
  if (found === null) return live.trouble ?? "";
  if (LIGHT.includes(live.refused)) return words.hint(live.refused);
  if (found.label === null) return found.top.length ? `like nothing that was taught (nearest: ${words.named(found.top[0].label)})` : "nothing was taught yet";
  const next = found.top.find((one) => one.label !== found.label);
  return next && next.probability >= 0.05 ? `or ${words.named(next.label)}, ${words.percent(next.probability)}` : "";
}
