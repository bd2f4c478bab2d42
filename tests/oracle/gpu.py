"""Compares the program's speed on a GPU with transformers' on the same machine and checkpoint, in one run.

    oracle/bin/python tests/oracle/gpu.py --binary target/release/medivision-tui --model OUT [--pictures JPEGS]

OUT comes from `vit_b32.py --patch 16`, JPEGs of 1 to 4 megapixels from `jpegs.py`; the binary finds a libtorch with CUDA
(`make setup GPU=yes`). Prints, as medians over the rounds:

* the forward pass alone in bf16 at several batch sizes, in eager PyTorch (images on the GPU, embeddings read back), and in this
  program (`bench`: forward);
* `bench` on the JPEGs, which decoding limits, and on many small images, which the model limits: end to end, compared with the
  slowest stage, and the share of a pass that is spent on transferring the images.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image

BATCHES = (1, 16, 64, 256)
PASSES = 20


def small(place):
    """A JPEG of the model's image size, which costs almost nothing to decode."""
    path, number = place
    dice = np.random.default_rng(number)
    grid = Image.fromarray(dice.integers(0, 256, (16, 16, 3), np.uint8))
    grid.resize((224, 224), Image.Resampling.BICUBIC).save(path, quality=85)


def eager(folder):
    """Images per second for each batch size."""
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder).to("cuda", torch.bfloat16).eval()
    rates = {}
    with torch.inference_mode():
        for batch in BATCHES:
            pixels = torch.randn(batch, 3, 224, 224, device="cuda", dtype=torch.bfloat16)
            took = []
            for _ in range(PASSES + 3):
                torch.cuda.synchronize()
                begun = time.perf_counter()
                found = model.get_image_features(pixel_values=pixels)
                rows = torch.nn.functional.normalize(getattr(found, "pooler_output", found).float(), dim=-1)
                rows.cpu()
                took.append(time.perf_counter() - begun)
            rates[batch] = batch / statistics.median(took[3:])
    return rates


def ours(binary, *arguments):
    done = subprocess.run([binary, "bench", "--json", "--device", "cuda:0", *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{binary} {arguments} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def tell(name, report):
    stages = {stage["name"]: stage for stage in report["stages"]}
    parts = ", ".join(f"{name} {stage['images_per_second']:.0f}/s" for name, stage in stages.items())
    share = stages["transfer"]["milliseconds"] / (stages["transfer"]["milliseconds"] + stages["forward"]["milliseconds"])
    print(f"{name}: {report['pictures']} pictures, passes of {report['batch']}: {parts}; end to end {report['end_to_end']:.0f}/s of "
          f"{report['limit']:.0f}/s ({report['ratio']:.3f}); transfer {share:.1%} of a pass; one picture {report['single']['p50_ms']:.2f} ms, "
          f"its pass {report['single']['forward_ms']:.2f} ms; {report['peak_memory'] / 1e6:.0f} MB", flush=True)
    return stages["forward"]["images_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--pictures", type=pathlib.Path)
    parser.add_argument("--small", type=int, default=40_000, help="how many small pictures (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        places = [(pathlib.Path(folder) / f"{number:06}.jpg", number) for number in range(chosen.small)]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(small, places, chunksize=100))
        ratios = []
        for number in range(chosen.rounds):
            rates = eager(chosen.model)
            print(f"round {number + 1}: eager " + ", ".join(f"{b}: {rate:.0f}/s" for b, rate in rates.items()), flush=True)
            forward = tell("small", ours(chosen.binary, "--model", chosen.model, "--limit", str(chosen.small), folder))
            ratios.append(forward / max(rates.values()))
            if chosen.pictures:
                tell("large", ours(chosen.binary, "--model", chosen.model, "--limit", str(chosen.small), str(chosen.pictures)))
    print(f"our pass / eager, each at its best size of batch: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
