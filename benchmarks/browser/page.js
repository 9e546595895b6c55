// Runs in every page before anything else: counts what the kernel's socket carries, and measures
// inside the page, where a clock is that Playwright's own messages do not disturb.
(() => {
  const wire = { received: 0, sent: 0, messages: 0, http: 0 };
  const size = (data) => (typeof data === "string" ? data.length : (data.byteLength ?? data.size ?? 0));
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...given) {
      super(...given);
      this.isKernel = /\/channels/.test(String(given[0]));
      if (!this.isKernel) return;
      this.addEventListener("message", ({ data }) => {
        wire.messages += 1;
        wire.received += size(data);
      });
    }
    send(data) {
      if (this.isKernel) wire.sent += size(data);
      super.send(data);
    }
  };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) wire.http += entry.encodedBodySize;
  }).observe({ type: "resource" });

  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const epoch = (now) => performance.timeOrigin + now;

  // -- galleries: what is in view, and has it its picture? -----------------------------------------
  const OURS = "[data-testid=generation][data-status=completed]";
  const galleries = {
    ours: {
      box: () => document.querySelector(".wbx [data-testid=feed]"),
      tiles: (box) => box.querySelectorAll(OURS),
      picture: (tile) => tile.querySelector("[data-testid=thumb]"),
    },
    plain: {
      box: () => document.querySelector(".bench-box"),
      tiles: (box) => box.getElementsByTagName("img"),
      picture: (tile) => tile,
    },
  };
  const isFilled = (image) => image !== null && image.complete && image.naturalWidth > 0;

  function viewOf(box) {
    const rect = box.getBoundingClientRect();
    return { top: Math.max(0, rect.top), bottom: Math.min(innerHeight, rect.bottom) };
  }

  // Of the tiles in their order, those that are at least half in view.
  function inView(tiles, view) {
    const found = [];
    for (const tile of tiles) {
      const rect = tile.getBoundingClientRect();
      if (rect.height === 0) continue;
      const middle = (rect.top + rect.bottom) / 2;
      if (middle > view.bottom) break;
      if (middle >= view.top) found.push(tile);
    }
    return found;
  }

  function screenOf(kind) {
    const { box, tiles, picture } = galleries[kind];
    const element = box();
    if (!element) return { shown: 0, filled: 0, full: false };
    const seen = inView(tiles(element), viewOf(element));
    const filled = seen.filter((tile) => isFilled(picture(tile))).length;
    // More than fits is there: no row of the first screen is still to come.
    const full = element.scrollHeight > element.clientHeight + 20;
    return { shown: seen.length, filled, full };
  }

  const conditions = {
    screen: (kind) => {
      const screen = screenOf(kind);
      return {
        began: screen.filled > 0,
        done: screen.full && screen.shown >= 2 && screen.filled === screen.shown,
        shown: screen.shown,
      };
    },
    usable: (kind) => {
      if (kind === "bare") {
        const button = document.querySelector(".bench-bare[data-live]");
        return { began: button !== null, done: button !== null };
      }
      const root = document.querySelector(".wbx[data-widget=Workbench]");
      const prompt = root?.querySelector("[data-testid=prompt]");
      const live = root?.querySelector("[data-testid=live][data-state=live]");
      return { began: Boolean(root), done: Boolean(prompt && !prompt.disabled && !prompt.readOnly && live) };
    },
  };

  // Run a cell of the notebook in front, and tell when something in the page came about.
  async function run(index, condition, kind, limit) {
    const app = window.jupyterapp;
    app.shell.currentWidget.content.activeCellIndex = index;
    await frame();
    await frame();
    const before = { ...wire };
    const marks = [];
    const observer = new PerformanceObserver((list) => marks.push(...list.getEntries()));
    observer.observe({ type: "longtask" });
    const start = performance.now();
    void app.commands.execute("notebook:run-cell");
    let began = null;
    let state;
    let now;
    do {
      await frame();
      now = performance.now();
      state = conditions[condition](kind);
      if (state.began) began ??= now - start;
    } while (!state.done && now - start < limit);
    const took = now - start;
    const carried = Object.fromEntries(Object.entries(wire).map(([key, value]) => [key, value - before[key]]));
    observer.disconnect();
    const tasks = marks.map((entry) => Math.round(entry.duration));
    return { done: state.done, first: began, all: took, shown: state.shown ?? 0, ...carried, tasks };
  }

  // Scroll like a wheel that never stops; per frame: how late, and which tiles have no picture yet.
  async function scroll(kind, speed, seconds) {
    const { box, tiles, picture } = galleries[kind];
    const element = box();
    const view = viewOf(element);
    // Thousands of plain tiles are looked up by their place; asking each would be what is measured.
    const places = kind === "plain" ? placesOf(element, tiles(element)) : null;
    const blank = new Map();
    const waits = [];
    const frames = [];
    let empty = 0;
    const begin = performance.now();
    let last = begin;
    const top = element.scrollTop;
    for (;;) {
      await frame();
      const now = performance.now();
      frames.push(now - last);
      last = now;
      const seen = places ? between(places, element.scrollTop, view) : inView(tiles(element), view);
      if (seen.length === 0 || hasGap(element, view)) empty += 1;
      const there = new Set();
      for (const tile of seen) {
        const key = tile.dataset.id ?? tile;
        there.add(key);
        const filled = isFilled(picture(tile));
        if (!blank.has(key)) blank.set(key, { since: now, filled: null });
        const known = blank.get(key);
        if (filled) known.filled ??= now;
      }
      for (const [key, known] of blank) {
        if (there.has(key)) continue;
        waits.push((known.filled ?? now) - known.since);
        blank.delete(key);
      }
      if (now - begin > seconds * 1000) break;
      element.scrollTop = top + ((now - begin) / 1000) * speed;
    }
    for (const { since, filled } of blank.values()) waits.push((filled ?? last) - since);
    return { frames: frames.slice(1), waits, empty, moved: element.scrollTop - top };
  }

  // The room of tiles that are not in the page (ours only has some).
  function hasGap(box, view) {
    return [...box.querySelectorAll(".wbx-gap")].some((gap) => {
      const rect = gap.getBoundingClientRect();
      return Math.min(rect.bottom, view.bottom) - Math.max(rect.top, view.top) > 20;
    });
  }

  function placesOf(box, tiles) {
    const origin = box.getBoundingClientRect().top - box.scrollTop;
    return [...tiles].map((tile) => {
      const rect = tile.getBoundingClientRect();
      return { tile, middle: (rect.top + rect.bottom) / 2 - origin };
    });
  }

  function between(places, top, view) {
    const bottom = top + view.bottom - view.top;
    let low = 0;
    let high = places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (places[middle].middle < top) low = middle + 1;
      else high = middle;
    }
    const found = [];
    for (let at = low; at < places.length && places[at].middle <= bottom; at++) found.push(places[at].tile);
    return found;
  }

  // -- events: when does a value stand in the DOM, and when in a frame? ----------------------------
  const heard = { ours: {}, bare: {} };
  function listen() {
    new MutationObserver((records) => {
      const now = epoch(performance.now());
      for (const { target } of records) {
        const kind = target.matches(".bench-bare") ? "bare" : target.matches("[data-testid=generation]") ? "ours" : null;
        const value = target.dataset.progress;
        if (kind === null || heard[kind][value]) continue;
        const found = { changed: now, painted: null };
        heard[kind][value] = found;
        requestAnimationFrame(() => (found.painted = epoch(performance.now())));
      }
    }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["data-progress"] });
  }
  function report() {
    const found = structuredClone(heard);
    heard.ours = {};
    heard.bare = {};
    return found;
  }

  // -- partial images: when does one stand in the DOM, and when is it decoded? ---------------------
  const sightings = [];
  const drifts = [];
  const broken = [];
  const mark = Object.assign(document.createElement("canvas"), { width: 128, height: 16 })
    .getContext("2d", { willReadFrequently: true });

  // What the page's clock is behind the machine's, which may have been set since the page opened.
  function clock() {
    const found = { at: epoch(performance.now()), behind: -Infinity };
    const end = performance.now() + 30;
    // A date is cut to whole milliseconds; the largest difference is that of a fresh one.
    while (performance.now() < end) found.behind = Math.max(found.behind, Date.now() - epoch(performance.now()));
    drifts.push(found);
  }

  // The number in the picture's corner (`marked` in pictures.py); null where there is none.
  function markOf(image) {
    const block = image.naturalWidth / 32;
    mark.drawImage(image, 0, 0, 8 * block, block, 0, 0, 128, 16);
    const { data } = mark.getImageData(0, 8, 128, 1);
    const bits = Array.from({ length: 8 }, (_, place) => Number(data[(place * 16 + 8) * 4] > 127));
    if (bits.slice(0, 4).some((bit, place) => bit === bits[place + 4])) return null;
    return bits.slice(0, 4).reduce((sum, bit, place) => sum + bit * 2 ** place, 0);
  }

  async function see(image, kind, changed) {
    const { src } = image;
    try {
      await image.decode();
    } catch (error) {
      if (image.src === src) broken.push(`${kind}: ${error.message}`);
      return; // else the next one came first: it counts as missing
    }
    const decoded = epoch(performance.now());
    if (image.src !== src) return; // as above
    const rect = image.getBoundingClientRect();
    const inView = rect.height > 0 && rect.bottom > 0 && rect.top < innerHeight;
    sightings.push({ kind, mark: markOf(image), changed, decoded, inView });
  }

  function watchPartials() {
    clock();
    new MutationObserver((records) => {
      const now = epoch(performance.now());
      const images = new Set();
      for (const { type, target, addedNodes } of records) {
        if (type === "attributes") images.add(target);
        for (const node of addedNodes) {
          if (node.nodeType !== Node.ELEMENT_NODE) continue;
          if (node.matches("img")) images.add(node);
          node.querySelectorAll("img").forEach((image) => images.add(image));
        }
      }
      for (const image of images) {
        const kind = image.matches(".wbx-preview") ? "ours" : image.matches(".bench-partial") ? "bare" : null;
        if (kind && image.src) void see(image, kind, now);
      }
    }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["src"] });
  }
  function partials() {
    clock();
    return { sightings, drifts, broken };
  }

  // -- clicks: from the click to what Python made of it ---------------------------------------------
  const acknowledged = () =>
    new Set(
      [...document.querySelectorAll(".wbx [data-testid=generation]")]
        .map((card) => card.dataset.id)
        .filter((id) => !id.startsWith("local:")),
    );
  const buttons = {
    ours: () => document.querySelector(".wbx [data-testid=generate]"),
    bare: () => document.querySelector("button.bench-bare"),
    ipywidgets: () => document.querySelector("button.bench-button"),
  };
  const states = {
    ours: () => acknowledged(),
    bare: () => document.querySelector("button.bench-bare").dataset.answers,
    ipywidgets: () => document.querySelector(".bench-answers").textContent,
  };
  const isNewer = {
    ours: (before) => [...acknowledged()].some((id) => !before.has(id)),
    bare: (before) => states.bare() !== before,
    ipywidgets: (before) => states.ipywidgets() !== before,
  };

  function type(text) {
    const prompt = document.querySelector(".wbx [data-testid=prompt]");
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(prompt, text);
    prompt.dispatchEvent(new Event("input", { bubbles: true }));
  }

  async function click(kind, pause, limit) {
    if (kind === "ours") type(`a click at ${performance.now()}`);
    await sleep(pause);
    const before = states[kind]();
    let local = null;
    return await new Promise((done) => {
      const begin = performance.now();
      const look = () => {
        const now = performance.now() - begin;
        if (kind === "ours") local ??= document.querySelector(".wbx [data-id^='local:']") ? now : null;
        const answered = isNewer[kind](before);
        if (!answered && now < limit) return;
        observer.disconnect();
        clearInterval(timer);
        done({ took: now, answered, local });
      };
      const observer = new MutationObserver(look);
      observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
      const timer = setInterval(look, 250);
      buttons[kind]().click();
    });
  }

  // -- the lightbox -------------------------------------------------------------------------------
  async function until(what, limit = 15_000) {
    const end = performance.now() + limit;
    while (!what()) {
      if (performance.now() > end) throw new Error(`never: ${what}`);
      await frame();
    }
  }
  async function openings(count) {
    const took = [];
    for (let i = 0; i < count; i++) {
      const cards = [...document.querySelectorAll(`.wbx ${OURS}`)];
      const begin = performance.now();
      cards[i % cards.length].click();
      const picture = () => document.querySelector("[data-testid=lightbox] [data-testid=lightbox-image]");
      await until(() => isFilled(picture()));
      took.push(performance.now() - begin);
      document.querySelector("[data-testid=lightbox] [data-testid=close]").click();
      await until(() => document.querySelector("[data-testid=lightbox]") === null);
      await sleep(30);
    }
    return took;
  }

  window.bench = { wire, run, scroll, listen, report, watchPartials, partials, click, openings, screenOf };
})();
