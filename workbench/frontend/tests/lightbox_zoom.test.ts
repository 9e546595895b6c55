import { describe, expect, it } from "vitest";

import {
  FITTED,
  fitted,
  held,
  mostScale,
  naturalScale,
  swiped,
  wheelFactor,
  zoomedAt,
} from "../src/feed/zoom";

const picture = { width: 1000, height: 500 };
const stage = { width: 500, height: 500 };

describe("how a picture fits", () => {
  it("fills the stage without cutting anything off", () => {
    expect(fitted(picture, stage)).toEqual({ width: 500, height: 250 });
    expect(fitted({ width: 100, height: 900 }, stage).height).toBe(500);
  });

  it("blows small pictures up to twice their size at most", () => {
    expect(fitted({ width: 64, height: 64 }, stage)).toEqual({ width: 128, height: 128 });
  });

  it("survives a stage that is not laid out", () => {
    expect(fitted(picture, { width: 0, height: 0 })).toEqual({ width: 0, height: 0 });
    expect(mostScale(picture, { width: 0, height: 0 })).toBe(1);
  });

  it("knows the scale of one to one, on dense screens too", () => {
    expect(naturalScale(picture, stage, 1)).toBe(2);
    expect(naturalScale(picture, stage, 2)).toBe(1);
  });
});

describe("zooming", () => {
  it("keeps the point under the pointer where it is", () => {
    const at = { x: 100, y: 40 };
    const zoom = zoomedAt(FITTED, 4, at, picture, stage);
    // The point of the picture under the pointer, before (scale 1) and after.
    expect((at.x - zoom.x) / zoom.scale).toBeCloseTo(100);
    expect((at.y - zoom.y) / zoom.scale).toBeCloseTo(40);
  });

  it("never goes below fitting or beyond eight screen pixels per pixel", () => {
    expect(zoomedAt(FITTED, 0.1, { x: 0, y: 0 }, picture, stage)).toEqual(FITTED);
    const most = zoomedAt(FITTED, 1e6, { x: 0, y: 0 }, picture, stage);
    expect(most.scale).toBe(mostScale(picture, stage));
    expect(most.scale * 500).toBe(8000);
  });

  it("holds the picture so that no edge comes in", () => {
    expect(held({ scale: 2, x: 9999, y: 9999 }, picture, stage)).toEqual({ scale: 2, x: 250, y: 0 });
    expect(held({ scale: 1, x: 50, y: 50 }, picture, stage)).toEqual(FITTED);
  });

  it("goes in on wheel up, alike for lines and pixels", () => {
    const event = { deltaY: -100, deltaMode: 0, ctrlKey: false };
    expect(wheelFactor(event)).toBeGreaterThan(1);
    expect(wheelFactor({ ...event, deltaY: 100 })).toBeCloseTo(1 / wheelFactor(event));
    expect(wheelFactor({ deltaY: -3, deltaMode: 1, ctrlKey: false })).toBeGreaterThan(1.05);
    expect(wheelFactor({ ...event, deltaY: -1e9 })).toBeLessThan(1.4);
  });
});

describe("swiping", () => {
  it("turns on a long or a quick pull, else comes back", () => {
    expect(swiped(-200, 900, 500)).toBe(1);
    expect(swiped(200, 900, 500)).toBe(-1);
    expect(swiped(-40, 50, 500)).toBe(1);
    expect(swiped(-40, 900, 500)).toBe(0);
    expect(swiped(-10, 5, 500)).toBe(0);
  });
});
