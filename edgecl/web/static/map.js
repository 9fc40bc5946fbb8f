/** A map of all examples: alike ones lie close together. Tapped near, or walked with the arrow keys. */

import { el, svg } from "./dom.js";

const NEAR = 4; // of 100: about a fingertip on a phone
const RADIUS = 1.1;
const [WIDTH, HEIGHT] = [100, 60];
const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

const colour = (place) => `hsl(${(place * 137.5) % 360} 62% 48%)`;

/**
 * @param {{example: number, label: string, x: number, y: number}[]} points with x, y in [0, 1]
 * @param {(point: object) => void} open told which one is meant
 * @returns {Element[]} a legend, and the map
 */
export function map(points, open) {
  const labels = [...new Set(points.map((one) => one.label))];
  const places = spread(points.map((one) => [2 + (WIDTH - 4) * one.x, 2 + (HEIGHT - 4) * one.y]));
  const dots = points.map((one, at) => svg("circle", {
    cx: places[at][0], cy: places[at][1], r: RADIUS, fill: colour(labels.indexOf(one.label)), tabindex: at ? -1 : 0, role: "button",
    "data-key": `point-${one.example}`, "aria-label": `example ${one.example} of ${one.label}`,
    onkeydown: (event) => {
      if (event.key === "Enter" || event.key === " ") open(one);
      else if (DIRECTIONS[event.key]) walk(dots, at, next(places, at, DIRECTIONS[event.key]));
      else return;
      event.preventDefault();
    },
  }));
  const shape = svg("svg", { class: "map", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "data-testid": "map",
    "aria-label": "Map of every example; alike ones lie close together. Arrow keys go from one to the next." }, ...dots);
  shape.addEventListener("click", (event) => {
    const box = shape.getBoundingClientRect();
    const at = nearest(places, [WIDTH * (event.clientX - box.left) / box.width, HEIGHT * (event.clientY - box.top) / box.height]);
    if (at !== null) open(points[at]);
  });
  return [el("div", { className: "legend" }, ...labels.map((label, place) => {
    const dot = el("i");
    dot.style.background = colour(place);
    return el("span", { className: "name" }, dot, label);
  })), shape];
}

/** Points that hide one another are pushed apart, as far as there is room: each can be seen and tapped. */
function spread(places) {
  const gap = Math.min(2 * RADIUS, 0.6 * Math.sqrt((WIDTH * HEIGHT) / Math.max(places.length, 1)));
  const rounds = Math.min(20, Math.floor(3e6 / places.length ** 2)); // a large map must not keep anyone waiting
  for (let round = 0; round < rounds; round += 1) {
    places.forEach((one, at) => {
      for (let other = 0; other < at; other += 1) apart(one, places[other], gap, at);
    });
  }
  return places;
}

function apart(one, other, gap, turn) {
  let [dx, dy] = [one[0] - other[0], one[1] - other[1]];
  const far = Math.hypot(dx, dy);
  if (far >= gap) return;
  if (far < 1e-6) [dx, dy] = [Math.cos(turn), Math.sin(turn)];
  const push = (gap - far) / 2 / (far < 1e-6 ? 1 : far);
  move(one, push * dx, push * dy);
  move(other, -push * dx, -push * dy);
}

function move(place, dx, dy) {
  place[0] = Math.min(Math.max(place[0] + dx, RADIUS), WIDTH - RADIUS);
  place[1] = Math.min(Math.max(place[1] + dy, RADIUS), HEIGHT - RADIUS);
}

function walk(dots, from, to) {
  dots[from].setAttribute("tabindex", "-1");
  dots[to].setAttribute("tabindex", "0");
  dots[to].focus();
}

/** The closest point that lies that way; what lies aside counts as farther. */
function next(places, from, [right, down]) {
  let [best, found] = [Infinity, from];
  places.forEach(([x, y], at) => {
    const [dx, dy] = [x - places[from][0], y - places[from][1]];
    const [ahead, aside] = [dx * right + dy * down, Math.abs(dx * down) + Math.abs(dy * right)];
    if (at !== from && ahead > 0 && ahead + 2 * aside < best) [best, found] = [ahead + 2 * aside, at];
  });
  return found;
}

function nearest(places, [x, y]) {
  let [best, found] = [NEAR, null];
  places.forEach(([px, py], at) => {
    const far = Math.hypot(px - x, py - y);
    if (far < best) [best, found] = [far, at];
  });
  return found;
}
