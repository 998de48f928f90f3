// Pictures come in by dropping, pasting, choosing a file or the camera, and leave as data URIs.

import { h } from "./dom.js";

const LARGEST_EDGE_PIXELS = 1024;
const LEFT_AS_IT_IS_BYTES = 1_000_000;

/** A place to drop pictures on; `take` is called with `{ name, uri }` for each. */
export function dropZone(take, { hint = "Drop, paste or choose a picture", multiple = false } = {}) {
  const chooser = h("input", { type: "file", accept: "image/*", multiple, hidden: true });
  const fault = h("p", { className: "fault", role: "alert" });
  const taken = async (files) => {
    fault.textContent = "";
    for (const file of multiple ? files : files.slice(0, 1)) {
      try {
        take({ name: file.name || "pasted picture", uri: await dataUri(file) });
      } catch {
        fault.textContent = `${file.name || "This"} is not a picture that can be read.`;
      }
    }
  };
  chooser.addEventListener("change", () => {
    taken([...chooser.files]);
    chooser.value = "";
  });
  const zone = h(
    "div",
    { className: "drop" },
    h("button", { type: "button", className: "choose", onclick: () => chooser.click() }, hint),
    h("button", { type: "button", className: "quiet camera", onclick: () => photograph(taken) }, "Camera"),
    chooser,
    fault,
  );
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    taken([...event.dataTransfer.files]);
  });
  zone.pasted = (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) event.preventDefault();
    taken(files);
  };
  return zone;
}

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
  const canvas = h("canvas", { width: Math.round(width), height: Math.round(height) });
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.92);
}

async function photograph(taken) {
  const video = h("video", { autoplay: true, muted: true, playsInline: true });
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
      shoot.disabled = false;
    });
    video.srcObject = stream;
    shoot.addEventListener("click", async () => {
      const uri = drawn(video, video.videoWidth, video.videoHeight);
      dialog.close();
      taken([new File([bytesOf(uri)], "camera.jpg", { type: "image/jpeg" })]);
    });
  } catch {
    said.textContent = "No camera can be used here. Browsers allow it on localhost and over HTTPS alone.";
  }
}

function bytesOf(uri) {
  return Uint8Array.from(atob(uri.split(",")[1]), (character) => character.charCodeAt(0));
}
