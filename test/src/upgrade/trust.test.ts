import assert from 'node:assert/strict'
import { canonicalize } from '@tufjs/canonical-json'
import fc from 'fast-check'
import { Refusal, type RefusalName } from '../../../src/errors.ts'
import { MAX_STATEMENT_BYTES } from '../../../src/overlay/messages.ts'
import { canonicalText, encode } from '../../../src/upgrade/canonical.ts'
import { addSignature, parseEntry, signEntry, signStatement } from '../../../src/upgrade/entry.ts'
import { MAX_ENTRY_BYTES, type Manifest } from '../../../src/upgrade/manifest.ts'
import { addRootSignatures, openRoot, signRoot } from '../../../src/upgrade/root.ts'
import type { StatementBody } from '../../../src/upgrade/statement.ts'
import { openTrust } from '../../../src/upgrade/trust.ts'
import { FAR, testFleet, testManifest, testSigner } from './fleet.ts'

const { trust, rootBytes, release, operator, outsider } = testFleet()
const [a, b, c] = release as [typeof outsider, typeof outsider, typeof outsider]
const good = signEntry(testManifest(trust.fleet), FAR, [a, b])

function refuses(name: RefusalName, run: () => unknown): void {
  assert.throws(run, (error) => {
    assert(error instanceof Refusal, `a Refusal, not ${error}`)
    assert.equal(error.name, name, error.message)
    return true
  })
}

/** The signed metadata of `bytes`, changed, with whatever signatures it had. */
function changed(bytes: Uint8Array, change: (value: any) => unknown): Uint8Array {
  const value = JSON.parse(new TextDecoder().decode(bytes))
  return new TextEncoder().encode(JSON.stringify(change(value) ?? value))
}

function manifestWith(change: (manifest: any) => void): Manifest {
  const manifest = structuredClone(testManifest(trust.fleet))
  change(manifest)
  return manifest
}

describe('trust: the root', () => {
  it('T2: the fleet is named by the signed part, whoever else signs', () => {
    const init = {
      roles: {
        root: { keys: [a.key, b.key], threshold: 1 },
        targets: { keys: [a.key], threshold: 1 },
        operator: { keys: [a.key], threshold: 1 }
      },
      expiresMs: FAR
    }
    const one = signRoot(init, [a])
    const both = addRootSignatures(one, [b])
    assert.notDeepEqual(one, both)
    assert.equal(openRoot(one).fleet, openRoot(both).fleet)
    assert.notEqual(openRoot(one).fleet, trust.fleet)
  })

  it('T3: a root needs the signatures of its own root role', () => {
    refuses('Unsigned', () => openRoot(changed(rootBytes, (root) => ({ ...root, signatures: [] }))))
    refuses('UnknownKey', () => openRoot(addRootSignatures(rootBytes, [outsider])))
    refuses('WrongSignature', () =>
      openRoot(
        changed(rootBytes, (root) => {
          root.signed.expires = '2091-01-01T00:00:00Z'
        })
      )
    )
    const init = {
      roles: {
        root: { keys: [a.key, b.key], threshold: 2 },
        targets: { keys: [a.key], threshold: 1 },
        operator: { keys: [a.key], threshold: 1 }
      },
      expiresMs: FAR
    }
    refuses('UnderThreshold', () => openRoot(signRoot(init, [a])))
    assert.equal(openRoot(signRoot(init, [a, b])).metadata.signed.roles['root']!.threshold, 2)
  })

  it('T1: one key under two ids is refused, as is a threshold above the keys', () => {
    refuses('Malformed', () =>
      openRoot(
        changed(rootBytes, (root) => {
          const { targets } = root.signed.roles
          root.signed.keys['f'.repeat(64)] = root.signed.keys[targets.keyids[0]]
          targets.keyids.push('f'.repeat(64))
        })
      )
    )
    refuses('Malformed', () =>
      openRoot(
        changed(rootBytes, (root) => {
          root.signed.roles.targets.threshold = 4
        })
      )
    )
  })
})

