"""The deltas: eight PEFT folders per base, ranks 4 to 64, no two alike in what they touch and how they scale."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model

ATTENTION = {"llama": ["q_proj", "k_proj", "v_proj", "o_proj"], "gpt2": ["c_attn", "attn.c_proj"]}
FEED_FORWARD = {"llama": ["gate_proj", "up_proj", "down_proj"], "gpt2": ["c_fc", "mlp.c_proj"]}


@dataclass(frozen=True)
class Recipe:
    name: str
    rank: int
    alpha: float
    # all | attention | feed_forward | first (one module) | last (one module)
    modules: str
    dtype: torch.dtype = torch.float32
    extra: dict = field(default_factory=dict)


RECIPES = [
    Recipe("rank-4-all", 4, 8, "all"),
    Recipe("rank-8-all-rslora", 8, 8, "all", torch.bfloat16, extra=dict(use_rslora=True)),
    Recipe("rank-16-attention", 16, 16, "attention", torch.float16),
    Recipe("rank-24-layer-1", 24, 24, "all", torch.float16, extra=dict(layers_to_transform=[1])),
    Recipe("rank-32-feed-forward", 32, 32, "feed_forward", torch.bfloat16),
    Recipe("rank-48-last", 48, 24, "last", torch.bfloat16),
    Recipe("rank-64-first-rslora", 64, 16, "first", torch.float16, extra=dict(use_rslora=True)),
    Recipe("rank-pattern", 6, 12, "all", torch.float16),
]


def save_delta(base, family: str, recipe: Recipe, seed: int, directory: Path) -> None:
    peft_family = "gpt2" if family == "gpt2" else "llama"
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=0.05,
        target_modules=sorted(_modules(peft_family, recipe.modules)),
        fan_in_fan_out=peft_family == "gpt2",
        **recipe.extra,
        **(_patterns(peft_family) if recipe.name == "rank-pattern" else {}),
    )
    model = get_peft_model(base, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" not in name:
                continue
            rank_side = 0 if "lora_A" in name else 1
            scale = 1.0 / parameter.shape[1] ** 0.5 if rank_side == 0 else 0.7 / parameter.shape[1] ** 0.5
            noise = torch.randn(parameter.shape, generator=generator) * scale
            parameter.data = noise.to(recipe.dtype)
    model.peft_config["default"].base_model_name_or_path = "../../base"
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    _sort_modules(directory / "adapter_config.json")
    model.unload()


def load_delta(base, directory: Path):
    """The stored values, computed with in float32."""
    return PeftModel.from_pretrained(base, directory).float().eval()


def _sort_modules(path: Path) -> None:
    """PEFT writes a set in the order of the process's hash seed."""
    config = json.loads(path.read_text())
    config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _modules(peft_family: str, kind: str) -> list[str]:
    attention, feed_forward = ATTENTION[peft_family], FEED_FORWARD[peft_family]
    return {
        "all": attention + feed_forward,
        "attention": attention,
        "feed_forward": feed_forward,
        "first": attention[:1],
        "last": feed_forward[-1:],
    }[kind]


def _patterns(peft_family: str) -> dict:
    if peft_family == "gpt2":
        return dict(rank_pattern={"c_attn": 12, "h.1.mlp.c_fc": 20}, alpha_pattern={"c_attn": 6, "h.0.attn.c_proj": 18})
    return dict(rank_pattern={"q_proj": 12, "layers.1.mlp.up_proj": 20}, alpha_pattern={"q_proj": 6, "layers.0.mlp.down_proj": 18})
