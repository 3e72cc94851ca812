import { LRUCache } from "lru-cache";
import { assert } from "#kernel";
import type { Prefix } from "../runner/contract.ts";
import type { TextChain } from "./text-chain.ts";

/** A kept prefix, and the text that it holds. */
export interface KeptText {
  readonly prefix: Prefix;
  readonly chain: TextChain;
  /** See {@link TextOwner}. */
  readonly life: number;
}

/** The longest beginning of a text that is kept. */
export interface KeptBeginning {
  readonly prefix: Prefix;
  readonly units: number;
}

/**
 * Which texts are kept, by their beginnings, and which of them was used longest ago. Pure: it holds names of prefixes, and says
 * `left` of each that is no longer in it.
 */
export class PrefixIndex {
  readonly #texts: LRUCache<Prefix, KeptText>;
  /** By link, the texts that go through it. */
  readonly #through = new Map<string, Set<KeptText>>();

  constructor(textsMax: number, left: (prefix: Prefix) => void) {
    this.#texts = new LRUCache({
      max: textsMax,
      dispose: (text) => {
        this.#unlink(text);
        left(text.prefix);
      },
    });
  }

  /** Counts as a use of the text in which it was found. */
  longest(chain: TextChain): KeptBeginning | undefined {
    for (let units = chain.length; units > 0; units--) {
      // Of several the newest: the others end in something else, and nobody may ask for that again.
      const text = [...(this.#through.get(chain[units - 1]!) ?? [])].at(-1);
      if (!text) continue;
      this.#texts.get(text.prefix);
      return { prefix: text.prefix, units };
    }
    return undefined;
  }

  /** Takes in a text that is not kept in full yet. Those that are its beginnings leave: they are kept in it. */
  add(text: KeptText): void {
    assert(text.chain.length > 0 && !this.#through.has(text.chain.at(-1)!), "a text is kept once");
    for (const [index, link] of text.chain.entries()) {
      const through = this.#through.get(link) ?? new Set();
      for (const other of [...through]) if (other.chain.length === index + 1) this.#texts.delete(other.prefix);
      this.#through.set(link, through.add(text));
    }
    this.#texts.set(text.prefix, text);
  }

  has(prefix: Prefix): boolean {
    return this.#texts.has(prefix);
  }

  /** The one that was used longest ago leaves. False when there is none. */
  dropOldest(): boolean {
    return this.#texts.pop() !== undefined;
  }

  /** All that were computed with a delta leave with it. */
  dropLife(life: number): void {
    for (const { prefix } of [...this.#texts.values()].filter((text) => text.life === life)) this.#texts.delete(prefix);
  }

  #unlink(text: KeptText): void {
    for (const link of text.chain) {
      const through = this.#through.get(link);
      through?.delete(text);
      if (through?.size === 0) this.#through.delete(link);
    }
  }
}
