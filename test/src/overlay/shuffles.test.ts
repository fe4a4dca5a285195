import assert from 'node:assert/strict'
import { type MessageOf, messageSchema } from '../../../src/overlay/messages.ts'
import { Outbox } from '../../../src/overlay/outbox.ts'
import { PassiveSet } from '../../../src/overlay/passive.ts'
import { Shuffles } from '../../../src/overlay/shuffles.ts'
import { Generator } from '../../../src/prng.ts'

type Shuffle = MessageOf<'shuffle'>
const HOUR_MS = 3_600_000
const name = (number: number): string => `peer${String(number).padStart(4, '0')}`

class Fixture {
  readonly outbox = new Outbox()
  readonly passive: PassiveSet
  readonly shuffles: Shuffles
  readonly neighbours = new Set<string>()
  readonly heard = new Map<string, number>()

  constructor(neighbours: string[], size = 4) {
    for (const peer of neighbours) this.neighbours.add(peer)
    const generator = new Generator(1)
    this.passive = new PassiveSet(size, generator)
    const around = {
      self: name(0),
      ownAddresses: ['/self'],
      neighbours: { all: () => this.neighbours },
      addresses: (peer: string) => [`/${peer}`],
      isWelcome: (peer: string) => !this.neighbours.has(peer),
      heard: (peer: string, at: number) => {
        this.heard.set(peer, at)
      }
    }
    this.shuffles = new Shuffles({
      around,
      passive: this.passive,
      generator,
      outbox: this.outbox,
      silentMs: HOUR_MS
    })
  }

  sent(): { to: string; message: Shuffle }[] {
    return this.outbox
      .drain()
      .flatMap((effect) =>
        effect.type === 'send' && effect.message.kind === 'shuffle' ? [{ to: effect.to, message: effect.message }] : []
      )
  }

  /** Begins a shuffle: with whom, and what was sent. */
  begin(): { to: string; message: Shuffle; now: number } {
    // A peer's clock shows fractions of milliseconds.
    for (let now = 1000.25; ; ) {
      const next = this.shuffles.turn(now)
      const [first] = this.sent()
      if (first !== undefined) return { ...first, now }
      now = next
    }
  }
}

const told = (numbers: number[], answer: boolean, ageMs = 0): Shuffle => ({
  kind: 'shuffle',
  contacts: numbers.map((number) => ({ peer: name(number), addresses: [`/${name(number)}`], ageMs })),
  answer
})

describe('shuffles (SPEC O10)', () => {
  it('O10: tells of itself, neighbours and passive contacts, and of no more than a message may hold', () => {
    const fixture = new Fixture([1, 2, 3, 4, 5, 6].map(name), 20)
    for (let number = 10; number < 30; number++)
      fixture.passive.note({ peer: name(number), addresses: ['/x'], heardAt: 0 })
    const { to, message, now } = fixture.begin()
    assert.ok(messageSchema.safeParse(message).success)
    assert.equal(message.contacts.length, 8)
    assert.deepEqual(message.contacts[0], { peer: name(0), addresses: ['/self'], ageMs: 0 })
    const peers = message.contacts.map(({ peer }) => peer)
    assert.equal(new Set(peers).size, 8)
    assert.equal(peers.filter((peer) => fixture.neighbours.has(peer)).length, 3)
    assert.ok(!peers.includes(to))
    assert.ok(message.contacts.slice(4).every(({ ageMs }) => ageMs === Math.round(now)))
  })

  it('O10: a message with more contacts, or with addresses without bound, is none', () => {
    const many = told(
      [...Array(9)].map((_, index) => index),
      true
    )
    assert.equal(messageSchema.safeParse(many).success, false)
    const [contact] = told([1], true).contacts
    const long = { kind: 'shuffle', answer: true, contacts: [{ ...contact!, addresses: ['/'.repeat(201)] }] }
    assert.equal(messageSchema.safeParse(long).success, false)
  })

  it('O10: the set is bounded, without self, neighbours, the long silent and those without an address', () => {
    const fixture = new Fixture([name(1)])
    const { contacts } = told([0, 1, 2, 3, 4, 5, 6], true)
    fixture.shuffles.onMessage(name(1), { kind: 'shuffle', answer: true, contacts }, 10_000)
    assert.equal(fixture.passive.size, 4)
    assert.ok(![...fixture.passive.peers()].some((peer) => peer === name(0) || peer === name(1)))
    const other = new Fixture([name(1)])
    other.shuffles.onMessage(name(1), told([2], true, HOUR_MS + 1), 10_000)
    other.shuffles.onMessage(
      name(1),
      { kind: 'shuffle', answer: true, contacts: [{ peer: name(3), addresses: [], ageMs: 0 }] },
      20_000
    )
    assert.equal(other.passive.size, 0)
  })

  it('O10: what a neighbour tells unasked too soon, or as an answer to nothing, is not taken', () => {
    const fixture = new Fixture([name(1)])
    fixture.shuffles.onMessage(name(1), told([2], false), 10_000)
    assert.equal(fixture.passive.size, 0)
    fixture.shuffles.onMessage(name(1), told([2], true), 10_000)
    fixture.shuffles.onMessage(name(1), told([3], true), 11_000)
    assert.deepEqual([...fixture.passive.peers()], [name(2)])
    assert.equal(fixture.sent().length, 1)
    fixture.shuffles.onMessage(name(1), told([3], true), 13_000)
    assert.equal(fixture.passive.size, 2)
  })

  it('O10: an answer takes the places of what was given for it', () => {
    const fixture = new Fixture([name(1)])
    for (const number of [10, 11, 12, 13]) fixture.passive.note({ peer: name(number), addresses: ['/x'], heardAt: 0 })
    const { to, now } = fixture.begin()
    fixture.shuffles.onMessage(to, told([20, 21], false), now)
    const kept = [...fixture.passive.peers()]
    assert.equal(kept.length, 4)
    assert.ok(kept.includes(name(20)) && kept.includes(name(21)))
    // Answered once: a second one is nobody's answer.
    fixture.shuffles.onMessage(to, told([22], false), now)
    assert.ok(![...fixture.passive.peers()].includes(name(22)))
  })

  it('O10: the fresher of two contacts stays, whoever tells it', () => {
    const fixture = new Fixture([name(1)])
    fixture.passive.note({ peer: name(2), addresses: ['/new'], heardAt: 9_000 })
    fixture.shuffles.onMessage(name(1), told([2], true, 5_000), 10_000)
    assert.deepEqual(fixture.passive.get(name(2))?.addresses, ['/new'])
    fixture.shuffles.onMessage(name(1), told([2], true, 500), 20_000)
    assert.deepEqual(fixture.passive.get(name(2)), { peer: name(2), addresses: [`/${name(2)}`], heardAt: 19_500 })
    assert.equal(fixture.heard.get(name(2)), 19_500)
  })

  it('M17: an idle peer begins some ten shuffles in its first minutes, then one in half an hour', () => {
    const fixture = new Fixture([name(1)])
    const perHour = [0, 0, 0]
    for (let now = 1000; now < 3 * HOUR_MS; now = fixture.shuffles.turn(now)) {
      perHour[Math.floor(now / HOUR_MS)]! += fixture.sent().length
    }
    assert.ok(perHour[0]! <= 16 && perHour[2]! >= 1 && perHour[2]! <= 3, `shuffles in each hour: ${perHour}`)
  })
})
