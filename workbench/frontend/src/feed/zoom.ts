/** Zoom and pan of one picture in a stage; scale 1 = it fits. Offsets are pixels of the picture's
 *  centre from the stage's centre. No DOM. */

export interface Zoom {
  scale: number;
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export const FITTED: Zoom = { scale: 1, x: 0, y: 0 };

const MOST_UPSCALED = 2; // a small picture is not blown up further than that to fit
const MOST_PIXELS = 8; // screen pixels per picture pixel when zoomed in

/** The size at which the picture fits the stage. */
export function fitted(picture: Size, stage: Size): Size {
  if (picture.width <= 0 || picture.height <= 0 || stage.width <= 0 || stage.height <= 0) {
    return { width: 0, height: 0 };
  }
  const scale = Math.min(
    MOST_UPSCALED,
    stage.width / picture.width,
    stage.height / picture.height,
  );
  return { width: picture.width * scale, height: picture.height * scale };
}

export function mostScale(picture: Size, stage: Size): number {
  const fit = fitted(picture, stage);
  return fit.width === 0 ? 1 : Math.max(2, (picture.width * MOST_PIXELS) / fit.width);
}

/** The scale at which one pixel of the picture is one of the screen. */
export function naturalScale(picture: Size, stage: Size, density: number): number {
  const fit = fitted(picture, stage);
  return fit.width === 0 ? 1 : picture.width / density / fit.width;
}

/** Holds the picture where there is something to see: no edge comes further in than the stage's. */
export function held(zoom: Zoom, picture: Size, stage: Size): Zoom {
  const scale = Math.min(mostScale(picture, stage), Math.max(1, zoom.scale));
  if (scale === 1) return FITTED;
  const fit = fitted(picture, stage);
  const reach = (length: number, room: number): number => Math.max(0, (length * scale - room) / 2);
  const clamp = (value: number, most: number): number => Math.min(most, Math.max(-most, value));
  return {
    scale,
    x: clamp(zoom.x, reach(fit.width, stage.width)),
    y: clamp(zoom.y, reach(fit.height, stage.height)),
  };
}

/** Zooms by a factor so that the point under the pointer stays (`at`: from the stage's centre). */
export function zoomedAt(
  zoom: Zoom,
  factor: number,
  at: { x: number; y: number },
  picture: Size,
  stage: Size,
): Zoom {
  const scale = Math.min(mostScale(picture, stage), Math.max(1, zoom.scale * factor));
  const ratio = scale / zoom.scale;
  const moved = { scale, x: at.x - (at.x - zoom.x) * ratio, y: at.y - (at.y - zoom.y) * ratio };
  return held(moved, picture, stage);
}

/** A wheel step as a factor; pinching on a touch pad comes as small ctrl-wheel steps. */
export function wheelFactor(event: { deltaY: number; deltaMode: number; ctrlKey: boolean }): number {
  const pixels = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
  const bounded = Math.min(120, Math.max(-120, pixels));
  return Math.exp(-bounded * (event.ctrlKey ? 0.01 : 0.0022));
}

/** Does letting go here turn to a neighbour? -1 = the previous one, 1 = the next one. */
export function swiped(distance: number, milliseconds: number, width: number): -1 | 0 | 1 {
  const fast = Math.abs(distance) > 30 && Math.abs(distance) / Math.max(1, milliseconds) > 0.45;
  if (!fast && Math.abs(distance) < width * 0.25) return 0;
  return distance > 0 ? -1 : 1;
}
