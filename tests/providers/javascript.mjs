// What javascript.py starts: it does calls with a client that is an npm package, and prints what
// came of them. The packages are those of the front end's folder.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

export const installed = createRequire(
  new URL("../../workbench/frontend/package.json", import.meta.url),
);

/**
 * Reads `{address, key, calls}`, does one call after the other, and prints what each returned, or
 * the error that it threw.
 *
 * @param {(where: {address: string, key: string}) => (call: object) => Promise<unknown>} makeClient
 */
export async function answer(makeClient) {
  const { address, key, calls } = JSON.parse(await text(process.stdin));
  const client = makeClient({ address, key });
  const answers = [];
  for (const call of calls) {
    try {
      answers.push({ value: await client(call) });
    } catch (error) {
      answers.push({ error: { name: error.name, message: error.message } });
    }
  }
  console.log(JSON.stringify(answers));
}
