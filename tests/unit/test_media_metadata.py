"""Settings that travel in files: readable by others, read back by us, never telling too much."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import warnings
import zlib
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workbench.errors import ImageRejected, NotFound
from workbench.media import Media, inspect
from workbench.media.a1111 import a1111_text, parse_a1111
from workbench.media.containers import outline
from workbench.media.disclosure import FIELDS, payload
from workbench.media.exif import find, read_comment
from workbench.media.metadata import SCHEMA, embed, mime_of, read, same_picture

ASSET_ID = "ab" * 32


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((90, 60)).convert(mode)


FILES = {
    "png": saved(picture(), "PNG"),
    "png with alpha": saved(picture("RGBA"), "PNG"),
    "palette": saved(picture().quantize(16), "PNG"),
    "jpeg": saved(picture(), "JPEG"),
    "progressive": saved(picture(), "JPEG", progressive=True),
    "cmyk": saved(picture("CMYK"), "JPEG"),
    "lossy": saved(picture(), "WEBP"),
    "lossless": saved(picture(), "WEBP", lossless=True),
    "lossless with alpha": saved(picture("RGBA"), "WEBP", lossless=True),
    "lossy with alpha": saved(Image.new("RGBA", (90, 60), (9, 9, 9, 99)), "WEBP"),
    "animated webp": saved(
        picture(), "WEBP", save_all=True, append_images=[Image.new("RGB", (90, 60), "red")]
    ),
    "animated png": saved(
        picture(), "PNG", save_all=True, append_images=[Image.new("RGB", (90, 60), "red")]
    ),
}
INFO: dict[str, Any] = {
    "asset_id": ASSET_ID,
    "prompt": "a red fox, detailed fur",
    "negative_prompt": "blurry",
    "model": "sketch",
    "provider": "builtin",
    "seed": 2**63 + 1,
    "width": 90,
    "height": 60,
    "params": {"steps": 20, "guidance": 7.5, "sampler": "Euler a"},
}
HOSTILE = [
    "",
    " ",
    "\n",
    "a\0b",
    "\x1b]8;;http://x\x07y\x1b]8;;\x07",
    "</script><img src=x onerror=alert(1)>",
    "</workbench:json></x:xmpmeta>",
    "]]>&amp;&#0;&lt;",
    "Negative prompt: all of it",
    "fox\nNegative prompt: nothing\nSteps: 1, Seed: 2, Size: 3x3",
    "Steps: 1, Seed: 2, Size: 3x3, Model: evil",
    'quote " backslash \\ comma , colon :',
    "emoji 🦊 한국어 עברית \u202e txt",
    "\ud800 lone surrogate",
    "\ufffe\uffff",
    "{{7*7}} ${x} %(y)s",
    "x" * 10_000,
    "🦊" * 10_000,
    "\r\nwindows\r\nlines\r",
    "\u2028\u2029\x85",
]


def decoded(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = Image.open(io.BytesIO(data))
        image.load()
    return image


def parameters_of(data: bytes) -> str | None:
    """The A1111 text as readers find it: PNG text, else the user comment of the EXIF block."""
    if data.startswith(b"\x89PNG"):
        return decoded(data).info.get("parameters")
    raw = decoded(data).getexif().get_ifd(0x8769).get(0x9286)
    if raw is None:
        return None
    assert raw[:8] == b"UNICODE\0"
    return str(raw[8:].decode("utf-16-be"))


# --- Round trips -------------------------------------------------------------------------------


@pytest.mark.req("RES-6a")
@pytest.mark.parametrize("name", FILES)
def test_settings_survive_in_every_format_and_pixels_do_not_change(name: str) -> None:
    data = FILES[name]
    out = embed(data, mime_of(data), INFO)
    assert read(out) == {"schema": SCHEMA, "software": "image-workbench", **INFO}
    assert parse_a1111(parameters_of(out) or "")["prompt"] == INFO["prompt"]
    before, after = decoded(data), decoded(out)
    assert (before.mode, before.size) == (after.mode, after.size)
    assert before.tobytes() == after.tobytes()
    assert getattr(before, "n_frames", 1) == getattr(after, "n_frames", 1)
    assert same_picture(data, out)
    found = inspect(out)
    assert (found.mime, found.trailing_bytes) == (mime_of(data), 0)
    assert found.has_alpha == inspect(data).has_alpha


@pytest.mark.req("RES-6a")
@pytest.mark.parametrize("name", FILES)
def test_embedding_again_replaces_what_was_embedded(name: str) -> None:
    data, mime = FILES[name], mime_of(FILES[name])
    once = embed(data, mime, INFO)
    assert embed(once, mime, INFO) == once
    other = embed(once, mime, {"prompt": "new"}, strip=False)
    assert (read(other) or {})["prompt"] == "new"
    assert b"fox" not in other.replace(b"\0", b"")


@pytest.mark.req("RES-6a")
@pytest.mark.parametrize("name", FILES)
def test_switched_off_means_no_trace(name: str) -> None:
    data, mime = FILES[name], mime_of(FILES[name])
    assert embed(data, mime, None) == embed(embed(data, mime, INFO), mime, None)
    assert read(embed(data, mime, None)) is None


def test_a_gif_is_given_back_as_it_is_but_for_what_is_glued_to_it() -> None:
    data = saved(picture().quantize(16), "GIF")
    assert embed(data, "image/gif", INFO) == data
    assert embed(data + b"PK\x03\x04", "image/gif", INFO) == data
    assert read(data) is None


@pytest.mark.req("RES-6a")
@pytest.mark.parametrize("name", ["png", "jpeg", "lossy", "lossless"])
@pytest.mark.parametrize("prompt", HOSTILE)
def test_hostile_prompts_come_back_unchanged(name: str, prompt: str) -> None:
    data, mime = FILES[name], mime_of(FILES[name])
    out = embed(data, mime, {**INFO, "prompt": prompt})
    back = read(out)
    assert back is not None
    assert back["prompt"] == prompt.encode("utf-8", "replace").decode()
    assert back["model"] == "sketch"
    assert decoded(out).tobytes() == decoded(data).tobytes()


def test_texts_too_long_for_a_jpeg_lose_detail_not_identity() -> None:
    noise = "".join(chr(0x1F300 + n * 7919 % 700) for n in range(30_000))
    out = embed(FILES["jpeg"], "image/jpeg", {**INFO, "prompt": noise, "prompt_sent": noise})
    back = read(out)
    assert back is not None
    assert back["asset_id"] == ASSET_ID
    assert back["seed"] == INFO["seed"]
    assert inspect(out).width == 90
    # WebP and PNG have no such limit.
    for name in ("png", "lossy"):
        whole = read(embed(FILES[name], mime_of(FILES[name]), {**INFO, "prompt": noise}))
        assert (whole or {})["prompt"] == noise


@pytest.mark.req("RES-6a")
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_comes_back_is_recognised_by_its_pixels(name: str, tmp_path: Path) -> None:
    media = Media(tmp_path)
    asset = media.admit(FILES[name], source="generation")
    out = media.export_bytes(asset.id, INFO)
    assert hashlib.sha256(out).hexdigest() != asset.id
    assert media.recognise(out) == asset.id
    assert media.recognise(FILES[name]) is None


def test_a_file_that_claims_another_picture_is_not_believed(tmp_path: Path) -> None:
    media = Media(tmp_path)
    secret = media.admit(saved(Image.new("RGB", (90, 60), "red"), "PNG"), source="upload")
    forged = embed(FILES["png"], "image/png", {"asset_id": secret.id})
    assert (read(forged) or {})["asset_id"] == secret.id
    assert media.recognise(forged) is None
    unknown = embed(FILES["png"], "image/png", {"asset_id": ASSET_ID})
    assert media.recognise(unknown) is None


def test_exports_without_metadata_and_without_original(tmp_path: Path) -> None:
    media = Media(tmp_path)
    asset = media.admit(FILES["jpeg"], source="generation")
    assert media.export_bytes(asset.id, INFO, metadata=False, strip=False) == FILES["jpeg"]
    assert read(media.export_bytes(asset.id, INFO, metadata=False)) is None
    assert (read(media.export_bytes(asset.id)) or {})["asset_id"] == asset.id
    with pytest.raises(NotFound):
        media.export_bytes(ASSET_ID, INFO)


# --- B15, B18: what others left in a file -------------------------------------------------------


def burdened(kind: str) -> bytes:
    """A picture with everything that must not leave the house."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "CANARY-maker"
    exif.get_ifd(0x8769)[0xA431] = "CANARY-serial"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (48.0, 12.0, 30.0)
    exif.get_ifd(0x8825)[29] = "CANARY-gps"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>CANARY-xmp</x:xmpmeta>"
    profile = b"fine" * 40
    if kind == "JPEG":
        data = saved(
            picture(), kind, exif=exif, xmp=xmp, icc_profile=profile, comment=b"CANARY-comment"
        )
        blob = b"CANARY-c2pa"
        parts = b"".join(
            bytes([0xFF, marker]) + struct.pack(">H", len(blob) + 2) + blob
            for marker in (0xEB, 0xED, 0xE2, 0xEF)
        )
        thumb = b"JFXX\0\x10CANARY-thumbnail"
        parts += b"\xff\xe0" + struct.pack(">H", len(thumb) + 2) + thumb
        data = data[:20] + parts + data[20:]
    elif kind == "WEBP":
        data = saved(picture(), kind, exif=exif, xmp=xmp, icc_profile=profile)
        blob = b"C2PA" + struct.pack("<I", 12) + b"CANARY-c2pa "
        data = data[:4] + struct.pack("<I", len(data) - 8 + len(blob)) + data[8:] + blob
    else:
        data = saved(picture(), kind, exif=exif, icc_profile=profile)
        texts = [
            (b"tEXt", b"Comment\0CANARY <script>alert(1)</script>"),
            (b"zTXt", b"note\0\0" + zlib.compress(b"CANARY")),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0CANARY-xmp"),
            (b"caBX", b"CANARY-c2pa"),
            (b"prVt", b"CANARY-private"),
            (b"tIME", bytes(7)),
        ]
        parts = b"".join(
            struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
            for tag, body in texts
        )
        data = data[:33] + parts + data[33:]
    return data + b"PK\x03\x04 CANARY-tail"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("info", [None, INFO])
