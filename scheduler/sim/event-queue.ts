/**
 * What happens next: a binary heap over numbers only, ordered by time, then by order of arrival, so that equal seeds
 * give equal runs. Grows by doubling; nothing is allocated per event.
 */
export class EventQueue {
  #size = 0;
  #order = 0;
  #atMs = new Float64Array(1024);
  #orders = new Float64Array(1024);
  #kinds = new Int32Array(1024);
  #nodes = new Int32Array(1024);
  #subjects = new Int32Array(1024);
  /** The event that `pop` took. */
  atMs = 0;
  kind = 0;
  node = 0;
  subject = 0;

  get nextAtMs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#atMs[0]!;
  }

  push(atMs: number, kind: number, node: number, subject: number): void {
    if (this.#size === this.#atMs.length) this.#grow();
    let hole = this.#size++;
    const order = this.#order++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (this.#atMs[parent]! <= atMs) break; // Of equal times the earlier arrival stays above.
      this.#move(parent, hole);
      hole = parent;
    }
    this.#set(hole, atMs, order, kind, node, subject);
  }

  /** Takes the earliest event into this object's fields; false when there is none. */
  pop(): boolean {
    if (this.#size === 0) return false;
    this.atMs = this.#atMs[0]!;
    this.kind = this.#kinds[0]!;
    this.node = this.#nodes[0]!;
    this.subject = this.#subjects[0]!;
    const last = --this.#size;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#before(child + 1, child)) child++;
      if (!this.#before(child, last)) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#move(last, hole);
    return true;
  }

  #before(one: number, other: number): boolean {
    const difference = this.#atMs[one]! - this.#atMs[other]!;
    return difference < 0 || (difference === 0 && this.#orders[one]! < this.#orders[other]!);
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#atMs[from]!, this.#orders[from]!, this.#kinds[from]!, this.#nodes[from]!, this.#subjects[from]!);
  }

  #set(at: number, atMs: number, order: number, kind: number, node: number, subject: number): void {
    this.#atMs[at] = atMs;
    this.#orders[at] = order;
    this.#kinds[at] = kind;
    this.#nodes[at] = node;
    this.#subjects[at] = subject;
  }

  #grow(): void {
    const length = this.#atMs.length * 2;
    const larger = <A extends Float64Array | Int32Array>(to: A, from: A): A => {
      to.set(from);
      return to;
    };
    this.#atMs = larger(new Float64Array(length), this.#atMs);
    this.#orders = larger(new Float64Array(length), this.#orders);
    this.#kinds = larger(new Int32Array(length), this.#kinds);
    this.#nodes = larger(new Int32Array(length), this.#nodes);
    this.#subjects = larger(new Int32Array(length), this.#subjects);
  }
}
