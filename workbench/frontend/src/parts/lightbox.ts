/** The part with the lightbox; it builds on the one with the feed. */

import lightbox from "../widgets/lightbox.css";

export { OpenLightbox } from "../feed/lightbox_dialog";
export const styles = [lightbox];
