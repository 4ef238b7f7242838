"""What is asked of the viewer's page, in its own language: which film is shown, and what is drawn of it."""

from __future__ import annotations

CURRENT = "() => cornerstone.getEnabledElements()[0].viewport.getCurrentImageId()"
PICTURED = "n => document.querySelectorAll(\"[data-cy='study-browser-thumbnail'] img\").length >= n"
SHOWN = """wanted => {
  const found = window.cornerstone && cornerstone.getEnabledElements()[0];
  if (!found || !found.viewport.getCurrentImageId) return false;
  const id = found.viewport.getCurrentImageId();
  if (!id || !cornerstone.cache.isLoaded(id) || !id.includes(wanted)) return false;
  if (found.viewport.viewportStatus !== 'rendered') return false;
  // Two frames of the screen later what was asked for last is drawn.
  window.settled = window.settled && window.settled.id === id ? window.settled : { id, frames: 0 };
  return ++window.settled.frames > 3;
}"""
BYTES = """(canvas) => {
  const made = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let text = '';
  for (let at = 0; at < made.length; at += 8192) text += String.fromCharCode(...made.subarray(at, at + 8192));
  return { rows: canvas.height, columns: canvas.width, data: btoa(text) };
}"""
PICTURES = f"""async () => {{
  const found = [];
  for (const image of document.querySelectorAll("[data-cy='study-browser-thumbnail'] img")) {{
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    canvas.getContext('2d').drawImage(image, 0, 0);
    found.push(({BYTES})(canvas));
  }}
  return found;
}}"""
DRAWN = f"""([rows, columns]) => {{
  const viewport = cornerstone.getEnabledElements()[0].viewport, id = viewport.getCurrentImageId();
  const place = (x, y) => viewport.worldToCanvas(cornerstone.utilities.imageToWorldCoords(id, [x, y]));
  const [left, top] = place(0.25, 0.25), [right, bottom] = place(columns + 0.25, rows + 0.25);
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [columns, rows];
  const scale = window.devicePixelRatio, made = canvas.getContext('2d');
  made.imageSmoothingQuality = 'high';
  made.drawImage(viewport.getCanvas(), left * scale, top * scale, (right - left) * scale, (bottom - top) * scale,
    0, 0, columns, rows);
  return ({BYTES})(canvas);
}}"""