def test_foreign_metadata_and_tails_are_cut_out(kind: str, info: dict[str, Any] | None) -> None:
    data = burdened(kind)
    assert inspect(data).trailing_bytes > 0
    out = embed(data, mime_of(data), info)
    assert b"CANARY" not in out
    assert b"<script" not in out
    image = decoded(out)
    assert image.getexif().get_ifd(0x8825) == {}
    # What makes the picture look right stays.
    assert inspect(out).orientation == 6
    assert image.info["icc_profile"] == b"fine" * 40
    assert image.tobytes() == decoded(data).tobytes()
    assert inspect(out).trailing_bytes == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_foreign_metadata_can_be_kept_beside_ours(kind: str) -> None:
    data = burdened(kind)
    out = embed(data, mime_of(data), INFO, strip=False)
    image = decoded(out)
    exif = image.getexif()
    assert (exif[0x010F], exif[0x0112]) == ("CANARY-maker", 6)
    assert exif.get_ifd(0x8769)[0xA431] == "CANARY-serial"
    assert exif.get_ifd(0x8825)[29] == "CANARY-gps"
    assert b"CANARY-c2pa" in out
    assert (read(out) or {})["prompt"] == INFO["prompt"]
    assert (parameters_of(out) or "").startswith("a red fox")
    assert b"CANARY-tail" not in out
    assert inspect(out).orientation == 6


