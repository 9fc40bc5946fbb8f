/** The part of a camera's picture that counts: dragged or tapped over it with a finger, or set as four sides. */

import { part, put } from "./api.js";
import { show } from "./dialog.js";
import { byId, el, note, svg, tried } from "./dom.js";

const SLIP = 0.02; // share of a side; less is no dragging
const NEAR = 0.06; // of the first corner, in shares of a side, a tap closes the outline
const ALL = [[0, 0], [1, 0], [1, 1], [0, 1]];

export class Region {
  constructor() {
    /** @type {{name: string, region: number[][]} | null} */
    this.camera = null;
    /** @type {number[][]} corners that were tapped, while it is drawn */
    this.tapped = [];
    /** @type {number[] | null} where the finger went down */
    this.from = null;
    /** @type {number[] | null} where it is now */
    this.to = null;
    this.listen();
  }

  /** @param {{name: string, region: number[][]} | undefined} camera whose region is shown */
  show(camera) {
    this.camera = camera ?? null;
    this.draw();
  }

  get drawing() {
    return byId("view").classList.contains("drawing");
  }

  get dragged() {
    if (!this.from || !this.to) return null;
    const [left, top, right, low] = sides([this.from, this.to]);
    return right - left > SLIP && low - top > SLIP ? [left, top, right, low] : null;
  }

  draw() {
    const box = this.dragged;
    const corners = box ? outline(box) : this.drawing ? this.tapped : this.camera?.region ?? [];
    const path = corners.map(([x, y], place) => `${place ? "L" : "M"}${100 * x} ${100 * y}`).join("");
    const drawn = corners.length > 2 ? [svg("path", { class: "rest", d: `M0 0H100V100H0Z${path}Z` })] : [];
    if (path) drawn.push(svg("path", { class: "part", d: corners.length > 2 ? `${path}Z` : path }));
    if (!box && this.drawing) for (const [x, y] of corners) drawn.push(svg("path", { class: "corner", d: `M${100 * x} ${100 * y}h0` }));
    byId("region").replaceChildren(...drawn);
  }

  listen() {
    const shape = byId("region");
    const at = (event) => {
      const box = shape.getBoundingClientRect();
      const inside = (value) => Math.min(Math.max(value, 0), 1);
      return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
    };
    shape.addEventListener("pointerdown", (event) => {
      if (!this.drawing) return;
      shape.setPointerCapture(event.pointerId);
      this.from = this.to = at(event);
    });
    shape.addEventListener("pointermove", (event) => {
      if (!this.from) return;
      this.to = at(event);
      this.draw();
    });
    shape.addEventListener("pointerup", () => this.lifted());
    shape.addEventListener("pointercancel", () => this.leave());
    document.addEventListener("keydown", (event) => {
      if (!this.drawing) return;
      if (event.key === "Escape") this.leave();
      if (event.key === "Enter" && this.tapped.length > 2) this.close(this.tapped);
    });
  }

  /** What was dragged is a rectangle; what was tapped is the next corner, or closes the outline at its first. */
  lifted() {
    if (!this.from) return;
    const [box, [x, y], first] = [this.dragged, this.from, this.tapped[0]];
    this.from = this.to = null;
    if (box) this.close(box);
    else if (first && this.tapped.length > 2 && Math.hypot(x - first[0], y - first[1]) < NEAR) this.close(this.tapped);
    else {
      this.tapped.push([x, y]);
      this.draw();
    }
  }

  async close(region) {
    this.leave();
    await tried(() => this.set(region));
  }

  leave() {
    byId("view").classList.remove("drawing");
    this.from = this.to = null;
    this.tapped = [];
    this.draw();
  }

  edit() {
    const names = ["left", "top", "right", "bottom"];
    const inputs = sides(this.camera?.region?.length ? this.camera.region : ALL).map((value, place) =>
      el("input", { type: "number", min: 0, max: 100, step: 1, value: Math.round(100 * value), id: `side-${names[place]}` }));
    const rows = inputs.map((input, place) => el("label", { className: "field" }, `${names[place]}, % `, input));
    show("Which part of the picture counts?", [el("div", { className: "row" }, ...rows)], [
      ["Use these", () => this.set(inputs.map((input) => Number(input.value) / 100)), "main"],
      ["Draw it", () => this.begin()],
      ["All of it", () => this.set([0, 0, 1, 1])],
    ]);
  }

  begin() {
    byId("view").classList.add("drawing");
    window.scrollTo(0, 0); // the picture may be scrolled away, and small
    this.draw();
    note("Drag over the part that counts, or tap its corners one after the other and the first again. Escape to leave it.");
    return true;
  }

  async set(region) {
    await put(`/cameras/${part(this.camera.name)}/region`, { region });
    return true;
  }
}

/** Left, top, right and bottom of some points. */
function sides(corners) {
  const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

const outline = ([left, top, right, low]) => [[left, top], [right, top], [right, low], [left, low]];
