import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { LightboxDialog } from "../src/feed/lightbox_place";
import type { Store } from "../src/store";
import { Root } from "../src/ui/root";
import { PromptBox } from "../src/widgets/prompt_box";
import { imagesIn, type References, referencesOf } from "../src/widgets/references";
import "./all_parts";
import { closeAll, joinPage, openPage, type Page, mount, pass, prepare, sent, settled, traitsWith } from "./harness";

beforeEach(() => {
  prepare();
  URL.createObjectURL = vi.fn(() => "blob:made");
  URL.revokeObjectURL = vi.fn();
});
afterEach(closeAll);

const image = (name: string, type = "image/png"): File => new File([new Uint8Array(100)], name, { type });
const names = (references: References): string[] => references.items.value.map((one) => one.name);

async function opened(max = 2): Promise<{ page: Page; store: Store; references: References }> {
  const page = await openPage();
  limit(page.store, max);
  return { page, store: page.store, references: referencesOf(page.store) };
}

/** What the chosen model takes. */
function limit(store: Store, max: number): void {
  const chosen = store.desk.config.peek().model;
  store.models.value = store.models.peek().map((one) => (one.id === chosen ? { ...one, max_references: max } : one));
}

test("files are brought in their order and named by what the kernel calls them", async () => {
  const { page, references } = await opened();
  const adding = references.addFiles([image("one.png"), image("two.png")]);
  expect(names(references)).toEqual(["one.png", "two.png"]);
  expect(references.names()).toBeNull();
  await settled(adding, 500);
  expect(references.names()).toHaveLength(2);
  expect(sent(page, "upload.begin").map((one) => one.args["name"])).toEqual(["one.png", "two.png"]);
});

test("there are at most as many as the model takes, each of the workspace's once", async () => {
  const { store, references } = await opened(2);
  await settled(references.addFiles([image("one.png"), image("two.png"), image("three.png")]), 500);
  expect(names(references)).toEqual(["one.png", "two.png"]);
  expect(store.toasts.value.at(-1)?.text).toBe("This model takes 2 references at most.");
  references.remove(references.items.value[0]!.key);
  references.addPicture({ id: "G1", asset: { id: "a" } }, "a fox");
  references.addPicture({ id: "G1", asset: { id: "a" } }, "a fox");
  expect(names(references)).toEqual(["two.png", "a fox"]);
  expect(references.names()?.[1]).toBe("G1");
});

test("what is no image is not taken, and one that the kernel refuses goes again", async () => {
  const { page, store, references } = await opened();
  await settled(references.addFiles([image("list.pdf", "application/pdf")]));
  expect(store.toasts.value.at(-1)?.text).toBe("list.pdf is no image.");
  expect(references.items.value).toEqual([]);
  vi.spyOn(store, "call").mockRejectedValue(new Error("This is no image."));
  await settled(references.addFiles([image("broken.png")]));
  expect(references.items.value).toEqual([]);
  expect(store.toasts.value.at(-1)?.text).toBe("This is no image.");
  expect(sent(page, "submit")).toEqual([]);
});

test("one that is removed is forgotten by the kernel, too", async () => {
  const { page, references } = await opened();
  await settled(references.addFiles([image("one.png")]), 500);
  references.remove(references.items.value[0]!.key);
  await pass(100);
  expect(sent(page, "upload.abort")).toHaveLength(1);
  expect(URL.revokeObjectURL).toHaveBeenCalledWith("blob:made");
});

test("a model that takes fewer keeps the first ones, one that takes none keeps none", async () => {
  const { store, references } = await opened(3);
  for (const id of ["G1", "G2", "G3"]) references.addPicture({ id, asset: { id } }, id);
  limit(store, 2);
  expect(names(references)).toEqual(["G1", "G2"]);
  store.models.value = []; // for a moment nothing is known of any
  expect(names(references)).toEqual(["G1", "G2"]);
});

test("a model without any clears them", async () => {
  const { store, references } = await opened(3);
  references.addPicture({ id: "G1", asset: { id: "a" } }, "G1");
  limit(store, 0);
  expect(references.items.value).toEqual([]);
  expect(references.most.value).toBe(0);
});

test("they go out with the request and stay for the next one; one that is on its way is waited for", async () => {
  const { page, store, references } = await opened();
  const traits = traitsWith({ _widget: "PromptBox" });
  const el = await mount(<Root store={store} traits={traits}><PromptBox store={store} traits={traits} /></Root>);
  const box = el.querySelector<HTMLTextAreaElement>("[data-testid=prompt]")!;
  const ask = async (prompt: string): Promise<void> => {
    await act(() => store.desk.setDraft(prompt));
    await act(() => void box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true })));
    await act(() => pass(400) as Promise<void>);
  };
  references.addPicture({ id: "G1", asset: { id: "a" } }, "a fox");
  const adding = references.addFiles([image("one.png")]);
  await act(() => store.desk.setDraft("too early"));
  await act(() => void box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true })));
  expect(store.toasts.value.at(-1)?.text).toContain("still being uploaded");
  expect(store.desk.draft.value).toBe("too early");
  await act(() => settled(adding, 500) as Promise<void>);
  await ask("first");
  await ask("second");
  const requests = sent(page, "submit").map((one) => one.args["references"]);
  expect(requests).toHaveLength(2);
  expect(requests[0]).toEqual(references.names());
  expect(requests[0]).toEqual(requests[1]);
  expect((requests[0] as string[])[0]).toBe("G1");
});

test("a copied text is a text, also where a picture of it comes along", () => {
  const given = (types: string[], files: File[]) => ({ types, files }) as unknown as DataTransfer;
  expect(imagesIn(given(["Files"], [image("a.png")]))).toHaveLength(1);
  expect(imagesIn(given(["Files"], [image("a.txt", "text/plain")]))).toEqual([]);
  expect(imagesIn(given(["text/plain", "Files"], [image("a.png")]))).toEqual([]);
  expect(imagesIn(null)).toEqual([]);
});

test("the large picture can be made a reference where the model takes some, and closes when its topic is deleted in another window", async () => {
  const page = await openPage();
  const { store } = page;
  const other = await joinPage(page.kernel);
  limit(store, 0);
  const row = [...page.kernel.generations.values()].find((one) => one.status === "completed" && one.topic_id === store.desk.topicId.peek())!;
  const el = await mount(<LightboxDialog store={store} />);
  await act(async () => {
    store.openLightbox(row.id);
    await pass(500);
  });
  const button = (): HTMLElement | null => el.querySelector("[data-testid=use-as-reference]");
  expect(el.querySelector("[data-testid=lightbox]")?.getAttribute("data-id")).toBe(row.id);
  expect(button()).toBeNull();
  await act(async () => {
    limit(store, 2);
    await pass(50);
  });
  await act(() => button()!.click());
  expect(referencesOf(store).names()).toEqual([row.id]);

  await act(async () => {
    await settled(other.store.call("delete", { entity: "topic", id: row.topic_id }), 1000);
  });
  expect(store.lightbox.value).toBeNull();
  expect(el.querySelector("[data-testid=lightbox]")).toBeNull();
});
