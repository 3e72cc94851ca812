import { type Checkpoint, type LoadedDelta, readTensorFloat32 } from "#model";

type Vector = number[];

/**
 * The dumb twin of the runner, an oracle for tests: one text, one token after another, plain loops in double precision,
 * written from the papers and transformers' sources without a look at the graph.
 */
export async function referenceForward(checkpoint: Checkpoint, tokens: readonly number[], delta?: LoadedDelta): Promise<Vector[]> {
  const weights = new Map<string, Float32Array>();
  for (const [name, tensor] of checkpoint.tensors) weights.set(name, await readTensorFloat32(tensor));
  const { config } = checkpoint;
  const gpt2 = config.architecture === "gpt2";
  const weight = (name: string): Float32Array => weights.get(name)!;

  const linear = (module: string, x: Vector): Vector => {
    const { site, outputSize } = checkpoint.info.linears.find((candidate) => candidate.module === module)!;
    const matrix = weight(`${module}.weight`);
    const y = Array.from({ length: outputSize }, (_, out) =>
      sum(x.map((value, i) => value * matrix[gpt2 ? i * outputSize + out : out * x.length + i]!)),
    );
    const bias = weights.get(`${module}.bias`);
    const change = delta?.layers.find((layer) => layer.site === site);
    const inner =
      change && Array.from({ length: change.rank }, (_, rank) => sum(x.map((value, i) => value * change.a[rank * x.length + i]!)));
    return y.map(
      (value, out) => value + (bias?.[out] ?? 0) + (inner ? sum(inner.map((t, rank) => t * change!.b[rank * outputSize + out]!)) : 0),
    );
  };
  const norm = (name: string, x: Vector): Vector => {
    const mean = gpt2 ? sum(x) / x.length : 0;
    const deviation = Math.sqrt(sum(x.map((value) => (value - mean) ** 2)) / x.length + config.normEpsilon);
    return x.map((value, i) => ((value - mean) / deviation) * weight(`${name}.weight`)[i]! + (weights.get(`${name}.bias`)?.[i] ?? 0));
  };
  const headsOf = (x: Vector): Vector[] =>
    Array.from({ length: x.length / config.headSize }, (_, head) => x.slice(head * config.headSize, (head + 1) * config.headSize));
  const rotate = (head: Vector, position: number): Vector => {
    if (!config.rope) return head;
    const half = head.length / 2;
    const turned = [...head];
    for (let pair = 0; pair < half; pair++) {
      const angle = position * frequency(config.rope, pair, head.length);
      turned[pair] = head[pair]! * Math.cos(angle) - head[pair + half]! * Math.sin(angle);
      turned[pair + half] = head[pair + half]! * Math.cos(angle) + head[pair]! * Math.sin(angle);
    }
    return turned;
  };
  const row = (name: string, index: number): Vector => [
    ...weight(name).subarray(index * config.hiddenSize, (index + 1) * config.hiddenSize),
  ];

  const keys: Vector[][][] = Array.from({ length: config.layerCount }, () => []);
  const values: Vector[][][] = Array.from({ length: config.layerCount }, () => []);
  const attention = (layer: number, at: string, x: Vector, position: number): Vector => {
    const querySize = config.headCount * config.headSize;
    const keySize = config.kvHeadCount * config.headSize;
    const fused = gpt2
      ? linear(`${at}attn.c_attn`, x)
      : ["q_proj", "k_proj", "v_proj"].flatMap((name) => linear(`${at}self_attn.${name}`, x));
    const normed = (head: Vector, name: string) => (config.architecture === "qwen3" ? norm(`${at}self_attn.${name}`, head) : head);
    const queries = headsOf(fused.slice(0, querySize)).map((head) => rotate(normed(head, "q_norm"), position));
    keys[layer]!.push(headsOf(fused.slice(querySize, querySize + keySize)).map((head) => rotate(normed(head, "k_norm"), position)));
    values[layer]!.push(headsOf(fused.slice(querySize + keySize)));
    const mixed = queries.flatMap((query, head) => {
      const shared = Math.floor((head * config.kvHeadCount) / config.headCount);
      const scores = keys[layer]!.map((key) => sum(query.map((value, i) => value * key[shared]![i]!)) / Math.sqrt(config.headSize));
      const shares = scores.map((score) => Math.exp(score - Math.max(...scores)));
      const total = sum(shares);
      return query.map((_, i) => sum(shares.map((share, past) => (share / total) * values[layer]![past]![shared]![i]!)));
    });
    return linear(gpt2 ? `${at}attn.c_proj` : `${at}self_attn.o_proj`, mixed);
  };
  const mlp = (at: string, x: Vector): Vector => {
    if (gpt2) return linear(`${at}mlp.c_proj`, linear(`${at}mlp.c_fc`, x).map(geluTanh));
    const up = linear(`${at}mlp.up_proj`, x);
    return linear(
      `${at}mlp.down_proj`,
      linear(`${at}mlp.gate_proj`, x).map((gate, i) => (gate / (1 + Math.exp(-gate))) * up[i]!),
    );
  };

  const embedding = gpt2 ? "transformer.wte.weight" : "model.embed_tokens.weight";
  const logits: Vector[] = [];
  for (const [position, token] of tokens.entries()) {
    let x = row(embedding, token);
    if (gpt2) x = add(x, row("transformer.wpe.weight", position));
    for (let layer = 0; layer < config.layerCount; layer++) {
      const at = gpt2 ? `transformer.h.${layer}.` : `model.layers.${layer}.`;
      x = add(x, attention(layer, at, norm(gpt2 ? `${at}ln_1` : `${at}input_layernorm`, x), position));
      x = add(x, mlp(at, norm(gpt2 ? `${at}ln_2` : `${at}post_attention_layernorm`, x)));
    }
    x = norm(gpt2 ? "transformer.ln_f" : "model.norm", x);
    const head = config.tiedEmbeddings ? embedding : "lm_head.weight";
    logits.push(Array.from({ length: config.vocabularySize }, (_, out) => sum(row(head, out).map((value, i) => value * x[i]!))));
  }
  return logits;
}

function frequency({ theta, scaling }: NonNullable<Checkpoint["config"]["rope"]>, pair: number, headSize: number): number {
  const plain = theta ** ((-2 * pair) / headSize);
  if (scaling.kind === "linear") return plain / scaling.factor;
  if (scaling.kind !== "llama3") return plain;
  const wavelength = (2 * Math.PI) / plain;
  const { originalContextTokensMax: original, lowFrequencyFactor: low, highFrequencyFactor: high, factor } = scaling;
  if (wavelength < original / high) return plain;
  if (wavelength > original / low) return plain / factor;
  const smooth = (original / wavelength - low) / (high - low);
  return ((1 - smooth) * plain) / factor + smooth * plain;
}

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function add(one: Vector, other: Vector): Vector {
  return one.map((value, i) => value + other[i]!);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
