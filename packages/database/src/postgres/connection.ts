import type { CreateContext } from '@dharma/async/connection-pool'
import { Client, type ClientConfig } from 'pg'
import { PostgresConnectionError, wrapPostgresError } from './errors.ts'
import { StatementNames } from './statement-names.ts'

export interface ConnectionSettings {
  readonly url: string
  readonly applicationName: string | undefined
  readonly connectTimeoutMs: number
  readonly maxStatements: number
}

/** A session with the server, and the statements it has prepared. */
export class PostgresConnection {
  readonly client: Client
  readonly statements: StatementNames
  /** The server's process, for cancelling. */
  readonly processId: number
  /** Whether someone has it on lease at the moment. */
  isInUse = false
  /** What stands for the statement under way, if there is one. */
  underWay: object | undefined

  private constructor(client: Client, maxStatements: number) {
    this.client = client
    this.statements = new StatementNames(maxStatements)
    this.processId = 'processID' in client ? Number(client.processID) : 0
  }

  /** @throws PostgresConnectionError */
  static async open(
    settings: ConnectionSettings,
    { signal, onDead }: Pick<CreateContext, 'signal' | 'onDead'>,
    { pipeline = false }: { readonly pipeline?: boolean } = {},
  ): Promise<PostgresConnection> {
    const client = new Client({ ...clientConfig(settings), pipeline })
    client.on('error', onDead)
    client.on('end', () => onDead(new PostgresConnectionError('the server ended the session')))
    const abort = (): void => destroySocket(client)
    signal.addEventListener('abort', abort, { once: true })
    try {
      await client.connect()
      return new PostgresConnection(client, settings.maxStatements)
    } catch (error) {
      destroySocket(client)
      throw wrapPostgresError(error)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** Tells the driver that a prepared statement is gone, which otherwise remembers all it ever had. */
  forget(name: string): void {
    const { parsedStatements } = this.client.connection as {
      parsedStatements?: Record<string, string>
    }
    if (parsedStatements !== undefined) delete parsedStatements[name]
  }

  /** Says farewell to the server; use {@link destroy} when it may not answer. */
  async end(): Promise<void> {
    await this.client.end()
  }

  /** Ends the session without a word: everything under way on it fails. */
  destroy(): void {
    destroySocket(this.client)
  }
}

/**
 * Asks the server, on a connection of its own, to cancel what a session is doing. Resolves when it
 * has been asked; rejects where it cannot be reached, which ends with the session anyway.
 */
export async function cancelOnServer(
  settings: ConnectionSettings,
  processId: number,
): Promise<void> {
  const client = new Client(clientConfig(settings))
  // The connection lives for one statement, whose own rejection says what went wrong.
  client.on('error', () => destroySocket(client))
  try {
    await client.connect()
    await client.query({ text: 'select pg_cancel_backend($1)', values: [processId] })
    await client.end()
  } finally {
    destroySocket(client)
  }
}

function clientConfig({
  url,
  applicationName,
  connectTimeoutMs,
}: ConnectionSettings): ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    ...(applicationName === undefined ? {} : { application_name: applicationName }),
  }
}

/**
 * Asks the server, on a connection of its own, whether a session is at work. `undefined` where the
 * server does not answer within the time to connect; false also for a session that is gone.
 */
export async function isWorkingOnServer(
  settings: ConnectionSettings,
  processId: number,
): Promise<boolean | undefined> {
  const client = new Client({
    ...clientConfig(settings),
    query_timeout: settings.connectTimeoutMs,
  })
  client.on('error', () => destroySocket(client))
  try {
    await client.connect()
    const { rows } = await client.query<{ state: string }>({
      text: 'select state from pg_stat_activity where pid = $1',
      values: [processId],
    })
    return rows[0]?.state === 'active'
  } catch {
    return undefined
  } finally {
    destroySocket(client)
  }
}

/** `pg` has no public way to drop a socket at once; its connection has had this one in all versions. */
function destroySocket(client: Client): void {
  const { connection } = client as unknown as {
    connection?: { stream?: { destroy?: () => void } }
  }
  connection?.stream?.destroy?.()
}
