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
import { createServerFolder, ServerProcess } from '../process/server-process.ts'
import { startOnFreePort } from '../process/start-on-free-port.ts'
import {
  readyTimeoutOf,
  type Address,
  type Origin,
  type StartOptions,
  type TestServer,
} from '../test-server.ts'
import { MONGO_ADVICE, mongoExecutableWays } from './mongo-executable.ts'
import { probeMongo, REPLICA_SET } from './mongo-probe.ts'

/** What {@link startMongo} takes. */
export interface MongoOptions extends StartOptions {
  /** Server parameters (`--setParameter`), for example `{ ttlMonitorSleepSecs: 1 }`. Makes the server a dedicated one. */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>
}

const IMAGE = 'mongo:8'
const PARAMETERS = { diagnosticDataCollectionEnabled: false }

/**
 * A MongoDB as a replica set of one node, so that transactions and change streams work. The URL of
 * `urlThrough()` connects directly: a client that discovers the set would go round the proxy.
 * @throws ServerUnavailableError where no way leads to one, with all that was tried.
 */
export async function startMongo(options: MongoOptions = {}): Promise<TestServer> {
  const isOwn = options.dedicated === true || options.parameters !== undefined
  const given = isOwn ? undefined : environmentUrl('mongo')
  if (given !== undefined) {
    return new EnvironmentServer('mongo', given, 27_017, (address) => directUrl(given, address))
  }
  if (await isDockerAvailable()) return startMongoContainer(options)
  return startMongoProcess(await mongoExecutable(), options)
}

const mongoExecutable: () => Promise<Executable> = once(() =>
  firstAvailable(
    'mongo',
    [
      {
        origin: 'environment',
        what: environmentVariable('mongo'),
        find: async () => ({ refusal: 'is not set, or a dedicated server is wanted' }),
      },
      {
        origin: 'docker',
        what: 'a container engine',
        find: async () => ({ refusal: 'none answers' }),
      },
      ...mongoExecutableWays,
    ],
    MONGO_ADVICE,
  ),
)

function startMongoProcess(
  { origin, path, env }: Executable,
  options: MongoOptions,
): Promise<TestServer> {
  return startOnFreePort(async (port) => {
    const folder = await createServerFolder('mongo')
    const args = ['--dbpath', join(folder, 'data'), '--bind_ip', '127.0.0.1', '--nounixsocket']
    const runtime = new ServerProcess({
      name: `mongo on port ${port}`,
      folder,
      command: path,
      args: [...args, ...commonArguments(port, options)],
      env,
    })
    return mongoServer(origin, { host: '127.0.0.1', port }, runtime, options)
  }, options.signal)
}

function startMongoContainer(options: MongoOptions): Promise<TestServer> {
  return startOnFreePort(async (port) => {
    const runtime = await startContainer({
      image: IMAGE,
      port,
      command: ['mongod', '--bind_ip_all', ...commonArguments(port, options)],
    })
    return mongoServer('docker', { host: runtime.host, port }, runtime, options)
  }, options.signal)
}

function commonArguments(port: number, options: MongoOptions): readonly string[] {
  const parameters = Object.entries({ ...PARAMETERS, ...options.parameters })
  return [
    `--port=${port}`,
    `--replSet=${REPLICA_SET}`,
    '--oplogSize=64',
    '--wiredTigerCacheSizeGB=0.25',
    '--quiet',
    ...parameters.flatMap(([name, value]) => ['--setParameter', `${name}=${value}`]),
  ]
}

function mongoServer(
  origin: Origin,
  address: Address,
  runtime: ServerRuntime,
  options: MongoOptions,
): ManagedServer {
  const own = `mongodb://${address.host}:${address.port}/?replicaSet=${REPLICA_SET}`
  return new ManagedServer({
    kind: 'mongo',
    origin,
    ...address,
    urlAt: ({ host, port }) =>
      host === address.host && port === address.port ? own : directUrl(own, { host, port }),
    runtime,
    probe: () => probeMongo(address),
    readyTimeoutMs: readyTimeoutOf(options),
  })
}

function directUrl(url: string, address: Address): string {
  const direct = new URL(replaceAddress(url, address))
  direct.searchParams.delete('replicaSet')
  direct.searchParams.set('directConnection', 'true')
  return direct.href
}
