import { describe, expect, it } from "vitest";
import { COMPONENTS, type Component, GRACE, graceMs } from "#kernel";
import { chooseCompute, type WeightFormat } from "#node-agent";
import { called, componentOf, type Manifest, renderings, workloads } from "./manifests.ts";

/** What may not be asked of an API server: each would let a part take more than it was given. */
const FORBIDDEN_VERBS = ["*", "escalate", "bind", "impersonate", "delete", "deletecollection", "patch"];
const FORBIDDEN_RESOURCES = [/^\*/, /^secrets/, /^pods\/exec/, /^nodes\/proxy/, /^serviceaccounts\/token/];
/** Of the restricted Pod Security Standard. */
const VOLUME_TYPES = new Set(["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"]);
/** Words of environment variables whose values belong into a file. */
const SECRET_WORDS = /key|token|secret|password|state/i;

/** Each control is named by what is wrong without it, so that a failure reads as a finding. */
describe.each([...renderings()])("%s", (_, manifests) => {
  const loads = workloads(manifests);
  const ours = loads.filter((load) => COMPONENTS.includes(componentOf(load) as Component));
  const ofKind = (...kinds: string[]) => manifests.filter(({ kind }) => kinds.includes(kind));
  /** Names those objects of which something is not so. */
  const except = (objects: readonly Manifest[], holds: (object: Manifest) => boolean) =>
    objects.filter((object) => !holds(object)).map(called);
  const pod = (load: Manifest) => load.spec.template.spec;
  const containers = (load: Manifest) => [...(pod(load).initContainers ?? []), ...pod(load).containers];
  const everyContainer = (load: Manifest, holds: (container: Manifest) => boolean) => containers(load).every(holds);

  it("runs all four parts", () => {
    expect(new Set(ours.map(componentOf))).toEqual(new Set(COMPONENTS));
  });

  describe("Pod Security: restricted", () => {
    it("is enforced by the namespace, which all objects are in", () => {
      const [namespace] = ofKind("Namespace");
      expect(namespace.metadata.labels["pod-security.kubernetes.io/enforce"]).toBe("restricted");
      const global = new Set(["Namespace", "PriorityClass", "CustomResourceDefinition"]);
      expect(except(manifests, ({ kind, metadata }) => global.has(kind) || metadata.namespace === namespace.metadata.name)).toEqual([]);
    });

    it("nobody runs as root", () => {
      expect(except(loads, (load) => pod(load).securityContext.runAsNonRoot === true && pod(load).securityContext.runAsUser > 0)).toEqual(
        [],
      );
    });

    it("nobody gains privileges, keeps capabilities or writes to the image", () => {
      const confined = ({ securityContext }: Manifest) =>
        securityContext?.allowPrivilegeEscalation === false &&
        securityContext.readOnlyRootFilesystem === true &&
        securityContext.privileged !== true &&
        JSON.stringify(securityContext.capabilities) === '{"drop":["ALL"]}';
      expect(except(loads, (load) => everyContainer(load, confined))).toEqual([]);
    });

    it("system calls are filtered", () => {
      expect(except(loads, (load) => pod(load).securityContext.seccompProfile?.type === "RuntimeDefault")).toEqual([]);
    });

    it("no namespace, port or folder of the machine is used", () => {
      const apart = (load: Manifest) =>
        !(pod(load).hostNetwork || pod(load).hostPID || pod(load).hostIPC) &&
        everyContainer(load, ({ ports }) => (ports ?? []).every(({ hostPort }: Manifest) => hostPort === undefined)) &&
        (pod(load).volumes ?? []).every((volume: Manifest) => Object.keys(volume).every((key) => key === "name" || VOLUME_TYPES.has(key)));
      expect(except(loads, apart)).toEqual([]);
    });
  });

  describe("access to the API server", () => {
    it("is an account per part", () => {
      expect(new Set(ours.map((load) => pod(load).serviceAccountName))).toEqual(new Set(COMPONENTS.map((each) => `deltaplane-${each}`)));
      expect(except(ours, (load) => pod(load).serviceAccountName === `deltaplane-${componentOf(load)}`)).toEqual([]);
      expect(except(ofKind("ServiceAccount"), (account) => account.automountServiceAccountToken === false)).toEqual([]);
    });

    it("brings a token only to who has a Role", () => {
      const bound = new Set(ofKind("RoleBinding").flatMap(({ subjects }) => subjects.map(({ name }: Manifest) => name)));
      expect(except(loads, (load) => pod(load).automountServiceAccountToken === bound.has(pod(load).serviceAccountName))).toEqual([]);
    });

    it("is never cluster-wide", () => {
      expect(ofKind("ClusterRole", "ClusterRoleBinding")).toEqual([]);
    });

    it("names what it is for, and nothing that leads further", () => {
      const modest = (rule: Manifest) =>
        !rule.verbs.some((verb: string) => FORBIDDEN_VERBS.includes(verb)) &&
        !rule.apiGroups.includes("*") &&
        !rule.resources.some((resource: string) => FORBIDDEN_RESOURCES.some((pattern) => pattern.test(resource)));
      expect(except(ofKind("Role"), ({ rules }) => rules.every(modest))).toEqual([]);
    });

    it("binds Roles and accounts that exist", () => {
      const names = new Set(manifests.map(called));
      const known = ({ roleRef, subjects }: Manifest) =>
        names.has(called({ kind: roleRef.kind, metadata: roleRef })) &&
        subjects.every((subject: Manifest) => names.has(called({ kind: subject.kind, metadata: subject })));
      expect(except(ofKind("RoleBinding"), known)).toEqual([]);
    });
  });

  describe("secrets", () => {
    it("are files that only their reader may read", () => {
      const closed = (load: Manifest) => (pod(load).volumes ?? []).every(({ secret }: Manifest) => !secret || secret.defaultMode === 0o440);
      expect(except(loads, closed)).toEqual([]);
    });

    it("are in no environment variable, argument or manifest", () => {
      const open = (container: Manifest) =>
        (container.env ?? []).every(
          ({ name, value, valueFrom }: Manifest) => !valueFrom?.secretKeyRef && !(value && SECRET_WORDS.test(name)),
        ) &&
        container.envFrom === undefined &&
        !(container.args ?? []).some((arg: string) => /:\/\/[^/]*:[^/@]*@/.test(arg));
      expect(except(loads, (load) => everyContainer(load, open))).toEqual([]);
      expect(ofKind("Secret")).toEqual([]);
    });
  });

  describe("the network", () => {
    const policies = ofKind("NetworkPolicy");

    it("is closed in both directions unless a flow is named", () => {
      const deny = policies.find(({ metadata }) => metadata.name === "deltaplane-default-deny");
      expect(deny.spec).toEqual({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
    });

    it("has no flow to or from everywhere, or on every port", () => {
      const narrow = ({ spec }: Manifest) =>
        [...(spec.ingress ?? []), ...(spec.egress ?? [])].every((rule: Manifest) => {
          const peers = rule.from ?? rule.to ?? [];
          const everywhere = (peer: Manifest) =>
            Object.values(peer).some((value) => JSON.stringify(value) === "{}" || isWorld(value as Manifest));
          return rule.ports?.length > 0 && peers.length > 0 && !peers.some(everywhere);
        });
      expect(except(policies, narrow)).toEqual([]);
    });

    it("every flow between parts is open at both ends", () => {
      expect(halfOpenFlows(policies)).toEqual([]);
    });
  });

  describe("staying up", () => {
    it("takes exactly the grace of kernel/grace.ts", () => {
      expect(
        except(ours, (load) => pod(load).terminationGracePeriodSeconds * 1000 === graceMs(GRACE[componentOf(load) as Component])),
      ).toEqual([]);
    });

    it("waits in the process, not in a preStop hook beside it", () => {
      expect(except(ours, (load) => everyContainer(load, ({ lifecycle }) => lifecycle === undefined))).toEqual([]);
    });

    it("notices within the notice: the readiness probe sees a drain before it refuses", () => {
      const noticed = (load: Manifest) => {
        const { noticeMs } = GRACE[componentOf(load) as Component];
        return everyContainer(
          load,
          ({ readinessProbe: probe }) => noticeMs === 0 || probe.periodSeconds * probe.failureThreshold * 1000 < noticeMs,
        );
      };
      expect(except(ours, noticed)).toEqual([]);
    });

    it("is probed over gRPC, alive and ready apart: who drains is not killed", () => {
      const probed = ({ startupProbe, livenessProbe, readinessProbe, ports }: Manifest) => {
        const health = ports.find(({ name }: Manifest) => name === "health")?.containerPort;
        return (
          [startupProbe, livenessProbe, readinessProbe].every((probe) => probe?.grpc?.port === health) &&
          livenessProbe.grpc.service === "liveness" &&
          readinessProbe.grpc.service === "readiness"
        );
      };
      expect(except(ours, (load) => everyContainer(load, probed))).toEqual([]);
    });

    it("is disrupted one at a time", () => {
      const guarded = (load: Manifest) =>
        ofKind("PodDisruptionBudget").filter(
          ({ spec }) => spec.maxUnavailable === 1 && selects(spec.selector.matchLabels, load.spec.template.metadata.labels),
        ).length === 1;
      expect(except(ours, guarded)).toEqual([]);
    });

    it("is spread over machines", () => {
      const spread = (load: Manifest) =>
        (pod(load).topologySpreadConstraints ?? []).some(
          ({ topologyKey, labelSelector }: Manifest) =>
            topologyKey === "kubernetes.io/hostname" && selects(labelSelector.matchLabels, load.spec.template.metadata.labels),
        );
      expect(except(ours, spread)).toEqual([]);
    });

    it("has a class that says who keeps its place", () => {
      const classes = new Map(ofKind("PriorityClass").map((each) => [each.metadata.name, each.value]));
      expect(except(loads, (load) => classes.has(pod(load).priorityClassName))).toEqual([]);
      const value = (component: Component) => classes.get(pod(ours.find((load) => componentOf(load) === component)).priorityClassName);
      expect(value("router")).toBeGreaterThan(value("node-agent"));
      expect(value("node-agent")).toBeGreaterThan(value("trainer"));
    });

    it("says what it needs and what it may take", () => {
      const bounded = ({ resources }: Manifest) =>
        ["cpu", "memory", "ephemeral-storage"].every((kind) => resources?.requests?.[kind] !== undefined) &&
        ["memory", "ephemeral-storage"].every((kind) => resources.limits?.[kind] !== undefined);
      expect(except(loads, (load) => everyContainer(load, bounded))).toEqual([]);
    });

    it("computes on an accelerator where it takes one, in a way that engines offer, and nowhere else", () => {
      const flag = (load: Manifest, name: string) =>
        containers(load)
          .flatMap(({ args }: Manifest) => args as string[])
          .find((arg) => arg.startsWith(`--${name}=`))
          ?.slice(name.length + 3);
      const takesOne = (load: Manifest) => containers(load).some(({ resources }) => resources?.limits?.["nvidia.com/gpu"] !== undefined);
      const nodes = ours.filter((load) => componentOf(load) === "node-agent");
      expect(except(nodes, (load) => (flag(load, "ep") === "webgpu") === takesOne(load))).toEqual([]);
      for (const load of nodes.filter(takesOne)) chooseCompute("webgpu", flag(load, "weights") as WeightFormat | undefined);
    });

    it("leaves the number of pods to who scales them", () => {
      const scaled = ofKind("ScaledObject").map(({ spec }) => called({ kind: spec.scaleTargetRef.kind, metadata: spec.scaleTargetRef }));
      expect(scaled.filter((name) => !loads.some((load) => called(load) === name && load.spec.replicas === undefined))).toEqual([]);
    });

    it("selects the pods of one workload only", () => {
      const selectedBy = (load: Manifest) =>
        loads.filter((other) => selects(load.spec.selector.matchLabels, other.spec.template.metadata.labels)).length;
      expect(except(loads, (load) => selectedBy(load) === 1)).toEqual([]);
    });
  });

  it("pins other people's images by digest, and its own by version", () => {
    const pinned = ({ image }: Manifest) => /^deltaplane:\d+\.\d+\.\d+(-[a-z-]+)?$/.test(image) || /@sha256:[0-9a-f]{64}$/.test(image);
    expect(except(loads, (load) => everyContainer(load, pinned))).toEqual([]);
  });
});

function selects(wanted: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

function isWorld(value: Manifest): boolean {
  return typeof value?.cidr === "string" && value.cidr.endsWith("/0");
}

/** Flows between our parts (`router → scheduler:50054`) that one side allows and the other does not. */
function halfOpenFlows(policies: readonly Manifest[]): readonly string[] {
  const flows = { ingress: new Set<string>(), egress: new Set<string>() };
  for (const { spec } of policies) {
    const own = spec.podSelector.matchLabels?.["app.kubernetes.io/component"];
    for (const direction of ["ingress", "egress"] as const) {
      for (const rule of spec[direction] ?? []) {
        for (const peer of rule.from ?? rule.to) {
          const other = peer.podSelector?.matchLabels?.["app.kubernetes.io/component"];
          if (own === undefined || other === undefined) continue;
          const ends = direction === "ingress" ? [other, own] : [own, other];
          for (const { port } of rule.ports) flows[direction].add(`${ends.join(" → ")}:${port}`);
        }
      }
    }
  }
  const both = flows.ingress.intersection(flows.egress);
  // A Redis in the cluster is of the dev overlay only; the routers' way to it is open everywhere.
  return [...flows.ingress.union(flows.egress)].filter((flow) => !both.has(flow) && !flow.endsWith("redis:6379"));
}
