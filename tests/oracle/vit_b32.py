"""Writes a random CLIP checkpoint of ViT-B/32's size, or ViT-B/16's, for benchmarks; no test reads it.

    oracle/bin/python tests/oracle/vit_b32.py OUT           # 605 MB of f32
    oracle/bin/python tests/oracle/vit_b32.py OUT-tiny --tiny
    oracle/bin/python tests/oracle/vit_b32.py OUT-b16 --patch 16      # ViT-B/16's

The same files as on the hub: `config.json`, `model.safetensors`, `preprocessor_config.json`, `tokenizer.json`. The sizes are
`CLIPConfig`'s defaults, which are ViT-B/32's, with transformers' own initialisation. `--tiny` keeps everything before the model
(224 px, patches of 32, the vocabulary) and reduces the towers to one narrow layer that costs almost nothing, so that a run measures
decoding and preprocessing. Environment as for `clip.py`; the seed is fixed.
"""

import argparse
import json
import pathlib

import torch
import transformers
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from clip import byte_pairs

# As openai/clip-vit-base-patch32 has it.
PREPROCESSING = {
    "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3, "size": 224,
}


def shape(tiny, patch):
    if not tiny:
        return CLIPConfig(vision_config=dict(patch_size=patch))
    tower = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    return CLIPConfig(text_config=tower, vision_config=tower, projection_dim=16)


def tokenizer(size):
    """A small vocabulary, padded so that begin and end tokens have the ids in the configuration."""
    vocabulary, merges = byte_pairs(130)
    words, marks = list(vocabulary)[:-2], list(vocabulary)[-2:]
    fill = [f"<unused{i}>" for i in range(size - len(vocabulary))]
    return CLIPTokenizer({word: i for i, word in enumerate(words + fill + marks)}, merges)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--tiny", action="store_true", help="one narrow layer a tower, same preprocessing")
    arguments.add_argument("--patch", type=int, default=32, help="side of a patch (default: %(default)s)")
    chosen = arguments.parse_args()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(32)
    config = shape(chosen.tiny, chosen.patch)
    chosen.out.mkdir(parents=True, exist_ok=True)
    # In one file whatever its size, as ViT-B/32 is published.
    CLIPModel(config).save_pretrained(chosen.out, max_shard_size="2GB")
    tokenizer(config.text_config.vocab_size).save_pretrained(chosen.out)
    (chosen.out / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING, indent=2) + "\n")


if __name__ == "__main__":
    main()
