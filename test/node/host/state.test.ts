/** The key-value store of an object, where the disk fails (SPEC H3, V8). */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { State } from '../../../node/host/state.ts'

/** A state whose disk is as good as full. */
function onFullDisk(directory: string): State {
  const { exec } = DatabaseSync.prototype
  let database: DatabaseSync | undefined
  DatabaseSync.prototype.exec = function (sql) {
    database = this
    return exec.call(this, sql)
  }
  try {
    return new State(directory)
  } finally {
    DatabaseSync.prototype.exec = exec
    database?.exec('PRAGMA max_page_count = 20')
  }
}

describe('host: state', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'upstart-state-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it('V8 when the disk refused a write, no later write of that group becomes durable', () => {
    const state = onFullDisk(directory)
    const space = state.space('object')
    state.begin()
    space.put('kept', 1)
    state.commit()
    state.begin()
    state.savepoint()
    space.put('before', 1)
    assert.throws(() => space.put('large', new Uint8Array(1_000_000)), /full/)
    assert.throws(() => space.put('after', 1), /the disk refused/)
    assert.throws(() => space.delete('kept'), /the disk refused/)
    state.rollback()
    assert.throws(() => state.savepoint(), /the disk refused/)
    assert.throws(() => state.commit(), /the disk refused/)
    state.drop()
    const again = new State(directory)
    assert.deepEqual([...again.space('object').entries()], [['kept', 1]])
    again.close()
  })

  it('V8 nothing is written outside of a transaction', () => {
    const state = new State(directory)
    assert.throws(() => state.space('object').put('x', 1))
    assert.throws(() => state.savepoint())
    state.close()
  })
})
