"""Hugging Face and PEFT folders of Llama's shape as GGUF files, without a tokenizer: the bench speaks in ids."""

import json
from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from safetensors.numpy import load_file

LINEARS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def write_base(folder: Path, target: Path) -> None:
    """Write a base in float32. Its tensors' names and the order of rotated dimensions are llama.cpp's."""
    config = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / "model.safetensors")
    writer = GGUFWriter(str(target), "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    writer.add_file_type(0)
    writer.add_tensor("token_embd.weight", tensors["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", tensors["model.norm.weight"])
    writer.add_tensor("output.weight", tensors["lm_head.weight"])
    for layer in range(config["num_hidden_layers"]):
        for theirs, ours in NORMS.items():
            writer.add_tensor(f"blk.{layer}.{ours}.weight", tensors[f"model.layers.{layer}.{theirs}.weight"])
        for theirs, ours in LINEARS.items():
            weight = tensors[f"model.layers.{layer}.{theirs}.weight"]
            writer.add_tensor(f"blk.{layer}.{ours}.weight", rotated_order(weight, theirs, config))
    finish(writer)


def write_delta(base: Path, folder: Path, target: Path) -> None:
    """Write a PEFT folder as an adapter file."""
    config = json.loads((base / "config.json").read_text())
    settings = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / "adapter_model.safetensors")
    writer = GGUFWriter(str(target), "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(settings["lora_alpha"]))
    for layer in range(config["num_hidden_layers"]):
        for theirs, ours in LINEARS.items():
            at = f"base_model.model.model.layers.{layer}.{theirs}"
            writer.add_tensor(f"blk.{layer}.{ours}.weight.lora_a", tensors[f"{at}.lora_A.weight"])
            writer.add_tensor(f"blk.{layer}.{ours}.weight.lora_b", rotated_order(tensors[f"{at}.lora_B.weight"], theirs, config))
    finish(writer)


def rotated_order(weight: np.ndarray, module: str, config: dict) -> np.ndarray:
    """Order the outputs of queries and keys as llama.cpp rotates them: pairs side by side instead of half a head apart."""
    heads = {"self_attn.q_proj": "num_attention_heads", "self_attn.k_proj": "num_key_value_heads"}.get(module)
    if heads is None:
        return weight
    count = config[heads]
    halves = weight.reshape(count, 2, weight.shape[0] // count // 2, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))


def finish(writer: GGUFWriter) -> None:
    """Write all of it, then close."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
