import { type Command, Option } from "commander";
import { z } from "zod";
import type { KubernetesApi, KubernetesMetrics } from "#kubernetes";
import type { ComponentDeps } from "../component.ts";

export const KUBERNETES_OPTIONS = { kubeconfig: z.string().optional() } as const;

export function addKubernetesOptions(command: Command): Command {
  return command.addOption(
    new Option("--kubeconfig <file>", "of the API server (default: the pod's service account; docs/kubernetes.md)").env(
      "DELTAPLANE_KUBECONFIG",
    ),
  );
}

/** What everything in this process that talks to the API server shares. */
export interface KubernetesAccess extends ComponentDeps {
  readonly api: KubernetesApi;
  readonly metrics: KubernetesMetrics;
}

/** Opens the API server when somebody first needs it, once for all: most processes never do, and its client is large. */
export function kubernetesAccess(
  deps: ComponentDeps,
  options: { readonly kubeconfig?: string | undefined },
  parts: AsyncDisposableStack,
): () => Promise<KubernetesAccess> {
  let access: Promise<KubernetesAccess> | undefined;
  const open = async (): Promise<KubernetesAccess> => {
    const { createKubernetesMetrics, openKubernetesApi } = await import("#kubernetes");
    const { kubeconfig } = options;
    const api = parts.use(openKubernetesApi(deps, kubeconfig === undefined ? {} : { kubeconfig }));
    return { ...deps, api, metrics: createKubernetesMetrics(deps.registry) };
  };
  return () => {
    access ??= open();
    return access;
  };
}
