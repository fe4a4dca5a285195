import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { Crash, MemoryDisk } from '../../../node/store/memory.ts'
import { openStore, type Store } from '../../../node/store/store.ts'
import { type StoreFixture, storeContract } from './contract.ts'

const scratch = () => mkdtempSync(join(tmpdir(), 'upstart-store-'))

/** A crash is a copy of the files as they are while the store is open: what a kill would leave to the next process. */
const realFixture = (): StoreFixture => {
  const base = scratch()
  let generation = 0
  let open: Store | null = null
  const directory = () => join(base, `${generation}`)
  return {
    open: () => {
      open = openStore(directory())
      return open
    },
    crash: () => {
      const from = directory()
      generation++
      cpSync(from, directory(), { recursive: true })
      chmodSync(directory(), 0o700)
      open?.close()
    },
    end: () => {
      open?.close()
      rmSync(base, { recursive: true })
    }
  }
}

const simulatedFixture = (): StoreFixture => {
  const disk = new MemoryDisk()
  return { open: () => disk.open(), crash: () => disk.crash(), end: () => disk.crash() }
}

storeContract('on disk', realFixture)
storeContract('simulated', simulatedFixture)

describe('the simulated store', () => {
  it('D1: a crash inside a commit leaves all of it or nothing', () => {
    for (const when of ['before', 'after'] as const) {
      const disk = new MemoryDisk()
      disk.open().commit({
        put: [
          ['a', 1],
          ['b', 1]
        ],
        delete: []
      })
      disk.crash()
      const store = disk.open()
      disk.crashInCommit(when)
      assert.throws(() => store.commit({ put: [['a', 2]], delete: ['b'] }), Crash)
      assert.throws(() => store.read())
      const expected =
        when === 'before'
          ? [
              ['a', 1],
              ['b', 1]
            ]
          : [['a', 2]]
      assert.deepEqual([...disk.open().read()], expected)
    }
  })
})

