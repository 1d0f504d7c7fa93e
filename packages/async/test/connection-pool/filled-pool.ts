import {
  ConnectionPool,
  type ConnectionPoolOptions,
  type ResourceFactory,
} from '@dharma/async/connection-pool'
import type { Resource, TrackedFactory } from './tracked-factory.ts'

/** A pool with `count` idle resources, of a factory to which `extra` was added. */
export async function filledPool(
  factory: TrackedFactory,
  count: number,
  options: ConnectionPoolOptions,
  extra: Partial<ResourceFactory<Resource>> = {},
): Promise<ConnectionPool<Resource>> {
  const pool = new ConnectionPool<Resource>(Object.assign(factory, extra), options)
  const leases = await Promise.all(Array.from({ length: count }, () => pool.acquire()))
  for (const lease of leases) lease.release()
  return pool
}
