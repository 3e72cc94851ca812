import { totalmem } from "node:os";
import { type Bytes, Fault } from "#kernel";
import type { MemoryRoom, Provider } from "#node-agent";
import { type GraphicsCard, graphicsCards } from "./graphics-cards.ts";
import { type VulkanDriver, vulkanDrivers } from "./vulkan-drivers.ts";

/** Where the engines of this process's nodes compute. */
export interface EnginePlace {
  /** For people and labels. */
  readonly device: string;
  readonly room: MemoryRoom;
}

/** What can be found out about the machine without a library; {@link lookAround} does. */
export interface Surroundings {
  readonly platform: NodeJS.Platform;
  readonly memory: MemoryRoom;
  readonly drivers: readonly VulkanDriver[];
  readonly cards: readonly GraphicsCard[];
}

/** Of a card's memory; the rest is the driver's, and its display's. */
const CARD_SHARE = 0.95;
/** Of the machine's memory where device and programs share it: those want some, too. */
const SHARED_SHARE = 0.5;

export function lookAround(): Surroundings {
  const { platform } = process;
  const memory = machineMemory();
  const drivers = platform === "linux" ? vulkanDrivers(process.env) : [];
  return { platform, memory, drivers, cards: platform === "linux" ? graphicsCards() : [] };
}

/** What the container may take, or else the machine's memory. */
function machineMemory(): MemoryRoom {
  const limitBytes = process.constrainedMemory() ?? 0;
  const totalBytes = totalmem();
  if (limitBytes > 0 && limitBytes < totalBytes) return { sizeBytes: limitBytes, source: "the container" };
  return { sizeBytes: totalBytes, source: "this machine" };
}

/** @throws Fault parameter_unsupported without a driver; parameter_invalid when the device's memory is neither known nor told. */
export function placeEngines(provider: Provider, toldBytes: Bytes | undefined, around: Surroundings): EnginePlace {
  const told: MemoryRoom | undefined = toldBytes === undefined ? undefined : { sizeBytes: toldBytes, source: "--memory-mib" };
  if (provider === "cpu") return { device: "cpu", room: told ?? around.memory };
  const device = deviceName(around);
  const room = told ?? deviceMemory(around);
  if (room) return { device, room };
  if (around.platform === "linux" && around.drivers.length === 0) {
    throw new Fault(
      "parameter_unsupported",
      `--ep ${provider}: there is no Vulkan driver here; \`deltaplane doctor\` tells what is missing`,
      {
        detail: { field: "ep" },
      },
    );
  }
  throw new Fault("parameter_invalid", `option memory-mib: how much memory ${device} has is not known here, so it has to be said`, {
    detail: { field: "memory-mib" },
  });
}

/** The first card that a driver is there for; a software device computes on the processor. */
export function deviceName({ platform, cards, drivers }: Surroundings): string {
  if (platform === "darwin") return "Metal";
  if (platform === "win32") return "D3D12";
  if (isSoftware(drivers)) return drivers[0]!.library;
  const [card] = cards;
  if (card) return `${card.name} (${card.driver})`;
  return drivers[0]?.library ?? "the device";
}

function deviceMemory({ platform, memory, cards, drivers }: Surroundings): MemoryRoom | undefined {
  if (platform === "darwin" || isSoftware(drivers)) {
    return { sizeBytes: Math.floor(SHARED_SHARE * memory.sizeBytes), source: `the device's half of ${memory.source}` };
  }
  const [card] = cards;
  if (card?.memoryBytes === undefined) return undefined;
  return { sizeBytes: Math.floor(CARD_SHARE * card.memoryBytes), source: `${card.name}, less a twentieth for its driver,` };
}

function isSoftware(drivers: readonly VulkanDriver[]): boolean {
  return drivers.length > 0 && drivers.every(({ software }) => software);
}
