import { signal } from "@preact/signals";
import { describe, expect, it, vi } from "vitest";

import { FullPictures } from "../src/feed/full_pictures";
import { Walk } from "../src/feed/walk";
import type { GenerationRow } from "../src/protocol";
import type { Store } from "../src/store";

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** Just what a walk looks at: batches of two pictures, newest first; some are loaded. */
function world(all: number, loaded: number) {
  const batches = Array.from({ length: all }, (_, place) => `b${place}`);
  const order = batches.flatMap((id) => [`${id}.0`, `${id}.1`]);
  const rows = new Map(
    order.map((id) => [id, { id, batch_id: id.split(".")[0], topic_id: "t", status: "completed", rev: 1 } as GenerationRow]),
  );
  const cells = new Map(
    order.map((id, place) => [id, signal<GenerationRow | undefined>(place < loaded * 2 ? rows.get(id) : undefined)]),
  );
  const history = signal(batches.slice(0, loaded));
  const call = vi.fn(async (_op: string, { id, direction, limit }: { id: string; direction: string; limit: number }) => {
    if (direction === "first") return { rows: order.slice(0, limit).map((one) => rows.get(one)), end: false };
    if (direction === "last") return { rows: order.slice(-limit).map((one) => rows.get(one)), end: false };
    const at = order.indexOf(id);
    const part = direction === "next" ? order.slice(at + 1, at + 1 + limit) : order.slice(Math.max(0, at - limit), at);
    const end = direction === "next" ? at + limit >= order.length - 1 : at - limit <= 0;
    return { rows: part.map((one) => rows.get(one)), end };
  });
  const goneTopics = signal<ReadonlySet<string>>(new Set());
  const store = {
    call, goneTopics,
    topics: signal([{ id: "t", images: order.length }]),
    feed: { history, active: signal<string[]>([]) },
    generation: (id: string) => cells.get(id) ?? signal(undefined),
    batch: (id: string) => signal({ id, seq: 1000 - Number(id.slice(1)) }),
    latest: (id: string) => signal(order.filter((one) => one.startsWith(`${id}.`) && cells.get(one)?.peek())),
  };
  return { store: store as unknown as Store, call, cells, order, history, goneTopics };
}

