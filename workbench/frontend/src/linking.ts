/** Files of JavaScript that came as bytes become modules of the page.
 *
 *  Each gets a Blob URL, and where one imports another its URL takes the place of the name: the same
 *  URL is the same module, whoever imports it. So they are not revoked.
 */

export type Files = readonly (readonly [name: string, code: string])[];

/** What build.mjs packed. */
export async function unpacked(packed: BlobPart): Promise<Files> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return (await new Response(stream).json()) as Files;
}

/** The last of these files as a module; each may import those before it and those of `urls`. */
export async function linked(files: Files, urls: Map<string, string>): Promise<unknown> {
  const made: string[] = [];
  try {
    for (const [name, code] of files) {
      let text = code;
      for (const [other, url] of urls) text = text.replaceAll(`"${other}"`, `"${url}"`);
      urls.set(name, URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
      made.push(name);
    }
    return await import(urls.get(made.at(-1) ?? "") ?? "");
  } catch (error) {
    // Another attempt makes them anew: the page remembers what failed by its URL.
    for (const name of made) {
      URL.revokeObjectURL(urls.get(name) ?? "");
      urls.delete(name);
    }
    throw error;
  }
}
