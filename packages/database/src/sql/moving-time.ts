const MOVING = /\b(?:now|today|tomorrow|yesterday)\b/i
/** A time with such a word in it is short; a long text that has one is no time. */
const MAX_TIME_LENGTH = 64

/** Whether PostgreSQL, reading the string as a date or a time, may take the moment for it. */
export function isMovingTime(text: string): boolean {
  return text.length <= MAX_TIME_LENGTH && MOVING.test(text)
}
