// Builds ../widgets/static/:
//   workbench.js    the root part, packed: what the first widget of a kernel carries
//   loader.js       what each further widget carries
//   <part>.js.gz    the other parts, one for each file of src/parts/: sent when they are needed
//   whole.js        all of it, for a page that cannot import what the kernel sends
//   licenses.txt    the licences of the packages that are in them
// Style sheets are in the part that they belong to.
//   node build.mjs [--out folder] [--watch]
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const given = process.argv.indexOf("--out");
const out = given > 0 ? resolve(process.argv[given + 1]) : join(here, "..", "widgets", "static");
// PF-12: bytes minified, and packed with gzip.
const ROOT = { minified: 150_000, packed: 50_000 };
const PART = { minified: 150_000 };
const LOADER = { minified: 2_000 };
/** What parts import the root by; src/parts.ts knows where it is. */
const ROOT_NAME = "./workbench-root.js";
/** The part that another one builds on; src/parts.ts says the same. */
const BUILDS_ON = { lightbox: "feed" };

/** A style sheet becomes a text: styles.ts puts it into the document. */
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
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  write: false,
  metafile: true,
  legalComments: "none", // licenses.txt has them
  plugins: [styles],
};

const partNames = async () => (await readdir(join(here, "src", "parts"))).map((file) => basename(file, ".ts"));

/** The entries of root and parts. Each part's begins with the root's, and with that of the part it
 *  builds on, so that all their modules are there and not in the part; the root has `shared` too. */
function entries(shared) {
  return {
    name: "entries",
    setup(build) {
      build.onResolve({ filter: /^entry:/ }, ({ path }) => ({ path: path.slice(6), namespace: "entry" }));
      build.onLoad({ filter: /.*/, namespace: "entry" }, ({ path }) => {
        const lines =
          path === "root"
            ? [...shared.map((file) => `import "./${file}";`), 'export { default } from "./src/index";']
            : [`import "entry:${BUILDS_ON[path] ?? "root"}";`, `export * from "./src/parts/${path}";`];
        return { contents: lines.join("\n"), resolveDir: here };
      });
    },
  };
}

/** Root and parts: what esbuild makes of them, and which of its files are whose. */
async function split(parts) {
  const shared = [];
  for (;;) {
    const { outputFiles, metafile } = await esbuild.build({
      ...options,
      entryPoints: Object.fromEntries(["root", ...parts].map((name) => [name, `entry:${name}`])),
      splitting: true,
      chunkNames: "chunk-[hash]",
      define: { SPLIT: "true" },
      plugins: [styles, entries(shared)],
    });
    const files = new Map(outputFiles.map(({ path, text }) => [basename(path), text]));
    const outputs = new Map(Object.entries(metafile.outputs).map(([path, made]) => [basename(path), made]));
    const owners = new Map();
    for (const name of ["root", ...parts]) owners.set(`${name}.js`, name);
    const stray = [];
    for (const [file, { inputs }] of outputs) {
      if (owners.has(file)) continue;
      const mains = { "src/index.ts": "root", ...Object.fromEntries(parts.map((name) => [`src/parts/${name}.ts`, name])) };
      const main = Object.keys(inputs).find((input) => input in mains);
      if (main) owners.set(file, mains[main]);
      else stray.push(...Object.keys(inputs));
    }
    // What two parts need belongs to the root: so a part is what no other part needs.
    if (stray.length === 0) return { files, outputs, owners, metafile };
    shared.push(...stray.filter((input) => !input.startsWith("entry:")));
  }
}

