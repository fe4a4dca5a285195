/** A fleet for tests: fixed keys, a root of two of three, and a small valid manifest. */
import { privateKeyFromSeed, type Signer, signerOf } from '../../../src/upgrade/keys.ts'
import type { Manifest } from '../../../src/upgrade/manifest.ts'
import { signRoot } from '../../../src/upgrade/root.ts'
import { openTrust, type Trust } from '../../../src/upgrade/trust.ts'

export const FAR = Date.parse('2090-01-01T00:00:00Z')

/** The key number `n` of all tests. */
export function testSigner(n: number): Signer {
  return signerOf(privateKeyFromSeed(new Uint8Array(32).fill(n)))
}

export interface TestFleet {
  trust: Trust
  rootBytes: Uint8Array
  /** Three release keys of which two are needed. */
  release: Signer[]
  /** One operator key; one is needed. */
  operator: Signer
  outsider: Signer
  /** Of a private fleet, who admits; one is needed. */
  admission: Signer
}

export function testFleet(offset = 0, expiresMs = FAR, isPrivate = false): TestFleet {
  const [root, a, b, c, operator, outsider, admission] = [1, 2, 3, 4, 5, 6, 7].map((n) => testSigner(n + offset))
  const release = [a!, b!, c!]
  const rootBytes = signRoot(
    {
      roles: {
        root: { keys: [root!.key], threshold: 1 },
        targets: { keys: release.map((one) => one.key), threshold: 2 },
        operator: { keys: [operator!.key], threshold: 1 },
        ...(isPrivate ? { admission: { keys: [admission!.key], threshold: 1 } } : {})
      },
      expiresMs
    },
    [root!]
  )
  const others = { operator: operator!, outsider: outsider!, admission: admission! }
  return { trust: openTrust(rootBytes), rootBytes, release, ...others }
}

export function testManifest(fleet: string, change: Partial<Manifest> = {}): Manifest {
  return {
    format: 1,
    fleet,
    version: 1,
    parent: fleet,
    description: 'sets\nof "numbers" \\ é',
    classes: [
      {
        from: null,
        to: 'IntSet',
        object: 'int-set.js',
        interface: {
          methods: { contains: { kind: 'observer' }, insert: { kind: 'mutator', idempotent: true } },
          calls: {}
        },
        transform: null,
        future: null,
        past: null,
        schedule: { when: { kind: 'immediately' }, constraints: [{ kind: 'rolling', by: 'group', unavailable: 1 }] }
      }
    ],
    bundle: { length: 10, sha256: 'ab'.repeat(32), pieceLength: 262144, pieces: ['cd'.repeat(32)] },
    ...change
  }
}
