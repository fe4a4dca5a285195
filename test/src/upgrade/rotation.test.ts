import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Refusal, type RefusalName } from '../../../src/errors.ts'
import { encode } from '../../../src/upgrade/canonical.ts'
import { parseStatement, signEntry, signStatement } from '../../../src/upgrade/entry.ts'
import type { Signer } from '../../../src/upgrade/keys.ts'
import {
  addRootSignatures,
  holdersIn,
  MAX_VOUCHED,
  type OpenRoot,
  openRoot,
  parseRoot,
  ROTATION_FIELD,
  type RootInit,
  signRoot
} from '../../../src/upgrade/root.ts'
import type { StatementBody } from '../../../src/upgrade/statement.ts'
import { encodeRoots, openTrust, type Trust } from '../../../src/upgrade/trust.ts'
import { FAR, testFleet, testManifest, testSigner } from './fleet.ts'

function refuses(name: RefusalName, run: () => unknown): void {
  assert.throws(run, (error) => {
    assert(error instanceof Refusal, `a Refusal, not ${error}`)
    assert.equal(error.name, name, error.message)
    return true
  })
}

const { trust, rootBytes, release, operator, outsider } = testFleet()
const holder = testSigner(1)
const [a, b] = release as [Signer, Signer]

interface Change {
  roles?: Partial<RootInit['roles']>
  entries?: string[]
  statements?: string[]
  expiresMs?: number
}

/** The root after this one, with the same roles but for those that change. */
function next(after: OpenRoot, signers: Signer[], change: Change = {}): Uint8Array {
  const { entries = [], statements = [], expiresMs = FAR } = change
  const roles = { ...holdersIn(after), ...change.roles }
  return signRoot({ roles, expiresMs, after: { root: after, entries, statements } }, signers)
}

const held = (...signers: Signer[]) => ({ keys: signers.map((one) => one.key), threshold: signers.length })

function changed(bytes: Uint8Array, change: (value: any) => void): Uint8Array {
  const value = JSON.parse(new TextDecoder().decode(bytes))
  change(value)
  return encode(value)
}

describe('trust: rotation', () => {
  const newcomer = testSigner(20)
  const handedOver = next(trust.root, [holder, newcomer], { roles: { root: held(newcomer) } })

  it('T13: the thresholds of both roots must sign the next', () => {
    const rotated = trust.rotated(handedOver)
    assert.equal(rotated.fleet, trust.fleet)
    assert.deepEqual([trust.root.version, rotated.root.version], [1, 2])
    const alone = (signers: Signer[]) => next(trust.root, signers, { roles: { root: held(newcomer) } })
    refuses('UnderThreshold', () => trust.rotated(alone([holder])))
    refuses('UnderThreshold', () => trust.rotated(alone([newcomer])))
    refuses('Unsigned', () => trust.rotated(alone([])))
    refuses('UnknownKey', () => trust.rotated(alone([holder, newcomer, outsider])))
    refuses('WrongSignature', () => trust.rotated(alone([holder, newcomer, operator])))
    const forged = changed(handedOver, (root) => {
      root.signatures[0].sig = root.signatures[1].sig
    })
    refuses('WrongSignature', () => trust.rotated(forged))
  })

  it('T13: people sign one after another, in any order, with one result', () => {
    const first = next(trust.root, [newcomer], { roles: { root: held(newcomer) } })
    assert.deepEqual(addRootSignatures(first, [holder]), handedOver)
  })

  it('T13: a skipped version, another parent, and another fleet are refused', () => {
    const two = trust.rotated(handedOver)
    const three = next(two.root, [newcomer])
    refuses('StaleParent', () => trust.rotated(three))
    assert.equal(two.rotated(three).root.version, 3)
    const twin = next(trust.root, [holder], { expiresMs: FAR - 1000 })
    refuses('StaleParent', () => two.rotated(next(parseRoot(twin), [holder])))
    const other = testFleet(100)
    refuses('WrongFleet', () => trust.rotated(next(other.trust.root, [testSigner(101)])))
    refuses('WrongFleet', () => trust.rotated(other.rootBytes))
    refuses('StaleParent', () => openRoot(handedOver))
    refuses('Malformed', () =>
      trust.rotated(changed(handedOver, (root) => Reflect.deleteProperty(root.signed, ROTATION_FIELD)))
    )
    refuses('Malformed', () =>
      openRoot(
        changed(rootBytes, (root) => {
          root.signed[ROTATION_FIELD] = { fleet: trust.fleet, parent: trust.fleet, entries: [], statements: [] }
        })
      )
    )
  })

  it('T13: who was off for five rotations catches up through the chain, and only through it', () => {
    let ahead: Trust = trust
    const keys = [holder, ...[1, 2, 3, 4, 5].map((n) => testSigner(30 + n))]
    for (let n = 1; n <= 5; n++)
      ahead = ahead.rotated(
        next(ahead.root, [keys[n - 1]!, keys[n]!], {
          roles: { root: held(keys[n]!) },
          // All but the newest are past their time (T16).
          expiresMs: n < 5 ? 1000 : FAR
        })
      )
    assert.equal(ahead.root.version, 6)
    refuses('StaleParent', () => trust.rotated(ahead.root.bytes))
    const late = ahead.roots.slice(1).reduce((so, root) => so.rotated(root.bytes), trust)
    assert.equal(late.root.hash, ahead.root.hash)
    assert.equal(openTrust(encodeRoots(ahead)).root.hash, ahead.root.hash)
    refuses('StaleParent', () => openTrust(encodeRoots({ roots: ahead.roots.filter((one) => one.version !== 3) })))
    refuses('Malformed', () => openTrust(new TextEncoder().encode('[]')))
  })

  it('T15: a second next root is a fork, and the one seen first stays', () => {
    const two = trust.rotated(handedOver)
    const rival = next(trust.root, [holder])
    refuses('Fork', () => two.rotated(rival))
    assert.equal(two.rotated(handedOver), two)
    assert.equal(two.rotated(rootBytes), two)
    refuses('UnderThreshold', () =>
      two.rotated(next(trust.root, [newcomer], { roles: { root: held(newcomer) }, expiresMs: FAR - 1000 }))
    )
    assert.equal(trust.rotated(rival).root.hash, parseRoot(rival).hash)
  })

  it('T16: only the expiry of the newest root counts', () => {
    const entry = signEntry(testManifest(trust.fleet), FAR, [a, b])
    const past = trust.rotated(next(trust.root, [holder], { expiresMs: 5000 }))
    assert.deepEqual([past.expired(entry, 4999), past.expired(entry, 5000)], [false, true])
    assert.equal(past.openEntry(entry).version, 1, 'what is held is opened')
    assert.equal(past.rotated(next(past.root, [holder])).expired(entry, 5000), false)
  })
})

