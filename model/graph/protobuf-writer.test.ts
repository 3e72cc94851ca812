import { expect, test } from "vitest";
import { ProtobufWriter } from "./protobuf-writer.ts";

const hex = (writer: ProtobufWriter) => Buffer.from(writer.finish()).toString("hex");

test("the examples of the encoding's documentation", () => {
  expect(hex(new ProtobufWriter().integer(1, 150))).toBe("089601");
  expect(hex(new ProtobufWriter().text(2, "testing"))).toBe("120774657374696e67");
  expect(hex(new ProtobufWriter().message(3, new ProtobufWriter().integer(1, 150)))).toBe("1a03089601");
});

test("negative integers take ten bytes, floats four, and large field numbers two", () => {
  expect(hex(new ProtobufWriter().integer(1, -2))).toBe("08feffffffffffffffff01");
  expect(hex(new ProtobufWriter().integer(1, 2 ** 53 - 1))).toBe("08ffffffffffffff0f");
  expect(hex(new ProtobufWriter().float(2, 1))).toBe("150000803f");
  expect(hex(new ProtobufWriter().integer(20, 7))).toBe("a00107");
});
