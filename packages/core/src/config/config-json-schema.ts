import type { ConfigDefinition, ConfigShape } from './define-config.ts'
import { Field, type JsonSchema } from './field.ts'

/**
 * The JSON Schema of the config file, for editors and checks: one object for each namespace.
 * Nothing is required, because any value may come from elsewhere. Holds no secret.
 */
export function generateJsonSchema(definitions: readonly ConfigDefinition[]): JsonSchema {
  const namespaces = definitions.map(({ namespace, shape }) => [namespace, groupSchema(shape)])
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    properties: { $schema: { type: 'string' }, ...Object.fromEntries(namespaces) },
    additionalProperties: false,
  }
}

function groupSchema(shape: ConfigShape): JsonSchema {
  const members = Object.entries(shape).map(([key, member]) => [
    key,
    member instanceof Field ? fieldSchema(member) : groupSchema(member),
  ])
  return {
    type: 'object',
    properties: Object.fromEntries(members),
    additionalProperties: false,
  }
}

function fieldSchema(field: Field<unknown>): JsonSchema {
  const { kind, description } = field
  const defaultInput = kind.isSecret ? undefined : field.defaultInput()
  return {
    ...kind.jsonSchema(),
    description: description ?? `Expected: ${kind.expected}.`,
    ...(defaultInput !== undefined && { default: defaultInput }),
  }
}
