import { post, remove } from "../../api/index.ts";

export interface TrainingFile {
  readonly id: string;
  readonly filename: string;
  readonly bytes: number;
}

/** One thing that was found in a file. */
export interface PreparationStep {
  readonly check: string;
  readonly kind: "note" | "necessary" | "recommended";
  readonly message: string;
  readonly applied: boolean;
  readonly dropped: { readonly rows: number; readonly first_lines: readonly number[] } | null;
}

/** `fine_tuning.preparation` */
export interface Preparation {
  readonly format: string;
  readonly kind: "completion" | "chat";
  readonly task: string;
  readonly classes: number | null;
  readonly rows: { readonly read: number; readonly kept: number; readonly dropped: number };
  readonly tokens: { readonly total: number; readonly median: number; readonly longest: number; readonly longest_line: number };
  readonly steps: readonly PreparationStep[];
  readonly separator: string | null;
  readonly stop: string | null;
  readonly epochs: number;
  readonly epochs_reason: string;
  readonly trained_tokens: number;
  readonly estimated_seconds: number;
  readonly training_file: TrainingFile;
  readonly validation_file: TrainingFile | null;
}

export interface PreparationWish {
  readonly model: string;
  /** Checks whose recommendation is not to be followed. */
  readonly declined: readonly string[];
  /** Whether some examples are held out. */
  readonly split: boolean;
}

export function upload(file: File, signal: AbortSignal): Promise<TrainingFile> {
  const form = new FormData();
  form.append("purpose", "fine-tune");
  form.append("file", file, file.name);
  return post<TrainingFile>("/v1/files", form, { signal });
}

export function prepare(file: TrainingFile, wish: PreparationWish, signal: AbortSignal): Promise<Preparation> {
  return post<Preparation>("/v1/fine_tuning/preparations", { file: file.id, ...wish }, { signal });
}

/** What an earlier preparation wrote, and nobody trains on. */
export async function discard({ training_file, validation_file }: Preparation, uploaded: TrainingFile): Promise<void> {
  for (const file of [training_file, validation_file]) if (file && file.id !== uploaded.id) await remove(`/v1/files/${file.id}`);
}
