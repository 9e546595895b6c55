/** The picture in the lightbox: thumbnail at once, then the whole; wheel, pinch, drag, swipe. */

import { useSignal } from "@preact/signals";
import type { TargetedMouseEvent, TargetedPointerEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { useThumb } from "../pictures";
import type { GenerationRow } from "../protocol";
import type { Store } from "../store";
import { feedText } from "../texts_feed";
import type { FullPictures } from "./full_pictures";
import type { Direction } from "./walk";
import {
  FITTED,
  fitted,
  held,
  naturalScale,
  type Size,
  swiped,
  wheelFactor,
  type Zoom,
  zoomedAt,
} from "./zoom";

export interface StageHandle {
  zoomBy(factor: number): void;
  fit(): void;
  isFitted(): boolean;
}

interface StageProps {
  store: Store;
  row: GenerationRow;
  pictures: FullPictures;
  alt: string;
  handle: { current: StageHandle | null };
  turn(direction: Direction): void;
  canTurn(direction: Direction): boolean;
}

interface Finger {
  x: number;
  y: number;
}

export function Stage({ store, row, pictures, alt, handle, turn, canTurn }: StageProps) {
  const element = useRef<HTMLDivElement>(null);
  const room = useSignal<Size>({ width: 0, height: 0 });
  const zoom = useSignal<Zoom>(FITTED);
  const drag = useSignal(0); // how far a swipe has pulled the picture, in px
  const gliding = useSignal(false);
  const picture: Size = {
    width: row.asset?.width ?? row.width ?? 1,
    height: row.asset?.height ?? row.height ?? 1,
  };
  const latest = useRef({ picture, turn, canTurn });
  latest.current = { picture, turn, canTurn };

  useLayoutEffect(() => {
    const stage = element.current;
    if (stage === null) return undefined;
    const measure = (): void => {
      room.value = { width: stage.clientWidth, height: stage.clientHeight };
      zoom.value = held(zoom.value, latest.current.picture, room.value);
    };
    const observer = new ResizeObserver(measure);
    observer.observe(stage);
    measure();
    const wheel = (event: WheelEvent): void => {
      event.preventDefault(); // the page behind must not zoom or scroll
      const box = stage.getBoundingClientRect();
      const at = {
        x: event.clientX - box.left - box.width / 2,
        y: event.clientY - box.top - box.height / 2,
      };
      gliding.value = false;
      zoom.value = zoomedAt(zoom.value, wheelFactor(event), at, latest.current.picture, room.value);
    };
    stage.addEventListener("wheel", wheel, { passive: false });
    return () => {
      observer.disconnect();
      stage.removeEventListener("wheel", wheel);
    };
  }, []);

  // Another picture begins fitted.
  useLayoutEffect(() => {
    gliding.value = false;
    zoom.value = FITTED;
    drag.value = 0;
  }, [row.id]);

  const zoomBy = (factor: number, at = { x: 0, y: 0 }): void => {
    gliding.value = true;
    zoom.value = zoomedAt(zoom.value, factor, at, latest.current.picture, room.value);
  };
  handle.current = {
    zoomBy,
    fit: () => {
      gliding.value = true;
      zoom.value = FITTED;
    },
    isFitted: () => zoom.peek().scale === 1,
  };

  const hands = useHands({ element, room, zoom, drag, gliding, latest });
  const doubled = (event: TargetedMouseEvent<HTMLDivElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = {
      x: event.clientX - box.left - box.width / 2,
      y: event.clientY - box.top - box.height / 2,
    };
    if (zoom.peek().scale > 1) handle.current?.fit();
    else {
      const natural = naturalScale(picture, room.peek(), globalThis.devicePixelRatio || 1);
      zoomBy(natural > 1.2 ? natural : 2.5, at);
    }
  };

  const size = fitted(picture, room.value);
  const { scale, x, y } = zoom.value;
  return (
    <div
      ref={element}
      class="wbx-stage"
      data-zoomed={scale > 1 ? "" : undefined}
      onDblClick={doubled}
      {...hands}
    >
      <div
        key={row.id}
        class="wbx-stage-picture"
        data-gliding={gliding.value ? "" : undefined}
        style={{
          width: `${size.width}px`,
          height: `${size.height}px`,
          transform: `translate(${x + drag.value}px, ${y}px) scale(${scale})`,
        }}
      >
        <Layers store={store} row={row} pictures={pictures} alt={alt} smooth={scale < 3} />
      </div>
    </div>
  );
}

interface LayersProps {
  store: Store;
  row: GenerationRow;
  pictures: FullPictures;
  alt: string;
  smooth: boolean;
}

function Layers({ store, row, pictures, alt, smooth }: LayersProps) {
  const thumb = useThumb(store, row, 256);
  const full = pictures.of(row.id).value;
  const shown = useSignal(false);
  const url = full.state === "ready" ? full.url : thumb.url;
  return (
    <>
      {thumb.url && !shown.value ? <img class="wbx-stage-thumb" src={thumb.url} alt="" draggable={false} /> : null}
      {full.state === "ready" ? (
        <img
          class="wbx-stage-full"
          data-testid="lightbox-image"
          data-shown={shown.value ? "" : undefined}
          data-smooth={smooth ? "" : undefined}
          src={full.url}
          alt={alt}
          draggable={false}
          onLoad={() => (shown.value = true)}
          onError={() => pictures.spoilt(row.id, feedText("box.no_picture"))}
        />
      ) : null}
      {full.state !== "ready" && url ? <span class="wbx-hidden" role="img" aria-label={alt} /> : null}
      {full.state === "loading" ? (
        <span class="wbx-stage-loading" role="status" aria-label={feedText("box.loading")} />
      ) : null}
      {full.state === "error" ? (
        <p class="wbx-stage-error" role="alert" data-testid="error">
          <span>{feedText("box.failed", { reason: full.reason })}</span>
          <button type="button" class="wbx-small" data-testid="retry" onClick={() => pictures.again(row.id)}>
            {feedText("feed.again")}
          </button>
        </p>
      ) : null}
    </>
  );
}

interface HandsProps {
  element: { current: HTMLDivElement | null };
  room: { value: Size };
  zoom: { value: Zoom };
  drag: { value: number };
  gliding: { value: boolean };
  latest: {
    current: { picture: Size; turn(d: Direction): void; canTurn(d: Direction): boolean };
  };
}

/** Fingers and mouse: one drags or swipes, two pinch. */
function useHands({ element, room, zoom, drag, gliding, latest }: HandsProps) {
  const fingers = useRef(new Map<number, Finger>());
  const start = useRef<{ at: number; from: Finger; zoom: Zoom; touch: boolean } | null>(null);
  const pinch = useRef<{ distance: number; zoom: Zoom; middle: Finger } | null>(null);
  useEffect(() => () => fingers.current.clear(), []);

  const middleOf = (a: Finger, b: Finger): Finger => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const centred = (point: Finger): Finger => {
    const box = element.current?.getBoundingClientRect();
    if (!box) return { x: 0, y: 0 };
    return { x: point.x - box.left - box.width / 2, y: point.y - box.top - box.height / 2 };
  };
  const begin = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    const point = { x: event.clientX, y: event.clientY };
    start.current = {
      at: event.timeStamp,
      from: point,
      zoom: zoom.value,
      touch: event.pointerType !== "mouse",
    };
  };

  const onPointerDown = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    if (event.button !== 0 || (event.target as Element).closest("button")) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    gliding.value = false;
    const [one, two] = [...fingers.current.values()];
    if (one && two) {
      drag.value = 0;
      const middle = middleOf(one, two);
      pinch.current = {
        distance: Math.hypot(one.x - two.x, one.y - two.y),
        zoom: zoom.value,
        middle: centred(middle),
      };
    } else begin(event);
  };

  const onPointerMove = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    if (!fingers.current.has(event.pointerId)) return;
    fingers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const [one, two] = [...fingers.current.values()];
    const { picture, canTurn } = latest.current;
    if (one && two && pinch.current) {
      const { distance, zoom: before, middle } = pinch.current;
      const factor = Math.hypot(one.x - two.x, one.y - two.y) / Math.max(1, distance);
      const now = centred(middleOf(one, two));
      const scaled = zoomedAt(before, factor, middle, picture, room.value);
      zoom.value = held(
        { ...scaled, x: scaled.x + now.x - middle.x, y: scaled.y + now.y - middle.y },
        picture,
        room.value,
      );
      return;
    }
    const from = start.current;
    if (!one || from === null) return;
    const dx = one.x - from.from.x;
    const dy = one.y - from.from.y;
    if (from.zoom.scale > 1) {
      zoom.value = held(
        { ...from.zoom, x: from.zoom.x + dx, y: from.zoom.y + dy },
        picture,
        room.value,
      );
    } else if (from.touch) {
      // At an end the picture follows reluctantly.
      drag.value = canTurn(dx < 0 ? "next" : "previous") ? dx : dx / 4;
    }
  };

  const onPointerUp = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    if (!fingers.current.delete(event.pointerId)) return;
    pinch.current = null;
    const from = start.current;
    start.current = null;
    const [rest] = [...fingers.current.values()];
    if (rest) {
      // One finger of a pinch stays: it drags from here.
      start.current = { at: event.timeStamp, from: rest, zoom: zoom.value, touch: true };
      return;
    }
    if (from === null || drag.value === 0) return;
    const way = swiped(drag.value, event.timeStamp - from.at, room.value.width);
    gliding.value = true;
    drag.value = 0;
    const direction: Direction = way === 1 ? "next" : "previous";
    if (way !== 0 && latest.current.canTurn(direction)) latest.current.turn(direction);
  };
  return { onPointerDown, onPointerMove, onPointerUp, onPointerCancel: onPointerUp };
}
