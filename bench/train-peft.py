"""The side of PyTorch and peft in `bench train`: a line of JSON in asks for some steps, a line out says how they went."""

import json
import resource
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def main() -> None:
    """Build the model, then make steps as long as someone asks for them."""
    directory, job = sys.argv[1], json.loads(sys.argv[2])
    torch.set_num_threads(job["threads"])
    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    targets = ["c_attn", "c_proj", "c_fc"] if base.config.model_type == "gpt2" else "all-linear"
    settings = dict(r=job["rank"], lora_alpha=job["alpha"], target_modules=targets, fan_in_fan_out=base.config.model_type == "gpt2")
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **settings))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # Ours has none.
    model.train()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=job["learningRate"], weight_decay=0.0)
    for line in sys.stdin:
        times = []
        for _ in range(json.loads(line)["steps"]):
            ids = torch.randint(base.config.vocab_size, (job["batchSize"], job["textTokens"]))
            started = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
            loss = loss.item()
            times.append(1000 * (time.perf_counter() - started))
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps(dict(stepMs=times, peakBytes=peak, loss=loss)), flush=True)


if __name__ == "__main__":
    main()
