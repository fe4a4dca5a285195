/** A wire as what it-pipe connects: a source that is pulled and a sink that waits, so each end feels the other's pace. */
import { Refusal } from '../../src/errors.ts'
import type { Wire } from './wire.ts'

export interface Duplex {
  source: AsyncGenerator<Uint8Array, void, undefined>
  sink(chunks: AsyncIterable<Uint8Array>): Promise<void>
}

export function duplexOf(wire: Wire): Duplex {
  const chunks: Uint8Array[] = []
  let ended: string | undefined
  let wake = (): void => undefined
  let drain = (): void => undefined
  wire.listen({
    data: (chunk) => {
      chunks.push(chunk)
      wire.pause()
      wake()
    },
    drained: () => drain(),
    closed: (reason) => {
      ended = reason
      wake()
      drain()
    }
  })

  async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = chunks.shift()
      if (chunk !== undefined) {
        yield chunk
        continue
      }
      if (ended !== undefined) return
      const more = new Promise<void>((resolve) => {
        wake = resolve
      })
      wire.resume()
      await more
    }
  }

  async function sink(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of source) {
      if (!wire.open) throw new Refusal('Unreachable', `the connection with ${wire.peer} ended: ${ended ?? 'closed'}`)
      const drained = new Promise<void>((resolve) => {
        drain = resolve
      })
      if (!wire.send(chunk)) await drained
    }
    await wire.close()
  }
  return { source: source(), sink }
}
