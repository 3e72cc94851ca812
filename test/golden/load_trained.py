"""Loads a delta that our trainer has made with peft itself, and prints the logits of one text as JSON. See trained-delta.test.ts."""

import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM


def main() -> None:
    """argv: the base's folder, the delta's folder, token ids as JSON."""
    base_folder, delta_folder, tokens = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    base = AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, delta_folder) if delta_folder else base
    with torch.inference_mode():
        logits = model.eval()(input_ids=torch.tensor([tokens])).logits[0]
    config = model.peft_config["default"] if delta_folder else None
    scale = dict(r=config.r, alpha=config.lora_alpha, rslora=config.use_rslora, fan=config.fan_in_fan_out) if config else None
    print(json.dumps(dict(losses=losses(logits, tokens), settings=scale)))


def losses(logits: torch.Tensor, tokens: list[int]) -> list[float]:
    """The negative log-likelihood of every token but the first."""
    shares = torch.log_softmax(logits[:-1].double(), dim=-1)
    return [-shares[place, token].item() for place, token in enumerate(tokens[1:])]


if __name__ == "__main__":
    main()
