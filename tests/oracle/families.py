"""Writes tiny random checkpoints of the other model families and their references' results, for `tests/parity`.

    oracle/bin/python tests/oracle/families.py tests/fixtures/parity
    oracle/bin/python tests/oracle/families.py OUT --full biomedclip     # one of full size, for a manual check

Environment and golden files as for `clip.py`. The layouts are those of the hub and of the authors:

* `open-clip`: `open_clip_config.json`, safetensors in f32, GELU.
* `open-clip-bin`: a pickled state dictionary in bf16, QuickGELU, the text tower below `text.`, squashed pictures.
* `biomedclip`: a pickled state dictionary in f16, timm's ViT and Hugging Face's BERT, as BiomedCLIP's.
* `trained`: what open_clip writes while it trains, with other things beside the state dictionary, whose names begin with
  `module.`; timm's own classifier as projection (`timm_proj: null`), padded pictures (`resize_mode: longest`), BERT's tokenizer
  as a `vocab.txt` only.
* `unimed`: as UniMed-CLIP's, CLIP's ViT and BERT in one `.pt` file of a training run, BERT below `text_encoder.`; the
  architecture is the catalogue's. Without the prepared pictures, which are large.
* `siglip`: `SiglipModel`, a SentencePiece vocabulary, the pooling head, a bias. `spiece.model` is the same vocabulary in the older
  form.
* `siglip2`: `SiglipModel` with Gemma's tokenizer, as SigLIP 2 of fixed sizes.
* `openai`: a TorchScript archive in f16, as OpenAI publishes its models.
* `open-clip-resnet`: `open_clip_config.json` with a list of layers, safetensors in f32, GELU.
* `openai-resnet`: a TorchScript archive like `openai`, its batch norms in f32, as OpenAI's RN50.
* `chexzero`: a plain state dictionary in f32, pixels of 0 to 255.

and `clip_tokens.json`: the token ids of CLIP's own vocabulary; `canonicalized_tokens.json`: those of `open-clip`'s with open_clip's
other way to clean texts. `malicious.pt` would run a command if it were unpickled.
"""

import argparse
import base64
import gzip
import importlib.metadata
import json
import math
import os
import pathlib
import pickle
import tempfile
import zipfile

import numpy as np
import open_clip
import PIL
import sentencepiece
import timm
import tokenizers
import torch
import torchvision.transforms as tv
import transformers
from open_clip.hf_model import HFTextEncoder
from open_clip.model import CLIP
from open_clip.timm_model import TimmModel
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer, get_clean_fn
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Regex, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import BertConfig, BertModel, CLIPTokenizer, SiglipConfig, SiglipModel, SiglipTokenizer
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

from clip import CORPUS, LABELS, PICTURES, TEXTS, byte_pairs, described, numbers, picture, unit, unlike, write

MORE_TEXTS = [
    "the patient’s “lungs” &amp; heart",
    "ﬁbrosis of the ＣＴ　ｓｃａｎ",
    "a <end_of_text> b",
]


def randomise(model, seed, scale, bias=None):
    """Makes weights large enough that a wrong order, activation or number of heads shows in the embeddings."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.8
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if name == "logit_scale":
                weight.fill_(math.log(scale))
            elif name == "logit_bias":
                weight.fill_(bias)
            elif any(part in name.lower() for part in ("norm", "ln_", ".bn", "downsample.1")):
                weight.copy_(0.3 * noise + (1.0 if name.endswith("weight") else 0.0))
            elif weight.dim() == 1 and "class_embedding" not in name:
                weight.copy_(0.3 * noise)
            elif any(part in name for part in ("embedding", "pos_embed", "cls_token", "probe")) and "patch" not in name:
                weight.copy_(0.7 * noise)
            elif name.endswith(("visual.proj", "text_projection")):
                weight.copy_(noise * 1.7 / math.sqrt(weight.shape[0]))
            else:
                weight.copy_(noise * 1.7 / math.sqrt(weight[0].numel()))


def clip_tokenizer(folder, merge_count):
    """open_clip's own tokenizer with a small vocabulary, and the same one as `tokenizer.json`."""
    _, merges = byte_pairs(merge_count)
    path = folder / "bpe.txt.gz"
    path.write_bytes(gzip.compress("\n".join(["#"] + [" ".join(pair) for pair in merges]).encode()))
    reference = SimpleTokenizer(str(path))
    path.unlink()
    begin, end = "<start_of_text>", "<end_of_text>"
    fast = CLIPTokenizer(reference.encoder, merges, unk_token=end, bos_token=begin, eos_token=end, pad_token=end)
    fast.backend_tokenizer.save(str(folder / "tokenizer.json"))
    return reference


