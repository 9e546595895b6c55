/** Style sheets are imported as text; see build.mjs. */
declare module "*.css" {
  const text: string;
  export default text;
}
/** One icon; the package has types for all of them together only. */
declare module "lucide/dist/esm/icons/*.mjs" {
  const shape: [tag: string, attributes: Record<string, unknown>][];
  export default shape;
}
