import { inspect } from 'node:util'

import { Secret, toError, type Logger } from '@dharma/core'
import {
  defineConfig,
  generateEnvExample,
  generateJsonSchema,
  generateMarkdownTable,
  list,
  loadConfig,
  schema,
  secret,
  secretSchema,
  secretUrl,
  type Field,
} from '@dharma/core/config'
import { createHealth, down } from '@dharma/core/health'
import { createFetchHandler } from '@dharma/core/http'
import { createLogger } from '@dharma/core/logger'
import { createMetrics } from '@dharma/core/metrics'
import {
  renderHtml,
  renderJson,
  renderMarkdown,
  renderTerminal,
  type Report,
} from '@dharma/core/report'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import { fileOf } from './config-fixtures.ts'

const CANARY = 'canary-4711'
const login = z.object({ user: z.string(), password: z.string() })
const url = `redis://u:${CANARY}@h:6379/${CANARY}?token=${CANARY}#${CANARY}`

interface Case {
  readonly name: string
  readonly field: (given: object) => Field<unknown>
  readonly good: unknown
  readonly bad: unknown
}

/** Every kind of field that can hold a secret, with a value it takes and one that it refuses. */
const cases: readonly Case[] = [
  {
    name: 'secret',
    field: (given) => secret({ minLength: 5, maxLength: 30, ...given }),
    good: CANARY,
    bad: CANARY.repeat(9),
  },
  {
    name: 'secretUrl',
    field: (given) => secretUrl(given),
    good: url,
    bad: `redis://u:x/${CANARY}#${CANARY}@h`,
  },
  {
    name: 'list of secret',
    field: (given) => list(secret(), { maxLength: 2, ...given }),
    good: `${CANARY},${CANARY}`,
    bad: `${CANARY},${CANARY},${CANARY}`,
  },
  {
    name: 'list of secretUrl',
    field: (given) => list(secretUrl(), given),
    good: `${url},${url}`,
    bad: `${url},${CANARY}`,
  },
  {
    name: 'secretSchema',
    field: (given) => secretSchema(login, { expected: 'a login', format: 'json', ...given }),
    good: { user: 'u', password: CANARY },
    bad: { user: CANARY },
  },
]

/** Everything that anybody might do to show a value. */
function shown(value: unknown): string {
  const lines: string[] = []
  const logger: Logger = createLogger({
    level: 'trace',
    destination: { write: (line) => lines.push(line) },
  })
  logger.info({ value }, 'text %s %o %j', value, value, value)
  logger.child({ value }).error({ value })
  logger.warn(Object(value) as object)
  logger.error(toError(value))
  const error = value instanceof Error ? [value.message, value.stack, String(value)] : []
  return [
    ...lines,
    ...error,
    JSON.stringify(value),
    inspect(value, { depth: null, showHidden: true, getters: true }),
    ...Object.entries(value as object).map(String),
  ].join('\n')
}

/** A secret as name, label, help, exemplar and broken reading, in each format. */
async function shownByMetrics(value: Secret<unknown>, failure: unknown): Promise<string> {
  const metrics = createMetrics()
  const text = String(value)
  const options = { help: `Of ${text}. ${String(failure)}`, labels: ['key'], exemplars: true }
  metrics.counter('uses_total', options).bind(text).inc(1, { key: text })
  metrics
    .histogram('use_seconds', options)
    .bind(text)
    .observe(1, { key: value as never })
  const read = (): number => {
    throw failure
  }
  metrics.gauge('broken', { help: 'Broken.', read })
  const wrong = thrownBy(() => metrics.gauge(value as never, { help: 'Wrong.' }))
  const texts = [await metrics.expose(), await metrics.expose('openmetrics'), String(wrong)]
  return texts.join('\n') + shown(metrics.names().map((name) => metrics.read(name)))
}

/** A secret as the reason of a check, over HTTP and in metrics too. */
async function shownByHealth(value: Secret<unknown>, failure: unknown): Promise<string> {
  const metrics = createMetrics()
  await using health = createHealth({ metrics, eventLoop: false })
  const changes: unknown[] = []
  const isDown = Promise.withResolvers<void>()
  health.onChange((change) => {
    changes.push(change)
    if (changes.length === 4) isDown.resolve()
  })
  const reason = `no ${String(value)} at redis://u:${CANARY}@h, password=${CANARY}`
  health.register({ name: 'a', kind: 'readiness', check: () => Promise.reject(new Error(reason)) })
  health.register({ name: 'b', kind: 'readiness', check: () => Promise.reject(failure) })
  health.register({ name: 'c', kind: 'readiness', check: () => down(reason) })
  await isDown.promise
  const answer = createFetchHandler({ health, metrics })
  const texts = await Promise.all(
    ['readyz?verbose', 'metrics'].map(async (path) => {
      const response = await answer(new Request(`http://h/${path}`))
      return response === undefined ? '' : response.text()
    }),
  )
  expect(texts.join('')).toContain('redis://***@h')
  return texts.join('\n') + shown(changes) + shown(health.report('readiness'))
}

