import { Fault } from "#kernel";
import { type GrpcChannel, ModelServiceService } from "#proto";

/** The name of the base, where there is but one. @throws Fault parameter_invalid when there are several */
export async function onlyBase(channel: GrpcChannel): Promise<string> {
  const { bases } = await channel.unary(ModelServiceService.listBases, {});
  if (bases.length === 1) return bases[0]!.name;
  const names = bases.map(({ name }) => name).join(", ");
  throw new Fault("parameter_invalid", `name the base with -m; there are ${names || "none"}`, { detail: { field: "model" } });
}
