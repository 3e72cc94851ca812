import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { gunzipSync } from "node:zlib";
import { type Answer, startUnreliableServer, type UnreliableServer } from "./unreliable-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: JSON from outside, looked at field by field.
type Loose = any;

export interface StoredRun {
  readonly path: string;
  upsert: Loose;
  readonly history: string[];
  summary: Loose;
  exitCode: number | undefined;
  complete: boolean;
  preempting: boolean;
  heartbeats: number;
}

export interface StoredArtifact {
  readonly id: string;
  readonly input: Loose;
  state: "PENDING" | "COMMITTED";
  manifestDigest: string;
  /** By what is uploaded: file names, and `manifest`. */
  readonly content: Map<string, Buffer>;
  readonly usedBy: string[];
}

export interface WandbServer extends AsyncDisposable {
  readonly http: UnreliableServer;
  readonly runs: Map<string, StoredRun>;
  readonly artifacts: StoredArtifact[];
  /** What a careful client never does. */
  readonly complaints: string[];
  /** Press stop on every run's page. */
  stopped: boolean;
}

export const KEY = "0123456789abcdef0123456789abcdef01234567";
const REQUEST_BYTES_MAX = 10 * 1024 * 1024;

/**
 * Plays the part of W&B's server that we talk to, and is strict: credentials, sizes, offsets, order of operations, digests.
 * `lenient` also answers what W&B's own client asks besides.
 */
