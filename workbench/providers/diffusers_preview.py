"""Small pictures of what a pipeline is working on, without running its decoder.

A decoder takes as long as several steps. But nearly all that its latents say about colour is
linear, so a linear map is fitted to each autoencoder once: a few smooth colour fields are encoded,
and least squares find the colours again. That needs no table of models.
"""

from __future__ import annotations

import io
from typing import Any

MAX_SIDE = 256
_CELLS = 16  # latents per side of each colour field
_FIELDS = 2


class Preview:
    """Makes pictures of latents.

    Parameters
    ----------
    pipeline:
        A loaded pipeline. ValueError if its latents are none that can be shown so.
    """

    def __init__(self, pipeline: Any) -> None:
        self._weights = _fitted(pipeline)

    def picture(self, pipeline: Any, latents: Any, size: tuple[int, int] | None) -> bytes | None:
        """Return a WebP of at most 256 pixels per side; None if the latents have another form.

        Parameters
        ----------
        pipeline:
            The one that works (it may be a sibling of the one that was fitted).
        latents:
            As a step left them.
        size:
            Width and height of the picture in pixels, where that is known.
        """
        import torch
        from diffusers.image_processor import VaeImageProcessor

        grid = _as_grid(pipeline, latents, size)
        channels = self._weights.shape[0] - 1
        if grid is None or grid.shape[0] != channels:
            return None
        grid = grid.to(device="cpu", dtype=torch.float32)
        factor = MAX_SIDE / max(grid.shape[1:])
        if factor < 1:
            grid = torch.nn.functional.interpolate(grid[None], scale_factor=factor, mode="area")[0]
        flat = grid.reshape(channels, -1).T
        colours = flat @ self._weights[:-1] + self._weights[-1]
        small = colours.T.reshape(1, 3, *grid.shape[1:])
        if factor > 1:
            sides = [max(1, round(side * factor)) for side in grid.shape[1:]]
            small = torch.nn.functional.interpolate(small, size=sides, mode="bilinear")
        shown = (small / 2 + 0.5).nan_to_num(0.0).clamp(0, 1)[0].permute(1, 2, 0)
        image = VaeImageProcessor.numpy_to_pil(shown.numpy())[0]
        buffer = io.BytesIO()
        image.save(buffer, format="WEBP", quality=70, method=0)
        return buffer.getvalue()


def _as_grid(pipeline: Any, latents: Any, size: tuple[int, int] | None) -> Any:
    """Return the latents of the first picture as channels × rows × columns, or None."""
    if latents.dim() == 3 and hasattr(pipeline, "_unpack_latents"):
        # Transformers work on a row of patches; only the pipeline knows how it made them.
        width, height = size or _square(pipeline, latents)
        latents = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)  # noqa: SLF001
    if latents.dim() == 5:
        latents = latents[:, :, 0]
    return latents[0] if latents.dim() == 4 else None


def _square(pipeline: Any, latents: Any) -> tuple[int, int]:
    side = round(latents.shape[1] ** 0.5) * 2 * int(pipeline.vae_scale_factor)
    return side, side


def _fitted(pipeline: Any) -> Any:
    """Return weights (latent channels + 1) × 3 that turn latents into colours from -1 to 1."""
    import torch

    vae = getattr(pipeline, "vae", None)
    if vae is None or not hasattr(vae, "encode"):
        raise ValueError("it has no autoencoder")
    dtype = vae.dtype
    narrow = dtype == torch.float16 and bool(vae.config.get("force_upcast"))
    with torch.no_grad():
        if narrow:  # half precision overflows in these encoders
            vae.to(dtype=torch.float32)
        try:
            cells = int(getattr(pipeline, "vae_scale_factor", 8))
            pixels = _colour_fields(cells * _CELLS)
            latents = _encoded(vae, pixels.to(device=vae.device, dtype=vae.dtype))
        finally:
            if narrow:
                vae.to(dtype=dtype)
        latents = latents.to(device="cpu", dtype=torch.float32)
        wanted = torch.nn.functional.interpolate(pixels, size=latents.shape[2:], mode="area")
        known = latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1])
        known = torch.cat([known, torch.ones(len(known), 1)], dim=1)
        colours = wanted.permute(0, 2, 3, 1).reshape(-1, 3)
        # A little ridge: channels that do not vary here must not get weights without measure.
        ridge = 1e-3 * len(known) * torch.eye(known.shape[1])
        weights = torch.linalg.solve(known.T @ known + ridge, known.T @ colours)
    if not torch.isfinite(weights).all():
        raise ValueError("its autoencoder gives numbers that are none")
    return weights


def _colour_fields(side: int) -> Any:
    """Return pictures (2 × 3 × side × side, from -1 to 1) in which all colours occur, smoothly."""
    import torch

    line = torch.linspace(0, 6.2832, side)
    rows, columns = line[:, None], line[None, :]
    # One colour channel each: waves of different lengths, so that none follows from the others.
    waves = [(1, 2, 0.0), (2, 1, 1.6), (1, -1, 3.0), (2, -1, 0.5), (1, 1, 4.0), (3, 1, 2.2)]
    planes = [torch.sin(a * rows + b * columns + c) for a, b, c in waves]
    return torch.stack(planes).reshape(_FIELDS, 3, side, side)


def _encoded(vae: Any, pixels: Any) -> Any:
    """Return what a pipeline would call the latents of these pictures."""
    config = vae.config
    try:
        encoded = vae.encode(pixels)
    except (ValueError, RuntimeError, IndexError):
        encoded = vae.encode(pixels[:, :, None])  # one that was made for films, too
    if hasattr(encoded, "latent_dist"):
        latents = encoded.latent_dist.mode()
    else:
        latents = getattr(encoded, "latents", None)
        latents = encoded.latent if latents is None else latents
    if latents.dim() == 5:
        latents = latents[:, :, 0]
    mean, spread = config.get("latents_mean"), config.get("latents_std")
    if mean is not None and spread is not None:
        shape = (1, -1, 1, 1)
        latents = (latents - latents.new_tensor(mean).reshape(shape)) / latents.new_tensor(
            spread
        ).reshape(shape)
    latents = latents - (config.get("shift_factor") or 0.0)
    return latents * (config.get("scaling_factor") or 1.0)