describe('trust: entries', () => {
  it('T3: enough signatures of the release role open an entry; two of any three give the same one', () => {
    const entry = trust.openEntry(good)
    assert.equal(entry.version, 1)
    assert.equal(entry.parent, trust.fleet)
    assert.deepEqual(entry.manifest, testManifest(trust.fleet))
    const other = trust.openEntry(signEntry(testManifest(trust.fleet), FAR, [b, c]))
    assert.equal(other.hash, entry.hash)
    assert.notDeepEqual(other.bytes, entry.bytes)
  })

  it('T3: people sign one after another, in any order, with one result', () => {
    const none = signEntry(testManifest(trust.fleet), FAR, [])
    refuses('Unsigned', () => trust.openEntry(none))
    const first = addSignature(none, b)
    refuses('UnderThreshold', () => trust.openEntry(first))
    assert.deepEqual(trust.signatures('targets', parseEntry(first)), { present: 1, threshold: 2 })
    const second = addSignature(addSignature(first, a), a)
    assert.deepEqual(second, good)
    assert.deepEqual(signEntry(testManifest(trust.fleet), FAR, [a, b, a]), good)
    assert.equal(trust.openEntry(second).hash, trust.openEntry(good).hash)
  })

  it('T3: a key without the role, or a signature that does not verify, spoils the whole', () => {
    refuses('UnknownKey', () => trust.openEntry(addSignature(good, outsider)))
    refuses('WrongSignature', () => trust.openEntry(addSignature(good, operator)))
    refuses('UnknownKey', () => trust.openEntry(signEntry(testManifest(trust.fleet), FAR, [outsider])))
    const forged = changed(good, (entry) => {
      entry.signatures[0].sig = entry.signatures[1].sig
    })
    refuses('WrongSignature', () => trust.openEntry(forged))
    const three = changed(addSignature(good, c), (entry) => {
      entry.signatures[2].sig = '0'.repeat(128)
    })
    refuses('WrongSignature', () => trust.openEntry(three))
  })

  it('T3: a changed text is no longer signed', () => {
    const bytes = changed(good, (entry) => {
      entry.signed['x-upstart-upgrade'].description = 'else'
    })
    refuses('WrongSignature', () => trust.openEntry(bytes))
  })

  it('T2: an entry of another fleet is refused as such', () => {
    const other = testFleet(100)
    refuses('WrongFleet', () => trust.openEntry(signEntry(testManifest(other.trust.fleet), FAR, other.release)))
    refuses('WrongFleet', () => trust.openEntry(signEntry(testManifest(other.trust.fleet), FAR, [a, b])))
  })

  it('T10: oversize, truncated and foreign bytes', () => {
    refuses('Oversize', () => trust.openEntry(new Uint8Array(MAX_ENTRY_BYTES + 1)))
    refuses('Oversize', () => {
      const large = manifestWith((manifest) => {
        manifest.classes = Array.from({ length: 60 }, (_, n) => ({
          ...manifest.classes[0],
          to: `C${n}`,
          object: `${'x'.repeat(190)}/${n}`,
          interface: {
            methods: Object.fromEntries(Array.from({ length: 40 }, (_, m) => [`method${m}`, { kind: 'observer' }])),
            calls: {}
          }
        }))
      })
      signEntry(large, FAR, [a])
    })
    refuses('Malformed', () => trust.openEntry(good.subarray(0, good.length - 1)))
    refuses('Malformed', () => trust.openEntry(new Uint8Array(0)))
    refuses('Malformed', () => trust.openEntry(new TextEncoder().encode('['.repeat(MAX_ENTRY_BYTES))))
    refuses('Malformed', () => trust.openEntry(new TextEncoder().encode('{"a":'.repeat(MAX_ENTRY_BYTES / 5))))
    refuses('Malformed', () => trust.openEntry(Uint8Array.of(0xff, 0xfe)))
  })

  it('T10: nothing beside the named fields; no path out of the bundle; no name of the prototype', () => {
    for (const change of [
      (manifest: any) => {
        manifest.extra = 1
      },
      (manifest: any) => {
        manifest.classes[0].object = '../evil.js'
      },
      (manifest: any) => {
        manifest.classes[0].object = '/etc/passwd'
      },
      (manifest: any) => {
        manifest.classes[0].to = '__proto__'
      },
      (manifest: any) => {
        manifest.classes[0].interface.methods.constructor = { kind: 'observer' }
      },
      (manifest: any) => {
        manifest.bundle.pieces = []
      },
      (manifest: any) => {
        manifest.version = 1.5
      },
      (manifest: any) => {
        manifest.description = 'lone \ud800 surrogate'
      }
    ]) {
      refuses('Malformed', () => signEntry(manifestWith(change), FAR, [a, b]))
    }
    const deep = new TextDecoder()
      .decode(good)
      .replace('"targets":{}', `"targets":{"__proto__":${'['.repeat(5000)}${']'.repeat(5000)}}`)
    const opened = (): string => trust.openEntry(new TextEncoder().encode(deep)).hash
    refuses('Malformed', opened)
    refuses('Malformed', () =>
      trust.openEntry(
        changed(good, (entry) => {
          entry.signatures.push(entry.signatures[0])
        })
      )
    )
    refuses('Malformed', () =>
      trust.openEntry(
        changed(good, (entry) => {
          entry.signatures = Array.from({ length: 300 }, (_, n) => ({
            keyid: n.toString(16).padStart(64, '0'),
            sig: '0'.repeat(128)
          }))
        })
      )
    )
  })

  it('T10: a schedule of a later release is told apart', () => {
    for (const schedule of [
      { when: { kind: 'all', of: [{ kind: 'moonphase' }] }, constraints: [] },
      { when: { kind: 'immediately' }, constraints: [{ kind: 'tides' }] }
    ]) {
      refuses('UnknownStrategy', () =>
        signEntry(
          manifestWith((manifest) => {
            manifest.classes[0].schedule = schedule
          }),
          FAR,
          [a, b]
        )
      )
    }
  })

  it('T12: expiry is asked for by whoever injects; opening does not look at it', () => {
    const bytes = signEntry(testManifest(trust.fleet), 5000, [a, b])
    assert.equal(trust.openEntry(bytes).version, 1)
    assert.equal(trust.expired(bytes, 4999), false)
    assert.equal(trust.expired(bytes, 5000), true)
    const old = testFleet(0, 1000)
    assert.equal(
      old.trust.expired(signEntry(testManifest(old.trust.fleet), FAR, [a, b]), 1000),
      true,
      'the root itself'
    )
  })

  it('opens the same bytes, and equal bytes, once', () => {
    const copy = good.slice()
    assert.equal(trust.openEntry(good), trust.openEntry(good))
    assert.equal(trust.openEntry(copy), trust.openEntry(good))
    assert.equal(openTrust(rootBytes).openEntry(good).hash, trust.openEntry(good).hash)
  })

  it('U4: any flipped bit is refused or leaves the same entry', () => {
    const entry = trust.openEntry(good)
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(7), (at, bit) => {
        const bytes = good.slice()
        bytes[at]! ^= 1 << bit
        try {
          const opened = openTrust(rootBytes).openEntry(bytes)
          assert.equal(opened.hash, entry.hash)
          assert.deepEqual(opened.bytes, entry.bytes)
        } catch (error) {
          assert(error instanceof Refusal, String(error))
        }
      }),
      { numRuns: 400 }
    )
  })

  it('U4: other spellings of the same JSON are the same entry', () => {
    const spaced = new TextEncoder().encode(JSON.stringify(JSON.parse(new TextDecoder().decode(good)), null, 2))
    assert.deepEqual(trust.openEntry(spaced).bytes, good)
  })
})

