const URL_CREDENTIALS = /:\/\/[^\s/?#]*@/g
const ASSIGNED_SECRET =
  /(?<name>password|passwd|pwd|secret|token|api[-_]?key|access[-_]?key)=(?:'[^']*'|"[^"]*"|[^\s&;,'"]+)/gi
const BEARER = /\b(?<scheme>bearer|basic) [\w.~+/=-]{8,}/gi

/**
 * Masks what can be recognized as a secret inside text, as the messages of client libraries have it:
 * credentials of URLs, `password=…`, `Bearer …`. Runs in linear time.
 */
export function scrubText(text: string): string {
  return text
    .replace(URL_CREDENTIALS, '://***@')
    .replace(ASSIGNED_SECRET, '$<name>=***')
    .replace(BEARER, '$<scheme> ***')
}
