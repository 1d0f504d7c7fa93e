const WIDTH = 24

/** A bar on standard error: redrawn in a terminal, one line at the end elsewhere. */
export class ProgressBar {
  readonly #title: string
  readonly #total: number
  readonly #startedMs = performance.now()
  #drawnMs = 0

  constructor(title: string, total: number) {
    this.#title = title
    this.#total = total
  }

  update(done: number): void {
    const nowMs = performance.now()
    if (!process.stderr.isTTY || nowMs - this.#drawnMs < 50) return
    this.#drawnMs = nowMs
    process.stderr.write(`\r${this.#line(done)}`)
  }

  end(done: number): void {
    process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}${this.#line(done)}\n`)
  }

  #line(done: number): string {
    const filled = Math.round(WIDTH * Math.min(1, done / this.#total))
    const seconds = (performance.now() - this.#startedMs) / 1000
    const rate = Math.round(done / seconds).toLocaleString('en-US')
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled)
    return `${this.#title.padEnd(22)} ${bar} ${done.toLocaleString('en-US').padStart(8)}  ${rate}/s`
  }
}
