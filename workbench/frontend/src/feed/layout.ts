/** Heights of the feed's blocks, computed from the data alone; the styles in feed.css use the same
 *  numbers, and what they get wrong (fonts, zoom) is measured and corrected. */

import type { BatchRow } from "../protocol";

export const GAP = 8; // between cards
export const RAIL = 58; // the small picture at the right edge, with its distance
export const LINE = 20; // of the prompt
export const META = 20; // a line below the prompt
const HEAD_PADDING = 18; // above the prompt
const HEAD_BELOW = 10; // between the header and the cards
const BLOCK_BELOW = 24; // below the cards
const RULE = 1; // above each batch; the heading of a section stands on it and takes no room
const LETTER = 7.1; // mean width of a letter of the prompt; a guess that measuring corrects

const FACTS = 480; // "Sketch · 512 × 512 · 1:1 · 4 images · 12 min ago · 3.2 s · 6 tokens", and some more

export const NARROW = 360;
export const MIDDLE = 720;

/** Columns by the width of the feed: 1 under 360 px, 2 under 720, 4 from there on. */
export function columnsFor(feedWidth: number): number {
  if (feedWidth < NARROW) return 1;
  return feedWidth < MIDDLE ? 2 : 4;
}

/** Padding left and right of the feed's content. */
export function gutterFor(feedWidth: number): number {
  return feedWidth < NARROW ? 12 : 18;
}

export interface Sheet {
  feedWidth: number;
  columns: number;
  /** Width of the cards together. */
  gridWidth: number;
  cardWidth: number;
  /** Is there a column for the small picture? In the narrowest feed it sits in the header only. */
  rail: boolean;
  textWidth: number;
}

export function sheetFor(feedWidth: number): Sheet {
  const columns = columnsFor(feedWidth);
  const inner = Math.max(0, feedWidth - 2 * gutterFor(feedWidth));
  const rail = columns > 1;
  const gridWidth = rail ? Math.max(0, inner - RAIL) : inner;
  const cardWidth = Math.max(0, (gridWidth - (columns - 1) * GAP) / columns);
  return { feedWidth, columns, gridWidth, cardWidth, rail, textWidth: Math.max(0, inner - RAIL) };
}

/** Width to height of a picture; 1 where the size is not known. Extremes are held back so that one
 *  panorama or strip does not take the feed over. */
export function aspectOf(width: number | null, height: number | null): number {
  if (!width || !height) return 1;
  return Math.min(3, Math.max(0.4, width / height));
}

export function promptLines(prompt: string, textWidth: number, open = false): number {
  const perLine = Math.max(8, Math.floor(textWidth / LETTER));
  let lines = 0;
  for (const part of prompt.split("\n")) lines += Math.max(1, Math.ceil(part.length / perLine));
  return open ? lines : Math.min(2, Math.max(1, lines));
}

/** Lines of what a batch is and how it went: one, where all of it fits into that. */
export function factLines(textWidth: number): 1 | 2 {
  return textWidth < FACTS ? 2 : 1;
}

/** Height of one batch's block. `cards` is how many pictures it shows. */
export function blockHeight(
  sheet: Sheet,
  batch: Pick<BatchRow, "prompt" | "width" | "height">,
  cards: number,
): number {
  const lines = promptLines(batch.prompt, sheet.textWidth);
  const head = HEAD_PADDING + lines * LINE + factLines(sheet.textWidth) * META + HEAD_BELOW;
  const rows = Math.max(1, Math.ceil(cards / sheet.columns));
  const card = sheet.cardWidth / aspectOf(batch.width, batch.height);
  return RULE + head + rows * card + (rows - 1) * GAP + BLOCK_BELOW;
}

/** The pixels of a thumbnail that this card needs. */
export function thumbSize(cardWidth: number, aspect: number, density: number): 256 | 768 {
  const longest = Math.max(cardWidth, cardWidth / aspect) * density;
  return longest > 300 ? 768 : 256;
}
