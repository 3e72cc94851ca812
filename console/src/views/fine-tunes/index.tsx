import { route } from "../../routing/index.ts";
import { ComparePage } from "./compare-page.tsx";
import { JobListPage } from "./job-list-page.tsx";
import { JobPage } from "./job-page.tsx";
import { NewJobPage } from "./new-job-page.tsx";
import { SweepPage } from "./sweep-page.tsx";
import "./fine-tunes.css";

/** `#/fine-tunes`, `/new`, `/compare?jobs=…`, `/sweep/<id>`, `/<job>` */
export default function FineTunesView() {
  const [first, second] = route.value.rest;
  if (first === undefined || first === "") return <JobListPage />;
  if (first === "new") return <NewJobPage />;
  if (first === "compare") return <ComparePage />;
  if (first === "sweep" && second !== undefined) return <SweepPage key={second} sweep={second} />;
  return <JobPage key={first} id={first} />;
}
