import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { FAULTS, Fault, type FaultReason, type Retry } from "#kernel";
import { faultToStatus, statusToFault } from "./status.ts";

const REASONS = Object.keys(FAULTS) as FaultReason[];

/** What a client of grpc-js would be handed for this fault. */
function sent(fault: Fault): ServiceError {
  const { code, details, metadata } = faultToStatus(fault);
  return Object.assign(new Error(`${code} ${details}`), { code: code!, details: details!, metadata: metadata! });
}

const plain = (fault: Fault) => ({ ...fault, message: fault.message, cause: undefined });

describe("a fault on the wire", () => {
  it.each(REASONS)("%s arrives as it left", (reason) => {
    const fault = new Fault(reason, `what happened: ${reason}`, {
      detail: { field: "stop[2]", file: "train.jsonl", line: 7, resource: "demo-base" },
    });
    expect(plain(statusToFault(sent(fault)))).toEqual(plain(fault));
    expect(plain(statusToFault(sent(new Fault(reason, ""))))).toEqual(plain(new Fault(reason, "")));
  });

  it.each<Retry>([{ kind: "never" }, { kind: "at_once" }, { kind: "other_node" }, { kind: "after", waitMs: 1500 }])(
    "keeps advice that is not the reason's own: $kind",
    (retry) => {
      for (const reason of ["rate_exceeded", "bug"] as const)
        expect(statusToFault(sent(new Fault(reason, "x", { retry }))).retry).toEqual(retry);
    },
  );

  it("waits in whole milliseconds, never shorter than asked", () => {
    const error = sent(new Fault("rate_exceeded", "slow down", { retry: { kind: "after", waitMs: 10.2 } }));
    expect(statusToFault(error).retry).toEqual({ kind: "after", waitMs: 11 });
    expect(error.metadata.get("grpc-retry-pushback-ms")).toEqual(["11"]);
  });

  it("says nothing of its cause", () => {
    const error = sent(new Fault("bug", "internal error", { cause: new Error("password of the store") }));
    expect(JSON.stringify([error, error.metadata.toJSON()])).not.toContain("password");
    expect(Buffer.concat(error.metadata.get("grpc-status-details-bin") as Buffer[]).toString("latin1")).not.toContain("password");
  });

  it("fits the trailers, however long the message and the names in it", () => {
    const long = "ü".repeat(100_000);
    const error = sent(new Fault("parameter_invalid", long, { detail: { field: long, resource: long } }));
    expect(Buffer.byteLength(encodeURIComponent(error.details))).toBeLessThan(4096);
    expect((error.metadata.get("grpc-status-details-bin")[0] as Buffer).length).toBeLessThan(6 * 1024);
    expect(statusToFault(error).reason).toBe("parameter_invalid");
  });

  it("survives text that is no valid Unicode", () => {
    const error = sent(new Fault("prompt_malformed", "half a pair: \ud800"));
    expect(() => encodeURI(error.details)).not.toThrow();
    expect(statusToFault(error).message).toBe("half a pair: \ufffd");
  });
});

describe("a status of an unknown peer", () => {
  const foreign = (code: status, metadata = new Metadata()): ServiceError =>
    Object.assign(new Error(`${code} no`), { code, details: "no", metadata });

  it.each(Object.entries(status).filter(([, code]) => typeof code === "number" && code !== status.OK) as [string, status][])(
    "%s becomes a fault",
    (_, code) => {
      const fault = statusToFault(foreign(code));
      expect(REASONS).toContain(fault.reason);
      expect(fault.message).toBe("no");
      const ours = [status.UNKNOWN, status.INTERNAL, status.OUT_OF_RANGE, status.CANCELLED].includes(code) ? undefined : code;
      if (ours) expect(faultToStatus(fault).code).toBe(ours);
    },
  );

  it("is read by its code when its details are not ours, or not readable", () => {
    const garbage = new Metadata();
    garbage.set("grpc-status-details-bin", Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
    expect(statusToFault(foreign(status.UNAVAILABLE, garbage)).reason).toBe("node_lost");
    const known = faultToStatus(new Fault("queue_full", "x"));
    const bytes = known.metadata!.get("grpc-status-details-bin")[0] as Buffer;
    for (const [from, to] of [
      ["queue_full", "gueue_full"], // A reason of a later version.
      ["queue_full", "__proto__0"], // Not a reason, but a word that every object knows would be.
      ["deltaplane", "other.corp"],
    ] as const) {
      const changed = new Metadata();
      changed.set("grpc-status-details-bin", Buffer.from(bytes.toString("latin1").replaceAll(from, to), "latin1"));
      expect(statusToFault(foreign(status.RESOURCE_EXHAUSTED, changed)).reason).toBe("message_too_large");
    }
  });

  it("never takes an inherited word for a reason", () => {
    for (const word of ["constructor", "toString", "valueOf", "hasOwnProperty"]) {
      const error = sent(Object.assign(new Fault("queue_full", "x"), { reason: word as FaultReason }));
      expect(REASONS).toContain(statusToFault(error).reason);
    }
  });
});
