import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startContainer } from '../docker/start-container.ts'
import { isDockerAvailable } from '../lookup/docker-engine.ts'
import {
  EnvironmentServer,
  environmentUrl,
  environmentVariable,
  replaceAddress,
} from '../lookup/environment-server.ts'
import type { Executable } from '../lookup/executable.ts'
import { firstAvailable } from '../lookup/first-available.ts'
import { once } from '../lookup/once.ts'
import { ManagedServer } from '../process/managed-server.ts'
import type { ServerRuntime } from '../process/server-runtime.ts'
import { startOnFreePort } from '../process/start-on-free-port.ts'
import { createServerFolder, ServerProcess } from '../process/server-process.ts'
import { readyTimeoutOf, type Address, type Origin, type TestServer } from '../test-server.ts'
import { REDIS_ADVICE, redisExecutableWays } from './redis-executable.ts'
import { needsOwnServer, redisConfigText, type RedisOptions } from './redis-options.ts'
import { probeRedis } from './redis-probe.ts'

const IMAGE = 'redis:8-alpine'

/**
 * A Redis, or a Valkey, which serves the same clients. Without persistence unless `config` says otherwise.
 * @throws ServerUnavailableError where no way leads to one, with all that was tried.
 */
export async function startRedis(options: RedisOptions = {}): Promise<TestServer> {
  const given = needsOwnServer(options) ? undefined : environmentUrl('redis')
  if (given !== undefined) {
    return new EnvironmentServer('redis', given, 6379, (address) => replaceAddress(given, address))
  }
  // Files of this machine are not in a container, so a server that needs some runs as a process.
  const needsFiles = options.tls !== undefined || options.configFile !== undefined
  if (!needsFiles && (await isDockerAvailable())) return startRedisContainer(options)
  return startRedisProcess(await redisExecutable(), options)
}

/** The program that serves Redis on this machine, looked up once per process. */
export const redisExecutable: () => Promise<Executable> = once(() =>
  firstAvailable(
    'redis',
    [
      {
        origin: 'environment',
        what: environmentVariable('redis'),
        find: async () => ({ refusal: 'is not set, or a dedicated server is wanted' }),
      },
      {
        origin: 'docker',
        what: 'a container engine',
        find: async () => ({ refusal: 'none answers' }),
      },
      ...redisExecutableWays,
    ],
    REDIS_ADVICE,
  ),
)

/** A Redis as a process of this machine. */
export function startRedisProcess(
  { origin, path, env }: Executable,
  options: RedisOptions = {},
  mode: readonly string[] = [],
): Promise<TestServer> {
  return startOnFreePort(async (port) => {
    const folder = await createServerFolder('redis')
    const aclFile = options.users === undefined ? undefined : join(folder, 'users.acl')
    if (aclFile !== undefined) await writeFile(aclFile, `${options.users?.join('\n')}\n`)
    const configFile = join(folder, 'redis.conf')
    const place = { port, bind: '127.0.0.1', folder: join(folder, 'data'), aclFile }
    await writeFile(configFile, redisConfigText(options, place))
    await chmod(configFile, 0o600)
    const runtime = new ServerProcess({
      name: `redis on port ${port}`,
      folder,
      command: path,
      args: [configFile, ...mode],
      env,
    })
    return redisServer(origin, { host: '127.0.0.1', port }, runtime, options)
  }, options.signal)
}

async function startRedisContainer(options: RedisOptions): Promise<TestServer> {
  return startOnFreePort(async (port) => {
    const aclFile = options.users === undefined ? undefined : '/testkit/users.acl'
    const place = { port, bind: '0.0.0.0', folder: '/data', aclFile }
    const runtime = await startContainer({
      image: IMAGE,
      port,
      command: ['redis-server', '/testkit/redis.conf'],
      files: {
        '/testkit/redis.conf': redisConfigText(options, place),
        ...(aclFile === undefined ? {} : { [aclFile]: `${options.users?.join('\n')}\n` }),
      },
    })
    return redisServer('docker', { host: runtime.host, port }, runtime, options)
  }, options.signal)
}

function redisServer(
  origin: Origin,
  address: Address,
  runtime: ServerRuntime,
  options: RedisOptions,
): ManagedServer {
  const scheme = options.tls === undefined ? 'redis' : 'rediss'
  return new ManagedServer({
    kind: 'redis',
    origin,
    ...address,
    urlAt: ({ host, port }) => `${scheme}://${host}:${port}`,
    runtime,
    probe: () => probeRedis(address, options.tls !== undefined),
    readyTimeoutMs: readyTimeoutOf(options),
  })
}
