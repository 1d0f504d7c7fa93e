import { ServerStartError } from '../errors.ts'
import { until } from '../process/until.ts'
import { readyTimeoutOf, type StartOptions, type TestServer } from '../test-server.ts'

/** Starts several servers at the same time; where one fails, those that started are ended again. */
export async function startAll(
  starts: readonly (() => Promise<TestServer>)[],
): Promise<readonly TestServer[]> {
  const outcomes = await Promise.allSettled(starts.map((start) => start()))
  const servers = outcomes.flatMap((outcome) =>
    outcome.status === 'fulfilled' ? [outcome.value] : [],
  )
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed === undefined) return servers
  await closeAll(servers)
  throw failed.reason
}

/** Ends servers, all at the same time. */
export async function closeAll(servers: readonly TestServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.close()))
}

/** Waits until the topology is as it should be; where it does not come to that, its servers are ended. */
export async function settle(
  name: string,
  servers: readonly TestServer[],
  isSettled: () => Promise<boolean>,
  options: StartOptions,
): Promise<void> {
  const timeoutMs = readyTimeoutOf(options)
  const look = async (): Promise<true | undefined> => ((await isSettled()) ? true : undefined)
  try {
    const outcome = await until(look, { timeoutMs, everyMs: 50, signal: options.signal })
    if (outcome.met) return
    throw new ServerStartError(name, `did not settle within ${timeoutMs} ms`, '', {
      cause: outcome.lastError,
    })
  } catch (error) {
    await closeAll(servers)
    throw error
  }
}
