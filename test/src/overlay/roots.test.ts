/** Roots between peers of the production trust (SPEC T13 to T16, O27), and what a peer makes of simulated ones. */
import assert from 'node:assert/strict'
import type { Effect, Event } from '../../../src/overlay/events.ts'
import { messageSchema } from '../../../src/overlay/messages.ts'
import { Peer } from '../../../src/overlay/peer.ts'
import { signEntry, signStatement, signTicket } from '../../../src/upgrade/entry.ts'
import type { Signer } from '../../../src/upgrade/keys.ts'
import { holdersIn, type OpenRoot, signRoot } from '../../../src/upgrade/root.ts'
import { authority } from '../../../src/upgrade/seal.ts'
import { encodeRoots, openTrust } from '../../../src/upgrade/trust.ts'
import { FAR, testFleet, testManifest, testSigner } from '../upgrade/fleet.ts'
import { LonePeer } from './lone-peer.ts'

const DAY = 24 * 3_600_000
const { trust, rootBytes, release } = testFleet()
const holder = testSigner(1)
const operators = Array.from({ length: 8 }, (_, n) => testSigner(70 + n))

/** Root n + 1 has operator n, and the same holder of itself. */
function next(after: OpenRoot, statements: string[] = [], expiresMs = FAR): Uint8Array {
  const operator = { keys: [operators[after.version]!.key], threshold: 1 }
  const roles = { ...holdersIn(after), operator }
  return signRoot({ roles, expiresMs, after: { root: after, entries: [], statements } }, [holder])
}

function pause(sequence: number, signer: Signer): Uint8Array {
  return signStatement({ format: 1, fleet: trust.fleet, sequence, note: '', what: 'pause', target: null }, FAR, [
    signer
  ])
}

const signingOf = (n: number, rootsFile = rootBytes) => authority(openTrust(rootsFile), new Uint8Array(32).fill(n))
const idsOf = (size: number): string[] => Array.from({ length: size }, (_, at) => signingOf(at + 1).peer)

/** A few peers, all of which are connected; what they send arrives at once, but for those that are off. */
class Fleet {
  readonly peers: Peer[] = []
  readonly off = new Set<Peer>()
  readonly alarms: string[] = []
  readonly blamed: string[] = []
  readonly answers: string[] = []
  readonly durable = new Map<string, Map<string, unknown>>()
  now = 1_000_000
  sent = 0

  readonly #size: number
  /** Of a private fleet: by the peer's number. */
  readonly #tickets: readonly string[]

  constructor(size: number, files: readonly Uint8Array[] = [], tickets: readonly string[] = []) {
    this.#size = size
    this.#tickets = tickets
    for (let n = 1; n <= size; n++) this.peers.push(this.#make(n, files[n - 1]))
    for (const peer of this.peers) this.step(peer, { type: 'boot', bundles: [] })
    this.passes(2000)
  }

  #make(n: number, rootsFile = rootBytes): Peer {
    const signing = signingOf(n, rootsFile)
    const kept = this.durable.get(signing.peer) ?? new Map<string, unknown>()
    this.durable.set(signing.peer, kept)
    const bootstrap = idsOf(this.#size).flatMap((peer) => (peer === signing.peer ? [] : [{ peer, addresses: ['/'] }]))
    const common = { group: null, labels: {}, addresses: ['/'], classes: null }
    const ticket = this.#tickets[n - 1]
    const shown = ticket === undefined ? {} : { ticket }
    const init = { ...common, ...shown, peer: signing.peer, bootstrap, seed: n }
    return new Peer(init, signing, new Map(kept))
  }

  restart(n: number, rootsFile = rootBytes): Peer {
    const peer = this.#make(n, rootsFile)
    const [old] = this.peers.splice(n - 1, 1, peer)
    this.off.delete(old!)
    this.step(peer, { type: 'boot', bundles: [] })
    for (const other of this.peers) if (other !== peer) this.step(other, { type: 'disconnected', peer: peer.id })
    this.passes(2000)
    return peer
  }

  passes(ms: number, steps = 20): void {
    for (let step = 0; step < steps; step++) {
      this.now += ms / steps
      for (const peer of this.peers) if (!this.off.has(peer)) this.step(peer, { type: 'wake' })
    }
  }

  inject(peer: Peer, topic: 'root' | 'entry' | 'statement', bytes: Uint8Array): string {
    this.step(peer, { type: 'inject', request: 1, topic, bytes, bundleHeld: true })
    return this.answers.pop()!
  }

  step(peer: Peer, event: Event): void {
    for (const effect of peer.step(event, this.now)) this.#perform(peer, effect)
  }

  #perform(peer: Peer, effect: Effect): void {
    const other = (id: string) => this.peers.find((one) => one.id === id && !this.off.has(one))
    if (effect.type === 'persist') {
      const kept = this.durable.get(peer.id)!
      for (const key of effect.delete) kept.delete(key)
      for (const [key, value] of effect.put) kept.set(key, structuredClone(value))
    }
    if (effect.type === 'alarm') this.alarms.push(effect.name)
    if (effect.type === 'connect') {
      const to = other(effect.peer)
      if (to === undefined) return this.step(peer, { type: 'connect-failed', peer: effect.peer, reason: 'off' })
      this.step(peer, { type: 'connected', peer: to.id })
      this.step(to, { type: 'connected', peer: peer.id })
    }
    if (effect.type === 'answer') this.answers.push(effect.ok ? effect.text : `${effect.refusal}: ${effect.text}`)
    if (effect.type === 'disconnect' && effect.blame) this.blamed.push(effect.reason)
    if (effect.type === 'send') {
      const message = messageSchema.parse(effect.message)
      this.sent += 1
      const to = other(effect.to)
      if (to !== undefined) this.step(to, { type: 'message', from: peer.id, message })
    }
    if (effect.type === 'publish')
      for (const to of this.peers) {
        if (to === peer || this.off.has(to)) continue
        const verdict = to.judge(effect.topic, effect.bytes)
        if (verdict === 'reject') this.blamed.push('a broadcast was rejected')
        else this.step(to, { type: 'published', from: peer.id, topic: effect.topic, bytes: effect.bytes })
      }
  }

