// Points on a plane: dragged, zoomed, picked and lassoed.

import { h } from "./dom.js";
import { PointCloud } from "./point_cloud.js";

const PICK_PIXELS = 12;
const MARGIN = 1.12;
const ZOOM = 1.25;
// WebGL is slow once so many frames of a moving map have come this long after they were asked for.
const SLOW_MILLISECONDS = 33;
const SLOW_FRAMES = 3;
const REST_MILLISECONDS = 200;

export class Scatter {
  /** `onpick(index | -1, x, y)` follows the pointer, `onlasso(indices)` comes when a line is closed. */
  constructor({ onpick, onlasso }) {
    Object.assign(this, { onpick, onlasso, centre: [0, 0], span: 1, isLasso: false, line: [], slowFrames: 0 });
    this.canvas = h("canvas", { tabIndex: 0, ariaLabel: "Map. Arrow keys move, plus and minus zoom, 0 shows all.", role: "img" });
    this.overlay = h("canvas", { className: "overlay", ariaHidden: "true" });
    this.element = h("div", { className: "scatter" }, this.canvas, this.overlay, h("div", { className: "zoom" },
      h("button", { type: "button", ariaLabel: "Zoom in", onclick: () => this.zoom(1 / ZOOM) }, "+"),
      h("button", { type: "button", ariaLabel: "Zoom out", onclick: () => this.zoom(ZOOM) }, "−"),
      h("button", { type: "button", ariaLabel: "Show all", onclick: () => this.all() }, "all")));
    const gl = this.canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    this.cloud = gl && new PointCloud(gl);
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault()); // else it does not come back
    this.canvas.addEventListener("webglcontextrestored", () => this.restore(gl));
    new ResizeObserver(() => this.resize()).observe(this.element);
    this.listen();
  }

  get isSupported() {
    return Boolean(this.cloud);
  }

  /** `places` x, y, x, y …; `colours` four bytes a point; `sizes` in CSS pixels. */
  set(places, colours, sizes) {
    this.places = places;
    this.paint(colours, sizes);
    if (!this.isMoved) this.all();
  }

  paint(colours, sizes) {
    this.cloud.set(this.places, colours, sizes);
    this.draw();
  }

  /** A graphics card that was lost took the points with it. */
  restore(gl) {
    const { places, colours, sizes } = this.cloud;
    this.cloud = new PointCloud(gl);
    if (places) this.paint(colours, sizes);
  }

  /** Show all points. */
  all() {
    let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let at = 0; at < this.places.length; at += 2) {
      left = Math.min(left, this.places[at]);
      right = Math.max(right, this.places[at]);
      bottom = Math.min(bottom, this.places[at + 1]);
      top = Math.max(top, this.places[at + 1]);
    }
    this.centre = [(left + right) / 2 || 0, (bottom + top) / 2 || 0];
    this.span = (Math.max(top - bottom, (right - left) / this.aspect) || 1) * MARGIN;
    this.isMoved = false;
    this.draw();
  }

  get aspect() {
    return this.canvas.clientWidth / this.canvas.clientHeight || 1;
  }

  resize() {
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = Math.round(this.element.clientWidth * devicePixelRatio);
      canvas.height = Math.round(this.element.clientHeight * devicePixelRatio);
    }
    if (this.places && !this.isMoved) this.all();
    else this.draw();
  }

  /** Draw in the next frame, once however often it is asked for. */
  draw() {
    if (this.frame) return;
    const asked = performance.now();
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      if (this.isMoving && performance.now() - asked > SLOW_MILLISECONDS) this.slowFrames += 1;
      this.drawNow();
    });
  }

  drawNow() {
    if (!this.places) return;
    const view = { centre: this.centre, scale: [2 / (this.span * this.aspect), 2 / this.span], pixels: devicePixelRatio };
    if (this.isMoving && this.slowFrames >= SLOW_FRAMES) this.cloud.drawPicture(view);
    else this.cloud.draw(view);
  }

  /** From a pixel of the element to the plane. */
  toPlane(x, y) {
    const pixel = this.span / this.element.clientHeight;
    return [this.centre[0] + (x - this.element.clientWidth / 2) * pixel, this.centre[1] - (y - this.element.clientHeight / 2) * pixel];
  }

  picked(x, y) {
    const [px, py] = this.toPlane(x, y);
    let best = (PICK_PIXELS * this.span / this.element.clientHeight) ** 2;
    let found = -1;
    for (let at = 0; at < (this.places?.length ?? 0); at += 2) {
      const away = (this.places[at] - px) ** 2 + (this.places[at + 1] - py) ** 2;
      if (away < best) [best, found] = [away, at / 2];
    }
    return found;
  }

  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const before = this.toPlane(x, y);
    this.moves();
    this.span *= factor;
    const after = this.toPlane(x, y);
    this.centre = [this.centre[0] + before[0] - after[0], this.centre[1] + before[1] - after[1]];
    this.draw();
  }

  /** Until it rests, the map is in motion. */
  moves() {
    this.isMoved = this.isMoving = true;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      this.isMoving = false;
      this.draw();
    }, REST_MILLISECONDS);
  }

  move(dx, dy) {
    this.moves();
    const pixel = this.span / this.element.clientHeight;
    this.centre = [this.centre[0] - dx * pixel, this.centre[1] + dy * pixel];
    this.draw();
  }

  listen() {
    const keys = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    this.canvas.addEventListener("keydown", (event) => {
      if (event.key in keys) this.move(...keys[event.key]);
      else if (event.key === "+" || event.key === "=") this.zoom(1 / ZOOM);
      else if (event.key === "-") this.zoom(ZOOM);
      else if (event.key === "0") this.all();
      else return;
      event.preventDefault();
    });
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * 0.0015), event.offsetX, event.offsetY);
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.line = [[event.offsetX, event.offsetY]];
    });
    this.canvas.addEventListener("pointermove", (event) => this.moved(event));
    this.canvas.addEventListener("pointerleave", () => this.onpick(-1));
    this.canvas.addEventListener("pointerup", () => {
      if (this.isLasso && this.line.length > 2) this.onlasso(this.within(this.line.map(([x, y]) => this.toPlane(x, y))));
      this.line = [];
      this.drawLine();
    });
  }

  moved(event) {
    if (!event.buttons || !this.line.length) this.onpick(this.picked(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
    else if (this.isLasso) {
      this.line.push([event.offsetX, event.offsetY]);
      this.drawLine();
    } else this.move(event.movementX, event.movementY);
  }

  drawLine() {
    const context = this.overlay.getContext("2d");
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    if (!this.isLasso || this.line.length < 2) return;
    context.strokeStyle = getComputedStyle(this.element).getPropertyValue("color");
    context.setLineDash([5, 4]);
    context.lineWidth = 1.5;
    context.beginPath();
    for (const [x, y] of this.line) context.lineTo(x, y);
    context.closePath();
    context.stroke();
  }

  /** The points within a polygon of the plane, by the rule of even and odd. */
  within(polygon) {
    const found = [];
    for (let at = 0; at < this.places.length; at += 2) {
      const [x, y] = [this.places[at], this.places[at + 1]];
      let isInside = false;
      for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
        const [[xi, yi], [xj, yj]] = [polygon[i], polygon[j]];
        if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) isInside = !isInside;
      }
      if (isInside) found.push(at / 2);
    }
    return found;
  }
}
