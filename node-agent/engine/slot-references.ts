import { assert } from "#kernel";
import type { Slot } from "./contract.ts";

/** What a sequence without a slot is computed by: the plain base, which is never detached. */
const BASE_LIFE = 0;

/** Which slots are attached, and how many sequences use each: a used slot must not be detached. */
export class SlotReferences {
  readonly #references = new Map<Slot, number>();
  readonly #lives = new Map<Slot, number>();
  #livesBegun = BASE_LIFE;

  get attached(): number {
    return this.#references.size;
  }

  attach(slot: Slot): void {
    assert(!this.#references.has(slot), `slot ${slot} is attached already`);
    this.#references.set(slot, 0);
    this.#lives.set(slot, ++this.#livesBegun);
  }

  /** Tells one delta in a slot from the next one there; undefined when the slot is empty. */
  lifeOf(slot: Slot | undefined): number | undefined {
    return slot === undefined ? BASE_LIFE : this.#lives.get(slot);
  }

  detach(slot: Slot): void {
    const count = this.#references.get(slot);
    assert(count !== undefined, `slot ${slot} is not attached`);
    assert(count === 0, `slot ${slot} is detached while ${count} sequences use it`);
    this.#references.delete(slot);
    this.#lives.delete(slot);
  }

  /** One more sequence uses the slot; the plain base needs none. */
  use(slot: Slot | undefined): void {
    if (slot === undefined) return;
    const count = this.#references.get(slot);
    assert(count !== undefined, `slot ${slot} is not attached`);
    this.#references.set(slot, count + 1);
  }

  release(slot: Slot | undefined): void {
    if (slot === undefined) return;
    const count = this.#references.get(slot);
    assert(count !== undefined && count > 0, `slot ${slot} is released more often than used`);
    this.#references.set(slot, count - 1);
  }
}
