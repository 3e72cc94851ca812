import type { BaseDescription, BaseDigest, Millis, Snapshot } from "#kernel";
import type { CatalogView } from "./view.ts";

/** A base that can be asked for: an operator added it, or a node reports it. */
export interface KnownBase extends BaseDescription {
  readonly digest: BaseDigest;
  /** 0 for a base that only the nodes know. */
  readonly createdAt: Millis;
  /** Nodes of its own load it by themselves. */
  readonly ownNodes?: boolean;
}

/** Bases by name, from the records first and then from what the nodes report. */
export class BaseDirectory {
  readonly #view: CatalogView;
  readonly #snapshot: () => Snapshot;
  #reported: { readonly of: Snapshot; readonly byName: ReadonlyMap<string, KnownBase> } | undefined;

  constructor(view: CatalogView, snapshot: () => Snapshot) {
    this.#view = view;
    this.#snapshot = snapshot;
  }

  find(name: string): KnownBase | undefined {
    return this.#view.get("base", name) ?? this.#fromNodes().get(name);
  }

  /** Whether the nodes' own bases can be known: false before the first of them is heard of, and when all are gone. */
  get complete(): boolean {
    return this.#snapshot().nodes.size > 0;
  }

  /** In order of names. */
  list(): readonly KnownBase[] {
    const known = new Map(this.#fromNodes());
    for (const record of this.#view.all("base")) known.set(record.name, record);
    return [...known.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Looked up once per snapshot, and only for names that no record has. */
  #fromNodes(): ReadonlyMap<string, KnownBase> {
    const snapshot = this.#snapshot();
    if (this.#reported?.of !== snapshot) {
      const byName = new Map<string, KnownBase>();
      for (const node of snapshot.nodes.values()) {
        for (const [digest, load] of node.bases) {
          const { name, architecture, contextTokensMax, vocabularySize, parameterCount, weightType, directory } = load;
          const described = { name, architecture, contextTokensMax, vocabularySize, parameterCount, weightType, directory };
          byName.set(name, { ...described, digest, createdAt: 0 });
        }
      }
      this.#reported = { of: snapshot, byName };
    }
    return this.#reported.byName;
  }
}
