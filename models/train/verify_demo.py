"""Check the saved demo models from a fresh process.

Loads base and deltas from disk in float32, answers every line of heldout.jsonl
in both prompt forms, and checks accuracy, file sizes and the round trip of the
tokenizer. Ends with an error where something is off.
"""

import argparse
import json
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from demo_tokenizer import PROMPT_FORMS
from evaluation import generate
from train_demo import BASE_NAME, DELTAS, DELTAS_NAME, MODELS

MAX_BASE_BYTES = 12_000_000
MAX_DELTA_BYTES = 1_500_000
MIN_EXACT_MATCH = {"tax": 0.95, "copy": 0.9, "translate": 0.95}
ROUND_TRIP_TEXTS = ["Äpfel über 3,50 €", "  two  spaces\n\nlines", "日本語 🚲", "\t\u0000\u00a0"]


def check_base(folder: Path) -> None:
    """Check the size of the base and the round trip of its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in ROUND_TRIP_TEXTS:
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.bos_token_id, "the tokenizer adds bos by itself"
        assert tokenizer.decode(ids, skip_special_tokens=True) == text, text
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size <= MAX_BASE_BYTES, size
    print(f"{folder.name}: {size:,} bytes")


def check_delta(models: Path, name: str) -> None:
    """Check one delta's size and its answers to the saved held-out prompts; show the first."""
    base_folder, folder = models / BASE_NAME, models / DELTAS_NAME / name
    size = (folder / "adapter_model.safetensors").stat().st_size
    assert size <= MAX_DELTA_BYTES, size
    print(f"\n{name}: {size:,} bytes of weights")

    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    base = AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, folder).eval()
    lines = (folder / "heldout.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [json.loads(line) for line in lines]
    print(f"  prompt   {examples[0]['prompt']}\n  expected {examples[0]['completion']}")
    for form in PROMPT_FORMS:
        outputs = generate(model, tokenizer, [example["prompt"] for example in examples], form)
        assert all(ended for _, ended in outputs), f"{name}: no end token in the {form} form"
        hits = sum(text == example["completion"] for example, (text, _) in zip(examples, outputs))
        print(f"  {form:8} {outputs[0][0]}\n           exact {hits} of {len(examples)}")
        assert hits >= MIN_EXACT_MATCH[name] * len(examples), f"{name}: too many misses in the {form} form"


def main() -> None:
    """Check everything in the folder with the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder that has the models")
    models = parser.parse_args().models
    check_base(models / BASE_NAME)
    for name in DELTAS:
        check_delta(models, name)


if __name__ == "__main__":
    main()
