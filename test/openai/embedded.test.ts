import { openaiSuite } from "./openai-suite.ts";

openaiSuite("the embedded store", async () => ({ args: [], [Symbol.asyncDispose]: async () => undefined }));
