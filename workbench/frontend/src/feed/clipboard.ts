/** Copying text, also where the page is not a secure context (plain http on another host). */

export async function copyText(text: string, near: HTMLElement | null): Promise<boolean> {
  try {
    // Undefined on insecure origins, whatever the type says.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    if (clipboard !== undefined) {
      await clipboard.writeText(text);
      return true;
    }
  } catch {
    // Refused by the browser's permissions: the old way may still be allowed.
  }
  return copyBySelection(text, near);
}

function copyBySelection(text: string, near: HTMLElement | null): boolean {
  // Inside an open modal dialog only its own content can be selected.
  const host = near?.closest("dialog") ?? document.body;
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("aria-hidden", "true");
  area.style.cssText = "position:fixed;inset:0 auto auto 0;width:1px;height:1px;opacity:0";
  host.append(area);
  area.select();
  // Deprecated, and the only way where navigator.clipboard does not exist.
  const copied = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return copied;
}
