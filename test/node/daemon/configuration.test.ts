import assert from 'node:assert/strict'
import { readConfiguration } from '../../../node/daemon/configuration.ts'

const read = (...args: string[]) => {
  const request = readConfiguration(['--data', 'd', '--root', 'root.json', ...args])
  assert.ok(request.action === 'run')
  return request.configuration
}

describe('configuration of a daemon', () => {
  it('D29: --drain bounds how long calls run on, in milliseconds', () => {
    assert.equal(read().drainMs, 10_000)
    assert.equal(read('--drain', '250').drainMs, 250)
    for (const wrong of ['-1', '1.5', 'soon', '9999999'])
      assert.throws(() => read(`--drain=${wrong}`), { name: 'Usage', message: /--drain: / }, wrong)
  })
})
