/** An object as it goes over the wire. */
export interface StoredObject {
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string };
  readonly [field: string]: unknown;
}

/** One kind that the server knows: from its own table, or from a CustomResourceDefinition. */
export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Its status is written on its own, and only so. */
  readonly statusSubresource: boolean;
  /** What is kept of an object: without what the schema does not know. @throws StatusError 422 */
  admit(object: StoredObject, old: StoredObject | undefined): StoredObject;
}

export function kindKey({ group, version, plural }: Pick<Kind, "group" | "version" | "plural">): string {
  return `${group}/${version}/${plural}`;
}
