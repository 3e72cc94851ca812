import { printData, printRows } from "../output.ts";
import type { DemoModel } from "./demo.ts";
import type { EmbeddedCluster } from "./embedded-cluster.ts";

/** The line that scripts wait for. */
export function readyLine(cluster: EmbeddedCluster): string {
  return `deltaplane ready http=${cluster.http} grpc=${cluster.grpcAddress} metrics=${cluster.metrics}`;
}

/** What a newcomer needs next: models, keys, and one example each to copy. */
export function printDemo(cluster: EmbeddedCluster, models: readonly DemoModel[]): void {
  printData("");
  printRows("table", models, [
    { title: "model", value: (demo) => demo.model },
    { title: "does", value: (demo) => demo.does },
    { title: "key", value: (demo) => demo.key },
  ]);
  const [first, , third] = models;
  if (!first || !third) return;
  printData(`
curl ${cluster.http}/v1/completions -H "authorization: Bearer ${first.key}" -H "content-type: application/json" \\
  -d '${JSON.stringify({ model: first.model, prompt: `${first.prompt}\n`, temperature: 0 })}'

openai (npm)
  const openai = new OpenAI({ baseURL: "${cluster.http}/v1", apiKey: "${third.key}" });
  await openai.chat.completions.create({ model: "${third.model}", temperature: 0, messages: [{ role: "user", content: ${JSON.stringify(third.prompt)} }] });

grpcurl -plaintext -H "authorization: Bearer ${first.key}" \\
  -d '${JSON.stringify({ model: first.model, prompt: { text: `${first.prompt}\n` }, sampling: { temperature: 0 } })}' \\
  ${cluster.grpcAddress} deltaplane.v1.InferenceService/Generate

npx deltaplane run ${third.model} ${JSON.stringify(third.prompt)} --temperature 0
npx deltaplane usage
`);
}
