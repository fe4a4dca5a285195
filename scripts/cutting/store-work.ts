/** A program that commits random changes to a store and acknowledges each: store-work.ts DIRECTORY ACKNOWLEDGEMENTS SEED COMMITS */
import { openSync, writeSync } from 'node:fs'
import { openStore } from '../../node/store/store.ts'
import type { Persist } from '../../src/overlay/events.ts'
import { Generator } from '../../src/prng.ts'

/** What is committed, one change after the other; the same for the same seed. */
export function* changes(seed: number): Changes {
  const random = new Generator(seed)
  for (;;) {
    const key = () => `record/${random.below(20)}`
    const put = Array.from({ length: random.between(1, 4) }, (): [string, unknown] => [
      key(),
      {
        number: random.below(1e9),
        bytes: new Uint8Array(random.below(random.chance(0.2) ? 12_000 : 300)).fill(random.below(256))
      }
    ])
    yield { put, delete: random.chance(0.3) ? [key()] : [] }
  }
}
type Changes = globalThis.Generator<Persist, never, void>

if (process.argv[1] === import.meta.filename) {
  const [directory, acknowledgements, seed, commits] = process.argv.slice(2)
  const acknowledged = openSync(acknowledgements!, 'a')
  const store = openStore(directory!)
  const all = changes(Number(seed))
  for (let done = 1; done <= Number(commits); done++) {
    store.commit(all.next().value)
    writeSync(acknowledged, `${done}\n`)
  }
  store.close()
}