  versions(): number[] {
    return this.peers.map((peer) => peer.roots.head.version)
  }
}

describe('roots between peers', () => {
  it('T13, O27: who was off for five rotations catches up, and with it all that was said since', () => {
    const fleet = new Fleet(3)
    const [first, second, third] = fleet.peers as [Peer, Peer, Peer]
    fleet.off.add(third)
    for (let n = 1; n <= 5; n++) {
      const root = next(first.roots.trust.root as OpenRoot, [], n < 5 ? fleet.now + 5000 : FAR)
      assert.match(fleet.inject(first, 'root', root), /^root \d .*is accepted/)
    }
    assert.match(fleet.inject(first, 'statement', pause(1, operators[5]!)), /^pause/)
    fleet.passes(30_000)
    assert.deepEqual(fleet.versions(), [6, 6, 1])
    assert.equal(second.statements.size, 1)
    const back = fleet.restart(3)
    fleet.passes(30_000)
    assert.deepEqual(fleet.versions(), [6, 6, 6])
    assert.equal(back.statements.size, 1)
    assert.deepEqual(fleet.blamed, [])
    // Each root but the last was about to expire.
    assert.deepEqual([...new Set(fleet.alarms)], ['RootExpires'])
  })

  it('T13: roots survive a restart, also those that the root file brings', () => {
    const fleet = new Fleet(1)
    fleet.inject(fleet.peers[0]!, 'root', next(trust.root))
    fleet.restart(1)
    assert.deepEqual(fleet.versions(), [2])
    const three = next(fleet.peers[0]!.roots.trust.root as OpenRoot)
    const file = [trust.root, ...fleet.peers[0]!.roots.trust.roots.slice(1)].map(({ bytes }) =>
      new TextDecoder().decode(bytes)
    )
    fleet.restart(1, new TextEncoder().encode(`[${[...file, new TextDecoder().decode(three)].join()}]`))
    fleet.restart(1)
    assert.deepEqual(fleet.versions(), [3])
  })

  it('T13, T16: a peer takes the next root only, and none from an operator that is past its expiry', () => {
    const fleet = new Fleet(1)
    const [peer] = fleet.peers as [Peer]
    const two = next(trust.root)
    const skipped = next(trust.rotated(two).root)
    assert.match(fleet.inject(peer, 'root', skipped), /^StaleParent: .*give root 2 first/)
    assert.match(fleet.inject(peer, 'root', next(trust.root, [], 1000)), /^Expired/)
    assert.match(fleet.inject(peer, 'root', new Uint8Array(10)), /^Malformed/)
    assert.match(fleet.inject(peer, 'root', two), /^root 2/)
    assert.match(fleet.inject(peer, 'root', two), /^root 2/, 'once more is no harm')
  })

  it('O27: what is broadcast under a root that has not come yet costs nobody a session, and comes with the root', () => {
    const fleet = new Fleet(2)
    const [first, second] = fleet.peers as [Peer, Peer]
    const two = trust.rotated(next(trust.root))
    const said = pause(1, operators[1]!)
    assert.equal(second.judge('statement', said), 'ignore')
    fleet.off.add(second)
    fleet.inject(first, 'root', two.root.bytes)
    fleet.inject(first, 'statement', said)
    fleet.off.delete(second)
    fleet.step(second, { type: 'published', from: first.id, topic: 'statement', bytes: said })
    assert.deepEqual(fleet.versions(), [2, 2])
    assert.equal(second.statements.size, 1)
    assert.deepEqual(fleet.blamed, [])
    assert.equal(second.judge('statement', said), 'accept')
    // Whoever goes on with keys that no root ever lists is no peer with a newer root.
    for (let n = 0; n < 8; n++)
      fleet.step(second, { type: 'published', from: first.id, topic: 'statement', bytes: pause(n + 2, testSigner(99)) })
    assert(fleet.blamed.length > 0)
  })

  it('T14: what lapsed stays where it is, goes nowhere, and is said; a root that vouches for it heals that', () => {
    const fleet = new Fleet(2)
    const [first, second] = fleet.peers as [Peer, Peer]
    const old = pause(1, testSigner(5))
    fleet.off.add(second)
    fleet.inject(first, 'statement', old)
    const { hash } = trust.openStatement(old)
    fleet.inject(first, 'root', next(trust.root))
    assert.deepEqual(fleet.alarms, ['Lapsed'])
    assert.deepEqual(first.roots.lapsed(), [hash])
    fleet.restart(2)
    fleet.passes(60_000)
    assert.deepEqual(fleet.versions(), [2, 2])
    assert.deepEqual([first.statements.size, fleet.peers[1]!.statements.size], [1, 0])
    assert.equal(fleet.restart(1).statements.size, 1, 'after a restart too')
    const late = pause(2, testSigner(5))
    assert.equal(fleet.peers[1]!.judge('statement', late), 'ignore')
    assert.match(fleet.inject(fleet.peers[1]!, 'statement', late), /^Lapsed/)
    fleet.inject(fleet.peers[0]!, 'root', next(fleet.peers[0]!.roots.trust.root as OpenRoot, [hash]))
    fleet.passes(60_000)
    assert.deepEqual(
      fleet.peers.map((one) => one.statements.size),
      [1, 1]
    )
    assert.deepEqual(fleet.blamed, [])
  })

  it('T14: an upgrade on one that lapsed goes to who holds that, and nobody is asked again and again', () => {
    const fleet = new Fleet(2)
    const [first, second] = fleet.peers as [Peer, Peer]
    const fresh = [testSigner(80), testSigner(81)]
    const targets = { keys: fresh.map((one) => one.key), threshold: 2 }
    const one = signEntry(testManifest(trust.fleet), FAR, release.slice(0, 2))
    const { hash } = trust.openEntry(one)
    fleet.off.add(second)
    fleet.inject(first, 'entry', one)
    const roles = { ...holdersIn(trust.root), targets }
    const rotated = (after: OpenRoot, entries: string[]): Uint8Array =>
      signRoot({ roles, expiresMs: FAR, after: { root: after, entries, statements: [] } }, [holder])
    fleet.inject(first, 'root', rotated(trust.root, []))
    const [known] = testManifest(trust.fleet).classes
    const next = { version: 2, parent: hash, classes: [{ ...known!, to: 'OtherSet' }] }
    assert.match(fleet.inject(first, 'entry', signEntry(testManifest(trust.fleet, next), FAR, fresh)), /^version 2/)
    fleet.off.delete(second)
    fleet.sent = 0
    fleet.passes(120_000)
    assert.deepEqual(fleet.versions(), [2, 2])
    assert.equal(second.log.head.version, 0)
    assert(fleet.sent < 100, `${fleet.sent} messages`)
    fleet.inject(first, 'root', rotated(first.roots.trust.root as OpenRoot, [hash]))
    fleet.passes(60_000)
    assert.equal(second.log.head.version, 2)
    assert.deepEqual(fleet.blamed, [])
  })

  it('T15: of a fork each keeps what it saw first, both say so, and neither is blamed', () => {
    const fleet = new Fleet(2)
    const [first, second] = fleet.peers as [Peer, Peer]
    fleet.off.add(second)
    fleet.inject(first, 'root', next(trust.root))
    fleet.inject(first, 'statement', pause(1, operators[1]!))
    fleet.off.delete(second)
    fleet.off.add(first)
    fleet.inject(second, 'root', next(trust.root, ['a'.repeat(64)]))
    fleet.inject(second, 'root', next(second.roots.trust.root as OpenRoot))
    fleet.off.clear()
    fleet.passes(120_000)
    assert.deepEqual(fleet.versions(), [2, 3])
    assert.deepEqual(fleet.alarms.sort(), ['Fork', 'Fork'])
    assert.deepEqual(fleet.blamed, [])
    assert.equal(second.statements.size, 0)
  })

  it('T13: a forged root costs its sender the session', () => {
    const fleet = new Fleet(2)
    const [first, second] = fleet.peers as [Peer, Peer]
    const roles = holdersIn(trust.root)
    const after = { root: trust.root, entries: [], statements: [] }
    const forged = signRoot({ roles, expiresMs: FAR, after }, [testSigner(98)])
    const message = { kind: 'delta' as const, roots: [forged], entries: [], statements: [], records: [], more: false }
    fleet.step(first, { type: 'message', from: second.id, message })
    assert.match(fleet.blamed.join(), /UnknownKey/)
    assert.deepEqual(fleet.versions(), [1, 1])
  })
})

