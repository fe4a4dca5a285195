/** The census among members that exchange it in pairs, as rounds of anti-entropy do (SPEC O21 to O24). */
import assert from 'node:assert/strict'
import { hash53, World } from '../../../sim/authority.ts'
import { Census } from '../../../src/overlay/census.ts'
import type { Count, Counted } from '../../../src/overlay/counted.ts'
import { DEFAULT_LIMITS } from '../../../src/overlay/events.ts'
import { type MessageOf, messageSchema } from '../../../src/overlay/messages.ts'
import { Outbox } from '../../../src/overlay/outbox.ts'
import { EMPTY } from '../../../src/overlay/sketch.ts'
import { Generator } from '../../../src/prng.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'
import { StatementSet } from '../../../src/upgrade/statements.ts'

const MINUTE = 60_000
const EPOCH = DEFAULT_LIMITS.epochMs
const OBJECT = 'Av1'

class Fleet {
  readonly world = new World(1, true)
  readonly log = new UpgradeLog(this.world.fleet)
  readonly statements = new StatementSet(hash53)
  readonly generator = new Generator(7)
  readonly members = new Map<string, { census: Census; outbox: Outbox; skewMs: number }>()
  now = 1_700_000_000_000
  /** Messages of the last round. */
  sent = 0
  /** Whether its members know only some of it (`isFull`), and what their schedules look at. */
  readonly view = { isFull: false }
  readonly watched = new Set<string>()

  constructor(versions: number) {
    const schedule = { when: { kind: 'immediately' as const }, constraints: [] }
    for (let version = 1; version <= versions; version++)
      this.log.add(this.world.makeEntry({ lineages: ['A'], schedule, pieces: 1, future: true, past: true }))
  }

  join(name: string, skewMs = 0): Census {
    const { log, statements } = this
    const outbox = new Outbox()
    const generator = new Generator(hash53(name))
    const mode = { view: this.view, guards: { isWatched: (key: string) => this.watched.has(key) } }
    const census = new Census(name, hash53, { log, statements, limits: DEFAULT_LIMITS, generator, outbox, ...mode })
    this.members.set(name, { census, outbox, skewMs })
    return census
  }

  say(name: string, ...said: [Counted, number][]): void {
    const { census, skewMs } = this.members.get(name)!
    const counts = said.map(
      ([what, version]): Count => ({ object: OBJECT, version, entry: this.log.at(version)!.hash.slice(0, 16), what })
    )
    census.own(counts, this.now + skewMs)
  }

  /** Each member asks one other, as it does about once a minute. */
  round(passMs = MINUTE): void {
    this.sent = 0
    const names = [...this.members.keys()]
    for (const name of this.generator.shuffle([...names])) {
      const { census, skewMs } = this.members.get(name)!
      this.now += passMs / names.length
      census.turn(this.now + skewMs)
      const other = this.generator.pick(names)
      if (other === name) continue
      this.#summarise(name, other)
      this.#deliver(other)
    }
  }

  /** As `round`, every five seconds, and only who has something to tell tells it, to two others. Returns messages per member. */
  tell(forMs: number): number {
    const names = [...this.members.keys()]
    this.sent = 0
    for (const end = this.now + forMs; this.now < end; this.now += 5000)
      for (const name of names) {
        const { census } = this.members.get(name)!
        census.turn(this.now)
        const counts = census.take(this.now)
        for (const other of counts === undefined ? [] : this.generator.sample(names, 2))
          if (other !== name) this.#summarise(name, other, counts)
      }
    return this.sent / names.length
  }

