"""The example record shared by all three demo tasks, and the held-out split."""

import hashlib
import heapq
import json
import random
import re
from collections import Counter
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


def choose_covering(examples: list[Example], count: int) -> list[Example]:
    """Choose `count` examples whose prompts show as many different words as possible, each as often as the others.

    One after the other, always the example with the largest gain; a word is worth
    1 when it has not been shown, 1/4 when once, 1/9 when twice and so on. The
    gain per example only falls, so that a heap of old gains is enough. Ties go to
    the example that was drawn first.
    """
    shown: Counter[str] = Counter()

    def gain(example: Example) -> float:
        return sum(1 / (1 + shown[word]) ** 2 for word in words_of(example))

    heap = [(-gain(example), index) for index, example in enumerate(examples)]
    heapq.heapify(heap)
    chosen: list[Example] = []
    while heap and len(chosen) < count:
        _, index = heap[0]
        fresh = (-gain(examples[index]), index)
        if len(heap) > 1 and fresh > min(heap[1:3]):
            heapq.heapreplace(heap, fresh)
            continue
        heapq.heappop(heap)
        chosen.append(examples[index])
        shown.update(words_of(examples[index]))
    return chosen


def words_of(example: Example) -> set[str]:
    """Tell the different words of a prompt; digits make no word."""
    return set(re.findall(r"[^\W\d_]+", example.prompt.lower()))


def write_jsonl(path: Path, examples: Iterable[Example]) -> None:
    """Write prompt and completion of each example, one JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for example in examples:
            row = {"prompt": example.prompt, "completion": example.completion}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