def simple_ids(reference, context):
    def run(text):
        row = reference([text], context_length=context)[0].tolist()
        return row[: len(row) - row[::-1].index(reference.eot_token_id)]

    return run


class Golden:
    """The reference's results for the texts and images."""

    def __init__(self, folder, texts, ids, prepare, encode_texts, encode_images, scale, bias=None, keeps_prepared=True):
        self.keeps_prepared = keeps_prepared
        self.folder, self.texts, self.ids, self.prepare = folder, texts, ids, prepare
        self.encode_texts, self.encode_images = encode_texts, encode_images
        self.scale, self.bias = float(torch.as_tensor(scale).detach()), bias

    @torch.no_grad()
    def write(self, pictures=PICTURES):
        pictures = pictures if self.keeps_prepared else pictures[:3] + pictures[-1:]
        rows = [self.ids(text) for text in self.texts]
        texts = unit(self.encode_texts(self.texts))
        prepared = [self.prepare(picture(*spec[1:])) for spec in pictures]
        pixels = torch.stack([whole for _, whole in prepared])
        images = unit(self.encode_images(pixels))
        unlike(texts, "texts")
        unlike(images, "pictures")
        labels = [self.texts.index(TEXTS[i]) for i in LABELS if TEXTS[i] in self.texts]
        logits = self.scale * images @ texts[labels].T + (self.bias or 0.0)
        probabilities = logits.softmax(-1) if self.bias is None else logits.sigmoid()
        made = {
            "made_with": {name: importlib.metadata.version(name) for name in
                          ("open_clip_torch", "timm", "transformers", "tokenizers", "torch", "torchvision", "pillow")},
            "side": pixels.shape[-1],
            "logit_scale": self.scale,
            "logit_bias": self.bias,
            "texts": [{"text": t, "ids": row, "embedding": numbers(e)}
                      for t, row, e in zip(self.texts, rows, texts, strict=True)],
            "pictures": [
                described(*spec)
                | {"prepared": base64.b64encode(crop.tobytes()).decode() if self.keeps_prepared else "", "embedding": numbers(e), "logits": numbers(l),
                   "probabilities": numbers(p)}
                for spec, (crop, _), e, l, p in zip(pictures, prepared, images, logits, probabilities, strict=True)
            ],
            "labels": labels,
        }
        write(self.folder / "golden.json", made)
        for file in self.folder.iterdir():
            file.chmod(0o644)


def as_image(pixels):
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def open_clip_prepare(**settings):
    """open_clip's transform up to its conversion to floats."""
    transform = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    steps = transform.transforms
    at = next(i for i, step in enumerate(steps) if isinstance(step, tv.ToTensor))

    def run(pixels):
        image = as_image(pixels)
        crop = np.asarray(tv.Compose(steps[:at])(image))
        assert crop.dtype == np.uint8
        return crop, transform(image)

    return run


def config_file(folder, model_cfg, preprocess_cfg):
    whole = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}
    (folder / "open_clip_config.json").write_text(json.dumps(whole, indent=2) + "\n")


