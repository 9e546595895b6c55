/** The aspect ratio of a picture in words that people use: "1:1", "16:9", "≈ 3:2", "1.46:1". */

const LARGEST = 21; // of a side: 13:19 says something, 128:125 does not
const NEAR = 0.01; // closer than anybody sees
/** What many sizes are meant to be, and miss because sides go in steps. */
const USUAL: readonly (readonly [number, number])[] = [
  [1, 1], [5, 4], [4, 3], [3, 2], [16, 10], [16, 9], [2, 1], [21, 9], [3, 1],
];

/** Exact where it is a ratio of small numbers, else the usual one that it nearly is (and says so),
 *  else to two digits. */
export function ratioText(width: number, height: number): string {
  const upright = height > width;
  const [long, short] = upright ? [height, width] : [width, height];
  const written = (a: number | string, b: number | string): string => (upright ? `${b}:${a}` : `${a}:${b}`);
  const divisor = greatest(long, short);
  if (long / divisor <= LARGEST) return written(long / divisor, short / divisor);
  const value = long / short;
  const usual = USUAL.find(([a, b]) => Math.abs((value * b) / a - 1) < NEAR);
  if (usual) return `≈ ${written(...usual)}`;
  return written(Number(value.toFixed(2)), 1);
}

function greatest(a: number, b: number): number {
  return b === 0 ? a : greatest(b, a % b);
}
