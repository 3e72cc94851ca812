import type { Sampling } from "../contract.ts";
import { Chance } from "../sampling/chance.ts";

/** Probabilities after bias, penalties, temperature and truncation, by sorting everything; the dumb twin of the sampler. */
export function naiveDistribution(
  logits: readonly number[],
  sampling: Sampling,
  prompt: readonly number[] = [],
  output: readonly number[] = [],
): { readonly id: number; readonly logit: number; readonly weight: number }[] {
  const adjusted = Float32Array.from(logits);
  for (const [id, bias] of sampling.logitBias) adjusted[id]! += bias;
  for (const id of adjusted.keys()) {
    const occurrences = output.filter((token) => token === id).length;
    if (occurrences > 0 || prompt.includes(id)) {
      adjusted[id] = adjusted[id]! > 0 ? adjusted[id]! / sampling.repetitionPenalty : adjusted[id]! * sampling.repetitionPenalty;
    }
    if (occurrences > 0) adjusted[id]! -= sampling.frequencyPenalty * occurrences + sampling.presencePenalty;
  }
  const largest = Math.max(...adjusted);
  const temperature = sampling.temperature === 0 ? 1 : sampling.temperature;
  let ranked = [...adjusted.keys()]
    .map((id) => ({ id, logit: adjusted[id]!, weight: Math.exp((adjusted[id]! - largest) / temperature) }))
    .sort((one, other) => other.logit - one.logit || one.id - other.id);
  ranked = ranked.filter(({ weight }) => weight > 0 && weight >= sampling.minP);
  if (sampling.topK > 0) ranked = ranked.slice(0, sampling.topK);
  const total = ranked.reduce((sum, { weight }) => sum + weight, 0);
  let sum = 0;
  const cut = ranked.findIndex(({ weight }) => {
    sum += weight;
    return sum >= sampling.topP * total;
  });
  return sampling.topP < 1 && cut >= 0 ? ranked.slice(0, cut + 1) : ranked;
}

/** The winner of that distribution by the same chance. */
export function naivePick(distribution: ReturnType<typeof naiveDistribution>, sampling: Sampling, position: number): number {
  if (sampling.temperature === 0) return distribution[0]!.id;
  const chance = new Chance();
  chance.start(sampling.seed, position);
  const largest = distribution[0]!.logit;
  const scored = distribution.map(({ id, logit }) => ({ id, score: (logit - largest) / sampling.temperature + chance.noise(id) }));
  return scored.sort((one, other) => other.score - one.score || one.id - other.id)[0]!.id;
}
