/** Serve the development page: `npm run dev -- --port 8123`. Builds on every request. */
import * as esbuild from "esbuild";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv.indexOf("--port");
const port = wanted > 0 ? Number(process.argv[wanted + 1]) : 8123;
const context = await esbuild.context({
  entryPoints: [join(here, "main.ts")],
  outdir: here,
  write: false,
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".css": "text", ".svg": "text" },
  sourcemap: "inline",
  logLevel: "warning",
});
await context.serve({ port, host: "127.0.0.1", servedir: here });
console.log(`http://127.0.0.1:${port}/?state=normal&theme=light`);
