import assert from 'node:assert/strict'
import { DEFAULT_LIMITS, type Effect } from '../../../src/overlay/events.ts'
import { Neighbours } from '../../../src/overlay/neighbours.ts'
import { Outbox } from '../../../src/overlay/outbox.ts'
import { Generator } from '../../../src/prng.ts'

describe('neighbours (SPEC O2)', () => {
  it('O2: peers that refuse are asked ever more rarely, and not never', () => {
    const others = Array.from({ length: 10 }, (_, index) => `other${String(index).padStart(3, '0')}`)
    const outbox = new Outbox()
    const places = {
      self: 'self0001',
      addresses: () => ['/a'],
      candidates: () => others,
      group: () => new Set<string>(),
      fit: () => true,
      isLarge: () => false,
      seeds: () => [],
      ownRecord: () => undefined,
      introduce: () => undefined
    }
    const neighbours = new Neighbours(places, DEFAULT_LIMITS, new Generator(1), outbox)
    for (const peer of others) neighbours.onConnected(peer, 0)
    const askedInHour = [0, 0, 0, 0]
    for (let now = 0; now < 4 * 3_600_000; now += 1000) {
      for (const effect of outbox.drain()) {
        if (effect.type !== 'send') continue
        askedInHour[Math.floor(now / 3_600_000)]! += 1
        neighbours.onMessage(effect.to, { kind: 'neighbour', what: 'refuse', urgent: false }, now)
      }
      neighbours.fill(now)
    }
    const [first, , , last] = askedInHour as [number, number, number, number]
    assert.ok(last >= others.length && last <= 8 * others.length && first > last, `asks in each hour: ${askedInHour}`)
  })

  it('O2: a peer that has only a few neighbours must not be refused: together they may be an island', () => {
    const others = Array.from({ length: 10 }, (_, index) => `other${String(index).padStart(3, '0')}`)
    const outbox = new Outbox()
    let dialled = ''
    const places = {
      self: 'self0001',
      addresses: () => ['/a'],
      candidates: () => [dialled],
      group: () => new Set<string>(),
      fit: () => true,
      isLarge: () => false,
      seeds: () => [],
      ownRecord: () => undefined,
      introduce: () => undefined
    }
    const neighbours = new Neighbours(places, DEFAULT_LIMITS, new Generator(1), outbox)
    const urgency: boolean[] = []
    for (const peer of others) {
      dialled = peer
      neighbours.fill(0)
      neighbours.onConnected(peer, 0)
      for (const effect of outbox.drain()) {
        if (effect.type !== 'send' || effect.message.kind !== 'neighbour' || effect.message.what !== 'ask') continue
        urgency.push(effect.message.urgent)
      }
      neighbours.onMessage(peer, { kind: 'neighbour', what: 'accept', urgent: false }, 0)
    }
    assert.deepEqual(urgency, [true, true, true, true, false, false, false, false])
  })

  it('O2: a full peer takes an urgent one in, gives another up and tells it', () => {
    const outbox = new Outbox()
    const places = {
      self: 'self0001',
      addresses: () => [],
      candidates: () => [],
      group: () => new Set<string>(),
      fit: () => true,
      isLarge: () => false,
      seeds: () => [],
      ownRecord: () => undefined,
      introduce: () => undefined
    }
    const neighbours = new Neighbours(places, DEFAULT_LIMITS, new Generator(1), outbox)
    const ask = (number: number, urgent: boolean) => {
      const peer = `other${String(number).padStart(3, '0')}`
      neighbours.onConnected(peer, 0)
      outbox.drain()
      neighbours.onMessage(peer, { kind: 'neighbour', what: 'ask', urgent }, 0)
      return outbox
        .drain()
        .flatMap((effect) =>
          effect.type === 'send' && effect.message.kind === 'neighbour' ? [effect.message.what] : []
        )
    }
    for (let number = 0; number < DEFAULT_LIMITS.degreeMax; number++) assert.deepEqual(ask(number, false), ['accept'])
    assert.deepEqual(ask(50, false), ['refuse'])
    assert.deepEqual(ask(51, true), ['leave', 'accept'])
    assert.equal(neighbours.size, DEFAULT_LIMITS.degreeMax)
    assert.ok(neighbours.has('other051'))
  })

  it('O2: who comes in is told who gave its place up, and asks that one next; only who dialled asks', () => {
    const made = (self: string) => {
      const [outbox, introduced] = [new Outbox(), new Set<string>()]
      const places = {
        self,
        addresses: (peer: string) => [`/${peer}`],
        candidates: () => [...introduced],
        group: () => new Set<string>(),
        fit: () => true,
        isLarge: () => false,
        seeds: () => [],
        ownRecord: () => undefined,
        introduce: (contact: { peer: string }) => introduced.add(contact.peer)
      }
      return { outbox, neighbours: new Neighbours(places, DEFAULT_LIMITS, new Generator(1), outbox) }
    }
    const [full, newcomer] = [made('full0001'), made('newcomer')]
    for (let number = 0; number < DEFAULT_LIMITS.degreeMax; number++)
      full.neighbours.onMessage(`other${number}`, { kind: 'neighbour', what: 'ask', urgent: false }, 0)
    full.neighbours.onConnected('newcomer', 0)
    full.outbox.drain()
    newcomer.neighbours.onConnected('full0001', 0)
    assert.deepEqual(newcomer.outbox.drain(), [], 'the other side dialled')
    full.neighbours.onMessage('newcomer', { kind: 'neighbour', what: 'ask', urgent: true }, 0)
    const [leave, accept] = full.outbox.drain() as [Effect & { type: 'send' }, Effect & { type: 'send' }]
    assert.ok(accept.message.kind === 'neighbour' && accept.message.what === 'accept')
    assert.deepEqual(accept.message.contacts, [{ peer: leave.to, addresses: [`/${leave.to}`] }])
    newcomer.neighbours.onMessage('full0001', accept.message, 0)
    newcomer.neighbours.fill(0)
    assert.deepEqual(newcomer.outbox.drain(), [{ type: 'connect', peer: leave.to, addresses: [`/${leave.to}`] }])
  })

  it('O2: an accept that comes when the place is taken is answered by leave, else it counts', () => {
    const outbox = new Outbox()
    const places = {
      self: 'self0001',
      addresses: () => [],
      candidates: () => [],
      fit: () => true,
      isLarge: () => false,
      group: () => new Set<string>(),
      seeds: () => [],
      ownRecord: () => undefined,
      introduce: () => undefined
    }
    const neighbours = new Neighbours(places, { ...DEFAULT_LIMITS, degree: 2 }, new Generator(1), outbox)
    const told = () =>
      outbox
        .drain()
        .flatMap((effect) =>
          effect.type === 'send' && effect.message.kind === 'neighbour' ? [`${effect.message.what} ${effect.to}`] : []
        )
    const accept = (peer: string, now: number) =>
      neighbours.onMessage(peer, { kind: 'neighbour', what: 'accept', urgent: false }, now)
    for (const peer of ['slow0001', 'slow0002']) neighbours.onConnected(peer, 0)
    // Nobody answers in time; two others get the places, but for one that goes again.
    neighbours.fill(60_000)
    for (const peer of ['fast0001', 'fast0002']) neighbours.onConnected(peer, 60_000)
    told()
    for (const peer of ['fast0001', 'fast0002']) assert.equal(accept(peer, 60_000), peer)
    assert.equal(accept('slow0001', 60_001), undefined)
    assert.deepEqual(told(), ['leave slow0001'])
    assert.equal(neighbours.has('slow0001'), false)
    neighbours.onMessage('fast0001', { kind: 'neighbour', what: 'leave', urgent: false }, 60_002)
    assert.equal(accept('slow0002', 60_003), 'slow0002')
    assert.deepEqual(told(), [])
  })
})
