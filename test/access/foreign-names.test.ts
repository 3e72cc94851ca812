import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  BillingServiceService,
  CreateJobRequest,
  ExportRequest,
  FineTuningServiceService,
  GenerateRequest,
  GetInvoiceRequest,
  GetUsageRequest,
  type GrpcChannel,
  InferenceServiceService,
  ListDeltasRequest,
  ModelServiceService,
  type Prompt,
  PushDeltaRequest,
  ScoreRequest,
  SetAliasRequest,
} from "#proto";
import { CatalogView } from "../../router/catalog/index.ts";
import { HTTP_ROUTES } from "../../router/http/routes.ts";
import { BASE_NAME } from "../../router/testing/cluster-of.ts";
import { call, RPCS } from "./every-rpc.ts";
import { type LiveSystem, OWNER, outcomeOf, pushDelta, STRANGER, startLiveSystem, uploadFile } from "./live-system.ts";

/** What a name may be of. `present` is the owner's, `missing` is nobody's, and looks alike. */
interface NamePair {
  readonly kind: string;
  readonly present: string;
  readonly missing: string;
}

const prompt: Prompt = { kind: { $case: "tokens", value: { ids: [1, 2] } } };
const models = ["full", "digest", "alias"] as const;

/** How each RPC that a tenant may call is asked for something by name; `nothing` for those that take no name. */
const NAMED: Readonly<Record<string, "nothing" | { readonly kinds: readonly string[]; readonly request: (name: string) => unknown }>> = {
  [InferenceServiceService.generate.path]: { kinds: models, request: (model) => GenerateRequest.fromPartial({ model, prompt }) },
  [InferenceServiceService.score.path]: { kinds: models, request: (model) => ScoreRequest.fromPartial({ model, prompt }) },
  [InferenceServiceService.countTokens.path]: { kinds: models, request: (model) => ({ model, prompt }) },
  [ModelServiceService.listModels.path]: "nothing",
  [ModelServiceService.getModel.path]: { kinds: models, request: (name) => ({ name }) },
  [ModelServiceService.listBases.path]: "nothing",
  [ModelServiceService.pushDelta.path]: {
    kinds: ["tenant"],
    request: (tenantId) =>
      PushDeltaRequest.fromPartial({ part: { $case: "header", value: { base: "demo-base", name: "mine", tenantId } } }),
  },
  [ModelServiceService.listDeltas.path]: { kinds: ["tenant"], request: (tenantId) => ListDeltasRequest.fromPartial({ tenantId }) },
  [ModelServiceService.getDelta.path]: { kinds: models, request: (name) => ({ name }) },
  [ModelServiceService.pinDelta.path]: { kinds: models, request: (name) => ({ name, pinned: true }) },
  [ModelServiceService.removeDelta.path]: { kinds: models, request: (name) => ({ name }) },
  [ModelServiceService.pullDelta.path]: { kinds: models, request: (name) => ({ name }) },
  [ModelServiceService.setAlias.path]: {
    kinds: ["alias", "full as target", "digest as target"],
    request: (name) => SetAliasRequest.fromPartial({ alias: aliasWish(name) }),
  },
  [ModelServiceService.listAliases.path]: "nothing",
  [ModelServiceService.rollBackAlias.path]: { kinds: ["alias"], request: (name) => ({ name }) },
  [ModelServiceService.removeAlias.path]: { kinds: ["alias"], request: (name) => ({ name }) },
  [FineTuningServiceService.uploadFile.path]: "nothing",
  [FineTuningServiceService.listFiles.path]: "nothing",
  [FineTuningServiceService.getFile.path]: { kinds: ["file"], request: (id) => ({ id }) },
  [FineTuningServiceService.downloadFile.path]: { kinds: ["file"], request: (id) => ({ id }) },
  [FineTuningServiceService.deleteFile.path]: { kinds: ["file"], request: (id) => ({ id }) },
  [FineTuningServiceService.createJob.path]: {
    kinds: ["file", "tenant"],
    request: (name) =>
      CreateJobRequest.fromPartial({ model: BASE_NAME, ...(name.startsWith("file-") ? { trainingFile: name } : { tenantId: name }) }),
  },
  [FineTuningServiceService.getJob.path]: { kinds: ["job"], request: (id) => ({ id }) },
  [FineTuningServiceService.listJobs.path]: { kinds: ["job"], request: (after) => ({ after, limit: 0, metadata: {} }) },
  [FineTuningServiceService.cancelJob.path]: { kinds: ["job"], request: (id) => ({ id }) },
  [FineTuningServiceService.pauseJob.path]: { kinds: ["job"], request: (id) => ({ id }) },
  [FineTuningServiceService.resumeJob.path]: { kinds: ["job"], request: (id) => ({ id }) },
  [FineTuningServiceService.watchEvents.path]: { kinds: ["job"], request: (id) => ({ id, after: 0, follow: true }) },
  [FineTuningServiceService.listCheckpoints.path]: { kinds: ["job"], request: (id) => ({ id }) },
  [BillingServiceService.getUsage.path]: { kinds: ["tenant"], request: (tenantId) => GetUsageRequest.fromPartial({ tenantId }) },
  [BillingServiceService.getInvoice.path]: {
    kinds: ["tenant"],
    request: (tenantId) => GetInvoiceRequest.fromPartial({ tenantId, month: "2026-11" }),
  },
  [BillingServiceService.export.path]: { kinds: ["tenant"], request: (tenantId) => ExportRequest.fromPartial({ tenantId, format: 1 }) },
};