export async function startWandbServer({ lenient = false } = {}): Promise<WandbServer> {
  const runs = new Map<string, StoredRun>();
  const artifacts: StoredArtifact[] = [];
  const complaints: string[] = [];
  const uploads = new Map<string, (content: Buffer) => void>();
  const state = { stopped: false };

  function complain(text: string): Answer {
    complaints.push(text);
    return { status: 400, body: { errors: [{ message: text }] } };
  }

  function answer(request: IncomingMessage, raw: Buffer): Answer {
    const path = request.url ?? "";
    if (path.startsWith("/storage/")) return store(request, path, raw);
    if (request.headers.authorization !== `Basic ${Buffer.from(`api:${KEY}`).toString("base64")}`)
      return { status: 401, body: { error: "unauthorized" } };
    const body = JSON.parse((request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw).toString() || "{}");
    if (path === "/graphql") return graphql(body);
    const run = runs.get(decodeURIComponent(path.replace(/^\/files\//, "").replace(/\/file_stream$/, "")));
    return run === undefined ? complain(`a file stream of no run: ${path}`) : stream(run, body);
  }

  function store(request: IncomingMessage, path: string, content: Buffer): Answer {
    const take = uploads.get(path);
    if (request.method !== "PUT" || take === undefined) return complain(`${request.method} ${path}`);
    if (request.headers.authorization !== undefined) complaints.push("a credential was sent to the storage");
    if (request.headers["content-length"] === undefined) complaints.push("an upload without its length");
    if (!lenient && request.headers["x-storage"] !== "ours") complaints.push("an upload without the headers that were given");
    take(content);
    return { status: 200 };
  }

  function stream(run: StoredRun, body: Loose): Answer {
    const history = body.files?.["wandb-history.jsonl"];
    if (history !== undefined) {
      if (history.offset > run.history.length) return complain(`lines at ${history.offset} of ${run.history.length}`);
      for (const [index, line] of history.content.entries()) {
        const at = history.offset + index;
        if (run.history[at] !== undefined && run.history[at] !== line) complaints.push(`line ${at} was ${run.history[at]} and is ${line}`);
        if (line.includes("\n")) complaints.push("a line of two lines");
        run.history[at] = line;
      }
    }
    const summary = body.files?.["wandb-summary.json"];
    if (summary !== undefined) run.summary = JSON.parse(summary.content.at(-1));
    if (Object.keys(body).length === 0) run.heartbeats += 1;
    if (body.preempting === true) run.preempting = true;
    if (body.complete === true) [run.complete, run.exitCode] = [true, body.exitcode];
    return { status: 200, body: { exitcode: null, stopped: state.stopped, limits: {} } };
  }

  function graphql({ query, variables: given }: Loose): Answer {
    const operation = /(?:query|mutation)\s+(\w+)/.exec(query)?.[1] ?? "";
    const handler = OPERATIONS[operation];
    if (handler === undefined) return lenient ? { status: 200, body: { data: {} } } : complain(`no operation ${operation}`);
    return handler(given);
  }

  function address(target: (content: Buffer) => void) {
    const path = `/storage/${uploads.size + 1}`;
    uploads.set(path, target);
    return { uploadUrl: `${http.url}${path}`, uploadHeaders: ["X-Storage:ours", "Content-Type: application/octet-stream"] };
  }

  const data = (value: unknown): Answer => ({ status: 200, body: { data: value } });
  const artifactOf = (id: string) => artifacts.find((artifact) => artifact.id === id);

  const OPERATIONS: Record<string, (given: Loose) => Answer> = {
    UpsertBucket(given) {
      const [entity, project] = [given.entity || "default-entity", given.project];
      if (!given.name || !project) return complain("a run without name or project");
      const path = `${entity}/${project}/${given.name}`;
      const inserted = !runs.has(path);
      const fresh = { path, upsert: {}, history: [], summary: {}, exitCode: undefined, complete: false, preempting: false, heartbeats: 0 };
      const run: StoredRun = runs.get(path) ?? fresh;
      runs.set(path, run);
      const said = Object.entries(given).filter(([, value]) => value !== null); // Null leaves things as they are.
      run.upsert = { ...run.upsert, ...Object.fromEntries(said) };
      const bucket = { id: `id:${path}`, name: given.name, displayName: given.displayName, historyLineCount: run.history.length };
      return data({
        upsertBucket: { inserted, bucket: { ...bucket, project: { id: "p", name: project, entity: { id: "e", name: entity } } } },
      });
    },
    RunResumeStatus(given) {
      const run = runs.get(`${given.entity || "default-entity"}/${given.project}/${given.name}`);
      const tail = { historyLineCount: run?.history.length, historyTail: JSON.stringify(run?.history.slice(-1)) };
      return data({ model: { bucket: run ? { id: "b", summaryMetrics: JSON.stringify(run.summary), ...tail } : null } });
    },
    CreateArtifact({ input }) {
      if (!/^[\w.-]{1,128}$/.test(input.artifactCollectionName)) return complain(`an artifact called ${input.artifactCollectionName}`);
      if (!/^[0-9a-f]{32}$/.test(input.digest) || input.clientID?.length !== 128)
        return complain("an artifact without digest or client id");
      if (input.runName && !runs.has(`${input.entityName}/${input.projectName}/${input.runName}`)) return complain("an artifact of no run");
      const same = artifacts.find(
        ({ input: other }) => other.artifactCollectionName === input.artifactCollectionName && other.digest === input.digest,
      );
      const made: StoredArtifact = same ?? {
        id: `a${artifacts.length + 1}`,
        input,
        state: "PENDING",
        manifestDigest: "",
        content: new Map(),
        usedBy: [],
      };
      if (!same) artifacts.push(made);
      return data({ createArtifact: { artifact: { id: made.id, state: made.state, artifactSequence: { latestArtifact: null } } } });
    },
    CreateArtifactManifest(given) {
      const artifact = artifactOf(given.artifactID);
      if (artifact?.state !== "PENDING") return complain("a manifest of no open artifact");
      artifact.manifestDigest = given.digest;
      const file = { id: "f", ...(given.includeUpload ? address((content) => artifact.content.set("manifest", content)) : {}) };
      return data({ createArtifactManifest: { artifactManifest: { id: `manifest-${artifact.id}`, file } } });
    },
    CreateArtifactFiles(given) {
      const edges = (given.input ?? given).artifactFiles.map((file: Loose) => {
        const artifact = artifactOf(file.artifactID)!;
        const take = (content: Buffer) => {
          if (createHash("md5").update(content).digest("base64") !== file.md5) complaints.push(`${file.name} is not what its digest says`);
          artifact.content.set(file.name, content);
        };
        return { node: { storagePath: "s", ...address(take), artifact: { id: artifact.id } } };
      });
      return data({ createArtifactFiles: { files: { edges } } });
    },
    CommitArtifact({ artifactID }) {
      const artifact = artifactOf(artifactID);
      const manifest = artifact?.content.get("manifest");
      if (artifact === undefined || manifest === undefined) return complain("a commit without a manifest");
      if (createHash("md5").update(manifest).digest("base64") !== artifact.manifestDigest)
        return complain("the manifest is not what its digest says");
      const contents = Object.entries<Loose>(JSON.parse(manifest.toString()).contents);
      if (contents.some(([name, { size }]) => artifact.content.get(name)?.length !== size)) return complain("a commit without its files");
      const lines = contents.map(([name, { digest }]) => `${name}:${digest}\n`).join("");
      if (createHash("md5").update(`wandb-artifact-manifest-v1\n${lines}`).digest("hex") !== artifact.input.digest)
        return complain("a wrong digest");
      artifact.state = "COMMITTED";
      return data({ commitArtifact: { artifact: { id: artifactID, digest: artifact.input.digest } } });
    },
    UseArtifact({ input }) {
      const artifact = artifactOf(input.artifactID);
      if (artifact?.state !== "COMMITTED") return complain("use of what is not committed");
      artifact.usedBy.push(input.runName);
      return data({ useArtifact: { artifact: { id: artifact.id } } });
    },
    ...(lenient && {
      CreateRunFiles: ({ files }: Loose) =>
        data({
          createRunFiles: {
            runID: "b",
            uploadHeaders: [],
            files: files.map((name: string) => ({ name, uploadUrl: address(() => {}).uploadUrl })),
          },
        }),
      Viewer: () => data({ viewer: { id: "v", entity: "default-entity", username: "tester", flags: "{}", teams: { edges: [] } } }),
      ServerFeaturesQuery: () => data({ serverInfo: { features: [] } }),
    }),
  };

  const http = await startUnreliableServer(REQUEST_BYTES_MAX, answer);
  return {
    http,
    runs,
    artifacts,
    complaints,
    get stopped() {
      return state.stopped;
    },
    set stopped(value) {
      state.stopped = value;
    },
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}
