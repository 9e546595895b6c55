/** Where the arrow keys lead among the cards. Cards are known by their batch's place in the list
 *  and their own place in the batch. */

export interface Cell {
  block: number;
  index: number;
}

export interface Grid {
  columns: number;
  blocks: number;
  /** Cards of a block; 0 if nothing is known of it. */
  cards(block: number): number;
}

export type Step =
  | "left" | "right" | "up" | "down" | "home" | "end" | "pageup" | "pagedown";

export const STEPS: Readonly<Record<string, Step>> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
  Home: "home",
  End: "end",
  PageUp: "pageup",
  PageDown: "pagedown",
};

/** The cell that a key leads to; null where there is nothing in that direction. */
export function step(grid: Grid, from: Cell, direction: Step): Cell | null {
  const { columns } = grid;
  const cards = grid.cards(from.block);
  switch (direction) {
    case "right":
      if (from.index + 1 < cards) return { block: from.block, index: from.index + 1 };
      return first(grid, from.block + 1, 1);
    case "left": {
      if (from.index > 0) return { block: from.block, index: from.index - 1 };
      const block = filled(grid, from.block - 1, -1);
      return block === null ? null : { block, index: grid.cards(block) - 1 };
    }
    case "down": {
      if (from.index + columns < cards) return { block: from.block, index: from.index + columns };
      // The last row may be shorter: its last card is nearer than the next batch.
      const lastRow = Math.floor((cards - 1) / columns);
      if (Math.floor(from.index / columns) < lastRow) return { block: from.block, index: cards - 1 };
      const block = filled(grid, from.block + 1, 1);
      if (block === null) return null;
      return { block, index: Math.min(from.index % columns, grid.cards(block) - 1) };
    }
    case "up": {
      if (from.index - columns >= 0) return { block: from.block, index: from.index - columns };
      const block = filled(grid, from.block - 1, -1);
      if (block === null) return null;
      const above = grid.cards(block);
      const row = Math.floor((above - 1) / columns) * columns;
      return { block, index: Math.min(row + (from.index % columns), above - 1) };
    }
    case "pagedown":
      return first(grid, from.block + 1, 1);
    case "pageup":
      return first(grid, from.block - 1, -1);
    case "home":
      return first(grid, 0, 1);
    case "end": {
      const block = filled(grid, grid.blocks - 1, -1);
      return block === null ? null : { block, index: grid.cards(block) - 1 };
    }
  }
}

function filled(grid: Grid, from: number, by: 1 | -1): number | null {
  for (let block = from; block >= 0 && block < grid.blocks; block += by) {
    if (grid.cards(block) > 0) return block;
  }
  return null;
}

function first(grid: Grid, from: number, by: 1 | -1): Cell | null {
  const block = filled(grid, from, by);
  return block === null ? null : { block, index: 0 };
}
