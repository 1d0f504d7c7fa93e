import type { CreateContext } from '@dharma/async/connection-pool'
import { Client, type ClientConfig, type FieldDef } from 'pg'
import type { ConnectionOptions } from 'node:tls'
import { sendCancelRequest } from './cancel-request.ts'
import { PostgresConnectionError, wrapConnectError } from './errors.ts'
import { StatementNames } from './statement-names.ts'

export interface ConnectionSettings {
  readonly url: string
  readonly applicationName: string | undefined
  readonly connectTimeoutMs: number
  readonly maxStatements: number
  /** `undefined` leaves it to the URL. */
  readonly tls: boolean | ConnectionOptions | undefined
  /** Whether a pooler may stand between, so that process numbers are not the server's. */
  readonly isPooled: boolean
}

/** A statement that a session waits for. */
export interface UnderWay {
  readonly sinceMs: number
}

/** A session with the server, and the statements it has prepared. */
export class PostgresConnection {
  readonly client: Client
  readonly statements: StatementNames
  /** The columns of prepared statements that have been run, by name. */
  readonly columns: Map<string, readonly FieldDef[]> = new Map()
  /** The server's process, for cancelling. */
  readonly processId: number
  readonly #secretKey: number
  /** Whether someone has it on lease at the moment. */
  isInUse = false
  underWay: UnderWay | undefined
  /** Whether what is under way only reads, and may be sent again elsewhere. */
  isReading = false

  private constructor(client: Client, maxStatements: number) {
    this.client = client
    this.statements = new StatementNames(maxStatements)
    this.processId = 'processID' in client ? Number(client.processID) : 0
    this.#secretKey = 'secretKey' in client ? Number(client.secretKey) : 0
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
      throw wrapConnectError(error)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** A statement that the server no longer has, or will not run as it was prepared. */
  forgetStatement(text: string): void {
    const name = this.statements.forget(text)
    if (name !== undefined) this.forget(name)
  }

  /** Tells the driver that a prepared statement is gone, which otherwise remembers all it ever had. */
  forget(name: string): void {
    this.columns.delete(name)
    const { parsedStatements } = this.client.connection as {
      parsedStatements?: Record<string, string>
    }
    if (parsedStatements !== undefined) delete parsedStatements[name]
  }

  /**
   * Asks the server, on a connection of its own, to cancel what the session is doing. Resolves when
   * it has been asked; rejects where it cannot be reached, which ends with the session anyway.
   */
  async cancel(settings: ConnectionSettings): Promise<void> {
    const { host, port } = this.client
    const isEncrypted = 'ssl' in this.client && this.client.ssl
    // A CancelRequest goes unencrypted; a pooler, though, knows no other way.
    if (isEncrypted && !settings.isPooled) {
      await cancelByFunction(settings, this.processId)
      return
    }
    const target = { host, port, processId: this.processId, secretKey: this.#secretKey }
    await sendCancelRequest(target, settings.connectTimeoutMs)
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

async function cancelByFunction(settings: ConnectionSettings, processId: number): Promise<void> {
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
  tls,
}: ConnectionSettings): ClientConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    ...(tls === undefined ? {} : { ssl: tls }),
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
