export { ConfigError, type ConfigProblem } from './config-error.ts'
export { boolean, oneOf } from './choice-fields.ts'
export {
  defineConfig,
  type ConfigDefinition,
  type ConfigInput,
  type ConfigLeaf,
  type ConfigShape,
  type ConfigValues,
} from './define-config.ts'
export {
  Field,
  type FieldConstructor,
  type FieldKind,
  type FieldOptions,
  type JsonSchema,
} from './field.ts'
export { list, type ListOptions } from './list-field.ts'
export {
  loadConfig,
  loadConfigs,
  type LoadConfigOptions,
  type LoadConfigsOptions,
} from './load-config.ts'
export type { Config, ConfigEntry } from './loaded-config.ts'
export { integer, number, port, type NumberOptions } from './number-fields.ts'
export { profiles, readProfile, type Environment, type Profile } from './profile.ts'
export { schema, secretSchema, type SchemaOptions, type StandardSchema } from './schema-field.ts'
export type { ConfigOrigin } from './sources.ts'
export { secret, string, type TextOptions } from './text-fields.ts'
export { bytes, duration, type BytesOptions, type DurationOptions } from './unit-fields.ts'
export type { ConfigWarning } from './unknown-names.ts'
export { secretUrl, url, type UrlOptions } from './url-fields.ts'
export { generateJsonSchema } from './config-json-schema.ts'
export { generateEnvExample } from './env-example.ts'
export { generateMarkdownTable } from './markdown-table.ts'