CLIP_STATISTICS = dict(mean=[0.48145466, 0.4578275, 0.40821073], std=[0.26862954, 0.26130258, 0.27577711])


def plain_open_clip(folder, full=False):
    vision = dict(image_size=32, layers=2, width=24, patch_size=8, head_width=12)
    text = dict(context_length=24, vocab_size=0, width=32, heads=4, layers=1)
    if full:
        vision = dict(image_size=224, layers=12, width=768, patch_size=32)
        text = dict(context_length=77, vocab_size=49408, width=512, heads=8, layers=12)
        reference = SimpleTokenizer()
    else:
        reference = clip_tokenizer(folder, 100)
        text["vocab_size"] = reference.vocab_size
    dimension = 512 if full else 20
    model = CLIP(dimension, vision, text).eval()
    randomise(model, 3, 20.0)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    statistics = CLIP_STATISTICS if full else dict(mean=[0.5, 0.4, 0.3], std=[0.25, 0.5, 0.3])
    config_file(folder, dict(embed_dim=dimension, vision_cfg=vision, text_cfg=text), statistics)
    context = text["context_length"]
    return Golden(
        folder, TEXTS + MORE_TEXTS, simple_ids(reference, context),
        open_clip_prepare(size=vision["image_size"], **statistics),
        lambda texts: model.encode_text(reference(texts, context_length=context)), model.encode_image, model.logit_scale.exp(),
    )


def pickled_open_clip(folder):
    vision = dict(image_size=30, layers=3, width=32, patch_size=6, head_width=8)
    reference = clip_tokenizer(folder, 60)
    text = dict(context_length=16, vocab_size=reference.vocab_size, width=24, heads=3, layers=1)
    model = CLIP(20, vision, text, quick_gelu=True).eval()
    randomise(model, 4, 20.0)
    model.bfloat16().float()
    moved = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection")
    weights = {("text." if name.startswith(moved) else "") + name: tensor.bfloat16()
               for name, tensor in model.state_dict().items()}
    # A view that is no row after row, as checkpoints made by hand have.
    weights["visual.proj"] = weights["visual.proj"].T.contiguous().T
    torch.save(weights, folder / "open_clip_pytorch_model.bin")
    settings = CLIP_STATISTICS | dict(interpolation="bilinear", resize_mode="squash")
    config_file(folder, dict(embed_dim=20, quick_gelu=True, custom_text=True, vision_cfg=vision, text_cfg=text), settings)
    return Golden(
        folder, TEXTS + MORE_TEXTS, simple_ids(reference, 16), open_clip_prepare(size=30, **settings),
        lambda texts: model.encode_text(reference(texts, context_length=16)), model.encode_image, model.logit_scale.exp(),
    )


def word_pieces(folder, size):
    """A BERT tokenizer with the words of the corpus, padded to `size` tokens."""
    trained = tokenizers.BertWordPieceTokenizer(lowercase=True)
    trained.train_from_iterator([CORPUS], vocab_size=size or 300, min_frequency=1)
    vocabulary = sorted(trained.get_vocab(), key=trained.get_vocab().get)
    vocabulary += [f"[unused{i}]" for i in range((size or 0) - len(vocabulary))]
    fast = transformers.BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}, do_lower_case=True)
    fast.save_pretrained(folder)
    return HFTokenizer(str(folder)), len(vocabulary)


class TwoTowers(nn.Module):
    """Tensor names as in `CustomTextCLIP`."""

    def __init__(self, visual, text):
        super().__init__()
        self.visual, self.text, self.logit_scale = visual, text, nn.Parameter(torch.zeros([]))


