"""Writes files/: see README.md. Equal bytes at every run with the versions of requirements.txt."""

import json
import shutil
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import save_file

from deltas import RECIPES, load_delta, save_delta
from families import CASES, Case, load_base, save_base
from reference import GAP_MIN, GREEDY_TOKENS, reference
from tokenizer import save_tokenizer

FILES = Path(__file__).parent / "files"


def main() -> None:
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # The order of additions must not depend on the machine's cores.
    shutil.rmtree(FILES, ignore_errors=True)
    for case in CASES:
        make_case(case, FILES / case.name)
        print(case.name, size_bytes(FILES / case.name) // 1024, "KiB")
    manifest = dict(
        madeWith=dict(transformers=transformers.__version__, peft=peft.__version__, torch=torch.__version__.split("+")[0]),
        greedyTokens=GREEDY_TOKENS,
        gapMin=GAP_MIN,
        cases=[dict(name=case.name, family=case.family, weightType=str(case.dtype).removeprefix("torch.")) for case in CASES],
    )
    write_json(FILES / "manifest.json", manifest)


def make_case(case: Case, directory: Path) -> None:
    base_directory = directory / "base"
    base_directory.mkdir(parents=True)
    save_base(case, base_directory)
    save_tokenizer(base_directory)
    variants, tensors = [], {}

    def record(name: str, model, delta: str | None, seed: int) -> None:
        prompts, logits = reference(model, seed)
        variants.append(dict(name=name, delta=delta, prompts=prompts))
        tensors.update({f"{name}.{key}": value for key, value in logits.items()})

    record("base", load_base(case, base_directory), None, case.seed * 100)
    for index, recipe in enumerate(RECIPES, start=1):
        delta = f"deltas/{recipe.name}"
        seed = case.seed * 100 + index
        save_delta(load_base(case, base_directory), case.family, recipe, seed, directory / delta)
        record(recipe.name, load_delta(load_base(case, base_directory), directory / delta), delta, seed)
    write_json(directory / "expected.json", dict(variants=variants))
    save_file(tensors, directory / "expected.safetensors")


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")) + "\n")


def size_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
