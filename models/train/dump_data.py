"""Dump what the generators make as JSONL, for the trainer in TypeScript (train-demo.ts).

The examples and held-out examples of the three tasks, into `data/`, where those of
`--cover` lie: chosen for their words. `--examples N` dumps more to train on, `--into` elsewhere;
`--base FILE` dumps documents for the base instead.
"""

import argparse
import json
import random
from pathlib import Path

from base_corpus import FIFTH_MIX, FIRST_MIX, FOURTH_MIX, SECOND_MIX, THIRD_MIX, make_document
from examples import choose_covering, draw_distinct, write_jsonl
from train_demo import DELTAS, HELD_OUT_EVALUATED, SEED, TRAIN_SAMPLE

DATA = Path(__file__).resolve().parent / "data"
CANDIDATES = 4_000  # from which examples are chosen for their words
STAGES = {  # of the base's training: the mix and the seed
    "first": (FIRST_MIX, SEED + 1),
    "second": (SECOND_MIX, SEED + 51),
    "third": (THIRD_MIX, SEED + 101),
    "fourth": (FOURTH_MIX, SEED + 151),
    "fifth": (FIFTH_MIX, SEED + 201),
}


def dump_tasks(folder: Path, count: int, cover: bool) -> None:
    """Write `<task>-train.jsonl` and `<task>-heldout.jsonl`."""
    for index, (name, delta) in enumerate(DELTAS.items()):
        seed = SEED + 100 * (1 + index)
        candidates = draw_distinct(delta.make, random.Random(seed + 1), CANDIDATES if cover else count, held_out=False)
        write_jsonl(folder / f"{name}-train.jsonl", choose_covering(candidates, count) if cover else candidates)
        held_out = draw_distinct(delta.make, random.Random(SEED), HELD_OUT_EVALUATED, held_out=True)
        write_jsonl(folder / f"{name}-heldout.jsonl", held_out)


def dump_base(path: Path, count: int, stage: str) -> None:
    """Write documents of one stage's mix: a string each, or a list of messages."""
    mix, seed = STAGES[stage]
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            file.write(json.dumps(make_document(rng, mix), ensure_ascii=False) + "\n")


def main() -> None:
    """Dump what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--into", type=Path, default=DATA, help="folder for the tasks' files")
    parser.add_argument("--examples", type=int, default=TRAIN_SAMPLE, help="examples to train on, per task")
    parser.add_argument("--cover", action="store_true", help="choose them so that their words cover the task's")
    parser.add_argument("--base", type=Path, help="file for the base's documents")
    parser.add_argument("--documents", type=int, default=100_000, help="how many documents the base gets")
    parser.add_argument("--stage", choices=STAGES, default="first", help="of the base's training")
    arguments = parser.parse_args()
    if arguments.base:
        dump_base(arguments.base, arguments.documents, arguments.stage)
    else:
        dump_tasks(arguments.into, arguments.examples, arguments.cover)


if __name__ == "__main__":
    main()
