import { assert } from "#kernel";
import type { Slot } from "./contract.ts";

/** Which slots are attached, and how many sequences use each: a used slot must not be detached. */
export class SlotReferences {
  readonly #references = new Map<Slot, number>();

  get attached(): number {
    return this.#references.size;
  }

  attach(slot: Slot): void {
    assert(!this.#references.has(slot), `slot ${slot} is attached already`);
    this.#references.set(slot, 0);
  }

  detach(slot: Slot): void {
    const count = this.#references.get(slot);
    assert(count !== undefined, `slot ${slot} is not attached`);
    assert(count === 0, `slot ${slot} is detached while ${count} sequences use it`);
    this.#references.delete(slot);
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
