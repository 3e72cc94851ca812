import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { MetricRow } from "../contract.ts";
import { wireField } from "../wire-fields.ts";

/** Fields of TensorFlow's `event.proto` and `summary.proto`. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5 } as const;
const SUMMARY_VALUE = 1;
const VALUE = { tag: 1, simpleValue: 2 } as const;

/** What every file begins with. */
export function versionEvent(atMs: number): Uint8Array {
  return stamped(atMs).tag(EVENT.fileVersion, WireType.LengthDelimited).string("brain.Event:2").finish();
}

/** The scalars of a step, in 32-bit floats as the format has them. */
export function stepEvent(row: MetricRow): Uint8Array {
  const summary = new BinaryWriter();
  for (const [name, metric] of row.metrics) {
    const value = new BinaryWriter().tag(VALUE.tag, WireType.LengthDelimited).string(name).tag(VALUE.simpleValue, WireType.Bit32);
    summary.tag(SUMMARY_VALUE, WireType.LengthDelimited).bytes(value.raw(floatBytes(metric)).finish());
  }
  const event = stamped(row.atMs).tag(EVENT.step, WireType.Varint).int64(row.step);
  return event.tag(EVENT.summary, WireType.LengthDelimited).bytes(summary.finish()).finish();
}

/** 0 when the event is of no step. */
export function eventStep(event: Uint8Array): number {
  const step = wireField(event, EVENT.step);
  return step === undefined ? 0 : Number(new BinaryReader(step).int64());
}

function stamped(atMs: number): BinaryWriter {
  return new BinaryWriter().tag(EVENT.wallTime, WireType.Bit64).double(atMs / 1000);
}

/** A number too large for 32 bits becomes infinite; the library's own writer would refuse it. */
function floatBytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