describe('trust: what a rotation does to what was signed', () => {
  const fresh = [testSigner(40), testSigner(41)] as [Signer, Signer]
  const manifest = testManifest(trust.fleet)
  const old = signEntry(manifest, FAR, [a, b])
  const { hash } = trust.openEntry(old)
  const body: StatementBody = { format: 1, fleet: trust.fleet, sequence: 7, note: '', what: 'pause', target: null }

  it('T14: what the new root covers by itself goes on', () => {
    const rotated = trust.rotated(next(trust.root, [holder]))
    assert.equal(rotated.covers('entry', old), true)
    assert.equal(rotated.openEntry(old).hash, hash)
  })

  it('T14: keys that were rotated away sign nothing new; what they signed before lapses', () => {
    const rotated = trust.rotated(next(trust.root, [holder], { roles: { targets: held(...fresh) } }))
    assert.equal(rotated.openEntry(old).hash, hash, 'who holds it can read it still')
    assert.equal(rotated.covers('entry', old), false)
    const one = signEntry(manifest, FAR, fresh)
    assert.equal(rotated.covers('entry', one), true)
    refuses('UnknownKey', () => trust.openEntry(one))
    refuses('UnderThreshold', () => rotated.openEntry(signEntry(manifest, FAR, [fresh[0]])))
    refuses('UnknownKey', () => rotated.openEntry(signEntry(manifest, FAR, [a])))
  })

  it('T14: what a root vouches for stays, whichever root it is', () => {
    const gone = trust.rotated(next(trust.root, [holder], { roles: { targets: held(...fresh) } }))
    const later = gone.rotated(next(gone.root, [holder], { entries: [hash] }))
    assert.equal(later.covers('entry', old), true)
    assert.equal(later.rotated(next(later.root, [holder])).covers('entry', old), true)
    const other = signEntry({ ...manifest, description: 'new' }, FAR, [a, b])
    assert.equal(later.covers('entry', other), false, 'and nothing else')
    refuses('UnknownKey', () => later.openEntry(signEntry(manifest, FAR, [a, b, outsider])))
  })

  it('T14: a root vouches for a bounded list', () => {
    const hashes = Array.from({ length: MAX_VOUCHED + 1 }, (_, n) => n.toString(16).padStart(64, '0'))
    refuses('Oversize', () => next(trust.root, [holder], { entries: hashes }))
    const [entries, statements] = [hashes.slice(1), hashes.slice(1)]
    assert.equal(parseRoot(next(trust.root, [holder], { entries, statements })).rotation!.entries.length, MAX_VOUCHED)
  })

  it('T14: statements alike', () => {
    const pause = signStatement(body, FAR, [operator])
    const roles = { operator: held(outsider) }
    const rotated = trust.rotated(next(trust.root, [holder], { roles }))
    assert.equal(rotated.covers('statement', pause), false)
    const vouched = trust.rotated(next(trust.root, [holder], { roles, statements: [trust.openStatement(pause).hash] }))
    assert.equal(vouched.covers('statement', pause), true)
    assert.equal(vouched.covers('statement', signStatement({ ...body, sequence: 8 }, FAR, [outsider])), true)
  })

  it('T17: control may pause, resume and approve, and say nothing else', () => {
    const warden = testSigner(50)
    const rotated = trust.rotated(next(trust.root, [holder], { roles: { control: held(warden) } }))
    const say = (said: object): Uint8Array => signStatement({ ...body, ...said } as StatementBody, FAR, [warden])
    for (const said of [{}, { what: 'approve', target: hash }]) assert(rotated.openStatement(say(said)))
    const { target: _, ...rest } = body as { target: null } & StatementBody
    const resume = signStatement({ ...rest, what: 'resume', lifts: hash } as StatementBody, FAR, [warden])
    assert(rotated.openStatement(resume))
    for (const what of ['abort', 'hasten', 'forget'])
      refuses('WrongSignature', () => rotated.openStatement(say({ what, target: hash })))
    assert(rotated.openStatement(signStatement(body, FAR, [operator])), 'operators may as well')
    refuses('WrongSignature', () => rotated.openStatement(signStatement(body, FAR, [warden, operator])))
    refuses('WrongSignature', () => rotated.openEntry(signEntry(manifest, FAR, [warden, a])))
    refuses('UnknownKey', () => trust.openStatement(signStatement(body, FAR, [warden])))
  })
})

