/** What comes from outside, and the code that takes it: each decoder and each handler, with valid inputs to begin from. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readFromCallee, readFromCaller } from '../../node/calls/frames.ts'
import { decode, encode } from '../../node/network/cbor.ts'
import { requestOf } from '../../node/network/control.ts'
import { FrameReader, frame } from '../../node/network/frames.ts'
import { messageOf } from '../../node/network/link.ts'
import { createArchive, unpackBundle } from '../../node/pack/archive.ts'
import { Refusal } from '../../src/errors.ts'
import type { Effect, PeerInit } from '../../src/overlay/events.ts'
import { MAX_MESSAGE_BYTES, type Message } from '../../src/overlay/messages.ts'
import { Peer } from '../../src/overlay/peer.ts'
import type { PeerRecord } from '../../src/overlay/record.ts'
import { SKETCH_BYTES } from '../../src/overlay/sketch.ts'
import { encode as encodeJson, sha256 } from '../../src/upgrade/canonical.ts'
import {
  parseEntry,
  parseStatement,
  parseTicket,
  signEntry,
  signStatement,
  signTicket
} from '../../src/upgrade/entry.ts'
import { parseRoot } from '../../src/upgrade/root.ts'
import { authority } from '../../src/upgrade/seal.ts'
import { openTrust } from '../../src/upgrade/trust.ts'
import { FAR, testFleet, testManifest } from '../../test/src/upgrade/fleet.ts'

export interface Target {
  name: string
  /** Valid inputs as they travel. */
  inputs: readonly Uint8Array[]
  /** The form in which a structure is written, so that it can be changed and written again; undefined: bytes only. */
  form: { read(bytes: Uint8Array): unknown; write(value: unknown): Uint8Array } | undefined
  /** One of so many inputs of all is for it. @default 1 */
  rarity?: number
  take(input: Uint8Array): void | Promise<void>
  end?(): void
}

const CBOR = { read: decode, write: encode }
const JSON_TEXT = {
  read: (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes)),
  write: (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value) ?? 'null')
}

const fleet = testFleet(0, FAR, true)
const { trust, release, operator, admission } = fleet
const said = { format: 1 as const, fleet: trust.fleet, sequence: 9, note: 'why' }
const own = authority(trust, new Uint8Array(32).fill(50))
const other = authority(trust, new Uint8Array(32).fill(51))

const admitted = (peer: string): string => {
  const body = {
    format: 1 as const,
    fleet: trust.fleet,
    peer,
    number: 1,
    as: 'member' as const,
    classes: null,
    labels: null
  }
  return new TextDecoder().decode(signTicket(body, FAR, [admission]))
}

const record = (peer: string): PeerRecord => ({
  format: 1,
  peer,
  incarnation: 3,
  counter: 4,
  head: { version: 0, hash: trust.fleet },
  group: 'g0',
  labels: { zone: 'a' },
  addresses: ['/ip4/127.0.0.1/tcp/4001'],
  objects: {
    IntSet: {
      ...{ version: 1, entry: 'ab'.repeat(8), lowest: 1, highest: 2, phase: 'waiting', target: 2, serving: true },
      ...{
        reason: 'waits',
        why: { kind: 'canary', peers: [own.peer] },
        since: 1,
        calls: { now: { calls: 3, failed: 1 }, before: { calls: 3, failed: 0 } }
      },
      failed: [{ version: 2, reason: 'threw' }]
    }
  },
  permit: {
    ...{ group: 'g0', adopted: 1, active: 1, asking: 2, askedUnder: 1, unavailable: 1, holding: false, released: 1 },
    grants: [{ holder: own.peer, attempt: 2, roster: 1, unavailable: 1, own: true }]
  },
  ticket: admitted(peer)
})

