"""Writes training/: 50 steps of fine-tuning by PyTorch and peft on some of the bases in files/. See README.md."""

import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from families import CASES, load_base

FILES = Path(__file__).parent / "files"
TRAINING = Path(__file__).parent / "training"
NAMES = ["llama-gqa-tied", "gpt2", "qwen2-float32", "qwen3"]

LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGETS = dict(llama=LLAMA, qwen2=LLAMA, qwen3=LLAMA, gpt2=["c_attn", "c_proj", "c_fc"])

STEPS, WARMUP, BATCH = 50, 5, 6
RATE, DECAY, NORM_MAX = 5e-3, 0.01, 1.0
RANK, ALPHA = 8, 16
MASKED = -100  # A label that torch leaves out of the loss.


def main() -> None:
    torch.set_num_threads(1)
    shutil.rmtree(TRAINING, ignore_errors=True)
    for case in CASES:
        if case.name in NAMES:
            make(case, TRAINING / case.name)


def make(case, directory: Path) -> None:
    directory.mkdir(parents=True)
    generator = torch.Generator().manual_seed(case.seed)
    torch.manual_seed(case.seed)  # peft draws the first A from the global generator.
    base = load_base(case, FILES / case.name / "base")
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS[case.family], fan_in_fan_out=case.family == "gpt2")
    model = get_peft_model(base, config).eval()  # Without dropout, which ours does not have.
    learned = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    initial = {plain(name): parameter.detach().clone() for name, parameter in learned.items()}
    save_file(initial, directory / "initial.safetensors")

    examples = [make_example(base.config.vocab_size, generator) for _ in range(24)]
    batches = [torch.randperm(len(examples), generator=generator)[:BATCH].tolist() for _ in range(STEPS)]
    optimizer = torch.optim.AdamW(learned.values(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_share)
    losses, norms = [], []
    for batch in batches:
        optimizer.zero_grad()
        loss = model(**collate([examples[index] for index in batch])).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(learned.values(), NORM_MAX).item())
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    final = {plain(name): parameter.detach() for name, parameter in learned.items()}
    save_file(final, directory / "final.safetensors")
    settings = dict(rank=RANK, alpha=ALPHA, rate=RATE, warmupSteps=WARMUP, weightDecay=DECAY, gradientNormMax=NORM_MAX)
    expected = dict(base=f"{case.name}/base", settings=settings, examples=examples, batches=batches, losses=losses, norms=norms)
    (directory / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    print(case.name, f"{losses[0]:.3f} → {losses[-1]:.3f}")


def rate_share(step: int) -> float:
    """Up to the peak in WARMUP steps, then down a straight line; steps count from 0."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 1 - (step - WARMUP) / (STEPS - WARMUP)


def make_example(vocabulary_size: int, generator: torch.Generator) -> dict:
    """A text of its own length, of which the tokens after the prompt are learned."""
    length = int(torch.randint(6, 40, (1,), generator=generator))
    tokens = torch.randint(3, vocabulary_size, (length,), generator=generator).tolist()
    return dict(tokens=tokens, promptTokens=int(torch.randint(1, length - 2, (1,), generator=generator)))


def collate(batch: list[dict]) -> dict:
    span = max(len(example["tokens"]) for example in batch)
    ids, labels, mask = [], [], []
    for example in batch:
        tokens, prompt = example["tokens"], example["promptTokens"]
        fill = span - len(tokens)
        ids.append(tokens + [0] * fill)
        labels.append([MASKED] * prompt + tokens[prompt:] + [MASKED] * fill)
        mask.append([1] * len(tokens) + [0] * fill)
    return dict(input_ids=torch.tensor(ids), labels=torch.tensor(labels), attention_mask=torch.tensor(mask))


def plain(name: str) -> str:
    """`model.layers.0.self_attn.q_proj.lora_A`, as our trainer names it."""
    return name.removeprefix("base_model.model.").replace(".default.weight", "")


if __name__ == "__main__":
    main()
