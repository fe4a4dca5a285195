/** Upgrades of one small class, each a bundle of its own of a given size: the same code again and again, so that runs are alike. */
import { createHash } from 'node:crypto'
import { createArchive } from '../../node/pack/archive.ts'
import type { Schedule } from '../../src/schedule/schedule.ts'
import { type Envelope, parseEntry, signEntry } from '../../src/upgrade/entry.ts'
import type { ClassUpgrade, Manifest } from '../../src/upgrade/manifest.ts'
import { pieceRange, pieceTable } from '../../src/upgrade/pieces.ts'
import { FAR, type TestFleet } from '../../test/src/upgrade/fleet.ts'

export const CLASS = 'Register'
const OBJECT = `export default class Register {
  static methods = { get: 'observer', put: 'mutator' }
  constructor (context) { this.context = context }
  get () { return this.context.state.get('value') }
  put (value) { this.context.state.put('value', value) }
}
`
const TRANSFORM = `export default function transform ({ old, new: next }) {
  for (const [key, value] of old.state.entries({ prefix: '' })) next.state.put(key, value)
}
`

export interface MadeUpgrade {
  envelope: Envelope<Manifest>
  piece(index: number): Promise<Uint8Array>
}

/** Bytes that no two upgrades have in common, and nothing could shorten; the same in every run of this program. */
function ballast(version: number, length: number): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, block) =>
    createHash('sha256').update(`${version}/${block}`).digest()
  )
  return Buffer.concat(blocks).subarray(0, length)
}

/** Version n + 1 on top of those before, with a bundle of about so many bytes. */
export async function makeUpgrade(
  { trust, release }: TestFleet,
  before: readonly MadeUpgrade[],
  bundleBytes: number,
  schedule: Schedule
): Promise<MadeUpgrade> {
  const version = before.length + 1
  const text = (written: string) => new TextEncoder().encode(written)
  const files = new Map([
    ['package.json', text('{"type":"module"}\n')],
    ['object.js', text(OBJECT)],
    ['transform.js', text(TRANSFORM)],
    ['ballast', ballast(version, bundleBytes)]
  ])
  const bundle = await createArchive(files)
  const own: ClassUpgrade = {
    from: version === 1 ? null : CLASS,
    to: CLASS,
    object: 'object.js',
    interface: { methods: { get: { kind: 'observer' }, put: { kind: 'mutator' } }, calls: {} },
    transform: version === 1 ? null : 'transform.js',
    future: null,
    past: null,
    schedule
  }
  const manifest: Manifest = {
    format: 1,
    fleet: trust.fleet,
    version,
    parent: before.at(-1)?.envelope.hash ?? trust.fleet,
    description: `the register for the ${version}th time`,
    classes: [own],
    bundle: pieceTable(bundle)
  }
  const envelope = parseEntry(signEntry(manifest, FAR, release.slice(0, 2)))
  return {
    envelope,
    piece: async (index) => {
      const { offset, length } = pieceRange(manifest.bundle, index)
      return bundle.subarray(offset, offset + length)
    }
  }
}
