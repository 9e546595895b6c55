"""stable-diffusion.cpp's own server beside the tests, with a model that is made on the spot.

The model has Flux's shape, because that server reads the sizes of such a model from its tensors:
one block of each kind, 128 wide (8 MB), TAESD's small decoder and encoder (5 MB), and CLIP-L, whose
size is fixed (0.25 GB). All weights are random, so that pictures are noise; they still follow from
prompt, seed, steps and references, which is all that a test of the dialect needs.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WIDE = 128  # of Flux: as wide as one head, which its positions fix
_LONG_TO_START_S = 120.0
# Random numbers that are repeated: of prime length, so that no two rows of a tensor are alike.
_RANDOM = np.random.default_rng(5).standard_normal(1_000_003, dtype=np.float32)

Shapes = dict[str, tuple[int, ...]]


def linear(name: str, given: int, made: int) -> Shapes:
    return {f"{name}.weight": (made, given), f"{name}.bias": (made,)}


def conv(name: str, given: int, made: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (made, given, 3, 3)} | ({f"{name}.bias": (made,)} if bias else {})


def flux() -> Shapes:
    wide, head = WIDE, 128
    shapes = linear("img_in", 64, wide) | linear("txt_in", 4096, wide)
    for name, given in (("time_in", 256), ("vector_in", 768)):
        shapes |= linear(f"{name}.in_layer", given, wide) | linear(f"{name}.out_layer", wide, wide)
    for side in ("img", "txt"):
        block = f"double_blocks.0.{side}"
        shapes |= linear(f"{block}_mod.lin", wide, 6 * wide)
        shapes |= linear(f"{block}_attn.qkv", wide, 3 * wide)
        shapes |= linear(f"{block}_attn.proj", wide, wide)
        shapes |= {f"{block}_attn.norm.{of}_norm.scale": (head,) for of in ("query", "key")}
        shapes |= linear(f"{block}_mlp.0", wide, 4 * wide) | linear(
            f"{block}_mlp.2", 4 * wide, wide
        )
    block = "single_blocks.0"
    shapes |= linear(f"{block}.linear1", wide, 7 * wide) | linear(
        f"{block}.linear2", 5 * wide, wide
    )
    shapes |= linear(f"{block}.modulation.lin", wide, 3 * wide)
    shapes |= {f"{block}.norm.{of}_norm.scale": (head,) for of in ("query", "key")}
    shapes |= linear("final_layer.linear", wide, 64)
    return shapes | linear("final_layer.adaLN_modulation.1", wide, 2 * wide)


def clip() -> Shapes:
    """CLIP-L's text model, whose size the server does not read from its tensors."""
    wide, layers = 768, 12
    shapes: Shapes = {
        "text_model.embeddings.token_embedding.weight": (49408, wide),
        "text_model.embeddings.position_embedding.weight": (77, wide),
    }
    norms = ["text_model.final_layer_norm"]
    for layer in range(layers):
        name = f"text_model.encoder.layers.{layer}"
        for part in ("q", "k", "v", "out"):
            shapes |= linear(f"{name}.self_attn.{part}_proj", wide, wide)
        shapes |= linear(f"{name}.mlp.fc1", wide, 4 * wide) | linear(
            f"{name}.mlp.fc2", 4 * wide, wide
        )
        norms += [f"{name}.layer_norm1", f"{name}.layer_norm2"]
    for norm in norms:
        shapes |= {f"{norm}.weight": (wide,), f"{norm}.bias": (wide,)}
    return shapes


def taesd(latent: int = 16) -> Shapes:
    shapes: Shapes = {}

    def block(name: str) -> Shapes:
        return (
            conv(f"{name}.conv.0", 64, 64)
            | conv(f"{name}.conv.2", 64, 64)
            | conv(f"{name}.conv.4", 64, 64)
        )

    inward, outward = "encoder.layers", "decoder.layers"
    shapes |= conv(f"{inward}.0", 3, 64) | block(f"{inward}.1") | conv(f"{inward}.14", 64, latent)
    shapes |= conv(f"{outward}.0", latent, 64) | conv(f"{outward}.18", 64, 3)
    shapes |= block(f"{outward}.17")
    for at in (2, 6, 10):
        shapes |= conv(f"{inward}.{at}", 64, 64, bias=False)
        for place in (at + 1, at + 2, at + 3):
            shapes |= block(f"{inward}.{place}")
    for at in (6, 11, 16):
        shapes |= conv(f"{outward}.{at}", 64, 64, bias=False)
    for place in (2, 3, 4, 7, 8, 9, 12, 13, 14):
        shapes |= block(f"{outward}.{place}")
    return shapes


def write(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    """Write random weights of these shapes as a file of safetensors."""
    header, at = {}, 0
    for name, shape in shapes.items():
        kind, size = ("F32", 4) if len(shape) == 1 else ("F16", 2)
        end = at + math.prod(shape) * size
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, end]}
        at = end
    head = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for name, shape in shapes.items():
            file.write(_weights(name, shape).tobytes())
    return path


def _weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 1:  # a norm's or a bias; the last bias makes pictures grey and not black
        value = 0.5 if name == "decoder.layers.18.bias" else float(not name.endswith("bias"))
        return np.full(shape, value, np.float32)
    start = sum(name.encode()) * 7919 % len(_RANDOM)  # other numbers in each tensor
    spread = 1.0 if "embedding" in name else math.sqrt(1.5 / math.prod(shape[1:]))
    values = (np.roll(_RANDOM, -start) * spread).astype(np.float16)
    return np.resize(values, math.prod(shape))


def make_model(folder: Path) -> list[str]:
    """Make the model in a folder; returns what the server is to be called with."""
    return [
        *("--diffusion-model", str(write(folder / "flux.safetensors", flux()))),
        *("--clip_l", str(write(folder / "clip.safetensors", clip()))),
        *("--taesd", str(write(folder / "taesd.safetensors", taesd()))),
    ]


@dataclass
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


@contextlib.contextmanager
def running(binary: Path, model: list[str], folder: Path) -> Iterator[Server]:
    """Start the server on a free port and wait until it answers; it is ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / f"sd-server-{port}.log"
    # Steps, size and guidance are what it takes where a request does not say. One thread: several
    # wait for one another without pause, which takes minutes where others use the cores, too.
    usual = ["--steps", "2", "-W", "64", "-H", "64", "--cfg-scale", "1", "--threads", "1"]
    command = [str(binary), *model, *usual, "--listen-ip", "127.0.0.1", "--listen-port", str(port)]
    with log.open("wb") as into:
        process = subprocess.Popen(command, stdout=into, stderr=into, cwd=folder)
    try:
        server = Server(f"http://127.0.0.1:{port}", process, log)
        _wait_for(server)
        yield server
    finally:
        process.kill()
        process.wait()


def _wait_for(server: Server) -> None:
    stop = time.monotonic() + _LONG_TO_START_S
    while True:
        try:
            with urllib.request.urlopen(f"{server.base_url}/models", timeout=5) as reply:
                assert reply.status == 200
                return
        except (urllib.error.URLError, OSError):
            ended = server.process.poll()
            said = server.log.read_text(errors="replace")[-3000:]
            assert ended is None, f"the server ended with {ended}:\n{said}"
            assert time.monotonic() < stop, f"the server does not answer:\n{said}"
            time.sleep(0.2)
