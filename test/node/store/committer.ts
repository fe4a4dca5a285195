/**
 * A process that commits without end and says each number once its commit returned; the test kills it in mid-commit.
 * Arguments: the directory, and how many commits come before it only waits.
 */
import { writeSync } from 'node:fs'
import { openStore } from '../../../node/store/store.ts'

const [directory = '', limit = 'Infinity'] = process.argv.slice(2)
const store = openStore(directory)
const first = ((store.read().get('n') as number | undefined) ?? 0) + 1
for (let n = first; n < first + Number(limit); n++) {
  const bytes = new Uint8Array(100 + (n % 7) * 3000).fill(n)
  store.commit({
    put: [
      ['n', n],
      [`slot/${n % 5}`, { n, bytes }]
    ],
    delete: [`slot/${(n + 1) % 5}`]
  })
  // Synchronous: what was said before the kill has reached the pipe.
  writeSync(1, `${n}\n`)
}
writeSync(1, 'waiting\n')
setInterval(() => store.read(), 60_000)