def biomedclip(folder, full=False):
    context, dimension, side = (256, 512, 224) if full else (40, 24, 32)
    tokenizer, words = word_pieces(folder, 30522 if full else None)
    bert = BertConfig(vocab_size=30522) if full else BertConfig(
        vocab_size=words, hidden_size=128, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=48)
    kinds = dict(pooler_type="cls_last_hidden_state_pooler", proj_type="mlp")
    text = HFTextEncoder("bert", dimension, config=bert, pretrained=False, **kinds)
    text.transformer = BertModel(bert, add_pooling_layer=False)
    visual = TimmModel("vit_base_patch16_224", dimension, image_size=224, pool="", proj="linear", pretrained=False)
    if not full:
        visual.trunk = timm.models.VisionTransformer(img_size=32, patch_size=8, embed_dim=128, depth=1, num_heads=2,
                                                     mlp_ratio=0.5, num_classes=0)
        visual.head.proj = nn.Linear(128, dimension, bias=False)
    model = TwoTowers(visual, text).eval()
    randomise(model, 5, 20.0)
    weights = model.state_dict() if full else model.half().state_dict()
    weights["text.transformer.embeddings.position_ids"] = torch.arange(bert.max_position_embeddings)[None]
    torch.save(weights, folder / "open_clip_pytorch_model.bin")
    model.float()
    name = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
    config_file(folder, dict(
        embed_dim=dimension,
        vision_cfg=dict(timm_model_name="vit_base_patch16_224", timm_model_pretrained=False, timm_pool="",
                        timm_proj="linear", image_size=side),
        text_cfg=dict(hf_model_name=name, hf_tokenizer_name=name, hf_proj_type="mlp", hf_pooler_type=kinds["pooler_type"],
                      context_length=context),
    ), CLIP_STATISTICS)

    def ids(text):
        row = tokenizer([text], context_length=context)[0].tolist()
        return [id for id in row if id != bert.pad_token_id]

    return Golden(
        folder, TEXTS + MORE_TEXTS[:2], ids, open_clip_prepare(size=side, **CLIP_STATISTICS),
        lambda texts: model.text(tokenizer(texts, context_length=context)), model.visual, model.logit_scale.exp(),
    )


