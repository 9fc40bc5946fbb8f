/** Every sentence that is made of figures. */

/** @param {number | null | undefined} share */
export const percent = (share) => (share === null || share === undefined ? "–" : `${Math.round(100 * share)} %`);

/** @param {number} count @param {string} one */
export const plural = (count, one) => `${count} ${one}${count === 1 ? "" : /(s|x|ch)$/.test(one) ? "es" : "s"}`;

/** @param {number} at s since the epoch */
export const moment = (at) => new Date(1000 * at).toLocaleString([], { dateStyle: "short", timeStyle: "short" });

/** @param {number} at s since the epoch */
export const clock = (at) => new Date(1000 * at).toLocaleTimeString([], { timeStyle: "medium" });

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** A name in a sentence: one that runs from right to left must not turn the rest around. @param {string} label */
export const named = (label) => (RIGHT_TO_LEFT.test(label) ? `\u2068${label}\u2069` : label);

const HINTS = {
  "too dark": "too dark: add light",
  "too bright": "too bright: turn from the light",
  blurred: "blurred: hold it still, or further away",
  moving: "moving too fast: slower",
  unchanged: "the very same picture: move it a little",
  redundant: "seen already: turn it",
  kept: "good, go on turning it",
  "not finite": "this picture cannot be used",
};

/** What to do about what became of a frame. @param {string | null} last */
export const hint = (last) => (last === null || last === "too soon" ? "" : HINTS[last] ?? last);

/** @param {string | null} last what became of a frame */
export const isRefusal = (last) => last !== null && !["kept", "redundant", "too soon"].includes(last);

/** @param {{kept: number, redundant: number, rejected: number, reasons: Record<string, number>}} count */
export function counted(count) {
  const refused = count.rejected - (count.reasons["too soon"] ?? 0);
  return `${count.kept} kept · ${count.redundant} redundant · ${refused} refused`;
}

/** What a lesson did. @param {object} report @param {number} classes known now */
export function learned(report, classes) {
  if (report.waits) return `${named(report.label)} is kept, and learned later: ${report.waits}.`;
  const own = report.accuracy === null ? "too few views to tell how well" : `${percent(report.accuracy)} of left-out views`;
  let others = "";
  if (report.others_after !== null) {
    const [before, after] = [percent(report.others_before), percent(report.others_after)];
    const same = before === after || report.others_before === null;
    others = same ? `; the others unchanged, ${after}` : `; the others ${before} → ${after}`;
  }
  return `Knows ${plural(classes, "class")}. ${named(report.label)}: ${own}${others}.`;
}

/** A lesson in a line. @param {object} one */
export function lesson(one) {
  const label = one.label ? named(one.label) : "a forgotten class";
  const from = one.from_label ? named(one.from_label) : "a forgotten class";
  switch (one.kind) {
    case "teach": return `taught ${label}: ${one.kept} kept of ${one.seen}`;
    case "correct": return `an example of ${from} counts as ${label}`;
    case "rename": return one.label || one.from_label ? `${from} is called ${label} now` : "a class was renamed, forgotten since";
    case "merge": return `${from} became ${label}`;
    case "deny": return `said: not ${label}`;
    case "drop": return `took out an example of ${label}`;
    default: return "a class was forgotten for good";
  }
}

/** Why a frame was answered as it was. @param {object} found */
export function reason(found) {
  const far = found.usual_distance ? found.distance / found.usual_distance : 0;
  return [
    found.label === null ? "It is called unknown." : `It is called ${named(found.label)}, ${percent(found.probability)}.`,
    found.runner_up === null || found.margin === null ? "" : `Next would be ${named(found.runner_up)} (margin ${found.margin.toFixed(1)}).`,
    `It lies ${far.toFixed(1)} times as far from what was taught as views usually do.`,
  ].filter(Boolean).join(" ");
}

/** How warm the board is. @param {{temperature_c: number | null}} board */
export const warmth = (board) => (board.temperature_c === null ? "" : ` · ${Math.round(board.temperature_c)} °C`);

/** How far a release is tried. @param {{seconds: number, frames: number, accuracy: number | null}} one */
export const trial = (one) => `in trial: ${plural(one.frames, "frame")} in ${plural(Math.round(one.seconds / 60), "minute")}`;
