/** Confinement by bubblewrap (SPEC H9). */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { ChildHost } from '../../../node/host/child.ts'
import { bubblewrap } from '../../../node/host/sandbox.ts'
import { hostContract } from './contract.ts'
import { caller, links, Place, until, World } from './fixture.ts'

/** The sets of the fixtures are those of the example, and more. */
const EXAMPLES = join(import.meta.dirname, '../../../examples/sets')
const compiledDirectory = mkdtempSync(join(tmpdir(), 'upstart-compiled-'))
after(() => rmSync(compiledDirectory, { recursive: true }))

if (bubblewrap() !== null) {
  hostContract(
    'confined',
    (options) => new ChildHost({ sandbox: 'bwrap', compiledDirectory, codeDirectories: [EXAMPLES], ...options })
  )
}

describe('host, sandbox', () => {
  it('H9 wanted but not installed: refused with the mend', async function () {
    if (bubblewrap() !== null) this.skip() // lacks: a machine without bubblewrap
    const place = new Place()
    try {
      const host = new ChildHost({ directory: join(place.directory, 'host'), sandbox: 'bwrap' })
      await assert.rejects(host.probe('any'), { name: 'Usage', message: /install it/ })
    } finally {
      place.remove()
    }
  })

  it('H11 what its entry needs and the operator allows it has, too, and nothing else', async function () {
    if (bubblewrap() === null) this.skip() // lacks: bubblewrap
    const place = new Place()
    const [asked, other] = [join(place.directory, 'asked'), join(place.directory, 'other')]
    for (const directory of [asked, other]) {
      mkdirSync(directory)
      writeFileSync(join(directory, 'file'), '')
    }
    const directory = join(place.directory, 'host')
    const allowed = ['network', place.directory]
    const host = new ChildHost({ directory, sandbox: 'bwrap', compiledDirectory, allowed })
    try {
      const needs = { network: true as const, files: [asked] }
      const object = await host.warm({ ...place.plan(1, links.register), needs }, new World())
      await object.start()
      object.serve()
      const call = caller(object)
      assert.deepEqual(await call(1, 'interfaces'), Object.keys(networkInterfaces()))
      assert.deepEqual(await call(1, 'list', asked), ['file'])
      assert.match(String(await call(1, 'write', join(asked, 'file'))), /EROFS/)
      assert.deepEqual(await call(1, 'list', other), 'ENOENT')
    } finally {
      await host.close()
      place.remove()
    }
  })

  it('H9 no network, no other file, no other process; killed with all that it started', async function () {
    if (bubblewrap() === null) this.skip() // lacks: bubblewrap
    const place = new Place()
    const host = new ChildHost({ directory: join(place.directory, 'host'), sandbox: 'bwrap', compiledDirectory })
    try {
      const object = await host.warm(place.plan(1, links.register), new World())
      await object.start()
      object.serve()
      const call = caller(object)
      assert.deepEqual(await call(1, 'list', '/sys'), 'ENOENT')
      assert.deepEqual(await call(1, 'list', '/var'), 'ENOENT')
      assert.deepEqual(await call(1, 'list', join(place.directory, 'host', 'processes')), 'ENOENT')
      assert.deepEqual(await call(1, 'interfaces'), ['lo'])
      assert.match(String(await call(1, 'write', join(import.meta.dirname, 'sandbox.test.ts'))), /ENOENT|EROFS/)
      await object.kill()
      await until('its state may be opened again', async () => {
        const again = await host.warm(place.plan(1, links.register), new World())
        await again.start()
        await again.kill()
        return true
      })
      assert.deepEqual(readdirSync(join(place.directory, 'host', 'processes')), [])
      assert.ok(existsSync(place.attempt(1)))
    } finally {
      await host.close()
      place.remove()
    }
  })
})
