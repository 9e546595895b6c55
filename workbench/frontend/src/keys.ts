/** JupyterLab takes single keys as commands (b = new cell) wherever the focus is: keys pressed in the
 *  widget end at its root, except for those with Ctrl, Meta or Alt, which are the host's. */

const KEYS = ["keydown", "keypress", "keyup"] as const;
/** With Ctrl or Meta these are ours, too: JupyterLab would run the cell, undo what was done to the
 *  notebook's cells while somebody types here, or select them all. (Told of Ctrl or Shift alone it
 *  takes the undo from a text field even where it does not hear of the Z.) */
const OURS = new Set(["enter", "z", "y", "a", "control", "meta", "shift"]);

export function guardKeys(root: HTMLElement): () => void {
  const guard = (event: KeyboardEvent): void => {
    const key = event.key.toLowerCase();
    if (event.altKey ? key !== "enter" : (event.ctrlKey || event.metaKey) && !OURS.has(key)) return;
    event.stopPropagation();
  };
  for (const key of KEYS) root.addEventListener(key, guard);
  return () => {
    for (const key of KEYS) root.removeEventListener(key, guard);
  };
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
