import { Probes, type ProbeOptions } from './probes.ts'

/** A handler in the shape of the Fetch standard, as Hono, Bun, Deno and service workers take it. */
export type FetchHandler = (request: Request) => Promise<Response>

/**
 * Answers `/livez`, `/readyz`, `/startupz` and `/metrics`. All else goes to `fallback`, and is
 * answered with 404 without one.
 */
export function createFetchHandler(options: ProbeOptions, fallback?: FetchHandler): FetchHandler {
  const probes = new Probes(options)
  return async (request) => {
    const { pathname, search } = new URL(request.url)
    const answer = await probes.answer({
      method: request.method,
      target: `${pathname}${search}`,
      accept: request.headers.get('accept'),
    })
    if (answer === undefined) return fallback?.(request) ?? new Response(null, { status: 404 })
    const { status, headers, body } = answer
    return new Response(request.method === 'HEAD' ? null : body, { status, headers })
  }
}
