"""Greedy generation and scoring on held-out examples."""

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from demo_tokenizer import PROMPT_FORMS
from examples import Example
from product_copy import covers_all_attributes

MAX_NEW_TOKENS = 128


@torch.inference_mode()
def generate(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[str],
    form: str,
    batch_size: int = 50,
) -> list[tuple[str, bool]]:
    """Greedy completions in the given prompt form, each with whether it ended by itself."""
    results = []
    for start in range(0, len(prompts), batch_size):
        rows = [PROMPT_FORMS[form](tokenizer, prompt) for prompt in prompts[start : start + batch_size]]
        batch = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt")
        output = model.generate(**batch, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
        for ids in output[:, batch["input_ids"].shape[1] :]:
            text = tokenizer.decode(ids, skip_special_tokens=True)
            results.append((text, tokenizer.eos_token_id in ids.tolist()))
    return results


def score(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: list[Example],
    form: str,
    attribute_coverage: bool,
) -> dict[str, float]:
    """Shares of exact matches and of completions that ended, and attribute coverage if asked."""
    outputs = generate(model, tokenizer, [example.prompt for example in examples], form)
    pairs = list(zip(examples, outputs))

    def share(hits: list[bool]) -> float:
        return round(sum(hits) / len(hits), 4)

    scores = {
        "exact_match": share([text == example.completion for example, (text, _) in pairs]),
        "ended": share([ended for _, (_, ended) in pairs]),
    }
    if attribute_coverage:
        scores["attribute_coverage"] = share(
            [covers_all_attributes(example.prompt, text) for example, (text, _) in pairs]
        )
    return scores