describe('the store on disk', () => {
  let directory: string
  let file: string
  const children: ChildProcess[] = []

  beforeEach(() => {
    directory = scratch()
    file = join(directory, 'peer.sqlite')
  })
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    rmSync(directory, { recursive: true, force: true })
  })

  /** Starts a committing process and resolves once it said `line`; kill and exit are the caller's. */
  const committer = async (args: string[], line: (text: string) => boolean) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'committer.ts'), directory, ...args], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    children.push(child)
    let said = ''
    for await (const text of createInterface({ input: child.stdout })) {
      said = text
      if (line(text)) break
    }
    return { child, said }
  }

  const sealedWith = (entries: [string, unknown][]) => {
    const store = openStore(directory)
    store.commit({ put: entries, delete: [] })
    store.close()
  }

  it('D1: kill -9 in mid-commit loses nothing that was acknowledged and leaves no half of a commit', async function () {
    this.timeout(60_000)
    let before = 0
    for (const [round, commits] of [1, 3, 10, 25, 60, 90].entries()) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'committer.ts'), directory], {
        stdio: ['ignore', 'pipe', 'inherit']
      })
      children.push(child)
      let acknowledged = 0
      let rest = ''
      child.stdout.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk).split('\n')
        rest = lines.pop() ?? ''
        acknowledged = Number(lines.at(-1) ?? acknowledged)
        if (acknowledged >= before + commits) child.kill('SIGKILL')
      })
      await once(child, 'close')
      const store = openStore(directory)
      const found = store.read()
      store.close()
      const n = found.get('n') as number
      assert.ok(n >= acknowledged && n <= acknowledged + 1, `round ${round}: acknowledged ${acknowledged}, found ${n}`)
      for (let slot = 0; slot < 5; slot++) {
        // The last write to a slot, unless the commit before the slot's turn deleted it.
        const last = n - ((((n - slot) % 5) + 5) % 5)
        const expected = last === n - 4 || last < 1 ? undefined : last
        assert.equal((found.get(`slot/${slot}`) as { n: number } | undefined)?.n, expected, `slot ${slot} at ${n}`)
      }
      before = n
    }
  })

  it('D3: a second process is refused by directory and pid of the owner', async () => {
    const { child } = await committer(['2'], (text) => text === 'waiting')
    assert.throws(
      () => openStore(directory),
      (error: Error) =>
        error.name === 'Locked' && error.message.includes(directory) && error.message.includes(`process ${child.pid}`)
    )
    child.kill('SIGKILL')
    await once(child, 'exit')
    const store = openStore(directory)
    assert.equal(store.read().get('n'), 2)
    store.close()
  })

  it('D3: of two processes that make one directory at once, one owns it and the other is refused', async () => {
    const second = join(directory, 'fresh')
    const outcome = () =>
      new Promise<string>((resolve, reject) => {
        const child = spawn(process.execPath, [join(import.meta.dirname, 'committer.ts'), second, '1'], {
          stdio: 'pipe'
        })
        children.push(child)
        let text = ''
        const take = (chunk: Buffer) => {
          text += chunk
          if (text.includes('waiting')) resolve('owner')
        }
        child.stdout.on('data', take)
        child.stderr.on('data', take)
        child.on('error', reject)
        child.on('close', () => resolve(/Locked/.test(text) ? 'Locked' : text))
      })
    assert.deepEqual((await Promise.all([outcome(), outcome()])).sort(), ['Locked', 'owner'])
  })

  it('D4: any flipped byte is found at open, or is of no consequence', () => {
    sealedWith(Array.from({ length: 40 }, (_, n) => [`record/${n}`, { n, bytes: new Uint8Array(300).fill(n) }]))
    const store = openStore(directory)
    const whole = store.read()
    store.close()
    const sound = readFileSync(file)
    let found = 0
    const check = (offset: number, bit: number) => {
      const bytes = Buffer.from(sound)
      bytes[offset]! ^= 1 << bit
      writeFileSync(file, bytes)
      let opened: Store | null = null
      try {
        opened = openStore(directory)
        assert.deepEqual(opened.read(), whole)
      } catch (error) {
        assert.ok(['DamagedStore', 'NewerFormat'].includes((error as Error).name), String(error))
        assert.ok((error as Error).message.includes(file))
        found++
      } finally {
        opened?.close()
      }
      assert.deepEqual(readFileSync(file).length, bytes.length, 'a damaged file is left as it is')
    }
    fc.assert(fc.property(fc.nat(sound.length - 1), fc.nat(7), check), { numRuns: 200 })
    assert.ok(found > 50, `only ${found} of 200 flips were found`)
  })

  it('D4: any truncation is refused and the file left alone', () => {
    sealedWith(Array.from({ length: 40 }, (_, n) => [`record/${n}`, new Uint8Array(300).fill(n)]))
    const sound = readFileSync(file)
    for (let length = 0; length < sound.length; length += 512) {
      writeFileSync(file, sound.subarray(0, length))
      assert.throws(() => openStore(directory), { name: 'DamagedStore' }, `${length} of ${sound.length} bytes`)
      assert.equal(readFileSync(file).length, length)
    }
  })

  it('D4: a value that went back to an older one is found, although every page is sound', () => {
    sealedWith([
      ['a', 1],
      ['b', 1]
    ])
    const older = new DatabaseSync(file)
    const row = older.prepare("SELECT value, sum FROM entry WHERE key = 'a'").get()!
    older.close()
    sealedWith([['a', 2]])
    const forged = new DatabaseSync(file)
    forged.prepare("UPDATE entry SET value = ?, sum = ? WHERE key = 'a'").run(row.value!, row.sum!)
    forged.close()
    assert.throws(() => openStore(directory), { name: 'DamagedStore' })
  })

  it('D5: files of other programs, and a store that is gone, are named and never replaced', () => {
    const foreign: [string, () => void][] = [
      ['text', () => writeFileSync(file, 'notes to myself\n'.repeat(100))],
      ['nothing', () => writeFileSync(file, '')],
      ['another database', () => new DatabaseSync(file).exec('CREATE TABLE t (x); PRAGMA user_version = 1')]
    ]
    for (const [what, write] of foreign) {
      rmSync(file, { force: true })
      write()
      const bytes = readFileSync(file)
      assert.throws(
        () => openStore(directory),
        (error: Error) =>
          error.name === 'DamagedStore' && error.message.includes(file) && error.message.includes('restore'),
        what
      )
      assert.deepEqual(readFileSync(file), bytes)
    }
    rmSync(file)
    assert.throws(() => openStore(directory), { name: 'DamagedStore' })
    assert.ok(!existsSync(file))
  })

  it('D6: makes the directory private, and refuses one that is open to others or no directory', () => {
    const fresh = join(directory, 'fresh')
    openStore(fresh).close()
    assert.equal(statSync(fresh).mode & 0o777, 0o700)
    chmodSync(fresh, 0o750)
    assert.throws(() => openStore(fresh), { name: 'Usage', message: /chmod 700/ })
    writeFileSync(join(directory, 'file'), '')
    assert.throws(() => openStore(join(directory, 'file')), { name: 'Usage' })
  })

  it('D7: format 1 stays readable', () => {
    const fixtures = join(import.meta.dirname, '../../fixtures')
    const expected = JSON.parse(readFileSync(join(fixtures, 'store-1.json'), 'utf8'))
    mkdirSync(join(directory, 'old'), { mode: 0o700 })
    cpSync(join(fixtures, 'store-1.sqlite'), join(directory, 'old', 'peer.sqlite'))
    const store = openStore(join(directory, 'old'))
    const found = Object.fromEntries(
      [...store.read()].map(([key, value]) => [
        key,
        value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value
      ])
    )
    store.commit({ put: [['new', 1]], delete: [] })
    store.close()
    assert.deepEqual(found, expected)
  })

  it('D7: a newer format is refused with the mend and left alone', () => {
    sealedWith([['a', 1]])
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 2')
    database.close()
    const bytes = readFileSync(file)
    assert.throws(() => openStore(directory), { name: 'NewerFormat', message: /newer/ })
    assert.deepEqual(readFileSync(file), bytes)
  })
})
