// Pictures come in by dropping, pasting, choosing a file or the camera, and leave as data URIs.

import { h } from "./dom.js";

const LARGEST_EDGE_PIXELS = 1024;
const LEFT_AS_IT_IS_BYTES = 1_000_000;
const OWN_FAULTS = [400, 413, 422]; // what a server says of one picture, and not of itself

/** A place to drop pictures on; `take` is called with `{ name, uri }` for each, one after the other, and may refuse one. */
export function dropZone(take, { hint = "Drop, paste or choose a picture", multiple = false } = {}) {
  const chooser = h("input", { type: "file", accept: "image/*", multiple, hidden: true });
  const faults = h("div", { className: "faults", role: "alert" });
  const fault = (sentence) => faults.append(h("p", { className: "fault" }, sentence));
  let newest = null;
  const taken = async (files) => {
    faults.replaceChildren();
    newest = files;
    for (const file of multiple ? files : files.slice(0, 1)) {
      const uri = await dataUri(file).catch(() => fault(`${file.name} is not a picture that can be read.`));
      if (!multiple && newest !== files) return; // another came while this one was read
      try {
        if (uri) await take({ name: file.name, uri });
      } catch (error) {
        fault(`${file.name}: ${error.message}`);
        if (OWN_FAULTS.includes(error.status)) continue;
        if (file !== files.at(-1)) fault("The others were not tried.");
        return;
      }
    }
  };
  const zone = h(
    "div",
    { className: "drop" },
    h("button", { type: "button", className: "choose", onclick: () => chooser.click() }, hint),
    h("button", { type: "button", className: "quiet camera", onclick: () => photograph((file) => taken([file])) }, "Camera"),
    chooser,
    faults,
  );
  chooser.addEventListener("change", () => {
    taken([...chooser.files]);
    chooser.value = "";
  });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length) taken(files);
    else fault("That holds no file. Save the picture, then drop it here.");
  });
  zone.pasted = (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length || zone.hidden) return;
    event.preventDefault();
    taken(files.map((file) => new File([file], named("pasted", file.type), { type: file.type })));
  };
  return zone;
}

/** A name of its own: items are known by their names, and all that is pasted is called image.png. */
const named = (how, type) => `${how} ${new Date().toISOString().replace("T", " ").replaceAll(":", "-").slice(0, -1)}.${type.split("/")[1]}`;

/** The picture as it is if it is small and of a common format, else as a smaller JPEG. */
async function dataUri(file) {
  if (file.size <= LEFT_AS_IT_IS_BYTES && /^image\/(jpeg|png|webp|gif|bmp)$/.test(file.type)) return read(file);
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LARGEST_EDGE_PIXELS / Math.max(bitmap.width, bitmap.height));
  return drawn(bitmap, bitmap.width * scale, bitmap.height * scale);
}

function read(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}

function drawn(source, width, height) {
  const canvas = h("canvas", { width: Math.max(1, Math.round(width)), height: Math.max(1, Math.round(height)) });
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.92);
}

async function photograph(taken) {
  const video = h("video", { autoplay: true, muted: true, playsInline: true, hidden: true });
  const said = h("p", { role: "status" }, "Waiting for the camera …");
  const shoot = h("button", { type: "button", className: "main", disabled: true }, "Take the picture");
  const dialog = h("dialog", { ariaLabel: "Camera" }, video, said, h("div", { className: "row" }, shoot,
    h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
  document.body.append(dialog);
  dialog.showModal();
  let stream = null;
  dialog.addEventListener("close", () => {
    stream?.getTracks().forEach((track) => track.stop());
    dialog.remove();
  });
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: true });
    if (!dialog.open) return stream.getTracks().forEach((track) => track.stop());
    // Before its first frame a camera's picture is of no size.
    video.addEventListener("loadeddata", () => {
      said.textContent = "";
      shoot.disabled = video.hidden = false;
    });
    video.srcObject = stream;
    shoot.addEventListener("click", () => {
      const uri = drawn(video, video.videoWidth, video.videoHeight);
      dialog.close();
      taken(new File([bytesOf(uri)], named("camera", "image/jpeg"), { type: "image/jpeg" }));
    });
  } catch {
    said.textContent = "No camera can be used here. Browsers allow it on localhost and over HTTPS alone.";
  }
}

function bytesOf(uri) {
  return Uint8Array.from(atob(uri.split(",")[1]), (character) => character.charCodeAt(0));
}
