import { expect, test } from "vitest";
import { stepEvent, versionEvent } from "./event.ts";
import { frameRecord, readRecords } from "./record-framing.ts";

test("the version event and its frame, byte for byte", () => {
  // Event{wall_time: 1.0, file_version: "brain.Event:2"}; the frame's checksums were computed with TensorBoard's own reader.
  const event = Buffer.from(versionEvent(1000));
  expect(event.toString("hex")).toBe(`09000000000000f03f1a0d${Buffer.from("brain.Event:2").toString("hex")}`);
  expect(Buffer.from(frameRecord(event)).toString("hex")).toBe(`1800000000000000a37f4b22${event.toString("hex")}86bf577a`);
});

test("a step's scalars, byte for byte", () => {
  const row = { step: 300, atMs: 2000, elapsedS: 0, metrics: new Map([["train_loss", 0.5]]) };
  const value = `0a0a${Buffer.from("train_loss").toString("hex")}150000003f`;
  expect(Buffer.from(stepEvent(row)).toString("hex")).toBe(`09000000000000004010ac022a130a11${value}`);
});

test("a torn or damaged record ends the reading", () => {
  const frames = ["one", "two", "three"].map((text) => frameRecord(Buffer.from(text)));
  const texts = (file: Uint8Array) => [...readRecords(file)].map(({ data }) => Buffer.from(data).toString());
  const file = Buffer.concat(frames);
  expect(texts(file)).toEqual(["one", "two", "three"]);
  for (let cut = 0; cut < frames[2]!.length; cut++)
    expect(texts(file.subarray(0, file.length - frames[2]!.length + cut))).toEqual(["one", "two"]);
  file[file.indexOf("two")] = 0;
  expect(texts(file)).toEqual(["one"]);
});