describe('roots between peers of a private fleet', () => {
  const [before, after] = [testSigner(7), testSigner(90)]
  const closed = testFleet(0, FAR, true)
  const both = { keys: [before.key, after.key], threshold: 1 }
  const rolesOf = (root: OpenRoot) => ({ ...holdersIn(root), admission: both })
  const rootOf = (root: OpenRoot) =>
    signRoot({ roles: rolesOf(root), expiresMs: FAR, after: { root, entries: [], statements: [] } }, [holder])
  const ticketOf = (n: number, signer: Signer): string => {
    const said = { format: 1 as const, fleet: closed.trust.fleet, number: 1, as: 'member' as const }
    const body = { ...said, peer: idsOf(n)[n - 1]!, classes: null, labels: null }
    return new TextDecoder().decode(signTicket(body, FAR, [signer]))
  }

  it('A10: who was off while admission got a second key learns of it from those whose tickets it signed', () => {
    const two = closed.trust.rotated(rootOf(closed.trust.root))
    const ahead = encodeRoots(two.rotated(rootOf(two.root)))
    const tickets = [ticketOf(1, after), ticketOf(2, after), ticketOf(3, before)]
    const fleet = new Fleet(3, [ahead, ahead, closed.rootBytes], tickets)
    fleet.passes(30_000)
    assert.deepEqual(fleet.versions(), [3, 3, 3])
    assert.deepEqual(fleet.blamed, [])
    assert.deepEqual(
      fleet.peers.map((one) => one.view.size),
      [3, 3, 3]
    )
  })

  it('A10: a stranger is told no roots', () => {
    const ahead = encodeRoots(closed.trust.rotated(rootOf(closed.trust.root)))
    const tickets = [ticketOf(1, after), ticketOf(2, testSigner(91))]
    const door = new Fleet(1, [ahead], tickets)
    const [id, ticket] = [idsOf(2)[1]!, tickets[1]!]
    const [peer] = door.peers as [Peer]
    peer.step({ type: 'connected', peer: id }, door.now)
    const effects = peer.step({ type: 'message', from: id, message: { kind: 'ticket', ticket } }, door.now)
    assert.deepEqual(
      effects.filter((one) => one.type === 'send'),
      []
    )
  })
})

