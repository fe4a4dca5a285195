/** What a hosted process says, in bounded lines at a bounded rate: a chatty object must not fill the daemon's log (SPEC H6). */
import type { Readable } from 'node:stream'
import { inspect } from 'node:util'
import type { Value } from '../../src/versions/types.ts'

const MAX_LINE_LENGTH = 4096
const MAX_FIELDS = 16
const MAX_NAME_LENGTH = 64
const MAX_FIELD_LENGTH = 1024
const SHORT = { depth: 3, maxArrayLength: 32, maxStringLength: MAX_FIELD_LENGTH, breakLength: Number.POSITIVE_INFINITY }
/** Lines a second in the long run, and at once. */
const LINES_PER_SECOND = 50
const LINES_AT_ONCE = 500

export type Log = (message: string, fields: Record<string, Value>) => void

/** Passes lines on as long as there are not too many, and says how many were left out. */
export function throttled(log: Log): Log {
  let allowance = LINES_AT_ONCE
  let leftOut = 0
  let last = performance.now()
  return (message, fields) => {
    const now = performance.now()
    allowance = Math.min(LINES_AT_ONCE, allowance + ((now - last) / 1000) * LINES_PER_SECOND)
    last = now
    if (allowance < 1) {
      leftOut += 1
      return
    }
    allowance -= 1
    if (leftOut > 0) log('lines were left out: too many', { count: leftOut })
    leftOut = 0
    log(message.slice(0, MAX_LINE_LENGTH), bounded(fields))
  }
}

/** Few short fields, whatever the process sent. */
function bounded(fields: unknown): Record<string, Value> {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || ArrayBuffer.isView(fields)) return {}
  const few = Object.entries(fields).slice(0, MAX_FIELDS)
  return Object.fromEntries(few.map(([name, value]) => [name.slice(0, MAX_NAME_LENGTH), shortened(value)]))
}

function shortened(value: unknown): Value {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  const text = typeof value === 'string' ? value : inspect(value, SHORT)
  return text.slice(0, MAX_FIELD_LENGTH)
}

/** Calls `line` for every line of a stream; an overlong one is cut into several. */
export function eachLine(stream: Readable, line: (text: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const text of lines) line(text)
    for (; rest.length > MAX_LINE_LENGTH; rest = rest.slice(MAX_LINE_LENGTH)) line(rest.slice(0, MAX_LINE_LENGTH))
  })
  stream.on('end', () => {
    if (rest !== '') line(rest)
  })
}
