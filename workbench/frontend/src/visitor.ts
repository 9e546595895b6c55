/** Who looks at the page where nobody logs in: a random token that this browser keeps.
 *
 *  A kernel that serves visitors makes their name from it, so that the next visit shows the same
 *  pictures. Whoever has the token has the pictures: it goes into `hello` and nowhere else.
 */

const KEY = "workbench-visitor";
const SHAPE = /^[0-9a-f]{32}$/;
/** Of this page: its kernel knows it by this, whatever becomes of what the browser keeps. */
let own: string | undefined;

/** 32 hexadecimal digits; all tabs of this browser say the same. */
export function visitorToken(): string {
  return (own ??= kept() ?? made());
}

function made(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const token = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    localStorage.setItem(KEY, token);
  } catch {
    return token; // the browser keeps nothing: it holds until the page is left
  }
  // Another tab may have written at the same moment: what stands there now holds for both.
  return kept() ?? token;
}

function kept(): string | undefined {
  try {
    const token = localStorage.getItem(KEY) ?? "";
    return SHAPE.test(token) ? token : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the page is one of Voilà: no notebook around it, no cells to run again. */
export function inVoila(): boolean {
  return document.body.dataset["voila"] !== undefined;
}

export function reloadPage(): void {
  location.reload();
}