describe('an expired root', () => {
  it('T16: is said two weeks before and at its end, holds new upgrades back, and nothing else', () => {
    const peer = new LonePeer()
    peer.installed()
    const root = peer.world.makeRoot([], peer.now + 30 * DAY)
    peer.step({ type: 'inject', request: 1, topic: 'root', bytes: root.bytes, bundleHeld: true })
    peer.passes(15 * DAY)
    assert.deepEqual(peer.alarms, [])
    for (let days = 0; days < 5; days++) peer.passes(DAY)
    assert.deepEqual(peer.alarms, ['RootExpires'])
    for (let days = 0; days < 15; days++) peer.passes(DAY)
    assert.deepEqual(peer.alarms, ['RootExpires', 'RootExpired'])
    peer.inject()
    assert.equal(peer.peer.log.head.version, 1)
    peer.state({ what: 'pause', target: null })
    assert.equal(peer.peer.statements.size, 1)
    peer.restart()
    assert(peer.commands.some((one) => one.command === 'start'))
    const renewed = peer.world.makeRoot()
    peer.step({ type: 'inject', request: 1, topic: 'root', bytes: renewed.bytes, bundleHeld: true })
    const again = peer.world.entries[1]!
    peer.step({ type: 'inject', request: 1, topic: 'entry', bytes: again.bytes, bundleHeld: true })
    assert.equal(peer.peer.log.head.version, 2)
  })
})
