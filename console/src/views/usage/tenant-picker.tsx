import { useId } from "preact/hooks";
import { get, useResource } from "../../api/index.ts";
import type { TenantList } from "./shapes.ts";
import { type Part, show } from "./whose.ts";

/** An operator chooses whose numbers are shown. Any tenant can be typed; the first hundred are offered. */
export function TenantPicker({ tenant, part }: { readonly tenant: string; readonly part: Part }) {
  const id = useId();
  const { state } = useResource((signal) => get<TenantList>("/v1/admin/tenants", {}, signal), []);
  return (
    <div class="field tenant-picker">
      <label for={id}>Tenant</label>
      <input
        id={id}
        type="text"
        list={`${id}-list`}
        value={tenant}
        placeholder="all tenants"
        autocomplete="off"
        spellcheck={false}
        onChange={(event) => show(part, event.currentTarget.value.trim())}
      />
      <datalist id={`${id}-list`}>
        {state.value.value?.data.map((each) => (
          <option key={each.id} value={each.id} />
        ))}
      </datalist>
    </div>
  );
}
