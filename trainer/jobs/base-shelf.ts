import { Fault } from "#kernel";
import { type BaseInfo, openCheckpoint, openTextCodec } from "#model";
import type { TrainingBase } from "../data/index.ts";

/** A base that is trained on, and where it lies. */
export interface ShelvedBase extends TrainingBase {
  readonly info: BaseInfo;
  readonly directory: string;
}

/** Of bases that were opened: a tokenizer is some megabytes. */
const BASES_MAX = 8;

/** The bases of one trainer, each opened once: that reads all of its weights. */
export class BaseShelf {
  readonly #directories: ReadonlyMap<string, string>;
  readonly #openFolder: (location: string) => Promise<string>;
  readonly #opened = new Map<string, Promise<ShelvedBase>>();

  /** `own`: folders that this trainer knows by itself, by the base's name; `openFolder`: where a location lies on this machine. */
  constructor(
    own: readonly { readonly name: string; readonly directory: string }[],
    openFolder: (location: string) => Promise<string> = async (location) => location,
  ) {
    this.#openFolder = openFolder;
    this.#directories = new Map(own.map(({ name, directory }) => [name, directory]));
  }

  get names(): readonly string[] {
    return [...this.#directories.keys()];
  }

  /** @throws Fault delta_base_mismatch when the folder holds another base; those of openCheckpoint */
  async open(name: string, digest: string, directory: string): Promise<ShelvedBase> {
    const place = this.#directories.get(name) ?? directory;
    const key = `${name} ${place}`;
    const opening = this.#opened.get(key) ?? this.#openFolder(place).then((folder) => openBase(name, folder));
    this.#opened.delete(key);
    this.#opened.set(key, opening);
    for (const oldest of [...this.#opened.keys()].slice(0, -BASES_MAX)) this.#opened.delete(oldest);
    try {
      const base = await opening;
      if (base.info.digest === digest) return base;
    } catch (error) {
      this.#opened.delete(key);
      throw error;
    }
    this.#opened.delete(key);
    throw new Fault("delta_base_mismatch", `the folder of the base ${name} on this trainer holds another base`);
  }
}

async function openBase(name: string, directory: string): Promise<ShelvedBase> {
  const { info } = await openCheckpoint(directory, { name });
  return { info, codec: await openTextCodec(directory, info), directory };
}
