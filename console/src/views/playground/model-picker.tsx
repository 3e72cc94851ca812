import type { Model } from "../../api/index.ts";
import { Select } from "../../components/index.ts";

interface ModelPickerProps {
  readonly label: string;
  readonly models: readonly Model[];
  readonly value: string;
  readonly onChange: (model: string) => void;
}

/** Aliases, which are what one calls; then the deltas themselves, newest first; then bases. */
export function ModelPicker({ label, models, value, onChange }: ModelPickerProps) {
  const aliases = models.filter(({ id, root, parent }) => parent !== null && id !== root);
  const deltas = models
    .filter(({ id, root, parent }) => parent !== null && id === root)
    .toSorted((one, other) => other.created - one.created);
  const bases = models.filter(({ parent }) => parent === null);
  const group = (title: string, members: readonly Model[]) =>
    members.length === 0 ? [] : [{ label: title, options: members.map(({ id }) => ({ value: id })) }];
  const known = value === "" || models.some(({ id }) => id === value);
  const options = [
    ...group("Aliases", aliases),
    ...group("Fine-tuned", deltas),
    ...group("Bases", bases),
    ...(known ? [] : [{ label: "Not in your list", options: [{ value }] }]),
  ];
  return <Select label={label} value={value} options={options} onChange={onChange} />;
}
