/** Light or dark, and the accent: as attributes and one property on the root, followed live. */

/** Puts `data-theme` and `data-contrast` on the root and keeps them true; returns the end of it. */
export function followTheme(root: HTMLElement): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const contrast = matchMedia("(prefers-contrast: more)");
  const look = (): void => {
    root.dataset["theme"] = isDark(system.matches) ? "dark" : "light";
    const name = document.body.dataset["jpThemeName"] ?? "";
    if (contrast.matches || /contrast/i.test(name)) root.dataset["contrast"] = "more";
    else delete root.dataset["contrast"];
  };
  const observer = new MutationObserver(look);
  const attributes = ["data-jp-theme-light", "data-jp-theme-name", "class", "theme"];
  observer.observe(document.body, { attributeFilter: attributes });
  observer.observe(document.documentElement, { attributeFilter: attributes });
  system.addEventListener("change", look);
  contrast.addEventListener("change", look);
  look();
  return () => {
    observer.disconnect();
    system.removeEventListener("change", look);
    contrast.removeEventListener("change", look);
  };
}

function isDark(system: boolean): boolean {
  const { body, documentElement } = document;
  const jupyter = body.dataset["jpThemeLight"]; // JupyterLab, Notebook 7, Voilà
  if (jupyter !== undefined) return jupyter === "false";
  if (body.classList.contains("vscode-dark") || body.classList.contains("vscode-light")) {
    return body.classList.contains("vscode-dark");
  }
  const colab = documentElement.getAttribute("theme");
  if (colab !== null) return colab === "dark";
  return system;
}

/** Sets the accent, and black or white for what is written on it. Unusable colours change nothing. */
export function setAccent(root: HTMLElement, accent: string): void {
  const rgb = colourOf(accent);
  for (const name of ["--wbx-user-accent", "--wbx-on-accent"]) root.style.removeProperty(name);
  if (rgb === null) return;
  root.style.setProperty("--wbx-user-accent", `rgb(${rgb.join(" ")})`);
  root.style.setProperty("--wbx-on-accent", luminance(rgb) > 0.2 ? "#1c1503" : "#fff");
}

type Rgb = [number, number, number];

/** What the browser makes of a CSS colour. */
function colourOf(text: string): Rgb | null {
  if (!text || !globalThis.CSS?.supports("color", text)) return null;
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!pen) return null;
  pen.fillStyle = text;
  pen.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0, alpha = 0] = pen.getImageData(0, 0, 1, 1).data;
  return alpha < 255 ? null : [red, green, blue];
}

/** Relative luminance (WCAG). */
export function luminance(rgb: Rgb): number {
  const [red, green, blue] = rgb.map((byte) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
