/** Landscapes on a canvas, so that the development page shows pictures and not grey boxes. */

export function random(seed: number): () => number {
  let state = (seed * 2654435761 + 0x9e3779b9) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Palette { sky: string[]; hills: string[]; water: string; glow: string; night: boolean }

const PALETTES: Palette[] = [
  { sky: ["#26134f", "#7b2d63", "#e8693f", "#ffc56b"], hills: ["#a63d57", "#742a50", "#451b3f", "#220f2a"], water: "#8e3a5c", glow: "#fff0c4", night: false },
  { sky: ["#060a24", "#101c4c", "#22377a", "#4a66a8"], hills: ["#1f2f66", "#16234e", "#0e1737", "#070c20"], water: "#13245a", glow: "#f2f4ff", night: true },
  { sky: ["#0f3d3b", "#2d7a6d", "#7fc0a3", "#e3f2d3"], hills: ["#4c9180", "#2f6f63", "#1b4d48", "#0c2c2b"], water: "#3d8274", glow: "#fdfbe6", night: false },
  { sky: ["#2f74c9", "#64a5ea", "#a8d2f7", "#eef7ff"], hills: ["#7fb08d", "#5b9470", "#3f7856", "#27573c"], water: "#5b97d8", glow: "#ffffff", night: false },
  { sky: ["#3b2b63", "#8a5a9c", "#e59bb0", "#ffe3cf"], hills: ["#9a6c98", "#734f80", "#503868", "#322447"], water: "#9c75a8", glow: "#fff3e2", night: false },
  { sky: ["#5a2a0c", "#b8601f", "#eda34b", "#fbe3ac"], hills: ["#c97b3b", "#a35a26", "#743c18", "#43200c"], water: "#c98447", glow: "#fff6d8", night: false },
  { sky: ["#101418", "#2b3a44", "#64798a", "#c5d2da"], hills: ["#6d818e", "#4b5f6c", "#32434e", "#1b272f"], water: "#586e7d", glow: "#f5fafc", night: false },
];

/** Draw picture `seed` into `canvas`; `roughness` 1 = only colour fields, 0 = finished. */
export function paint(canvas: HTMLCanvasElement | OffscreenCanvas, seed: number, roughness = 0): void {
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  const { width: w, height: h } = canvas;
  const next = random(seed);
  const palette = PALETTES[Math.floor(next() * PALETTES.length)]!;
  const horizon = h * (0.56 + next() * 0.16);
  const sky = context.createLinearGradient(0, 0, 0, horizon);
  palette.sky.forEach((colour, i) => sky.addColorStop(i / (palette.sky.length - 1), colour));
  context.fillStyle = sky;
  context.fillRect(0, 0, w, h);
  const sunX = w * (0.2 + next() * 0.6);
  const sunY = horizon * (0.25 + next() * 0.4);
  const sunR = Math.min(w, h) * (0.05 + next() * 0.06);
  const halo = context.createRadialGradient(sunX, sunY, sunR * 0.5, sunX, sunY, sunR * 6);
  halo.addColorStop(0, `${palette.glow}cc`);
  halo.addColorStop(0.25, `${palette.glow}33`);
  halo.addColorStop(1, `${palette.glow}00`);
  context.fillStyle = halo;
  context.fillRect(0, 0, w, horizon);
  context.fillStyle = palette.glow;
  context.beginPath();
  context.arc(sunX, sunY, sunR, 0, 7);
  context.fill();
  if (palette.night) {
    for (let i = 0; i < 90; i++) {
      context.globalAlpha = 0.3 + next() * 0.7;
      context.fillRect(next() * w, next() * horizon * 0.8, w / 400 + 0.4, w / 400 + 0.4);
    }
    context.globalAlpha = 1;
  }
  for (let i = 0; i < 5; i++) cloud(context, next, w, horizon, palette.glow);
  palette.hills.forEach((colour, layer) => hills(context, next, w, h, horizon, layer, colour));
  if (next() < 0.75) lake(context, next, w, h, horizon, palette);
  grain(context, next, w, h);
  if (roughness > 0) blur(canvas, roughness);
}

function cloud(c: CanvasRenderingContext2D, next: () => number, w: number, horizon: number, colour: string): void {
  const x = next() * w;
  const y = horizon * (0.08 + next() * 0.5);
  c.fillStyle = colour;
  for (let i = 0; i < 9; i++) {
    c.globalAlpha = 0.05 + next() * 0.1;
    c.beginPath();
    c.ellipse(x + (next() - 0.5) * w * 0.3, y + (next() - 0.5) * horizon * 0.05, w * (0.04 + next() * 0.08), horizon * (0.01 + next() * 0.025), 0, 0, 7);
    c.fill();
  }
  c.globalAlpha = 1;
}

function hills(c: CanvasRenderingContext2D, next: () => number, w: number, h: number, horizon: number, layer: number, colour: string): void {
  const base = horizon - (3 - layer) * h * 0.055 + h * 0.02;
  const waves = Array.from({ length: 5 }, (_, k) => ({ f: (0.6 + next()) * (k + 1), p: next() * 7, a: (h * 0.075) / (k + 1.4) }));
  c.fillStyle = colour;
  c.beginPath();
  c.moveTo(0, h);
  for (let x = 0; x <= w; x += Math.max(1, w / 160)) {
    let y = base;
    for (const wave of waves) y -= Math.abs(Math.sin((x / w) * 3.1 * wave.f + wave.p)) * wave.a - wave.a * 0.3;
    c.lineTo(x, y);
  }
  c.lineTo(w, h);
  c.fill();
  if (layer < 2) return;
  for (let i = 0; i < 26; i++) {
    const x = next() * w;
    const size = h * (0.02 + next() * 0.05);
    const y = base + h * (0.02 + next() * 0.06);
    c.beginPath();
    c.moveTo(x, y - size * 1.6);
    c.lineTo(x + size * 0.32, y);
    c.lineTo(x - size * 0.32, y);
    c.fill();
  }
}

function lake(c: CanvasRenderingContext2D, next: () => number, w: number, h: number, horizon: number, palette: Palette): void {
  const top = horizon + (h - horizon) * 0.3;
  const water = c.createLinearGradient(0, top, 0, h);
  water.addColorStop(0, palette.sky[2]!);
  water.addColorStop(0.4, palette.water);
  water.addColorStop(1, palette.hills[3]!);
  c.fillStyle = water;
  c.fillRect(0, top, w, h - top);
  for (let i = 0; i < 130; i++) {
    const y = top + next() ** 1.6 * (h - top);
    c.globalAlpha = 0.04 + next() * 0.14;
    c.fillStyle = next() < 0.5 ? palette.glow : palette.hills[3]!;
    c.fillRect(next() * w, y, w * (0.02 + next() * 0.14), Math.max(1, h * 0.003));
  }
  c.globalAlpha = 1;
  const x = w * (0.25 + next() * 0.5);
  const y = top + (h - top) * 0.34;
  const s = Math.min(w, h) * 0.055;
  c.fillStyle = "#fffaf0";
  c.beginPath();
  c.moveTo(x, y - s * 2);
  c.lineTo(x + s, y - s * 0.2);
  c.lineTo(x, y - s * 0.2);
  c.fill();
  c.fillStyle = "#3b2419";
  c.beginPath();
  c.moveTo(x - s * 0.8, y - s * 0.1);
  c.lineTo(x + s * 1.1, y - s * 0.1);
  c.lineTo(x + s * 0.7, y + s * 0.25);
  c.lineTo(x - s * 0.5, y + s * 0.25);
  c.fill();
}

function grain(c: CanvasRenderingContext2D, next: () => number, w: number, h: number): void {
  for (let i = 0; i < 700; i++) {
    c.globalAlpha = 0.05;
    c.fillStyle = next() < 0.5 ? "#ffffff" : "#000000";
    c.fillRect(next() * w, next() * h, w * (0.01 + next() * 0.03), Math.max(1, h / 260));
  }
  c.globalAlpha = 1;
}

function blur(canvas: HTMLCanvasElement | OffscreenCanvas, roughness: number): void {
  const small = document.createElement("canvas");
  small.width = Math.max(3, Math.round(canvas.width * (1 - roughness) * 0.35));
  small.height = Math.max(3, Math.round(canvas.height * (1 - roughness) * 0.35));
  small.getContext("2d")!.drawImage(canvas as HTMLCanvasElement, 0, 0, small.width, small.height);
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.imageSmoothingEnabled = true;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** The picture as WebP bytes. */
export async function painted(seed: number, width: number, height: number, roughness = 0): Promise<ArrayBuffer> {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  paint(canvas, seed, roughness);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/webp", 0.85));
  if (!blob) throw new Error("the canvas gave no picture");
  return blob.arrayBuffer();
}
