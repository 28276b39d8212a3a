import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { PROBLEM_TYPE, problemOf } from "./problem.ts";

/**
 * Answers what never became a request: broken HTTP, headers past the limit, a request that did not arrive in time.
 * The connection ends, because its next byte has no known meaning.
 */
export function answerClientError(error: Error & { code: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  // The parser's message can hold bytes of the request; its code is enough.
  const known = Object.assign(new Error(`not HTTP: ${error.code}`), {
    code: error.code,
    statusCode: 400,
  });
  const problem = problemOf(known, randomUUID());
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
