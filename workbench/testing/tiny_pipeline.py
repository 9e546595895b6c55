"""A tiny diffusers pipeline with random weights, made on the spot: for tests without a download.

It paints noise, but it is the real thing: tokenizer, text encoder, U-Net, autoencoder and scheduler
of the libraries themselves, saved as any pipeline is. It needs torch, diffusers and transformers.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

_PIXELS = 64
_TOKENS = 77
_WIDTH = 32  # of the text encoder


def make_tiny_pipeline(
    folder: str | os.PathLike[str], *, seed: int = 0, blocks: tuple[int, int] = (32, 64)
) -> Path:
    """Make a Stable Diffusion pipeline with random weights in a folder.

    Parameters
    ----------
    folder:
        Where it is saved; made if it is not there.
    seed:
        Of the weights: the same seed gives the same pipeline.
    blocks:
        Channels of the U-Net's two levels (multiples of 32); more make it slower and heavier.

    Returns
    -------
    Path
        The folder. About 5 MB; a picture of 64 × 64 pixels takes a fraction of a second.

    Examples
    --------
    ::

        folder = make_tiny_pipeline("tiny")
        ws.add_provider(Diffusers(models={"tiny": folder}))
    """
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = Path(folder)
    # Whoever else draws random numbers in this process must not notice.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(_vocabulary()),
                hidden_size=_WIDTH,
                intermediate_size=_WIDTH * 2,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=_TOKENS,
                bos_token_id=len(_vocabulary()) - 2,
                eos_token_id=len(_vocabulary()) - 1,
                pad_token_id=len(_vocabulary()) - 1,
            )
        )
        unet = UNet2DConditionModel(
            sample_size=_PIXELS // 2,
            in_channels=4,
            out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=blocks,
            layers_per_block=1,
            cross_attention_dim=_WIDTH,
            attention_head_dim=8,
        )
        vae = AutoencoderKL(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(32, 32),
            latent_channels=4,
            norm_num_groups=8,
            sample_size=_PIXELS,
        )
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    pipeline = StableDiffusionPipeline(
        text_encoder=text_encoder,
        tokenizer=_tokenizer(),
        unet=unet,
        vae=vae,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def _vocabulary() -> dict[str, int]:
    """Return every printable ASCII character, inside and at the end of a word, as a token."""
    signs = [chr(code) for code in range(33, 127)]
    tokens = [*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    return {token: place for place, token in enumerate(tokens)}


def _tokenizer() -> Any:
    from transformers import CLIPTokenizer

    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocabulary.write_text(json.dumps(_vocabulary()), "utf-8")
        merges.write_text("#version: 0.2\n", "utf-8")
        return CLIPTokenizer(str(vocabulary), str(merges), model_max_length=_TOKENS)
