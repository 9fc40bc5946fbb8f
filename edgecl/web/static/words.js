/** Every sentence that is made of figures. */

/** @param {number | null} share */
export const percent = (share) => (share === null || share === undefined ? "–" : `${Math.round(100 * share)} %`);

/** @param {number} count @param {string} one */
export const plural = (count, one) => `${count} ${one}${count === 1 ? "" : /(s|x|ch)$/.test(one) ? "es" : "s"}`;

/** @param {number} at s since the epoch */
export const moment = (at) => new Date(1000 * at).toLocaleString([], { dateStyle: "short", timeStyle: "short" });

const HINTS = {
  "too dark": "too dark: add light",
  "too bright": "too bright: turn from the light",
  blurred: "blurred: hold it still, or further away",
  moving: "moving too fast: slower",
  "too soon": "",
  unchanged: "the very same picture: move it a little",
  redundant: "seen already: turn it",
  kept: "good, go on turning it",
  "not finite": "this picture cannot be used",
};

/** @param {string | null} last what became of the newest frame */
export const hint = (last) => (last === null ? "" : HINTS[last] ?? last);

/** @param {{kept: number, redundant: number, rejected: number, reasons: Record<string, number>}} count */
export function counted(count) {
  const refused = count.rejected - (count.reasons["too soon"] ?? 0);
  return `${count.kept} kept · ${count.redundant} redundant · ${refused} refused`;
}

/** What a lesson did. @param {object} report @param {number} classes known now */
export function learned(report, classes) {
  const own = report.accuracy === null ? "too few views to tell how well" : `${percent(report.accuracy)} of left-out views`;
  let others = "";
  if (report.others_after !== null) {
    const [before, after] = [percent(report.others_before), percent(report.others_after)];
    const same = before === after || report.others_before === null;
    others = same ? `; the others unchanged, ${after}` : `; the others ${before} → ${after}`;
  }
  return `Knows ${plural(classes, "class")}. ${report.label}: ${own}${others}.`;
}

/** A lesson in a line. */
export function lesson(one) {
  const label = one.label || "a forgotten class";
  const from = one.from_label || "a forgotten class";
  switch (one.kind) {
    case "teach": return `taught ${label}: ${one.kept} kept of ${one.seen}`;
    case "correct": return `an example of ${from} counts as ${label}`;
    case "rename": return `${from} is called ${label} now`;
    case "merge": return `${from} became ${label}`;
    case "deny": return `said: not ${label}`;
    case "drop": return `took out an example of ${label}`;
    default: return "a class was forgotten for good";
  }
}