def test_a_thumbnail_in_the_jfif_header_goes_too() -> None:
    jpeg = FILES["jpeg"]
    body = jpeg[6:18] + b"\x01\x01" + b"\xff\0\xff"
    data = jpeg[:2] + b"\xff\xe0" + struct.pack(">H", len(body) + 2) + body + jpeg[20:]
    out = embed(data, "image/jpeg", None)
    assert b"\x01\x01\xff\0\xff" not in out
    assert decoded(out).tobytes() == decoded(jpeg).tobytes()


@pytest.mark.parametrize(
    "hidden",
    [
        b"CANARY between segments",
        b"\xff\x00CANARY",
        b"\xff\xff\xff\x00\x08CANARY",
        b"\xff\x02\x00\x08CANARY",
        b"\xff\xf0\x00\x08CANARY",
        b"\xff\x01CANARY",
        b"\xff\xd0CANARY",
    ],
)
def test_nothing_hides_between_the_segments_of_a_jpeg(hidden: bytes) -> None:
    jpeg = FILES["jpeg"]
    at = jpeg.index(b"\xff\xdb")
    data = jpeg[:at] + hidden + jpeg[at:]
    assert inspect(data).width == 90
    out = embed(data, "image/jpeg", None)
    assert b"CANARY" not in out
    assert out == embed(jpeg, "image/jpeg", None)


def test_broken_exif_is_replaced_not_repaired() -> None:
    body = b"Exif\0\0MM\0*\xff\xff\xff\xff"
    jpeg = FILES["jpeg"]
    data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]
    out = embed(data, "image/jpeg", INFO, strip=False)
    assert (parameters_of(out) or "").startswith("a red fox")


def test_damaged_files_are_refused() -> None:
    for name in ("png", "jpeg", "lossy"):
        data = FILES[name]
        with pytest.raises(ImageRejected):
            embed(data[:-10], mime_of(data), INFO)
    with pytest.raises(ImageRejected):
        mime_of(b"<svg/>")