const sealed = other.sealRecord(record(other.peer))
const entry = signEntry(testManifest(trust.fleet), FAR, release.slice(0, 2))
const statements = [
  signStatement({ ...said, what: 'roster', group: 'g0', number: 1, members: [own.peer, other.peer] }, FAR, [operator]),
  signStatement({ ...said, what: 'pause', target: null, of: { labels: { zone: 'a' } } }, FAR, [operator]),
  signStatement({ ...said, what: 'revoke', peer: other.peer, upTo: 1 }, FAR, [admission])
]
const head = { version: 1, hash: 'cd'.repeat(32) }
const line = {
  object: 'IntSet',
  version: 1,
  entry: 'ab'.repeat(8),
  run: new Uint8Array(SKETCH_BYTES),
  retries: 0,
  called: 1
}
const counts = { epoch: 3, lines: [line], before: [line], whole: true }
const bundle = testManifest(trust.fleet).bundle.sha256

const MESSAGES: Message[] = [
  { kind: 'ticket', ticket: admitted(other.peer) },
  {
    kind: 'neighbour',
    what: 'ask',
    urgent: true,
    record: sealed,
    contacts: [{ peer: other.peer, addresses: ['/ip4/1.2.3.4/tcp/1'] }]
  },
  { kind: 'summary', head, statements: '1.ab', records: 'ab', census: 'cd', counts, news: true, time: 5 },
  {
    kind: 'digest',
    tips: [head],
    statements: ['ef'.repeat(32)],
    slice: [0, 2],
    records: [[other.peer, 1, 2]],
    room: 9,
    answer: true
  },
  { kind: 'delta', entries: [entry], statements, records: [sealed], agesMs: [10], more: true },
  { kind: 'delta', roots: [fleet.rootBytes], entries: [], statements: [], records: [], more: false },
  { kind: 'have', bundle, pieces: new Uint8Array([1]) },
  { kind: 'want', bundle, index: 0 },
  { kind: 'piece', bundle, index: 0, bytes: new Uint8Array(100) },
  { kind: 'lack', bundle, index: 0 },
  { kind: 'census', digest: 'ab', ...counts, answer: true },
  { kind: 'shuffle', contacts: [{ peer: other.peer, addresses: ['/ip4/1.2.3.4/tcp/1'], ageMs: 5 }], answer: true }
]

/** A whole core, to which whatever still is a message is said by a member. */
class Core {
  #peer!: Peer
  #taken = 0
  #now = 1_000_000

  take(message: Message): void {
    if (this.#taken % 2000 === 0) this.#begin()
    this.#taken += 1
    this.#now += 50
    const effects = this.#step({ type: 'message', from: other.peer, message })
    if (effects.some((one) => one.type === 'disconnect' && one.blame)) {
      this.#step({ type: 'disconnected', peer: other.peer })
      this.#meet()
    }
    if (this.#taken % 20 === 0) this.#step({ type: 'wake' })
  }

  #begin(): void {
    const init: PeerInit = {
      ...{ peer: own.peer, group: 'g0', labels: {}, addresses: [], classes: null, bootstrap: [], seed: 1 },
      ticket: admitted(own.peer)
    }
    this.#peer = new Peer(init, own, new Map())
    this.#step({ type: 'boot', bundles: [] })
    this.#meet()
  }

  #meet(): void {
    this.#step({ type: 'connected', peer: other.peer })
    for (const message of MESSAGES.slice(0, 2)) this.#step({ type: 'message', from: other.peer, message })
  }

  #step(event: Parameters<Peer['step']>[0]): Effect[] {
    return this.#peer.step(event, this.#now)
  }
}

const call = {
  ...{
    kind: 'call',
    id: 1,
    class: 'IntSet',
    version: 1,
    entry: 'ab'.repeat(8),
    method: 'insert',
    args: [1, 'a', { b: [2] }]
  },
  ...{ callId: 'x', held: false, timeoutMs: 1000, observersOnly: false, object: 'IntSet', by: 'Door', simulates: 2 }
}
const FROM_CALLER = [
  call,
  { kind: 'cancel', id: 1 },
  { kind: 'head', head, statements: '1.a' },
  { kind: 'ticket', ticket: 'x' }
]
const REQUESTS = [
  { op: 'status' },
  { op: 'ticket', ticket: 'x' },
  { op: 'inject-entry', bytes: entry },
  { op: 'inject-piece', bundle, index: 0, bytes: new Uint8Array(99) },
  { op: 'inject-statement', bytes: statements[0] },
  { op: 'lock', token: 'ab'.repeat(32), name: 'backup', change: { reason: 'runs', forMs: 1000 } }
]
const FROM_CALLEE = [
  { kind: 'reply', id: 1, value: { a: new Uint8Array(9) } },
  { kind: 'error', id: 1, name: 'Misplaced', text: 'no', retryAfterMs: 5, serves: [1, 2] }
]

