import { useSignal } from "@preact/signals";
import { type ApiFailure, ask, failureFrom, pathOf } from "../../api/index.ts";
import { Button, Failure } from "../../components/index.ts";

const FORMATS = [
  { id: "csv", label: "CSV", what: "a row for each request and correction" },
  { id: "focus", label: "FOCUS 1.2", what: "for cloud-cost tools" },
  { id: "cloudevents", label: "CloudEvents", what: "for OpenMeter" },
  { id: "stripe", label: "Stripe", what: "billing meter events by the hour" },
  { id: "lago", label: "Lago", what: "events in batches" },
] as const;

/** A file is asked for with the key, which a link could not show; the browser saves what came. */
export function ExportButtons({ tenant, month }: { readonly tenant: string; readonly month: string }) {
  const busy = useSignal<string | undefined>(undefined);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const save = async (format: string) => {
    busy.value = format;
    failure.value = undefined;
    try {
      const query = new URLSearchParams({ month, ...(tenant !== "" && { tenant_id: tenant }) });
      const response = await ask("GET", `/v1/exports${pathOf(format)}?${query}`);
      const name = /filename="([\w.-]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1];
      saveAs(await response.blob(), name ?? `${month}-${format}`);
    } catch (error) {
      failure.value = failureFrom(error);
    }
    busy.value = undefined;
  };
  return (
    <>
      {failure.value && <Failure failure={failure.value} />}
      <ul class="exports">
        {FORMATS.map(({ id, label, what }) => (
          <li key={id}>
            <Button icon="download" busy={busy.value === id} disabled={busy.value !== undefined} onPress={() => void save(id)}>
              {label}
            </Button>
            <span class="small muted">{what}</span>
          </li>
        ))}
      </ul>
      <p class="small muted">
        {tenant === "" ? "Of all tenants, for the month above." : `Of ${tenant}, for the month above.`} Each comes to the invoice of a
        closed month; what is exported before may grow, and is told again under a new revision.
      </p>
    </>
  );
}

function saveAs(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000); // Not before the browser has begun to read it.
}
