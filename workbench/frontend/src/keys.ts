/** JupyterLab takes single keys as commands (b = new cell) wherever the focus is: keys pressed in the
 *  widget end at its root, except for those with Ctrl, Meta or Alt, which are the host's. */

const KEYS = ["keydown", "keypress", "keyup"] as const;
/** With Ctrl or Meta these are ours, too: JupyterLab would run the cell, undo what was done to the
 *  notebook's cells while somebody types here, or select them all. (Told of Ctrl or Shift alone it
 *  takes the undo from a text field even where it does not hear of the Z.) */
const OURS = new Set(["enter", "z", "y", "a", "control", "meta", "shift"]);
/** Lumino looks for no shortcut from an element with this on. (On an ancestor it is of no use: the
 *  notebook's own shortcuts are found at the element with the focus.) */
const SUPPRESS = "data-lm-suppress-shortcuts";

export function guardKeys(root: HTMLElement): () => void {
  const guard = (event: KeyboardEvent): void => {
    if (isOurs(event)) event.stopPropagation();
  };
  // JupyterLab listens at the document on the way up, Notebook 7 on the way down: before the root.
  let marked: Element | null = null;
  const mark = (event: KeyboardEvent): void => {
    const { target } = event;
    if (!(target instanceof Element) || !root.contains(target) || !isOurs(event)) return;
    marked = target;
    marked.setAttribute(SUPPRESS, "true");
  };
  const unmark = (): void => {
    marked?.removeAttribute(SUPPRESS);
    marked = null;
  };
  for (const key of KEYS) {
    root.addEventListener(key, guard);
    window.addEventListener(key, mark, true);
    root.addEventListener(key, unmark, true);
  }
  return () => {
    unmark();
    for (const key of KEYS) {
      root.removeEventListener(key, guard);
      window.removeEventListener(key, mark, true);
      root.removeEventListener(key, unmark, true);
    }
  };
}

function isOurs(event: KeyboardEvent): boolean {
  const key = event.key.toLowerCase();
  if (event.altKey) return key === "enter";
  return !(event.ctrlKey || event.metaKey) || OURS.has(key);
}

/** Whether a key is typed into something. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input:not([type=range], [type=checkbox]), textarea, select, [contenteditable]") !== null;
}

/** Ctrl+Z or ⌘Z, but not in a text, which has its own. */
export function isUndo(event: KeyboardEvent): boolean {
  const { ctrlKey, metaKey, altKey, shiftKey, key, target } = event;
  return (ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === "z" && !isTyping(target);
}