/** An alias by its own name, or one of the stranger's that is to point at something. */
function aliasWish(name: string) {
  if (name.includes("/")) return { name, targets: [{ delta: "x", weight: 1 }] };
  return { name: `${STRANGER}/mine`, targets: [{ delta: name, weight: 1 }] };
}

let live: LiveSystem;
let stranger: GrpcChannel;
let strangerKey: string;
let pairs: readonly NamePair[];

beforeAll(async () => {
  live = await startLiveSystem();
  const owner = await pushDelta(live.channel("tenant", "customers"), "tax");
  const file = await uploadFile(live);
  const wish = CreateJobRequest.fromPartial({ model: BASE_NAME, trainingFile: file });
  const { job } = await live.channel("tenant", "customers").unary(FineTuningServiceService.createJob, wish);
  strangerKey = (await live.under.tenantKey(STRANGER)).text;
  stranger = live.under.channel(strangerKey);
  const missing = {
    full: owner.full.replace(/.{8}$/, "00000000"),
    digest: "0".repeat(64),
    alias: `${OWNER}/nothing`,
  };
  pairs = [
    ...models.map((kind) => ({ kind, present: owner[kind], missing: missing[kind] })),
    ...(["full", "digest"] as const).map((kind) => ({ kind: `${kind} as target`, present: owner[kind], missing: missing[kind] })),
    { kind: "tenant", present: OWNER, missing: "nobody" },
    { kind: "file", present: file, missing: `file-${"0".repeat(24)}` },
    { kind: "job", present: job!.id, missing: `ftjob-${"0".repeat(24)}` },
  ];
});
afterAll(() => live[Symbol.asyncDispose]());

/** What one call came to, without the name that it was about, and what was looked up for it. */
async function traced(work: () => Promise<unknown>, name: string) {
  const trace: string[] = [];
  const { get, deltaNamed } = CatalogView.prototype;
  const spies = [
    vi.spyOn(CatalogView.prototype, "get").mockImplementation(function (this: CatalogView, kind, id) {
      trace.push(kind);
      return get.call(this, kind, id) as never;
    }),
    vi.spyOn(CatalogView.prototype, "deltaNamed").mockImplementation(function (this: CatalogView, tenantId, wanted) {
      trace.push("delta by name");
      return deltaNamed.call(this, tenantId, wanted);
    }),
  ];
  const outcome = await outcomeOf(work);
  for (const spy of spies) spy.mockRestore();
  if (outcome.kind === "answer") return { trace, outcome: JSON.stringify(outcome.answer ?? null).replaceAll(name, "…") };
  const { code, reason, message, detail, retry } = outcome.fault;
  return { trace, outcome: JSON.stringify({ code, reason, message, detail, retry }).replaceAll(name, "…") };
}

test("every RPC that a tenant may call is asked for what is someone else's", () => {
  const callable = RPCS.filter(({ rule }) => rule === "infer" || rule === "train").map(({ method }) => method.path);
  expect(Object.keys(NAMED).sort()).toEqual(callable.sort());
});