describe("walking", () => {
  it("begins with what is loaded, in the order of the feed", () => {
    const { store } = world(30, 20);
    const walk = new Walk(store, vi.fn());
    walk.open("b5.1");
    expect(walk.ids.value.slice(9, 14)).toEqual(["b4.1", "b5.0", "b5.1", "b6.0", "b6.1"]);
    expect(walk.place.value).toBe(11);
  });

  it("goes beyond what is loaded, without a gap and without a repeat, to the last one", async () => {
    const { store, order } = world(60, 5);
    const walk = new Walk(store, vi.fn());
    walk.open("b0.0");
    const seen = ["b0.0"];
    while (walk.has("next")) {
      await walk.step("next");
      await tick();
      seen.push(walk.current.value!);
    }
    expect(seen).toEqual(order);
  });

  it("reaches newer ones from a picture far outside the window", async () => {
    const { store, order } = world(60, 5);
    const walk = new Walk(store, vi.fn());
    walk.open("b40.0");
    await tick();
    expect(walk.ids.value).toEqual(order.slice(80 - 24, 80 + 25));
    await walk.step("previous");
    expect(walk.current.value).toBe("b39.1");
  });

  it("goes to the ends of the topic however little of it is loaded, and walks on from there", async () => {
    const { store, order } = world(200, 5);
    const walk = new Walk(store, vi.fn());
    walk.open("b4.1"); // it is asking for those behind it: they do not join what comes then
    await walk.edge("next");
    await tick();
    expect(walk.current.value).toBe(order.at(-1));
    expect(walk.has("next")).toBe(false);
    expect(walk.ids.value).toEqual(order.slice(-walk.ids.value.length));
    expect(walk.before.value + walk.place.value + 1).toBe(400);
    await walk.step("previous");
    await tick();
    expect(walk.current.value).toBe(order.at(-2));
    await walk.edge("previous");
    await tick();
    expect([walk.current.value, walk.before.value]).toEqual(["b0.0", 0]);
    await walk.step("next");
    expect([walk.current.value, walk.has("previous")]).toEqual(["b0.1", true]);
  });

  it("adds to what it has where the end of the topic joins it", async () => {
    const { store, order } = world(20, 10);
    const walk = new Walk(store, vi.fn());
    walk.open("b0.0");
    await walk.edge("next");
    await tick();
    expect([walk.current.value, walk.ids.value]).toEqual([order.at(-1), order]);
  });

  it("goes to the last one that it knows when the kernel does not answer, and says why", async () => {
    const { store, call } = world(60, 10);
    const walk = new Walk(store, vi.fn());
    walk.open("b5.0");
    call.mockRejectedValue(new Error("The kernel does not answer."));
    await walk.edge("next");
    expect(walk.error.value).toBe("The kernel does not answer.");
    expect(walk.current.value).toBe("b9.1");
  });

  it("closes when the topic of its pictures is deleted elsewhere", () => {
    const { store, goneTopics } = world(60, 5);
    const empty = vi.fn();
    const walk = new Walk(store, empty);
    walk.open("b0.0");
    goneTopics.value = new Set(["other"]);
    expect(empty).not.toHaveBeenCalled();
    goneTopics.value = new Set(["other", "t"]);
    expect(empty).toHaveBeenCalledOnce();
    expect(walk.current.value).toBeNull();
  });

  it("moves on when the picture in view is deleted elsewhere, backwards at the end", () => {
    const { store, cells } = world(2, 2);
    const empty = vi.fn();
    const walk = new Walk(store, empty);
    walk.open("b0.1");
    cells.get("b0.1")!.value = undefined;
    expect(walk.current.value).toBe("b1.0");
    walk.go("b1.1");
    cells.get("b1.1")!.value = undefined;
    expect(walk.current.value).toBe("b1.0");
    expect(empty).not.toHaveBeenCalled();
    cells.get("b0.0")!.value = undefined;
    cells.get("b1.0")!.value = undefined;
    expect(empty).toHaveBeenCalledOnce();
  });

  it("says what went wrong and can be asked again", async () => {
    const { store, call } = world(60, 1);
    call.mockRejectedValue(new Error("The kernel does not answer."));
    const walk = new Walk(store, vi.fn());
    walk.open("b0.1");
    await tick();
    expect(walk.error.value).toBe("The kernel does not answer.");
    const row = { id: "b1.0", batch_id: "b1", status: "completed", rev: 1 } as GenerationRow;
    call.mockResolvedValue({ rows: [row], end: true });
    await walk.step("next");
    expect(walk.current.value).toBe("b1.0");
    expect(walk.error.value).toBe("");
  });
});

describe("full pictures", () => {
  const blob = new Blob(["x"]);

  it("fetches the one in view first, then its neighbours, and lets all others go", async () => {
    let made = 0;
    const revoked: string[] = [];
    vi.spyOn(URL, "createObjectURL").mockImplementation(() => `blob:${++made}`);
    vi.spyOn(URL, "revokeObjectURL").mockImplementation((url) => void revoked.push(url));
    const asked: string[] = [];
    const pictures = new FullPictures(async (id) => {
      asked.push(id);
      return blob;
    });
    pictures.want(["b", "c", "a"]);
    for (let turn = 0; turn < 5; turn++) await tick();
    expect(asked).toEqual(["b", "c", "a"]);
    pictures.want(["c", "d", "b"]);
    for (let turn = 0; turn < 5; turn++) await tick();
    expect(asked).toEqual(["b", "c", "a", "d"]);
    expect(revoked).toEqual(["blob:3"]);
    pictures.dispose();
    expect(revoked.sort()).toEqual(["blob:1", "blob:2", "blob:3", "blob:4"]);
  });

  it("does not let the one in view wait behind a neighbour", async () => {
    const signals: AbortSignal[] = [];
    const pictures = new FullPictures((_id, abort) => {
      signals.push(abort);
      return new Promise(() => undefined);
    });
    pictures.want(["a", "b"]);
    pictures.want(["b", "a"]);
    expect([signals[0]!.aborted, signals.length]).toEqual([true, 2]);
    expect(pictures.of("b").value.state).toBe("loading");
    expect(pictures.of("a").value.state).toBe("none");
    pictures.dispose();
    expect(signals[1]!.aborted).toBe(true);
  });

  it("shows what went wrong, and tries again when asked", async () => {
    vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:1");
    const fetch = vi.fn().mockRejectedValueOnce(new Error("gone")).mockResolvedValue(blob);
    const pictures = new FullPictures(fetch);
    pictures.want(["a"]);
    await tick();
    expect(pictures.of("a").value).toEqual({ state: "error", reason: "gone" });
    pictures.again("a");
    await tick();
    expect(pictures.of("a").value.state).toBe("ready");
  });
});
