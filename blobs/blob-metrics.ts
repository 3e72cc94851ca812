import { Counter, type Registry } from "prom-client";
import type { BlobObserver } from "./contract.ts";

/** Counts what a store does. */
export function createBlobMetrics(registry: Registry): BlobObserver {
  const registers = [registry];
  const requests = new Counter({
    name: "deltaplane_blob_requests_total",
    help: "Requests to the store of deltas, files and bases, by what became of them: ok, retried, failed.",
    labelNames: ["operation", "outcome"],
    registers,
  });
  const bytes = new Counter({
    name: "deltaplane_blob_bytes_total",
    help: "Bytes that went into the store of deltas, files and bases, and out of it.",
    labelNames: ["direction"],
    registers,
  });
  return {
    requested: (operation, outcome) => requests.inc({ operation, outcome }),
    moved: (direction, count) => bytes.inc({ direction }, count),
  };
}
