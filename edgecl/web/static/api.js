/** The daemon's API. A refusal is an Error whose message is the daemon's own words. */

const ROOT = "/api/v1";

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
  if (answer.status === 401) location.assign("/login");
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

/**
 * The socket on which the daemon tells what happens; it comes back by itself.
 * @param {{live: Function, state: Function, line: (open: boolean) => void}} told
 */
export class Socket {
  constructor(told) {
    this.told = told;
    this.wait = 500;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.line = new WebSocket(`${scheme}://${location.host}${ROOT}/live`);
    this.line.onopen = () => { this.wait = 500; this.told.line(true); };
    this.line.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.live) this.told.live(message.live);
      if (message.state) this.told.state(message.state);
    };
    this.line.onclose = () => {
      this.told.line(false);
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(this.wait * 2, 10000);
    };
  }

  /** @param {number} hold a lesson that goes on */
  beat(hold) {
    if (this.line.readyState === WebSocket.OPEN) this.line.send(JSON.stringify({ beat: hold }));
  }
}
