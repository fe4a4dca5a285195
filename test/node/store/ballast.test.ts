import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ballast } from '../../../node/store/ballast.ts'

describe('space for the moment in which the disk is full (SPEC D14)', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ballast-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it('D14: it is laid up once, given once', () => {
    const ballast = new Ballast(directory)
    ballast.keep()
    assert.equal(statSync(join(directory, 'ballast')).size, 4 * 1024 * 1024)
    assert.deepEqual([ballast.release(), ballast.release()], [true, false])
    assert.equal(existsSync(join(directory, 'ballast')), false)
  })

  it('D14: a disk that fills up while it is laid up is no failure of the commit that came before', function () {
    if (!existsSync('/dev/full')) this.skip() // lacks: a device that is always full
    const ballast = new Ballast(directory)
    // Every write to this device finds it full.
    symlinkSync('/dev/full', join(directory, 'ballast'))
    ballast.keep()
    assert.equal(existsSync(join(directory, 'ballast')), false)
    assert.equal(ballast.release(), false)
  })
})
