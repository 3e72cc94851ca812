import { expect, test } from "vitest";
import { parseAddress } from "./address.ts";

test.each([
  ["127.0.0.1:8080", { host: "127.0.0.1", port: 8080 }],
  ["localhost:0", { host: "localhost", port: 0 }],
  ["[::1]:50051", { host: "::1", port: 50_051 }],
])("%s is an address", (text, address) => {
  expect(parseAddress(text)).toEqual(address);
});

test.each(["", "8080", "host:", ":8080", "host:65536", "host:-1", "host:80a"])("%j is none", (text) => {
  expect(() => parseAddress(text)).toThrow(expect.objectContaining({ reason: "parameter_invalid" }));
});
