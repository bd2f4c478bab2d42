"""Compares the program's speed with transformers' on the same images and checkpoint, on the CPU, in one run.

    oracle/bin/python tests/oracle/bench_reference.py --binary target/release/medivision-tui --model OUT --pictures JPEGS

OUT comes from `vit_b32.py`, JPEGS from `jpegs.py`; environment as for `clip.py`. Run it on an idle machine; the load before
the first round is printed. transformers is used in two ways:

    one by one   the simple way: one image at a time, the texts encoded again for each
    well         texts encoded once, a DataLoader with one worker per core, batches of 16, in `inference_mode`

A round measures everything once, so that a change of the machine's speed affects all; ratios are computed within a round, and
their medians printed. The first images of each measurement are a warm-up and not counted. The program is measured by its
`bench` command, and by `classify` on one file against Python's whole run: import, load, classify.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

TEXTS = [f"a medical image of {name}" for name in ("pneumonia", "a tumor", "a fracture", "a healthy patient")]
BATCH = 16


class Pictures:
    """Decoded and preprocessed images, for a DataLoader."""

    def __init__(self, paths, processor):
        self.paths, self.processor = paths, processor

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        from PIL import Image

        with Image.open(self.paths[index]) as picture:
            pixels = self.processor(images=picture.convert("RGB"), return_tensors="pt")
        return pixels["pixel_values"][0]


def load(folder):
    from transformers import CLIPModel, CLIPProcessor

    return CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)


def one_by_one(model, processor, paths):
    """Images per second without the first two, and the last scores."""
    import torch
    from PIL import Image

    begun = None
    with torch.no_grad():
        for index, path in enumerate(paths):
            if index == min(2, len(paths) - 1):
                begun = time.perf_counter()
            picture = Image.open(path).convert("RGB")
            inputs = processor(text=TEXTS, images=picture, return_tensors="pt", padding=True)
            scores = model(**inputs).logits_per_image.softmax(dim=1)
    counted = len(paths) - min(2, len(paths) - 1)
    return counted / (time.perf_counter() - begun), scores


def features(found):
    """The tensor, which transformers 5 wraps and transformers 4 returns as such."""
    return getattr(found, "pooler_output", found)


def well(model, processor, paths, workers):
    """Images per second, without the start of the workers and the first batch."""
    import torch

    loader = torch.utils.data.DataLoader(
        Pictures(paths, processor.image_processor), batch_size=BATCH, num_workers=workers, prefetch_factor=2)
    with torch.inference_mode():
        tokens = processor(text=TEXTS, return_tensors="pt", padding=True)
        texts = torch.nn.functional.normalize(features(model.get_text_features(**tokens)), dim=-1)
        begun, counted = None, 0
        for batch in loader:
            images = torch.nn.functional.normalize(features(model.get_image_features(pixel_values=batch)), dim=-1)
            (model.logit_scale.exp() * images @ texts.T).softmax(dim=1).tolist()
            if begun is None:
                begun = time.perf_counter()
            else:
                counted += len(batch)
    return counted / (time.perf_counter() - begun)


def forward(model):
    """Images per second of the forward pass alone, in batches of 16."""
    import torch

    pixels = torch.randn(BATCH, 3, 224, 224)
    took = []
    with torch.inference_mode():
        for _ in range(4):
            begun = time.perf_counter()
            model.get_image_features(pixel_values=pixels)
            took.append(time.perf_counter() - begun)
    return BATCH / statistics.median(took[1:])


def ours(binary, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDIVISION_")}
    kept["MEDIVISION_LIBRARY"] = "none"
    begun = time.perf_counter()
    done = subprocess.run([binary, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=kept)
    if done.returncode != 0:
        sys.exit(f"{binary} {arguments} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout, time.perf_counter() - begun


def started(chosen, path):
    """Seconds from the start of Python to the scores of one file."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, __file__, "--model", chosen.model, "--first", path], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--binary")
    parser.add_argument("--pictures", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=30, help="pictures of the way one by one in each round")
    parser.add_argument("--first", help="answer for this one file, and end")
    chosen = parser.parse_args()
    if chosen.first:
        model, processor = load(chosen.model)
        print(one_by_one(model, processor, [chosen.first])[1].tolist())
        return
    import torch

    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    load_before = os.getloadavg()[0]
    paths = sorted(map(str, chosen.pictures.iterdir()))
    model, processor = load(chosen.model)
    rounds = []
    for number in range(chosen.rounds):
        bench = json.loads(ours(chosen.binary, "bench", "--json", "--model", chosen.model, str(chosen.pictures))[0])
        texts = [ours(chosen.binary, "classify", "--model", chosen.model, paths[0])[1], started(chosen, paths[0])]
        figures = {
            "one by one": one_by_one(model, processor, paths[:chosen.singles])[0],
            "well": well(model, processor, paths, cores),
            "forward": forward(model),
            "ours": bench["end_to_end"],
            "our forward": next(s["images_per_second"] for s in bench["stages"] if s["name"] == "forward"),
            "of limit": bench["ratio"],
            "single": bench["single"]["ratio"],
            "start, ours": texts[0],
            "start, Python": texts[1],
            "peak MB": bench["peak_memory"] / 1e6,
        }
        rounds.append(figures)
        print(f"round {number + 1}: " + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()), flush=True)

    def median(of):
        return statistics.median(of(figures) for figures in rounds)

    print(f"\n{len(paths)} pictures, {cores} cores, {chosen.rounds} rounds, load before {load_before:.2f}; medians")
    for name in rounds[0]:
        print(f"{name:34} {median(lambda f: f[name]):10.2f}")
    print(f"{'ours / one by one':34} {median(lambda f: f['ours'] / f['one by one']):10.2f}")
    print(f"{'ours / well':34} {median(lambda f: f['ours'] / f['well']):10.2f}")
    print(f"{'our forward / forward':34} {median(lambda f: f['our forward'] / f['forward']):10.2f}")
    print(f"{'start, ours / Python':34} {median(lambda f: f['start, ours'] / f['start, Python']):10.2f}")


if __name__ == "__main__":
    main()
