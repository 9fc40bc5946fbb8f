/** This browser's own camera, whose pictures are sent to the daemon as fast as it takes them, ten a second at most. */

import { part, send } from "./api.js";

const EVERY_MS = 100;
const WIDTH_PX = 640;
const QUALITY = 0.85;
const REFUSALS = {
  NotAllowedError: "The browser may not use its camera: allow it beside the address of this page, and try again.",
  NotFoundError: "This browser has no camera to look through.",
  NotReadableError: "The camera is taken: close what else looks through it, and try again.",
};

const asleep = (ms) => new Promise((go) => setTimeout(go, ms));

export class BrowserCamera {
  /** @param {HTMLVideoElement} video @param {{failed: (text: string) => void, ended: () => void}} told what happens by itself */
  constructor(video, told) {
    this.video = video;
    this.told = told;
    /** @type {string | null} name of the camera that gets the pictures */
    this.camera = null;
    this.canvas = document.createElement("canvas");
  }

  /** @param {string} camera */
  async start(camera) {
    if (!navigator.mediaDevices) {
      throw new Error("A browser gives its camera only to https pages and to localhost: open this page there.");
    }
    try {
      this.media = await navigator.mediaDevices.getUserMedia({ video: { width: WIDTH_PX, facingMode: "environment" }, audio: false });
    } catch (error) {
      throw new Error(REFUSALS[error.name] ?? error.message);
    }
    this.media.getVideoTracks()[0].addEventListener("ended", () => { this.stop(); this.told.ended(); });
    this.video.srcObject = this.media;
    await this.video.play();
    this.camera = camera;
    this.push(this.media);
  }

  stop() {
    this.camera = null;
    this.media?.getTracks().forEach((track) => track.stop());
    this.media = null;
    this.video.srcObject = null;
  }

  /** One picture after the other: the next is taken once the last has arrived, so that none is old. */
  async push(media) {
    let failures = 0;
    while (this.media === media) {
      const due = performance.now() + EVERY_MS;
      if (!document.hidden) {
        try {
          await send("PUT", `/cameras/${part(this.camera)}/frame`, await this.taken(), "image/jpeg");
          failures = 0;
        } catch (error) {
          failures += 1;
          if (failures === 5) this.told.failed(error.message);
          await asleep(Math.min(250 * failures, 5000));
        }
      }
      await asleep(Math.max(due - performance.now(), 0));
    }
  }

  taken() {
    const scale = Math.min(1, WIDTH_PX / this.video.videoWidth);
    this.canvas.width = Math.round(this.video.videoWidth * scale);
    this.canvas.height = Math.round(this.video.videoHeight * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((done, fail) => {
      this.canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the picture could not be taken"))), "image/jpeg", QUALITY);
    });
  }
}
