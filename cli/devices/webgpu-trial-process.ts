import { InferenceSession, Tensor } from "onnxruntime-node";
import { GraphBuilder } from "#model";

// Adds two and two on the device. A program of its own, because a driver that is not well may end the process that tries it.

const graph = new GraphBuilder();
const x = graph.input("x", "float32", [2]);
graph.output("y", graph.op("Add", [x, x]), "float32", [2]);
const session = await InferenceSession.create(graph.finish(), { executionProviders: ["webgpu"] });
const { y } = await session.run({ x: new Tensor("float32", Float32Array.of(2, 21), [2]) });
process.send!({ sums: [...(y!.data as Float32Array)] });
await session.release(); // Before the end: what is left on a device makes the library abort.
process.disconnect();
