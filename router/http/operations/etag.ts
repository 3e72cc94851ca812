import type { FastifyReply, FastifyRequest } from "fastify";
import { sha256Hex } from "#kernel";

/**
 * Sends JSON, or 304 without a body when the client has the same already. What the console looks at live it asks for once
 * a second, rather than being told over a stream: nodes report no more often; each question is checked against the key as
 * it is now, so a revoked one sees nothing more; nothing is held open, so routers drain at once and any of them may answer;
 * a client that is slow asks less; and a page that nobody looks at stops asking. While nothing changes an answer is a header.
 */
export function sendFresh(request: FastifyRequest, reply: FastifyReply, value: object): FastifyReply {
  const body = JSON.stringify(value);
  const tag = `"${sha256Hex(body).slice(0, 32)}"`;
  reply.header("etag", tag);
  if (request.headers["if-none-match"] === tag) return reply.status(304).send();
  return reply.type("application/json; charset=utf-8").send(body);
}
