/** JupyterLab takes single keys as commands (b = new cell) wherever the focus is: keys pressed in the
 *  widget end at its root, except for those with Ctrl, Meta or Alt, which are the host's. */

const KEYS = ["keydown", "keypress", "keyup"] as const;

export function guardKeys(root: HTMLElement): () => void {
  const guard = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      // Ctrl+Enter submits here; in the notebook it would run the cell as well.
      if (event.key !== "Enter") return;
    }
    event.stopPropagation();
  };
  for (const key of KEYS) root.addEventListener(key, guard);
  return () => {
    for (const key of KEYS) root.removeEventListener(key, guard);
  };
}
