/** What the camera sees and what is made of it: picture, region, answer, the last moments, and why. */

import { get, part, picture, post, put } from "./api.js";
import { BrowserCamera } from "./browsercam.js";
import { choose, show } from "./dialog.js";
import { byId, el, note, svg, tried } from "./dom.js";
import * as words from "./words.js";

const SAY_EVERY_MS = 1000;
const MOMENTS_EVERY_MS = 2000;

export class LiveView {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.camera = null;
    this.cameras = [];
    this.newest = null;
    this.own = new BrowserCamera(byId("own"), (text) => note(text, { bad: true }));
    this.saidAt = 0;
    this.shownMoments = "";
    this.drawing = null;
    this.listenToRegion();
    document.addEventListener("visibilitychange", () => this.stream());
    setInterval(() => this.fetchMoments(), MOMENTS_EVERY_MS);
  }

  get base() {
    return `/cameras/${part(this.camera)}`;
  }

  /** @param {object} state */
  state(state) {
    this.cameras = state.cameras;
    if (!this.cameras.some((one) => one.name === this.camera)) {
      const open = this.cameras.find((one) => one.phase === "open") ?? this.cameras[0];
      this.choose(open ? open.name : null);
    }
    this.drawTools();
    this.drawTrouble();
    this.drawRegion();
  }

  choose(name) {
    this.camera = name;
    this.newest = null;
    this.shownMoments = "";
    byId("moments").replaceChildren();
    byId("why").hidden = true;
    this.stream();
    this.drawTools();
  }

  /** Show pictures while someone looks, and ask for none while nobody does. */
  stream() {
    const shown = byId("picture");
    const own = this.own.camera !== null && this.own.camera === this.camera;
    byId("own").hidden = !own;
    shown.hidden = own || this.camera === null;
    const source = document.hidden || shown.hidden ? "" : picture(`${this.base}/stream.mjpg`);
    if (shown.getAttribute("src") !== source) {
      if (source) shown.src = source;
      else shown.removeAttribute("src");
    }
  }

  /** @param {object} live */
  live(live) {
    if (live.camera !== this.camera) return;
    this.newest = live;
    const found = live.prediction;
    const label = byId("label");
    const text = found === null ? live.trouble ?? "…" : found.label ?? "unknown";
    if (label.textContent !== text) label.textContent = text;
    label.classList.toggle("unknown", found === null || found.label === null);
    const share = found === null || found.label === null ? 0 : found.probability;
    byId("bar").style.width = `${100 * share}%`;
    byId("share").textContent = this.inWords(found);
    byId("speed").textContent = `· ${live.fps.toFixed(0)} frames a second, ${Math.round(1000 * live.age)} ms old`;
    this.say(text, share);
  }

  inWords(found) {
    if (found === null) return "";
    if (found.label !== null) return `${words.percent(found.probability)} sure`;
    if (!found.top.length) return "nothing was taught yet";
    return `like nothing that was taught (nearest: ${found.top[0].label})`;
  }

  /** To who listens instead of looking: a new answer, at most once a second. */
  say(text, share) {
    const now = performance.now();
    if (now - this.saidAt < SAY_EVERY_MS || this.saidText === text) return;
    this.saidAt = now;
    this.saidText = text;
    byId("said").textContent = share ? `${text}, ${words.percent(share)}` : text;
  }

  drawTrouble() {
    const camera = this.cameras.find((one) => one.name === this.camera);
    const trouble = camera === undefined ? "No camera is set up." : camera.trouble;
    const waits = camera?.pushed && camera.phase !== "open";
    byId("trouble").textContent = waits ? "Waiting for your camera: press “Use this camera”." : trouble ?? "";
    byId("trouble").hidden = !trouble && !waits;
    byId("view").classList.toggle("lost", camera === undefined || camera.phase !== "open");
    if (camera?.phase === "open" && this.phase !== "open") this.stream();
    this.phase = camera?.phase;
  }

  drawTools() {
    const key = JSON.stringify([this.camera, this.cameras.map((one) => [one.name, one.pushed]), this.own.camera, this.page.labels]);
    if (key === this.toolsKey) return;
    this.toolsKey = key;
    const camera = this.cameras.find((one) => one.name === this.camera);
    const tools = [];
    if (this.cameras.length > 1) {
      tools.push(el("select", { "aria-label": "Camera", onchange: (event) => this.choose(event.target.value) },
        ...this.cameras.map((one) => el("option", { value: one.name, selected: one.name === this.camera }, one.name))));
    }
    const pushed = this.cameras.find((one) => one.pushed);
    if (pushed) {
      const on = this.own.camera !== null;
      tools.push(el("button", { "data-testid": "use-camera", onclick: () => this.toggleOwn(pushed.name) },
        on ? "Stop this camera" : "Use this camera"));
    }
    if (camera && this.page.labels.length) {
      tools.push(
        el("button", { "data-testid": "not-this", onclick: () => this.deny() }, "Not this"),
        el("button", { "data-testid": "correct", onclick: () => this.correct() }, "It is…"),
        el("button", { "data-testid": "why-button", onclick: () => this.explain() }, "Why?"),
      );
    }
    if (camera) tools.push(el("button", { className: "plain", onclick: () => this.editRegion() }, "Region"));
    byId("tools").replaceChildren(...tools);
  }

  async toggleOwn(name) {
    if (this.own.camera !== null) this.own.stop();
    else if (await tried(() => this.own.start(name).then(() => true))) this.choose(name);
    this.stream();
    this.drawTools();
  }

  // The last moments

  async fetchMoments() {
    if (document.hidden || this.camera === null) return;
    const moments = await get(`${this.base}/moments`).catch(() => null);
    if (moments === null) return;
    const key = JSON.stringify(moments.map((one) => one.moment));
    if (key === this.shownMoments) return;
    this.shownMoments = key;
    byId("moments").replaceChildren(...moments.map((one) => el("li", {},
      el("button", { onclick: () => this.ask(one), "aria-label": `${one.label ?? "unknown"}, ${words.moment(one.taken_at)}: correct` },
        el("img", { src: picture(`${this.base}/moments/${one.moment}.jpg`), alt: "" }),
        el("span", { "aria-hidden": "true" }, one.label ?? "unknown")))));
  }

  /** What was it really? */
  ask(one) {
    const image = el("img", { className: "big", src: picture(`${this.base}/moments/${one.moment}.jpg`), alt: "the picture in question" });
    const above = [image];
    if (one.label !== null) above.push(el("button", { onclick: () => { byId("dialog").close(); this.denyMoment(one); } }, `Not ${one.label}`));
    choose("What is it?", this.page.labels, (label) => this.teachMoment(one, label), above);
  }

  async teachMoment(one, label) {
    const report = await post(`${this.base}/moments/${one.moment}`, { label });
    this.page.teaching.report(report);
    return report;
  }

  async denyMoment(one) {
    const done = await tried(() => post(`${this.base}/moments/${one.moment}/not`, { label: one.label }));
    if (done) note(`Noted: that is not ${one.label}.`, { act: ["Undo", () => this.page.undo()] });
  }

  /** The last moment that was answered as the page shows it now. */
  async shownMoment() {
    const label = this.newest?.prediction?.label ?? null;
    const moments = await tried(() => get(`${this.base}/moments`));
    const one = moments?.find((moment) => moment.label === label);
    if (moments && !one) note("It was not seen clearly in the last seconds; hold it still, and try again.", { bad: true });
    return one;
  }

  async deny() {
    if ((this.newest?.prediction?.label ?? null) === null) { note("It is unknown already."); return; }
    const one = await this.shownMoment();
    if (one) await this.denyMoment(one);
  }

  async correct() {
    const one = await this.shownMoment();
    if (one) this.ask(one);
  }

  async explain() {
    const why = byId("why");
    if (!why.hidden) { why.hidden = true; return; }
    const found = await tried(() => get(`${this.base}/why`));
    if (!found) return;
    const far = found.usual_distance ? found.distance / found.usual_distance : 0;
    const lines = [
      found.label === null ? "It is called unknown." : `It is called ${found.label}, ${words.percent(found.probability)}.`,
      found.runner_up === null ? "" : `Next would be ${found.runner_up} (margin ${found.margin.toFixed(1)}).`,
      `It lies ${far.toFixed(1)} times as far from what was taught as views usually do.`,
    ];
    why.replaceChildren(el("div", { className: "sheet" }, el("p", {}, lines.join(" ")), el("p", { className: "small" }, "The most alike of what was taught:"),
      el("ul", { className: "strip" }, ...found.nearest.map((one) => el("li", {}, el("figure", {},
        el("img", { src: picture(`/examples/${one.example}.jpg`), alt: one.label }),
        el("figcaption", { className: "small" }, `${one.label} ${one.similarity.toFixed(2)}`)))))));
    why.hidden = false;
  }

  // The region

  drawRegion() {
    const camera = this.cameras.find((one) => one.name === this.camera);
    const corners = this.drawing ?? camera?.region ?? [];
    const shape = byId("region");
    if (!corners.length) { shape.replaceChildren(); return; }
    const path = corners.map(([x, y], place) => `${place ? "L" : "M"}${100 * x} ${100 * y}`).join("");
    shape.replaceChildren(svg("path", { d: `M0 0H100V100H0Z${path}Z` }));
  }

  listenToRegion() {
    const shape = byId("region");
    const at = (event) => {
      const box = shape.getBoundingClientRect();
      const clamp = (value) => Math.min(Math.max(value, 0), 1);
      return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
    };
    const rectangle = ([a, b], [c, d]) => {
      const [left, right] = [Math.min(a, c), Math.max(a, c)];
      const [top, low] = [Math.min(b, d), Math.max(b, d)];
      return [[left, top], [right, top], [right, low], [left, low]];
    };
    shape.addEventListener("pointerdown", (event) => {
      if (!byId("view").classList.contains("drawing")) return;
      shape.setPointerCapture(event.pointerId);
      this.from = at(event);
    });
    shape.addEventListener("pointermove", (event) => {
      if (!this.from) return;
      this.drawing = rectangle(this.from, at(event));
      this.drawRegion();
    });
    shape.addEventListener("pointerup", async () => {
      const [[left, top], , [right, low]] = this.drawing ?? [[0, 0], [0, 0], [0, 0]];
      this.from = null;
      byId("view").classList.remove("drawing");
      if (right - left > 0.02 && low - top > 0.02) await this.setRegion([left, top, right, low]);
      this.drawing = null;
      this.drawRegion();
    });
  }

  editRegion() {
    const camera = this.cameras.find((one) => one.name === this.camera);
    const corners = camera?.region?.length ? camera.region : [[0, 0], [1, 0], [1, 1], [0, 1]];
    const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
    const sides = { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
    const inputs = Object.entries(sides).map(([name, value]) => el("input", { type: "number", min: 0, max: 100, step: 1, value: Math.round(100 * value), id: `side-${name}` }));
    const rows = inputs.map((input, place) => el("label", {}, `${Object.keys(sides)[place]} % `, input));
    show("Which part of the picture counts?", [el("div", { className: "row" }, ...rows)], [
      ["Use these", () => this.setRegion(inputs.map((input) => Number(input.value) / 100)), "main"],
      ["Draw it", () => { byId("view").classList.add("drawing"); note("Drag over the part that counts."); return true; }],
      ["All of it", () => this.setRegion(null)],
    ]);
  }

  async setRegion(region) {
    await put(`${this.base}/region`, { region });
    return true;
  }
}

