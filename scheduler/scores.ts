import type { Tier } from "#kernel";
import type { Ask, Score } from "./contract.ts";
import { relativeLoad } from "./load.ts";
import { usableTier } from "./places.ts";

/**
 * | score | weight | ladder |
 * | --- | --- | --- |
 * | residency | 0.45 | 1 slot (or no delta asked) · 0.8 RAM, or loading · 0.5 disk · 0.3 nowhere: its home or where that spills to |
 * | load | 0.35 | 1 idle · falling to 0.8 with all rows taken · falling to 0 with as many waiting as there are rows |
 * | slots | 0.1 | 1 already in a slot (or no delta asked) · else the share of slots that are free |
 * | memory | 0.1 | 1 room for the prompt and all tokens asked for · else the share of it that is free |
 *
 * Free rows are nearly worth each other, because a batch gains from company; waiting is not. With these weights a
 * delta in a slot keeps its requests until about half as many wait as there are rows; then an idle node that has it on
 * disk is better, and towards twice the rows its home, cold.
 */
export const SCORES: Readonly<Record<string, { readonly weight: number; readonly score: Score }>> = {
  residency: { weight: 0.45, score: residency },
  load: { weight: 0.35, score: load },
  slots: { weight: 0.1, score: slots },
  memory: { weight: 0.1, score: memory },
};

const RESIDENCY_LADDER: Readonly<Record<Tier, number>> = { slot: 1, ram: 0.8, disk: 0.5 };
const NOWHERE = 0.3;
const ROWS_TAKEN = 0.8;

function residency(node: Parameters<Score>[0], ask: Ask): number {
  if (ask.deltaDigest === undefined) return 1;
  const tier = usableTier(node.deltas.get(ask.deltaDigest));
  return tier ? RESIDENCY_LADDER[tier] : NOWHERE;
}

function load(node: Parameters<Score>[0], ask: Ask): number {
  const relative = relativeLoad(node, ask);
  if (relative <= 1) return 1 - (1 - ROWS_TAKEN) * relative;
  return Math.max(0, ROWS_TAKEN * (2 - relative));
}

function slots(node: Parameters<Score>[0], ask: Ask): number {
  const base = node.bases.get(ask.baseDigest);
  if (ask.deltaDigest === undefined || usableTier(node.deltas.get(ask.deltaDigest)) === "slot") return 1;
  return base && base.slotsMax > 0 ? Math.max(0, 1 - base.slotsUsed / base.slotsMax) : 0;
}

function memory(node: Parameters<Score>[0], ask: Ask): number {
  const base = node.bases.get(ask.baseDigest);
  if (!base) return 0;
  const free = Math.max(0, base.kvTokensMax - base.kvTokensUsed);
  const needed = Math.max(1, ask.promptTokensEstimate + ask.maxTokens);
  return Math.min(1, free / needed);
}
