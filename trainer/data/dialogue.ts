import type { Fix } from "./checks/index.ts";

/** What was found and done, in order. */
export interface PreparationStep {
  readonly check: string;
  readonly kind: "note" | "necessary" | "recommended";
  readonly message: string;
  /** Of a fix: whether it was made. */
  readonly applied: boolean;
  /** How many rows it drops, and on which lines the first of them stand. */
  readonly dropped?: { readonly rows: number; readonly firstLines: readonly number[] };
}

/** Who is told, and who decides about what is only recommended. */
export interface PreparationListener {
  told(step: PreparationStep): void;
  accepts(check: string, message: string): Promise<boolean>;
}

/** Tells each note once, and asks each question once: what was answered holds when a check finds more of the same. */
export class Dialogue {
  readonly #listener: PreparationListener;
  readonly #steps: PreparationStep[] = [];
  readonly #noted = new Set<string>();
  readonly #answers = new Map<string, boolean>();

  constructor(listener: PreparationListener) {
    this.#listener = listener;
  }

  get steps(): readonly PreparationStep[] {
    return this.#steps;
  }

  /** Whether anything was changed. */
  get changed(): boolean {
    return this.#steps.some(({ applied }) => applied);
  }

  note(check: string, message: string): void {
    if (this.#noted.has(check)) return;
    this.#noted.add(check);
    this.#tell({ check, kind: "note", message, applied: false });
  }

  /** Whether the fix is to be made: a necessary one is, without asking. */
  async accept(check: string, kind: "necessary" | "recommended", { message, drop }: Omit<Fix<never>, "rewrite">): Promise<boolean> {
    const known = kind === "necessary" ? true : this.#answers.get(check);
    const applied = known ?? (await this.#listener.accepts(check, message));
    this.#answers.set(check, applied);
    if (known === false) return false; // It was told before that it is not made.
    const dropped = drop && { rows: drop.size, firstLines: drop.firstLines };
    this.#tell({ check, kind, message, applied, ...(dropped ? { dropped } : {}) });
    return applied;
  }

  #tell(step: PreparationStep): void {
    this.#steps.push(step);
    this.#listener.told(step);
  }
}
