/**
 * What goes before calls and replies, told only when it changed: the sender's log head and digest of statements (SPEC
 * N10), and of a caller in a private fleet its ticket (A7).
 */
import type { Head } from '../../src/overlay/record.ts'
import { writeFrame } from './frames.ts'

/** What this peer has: asked at every write, so it must be cheap. Undefined for a program that is no peer. */
export type HeadSource = () => { head: Head; statements: string } | undefined
/** What admits this program to the fleet; undefined where nothing has to. */
export type TicketSource = () => string | undefined
export type HeadSeen = (from: string, head: Head, statements: string) => void

/** Remembers what one wire was told last. */
export class HeadTeller {
  readonly #source: HeadSource
  readonly #tickets: TicketSource
  #ticket = ''
  #hash = ''
  #statements = ''

  constructor(source: HeadSource, tickets: TicketSource = () => undefined) {
    this.#source = source
    this.#tickets = tickets
  }

  next(): Uint8Array | undefined {
    const frames = [this.#nextTicket(), this.#nextHead()].filter((one) => one !== undefined)
    return frames.length > 1 ? Buffer.concat(frames) : frames[0]
  }

  #nextTicket(): Uint8Array | undefined {
    const ticket = this.#tickets()
    if (ticket === undefined || ticket === this.#ticket) return undefined
    this.#ticket = ticket
    return writeFrame({ kind: 'ticket', ticket }, 'ticket')
  }

  #nextHead(): Uint8Array | undefined {
    const now = this.#source()
    if (now === undefined || (now.head.hash === this.#hash && now.statements === this.#statements)) return undefined
    this.#hash = now.head.hash
    this.#statements = now.statements
    return writeFrame({ kind: 'head', head: now.head, statements: now.statements }, 'log head')
  }
}
