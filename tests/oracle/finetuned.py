"""Opens what `train lora` writes in transformers, open_clip and PEFT, and compares it with what the program computes.

    oracle/bin/pip install -r tests/oracle/requirements.txt peft
    oracle/bin/python tests/oracle/finetuned.py target/release/medivision-tui

For each layout among the fixtures, trains a few epochs on phantoms, and checks that

* `models verify --reference` finds the images' embeddings of the merged checkpoint in its reference implementation (cosine ≥ 0.99999; texts are
  as the base's, and the reference tokenizes some of these small vocabularies otherwise);
* open_clip loads the tensors that were written, where it cannot read the fixture's texts;
* a state dictionary is loaded by `torch.load(weights_only=True)`;
* PEFT adds the adapter to the base, and gets the merged weights (Hugging Face's layouts).

The built-in model and the small ViT are left out: their vocabularies of words are this program's own. The prompts name the wrong
conditions, so that there is much to learn. A second argument names a folder that `demo` wrote, to save drawing it.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModel

PARITY = pathlib.Path(__file__).parent.parent / "fixtures" / "parity"
BASES = {
    "clip-late": PARITY / "clip-late",
    "siglip": PARITY / "siglip",
    "siglip2": PARITY / "siglip2",
    "open-clip": PARITY / "open-clip",
    "open-clip-resnet": PARITY / "open-clip-resnet",
    "biomedclip": PARITY / "biomedclip",
    "openai": PARITY / "openai",
    "openai-resnet": PARITY / "openai-resnet",
}
PROMPTS = """
name = "wrong"
title = "Wrong"
templates = ["{}"]
""" + "".join(
    f'[[condition]]\nname = "{name}"\ndescription = "-"\nphrases = ["{phrase}"]\n'
    for name, phrase in [
        ("pneumonia", "a broken bone"), ("tumor", "pneumonia"), ("fracture", "a normal chest"), ("normal", "a brain tumor"),
    ]
)


def run(program, home, *arguments, codes=(0,)):
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [program, *map(str, arguments)], cwd=home, env=environment, capture_output=True, text=True
    )
    assert done.returncode in codes, f"{arguments}: {done.stderr}"
    return done.stdout


def with_adapter(base, tuned):
    """Whether PEFT gets the merged weights from base and adapter."""
    from peft import PeftModel

    model = AutoModel.from_pretrained(base, dtype=torch.float32)
    merged = PeftModel.from_pretrained(model, tuned / "adapter").merge_and_unload().state_dict()
    ours = load_file(tuned / "model.safetensors")
    names = [name for name in ours if name in merged and ours[name].is_floating_point()]
    assert len(names) > 20, names
    worst = max((merged[name].float() - ours[name].float()).abs().max().item() for name in names)
    plain = load_base(base)
    changed = sum(not torch.equal(plain[name].float(), ours[name].float()) for name in names)
    assert worst < 1e-6 and changed, (worst, changed)
    return f"PEFT agrees within {worst:.1e} on {len(names)} tensors, {changed} of them changed"


def load_base(base):
    return AutoModel.from_pretrained(base, dtype=torch.float32).state_dict()


def in_open_clip(tuned):
    import open_clip

    state = open_clip.create_model_and_transforms(f"local-dir:{tuned}")[0].state_dict()
    written = load_file(tuned / "open_clip_model.safetensors")
    assert written.keys() <= state.keys(), written.keys() - state.keys()
    for name, tensor in written.items():
        assert torch.equal(state[name].float(), tensor.float()), name
    return f"open_clip loads {len(written)} tensors as they are written"


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    home = pathlib.Path(tempfile.mkdtemp())
    (home / "wrong.toml").write_text(PROMPTS)
    demo = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else home / "d"
    if not demo.exists():
        run(program, home, "demo", demo, "--write-only", "--count", 60)
    for name, base in BASES.items():
        tuned = home / name
        report = json.loads(run(
            program, home, "train", "lora", "--labels", demo / "truth.csv", "--model", base, "--prompts", "wrong.toml", "--output", tuned,
            "--epochs", 4, "--patience", 4, "--rate", 0.01, "--batch-size", 8, "--json",
        ))
        if report["model"] is None:
            print(f"{name:18} nothing was better than zero-shot, and so nothing was written")
            continue
        checks = [f"cosine as trained {report['model']['least_cosine']:.7f}"]
        weights = next(tuned.glob("*.pt"), None)
        if weights:
            state = torch.load(weights, weights_only=True)
            checks.append(f"torch loads {len(state)} tensors, {sum(t.numel() for t in state.values())} numbers")
        else:
            told = run(program, home, "models", "verify", "--reference", "--python", sys.executable, tuned, codes=(0, 1, 3))
            images = re.search(r"images ([0-9.]+)", told)
            assert images is None or float(images.group(1)) >= 0.99999, told
            if images:
                checks.append(f"reference agrees, cosine {images.group(1)}")
            elif name.startswith("open-clip"):
                # The reference cannot read the fixture's texts. That towers of the same tensors agree is for the parity tests.
                checks.append(in_open_clip(tuned))
            else:
                checks.append("NOT COMPARED: see `models verify`")
        if (tuned / "model.safetensors").exists():
            checks.append(with_adapter(base, tuned))
        print(f"{name:18} {'; '.join(checks)}", flush=True)


main()