/** A secret in every block of a report, in each form that it is rendered to. */
function shownByReport(value: Secret<unknown>, config: object, failure: unknown): string {
  const text = `${String(value)} of redis://u:${CANARY}@h with password=${CANARY}`
  const described = (config as ReturnType<typeof loadConfig>).describe()
  const report: Report = {
    title: text,
    subtitle: text,
    verdict: { status: 'bad', text: String(failure) },
    sections: [
      {
        title: text,
        blocks: [
          { type: 'text', text: inspect(config, { depth: null }) },
          { type: 'figures', figures: [{ label: text, value, unit: text, note: text }] },
          {
            type: 'table',
            caption: text,
            columns: [{ label: text }, { label: 'value' }],
            rows: described.map((each) => [each.path, each.value ?? value]),
          },
          { type: 'bars', caption: text, bars: [{ label: text, value: 1 }] },
          {
            type: 'time-series',
            caption: text,
            timesMs: [0, 1],
            series: [{ label: text, values: [1, 2] }],
          },
          {
            type: 'findings',
            findings: [
              { severity: 'critical', title: text, detail: String(failure), remedy: text },
            ],
          },
          { type: 'code', code: JSON.stringify(config), caption: text },
        ],
      },
    ],
  }
  const renderers = [renderTerminal, renderJson, renderMarkdown, renderHtml]
  return renderers.map((render) => render(report)).join('\n')
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe.each(cases)('$name', ({ field, good, bad }) => {
  const define = (given: object = {}): ReturnType<typeof defineConfig> =>
    defineConfig('canary', { group: { x: field(given) } })
  const sourcesOf = (value: unknown): Parameters<typeof loadConfig>[1][] => [
    { environment: { DHARMA_CANARY_GROUP_X: textOf(value) } },
    { environment: { DHARMA_CANARY_GROUP_X_FILE: fileOf(textOf(value)) } },
    { environment: {}, file: fileOf({ canary: { group: { x: value } } }) },
    { environment: {}, values: { group: { x: value } } as object },
  ]

  test('a good value is nowhere shown, from whatever source', () => {
    for (const source of sourcesOf(good)) {
      const config = loadConfig(define(), source)
      const revealed = [(config['group'] as { x: unknown }).x]
        .flat()
        .map((each) => textOf((each as Secret<unknown>).reveal()))
      expect(revealed.join('')).toContain(CANARY)
      expect(shown(config) + shown(config.describe())).not.toContain('canary-')
    }
  })

  test('metrics, health and reports that were made of it do not show it', async () => {
    const config = loadConfig(define(), {
      environment: {},
      values: { group: { x: good } } as object,
    })
    const failure = thrownBy(() =>
      loadConfig(define(), { values: { group: { x: bad } } as object }),
    )
    const value = (config['group'] as unknown as { x: Secret<unknown> | Secret<unknown>[] }).x
    const one = [value].flat()[0] as Secret<unknown>
    expect(await shownByMetrics(one, failure)).not.toContain('canary-')
    expect(await shownByHealth(one, failure)).not.toContain('canary-')
    expect(shownByReport(one, config, failure)).not.toContain('canary-')
  })

  test('a bad value is nowhere shown, from whatever source', () => {
    for (const source of sourcesOf(bad)) {
      expect(shown(thrownBy(() => loadConfig(define(), source)))).not.toContain('canary-')
    }
  })

  test('a default is neither shown nor documented', () => {
    const definition = define({ default: good, profiles: { test: good } })
    const config = loadConfig(definition, { environment: {} })
    expect(shown(config) + shown(config.describe())).not.toContain('canary-')
    expect(shown(definition)).not.toContain('canary-')
    expect(generateEnvExample([definition])).not.toContain('canary-')
    expect(JSON.stringify(generateJsonSchema([definition]))).not.toContain('canary-')
    expect(generateMarkdownTable([definition])).not.toContain('canary-')
  })

  test('a bad default is refused without being shown', () => {
    expect(shown(thrownBy(() => define({ default: bad })))).not.toContain('canary-')
  })
})

describe('mistakes around secrets', () => {
  test('a secret in place of the path of its file is not shown', () => {
    const definition = defineConfig('canary', { key: secret() })
    for (const environment of [
      { DHARMA_CANARY_KEY_FILE: CANARY },
      { DHARMA_CANARY_KEY: 'k', DHARMA_CONFIG_FILE: CANARY },
      { DHARMA_CANARY_KEY: 'k', DHARMA_PROFILE: CANARY },
    ]) {
      expect(shown(thrownBy(() => loadConfig(definition, { environment })))).not.toContain(
        'canary-',
      )
    }
  })

  test('a secret in a schema field that refuses it is not quoted', () => {
    const field = schema(
      z.string().refine(() => false, { error: ({ input }) => `not ${String(input)}` }),
      { expected: 'something else' },
    )
    const definition = defineConfig('canary', { key: field })
    const environment = { DHARMA_CANARY_KEY: CANARY }
    expect(shown(thrownBy(() => loadConfig(definition, { environment })))).not.toContain('canary-')
  })
})

describe('Secret', () => {
  test('reads *** in every form and reveals its value on purpose alone', () => {
    const value = new Secret(CANARY)
    const asText = value as unknown as string
    expect([String(value), `${asText}!`, JSON.stringify({ value }), inspect({ value })]).toEqual([
      '***',
      '***!',
      '{"value":"***"}',
      '{ value: *** }',
    ])
    expect(`a ${asText}`.concat(asText)).toBe('a ******')
    expect(Object.keys(value)).toEqual([])
    expect(Number(value)).toBeNaN()
    expect(new Error(`no ${asText}`, { cause: value }).message).toBe('no ***')
    expect(value.reveal()).toBe(CANARY)
  })
})
