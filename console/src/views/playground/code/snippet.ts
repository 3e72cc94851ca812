import type { Call } from "../call.ts";
import { curlSnippet } from "./curl.ts";
import { grpcurlSnippet } from "./grpcurl.ts";
import { pythonSnippet } from "./python.ts";
import { typescriptSnippet } from "./typescript.ts";

/** Where the snippets' reader will call. The key is never in them: it is read from `DELTAPLANE_API_KEY`. */
export interface Place {
  /** `https://api.example.com` */
  readonly origin: string;
  /** `api.example.com` */
  readonly hostname: string;
  readonly encrypted: boolean;
}

/** How a call is written in one language. */
export interface Language {
  readonly id: string;
  readonly label: string;
  readonly snippet: (call: Call, place: Place) => string;
}

export const LANGUAGES: readonly Language[] = [
  { id: "curl", label: "curl", snippet: curlSnippet },
  { id: "typescript", label: "TypeScript", snippet: typescriptSnippet },
  { id: "python", label: "Python", snippet: pythonSnippet },
  { id: "grpcurl", label: "gRPC", snippet: grpcurlSnippet },
];
