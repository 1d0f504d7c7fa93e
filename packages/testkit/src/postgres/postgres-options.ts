import type { StartOptions } from '../test-server.ts'

/** What {@link startPostgres} takes. A server with settings or a version is a dedicated one. */
export interface PostgresOptions extends StartOptions {
  /** Server settings over the testkit's own, for example `{ max_connections: 20 }`. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** The major version to prefer where several can be had, such as 15 or 18. */
  readonly version?: number
  /** Databases to create beside `postgres`. */
  readonly databases?: readonly string[]
}

/** Fast and small: a test's data need not outlive the machine, and all stays in the server's folder. */
const DEFAULT_SETTINGS: Readonly<Record<string, string | number | boolean>> = {
  fsync: 'off',
  full_page_writes: 'off',
  shared_buffers: '64MB',
  max_connections: 100,
  dynamic_shared_memory_type: 'mmap',
  log_destination: 'stderr',
  logging_collector: 'off',
  max_wal_size: '512MB',
  wal_level: 'logical',
  track_io_timing: 'on',
}

/** The server's settings as arguments of its program. */
export function settingArguments(
  settings: Readonly<Record<string, string | number | boolean>> = {},
): readonly string[] {
  return Object.entries({ ...DEFAULT_SETTINGS, ...settings }).flatMap(([name, value]) => [
    '-c',
    `${name}=${typeof value === 'boolean' ? (value ? 'on' : 'off') : value}`,
  ])
}
