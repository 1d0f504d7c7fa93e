import { parseEnv } from 'node:util'

import {
  bytes,
  defineConfig,
  duration,
  generateEnvExample,
  generateJsonSchema,
  generateMarkdownTable,
  integer,
  list,
  loadConfig,
  oneOf,
  schema,
  secret,
  secretUrl,
  string,
} from '@dharma/core/config'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

const definition = defineConfig('generated', {
  url: secretUrl('redis://u:p@127.0.0.1:6379', { description: 'Where\nRedis is.' }),
  key: secret({ profiles: { development: 'weak', test: 'weak' } }),
  pool: { size: integer(4, { min: 1, max: 64, profiles: { production: 16 } }) },
  ttl: duration('5m', { description: 'How long a value lives.' }),
  maxBytes: bytes({ optional: true }),
  hosts: list(string(), ['a', 'b'], { minLength: 1 }),
  mode: oneOf(['on|off', 'off']),
  greeting: string('it`s "fine" # yes'),
  lines: string('two\nlines'),
  limit: schema(z.object({ at: z.date() }), { expected: 'a limit', optional: true }),
  rate: schema(z.number().min(1), { expected: 'a rate', default: 2 }),
  quote: string(`'\`"$`),
  none: string(''),
})

describe('generateEnvExample', () => {
  test('has every variable, commented out unless it is required', () => {
    expect(generateEnvExample([definition])).toBe(`\
# The deployment profile, which decides about defaults: one of development, test, production.
# DHARMA_PROFILE=development

# A JSON file with one object for each namespace; variables come before it.
# DHARMA_CONFIG_FILE=

# Where Redis is.
# Expected: a URL, with reserved characters of its password percent-encoded. Default: redis://***@127.0.0.1:6379.
# Secret: or DHARMA_GENERATED_URL_FILE, a file with it.
# DHARMA_GENERATED_URL=

# Expected: secret text. Default: development: ***, test: ***, production: required.
# Secret: or DHARMA_GENERATED_KEY_FILE, a file with it.
# DHARMA_GENERATED_KEY=

# Expected: an integer from 1 to 64. Default: development: 4, test: 4, production: 16.
# DHARMA_GENERATED_POOL_SIZE=4

# How long a value lives.
# Expected: a duration such as 250ms, 5m or 1h30m. Default: 5m.
# DHARMA_GENERATED_TTL=5m

# Expected: a size such as 512kb, 64MiB or 1.5gb. Default: unset.
# DHARMA_GENERATED_MAX_BYTES=

# Expected: a list of at least 1, separated by commas, each text. Default: a,b.
# DHARMA_GENERATED_HOSTS=a,b

# Expected: one of on|off, off. Default: required.
DHARMA_GENERATED_MODE=

# Expected: text. Default: it\`s "fine" # yes.
# DHARMA_GENERATED_GREETING='it\`s "fine" # yes'

# Expected: text. Default: two lines.
# DHARMA_GENERATED_LINES=

# Expected: a limit. Default: unset.
# DHARMA_GENERATED_LIMIT=

# Expected: a rate. Default: 2.
# DHARMA_GENERATED_RATE=2

# Expected: text. Default: '\`"$.
# DHARMA_GENERATED_QUOTE=

# Expected: text. Default: empty.
# DHARMA_GENERATED_NONE=
`)
  })

  test('with the comments taken off it loads as the defaults do', () => {
    const text = generateEnvExample([definition]).replaceAll(/^# (?=DHARMA_)/gm, '')
    const environment = {
      ...parseEnv(text),
      DHARMA_GENERATED_MODE: 'off',
      DHARMA_GENERATED_RATE: '',
    }
    const bare = loadConfig(definition, { environment: { DHARMA_GENERATED_MODE: 'off' } })
    expect(loadConfig(definition, { environment })).toEqual(bare)
  })
})

describe('generateJsonSchema', () => {
  test('describes the config file', () => {
    const generated = z.toJSONSchema(z.object({})) // the dialect that zod writes, too
    const document = generateJsonSchema([definition])
    expect(document['$schema']).toBe(generated.$schema)
    expect(document).toMatchObject({
      type: 'object',
      additionalProperties: false,
      properties: {
        generated: {
          type: 'object',
          additionalProperties: false,
          properties: {
            url: { type: 'string', description: 'Where\nRedis is.' },
            pool: {
              properties: {
                size: {
                  type: 'integer',
                  minimum: 1,
                  maximum: 64,
                  default: 4,
                  description: 'Expected: an integer from 1 to 64.',
                },
              },
            },
            ttl: { anyOf: [{ type: 'string' }, { type: 'integer', minimum: 0 }], default: '5m' },
            hosts: { type: 'array', items: { type: 'string' }, minItems: 1, default: ['a', 'b'] },
            mode: { enum: ['on|off', 'off'] },
            limit: { description: 'Expected: a limit.' },
            rate: { type: 'number', minimum: 1, default: 2 },
          },
        },
      },
    })
    expect(JSON.stringify(document)).not.toContain('redis://')
  })
})

describe('generateMarkdownTable', () => {
  test('has a row for each value, with pipes and backticks escaped', () => {
    const rows = generateMarkdownTable([definition]).split('\n')
    expect(rows.slice(0, 3)).toEqual([
      '| Path | Variable | Value | Default | Meaning |',
      '| --- | --- | --- | --- | --- |',
      '| `generated.url` | `DHARMA_GENERATED_URL` | a URL, with reserved characters of its password ' +
        'percent-encoded (secret) | `redis://***@127.0.0.1:6379` | Where Redis is. |',
    ])
    expect(rows).toContain(
      '| `generated.mode` | `DHARMA_GENERATED_MODE` | one of on\\|off, off | required |  |',
    )
    expect(rows).toContain(
      '| `generated.greeting` | `DHARMA_GENERATED_GREETING` | text | `` it`s "fine" # yes `` |  |',
    )
    expect(rows).toContain(
      '| `generated.pool.size` | `DHARMA_GENERATED_POOL_SIZE` | an integer from 1 to 64 | ' +
        'development: `4`, test: `4`, production: `16` |  |',
    )
  })
})
