import type { IncomingMessage, ServerResponse } from 'node:http'
import { Probes, type ProbeOptions, type ProbeResponse } from './probes.ts'

/** A listener for `request` of a `node:http` server, and a middleware for Connect and Express. */
export type NodeHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: () => void,
) => void

/**
 * Answers `/livez`, `/readyz`, `/startupz` and `/metrics`. All else goes to `next` if given, then to
 * `fallback`, and is otherwise answered with 404.
 */
export function createNodeHandler(
  options: ProbeOptions,
  fallback?: (request: IncomingMessage, response: ServerResponse) => void,
): NodeHandler {
  const probes = new Probes(options)
  return (request, response, next) => {
    const { method = 'GET', url: target = '/', headers } = request
    const answer = probes.answer({ method, target, accept: headers.accept })
    if (answer !== undefined) void answer.then((found) => send(request, response, found))
    else if (next !== undefined) next()
    else if (fallback !== undefined) fallback(request, response)
    else response.writeHead(404).end()
  }
}

function send(request: IncomingMessage, response: ServerResponse, found: ProbeResponse): void {
  response.writeHead(found.status, found.headers)
  response.end(request.method === 'HEAD' ? undefined : found.body)
}