  #summarise(from: string, to: string, counts?: MessageOf<'summary'>['counts']): void {
    const { census, skewMs } = this.members.get(to)!
    const { digest } = this.members.get(from)!.census
    const told = counts === undefined ? { census: digest } : { census: digest, counts }
    const summary: MessageOf<'summary'> = {
      kind: 'summary',
      head: { version: 0, hash: this.log.fleet },
      statements: '',
      records: '',
      ...told
    }
    this.sent += counts === undefined ? 0 : 1
    census.onSummary(from, summary, this.now + skewMs)
    this.#deliver(to)
  }

  rounds(count: number, passMs = MINUTE): void {
    for (let round = 0; round < count; round++) this.round(passMs)
  }

  read(name: string, version: number) {
    const { census, skewMs } = this.members.get(name)!
    return census.read(this.log.at(version)!, OBJECT, this.now + skewMs)
  }

  counts(name: string, version: number): [number, number, number] | undefined {
    const reading = this.read(name, version)
    return reading === undefined ? undefined : [reading.run, reading.simulate, reading.failed]
  }

  #deliver(from: string): void {
    for (const effect of this.members.get(from)!.outbox.drain()) {
      if (effect.type !== 'send' || effect.message.kind !== 'census') continue
      this.sent += 1
      const { message } = messageSchema.safeParse(effect.message).success ? effect : { message: undefined }
      assert.ok(message, 'M23: a message that neighbours take')
      const to = this.members.get(effect.to)
      if (to === undefined) continue
      to.census.onMessage(from, message as MessageOf<'census'>, this.now + to.skewMs)
      this.#deliver(effect.to)
    }
  }
}

/** A fleet of so many that all run version 1 and have counted it. */
function settled(peers: number, versions = 2): Fleet {
  const fleet = new Fleet(versions)
  for (let peer = 0; peer < peers; peer++) {
    fleet.join(`peer-${peer}`)
    fleet.say(`peer-${peer}`, ['run', 1])
  }
  fleet.rounds(EPOCH / MINUTE)
  return fleet
}