# --- B59: what we never write --------------------------------------------------------------------


class Word(StrEnum):
    GENERATE = "generate"


@pytest.mark.req("PRV-7b")
@pytest.mark.parametrize("name", ["png", "jpeg", "lossy"])
def test_paths_users_keys_and_addresses_never_leave(name: str) -> None:
    info = {
        **INFO,
        "path": "/home/CANARY/x.png",
        "owner": "CANARY",
        "user": "CANARY",
        "team": "CANARY",
        "provenance": {"notebook": "/home/CANARY/n.ipynb"},
        "topic": "CANARY",
        "note": "CANARY",
        "operation": Word.GENERATE,
        "model": "/home/CANARY/models/flux.safetensors",
        "params": {
            "api_key": "CANARY",
            "API-KEY": "CANARY",
            "x_auth_token": "CANARY",
            "Authorization": "Bearer CANARY",
            "secret": ["CANARY"],
            "user_name": "CANARY",
            "lora": "C:\\Users\\CANARY\\lora.safetensors",
            "vae": "~/CANARY/vae.pt",
            "share": "\\\\CANARY\\share\\m.pt",
            "file": "file:///home/CANARY/m.pt",
            "inside": "load /home/CANARY/m.pt please",
            "listed": ["lora:/srv/CANARY/x", "plain"],
            "image": "https://host/x.png?sig=CANARY",
            "deep": {"password": "CANARY", "/home/CANARY": 1, "kept": 2},
            "max_tokens": 77,
            "style": "ink/wash",
            "infinite": float("inf"),
            "object": object(),
        },
    }
    out = embed(FILES[name], mime_of(FILES[name]), info)
    flat = out.replace(b"\0", b"")
    assert b"CANARY" not in flat
    assert b"home" not in flat
    back = read(out)
    assert back is not None
    assert back["model"] == "flux.safetensors"
    assert back["operation"] == "generate"
    assert back["params"] == {
        "lora": "lora.safetensors",
        "vae": "vae.pt",
        "share": "m.pt",
        "file": "m.pt",
        "listed": ["plain"],
        "deep": {"kept": 2},
        "max_tokens": 77,
        "style": "ink/wash",
    }


def test_prompts_are_the_users_words_and_stay_whole() -> None:
    prompt = "a sign that says /home/me and https://example.org"
    assert payload({"prompt": prompt})["prompt"] == prompt


def test_only_known_fields_are_written() -> None:
    assert set(payload(dict.fromkeys([*FIELDS, "x", "path", "owner"], 1))) == {
        *FIELDS,
        "schema",
        "software",
    }


# --- Reading hostile files -------------------------------------------------------------------


def with_json(text: str) -> bytes:
    body = b"workbench\0\0\0\0\0" + text.encode()
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"iTXt" + body))
    return FILES["png"][:33] + chunk + FILES["png"][33:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "5",
        '{"prompt": "no schema"}',
        '{"schema": "1"}',
        "{" * 100_000,
        "[" * 100_000,
        '{"schema": 1e999}',
        '"' + "x" * 1_500_000,
    ],
)
def test_json_that_is_not_ours_is_nothing(text: str) -> None:
    assert read(with_json(text)) is None


def test_json_of_a_newer_version_is_read_as_far_as_known() -> None:
    found = read(
        with_json('{"schema": 9, "prompt": "x", "new": 1, "owner": "eve", "asset_id": "../"}')
    )
    assert found == {"schema": 9, "software": "image-workbench", "prompt": "x"}


def test_reading_never_raises_on_cut_or_foreign_files() -> None:
    whole = embed(FILES["jpeg"], "image/jpeg", INFO)
    for length in range(0, len(whole), 37):
        read(whole[:length])
    for data in (b"", b"x" * 100, b"<svg/>", FILES["png"][:50]):
        assert read(data) is None
        assert not same_picture(data, data)


def test_compressed_texts_are_read_within_bounds() -> None:
    def compressed(text: bytes) -> bytes:
        body = b"workbench\0\1\0\0\0" + zlib.compress(text)
        chunk = struct.pack(">I", len(body)) + b"iTXt" + body
        chunk += struct.pack(">I", zlib.crc32(b"iTXt" + body))
        return FILES["png"][:33] + chunk + FILES["png"][33:]

    assert (read(compressed(b'{"schema": 1, "seed": 5}')) or {})["seed"] == 5
    assert read(compressed(b'{"schema": 1, "prompt": "' + b"x" * 40_000_000 + b'"}')) is None


