import assert from 'node:assert/strict'
import { filePathSchema, firstRefused, granted, needsSchema } from '../../../src/upgrade/needs.ts'
import { LonePeer } from '../overlay/lone-peer.ts'

describe('what code needs beyond its state (SPEC H11)', () => {
  it('H11: it gets what its entry says and the operator allows, and nothing else', () => {
    const needs = needsSchema.parse({ network: true, files: ['/srv/model', '/etc/app.conf'] })
    assert.deepEqual(granted(needs, []), { network: false, files: [] })
    assert.deepEqual(granted(needs, ['network', '/srv', '/etc/app']), { network: true, files: ['/srv/model'] })
    assert.deepEqual(granted(undefined, ['network', '/srv']), { network: false, files: [] })
    assert.equal(firstRefused(needs, ['/srv', '/etc/app.conf']), 'network')
    assert.equal(firstRefused(needs, ['network', '/srv']), '/etc/app.conf')
    assert.equal(firstRefused(needs, ['network', '/srv/model', '/etc/app.conf']), undefined)
  })

  it('H11: a path is absolute and has no turns, so that what lies below another is told by its text', () => {
    for (const path of ['/', '', 'etc', './etc', '/etc/', '/etc/../root', '/./etc', '/etc//app', '/..', '/a\0b'])
      assert.equal(filePathSchema.safeParse(path).success, false, path)
    for (const path of ['/etc', '/etc/app.conf', '/srv/..data', '/srv/.hidden'])
      assert.equal(filePathSchema.safeParse(path).success, true, path)
    assert.equal(needsSchema.safeParse({ network: false }).success, false)
    assert.equal(needsSchema.safeParse({ devices: ['/dev/kvm'] }).success, false)
  })

  it('H11: a peer whose operator does not allow it does not begin the upgrade, and says how it would', () => {
    const lone = new LonePeer({ allowed: [] })
    lone.installed()
    lone.inject(undefined, undefined, { network: true })
    assert.deepEqual(lone.commands, [])
    assert.match(lone.peer.objects.get('Av1')!.reason, /version 2 needs the network.*--allow network/)
    assert.equal(lone.peer.objects.get('Av1')!.state.current?.version, 1)
  })

  it('H11: allowed, or where nothing is confined, it begins', () => {
    for (const init of [{ allowed: ['network'] }, {}]) {
      const lone = new LonePeer(init)
      lone.installed()
      lone.inject(undefined, undefined, { network: true })
      assert.deepEqual(
        lone.commands.map((one) => one.command),
        ['warm']
      )
    }
  })
})
