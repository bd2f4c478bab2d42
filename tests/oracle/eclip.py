"""Writes Grad-ECLIP maps of the parity checkpoints as transformers and open_clip compute them, for `tests/parity`.

    oracle/bin/python tests/oracle/eclip.py tests/fixtures/parity

Environment as for `clip.py`, whose checkpoints and golden files this reads. Zhao et al. 2024: the value of a patch is the sum over
heads and channels of the gradient of the score with respect to the attention's output (before its projection) at the token that
becomes the embedding, times the patch's value, times the cosine of that token's query and the patch's key, scaled from 0 to 1 over the
patches. Unlike the authors' code, with the model's own heads, with queries and keys before any output projection, and without the
final ReLU. The score is `scale · e·direction` for a unit embedding `e`.

Where the libraries fuse attention, it is written out here, and must give the library's own embedding.
"""

import base64
import importlib.metadata
import json
import pathlib
import sys

import numpy as np
import open_clip
import torch
from open_clip.model import CLIP
from safetensors.torch import load_file
from transformers import CLIPModel, SiglipModel

from clip import numbers, unit, write

# Of the pictures in the golden files.
NAMES = ["grey noise", "colour waves", "large"]
DIRECTIONS = 2


def heads_of(x, heads):
    """[1, tokens, width] → [heads, tokens, width / heads]"""
    return x[0].unflatten(-1, (heads, -1)).transpose(0, 1)


def attend(q, k, v, heads):
    """Attention of one query before its output projection, [1, 1, width]."""
    q, k, v = (heads_of(x, heads) for x in (q, k, v))
    weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
    return (weights @ v).transpose(0, 1).flatten(1)[None]


def eclip(score, q, k, v, output, heads):
    """The map, [patches]: `q` of the token, `k` and `v` of the patches, `output` that of attention at the token."""
    (gradient,) = torch.autograd.grad(score, output, retain_graph=True)
    values = []
    for q, k, v, g in zip(*(heads_of(x, heads) for x in (q, k, v, gradient[:, :1])), strict=True):
        cosines = torch.cosine_similarity(q, k, dim=-1)
        loosened = (cosines - cosines.min()) / (cosines.max() - cosines.min())
        values.append(loosened * (v * g).sum(-1))
    return torch.stack(values).sum(0)


def hugging_face_clip(folder):
    """All through hooks: the model's own forward pass."""
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    attention = model.vision_model.encoder.layers[-1].self_attn
    seen = {}
    for name in ("q_proj", "k_proj", "v_proj"):
        getattr(attention, name).register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    attention.out_proj.register_forward_pre_hook(lambda _, inputs: seen.update(output=inputs[0]))

    def run(pixels):
        features = model.get_image_features(pixel_values=pixels).pooler_output
        q, k, v = (seen[name] for name in ("q_proj", "k_proj", "v_proj"))
        return features, q[:, :1], k[:, 1:], v[:, 1:], seen["output"], attention.num_heads

    vision = json.loads((folder / "preprocessor_config.json").read_text())
    return run, vision["image_mean"], vision["image_std"], model.logit_scale.exp()


def plain_open_clip(folder):
    config = json.loads((folder / "open_clip_config.json").read_text())
    model = CLIP(**config["model_cfg"]).eval()
    model.load_state_dict(load_file(folder / "open_clip_model.safetensors"))
    visual = model.visual
    block = visual.transformer.resblocks[-1]
    seen = {}
    block.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))

    def run(pixels):
        whole = model.encode_image(pixels)
        x = seen["x"]
        attention, heads = block.attn, block.attn.num_heads
        q, k, v = torch.nn.functional.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
        output = attend(q[:, :1], k, v, heads)
        state = x[:, :1] + attention.out_proj(output)
        state = state + block.mlp(block.ln_2(state))
        features = visual.ln_post(state[:, 0]) @ visual.proj
        assert torch.allclose(features, whole, atol=1e-4), "not the library's own attention"
        return features, q[:, :1], k[:, 1:], v[:, 1:], output, heads

    return run, config["preprocess_cfg"]["mean"], config["preprocess_cfg"]["std"], model.logit_scale.exp()


def open_clip_resnet(folder):
    config = json.loads((folder / "open_clip_config.json").read_text())
    model = CLIP(**config["model_cfg"]).eval()
    model.load_state_dict(load_file(folder / "open_clip_model.safetensors"))
    pool = model.visual.attnpool
    seen = {}
    pool.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))

    def run(pixels):
        whole = model.encode_image(pixels)
        cells = seen["x"].flatten(2).transpose(1, 2)
        x = torch.cat([cells.mean(1, keepdim=True), cells], 1) + pool.positional_embedding
        q, k, v = pool.q_proj(x), pool.k_proj(x), pool.v_proj(x)
        output = attend(q[:, :1], k, v, pool.num_heads)
        features = pool.c_proj(output)[:, 0]
        assert torch.allclose(features, whole, atol=1e-4), "not the library's own attention"
        return features, q[:, :1], k[:, 1:], v[:, 1:], output, pool.num_heads

    return run, config["preprocess_cfg"]["mean"], config["preprocess_cfg"]["std"], model.logit_scale.exp()


def hugging_face_siglip(folder):
    model = SiglipModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    head = model.vision_model.head
    seen = {}
    head.register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))

    def run(pixels):
        whole = model.get_image_features(pixel_values=pixels).pooler_output
        attention, heads = head.attention, head.attention.num_heads
        parts = zip(attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), (head.probe, seen["x"], seen["x"]), strict=True)
        q, k, v = (torch.nn.functional.linear(x, weight, bias) for weight, bias, x in parts)
        output = attend(q, k, v, heads)
        state = attention.out_proj(output)
        features = (state + head.mlp(head.layernorm(state)))[:, 0]
        assert torch.allclose(features, whole, atol=1e-4), "not the library's own attention"
        return features, q, k, v, output, heads

    vision = json.loads((folder / "preprocessor_config.json").read_text())
    return run, vision["image_mean"], vision["image_std"], model.logit_scale.exp()


CHECKPOINTS = {
    "clip-early": hugging_face_clip,
    "open-clip": plain_open_clip,
    "open-clip-resnet": open_clip_resnet,
    "siglip": hugging_face_siglip,
}


def main(fixtures):
    generator = torch.Generator().manual_seed(1)
    maps = []
    for checkpoint, opened in CHECKPOINTS.items():
        run, mean, std, scale = opened(fixtures / checkpoint)
        golden = json.loads((fixtures / checkpoint / "golden.json").read_text())
        side = golden["side"]
        for picture in golden["pictures"]:
            if picture["name"] not in NAMES:
                continue
            prepared = np.frombuffer(base64.b64decode(picture["prepared"]), np.uint8).reshape(side, side, 3)
            pixels = (prepared / 255 - np.array(mean)) / np.array(std)
            features, q, k, v, output, heads = run(torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32))
            assert torch.allclose(unit(features)[0], torch.tensor(picture["embedding"]), atol=1e-3), checkpoint
            for _ in range(DIRECTIONS):
                direction = torch.tensor(numbers(torch.randn(features.shape[-1], generator=generator)))
                score = scale.detach() * (unit(features)[0] @ direction)
                maps.append({
                    "checkpoint": checkpoint, "picture": picture["name"], "direction": numbers(direction),
                    "score": float(f"{score.item():.7g}"), "values": numbers(eclip(score, q, k, v, output, heads)),
                })
    versions = {name: importlib.metadata.version(name) for name in ("open_clip_torch", "transformers", "torch")}
    write(fixtures / "eclip.json", {"made_with": versions, "maps": maps})


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
