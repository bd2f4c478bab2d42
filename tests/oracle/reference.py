"""Embeds texts and images by a checkpoint's reference implementation, for `medivision-tui models verify --reference`.

    python3 reference.py clip|siglip|open-clip FOLDER [WEIGHTS] > results.json

WEIGHTS is the checkpoint of an open_clip training run, which FOLDER's open_clip_config.json describes.

Needs torch, pillow, numpy, and transformers (for SigLIP with sentencepiece and protobuf) or open_clip_torch; requirements.txt beside this file has the versions that the
test suite is made with. The program has this script built in. Texts and images come with the results; the images by the formulas
of `pictures.py`, which `src/commands/models/reference.rs` has, too.
"""

import importlib.metadata
import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image

TEXTS = [
    "a chest X-ray showing pneumonia",
    "a normal chest radiograph",
    "an MRI of the brain with a tumor",
    "a photograph of a skin lesion, probably a melanoma",
    "histology of breast tissue, stained with H&E",
    "a fracture of the forearm",
    "ultrasound of the liver",
    "a retinal fundus image: diabetic retinopathy",
]
# name, width, height, channels, pattern
PICTURES = [
    ("grey noise", 370, 530, 1, "noise"),
    ("colour waves", 500, 375, 3, "waves"),
    ("colour squares", 640, 427, 3, "squares"),
    ("grey squares", 333, 333, 1, "squares"),
]


def picture(width, height, channels, pattern):
    y, x, c = np.mgrid[0:height, 0:width, 0:channels].astype(np.uint32)
    if pattern == "waves":
        samples = (x * (c + 3) + y * (5 - c)) & 255
    elif pattern == "squares":
        samples = np.where(((x // 7 + y // 5 + c) & 1) == 1, 230 - 40 * c, 20 + 30 * c)
    else:
        samples, state = np.empty(width * height * channels, np.uint8), 1
        for i in range(samples.size):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            samples[i] = state >> 24
        samples = samples.reshape(height, width, channels)
    samples = samples.astype(np.uint8)
    return Image.fromarray(samples[:, :, 0] if channels == 1 else samples).convert("RGB")


def features(output):
    """The embeddings, which newer versions of transformers return within an object."""
    return output if torch.is_tensor(output) else output.pooler_output


def by_transformers(kind, folder, images):
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder, local_files_only=True).float().eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, use_fast=False)
    length = min(model.config.text_config.max_position_embeddings, tokenizer.model_max_length)
    texts = TEXTS
    if kind == "siglip" and type(tokenizer).__name__.startswith(("Gemma", "Siglip2")):
        # As SigLIP 2 was trained; older versions of the tokenizer do not do it themselves.
        texts = [text.lower() for text in texts]
        # Version 5 of transformers reads these settings of Gemma's tokenizer and does not follow them.
        settings = json.loads((pathlib.Path(folder) / "tokenizer_config.json").read_text())
        for key in ("add_bos_token", "add_eos_token"):
            if key in settings:
                setattr(tokenizer, key, settings[key])
    padding = "max_length" if kind == "siglip" else True
    batch = tokenizer(texts, padding=padding, truncation=True, max_length=length, return_tensors="pt")
    known = {name: batch[name] for name in ("input_ids", "attention_mask") if name in batch}
    if kind == "siglip":
        known.pop("attention_mask", None)
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    return features(model.get_text_features(**known)), features(model.get_image_features(pixel_values=pixels))


def by_open_clip(folder, weights, images):
    import open_clip

    model, _, prepare = open_clip.create_model_and_transforms("local-dir:" + folder, load_weights=weights is None)
    if weights:
        # By itself it finds only weights with their usual names.
        open_clip.load_checkpoint(model, weights)
    tokenizer = open_clip.get_tokenizer("local-dir:" + folder)
    model = model.float().eval()
    return model.encode_text(tokenizer(TEXTS)), model.encode_image(torch.stack([prepare(image) for image in images]))


@torch.no_grad()
def main():
    kind, folder = sys.argv[1], str(pathlib.Path(sys.argv[2]).absolute())
    weights = sys.argv[3] if len(sys.argv) > 3 else None
    images = [picture(*spec[1:]) for spec in PICTURES]
    texts, pictures = by_open_clip(folder, weights, images) if kind == "open-clip" else by_transformers(kind, folder, images)
    versions = {}
    for name in ("torch", "transformers", "open_clip_torch", "timm", "tokenizers", "pillow"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    json.dump({
        "versions": versions,
        "texts": [{"text": text, "embedding": row.tolist()} for text, row in zip(TEXTS, texts)],
        "pictures": [
            dict(zip(("name", "width", "height", "channels", "pattern"), spec)) | {"embedding": row.tolist()}
            for spec, row in zip(PICTURES, pictures)
        ],
    }, sys.stdout)


main()
