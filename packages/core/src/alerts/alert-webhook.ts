import { systemClock, type Clock } from '../clock.ts'
import { ClosedError, DharmaError, TimeoutError, toError } from '../errors.ts'
import { requireRange } from '../range.ts'
import { redactText } from '../redact.ts'
import { Secret } from '../secret.ts'
import type { AlertEvaluator, AlertReading } from './alert-evaluator.ts'
import { toWebhookPayload } from './webhook-payload.ts'

export interface AlertWebhookOptions {
  /** Where alerts are posted, http or https. Often it is a secret itself. */
  readonly url: string | Secret<string>
  /** Sent with each request, such as an authorization. @default none */
  readonly headers?: Readonly<Record<string, string | Secret<string>>>
  /** Labels of this process, given to each alert, such as `instance`. @default none */
  readonly labels?: Readonly<Record<string, string>>
  /** How long one request may take, in milliseconds. At least 1. @default 5_000 */
  readonly timeoutMs?: number
  /** Requests for one batch of alerts, the first included. At least 1. @default 3 */
  readonly maxAttempts?: number
  /** Between two attempts, in milliseconds, doubled each time. From 0. @default 1_000 */
  readonly backoffMs?: number
  /** Changes that may wait; beyond that the oldest is dropped. At least 1. @default 1_000 */
  readonly maxPending?: number
  /** Told of a batch that was given up, or of changes that were dropped. @default a process warning */
  readonly onFailure?: (error: DharmaError) => void
  /** @default the global fetch */
  readonly fetch?: typeof fetch
  /** @default systemClock */
  readonly clock?: Clock
}

/** Alerts did not reach the webhook; the URL is not shown. */
export class AlertWebhookError extends DharmaError {
  override readonly name = 'AlertWebhookError'
  readonly code = 'DHARMA_ALERT_WEBHOOK'
  /** Changes that were lost. */
  readonly lost: number

  constructor(reason: string, lost: number, options?: ErrorOptions) {
    super(`${lost} changes of alerts did not reach the webhook: ${reason}`, options)
    this.lost = lost
  }
}

/**
 * Posts each alert that fires or is resolved, what waits together in one request, in order and one
 * request at a time. It never throws into the evaluator, and never waits for ever.
 */
export class AlertWebhook implements AsyncDisposable {
  readonly #options: Required<AlertWebhookOptions>
  readonly #subscription: Disposable
  readonly #closing = new AbortController()
  #pending: AlertReading[] = []
  #sending: Promise<void> | undefined

