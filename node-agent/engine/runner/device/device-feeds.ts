import { Tensor } from "onnxruntime-node";
import type { Tokens } from "#kernel";
import { type BaseInfo, DEVICE_VALUES } from "#model";
import type { StepRow } from "../contract.ts";
import type { Feeds } from "./contract.ts";
import { integers } from "./device-memory.ts";
import type { SlotBanks } from "./slot-banks.ts";

/** A batch as its graph takes it, the cache, weights and deltas aside. */
export interface BatchFeeds {
  readonly feeds: Feeds;
  /** How many slots from the bank's first are bound. */
  readonly slotCount: number;
  /** How many tokens stand for nothing after those of the rows. */
  readonly paddingTokens: number;
}

/**
 * One token per row. Slots in between whose rows do not step get a token of padding, which is written behind what counts there: never
 * the values of another row, whose overflow would else outlive it.
 */
export function decodeFeeds(rows: readonly StepRow[], banks: SlotBanks): BatchFeeds {
  const slots = rows.map(({ row }) => banks.place(row).slot);
  const { capacity } = banks.place(rows[0]!.row);
  const slotCount = Math.max(...slots) + 1;
  const paddingTokens = slotCount > rows.length ? 1 : 0;
  const slotTokens = new Array<number>(slotCount).fill(rows.length);
  for (const [index, slot] of slots.entries()) slotTokens[slot] = index;
  const positions = rows.map(({ row }) => banks.length(row));
  const padding = new Array<number>(paddingTokens).fill(0);
  const feeds = {
    ...tokenFeeds([...rows.map(({ tokens }) => tokens[0]!), ...padding], [...positions, ...padding]),
    [DEVICE_VALUES.wanted]: wantedTokens(rows),
    [DEVICE_VALUES.slotTokens]: integers(slotTokens, [slotCount]),
    [DEVICE_VALUES.tokenSlots]: integers([...slots, ...padding], [rows.length + paddingTokens]),
    ...lengthFeeds(banks.writePlaces(capacity, slotCount)),
  };
  return { feeds, slotCount, paddingTokens };
}

/** Several tokens of one row. */
export function chunkFeeds(base: BaseInfo, step: StepRow, banks: SlotBanks): BatchFeeds {
  const { capacity, slot } = banks.place(step.row);
  const past = banks.length(step.row);
  const positions = step.tokens.map((_, offset) => past + offset);
  const firstRows = Array.from({ length: base.kvHeadCount }, (_, head) => (slot * base.kvHeadCount + head) * capacity);
  const cacheRows = firstRows.flatMap((first) => positions.map((position) => first + position));
  const feeds = {
    ...tokenFeeds(step.tokens, positions),
    [DEVICE_VALUES.wanted]: wantedTokens([step]),
    [DEVICE_VALUES.slot]: integers([slot], [1]),
    [DEVICE_VALUES.cacheRows]: new Tensor("int32", Int32Array.from(cacheRows), [cacheRows.length, 1]),
    ...lengthFeeds([past + step.tokens.length - 1]),
  };
  return { feeds, slotCount: slot + 1, paddingTokens: 0 };
}

function tokenFeeds(tokens: readonly number[], positions: readonly Tokens[]): Feeds {
  return {
    [DEVICE_VALUES.tokens]: integers(tokens, [tokens.length]),
    [DEVICE_VALUES.positions]: integers(positions, [tokens.length]),
    [DEVICE_VALUES.turns]: integers(positions, [tokens.length, 1]),
  };
}

/** Where nobody wants logits, those of the first token are computed, since graphs have no size 0 on devices. */
function wantedTokens(rows: readonly StepRow[]): Tensor {
  const wanted: number[] = [];
  let end = 0;
  for (const { tokens, logits } of rows) {
    end += tokens.length;
    const count = logits === "all" ? tokens.length : logits === "none" ? 0 : 1;
    for (let back = count; back > 0; back--) wanted.push(end - back);
  }
  if (wanted.length === 0) wanted.push(0);
  return integers(wanted, [wanted.length]);
}

/** By slot, the last place that its query looks at, which is where its new key and value go. */
function lengthFeeds(lastPlaces: readonly Tokens[]): Feeds {
  return {
    [DEVICE_VALUES.lastPlaces]: new Tensor("int32", Int32Array.from(lastPlaces), [lastPlaces.length]),
    [DEVICE_VALUES.longest]: new Tensor("int32", Int32Array.of(Math.max(...lastPlaces) + 1), []),
  };
}
