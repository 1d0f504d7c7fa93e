import type { FastifyPluginCallback } from 'fastify'
import { Probes, type ProbeOptions } from './probes.ts'

/**
 * Adds `/livez`, `/readyz`, `/startupz` and `/metrics` to a Fastify app, below the `prefix` given to
 * `register`. Their requests are logged from `warn` up only, since probes come every few seconds.
 */
export const probePlugin: FastifyPluginCallback<ProbeOptions> = (app, options, done) => {
  const probes = new Probes(options)
  for (const [url, endpoint] of probes.endpoints) {
    app.get(url, { exposeHeadRoute: true, logLevel: 'warn' }, async (request, reply) => {
      const { method, url: target, headers: asked } = request
      const answer = await probes.ask(endpoint, { method, target, accept: asked.accept })
      const { status, headers, body } = answer
      return reply.code(status).headers(headers).send(body)
    })
  }
  done()
}