  /** @throws RangeError when an option is out of its range, TypeError when the URL is none. */
  constructor(evaluator: Pick<AlertEvaluator, 'onChange'>, options: AlertWebhookOptions) {
    this.#options = { ...DEFAULTS, ...withoutUndefined(options) }
    const { timeoutMs, maxAttempts, backoffMs, maxPending, url } = this.#options
    requireRange('timeoutMs of the alert webhook', timeoutMs, 1)
    requireRange('maxAttempts of the alert webhook', maxAttempts, 1)
    requireRange('backoffMs of the alert webhook', backoffMs, 0)
    requireRange('maxPending of the alert webhook', maxPending, 1)
    const protocol = URL.parse(reveal(url))?.protocol
    if (protocol !== 'http:' && protocol !== 'https:') {
      throw new TypeError('url of the alert webhook must be an http or https URL')
    }
    this.#subscription = evaluator.onChange(({ alert, to }) => {
      if (to === 'firing' || to === 'resolved') this.#add(alert)
    })
  }

  /** Resolves when nothing waits any more, sent or given up. Rejects only by the signal. */
  async flush(signal?: AbortSignal): Promise<void> {
    while (this.#sending !== undefined) {
      signal?.throwIfAborted()
      await (signal === undefined ? this.#sending : Promise.race([this.#sending, aborted(signal)]))
    }
  }

  /** Takes no more changes and ends the request under way; call {@link flush} first to wait for it. */
  async close(): Promise<void> {
    this.#subscription[Symbol.dispose]()
    this.#closing.abort(new ClosedError('the alert webhook'))
    await this.#sending
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #add(alert: AlertReading): void {
    this.#pending.push(alert)
    if (this.#pending.length > this.#options.maxPending) {
      this.#pending.shift()
      this.#report(new AlertWebhookError('too many wait', 1))
    }
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined))
  }

  async #sendAll(): Promise<void> {
    // Changes of the same evaluation are added one after another: let them come together.
    await Promise.resolve()
    while (this.#pending.length > 0) {
      const batch = this.#pending
      this.#pending = []
      try {
        await this.#send(batch)
      } catch (error) {
        const reason = redactText(error instanceof DharmaError ? error.message : nameOf(error))
        this.#report(new AlertWebhookError(reason, batch.length, { cause: error }))
      }
    }
  }

  async #send(batch: readonly AlertReading[]): Promise<void> {
    const { maxAttempts, backoffMs, clock, labels } = this.#options
    const body = JSON.stringify(toWebhookPayload(batch, labels))
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#post(body)
      } catch (error) {
        const isFinal = error instanceof RefusedError || this.#closing.signal.aborted
        if (isFinal || attempt >= maxAttempts) throw error
        await clock.sleep(backoffMs * 2 ** (attempt - 1), this.#closing.signal)
      }
    }
  }

  async #post(body: string): Promise<void> {
    const { url, headers, timeoutMs, clock, fetch: send } = this.#options
    this.#closing.signal.throwIfAborted()
    const timeout = new AbortController()
    const timer = clock.setTimeout(
      () => timeout.abort(new TimeoutError('the alert webhook', timeoutMs)),
      timeoutMs,
      { keepsAlive: false },
    )
    try {
      const response = await send(reveal(url), {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...revealAll(headers) },
        body,
        redirect: 'error',
        signal: AbortSignal.any([timeout.signal, this.#closing.signal]),
      })
      await response.body?.cancel()
      if (!response.ok) throw refusal(response.status)
    } finally {
      timer.cancel()
    }
  }

  #report(error: AlertWebhookError): void {
    try {
      this.#options.onFailure(error)
    } catch (thrown) {
      process.emitWarning(redactText(`onFailure of an alert webhook: ${toError(thrown).message}`))
    }
  }
}

/** The webhook said no; whether asking again makes sense is told by the class. */
class StatusError extends DharmaError {
  readonly code = 'DHARMA_ALERT_WEBHOOK_STATUS'
  readonly status: number

  constructor(status: number) {
    super(`it answered ${status}`)
    this.status = status
  }
}

class RefusedError extends StatusError {}

function refusal(status: number): StatusError {
  const isWorthAnother = status >= 500 || status === 408 || status === 429
  return isWorthAnother ? new StatusError(status) : new RefusedError(status)
}

/** What `fetch` throws may hold the URL, so only what kind of error it is gets told. */
function nameOf(thrown: unknown): string {
  const { cause, name } = toError(thrown)
  return cause instanceof Error && 'code' in cause ? String(cause.code) : name
}

function reveal(text: string | Secret<string>): string {
  return text instanceof Secret ? text.reveal() : text
}

function revealAll(
  headers: Readonly<Record<string, string | Secret<string>>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, reveal(text)]))
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(toError(signal.reason)), { once: true })
  })
}

function withoutUndefined(options: AlertWebhookOptions): AlertWebhookOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as AlertWebhookOptions
}

const DEFAULTS: Omit<Required<AlertWebhookOptions>, 'url'> = {
  headers: {},
  labels: {},
  timeoutMs: 5_000,
  maxAttempts: 3,
  backoffMs: 1_000,
  maxPending: 1_000,
  onFailure: (error) => process.emitWarning(error.message),
  fetch: (...request) => globalThis.fetch(...request),
  clock: systemClock,
}