describe("what is someone else's is answered like what does not exist, after the same look-ups", () => {
  const cases = RPCS.flatMap(({ method }) => {
    const named = NAMED[method.path];
    return named === undefined || named === "nothing" ? [] : named.kinds.map((kind) => [method.path, kind, method, named.request] as const);
  });
  test.each(cases)("%s: %s", async (_path, kind, method, request) => {
    const { present, missing } = pairs.find((pair) => pair.kind === kind)!;
    const foreign = await traced(() => call(stranger, method, request(present)), present);
    const unknown = await traced(() => call(stranger, method, request(missing)), missing);
    expect(foreign).toEqual(unknown);
    expect(foreign.outcome).not.toContain(OWNER);
  });

  test.each(RPCS.filter(({ method }) => NAMED[method.path] === "nothing").map(({ method }) => [method.path, method] as const))(
    "%s tells nothing of it",
    async (_path, method) => {
      const outcome = await outcomeOf(() => call(stranger, method, method.requestDeserialize(Buffer.alloc(0))));
      expect(JSON.stringify(outcome)).not.toContain(OWNER);
    },
  );
});

test("a key that is unknown, of a wrong secret, revoked or expired is answered alike, after the same look-ups", async () => {
  const kinds = ["unknown key", "wrong secret", "revoked key", "expired key"] as const;
  const traces: Awaited<ReturnType<typeof traced>>[] = [];
  for (const kind of kinds) traces.push(await traced(() => live.under.router.core.authenticate(live.credential(kind)), kind));
  const [first, ...others] = traces;
  expect(first!.trace).toEqual(["key"]);
  for (const other of others) expect(other).toEqual(first);
});

describe("over HTTP too", () => {
  const bodies: Readonly<Record<string, (name: string) => object>> = {
    "/v1/completions": (model) => ({ model, prompt: "hello" }),
    "/v1/chat/completions": (model) => ({ model, messages: [{ role: "user", content: "hello" }] }),
  };
  const ask = async (method: string, path: string, body: object | undefined) => {
    const headers = { authorization: `Bearer ${strangerKey}`, ...(body && { "content-type": "application/json" }) };
    const answer = await fetch(live.http + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    return { status: answer.status, body: await answer.text() };
  };
  const same = async (method: string, pathOf: (name: string) => string, bodyOf: ((name: string) => object) | undefined, pair: NamePair) => {
    const of = (name: string) =>
      traced(async () => {
        const { status, body } = await ask(method, pathOf(encodeURIComponent(name)), bodyOf?.(name));
        return { status, body: body.replaceAll(name, "…") };
      }, name);
    const [foreign, unknown] = [await of(pair.present), await of(pair.missing)];
    expect(foreign).toEqual(unknown);
    expect(JSON.parse(foreign.outcome)).toMatchObject({ status: 404 });
  };

  test.each(HTTP_ROUTES.filter(({ path }) => path.includes("*") || path in bodies).map((route) => [route.method, route.path] as const))(
    "%s %s",
    async (method, path) => {
      for (const pair of pairs.filter(({ kind }) => (models as readonly string[]).includes(kind)))
        await same(method, (name) => path.replace("*", name), bodies[path], pair);
    },
  );

  const kindsOf = (path: string): readonly string[] => (path.includes("deltas") ? models : [path.includes("fine_tuning") ? "job" : "file"]);
  // What only operators may ask for is nobody's in particular: whose key is not theirs is refused before any name is looked at.
  const tenants = HTTP_ROUTES.filter(({ scope }) => scope !== "operator");
  test.each(tenants.filter(({ path }) => path.includes(":id")).map((route) => [route.method, route.path] as const))(
    "%s %s",
    async (method, path) => {
      for (const pair of pairs.filter(({ kind }) => kindsOf(path).includes(kind)))
        await same(method, (id) => path.replace(":id", id), undefined, pair);
    },
  );

  test.each(["/v1/account/spending", "/v1/account/prices", "/v1/usage", "/v1/invoices/2026-11", "/v1/exports/csv"])(
    "GET %s of a tenant",
    async (path) => {
      await same("GET", (id) => `${path}?tenant_id=${id}`, undefined, pairs.find(({ kind }) => kind === "tenant")!);
    },
  );
});
