import { describe, expect, it } from "vitest";
import { deltaDigest, sha256Hex } from "./digest.ts";
import { asBaseDigest, asTenantId, DIGEST_PATTERN, NAME_PATTERN } from "./ids.ts";

describe("identity", () => {
  const parts = { tenantId: asTenantId("acme"), baseDigest: asBaseDigest("b".repeat(64)), configSha256: "1", weightsSha256: "2" };

  it("of a delta depends on tenant, base and both files", () => {
    const digest = deltaDigest(parts);
    expect(digest).toMatch(DIGEST_PATTERN);
    expect(deltaDigest({ ...parts })).toBe(digest);
    const others = [
      { tenantId: asTenantId("zeta") },
      { baseDigest: asBaseDigest("c".repeat(64)) },
      { configSha256: "3" },
      { weightsSha256: "3" },
      { configSha256: "2", weightsSha256: "1" },
      { configSha256: "1\n2", weightsSha256: "" },
    ];
    expect(new Set([digest, ...others.map((other) => deltaDigest({ ...parts, ...other }))]).size).toBe(others.length + 1);
  });

  it("is SHA-256 in hex", () => {
    expect(sha256Hex("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });

  it("by name is safe as a file name and a store key", () => {
    for (const name of ["a", "acme", "acme-2", "0".repeat(63)]) expect(name).toMatch(NAME_PATTERN);
    for (const name of ["", "-a", "A", "a/b", "..", "a b", "a\n", "ä", "0".repeat(64), "a_b", "*", "__proto__"])
      expect(name).not.toMatch(NAME_PATTERN);
  });
});
