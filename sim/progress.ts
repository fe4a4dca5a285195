/** How runs go on, for whoever watches: a bar that is drawn over itself, nothing in a pipe (SPEC M29). */
import { createLogUpdate } from 'log-update'
import type { Standing } from './outcome.ts'

const BAR = 24
const REDRAWN_MS = 100

export interface Progress {
  standing(index: number, standing: Standing): void
  ended(index: number): void
  done(): void
}

const silent: Progress = { standing: () => {}, ended: () => {}, done: () => {} }

export function progressOn(stream: NodeJS.WriteStream, runs: number): Progress {
  if (!stream.isTTY) return silent
  const draw = createLogUpdate(stream)
  const running = new Map<number, { standing: Standing; first: Standing; firstMs: number }>()
  let ended = 0
  let drawnMs = 0
  const redraw = () => {
    drawnMs = Date.now()
    const lines = [...running.values()].map(({ standing, first, firstMs }) => {
      const passedMs = drawnMs - firstMs
      return lineOf(standing, passedMs > 0 ? ((standing.events - first.events) / passedMs) * 1000 : undefined)
    })
    draw([...lines, ...(runs > 1 ? [`${bar(ended / runs)} ${ended} of ${runs} runs`] : [])].join('\n'))
  }
  return {
    standing: (index, standing) => {
      const { first, firstMs } = running.get(index) ?? { first: standing, firstMs: Date.now() }
      running.set(index, { standing, first, firstMs })
      if (Date.now() - drawnMs >= REDRAWN_MS) redraw()
    },
    ended: (index) => {
      ended += 1
      running.delete(index)
    },
    done: () => draw.clear()
  }
}

export function lineOf({ atMs, upgraded, peers, versions }: Standing, eventsPerSecond: number | undefined): string {
  const speed = eventsPerSecond === undefined ? '' : ` · ${Math.round(eventsPerSecond).toLocaleString('en')} events/s`
  const held = Object.entries(versions).map(([version, count]) => `v${version}: ${count.toLocaleString('en')}`)
  return `${bar(upgraded / peers)} ${(atMs / 1000).toFixed(1)} s simulated${speed} · ${held.join('  ') || 'starting'}`
}

const bar = (share: number): string => {
  const full = Math.round(Math.min(1, share) * BAR)
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`
}
