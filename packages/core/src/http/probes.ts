import type { CheckResult } from '../health/check.ts'
import type { Health, HealthReport } from '../health/health.ts'
import { reasonOf } from '../health/reason.ts'
import { EXPOSITION_CONTENT_TYPES, type ExpositionFormat, type Metrics } from '../metrics.ts'

/** What can be asked for. */
export type Endpoint = 'livez' | 'readyz' | 'startupz' | 'metrics'

export interface ProbeOptions {
  readonly health: Pick<Health, 'report' | 'pressure'>
  /** @default none: there is no `/metrics` */
  readonly metrics?: Pick<Metrics, 'expose'>
  /** Other paths. @default `/livez`, `/readyz`, `/startupz` and `/metrics` */
  readonly paths?: Partial<Readonly<Record<Endpoint, string>>>
  /** Told when `/metrics` failed; the client gets a 500 without a reason. @default a process warning */
  readonly onError?: (error: unknown) => void
}

/** A question, wherever it comes from. */
export interface ProbeRequest {
  readonly method: string
  /** Path and query. */
  readonly target: string
  /** The header that chooses the format of metrics. */
  readonly accept?: string | null | undefined
}

/** An answer, whatever sends it. */
export interface ProbeResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Answers probes; what is not asked of it is `undefined`. */
export class Probes {
  /** Path to endpoint, for those that there are. */
  readonly endpoints: ReadonlyMap<string, Endpoint>
  readonly #health: ProbeOptions['health']
  readonly #metrics: ProbeOptions['metrics']
  readonly #onError: (error: unknown) => void

  /** @throws TypeError when a path does not begin with a slash; RangeError when two are the same. */
  constructor({ health, metrics, paths = {}, onError = warn }: ProbeOptions) {
    const endpoints = new Map<string, Endpoint>()
    for (const endpoint of ENDPOINTS) {
      if (endpoint === 'metrics' && metrics === undefined) continue
      const path = paths[endpoint] ?? `/${endpoint}`
      if (!path.startsWith('/')) {
        throw new TypeError(`paths.${endpoint} must begin with a slash, got ${path}`)
      }
      if (endpoints.has(path)) throw new RangeError(`paths.${endpoint} is taken, got ${path}`)
      endpoints.set(path, endpoint)
    }
    this.endpoints = endpoints
    this.#health = health
    this.#metrics = metrics
    this.#onError = onError
  }

  /** The answer to a request; `undefined` if the path is not one of these. */
  answer(request: ProbeRequest): Promise<ProbeResponse> | undefined {
    const queryAt = request.target.indexOf('?')
    const path = queryAt < 0 ? request.target : request.target.slice(0, queryAt)
    const endpoint = this.endpoints.get(path)
    if (endpoint === undefined) return undefined
    if (request.method === 'GET' || request.method === 'HEAD') return this.ask(endpoint, request)
    return Promise.resolve(METHOD_NOT_ALLOWED)
  }

  /** The answer of an endpoint. Never rejects. */
  async ask(endpoint: Endpoint, { target, accept }: ProbeRequest): Promise<ProbeResponse> {
    const verbose = isVerbose(target)
    switch (endpoint) {
      case 'livez':
        return respond(this.#health.report('liveness'), verbose)
      case 'startupz':
        return respond(this.#health.report('startup'), verbose)
      case 'readyz': {
        const { level, reasons } = this.#health.pressure()
        return respond(this.#health.report('readiness'), verbose, { pressure: { level, reasons } })
      }
      case 'metrics':
        return this.#scrape(
          accept?.includes('application/openmetrics-text') ? 'openmetrics' : 'prometheus',
        )
    }
  }

  async #scrape(format: ExpositionFormat): Promise<ProbeResponse> {
    try {
      const body = (await this.#metrics?.expose(format)) ?? ''
      return { status: 200, headers: headersOf(body, EXPOSITION_CONTENT_TYPES[format]), body }
    } catch (error) {
      this.#onError(error)
      return json(500, { status: 'error' })
    }
  }
}

/** Whether the query asks for every check: `?verbose`, `?verbose=1`. */
function isVerbose(target: string): boolean {
  const queryAt = target.indexOf('?')
  if (queryAt < 0) return false
  const value = new URLSearchParams(target.slice(queryAt)).get('verbose')
  return value !== null && value !== '0' && value !== 'false'
}

function respond(report: HealthReport, verbose: boolean, details: object = {}): ProbeResponse {
  const { status, isOk, reason, checks } = report
  const code = isOk ? 200 : 503
  if (!verbose) return json(code, { status })
  return json(code, { status, reason, ...details, checks: checks.map((check) => checkBody(check)) })
}

function checkBody({ name, status, reason, sinceMs, checkedAtMs, ...rest }: CheckResult): object {
  return {
    name,
    status,
    reason,
    since: new Date(sinceMs).toISOString(),
    checkedAt: checkedAtMs === undefined ? undefined : new Date(checkedAtMs).toISOString(),
    durationMs: rest.durationMs,
    consecutiveFailures: rest.consecutiveFailures,
    isCritical: rest.isCritical,
  }
}

function json(status: number, value: object): ProbeResponse {
  const body = `${JSON.stringify(value)}\n`
  return { status, headers: headersOf(body, 'application/json; charset=utf-8'), body }
}

function headersOf(body: string, contentType: string): Record<string, string> {
  return {
    'content-type': contentType,
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  }
}

function warn(error: unknown): void {
  process.emitWarning(`metrics could not be exposed: ${reasonOf(error)}`)
}

const ENDPOINTS: readonly Endpoint[] = ['livez', 'readyz', 'startupz', 'metrics']
const REFUSED: ProbeResponse = json(405, { status: 'method not allowed' })
const METHOD_NOT_ALLOWED: ProbeResponse = {
  ...REFUSED,
  headers: { ...REFUSED.headers, allow: 'GET, HEAD' },
}
