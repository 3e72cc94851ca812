"""A byte-level BPE tokenizer of 320 entries, trained on one sentence: enough to turn text into ids and back."""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY_SIZE = 320
BOS, EOS = 0, 1
TEXT = (
    "A delta is data, a base is an engine. A node loads a base once and mixes any number of deltas into the same batch, row by row; "
    "placing a delta means moving a few megabytes, not a model. Decisions are pure, effects are thin. Usage only grows."
)


def save_tokenizer(directory: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY_SIZE
    tokenizer.save(str(directory / "tokenizer.json"))
