import { describe, expect, it } from "vitest";
import { createProgram } from "../../cli/program.ts";
import { called, type Manifest, renderings, workloads } from "./manifests.ts";

/** The port of each flag that listens, by the name of the container's port. */
const LISTENERS: Readonly<Record<string, string>> = {
  "--grpc-listen": "grpc",
  "--listen": "grpc",
  "--admin-listen": "admin",
  "--cluster-listen": "cluster",
  "--http-listen": "http",
  "--metrics-listen": "metrics",
  "--health-listen": "health",
};

describe.each([...renderings()])("%s", (_, manifests) => {
  const ours = workloads(manifests).filter(({ spec }) => spec.template.spec.containers[0].image.startsWith("deltaplane"));
  const container = (load: Manifest) => load.spec.template.spec.containers[0];

  it.each(ours.map((load) => [called(load), load] as const))("%s is started with words that the command line knows", (_name, load) => {
    const [name, ...args] = container(load).args;
    const command = createProgram().commands.find((each) => each.name() === name);
    expect(command, `deltaplane ${name}`).toBeDefined();
    const { operands, unknown } = command!.parseOptions(args);
    expect({ operands, unknown }).toEqual({ operands: [], unknown: [] });
    // A variable of the program's own, set beside the flags, would be a second opinion.
    const variables = (container(load).env ?? []).map(({ name }: Manifest) => name);
    expect(variables.filter((variable: string) => variable.startsWith("DELTAPLANE_"))).toEqual([]);
  });

  it.each(ours.map((load) => [called(load), load] as const))("%s declares the ports that it listens on", (_name, load) => {
    const flags = container(load)
      .args.map((arg: string) => /^(--[a-z-]*listen)=(.+):(\d+)$/.exec(arg))
      .filter(Boolean);
    const listened = flags
      .filter(([, , host]: string[]) => host !== "127.0.0.1")
      .map(([, flag, , port]: string[]) => [LISTENERS[flag!], Number(port)]);
    const declared = container(load).ports.map(({ name, containerPort }: Manifest) => [name, containerPort]);
    expect(Object.fromEntries(declared)).toEqual(Object.fromEntries(listened));
  });

  it.each(ours.map((load) => [called(load), load] as const))("%s finds every file and folder that its flags name", (_name, load) => {
    const mounts = container(load).volumeMounts.map(({ mountPath }: Manifest) => mountPath);
    const paths = container(load).args.flatMap((arg: string) => /^--[a-z-]+=(?:[\w.-]+=)?(\/.+)$/.exec(arg)?.[1] ?? []);
    const lost = paths.filter(
      (path: string) => !path.startsWith("/app/models/") && !mounts.some((mount: string) => path === mount || path.startsWith(`${mount}/`)),
    );
    expect(lost).toEqual([]);
    const volumes = [
      ...(load.spec.template.spec.volumes ?? []),
      ...(load.spec.volumeClaimTemplates ?? []).map(({ metadata }: Manifest) => metadata),
    ];
    const known = new Set(volumes.map(({ name }: Manifest) => name));
    expect(container(load).volumeMounts.filter(({ name }: Manifest) => !known.has(name))).toEqual([]);
  });

  it.each(ours.map((load) => [called(load), load] as const))("%s speaks to Services and ports that exist", (_name, load) => {
    const services = new Map(manifests.filter(({ kind }) => kind === "Service").map((each) => [each.metadata.name, each.spec.ports]));
    for (const arg of container(load).args as string[]) {
      const [, service, port] = /(?:=|:\/\/)(deltaplane-[a-z-]+):(\w+)$/.exec(arg) ?? [];
      if (service === undefined) continue;
      const ports = services.get(service) ?? [];
      expect(
        ports.flatMap(({ name, port: number }: Manifest) => [name, String(number)]),
        arg,
      ).toContain(port);
    }
  });

  it("points Services at ports that their pods have", () => {
    const lost = manifests
      .filter(({ kind }) => kind === "Service")
      .filter(({ spec }) => {
        const pods = workloads(manifests).filter(({ spec: { template } }) =>
          Object.entries(spec.selector).every(([key, value]) => template.metadata.labels[key] === value),
        );
        const named = (load: Manifest) => container(load).ports.map(({ name }: Manifest) => name);
        return pods.length === 0 || !pods.every((load) => spec.ports.every(({ targetPort }: Manifest) => named(load).includes(targetPort)));
      });
    expect(lost.map(called)).toEqual([]);
  });
});
