"""The example record shared by all three demo tasks, and the held-out split."""

import hashlib
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

HELD_OUT_PERCENT = 8


@dataclass(frozen=True)
class Example:
    """One prompt with its single right completion.

    `key` names the combination that decides the split: every example with the
    same key falls on the same side, so a held-out combination is never trained on.
    """

    prompt: str
    completion: str
    key: str

    @property
    def held_out(self) -> bool:
        """True where this example's combination is reserved for evaluation."""
        digest = hashlib.sha256(self.key.encode("utf-8")).digest()
        return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT


Maker = Callable[[random.Random], Example]


def draw(make: Maker, rng: random.Random, held_out: bool = False) -> Example:
    """Draw examples from `make` until one falls on the wanted side of the split."""
    while True:
        example = make(rng)
        if example.held_out == held_out:
            return example


def draw_distinct(make: Maker, rng: random.Random, count: int, held_out: bool) -> list[Example]:
    """Draw `count` examples with different prompts, all from one side of the split."""
    found: dict[str, Example] = {}
    while len(found) < count:
        example = draw(make, rng, held_out)
        found.setdefault(example.prompt, example)
    return list(found.values())


def write_jsonl(path: Path, examples: Iterable[Example]) -> None:
    """Write prompt and completion of each example, one JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for example in examples:
            row = {"prompt": example.prompt, "completion": example.completion}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
