import { defaultsInWords, defaultText } from './default-text.ts'
import type { ConfigDefinition, ConfigLeaf } from './define-config.ts'
import { PROFILE_VARIABLE, profiles } from './profile.ts'
import { CONFIG_FILE_VARIABLE, fileVariableName } from './variable-names.ts'

/**
 * The text of an `.env.example`: every variable with its meaning and its default, commented out
 * where leaving it out is fine in the development profile. Holds no secret.
 */
export function generateEnvExample(definitions: readonly ConfigDefinition[]): string {
  const general = [
    `# The deployment profile, which decides about defaults: one of ${profiles.join(', ')}.`,
    `# ${PROFILE_VARIABLE}=development`,
    '',
    '# A JSON file with one object for each namespace; variables come before it.',
    `# ${CONFIG_FILE_VARIABLE}=`,
  ].join('\n')
  return `${[general, ...definitions.flatMap(({ leaves }) => leaves.map(paragraph))].join('\n\n')}\n`
}

function paragraph(leaf: ConfigLeaf): string {
  const { field, variable } = leaf
  const { description } = field
  const text = defaultText(leaf, 'development')
  const isNeeded = text === undefined && !field.isOptional
  const value = field.kind.isSecret || text === undefined ? '' : quoted(text)
  return [
    ...(description === undefined ? [] : [`# ${oneLine(description)}`]),
    `# Expected: ${oneLine(field.kind.expected)}. Default: ${oneLine(defaultsInWords(leaf, String))}.`,
    ...(field.kind.isSecret ? [`# Secret: or ${fileVariableName(variable)}, a file with it.`] : []),
    `${isNeeded ? '' : '# '}${variable}=${value}`,
  ].join('\n')
}

/** As dotenv readers take it; nothing when no kind of quotes can hold the text. */
function quoted(text: string): string {
  if (/^[\w./:@,+%-]*$/.test(text)) return text
  if (/[\r\n]/.test(text)) return ''
  const quote = [`'`, '`', '"'].find((mark) => !text.includes(mark) && isLiteral(text, mark))
  return quote === undefined ? '' : quote + text + quote
}

/** Double quotes let readers expand `\n` and `$NAME`. */
function isLiteral(text: string, quote: string): boolean {
  return quote !== '"' || !/[\\$]/.test(text)
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}
