/** What a hosted process says, in bounded lines at a bounded rate: a chatty object must not fill the daemon's log (SPEC H6). */
import type { Readable } from 'node:stream'
import type { Value } from '../../src/versions/types.ts'

const MAX_LINE_LENGTH = 4096
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
    log(message.slice(0, MAX_LINE_LENGTH), fields)
  }
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
