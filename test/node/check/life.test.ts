/** SPEC Q23: whoever changes files under check can be held, or killed, before each change and in the middle of it. */
import assert from 'node:assert/strict'
import { appendFileSync, createWriteStream, mkdirSync, renameSync, unlink, writeFileSync } from 'node:fs'
import {
  appendFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  unlink as remove,
  rename,
  rm,
  writeFile
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { promisify } from 'node:util'
import { Life } from '../../../node/check/life.ts'
import { Holder } from '../../../src/spec/holder.ts'

type Work = (directory: string) => Promise<unknown>

/** Ways of code to put `whole` into `file`, and what there is in between. */
const WAYS: Record<string, { work: Work; states: string[] }> = {
  'writeFile of promises': {
    work: (directory) => writeFile(join(directory, 'file'), 'whole', { flush: true }),
    states: ['', 'file=', 'file=wh', 'file=whole']
  },
  appendFile: {
    work: async (directory) => {
      await appendFile(join(directory, 'file'), 'wh')
      await appendFile(join(directory, 'file'), Buffer.from('ole'))
    },
    states: ['', 'file=', 'file=w', 'file=wh', 'file=who', 'file=whole']
  },
  'a handle': {
    work: async (directory) => {
      const handle = await open(join(directory, 'file'), 'w')
      await handle.write('who')
      await handle.appendFile('le')
      await handle.close()
    },
    states: ['', 'file=', 'file=who', 'file=whol', 'file=whole']
  },
  'a file beside it, renamed': {
    work: async (directory) => {
      await mkdir(join(directory, 'beside'))
      await writeFile(join(directory, 'beside', 'next'), 'whole')
      await rename(join(directory, 'beside', 'next'), join(directory, 'file'))
    },
    states: ['', 'next=', 'next=wh', 'next=whole', 'file=whole']
  },
  'code that does not wait': {
    work: async (directory) => {
      mkdirSync(join(directory, 'beside'))
      writeFileSync(join(directory, 'beside', 'next'), 'who')
      appendFileSync(join(directory, 'beside', 'next'), 'le')
      renameSync(join(directory, 'beside', 'next'), join(directory, 'file'))
    },
    states: ['', 'next=who', 'next=whole', 'file=whole']
  },
  callbacks: {
    work: async (directory) => {
      await writeFile(join(directory, 'old'), 'x')
      await promisify(unlink)(join(directory, 'old'))
      const stream = createWriteStream(join(directory, 'file'))
      stream.write('who')
      stream.end('le')
      await finished(stream)
    },
    states: ['', 'old=', 'old=x', '', 'file=', 'file=whole']
  }
}

describe('files under check (SPEC Q23)', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'life-'))
  })
  afterEach(async () => await rm(directory, { recursive: true, force: true }))

  /** Kills the work at one of its points. @returns whether it came there */
  async function killedAt(work: Work, point: number, place: string): Promise<boolean> {
    await mkdir(place)
    const holder = new Holder()
    const life = new Life({ point: () => holder.point(), isKilled: () => holder.isKilled() })
    const { held } = holder.hold(point, 'killed', () => life.run(() => work(place)))
    const isHeld = await held
    await life.end()
    holder.kill()
    return isHeld
  }

  /** What a kill left: files with what they hold. */
  async function left(place: string): Promise<string> {
    const files = (await readdir(place, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
    const texts = files.map(async ({ parentPath, name }) => `${name}=${await readFile(join(parentPath, name), 'utf8')}`)
    return (await Promise.all(texts)).sort().join(' ')
  }

  for (const [name, { work, states }] of Object.entries(WAYS))
    it(`${name}: a kill leaves exactly what was done before it`, async () => {
      const seen: string[] = []
      for (let point = 0, wasHeld = true; wasHeld; point++) {
        const place = join(directory, String(point))
        wasHeld = await killedAt(work, point, place)
        const state = await left(place)
        if (state !== seen.at(-1)) seen.push(state)
      }
      assert.deepEqual(seen, states)
    })

  it('what was killed changes nothing any more, and its handles are closed', async () => {
    const life = new Life({})
    const handle = await life.run(() => open(join(directory, 'file'), 'w'))
    let wentOn = false
    await life.end()
    assert.equal(handle.fd, -1)
    void life.run(async () => {
      await remove(join(directory, 'file'))
      wentOn = true
    })
    assert.throws(() => life.run(() => writeFileSync(join(directory, 'file'), 'x')), /killed/)
    await new Promise(setImmediate)
    assert.equal(wentOn, false)
    assert.equal(await readFile(join(directory, 'file'), 'utf8'), '')
  })

  it('code outside is not held', async () => {
    const life = new Life({ point: () => assert.fail('held') })
    await writeFile(join(directory, 'file'), 'x')
    await life.end()
    await appendFile(join(directory, 'file'), 'y')
    assert.equal(await readFile(join(directory, 'file'), 'utf8'), 'xy')
  })
})
