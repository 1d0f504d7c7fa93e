export { probePlugin } from './fastify-plugin.ts'
export { createFetchHandler, type FetchHandler } from './fetch-handler.ts'
export {
  createGracefulServer,
  type GracefulServer,
  type GracefulServerOptions,
} from './graceful-server.ts'
export { createNodeHandler, type NodeHandler } from './node-handler.ts'
export type { Endpoint, ProbeOptions } from './probes.ts'
