/** A function as text that a worker can compile, or why it has none. */
export function sourceOf(fn: (...args: never[]) => unknown): string {
  const text = Function.prototype.toString.call(fn)
  const name = fn.name === '' ? 'the function' : `the function ${fn.name}`
  if (/\{\s*\[native code\]\s*\}\s*$/.test(text)) {
    throw new TypeError(`${name} is native or bound: it has no source that a worker could run`)
  }
  if (/^class\b/.test(text)) {
    throw new TypeError(`${name} is a class: a worker runs functions, not constructors`)
  }
  const expression = expressionOf(text)
  if (expression === undefined) {
    throw new TypeError(`${name} cannot be taken out of its object: use an arrow function`)
  }
  return expression
}

/** Compiles what {@link sourceOf} gave. The function sees globals only, in strict mode. */
export function compileSource(source: string): (...args: unknown[]) => unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- the text is the caller's own function.
  return new Function(`'use strict'; return (${source})`)() as (...args: unknown[]) => unknown
}

/** Functions and arrow functions are expressions; a method is one within an object literal. */
function expressionOf(text: string): string | undefined {
  if (canCompile(text)) return text
  const name = /^(?:async\b)?\s*\*?\s*(?<name>[\p{ID_Start}$_][\p{ID_Continue}$]*)\s*\(/u.exec(text)
    ?.groups?.['name']
  const method = `({ ${text} }).${name ?? ''}`
  return name !== undefined && canCompile(method) ? method : undefined
}

function canCompile(expression: string): boolean {
  try {
    // oxlint-disable-next-line no-new, typescript/no-implied-eval -- parsed, not run.
    new Function(`'use strict'; (${expression})`)
    return true
  } catch {
    return false
  }
}
