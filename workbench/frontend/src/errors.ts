/** What can go wrong between page and kernel, as one class: a code for code, a sentence for people. */

import type { Failure } from "./protocol";
import { inVoila } from "./visitor";

/** Codes that only the page itself gives; the others are `ERROR_CODES` of protocol.py. */
export type PageCode = "aborted" | "no_answer" | "disconnected";

const SENTENCES: Record<PageCode, string> = {
  aborted: "This was no longer wanted.",
  no_answer:
    "The kernel has not answered. It may be busy, and may still do this when it is free again.",
  disconnected: "The kernel is not there any more. Run the cell of this widget again.",
};

/** For people who see no notebook. */
const FOR_VISITORS: Partial<Record<PageCode, string>> = {
  no_answer: "There has been no answer. It may still be done in a moment.",
  disconnected: "This session has ended. Reload the page to go on.",
};

export class WorkbenchError extends Error {
  override readonly name = "WorkbenchError";

  constructor(
    readonly code: string,
    message: string,
    /** Name of the setting that was wrong. */
    readonly field: string | null = null,
  ) {
    super(message);
  }

  static of(failure: Failure): WorkbenchError {
    return new WorkbenchError(failure.code, failure.message, failure.field ?? null);
  }

  static here(code: PageCode): WorkbenchError {
    return new WorkbenchError(code, (inVoila() && FOR_VISITORS[code]) || SENTENCES[code]);
  }
}

/** Whether somebody gave it up on purpose: nothing to tell anybody. */
export function isAborted(error: unknown): boolean {
  return error instanceof WorkbenchError && error.code === "aborted";
}

/** Whether the same request may go well later. */
export function isPassing(error: unknown): boolean {
  const codes = ["no_answer", "rate_limited", "busy", "internal", "disconnected"];
  return error instanceof WorkbenchError && codes.includes(error.code);
}
