/** This browser's own camera, whose pictures are sent to the daemon as fast as it takes them, ten a second at most. */

import { part, send } from "./api.js";

const EVERY_MS = 100;
const WIDTH_PX = 640;
const QUALITY = 0.85;

export class BrowserCamera {
  /** @param {HTMLVideoElement} video @param {(text: string) => void} fail told why it ended by itself */
  constructor(video, fail) {
    this.video = video;
    this.fail = fail;
    /** @type {string | null} name of the camera that gets the pictures */
    this.camera = null;
    this.canvas = document.createElement("canvas");
  }

  /** @param {string} camera */
  async start(camera) {
    if (!navigator.mediaDevices) {
      throw new Error("A browser gives its camera only to https pages and to localhost: open this page there.");
    }
    this.media = await navigator.mediaDevices.getUserMedia({ video: { width: WIDTH_PX, facingMode: "environment" }, audio: false });
    this.media.getVideoTracks()[0].addEventListener("ended", () => this.stop());
    this.video.srcObject = this.media;
    await this.video.play();
    this.camera = camera;
    this.push();
  }

  stop() {
    this.camera = null;
    this.media?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }

  /** One picture after the other: the next is taken once the last has arrived, so that none is old. */
  async push() {
    let failures = 0;
    while (this.camera !== null) {
      const due = performance.now() + EVERY_MS;
      if (!document.hidden) {
        try {
          await send("PUT", `/cameras/${part(this.camera)}/frame`, await this.taken(), "image/jpeg");
          failures = 0;
        } catch (error) {
          failures += 1;
          if (failures === 5) this.fail(error.message);
          await new Promise((go) => setTimeout(go, Math.min(250 * failures, 5000)));
        }
      }
      await new Promise((go) => setTimeout(go, Math.max(due - performance.now(), 0)));
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
