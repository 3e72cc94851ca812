import { createConnection } from "node:net";

/** One command to a server on this machine, past any client. Gives the reply as it came. */
export function rawCommand(port: number, ...words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1", () => {
      socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
    });
    socket.once("data", (bytes) => {
      socket.destroy();
      resolve(String(bytes).trim());
    });
    socket.once("error", reject);
  });
}
