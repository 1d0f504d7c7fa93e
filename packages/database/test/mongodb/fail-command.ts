import { startMongo, type TestServer } from '@dharma/testkit'
import { MongoClient, type Document } from 'mongodb'

/** A server of one's own whose commands can be made to fail, for clients that call themselves `failing`. */
export async function startFailingMongo(): Promise<TestServer> {
  return startMongo({ dedicated: true, parameters: { enableTestCommands: true } })
}

export interface CommandFailure {
  readonly commands: readonly string[]
  readonly times: number
  /** What happens in place of the command. @default its connection is closed */
  readonly how?: Document
}

/** Runs the work while commands of these names fail, as often as said. */
export async function whileFailing<R>(
  server: TestServer,
  { commands, times, how = { closeConnection: true } }: CommandFailure,
  work: () => Promise<R>,
): Promise<R> {
  const client = await new MongoClient(server.url).connect()
  const set = async (mode: unknown): Promise<void> => {
    const data = { failCommands: commands, appName: 'failing', ...how }
    await client.db('admin').command({ configureFailPoint: 'failCommand', mode, data })
  }
  await set(times === Infinity ? 'alwaysOn' : { times })
  try {
    return await work()
  } finally {
    await set('off')
    await client.close()
  }
}
