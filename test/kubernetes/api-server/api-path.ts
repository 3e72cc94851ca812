import { BUILT_IN_KINDS } from "./built-in-kinds.ts";
import { type Kind, kindKey } from "./kind.ts";
import { notFound } from "./status-error.ts";

export interface ApiPath {
  readonly kind: Kind;
  /** "" for what is not in one. */
  readonly namespace: string;
  readonly name: string | undefined;
  readonly part: "object" | "status";
}

/** The kinds of one server: built in, and made by CustomResourceDefinitions. */
export class Kinds {
  readonly #kinds = new Map(BUILT_IN_KINDS.map((kind) => [kindKey(kind), kind]));

  add(kind: Kind): void {
    this.#kinds.set(kindKey(kind), kind);
  }

  /** `/api/v1/…` or `/apis/<group>/<version>/…`. @throws StatusError 404 */
  read(path: string): ApiPath {
    const [root, ...rest] = path.slice(1).split("/").map(decodeURIComponent);
    const group = root === "apis" ? (rest.shift() ?? "") : "";
    const version = rest.shift() ?? "";
    const namespace = rest[0] === "namespaces" && rest.length > 2 ? rest.splice(0, 2)[1]! : "";
    const [plural = "", name, part] = rest;
    const kind = this.#kinds.get(kindKey({ group, version, plural }));
    const unknownPart = part !== undefined && !(part === "status" && kind?.statusSubresource);
    if (!kind || unknownPart || kind.namespaced !== (namespace !== ""))
      throw notFound(`the server could not find the requested resource: ${path}`);
    return { kind, namespace, name, part: part === "status" ? "status" : "object" };
  }
}
