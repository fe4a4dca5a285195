/** The log head and digest of statements that travel with calls and replies (SPEC N10), told only when they changed. */
import type { Head } from '../../src/overlay/record.ts'
import { writeFrame } from './frames.ts'

/** What this peer has: asked at every write, so it must be cheap. Undefined for a program that is no peer. */
export type HeadSource = () => { head: Head; statements: string } | undefined
export type HeadSeen = (from: string, head: Head, statements: string) => void

/** Remembers what one wire was told last. */
export class HeadTeller {
  readonly #source: HeadSource
  #hash = ''
  #statements = ''

  constructor(source: HeadSource) {
    this.#source = source
  }

  next(): Uint8Array | undefined {
    const now = this.#source()
    if (now === undefined || (now.head.hash === this.#hash && now.statements === this.#statements)) return undefined
    this.#hash = now.head.hash
    this.#statements = now.statements
    return writeFrame({ kind: 'head', head: now.head, statements: now.statements }, 'log head')
  }
}
