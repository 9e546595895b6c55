/** What can go wrong between page and kernel, as one class: a code for code, a sentence for people. */

import type { Failure } from "./protocol";
import { t, type TextKey } from "./texts";
import { inVoila } from "./visitor";

/** Codes that only the page itself gives; the others are `ERROR_CODES` of protocol.py. */
export type PageCode = "aborted" | "no_answer" | "disconnected";

/** For people who see no notebook. */
const FOR_VISITORS: Partial<Record<PageCode, TextKey>> = {
  no_answer: "error.no_answer.visitor",
  disconnected: "error.disconnected.visitor",
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
    return new WorkbenchError(code, t((inVoila() && FOR_VISITORS[code]) || `error.${code}`));
  }
}

/** A sentence for what went wrong; unknown things keep their own words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error && error.message ? error.message : String(error);
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
