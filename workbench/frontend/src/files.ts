/** Files to and from the kernel, in pieces: a message that is too large closes the connection. */

import { isAborted, WorkbenchError } from "./errors";
import type { AssetInfo, FileKind, OpenedFile } from "./protocol";
import { FILE_CHUNK_BYTES, UPLOAD_CHUNK_BYTES } from "./protocol";
import type { Store } from "./store";
import { t } from "./texts";

export interface FileOptions {
  signal?: AbortSignal;
  /** 0 to 1. */
  onProgress?: (part: number) => void;
}
export interface FileRead { blob: Blob; name: string }
export interface Uploaded {
  asset: AssetInfo;
  /** For `references` of a submission by this page. */
  reference: string;
}

const AHEAD = 2; // pieces on their way at a time
const PACKED_WITHIN_MS = 600_000; // up to 1 GiB of pictures

/** Read a picture (id of a generation), the ZIP of a batch (its id), or the ZIP of everything (no id). */
export async function readFile(store: Store, kind: FileKind, id: string | null, options: FileOptions = {}): Promise<FileRead> {
  const { signal, onProgress } = options;
  const calls = signal ? { signal } : {};
  // Never given up half-way: a handle that nobody knows is one that nobody closes.
  const { handle, name, mime, size } = await (id === null
    ? store.call<OpenedFile>("file.open", { kind }, { patienceMs: PACKED_WITHIN_MS })
    : store.call<OpenedFile>("file.open", { kind, id }));
  try {
    if (signal?.aborted) throw WorkbenchError.here("aborted");
    const count = Math.max(1, Math.ceil(size / FILE_CHUNK_BYTES));
    const pieces = new Array<Blob>(count);
    let next = 0;
    let done = 0;
    const work = async (): Promise<void> => {
      while (next < count) {
        const place = next++;
        const offset = place * FILE_CHUNK_BYTES;
        const { buffers } = await store.ask("file.read", { handle, offset }, calls);
        const piece = buffers[0] as DataView<ArrayBuffer> | undefined;
        const wanted = Math.min(FILE_CHUNK_BYTES, size - offset);
        if (!piece || piece.byteLength !== wanted) {
          throw new WorkbenchError("internal", t("error.incomplete", { name }));
        }
        pieces[place] = new Blob([piece]); // which the browser may move to the disk
        onProgress?.(++done / count);
      }
    };
    await Promise.all(Array.from({ length: Math.min(AHEAD, count) }, work));
    return { blob: new Blob(pieces, { type: mime }), name };
  } finally {
    // The kernel closes what is forgotten, so it does no harm if this is not heard.
    store.call("file.close", { handle }).catch(() => undefined);
  }
}

/** Fetch a file and hand it to the browser's downloads. */
export async function download(store: Store, kind: Exclude<FileKind, "image">, id: string | null, name?: string, options: FileOptions = {}): Promise<void> {
  const file = await readFile(store, kind, id, options);
  saveBlob(file.blob, name ?? file.name);
}

export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.style.display = "none";
  document.body.append(link);
  link.click();
  link.remove();
  // The browser may begin to read only after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Bring a picture to the kernel; one piece at a time, each acknowledged. */
export async function upload(store: Store, file: Blob, name: string, options: FileOptions = {}): Promise<Uploaded> {
  const { signal, onProgress } = options;
  const calls = signal ? { signal } : {};
  const { handle } = await store.call<{ handle: string }>("upload.begin", { name, size: file.size }, calls);
  try {
    for (let offset = 0; offset < file.size; offset += UPLOAD_CHUNK_BYTES) {
      const piece = await file.slice(offset, offset + UPLOAD_CHUNK_BYTES).arrayBuffer();
      await store.ask("upload.chunk", { handle, offset }, { ...calls, buffers: [piece] });
      onProgress?.(Math.min(1, (offset + piece.byteLength) / file.size));
    }
    return await store.call<Uploaded>("upload.end", { handle }, calls);
  } catch (error) {
    if (isAborted(error) || error instanceof WorkbenchError) {
      store.call("upload.abort", { handle }).catch(() => undefined);
    }
    throw error;
  }
}
