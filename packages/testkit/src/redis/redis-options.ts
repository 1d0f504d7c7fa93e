import type { StartOptions } from '../test-server.ts'

/** Files of a server that speaks TLS, all PEM. */
export interface RedisTls {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
}

/** What {@link startRedis} takes. A server with anything but the defaults is a dedicated one. */
export interface RedisOptions extends StartOptions {
  /**
   * Directives over the testkit's own (no persistence, loopback only), for example
   * `{ maxmemory: '4mb', appendonly: 'yes' }`. A list writes the directive once for each.
   */
  readonly config?: Readonly<Record<string, string | number | readonly string[]>>
  /** A configuration file that is read first; `config` wins over it. */
  readonly configFile?: string
  /**
   * Lines of an ACL file, for example `user worker on >secret ~q:* +@all`. The default user keeps all
   * rights unless a line says otherwise.
   */
  readonly users?: readonly string[]
  /** Speaks only TLS on its port; needs a server built with it. */
  readonly tls?: RedisTls
}

/** Whether these options ask for something that a server of the environment cannot be trusted to have. */
export function needsOwnServer({
  dedicated,
  config,
  configFile,
  users,
  tls,
}: RedisOptions): boolean {
  return (
    dedicated === true ||
    config !== undefined ||
    configFile !== undefined ||
    users !== undefined ||
    tls !== undefined
  )
}

/** The text of the server's configuration file. */
export function redisConfigText(
  { config = {}, configFile, tls }: RedisOptions,
  place: {
    readonly port: number
    readonly bind: string
    readonly folder: string
    readonly aclFile?: string | undefined
  },
): string {
  const directives: Record<string, string | number | readonly string[]> = {
    bind: place.bind,
    'protected-mode': 'no',
    daemonize: 'no',
    dir: place.folder,
    logfile: '""',
    ...(tls === undefined ? { port: place.port } : tlsDirectives(tls, place.port)),
    ...(configFile === undefined ? { save: '""', appendonly: 'no' } : {}),
    ...(place.aclFile === undefined ? {} : { aclfile: place.aclFile }),
    ...config,
  }
  const lines = Object.entries(directives).flatMap(([name, value]) =>
    (typeof value === 'object' ? value : [value]).map((each) => `${name} ${each}`),
  )
  if (configFile !== undefined) lines.unshift(`include ${configFile}`)
  return `${lines.join('\n')}\n`
}

function tlsDirectives(tls: RedisTls, port: number): Record<string, string | number> {
  return {
    port: 0,
    'tls-port': port,
    'tls-cert-file': tls.certFile,
    'tls-key-file': tls.keyFile,
    'tls-ca-cert-file': tls.caFile,
    'tls-auth-clients': 'no',
  }
}
