import { describe, expect, it, test } from "vitest";
import { parseRedisUrl } from "./address.ts";

test.each([
  ["redis://127.0.0.1:7000", { cluster: false, tls: false, hosts: [{ host: "127.0.0.1", port: 7000 }], database: 0 }],
  ["redis://cache", { hosts: [{ host: "cache", port: 6379 }] }],
  ["redis://[::1]:7000/2", { hosts: [{ host: "::1", port: 7000 }], database: 2 }],
  ["rediss://router:p%40ss%2Fword@cache:7000/", { tls: true, username: "router", password: "p@ss/word", database: 0 }],
  ["redis://:secret@cache", { password: "secret" }],
  [
    "redis-cluster://one:7000,two,three:7002",
    {
      cluster: true,
      hosts: [
        { host: "one", port: 7000 },
        { host: "two", port: 6379 },
        { host: "three", port: 7002 },
      ],
    },
  ],
  ["rediss-cluster://:secret@one", { cluster: true, tls: true, password: "secret" }],
])("%s is read", (url, address) => {
  expect(parseRedisUrl(url)).toMatchObject(address);
});

test.each([
  "",
  "http://a",
  "redis://",
  "redis://a,b",
  "redis://a:99999",
  "redis://a/x",
  "redis://a?b=c",
  "redis-cluster://a/1",
  "redis://:%zz@a",
])("%j is refused", (url) => {
  expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ reason: "parameter_invalid" }));
});

describe("a password", () => {
  it("is in no text for people", () => {
    expect(parseRedisUrl("redis://user:secret@cache:1").text).toBe("redis://cache:1");
    for (const url of ["redis://user:secret@a,b", "redis://user:secret@a/b/c", "redis://user:secret%zz@a"]) {
      expect(() => parseRedisUrl(url)).toThrow(expect.not.objectContaining({ message: expect.stringContaining("secret") }));
    }
  });
});
