"""The side of llama.cpp in `bench llama-cpp`: a line of JSON in asks for a load, a line out says how it went.

Its library is driven as its own server drives it: sequences of one delta share a batch, and whoever wants another delta waits.
"""

import ctypes
import json
import sys
import time
from pathlib import Path

import llama_cpp as llama
import numpy as np

from convert import write_base, write_delta


class Side:
    """A base in llama.cpp's library, in float32 or Q8_0, and deltas for it."""

    def __init__(self, base: Path, deltas: list[Path], cache: Path, job: dict) -> None:
        """Convert what is not yet converted, and load it."""
        llama.llama_backend_init()
        llama.llama_log_set(SILENT, ctypes.c_void_p(0))
        plain = cache / "base-f32.gguf"
        if not plain.exists():
            write_base(base, plain)
        file = plain if job["weights"] == "float32" else quantised(plain, cache / "base-q8_0.gguf")
        loading = llama.llama_model_default_params()
        loading.use_extra_bufts = False  # Q8_0 repacked for AMX crashes in 0.3.36 on the machine of our figures.
        self.model = llama.llama_model_load_from_file(str(file).encode(), loading)
        settings = llama.llama_context_default_params()
        settings.n_ctx = job["rows"] * job["rowTokens"]
        settings.n_seq_max = job["rows"]
        settings.n_batch = settings.n_ubatch = 512
        settings.n_threads = settings.n_threads_batch = job["threads"]
        self.context = llama.llama_init_from_model(self.model, settings)
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(512, 0, 1)
        self.deltas = []
        for index, folder in enumerate(deltas):
            converted = cache / f"delta-{index}.gguf"
            if not converted.exists():
                write_delta(base, folder, converted)
            self.deltas.append(llama.llama_adapter_lora_init(self.model, str(converted).encode()))

    def run(self, prompts: list[list[int]], deltas: list[int | None], new_tokens: int) -> dict:
        """Greedy texts for all prompts: those of one delta in one batch, one delta after the other."""
        started = time.perf_counter()
        texts: list[list[int]] = [[] for _ in prompts]
        first_ms = []
        for delta in dict.fromkeys(deltas):
            rows = [row for row, own in enumerate(deltas) if own == delta]
            self._use(delta)
            llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
            self._prefill(prompts, rows, texts)
            first_ms += [1000 * (time.perf_counter() - started)] * len(rows)
            for step in range(1, new_tokens):
                self._decode([(row, [texts[row][-1]], len(prompts[row]) + step - 1) for row in rows], texts)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "firstTokenMs": first_ms, "texts": texts}

    def _use(self, delta: int | None) -> None:
        chosen = [] if delta is None else [self.deltas[delta]]
        adapters = (llama.llama_adapter_lora_p_ctypes * max(1, len(chosen)))(*chosen)
        scales = (ctypes.c_float * max(1, len(chosen)))(*[1.0] * len(chosen))
        if llama.llama_set_adapters_lora(self.context, adapters, len(chosen), scales) != 0:
            raise RuntimeError("llama.cpp refuses the delta")

    def _prefill(self, prompts: list[list[int]], rows: list[int], texts: list[list[int]]) -> None:
        """Whole prompts, as many together as a batch takes."""
        waiting = list(rows)
        while waiting:
            parts, size = [], 0
            while waiting and size + len(prompts[waiting[0]]) <= 512:
                row = waiting.pop(0)
                parts.append((row, prompts[row], 0))
                size += len(prompts[row])
            self._decode(parts, texts)

    def _decode(self, parts: list[tuple[int, list[int], int]], texts: list[list[int]]) -> None:
        """One step: each part is a row, its next tokens and the position of the first of them."""
        batch, count, wanted = self.batch, 0, []
        for row, tokens, position in parts:
            for offset, token in enumerate(tokens):
                batch.token[count] = token
                batch.pos[count] = position + offset
                batch.n_seq_id[count] = 1
                batch.seq_id[count][0] = row
                batch.logits[count] = offset == len(tokens) - 1
                count += 1
            wanted.append((row, count - 1))
        batch.n_tokens = count
        if llama.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama.cpp could not compute a step")
        for row, at in wanted:
            logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(self.context, at), shape=(self.vocabulary,))
            texts[row].append(int(logits.argmax()))


@llama.llama_log_callback
def SILENT(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    """What the library tells is no line of ours."""


def quantised(source: Path, target: Path) -> Path:
    """The same base in Q8_0, embeddings included, as llama.cpp's own tool makes it."""
    if not target.exists():
        settings = llama.llama_model_quantize_default_params()
        settings.ftype = llama.LLAMA_FTYPE_MOSTLY_Q8_0
        if llama.llama_model_quantize(str(source).encode(), str(target).encode(), settings) != 0:
            raise RuntimeError("llama.cpp could not quantise the base")
    return target


def main() -> None:
    """Load, then run as long as someone asks."""
    base, cache, job = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    cache.mkdir(parents=True, exist_ok=True)
    side = Side(base, [Path(folder) for folder in job["deltas"]], cache, job)
    for line in sys.stdin:
        load = json.loads(line)
        print(json.dumps(side.run(load["prompts"], load["deltas"], load["newTokens"])), flush=True)


if __name__ == "__main__":
    main()