def trained(folder, full=False):
    """A checkpoint of open_clip's training loop."""
    dimension, side, context = 24, 32, 40
    tokenizer, words = word_pieces(folder, None)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in sorted(vocabulary, key=vocabulary.get)))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    bert = BertConfig(vocab_size=words, hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=48,
                      max_position_embeddings=48)
    kinds = dict(pooler_type="cls_last_hidden_state_pooler", proj_type="linear")
    text = HFTextEncoder("bert", dimension, config=bert, pretrained=False, **kinds)
    text.transformer = BertModel(bert, add_pooling_layer=False)
    visual = TimmModel("vit_tiny_patch16_224", dimension, image_size=224, pool="token", proj=None, pretrained=False)
    assert not visual.head and visual.trunk.head.bias is not None
    visual.trunk = timm.models.VisionTransformer(img_size=side, patch_size=8, embed_dim=64, depth=1, num_heads=1,
                                                 mlp_ratio=0.75, num_classes=dimension, global_pool="token")
    model = TwoTowers(visual, text).eval()
    randomise(model, 9, 20.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    torch.save({
        "epoch": 3, "name": "2026_01_31-model_ViT", "state_dict": {"module." + k: v for k, v in model.half().state_dict().items()},
        "optimizer": optimizer.state_dict(), "best": np.float64(0.5), "args": argparse.Namespace(lr=1e-4, wd=[0.1]),
    }, folder / "open_clip_pytorch_model.bin")
    model.float()
    settings = CLIP_STATISTICS | dict(resize_mode="longest")
    config_file(folder, dict(
        embed_dim=dimension,
        vision_cfg=dict(timm_model_name="vit_tiny_patch16_224", timm_model_pretrained=False, timm_pool="token", timm_proj=None,
                        image_size=side),
        text_cfg=dict(hf_model_name="bert-base-uncased", hf_tokenizer_name="bert-base-uncased", hf_proj_type="linear",
                      hf_pooler_type=kinds["pooler_type"], context_length=context),
    ), settings)

    def ids(text):
        row = tokenizer([text], context_length=context)[0].tolist()
        return [id for id in row if id != bert.pad_token_id]

    return Golden(
        folder, TEXTS + MORE_TEXTS[:2], ids, open_clip_prepare(size=side, **settings),
        lambda texts: model.text(tokenizer(texts, context_length=context)), model.visual, model.logit_scale.exp(),
    )


def unimed(folder, full=False):
    dimension, context = 24, 256
    tokenizer, words = word_pieces(folder, None)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in sorted(vocabulary, key=vocabulary.get)))
    bert = BertConfig(vocab_size=words, hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=48,
                      max_position_embeddings=context)
    text = HFTextEncoder("bert", dimension, config=bert, pretrained=False, pooler_type="cls_last_hidden_state_pooler",
                         proj_type="mlp")
    text.transformer = BertModel(bert, add_pooling_layer=False)
    vision = dict(image_size=224, layers=1, width=64, patch_size=16, mlp_ratio=0.75)
    visual = CLIP(dimension, vision, dict(context_length=8, vocab_size=8, width=64, heads=1, layers=1), quick_gelu=True).visual
    model = TwoTowers(visual, text).eval()
    randomise(model, 12, 20.0)
    weights = {name.replace("text.", "text_encoder.", 1) if name.startswith("text.") else name: tensor
               for name, tensor in model.half().state_dict().items()}
    weights["text_encoder.transformer.embeddings.position_ids"] = torch.arange(context)[None]
    torch.save({"epoch": 1, "state_dict": {"module." + k: v for k, v in weights.items()}, "best": np.float64(0.5)},
               folder / "unimed-clip-vit-b16.pt")
    model.float()

    def ids(text):
        row = tokenizer([text], context_length=context)[0].tolist()
        return [id for id in row if id != bert.pad_token_id]

    return Golden(
        folder, TEXTS[2:] + MORE_TEXTS[:2], ids, open_clip_prepare(size=224, **CLIP_STATISTICS),
        lambda texts: model.text(tokenizer(texts, context_length=context)), model.visual, model.logit_scale.exp(),
        keeps_prepared=False,
    )


