"""Make the demo models: tokenizer, base, three deltas, held-out sets and results.

Name the stages to run, for example `python train_demo.py deltas evaluate --only tax`.
Later stages read what earlier ones saved, so every delta is trained and measured on
the base as it is on disk.
The base is trained by two processes that share each batch:
`torchrun --nproc-per-node 2 train_demo.py first second`.
`--into FOLDER` writes to another folder than `models/`.
"""

import argparse
import datetime
import fcntl
import json
import logging
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import peft
import torch
import torch.distributed as dist
import transformers
from peft import LoraConfig, PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

import product_copy
import tax
import translate
from base_corpus import FIRST_MIX, SECOND_MIX, make_document
from demo_tokenizer import PROMPT_FORMS, save_tokenizer, train_tokenizer
from evaluation import score
from examples import Example, Maker, draw, draw_distinct, write_jsonl
from training import Schedule, train_base, train_delta

log = logging.getLogger(__name__)

MODELS = Path(__file__).resolve().parents[1]
BASE_NAME = "demo-base"
DELTAS_NAME = "demo-deltas"
RESULTS_NAME = "results.json"

SEED = 20260314
VOCAB_SIZE = 2560
CONTEXT_LENGTH = 1024
TOKENIZER_DOCUMENTS = 20_000
TOKENIZER_COMPLETIONS_PER_TASK = 2_000
ROW_LENGTH = 256
ATTENTION = "eager"  # the fastest implementation for short rows on a CPU
BASE_PROCESSES = 2
FIRST_SCHEDULE = Schedule(850, batch_size=8, learning_rate=3e-3, warmup_steps=40)  # batch per process
SECOND_SCHEDULE = Schedule(150, batch_size=8, learning_rate=2e-3, warmup_steps=15)

HELD_OUT_EVALUATED = 200
HELD_OUT_SAVED = 100
TRAIN_SAMPLE = 200
TARGET_MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True)
class Delta:
    """One demo delta: its task and its LoRA settings."""

    make: Maker
    rank: int
    alpha: int
    schedule: Schedule
    rank_stabilised: bool = False
    attribute_coverage: bool = False

    def lora_config(self) -> LoraConfig:
        """The PEFT configuration of this delta."""
        return LoraConfig(
            task_type="CAUSAL_LM",
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=0.0,
            use_rslora=self.rank_stabilised,
            target_modules=TARGET_MODULES,
        )


DELTAS = {
    "tax": Delta(tax.make_example, 8, 16, Schedule(400, 32, 2e-3, 30)),
    "copy": Delta(product_copy.make_example, 12, 24, Schedule(400, 16, 2e-3, 30), attribute_coverage=True),
    "translate": Delta(translate.make_example, 16, 8, Schedule(700, 32, 2e-3, 40), rank_stabilised=True),
}


def tokenizer_texts() -> Iterator[str]:
    """What the tokenizer learns its merges from: base documents and task completions."""
    rng = random.Random(SEED)
    for _ in range(TOKENIZER_DOCUMENTS):
        document = make_document(rng, FIRST_MIX)
        if isinstance(document, str):
            yield document
        else:
            yield from (message["content"] for message in document)
    for delta in DELTAS.values():
        for _ in range(TOKENIZER_COMPLETIONS_PER_TASK):
            yield draw(delta.make, rng).completion


def train_first_stage(folder: Path) -> float:
    """Make the tokenizer, train a new base on the first mix; return the seconds of training."""
    tokenizer = train_tokenizer(tokenizer_texts(), VOCAB_SIZE, CONTEXT_LENGTH)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_LENGTH,
        tie_word_embeddings=True,
        attn_implementation=ATTENTION,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=128,
    )
    seconds = train_base(
        model, tokenizer, FIRST_MIX, FIRST_SCHEDULE, ROW_LENGTH, SEED + 1 + dist.get_rank()
    )
    if dist.get_rank() == 0:
        save_tokenizer(tokenizer, folder)
        model.to(torch.float16).save_pretrained(folder)
    dist.barrier()
    return seconds


def train_second_stage(folder: Path) -> float:
    """Train the saved base further on the second mix; return the seconds of training."""
    model, tokenizer = load_base(folder)
    seconds = train_base(
        model, tokenizer, SECOND_MIX, SECOND_SCHEDULE, ROW_LENGTH, SEED + 51 + dist.get_rank()
    )
    if dist.get_rank() == 0:
        model.to(torch.float16).save_pretrained(folder)
    return seconds