/** The files of a part, what is imported before who imports it, under the names that they import. */
function filesOf(part, { files, outputs, owners }) {
  const own = [...owners].filter(([, owner]) => owner === part).map(([file]) => file);
  own.sort((a, b) => Number(a === `${part}.js`) - Number(b === `${part}.js`)); // its entry last
  const known = new Set(["root", part, BUILDS_ON[part]]);
  for (const file of own) {
    for (const { path } of outputs.get(file).imports) {
      const owner = owners.get(basename(path));
      if (!known.has(owner)) throw new Error(`the part ${part} imports ${owner}: BUILDS_ON does not say so`);
    }
  }
  const [root] = [...owners].find(([file, owner]) => owner === "root" && file !== "root.js");
  const entryOfRoot = "./workbench.js"; // esbuild's root.js: it only passes on what the root has
  const named = (file) => (file === root ? ROOT_NAME : file === "root.js" ? entryOfRoot : `./${file}`);
  return own.map((file) => {
    let code = files.get(file);
    for (const other of owners.keys()) code = code.replaceAll(`"./${other}"`, `"\0${named(other)}"`);
    return [named(file), code.replaceAll("\0", "")];
  });
}

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

const packed = (files) => gzipSync(JSON.stringify(files), { level: 9 });

async function single(entryPoint, define = {}) {
  const { outputFiles, metafile } = await esbuild.build({ ...options, entryPoints: [entryPoint], define });
  return { code: Buffer.from(outputFiles[0].contents), metafile };
}

/** Whoever reads the file now sees the old one or the new one, never a half. */
async function put(name, contents) {
  const path = join(out, name);
  await writeFile(`${path}.new`, contents);
  await rename(`${path}.new`, path);
}

const bytes = (count) => count.toLocaleString("en").padStart(9);

/** One line of the table; an error if it is too much. */
function weigh(name, { minified, packed: zipped }, limits) {
  const said = zipped === undefined ? "" : `, ${bytes(zipped)} with gzip`;
  console.log(`${name.padEnd(14)} ${bytes(minified)} bytes minified${said}`);
  for (const [kind, size] of [["minified", minified], ["packed", zipped]]) {
    if (size > limits[kind]) throw new Error(`${name} has ${size} bytes (${kind}), and may have ${limits[kind]}`);
  }
}

async function build() {
  const names = (await partNames()).sort();
  const made = await split(names);
  const digest = createHash("sha256");
  const contents = new Map();
  for (const name of ["root", ...names]) {
    const files = filesOf(name, made);
    const zip = packed(files);
    const minified = files.reduce((sum, [, code]) => sum + Buffer.byteLength(code), 0);
    weigh(name, { minified, packed: zip.length }, name === "root" ? ROOT : PART);
    digest.update(JSON.stringify(files));
    contents.set(name, zip);
  }
  // Names what is in all of them: parts of another build do not fit this root.
  const hash = digest.digest("hex").slice(0, 16);
  const carrier = await single("src/carrier.ts", {
    HASH: JSON.stringify(hash),
    PACKED: JSON.stringify(contents.get("root").toString("base64")),
  });
  const loader = await single("src/loader.ts");
  const whole = await single("src/index.ts");
  weigh("loader", { minified: loader.code.length }, LOADER);
  weigh("whole", { minified: whole.code.length }, {});
  const head = `// image-workbench ${hash}: workbench/frontend, minified and packed. licenses.txt is beside it.\n`;
  await mkdir(out, { recursive: true });
  for (const name of names) await put(`${name}.js.gz`, contents.get(name));
  await put("whole.js", whole.code);
  await put("loader.js", loader.code);
  await put("licenses.txt", await licenses(whole.metafile));
  // Last: whoever has it finds its parts.
  await put("workbench.js", Buffer.concat([Buffer.from(head), carrier.code]));
  console.log(`workbench.js   ${bytes(head.length + carrier.code.length)} bytes as it is sent, ${hash}`);
}

/** As `build`, and an error is told. */
async function tried() {
  try {
    await build();
    return true;
  } catch (error) {
    console.error(`The front end was not built: ${error.message}`);
    return false;
  }
}

if (process.argv.includes("--watch")) {
  // It watches the files that all of it is made of; each time all of it is built.
  const again = {
    name: "again",
    setup: (build) => build.onEnd(async ({ errors }) => void (errors.length === 0 && (await tried()))),
  };
  const context = await esbuild.context({
    ...options,
    entryPoints: ["src/index.ts", "src/loader.ts", "src/carrier.ts"],
    plugins: [styles, again],
    logLevel: "info",
  });
  await context.watch();
} else if (!(await tried())) {
  process.exitCode = 1;
}