def sentence_pieces(folder, size, length):
    """SigLIP's tokenizer with a small vocabulary, and the same one as `tokenizer.json`, as in the hub's repositories."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus = pathlib.Path(scratch) / "corpus.txt"
        lines = [line.lower().translate(str.maketrans("", "", "'!-.,;:?()<>|")) for line in CORPUS.splitlines()]
        corpus.write_text("\n".join(lines + ["patient s 1234567890 abcdefghijklmnopqrstuvwxyz"]))
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix=scratch + "/spiece", vocab_size=size, model_type="unigram",
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, minloglevel=2)
        (folder / "spiece.model").write_bytes((pathlib.Path(scratch) / "spiece.model").read_bytes())
    slow = SiglipTokenizer(str(folder / "spiece.model"), model_max_length=length)
    model = slow.sp_model
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]
    fast = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=2, byte_fallback=False))
    punctuation = r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"
    fast.normalizer = normalizers.Sequence([
        normalizers.Lowercase(), normalizers.Replace(Regex(punctuation), ""), normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(), normalizers.NFKC(),
    ])
    fast.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    fast.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast.save(str(folder / "tokenizer.json"))
    slow.save_pretrained(folder)
    settings = {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>",
                "do_lower_case": True, "model_max_length": slow.model_max_length}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return slow, model.get_piece_size()


def gemma_pieces(folder, size):
    """SigLIP 2's tokenizer with a small vocabulary. Its `tokenizer.json` adds a begin token, its settings the end token."""
    trained = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    trained.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "\u2581")])
    trained.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False, max_token_length=12)
    trained.train_from_iterator(CORPUS.splitlines(), trainer)
    model = json.loads(trained.to_str())["model"]
    fast = Siglip2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    end = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    begin = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    saved = tokenizers.Tokenizer.from_str(fast.backend_tokenizer.to_str())
    saved.normalizer, saved.post_processor = normalizers.Replace(" ", "\u2581"), begin
    saved.save(str(folder / "tokenizer.json"))
    fast.backend_tokenizer.post_processor = end
    settings = {"tokenizer_class": "GemmaTokenizer", "pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>",
                "unk_token": "<unk>", "add_bos_token": False, "add_eos_token": True, "padding_side": "right"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    fast.padding_side = "right"
    return fast, len(model["vocab"])


def siglip2(folder, full=None):
    return siglip(folder, full, gemma_pieces(folder, 420), TEXTS[2:])


def siglip(folder, full=None, vocabulary=None, texts=None):
    tokenizer, words = vocabulary or sentence_pieces(folder, 200, 64 if full else 20)
    # A vocabulary of the corpus's has no foreign letters, and the two ways to spell them as unknown differ in count.
    texts = texts or [text for text in TEXTS if text.isascii()]
    if full == "medsiglip":
        tower = dict(hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16)
        config = SiglipConfig(text_config=tower | dict(vocab_size=32000, projection_size=1152),
                              vision_config=tower | dict(image_size=448, patch_size=14))
    elif full:
        config = SiglipConfig()
    else:
        config = SiglipConfig(
            text_config=dict(vocab_size=words, hidden_size=24, intermediate_size=40, num_hidden_layers=2,
                             num_attention_heads=3, max_position_embeddings=20 if vocabulary else 24, projection_size=32),
            vision_config=dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                               image_size=30, patch_size=6),
        )
    # XraySigLIP has more positions than its tokenizer fills, as has the small model here.
    context = min(config.text_config.max_position_embeddings, tokenizer.model_max_length)
    side = config.vision_config.image_size
    model = SiglipModel(config).eval()
    randomise(model, 6, 20.0, -7.0)
    model.save_pretrained(folder, max_shard_size="10GB")
    settings = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        "image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor", "resample": 3,
        "rescale_factor": 1 / 255, "size": {"height": side, "width": side},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    processor = SiglipImageProcessorPil(**settings)

    def prepare(pixels):
        image = as_image(pixels).convert("RGB")
        crop = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")["pixel_values"][0]
        whole = processor(image, return_tensors="pt")["pixel_values"][0]
        return crop.transpose(1, 2, 0), whole

    def encode(texts):
        batch = tokenizer(texts, padding="max_length", truncation=True, max_length=context, return_tensors="pt")
        return model.get_text_features(input_ids=batch["input_ids"]).pooler_output

    return Golden(
        folder, texts, lambda text: tokenizer(text, truncation=True, max_length=context)["input_ids"], prepare, encode,
        lambda pixels: model.get_image_features(pixel_values=pixels).pooler_output, 20.0, -7.0,
    )