def load_base(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The saved base in float32 and its tokenizer."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=ATTENTION
    )
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def make_delta(name: str, models: Path, seed: int) -> float:
    """Train one delta, save it with its example files; return the seconds of training."""
    delta = DELTAS[name]
    folder = models / DELTAS_NAME / name
    base, tokenizer = load_base(models / BASE_NAME)
    model, seconds = train_delta(
        base, tokenizer, delta.make, delta.lora_config(), delta.schedule, seed, name
    )
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float16)
    model.peft_config["default"].base_model_name_or_path = BASE_NAME
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()  # PEFT's unfilled model card

    sample = draw_distinct(delta.make, random.Random(seed + 1), TRAIN_SAMPLE, held_out=False)
    write_jsonl(folder / "train-sample.jsonl", sample)
    write_jsonl(folder / "heldout.jsonl", held_out_examples(name)[:HELD_OUT_SAVED])
    return seconds


def held_out_examples(name: str) -> list[Example]:
    """The held-out examples of a task; the first of them are also saved to disk."""
    return draw_distinct(DELTAS[name].make, random.Random(SEED), HELD_OUT_EVALUATED, held_out=True)


def evaluate(name: str, models: Path) -> dict:
    """Scores of the bare base and of the delta in every prompt form, both read from disk."""
    examples = held_out_examples(name)
    coverage = DELTAS[name].attribute_coverage
    model, tokenizer = load_base(models / BASE_NAME)
    scores = {"n": len(examples)}
    for label in ("base", "delta"):
        if label == "delta":
            model = PeftModel.from_pretrained(model, models / DELTAS_NAME / name).eval()
        scores[label] = {
            form: score(model, tokenizer, examples, form, coverage) for form in PROMPT_FORMS
        }
        log.info("%s %s %s", name, label, scores[label])
    return scores


def record(models: Path, section: str, name: str, values: dict) -> None:
    """Merge values into one entry of results.json, with today's date and the versions.

    The file is locked meanwhile, so that deltas may be trained side by side.
    """
    with (models / RESULTS_NAME).open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        results = json.loads(file.read() or "{}")
        results.update(
            date=datetime.date.today().isoformat(),
            seed=SEED,
            versions={
                "torch": torch.__version__.split("+")[0],
                "transformers": transformers.__version__,
                "peft": peft.__version__,
            },
        )
        results.setdefault(section, {}).setdefault(name, {}).update(values)
        file.truncate(0)
        file.write(json.dumps(results, indent=2) + "\n")


def run_base_stage(name: str, models: Path) -> None:
    """Run one of the two base stages; the first process records what came out."""
    folder = models / BASE_NAME
    train, schedule = {
        "first": (train_first_stage, FIRST_SCHEDULE),
        "second": (train_second_stage, SECOND_SCHEDULE),
    }[name]
    seconds = train(folder)
    if dist.get_rank() != 0:
        return
    model, tokenizer = load_base(folder)
    record(models, "base", "model", {"parameters": model.num_parameters(), "vocabulary": len(tokenizer)})
    tokens = BASE_PROCESSES * schedule.steps * schedule.batch_size * ROW_LENGTH
    record(models, "base", f"{name}_stage", {"training_tokens": tokens, "training_seconds": round(seconds)})


def join_processes() -> None:
    """Join the processes that torchrun started for the base; exit where there are not the right number."""
    if int(os.environ.get("WORLD_SIZE", "1")) != BASE_PROCESSES:
        raise SystemExit(f"run the base stages under torchrun --nproc-per-node {BASE_PROCESSES}")
    dist.init_process_group("gloo")


def run_delta(name: str, models: Path) -> None:
    """Train one delta and record its settings."""
    delta = DELTAS[name]
    seconds = make_delta(name, models, SEED + 100 * (1 + list(DELTAS).index(name)))
    values = {
        "rank": delta.rank,
        "alpha": delta.alpha,
        "rslora": delta.rank_stabilised,
        "training_examples": delta.schedule.steps * delta.schedule.batch_size,
        "training_seconds": round(seconds),
    }
    record(models, "deltas", name, values)


def main() -> None:
    """Run the stages named on the command line and keep results.json up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    stages = ["first", "second", "deltas", "evaluate"]
    parser.add_argument("stages", nargs="+", choices=stages, help="what to run, always in this order")
    parser.add_argument("--only", choices=list(DELTAS), help="work on this delta alone")
    parser.add_argument("--into", type=Path, default=MODELS, help="folder that gets the models")
    arguments = parser.parse_args()
    models = arguments.into
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    base_stages = [stage for stage in ("first", "second") if stage in arguments.stages]
    if base_stages:
        if len(base_stages) < len(set(arguments.stages)):
            parser.error("the base stages run under torchrun and the others do not: name them apart")
        join_processes()
        for stage in base_stages:
            run_base_stage(stage, models)
        dist.destroy_process_group()
        return
    for name in [arguments.only] if arguments.only else DELTAS:
        if "deltas" in arguments.stages:
            run_delta(name, models)
        if "evaluate" in arguments.stages:
            record(models, "deltas", name, {"held_out": evaluate(name, models)})


if __name__ == "__main__":
    main()
