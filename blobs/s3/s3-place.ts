import { Fault } from "#kernel";

/** Where in which S3-compatible store. Credentials are not part of it: they come from the SDK's usual environment. */
export interface S3Place {
  readonly bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
  /** Undefined: the SDK's own choice, by AWS_ENDPOINT_URL_S3 or the region. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** `http://host/bucket/key` instead of `http://bucket.host/key`: what most stores other than AWS want. */
  readonly pathStyle: boolean;
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const PARAMETERS = new Set(["endpoint", "region", "path-style"]);

/** Reads `s3://bucket/prefix?endpoint=http://…&region=…&path-style=true`. @throws Fault parameter_invalid */
export function parseS3Url(text: string): S3Place {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "s3:" || !BUCKET.test(url.hostname) || url.port !== "" || url.hash !== "")
    throw invalid("is not s3://bucket/prefix");
  if (url.username !== "" || url.password !== "") throw invalid("has a credential: give it by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  for (const name of url.searchParams.keys()) if (!PARAMETERS.has(name)) throw invalid(`has an unknown parameter ${name}`);
  const endpoint = url.searchParams.get("endpoint") ?? undefined;
  if (endpoint !== undefined && !(URL.canParse(endpoint) && /^https?:$/.test(new URL(endpoint).protocol)))
    throw invalid("has an endpoint that is no http(s) URL");
  const pathStyle = url.searchParams.get("path-style") ?? "false";
  if (pathStyle !== "true" && pathStyle !== "false") throw invalid("has a path-style that is neither true nor false");
  return {
    bucket: url.hostname,
    prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ""),
    endpoint,
    region: url.searchParams.get("region") ?? undefined,
    pathStyle: pathStyle === "true",
  };
}

function invalid(why: string): Fault {
  return new Fault("parameter_invalid", `the blob URL ${why}`, { detail: { field: "blobs" } });
}