class Scripted(nn.Module):
    """The tree of a model's parameters and statistics, convolutions and matrices in f16, with methods that TorchScript
    accepts; at its root the three numbers that OpenAI's archives contain."""

    def __init__(self, module, numbers=None):
        super().__init__()
        for name, child in module.named_children():
            self.add_module(name, Scripted(child))
        for name, parameter in module.named_parameters(recurse=False):
            value = parameter.detach() if isinstance(module, nn.BatchNorm2d) else parameter.detach().half()
            self.register_parameter(name, nn.Parameter(value, requires_grad=False))
        if isinstance(module, nn.BatchNorm2d):
            for name, values in module.named_buffers(recurse=False):
                self.register_buffer(name, values)
        for name, value in (numbers or {}).items():
            self.register_buffer(name, torch.tensor(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def write_archive(folder, model, vision, text):
    numbers = dict(input_resolution=vision["image_size"], vocab_size=text["vocab_size"], context_length=text["context_length"])
    torch.jit.save(torch.jit.script(Scripted(model, numbers)), folder / "model.pt")


def open_ai(folder, full=False):
    """Names and types of OpenAI's archives: TorchScript, f16, three numbers beside the weights."""
    vision = dict(image_size=32, layers=1, width=128, patch_size=8, mlp_ratio=0.75)
    if full:
        vision, text, reference = dict(image_size=224, layers=12, width=768, patch_size=32), dict(
            context_length=77, vocab_size=49408, width=512, heads=8, layers=12), SimpleTokenizer()
    else:
        reference = clip_tokenizer(folder, 60)
        text = dict(context_length=20, vocab_size=reference.vocab_size, width=64, heads=1, layers=1, mlp_ratio=1.5)
    dimension = 512 if full else 20
    model = CLIP(dimension, vision, text, quick_gelu=True).eval()
    randomise(model, 7, 20.0)
    model.half().float()
    write_archive(folder, model, vision, text)
    context = text["context_length"]
    return Golden(
        folder, TEXTS + MORE_TEXTS, simple_ids(reference, context),
        open_clip_prepare(size=vision["image_size"], **CLIP_STATISTICS),
        lambda texts: model.encode_text(reference(texts, context_length=context)), model.encode_image, model.logit_scale.exp(),
    )


def residual(folder, seed, quick_gelu, full):
    """A CLIP with OpenAI's modified residual network; of full size, RN50."""
    vision = dict(image_size=64, layers=[1, 2, 1, 1], width=4)
    if full:
        vision = dict(image_size=224, layers=[3, 4, 6, 3], width=64)
        text = dict(context_length=77, vocab_size=49408, width=512, heads=8, layers=12)
        reference = SimpleTokenizer()
    else:
        reference = clip_tokenizer(folder, 60)
        text = dict(context_length=20, vocab_size=reference.vocab_size, width=64, heads=1, layers=1, mlp_ratio=1.5)
    model = CLIP(1024 if full else 20, vision, text, quick_gelu=quick_gelu).eval()
    randomise(model, seed, 20.0)
    # Statistics that fit the weights: with random ones, the embeddings of all pictures are nearly the same.
    prepare = open_clip_prepare(size=vision["image_size"], **CLIP_STATISTICS)
    with torch.no_grad():
        model.visual.train()(torch.stack([prepare(picture(*spec[1:]))[1] for spec in PICTURES]))
    model.eval()
    return model, vision, text, reference


def residual_golden(folder, model, vision, text, reference):
    context = text["context_length"]
    return Golden(
        folder, TEXTS + MORE_TEXTS, simple_ids(reference, context),
        open_clip_prepare(size=vision["image_size"], **CLIP_STATISTICS),
        lambda texts: model.encode_text(reference(texts, context_length=context)), model.encode_image, model.logit_scale.exp(),
    )


def open_clip_resnet(folder, full=False):
    model, vision, text, reference = residual(folder, 14, False, full)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    dimension = 1024 if full else 20
    config_file(folder, dict(embed_dim=dimension, vision_cfg=vision | dict(patch_size=None), text_cfg=text), CLIP_STATISTICS)
    return residual_golden(folder, model, vision, text, reference)


def open_ai_resnet(folder, full=False):
    model, vision, text, reference = residual(folder, 18, True, full)
    for module in model.modules():
        if not isinstance(module, nn.BatchNorm2d):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.half().float()
    write_archive(folder, model, vision, text)
    return residual_golden(folder, model, vision, text, reference)


def chexzero(folder, full=False):
    """CheXzero's normalisation after a single resize; its authors resize twice, the second time without antialiasing."""
    vision = dict(image_size=32, layers=1, width=64, patch_size=8, mlp_ratio=1.0)
    if full:
        vision, text, reference = dict(image_size=224, layers=12, width=768, patch_size=32), dict(
            context_length=77, vocab_size=49408, width=512, heads=8, layers=12), SimpleTokenizer()
    else:
        reference = clip_tokenizer(folder, 60)
        text = dict(context_length=20, vocab_size=reference.vocab_size, width=64, heads=1, layers=1, mlp_ratio=1.0)
    model = CLIP(512 if full else 20, vision, text, quick_gelu=True).eval()
    randomise(model, 28, 20.0)
    torch.save(model.state_dict(), folder / "chexzero.pt")
    side, context = vision["image_size"], text["context_length"]

    def prepare(pixels):
        image = as_image(pixels)
        factor = side / max(image.size)
        size = [max(1, math.floor(n * factor + 0.5)) for n in image.size]
        square = Image.new("RGB", (side, side))
        square.paste(image.resize(size, Image.BICUBIC).convert("RGB"), tuple((side - n) // 2 for n in size))
        crop = np.asarray(square)
        whole = (torch.tensor(crop, dtype=torch.float32).permute(2, 0, 1) - 101.48761) / 83.43944
        return crop, whole

    return Golden(
        folder, TEXTS + MORE_TEXTS[:2], simple_ids(reference, context), prepare,
        lambda texts: model.encode_text(reference(texts, context_length=context)), model.encode_image, model.logit_scale.exp(),
    )


def clip_tokens(path):
    reference = SimpleTokenizer()
    ids = simple_ids(reference, 77)
    write(path, {"texts": [{"text": text, "ids": ids(text)} for text in TEXTS + MORE_TEXTS]})


def canonicalized_tokens(path):
    with tempfile.TemporaryDirectory() as scratch:
        reference = clip_tokenizer(pathlib.Path(scratch), 100)
    reference.clean_fn = get_clean_fn("canonicalize")
    ids = simple_ids(reference, 24)
    texts = TEXTS + MORE_TEXTS + ["snake_case, It's (WIDE)"]
    write(path, {"texts": [{"text": text, "ids": ids(text)} for text in texts]})


class Command:
    def __reduce__(self):
        return os.system, ("touch /tmp/medivision-was-here",)


def malicious(path):
    """A checkpoint whose pickle calls `os.system`."""
    with tempfile.TemporaryDirectory() as scratch:
        honest = pathlib.Path(scratch) / "honest.pt"
        torch.save({"weight": torch.zeros(2)}, honest)
        with zipfile.ZipFile(honest) as source, zipfile.ZipFile(path, "w") as target:
            for item in source.infolist():
                content = source.read(item)
                if item.filename.endswith("data.pkl"):
                    content = pickle.dumps({"weight": Command()}, protocol=2)
                target.writestr(item.filename, content)


FAMILIES = {
    "open-clip": plain_open_clip, "open-clip-bin": pickled_open_clip, "biomedclip": biomedclip, "trained": trained, "unimed": unimed,
    "siglip": siglip, "siglip2": siglip2,
    "openai": open_ai, "chexzero": chexzero, "open-clip-resnet": open_clip_resnet, "openai-resnet": open_ai_resnet,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--full", choices=[*FAMILIES, "medsiglip"])
    arguments.add_argument("--only", choices=list(FAMILIES))
    chosen = arguments.parse_args()
    transformers.logging.set_verbosity_error()
    if chosen.full:
        chosen.out.mkdir(parents=True, exist_ok=True)
        name = chosen.full
        made = siglip(chosen.out, name) if "siglip" in name else FAMILIES[name](chosen.out, True)
        made.write(PICTURES[:3] + PICTURES[-2:])
        return
    for name, make in FAMILIES.items():
        if chosen.only in (None, name):
            folder = chosen.out / name
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.iterdir():
                old.unlink()
            make(folder).write()
    clip_tokens(chosen.out / "clip_tokens.json")
    canonicalized_tokens(chosen.out / "canonicalized_tokens.json")
    malicious(chosen.out / "malicious.pt")


if __name__ == "__main__":
    main()
