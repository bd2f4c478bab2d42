"""Opens what `train lora` writes in transformers, open_clip and PEFT, and compares it with what the program computes.

    oracle/bin/pip install -r tests/oracle/requirements.txt peft
    oracle/bin/python tests/oracle/finetuned.py target/release/medivision-tui

For each layout among the fixtures, and for the built-in model, trains two epochs on phantoms, and checks that

* `models verify --reference` finds the embeddings of the merged checkpoint in its reference implementation (cosine ≥ 0.99999);
* a state dictionary is loaded by `torch.load(weights_only=True)`, and by open_clip as OpenAI's;
* PEFT adds the adapter to the base, and gets the merged weights (Hugging Face's layouts).

The learning rate is high, so that the weights change visibly whether that helps or not.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import open_clip
import torch
from safetensors.torch import load_file
from transformers import AutoModel

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
PARITY = FIXTURES / "parity"
BASES = {
    "builtin": "builtin",
    "vit": FIXTURES / "vit",
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
name = "weak"
title = "Weak"
templates = ["{}"]
""" + "".join(
    f'[[condition]]\nname = "{name}"\ndescription = "-"\nphrases = ["{phrase}"]\n'
    for name, phrase in [
        ("pneumonia", "an abnormal image"), ("tumor", "a lesion"), ("fracture", "an image of disease"), ("normal", "an image"),
    ]
)


def run(program, home, *arguments):
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [program, *map(str, arguments)], cwd=home, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
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


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    home = pathlib.Path(tempfile.mkdtemp())
    (home / "weak.toml").write_text(PROMPTS)
    run(program, home, "demo", "d", "--write-only", "--count", 60)
    for name, base in BASES.items():
        tuned = home / name
        report = json.loads(run(
            program, home, "train", "lora", "--labels", "d/truth.csv", "--model", base, "--prompts", "weak.toml", "--output", tuned,
            "--epochs", 8, "--patience", 8, "--rate", 0.02, "--json",
        ))
        if report["model"] is None:
            print(f"{name:18} nothing was better than zero-shot, and so nothing was written")
            continue
        checks = [f"cosine as trained {report['model']['least_cosine']:.7f}"]
        weights = next(tuned.glob("*.pt"), None)
        if weights:
            state = torch.load(weights, weights_only=True)
            model = open_clip.openai.build_model_from_openai_state_dict(dict(state), cast_dtype=torch.float32)
            checks.append(f"open_clip loads {sum(p.numel() for p in model.parameters())} weights")
        else:
            told = run(program, home, "models", "verify", "--reference", "--python", sys.executable, tuned)
            images = float(re.search(r"images ([0-9.]+)", told).group(1))
            assert images >= 0.99999, told
            checks.append(f"reference agrees, cosine {images:.6f}")
        if (tuned / "model.safetensors").exists():
            checks.append(with_adapter(base, tuned))
        print(f"{name:18} {'; '.join(checks)}")


main()
