import assert from 'node:assert/strict'
import type { ObjectStatus } from '../../../node/daemon/status.ts'
import { IDLE } from '../../../scripts/demonstration/load.ts'
import { Looks } from '../../../scripts/demonstration/outages.ts'
import { draw, plain, type Scene } from '../../../scripts/demonstration/view.ts'
import { type Seen, type State, stateOf } from '../../../scripts/demonstration/watch.ts'

const object = (change: Partial<ObjectStatus> = {}): ObjectStatus => ({
  version: 1,
  entry: 'e',
  lowest: 1,
  highest: 1,
  phase: 'idle',
  target: 0,
  serving: true,
  reason: '',
  failed: [],
  className: 'KV',
  futures: [],
  futureReason: '',
  progress: 0,
  unavailableMs: [],
  unavailableAt: [],
  cutCalls: 0,
  ...change
})

function peer(name: string, change: Partial<ObjectStatus> = {}, states: State[] = ['1']): Seen {
  return {
    member: { name, group: name[0]!, peer: `peer ${name}`, address: '' },
    status: undefined,
    object: object(change),
    rate: 42,
    history: states.map((state, index) => ({ atMs: (index + 1) * 100, state })),
    looks: new Looks()
  }
}

function scene(peers: Seen[]): Scene {
  const steps = ['keys', 'peers', 'v2']
  return {
    elapsedMs: 61_250,
    steps,
    step: 2,
    detail: '1 of 3',
    peers,
    sinceMs: 0,
    load: IDLE,
    commands: ['one', 'two']
  }
}

const names = (groups: number): string[] =>
  Array.from({ length: groups * 3 }, (_, index) => `${'abcdefghijklmnopqrst'[Math.floor(index / 3)]}${(index % 3) + 1}`)

describe('demo, view', () => {
  it('X3: a peer shows its versions, its phase, what it answers, and why it waits', () => {
    const waiting = peer('a1', { target: 2, phase: 'waiting', reason: 'has 0 of the 2 grants that a permit needs' })
    const text = draw(scene([waiting, peer('a2'), peer('a3')]), { columns: 120, rows: 40 }, plain)
    assert.match(text, /a1 {2}v1 → v2 {2}waiting +42\/s {2}a2 {2}v1 +42\/s/)
    assert.match(text, /a1 has 0 of the 2 grants that a permit needs/)
    assert.match(text, /✓ keys · ✓ peers · ▸ v2 1 of 3/)
    assert.match(text, /1:01\.2/)
  })

  it('X3: a transform shows how far it is', () => {
    const transforming = peer('a1', { target: 2, phase: 'transforming', serving: false, progress: 0.5 })
    const text = draw(scene([transforming, peer('a2'), peer('a3')]), { columns: 100, rows: 40 }, plain)
    assert.match(text, /TF █+░+ {2}50 %/)
  })

  it('X3: a line of time keeps the moment at which a peer was down, however long it runs', () => {
    const states = Array.from({ length: 1000 }, (_, index): State => (index < 500 ? '1' : index === 500 ? '-' : '2'))
    const text = draw(scene([peer('a1', {}, states), peer('a2'), peer('a3')]), { columns: 80, rows: 40 }, plain)
    assert.match(text, /─+✕━+/)
  })

  it('X3: no line is wider than the terminal, and every peer of a large fleet is there', () => {
    const reason = 'a long reason '.repeat(20)
    for (const [columns, rows] of [
      [80, 24],
      [100, 30],
      [200, 60]
    ] as const) {
      const peers = names(10).map((name) => peer(name, { reason, phase: 'waiting', target: 2 }))
      const lines = draw(scene(peers), { columns, rows }, plain).split('\n')
      for (const line of lines) assert.ok(line.length <= columns, `${line.length} of ${columns}: ${line}`)
      for (const name of names(10)) assert.ok(lines.some((line) => line.includes(` ${name}  v1`)))
      assert.ok(lines.length <= Math.max(rows, 24), `${lines.length} lines of ${rows}`)
    }
  })

  it('X3: a peer is down from the drain until it serves, and has a version before and after', () => {
    const states = [
      object({ version: 0, serving: false }),
      object(),
      object({ highest: 2 }),
      object({ phase: 'draining', target: 2, serving: false }),
      object({ phase: 'activating', version: 2, serving: false }),
      object({ version: 2, highest: 2 })
    ].map(stateOf)
    assert.deepEqual(states, ['.', '1', '1+', '-', '-', '2'])
    assert.equal(stateOf(undefined), '.')
  })
})
