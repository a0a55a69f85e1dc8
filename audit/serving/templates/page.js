// Upload by choosing, dropping, pasting or camera; without this file the forms work all the same.
"use strict";
(() => {
  const form = document.getElementById("upload");
  const status = document.getElementById("status");
  const result = document.getElementById("result");
  const slides = () => {
    for (const label of document.querySelectorAll(".slide")) {
      label.hidden = false;
      const input = label.querySelector("input");
      input.addEventListener("input", () => {
        document.getElementById(input.dataset.map).setAttribute("opacity", input.value / 100);
      });
    }
  };
  slides();
  if (!form) return;
  const field = form.querySelector("input[type=file]");
  const limit = Number(form.dataset.maxBytes);
  let asked = 0;

  const say = (text) => { status.textContent = text; };
  const send = async (file) => {
    if (file.size > limit) {
      result.replaceChildren();
      say(`${file.name || "The file"} has ${(file.size / 1e6).toFixed(1)} MB; it may have ${limit / 1e6} MB.`);
      return;
    }
    const mine = ++asked;
    say("Looking …");
    const body = new FormData();
    body.append(field.name, file, (file.name || "pasted image").replace(/^.*[\\/]/, ""));
    try {
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine !== asked) return;
      const found = page.getElementById("result");
      if (!found) { say("The server gave no answer; try again."); return; }
      result.replaceChildren(...found.childNodes);
      say("");
      slides();
      const head = document.getElementById("answer");
      if (head) head.focus();
    } catch {
      if (mine === asked) say("The server cannot be reached; is it still running?");
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.files.length) send(field.files[0]);
  });
  field.addEventListener("change", () => { if (field.files.length) send(field.files[0]); });
  for (const kind of ["dragover", "dragenter"]) {
    document.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    const file = event.dataTransfer && event.dataTransfer.files[0];
    if (file) send(file); else say("No file was dropped; drag one from a folder.");
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData && event.clipboardData.files[0];
    if (file) { event.preventDefault(); send(file); }
  });

  const camera = document.getElementById("camera");
  if (!camera || !navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) return;
  const box = document.getElementById("camera-box"), view = document.getElementById("camera-view");
  let stream = null;
  const stop = () => { if (stream) stream.getTracks().forEach((track) => track.stop()); stream = null; view.srcObject = null; };
  camera.hidden = false;
  camera.addEventListener("click", async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" }, audio: false });
    } catch {
      say("The camera cannot be used; allow it, or choose a file.");
      return;
    }
    view.srcObject = stream;
    box.showModal();
    await view.play();
  });
  document.getElementById("camera-take").addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    canvas.width = view.videoWidth;
    canvas.height = view.videoHeight;
    canvas.getContext("2d").drawImage(view, 0, 0);
    box.close();
    canvas.toBlob((blob) => { if (blob) send(new File([blob], "camera.png", { type: "image/png" })); }, "image/png");
  });
  document.getElementById("camera-close").addEventListener("click", () => box.close());
  box.addEventListener("close", stop);
})();
