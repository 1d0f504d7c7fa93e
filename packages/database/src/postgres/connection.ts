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

  private constructor(client: Client, maxStatements: number) {
    this.client = client
    this.statements = new StatementNames(maxStatements)
    this.processId = 'processID' in client ? Number(client.processID) : 0
  }

  /** @throws PostgresConnectionError */
  static async open(
    settings: ConnectionSettings,
    { signal, onDead }: CreateContext,
  ): Promise<PostgresConnection> {
    const client = new Client(clientConfig(settings))
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

/** `pg` has no public way to drop a socket at once; its connection has had this one in all versions. */
function destroySocket(client: Client): void {
  const { connection } = client as unknown as {
    connection?: { stream?: { destroy?: () => void } }
  }
  connection?.stream?.destroy?.()
}
