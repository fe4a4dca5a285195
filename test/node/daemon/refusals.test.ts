import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { type Header, pack as tarPack } from 'tar-stream'
import type { Client } from '../../../node/index.ts'
import type { UpgradeFile } from '../../../node/pack/file.ts'
import { signEntry } from '../../../src/upgrade/entry.ts'
import { MAX_ENTRY_BYTES, type Manifest } from '../../../src/upgrade/manifest.ts'
import { pieceTable } from '../../../src/upgrade/pieces.ts'
import { FAR } from '../../src/upgrade/fleet.ts'
import { LiveFleet } from './live-fleet.ts'

/** What an operator's machine may send, right or wrong: the protocol's side of an injection, with bytes of one's own. */
const inject = (
  client: Client,
  bytes: Uint8Array,
  manifest: Manifest,
  piece: (index: number) => Promise<Uint8Array>
): Promise<string> => client.injectUpgrade({ envelope: { bytes, content: manifest } as UpgradeFile['envelope'], piece })

/** An archive of one entry, as nobody's packer makes it. */
async function archiveOf(header: Partial<Header>): Promise<Uint8Array> {
  const archive = tarPack()
  archive.entry(header as Header, header.type === 'symlink' ? '' : 'export default class {}')
  archive.finalize()
  return new Uint8Array(await buffer(archive))
}

describe('what is wrong is refused at inject, by name, over the network', function () {
  this.timeout(60_000)
  let fleet: LiveFleet
  let client: Client
  let file: UpgradeFile
  let manifest: Manifest

  before(async () => {
    fleet = await LiveFleet.create()
    await fleet.embed('p0', null)
    client = await fleet.client()
    file = await fleet.pack('kv/v1')
    manifest = file.envelope.content
  })
  after(async () => await fleet.close())

  const refused = async (
    name: string,
    bytes: Uint8Array,
    piece = (index: number) => file.piece(index),
    content = manifest
  ): Promise<void> => {
    await assert.rejects(inject(client, bytes, content, piece), { name })
    const status = await client.status()
    assert.equal(status.head.version, 0, 'nothing refused may be in the log')
    assert.deepEqual(status.objects, {})
  }
  const signed = (change: Partial<Manifest>, signers = fleet.keys.release.slice(0, 2), expires = FAR): Uint8Array =>
    signEntry({ ...manifest, ...change }, expires, signers)
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

  it('an unsigned entry', async () => await refused('Unsigned', signed({}, [])))
  it('an entry signed by a stranger', async () => await refused('UnknownKey', signed({}, [fleet.keys.outsider])))
  it('an entry signed by the operator, whose role releases nothing', async () =>
    await refused('WrongSignature', signed({}, [fleet.keys.operator])))
  it('an entry with one signature of two', async () =>
    await refused('UnderThreshold', signed({}, fleet.keys.release.slice(0, 1))))
  it('an entry past its expiry', async () =>
    await refused('Expired', signed({}, undefined, Date.parse('2020-01-01T00:00:00Z'))))
  it('an entry of another fleet', async () =>
    await refused('WrongFleet', signed({ fleet: 'f'.repeat(64), parent: 'f'.repeat(64) })))
  it('an entry on a parent that is not the head', async () =>
    await refused('StaleParent', signed({ version: 2, parent: 'a'.repeat(64) })))

  it('U7: an upgrade of a class that does not exist, before a byte of its bundle is taken', async () => {
    const [one] = manifest.classes
    const nothing = async (): Promise<Uint8Array> => assert.fail('a piece was asked for')
    await refused('UnknownClass', signed({ classes: [{ ...one!, from: 'Nobody' }] }), nothing)
  })

  it('an oversize entry', async () => {
    const bytes = new Uint8Array(MAX_ENTRY_BYTES + 1).fill(0x20)
    await refused('Oversize', bytes)
  })

  it('a truncated entry', async () => await refused('Malformed', file.envelope.bytes.slice(0, -10)))

  it('an entry whose manifest names a path outside of the bundle', async () => {
    const [one] = manifest.classes
    assert.throws(() => signed({ classes: [{ ...one!, object: '../../etc/passwd' }] }))
    const forged = text(file.envelope.bytes).replace(/"object":"[^"]+"/, '"object":"../../etc/x"')
    await refused('Malformed', new TextEncoder().encode(forged))
  })

  it('any bit-flipped entry', async () => {
    const bytes = file.envelope.bytes
    for (const at of [1, 40, bytes.length >> 1, bytes.length - 20]) {
      const flipped = bytes.slice()
      flipped[at]! ^= 1
      await assert.rejects(
        inject(client, flipped, manifest, (index) => file.piece(index)),
        { name: /^(Malformed|UnknownKey|WrongSignature|UnderThreshold|Unsigned|WrongFleet|UnknownStrategy)$/ }
      )
    }
  })

  it('a bit-flipped or truncated bundle', async () => {
    const flipped = async (index: number): Promise<Uint8Array> => {
      const piece = (await file.piece(index)).slice()
      piece[piece.length >> 1]! ^= 1
      return piece
    }
    await refused('WrongBundle', file.envelope.bytes, flipped)
    await refused('WrongBundle', file.envelope.bytes, async (index) => (await file.piece(index)).slice(0, -1))
  })

  for (const [what, header] of [
    ['climbs out of it', { name: '../outside.js' }],
    ['is absolute', { name: '/tmp/outside.js' }],
    ['is a link', { name: 'object.js', type: 'symlink', linkname: '/etc/passwd' }]
  ] as [string, Partial<Header>][]) {
    it(`a signed bundle with a file that ${what}`, async () => {
      const archive = await archiveOf(header)
      const table = pieceTable(archive)
      await refused('UnsafePath', signed({ bundle: table }), async () => archive, {
        ...manifest,
        bundle: table
      })
    })
  }

  it('a statement signed by a release key, or past its expiry', async () => {
    const past = fleet.statement({ what: 'pause', target: null }, Date.parse('2020-01-01T00:00:00Z'))
    await assert.rejects(client.injectStatement(past), { name: 'Expired' })
    await assert.rejects(client.injectStatement(file.envelope.bytes), { name: 'Malformed' })
  })

  it('and the right one is accepted afterwards, twice alike', async () => {
    assert.match(await client.injectUpgrade(file), /version 1/)
    assert.match(await client.injectUpgrade(file), /version 1/)
    assert.equal((await client.status()).head.version, 1)
  })
})