describe('trust: rotations at random', () => {
  const pool = Array.from({ length: 6 }, (_, n) => testSigner(60 + n))
  const group = fc
    .uniqueArray(fc.nat(pool.length - 1), { minLength: 1, maxLength: 4 })
    .chain((members) =>
      fc.record({ members: fc.constant(members), threshold: fc.integer({ min: 1, max: members.length }) })
    )
  const rootOf = ({ members, threshold }: { members: number[]; threshold: number }) => ({
    keys: members.map((n) => pool[n]!.key),
    threshold
  })

  it('T13: a next root is taken exactly if both thresholds, and nobody else, signed it', () => {
    fc.assert(
      fc.property(group, group, fc.uniqueArray(fc.nat(pool.length - 1)), (before, after, signed) => {
        const others = { targets: held(a), operator: held(b) }
        const first = signRoot(
          { roles: { root: rootOf(before), ...others }, expiresMs: FAR },
          pool.filter((_, n) => before.members.includes(n))
        )
        const from = openTrust(first)
        const bytes = next(
          from.root,
          signed.map((n) => pool[n]!),
          { roles: { root: rootOf(after) } }
        )
        const met = ({ members, threshold }: typeof before) =>
          members.filter((n) => signed.includes(n)).length >= threshold
        const isOurs = signed.every((n) => before.members.includes(n) || after.members.includes(n))
        if (met(before) && met(after) && isOurs) assert.equal(from.rotated(bytes).root.version, 2)
        else assert.throws(() => from.rotated(bytes), Refusal)
      }),
      { numRuns: 60 }
    )
  })

  it('T14: after any rotations a statement counts exactly if the newest operators, or a root that lists it, stand for it', () => {
    type Step = { operators: { members: number[]; threshold: number }; vouches: boolean }
    const step: fc.Arbitrary<Step> = fc.record({ operators: group, vouches: fc.boolean() })
    const signers = fc.uniqueArray(fc.nat(pool.length - 1), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(group, fc.array(step, { maxLength: 4 }), signers, (first, steps, signed) => {
        const start = { root: held(holder), targets: held(a), operator: rootOf(first) }
        let now = openTrust(signRoot({ roles: start, expiresMs: FAR }, [holder]))
        const body = {
          format: 1 as const,
          fleet: now.fleet,
          sequence: 1,
          note: '',
          what: 'pause' as const,
          target: null
        }
        const said = signStatement(
          body,
          FAR,
          signed.map((n) => pool[n]!)
        )
        const { hash } = parseStatement(said)
        const stands = ({ members, threshold }: typeof first) =>
          signed.length >= threshold && signed.every((n) => members.includes(n))
        const seen: Step[] = [{ operators: first, vouches: false }]
        for (;;) {
          const newest = seen.at(-1)!
          const isVouched = seen.some((one) => one.vouches)
          const isKnown = signed.every((n) => seen.some(({ operators }) => operators.members.includes(n)))
          const counts = stands(newest.operators) || (isVouched && isKnown)
          const opened = () => now.openStatement(said).hash
          if (counts) assert.deepEqual([opened(), now.covers('statement', said)], [hash, true])
          else if (!isVouched && seen.some(({ operators }) => stands(operators)))
            assert.deepEqual([opened(), now.covers('statement', said)], [hash, false])
          else assert.throws(opened, Refusal)
          const following = steps[seen.length - 1]
          if (following === undefined) return
          const change = {
            roles: { operator: rootOf(following.operators) },
            statements: following.vouches ? [hash] : []
          }
          now = now.rotated(next(now.root, [holder], change))
          seen.push(following)
        }
      }),
      { numRuns: 60 }
    )
  })

  it('T13: any flipped bit is refused or leaves the same root', () => {
    const bytes = next(trust.root, [holder])
    const { hash } = parseRoot(bytes)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const flipped = bytes.slice()
        flipped[at]! ^= 1 << bit
        try {
          assert.equal(trust.rotated(flipped).root.hash, hash)
        } catch (error) {
          assert(error instanceof Refusal, String(error))
        }
      }),
      { numRuns: 200 }
    )
  })
})
