import assert from 'node:assert/strict'
import { emptyObject, type ObjectState } from '../../../src/overlay/lifecycle.ts'
import { chooseTarget } from '../../../src/overlay/target.ts'
import { immediately, manual } from '../../../src/schedule/combinators.ts'
import { UpgradeLog } from '../../../src/upgrade/log.ts'
import type { Entry } from '../../../src/upgrade/manifest.ts'
import { hash53 } from '../../../src/upgrade/seal.ts'
import type { Statement, StatementBody } from '../../../src/upgrade/statement.ts'
import { StatementSet } from '../../../src/upgrade/statements.ts'
import { testManifest } from '../upgrade/fleet.ts'

const FLEET = '0'.repeat(64)
const hashOf = (serial: number): string => serial.toString(16).padStart(64, '0')

function fleetAt(versions: number, when = immediately()) {
  const log = new UpgradeLog(FLEET)
  const entries: Entry[] = []
  for (let version = 1; version <= versions; version++) {
    const base = testManifest(FLEET).classes[0]!
    const parent = entries.at(-1)?.hash ?? FLEET
    const classes = [{ ...base, from: version === 1 ? null : base.to, schedule: { when, constraints: [] } }]
    const entry = {
      version,
      hash: hashOf(version),
      parent,
      manifest: testManifest(FLEET, { version, parent, classes }),
      bytes: new Uint8Array()
    }
    log.add(entry)
    entries.push(entry)
  }
  const statements = new StatementSet(hash53)
  let serial = 100
  const state = (said: Partial<StatementBody> & { what: string }): void => {
    serial += 1
    const body = { format: 1, fleet: FLEET, sequence: serial, note: 'it leaks', ...said } as StatementBody
    statements.add({ hash: hashOf(serial), keys: ['key'], expires: 0, bytes: new Uint8Array(), body } as Statement)
  }
  const choose = (object: ObjectState) => {
    const others = (): never => assert.fail('no schedule here looks at others')
    const facts = ({ hash }: Entry) => ({
      approved: statements.approved(hash),
      others,
      now: 0,
      labels: {},
      place: () => 0,
      draw: () => 0,
      opinion: () => assert.fail('no condition here is of code'),
      classes: () => [],
      clockDoubt: () => undefined,
      isQuiet: () => undefined,
      locks: [],
      evidence: () => [],
      fellows: () => undefined
    })
    const choice = chooseTarget(object, { log, statements, self: 'peer00001', labels: {}, facts }, 0)
    return choice.target?.version ?? ('reason' in choice ? choice.reason : '')
  }
  return { entries, state, choose, log }
}

const at = (version: number): ObjectState => ({
  ...emptyObject('IntSet'),
  current: { version, entry: hashOf(version), attempt: 1 }
})

describe('which version is next (SPEC L1, L5, L11)', () => {
  it('L1: strictly the next; without state the newest', () => {
    const { choose } = fleetAt(3)
    assert.equal(choose(at(1)), 2)
    assert.equal(choose(at(3)), '')
    assert.equal(choose(emptyObject('IntSet')), 3)
  })

  it('S10: without state the newest that its schedule permits now; if none, the newest; with state that is nothing to it', () => {
    const { choose, state, entries } = fleetAt(4, manual())
    assert.equal(choose(emptyObject('IntSet')), 4)
    state({ what: 'approve', target: entries[0]!.hash })
    assert.equal(choose(emptyObject('IntSet')), 1)
    state({ what: 'approve', target: entries[2]!.hash })
    assert.equal(choose(emptyObject('IntSet')), 3)
    assert.equal(choose(at(1)), 2)
  })

  it('L11: an abort covers its entry and what is chained on it, for those behind, on it, and without state', () => {
    const { choose, state, entries } = fleetAt(4)
    state({ what: 'abort', target: entries[2]!.hash })
    assert.equal(choose(at(1)), 2)
    assert.match(String(choose(at(2))), /^version 3 is aborted by statement [0-9a-f]{12} \(it leaks\)$/)
    assert.match(String(choose(at(3))), /^version 4 is aborted/)
    assert.equal(choose(emptyObject('IntSet')), 2)
  })

  it('L5: a failure stands until one more retry is stated, for this peer or for all', () => {
    const { choose, state, entries } = fleetAt(2)
    const target = entries[1]!.hash
    const failed = (retries: number): ObjectState => ({
      ...at(1),
      failures: [{ version: 2, entry: target, reason: 'it broke', retries }]
    })
    assert.equal(choose(failed(0)), 'went back from version 2: it broke')
    state({ what: 'retry', target, peer: 'peer00002' })
    assert.equal(choose(failed(0)), 'went back from version 2: it broke')
    state({ what: 'retry', target, peer: null })
    assert.equal(choose(failed(0)), 2)
    assert.equal(choose(failed(1)), 'went back from version 2: it broke')
    state({ what: 'retry', target, peer: 'peer00001' })
    assert.equal(choose(failed(1)), 2)
  })

  it('without state, what failed or is aborted here is passed over for the newest that is not', () => {
    const { choose, entries } = fleetAt(3)
    const failures = [{ version: 3, entry: entries[2]!.hash, reason: 'it broke', retries: 0 }]
    assert.equal(choose({ ...emptyObject('IntSet'), failures }), 2)
  })
})