def test_programs_that_rewrite_xmp_as_attributes_do_not_lose_our_json() -> None:
    out = embed(FILES["lossy"], "image/webp", {"prompt": 'say "hi" & <go>'})
    shape = outline(out, "image/webp")
    part = next(part for part in shape.parts if part.kind == b"XMP ")
    text = out[part.body : part.body_end].decode()
    inner = text.split("<workbench:json>")[1].split("</workbench:json>")[0]
    attribute = f'<rdf:Description workbench:json="{inner.replace(chr(34), "&quot;")}"/>'.encode()
    body = attribute + b" " * (len(attribute) & 1)
    chunk = b"XMP " + struct.pack("<I", len(body)) + body
    rest = out[12 : part.start]
    again = b"RIFF" + struct.pack("<I", 4 + len(rest) + len(chunk)) + b"WEBP" + rest + chunk
    assert (read(again) or {})["prompt"] == 'say "hi" & <go>'


# --- A1111 text ----------------------------------------------------------------------------------


def test_a1111_text_looks_as_its_readers_expect() -> None:
    assert a1111_text({**INFO, "seed": 42}) == (
        "a red fox, detailed fur\n"
        "Negative prompt: blurry\n"
        "Steps: 20, CFG scale: 7.5, Sampler: Euler a, Seed: 42, Size: 90x60, Model: sketch, "
        "Provider: builtin, Version: image-workbench"
    )


def test_values_with_commas_colons_or_breaks_are_quoted() -> None:
    text = a1111_text({"prompt": "x", "params": {"note": 'a, b: "c"\nd\\', "gap": " x "}})
    assert text.split("\n") == [
        "x",
        r'Model: unknown, Note: "a, b: \"c\"\nd\\", Gap: " x ", Version: image-workbench',
    ]


def test_pictures_of_unknown_origin_get_no_text() -> None:
    assert a1111_text({"asset_id": ASSET_ID, "width": 5, "height": 5}) == ""
    assert parameters_of(embed(FILES["png"], "image/png", {"asset_id": ASSET_ID})) is None


def test_parameters_cannot_overrule_what_we_know() -> None:
    text = a1111_text(
        {"prompt": "x", "seed": 7, "params": {"Seed": 8, "size": "1x1", "model": "y"}}
    )
    assert parse_a1111(text)["params"]["Seed"] == "7"
    assert "1x1" not in text
    assert "Model: unknown" in text


@pytest.mark.parametrize("prompt", HOSTILE)
def test_no_prompt_can_forge_the_layout(prompt: str) -> None:
    for info in (
        {"prompt": prompt, "model": "m", "seed": 1},
        {"prompt": "fine", "negative_prompt": prompt, "model": "m", "seed": 1},
    ):
        found = parse_a1111(a1111_text(info))
        assert found["params"]["Seed"] == "1"
        assert found["params"]["Model"] == "m"
        if "negative_prompt" not in info:
            assert found["negative_prompt"] == ""


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
names = st.text("abcdefghij_", min_size=2, max_size=10).filter(
    lambda name: name.strip("_") and len(name.replace("_", " ").strip()) > 1
)


@given(prompt=words, negative=words, params=st.dictionaries(names, words, max_size=4))
def test_a1111_text_round_trips(prompt: str, negative: str, params: dict[str, str]) -> None:
    info = {
        "prompt": prompt,
        "negative_prompt": negative,
        "params": params,
        "model": "m",
        "seed": 3,
    }
    found = parse_a1111(a1111_text(info))

    def told(text: str) -> str:
        text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n").strip()
        lines = (line.strip() for line in text.split("\n"))
        return "\n".join(
            "n" + line[1:] if line.startswith("Negative prompt:") else line for line in lines
        )

    assert found["prompt"].strip() == told(prompt).strip()
    assert found["negative_prompt"].strip() == told(negative).strip()
    values = set(found["params"].values())
    assert {"m", "3"} <= values
    assert len(found["params"]) <= len(params) + 3
    for value in params.values():
        assert value in values or len(params) > 1  # two names may become one


def test_the_user_comment_is_readable_by_our_own_reader() -> None:
    out = embed(FILES["jpeg"], "image/jpeg", INFO)
    assert read_comment(find(out, outline(out, "image/jpeg"))) == parameters_of(out)


def test_json_in_a_png_is_plain_text_for_everybody() -> None:
    out = embed(FILES["png"], "image/png", INFO)
    assert json.loads(decoded(out).info["workbench"])["prompt"] == INFO["prompt"]
