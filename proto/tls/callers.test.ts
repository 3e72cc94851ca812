import { expect, test } from "vitest";
import { ClusterServiceService } from "../generated/deltaplane/v1/cluster.ts";
import { TrainingServiceService } from "../generated/deltaplane/v1/fine_tuning.ts";
import { InferenceServiceService } from "../generated/deltaplane/v1/inference.ts";
import { NodeServiceService } from "../generated/deltaplane/v1/node.ts";
import { callersOf } from "./callers.ts";

const paths = (definition: object) => Object.values(definition).map((method: { readonly path: string }) => method.path);

test("every method between the parts of a cluster has parts that may call it, and fewer than all", () => {
  for (const path of [ClusterServiceService, NodeServiceService, TrainingServiceService].flatMap(paths)) {
    expect(callersOf(path).length, path).toBeGreaterThan(0);
    expect(callersOf(path).length, path).toBeLessThan(4);
  }
});

test("what is for customers is for no part of the cluster", () => {
  for (const path of [...paths(InferenceServiceService), "/deltaplane.v1.BillingService/ReadJournal", "/x", "constructor"])
    expect(callersOf(path), path).toEqual([]);
});
