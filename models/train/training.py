"""Training loops: pretraining of the base and LoRA training of one delta."""

import logging
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from base_corpus import Document, Mix, make_document
from demo_tokenizer import BOS, PROMPT_FORMS, completion_ids
from examples import Maker, draw

log = logging.getLogger(__name__)

IGNORED_LABEL = -100  # what transformers leaves out of the loss
LOG_EVERY = 50
MUON_RATE_FACTOR = 20 / 3  # how much larger the rate of Muon is than that of AdamW


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int

    def rate_factor(self, step: int) -> float:
        """Linear warm-up, then a cosine down to one percent."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))


Batch = dict[str, torch.Tensor]


def document_ids(tokenizer: PreTrainedTokenizerFast, document: Document) -> list[int]:
    """Token ids of a pretraining document, from bos to the last end token."""
    if isinstance(document, str):
        text = f"{BOS}{document}\n"
        return tokenizer(text, add_special_tokens=False).input_ids + [tokenizer.eos_token_id]
    rendered = tokenizer.apply_chat_template(document, tokenize=False)
    return tokenizer(rendered, add_special_tokens=False).input_ids


def packed_batches(
    tokenizer: PreTrainedTokenizerFast,
    mix: Mix,
    rng: random.Random,
    batch_size: int,
    row_length: int,
) -> Iterator[Batch]:
    """Endless batches of documents laid end to end in rows of equal length."""
    size = batch_size * row_length
    buffer: list[int] = []
    while True:
        while len(buffer) < size:
            buffer += document_ids(tokenizer, make_document(rng, mix))
        ids = torch.tensor(buffer[:size]).view(batch_size, row_length)
        buffer = buffer[size:]
        yield {"input_ids": ids, "labels": ids}


def example_batches(
    tokenizer: PreTrainedTokenizerFast, make: Maker, rng: random.Random, batch_size: int
) -> Iterator[Batch]:
    """Endless padded batches of training examples, half chat form and half plain form.

    Sixteen batches are drawn at a time and sorted by length, which keeps padding
    short. Only the completion counts in the loss.
    """
    forms = list(PROMPT_FORMS.values())
    while True:
        rows = []
        for _ in range(16 * batch_size):
            example = draw(make, rng)
            prompt = rng.choice(forms)(tokenizer, example.prompt)
            rows.append((prompt, completion_ids(tokenizer, example.completion)))
        rows.sort(key=lambda row: len(row[0]) + len(row[1]))
        batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        rng.shuffle(batches)
        for batch in batches:
            yield pad_batch(batch, tokenizer.pad_token_id)


def pad_batch(rows: list[tuple[list[int], list[int]]], pad_id: int) -> Batch:
    """Pad (prompt, completion) rows on the right to the longest row."""
    length = max(len(prompt) + len(completion) for prompt, completion in rows)
    input_ids = torch.full((len(rows), length), pad_id)
    labels = torch.full((len(rows), length), IGNORED_LABEL)
    for row, (prompt, completion) in enumerate(rows):
        end = len(prompt) + len(completion)
        input_ids[row, :end] = torch.tensor(prompt + completion)
        labels[row, len(prompt) : end] = torch.tensor(completion)
    return {"input_ids": input_ids, "attention_mask": (input_ids != pad_id).long(), "labels": labels}


def base_optimizers(model: LlamaForCausalLM, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices of the blocks, AdamW for embeddings and norms.

    Muon is there because it needs fewer tokens than AdamW alone
    (https://kellerjordan.github.io/posts/muon/).
    """
    matrices = [parameter for parameter in model.model.layers.parameters() if parameter.ndim == 2]
    in_matrices = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in in_matrices]
    return [
        torch.optim.Muon(matrices, lr=MUON_RATE_FACTOR * schedule.learning_rate, weight_decay=0.0),
        adam(others, schedule),
    ]


def adam(parameters: list[torch.nn.Parameter], schedule: Schedule) -> torch.optim.Optimizer:
    """AdamW without weight decay."""
    return torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )


def average_gradients(model: torch.nn.Module) -> None:
    """Replace the gradients by their mean over all processes, which keeps the weights alike."""
    gradients = [parameter.grad for parameter in model.parameters()]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
        gradient.copy_(mean.view_as(gradient))


def optimise(
    model: PreTrainedModel | PeftModel,
    batches: Iterator[Batch],
    schedule: Schedule,
    optimizers: list[torch.optim.Optimizer],
    name: str,
) -> float:
    """Train with the given optimizers; return the seconds it took."""
    schedulers = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, schedule.rate_factor) for optimizer in optimizers
    ]
    model.train()
    started = time.monotonic()
    for step in range(1, schedule.steps + 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(**next(batches), use_cache=False).loss
        loss.backward()
        if dist.is_initialized():
            average_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, scheduler in zip(optimizers, schedulers):
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        if step % LOG_EVERY == 0 or step == schedule.steps:
            seconds = time.monotonic() - started
            log.info("%s step %d/%d loss %.4f (%.0f s)", name, step, schedule.steps, loss.item(), seconds)
    model.eval()
    return time.monotonic() - started


def train_base(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    mix: Mix,
    schedule: Schedule,
    row_length: int,
    seed: int,
) -> float:
    """Pretrain the base on one corpus mix; return the seconds it took."""
    batches = packed_batches(tokenizer, mix, random.Random(seed), schedule.batch_size, row_length)
    return optimise(model, batches, schedule, base_optimizers(model, schedule), "base")


def train_delta(
    base: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    make: Maker,
    config: LoraConfig,
    schedule: Schedule,
    seed: int,
    name: str,
) -> tuple[PeftModel, float]:
    """Train one LoRA delta on a frozen base; return the model and the seconds it took."""
    torch.manual_seed(seed)
    model = get_peft_model(base, config)
    batches = example_batches(tokenizer, make, random.Random(seed), schedule.batch_size)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    seconds = optimise(model, batches, schedule, [adam(trained, schedule)], name)
    return model, seconds
