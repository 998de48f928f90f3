// Points of any number, colour and size on a canvas by WebGL: each a disc, or where that is slow, all as one picture.

import { rastered } from "./raster.js";

const POINTS = [`#version 300 es
in vec2 place; in vec4 colour; in float size;
uniform vec2 centre; uniform vec2 scale; uniform float pixels;
out vec4 shade;
void main() { gl_Position = vec4((place - centre) * scale, 0.0, 1.0); gl_PointSize = size * pixels; shade = colour; }`, `#version 300 es
precision mediump float;
in vec4 shade; out vec4 drawn;
void main() {
  float distance = length(gl_PointCoord - 0.5);
  if (distance > 0.5) discard;
  drawn = shade * (1.0 - smoothstep(0.4, 0.5, distance));
}`];
// One triangle that covers all.
const PICTURE = [`#version 300 es
out vec2 at;
void main() { at = vec2((gl_VertexID & 1) * 2, gl_VertexID & 2); gl_Position = vec4(at * 2.0 - 1.0, 0.0, 1.0); }`, `#version 300 es
precision mediump float;
uniform sampler2D picture; in vec2 at; out vec4 drawn;
void main() { drawn = texture(picture, at); }`];

export class PointCloud {
  /** `gl` is a WebGL 2 context without antialiasing, its alpha premultiplied. */
  constructor(gl) {
    this.gl = gl;
    this.buffers = new Map();
    this.points = linked(gl, POINTS);
    this.picture = linked(gl, PICTURE);
    this.texture = gl.createTexture();
    this.withPoints = gl.createVertexArray();
    this.withNothing = gl.createVertexArray();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
  }

  /** `places` x, y, x, y …; `colours` four bytes a point, opaque; `sizes` in CSS pixels. */
  set(places, colours, sizes) {
    const { gl } = this;
    Object.assign(this, { places, colours, sizes });
    gl.bindVertexArray(this.withPoints);
    this.fill("place", places, 2, gl.FLOAT, false);
    this.fill("colour", colours, 4, gl.UNSIGNED_BYTE, true);
    this.fill("size", sizes, 1, gl.FLOAT, false);
  }

  fill(name, values, width, type, isNormalised) {
    const { gl } = this;
    const location = gl.getAttribLocation(this.points, name);
    if (!this.buffers.has(name)) this.buffers.set(name, gl.createBuffer());
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers.get(name));
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, width, type, isNormalised, 0, 0);
  }

  /** Draw discs; `view` is `{ centre, scale, pixels }`: the middle, half canvases a unit, canvas pixels a CSS pixel. */
  draw({ centre, scale, pixels }) {
    const { gl, points } = this;
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.useProgram(points);
    gl.bindVertexArray(this.withPoints);
    gl.uniform2f(gl.getUniformLocation(points, "centre"), ...centre);
    gl.uniform2f(gl.getUniformLocation(points, "scale"), ...scale);
    gl.uniform1f(gl.getUniformLocation(points, "pixels"), pixels);
    gl.drawArrays(gl.POINTS, 0, this.sizes.length);
  }

  /** The same without soft edges, made here and handed over as one texture. */
  drawPicture(view) {
    const { gl } = this;
    const { width, height } = gl.canvas;
    this.pixels = rastered(this, view, width, height, this.pixels);
    gl.viewport(0, 0, width, height);
    gl.disable(gl.BLEND);
    gl.useProgram(this.picture);
    gl.bindVertexArray(this.withNothing);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(this.pixels.buffer));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

function linked(gl, sources) {
  const program = gl.createProgram();
  for (const [at, type] of [gl.VERTEX_SHADER, gl.FRAGMENT_SHADER].entries()) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, sources[at]);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}
