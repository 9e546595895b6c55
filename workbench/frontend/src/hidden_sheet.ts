/** A saved notebook carries a contact sheet below each widget, for where no kernel runs. A live view
 *  hides the one of its own cell; others stay. */

const LIVE = "data-wbx-live";
const RULE = `
[${LIVE}] > .jp-OutputArea-child:has(.wbx-sheet, [data-wbx-sheet]),
[${LIVE}] .wbx-sheet, [${LIVE}] [data-wbx-sheet] { display: none !important; }`;

/** Hide the sheet around `el` until the returned function is called. */
export function hideSheet(el: Element): () => void {
  if (el.isConnected) return hideAround(el);
  // A host puts a view into the page after it was drawn, and a model that was made in an earlier
  // cell knows its kernel by then.
  let show = (): void => undefined;
  const placed = new ResizeObserver(() => {
    if (!el.isConnected) return;
    placed.disconnect();
    show = hideAround(el);
  });
  placed.observe(el);
  return () => {
    placed.disconnect();
    show();
  };
}

function hideAround(el: Element): () => void {
  const area = el.closest(".jp-OutputArea, .output_area, .output") ?? el.parentElement;
  if (!area) return () => undefined;
  addRule(area.ownerDocument);
  // Several views may live in one output area.
  area.setAttribute(LIVE, String(Number(area.getAttribute(LIVE) ?? 0) + 1));
  return () => {
    const left = Number(area.getAttribute(LIVE) ?? 1) - 1;
    if (left > 0) area.setAttribute(LIVE, String(left));
    else area.removeAttribute(LIVE);
  };
}

function addRule(page: Document): void {
  if (page.querySelector("style[data-wbx-sheets]")) return;
  const style = page.createElement("style");
  style.dataset["wbxSheets"] = "";
  style.textContent = RULE;
  page.head.append(style);
}
