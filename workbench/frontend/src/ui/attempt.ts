/** Actions whose failure is told by a message, so that no caller can forget it. */

import { isAborted, reasonOf } from "../errors";
import type { Store } from "../store";

/** True if it went well. */
export async function attempt(store: Store, action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    if (!isAborted(error)) store.toast(reasonOf(error), "error");
    return false;
  }
}
