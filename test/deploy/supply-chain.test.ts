import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEPLOY } from "./manifests.ts";

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = <T>(path: string) => JSON.parse(readFileSync(join(DEPLOY, "..", path), "utf8")) as T;
const lock = read<{ lockfileVersion: number; packages: Record<string, Locked> }>("package-lock.json");
const { allowScripts } = read<{ allowScripts: Record<string, boolean> }>("package.json");
const packages = Object.entries(lock.packages).filter(([path]) => path !== "");
const inImage = packages.filter(([, { dev, devOptional }]) => !dev && !devOptional);
const nameOf = (path: string) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

/** First versions that are not known to be open, each with what older ones suffer from. Raised by hand when an advisory comes out. */
const FLOORS: readonly (readonly [name: string, version: string, advisory: string])[] = [
  ["@grpc/grpc-js", "1.14.4", "CVE-2026-48068, CVE-2026-48069: a malformed message ends the process"],
  ["protobufjs", "7.6.2", "CVE-2026-44291, CVE-2026-44294: code emission, denial of service"],
  ["node", "24.18.1", "CVE-2026-56846: headers evade HTTP/2's memory limit"],
];

function isAtLeast(version: string, floor: string): boolean {
  const [have, need] = [version, floor].map((text) => text.split(".").map(Number));
  const differs = need!.findIndex((part, index) => part !== have![index]);
  return differs === -1 || have![differs]! > need![differs]!;
}

describe("what the image is made of", () => {
  it("is locked, each package by the hash of its content", () => {
    expect(lock.lockfileVersion).toBe(3);
    expect(inImage.filter(([, { integrity }]) => !integrity?.startsWith("sha512-")).map(([path]) => path)).toEqual([]);
  });

  it("is locked for every platform, so that npm ci takes the lock file on each", () => {
    // npm leaves out what its registry did not have. Add such a package by hand: version, os, cpu, libc, dev, optional.
    const missing = packages.flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !lock.packages[`node_modules/${name}`] && !lock.packages[`${path}/node_modules/${name}`],
      ),
    );
    expect(missing).toEqual([]);
  });

  it.each(FLOORS)("%s is at least %s", (name, floor) => {
    const versions = inImage.filter(([path]) => nameOf(path) === name).map(([, { version }]) => version!);
    expect(versions).not.toEqual([]);
    expect(versions.filter((version) => !isAtLeast(version, floor))).toEqual([]);
  });

  it("says of every package with an install script whether it may run", () => {
    const scripted = packages.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => nameOf(path));
    const fsevents = "fsevents"; // Of other systems, never installed here.
    expect(scripted.filter((name) => name !== fsevents && allowScripts[name] === undefined)).toEqual([]);
  });

  it("compares versions by number, not by letter", () => {
    expect(isAtLeast("1.14.7", "1.14.4")).toBe(true);
    expect(isAtLeast("1.9.0", "1.14.4")).toBe(false);
    expect(isAtLeast("2.0.0", "1.14.4")).toBe(true);
    expect(isAtLeast("24.18.1", "24.18.1")).toBe(true);
  });
});
