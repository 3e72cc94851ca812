import { z } from "zod";
import type { Kind, StoredObject } from "./kind.ts";
import { compileSchema, prune, type Schema } from "./schema.ts";
import { invalid } from "./status-error.ts";

/** What we use of a CustomResourceDefinition; of several versions, the one that is stored. */
const Definition = z.looseObject({
  spec: z.looseObject({
    group: z.string(),
    scope: z.enum(["Namespaced", "Cluster"]),
    names: z.looseObject({ plural: z.string(), kind: z.string() }),
    versions: z
      .array(
        z.looseObject({
          name: z.string(),
          storage: z.boolean(),
          subresources: z.looseObject({ status: z.looseObject({}).optional() }).optional(),
          schema: z.looseObject({ openAPIV3Schema: z.looseObject({}) }),
        }),
      )
      .min(1),
  }),
});

/** The kind that a CustomResourceDefinition makes: prunes what its schema does not know, and refuses what breaks it or a CEL rule. */
export function customKind(definition: StoredObject): Kind {
  const { spec } = Definition.parse(definition);
  const version = spec.versions.find(({ storage }) => storage)!;
  const schema = version.schema.openAPIV3Schema as Schema;
  const broken = compileSchema(schema);
  return {
    group: spec.group,
    version: version.name,
    plural: spec.names.plural,
    kind: spec.names.kind,
    namespaced: spec.scope === "Namespaced",
    statusSubresource: version.subresources?.status !== undefined,
    admit(object, old) {
      const { apiVersion, kind, metadata, ...content } = object;
      const pruned = prune(schema, content) as Record<string, unknown>;
      const admitted = { apiVersion, kind, metadata, ...pruned } as StoredObject;
      const why = broken(admitted, old);
      if (why.length > 0) throw invalid(`${spec.names.kind} "${metadata.name}"`, why.join("; "));
      return admitted;
    },
  };
}