describe('overlay/census (SPEC O21 to O24)', () => {
  it('O21: everybody comes to the same counts, in few rounds, and then nothing more is said', () => {
    const fleet = settled(100)
    for (const name of ['peer-0', 'peer-50', 'peer-99']) {
      const [run] = fleet.counts(name, 1)!
      assert.ok(Math.abs(run - 100) <= 6, `${run}`)
      assert.deepEqual(fleet.counts(name, 2), [0, 0, 0])
    }
    assert.equal(fleet.sent, 0)
    assert.equal(new Set([...fleet.members.values()].map((one) => one.census.digest)).size, 1)
  })

  it('O21: who goes on to a later version is at once no more what it was', () => {
    const fleet = settled(100)
    for (let peer = 0; peer < 100; peer++) fleet.say(`peer-${peer}`, ['run', 1], ['simulate', 2])
    for (let peer = 0; peer < 40; peer++) fleet.say(`peer-${peer}`, ['run', 2])
    fleet.rounds(10)
    const [[one], [two, simulate]] = [fleet.counts('peer-70', 1)!, fleet.counts('peer-70', 2)!] as const
    assert.ok(
      Math.abs(one - 60) <= 8 && Math.abs(two - 40) <= 4 && Math.abs(simulate - 60) <= 8,
      `${one} ${two} ${simulate}`
    )
    for (let peer = 40; peer < 100; peer++) fleet.say(`peer-${peer}`, ['run', 2])
    fleet.rounds(10)
    assert.equal(fleet.counts('peer-7', 1)![0], 0)
  })

  it('O21: in a large fleet an hour of news costs each peer few messages, and all come to know it', () => {
    const fleet = settled(1000)
    fleet.view.isFull = true
    let sent = 0
    for (let minute = 0; minute < 60; minute++) {
      for (let peer = 0; peer < 1000; peer++) if (peer % 60 === minute) fleet.say(`peer-${peer}`, ['run', 2])
      sent += fleet.tell(MINUTE)
    }
    assert.ok(sent <= 15, `${sent} a peer`)
    const run = fleet.counts('peer-7', 2)![0]
    assert.ok(run >= 250, `${run} of 1000: as of not more than three quarters of an hour ago`)
    sent = fleet.tell(70 * MINUTE)
    assert.ok(sent <= 12, `${sent} a peer`)
    for (const name of ['peer-0', 'peer-200', 'peer-999']) assert.ok(fleet.counts(name, 2)![0] >= 930, name)
    assert.equal(fleet.tell(15 * MINUTE), 0, 'then nothing more is said')
  })

  it('O21: what a schedule looks at is told at once, in a large fleet too', () => {
    const fleet = settled(100)
    fleet.view.isFull = true
    for (let peer = 0; peer < 50; peer++) fleet.say(`peer-${peer}`, ['run', 1], ['failed', 2])
    fleet.tell(10 * MINUTE)
    assert.ok(fleet.counts('peer-99', 2)![2] < 45, 'nobody waits for it')
    fleet.watched.add(`${OBJECT}/${fleet.log.at(2)!.hash.slice(0, 16)}`)
    fleet.say('peer-50', ['run', 1], ['failed', 2])
    fleet.tell(3 * MINUTE)
    assert.ok(fleet.counts('peer-99', 2)![2] >= 48)
  })

  it('O22: what is no more leaves with the epoch: who has gone, and a failure that one node got over', () => {
    const fleet = settled(60)
    for (let peer = 0; peer < 20; peer++) fleet.say(`peer-${peer}`, ['run', 1], ['failed', 2])
    fleet.rounds(10)
    assert.ok(Math.abs(fleet.counts('peer-30', 2)![2] - 20) <= 2)
    for (let peer = 0; peer < 20; peer++) fleet.say(`peer-${peer}`, ['run', 1])
    for (let peer = 40; peer < 60; peer++) fleet.members.delete(`peer-${peer}`)
    fleet.members.get('peer-1')!.census.lost(fleet.now)
    fleet.rounds((3 * EPOCH) / MINUTE)
    const [run] = fleet.counts('peer-30', 1)!
    assert.ok(Math.abs(run - 40) <= 3, `${run} of 40`)
    assert.equal(fleet.counts('peer-30', 2)![2], 0)
    assert.equal(fleet.sent, 0)
  })

  it('O23: a retry for everybody makes earlier failures count no more, at once', () => {
    const fleet = settled(40)
    for (let peer = 0; peer < 10; peer++) fleet.say(`peer-${peer}`, ['run', 1], ['failed', 2])
    fleet.rounds(8)
    assert.ok(fleet.counts('peer-30', 2)![2] >= 9)
    const body = { format: 1, fleet: fleet.world.fleet, sequence: 1, note: '', what: 'retry', peer: null } as const
    fleet.statements.add(fleet.world.makeStatement({ ...body, target: fleet.log.at(2)!.hash }, fleet.now * 2))
    assert.equal(fleet.counts('peer-30', 2)![2], 0)
    fleet.rounds(3)
    assert.equal(fleet.counts('peer-30', 2)![2], 0, 'nobody brings it back')
    fleet.say('peer-3', ['run', 1])
    fleet.say('peer-3', ['run', 1], ['failed', 2])
    fleet.rounds(8)
    assert.equal(fleet.counts('peer-30', 2)![2], 1)
  })

  it('O21: a restart counts nobody twice, and a newcomer reads what its first neighbour reads', () => {
    const fleet = settled(30)
    const before = fleet.counts('peer-5', 1)
    const again = fleet.join('peer-9')
    fleet.say('peer-9', ['run', 1])
    assert.equal(again.read(fleet.log.at(1)!, OBJECT, fleet.now), undefined, 'it has heard of nobody')
    fleet.round()
    assert.deepEqual(fleet.counts('peer-9', 1), before)
    fleet.rounds(3)
    assert.deepEqual(fleet.counts('peer-5', 1), before)
  })

  it('O22: clocks that are wrong or run fast do no harm', () => {
    const fleet = settled(30)
    for (const [name, skewMs] of [
      ['ahead', 30 * 24 * 3_600_000],
      ['behind', -30 * 24 * 3_600_000]
    ] as const) {
      fleet.join(name, skewMs)
      fleet.say(name, ['run', 1])
    }
    fleet.rounds(8)
    assert.ok(Math.abs(fleet.counts('peer-3', 1)![0] - 32) <= 3)
    fleet.say('ahead', ['run', 2])
    fleet.rounds((2 * EPOCH) / MINUTE)
    for (const name of ['peer-3', 'ahead', 'behind']) {
      const [run] = fleet.counts(name, 1)!
      assert.ok(Math.abs(run - 31) <= 3, `${name} counts ${run}`)
    }
  })

  it('O22: nobody makes epochs pass faster than they are told, nor uses up their numbers', () => {
    const fleet = settled(30)
    const { census } = fleet.members.get('peer-0')!
    const before = fleet.counts('peer-0', 1)
    const forged = (epoch: number): MessageOf<'census'> => {
      return { kind: 'census', epoch, digest: 'x', lines: [], before: [], whole: true, answer: false }
    }
    census.onMessage('hostile', forged(Number.MAX_SAFE_INTEGER), fleet.now)
    assert.deepEqual(fleet.counts('peer-0', 1), before)
    census.onMessage('hostile', forged(5), fleet.now)
    for (let epoch = 6; epoch < 50; epoch++) census.onMessage('hostile', forged(epoch), fleet.now + epoch)
    assert.match(census.digest, /^5\./)
    assert.deepEqual(fleet.counts('peer-0', 1), before, 'what the last epoch told still counts')
    fleet.rounds(12)
    assert.deepEqual(fleet.counts('peer-20', 1), before)
  })

  it('R7: everybody knows the hour in which a version was last called, through epochs, whatever one clock says', () => {
    const fleet = settled(30)
    const entry = fleet.log.at(1)!
    const last = (name: string) => fleet.members.get(name)!.census.lastCall(OBJECT, entry)
    assert.equal(last('peer-3'), 0)
    const { census } = fleet.members.get('peer-0')!
    census.called(OBJECT, 1, fleet.now)
    fleet.rounds(8)
    const hour = Math.floor((fleet.now - 8 * MINUTE) / 3_600_000) * 3_600_000
    assert.equal(last('peer-3'), hour)
    census.lost(fleet.now)
    fleet.rounds((3 * EPOCH) / MINUTE)
    assert.equal(last('peer-3'), hour)
    census.called(OBJECT, 1, fleet.now + 90 * 24 * 3_600_000)
    fleet.rounds(8)
    assert.equal(last('peer-3'), hour, 'an hour far ahead is of a clock that is wrong')
  })

  it('O24: what is counted is bounded by the log, and a neighbour that lies can only make more of it', () => {
    const fleet = settled(10, 6)
    const { census } = fleet.members.get('peer-0')!
    const full = EMPTY.map(() => 0xff)
    const line = (version: number, entry: string) => ({
      object: OBJECT,
      version,
      entry,
      run: full,
      retries: 0,
      called: 0
    })
    const message = { kind: 'census' as const, epoch: 1, digest: '', before: [], whole: true, answer: false }
    const { digest } = census
    const unknown = [line(9, 'f'.repeat(16)), line(1, fleet.log.at(1)!.hash.slice(0, 16))]
    census.onMessage('hostile', { ...message, lines: unknown }, fleet.now)
    assert.equal(census.digest, digest, 'version 1 is not among the newest four')
    const failed = { ...line(6, fleet.log.at(6)!.hash.slice(0, 16)), run: undefined, failed: full }
    census.onMessage('hostile', { ...message, lines: [failed] }, fleet.now)
    assert.ok(fleet.counts('peer-0', 6)![2] > 1000)
    fleet.members.get('peer-0')!.census.lost(fleet.now)
    fleet.rounds((3 * EPOCH) / MINUTE)
    assert.equal(fleet.counts('peer-0', 6)![2], 0, 'it lasts for two epochs')
  })
})
