"""The bases: tiny models with random weights, one per thing that can be read wrongly."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from tokenizer import BOS, EOS, VOCABULARY_SIZE

TRUNK = dict(
    vocab_size=VOCABULARY_SIZE,
    hidden_size=64,
    intermediate_size=112,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=256,
    bos_token_id=BOS,
    eos_token_id=EOS,
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=500000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,  # Small, so that the scaling changes what a short prompt gives.
)
GPT2 = dict(vocab_size=VOCABULARY_SIZE, n_embd=64, n_layer=2, n_head=4, n_inner=112, n_positions=256, bos_token_id=BOS, eos_token_id=EOS)


@dataclass(frozen=True)
class Case:
    name: str
    seed: int
    family: str
    dtype: torch.dtype
    config: dict = field(default_factory=dict)
    # Hub folders come in more than one dialect; see `_restyle`.
    style: str = "transformers-5"
    shard_size: str = "50GB"


CASES = [
    Case("llama-gqa-tied", 11, "llama", torch.float32, dict(TRUNK, tie_word_embeddings=True)),
    Case("llama-sharded", 12, "llama", torch.bfloat16, dict(TRUNK, num_hidden_layers=3), shard_size="80KB"),
    Case("llama-rope-llama3", 13, "llama", torch.bfloat16, dict(TRUNK, rope_parameters=LLAMA3)),
    Case(
        "llama-rope-linear-bias",
        14,
        "llama",
        torch.float16,
        dict(
            TRUNK,
            attention_bias=True,
            mlp_bias=True,
            rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=10000.0),
        ),
        style="transformers-4",
    ),
    Case("qwen2", 15, "qwen2", torch.bfloat16, dict(TRUNK, tie_word_embeddings=True)),
    Case("qwen2-float32", 16, "qwen2", torch.float32, dict(TRUNK, num_key_value_heads=1), style="transformers-4"),
    Case("qwen3", 17, "qwen3", torch.float16, dict(TRUNK, head_dim=32, tie_word_embeddings=False)),
    Case("gpt2", 18, "gpt2", torch.float32, GPT2),
    Case("gpt2-hub", 19, "gpt2", torch.float16, GPT2, style="gpt2-hub"),
]

CLASSES = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    "gpt2": (GPT2Config, GPT2LMHeadModel),
}


def save_base(case: Case, directory: Path) -> None:
    config_class, model_class = CLASSES[case.family]
    model = model_class(config_class(**case.config))
    _randomise(model, torch.Generator().manual_seed(case.seed))
    model.to(case.dtype).save_pretrained(directory, max_shard_size=case.shard_size)
    _restyle(case, directory)


def load_base(case: Case, directory: Path):
    """The stored values, computed with in float32."""
    return CLASSES[case.family][1].from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()


def _randomise(model, generator: torch.Generator) -> None:
    """Every parameter differs from its default, norms and biases included, so that none can be left out unnoticed."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                is_norm_scale = "bias" not in name
                parameter.copy_(noise * 0.2 + 1.0 if is_norm_scale else noise * 0.1)
            elif "wpe" in name:
                parameter.copy_(noise * 0.75)  # Strong positions keep greedy texts out of loops.
            elif "emb" in name or "wte" in name or "lm_head" in name:
                parameter.copy_(noise * 0.25)
            else:
                parameter.copy_(noise * 1.4 / parameter.shape[1] ** 0.5)


def _restyle(case: Case, directory: Path) -> None:
    if case.style == "transformers-4":
        _restyle_config(directory / "config.json")
    if case.style == "gpt2-hub":
        _restyle_gpt2(directory / "model.safetensors")


def _restyle_config(path: Path) -> None:
    """As versions before 5 wrote it: torch_dtype, rope_theta and rope_scaling instead of dtype and rope_parameters."""
    config = json.loads(path.read_text())
    config["torch_dtype"] = config.pop("dtype")
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["transformers_version"] = "4.46.0"
    path.write_text(json.dumps(config, indent=2) + "\n")


def _restyle_gpt2(path: Path) -> None:
    """As the hub's own gpt2 has it: no `transformer.` prefix, and the causal masks stored among the weights."""
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in load_file(path).items()}
    for layer in range(GPT2["n_layer"]):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(16, 16).tril().view(1, 1, 16, 16)
    save_file(tensors, path, metadata={"format": "pt"})
