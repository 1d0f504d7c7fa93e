/** Lines of at most `width` characters; words that are longer are cut. Line ends stay. */
export function wrapText(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => wrapLine(line, width))
}

/** The text filled up with spaces to `width` characters. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const filling = ' '.repeat(Math.max(0, width - lengthOf(text)))
  return align === 'left' ? text + filling : filling + text
}

/** How many characters it takes, counted as code points. */
export function lengthOf(text: string): number {
  return Array.from(text).length
}

function wrapLine(line: string, width: number): string[] {
  const lines: string[] = []
  let current = ''
  for (const word of line
    .split(/\s+/)
    .filter(Boolean)
    .flatMap((one) => cut(one, width))) {
    const joined = current === '' ? word : `${current} ${word}`
    if (lengthOf(joined) <= width) {
      current = joined
      continue
    }
    lines.push(current)
    current = word
  }
  return [...lines, current]
}

function cut(word: string, width: number): string[] {
  const characters = Array.from(word)
  const parts: string[] = []
  for (let at = 0; at < characters.length; at += width) {
    parts.push(characters.slice(at, at + width).join(''))
  }
  return parts
}
