/** Actions whose failure is told by a message, so that no caller can forget it. */

import { isAborted } from "../errors";
import type { Store } from "../store";

/** True if it went well. */
export async function attempt(store: Store, action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    if (!isAborted(error)) store.toast(error instanceof Error ? error.message : String(error), "error");
    return false;
  }
}
