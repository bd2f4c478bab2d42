"""Writes tiny random CLIP checkpoints and transformers' results for them, for `tests/parity`.

    python3 -m venv oracle && oracle/bin/pip install -r tests/oracle/requirements.txt
    oracle/bin/python tests/oracle/clip.py tests/fixtures/parity

Two generations of the hub's layout:

* `clip-early`: as OpenAI's checkpoints were first published on the hub. `eos_token_id` is wrongly 2 (the text is pooled at the
  highest id), quick_gelu, `preprocessor_config.json` with plain numbers, position ids among the weights, f32, one file.
* `clip-late`: as checkpoints are saved today. The right `eos_token_id` (the text is pooled where it first occurs), gelu,
  `processor_config.json` with nested objects, a resize larger than the crop, towers of different widths, f16, shards, a
  tokenizer file with padding and truncation of its own.

and `preprocess.json`: preprocessing settings of other checkpoints, with images only. Seeds are fixed; the same versions write the
same files.
"""

import base64
import collections
import json
import math
import pathlib
import sys

import numpy as np
import PIL
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from pictures import PICTURES, picture

CORPUS = """
a chest x-ray of a patient with pneumonia. a chest radiograph showing hazy patchy lung opacities.
a head mri with a mass, a brain tumor with surrounding swelling. a healthy brain with no abnormality.
an x-ray of a broken bone, a fracture of the forearm. an intact bone with a smooth cortex.
normal lungs, clear lungs, no pneumonia, no fracture, no tumor. the patient's lungs aren't clear, we've seen 12 of 345.
""" * 3

TEXTS = [
    "",
    " ",
    "pneumonia",
    "a chest X-ray showing pneumonia",
    "A CHEST X-RAY SHOWING PNEUMONIA",
    "  two   spaces\tand a tab \n and a line ",
    "the patient's lungs aren't clear; we've seen it, they'll say I'd",
    "T2-weighted (FLAIR) MRI, 3.0 T: 1234567890 voxels!?",
    "naïve Röntgenbild, 肺炎の胸部写真, перелом",
    "cafe\u0301 and caf\u00e9 are one after NFC",
    "emoji 🩻🫁 and a zero\u200bwidth space",
    "İstanbul STRASSE ß ΣΑΣ",
    "stop <|endoftext|> here",
    "a fracture of the forearm " * 12,
    "!!!???...---///",
    "'s 't 're 've",
]

# Over which texts the probabilities are taken; alike ones left out.
LABELS = [2, 3, 7, 8, 13]


