"""What the tests of comfyui start from."""

from __future__ import annotations

from tests.providers.world import fast, job_request
from workbench.domain.jobs import JobRequest, Slot
from workbench.providers.comfyui import ComfyUI

MODEL = "comfy:text-to-image"


CANARY = "comfy-canary-0123456789abcdef"


# What ComfyUI's page exports for its first template, but for the names.
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 156680208700286,
            "steps": 20,
            "cfg": 8,
            "sampler_name": "euler",
            "scheduler": "normal",
            "denoise": 1,
            "model": ["4", 0],
            "positive": ["6", 0],
            "negative": ["7", 0],
            "latent_image": ["5", 0],
        },
        "_meta": {"title": "KSampler"},
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny.safetensors"}},
    "5": {
        "class_type": "EmptyLatentImage",
        "inputs": {"width": 512, "height": 768, "batch_size": 4},
    },
    "6": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "a bottle", "clip": ["4", 1]},
        "_meta": {"title": "Positive"},
    },
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "text, ugly", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
}


def added(ws, server, **changes) -> ComfyUI:
    given = {"base_url": server.base_url, "pace": fast, "quiet_s": 5.0, **changes}
    provider = ComfyUI("comfy", **given)
    ws.add_provider(provider)
    return provider


def sent(server, path: str) -> list:
    return [seen for seen in server.requests if seen.path.partition("?")[0] == path]


def graphs(server) -> list[dict]:
    return [seen.json()["prompt"] for seen in sent(server, "/prompt")]


def lines(ws) -> str:
    return "\n".join(repr(entry) for entry in ws.debug.entries())


def _request(*, seed: int = 1, **changes) -> JobRequest:
    given = {
        "key": "job-1",
        "width": 64,
        "height": 64,
        "params": {"steps": 2},
        "slots": (Slot("g", 0, seed),),
    }
    return job_request(**{"model": "text-to-image", **given, **changes})
