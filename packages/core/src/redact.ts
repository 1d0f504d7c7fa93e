/** `://user:password@`, greedy up to the last `@` before a slash, as URL parsers read it. */
const URL_CREDENTIALS = /:\/\/[^\s/?#]*@/g
const NAMED_SECRET =
  /((?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|credentials?|auth)\\?["']?\s*[=:]\s*)(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;&]+)/gi
const AUTHORIZATION = /\b(bearer|basic)\s+[\w.~+/=-]+/gi

/**
 * Text in which what can be recognized as a secret reads `***`, as the messages of client libraries
 * have it: credentials of URLs, `password=…` pairs, `Bearer …`. It masks rather too much than too
 * little, and runs in linear time. Lines and the rest of the text stay as they are.
 */
export function redactText(text: string): string {
  return text
    .replaceAll(AUTHORIZATION, '$1 ***')
    .replaceAll(NAMED_SECRET, '$1***')
    .replaceAll(URL_CREDENTIALS, '://***@')
}
