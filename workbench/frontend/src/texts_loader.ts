/** The words of the loader, which is small and so has none of those of texts.ts. */

export const WAITING =
  "Waiting for the kernel to send this widget. It may be busy; if nothing runs, run this cell again.";

export const notLoaded = (reason: string): string =>
  `This widget could not be loaded: ${reason}. Run its cell again.`;
