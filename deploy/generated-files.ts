import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { dashboardJson } from "./dashboard.ts";
import { DASHBOARDS } from "./dashboards/index.ts";

/** What `kubectl apply -f install.yaml` installs: everything that needs no operator in the cluster. */
const INSTALLED = "overlays/dev";
const HEADER = `# Made by \`node deploy/main.ts\` from deploy/${INSTALLED}: change that, not this.\n`;

/** The dashboards' files, relative to `deploy/`. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map(
    DASHBOARDS.map((each) => [`components/monitoring/dashboards/${each.name}.json`, `${JSON.stringify(dashboardJson(each), null, 2)}\n`]),
  );
}

export function installFile(): readonly [path: string, text: string] {
  return ["install.yaml", HEADER + renderManifests(INSTALLED)];
}

/** All manifests of a kustomization, given relative to `deploy/`, as YAML. @throws Error with kubectl's words */
export function renderManifests(kustomization: string): string {
  const { status, stdout, stderr, error } = spawnSync("kubectl", ["kustomize", join(import.meta.dirname, kustomization)], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`kubectl kustomize ${kustomization}: ${stderr}`);
  return stdout;
}

/** Whether there is a kubectl whose kustomize knows components: 1.21 or newer; Debian's is older. */
export function canRender(): boolean {
  const { status, stdout } = spawnSync("kubectl", ["version", "--client", "--output=json"], { encoding: "utf8" });
  if (status !== 0) return false;
  const { major, minor } = (JSON.parse(stdout) as { clientVersion: { major: string; minor: string } }).clientVersion;
  return Number(major) > 1 || Number.parseInt(minor, 10) >= 21;
}
