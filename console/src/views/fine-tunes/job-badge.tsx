import { Badge } from "../../components/index.ts";
import type { Job, JobStatus } from "./job.ts";

const KINDS: Readonly<Record<JobStatus, "plain" | "accent" | "good" | "warn" | "bad">> = {
  validating_files: "accent",
  queued: "plain",
  running: "accent",
  paused: "warn",
  succeeded: "good",
  failed: "bad",
  cancelled: "plain",
};

export function JobBadge({ job }: { readonly job: Job }) {
  return <Badge kind={KINDS[job.status] ?? "plain"}>{job.status.replaceAll("_", " ")}</Badge>;
}
