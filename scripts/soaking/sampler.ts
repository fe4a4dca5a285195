/** Loaded before a daemon: what it holds is written down again and again, a line of JSON each time (SPEC X9). */
import { appendFileSync, readdirSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

const path = process.env['UPSTART_SOAK_SAMPLES']!
const everyMs = Number(process.env['UPSTART_SOAK_EVERY_MS'])
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

// A daemon's worker threads load this, too.
if (isMainThread) setInterval(sample, everyMs).unref()

function sample(): void {
  // What is held, not what waits to be collected.
  collect()
  const { heapUsed, external, rss } = process.memoryUsage()
  const [handles, descriptors] = [process.getActiveResourcesInfo().length, readdirSync('/proc/self/fd').length]
  const line = {
    atMs: performance.now(),
    heapKb: (heapUsed + external) / 1024,
    rssKb: rss / 1024,
    handles,
    descriptors
  }
  appendFileSync(path, `${JSON.stringify(line)}\n`)
}
