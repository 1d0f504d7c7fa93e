const OPAQUE =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|(?<![\w$])\d[\w.]*/g

/**
 * A text with strings and numbers taken out and comments and blanks evened: cheap, and equal only for
 * statements that differ in constants, so that of many such texts one needs to be parsed.
 */
export function sqlSkeleton(text: string): string {
  return text
    .replace(OPAQUE, (part) => {
      if (part.startsWith('"')) return part
      return part.startsWith('-') || part.startsWith('/') ? ' ' : '?'
    })
    .replace(/\s+/g, ' ')
    .trim()
}