describe('trust: statements', () => {
  const body: StatementBody = { format: 1, fleet: trust.fleet, sequence: 7, note: '', what: 'pause', target: null }

  it('T3: operators sign statements, and only they', () => {
    const statement = trust.openStatement(signStatement(body, FAR, [operator]))
    assert.deepEqual(statement.keys, [operator.keyid])
    assert.deepEqual(statement.body, body)
    assert.equal(statement.expires, FAR)
    refuses('WrongSignature', () => trust.openStatement(signStatement(body, FAR, [a])))
    refuses('Unsigned', () => trust.openStatement(signStatement(body, FAR, [])))
    refuses('WrongFleet', () => trust.openStatement(signStatement({ ...body, fleet: 'a'.repeat(64) }, FAR, [operator])))
    refuses('Oversize', () => trust.openStatement(new Uint8Array(MAX_STATEMENT_BYTES + 1)))
    refuses('Malformed', () => trust.openStatement(good))
    refuses('Malformed', () => trust.openEntry(signStatement(body, FAR, [operator])))
  })
})

describe('canonical encoding', () => {
  it('U4: is that of TUF, for every value without fractions', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('\\', '"', '\n', 'é', '\ud800', '\u2028', 'n') })
    )
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        text,
        fc.maxSafeInteger(),
        fc.boolean(),
        fc.constant(null),
        tie('list'),
        tie('record')
      ),
      list: fc.array(tie('value'), { maxLength: 4 }),
      record: fc.dictionary(text, tie('value'), { maxKeys: 4, noNullPrototype: true })
    }))
    fc.assert(
      fc.property(value, (one) => assert.equal(canonicalText(one), canonicalize(one))),
      { numRuns: 500 }
    )
  })

  it('U4: any JSON value comes back, and its encoding does not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const plain = JSON.parse(JSON.stringify(value))
        const bytes = encode(plain)
        const back = JSON.parse(new TextDecoder().decode(bytes))
        assert.deepEqual(back, plain)
        assert.deepEqual(encode(back), bytes)
      })
    )
    assert.deepEqual(encode({ b: 1, a: [{ d: 1, c: 2 }] }), encode({ a: [{ c: 2, d: 1 }], b: 1 }))
  })
})

describe('signers', () => {
  it('are deterministic: one key, one id, one signature', () => {
    assert.equal(testSigner(9).keyid, testSigner(9).keyid)
    assert.deepEqual(testSigner(9).sign(good), testSigner(9).sign(good))
    assert.notEqual(testSigner(9).keyid, testSigner(8).keyid)
  })
})