def byte_pairs(merge_count):
    """A byte-level vocabulary like CLIP's: bytes, bytes at the end of a word, merges, begin and end tokens."""
    split = CLIPTokenizer().backend_tokenizer
    text = split.normalizer.normalize_str(CORPUS)
    words = collections.Counter(word for word, _ in split.pre_tokenizer.pre_tokenize_str(text))
    spelt = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    merges = []
    while len(merges) < merge_count:
        pairs = collections.Counter()
        for word, parts in spelt.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[word]
        assert pairs, f"the corpus has no more than {len(merges)} merges"
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for parts in spelt.values():
            i = 0
            while i < len(parts) - 1:
                if (parts[i], parts[i + 1]) == best:
                    parts[i : i + 2] = ["".join(best)]
                i += 1
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokens = letters + [letter + "</w>" for letter in letters] + ["".join(pair) for pair in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return vocabulary, merges


def randomise(model, seed):
    """Makes weights large enough that a wrong order, activation or number of heads shows in the embeddings."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name == "logit_scale":
                weight.fill_(math.log(20.0))
            elif "norm" in name or "layrnorm" in name:
                weight.copy_(0.3 * noise + (1.0 if name.endswith("weight") else 0.0))
            elif weight.dim() == 1:
                weight.copy_(0.3 * noise)
            elif "embedding" in name and "patch" not in name:
                weight.copy_(0.7 * noise)
            else:
                weight.copy_(noise * 1.7 / math.sqrt(weight[0].numel()))


def towers(**both):
    text = dict(vocab_size=both["vocab"], max_position_embeddings=both["context"], bos_token_id=both["vocab"] - 2,
                eos_token_id=both["eos"], pad_token_id=both["pad"], hidden_act=both["act"], **both["text"])
    vision = dict(hidden_act=both["act"], **both["vision"])
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=both["projection"])


def early(folder):
    vocabulary, merges = byte_pairs(130)
    config = towers(
        vocab=len(vocabulary), context=24, eos=2, pad=1, act="quick_gelu", projection=16,
        text=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4),
        vision=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                    image_size=32, patch_size=8),
    )
    model = CLIPModel(config)
    randomise(model, 1)
    model.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights["text_model.embeddings.position_ids"] = torch.arange(24)[None]
    weights["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    CLIPTokenizer(vocabulary, merges).save_pretrained(folder)
    settings = {
        "crop_size": 32, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        "resample": 3, "size": 32,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return settings


def late(folder):
    vocabulary, merges = byte_pairs(60)
    config = towers(
        vocab=len(vocabulary), context=16, eos=len(vocabulary) - 1, pad=len(vocabulary) - 1, act="gelu", projection=20,
        text=dict(hidden_size=24, intermediate_size=56, num_hidden_layers=1, num_attention_heads=2),
        vision=dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=3,
                    image_size=30, patch_size=6, layer_norm_eps=1e-6),
    )
    model = CLIPModel(config)
    randomise(model, 2)
    model.half().save_pretrained(folder, max_shard_size="80KB")
    tokenizer = CLIPTokenizer(vocabulary, merges)
    tokenizer.backend_tokenizer.enable_padding(length=16, pad_id=len(vocabulary) - 1, pad_token="<|endoftext|>")
    tokenizer.backend_tokenizer.enable_truncation(16)
    tokenizer.save_pretrained(folder)
    settings = {
        "crop_size": {"height": 30, "width": 30}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
        "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.5, 0.3],
        "image_processor_type": "CLIPImageProcessor", "resample": 3, "rescale_factor": 1 / 255,
        "size": {"shortest_edge": 35},
    }
    whole = {"image_processor": settings, "processor_class": "CLIPProcessor"}
    (folder / "processor_config.json").write_text(json.dumps(whole, indent=2) + "\n")
    return settings


def as_bytes(settings):
    """A function from pixels to the cropped bytes, before rescaling and normalisation."""
    processor = CLIPImageProcessorPil(**settings)

    def run(pixels):
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        prepared = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        assert prepared.dtype == np.uint8, prepared.dtype
        whole = processor(image, return_tensors="np")["pixel_values"][0]
        mean, std = (np.array(v)[:, None, None] for v in (processor.image_mean, processor.image_std))
        assert np.abs((prepared / 255 - mean) / std - whole).max() < 1e-5
        return prepared.transpose(1, 2, 0), whole

    return run


def described(name, width, height, channels, pattern):
    return {"name": name, "width": width, "height": height, "channels": channels, "pattern": pattern}


def numbers(tensor):
    return [float(f"{value:.7g}") for value in tensor.flatten().tolist()]


def unit(rows):
    return rows / rows.norm(dim=-1, keepdim=True)


def unlike(rows, what):
    """Asserts that different inputs have clearly different embeddings; otherwise a cosine of 0.9999 would prove nothing."""
    rows = torch.unique(rows, dim=0)
    cosines = rows @ rows.T - 2 * torch.eye(len(rows))
    assert cosines.max() < 0.99, f"{what} are too alike: {cosines.max()}"


@torch.no_grad()
def golden(folder, settings):
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    context = model.config.text_config.max_position_embeddings
    prepare = as_bytes(settings)

    ids = [tokenizer(text, truncation=True, max_length=context)["input_ids"] for text in TEXTS]
    alone = torch.cat([model.get_text_features(input_ids=torch.tensor([row])).pooler_output for row in ids])
    batch = tokenizer(TEXTS, truncation=True, max_length=context, padding="max_length", return_tensors="pt")
    together = model.get_text_features(**batch).pooler_output
    assert torch.allclose(alone, together, atol=1e-4), "padding changes the reference's own result"
    texts = unit(alone)

    prepared = [prepare(picture(*spec[1:])) for spec in PICTURES]
    pixels = torch.tensor(np.stack([whole for _, whole in prepared]), dtype=torch.float32)
    images = unit(model.get_image_features(pixel_values=pixels).pooler_output)
    unlike(texts, "texts")
    unlike(images, "pictures")

    labels = tokenizer([TEXTS[i] for i in LABELS], truncation=True, max_length=context, padding="max_length",
                       return_tensors="pt")
    logits = model(**labels, pixel_values=pixels).logits_per_image
    made = {
        "made_with": {m.__name__: m.__version__ for m in (transformers, tokenizers, torch, PIL)},
        "context": context,
        "side": pixels.shape[-1],
        "logit_scale": float(model.logit_scale.exp()),
        "texts": [
            {"text": text, "ids": row, "embedding": numbers(e)} for text, row, e in zip(TEXTS, ids, texts, strict=True)
        ],
        "pictures": [
            described(*spec)
            | {"prepared": base64.b64encode(crop.tobytes()).decode(), "embedding": numbers(e), "logits": numbers(l),
               "probabilities": numbers(l.softmax(-1))}
            for spec, (crop, _), e, l in zip(PICTURES, prepared, images, logits, strict=True)
        ],
        "labels": LABELS,
    }
    write(folder / "golden.json", made)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors makes its files private


def write(path, value):
    """Writes JSON with one line per entry of the outer lists: compact, and readable in a diff."""
    lines = []
    for key, entry in value.items():
        if isinstance(entry, list) and entry and isinstance(entry[0], dict):
            entry = "[\n" + ",\n".join(json.dumps(e, ensure_ascii=False) for e in entry) + "\n]"
        else:
            entry = json.dumps(entry)
        lines.append(f"{json.dumps(key)}: {entry}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def preprocessing(path):
    base = {"do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "do_resize": True}
    crop = base | {"do_center_crop": True}
    several = {
        "bilinear": crop | {"size": {"shortest_edge": 20}, "crop_size": {"height": 20, "width": 20}, "resample": 2},
        "lanczos": crop | {"size": {"shortest_edge": 20}, "crop_size": {"height": 20, "width": 20}, "resample": 1},
        "smaller than the crop": crop
        | {"size": {"shortest_edge": 17}, "crop_size": {"height": 24, "width": 24}, "resample": 3},
        "both sides": base
        | {"do_center_crop": False, "size": {"height": 22, "width": 22}, "resample": 3},
        "both sides, then a crop": crop
        | {"size": {"height": 26, "width": 23}, "crop_size": {"height": 12, "width": 12}, "resample": 3},
        "both sides, then the same crop": crop
        | {"size": {"height": 12, "width": 12}, "crop_size": {"height": 12, "width": 12}, "resample": 3},
    }
    entries = []
    for name, settings in several.items():
        prepare = as_bytes(settings)
        pictures = [
            described(*spec) | {"prepared": base64.b64encode(prepare(picture(*spec[1:]))[0].tobytes()).decode()}
            for spec in PICTURES
        ]
        entries.append({"name": name, "settings": settings, "pictures": pictures})
    write(path, {"entries": entries})


def main():
    out = pathlib.Path(sys.argv[1])
    transformers.logging.set_verbosity_error()
    for name, make in (("clip-early", early), ("clip-late", late)):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        golden(folder, make(folder))
    preprocessing(out / "preprocess.json")


if __name__ == "__main__":
    main()
