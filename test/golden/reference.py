"""What the reference says: prompts, greedy tokens and logits of one variant (the base, or the base with one delta)."""

import torch

from tokenizer import EOS, VOCABULARY_SIZE

GREEDY_TOKENS = 64
# The best token leads the second by more than this at each greedy step: twenty times the tolerance on logits.
GAP_MIN = 2e-3
# A text that falls into a short loop proves little.
DISTINCT_MIN = 12
# One shorter than any prefill chunk, one longer than most.
PROMPT_LENGTHS = {"short": 7, "long": 75}
ATTEMPTS_MAX = 200


@torch.no_grad()
def reference(model, seed: int) -> tuple[list[dict], dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    prompts, tensors = [], {}
    for kind, length in PROMPT_LENGTHS.items():
        prompt, greedy, gap, logits = _settled(model, length, generator)
        prompts.append(dict(kind=kind, tokens=prompt, greedy=greedy, gapMin=round(gap, 6)))
        # Every position of the short prompt, the last of the long one; and the step that gave the last greedy token.
        tensors[f"{kind}.prompt"] = (logits[:length] if kind == "short" else logits[length - 1 : length]).clone()
        tensors[f"{kind}.final"] = logits[-1:].clone()
    return prompts, tensors


def _settled(model, length: int, generator: torch.Generator):
    """Draws prompts until the greedy path is free of near ties, loops and the end token."""
    for _ in range(ATTEMPTS_MAX):
        prompt = torch.randint(2, VOCABULARY_SIZE, (length,), generator=generator).tolist()
        greedy = _greedy(model, prompt)
        # Once more in one pass, as a check of the cache and to see all gaps.
        logits = model(torch.tensor([prompt + greedy[:-1]])).logits[0].float()
        best = logits[length - 1 :].topk(2, dim=-1)
        gap = (best.values[:, 0] - best.values[:, 1]).min().item()
        if gap > GAP_MIN and len(set(greedy)) >= DISTINCT_MIN and EOS not in greedy:
            assert best.indices[:, 0].tolist() == greedy
            return prompt, greedy, gap, logits
    raise RuntimeError(f"no settled prompt of {length} tokens in {ATTEMPTS_MAX} attempts")


def _greedy(model, prompt: list[int]) -> list[int]:
    tokens, cache, step = [], None, torch.tensor([prompt])
    for _ in range(GREEDY_TOKENS):
        output = model(step, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        tokens.append(int(output.logits[0, -1].argmax()))
        step = torch.tensor([[tokens[-1]]])
    return tokens