export async function targets(): Promise<Target[]> {
  const core = new Core()
  const messages = MESSAGES.map(encode)
  const archive = await createArchive(
    new Map([
      ['a.js', new Uint8Array(700).fill(65)],
      ['b/c.js', new Uint8Array(3)]
    ])
  )
  const directory = mkdtempSync(join(tmpdir(), 'upstart-fuzz-'))
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
  const whole = (payloads: readonly Uint8Array[]): Uint8Array =>
    Buffer.concat(payloads.map((one) => frame(one, MAX_MESSAGE_BYTES)))
  return [
    { name: 'CBOR', inputs: messages, form: undefined, take: (input) => void decode(input) },
    {
      ...{ name: 'frames', inputs: [whole(messages.slice(0, 4)), whole(messages.slice(4))], form: undefined },
      take: (input) => void [...new FrameReader(MAX_MESSAGE_BYTES).read(input)]
    },
    { name: 'messages', inputs: messages, form: CBOR, take: (input) => void messageOf(input) },
    { name: 'a core', inputs: messages, form: CBOR, take: (input) => core.take(messageOf(input)) },
    {
      ...{ name: 'sealed records', inputs: [sealed], form: undefined },
      take: (input) => void authority(trust, new Uint8Array(32).fill(50)).openRecord(input),
      rarity: 4
    },
    {
      ...{ name: 'records of a liar', inputs: [encodeJson(record(other.peer))], form: JSON_TEXT },
      // Well signed, whatever it says: only its name has to be its own.
      take: (input) => {
        const lie = { ...(JSON_TEXT.read(input) as PeerRecord), peer: other.peer }
        own.openRecord(other.sealRecord(lie))
      },
      rarity: 4
    },
    { name: 'entries', inputs: [entry], form: JSON_TEXT, take: (input) => void parseEntry(input) },
    { name: 'statements', inputs: statements, form: JSON_TEXT, take: (input) => void parseStatement(input) },
    {
      name: 'tickets',
      inputs: [encodeJson(JSON.parse(admitted(own.peer)))],
      form: JSON_TEXT,
      take: (input) => void parseTicket(input)
    },
    { name: 'roots', inputs: [fleet.rootBytes], form: JSON_TEXT, take: (input) => void parseRoot(input) },
    {
      ...{ name: 'trust', inputs: [fleet.rootBytes, entry, ...statements], form: JSON_TEXT, rarity: 8 },
      take: (input) => {
        for (const open of [
          openTrust,
          trust.openEntry,
          trust.openStatement,
          (one: Uint8Array) => trust.openTicket(text(one))
        ])
          refusing(() => open(input))
      }
    },
    { name: 'calls', inputs: FROM_CALLER.map(encode), form: CBOR, take: (input) => void readFromCaller(input) },
    { name: 'operators', inputs: REQUESTS.map(encode), form: CBOR, take: (input) => void requestOf(input) },
    { name: 'answers', inputs: FROM_CALLEE.map(encode), form: CBOR, take: (input) => void readFromCallee(input) },
    {
      ...{ name: 'archives', inputs: [archive], form: undefined, rarity: 400 },
      take: async (input) => {
        const place = join(directory, 'unpacked')
        const hash = sha256(input)
        const table = { length: input.length, sha256: hash, pieceLength: 262144, pieces: [hash] }
        rmSync(place, { recursive: true, force: true })
        await unpackBundle(input, place, table)
      },
      end: () => rmSync(directory, { recursive: true, force: true })
    }
  ]
}

/** Several readers of one input: each may refuse it. */
function refusing(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
  }
}
