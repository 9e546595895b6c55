// Builds ../widgets/static/: workbench.js (all widgets, styles included), loader.js, and the
// licences of the packages that are in them.
//   node build.mjs [--out folder] [--watch]
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const given = process.argv.indexOf("--out");
const out = given > 0 ? resolve(process.argv[given + 1]) : join(here, "..", "widgets", "static");
// Bytes that travel: each page gets the bundle once, each further widget of a kernel the loader.
const LIMITS = { "workbench.js": 150_000, "loader.js": 2_000 };

/** A style sheet becomes a text: index.ts puts them all into the document once. */
const styles = {
  name: "styles",
  setup(build) {
    build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { outputFiles } = await esbuild.build({
        entryPoints: [path],
        minify: true,
        write: false,
        target: "es2022",
      });
      return { contents: outputFiles[0].text, loader: "text", watchFiles: [path] };
    });
  },
};

const options = {
  absWorkingDir: here,
  entryPoints: { workbench: "src/index.ts", loader: "src/loader.ts" },
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none", // licenses.txt has them
  plugins: [styles],
};

/** Name, version and licence of each package that the bundle holds a part of. */
async function licenses(metafile) {
  const folders = new Set();
  for (const path of Object.keys(metafile.inputs)) {
    const found = /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (found) folders.add(found[1]);
  }
  const texts = [];
  for (const folder of [...folders].sort()) {
    const about = JSON.parse(await readFile(join(here, folder, "package.json"), "utf8"));
    const file = (await readdir(join(here, folder))).find((name) => /^licen[cs]e/i.test(name));
    if (!file) throw new Error(`${about.name} comes without a licence text`);
    const text = await readFile(join(here, folder, file), "utf8");
    texts.push(`${about.name} ${about.version} (${about.license})\n\n${text.trim()}\n`);
  }
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}

/** A module that unpacks the module: nothing between kernel and page compresses messages, so what
 *  is not compressed here is sent, kept and saved at its full size. Takes the page about 10 ms. */
function packed(contents) {
  const text = gzipSync(contents, { level: 9 }).toString("base64");
  return Buffer.from(`// image-workbench: workbench/frontend, minified and packed. licenses.txt is beside it.
const bytes=Uint8Array.from(atob("${text}"),(c)=>c.charCodeAt(0));
const stream=new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
const code=await new Response(stream).arrayBuffer();
const url=URL.createObjectURL(new Blob([code],{type:"text/javascript"}));
const whole=await import(url);
URL.revokeObjectURL(url);
export default whole.default;
`);
}

/** Whoever reads the file now sees the old one or the new one, never a half. */
async function put(name, contents) {
  const path = join(out, name);
  await writeFile(`${path}.new`, contents);
  await rename(`${path}.new`, path);
}

async function build() {
  const { outputFiles, metafile } = await esbuild.build({
    ...options,
    write: false,
    metafile: true,
  });
  await mkdir(out, { recursive: true });
  for (const { path, contents } of outputFiles) {
    const name = path.slice(out.length + 1);
    const result = name === "workbench.js" ? packed(contents) : contents;
    const hash = createHash("sha256").update(result).digest("hex").slice(0, 16);
    console.log(`${name}: ${result.length} bytes (minified ${contents.length}), ${hash}`);
    if (result.length > LIMITS[name]) {
      throw new Error(`${name} has ${result.length} bytes, and may have ${LIMITS[name]}`);
    }
    await put(name, result);
  }
  await put("licenses.txt", await licenses(metafile));
}

if (process.argv.includes("--watch")) {
  const context = await esbuild.context({ ...options, logLevel: "info" });
  await context.watch();
} else {
  try {
    await build();
  } catch (error) {
    console.error(`The front end was not built: ${error.message}`);
    process.exitCode = 1;
  }
}
