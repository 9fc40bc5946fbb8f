/**
 * The daemon's API. A refusal is an Error whose message is the daemon's own words.
 * Addresses are relative to the page: a reverse proxy may show it below any path.
 */

const ROOT = "api/v1";
const SILENT_MS = 5000; // the daemon says something every second; without its word for so long, the line is cut
const WAIT_MS = [500, 10000];

/** @param {string} text */
export const part = (text) => encodeURIComponent(text);

async function ask(method, path, body, kind) {
  const headers = {};
  if (kind) headers["Content-Type"] = kind;
  else if (body !== undefined) headers["Content-Type"] = "application/json";
  const data = kind || body === undefined ? body : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(ROOT + path, { method, headers, body: data });
  } catch {
    throw new Error("The device does not answer. Is it on, and are you in its network?");
  }
  if (answer.status === 401) {
    location.assign("login");
    await new Promise(() => {}); // this page is about to end
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(told.message || `refused (${answer.status})`), { status: answer.status });
  return told;
}

export const get = (path) => ask("GET", path);
export const post = (path, body = {}) => ask("POST", path, body);
export const patch = (path, body) => ask("PATCH", path, body);
export const put = (path, body) => ask("PUT", path, body);
export const drop = (path) => ask("DELETE", path);
export const send = (method, path, data, kind) => ask(method, path, data, kind);
export const picture = (path) => ROOT + path;

/** The socket on which the daemon tells what happens; it comes back by itself. */
export class Socket {
  /** @param {{live: (live: object) => void, state: (state: object) => void, line: (open: boolean) => void}} told */
  constructor(told) {
    this.told = told;
    this.wait = WAIT_MS[0];
    this.open();
    setInterval(() => { if (this.line && performance.now() - this.heard > SILENT_MS) this.lose(); }, 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden && !this.line) this.open(); });
  }

  open() {
    clearTimeout(this.again);
    const address = new URL(`${ROOT}/live`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const line = new WebSocket(address);
    this.line = line;
    this.heard = performance.now();
    line.onopen = () => { this.wait = WAIT_MS[0]; this.told.line(true); };
    line.onmessage = (event) => {
      if (line !== this.line) return;
      this.heard = performance.now();
      const message = JSON.parse(event.data);
      if (message.live) this.told.live(message.live);
      if (message.state) this.told.state(message.state);
    };
    line.onclose = () => { if (line === this.line) this.lose(); };
  }

  /** Not waiting for the close of a line that is cut: that may take minutes. */
  lose() {
    const dead = this.line;
    this.line = null;
    dead.close();
    this.told.line(false);
    get("/state").catch(() => {}); // a session that has ended is told here: to the login
    this.again = setTimeout(() => this.open(), this.wait);
    this.wait = Math.min(this.wait * 2, WAIT_MS[1]);
  }

  /** @param {number} hold a lesson that goes on */
  beat(hold) {
    if (this.line?.readyState === WebSocket.OPEN) this.line.send(JSON.stringify({ beat: hold }));
  }
}
