import type { ConfigLeaf } from './define-config.ts'
import { profiles, type Profile } from './profile.ts'

/** The default of a leaf in a profile as the environment would hold it, masked when secret. */
export function defaultText(leaf: ConfigLeaf, profile: Profile): string | undefined {
  const found = leaf.defaults[profile]
  return found === undefined ? undefined : leaf.field.kind.write(found.value)
}

/**
 * The defaults of a leaf in words: one for all profiles, or one for each.
 *
 * @param quote sets off a value from the words around it
 */
export function defaultsInWords(leaf: ConfigLeaf, quote: (value: string) => string): string {
  const words = profiles.map((profile) => {
    const text = defaultText(leaf, profile)
    if (text !== undefined) return text === '' ? 'empty' : quote(text)
    return leaf.field.isOptional ? 'unset' : 'required'
  })
  if (new Set(words).size === 1) return words[0] ?? ''
  return profiles.map((profile, index) => `${profile}: ${words[index]}`).join(', ')
}
