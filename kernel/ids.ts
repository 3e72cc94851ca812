/**
 * Identities. Each is a string with a brand, so that a tenant can't be passed where a node is meant.
 * Names that clients say (aliases, `ft:` names) are plain strings: they resolve to these, and no cache key is built from them.
 */
declare const brand: unique symbol;
type Id<Kind extends string> = string & { readonly [brand]: Kind };

/** A customer: owns deltas, keys and aliases, and gets the bill. Matches {@link NAME_PATTERN}. */
export type TenantId = Id<"tenant">;
/** A part of a tenant's business, with keys and bills of its own. Matches {@link NAME_PATTERN}; unique within its tenant. */
export type ProjectId = Id<"project">;
/** One node agent. */
export type NodeId = Id<"node">;
/** SHA-256 (hex) over a base model's configuration, tokenizer and weights. */
export type BaseDigest = Id<"base">;
/** SHA-256 (hex) over a delta's canonical weights and configuration, its tenant and its base digest. */
export type DeltaDigest = Id<"delta">;
/** One request, over all of its attempts. */
export type RequestId = Id<"request">;
/** The public half of an API key. */
export type KeyId = Id<"key">;

/** What a tenant, a base or an alias may be called; also safe as a file name and a store key. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** 64 lower-case hexadecimal digits. */
export const DIGEST_PATTERN = /^[0-9a-f]{64}$/;

export const asTenantId = (text: string): TenantId => text as TenantId;
export const asProjectId = (text: string): ProjectId => text as ProjectId;
export const asNodeId = (text: string): NodeId => text as NodeId;
export const asBaseDigest = (text: string): BaseDigest => text as BaseDigest;
export const asDeltaDigest = (text: string): DeltaDigest => text as DeltaDigest;
export const asRequestId = (text: string): RequestId => text as RequestId;
export const asKeyId = (text: string): KeyId => text as KeyId;
