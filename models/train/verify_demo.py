"""Check the saved demo models from a fresh process.

Loads base and deltas from disk in float32, generates a few held-out examples
per delta in both prompt forms, and checks file sizes and the round trip of the
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
from train_demo import BASE_DIR, DELTAS, DELTAS_DIR

MAX_BASE_BYTES = 12_000_000
MAX_DELTA_BYTES = 1_500_000
ROUND_TRIP_TEXTS = ["Äpfel über 3,50 €", "  two  spaces\n\nlines", "日本語 🚲", "\t\u0000\u00a0"]


def folder_bytes(folder: Path) -> int:
    """The size of all files directly in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir())


def main() -> None:
    """Load everything, print samples and check the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--samples", type=int, default=3, help="held-out examples per delta")
    samples = parser.parse_args().samples

    tokenizer = AutoTokenizer.from_pretrained(BASE_DIR)
    for text in ROUND_TRIP_TEXTS:
        ids = tokenizer(text).input_ids
        assert ids[0] == tokenizer.bos_token_id, "the tokenizer adds bos by itself"
        assert tokenizer.decode(ids, skip_special_tokens=True) == text, text
    assert folder_bytes(BASE_DIR) <= MAX_BASE_BYTES
    print(f"demo-base: {folder_bytes(BASE_DIR):,} bytes")

    for name in DELTAS:
        folder = DELTAS_DIR / name
        weights = (folder / "adapter_model.safetensors").stat().st_size
        assert weights <= MAX_DELTA_BYTES
        print(f"\n{name}: {weights:,} bytes of weights")
        base = AutoModelForCausalLM.from_pretrained(BASE_DIR, dtype=torch.float32).eval()
        model = PeftModel.from_pretrained(base, folder).eval()
        lines = (folder / "heldout.jsonl").read_text(encoding="utf-8").splitlines()[:samples]
        for row in map(json.loads, lines):
            print(f"  prompt   {row['prompt']}\n  expected {row['completion']}")
            for form in PROMPT_FORMS:
                text, ended = generate(model, tokenizer, [row["prompt"]], form)[0]
                assert ended, f"{name}: no end token in the {form} form"
                print(f"  {form:8} {text}")


if __name__ == "__main__":
    main()
