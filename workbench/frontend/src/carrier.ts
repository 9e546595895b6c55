/** The `_esm` of the first widget of a kernel: the root part, packed, and what unpacks it.
 *
 *  Nothing between kernel and page compresses messages, so what is not compressed here is sent, kept
 *  and saved at its full size. Unpacking takes the page about 10 ms.
 */

import { linked, unpacked } from "./linking";
import { shelf, type Whole } from "./shared";

/** Both are filled in by build.mjs. */
declare const HASH: string;
declare const PACKED: string;

const place = shelf(HASH);

async function unpack(): Promise<Whole> {
  const files = await unpacked(Uint8Array.from(atob(PACKED), (letter) => letter.charCodeAt(0)));
  return ((await linked(files, new Map())) as { default: Whole }).default;
}

// A page of several kernels of one version has one of them: the parts that come later are shared.
place.made ??= unpack();
const whole = await place.made;
place.give(whole);

export default whole;
